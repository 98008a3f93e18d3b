"""The staff rules of the programme, beside those of `trips.rules`: days within the trip, ends after starts."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.utils import formats

from trips.enums import Leg
from trips.rules import rule

# Who comes early or stays on does so by days; a flight further away has the wrong month or year.
FARTHEST = dt.timedelta(days=14)
DAY = dt.timedelta(days=1)


def days_of(trip: Any) -> tuple[dt.date, dt.date] | None:
    """The first and the last day of a trip; None without a day to begin with."""
    begins = [day for day in (trip.start_date, trip.arrival_date) if day]
    if not begins:
        return None
    return min(begins), max(*begins, trip.ends_on or begins[0])


def _day(value: dt.date) -> str:
    return formats.date_format(value, "j M Y")


def _outside(trip: Any, day: dt.date | None, *, by: dt.timedelta = dt.timedelta(0)) -> str | None:
    """Why `day` is none of the trip's, give or take `by`."""
    if day is None or trip is None:
        return None
    days = days_of(trip)
    if days is None:
        return f"{trip} has no dates yet. Give it a start and an end first."
    first, last = days
    if first - by <= day <= last + by:
        return None
    near = f" or within {by.days} days of it" if by else ""
    return f"{_day(day)} is not a day of the trip ({_day(first)} to {_day(last)}){near}."


@rule("itineraryitem", "day", stored=False)
def item_outside_trip(item: Any) -> str | None:
    return _outside(item.trip, item.day)


@rule("itineraryitem", "ends_at", "starts_at", stored=False)
def item_ends_before_start(item: Any) -> str | None:
    if item.ends_at is None:
        return None
    if item.starts_at is None:
        return f"It ends at {item.ends_at:%H:%M} and has no start; give it one."
    if item.ends_at < item.starts_at:
        return (
            f"The end ({item.ends_at:%H:%M}) is before the start ({item.starts_at:%H:%M}). "
            "What goes past midnight is two entries, one a day."
        )
    return None


def _moments(flight: Any) -> tuple[dt.datetime, dt.datetime] | None:
    """When it leaves and lands, each by the clock there; None while a day is missing."""
    if flight.leaves_on is None or flight.arrives_on is None:
        return None
    # Without a time the day speaks: earliest to leave, latest to land.
    return (
        dt.datetime.combine(flight.leaves_on, flight.leaves_at or dt.time.min),
        dt.datetime.combine(flight.arrives_on, flight.arrives_at or dt.time.max),
    )


@rule("flight", "arrives_on", "arrives_at", "leaves_on", "leaves_at", stored=False)
def flight_lands_before_it_leaves(flight: Any) -> str | None:
    moments = _moments(flight)
    if moments and moments[1] < moments[0] - DAY:
        return f"It lands ({_day(flight.arrives_on)}) before it leaves ({_day(flight.leaves_on)})."
    return None


@rule("flight", "arrives_on", "arrives_at", "leaves_on", "leaves_at", blocking=False, stored=False)
def flight_gains_time(flight: Any) -> str | None:
    moments = _moments(flight)
    if moments and moments[0] - DAY <= moments[1] < moments[0]:
        return f"Flight {flight} lands before it leaves, by the clocks there: right only westward across time zones."
    return None


@rule("flight", "arrives_on", "leaves_on", "leg", stored=False)
def flight_far_from_trip(flight: Any) -> str | None:
    day = flight.arrives_on if flight.leg == Leg.ARRIVAL else flight.leaves_on
    return _outside(flight.trip, day, by=FARTHEST)


@rule("flight", "arrives_on", "leaves_on", "leg", blocking=False, stored=False)
def flight_outside_trip(flight: Any) -> str | None:
    day = flight.arrives_on if flight.leg == Leg.ARRIVAL else flight.leaves_on
    outside = _outside(flight.trip, day)
    return f"Flight {flight}: {outside}" if outside and days_of(flight.trip) else None


@rule("flight", "passenger", stored=False)
def flight_of_somebody_else(flight: Any) -> str | None:
    if flight.passenger is None or flight.passenger.trip_id == flight.trip_id:
        return None
    return f"This traveller is not on {flight.trip}."


@rule("flight", "number", "passenger", "leaves_on", stored=False)
def flight_twice(flight: Any) -> str | None:
    same = type(flight)._base_manager.filter(
        trip=flight.trip, passenger=flight.passenger, leaves_on=flight.leaves_on, number__iexact=flight.number.strip()
    )
    if flight.leaves_on is None or not same.exclude(pk=flight.pk).exists():
        return None
    whose = "this traveller" if flight.passenger else "the group"
    return f"Flight {flight} of {_day(flight.leaves_on)} is on the list already, for {whose}."


@rule("transfer", "day", stored=False)
def transfer_far_from_trip(transfer: Any) -> str | None:
    return _outside(transfer.trip, transfer.day, by=FARTHEST)
