"""Who leads a trip: accounts that see their own trips and no others, unless they may see every trip."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from simple_history.models import HistoricalRecords

from trips.models.base import Stamped


class TripLeader(Stamped):
    """A row of its own and no plain link, so that the history says who gave whom sight of a trip, and when."""

    trip = models.ForeignKey("trips.Trip", on_delete=models.CASCADE, related_name="leading")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="leading")

    history = HistoricalRecords()

    class Meta:
        verbose_name = "trip leader"
        constraints = [
            models.UniqueConstraint(
                fields=["user", "trip"],
                name="trip_leader_once",
                violation_error_message="This account leads the trip already.",
            )
        ]
        default_permissions = ()  # whoever may change trips and sees every one of them says it

    def __str__(self) -> str:
        return str(self.user)
