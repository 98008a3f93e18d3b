"""What came from GoHighLevel into one record: with the Writes, its timeline and where each value is from."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now


class Arrival(models.Model):
    class Via(models.TextChoices):
        PULL = "pull", "Pull"
        LOOK = "look", "Look before sending"
        WEBHOOK = "webhook", "Webhook"
        PERSON = "person", "A person's decision"

    link = models.ForeignKey("ghl_sync.Link", on_delete=models.CASCADE, related_name="arrivals")
    at = models.DateTimeField(db_default=Now())
    via = models.CharField(max_length=8, choices=Via.choices, default=Via.PULL)
    values = models.JSONField(default=dict)  # canonical values by field; sensitive ones as keyed hashes

    class Meta:
        indexes = [models.Index(fields=["link", "-at"], name="arrival_by_link")]  # read: the record's timeline

    def __str__(self) -> str:
        return f"{self.link} {self.get_via_display()}"
