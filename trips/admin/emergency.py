"""A traveller's emergency card: where they are, whom to call and, for a reason that is kept, their health."""

from __future__ import annotations

import datetime as dt
import logging
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from unfold.decorators import action

from trips.admin.base import day
from trips.enums import ReadKind, ReadReason
from trips.gaps import HEALTH_TEXTS
from trips.models import EmergencyContact, HealthRecord, Passenger, Trip
from trips.permissions import may_see
from trips.reports import care
from trips.reports.people import room_of
from trips.rules import e164
from trips.services import reading

LOG = logging.getLogger("trips.care")
REASONS = (ReadReason.EMERGENCY, ReadReason.DOCTOR, ReadReason.GUIDE)


@dataclass(frozen=True, slots=True)
class Call:
    """Somebody to call: who, what they are to the traveller, and each number as it is shown and dialled."""

    who: str
    what: str
    numbers: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Answer:
    """A question about health and what is known; `dial` where the answer is a number to call."""

    label: str
    text: str
    dial: str


class EmergencyCard:
    """Mixin for the passenger's page."""

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view  # type: ignore[attr-defined]
        here = path("<int:object_id>/emergency/", wrap(self.emergency_view), name="trips_passenger_emergency")
        return [here, *super().get_urls()]  # type: ignore[misc]

    @action(description="Emergency card", url_path="to-emergency-card")
    def emergency_card(self, request: HttpRequest, object_id: int) -> HttpResponseRedirect:
        return HttpResponseRedirect(reverse("admin:trips_passenger_emergency", args=[object_id]))

    def emergency_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        passenger = self._traveller(request, object_id)
        user: Any = request.user
        may_health = may_see(user, "trips.healthrecord")
        health = None
        if request.method == "POST":
            reason = request.POST.get("reason", "")
            if not may_health:
                LOG.warning("user %s was refused the health record of passenger %s", user.pk, passenger.pk)
                raise PermissionDenied
            if reason not in REASONS:
                raise Http404("No such reason.")
            shows = ["trips.healthrecord"]
            reading.note(request, ReadKind.CARD, shows=shows, people=[passenger.pk], reason=reason)
            health = _health(passenger)
        context = {
            **self.admin_site.each_context(request),  # type: ignore[attr-defined]
            "title": f"Emergency card: {passenger}",
            "passenger": passenger,
            "age": passenger.age_at_departure,
            "trip": passenger.trip,
            "where": _where(passenger.trip, timezone.localdate()),
            "room": room_of(passenger),
            "calls": _calls(user, passenger),
            "may_health": may_health,
            "health": health,
            "reasons": [(reason.value, reason.label) for reason in REASONS],
            "profile_url": reverse("admin:trips_passenger_change", args=[passenger.pk]),
        }
        return TemplateResponse(request, "trips/admin/emergency_card.html", context)

    def _traveller(self, request: HttpRequest, object_id: int) -> Passenger:
        if not self.has_view_permission(request):  # type: ignore[attr-defined]
            raise PermissionDenied
        rows = self.get_queryset(request).select_related("trip__vendor", "contact", "guardian", "room_place__room")  # type: ignore[attr-defined]
        found: Passenger | None = rows.filter(pk=object_id).first()
        if found is None:
            raise Http404(f"There is no passenger {object_id}.")
        return found


def _where(trip: Trip | None, today: dt.date) -> str:
    """ "Day 3 of 8", or when the trip is."""
    first, last = (trip.departs_on, trip.ends_on) if trip else (None, None)
    if first is None or last is None:
        return "no dates yet"
    days = f"{day(first)} – {day(last)}"
    if first <= today <= last:
        return f"{days}: day {(today - first).days + 1} of {(last - first).days + 1}"
    return days


def _calls(user: Any, passenger: Passenger) -> list[Call]:
    """Those whom this user may know of, in the order of calling; who has no number stays, so that the gap is seen."""
    found: list[Call] = []
    if may_see(user, "trips.contact"):
        found.append(_call(str(passenger.contact), "booked, or the traveller", passenger.contact.phone))
        if passenger.guardian is not None and passenger.guardian_id != passenger.contact_id:
            found.append(_call(str(passenger.guardian), "guardian", passenger.guardian.phone))
    if may_see(user, "trips.emergencycontact"):
        others = EmergencyContact.objects.filter(passenger=passenger)
        found += [_call(str(one), one.relationship or "emergency contact", one.mobile, one.phone) for one in others]
    vendor = passenger.trip.vendor if passenger.trip else None
    if vendor is not None and may_see(user, "trips.vendor"):
        who, what = (vendor.contact_name, f"{vendor}, on site") if vendor.contact_name else (str(vendor), "on site")
        found.append(_call(who, what, vendor.phone))
    return found


def _call(who: str, what: str, *numbers: str) -> Call:
    return Call(who, what, [(number, e164(number) or number) for number in dict.fromkeys(filter(None, numbers))])


def _health(passenger: Passenger) -> list[Answer]:
    """Each question with one of the three answers, what helpers need first at the top."""
    first = ("medications", "allergies", "medical_notes")
    order = (*first, *(name for name in HEALTH_TEXTS if name not in first))
    labels: dict[str, str] = {field.name: str(field.verbose_name) for field in HealthRecord._meta.fields}
    return [_answer(name, labels[name].capitalize(), care.told(name)(passenger)) for name in order]


def _answer(name: str, label: str, text: str) -> Answer:
    return Answer(label, text, e164(text) if name == "physician_phone" else "")
