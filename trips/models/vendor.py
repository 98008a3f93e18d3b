"""Suppliers of trips."""

from __future__ import annotations

from django.db import models
from simple_history.models import HistoricalRecords

from trips.enums import VendorKind
from trips.models.base import Stamped
from trips.text import fold_name


class Vendor(Stamped):
    derived = ("name", "name_key")

    name = models.CharField(max_length=200)
    # Unique: "acme " and "Acme" are one vendor, for staff and for names that come from outside.
    name_key = models.CharField(
        max_length=255,
        unique=True,
        editable=False,
        error_messages={"unique": "A vendor of this name exists already."},
    )
    kind = models.CharField(max_length=16, choices=VendorKind.choices, default=VendorKind.OTHER)
    contact_name = models.CharField(max_length=200, blank=True)
    email = models.EmailField("e-mail", blank=True)
    phone = models.CharField(max_length=64, blank=True)
    notes = models.TextField(blank=True)
    needs_review = models.BooleanField(
        default=False, help_text="Made from a name that came from outside; check it and clear this."
    )
    archived_at = models.DateTimeField("archived", null=True, blank=True, editable=False)

    history = HistoricalRecords()

    class Meta:
        ordering = ["name", "pk"]

    def __str__(self) -> str:
        return self.name

    def derive(self) -> None:
        super().derive()
        self.name = self.name.strip()
        self.name_key = fold_name(self.name)[:255]
