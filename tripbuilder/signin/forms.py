"""Password and code."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from unfold.forms import AuthenticationForm
from unfold.widgets import UnfoldAdminTextInputWidget

from tripbuilder.signin import demo, pace
from tripbuilder.signin.second_factor import in_words
from trips.client_address import client_address


class SignInForm(AuthenticationForm):
    """Name and password, at a pace that guessing cannot keep up with."""

    error_messages = {
        **AuthenticationForm.error_messages,
        "invalid_login": "Name and password do not fit each other. Both tell capital letters from small ones.",
    }

    def clean(self) -> dict[str, Any]:
        username, password = self.cleaned_data.get("username"), self.cleaned_data.get("password")
        if username and password:
            if demo.is_demo_password(password):
                raise ValidationError(demo.REFUSED, code="demo")
            left = pace.wait_for(username, client_address(self.request))
            if left:
                raise ValidationError(
                    f"Too many wrong passwords came for this account from elsewhere. Try again in {in_words(left)}.",
                    code="slow",
                )
        cleaned: dict[str, Any] = super().clean()
        return cleaned


class CodeForm(forms.Form):
    """Six digits, or a recovery code."""

    code = forms.CharField(
        max_length=40, label="Code", error_messages={"required": "Type the code that your app shows now."}
    )

    def __init__(self, *args: Any, recovery: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        kind = {"inputmode": "text"} if recovery else {"inputmode": "numeric", "autocomplete": "one-time-code"}
        self.fields["code"].label = "Recovery code" if recovery else "Code of six digits"
        self.fields["code"].widget = UnfoldAdminTextInputWidget(
            attrs={"autofocus": "", "autocapitalize": "none", "spellcheck": "false", "autocomplete": "off", **kind}
        )
