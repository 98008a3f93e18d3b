"""How each traveller comes and leaves: their own flight or else the group's, and the transfer that meets it.

Reads only what `with_travel` fetched, so that a list of people costs the same for one as for forty.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Case, F, OuterRef, Prefetch, QuerySet, Subquery, When
from django.db.models.functions import Coalesce

from trips.enums import Leg
from trips.expressions import departs_on
from trips.models import Flight, Passenger, Transfer, Trip

_BEGIN, _END = dt.time.min, dt.time.max


def with_travel(people: QuerySet[Any], *, flights: bool = True, transfers: bool = True) -> QuerySet[Any]:
    """Fetches flights and transfers along, or as if there were none where somebody may not see them."""
    seen = Flight.objects.all() if flights else Flight.objects.none()
    rides = Transfer.objects.select_related("vendor").prefetch_related(Prefetch("flights", Flight.objects.all()))
    return people.prefetch_related(
        Prefetch("flights", seen),
        Prefetch("trip__flights", seen),
        Prefetch("trip__transfers", rides if transfers else Transfer.objects.none()),
    )


def in_order_of_arrival(people: QuerySet[Any]) -> QuerySet[Any]:
    """By the day and time at which each arrives; without a flight the trip's day counts."""
    coming = Flight.objects.filter(leg=Leg.ARRIVAL).order_by("-arrives_on", F("arrives_at").desc(nulls_last=True))
    own = coming.filter(passenger=OuterRef("pk"), trip=OuterRef("trip"))
    group = coming.filter(passenger__isnull=True, trip=OuterRef("trip"))
    rows = people.annotate(_own=Subquery(own.values("arrives_on")[:1]), _own_at=Subquery(own.values("arrives_at")[:1]))
    rows = rows.annotate(
        _day=Coalesce("_own", Subquery(group.values("arrives_on")[:1]), departs_on("trip__")),
        _at=Case(When(_own__isnull=False, then=F("_own_at")), default=Subquery(group.values("arrives_at")[:1])),
    )
    last = (F("_day").asc(nulls_last=True), F("_at").asc(nulls_last=True))
    return rows.order_by(*last, "legal_last_name", "legal_first_name", "pk")


def flight_of(passenger: Passenger, leg: str) -> Flight | None:
    """The flight that brings somebody to the destination, or away from it."""
    trip = passenger.trip
    if trip is None:
        return None
    own = [one for one in passenger.flights.all() if one.leg == leg and one.trip_id == trip.pk]
    pool = own or [one for one in trip.flights.all() if one.leg == leg and one.passenger_id is None]
    if leg == Leg.ARRIVAL:
        return max(pool, key=lambda one: (one.arrives_on, one.arrives_at or _BEGIN), default=None)
    return min(pool, key=lambda one: (one.leaves_on, one.leaves_at or _END), default=None)


def transfer_of(passenger: Passenger, leg: str) -> Transfer | None:
    """The ride that meets somebody's flight, or else one for everybody."""
    trip = passenger.trip
    if trip is None:
        return None
    flight = flight_of(passenger, leg)
    rides = [one for one in trip.transfers.all() if one.leg == leg]
    met = [one for one in rides if flight is not None and flight in one.flights.all()]
    return next(iter(met or [one for one in rides if not one.flights.all()]), None)


@dataclass(frozen=True, slots=True)
class Journey:
    """One traveller's way there and back."""

    passenger: Passenger
    arrival: Flight | None
    departure: Flight | None
    fetched: Transfer | None
    brought: Transfer | None

    def ride(self, leg: str) -> Transfer | None:
        return self.fetched if leg == Leg.ARRIVAL else self.brought


def journeys(people: Iterable[Passenger]) -> list[Journey]:
    return [
        Journey(
            one,
            flight_of(one, Leg.ARRIVAL),
            flight_of(one, Leg.DEPARTURE),
            transfer_of(one, Leg.ARRIVAL),
            transfer_of(one, Leg.DEPARTURE),
        )
        for one in people
    ]


def begins(trip: Trip) -> dt.datetime | None:
    """When the programme begins: the first entry with a time."""
    first = trip.itinerary.filter(starts_at__isnull=False).order_by("day", "starts_at").first()
    return dt.datetime.combine(first.day, first.starts_at) if first and first.starts_at else None


def late(all_of: Sequence[Journey], begin: dt.datetime | None) -> list[Journey]:
    """Who lands after the programme began."""
    if begin is None:
        return []
    return [one for one in all_of if one.arrival is not None and _landed(one.arrival) > begin]


def _landed(flight: Flight) -> dt.datetime:
    return dt.datetime.combine(flight.arrives_on, flight.arrives_at or _BEGIN)


def misses(transfer: Transfer, flights: Iterable[Flight]) -> list[Flight]:
    """The flights that the ride does not meet: it is gone before they land, or comes when they have left."""
    if transfer.starts_at is None or transfer.day is None:
        return []
    rides = dt.datetime.combine(transfer.day, transfer.starts_at)
    if transfer.leg == Leg.ARRIVAL:
        return [one for one in flights if one.arrives_at is not None and _landed(one) > rides]
    return [
        one
        for one in flights
        if one.leaves_at is not None and dt.datetime.combine(one.leaves_on, one.leaves_at) < rides
    ]
