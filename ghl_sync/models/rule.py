"""What an administrator set for one field of the mapping: who wins, and which way it goes."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now
from simple_history.models import HistoricalRecords


class Direction(models.TextChoices):
    BOTH = "both", "Both ways"
    PULL = "pull", "Only from GoHighLevel"
    PUSH = "push", "Only to GoHighLevel"
    OFF = "off", "Not at all"


class FieldRule(models.Model):
    """Only what differs from the mapping table; an empty part means the table's own."""

    kind = models.CharField(max_length=16)
    field = models.CharField(max_length=64)
    policy = models.CharField(max_length=8, blank=True)  # mapping.fields.Policy
    direction = models.CharField(max_length=8, choices=Direction.choices, blank=True)
    changed_at = models.DateTimeField(db_default=Now())
    changed_by = models.ForeignKey("auth.User", on_delete=models.SET_NULL, null=True, blank=True, related_name="+")

    history = HistoricalRecords()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["kind", "field"], name="rule_once_per_field")]

    def __str__(self) -> str:
        return f"{self.kind} {self.field}"
