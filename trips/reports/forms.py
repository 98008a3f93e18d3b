"""What is typed before a report: the days it speaks of, and the password of a departure pack."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django import forms
from django.core.validators import RegexValidator
from django.utils.formats import date_format
from unfold.widgets import INPUT_CLASSES

from trips.dates import add_months
from trips.days import DayField
from trips.reports.pack import LEAST_PASSWORD


class DayInput(forms.DateInput):
    """The browser's own calendar."""

    input_type = "date"

    def __init__(self) -> None:
        super().__init__(attrs={"class": " ".join(INPUT_CLASSES)}, format="%Y-%m-%d")


class DaysForm(forms.Form):
    """Both ends may stay empty. Unbound it holds the next twelve months."""

    first = DayField(label="Departures from", required=False, widget=DayInput)
    last = DayField(label="to", required=False, widget=DayInput)

    def __init__(self, data: Any = None, *, today: dt.date) -> None:
        self.usual = (today, add_months(today, 12))
        super().__init__(data, initial=dict(zip(("first", "last"), self.usual, strict=True)))

    def clean(self) -> dict[str, Any]:
        typed = super().clean() or {}
        first, last = typed.get("first"), typed.get("last")
        if first and last and last < first:
            told = f"{date_format(last)} is before {date_format(first)}; give a later day or leave it empty."
            self.add_error("last", told)
        return typed

    def range(self) -> tuple[dt.date | None, dt.date | None]:
        """The days to ask for: those typed, or the usual ones while they cannot be read."""
        if not self.is_bound or not self.is_valid():
            return self.usual
        return self.cleaned_data["first"], self.cleaned_data["last"]


class PasswordForm(forms.Form):
    """Only what every keyboard and unzip program agrees on: some read other letters of a password differently."""

    password = forms.CharField(
        min_length=LEAST_PASSWORD,
        max_length=99,
        validators=[RegexValidator(r"^[!-~]+$", "Use letters A to Z, digits and signs, without blanks.")],
        widget=forms.TextInput(
            attrs={
                "class": " ".join(INPUT_CLASSES),
                "autocomplete": "off",
                "spellcheck": "false",
                "autocapitalize": "off",
            }
        ),
    )


class PackForm(PasswordForm):
    sent = forms.BooleanField(required=False, label="Keep what is in it as sent")
