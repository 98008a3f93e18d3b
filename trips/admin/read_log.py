"""The read log: who opened whose passport or health, when and what for. A list to be filtered, which nobody edits."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import OuterRef, QuerySet, Subquery, Value
from django.db.models.functions import Concat
from django.http import HttpRequest, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import ChoicesCheckboxFilter, RadioFilter
from unfold.decorators import action, display

from trips.admin.base import ReadOnly
from trips.admin.lists import StaffChangeList, StaffPaginator
from trips.enums import ReadKind
from trips.models import Passenger, ReadEntry, ReadPerson
from trips.permissions import may_see
from trips.services import reading
from trips.text import is_id

LABELS = {"trips.passport": "passport", "trips.healthrecord": "health"}


class ShownModel(RadioFilter):
    title = "what was shown"
    parameter_name = "shows"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(model, label.capitalize()) for model, label in LABELS.items()]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return queryset.covering(self.value()) if self.value() in LABELS else queryset


class OfPassenger(admin.SimpleListFilter):
    """Not offered in the list: the passenger's page leads here with it."""

    title = "traveller"
    parameter_name = "passenger"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        asked = request.GET.get("passenger", "")
        name = Passenger.objects.filter(pk=asked).first() if is_id(asked) else None
        return [(asked, str(name or f"Passenger {asked}"))] if asked else []

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        asked = self.value()
        return queryset.of_passenger(int(asked)) if asked and is_id(asked) else queryset


@admin.register(ReadEntry)
class ReadLogAdmin(ReadOnly, ModelAdmin):
    """Of rows that only grow: there is nothing to add, change or delete, and so no page for one of them."""

    list_display = ("at", "user", "how", "what", "whom", "shown", "reason", "address")
    list_display_links = None
    list_filter = (ShownModel, ("kind", ChoicesCheckboxFilter), OfPassenger)
    list_filter_submit = True
    list_select_related = ("user",)
    list_per_page = 25
    show_full_result_count = False
    paginator = StaffPaginator
    search_fields = ("user__username", "user__first_name", "user__last_name")
    search_help_text = "Who read it"

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> Any:
        return StaffChangeList

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """With who it was where it was one: of thousands in an export nothing is read."""
        one = ReadPerson.objects.filter(entry=OuterRef("pk"), entry__people=1).values("passenger_id")[:1]
        name = Passenger.objects.filter(pk=OuterRef("whom_id")).values(
            told=Concat("legal_first_name", Value(" "), "legal_last_name")
        )
        return super().get_queryset(request).annotate(whom_id=Subquery(one)).annotate(whom_name=Subquery(name))

    @display(description="how", ordering="kind")
    def how(self, entry: ReadEntry) -> str:
        return entry.get_kind_display()

    @display(description="whom")
    def whom(self, entry: Any) -> SafeString | str:
        if entry.whom_id is None:
            return f"{entry.people:,} travellers" if entry.people else ""
        if entry.whom_name is None:
            return f"passenger {entry.whom_id}, deleted"
        url = reverse("admin:trips_passenger_change", args=[entry.whom_id])
        return format_html('<a class="text-link" href="{}">{}</a>', url, entry.whom_name)

    @display(description="shown")
    def shown(self, entry: ReadEntry) -> str:
        return ", ".join(label for model, label in LABELS.items() if model in entry.shows)


class ReadLogLink:
    """Mixin for the passenger's page: leads to who has read of them."""

    @action(description="Read log", permissions=["readers"], url_path="to-readers")
    def readers(self, request: HttpRequest, object_id: int) -> HttpResponseRedirect:
        return HttpResponseRedirect(f"{reverse('admin:trips_readentry_changelist')}?passenger={object_id}")

    def has_readers_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return may_see(request.user, "trips.readentry")


class NotedSearch:
    """Mixin for lists of people: what is searched there stands in the read log, leafing on not again."""

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        term = request.GET.get("q", "").strip()
        if term and "p" not in request.GET and self.has_view_permission(request):  # type: ignore[attr-defined]
            reading.note(request, ReadKind.SEARCH, what=term)
        return super().changelist_view(request, extra_context)  # type: ignore[misc]
