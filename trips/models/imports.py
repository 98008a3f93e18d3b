"""A file on its way in, and what its columns meant the last time."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models

from trips.encryption import EncryptedTextField


class ImportDraft(models.Model):
    """An uploaded file between its upload and its confirmation; it may hold passports, so its rows are encrypted.

    After the confirmation only the rows that were refused are kept, with their reasons. A day later all of it goes.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="import_drafts")
    model = models.CharField(max_length=100)
    trip = models.ForeignKey("trips.Trip", on_delete=models.CASCADE, null=True, blank=True, related_name="+")
    title = models.CharField(max_length=120)
    content = EncryptedTextField()  # JSON, see trips.services.imports
    mapping = models.JSONField(default=dict)  # header of the file: title of a column, or "" to leave it out
    mapped = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)  # read: what is older than a day
    confirmed_at = models.DateTimeField(null=True, blank=True)
    report = models.JSONField(default=dict)  # counts only
    batch = models.ForeignKey("trips.Batch", on_delete=models.SET_NULL, null=True, blank=True, related_name="+")

    def __str__(self) -> str:
        return self.title


class ColumnMapping(models.Model):
    """What a person said the columns of such a file mean."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    model = models.CharField(max_length=100)
    headers = models.CharField(max_length=64)  # a digest of the set of headers
    mapping = models.JSONField(default=dict)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "model", "headers"], name="column_mapping_once_per_headers")
        ]

    def __str__(self) -> str:
        return f"{self.model} {self.headers[:8]}"
