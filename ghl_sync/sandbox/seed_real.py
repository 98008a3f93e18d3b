"""An invented account of the size and with the faults of a real one; the counts are those of API notes §12.

What is odd here is odd there: one contact with 188 trips, names that differ from their drop-down option by a dash,
passengers whose trip cannot be told, people entered three times, fillers, tags, line breaks and dates before 1970.
"""

from __future__ import annotations

import datetime as dt
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ghl_sync.sandbox.definitions import COUNTRIES, LICENCES, PASSENGER_PIPELINE, STATES, TRIP_PIPELINE
from ghl_sync.sandbox.people import CONDITIONS, FILLERS, HEALTH, MEDICINES, RELATIONSHIPS, Inventor, Person
from ghl_sync.sandbox.store import Contact, Store

_SEED = 1027
TRIPS, PASSENGERS, CONTACTS = 697, 6_477, 5_453
PASSENGER_CONTACTS, BOTH = 5_431, 156
LARGEST_ORGANISERS = (188, 105, 47, 29, 26)
OTHER_ORGANISERS, SINGLE_ORGANISERS = 46, 112
# Groups of passengers of one contact on one trip: how many of each size.
SAME_PERSON = {2: 200, 3: 114}
SEVERAL_PEOPLE = {47: 1, 2: 160, 3: 116}
# One contact on several trips.
ON_SEVERAL_TRIPS = {3: 85, 2: 10}
DANGLING, LARGEST_DANGLING, DANGLING_IDS = 447, 265, 16
DASHED_TRIPS, DASHED_PASSENGERS = 19, 179
NOT_AN_OPTION, REPEATED_NAMES, REPEATED_PASSENGERS = 8, 3, 56
DISAGREEING_TRIPS, DISAGREEING = 3, 113
NAMELESS = 332
FIRST_TRIP_ID, FIRST_DANGLING_ID, FIRST_PASSENGER_ID = 1_001, 9_001, 50_001

_PLACES = tuple(
    """Amber Coast|Bay of Palms|Blue Mountains|Cape Lantern|Cedar Valley|Coral Keys|Cordoba|Dune Islands|El Mirador
Emerald Lakes|Fjordland|Granite Gorge|Harbour Towns|Havana|Isla Verde|Jade Rivers|Lavender Hills|Lisbon|Malaga
Moon Plains|North Cape|Old Quarter|Orchid Forest|Pearl Bay|Quiet Fells|Rose Desert|Santiago|Silver Sound|Stone Isles
Sugar Valley|Tobacco Road|Trinidad|Tulip Fields|Vineyard Trail|White Villages|Wild Rivers""".replace("\n", "|").split(
        "|"
    )
)
_THEMES = ("Architecture", "Birding", "Choir", "Cooking", "Gardens", "Jazz", "Literature", "Photography", "Walking")
_MONTHS = ("January", "February", "March", "April", "May", "June", "September", "October", "November")
_DESCRIPTION = (
    "We meet at the hotel and walk through the old town.",
    "A local guide tells of the harbour and its people.",
    "Lunch is at a family's table, vegetarians are welcome.",
    "The afternoon is free for music, a museum or a nap.",
    "A coach brings us to the coast, about two hours away.",
    "In the evening we talk with artists in their studio.",
)
_OLD, _LATE = dt.date(1900, 1, 1), dt.date(2039, 12, 31)


@dataclass(slots=True)
class _Trip:
    name: str
    option: str | None
    number: int | None
    passengers: int = 0


@dataclass(slots=True)
class _Unit:
    """Passengers of one contact who go on the same trip."""

    contact: Contact
    people: list[Person]
    trip: _Trip | None = None
    trip_id: int | None = None
    named: str | None = None


