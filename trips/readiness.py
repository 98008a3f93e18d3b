"""How ready a trip is: what is done of what there is to do, one line each, for the trip's page and its list."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Q, Sum

from trips import gaps
from trips.models import Passenger, Trip


@dataclass(frozen=True, slots=True)
class Line:
    """One thing to do: `done` of `total`. `gap` names the list of those who lack it; empty for the trip's own."""

    code: str
    label: str
    done: int
    total: int
    permission: str
    gap: str = ""

    @property
    def missing(self) -> int:
        return self.total - self.done

    @property
    def percent(self) -> int:
        return percent(self.done, self.total)


@dataclass(frozen=True, slots=True)
class Readiness:
    lines: tuple[Line, ...]

    @property
    def percent(self) -> int:
        """Of everything there is to do; a thing of each passenger counts once a passenger."""
        return percent(sum(line.done for line in self.lines), sum(line.total for line in self.lines))

    @property
    def missing(self) -> tuple[Line, ...]:
        return tuple(line for line in self.lines if line.missing)


def percent(done: int, total: int) -> int:
    """Rounded down, so that 100 means that nothing is missing; nothing to do counts as 0."""
    return done * 100 // total if total else 0


def readiness_of(trips: Collection[Trip], today: dt.date) -> dict[int, Readiness]:
    """By the trips' ids, with one query for all of them."""
    theirs = Q(trip__in=[trip.pk for trip in trips])
    booked = Passenger.objects.filter(theirs).seated().with_gaps(today, theirs)
    sums = {f"open_{gap.code}": Sum(f"gap_{gap.code}") for gap in gaps.GAPS}
    counted: dict[int, Any] = {
        row["trip"]: row for row in booked.order_by().values("trip").annotate(people=Count("pk"), **sums)
    }
    return {trip.pk: Readiness((*_own(trip), *_of_people(counted.get(trip.pk)))) for trip in trips}


def _own(trip: Trip) -> list[Line]:
    facts = (
        ("organiser", "Lead organiser", trip.organiser_id is not None),
        ("dates", "Dates of departure and end", bool(trip.departs_on and trip.ends_on)),
        ("price", "Price per person", trip.price_per_person is not None),
    )
    return [Line(code, label, int(done), 1, "trips.view_trip") for code, label, done in facts]


def _of_people(row: Mapping[str, int] | None) -> list[Line]:
    if row is None:
        return []
    people = row["people"]
    return [
        Line(gap.code, gap.done, people - row[f"open_{gap.code}"], people, gap.permission, gap.code)
        for gap in gaps.GAPS
    ]
