"""A trip's programme on one page: the itinerary day by day, flights, transfers, and what does not fit together.

One form a part, empty for adding or filled for a change, and each saved entry leads to the next one. Each part is of a
model with permissions of its own: who may not see it finds no trace of it here.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import formats

from trips.admin.base import said
from trips.admin.bulk import SECONDS, with_undo
from trips.admin.programme_forms import FlightForm, ItineraryForm, ProgrammeForm, TransferForm, booked
from trips.admin.workspace import overview
from trips.enums import Leg
from trips.models import Flight, ItineraryItem, Transfer, Trip
from trips.permissions import may_see
from trips.programme_rules import days_of
from trips.services import travel
from trips.services.plans import carry_out
from trips.services.programme import FARTHEST_MOVE, each_day, moving_by
from trips.text import is_id

MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Part:
    """`code` names it in the page and in its address."""

    code: str
    model: type[Any]
    title: str
    one: str

    def may(self, user: Any, verb: str) -> bool:
        return bool(user.has_perm(f"trips.{verb}_{self.model._meta.model_name}"))

    def seen(self, user: Any) -> bool:
        return may_see(user, self.model._meta.label_lower)


PARTS = (
    Part("itinerary", ItineraryItem, "Itinerary", "an entry"),
    Part("flights", Flight, "Flights", "a flight"),
    Part("transfers", Transfer, "Transfers", "a transfer"),
)
BY_CODE = {part.code: part for part in PARTS}


class ProgrammePage:
    """Mixin for the trip's page: its programme."""

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view  # type: ignore[attr-defined]
        return [
            path("<int:object_id>/programme/", wrap(self.programme_view), name="trips_trip_programme"),
            # Where lists lead from an entry: to the page that it is on.
            path("programme/entry/<int:pk>/", wrap(self.entry_view), name="trips_itineraryitem_change"),
            *super().get_urls(),  # type: ignore[misc]
        ]

    def entry_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        entry = get_object_or_404(ItineraryItem, pk=pk)
        self._programme_trip(request, entry.trip_id)
        return HttpResponseRedirect(_address(entry.trip, {"change": f"itinerary:{pk}"}, "itinerary"))

    def programme_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        trip = self._programme_trip(request, object_id)
        bound: dict[str, ProgrammeForm] = {}
        if request.method == "POST":
            answer = self._change_programme(request, trip, bound)
            if answer is not None:
                return answer
        return TemplateResponse(request, "trips/admin/trip_programme.html", self._programme(request, trip, bound))

    def _programme_trip(self, request: HttpRequest, object_id: int) -> Any:
        if not self.has_view_permission(request) or not any(part.seen(request.user) for part in PARTS):  # type: ignore[attr-defined]
            raise PermissionDenied
        trip = self.get_queryset(request).filter(pk=object_id).first()  # type: ignore[attr-defined]
        if trip is None:
            raise Http404(f"There is no trip {object_id}.")
        return trip

    # What the page shows

    def _programme(self, request: HttpRequest, trip: Trip, bound: dict[str, ProgrammeForm]) -> dict[str, Any]:
        user: Any = request.user
        people = booked(trip)
        flights = list(trip.flights.select_related("passenger")) if BY_CODE["flights"].seen(user) else []
        transfers = _transfers(trip) if BY_CODE["transfers"].seen(user) else []
        return {
            **self.admin_site.each_context(request),  # type: ignore[attr-defined]
            "title": f"Programme of {trip}",
            "trip": trip,
            "overview": overview(request, trip),
            "dated": days_of(trip) is not None,
            "parts": {
                part.code: self._programme_part(request, trip, part, bound, flights)
                for part in PARTS
                if part.seen(user)
            },
            "days": _days(trip) if BY_CODE["itinerary"].seen(user) else [],
            "flights": [_flight_line(flight, user) for flight in flights],
            "transfers": [_transfer_line(ride, people) for ride in transfers],
            "remarks": _remarks(user, trip, people, transfers),
            "farthest": FARTHEST_MOVE,
            "may_move": any(part.may(user, "change") for part in PARTS),
            "report": reverse("trips:trip_report", args=[trip.pk, "itinerary", "standard"]),
            "arrivals": reverse("trips:trip_report", args=[trip.pk, "arrivals", "standard"])
            if may_see(user, "trips.passenger")
            else "",
        }

    def _programme_part(
        self,
        request: HttpRequest,
        trip: Trip,
        part: Part,
        bound: dict[str, ProgrammeForm],
        flights: list[Flight],
    ) -> dict[str, Any]:
        """The form of a part: as it was sent, filled for the entry to change, or empty."""
        user: Any = request.user
        asked = _chosen(trip, part, request.GET.get("change", ""))
        changing = bound[part.code].instance if part.code in bound else asked
        changing = changing if changing is not None and changing.pk else None
        allowed = part.may(user, "change" if changing else "add")
        form = bound.get(part.code) or (self._programme_form(request, trip, part, None, changing) if allowed else None)
        if form is not None and (part.code in bound or changing or request.GET.get("next") == part.code):
            form.focus(next(iter(form.errors), "") if set(form.errors) <= set(form.fields) else "")
        return {
            "part": part,
            "form": form,
            "changing": changing,
            "may_change": part.may(user, "change"),
            "may_delete": part.may(user, "delete"),
        }

    def _programme_form(self, request: HttpRequest, trip: Trip, part: Part, data: Any, row: Any) -> ProgrammeForm:
        user: Any = request.user
        shared: dict[str, Any] = {
            "trip": trip,
            "instance": row or part.model(trip=trip),
            "prefix": part.code,
            "initial": {} if row else _proposed(request, trip, part),
        }
        if part.model is ItineraryItem:
            return ItineraryForm(data, **shared)
        if part.model is Flight:
            people = list(trip.passengers.seated()) if may_see(user, "trips.passenger") else None
            if people is not None and row is not None and row.passenger is not None and row.passenger not in people:
                people.append(row.passenger)
            return FlightForm(data, people=people, **shared)
        seen = list(trip.flights.select_related("passenger")) if BY_CODE["flights"].seen(user) else []
        return TransferForm(data, flights=seen, user=user, site=self.admin_site, **shared)  # type: ignore[attr-defined]

    # What it does

    def _change_programme(
        self, request: HttpRequest, trip: Trip, bound: dict[str, ProgrammeForm]
    ) -> HttpResponse | None:
        """Where to go after the work; None where a form goes out again with its errors."""
        verb = request.POST.get("verb", "")
        if verb == "move":
            return self._move_programme(request, trip)
        part = BY_CODE.get(request.POST.get("part", ""))
        if part is None or verb not in ("save", "remove"):
            raise Http404("No such action.")
        row = _chosen(trip, part, f"{part.code}:{request.POST.get('row', '')}")
        if row is None and request.POST.get("row"):
            self._tell_programme(
                request, messages.WARNING, "Somebody has removed this entry meanwhile; nothing was changed."
            )
            return HttpResponseRedirect(_address(trip, {}, part.code))
        needed = "delete" if verb == "remove" else "change" if row else "add"
        if not part.may(request.user, needed):
            raise PermissionDenied
        if verb == "remove":
            return self._remove_entry(request, trip, part, row)
        form = self._programme_form(request, trip, part, request.POST, row)
        if not form.is_valid():
            bound[part.code] = form
            return None
        form.instance._history_user = request.user
        saved = form.save()
        self._tell_programme(request, messages.SUCCESS, f"{saved}: {'changed' if row else 'added'}.")
        for sentence in form.warnings:
            self._tell_programme(request, messages.WARNING, sentence)
        return HttpResponseRedirect(_address(trip, {} if row else _after(part, saved), part.code))

    def _remove_entry(self, request: HttpRequest, trip: Trip, part: Part, row: Any) -> HttpResponse:
        if row is None:
            raise Http404("There is no such entry.")
        name = str(row)
        row._history_user = request.user
        row.delete()
        self._tell_programme(request, messages.SUCCESS, f"{name}: removed.")
        return HttpResponseRedirect(_address(trip, {}, part.code))

    def _move_programme(self, request: HttpRequest, trip: Trip) -> HttpResponse:
        """All days of what this user may change, so many days later."""
        models = tuple(part.model for part in PARTS if part.may(request.user, "change"))
        if not models:
            raise PermissionDenied
        text = request.POST.get("days", "").strip()
        days = int(text) if text.removeprefix("-").isdigit() and text.isascii() and len(text) < 6 else 0
        back = HttpResponseRedirect(_address(trip, {}, "itinerary"))
        if days == 0 or abs(days) > FARTHEST_MOVE:
            told = f"“{text[:20]}” is no number of days. Give one such as 7, or -7 for earlier, up to {FARTHEST_MOVE}."
            self._tell_programme(request, messages.ERROR, told)
            return back
        try:
            plan = moving_by(trip=trip, days=days, models=models)
        except OverflowError:
            self._tell_programme(request, messages.ERROR, "That lies beyond the year 9999; nothing was moved.")
            return back
        done = carry_out(plan=plan, by=request.user, seconds=SECONDS)
        told = f"{said(done.count, 'entry', 'entries')} moved by {said(days, 'day', 'days')}."
        self._tell_programme(request, messages.SUCCESS if done.count else messages.WARNING, with_undo(told, done.batch))
        return back

    def _tell_programme(self, request: HttpRequest, level: int, text: str) -> None:
        self.message_user(request, text, level)  # type: ignore[attr-defined]


