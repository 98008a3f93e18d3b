"""What an audit found to differ between both sides although nothing was waiting."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now

from trips.encryption import EncryptedTextField


class Drift(models.Model):
    class What(models.TextChoices):
        DIFFERS = "differs", "Changed in GoHighLevel, not fetched"
        KEPT_APART = "kept_apart", "Different on both sides, though agreed on"
        NOT_THERE = "not_there", "Missing in GoHighLevel"
        NOT_HERE = "not_here", "Missing here"
        NOT_SENT = "not_sent", "Changed here, not sent"
        NO_LINK = "no_link", "Never reported to the sync"

    run = models.ForeignKey("ghl_sync.Run", on_delete=models.CASCADE, related_name="drifts")
    link = models.ForeignKey("ghl_sync.Link", on_delete=models.CASCADE, null=True, related_name="drifts")
    kind = models.CharField(max_length=16)
    object_id = models.BigIntegerField(null=True)
    remote_id = models.CharField(max_length=64, blank=True)
    label = models.CharField(max_length=255, blank=True)
    what = models.CharField(max_length=16, choices=What.choices)
    field = models.CharField(max_length=64, blank=True)
    our_value = EncryptedTextField(blank=True)  # empty for a sensitive field
    their_value = EncryptedTextField(blank=True)
    found_at = models.DateTimeField(db_default=Now())
    repaired_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "difference"
        indexes = [models.Index(fields=["run", "what"], name="drift_by_run")]  # read: one audit's list, and its counts

    def __str__(self) -> str:
        return f"{self.label or self.kind} {self.field}".strip()
