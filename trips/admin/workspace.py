"""A trip's people on one page: who is on it, what each still lacks, and enrolling in three letters and Enter."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Q
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.http import require_GET

from trips.admin.base import badge, said
from trips.admin.licences import Line as LicenceLine
from trips.admin.licences import licence_lines
from trips.admin.money import balance_badge
from trips.enums import REQUIRED_DOCUMENTS, Attendance
from trips.gaps import GAPS, Gap
from trips.models import Contact, Passenger, Trip
from trips.permissions import may_see
from trips.readiness import Readiness, readiness_of
from trips.scope import visible_to
from trips.services import enrolment, rooming
from trips.text import is_id

SUGGESTIONS = 8
_ATTENDANCE = {Attendance.BOOKED: "good", Attendance.WAITLISTED: "doubt", Attendance.CANCELLED: "plain"}


@dataclass(frozen=True, slots=True)
class Row:
    """A passenger as the page shows them; `gaps` only those that this user may know of."""

    passenger: Any
    url: str
    attendance: SafeString
    gaps: list[SafeString]
    documents: str
    balance: SafeString


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Somebody who may be meant: a contact, and the earlier booking whose profile is taken over."""

    contact: int
    like: int | None
    label: str
    hint: str
    on_trip: str = ""  # the address of their record on this trip


