"""The second factor: an app that shows codes, and ten codes on paper for who has lost it."""

from __future__ import annotations

import base64
import hashlib
import io
import secrets
from typing import Any
from urllib.parse import quote, urlencode

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django_otp.oath import TOTP
from qrcode import QRCode
from qrcode.image.svg import SvgPathImage

from tripbuilder.signin import sessions
from tripbuilder.signin.models import APP_NAME, Authenticator, RecoveryCode

ISSUER = "TripBuilder"
DIGITS = 6
TOLERANCE = 1  # a code is taken for 30 seconds before and after its own
CODES = 10
WRONG = "This code is wrong, too old or was used already. Type the one that your app shows now."
WRONG_RECOVERY = "This recovery code is wrong or was used already. Try another one."


class Refused(Exception):
    """A code that was not taken, with the sentence for who typed it."""


def required() -> bool:
    return bool(settings.SECOND_FACTOR == "required")


def device_of(user: Any) -> Authenticator | None:
    """The app that somebody has set up."""
    return Authenticator.objects.filter(user=user, confirmed=True).first()


def waiting_device(user: Any) -> Authenticator:
    """The app that somebody is setting up. It keeps its secret until its first code: the page may be loaded anew."""
    secret = base64.b32encode(secrets.token_bytes(20)).decode()
    found, _made = Authenticator.objects.get_or_create(
        user=user, confirmed=False, defaults={"name": APP_NAME, "secret": secret}
    )
    return found


def address_of(device: Authenticator) -> str:
    """What an app reads from the picture (Key Uri Format)."""
    label = quote(f"{ISSUER}:{device.user.get_username()}")
    return f"otpauth://totp/{label}?{urlencode({'secret': device.secret, 'issuer': ISSUER})}"


def picture_of(device: Authenticator) -> str:
    """The address as a QR code, an `<svg>` to stand in the page: nothing has to fetch the secret a second time."""
    code = QRCode(image_factory=SvgPathImage, border=2)
    code.add_data(address_of(device))
    out = io.BytesIO()
    code.make_image(attrib={"role": "img", "aria-label": "QR code for your app"}).save(out)
    return out.getvalue().decode().partition("?>")[2].strip()


def check(user: Any, typed: str) -> Authenticator:
    """Somebody's code: digits are the app's, anything else is a recovery code. Raises Refused.

    A code works once, even for two requests at the same moment: the app's row is locked while it is compared, and a
    recovery code is used by being deleted.
    """
    code = "".join(typed.split()).replace("-", "").lower()
    with transaction.atomic():
        device = Authenticator.objects.select_for_update().filter(user=user, confirmed=True).first()
        refused = "" if device else "You have no second factor any more. Sign in again."
        if device and code.isascii() and code.isdigit():
            refused = _try(device, code)
        elif device and not _use_recovery_code(user, code):
            refused = WRONG_RECOVERY
    if refused or device is None:  # after the transaction, which counts the failure
        raise Refused(refused)
    return device


def confirm(user: Any, typed: str, *, keep: str | None) -> tuple[Authenticator, list[str]]:
    """The first code of the app being set up: from now on it is the user's only one. Raises Refused.

    Returns it with ten new recovery codes. Ends the other sessions, which nobody asked for a code.
    """
    code = "".join(typed.split())
    with transaction.atomic():
        device = Authenticator.objects.select_for_update().filter(user=user, confirmed=False).first()
        refused = _try(device, code) if device else "Load this page again: its picture was used already."
        if device and not refused:
            Authenticator.objects.filter(user=user, confirmed=True).delete()
            Authenticator.objects.filter(pk=device.pk).update(confirmed=True)
            device.confirmed = True
            codes = new_recovery_codes(user)
            sessions.end_of(user, keep=keep)
            return device, codes
    raise Refused(refused)


def new_recovery_codes(user: Any) -> list[str]:
    """Ten codes in place of those there were, to be shown once: only their hashes are kept."""
    plain = [base64.b32encode(secrets.token_bytes(10)).decode().lower() for _ in range(CODES)]
    with transaction.atomic():
        RecoveryCode.objects.filter(user=user).delete()
        RecoveryCode.objects.bulk_create(RecoveryCode(user=user, digest=_digest(code)) for code in plain)
    return ["-".join(code[at : at + 4] for at in range(0, 16, 4)) for code in plain]


def take_off(user: Any) -> None:
    """Somebody's second factor is gone, with its codes and with every session that it opened."""
    with transaction.atomic():
        Authenticator.objects.filter(user=user).delete()
        RecoveryCode.objects.filter(user=user).delete()
        sessions.end_of(user)


def _try(device: Authenticator, code: str) -> str:
    """Compare, and write what follows from it; the sentence of a refusal, or nothing."""
    allowed, why = device.verify_is_allowed()
    if not allowed:
        return _later(why)
    totp = TOTP(base64.b32decode(device.secret), digits=DIGITS, drift=device.drift)
    if len(code) == DIGITS and totp.verify(int(code), TOLERANCE, device.last_step + 1):
        device.drift, device.last_step = totp.drift, totp.t()
        device.throttle_reset(commit=False)
    else:
        device.throttle_increment(commit=False)
    device.save(update_fields=["drift", "last_step", "throttling_failure_timestamp", "throttling_failure_count"])
    return WRONG if device.throttling_failure_count else ""


def _later(why: dict[str, Any]) -> str:
    left = int((why["locked_until"] - timezone.now()).total_seconds()) + 1
    return f"There were {why['failure_count']} wrong codes. Wait {in_words(left)}, then try again."


def in_words(seconds: int) -> str:
    """A time to wait, rounded up."""
    if seconds < 60:
        return "one second" if seconds == 1 else f"{seconds} seconds"
    minutes = -(-seconds // 60)
    if minutes < 60:
        return "one minute" if minutes == 1 else f"{minutes} minutes"
    hours = -(-minutes // 60)
    return "one hour" if hours == 1 else f"{hours} hours"


def _use_recovery_code(user: Any, code: str) -> bool:
    deleted, _by_model = RecoveryCode.objects.filter(user=user, digest=_digest(code)).delete()
    return bool(deleted)


def _digest(code: str) -> str:
    return hashlib.sha256(code.encode("utf-8", "replace")).hexdigest()
