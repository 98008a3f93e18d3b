"""Putting people on trips: the numbers they get there."""

from __future__ import annotations

from django.db import transaction
from django.db.models import Max

from trips.models import Passenger, Trip

HIGHEST_NUMBER = 32767  # what the column holds


def next_number(trip: Trip) -> int | None:
    """The number after the highest one in use on `trip`; None when the column can hold no more."""
    highest = trip.passengers.aggregate(highest=Max("number"))["highest"] or 0
    return max(highest, 0) + 1 if highest < HIGHEST_NUMBER else None


def enrol(*, passenger: Passenger) -> Passenger:
    """Save a new passenger, with the next free number of the trip unless one was given."""
    with transaction.atomic():
        if passenger.trip_id is not None and passenger.number is None:
            # Holding the trip's row makes two enrolments at once wait for each other, so each gets its own number.
            trip = Trip.objects.select_for_update().get(pk=passenger.trip_id)
            passenger.number = next_number(trip)
        passenger.save()
    return passenger
