"""Payments: a plain list and form."""

from __future__ import annotations

from django.contrib import admin
from unfold.contrib.filters.admin import ChoicesCheckboxFilter

from trips.admin.base import StaffAdmin
from trips.forms import PaymentForm
from trips.models import Payment


@admin.register(Payment)
class PaymentAdmin(StaffAdmin):
    form = PaymentForm
    empty_title = "No payments here"
    list_display = ("passenger", "kind", "amount", "currency", "paid_on", "method", "reference")
    list_filter = (("kind", ChoicesCheckboxFilter), ("method", ChoicesCheckboxFilter))
    list_select_related = ("passenger",)
    search_fields = ("reference", "passenger__legal_first_name", "passenger__legal_last_name")
    autocomplete_fields = ("passenger",)
    fields = ("passenger", "kind", "amount", "currency", "paid_on", "method", "reference")
