"""One search over everything: trips, people, vendors, by name parts in any order, phone, number or GoHighLevel ID.

Each list's own search answers, so that what is found here is found there, and hidden fields are searched nowhere.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET

from trips.admin.base import day
from trips.enums import ReadKind
from trips.models import Contact, Passenger, Trip, Vendor
from trips.services import reading

SHOWN = 8
# Among so many the travellers of a running trip are looked for: at night they are the ones who are asked about.
LOOKED_AT = 50
LEAST_LETTERS = 2


@dataclass(frozen=True, slots=True)
class Found:
    label: str
    url: str
    hint: str
    card: str = ""  # the address of a traveller's emergency card


@dataclass(frozen=True, slots=True)
class Group:
    """What one list found; `more` leads to all of it where there is more than is shown."""

    title: str
    rows: list[Found]
    more: str


@require_GET
def find(request: HttpRequest) -> HttpResponse:
    """The page of the search. A term of one letter finds nothing and says so."""
    term = request.GET.get("q", "").strip()
    groups = groups_of(request, term) if len(term) >= LEAST_LETTERS else []
    if groups:
        reading.note(request, ReadKind.SEARCH, what=term)
    context = {
        **admin.site.each_context(request),
        "title": "Find",
        "term": term,
        "groups": groups,
        "least": LEAST_LETTERS,
    }
    return TemplateResponse(request, "trips/admin/find.html", context)


def groups_of(request: HttpRequest, term: str) -> list[Group]:
    """What the user may see of what the term finds; lists that found nothing are left out."""
    asked: tuple[tuple[type[Any], Callable[[Any], Found]], ...] = (
        (Passenger, _passenger), (Trip, _trip), (Contact, _contact), (Vendor, _vendor),
    )  # fmt: skip
    groups = [_group(request, term, model, shown) for model, shown in asked]
    return [group for group in groups if group is not None and group.rows]


def _group(request: HttpRequest, term: str, model: type[Any], shown: Callable[[Any], Found]) -> Group | None:
    page = admin.site.get_model_admin(model)
    if not page.has_view_permission(request):
        return None
    rows, doubles = page.get_search_results(request, page.get_queryset(request), term)
    related = {Passenger: ("trip",), Trip: (), Contact: (), Vendor: ()}[model]
    rows = (rows.distinct() if doubles else rows).select_related(*related)
    found = list(rows[: LOOKED_AT if model is Passenger else SHOWN + 1])
    if model is Passenger:
        found.sort(key=lambda one: _distance(one, timezone.localdate()))
    name = model._meta.model_name
    more = f"{reverse(f'admin:trips_{name}_changelist')}?{urlencode({'q': term})}" if len(found) > SHOWN else ""
    return Group(str(model._meta.verbose_name_plural).capitalize(), [shown(one) for one in found[:SHOWN]], more)


def _distance(passenger: Passenger, today: dt.date) -> int:
    """Days between today and the passenger's trip; 0 while it runs, many for one without dates."""
    trip = passenger.trip
    first, last = (trip.departs_on, trip.ends_on) if trip else (None, None)
    if first is None or last is None:
        return 10**6
    return max(0, (first - today).days, (today - last).days)


def _change(obj: Any) -> str:
    return reverse(f"admin:trips_{obj._meta.model_name}_change", args=[obj.pk])


def _passenger(one: Passenger) -> Found:
    trip = f"{one.trip}, {day(one.trip.departs_on) or 'no date'}" if one.trip else "no trip"
    card = reverse("admin:trips_passenger_emergency", args=[one.pk])
    return Found(str(one), _change(one), f"{trip} · {one.get_attendance_display().lower()}", card)


def _trip(one: Trip) -> Found:
    return Found(str(one), _change(one), ", ".join(filter(None, (day(one.departs_on), one.destination))))


def _contact(one: Contact) -> Found:
    return Found(str(one), _change(one), one.email or one.phone)


def _vendor(one: Vendor) -> Found:
    return Found(str(one), _change(one), one.get_kind_display())
