"""A trip's rooming page: who has no room yet, who sleeps where, what is wrong, suggesting and locking.

Everything is a form with a button; dragging a name to a room sends the same form.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core import signing
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from trips.admin.base import badge, said
from trips.admin.workspace import overview
from trips.enums import Occupancy, Sex
from trips.models import Room, Trip
from trips.models.room import MOST_BEDS, ROOM_NAMES
from trips.services import rooming, rooming_plan
from trips.services.rooming import Filled, Occupant, Rooming
from trips.text import is_id

SALT = "trips.rooming.made"
# So long a suggestion can be taken back with one click.
UNDO_SECONDS = 3600
NEW = "new"


class RoomingPage:
    """Mixin for the trip's page: its rooming."""

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view  # type: ignore[attr-defined]
        return [
            path("<int:object_id>/rooming/", wrap(self.rooming_view), name="trips_trip_rooming"),
            *super().get_urls(),  # type: ignore[misc]
        ]

    def rooming_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        trip = self._seen_trip(request, object_id)  # type: ignore[attr-defined]
        if request.method == "POST":
            return self._change_rooms(request, trip)
        user: Any = request.user
        now = rooming.rooming_of(trip)
        may_change = user.has_perm("trips.change_passenger")
        made = _made(request) if may_change and now.lock is None else {}
        context = {
            **self.admin_site.each_context(request),  # type: ignore[attr-defined]
            "title": f"Rooming of {trip}",
            "trip": trip,
            "overview": overview(request, trip),
            "rooms": [_card(filled, _reason(filled, made)) for filled in now.rooms],
            "unassigned": [_person(one, now) for one in now.unassigned],
            "gone": now.gone,
            "swap": _offered_swap(request, now) if may_change and now.lock is None else None,
            "lock": now.lock,
            "counts": _counts(now),
            "kinds": [(beds, ROOM_NAMES.get(beds, f"{beds} beds")) for beds in range(1, MOST_BEDS + 1)],
            "choices": [(filled.room.number, _choice(filled)) for filled in now.rooms],
            "may_change": may_change and now.lock is None,
            "may_lock": may_change,
            "undo": bool(made),
            "list_url": reverse("trips:trip_report", args=[trip.pk, "rooming", "standard"]),
        }
        return TemplateResponse(request, "trips/admin/trip_rooming.html", context)

    def _change_rooms(self, request: HttpRequest, trip: Trip) -> HttpResponse:
        user: Any = request.user
        if not user.has_perm("trips.change_passenger"):
            raise PermissionDenied
        verbs = {
            "put": _put, "add": _add, "name": _name, "remove": _remove,
            "swap": _swap, "suggest": _suggest, "back": _back, "lock": _lock, "unlock": _unlock,
        }  # fmt: skip
        verb = verbs.get(request.POST.get("verb", ""))
        if verb is None:
            raise Http404("No such action.")
        # A suggestion can be taken back until it was, also after its rooms were put right.
        made = {"made": request.GET["made"]} if _made(request) and verb not in (_back, _suggest) else {}
        swap: dict[str, str] = {}
        try:
            text = verb(request, trip, made)
        except rooming.Full as refused:
            self.message_user(request, str(refused), messages.ERROR)  # type: ignore[attr-defined]
            wanted = request.POST["number"].strip().partition(" ")[0]
            swap = {"swap": request.POST["passenger"], "with": wanted}
        except rooming.Refused as refused:
            self.message_user(request, str(refused), messages.ERROR)  # type: ignore[attr-defined]
        else:
            self.message_user(request, text, messages.SUCCESS)  # type: ignore[attr-defined]
        back = reverse("admin:trips_trip_rooming", args=[trip.pk])
        more = made | swap
        return HttpResponseRedirect(f"{back}?{urlencode(more)}" if more else back)


# The verbs: each does one thing and says what


