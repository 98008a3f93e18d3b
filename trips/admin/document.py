"""Papers: a plain list and form. The private link and the stored file's address are never shown."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.contrib.filters.admin import ChoicesCheckboxFilter

from trips.admin.base import StaffAdmin
from trips.admin.exporting import ExportPages
from trips.forms import DocumentForm
from trips.models import Document


@admin.register(Document)
class DocumentAdmin(ExportPages, StaffAdmin):
    actions_list = ("export_rows",)
    form = DocumentForm
    empty_title = "No documents here"
    list_display = ("kind", "trip", "passenger", "state", "original_name", "created_at")
    list_filter = (("kind", ChoicesCheckboxFilter), ("state", ChoicesCheckboxFilter))
    list_select_related = ("trip", "passenger")
    search_fields = ("original_name", "trip__name", "passenger__legal_last_name")
    autocomplete_fields = ("trip", "passenger")
    fields = ("kind", "trip", "passenger", "state", "rejection_reason", "original_name")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).defer("remote_url")
