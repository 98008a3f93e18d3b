"""Putting people on trips, moving and cancelling them: the numbers and seats they get there."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from django.db import transaction
from django.db.models import Max

from trips.enums import Attendance
from trips.models import Passenger, Trip

HIGHEST_NUMBER = 32767  # what the column holds


def hold(trip_id: int) -> Trip:
    """The trip, held until the transaction ends: whoever counts its seats or numbers meanwhile waits for this one."""
    # no_key: rows that only refer to the trip may be written all the while.
    return Trip.objects.select_for_update(no_key=True).get(pk=trip_id)


def next_number(trip: Trip) -> int | None:
    """The number after the highest one in use on `trip`; None when the column can hold no more."""
    highest = trip.passengers.aggregate(highest=Max("number"))["highest"] or 0
    return max(highest, 0) + 1 if highest < HIGHEST_NUMBER else None


def enrol(*, passenger: Passenger) -> Passenger:
    """Save a new passenger, with the next free number of the trip unless one was given."""
    with transaction.atomic():
        _give_number(passenger)
        passenger.save()
    return passenger


def reseat(*, passenger: Passenger, columns: Collection[str]) -> Passenger:
    """Save `columns`, the trip or the number among them; without a number the trip's next free one is given."""
    with transaction.atomic():
        _give_number(passenger)
        passenger.save(update_fields={*columns, "number"})
    return passenger


def cancel(*, passengers: Iterable[Passenger]) -> int:
    """Cancel those who are not yet cancelled, which frees their seats; how many were."""
    with transaction.atomic():
        due = [passenger for passenger in passengers if passenger.attendance != Attendance.CANCELLED]
        for passenger in due:
            passenger.attendance = Attendance.CANCELLED
            passenger.save(update_fields=["attendance"])
    return len(due)


def _give_number(passenger: Passenger) -> None:
    if passenger.trip_id is not None and passenger.number is None:
        passenger.number = next_number(hold(passenger.trip_id))
