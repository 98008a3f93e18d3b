"""Who is on a trip, for manifest, rooming list and arrivals: the questions, and how a value is read off a passenger."""

from __future__ import annotations

import datetime as dt
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from django.conf import settings
from django.db.models import Case, F, When
from django_countries import countries

from trips.enums import Attendance, Leg, Occupancy
from trips.models import Passenger, Passport, Room
from trips.reports.table import Column, Kind, Rows, Scope, Total, shown
from trips.services import travel

# Letters that are no letter with a mark; what airline systems and passports' own second line write for them.
_LATIN = str.maketrans(
    {"ß": "SS", "ẞ": "SS", "æ": "AE", "Æ": "AE", "œ": "OE", "Œ": "OE", "ø": "O", "Ø": "O", "ł": "L", "Ł": "L"}
    | {"đ": "D", "Đ": "D", "ð": "D", "Ð": "D", "þ": "TH", "Þ": "TH", "ı": "I"}
)
# Passports spell these with two letters as often as with one, so somebody should look.
_TWO_WAYS = set("äöüåøÄÖÜÅØ")


def of_trip(scope: Scope) -> Rows:
    """Those booked on the trip, by name, with their flights as far as the asker may see them."""
    people = Passenger.objects.seated().filter(trip=scope.trip).select_related("trip", "contact", "guardian")
    return travel.with_travel(people, flights=scope.may("trips.flight"), transfers=scope.may("trips.transfer"))


def with_passports(scope: Scope) -> Rows:
    return of_trip(scope).select_related("passport") if scope.may("trips.passport") else of_trip(scope)


def by_arrival(scope: Scope) -> Rows:
    """Those booked, who comes first first: flights decide, and without one the trip's own day."""
    people = of_trip(scope)
    return travel.in_order_of_arrival(people) if scope.may("trips.flight") else people


def by_room(scope: Scope) -> Rows:
    """Those booked, room by room; who has none comes last."""
    here = When(room_place__room__trip=F("trip"), then=F("room_place__room__number"))
    rows = with_passports(scope).select_related("room_place__room").annotate(_room=Case(here))
    return rows.order_by(F("_room").asc(nulls_last=True), "legal_last_name", "legal_first_name", "pk")


def latin(name: str) -> str:
    """`name` in the capital letters A to Z, blanks and hyphens of a ticket; "" where it has other letters."""
    bare = unicodedata.normalize("NFKD", name.translate(_LATIN))
    kept = "".join(char for char in bare.upper() if not unicodedata.combining(char) and char not in "'’`´.")
    kept = " ".join(kept.replace("‐", "-").replace("–", "-").split())
    return kept if all(char in " -" or "A" <= char <= "Z" for char in kept) else ""


def alpha3(code: str) -> str:
    """ISO-3 code of an ISO-2 one, as airlines write countries."""
    return countries.alpha3(code) if code else ""


def passport_of(passenger: Passenger) -> Passport | None:
    return getattr(passenger, "passport", None)


def first_names(passenger: Passenger) -> str:
    return f"{passenger.legal_first_name} {passenger.legal_middle_name}".strip()


def arrival(passenger: Passenger) -> dt.date | None:
    """The day somebody comes: their flight's, else the trip's."""
    flight = travel.flight_of(passenger, Leg.ARRIVAL)
    if flight is not None:
        return flight.day
    return passenger.trip.departs_on if passenger.trip else None


def leaving(passenger: Passenger) -> dt.date | None:
    """The day somebody leaves: their flight's, else the trip's."""
    flight = travel.flight_of(passenger, Leg.DEPARTURE)
    if flight is not None:
        return flight.day
    trip = passenger.trip
    return (trip.return_date or trip.end_date) if trip else None


def _flight(leg: str) -> Callable[[Passenger], str]:
    """ "AA 123 from Miami"."""

    def read(passenger: Passenger) -> str:
        flight = travel.flight_of(passenger, leg)
        return f"{flight} {flight.where}".strip() if flight else ""

    return read