class Workspace:
    """Mixin for the trip's page: its overview above the form, and the page of its passengers."""

    change_form_before_template = "trips/admin/trip_overview.html"

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view  # type: ignore[attr-defined]
        return [
            path("<int:object_id>/passengers/", wrap(self.passengers_view), name="trips_trip_passengers"),
            path(
                "<int:object_id>/passengers/suggest/", wrap(require_GET(self.suggest_view)), name="trips_trip_suggest"
            ),
            *super().get_urls(),  # type: ignore[misc]
        ]

    def render_change_form(
        self,
        request: HttpRequest,
        context: Any,
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Any = None,
    ) -> HttpResponse:
        if obj is not None and not context.get("is_popup"):
            context["overview"] = overview(request, obj)
        return super().render_change_form(request, context, add, change, form_url, obj)  # type: ignore[misc]

    def passengers_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        trip = self._seen_trip(request, object_id)
        if request.method == "POST":
            return self._act(request, trip)
        user: Any = request.user
        today = timezone.localdate()
        people = list(_people(trip, today))
        context = {
            **self.admin_site.each_context(request),  # type: ignore[attr-defined]
            "title": f"Passengers of {trip}",
            "trip": trip,
            "rows": [_row(user, passenger) for passenger in people],
            "overview": overview(request, trip),
            "required": len(REQUIRED_DOCUMENTS) if user.has_perm("trips.view_document") else 0,
            "may_see_money": user.has_perm("trips.view_payment"),
            "may_add": user.has_perm("trips.add_passenger"),
            "may_change": user.has_perm("trips.change_passenger"),
            "full": _offered(request, trip),
            "next": enrolment.next_in_line(trip),
            "may_overbook": user.has_perm("trips.overbook_trip"),
        }
        return TemplateResponse(request, "trips/admin/trip_passengers.html", context)

    def suggest_view(self, request: HttpRequest, object_id: int) -> JsonResponse:
        """Up to eight people whom the typed letters may mean, and the address to add a new one."""
        trip = self._seen_trip(request, object_id)
        user: Any = request.user
        if not (user.has_perm("trips.add_passenger") and user.has_perm("trips.view_contact")):
            raise PermissionDenied
        term = request.GET.get("q", "").strip()
        found = self._suggestions(request, trip, term) if len(term) >= 2 else []
        rows = [
            {"contact": one.contact, "like": one.like, "label": one.label, "hint": one.hint, "url": one.on_trip}
            for one in found
        ]
        return JsonResponse({"people": rows})

    # What the views need

    def _seen_trip(self, request: HttpRequest, object_id: int) -> Any:
        user: Any = request.user
        if not self.has_view_permission(request) or not user.has_perm("trips.view_passenger"):  # type: ignore[attr-defined]
            raise PermissionDenied
        trip = self.get_queryset(request).filter(pk=object_id).first()  # type: ignore[attr-defined]
        if trip is None:
            raise Http404(f"There is no trip {object_id}.")
        if not self.has_view_permission(request, trip):  # type: ignore[attr-defined]
            raise PermissionDenied
        return trip

    def _suggestions(self, request: HttpRequest, trip: Trip, term: str) -> list[Suggestion]:
        contacts = self.admin_site.get_model_admin(Contact)  # type: ignore[attr-defined]
        people, _doubles = contacts.get_search_results(request, contacts.get_queryset(request), term)
        found = list(people.distinct()[:SUGGESTIONS])
        rows = visible_to(request.user, Passenger.objects.filter(contact__in=found))
        bookings = rows.select_related("trip").order_by("-created_at", "-pk")
        return _persons(found, list(bookings), trip)

    def _act(self, request: HttpRequest, trip: Trip) -> HttpResponse:
        verb = {"enrol": self._enrol, "book": self._book, "cancel": self._cancel, "wait": self._wait}.get(
            request.POST.get("verb", "")
        )
        if verb is None:
            raise Http404("No such action.")
        user: Any = request.user
        if not user.has_perm("trips.add_passenger" if verb == self._enrol else "trips.change_passenger"):
            raise PermissionDenied
        back = reverse("admin:trips_trip_passengers", args=[trip.pk])
        more = verb(request, trip)
        return HttpResponseRedirect(f"{back}?{urlencode(more)}" if more else back)

    def _enrol(self, request: HttpRequest, trip: Trip) -> dict[str, Any]:
        contact = _chosen(visible_to(request.user, Contact.objects.standing()), request.POST.get("contact"))
        bookings = visible_to(request.user, Passenger.objects.filter(contact=contact))
        like = _chosen(bookings, request.POST.get("like")) if contact else None
        if contact is None:
            self._say(request, messages.ERROR, "Nobody was chosen. Type three letters of the name and pick one.")
            return {}
        wanted = Attendance.WAITLISTED if "waitlist" in request.POST else Attendance.BOOKED
        try:
            passenger = enrolment.enrol_contact(
                trip=trip, contact=contact, like=like, attendance=wanted, force=_forced(request)
            )
        except enrolment.AlreadyOn as refused:
            self._say(request, messages.WARNING, _linked(f"{refused} See ", refused.passenger))
            return {}
        except enrolment.Full as refused:
            self._say(request, messages.WARNING, str(refused))
            return {"full": contact.pk, **({"like": like.pk} if like else {})}
        self._say(request, messages.SUCCESS, _linked(f"{passenger.get_attendance_display()}: ", passenger))
        return {}

    def _book(self, request: HttpRequest, trip: Trip) -> dict[str, Any]:
        passenger = self._passenger(request, trip)
        try:
            enrolment.book(passenger=passenger, force=_forced(request))
        except enrolment.Full as refused:
            self._say(request, messages.WARNING, f"{refused} {passenger} keeps the place on the waiting list.")
        else:
            self._say(request, messages.SUCCESS, _linked("Booked: ", passenger))
        return {}

    def _cancel(self, request: HttpRequest, trip: Trip) -> dict[str, Any]:
        passenger = self._passenger(request, trip)
        enrolment.cancel(passengers=[passenger])
        waiting = enrolment.next_in_line(trip)
        then = f" A seat is free: {waiting} is next in line." if waiting else ""
        self._say(request, messages.SUCCESS, _linked("Cancelled: ", passenger, f".{then}"))
        return {}

    def _wait(self, request: HttpRequest, trip: Trip) -> dict[str, Any]:
        passenger = self._passenger(request, trip)
        enrolment.put_on_waiting_list(passenger=passenger)
        self._say(request, messages.SUCCESS, _linked("On the waiting list: ", passenger))
        return {}

    def _passenger(self, request: HttpRequest, trip: Trip) -> Passenger:
        found = _chosen(trip.passengers.all(), request.POST.get("passenger"))
        if found is None:
            raise Http404("This passenger is not on the trip any more.")
        found._history_user = request.user
        return found

    def _say(self, request: HttpRequest, level: int, text: str) -> None:
        self.message_user(request, text, level)  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class Overview:
    """What stands above a trip's form and its list of passengers."""

    readiness: Readiness
    lines: list[tuple[Any, str]]
    leaves: str
    seats: str
    over: bool
    waiting: int
    trip_id: int
    passengers_url: str
    trip_url: str
    licences: list[LicenceLine]  # those that warn
    programme_url: str = ""
    papers_url: str = ""
    rooming_url: str = ""
    roomless: int = 0  # how many who are booked have no room yet; none once the trip is over


def overview(request: HttpRequest, trip: Any) -> Overview:
    """How ready the trip is; a line whose data this user may not see is left out, its share of the percentage stays."""
    user: Any = request.user
    today = timezone.localdate()
    readiness = readiness_of([trip], today)[trip.pk]
    people = reverse("admin:trips_passenger_changelist")
    lines = [
        (line, f"{people}?{urlencode({'trip__id__exact': trip.pk, 'look': line.gap})}" if line.gap else "")
        for line in readiness.lines
        if user.has_perm(line.permission)
    ]
    counted = trip.passengers.aggregate(
        waiting=Count("pk", Q(attendance=Attendance.WAITLISTED)), roomless=Count("pk", rooming.without_room(trip))
    )
    may = user.has_perm("trips.view_passenger")
    url = reverse("admin:trips_trip_passengers", args=[trip.pk]) if may else ""
    change = reverse("admin:trips_trip_change", args=[trip.pk])
    seats = (
        f"{trip.enrolled_count} booked" if trip.capacity is None else f"{trip.enrolled_count} of {trip.capacity} booked"
    )
    over = trip.capacity is not None and trip.enrolled_count > trip.capacity
    leaves = leaving(trip.departs_on, today)
    doubtful = [line for line in licence_lines(user, trip) if line.sentence]
    # Any of the three is on that page; who may see none of them has no such page.
    programme = any(may_see(user, f"trips.{name}") for name in ("itineraryitem", "flight", "transfer"))
    programme_url = reverse("admin:trips_trip_programme", args=[trip.pk]) if programme else ""
    papers = f"{reverse('admin:trips_paperrun_ask')}?trip={trip.pk}" if user.has_perm("trips.add_document") else ""
    return Overview(
        readiness,
        lines,
        leaves,
        seats,
        over,
        counted["waiting"],
        trip.pk,
        url,
        change,
        doubtful,
        programme_url,
        papers,
        rooming_url=reverse("admin:trips_trip_rooming", args=[trip.pk]) if may else "",
        roomless=counted["roomless"] if may and not _is_over(trip, today) else 0,
    )