def _put(request: HttpRequest, trip: Trip, made: dict[str, str]) -> str:
    passenger = _passenger(request, trip)
    wanted = request.POST.get("number", "").strip()
    if wanted == "":
        rooming.take_out(passenger=passenger, trip=trip)
        return f"{passenger} has no room now."
    with transaction.atomic():  # a new room stays only with whom it was made for
        room = rooming.add_room(trip=trip, beds=2) if wanted.lower() == NEW else _numbered(trip, wanted)
        rooming.put(passenger=passenger, room=room)
    return f"{passenger}: {room}."


def _swap(request: HttpRequest, trip: Trip, made: dict[str, str]) -> str:
    passenger, other = _passenger(request, trip), _passenger(request, trip, "other")
    mine, theirs = rooming.swap(passenger=passenger, other=other, trip=trip)
    return f"{passenger}: {mine}. {other}: {theirs}."


def _add(request: HttpRequest, trip: Trip, made: dict[str, str]) -> str:
    beds = request.POST.get("beds", "")
    room = rooming.add_room(trip=trip, beds=int(beds) if is_id(beds) else 0)
    return f"{room} added, {said(room.beds, 'bed', 'beds')}."


def _name(request: HttpRequest, trip: Trip, made: dict[str, str]) -> str:
    room = rooming.rename_room(room=_room(trip, request.POST.get("room", "")), label=request.POST.get("label", ""))
    return f"The hotel’s name is noted: {room}." if room.label else f"{room} has no name of the hotel’s now."


def _remove(request: HttpRequest, trip: Trip, made: dict[str, str]) -> str:
    room = _room(trip, request.POST.get("room", ""))
    freed = rooming.remove_room(room=room)
    return f"{room} removed." + (f" {said(freed, 'person has', 'people have')} no room now." if freed else "")


def _suggest(request: HttpRequest, trip: Trip, made: dict[str, str]) -> str:
    done = rooming.fill(trip=trip)
    left = "; ".join(f"{guest.name}: {why}" for guest, why in done.left)
    if not done.places:
        return f"No room could be suggested. {left}" if left else "Everybody has a room already."
    what = {"trip": trip.pk, "rooms": done.rooms, "places": done.places, "why": done.why}
    made["made"] = signing.dumps(what, salt=SALT, compress=True)
    text = f"{said(len(done.places), 'person', 'people')} put into {said(len(done.why), 'room', 'rooms')}."
    return f"{text} Without a room: {left}." if left else text


def _back(request: HttpRequest, trip: Trip, made: dict[str, str]) -> str:
    what = _made(request)
    if not what:
        raise rooming.Refused("This suggestion can no longer be taken back at once. Remove the rooms singly.")
    if what["trip"] != trip.pk:
        raise Http404("That was suggested for another trip.")
    count = rooming.take_back(trip=trip, rooms=what["rooms"], places=what["places"])
    return f"Taken back: {said(len(what['places']), 'place', 'places')}, {said(count, 'room', 'rooms')} removed."


def _made(request: HttpRequest) -> Any:
    """What the suggestion in the page's address made; empty without one, or when it is too old or not ours."""
    try:
        return signing.loads(request.GET.get("made", ""), salt=SALT, max_age=UNDO_SECONDS)
    except signing.BadSignature:
        return {}


def _lock(request: HttpRequest, trip: Trip, made: dict[str, str]) -> str:
    rooming.lock(trip=trip, by=request.user)
    return "The rooming list is locked. Export it for the hotel; a later change shows as “changed since sent”."


def _unlock(request: HttpRequest, trip: Trip, made: dict[str, str]) -> str:
    rooming.unlock(trip=trip)
    return "The rooming list can be changed again."


def _passenger(request: HttpRequest, trip: Trip, name: str = "passenger") -> Any:
    text = request.POST.get(name, "")
    found = trip.passengers.filter(pk=text).first() if is_id(text) else None
    if found is None:
        raise Http404("This passenger is not on the trip any more.")
    return found


def _numbered(trip: Trip, text: str) -> Room:
    number = text.partition(" ")[0]
    found = trip.rooms.select_related("trip").filter(number=number).first() if is_id(number) else None
    if found is None:
        hint = f"Type the number of one, or “{NEW}” for a new double."
        raise rooming.Refused(f"There is no room {text} on this trip. {hint}")
    return found