def _address(trip: Trip, query: dict[str, str], part: str) -> str:
    url = reverse("admin:trips_trip_programme", args=[trip.pk])
    return f"{url}{'?' if query else ''}{urlencode(query)}#{part}"


def _chosen(trip: Trip, part: Part, text: str) -> Any:
    """The entry of the trip that "itinerary:12" names; None without one."""
    code, _, pk = text.partition(":")
    return part.model._default_manager.filter(trip=trip, pk=pk).first() if code == part.code and is_id(pk) else None


def _after(part: Part, saved: Any) -> dict[str, str]:
    """How the next form starts: on the same day, where the last entry ended."""
    day = saved.leaves_on if part.model is Flight else saved.day
    query = {"next": part.code, "day": day.isoformat()}
    if part.model is ItineraryItem and saved.ends_at:
        query["at"] = f"{saved.ends_at:%H:%M}"
    if part.model is not ItineraryItem:
        query["leg"] = saved.leg
    return query


def _proposed(request: HttpRequest, trip: Trip, part: Part) -> dict[str, Any]:
    """What an empty form begins with: what the address says, else the day on which the trip begins or ends."""
    days = days_of(trip)
    if days is None:
        return {}
    mine = request.GET.get("next") == part.code
    leg = request.GET.get("leg", "") if mine and request.GET.get("leg") in Leg.values else Leg.ARRIVAL.value
    day = _read(dt.date.fromisoformat, request.GET.get("day", "")) if mine else None
    day = day or (days[1] if leg == Leg.DEPARTURE else days[0])
    if part.model is Flight:
        return {"leg": leg, "leaves_on": day}
    if part.model is Transfer:
        return {"leg": leg, "day": day}
    return {"day": day, "starts_at": _read(dt.time.fromisoformat, request.GET.get("at", "")) if mine else None}