@dataclass(slots=True)
class _Real:
    store: Store
    rng: random.Random = field(default_factory=lambda: random.Random(_SEED))  # nosec B311 # noqa: S311 - believable, not secret
    people: dict[str, Person] = field(default_factory=dict)
    inventor: Inventor = field(init=False)
    ids: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.inventor = Inventor(self.rng)
        # Ids are found at once, keys only by looking through all definitions.
        self.ids = {row.key: row.id for row in self.store.fields.values()}


def fill_real(store: Store) -> None:
    """Add the records, the same every time but for their ids. Call it inside `Store.bulk`."""
    real = _Real(store)
    contacts = _contacts(real)
    trips = _trips(real)
    units = _units(real, contacts[:PASSENGER_CONTACTS])
    _place(real, units, trips)
    _add_trips(real, contacts, trips)
    _add_passengers(real, units)


def _contacts(real: _Real) -> list[Contact]:
    """Everybody, of them 13 without a number, 2 without anything to reach them by, 31 with another one's name."""
    rng = real.rng
    people = [real.inventor.person() for _ in range(CONTACTS)]
    for one, other in zip(rng.sample(range(3000), 31), rng.sample(range(3000, CONTACTS), 31), strict=True):
        people[other] = Person(people[one].first, people[one].last, people[other].email, people[other].phone)
    silent = rng.sample(range(CONTACTS), 15)
    made = []
    for position, person in enumerate(people):
        row = real.store.add_contact(
            first_name=person.first,
            last_name=person.last,
            email=None if position in silent[:2] else person.email,
            phone=None if position in silent else person.phone,
            company_name="Lantern Travel Club" if position in silent[5:10] else None,
            country="US" if position % 260 == 0 else None,
        )
        real.people[row.id] = person
        made.append(row)
    return made


def _trips(real: _Real) -> list[_Trip]:
    """First the dashed ones, then those that are no option, then the pairs of equal names, then the ordinary ones."""
    rng = real.rng
    distinct = TRIPS - REPEATED_NAMES
    every = [(place, theme, month, year) for place in _PLACES for theme in _THEMES for month in _MONTHS
             for year in range(2006, 2026)]  # fmt: skip
    names = []
    for position, (place, theme, month, year) in enumerate(rng.sample(every, distinct)):
        mark = " –" if position < DASHED_TRIPS else "," if rng.random() < 0.72 else ""
        names.append(f"{place}{mark} {theme} {month} {year}")
    for position in rng.sample(range(100, distinct), 13):
        names[position] = names[position].replace(" ", "  ", 1)
    for position in (101, 102, 103):
        names[position] += " (Año Nuevo)"
    repeated = names[DASHED_TRIPS + NOT_AN_OPTION :][:REPEATED_NAMES]
    names = [*names[: DASHED_TRIPS + NOT_AN_OPTION], *repeated, *names[DASHED_TRIPS + NOT_AN_OPTION :]]
    trips = []
    for position, name in enumerate(names):
        unlisted = DASHED_TRIPS <= position < DASHED_TRIPS + NOT_AN_OPTION
        option = None if unlisted else name.replace("–", "-")
        trips.append(_Trip(name, option, None if unlisted else FIRST_TRIP_ID + position))
    options = [trip.option for trip in trips if trip.option]
    rng.shuffle(options)
    real.store.change_field(real.ids["opportunity.trip_name"], options=tuple(options))
    return trips


def _units(real: _Real, contacts: Sequence[Contact]) -> list[_Unit]:
    """Who travels with whom; each contact's own person first."""
    rest = iter(contacts)
    units = []

    def each(sizes: Mapping[int, int]) -> list[tuple[int, Contact]]:
        return [(size, next(rest)) for size, count in sizes.items() for _ in range(count)]

    for size, contact in each(SAME_PERSON):
        units.append(_Unit(contact, [real.people[contact.id]] * size))
    for size, contact in each(SEVERAL_PEOPLE):
        units.append(_Unit(contact, _family(real, contact, size)))
    for size, contact in each(ON_SEVERAL_TRIPS):
        units += [_Unit(contact, [real.people[contact.id]]) for _ in range(size)]
    for position, contact in enumerate(rest):
        person = real.people[contact.id]
        units.append(_Unit(contact, [real.inventor.relative(person) if position < 44 else person]))
    return units


