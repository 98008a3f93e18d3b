"""Fills an empty sandbox with an invented account: small to try things, or as large and crooked as a real one."""

from __future__ import annotations

import datetime as dt
import random
from collections import Counter
from dataclasses import dataclass
from typing import Any

from ghl_sync.sandbox.definitions import PASSENGER_PIPELINE, TRIP_PIPELINE
from ghl_sync.sandbox.people import CONDITIONS, FILLERS, HEALTH, MEDICINES, RELATIONSHIPS, Inventor, Person
from ghl_sync.sandbox.seed_real import fill_real
from ghl_sync.sandbox.store import Contact, Opportunity, Store

SIZES = ("small", "real")
_SEED = 19
_CONTACTS = 50
_VENDORS = ("Harbour Tours", "Blue Lantern Travel", "Casa Mirador Stays", "Old Quarter Guides")


@dataclass(frozen=True, slots=True)
class _Plan:
    """A trip to be made; `starts` in days from today."""

    name: str
    starts: int
    nights: int
    places: int
    travellers: int
    category: str = "People To People"
    vendor: int = 0


# The last two share their name and Havana Jazz Week is over-full: two of the small account's problems.
_TRIPS = (
    _Plan("Havana Jazz Week", 24, 7, 6, 8, "Support For The Cuban People", 0),
    _Plan("Viñales Walking Tour", 45, 6, 12, 5, "People To People", 3),
    _Plan("Trinidad Architecture Days", 70, 5, 16, 4, "People To People", 1),
    _Plan("Santiago Music Exchange", 110, 9, 14, 3, "Support For The Cuban People", 2),
    _Plan("Azores Whale Watching", 150, 8, 10, 2, "Other", 1),
    _Plan("Lisbon – Spring", 200, 7, 20, 0, "Other", 1),
    _Plan("Zapata Birding", -3, 8, 10, 6, "People To People", 0),
    _Plan("Cienfuegos Choir Visit", -60, 6, 24, 9, "People To People", 0),
    _Plan("Cuban Ceramics Studio", -120, 7, 10, 7, "Support For The Cuban People", 2),
    _Plan("Norway Fjords by Ship", -200, 10, 18, 6, "Other", 1),
    _Plan("Matanzas Coast Ride", -300, 5, 8, 5, "People To People", 3),
    _Plan("Matanzas Coast Ride", 95, 5, 8, 4, "People To People", 3),
)

# Which of the grown-up travellers (counted from 0) books once more with another e-mail and phone, and on which trip.
_COME_BACK = ((29, 2), (32, 3))


def fill(store: Store, size: str, today: dt.date | None = None) -> None:
    """Add the seed's records; the same size and day give the same account but for the ids.

    Raises ValueError for a size that is not in `SIZES`.
    """
    if size not in SIZES:
        raise ValueError(f"no seed {size!r}; there are {', '.join(SIZES)}")
    with store.bulk():
        if size == "real":
            fill_real(store)
        else:
            _Small(store, today or dt.datetime.now(dt.UTC).date()).fill()


