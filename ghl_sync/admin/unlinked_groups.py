"""Passengers without a trip by what GoHighLevel calls it, and the trips that may be meant, the likeliest first.

The same trip ID, or the same name with dashes, spaces and case folded, is a reason to offer a trip and to tick it; a
name that is alike is a reason to offer it. Nothing is chosen by itself; a person picks.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Any

from django.core.paginator import Page, Paginator
from django.db.models import Count, Q, Window
from django.db.models.functions import RowNumber

from trips.admin.base import day
from trips.models import Passenger, Trip
from trips.text import fold_name, fold_search

GROUPS_A_PAGE = 20
PEOPLE_SHOWN = 20
# A name is alike from so many percent on; the best of a group are offered, of so many that share its longest words.
ALIKE_PERCENT, ALIKE_OFFERED, ALIKE_LOOKED_AT = 70, 2, 500
# Shorter words are in too many names.
LONG_WORD = 4


@dataclass(slots=True)
class Likely:
    """A trip to offer and why. `equal`: by its ID or its name, not by likeness."""

    trip: Any
    reasons: tuple[str, ...]
    equal: bool = True

    @property
    def reason(self) -> str:
        return " and ".join(self.reasons)

    @property
    def label(self) -> str:
        departs = day(self.trip.departs_on)
        return f"{self.trip.name} ({departs or 'no dates'})"


@dataclass(slots=True)
class Group:
    """The passengers that share one name and one ID for a trip that nobody here knows."""

    name: str
    number: int | None
    count: int
    people: list[Any] = field(default_factory=list)
    likely: list[Likely] = field(default_factory=list)
    form: Any = None

    @property
    def key(self) -> tuple[str, int | None]:
        return self.name, self.number

    @property
    def title(self) -> str:
        return self.name or (f"Trip ID {self.number}" if self.number is not None else "No trip named")

    @property
    def verb(self) -> str:
        return "Link" if self.count == 1 else f"Link all {self.count}"

    @property
    def more(self) -> int:
        return self.count - len(self.people)

    @property
    def equal(self) -> list[Likely]:
        return [likely for likely in self.likely if likely.equal]

    @property
    def can_be_made(self) -> bool:
        """Whether a trip may be made of what GoHighLevel says of it."""
        return not self.equal and bool(self.name or self.number is not None)

    @property
    def sure(self) -> Likely | None:
        """The one trip that more speaks for than for any other; None where there is none or a choice."""
        first, second = (*self.equal, None, None)[:2]
        tie = first is not None and second is not None and len(first.reasons) == len(second.reasons)
        return None if tie else first

    @property
    def token(self) -> str:
        """The group and the trip it is sure of, as the form sends them back."""
        return json.dumps([self.name, self.number, self.sure.trip.pk]) if self.sure else ""


def unlinked_groups(number: str | int) -> tuple[Page[Any], list[Group]]:
    """One page, the largest groups first, with their people and likely trips: five queries."""
    rows = (
        Passenger.objects.unlinked()
        .order_by()
        .values("trip_name_raw", "trip_id_raw")
        .annotate(count=Count("pk"))
        .order_by("-count", "trip_name_raw", "trip_id_raw")
    )
    page = Paginator(rows, GROUPS_A_PAGE).get_page(number)
    groups = [Group(row["trip_name_raw"], row["trip_id_raw"], row["count"]) for row in page.object_list]
    _add_people(groups)
    _add_equal(groups)
    _add_alike(groups)
    return page, groups


def in_group(group: Group) -> Q:
    number = Q(trip_id_raw__isnull=True) if group.number is None else Q(trip_id_raw=group.number)
    return Q(trip_name_raw=group.name) & number


def _add_people(groups: list[Group]) -> None:
    if not groups:
        return
    wanted = Q()
    for group in groups:
        wanted |= in_group(group)
    order = ("legal_last_name", "legal_first_name", "pk")
    place = Window(RowNumber(), partition_by=["trip_name_raw", "trip_id_raw"], order_by=order)
    rows = Passenger.objects.unlinked().filter(wanted).annotate(place=place).filter(place__lte=PEOPLE_SHOWN)
    by_key = {group.key: group for group in groups}
    for person in rows.order_by(*order):
        by_key[person.trip_name_raw, person.trip_id_raw].people.append(person)


def _add_equal(groups: list[Group]) -> None:
    numbers = {group.number for group in groups if group.number is not None}
    names = {fold_name(group.name)[:255] for group in groups if group.name}
    if not numbers and not names:
        return
    trips = list(Trip.objects.filter(Q(legacy_trip_id__in=numbers) | Q(name_key__in=names)).order_by("-pk"))
    for group in groups:
        key = fold_name(group.name)[:255] if group.name else None
        for trip in trips:
            reasons = []
            if group.number is not None and trip.legacy_trip_id == group.number:
                reasons.append("same trip ID")
            if key and trip.name_key == key:
                reasons.append("same name")
            if reasons:
                group.likely.append(Likely(trip, tuple(reasons)))
        group.likely.sort(key=lambda likely: -len(likely.reasons))


def _add_alike(groups: list[Group]) -> None:
    """Trips whose name is like that of a group without an equal one; one query for all of them."""
    asking = {group.key: _long_words(group.name) for group in groups if group.name and not group.likely}
    words = {word for found in asking.values() for word in found}
    if not words:
        return
    shares = Q()
    for word in sorted(words):
        shares |= Q(search_key__contains=word)
    trips = list(Trip.objects.active().filter(shares).order_by("-pk")[:ALIKE_LOOKED_AT])
    for group in groups:
        if group.key in asking:
            group.likely += _most_alike(group, trips)


def _long_words(name: str) -> list[str]:
    words = {word for word in fold_search(name).split() if len(word) >= LONG_WORD and not word.isdigit()}
    return sorted(words, key=lambda word: (-len(word), word))[:2]


def _most_alike(group: Group, trips: list[Trip]) -> list[Likely]:
    name = fold_search(group.name)
    shares = [(round(100 * SequenceMatcher(None, name, fold_search(trip.name)).ratio()), trip) for trip in trips]
    best = sorted((pair for pair in shares if pair[0] >= ALIKE_PERCENT), key=lambda pair: -pair[0])
    return [Likely(trip, (f"name {share} % alike",), equal=False) for share, trip in best[:ALIKE_OFFERED]]
