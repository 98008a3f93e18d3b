"""The account that `manage.py dev` makes. Its password stands in the README, so it opens nothing where DEBUG is off."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core import checks
from django.db import Error

DEMO_USER = "admin"
DEMO_PASSWORD = "tripbuilder"  # nosec B105 # noqa: S105 - it is no secret: `demo_account_is_shut_out` and the sign-in form see to that
REFUSED = "This is the password of the demo account, which works with DEBUG on only. Have an administrator set another."


def is_demo_password(password: str) -> bool:
    """Whether nobody may sign in with it here."""
    return not settings.DEBUG and password == DEMO_PASSWORD


def demo_account_is_shut_out(app_configs: Any = None, **kwargs: Any) -> list[checks.CheckMessage]:
    """Names the demo account where it came into a database of production, as by a copied file."""
    if settings.DEBUG:
        return []
    try:
        found = get_user_model()._default_manager.filter(username=DEMO_USER).first()
    except Error:  # no database yet, or no tables in it: then there is no account either
        return []
    if found is None or not found.check_password(DEMO_PASSWORD):
        return []
    return [
        checks.Warning(
            f"The account “{DEMO_USER}” has the password of the demo. Nobody can sign in with it; it should not exist.",
            hint=f"Set another with: manage.py changepassword {DEMO_USER} - or delete the account.",
            id="signin.W001",
        )
    ]


def register() -> None:
    checks.register(demo_account_is_shut_out, checks.Tags.security)
