"""Webhooks as they came: which record each one names and what was done about it. Never what it says of that record."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from trips.encryption import EncryptedTextField


class WebhookEvent(models.Model):
    """One delivery that proved to be GoHighLevel's and concerns our account. Rows go after 30 days."""

    class About(models.TextChoices):
        """What the record is over there; a trip and a passenger are both opportunities."""

        OPPORTUNITY = "opportunity", "Opportunity"
        CONTACT = "contact", "Contact"

    class Outcome(models.TextChoices):
        WAITING = "waiting", "Waiting"
        COMPARED = "compared", "Record is compared"
        IMPORTED = "imported", "New record fetched"
        NOT_FOUND = "not_found", "No such record any more"
        ELSEWHERE = "elsewhere", "In another pipeline"
        IGNORED = "ignored", "Nothing to do"
        FAILED = "failed", "Could not be handled"

    delivery_id = models.CharField(max_length=64, unique=True)  # theirs, or a hash of the body (`engine.inbox`)
    kind = models.CharField(max_length=64)  # such as OpportunityUpdate
    record_kind = models.CharField(max_length=16, choices=About.choices, blank=True)
    record_id = models.CharField(max_length=64, blank=True)
    body = EncryptedTextField(blank=True)  # as received; it may name a person
    outcome = models.CharField(max_length=12, choices=Outcome.choices, default=Outcome.WAITING)
    tries = models.SmallIntegerField(default=0)  # counted before the look, so that a crash counts
    received_at = models.DateTimeField(db_default=Now())
    handled_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            # The two questions of every delivery and every handling: is somebody at it already, and what waits.
            models.Index(fields=["received_at"], condition=Q(outcome="waiting"), name="event_waiting"),
            models.Index(fields=["record_id", "received_at"], name="event_record"),  # was this look a webhook's doing
            models.Index(fields=["received_at"], name="event_received"),  # read: the list, and what is old enough to go
        ]
        verbose_name = "webhook"

    def __str__(self) -> str:
        return f"{self.kind} {self.record_id}".strip()


class WebhookRefusal(models.Model):
    """How many deliveries of one day were turned away, and why. They leave nothing else behind."""

    class Reason(models.TextChoices):
        UNSIGNED = "unsigned", "without a signature"
        WRONG = "wrong", "with a wrong signature"
        TOO_LARGE = "too_large", "too large"
        UNREADABLE = "unreadable", "unreadable"
        OTHER_ACCOUNT = "other_account", "of another account"
        NOT_STORED = "not_stored", "that could not be stored"

    day = models.DateField()
    reason = models.CharField(max_length=16, choices=Reason.choices)
    count = models.PositiveIntegerField(default=0)
    last_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["day", "reason"], name="refusals_once_per_day")]

    def __str__(self) -> str:
        return f"{self.count} {self.get_reason_display()}"
