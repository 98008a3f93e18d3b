"""Who sleeps where on a trip: putting people into rooms, taking them out, suggesting, and locking the list.

Only those booked on the trip have a bed. Whoever has cancelled or moved on since lost theirs at that moment, also when
GoHighLevel or an import did it; the page names them until the rooms are next changed.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Max, Q

from trips.enums import SEATED
from trips.models import Passenger, Room, RoomingLock, RoomPlace, Trip
from trips.models.room import MOST_BEDS
from trips.services import rooming_plan
from trips.services.enrolment import hold
from trips.services.rooming_plan import Guest, Remark, Standing, Suggestion, Weight


class Refused(Exception):
    """The rooms stay as they are; the words say why and what to do."""


class Full(Refused):
    """The room has no bed left; who has one elsewhere may swap it with somebody in it."""


@dataclass(frozen=True, slots=True)
class Occupant:
    passenger: Passenger
    guest: Guest


@dataclass(frozen=True, slots=True)
class Filled:
    """A room with who is in it and what should be known of it."""

    room: Room
    occupants: tuple[Occupant, ...]
    remarks: tuple[Remark, ...]

    @property
    def free(self) -> int:
        return max(0, self.room.beds - len(self.occupants))

    @property
    def is_wrong(self) -> bool:
        return any(remark.weight is Weight.WRONG for remark in self.remarks)


@dataclass(frozen=True, slots=True)
class Rooming:
    """A trip's rooms as they are now. `gone`: who lost their bed, with the room it was in."""

    rooms: tuple[Filled, ...]
    unassigned: tuple[Occupant, ...]
    gone: tuple[tuple[Passenger, Room], ...]
    asked: dict[int, frozenset[int]]
    lock: RoomingLock | None

    @property
    def wrong(self) -> int:
        return sum(filled.is_wrong for filled in self.rooms)

    @property
    def placed(self) -> int:
        return sum(len(filled.occupants) for filled in self.rooms)


@dataclass(frozen=True, slots=True)
class Made:
    """What a suggestion made: ids of new rooms and of places, to take it back by; why; who was left."""

    rooms: tuple[int, ...]
    places: tuple[int, ...]
    why: dict[int, tuple[str, tuple[int, ...]]]  # by room: the reason, and for which passengers
    left: tuple[tuple[Guest, str], ...]


# Asking


def rooming_of(trip: Trip) -> Rooming:
    """Rooms, places and people in four queries, however many there are."""
    people = {one.pk: Occupant(one, guest_of(one)) for one in _booked(trip)}
    rooms = list(trip.rooms.all())
    places = list(RoomPlace.objects.filter(room__in=rooms).select_related("passenger", "room"))
    asked = rooming_plan.wishes([one.guest for one in people.values()])
    inside: dict[int, list[Occupant]] = {room.pk: [] for room in rooms}
    for place in places:
        if place.passenger_id in people:
            inside[place.room_id].append(people[place.passenger_id])
    housed = {one.passenger.pk for group in inside.values() for one in group}
    return Rooming(
        rooms=tuple(_filled(room, inside[room.pk], asked) for room in rooms),
        unassigned=tuple(one for one in people.values() if one.passenger.pk not in housed),
        gone=tuple((place.passenger, place.room) for place in places if place.passenger_id not in people),
        asked=asked,
        lock=RoomingLock.objects.filter(trip=trip).select_related("by").first(),
    )


def without_room(trip: Trip) -> Q:
    """Narrows passengers to those of `trip` whom `rooming_of` calls unassigned: booked, and with no bed on it."""
    return Q(trip=trip, attendance__in=SEATED) & ~Q(room_place__room__trip=trip)


def guest_of(passenger: Passenger) -> Guest:
    return Guest(
        id=passenger.pk,
        name=str(passenger),
        first_name=passenger.legal_first_name,
        last_name=passenger.legal_last_name,
        called=passenger.preferred_name,
        sex=passenger.sex,
        is_minor=passenger.is_minor,
        occupancy=passenger.occupancy,
        wish=passenger.roommate_request,
        household=passenger.contact_id,
        guardian=passenger.guardian_id,
    )


def _booked(trip: Trip) -> list[Passenger]:
    return list(trip.passengers.seated().select_related("trip").order_by("legal_last_name", "legal_first_name", "pk"))


def _filled(room: Room, inside: Collection[Occupant], asked: dict[int, frozenset[int]]) -> Filled:
    occupants = tuple(sorted(inside, key=lambda one: one.guest.order))
    remarks = rooming_plan.remarks(room.beds, [one.guest for one in occupants], asked)
    return Filled(room, occupants, tuple(remarks))


# Changing


def add_room(*, trip: Trip, beds: int) -> Room:
    """A new, empty room. Raises Refused for a number of beds that no room has, or while the list is locked."""
    if not 1 <= beds <= MOST_BEDS:
        raise Refused(f"A room has 1 to {MOST_BEDS} beds, not {beds}.")
    with transaction.atomic():
        _open(trip)
        return _new_room(trip, beds)


def rename_room(*, room: Room, label: str) -> Room:
    """Note the hotel's own number or name; allowed while the list is locked, for that is when the hotel tells it."""
    room.label = label.strip()[: Room._meta.get_field("label").max_length]
    room.save(update_fields=["label"])
    return room


