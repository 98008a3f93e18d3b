"""What stands on the two boards: the cards of trips and of passengers, what is summed up, and what a move asks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.conf import settings
from django.db.models import Count, F, Q, QuerySet, Sum
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString

from trips.admin.base import badge, day
from trips.admin.board import BoardForm, BoardPages, Card
from trips.admin.choosing import chooser
from trips.admin.money import balance_badge
from trips.admin.workspace import leaving
from trips.enums import Attendance, PassengerStage, TripStage
from trips.expressions import departs_on
from trips.gaps import GAPS
from trips.models import Contact, Passenger, Trip
from trips.money import money
from trips.permissions import may_see
from trips.readiness import readiness_of
from trips.services import stages
from trips.services.plans import Plan

# What is owed is added up by passenger; of more than these it takes longer than a page may.
SUMMED_UP_TO = 20_000
ON_BOARD = (Attendance.BOOKED, Attendance.WAITLISTED)


class TripBoardForm(BoardForm):
    organiser__id__exact = forms.ModelChoiceField(Contact.objects.standing(), required=False, label="Lead organiser")

    def dress(self, request: HttpRequest, site: Any) -> None:
        _dress(self, request, site, "organiser__id__exact", Trip, "organiser")


class PassengerBoardForm(BoardForm):
    trip__id__exact = forms.ModelChoiceField(Trip.objects.all(), required=False, label="Trip")
    trip__organiser__id__exact = forms.ModelChoiceField(
        Contact.objects.standing(), required=False, label="Lead organiser"
    )

    def dress(self, request: HttpRequest, site: Any) -> None:
        _dress(self, request, site, "trip__id__exact", Passenger, "trip")
        _dress(self, request, site, "trip__organiser__id__exact", Trip, "organiser")


def _dress(form: BoardForm, request: HttpRequest, site: Any, name: str, model: Any, column: str) -> None:
    target: Any = model._meta.get_field(column).related_model
    if may_see(request.user, target._meta.label_lower):
        form.fields[name].widget = chooser(model, column, site, form.fields[name])
    else:
        del form.fields[name]


class TripBoard(BoardPages):
    """Trips by stage: when they leave, how full and how ready they are."""

    board_form = TripBoardForm
    board_stages = TripStage
    board_title = "Trips by stage"
    board_order = (departs_on().asc(nulls_last=True), "pk")

    def board_rows(self, request: HttpRequest) -> QuerySet[Any]:
        return self.get_queryset(request).active()  # type: ignore[attr-defined]

    def board_cards(self, request: HttpRequest, rows: Any) -> list[Card]:
        trips, today = list(rows.select_related("organiser")), timezone.localdate()
        ready = readiness_of(trips, today)
        return [_trip_card(trip, ready[trip.pk].percent, leaving(trip.departs_on, today)) for trip in trips]

    def board_sums(self, request: HttpRequest, rows: QuerySet[Any], count: int) -> Mapping[str, list[str]]:
        user: Any = request.user
        seats = Passenger.objects.seated().filter(trip__in=rows.order_by().values("pk")).order_by()
        # Amounts in different currencies make no sum.
        ours = Q(trip__currency=settings.TRIP_CURRENCY)
        found = seats.values_list("trip__stage").annotate(
            people=Count("pk"), worth=Sum("trip__price_per_person", filter=ours)
        )
        may = user.has_perm("trips.view_payment")
        return {
            stage: [f"{people:,} booked", *([money(worth, settings.TRIP_CURRENCY)] if may and worth else [])]
            for stage, people, worth in found
        }

    def board_plan(self, request: HttpRequest, row: Any, stage: str, reason: str) -> Plan:
        return stages.trips_to_stage(trips=[row], stage=stage, reason=reason)


def _trip_card(trip: Any, percent: int, leaves: str) -> Card:
    days = " – ".join(day(one) for one in (trip.departs_on, trip.ends_on) if one)
    seats = f"{trip.enrolled_count} booked" if trip.capacity is None else f"{trip.enrolled_count} / {trip.capacity}"
    over = trip.capacity is not None and trip.enrolled_count > trip.capacity
    badges = [badge(seats, "bad" if over else "plain", "More booked than seats" if over else "Booked / seats")]
    if trip.status != "open":
        badges.append(badge(trip.get_status_display(), "doubt"))
    lines = [days, leaves] if days else [leaves]
    return Card(
        trip.pk,
        str(trip),
        reverse("admin:trips_trip_change", args=[trip.pk]),
        [*lines, *([f"Lead: {trip.organiser}"] if trip.organiser else [])],
        badges,
        percent,
    )


class PassengerBoard(BoardPages):
    """Passengers by stage: their trip, what they lack, what they owe. Cancelled bookings have left the pipeline."""

    board_form = PassengerBoardForm
    board_stages = PassengerStage
    board_title = "Passengers by stage"
    board_order = (departs_on("trip__").asc(nulls_last=True), "trip_id", "legal_last_name", "legal_first_name", "pk")

    def board_rows(self, request: HttpRequest) -> QuerySet[Any]:
        return self.get_queryset(request).filter(attendance__in=ON_BOARD)  # type: ignore[attr-defined]

    def board_query(self) -> dict[str, Any]:
        return {"attendance__exact": [one.value for one in ON_BOARD]}

    def board_cards(self, request: HttpRequest, rows: Any) -> list[Card]:
        user: Any = request.user
        today = timezone.localdate()
        found = rows.with_gaps(today).with_overdue(today)
        return [_passenger_card(user, passenger) for passenger in found]

    def board_sums(self, request: HttpRequest, rows: QuerySet[Any], count: int) -> Mapping[str, list[str]]:
        user: Any = request.user
        if count > SUMMED_UP_TO or not user.has_perm("trips.view_payment"):
            return {}
        owed: Any = Passenger.objects.filter(pk__in=rows.order_by().values("pk"), trip__currency=settings.TRIP_CURRENCY)
        sums = owed.owing().order_by().values_list("stage").annotate(total=Sum(F("balance")))
        return {stage: [f"{money(total, settings.TRIP_CURRENCY)} owed"] for stage, total in sums if total}

    def board_plan(self, request: HttpRequest, row: Any, stage: str, reason: str) -> Plan:
        user: Any = request.user
        return stages.passengers_to_stage(
            passengers=[row], stage=stage, today=timezone.localdate(), may_know=user.has_perm
        )

    def board_hint(self, request: HttpRequest, stage: str) -> str:
        user: Any = request.user
        unseen = stages.unseen_gaps(user.has_perm) if stage in stages.COMPLETE else []
        return f"Not looked at, because your account may not see it: {', '.join(unseen)}." if unseen else ""


def _passenger_card(user: Any, passenger: Any) -> Card:
    trip = passenger.trip
    lines = [f"{trip}, {day(trip.departs_on)}" if trip.departs_on else str(trip)] if trip else ["Without a trip"]
    badges: list[SafeString] = []
    if passenger.attendance == Attendance.WAITLISTED:
        badges.append(badge("Waiting list", "doubt"))
    else:
        open_ones = [gap for gap in GAPS if user.has_perm(gap.permission) and getattr(passenger, f"gap_{gap.code}")]
        if open_ones:
            lines.append(f"Lacks: {', '.join(gap.short for gap in open_ones)}")
    if user.has_perm("trips.view_payment") and (owed := balance_badge(passenger)):
        badges.append(owed)
    url = reverse("admin:trips_passenger_change", args=[passenger.pk])
    return Card(passenger.pk, str(passenger), url, lines, badges)
