"""What a person with a phone does at the sign-in."""

from __future__ import annotations

import base64
from typing import Any

from django.test import Client
from django.utils import timezone
from django_otp.oath import TOTP

from tests.factories import PASSWORD
from tripbuilder.signin import second_factor
from tripbuilder.signin.models import Authenticator


def sign_in(client: Client, username: str = "ada", password: str = PASSWORD, **more: Any) -> Any:
    return client.post("/login/", {"username": username, "password": password}, **more)


def code_of(user: Any, *, steps: int = 0, confirmed: bool = True) -> str:
    """What the user's app shows, so many steps of 30 seconds from now."""
    device = Authenticator.objects.get(user=user, confirmed=confirmed)
    totp = TOTP(base64.b32decode(device.secret))
    totp.time = timezone.now().timestamp() + 30 * steps
    return f"{totp.token():06d}"


def set_up(user: Any) -> list[str]:
    """An app whose first code was of five minutes ago, so that the present one is unused."""
    second_factor.waiting_device(user)
    _device, codes = second_factor.confirm(user, code_of(user, confirmed=False), keep=None)
    Authenticator.objects.filter(user=user).update(last_step=0)
    return codes
