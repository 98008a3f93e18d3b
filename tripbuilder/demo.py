"""What GoHighLevel has no field for, invented for the sandbox's people: sex, date of birth, guardians, destinations.

Without it nobody who tries the product could make a paper or have rooms suggested before typing a dozen birthdays. It
is made up here and not in the sandbox, since over there it has no place to stand. Only rows whose other half is in the
sandbox are filled, and of them only what is empty, so that a second run changes nothing and a real account is safe.
"""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Iterator
from typing import Any

from ghl_sync.models import Kind, Link
from ghl_sync.sandbox.people import EITHER, MEN
from ghl_sync.suppression import muted
from trips.enums import Sex
from trips.models import Passenger, Trip

SANDBOX_TOKEN = "sandbox-token"  # nosec B105 # noqa: S105 - it opens nothing but the stand-in
SANDBOX_LOCATION = "sandbox-location"
REASON = "Invented for the demo"
_DESTINATIONS = {
    "Havana Jazz Week": "Havana, Cuba",
    "Viñales Walking Tour": "Viñales, Cuba",
    "Trinidad Architecture Days": "Trinidad, Cuba",
    "Santiago Music Exchange": "Santiago de Cuba, Cuba",
    "Azores Whale Watching": "Azores, Portugal",
    "Lisbon – Spring": "Lisbon, Portugal",
    "Zapata Birding": "Zapata, Cuba",
    "Cienfuegos Choir Visit": "Cienfuegos, Cuba",
    "Cuban Ceramics Studio": "Camagüey, Cuba",
    "Norway Fjords by Ship": "Bergen, Norway",
    "Matanzas Coast Ride": "Matanzas, Cuba",
}
_ADULT_AGES, _CHILD_AGES = (24, 79), (7, 15)


def fill_demo(today: dt.date) -> tuple[int, int]:
    """Fill in trips and passengers of the sandbox; how many of each were. The same names give the same people.

    Who has no passport is left as they are: somebody has to lack something, for the lists of what is missing.
    """
    trips = [_save(trip, _of_trip(trip)) for trip in _from_sandbox(Trip, Kind.TRIP)]
    people = _from_sandbox(Passenger, Kind.PASSENGER).exclude(passport=None).exclude(passport__number="")
    passengers = [_save(one, _of_passenger(one, today)) for one in people.select_related("contact")]
    return sum(trips), sum(passengers)


def _from_sandbox(model: Any, kind: Kind) -> Any:
    links = Link.objects.filter(kind=kind, location_id=SANDBOX_LOCATION).exclude(remote_id="")
    return model.objects.filter(pk__in=links.values("object_id")).order_by("pk")


def _of_trip(trip: Trip) -> Iterator[tuple[str, Any]]:
    if not trip.destination and trip.name in _DESTINATIONS:
        yield "destination", _DESTINATIONS[trip.name]


def _of_passenger(passenger: Passenger, today: dt.date) -> Iterator[tuple[str, Any]]:
    if passenger.date_of_birth is None:
        yield "date_of_birth", _born(passenger, today)
    if not passenger.sex:
        yield "sex", _sex(passenger.legal_first_name)
    booked_by_another = passenger.contact.full_name != passenger.legal_name
    if passenger.is_child and passenger.guardian_id is None and booked_by_another:
        yield "guardian", passenger.contact


def _born(passenger: Passenger, today: dt.date) -> dt.date:
    """By name alone, so that two records of one person agree, as they must to be found as duplicates."""
    rng = random.Random(passenger.legal_name)  # nosec B311 # noqa: S311 - believable, not secret
    years = rng.randint(*(_CHILD_AGES if passenger.is_child else _ADULT_AGES))
    return dt.date(today.year - years, rng.randint(1, 12), rng.randint(1, 28))


def _sex(first_name: str) -> Sex:
    if first_name in EITHER:
        return Sex.OTHER
    return Sex.MALE if first_name in MEN else Sex.FEMALE


def _save(record: Any, values: Iterator[tuple[str, Any]]) -> bool:
    """Whether anything was missing. Nothing of it has a counterpart in GoHighLevel, so nothing has to be sent."""
    columns = dict(values)
    if not columns:
        return False
    for name, value in columns.items():
        setattr(record, name, value)
    record._change_reason = REASON
    with muted(record._meta.model_name, record.pk):
        record.save(update_fields=columns)
    return True
