"""Moving many passengers to another trip, and cancelling bookings.

Room wishes, papers and payments hang on the passenger and go along. A trip that is full offers its waiting list.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from trips import rules
from trips.enums import SEATED, Attendance, BatchKind
from trips.models import Passenger, Trip
from trips.services.enrolment import free_seats, hold, reseat
from trips.services.plans import NotNow, Plan, Save, Skip, Step, without

SEATS = "seats"
# What becomes of those for whom there is no seat.
STAY, WAIT, OVERBOOK = "stay", "wait", "overbook"


def to_trip(*, passengers: Sequence[Passenger], trip: Trip, rest: str = STAY) -> Plan:
    """The first get the seats that are free; `rest` says what becomes of the others."""
    there = set(trip.passengers.values_list("contact_id", "legal_first_name", "legal_last_name"))
    known = {_person(*names) for names in there}
    free = free_seats(trip)
    steps, skips, short = [], [], False
    for one in passengers:
        reason = _hindrance(one, trip, known)
        seated = one.attendance in SEATED
        full = seated and free is not None and free <= 0
        short = short or (full and not reason)
        if not reason and full and rest == STAY:
            reason = f"{trip} is full."
        if reason:
            skips.append(Skip(one, reason))
            continue
        known.add(_person(one.contact_id, one.legal_first_name, one.legal_last_name))
        waits = full and rest == WAIT
        if seated and not waits and free is not None:
            free -= 1
        steps.append(_step(one, trip, waits=waits, force=rest == OVERBOOK))
    return Plan(BatchKind.CHANGE, f"Passengers moved to {trip}", steps, skips, asks=SEATS if short else "")


def _person(contact: int, first: str, last: str) -> tuple[int, str, str]:
    return contact, first.strip().lower(), last.strip().lower()


def _hindrance(passenger: Passenger, trip: Trip, known: set[tuple[int, str, str]]) -> str:
    if passenger.trip_id == trip.pk:
        return "On this trip already."
    if passenger.attendance == Attendance.CANCELLED:
        return "The booking is cancelled."
    if _person(passenger.contact_id, passenger.legal_first_name, passenger.legal_last_name) in known:
        return f"{passenger} has another booking on {trip}. Cancel or delete one of the two first."
    moved = copy.copy(passenger)
    moved.trip, moved.number = trip, None
    found = rules.violations(moved, ("trip",), but=("on_this_trip_already", "trip_is_full"))
    return " ".join(one.sentence for one in found if one.blocking)


def _step(passenger: Passenger, trip: Trip, *, waits: bool, force: bool) -> Step:
    values: dict[str, Any] = {"trip": trip, "number": None, "trip_name_raw": "", "trip_id_raw": None}
    notes = []
    if waits:
        values["attendance"] = Attendance.WAITLISTED
        notes.append("Goes on the waiting list.")
    old = passenger.trip
    if old is not None and old.currency != trip.currency:
        notes.append(f"Paid in {old.currency}; {trip} is priced in {trip.currency}.")
    return Step(passenger, values, " ".join(notes), save=_seated(force))


def _seated(force: bool) -> Save:
    def save(passenger: Passenger, fields: set[str]) -> None:
        if passenger.attendance in SEATED and not force:
            # Held until the row is written: two at once do not both get the last seat.
            free = free_seats(hold(passenger.trip_id))  # type: ignore[arg-type]
            if free is not None and free <= 0:
                raise NotNow(f"{passenger.trip} is full.")
        reseat(passenger=passenger, columns=fields)

    return save


def cancelling(*, passengers: Sequence[Passenger]) -> Plan:
    skips = [Skip(one, "Cancelled already.") for one in passengers if one.attendance == Attendance.CANCELLED]
    steps = [Step(one, {"attendance": Attendance.CANCELLED}) for one in without(passengers, skips)]
    return Plan(BatchKind.CHANGE, "Bookings cancelled", steps, skips)