def _is_over(trip: Any, today: dt.date) -> bool:
    return trip.ends_on is not None and trip.ends_on < today


def leaving(day: dt.date | None, today: dt.date) -> str:
    """ "Leaves in 12 days", for the day of departure."""
    if day is None:
        return "No date of departure yet"
    days = (day - today).days
    if days < 0:
        return f"Left {said(-days, 'day', 'days')} ago"
    return {0: "Leaves today", 1: "Leaves tomorrow"}.get(days, f"Leaves in {days} days")


def _people(trip: Trip, today: dt.date) -> Any:
    order = {Attendance.BOOKED: 0, Attendance.WAITLISTED: 1, Attendance.CANCELLED: 2}
    rows = trip.passengers.select_related("contact", "trip").with_documents().with_gaps(today).with_overdue(today)
    return sorted(rows, key=lambda one: (order.get(one.attendance, 3), one.number or 0, one.pk))


def _row(user: Any, passenger: Any) -> Row:
    seen: list[Gap] = [gap for gap in GAPS if user.has_perm(gap.permission)]
    asked = passenger.attendance == Attendance.BOOKED
    gaps = [badge(gap.short, "doubt", gap.lacking) for gap in seen if asked and getattr(passenger, f"gap_{gap.code}")]
    url = reverse("admin:trips_passenger_change", args=[passenger.pk])
    label = badge(passenger.get_attendance_display(), _ATTENDANCE.get(passenger.attendance, "plain"))
    documents = f"{passenger.documents_held}/{len(REQUIRED_DOCUMENTS)}" if user.has_perm("trips.view_document") else ""
    balance = balance_badge(passenger) if user.has_perm("trips.view_payment") else SafeString("")
    return Row(passenger, url, label, gaps, documents, balance)


def _persons(contacts: Sequence[Contact], bookings: Sequence[Passenger], trip: Trip) -> list[Suggestion]:
    """One line a person: a contact may book for a family, and each of them is somebody."""
    lines: list[Suggestion] = []
    for contact in contacts:
        own = [booking for booking in bookings if booking.contact_id == contact.pk]
        newest = {booking.legal_name.casefold(): booking for booking in reversed(own) if booking.legal_name}
        here = {booking.legal_name.casefold(): booking for booking in own if _is_on(booking, trip)}
        for name, booking in newest.items():
            hint = f"{contact.email or contact.phone} · last on {booking.trip}" if booking.trip else contact.email
            on = reverse("admin:trips_passenger_change", args=[here[name].pk]) if name in here else ""
            lines.append(Suggestion(contact.pk, booking.pk, booking.legal_name, "on this trip" if on else hint, on))
        if contact.full_name.casefold() not in newest:
            lines.append(Suggestion(contact.pk, None, str(contact), contact.email or contact.phone))
    return lines[:SUGGESTIONS]


def _is_on(booking: Passenger, trip: Trip) -> bool:
    return booking.trip_id == trip.pk and booking.attendance != Attendance.CANCELLED


def _chosen(rows: Any, text: str | None) -> Any:
    return rows.filter(pk=text).first() if text and is_id(text) else None


def _forced(request: HttpRequest) -> bool:
    """Overbooking is asked for and allowed; asked for without the permission, it is refused."""
    user: Any = request.user
    if "overbook" not in request.POST:
        return False
    if not user.has_perm("trips.overbook_trip"):
        raise PermissionDenied
    return True


def _offered(request: HttpRequest, trip: Trip) -> dict[str, Any] | None:
    """Who did not get a seat a moment ago: the waiting list is one click away."""
    contact = _chosen(visible_to(request.user, Contact.objects.standing()), request.GET.get("full"))
    if contact is None:
        return None
    like = _chosen(visible_to(request.user, Passenger.objects.filter(contact=contact)), request.GET.get("like"))
    return {"contact": contact.pk, "like": like.pk if like else "", "name": str(like or contact)}


def _linked(before: str, passenger: Passenger, after: str = "") -> SafeString:
    url = reverse("admin:trips_passenger_change", args=[passenger.pk])
    return format_html('{}<a class="text-link" href="{}">{}</a>{}', before, url, passenger, after)
