"""Trouble that somebody must be told of: opened, mailed once, closed when it is over."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class Alarm(models.Model):
    class Code(models.TextChoices):
        STOPPED = "stopped", "GoHighLevel is stopped"
        OVERDUE = "overdue", "Records wait too long"
        QUEUE = "queue", "The queue does not work"
        SCHEDULE = "schedule", "A schedule is malformed"
        BINDING = "binding", "Another database speaks for this account"
        GUARD = "guard", "Many records would be emptied or deleted"
        BUDGET = "budget", "The day's calls are used up"

    code = models.CharField(max_length=16, choices=Code.choices)
    detail = models.CharField(max_length=64, blank=True)  # which schedule, which effect
    message = models.TextField()  # never holds a record's values
    opened_at = models.DateTimeField(db_default=Now())
    mailed_at = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)
    over_mailed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["code", "detail"], condition=Q(closed_at__isnull=True), name="alarm_open_once"
            )
        ]

    def __str__(self) -> str:
        return self.message
