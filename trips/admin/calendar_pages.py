"""The calendar: a month or a quarter, a strip of days for each month, trips that overlap one below the other.

Days are those of the trips and nothing else: a trip without a departure stands in a tray of its own, one without an end
takes its first day and says that the end is open. Lost, abandoned and archived trips are left out.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import formats, timezone

from trips.admin.base import day
from trips.dates import add_months
from trips.enums import TripStage
from trips.expressions import departs_on, ends_on

# More bars than these are no calendar any more; the page says how many it leaves out.
MOST_SHOWN = 300
IN_TRAY = 30
MONTH, QUARTER = "month", "quarter"
LENGTHS = {MONTH: 1, QUARTER: 3}
FIRST_YEAR, LAST_YEAR = 1970, 2200
# What stands in front of a bar's name, since colour alone says nothing to some.
MARKS = {stage: str(number) for number, stage in enumerate(TripStage.values, 1)}
UNKNOWN_MARK = "?"


@dataclass(frozen=True, slots=True)
class Bar:
    """A trip in one month's strip: the columns it spans and the lane it has for itself."""

    entry: Entry
    begin: int
    end: int
    lane: int
    from_before: bool
    goes_on: bool


@dataclass(frozen=True, slots=True)
class Entry:
    """A trip as the calendar tells it. `note` says what is odd about its days."""

    name: str
    url: str
    first: dt.date
    last: dt.date
    days: str
    seats: str
    stage: str
    mark: str
    note: str = ""

    @property
    def css(self) -> str:
        return f"cal-{self.mark}" if self.mark != UNKNOWN_MARK else "cal-other"

    @property
    def title(self) -> str:
        return ", ".join(filter(None, (self.name, self.days, self.stage, self.seats, self.note)))


@dataclass(frozen=True, slots=True)
class Day:
    number: int
    weekday: str
    weekend: bool
    today: bool


@dataclass(frozen=True, slots=True)
class Strip:
    """One month."""

    title: str
    days: list[Day]
    bars: list[Bar] = field(default_factory=list)
    lanes: int = 1

    @property
    def entries(self) -> list[Entry]:
        return [bar.entry for bar in self.bars]


