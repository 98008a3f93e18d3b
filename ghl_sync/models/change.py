"""What changed here and has not been agreed on yet. Append-only: receivers insert, the engine deletes what it read."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now


class Lane(models.TextChoices):
    STAFF = "staff", "Staff edit"
    RETRY = "retry", "Retry"
    BULK = "bulk", "Bulk"


class Cause(models.TextChoices):
    """Why a record is due. Some causes make fields that are only ever written a reason to write."""

    SAVED = "saved", "Saved here"
    COUNT = "count", "Passengers of the trip changed"
    RENAMED = "renamed", "The trip or vendor was renamed"
    OPTION = "option", "A drop-down option was added"
    ASKED = "asked", "A person asked for it"
    RULE = "rule", "A field's rule was changed"


class Change(models.Model):
    kind = models.CharField(max_length=16)
    object_id = models.BigIntegerField()
    lane = models.CharField(max_length=8, choices=Lane.choices, default=Lane.STAFF)
    cause = models.CharField(max_length=8, choices=Cause.choices, default=Cause.SAVED)
    at = models.DateTimeField(db_default=Now())
    due_at = models.DateTimeField(db_default=Now())  # counts wait, so that many bookings are one write
    seat = models.BigIntegerField(null=True)  # a passenger's: the trip that counted them as of this save
    tried = models.BooleanField(default=False, db_default=False)  # read by a try that ended with a person's turn

    class Meta:
        indexes = [models.Index(fields=["kind", "object_id"], name="change_object")]  # read: "is it due", and the sweep

    def __str__(self) -> str:
        return f"{self.kind} {self.object_id} {self.cause}"
