"""What was erased for good: who had it done, when, and how many rows of which kind. Never whose names these were."""

from __future__ import annotations

from django.conf import settings
from django.db import models


class Erasure(models.Model):
    """One person who was erased, or what retention took away in one run."""

    class Kind(models.TextChoices):
        PERSON = "person", "A person"
        RETENTION = "retention", "Retention"

    kind = models.CharField(max_length=12, choices=Kind.choices)
    at = models.DateTimeField("done", auto_now_add=True)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    # Numbers, not references: most of these rows are gone.
    contact_id = models.BigIntegerField("contact no.", null=True)
    passengers = models.JSONField("passengers no.", default=list)
    counts = models.JSONField(default=dict)  # by what it is called: how many

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} erased"
