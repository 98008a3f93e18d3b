"""Putting people on trips, moving and cancelling them: the numbers and seats they get there."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from django.db import transaction
from django.db.models import Max

from trips.enums import SEATED, Attendance
from trips.models import Contact, EmergencyContact, Passenger, Passport, Trip

HIGHEST_NUMBER = 32767  # what the column holds
# What a person takes along from an earlier trip. Health is asked anew each time.
PROFILE = (
    "legal_first_name",
    "legal_middle_name",
    "legal_last_name",
    "preferred_name",
    "date_of_birth",
    "sex",
    "birth_country",
    "occupancy",
)
_PASSPORT = ("number", "expires_on", "country")
_TO_CALL = (
    "position",
    "first_name",
    "last_name",
    "relationship",
    "address",
    "city",
    "state",
    "postal_code",
    "email",
    "phone",
    "mobile",
)


class Refused(Exception):
    """Somebody was not put on a trip; the words say why and what to do."""


class AlreadyOn(Refused):
    """The person is on the trip: `passenger` is the record."""

    def __init__(self, passenger: Passenger) -> None:
        super().__init__(f"{passenger} is on this trip already.")
        self.passenger = passenger


class Full(Refused):
    """All seats are taken."""

    def __init__(self, trip: Trip, taken: int) -> None:
        super().__init__(f"{trip} is full: {taken} of {trip.capacity} seats are taken.")


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
            _set_attendance(passenger, Attendance.CANCELLED)
    return len(due)


def enrol_contact(
    *,
    trip: Trip,
    contact: Contact,
    like: Passenger | None = None,
    attendance: str = Attendance.BOOKED,
    force: bool = False,
) -> Passenger:
    """Put a person on a trip with what is known of them.

    `like` is an earlier booking of the same person: profile, passport and emergency contacts are taken over. Raises
    AlreadyOn for somebody who is on the trip (a cancelled one is booked again instead), Full when no seat is left and
    `force` (the permission to overbook) is not given.
    """
    with transaction.atomic():
        held = hold(trip.pk)
        passenger = Passenger(contact=contact, trip=held, attendance=attendance)
        for name in PROFILE if like is not None else ():
            setattr(passenger, name, getattr(like, name))
        if like is None:
            passenger.legal_first_name, passenger.legal_last_name = contact.first_name, contact.last_name
        twin = _twin(passenger)
        if twin is not None and twin.attendance != Attendance.CANCELLED:
            raise AlreadyOn(twin)
        if attendance in SEATED and not force:
            _ask_for_seat(held)
        if twin is not None:
            return _set_attendance(twin, attendance)
        enrol(passenger=passenger)
        if like is not None:
            _take_along(like, passenger)
    return passenger


def book(*, passenger: Passenger, force: bool = False) -> Passenger:
    """Give a seat to somebody who waits or had cancelled. Raises Full when there is none and `force` is not given."""
    with transaction.atomic():
        if passenger.trip_id is not None and passenger.attendance not in SEATED and not force:
            _ask_for_seat(hold(passenger.trip_id))
        return _set_attendance(passenger, Attendance.BOOKED)


def put_on_waiting_list(*, passenger: Passenger) -> Passenger:
    with transaction.atomic():
        return _set_attendance(passenger, Attendance.WAITLISTED)


def next_in_line(trip: Trip) -> Passenger | None:
    """Who has been on the waiting list for longest, where a seat is free; None otherwise."""
    free = free_seats(trip)
    if free is not None and free <= 0:
        return None
    return trip.passengers.filter(attendance=Attendance.WAITLISTED).order_by("created_at", "pk").first()


def free_seats(trip: Trip) -> int | None:
    """Seats left, below 0 when more are booked than there are; None for no limit."""
    if trip.capacity is None:
        return None
    return trip.capacity - trip.passengers.filter(attendance__in=SEATED).count()


def _ask_for_seat(trip: Trip) -> None:
    free = free_seats(trip)
    if trip.capacity is not None and free is not None and free <= 0:
        raise Full(trip, trip.capacity - free)


def _twin(passenger: Passenger) -> Passenger | None:
    """The same person on the same trip, as the staff rule knows them."""
    return Passenger.objects.filter(
        trip=passenger.trip,
        contact=passenger.contact,
        legal_first_name__iexact=passenger.legal_first_name.strip(),
        legal_last_name__iexact=passenger.legal_last_name.strip(),
    ).first()


def _set_attendance(passenger: Passenger, attendance: str) -> Passenger:
    if passenger.attendance != attendance:
        passenger.attendance = attendance
        passenger.save(update_fields=["attendance"])
    return passenger


def _take_along(like: Passenger, passenger: Passenger) -> None:
    earlier = Passport.objects.filter(passenger=like).first()
    if earlier is not None:
        Passport(passenger=passenger, **{name: getattr(earlier, name) for name in _PASSPORT}).save()
    for one in like.emergency_contacts.all():
        EmergencyContact(passenger=passenger, **{name: getattr(one, name) for name in _TO_CALL}).save()


def _give_number(passenger: Passenger) -> None:
    if passenger.trip_id is not None and passenger.number is None:
        passenger.number = next_number(hold(passenger.trip_id))
