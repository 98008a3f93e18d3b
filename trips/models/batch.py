"""Bulk work that can be undone: who did what to which rows, with the values before and after."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from trips.encryption import EncryptedTextField
from trips.enums import BatchKind, BatchOutcome, BatchVerb


class Batch(models.Model):
    """One piece of bulk work. Its rows tell what it did; the counts are kept so that lists need not look there."""

    kind = models.CharField(max_length=16, choices=BatchKind.choices)
    title = models.CharField(max_length=255)
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="batches"
    )
    at = models.DateTimeField("done", auto_now_add=True)
    made = models.PositiveIntegerField(default=0)
    changed = models.PositiveIntegerField(default=0)
    undone_at = models.DateTimeField("undone", null=True, blank=True)
    undone_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )

    class Meta:
        ordering = ["-pk"]
        verbose_name_plural = "batches"

    def __str__(self) -> str:
        return self.title


class BatchRow(models.Model):
    """One row that a batch made or changed. Rows may be passports or health records: the values are encrypted."""

    batch = models.ForeignKey(Batch, on_delete=models.CASCADE, related_name="rows")
    model = models.CharField(max_length=100)  # "trips.passenger"; not a content type, so that it reads without a join
    object_pk = models.BigIntegerField()
    verb = models.CharField(max_length=8, choices=BatchVerb.choices)
    # JSON: {column: [before, after]}; of a row that was made, before is null.
    values = EncryptedTextField()
    outcome = models.CharField("undone", max_length=8, choices=BatchOutcome.choices, blank=True, default="")
    reason = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ["pk"]
        indexes = [
            # Read: what of a batch is still to be undone.
            models.Index(fields=["batch"], condition=~Q(outcome="undone"), name="batch_row_standing"),
            models.Index(fields=["model", "object_pk"], name="batch_row_object"),  # read: what batches did to a row
        ]

    def __str__(self) -> str:
        return f"{self.model} {self.object_pk} {self.verb}"
