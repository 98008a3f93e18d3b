"""What travellers were reminded of by e-mail: the log of who was written to, when, by whom and about what."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from trips.encryption import EncryptedTextField
from trips.models.base import Stamped


class Reminder(Stamped):
    """One mail to one traveller, or to who looks after them.

    The row is there before the mail leaves: should the process end in between, it stays `SENDING`, and counts as sent,
    since a second mail is worse than a late one. The text says what somebody lacks, so it is encrypted.
    """

    class Kind(models.TextChoices):
        GAPS = "gaps", "What is missing"
        MONEY = "money", "Payment"

    class State(models.TextChoices):
        SENDING = "sending", "On its way"
        SENT = "sent", "Sent"
        FAILED = "failed", "Not sent"

    passenger = models.ForeignKey("trips.Passenger", on_delete=models.CASCADE, related_name="reminders")
    kind = models.CharField(max_length=8, choices=Kind.choices)
    state = models.CharField(max_length=8, choices=State.choices, default=State.SENDING)
    recipient = models.EmailField("to", max_length=254)
    subject = models.CharField(max_length=255)
    body = EncryptedTextField(editable=False)
    asked_for = models.JSONField(default=list)  # codes of the gaps, or "payment"
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")

    class Meta:
        ordering = ["-created_at", "-pk"]
        indexes = [
            # Read: when somebody was last asked, by the list and before each mail.
            models.Index(fields=["passenger", "kind", "-created_at"], name="reminder_last"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} to {self.passenger}"