def remove_room(*, room: Room) -> int:
    """Take a room off the list; how many people have none now."""
    with transaction.atomic():
        _open(room.trip)
        freed = room.places.filter(passenger__trip_id=room.trip_id, passenger__attendance__in=SEATED).count()
        room.delete()
    return freed


def put(*, passenger: Passenger, room: Room) -> RoomPlace:
    """Give somebody a bed, and free the one they had. Raises Refused with the reason."""
    with transaction.atomic():
        _open(room.trip)
        _may_sleep(passenger, room.trip)
        there = room.places.exclude(passenger=passenger).count()
        if there >= room.beds:
            what = f"{room.kind.lower()} with {there}" if there > 1 else f"{room.kind.lower()} and taken"
            raise Full(f"{room} is a {what}. Take somebody out first, or choose another room for {passenger}.")
        place = RoomPlace.objects.filter(passenger=passenger).first() or RoomPlace(passenger=passenger)
        place.room = room
        place.save()
    return place


def swap(*, passenger: Passenger, other: Passenger, trip: Trip) -> tuple[Room, Room]:
    """Each gets the bed of the other; the rooms of both by now. Raises Refused when one of them has none any more."""
    with transaction.atomic():
        _open(trip)
        places = {
            place.passenger_id: place
            for place in RoomPlace.objects.filter(passenger__in=(passenger, other), room__trip=trip)
        }
        for one in (passenger, other):
            if one.pk not in places:
                raise Refused(f"{one} has no room any more. Look at the rooms once more.")
        first, second = places[passenger.pk], places[other.pk]
        first.room, second.room = second.room, first.room
        first.save()
        second.save()
    return first.room, second.room


def take_out(*, passenger: Passenger, trip: Trip) -> None:
    """Back to those without a room."""
    with transaction.atomic():
        _open(trip)
        _delete(RoomPlace.objects.filter(passenger=passenger, room__trip=trip))


def fill(*, trip: Trip) -> Made:
    """Make the suggested rooms for everybody who has none."""
    with transaction.atomic():
        _open(trip)
        now = rooming_of(trip)
        wanted = suggestion(now)
        by_id = {one.passenger.pk: one.passenger for one in now.unassigned}
        rooms, places, why = [], [], {}
        for proposal in wanted.rooms:
            room_id = proposal.room
            if room_id is None:
                room_id = _new_room(trip, proposal.beds).pk
                rooms.append(room_id)
            why[room_id] = (proposal.why, tuple(guest.id for guest in proposal.guests))
            for guest in proposal.guests:
                place = RoomPlace(room_id=room_id, passenger=by_id[guest.id])
                place.save()
                places.append(place.pk)
    return Made(tuple(rooms), tuple(places), why, wanted.left)


def suggestion(rooming: Rooming) -> Suggestion:
    standing = [
        Standing(filled.room.pk, filled.room.beds, tuple(one.guest for one in filled.occupants))
        for filled in rooming.rooms
    ]
    return rooming_plan.suggest([one.guest for one in rooming.unassigned], standing)


def take_back(*, trip: Trip, rooms: Collection[int], places: Collection[int]) -> int:
    """Undo a suggestion: its places, and its rooms in which nobody else is by now. Returns how many rooms went."""
    with transaction.atomic():
        _open(trip)
        _delete(RoomPlace.objects.filter(pk__in=places, room__trip=trip))
        empty = Room.objects.filter(pk__in=rooms, trip=trip, places__isnull=True)
        return _delete(empty)


def lock(*, trip: Trip, by: Any) -> RoomingLock:
    """Nobody changes the rooms any more. Raises Refused while somebody has none."""
    with transaction.atomic():
        hold(trip.pk)
        now = rooming_of(trip)
        if now.lock is not None:
            return now.lock
        if now.unassigned:
            raise Refused(f"{_count(len(now.unassigned))} no room yet. Give each a room, or cancel the booking.")
        found = RoomingLock(trip=trip, by=by)
        found.save()
    return found


def unlock(*, trip: Trip) -> None:
    with transaction.atomic():
        hold(trip.pk)
        _delete(RoomingLock.objects.filter(trip=trip))


def _count(people: int) -> str:
    return "1 person has" if people == 1 else f"{people} people have"


def _open(trip: Trip) -> None:
    """Hold the trip, refuse while it is locked, and clear the beds of those who are gone."""
    hold(trip.pk)
    found = RoomingLock.objects.filter(trip=trip).select_related("by").first()
    if found is not None:
        raise Refused(f"The rooming list is locked{f' by {found.by}' if found.by else ''}. Unlock it first.")
    here = RoomPlace.objects.filter(passenger__trip=trip, passenger__attendance__in=SEATED)
    _delete(RoomPlace.objects.filter(room__trip=trip).exclude(pk__in=here.values("pk")))


def _may_sleep(passenger: Passenger, trip: Trip) -> None:
    if passenger.trip_id != trip.pk:
        raise Refused(f"{passenger} is not on {trip}. Move them to this trip first.")
    if passenger.attendance not in SEATED:
        raise Refused(f"{passenger} is {passenger.get_attendance_display().lower()}. Book the seat first.")


def _new_room(trip: Trip, beds: int) -> Room:
    highest = trip.rooms.aggregate(highest=Max("number"))["highest"] or 0
    room = Room(trip=trip, number=highest + 1, beds=beds)
    room.save()
    return room


def _delete(rows: Any) -> int:
    """Row by row, so that each leaves its history."""
    found = list(rows)
    for row in found:
        row.delete()
    return len(found)
