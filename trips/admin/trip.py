"""Trips: what is sold and run."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesCheckboxFilter
from unfold.decorators import action, display

from trips.admin.archive import ArchiveActions
from trips.admin.base import DepartureFilter, LookFilter, ShownFilter, StaffAdmin, badge, day, flag_badges
from trips.admin.board_cards import TripBoard
from trips.admin.bulk_verbs import TripBulk
from trips.admin.calendar_pages import CalendarPages
from trips.admin.copying import Copying
from trips.admin.exporting import ExportPages
from trips.admin.filing import FilingPages
from trips.admin.importing import ImportPages
from trips.admin.leading import TripLeaders
from trips.admin.lists import FoldedSearch
from trips.admin.money import TripMoney
from trips.admin.ofac import OfacPages
from trips.admin.programme import ProgrammePage
from trips.admin.rooming import RoomingPage
from trips.admin.timeline import TimelinePage
from trips.admin.workspace import Workspace
from trips.forms import TripForm
from trips.models import Trip
from trips.permissions import may_see, sees_every_trip
from trips.querysets import flagged
from trips.text import is_id


class TripLookFilter(LookFilter):
    questions = {
        "flagged": ("Breaks a rule", flagged),
        "overbooked": ("Overbooked", lambda trips: trips.overbooked()),
        "no_organiser": ("No organiser", lambda trips: trips.filter(organiser__isnull=True)),
        "not_ready": ("Not ready", lambda trips: trips.not_ready(timezone.localdate())),
        "ended_open": ("Over and not closed", lambda trips: trips.ended_open(timezone.localdate())),
        "no_dates": ("No dates", lambda trips: trips.going().undated()),
    }


@admin.register(Trip)
class TripAdmin(
    Workspace,
    TripBoard,
    RoomingPage,
    CalendarPages,
    ProgrammePage,
    TimelinePage,
    FilingPages,
    OfacPages,
    Copying,
    TripBulk,
    FoldedSearch,
    ImportPages,
    ExportPages,
    TripMoney,
    TripLeaders,
    ArchiveActions,
    StaffAdmin,
):
    form = TripForm
    empty_title = "No trips here"
    needed_by = ("passenger is on it", "passengers are on it")
    actions = ("close_selected", "stage_selected", "assign_selected", *ArchiveActions.actions)
    actions_list = ("to_board", "import_rows", "export_rows")
    actions_detail = ("add_passenger", "import_passengers", "reports", "departure_pack", "documents", "copy_trip")
    list_display = ("name", "departs", "nights_shown", "stage", "status", "seats", "organiser", "look")
    list_filter = (("stage", ChoicesCheckboxFilter), TripLookFilter, DepartureFilter, ShownFilter)
    list_select_related = ("organiser",)
    search_fields = ("search_key",)
    search_help_text = "Name, destination or legacy ID"
    autocomplete_fields = ("organiser", "vendor")
    ordering = (F("start_date").desc(nulls_last=True), "-pk")
    readonly_fields = ("legacy_trip_id", "nights_counted", "archived_at")

    essentials = ("name", ("start_date", "end_date"), "organiser", "capacity", "vendor")
    tabs: tuple[tuple[str, dict[str, Any]], ...] = (
        (
            "Programme",
            {
                "classes": ("tab",),
                "fields": ("destination", ("arrival_date", "return_date"), "nights_override", "description"),
            },
        ),
        (
            "Money",
            {
                "classes": ("tab",),
                "fields": (("price_per_person", "currency"), "deposit_amount", ("deposit_due", "final_payment_due")),
            },
        ),
        (
            "Lodging & vendor",
            {
                "classes": ("tab",),
                "fields": (
                    "lodging",
                    ("lodging_notes", "lodging_checked_on"),
                    "travel_business",
                    ("travel_category", "escort"),
                    "vendor_terms",
                ),
            },
        ),
        ("Progress", {"classes": ("tab",), "fields": (("stage", "status"), "internal_notes")}),
    )
    facts = ("Record", {"classes": ("tab",), "fields": ("nights_counted", "legacy_trip_id", "archived_at")})

    def layout(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return [(None, {"fields": self.essentials}), *self.tabs]
        return [(None, {"fields": self.essentials}), *self.tabs, self.facts]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Trip]:
        rows: Any = super().get_queryset(request)
        return rows.with_counts()

    def ways_of_term(self, term: str) -> list[Q]:
        return [Q(legacy_trip_id=int(term))] if is_id(term) else []

    @display(description="departs", ordering=Coalesce("arrival_date", "start_date"))
    def departs(self, trip: Trip) -> str | None:
        return day(trip.departs_on) or None

    @display(description="nights")
    def nights_shown(self, trip: Trip) -> int | None:
        return trip.nights

    @display(description="nights counted")
    def nights_counted(self, trip: Trip) -> int | None:
        return trip.nights

    @display(description="booked", ordering="enrolled_count")
    def seats(self, trip: Any) -> SafeString | str:
        if trip.capacity is None:
            return str(trip.enrolled_count)
        if trip.capacity < 1:
            return badge(
                f"{trip.enrolled_count}, capacity {trip.capacity}", "doubt", "A capacity below 1 leaves no seat"
            )
        text = f"{trip.enrolled_count} / {trip.capacity}"
        return badge(text, "bad", "More people are booked than there are seats") if self._over(trip) else text

    def _over(self, trip: Any) -> bool:
        return trip.capacity is not None and trip.enrolled_count > trip.capacity

    @display(description="look at")
    def look(self, trip: Trip) -> SafeString:
        return flag_badges(trip)

    @action(description="Add a passenger", permissions=["add_passenger"])
    def add_passenger(self, request: HttpRequest, object_id: int) -> HttpResponseRedirect:
        url = reverse(f"{self.admin_site.name}:trips_passenger_add")
        return HttpResponseRedirect(f"{url}?{urlencode({'trip': object_id})}")

    def has_add_passenger_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return request.user.has_perm("trips.add_passenger")

    @action(description="Import passengers", permissions=["import_passengers"])
    def import_passengers(self, request: HttpRequest, object_id: int) -> HttpResponseRedirect:
        url = reverse(f"{self.admin_site.name}:trips_passenger_import")
        return HttpResponseRedirect(f"{url}?{urlencode({'trip': object_id})}")

    def has_import_passengers_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        needed = [f"trips.{verb}_passenger" for verb in ("view", "add", "change")]
        return request.user.has_perms(needed) and sees_every_trip(request.user)

    @action(description="Reports", permissions=["reports"])
    def reports(self, request: HttpRequest, object_id: int) -> HttpResponseRedirect:
        return HttpResponseRedirect(reverse("trips:trip_reports", args=[object_id]))

    @action(description="Departure pack", permissions=["reports"])
    def departure_pack(self, request: HttpRequest, object_id: int) -> HttpResponseRedirect:
        return HttpResponseRedirect(reverse("trips:departure_pack", args=[object_id]))

    def has_reports_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """Every report of a trip lists its passengers."""
        return may_see(request.user, "trips.passenger")
