"""Notes of the office about a trip or a passenger: local, dated and signed, in the timeline of what they speak of."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from simple_history.models import HistoricalRecords

from trips.models.base import Stamped

LONGEST_NOTE = 5000


class Note(Stamped):
    """What somebody wrote down. Not for health and passports, which have fields with permissions of their own."""

    trip = models.ForeignKey("trips.Trip", on_delete=models.CASCADE, null=True, blank=True, related_name="notes")
    passenger = models.ForeignKey(
        "trips.Passenger", on_delete=models.CASCADE, null=True, blank=True, related_name="notes"
    )
    text = models.TextField()
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")

    history = HistoricalRecords()

    class Meta:
        ordering = ["-created_at", "-pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(trip__isnull=True, passenger__isnull=False) | Q(trip__isnull=False, passenger__isnull=True),
                name="note_of_trip_xor_passenger",
                violation_error_message="A note belongs to a trip or to a passenger: not both, not neither.",
            ),
        ]

    def __str__(self) -> str:
        return self.text[:60]