def _flight_time(leg: str) -> Callable[[Passenger], str]:
    def read(passenger: Passenger) -> str:
        flight = travel.flight_of(passenger, leg)
        return f"{flight.time:%H:%M}" if flight and flight.time else ""

    return read


def _transfer(leg: str) -> Callable[[Passenger], str]:
    def read(passenger: Passenger) -> str:
        ride = travel.transfer_of(passenger, leg)
        return f"{ride}, {ride.vendor}" if ride and ride.vendor else str(ride or "")

    return read


def occupancy(passenger: Passenger) -> str:
    return str(Occupancy(passenger.occupancy).label) if passenger.occupancy in Occupancy.values else ""


def room_of(passenger: Passenger) -> Room | None:
    """Their room on this trip; None for who has none, or kept a place on a trip they have left."""
    place = getattr(passenger, "room_place", None)
    return place.room if place is not None and place.room.trip_id == passenger.trip_id else None


def _room_name(passenger: Passenger) -> str:
    room = room_of(passenger)
    return "" if room is None else f"{room.number}" + (f" ({room.label})" if room.label else "")


def age(passenger: Passenger) -> int | None:
    return passenger.age_at_departure


def minor(passenger: Passenger) -> str:
    """Whom to ask for a traveller under 18."""
    if not passenger.is_minor:
        return ""
    return f"Minor; guardian {passenger.guardian}" if passenger.guardian else "Minor; no guardian"


PASSPORT = ("trips.passport",)

NUMBER = Column("number", "No.", lambda p: p.number, Kind.NUMBER)
LAST = Column("last_name", "Last name", lambda p: p.legal_last_name, required=True)
FIRST = Column("first_name", "First names", first_names, required=True)
SEX = Column("sex", "Sex", lambda p: p.sex, required=True)
BORN = Column("date_of_birth", "Date of birth", lambda p: p.date_of_birth, Kind.DATE, required=True)
AGE = Column("age", "Age", age, Kind.NUMBER)
COUNTRY = Column(
    "nationality",
    "Nationality",
    lambda p: getattr(passport_of(p), "country_code", ""),
    needs=PASSPORT,
    required=True,
)
DOCUMENT = Column(
    "document_number",
    "Document no.",
    lambda p: getattr(passport_of(p), "number", ""),
    Kind.MASKED,
    needs=PASSPORT,
    required=True,
)
EXPIRY = Column(
    "document_expiry",
    "Expires",
    lambda p: getattr(passport_of(p), "expires_on", None),
    Kind.DATE,
    needs=PASSPORT,
    required=True,
)
PREFERRED = Column("preferred_name", "Called", lambda p: p.preferred_name, shy=True)
ROOM = Column("room", "Room", _room_name, required=True)
KIND = Column("room_kind", "Kind", lambda p: getattr(room_of(p), "kind", ""))
OCCUPANCY = Column("occupancy", "Occupancy", occupancy, required=True)
WANTED = Column("occupancy_wanted", "Wants", occupancy)
ROOMMATE = Column("roommate_request", "Wants to share with", lambda p: p.roommate_request)
ARRIVES = Column("arrives", "Arrives", arrival, Kind.DATE, required=True)
LEAVES = Column("leaves", "Leaves", leaving, Kind.DATE, required=True)
PHONE = Column("phone", "Phone", lambda p: p.contact.phone, Kind.PHONE, needs=("trips.contact",))
MINOR = Column("minor", "Minor", minor, shy=True)

