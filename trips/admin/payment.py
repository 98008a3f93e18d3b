"""Payments: a plain list and form."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone
from unfold.contrib.filters.admin import ChoicesCheckboxFilter
from unfold.decorators import display

from trips.admin.base import StaffAdmin
from trips.admin.exporting import ExportPages
from trips.admin.importing import ImportPages
from trips.forms import PaymentForm
from trips.models import Payment, Trip


@admin.register(Payment)
class PaymentAdmin(ImportPages, ExportPages, StaffAdmin):
    actions_list = ("import_rows", "export_rows")
    form = PaymentForm
    empty_title = "No payments here"
    list_display = ("passenger", "trip", "kind", "amount", "currency", "paid_on", "method", "reference")
    list_filter = (("kind", ChoicesCheckboxFilter), ("method", ChoicesCheckboxFilter))
    list_select_related = ("passenger__trip",)
    search_fields = ("reference", "passenger__legal_first_name", "passenger__legal_last_name")
    autocomplete_fields = ("passenger",)
    fields = ("passenger", "kind", ("amount", "currency"), ("paid_on", "method"), "reference")

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"paid_on": timezone.localdate(), **super().get_changeform_initial_data(request)}

    @display(description="trip", ordering="passenger__trip__name")
    def trip(self, payment: Payment) -> Trip | None:
        return payment.passenger.trip
