"""Vendors: who supplies trips."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest
from unfold.contrib.filters.admin import BooleanRadioFilter, ChoicesCheckboxFilter
from unfold.decorators import display

from trips.admin.archive import ArchiveActions
from trips.admin.base import ShownFilter, StaffAdmin, badge
from trips.admin.exporting import ExportPages
from trips.admin.importing import ImportPages
from trips.forms import VendorForm
from trips.models import Trip, Vendor
from trips.permissions import sees_every_trip
from trips.scope import visible_to


@admin.register(Vendor)
class VendorAdmin(ImportPages, ExportPages, ArchiveActions, StaffAdmin):
    actions_list = ("import_rows", "export_rows")
    form = VendorForm
    empty_title = "No vendors here"
    needed_by = ("trip or cost names it", "trips and costs name it")
    list_display = ("name", "kind", "contact_name", "email", "phone", "trips", "review")
    list_filter = (("kind", ChoicesCheckboxFilter), ("needs_review", BooleanRadioFilter), ShownFilter)
    search_fields = ("name", "contact_name", "email")
    ordering = ("name", "pk")  # counting the trips drops the model's own order
    fields = ("name", "kind", "contact_name", "email", "phone", "notes", "needs_review")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Vendor]:
        rows = super().get_queryset(request)
        if sees_every_trip(request.user):
            return rows.annotate(trip_count=Count("trips"))
        mine = Q(trips__in=visible_to(request.user, Trip.objects.order_by()).values("pk"))
        return rows.annotate(trip_count=Count("trips", filter=mine))

    @display(description="needs review", ordering="needs_review")
    def review(self, vendor: Vendor) -> str:
        return badge("Look at it", "doubt", "Made from a name that came in.") if vendor.needs_review else ""

    @display(description="trips", ordering="trip_count")
    def trips(self, vendor: Any) -> int:
        return vendor.trip_count