def _room(trip: Trip, text: str) -> Room:
    found = trip.rooms.select_related("trip").filter(pk=text).first() if is_id(text) else None
    if found is None:
        raise rooming.Refused("This room is no longer on the list; somebody has removed it.")
    return found


# What the page shows


def _offered_swap(request: HttpRequest, now: Rooming) -> dict[str, Any] | None:
    """Who was refused a bed a moment ago as the room is full, and those in it whom they may swap with."""
    of, number = request.GET.get("swap"), request.GET.get("with")
    inside = {one.passenger: filled for filled in now.rooms for one in filled.occupants}
    passenger = next((one for one in inside if str(one.pk) == of), None)
    full = next((filled for filled in now.rooms if str(filled.room.number) == number and not filled.free), None)
    if passenger is None or full is None or inside[passenger] == full:
        return None
    return {"passenger": passenger, "room": full.room, "others": [one.passenger for one in full.occupants]}


def _counts(now: Rooming) -> list[SafeString]:
    beds = sum(filled.room.beds for filled in now.rooms)
    shown = [badge(f"{len(now.unassigned)} without a room", "doubt" if now.unassigned else "good")]
    if now.rooms:
        shown.append(badge(f"{said(len(now.rooms), 'room', 'rooms')}, {now.placed} of {beds} beds taken", "plain"))
    if now.wrong:
        shown.append(badge(f"{said(now.wrong, 'room needs', 'rooms need')} a look", "bad"))
    return shown


def _reason(filled: Filled, made: Any) -> str:
    """Why these were put together; empty once one of them has been moved."""
    why, ids = made.get("why", {}).get(str(filled.room.pk), ("", []))
    return why if set(ids) <= {one.passenger.pk for one in filled.occupants} else ""


def _card(filled: Filled, why: str) -> dict[str, Any]:
    return {
        "why": why,
        "room": filled.room,
        "people": [_line(one) for one in filled.occupants],
        "remarks": [(remark.weight.value, remark.text) for remark in filled.remarks],
        "wrong": filled.is_wrong,
        "free": filled.free,
    }


def _choice(filled: Filled) -> str:
    names = ", ".join(one.guest.last_name or one.guest.name for one in filled.occupants)
    return f"{filled.room.kind}: {names or 'empty'}" + (f", {filled.free} free" if filled.free else ", full")


def _line(one: Occupant) -> dict[str, Any]:
    passenger = one.passenger
    facts = [
        Sex(passenger.sex).label if passenger.sex in Sex.values else "sex not given",
        "" if passenger.age_at_departure is None else f"{passenger.age_at_departure}",
        "minor" if one.guest.is_minor else "",
    ]
    url = reverse("admin:trips_passenger_change", args=[passenger.pk])
    return {"passenger": passenger, "url": url, "facts": ", ".join(filter(None, facts))}


def _person(one: Occupant, now: Rooming) -> dict[str, Any]:
    """Somebody without a room, with what they wish for."""
    wish = one.guest.wish.strip()
    names = {other.passenger.pk: other.guest.name for other in _everybody(now)}
    wanted = [names[other] for other in sorted(now.asked.get(one.guest.id, ()))]
    mutual = any(one.guest.id in now.asked.get(other, ()) for other in now.asked.get(one.guest.id, ()))
    shown = ""
    if rooming_plan.unknown_wish(one.guest, now.asked):
        shown = format_html("asks for “{}” {}", wish, badge("not found on this trip", "doubt"))
    elif wanted:
        shown = format_html(
            "asks for {} {}",
            ", ".join(wanted),
            badge("mutual" if mutual else "one-sided", "good" if mutual else "plain"),
        )
    occupancy = Occupancy(one.guest.occupancy).label if one.guest.occupancy in Occupancy.values else ""
    return {**_line(one), "occupancy": occupancy, "wish": shown}


def _everybody(now: Rooming) -> list[Occupant]:
    return [*now.unassigned, *(one for filled in now.rooms for one in filled.occupants)]
