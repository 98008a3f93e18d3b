"""Who sleeps where: the rooms of a trip, who has a place in which, and the lock once the hotel has the list.

Local: GoHighLevel has no field for a room. What travellers wish for (occupancy, room-mate) stands on the passenger.
"""

from __future__ import annotations

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from simple_history.models import HistoricalRecords

from trips.models.base import Stamped

MOST_BEDS = 6
ROOM_NAMES = {1: "Single", 2: "Double", 3: "Triple", 4: "Quad"}


class Room(Stamped):
    """One room of one trip. `number` is ours, from 1 upwards; what the hotel calls it is the `label`."""

    trip = models.ForeignKey("trips.Trip", on_delete=models.CASCADE, related_name="rooms")
    number = models.PositiveSmallIntegerField()
    beds = models.PositiveSmallIntegerField(validators=[MinValueValidator(1), MaxValueValidator(MOST_BEDS)])
    label = models.CharField("hotel’s name for it", max_length=60, blank=True)

    history = HistoricalRecords()

    class Meta:
        ordering = ["number"]
        constraints = [models.UniqueConstraint(fields=["trip", "number"], name="room_number_once_per_trip")]

    def __str__(self) -> str:
        return f"Room {self.number}" + (f" ({self.label})" if self.label else "")

    @property
    def kind(self) -> str:
        """ "Double", by its beds."""
        return ROOM_NAMES.get(self.beds, f"{self.beds} beds")


class RoomPlace(Stamped):
    """A passenger's place in a room; one at most.

    Somebody who cancels or moves to another trip keeps the row until the rooms are next changed, but no bed:
    `trips.services.rooming` counts only who is booked on the room's trip.
    """

    room = models.ForeignKey(Room, on_delete=models.CASCADE, related_name="places")
    passenger = models.OneToOneField("trips.Passenger", on_delete=models.CASCADE, related_name="room_place")

    history = HistoricalRecords()

    class Meta:
        ordering = ["room", "pk"]
        verbose_name = "place in a room"
        verbose_name_plural = "places in rooms"

    def __str__(self) -> str:
        return f"{self.passenger} in {self.room}"


class RoomingLock(Stamped):
    """The hotel has this trip's list: nobody changes its rooms until somebody unlocks them."""

    trip = models.OneToOneField("trips.Trip", on_delete=models.CASCADE, related_name="rooming_lock")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")

    history = HistoricalRecords()

    class Meta:
        verbose_name = "lock of a rooming list"
        verbose_name_plural = "locks of rooming lists"

    def __str__(self) -> str:
        return f"Rooming of {self.trip}"
