"""The home page: what to do today, what leaves next, how full and how far everything is.

Each number leads to the list of exactly what it counts: a tile is a query and the address whose filters repeat it, and
a test holds the two together. Whoever may not see a list does not see its tile. All of it is a fixed number of queries.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.db.models import Count, F, Q, Sum
from django.db.models.functions import TruncMonth
from django.http import HttpRequest
from django.urls import reverse
from django.utils import formats, timezone

from ghl_sync.admin import desk
from ghl_sync.admin.account import account_of
from trips.admin.base import day
from trips.admin.charts import Chart, Series, chart
from trips.admin.lists import counted
from trips.dates import add_months
from trips.enums import DocumentState, FormState, PassengerStage, TripStage
from trips.models import Document, Passenger, TravellerForm, Trip
from trips.readiness import Readiness, readiness_of
from trips.scope import visible_to

SOON_DAYS = 14
PAPERS_DAYS = 60
PASSPORT_DAYS = 90
# A chart's months, this one included, and how many departures are listed.
MONTHS = 6
DEPARTURES = 8
WEEKS = 6


@dataclass(frozen=True, slots=True)
class Tile:
    """`rows` are counted; `address` is a list page and its filters."""

    label: str
    hint: str
    permission: str
    rows: Callable[[dt.date], Any]
    page: str
    filters: dict[str, str]

    @property
    def url(self) -> str:
        return f"{reverse(self.page)}?{urlencode(self.filters)}"


@dataclass(frozen=True, slots=True)
class Number:
    label: str
    hint: str
    count: int
    url: str
    urgent: bool = False


@dataclass(frozen=True, slots=True)
class Departure:
    trip: Trip
    when: str
    days: int
    seats: str
    over: bool
    percent: int
    missing: list[str]
    url: str


@dataclass(frozen=True, slots=True)
class Step:
    """A stage of a funnel: how many stand there, and that as a share of the fullest one, in percent."""

    label: str
    count: int
    share: int
    url: str


def _within(rows: Any, today: dt.date, days: int) -> Any:
    return rows.going().departing(first=today, last=today + dt.timedelta(days=days))


def _trips() -> Any:
    return Trip.objects.all()


def _people() -> Any:
    return Passenger.objects.all()


TRIPS, PASSENGERS, DOCUMENTS = (f"admin:trips_{name}_changelist" for name in ("trip", "passenger", "document"))
TILES = (
    Tile(
        "Leave soon, not ready",
        f"Trips that leave within {SOON_DAYS} days and lack something.",
        "trips.view_trip",
        lambda today: _within(_trips().not_ready(today), today, SOON_DAYS),
        TRIPS,
        {"look": "not_ready", "departs": str(SOON_DAYS)},
    ),
    Tile(
        "Passports to mend",
        f"Missing, expired or too short; the trip leaves within {PASSPORT_DAYS} days.",
        "trips.view_passport",
        lambda today: _within(_people().lacking("passport", today), today, PASSPORT_DAYS),
        PASSENGERS,
        {"look": "passport", "departs": str(PASSPORT_DAYS)},
    ),
    Tile(
        "Documents missing",
        f"Travellers whose papers are not complete; the trip leaves within {PAPERS_DAYS} days.",
        "trips.view_document",
        lambda today: _within(_people().lacking("documents", today), today, PAPERS_DAYS),
        PASSENGERS,
        {"look": "documents", "departs": str(PAPERS_DAYS)},
    ),
    Tile(
        "Documents to review",
        "Handed in and not approved yet.",
        "trips.view_document",
        lambda today: Document.objects.filter(state=DocumentState.RECEIVED),
        DOCUMENTS,
        {"state__exact": DocumentState.RECEIVED},
    ),
    Tile(
        "Overdue balances",
        "A deposit or a final payment was due and is not here.",
        "trips.view_payment",
        lambda today: _people().overdue(today),
        PASSENGERS,
        {"money": "overdue"},
    ),
    Tile(
        "New forms",
        "Travellers who sent their details; the trip is not over.",
        "trips.view_passenger",
        lambda today: _people().filter(stage=PassengerStage.DETAILS_SUBMITTED).upcoming(today),
        PASSENGERS,
        {"stage__exact": PassengerStage.DETAILS_SUBMITTED, "departs": "upcoming"},
    ),
    Tile(
        "Over, not closed",
        "Trips that have ended and are not complete yet.",
        "trips.view_trip",
        lambda today: _trips().ended_open(today),
        TRIPS,
        {"look": "ended_open"},
    ),
)

# Stands with the others where forms for travellers are switched on.
FORMS = Tile(
    "Forms to review",
    "Travellers filled in their own form; nothing is taken over yet.",
    "trips.view_travellerform",
    lambda today: TravellerForm.objects.filter(state=FormState.SENT_IN),
    "admin:trips_travellerform_changelist",
    {"state__exact": FormState.SENT_IN},
)


def context_for(request: HttpRequest) -> dict[str, Any]:
    """Everything the home page shows this user."""
    user: Any = request.user
    if isinstance(user, AnonymousUser):
        return {}
    today = timezone.localdate()
    return {
        "numbers": [*_sync(request), *_numbers(user, today)],
        "departures": _departures(user, today) if user.has_perm("trips.view_trip") else None,
        "weeks": WEEKS,
        "charts": _charts(user, today) if user.has_perm("trips.view_trip") else [],
        "funnels": _funnels(user, today),
        "first_trip": user.has_perm("trips.add_trip") and not Trip.objects.exists(),
    }


def _numbers(user: Any, today: dt.date) -> list[Number]:
    return [
        Number(tile.label, tile.hint, counted(visible_to(user, tile.rows(today))), tile.url)
        for tile in (*TILES, *((FORMS,) if settings.TRAVELLER_LINKS else ()))
        if user.has_perm(tile.permission)
    ]


def _sync(request: HttpRequest) -> list[Number]:
    """First of all when something is wrong: a sync that stands still is seen before anything else."""
    user: Any = request.user
    if not user.has_perm(desk.MAY_LOOK):
        return []
    colour, word, sentence = desk.standing(account_of(request))
    hint = sentence if colour == "bad" else "Conflicts, refusals and questions that wait for you."
    label = f"GoHighLevel: {word.lower()}" if colour == "bad" else "Sync needs you"
    return [Number(label, hint, desk.asking(user), reverse("admin:ghl_sync_desk"), urgent=colour == "bad")]


def _departures(user: Any, today: dt.date) -> list[Departure]:
    last = today + dt.timedelta(weeks=WEEKS)
    rows: Any = Trip.objects.going().departing(first=today, last=last).with_counts()
    trips = list(visible_to(user, rows).order_by("departure", "pk")[:DEPARTURES])
    ready = readiness_of(trips, today)
    return [_departure(user, trip, ready[trip.pk], today) for trip in trips]


def _departure(user: Any, trip: Any, readiness: Readiness, today: dt.date) -> Departure:
    seats = f"{trip.enrolled_count}" if trip.capacity is None else f"{trip.enrolled_count} / {trip.capacity}"
    url = reverse("admin:trips_trip_change", args=[trip.pk])
    seen = [line for line in readiness.missing if user.has_perm(line.permission)]
    missing = [f"{line.label}: {line.missing} open" for line in seen]
    days = (trip.departure - today).days
    over = trip.capacity is not None and trip.enrolled_count > trip.capacity
    return Departure(trip, day(trip.departure), days, seats, over, readiness.percent, missing, url)


def _charts(user: Any, today: dt.date) -> list[Chart]:
    """Seats of the trips that leave in the coming months and, for whoever may see payments, what they are worth."""
    first = today.replace(day=1)
    months = [add_months(first, step) for step in range(MONTHS)]
    last = add_months(first, MONTHS) - dt.timedelta(days=1)
    trips: Any = visible_to(user, Trip.objects.going().departing(first=first, last=last)).with_counts().order_by()
    counted: dict[Any, Any] = {
        row["month"]: row
        for row in trips.annotate(month=TruncMonth("departure"))
        .values("month")
        .annotate(
            seats=Sum("enrolled_count"),
            capacity=Sum("capacity"),
            # Amounts in different currencies make no sum: the others are left out, and the title says so.
            worth=Sum(F("enrolled_count") * F("price_per_person"), filter=Q(currency=settings.TRIP_CURRENCY)),
        )
    }
    columns = [formats.date_format(month, "M Y") for month in months]

    def values(name: str) -> list[float | None]:
        return [float(counted.get(month, {}).get(name) or 0) for month in months]

    none = "No trip leaves in the next six months."
    seats = [Series("booked", values("seats"), "chart-bar-a"), Series("seats", values("capacity"), "chart-bar-b")]
    drawn = [chart("seats", "Seats by month of departure", columns, seats, unit="", column="Month", empty=none)]
    if user.has_perm("trips.view_payment"):
        title = f"Price of all booked seats, by month of departure, trips in {settings.TRIP_CURRENCY}"
        worth = [Series("for booked seats", values("worth"), "chart-bar-a")]
        drawn.append(chart("worth", title, columns, worth, unit="", column="Month", empty=none))
    return drawn


def _funnels(user: Any, today: dt.date) -> list[tuple[str, list[Step]]]:
    """Both pipelines, of trips that are not over: how many stand in each stage."""
    wanted = (
        ("Trips by stage", "trips.view_trip", Trip.objects.upcoming(today), TripStage, TRIPS),
        ("Travellers by stage", "trips.view_passenger", Passenger.objects.upcoming(today), PassengerStage, PASSENGERS),
    )
    return [
        (title, _steps(visible_to(user, rows), stages, page))
        for title, may, rows, stages, page in wanted
        if user.has_perm(may)
    ]


def _steps(rows: Any, stages: Any, page: str) -> list[Step]:
    counts = dict(rows.order_by().values_list("stage").annotate(n=Count("pk")))
    known: Iterable[tuple[str, str]] = stages.choices
    named = [*known, *((stage, stage) for stage in sorted(counts) if stage not in stages.values)]
    fullest = max(counts.values(), default=0)
    url = reverse(page)
    return [
        Step(
            label,
            counts.get(stage, 0),
            counts.get(stage, 0) * 100 // fullest if fullest else 0,
            f"{url}?{urlencode({'stage__exact': stage, 'departs': 'upcoming'})}",
        )
        for stage, label in named
    ]
