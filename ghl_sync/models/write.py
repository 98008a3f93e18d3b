"""One row per call that changes GoHighLevel, committed before the call: the record of intent, doubt and audit."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class Write(models.Model):
    class Action(models.TextChoices):
        CREATE = "create", "Create"
        UPDATE = "update", "Update"
        DELETE = "delete", "Delete"
        OPTIONS = "options", "Add drop-down options"

    class Outcome(models.TextChoices):
        OPEN = "open", "Not known yet"
        DONE = "done", "Done"
        REFUSED = "refused", "Refused"
        NOT_SENT = "not_sent", "Never sent"
        NOT_APPLIED = "not_applied", "Sent, not applied"
        FOUND = "found", "Answer lost, found applied"

    link = models.ForeignKey("ghl_sync.Link", on_delete=models.CASCADE, null=True, related_name="writes")
    remote_field = models.ForeignKey("ghl_sync.RemoteField", on_delete=models.CASCADE, null=True, related_name="writes")
    action = models.CharField(max_length=8, choices=Action.choices)
    key = models.CharField(max_length=64, blank=True)
    remote_id = models.CharField(max_length=64, blank=True)
    contact_remote_id = models.CharField(max_length=64, blank=True)
    pipeline_id = models.CharField(max_length=64, blank=True)
    values = models.JSONField(default=dict)  # canonical values by field; sensitive ones as keyed hashes
    fence = models.BigIntegerField(default=0)
    saved_at = models.DateTimeField(null=True, blank=True)  # the oldest change that it carries was made here then
    sent_at = models.DateTimeField(db_default=Now())
    outcome = models.CharField(max_length=12, choices=Outcome.choices, default=Outcome.OPEN)
    closed_at = models.DateTimeField(null=True, blank=True)
    message = models.TextField(blank=True)
    trace_id = models.CharField(max_length=64, blank=True)
    empty_lookups = models.SmallIntegerField(default=0)  # of a doubtful create: look-ups that found nothing
    looked_up_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["link"], condition=Q(outcome="open"), name="write_open"),  # read: doubts of a link
            models.Index(fields=["link", "-sent_at"], name="write_by_link"),  # read: the record's last events
            models.Index(fields=["sent_at"], name="write_by_time"),  # read: the desk's charts of the last day
        ]

    def __str__(self) -> str:
        return f"{self.get_action_display()} {self.get_outcome_display()}"
