"""Whether a traveller's licence holds on every day of their trip, in one badge and one sentence."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils import formats

from trips.models import Licence, Passenger, Trip
from trips.text import fold_name

# A choice of the drop-down that names no licence.
NO_LICENCE = fold_name("None")


def names_one(text: str) -> bool:
    """Whether what stands at a traveller names a licence, known or not."""
    return _key(text) not in {"", NO_LICENCE}


def _key(text: str) -> str:
    return fold_name(text)[:255]


@dataclass(frozen=True, slots=True)
class Standing:
    """`colour` is that of a badge: good, doubt, bad or plain. `licence` is the row that holds on the first day."""

    label: str
    colour: str
    sentence: str
    licence: Licence | None = None

    @property
    def warns(self) -> bool:
        return self.colour in {"doubt", "bad"}


class Register:
    """The licences, read once however many travellers are asked about."""

    def __init__(self) -> None:
        self._by_name: dict[str, list[Licence]] = {}
        for licence in Licence.objects.all():
            self._by_name.setdefault(licence.name_key, []).append(licence)

    def standing(self, name: str, trip: Trip | None) -> Standing:
        """Of the licence of this name on the days of this trip."""
        if not names_one(name):
            return Standing("No licence", "plain", "No licence is chosen for this traveller.")
        periods = self._by_name.get(_key(name), [])
        if not periods:
            return Standing(
                "Unknown licence", "doubt", f"“{name}” is not in the list of licences; add it with its days."
            )
        first, last = _days(trip)
        if trip is None or first is None:
            return Standing("Trip without dates", "doubt", f"“{name}” cannot be checked: the trip has no dates.")
        return _on_the_way(name, trip, periods, first, max(first, last or first))

    def standing_of(self, passenger: Passenger) -> Standing:
        return self.standing(passenger.licence, passenger.trip)


def _days(trip: Trip | None) -> tuple[dt.date | None, dt.date | None]:
    return (trip.departs_on, trip.ends_on) if trip else (None, None)


def _on_the_way(name: str, trip: Trip, periods: Sequence[Licence], first: dt.date, last: dt.date) -> Standing:
    uncovered = _first_uncovered(periods, first, last)
    governing = next((one for one in periods if one.holds_on(first)), None)
    if uncovered is not None:
        return Standing(*_why_not(name, periods, uncovered, first, last), licence=governing)
    if governing is not None and governing.needs_escort and not trip.escort.strip():
        told = f"“{name}” needs an escort, and the trip names none."
        return Standing("Escort missing", "doubt", told, governing)
    until = governing.valid_until if governing else None
    label = f"Valid until {_day(until)}" if until and until >= last else "Valid"
    return Standing(label, "good", f"“{name}” is valid on all days of the trip.", governing)


def _first_uncovered(periods: Sequence[Licence], first: dt.date, last: dt.date) -> dt.date | None:
    """The first day from `first` to `last` on which no period holds; None where all are covered."""
    day = first
    while True:
        period = next((one for one in periods if one.holds_on(day)), None)
        if period is None:
            return day
        if period.valid_until is None or period.valid_until >= last:
            return None
        day = period.valid_until + dt.timedelta(days=1)


def _why_not(
    name: str, periods: Sequence[Licence], day: dt.date, first: dt.date, last: dt.date
) -> tuple[str, str, str]:
    """Label, colour and sentence of a licence that does not hold on `day`."""
    trip = f"the trip is from {_day(first)} to {_day(last)}" if last > first else f"the trip is on {_day(first)}"
    ended = [one.valid_until for one in periods if one.valid_until and one.valid_until < day]
    begins = [one.valid_from for one in periods if one.valid_from and one.valid_from > day]
    again = f" It is valid again from {_day(min(begins))}." if begins else ""
    if ended:
        if day == first:
            return "Licence expired", "bad", f"“{name}” expired on {_day(max(ended))}; {trip}.{again}"
        return "Licence expires on the way", "bad", f"“{name}” ends on {_day(max(ended))}; {trip}.{again}"
    return "Licence not valid yet", "bad", f"“{name}” is valid only from {_day(min(begins))}; {trip}."


def _day(value: dt.date | None) -> str:
    return formats.date_format(value, "j M Y") if value else ""


@dataclass(frozen=True, slots=True)
class Used:
    """A licence on a trip: how many booked travellers name it, and how it stands."""

    name: str
    count: int
    standing: Standing


def used_on(trip: Trip) -> list[Used]:
    """The licences that the booked travellers of this trip name, those that warn first."""
    rows: Any = trip.passengers.seated().order_by("pk").values_list("licence", flat=True)
    counts: dict[str, tuple[str, int]] = {}
    for name in rows:
        key = fold_name(name)
        spelt, count = counts.get(key, (name, 0))
        counts[key] = (spelt, count + 1)
    if not any(key not in {"", NO_LICENCE} for key in counts):
        return []
    register = Register()
    found = [Used(name, count, register.standing(name, trip)) for name, count in counts.values()]
    return sorted(found, key=lambda one: (not one.standing.warns, one.name))


def doubtful(passengers: Iterable[Passenger]) -> list[Used]:
    """What is wrong with the licences of these travellers on their trips, each sentence once; they come with `trip`."""
    register = Register()
    found: dict[str, Used] = {}
    for passenger in passengers:
        standing = register.standing_of(passenger)
        if standing.warns:
            before = found.get(standing.sentence)
            found[standing.sentence] = Used(passenger.licence, before.count + 1 if before else 1, standing)
    return list(found.values())