class _Small:
    def __init__(self, store: Store, today: dt.date) -> None:
        self.store, self.today = store, today
        self.rng = random.Random(_SEED)  # nosec B311 # noqa: S311 - believable, not secret
        self.inventor = Inventor(self.rng)
        self.people: dict[str, Person] = {}
        self.travellers = 0
        self.aboard: Counter[int | None] = Counter()

    def fill(self) -> None:
        self.store.add_options("trip_vendor", _VENDORS)
        self.store.add_options("trip_name", [plan.name for plan in _TRIPS])
        contacts = [self.contact(self.inventor.person()) for _ in range(_CONTACTS)]
        organisers, families = contacts[:6], contacts[6:]
        made = [self.trip(number, plan, organisers[number % len(organisers)]) for number, plan in enumerate(_TRIPS)]
        seats = [number for number, plan in enumerate(_TRIPS) for _ in range(plan.travellers)]
        passengers: list[Opportunity] = []
        for position, number in enumerate(seats):
            contact = families[position % len(families)]
            passengers.append(self.passenger(contact, number, again=position >= len(families)))
        passengers.append(self.passenger(contacts[-1], None, again=True))
        for position, number in _COME_BACK:
            self.come_back(families[position], number)
        self.problems(made, passengers)

    def contact(self, person: Person) -> Contact:
        street, town, postal_code = self.inventor.address()
        made = self.store.add_contact(
            first_name=person.first,
            last_name=person.last,
            email=person.email,
            phone=person.phone,
            address1=street,
            city=town,
            postal_code=postal_code,
            country="US",
            tags=["traveller"] if self.rng.random() < 0.5 else [],
        )
        self.people[made.id] = person
        return made

    def trip(self, number: int, plan: _Plan, organiser: Contact) -> Opportunity:
        start = self.today + dt.timedelta(days=plan.starts)
        end = start + dt.timedelta(days=plan.nights)
        fields: dict[str, Any] = {
            "trip_name": plan.name,
            "trip_id": 301 + number,
            "trip_description": f"{plan.nights} nights with local guides. Breakfast is included, walking shoes help.",
            "start_date": start.isoformat(),
            "end_date": end.isoformat(),
            "arrival_date": start.isoformat(),
            "return_date": end.isoformat(),
            "deposit_date": (start - dt.timedelta(days=120)).isoformat(),
            "final_payment": (start - dt.timedelta(days=45)).isoformat(),
            "nights_total": plan.nights,
            "max_passengers": plan.places,
            "passenger_count": plan.travellers + sum(trip == number for _, trip in _COME_BACK),
            "trip_standard_level_pricing": 1000 + 50 * self.rng.randint(6, 60),
            "trip_vendor": _VENDORS[plan.vendor],
            "travel_category": plan.category,
            "travel_business_used": "Own desk",
            "lodging": self.rng.choice(("Hotel", "Private house", "Farm stay")),
        }
        return self.store.add_opportunity(
            pipeline=TRIP_PIPELINE,
            name=plan.name,
            contact_id=organiser.id,
            stage=_trip_stage(plan),
            fields=fields,
        )

    def passenger(self, contact: Contact, number: int | None, *, again: bool) -> Opportunity:
        """`again`: the contact travels already, so this is somebody of the family."""
        owner = self.people[contact.id]
        person = self.inventor.relative(owner) if again else owner
        plan = None if number is None else _TRIPS[number]
        self.travellers += 1
        self.aboard[number] += 1
        fields = self.details(person) | {"passenger_number": self.aboard[number]}
        if plan is not None and number is not None:
            fields |= {"trip_name": plan.name, "trip_id": 301 + number}
        return self.store.add_opportunity(
            pipeline=PASSENGER_PIPELINE,
            name=person.name,
            contact_id=contact.id,
            stage=_passenger_stage(plan),
            fields=fields,
        )

    def come_back(self, contact: Contact, number: int) -> None:
        """An adult who travels again, under another address: over there nothing tells that it is one person."""
        other = self.contact(self.inventor.elsewhere(self.people[contact.id]))
        booked = self.passenger(other, number, again=False)
        self.store.edit(booked.id, fields={"is_child": None})

    def details(self, person: Person) -> dict[str, Any]:
        rng, inventor = self.rng, self.inventor
        street, town, postal_code = inventor.address()
        near = inventor.relative(person)
        fields: dict[str, Any] = {
            "passenger_id": str(7000 + self.travellers),
            "passenger_first_name": person.first,
            "passenger_last_name": person.last,
            "form_submitted_date": (self.today - dt.timedelta(days=rng.randint(5, 200))).isoformat(),
            "birth_country": rng.choice(("United States", "Canada", "Portugal", "Mexico", "Kenya")),
            "passport_number": inventor.passport(),
            "passport_country": "United States",
            "passport_expire": (self.today + dt.timedelta(days=rng.randint(800, 3200))).isoformat(),
            "room_occupancy": rng.choice(("Single Occupancy", "Double Occupancy")),
            "travel_category_license": rng.choice(
                ("People-to-people travel (515.565b)", "Support for the Cuban people (515.574)")
            ),
            "health_state": rng.choice(HEALTH),
            "health_medical_info": rng.choice((*CONDITIONS, *FILLERS)),
            "medication_list": rng.choice((*MEDICINES, *FILLERS)),
            "primary_phy": f"Dr. {inventor.surname()}",
            "physician_phone": inventor.any_phone(),
            "contact1_ufirst_name": near.first,
            "contact1_ulast_name": near.last,
            "contact1_urelationship": rng.choice(RELATIONSHIPS),
            "contact1_umailing_address": street,
            "contact1_ucity": town,
            "contact1_ustate": rng.choice(("Oregon", "Vermont", "Florida", "Ohio")),
            "contact1_uzip": postal_code,
            "contact1_uemail": f"{near.first}.{near.last}@example.com".lower(),
            "contact1_uphone": inventor.any_phone(),
        }
        if rng.random() < 0.3:
            fields["user_roomate"] = f"{rng.choice(('With', 'Please with'))} {near.first}"
        if rng.random() < 0.1:
            fields["is_child"] = ["True"]
        return fields

    def problems(self, trips: list[Opportunity], passengers: list[Opportunity]) -> None:
        """What a work list is for; the passenger without a trip and the over-full trip are there already."""
        expires = (self.today + dt.timedelta(days=40)).isoformat()
        self.store.edit(passengers[0].id, fields={"passport_expire": expires})
        self.store.edit(passengers[9].id, fields={"passport_number": None, "passport_expire": None})
        self.store.set_raw(trips[1].id, "max_passengers", "about twelve")
        self.store.edit(trips[7].id, stage="TripScheduled")  # over, and nobody has closed it


def _trip_stage(plan: _Plan) -> str:
    if plan.starts + plan.nights < 0:
        return "TripComplete"
    if plan.starts < 60:
        return "TripScheduled"
    return "TravelersAdded" if plan.travellers > 3 else "TripFinalized" if plan.travellers else "FormSubmit"


def _passenger_stage(plan: _Plan | None) -> str:
    if plan is None or plan.starts > 100:
        return "AddedToTrip"
    if plan.starts + plan.nights < 0:
        return "TripComplete"
    if plan.starts <= 0:
        return "TripInProgress"
    return "TripReady" if plan.starts < 30 else "TripDetailsSent" if plan.starts < 60 else "DetailsSubmitted"
