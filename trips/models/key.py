"""The keys that values of this database were encrypted with, so that a missing one is noticed at start."""

from __future__ import annotations

from django.db import models

from trips.encryption import EncryptedTextField


class EncryptionKey(models.Model):
    """One key by its id; the key itself is in no table."""

    key_id = models.CharField(max_length=8, unique=True)
    # A text that everybody knows, encrypted with it. Empty once nothing needs this key any more.
    canary = models.CharField(max_length=200, blank=True)
    # What keyed hashes were made with. It opens nothing, and comparisons need it longer than values need their key.
    comparing = EncryptedTextField()
    since = models.DateTimeField(auto_now_add=True)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.key_id