AIRLINE = (
    Column("last_name", "Last name", lambda p: latin(p.legal_last_name), required=True),
    Column("first_name", "First name", lambda p: latin(p.legal_first_name), required=True),
    Column("middle_name", "Middle name", lambda p: latin(p.legal_middle_name)),
    SEX,
    BORN,
    Column(
        "nationality",
        "Nationality",
        lambda p: alpha3(getattr(passport_of(p), "country_code", "")),
        needs=PASSPORT,
        required=True,
    ),
    Column("document", "Document", lambda p: "P" if passport_of(p) else "", needs=PASSPORT, required=True),
    DOCUMENT,
    Column(
        "issuer",
        "Issued by",
        lambda p: alpha3(getattr(passport_of(p), "country_code", "")),
        needs=PASSPORT,
        required=True,
    ),
    EXPIRY,
)
HOTEL = (NUMBER, LAST, FIRST, SEX, BORN, COUNTRY, OCCUPANCY, ROOMMATE, ARRIVES, LEAVES)
GROUND = (NUMBER, LAST, FIRST, PREFERRED, AGE, MINOR, PHONE, ARRIVES, LEAVES)
ROOMING = (ROOM, KIND, LAST, FIRST, SEX, AGE, WANTED, ROOMMATE, ARRIVES, LEAVES, MINOR)
ROOMING_PASSPORTS = (ROOM, KIND, LAST, FIRST, SEX, BORN, COUNTRY, DOCUMENT, WANTED, ARRIVES, LEAVES)
FLIGHTS, TRANSFERS = ("trips.flight",), ("trips.transfer",)
ARRIVALS = (
    LAST,
    FIRST,
    PREFERRED,
    ARRIVES,
    Column("arrives_at", "Lands", _flight_time(Leg.ARRIVAL), needs=FLIGHTS, shy=True),
    Column("arrival_flight", "Flight", _flight(Leg.ARRIVAL), needs=FLIGHTS, shy=True),
    Column("arrival_transfer", "Fetched by", _transfer(Leg.ARRIVAL), needs=TRANSFERS, shy=True),
    LEAVES,
    Column("leaves_at", "Takes off", _flight_time(Leg.DEPARTURE), needs=FLIGHTS, shy=True),
    Column("departure_flight", "Flight home", _flight(Leg.DEPARTURE), needs=FLIGHTS, shy=True),
    Column("departure_transfer", "Brought by", _transfer(Leg.DEPARTURE), needs=TRANSFERS, shy=True),
    PHONE,
    MINOR,
)


# What stands below a table


def headcount(people: Sequence[Passenger]) -> list[Total]:
    sexes = Counter(person.sex for person in people)
    minors = sum(person.is_minor for person in people)
    return [
        Total("Travellers", str(len(people))),
        Total("Women / men / other / not given", " / ".join(str(sexes[sex]) for sex in ("F", "M", "X", ""))),
        Total("Under 18", str(minors)),
    ]


def rooms(people: Sequence[Passenger]) -> list[Total]:
    """Rooms of each kind as the hotel has to keep them, and who still has none."""
    housed = {room.pk: room for person in people if (room := room_of(person))}
    kinds = Counter(room.kind for room in sorted(housed.values(), key=lambda room: room.beds))
    homeless = sum(room_of(person) is None for person in people)
    return [
        Total("Travellers", str(len(people))),
        Total("Rooms", str(len(housed))),
        *(Total(kind, str(count), "Rooms") for kind, count in kinds.items()),
        *([Total("Without a room", str(homeless))] if homeless else []),
    ]


def by_day(people: Sequence[Passenger]) -> list[Total]:
    """How many come and leave on each day and in each hour, as transfers are ordered, and whom none meets."""
    totals = [Total("Travellers", str(len(people)))]
    for word, leg, read in (("Arrive", Leg.ARRIVAL, arrival), ("Leave", Leg.DEPARTURE, leaving)):
        hours = Counter((read(person), _hour(person, leg)) for person in people)
        for day, hour in sorted(hours, key=lambda one: (one[0] is None, one[0] or dt.date.min, one[1])):
            when = shown(day, Kind.DATE) or "on a day not known"
            totals.append(Total(f"{word} {when}{hour}", str(hours[day, hour])))
    return [*totals, *_without_ride(people)]


def _hour(passenger: Passenger, leg: str) -> str:
    flight = travel.flight_of(passenger, leg)
    return f", {flight.time:%H}:00 to {flight.time:%H}:59" if flight and flight.time else ""


