"""A trip's programme as a whole: its days, copied to another trip, moved by some days."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.db import transaction

from trips.enums import BatchKind
from trips.models import Flight, ItineraryItem, Transfer, Trip
from trips.programme_rules import days_of
from trips.services.plans import Plan, Step

# A trip of more days has a wrong date; its page lists no further ones.
MOST_DAYS = 120
FARTHEST_MOVE = 3660


def each_day(trip: Trip) -> list[dt.date]:
    """The days of a trip, the first one first."""
    days = days_of(trip)
    if days is None:
        return []
    first, last = days
    return [first + dt.timedelta(days=step) for step in range(min((last - first).days + 1, MOST_DAYS))]


def copy_itinerary(*, trip: Trip, copy: Trip, by: Any) -> int | None:
    """Give `copy` the entries of `trip` at the same distance from its start; how many.

    None when there is no distance, as without both starts.
    """
    if trip.start_date is None or copy.start_date is None:
        return None
    moved = copy.start_date - trip.start_date
    entries = list(trip.itinerary.all())
    with transaction.atomic():
        for entry in entries:
            new: Any = ItineraryItem(
                trip=copy,
                day=entry.day + moved,
                **{name: getattr(entry, name) for name in ("starts_at", "ends_at", "title", "place", "note")},
            )
            new._history_user = by
            new.save()
    return len(entries)


def moving_by(*, trip: Trip, days: int, models: tuple[type[Any], ...] = (ItineraryItem, Flight, Transfer)) -> Plan:
    """All entries of these models `days` later, or earlier; as when the whole trip moves."""
    by = dt.timedelta(days=days)
    columns = {ItineraryItem: ("day",), Flight: ("leaves_on", "arrives_on"), Transfer: ("day",)}
    steps = [
        Step(row, {name: getattr(row, name) + by for name in columns[model]})
        for model in models
        for row in model._default_manager.filter(trip=trip)
    ]
    way = "later" if days > 0 else "earlier"
    return Plan(BatchKind.CHANGE, f"Programme of {trip}, {abs(days)} days {way}", steps)