def _read(parse: Callable[[str], Any], text: str) -> Any:
    try:
        return parse(text)
    except ValueError:
        return None


def _clock(time: dt.time | None) -> str:
    return f"{time:%H:%M}" if time else ""


def _days(trip: Trip) -> list[dict[str, Any]]:
    """Each day of the trip with its entries, then those that lie outside it since its dates were changed."""
    entries: dict[dt.date, list[dict[str, Any]]] = {}
    for item in trip.itinerary.all():
        hours = " – ".join(filter(None, (_clock(item.starts_at), _clock(item.ends_at))))
        entries.setdefault(item.day, []).append({"item": item, "hours": hours or "All day"})
    ours = each_day(trip)
    listed = [(number, day) for number, day in enumerate(ours, 1)]
    strange = [(0, day) for day in sorted(set(entries) - set(ours))]
    return [
        {
            "number": number,
            "title": formats.date_format(day, "D, j M Y"),
            "entries": entries.get(day, []),
            "add": urlencode({"next": "itinerary", "day": day.isoformat()}),
        }
        for number, day in [*listed, *strange]
    ]


def _flight_line(flight: Flight, user: Any) -> dict[str, Any]:
    whose = "The group’s"
    if flight.passenger is not None:
        whose = str(flight.passenger) if may_see(user, "trips.passenger") else "One traveller’s"
    gone = flight.passenger is not None and flight.passenger.trip_id != flight.trip_id
    return {
        "flight": flight,
        "whose": whose,
        "gone": gone,
        "leaves": _moment(flight.from_place, flight.leaves_on, flight.leaves_at),
        "lands": _moment(flight.to_place, flight.arrives_on, flight.arrives_at),
    }


def _moment(place: str, day: dt.date, time: dt.time | None) -> str:
    return " ".join(filter(None, (place, formats.date_format(day, "j M Y"), _clock(time))))


def _transfers(trip: Trip) -> list[Transfer]:
    return list(trip.transfers.select_related("vendor").prefetch_related("flights"))


def _transfer_line(ride: Transfer, people: list[Any]) -> dict[str, Any]:
    count = sum(travel.transfer_of(one, ride.leg) == ride for one in people)
    return {
        "transfer": ride,
        "when": _moment("", ride.day, ride.starts_at),
        "flights": ", ".join(str(one) for one in ride.flights.all()) or "everybody",
        "count": count,
        "over": ride.seats is not None and count > ride.seats,
    }


def _remarks(user: Any, trip: Trip, people: list[Any], transfers: list[Transfer]) -> list[tuple[str, str]]:
    """What does not fit together, worst first: (weight, sentence). Speaks only of what this user may see."""
    found: list[tuple[str, str]] = []
    flights, rides = BY_CODE["flights"].seen(user), BY_CODE["transfers"].seen(user)
    everybody = travel.journeys(people)
    if flights and BY_CODE["itinerary"].seen(user):
        begin = travel.begins(trip)
        late = travel.late(everybody, begin)
        if late and begin:
            when = f"{formats.date_format(begin, 'j M Y')}, {begin:%H:%M}"
            found.append(("bad", f"Land after the programme has begun ({when}): {_named(user, late)}."))
    if flights:
        for ride in transfers:
            for flight in travel.misses(ride, ride.flights.all()):
                state = "has not landed yet" if ride.leg == Leg.ARRIVAL else "has left already"
                found.append(("bad", f"{ride}: flight {flight} {state} ({_clock(flight.time)})."))
    if rides:
        for leg in Leg:
            left = [one for one in everybody if one.ride(leg) is None]
            if left and any(ride.leg == leg for ride in transfers):
                found.append(("doubt", f"{leg.label}: {len(left)} not on a transfer: {_named(user, left)}."))
    return found


def _named(user: Any, some: list[travel.Journey]) -> str:
    if not may_see(user, "trips.passenger"):
        return said(len(some), "traveller", "travellers")
    more = len(some) - MOST_NAMED
    return ", ".join(str(one.passenger) for one in some[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
