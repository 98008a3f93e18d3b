"""What was sent: a list that nobody edits. Each row leads to its comparison, which has the report's own permissions."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import ChoicesCheckboxFilter
from unfold.decorators import display

from trips.admin.base import ReadOnly
from trips.admin.scoped import ScopedRows
from trips.models import SentReport


@admin.register(SentReport)
class SentReportAdmin(ReadOnly, ScopedRows, ModelAdmin):
    list_display = ("created_at", "what", "about", "format", "row_count", "by")
    list_display_links = None
    list_filter = (("format", ChoicesCheckboxFilter),)
    list_select_related = ("by",)
    list_per_page = 25
    search_fields = ("title", "about")
    fields = ("title", "about", "format", "row_count", "by", "sha256", "created_at")
    ordering = ("-created_at", "-pk")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).defer("rows")

    @display(description="report", ordering="title")
    def what(self, copy: SentReport) -> SafeString:
        url = reverse("trips:sent_copy", args=[copy.pk])
        return format_html('<a class="text-link" href="{}">{}</a>', url, copy.title)