class CalendarPages:
    """Mixin for the page of trips."""

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.calendar_view)  # type: ignore[attr-defined]
        return [path("calendar/", view, name="trips_trip_calendar"), *super().get_urls()]  # type: ignore[misc]

    def calendar_view(self, request: HttpRequest) -> HttpResponse:
        if not self.has_view_permission(request):  # type: ignore[attr-defined]
            raise PermissionDenied
        today = timezone.localdate()
        length = request.GET.get("show", MONTH)
        length = length if length in LENGTHS else MONTH
        begin = self._begin(request, today, length)
        months = [add_months(begin, step) for step in range(LENGTHS[length])]
        end = add_months(begin, LENGTHS[length]) - dt.timedelta(days=1)
        entries, more = self._entries(request, begin, end)
        undated: Any = self.get_queryset(request).going().undated().order_by("pk")  # type: ignore[attr-defined]
        context = {
            **self.admin_site.each_context(request),  # type: ignore[attr-defined]
            "title": f"Calendar, {_title(months)}",
            "strips": [_strip(month, entries, today) for month in months],
            "shown": bool(entries),
            "more": more,
            "most": MOST_SHOWN,
            "month": f"{begin:%Y-%m}",
            "lengths": [(code, code.capitalize(), code == length) for code in LENGTHS],
            "before": _address(add_months(begin, -LENGTHS[length]), length),
            "after": _address(add_months(begin, LENGTHS[length]), length),
            "now": _address(today, length),
            "legend": [(MARKS[stage], label) for stage, label in TripStage.choices],
            "tray": [(trip, reverse("admin:trips_trip_change", args=[trip.pk])) for trip in undated[:IN_TRAY]],
            "undated": undated.count(),
            "undated_url": f"{reverse('admin:trips_trip_changelist')}?look=no_dates",
            "may_add": self.has_add_permission(request),  # type: ignore[attr-defined]
        }
        return TemplateResponse(request, "trips/admin/calendar.html", context)

    def _begin(self, request: HttpRequest, today: dt.date, length: str) -> dt.date:
        """The first day to show; a month that cannot be read says so and is this one."""
        asked = request.GET.get("from", "")
        month = _month(asked) if asked else today.replace(day=1)
        if month is None:
            text = f"“{asked[:20]}” is no month from {FIRST_YEAR} to {LAST_YEAR}, such as 2027-03; this month is shown."
            self.message_user(request, text, messages.WARNING)  # type: ignore[attr-defined]
            month = today.replace(day=1)
        return month if length == MONTH else month.replace(month=(month.month - 1) // 3 * 3 + 1)

    def _entries(self, request: HttpRequest, begin: dt.date, end: dt.date) -> tuple[list[Entry], int]:
        """The trips of these days by their first one, and how many more there are."""
        rows = (
            self.get_queryset(request)  # type: ignore[attr-defined]
            .going()
            .annotate(first_day=departs_on(), last_day=Coalesce(ends_on(), departs_on()))
            .filter(Q(first_day__gte=begin) | Q(last_day__gte=begin), first_day__lte=end)
            .order_by("first_day", "-last_day", "pk")
        )
        trips = list(rows[: MOST_SHOWN + 1])
        more = rows.count() - MOST_SHOWN if len(trips) > MOST_SHOWN else 0
        return [_entry(trip) for trip in trips[:MOST_SHOWN]], more


def _month(text: str) -> dt.date | None:
    found = re.fullmatch(r"(\d{4})-(\d{2})", text, re.ASCII)
    year, month = (int(part) for part in found.groups()) if found else (0, 0)
    return dt.date(year, month, 1) if FIRST_YEAR <= year <= LAST_YEAR and 1 <= month <= 12 else None


def _address(first: dt.date, length: str) -> str:
    """Empty beyond the years that the calendar shows."""
    return f"?{urlencode({'show': length, 'from': f'{first:%Y-%m}'})}" if _month(f"{first:%Y-%m}") else ""


def _title(months: Sequence[dt.date]) -> str:
    first, last = (formats.date_format(month, "F Y") for month in (months[0], months[-1]))
    return first if first == last else f"{first} to {last}"


def _entry(trip: Any) -> Entry:
    first, ends = trip.departs_on, trip.ends_on
    note = "no end date" if ends is None else "the end is before the start" if ends < first else ""
    last = ends if ends and not note else first
    days = day(first) if last == first else f"{day(first)} – {day(last)}"
    seats = f"{trip.enrolled_count} booked" if trip.capacity is None else f"{trip.enrolled_count} / {trip.capacity}"
    url = reverse("admin:trips_trip_change", args=[trip.pk])
    mark = MARKS.get(trip.stage, UNKNOWN_MARK)
    return Entry(str(trip), url, first, last, days, seats, trip.get_stage_display(), mark, note)


def _strip(month: dt.date, entries: Sequence[Entry], today: dt.date) -> Strip:
    end = add_months(month, 1) - dt.timedelta(days=1)
    days = [_day(month + dt.timedelta(days=step), today) for step in range(end.day)]
    bars: list[Bar] = []
    free: list[dt.date] = []  # by lane, the first day on which it is free
    for entry in entries:
        if entry.first > end or entry.last < month:
            continue
        lane = next((at for at, since in enumerate(free) if since <= entry.first), len(free))
        free[lane : lane + 1] = [entry.last + dt.timedelta(days=1)]
        begin = max(entry.first, month).day
        bars.append(Bar(entry, begin, min(entry.last, end).day + 1, lane + 2, entry.first < month, entry.last > end))
    return Strip(formats.date_format(month, "F Y"), days, bars, max(len(free), 1))


def _day(one: dt.date, today: dt.date) -> Day:
    return Day(one.day, formats.date_format(one, "D")[:2], one.weekday() >= 5, one == today)
