"""What was erased for good, by whom and when: a list that nobody edits. It names nobody."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import ChoicesCheckboxFilter
from unfold.decorators import display

from trips.admin.base import ReadOnly
from trips.admin.lists import StaffChangeList
from trips.models import Erasure


@admin.register(Erasure)
class ErasureAdmin(ReadOnly, ModelAdmin):
    list_display = ("at", "kind", "by", "contact_id", "passenger_numbers", "what")
    list_display_links = None
    list_filter = (("kind", ChoicesCheckboxFilter),)
    list_filter_submit = True
    list_select_related = ("by",)
    list_per_page = 25
    show_full_result_count = False
    empty_title = "Nothing was erased yet"
    empty_hint = "A contact’s page has “Erase…” for whoever may; retention is set in .env."

    def get_changelist(self, request: Any, **kwargs: Any) -> Any:
        return StaffChangeList

    @display(description="passengers no.")
    def passenger_numbers(self, erasure: Erasure) -> str:
        return ", ".join(map(str, erasure.passengers))

    @display(description="what went")
    def what(self, erasure: Erasure) -> str:
        return ", ".join(f"{name}: {count}" for name, count in erasure.counts.items())