def _family(real: _Real, contact: Contact, size: int) -> list[Person]:
    own = real.people[contact.id]
    found = {own.first: own}
    while len(found) < size:
        relative = real.inventor.relative(own)
        found[relative.first] = relative
    return list(found.values())


def _place(real: _Real, units: list[_Unit], trips: list[_Trip]) -> None:
    """Who goes on which trip, and what their record tells of it."""
    rng = real.rng
    dashed = trips[:DASHED_TRIPS]
    repeated = trips[DASHED_TRIPS + NOT_AN_OPTION :][: 2 * REPEATED_NAMES]
    ordinary = trips[DASHED_TRIPS + NOT_AN_OPTION + 2 * REPEATED_NAMES :]
    crossed, ordinary = ordinary[:DISAGREEING_TRIPS], ordinary[DISAGREEING_TRIPS:]
    times = Counter(unit.contact.id for unit in units)
    several = [unit for unit in units if times[unit.contact.id] > 1]
    left = [unit for unit in units if times[unit.contact.id] == 1]
    rng.shuffle(left)

    def taken(count: int) -> list[_Unit]:
        """Units of exactly so many passengers, out of what is left."""
        nonlocal left
        chosen: list[_Unit] = []
        others: list[_Unit] = []
        for unit in left:
            fits = len(unit.people) <= count
            count -= len(unit.people) if fits else 0
            (chosen if fits else others).append(unit)
        left = others
        return chosen

    taken(1)  # neither id nor name
    for unit in taken(LARGEST_DANGLING):
        unit.trip_id = FIRST_DANGLING_ID
    for position, unit in enumerate(taken(DANGLING - LARGEST_DANGLING)):
        unit.trip_id = FIRST_DANGLING_ID + 1 + position % (DANGLING_IDS - 1)
    for group, count in ((dashed, DASHED_PASSENGERS), (repeated, REPEATED_PASSENGERS)):
        for position, unit in enumerate(taken(count)):
            _board(unit, group[position % len(group)])
    for position, unit in enumerate(taken(DISAGREEING)):
        _board(unit, crossed[position % DISAGREEING_TRIPS])
        unit.named = ordinary[position % DISAGREEING_TRIPS].name
    weights = [rng.expovariate(1) + 0.05 for _ in ordinary]
    for unit in taken(NAMELESS):
        _board(unit, rng.choices(ordinary, weights)[0])
        unit.named = None
    seen: set[tuple[str, str]] = set()
    for unit in (*left, *several):
        trip = rng.choices(ordinary, weights)[0]
        while (unit.contact.id, trip.name) in seen:
            trip = rng.choice(ordinary)
        seen.add((unit.contact.id, trip.name))
        _board(unit, trip)


def _board(unit: _Unit, trip: _Trip) -> None:
    unit.trip, unit.trip_id, unit.named = trip, trip.number, trip.name
    trip.passengers += len(unit.people)


def _organisers(real: _Real, contacts: Sequence[Contact]) -> list[Contact]:
    """The contact of each trip: most of them travel too, one has 188 trips."""
    rng = real.rng
    sizes = [*LARGEST_ORGANISERS, *([2] * OTHER_ORGANISERS), *([1] * SINGLE_ORGANISERS)]
    while sum(sizes) < TRIPS:
        position = rng.randrange(len(LARGEST_ORGANISERS), len(LARGEST_ORGANISERS) + OTHER_ORGANISERS)
        sizes[position] += sizes[position] < 25
    chosen = rng.sample(list(contacts[:PASSENGER_CONTACTS]), BOTH)
    chosen += contacts[PASSENGER_CONTACTS : PASSENGER_CONTACTS + len(sizes) - BOTH]
    rng.shuffle(chosen)
    slots = [contact for contact, size in zip(chosen, sizes, strict=True) for _ in range(size)]
    rng.shuffle(slots)
    return slots


