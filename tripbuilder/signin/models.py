"""Second factors and sign-ins."""

from __future__ import annotations

from typing import Any, ClassVar

from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import models
from django_otp.models import Device, ThrottlingMixin

from trips.encryption import EncryptedTextField

APP_NAME = "Authenticator app"


class Authenticator(ThrottlingMixin, Device):
    """An app on somebody's phone. Until its first code was typed here it is not `confirmed` and opens nothing.

    django-otp's own TOTP table keeps the secret readable; here it is encrypted.
    """

    secret = EncryptedTextField(editable=False)  # in base32, as apps take it
    # Both in steps of 30 seconds: how far the phone's clock is off, and the youngest code that was taken.
    drift = models.SmallIntegerField(default=0, editable=False)
    last_step = models.BigIntegerField(default=-1, editable=False)
    since = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["user", "confirmed"], name="signin_one_app_for_each_user"),
        ]

    def get_throttle_factor(self) -> int:
        """Seconds to wait after the first wrong code; each further one doubles them."""
        return 1


class RecoveryCode(models.Model):
    """A code for who has lost the phone. It opens once: using it deletes it."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="recovery_codes")
    # SHA-256. The code is 80 random bits, so there is no dictionary to try, and no key that a rotation could take away.
    digest = models.CharField(max_length=64, editable=False)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["user", "digest"], name="signin_recovery_code_once"),
        ]

    def __str__(self) -> str:
        return "Recovery code"


class SignIn(models.Model):
    """A session of somebody, as long as it lasts: with the session its row goes, too."""

    session = models.OneToOneField(Session, on_delete=models.CASCADE, primary_key=True, related_name="sign_in")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="sign_ins")
    address = models.GenericIPAddressField(null=True)
    agent = models.CharField(max_length=300, blank=True)
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField()

    class Meta:
        ordering: ClassVar[list[Any]] = ["-seen_at"]

    def __str__(self) -> str:
        return f"Sign-in of {self.user_id}"