def _without_ride(people: Sequence[Passenger]) -> list[Total]:
    """Told only of a way for which there are transfers at all."""
    trip = next((person.trip for person in people), None)
    if trip is None:
        return []
    legs = {ride.leg for ride in trip.transfers.all()}
    counts = {leg: sum(travel.transfer_of(person, leg) is None for person in people) for leg in Leg if leg in legs}
    return [Total(f"Not on a transfer ({leg.label.lower()})", str(count)) for leg, count in counts.items()]


def about_arrivals(scope: Scope, people: Sequence[Passenger]) -> list[str]:
    """Whose days are the trip's only, and who lands when the programme has begun."""
    unknown = sum(travel.flight_of(person, Leg.ARRIVAL) is None for person in people)
    told = ["Days and times are local to the place."]
    if unknown == len(people):
        told = ["The days are those of the trip."]
    elif unknown:
        told.append(f"Without a flight, so on the day of the trip: {unknown}.")
    if scope.trip is not None and scope.may("trips.itineraryitem"):
        begin = travel.begins(scope.trip)
        names = ", ".join(str(one.passenger) for one in travel.late(travel.journeys(people), begin))
        if names and begin:
            told.append(
                f"Land after the programme has begun ({shown(begin.date(), Kind.DATE)}, {begin:%H:%M}): {names}."
            )
    return [*absent(scope, people), *told]


def absent(scope: Scope, _people: Sequence[Passenger]) -> list[str]:
    """Who is not on the list although the trip has them."""
    trip = scope.trip
    if trip is None:
        return []
    counts = Counter(trip.passengers.order_by().values_list("attendance", flat=True))
    out = [f"{counts[state]} {state.label.lower()}" for state in (Attendance.WAITLISTED, Attendance.CANCELLED)]
    told = [text for text in out if not text.startswith("0 ")]
    return [f"Only those booked are listed; {' and '.join(told)} left out."] if told else []


def about_names(scope: Scope, people: Sequence[Passenger]) -> list[str]:
    """Where somebody should look before an airline does."""
    return [*about_hotel(scope, people), *_unfit(people), *_spelling(people), *_foreign(people)]


def about_hotel(scope: Scope, people: Sequence[Passenger]) -> list[str]:
    return [*absent(scope, people), *(_nationality(people) if scope.may("trips.passport") else [])]


def _nationality(people: Iterable[Passenger]) -> list[str]:
    has = any(passport_of(person) for person in people)
    return ["Nationality is the country that issued the passport."] if has else []


def _unfit(people: Iterable[Passenger]) -> list[str]:
    """Whose passport is on file and will not do for this trip."""
    bad = (Passport.Validity.EXPIRED, Passport.Validity.SHORT)
    held = [(person, passport) for person in people if (passport := passport_of(person))]
    named = [f"{person} ({passport.validity.label.lower()})" for person, passport in held if passport.validity in bad]
    return [f"Passports that will not do: {', '.join(named)}. {validity_rule()}"] if named else []


def _spelling(people: Iterable[Passenger]) -> list[str]:
    odd = [person.legal_name for person in people if _TWO_WAYS & set(person.legal_name)]
    if not odd:
        return []
    return [f"Passports spell ä, ö, ü, å and ø with one letter or two; compare their second line: {', '.join(odd)}."]


def _foreign(people: Iterable[Passenger]) -> list[str]:
    def unreadable(person: Passenger) -> bool:
        names = (person.legal_first_name, person.legal_middle_name, person.legal_last_name)
        return any(name and not latin(name) for name in names)

    odd = ", ".join(str(person) for person in people if unreadable(person))
    return [f"Names with letters that no ticket holds; type them as the passport does: {odd}."] if odd else []


def validity_rule() -> str:
    return f"A passport must outlive the trip's end by {settings.PASSPORT_VALIDITY_MONTHS} months."
