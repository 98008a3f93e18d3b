"""How copying the file behind a link stands: only of those that are under way or did not come at once."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now


class FileCopy(models.Model):
    """By the number of the document, without a reference to it: deleting a document asks for nothing here."""

    document_id = models.BigIntegerField(unique=True)
    tries = models.PositiveSmallIntegerField(default=0)
    tried_at = models.DateTimeField(db_default=Now())
    # Until then nobody else tries: the lease of who is at it, or the wait after a failure. Empty: not tried again.
    next_try_at = models.DateTimeField(null=True)
    failure = models.CharField(max_length=255, blank=True)  # never holds the link

    def __str__(self) -> str:
        return f"File of document {self.document_id}"