def _add_trips(real: _Real, contacts: Sequence[Contact], trips: Sequence[_Trip]) -> None:
    rng = real.rng
    owners = _organisers(real, contacts)
    crowded = [position for position, trip in enumerate(trips) if trip.passengers > 1]
    over = set(rng.sample(crowded, 196))
    odd = rng.sample(crowded, 19 + 182)
    fewer, more = set(odd[:19]), set(odd[19:])
    rich = set(rng.sample(range(TRIPS), 8))
    scheduled = set(range(200, 206))
    for position, trip in enumerate(trips):
        count = (
            trip.passengers - 1 if position in fewer else trip.passengers + 2 if position in more else trip.passengers
        )
        places = trip.passengers - 1 if position in over else max(trip.passengers, count) + rng.randint(1, 10)
        arrival = real.inventor.day(dt.date(2006, 1, 1), dt.date(2025, 9, 30))
        fields: dict[str, Any] = {"max_passengers": places, "trip_id": trip.number, "passenger_count": count}
        fields["arrival_date"] = arrival.isoformat() if position % 100 else None
        fields["trip_description"] = _description(real, position)
        if position in rich:
            fields |= _rich(real, arrival)
        real.store.add_opportunity(
            pipeline=TRIP_PIPELINE,
            name=trip.name,
            contact_id=owners[position].id,
            stage="FormSubmit" if position == 199 else "TripScheduled" if position in scheduled else "TripComplete",
            status={210: "won", 211: "won", 212: "won", 213: "lost"}.get(position, "open"),
            value=500 if position < 12 else 0,
            fields=_by_id(real, fields),
        )


def _description(real: _Real, position: int) -> str | None:
    if position % 78 == 1:
        return None
    if position == 20:
        return "<p>" + real.inventor.text(_DESCRIPTION, 11_600)[:11_546] + "</p>"
    text = real.inventor.text(_DESCRIPTION, real.rng.choice((60, 200, 400, 600, 900)))
    return text if position % 140 == 2 else f"<p>{text}</p>"


def _rich(real: _Real, arrival: dt.date) -> dict[str, Any]:
    """What hardly any trip has."""
    end = arrival + dt.timedelta(days=7)
    return {
        "start_date": arrival.isoformat(),
        "end_date": end.isoformat(),
        "return_date": end.isoformat(),
        "deposit_date": (arrival - dt.timedelta(days=120)).isoformat(),
        "final_payment": (arrival - dt.timedelta(days=40)).isoformat(),
        "trip_standard_level_pricing": real.rng.randrange(900, 4000, 50),
        "trip_vendor": "Harbour Tours",
        "nights_total": 7,
    }


def _add_passengers(real: _Real, units: Sequence[_Unit]) -> None:
    rng = real.rng
    units = rng.sample(list(units), len(units))
    expires_old, forms_old = set(rng.sample(range(PASSENGERS), 23)), set(rng.sample(range(PASSENGERS), 18))
    expires_late = set(rng.sample(sorted(set(range(PASSENGERS)) - expires_old), 14))
    unreachable = set(rng.sample(range(PASSENGERS), 527))
    sparse = set(rng.sample(range(PASSENGERS), 160))
    numbers: Counter[int | None] = Counter()
    position = 0
    for unit in units:
        for person in unit.people:
            numbers[unit.trip_id] += 1
            fields = _details(real, person, position)
            fields |= {"trip_id": unit.trip_id, "trip_name": unit.named}
            if rng.random() < 0.912:
                fields["passenger_number"] = numbers[unit.trip_id] + (0.5 if position % 648 == 5 else 0)
            if position in expires_old | expires_late:
                first, last = (_OLD, dt.date(1969, 12, 31)) if position in expires_old else (_LATE, dt.date(2055, 1, 1))
                fields["passport_expire"] = real.inventor.day(first, last).isoformat()
            if position in forms_old:
                fields["form_submitted_date"] = real.inventor.day(_OLD, dt.date(1969, 12, 31)).isoformat()
            for key in _UNREACHABLE if position in unreachable else ():
                fields.pop(key, None)
            for key in _SPARSE if position in sparse else ():
                fields.pop(key, None)
            real.store.add_opportunity(
                pipeline=PASSENGER_PIPELINE,
                name=person.name,
                contact_id=unit.contact.id,
                stage="TripComplete" if position else "AddedToTrip",
                fields=_by_id(real, fields),
            )
            position += 1


