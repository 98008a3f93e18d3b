"""What was handed out: who sent which list when, and its rows as they were."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from trips.encryption import EncryptedTextField
from trips.models.base import Stamped


class SentReport(Stamped):
    """A copy of a report as it was sent; kept when its trip is deleted, since it says what others were told.

    The rows hold passports and health where the report did, so they are encrypted as those are.
    """

    class Format(models.TextChoices):
        PAGE = "page", "Page"
        CSV = "csv", "CSV"
        XLSX = "xlsx", "Excel"
        PDF = "pdf", "PDF"

    report = models.CharField(max_length=32)
    preset = models.CharField(max_length=32)
    title = models.CharField(max_length=255)
    trip = models.ForeignKey(
        "trips.Trip", on_delete=models.SET_NULL, null=True, blank=True, related_name="sent_reports"
    )
    of_trip = models.BooleanField(default=True)  # tells one whose trip is gone from one across trips
    about = models.CharField(max_length=512, blank=True)  # the trip or the days in words, should the trip go
    first_day = models.DateField("departures from", null=True, blank=True)
    last_day = models.DateField("departures to", null=True, blank=True)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    format = models.CharField(max_length=8, choices=Format.choices)
    sha256 = models.CharField("SHA-256", max_length=64)
    row_count = models.PositiveIntegerField("rows")
    rows = EncryptedTextField(editable=False)

    class Meta:
        ordering = ["-created_at", "-pk"]
        indexes = [
            # Read: the copies of one report on its page, newest first.
            models.Index(fields=["trip", "report", "preset", "-created_at"], name="sent_report_copies"),
        ]

    def __str__(self) -> str:
        return self.title
