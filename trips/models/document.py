"""Papers of a trip or a passenger."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.dispatch import Signal
from simple_history.models import HistoricalRecords

from trips.encryption import EncryptedTextField
from trips.enums import TO_BE_SIGNED, DocumentKind, DocumentState
from trips.models.base import Stamped
from trips.storage import private_storage

# Asked before the file of a deleted row is removed, with its `name`; whoever may bring the row back answers True.
file_wanted = Signal()


def private_path(document: Document, filename: str) -> str:
    """A random storage key: the original name may be a person's and is kept in the row instead."""
    return f"documents/{uuid.uuid4().hex}"


class Document(Stamped):
    """A paper we hold (`file`), or one that stands elsewhere behind a private link (`remote_url`)."""

    kind = models.CharField(max_length=16, choices=DocumentKind.choices, default=DocumentKind.OTHER)
    trip = models.ForeignKey("trips.Trip", on_delete=models.CASCADE, null=True, blank=True, related_name="documents")
    passenger = models.ForeignKey(
        "trips.Passenger", on_delete=models.CASCADE, null=True, blank=True, related_name="documents"
    )
    file = models.FileField(upload_to=private_path, storage=private_storage, blank=True)
    original_name = models.CharField(max_length=255, blank=True)
    # Whoever holds the link can open the file: encrypted, never logged or listed.
    remote_url = EncryptedTextField(blank=True, editable=False)
    size = models.PositiveBigIntegerField("size in bytes", null=True, blank=True, editable=False)
    content_type = models.CharField(max_length=120, blank=True, editable=False)
    sha256 = models.CharField("SHA-256", max_length=64, blank=True, editable=False)
    state = models.CharField(max_length=16, choices=DocumentState.choices, default=DocumentState.RECEIVED)
    # Of a rejection, which the traveller has to mend, or of a waiver.
    rejection_reason = models.CharField("reason", max_length=255, blank=True)
    # Of a paper made here from a template; None for what was handed in.
    paper_version = models.PositiveIntegerField("version", null=True, blank=True, editable=False)
    template_version = models.PositiveIntegerField("wording no.", null=True, blank=True, editable=False)
    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+", editable=False
    )
    # The models whose data it prints ("trips.passport"), blank-separated: who may not see those does not open it.
    shows = models.CharField(max_length=255, blank=True, default="", editable=False)

    history = HistoricalRecords(excluded_fields=["remote_url", "file"])

    class Meta:
        ordering = ["kind", "pk"]
        indexes = [
            # Read: the files that stand behind a link and are not here yet.
            models.Index(fields=["id"], condition=Q(file="") & ~Q(remote_url=""), name="document_only_linked"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(trip__isnull=True, passenger__isnull=False) | Q(trip__isnull=False, passenger__isnull=True),
                name="document_of_trip_xor_passenger",
                violation_error_message="A document belongs to a trip or to a passenger: not both, not neither.",
            ),
            # Two who make the same paper at once get two versions, and a task that runs twice makes one.
            models.UniqueConstraint(
                fields=["passenger", "kind", "paper_version"],
                condition=Q(paper_version__isnull=False),
                name="document_paper_version_once",
            ),
        ]

    def __str__(self) -> str:
        return self.get_kind_display()

    @property
    def is_to_be_signed(self) -> bool:
        """The sheet to be signed: it is not what the traveller hands in."""
        return self.paper_version is not None and self.kind in TO_BE_SIGNED


class DiscardedFile(models.Model):
    """A stored file whose row was deleted: removed once nobody can bring the row back."""

    name = models.CharField(max_length=255, unique=True)
    at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name
