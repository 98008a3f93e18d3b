"""Our rules for passwords, beside Django's; and what a change of one does."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError

from tripbuilder.signin import sessions
from tripbuilder.signin.demo import DEMO_PASSWORD


class NotTheLastOne:
    """A new password differs from the one it replaces, and ends every sign-in that was made with that."""

    def validate(self, password: str, user: Any = None) -> None:
        pk = getattr(user, "pk", None)
        kept = None if pk is None else get_user_model()._default_manager.filter(pk=pk).first()
        if kept is not None and kept.check_password(password):
            raise ValidationError("This is the password you have now. Choose another one.", code="password_unchanged")

    def password_changed(self, password: str, user: Any = None) -> None:
        """Django calls it after each save of a new password. Whoever changes their own gets a new session with it."""
        sessions.end_of(user)

    def get_help_text(self) -> str:
        return "Your password can’t be the one you have now."


class NotTheDemoOne:
    """Nobody takes the password that the README prints."""

    def validate(self, password: str, user: Any = None) -> None:
        if password == DEMO_PASSWORD:
            raise ValidationError("This is the password of the demo account. Choose another one.", code="password_demo")

    def get_help_text(self) -> str:
        return "Your password can’t be that of the demo account."
