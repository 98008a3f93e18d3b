"""What happens on a trip and how its people get there: the itinerary, flights and transfers.

Local: GoHighLevel has no fields for them. Days and times are those of the place where they happen and are never
converted: what the programme says at 9:00 is at 9:00 there.
"""

from __future__ import annotations

import datetime as dt

from django.db import models
from django.db.models import F
from simple_history.models import HistoricalRecords

from trips.enums import Leg
from trips.models.base import Stamped


class ItineraryItem(Stamped):
    """One thing on one day; without a start it is of the whole day."""

    trip = models.ForeignKey("trips.Trip", on_delete=models.CASCADE, related_name="itinerary")
    day = models.DateField()
    starts_at = models.TimeField("from", null=True, blank=True)
    ends_at = models.TimeField("to", null=True, blank=True)
    title = models.CharField("what", max_length=200)
    place = models.CharField("where", max_length=120, blank=True)
    note = models.CharField(max_length=500, blank=True)

    history = HistoricalRecords()

    class Meta:
        ordering = ["day", F("starts_at").asc(nulls_first=True), "pk"]
        verbose_name = "itinerary entry"
        verbose_name_plural = "itinerary entries"

    def __str__(self) -> str:
        return self.title


class Flight(Stamped):
    """A flight to the trip or home. Without a passenger it is the group's: of all who have none of their own.

    A connection is two flights of the same leg; the last one counts for arriving, the first one for leaving.
    """

    trip = models.ForeignKey("trips.Trip", on_delete=models.CASCADE, related_name="flights")
    passenger = models.ForeignKey(
        "trips.Passenger", on_delete=models.CASCADE, null=True, blank=True, related_name="flights"
    )
    leg = models.CharField("way", max_length=16, choices=Leg.choices, default=Leg.ARRIVAL)
    number = models.CharField("flight number", max_length=20)
    from_place = models.CharField("from", max_length=60, blank=True)
    leaves_on = models.DateField("leaves")
    leaves_at = models.TimeField("at", null=True, blank=True)
    to_place = models.CharField("to", max_length=60, blank=True)
    arrives_on = models.DateField("lands")
    arrives_at = models.TimeField("at", null=True, blank=True)
    booking_code = models.CharField(max_length=20, blank=True)
    note = models.CharField(max_length=255, blank=True)

    history = HistoricalRecords()

    class Meta:
        ordering = ["leg", "leaves_on", F("leaves_at").asc(nulls_last=True), "pk"]

    def __str__(self) -> str:
        return self.number

    @property
    def day(self) -> dt.date:
        """The day at the destination."""
        return self.arrives_on if self.leg == Leg.ARRIVAL else self.leaves_on

    @property
    def time(self) -> dt.time | None:
        """The time at the destination."""
        return self.arrives_at if self.leg == Leg.ARRIVAL else self.leaves_at

    @property
    def where(self) -> str:
        """ "from Miami" or "to Miami": the end that is not the destination."""
        if self.leg == Leg.ARRIVAL:
            return f"from {self.from_place}" if self.from_place else ""
        return f"to {self.to_place}" if self.to_place else ""


class Transfer(Stamped):
    """A ride from or to the airport. It takes those on its flights; without flights it takes everybody."""

    trip = models.ForeignKey("trips.Trip", on_delete=models.CASCADE, related_name="transfers")
    leg = models.CharField("way", max_length=16, choices=Leg.choices, default=Leg.ARRIVAL)
    day = models.DateField()
    starts_at = models.TimeField("at", null=True, blank=True)
    from_place = models.CharField("from", max_length=60, blank=True)
    to_place = models.CharField("to", max_length=60, blank=True)
    vendor = models.ForeignKey(
        "trips.Vendor", on_delete=models.PROTECT, null=True, blank=True, related_name="transfers"
    )
    seats = models.PositiveSmallIntegerField(null=True, blank=True)
    flights = models.ManyToManyField(Flight, blank=True, related_name="transfers")
    note = models.CharField(max_length=255, blank=True)

    history = HistoricalRecords()

    class Meta:
        ordering = ["leg", "day", F("starts_at").asc(nulls_last=True), "pk"]

    def __str__(self) -> str:
        ends = " to ".join(filter(None, (self.from_place, self.to_place)))
        at = f" at {self.starts_at:%H:%M}" if self.starts_at else ""
        return f"{ends or 'Transfer'}{at}"