_UNREACHABLE = ("contact1_uphone", "contact1_umob_number")
_SPARSE = (
    "primary_phy",
    "physician_phone",
    "health_state",
    "health_medical_info",
    "medication_list",
    "contact1_ucity",
    "contact1_uzip",
    "contact1_uemail",
    "contact1_urelationship",
    "contact1_ustate",
)


def _details(real: _Real, person: Person, position: int) -> dict[str, Any]:
    rng, inventor = real.rng, real.inventor
    street, town, postal_code = inventor.address()
    near = inventor.relative(person)
    fields: dict[str, Any] = {
        "passenger_id": str(FIRST_PASSENGER_ID + position) if position else None,
        "passenger_first_name": person.first,
        "passenger_last_name": person.last,
        "contact1_ufirst_name": near.first,
        "contact1_ulast_name": near.last,
        "contact1_umailing_address": street,
        "contact1_urelationship": rng.choice(RELATIONSHIPS),
        "contact1_ucity": town,
        "contact1_ustate": rng.choice(STATES),
        "contact1_uzip": postal_code,
        "contact1_uemail": f"{near.first}.{near.last}@example.com".lower(),
        "contact1_uphone": inventor.any_phone(),
        "contact1_umob_number": inventor.any_phone() if rng.random() < 0.85 else rng.choice(FILLERS),
        "primary_phy": f"Dr. {inventor.surname()}" if rng.random() < 0.9 else rng.choice(FILLERS),
        "physician_phone": inventor.any_phone() if rng.random() < 0.9 else rng.choice(FILLERS),
        "health_state": rng.choice(HEALTH),
        "health_medical_info": _medical(real),
        "medication_list": rng.choice(FILLERS) if rng.random() < 0.35 else _lines(real, MEDICINES, 0.09),
        "form_submitted_date": inventor.day(dt.date(2008, 1, 1), dt.date(2025, 9, 30)).isoformat(),
    }
    for key, share, value in (
        ("birth_country", 0.992, rng.choice(COUNTRIES)),
        ("passport_expire", 0.99, inventor.day(dt.date(2009, 1, 1), _LATE).isoformat()),
        ("passport_number", 0.945, inventor.passport()),
        ("user_roomate", 0.364, f"With {near.first}"),
        ("travel_category_license", 0.284, rng.choice(LICENCES)),
    ):
        if rng.random() < share:
            fields[key] = value
    if position in (1, 2, 3):
        fields["primary_phy"] = f" {fields['primary_phy']}  "
    if position == 4:
        fields["lodging"] = "With a cousin"
    return fields


def _medical(real: _Real) -> str:
    if real.rng.random() < 0.35:
        return real.rng.choice(FILLERS)
    if real.rng.random() < 0.03:
        return real.inventor.text(CONDITIONS, 520)
    return _lines(real, CONDITIONS, 0.15)


def _lines(real: _Real, texts: Sequence[str], share: float) -> str:
    """One of the texts, or two on lines of their own."""
    chosen = real.rng.sample(texts, 2)
    return "\n".join(chosen) if real.rng.random() < share else chosen[0]


def _by_id(real: _Real, fields: Mapping[str, Any]) -> dict[str, Any]:
    """The values that are there, keyed by field id."""
    return {real.ids[f"opportunity.{key}"]: value for key, value in fields.items() if value is not None}
