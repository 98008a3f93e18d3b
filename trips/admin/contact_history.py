"""A contact's page: every trip that they, or those they booked for or answer for, were on, and what is still open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import F, Q
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString

from trips.admin.base import badge, day
from trips.admin.money import balance_badge
from trips.enums import REQUIRED_DOCUMENTS
from trips.models import Contact, Passenger, Passport, Trip
from trips.permissions import may_see
from trips.scope import visible_to

# A travel agent has booked hundreds; the list of passengers has them all.
MOST_SHOWN = 25


@dataclass(frozen=True, slots=True)
class Journey:
    """One booking; fields that this user may not know of are empty."""

    passenger: Passenger
    url: str
    trip_url: str
    when: str
    part: str
    passport: SafeString
    documents: str
    balance: SafeString


class ContactHistory:
    """Mixin for the contact's page."""

    change_form_before_template = "trips/admin/contact_history.html"

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        contact = kwargs.get("obj") or next((one for one in args if isinstance(one, Contact)), None)
        user: Any = request.user
        if contact is not None and not context.get("is_popup") and user.has_perm("trips.view_passenger"):
            context |= _history(user, contact)
        return super().render_change_form(request, context, *args, **kwargs)  # type: ignore[misc]


def _history(user: Any, contact: Contact) -> dict[str, Any]:
    """The newest first; trips that the contact leads stand above."""
    today = timezone.localdate()
    mine = Q(contact=contact) | Q(guardian=contact)
    rows: Any = (
        Passenger.objects.filter(mine)
        .select_related("trip")
        .order_by(F("trip__start_date").desc(nulls_first=True), "-pk")
    )
    if may_see(user, "trips.document"):
        rows = rows.with_documents()
    if may_see(user, "trips.payment"):
        rows = rows.with_balance().with_overdue(today)
    if may_see(user, "trips.passport"):
        rows = rows.select_related("passport").defer("passport__number")
    found = list(visible_to(user, rows)[: MOST_SHOWN + 1])
    led = visible_to(user, Trip.objects.filter(organiser=contact)).order_by(
        F("start_date").desc(nulls_first=True), "-pk"
    )
    return {
        "journeys": [_journey(user, one, contact) for one in found[:MOST_SHOWN]],
        "more_journeys": len(found) > MOST_SHOWN,
        "led_trips": list(led[:MOST_SHOWN]) if user.has_perm("trips.view_trip") else [],
    }


def _journey(user: Any, passenger: Any, contact: Contact) -> Journey:
    trip = passenger.trip
    parts = [passenger.get_attendance_display()]
    if passenger.contact_id != contact.pk:
        parts.append("as guardian")
    passport = getattr(passenger, "passport", None) if may_see(user, "trips.passport") else None
    seen = may_see(user, "trips.document")
    return Journey(
        passenger,
        reverse("admin:trips_passenger_change", args=[passenger.pk]),
        reverse("admin:trips_trip_change", args=[trip.pk]) if trip and user.has_perm("trips.view_trip") else "",
        " – ".join(filter(None, (day(trip.departs_on), day(trip.ends_on)))) if trip else "",
        ", ".join(parts),
        _expiry(passport),
        f"{passenger.documents_held}/{len(REQUIRED_DOCUMENTS)}" if seen else "",
        balance_badge(passenger) if may_see(user, "trips.payment") else SafeString(""),
    )


def _expiry(passport: Passport | None) -> SafeString:
    if passport is None or passport.expires_on is None:
        return SafeString("")
    fine = passport.expires_on >= timezone.localdate()
    return badge(f"until {day(passport.expires_on)}", "plain" if fine else "bad")
