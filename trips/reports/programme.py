"""The itinerary as a list: day by day what happens, as travellers and the licence's full-time schedule want it."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils import formats

from trips.models import ItineraryItem
from trips.reports.table import Column, Kind, Rows, Scope, Total, shown
from trips.services.programme import each_day


def of_trip(scope: Scope) -> Rows:
    return ItineraryItem.objects.filter(trip=scope.trip)


def _clock(name: str) -> Column:
    label = {"starts_at": "From", "ends_at": "To"}[name]

    def read(item: ItineraryItem) -> str:
        time = getattr(item, name)
        return f"{time:%H:%M}" if time else ""

    return Column(name, label, read)


ITINERARY = (
    Column("day", "Day", lambda item: item.day, Kind.DATE),
    Column("weekday", "Weekday", lambda item: formats.date_format(item.day, "l")),
    _clock("starts_at"),
    _clock("ends_at"),
    Column("title", "What", lambda item: item.title),
    Column("place", "Where", lambda item: item.place, shy=True),
    Column("note", "Note", lambda item: item.note, shy=True),
)


def days(items: Sequence[ItineraryItem]) -> list[Total]:
    return [Total("Days with a programme", str(len({item.day for item in items})))]


def empty_days(scope: Scope, items: Sequence[ItineraryItem]) -> list[str]:
    """The days on which nothing is planned, and what lies outside the trip since its dates were changed."""
    if scope.trip is None:
        return []
    ours, planned = each_day(scope.trip), {item.day for item in items}
    empty = [shown(day, Kind.DATE) for day in ours if day not in planned]
    strange = [shown(day, Kind.DATE) for day in sorted(planned - set(ours))]
    told = ["Times are local to the place."]
    if empty:
        told.append(f"Nothing is planned on {', '.join(empty)}.")
    if strange:
        told.append(f"Not days of the trip: {', '.join(strange)}.")
    return told
