"""Filters that somebody named: above each list to choose, save and share, and a page of one's own to tidy up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import NoReverseMatch, URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.decorators import display

from trips.admin.scoped import ScopedRows
from trips.models import SavedFilter
from trips.models.saved_filter import folded_query
from trips.scope import visible_to

LONGEST_QUERY = 2000
_NAME = 80


@dataclass(frozen=True, slots=True)
class Chip:
    """A saved filter above its list; `here` is the one that the list shows."""

    name: str
    url: str
    here: bool
    hint: str


class SavedFilters:
    """Mixin for a list page."""

    list_before_template = "trips/admin/saved_filters.html"

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view  # type: ignore[attr-defined]
        name = f"{self.opts.app_label}_{self.opts.model_name}_save_filter"  # type: ignore[attr-defined]
        return [
            path("save-filter/", wrap(self.save_filter_view), name=name),
            *super().get_urls(),  # type: ignore[misc]
        ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        query = folded_query(request.GET.urlencode())
        chips = [] if "_popup" in request.GET else chips_of(request, str(self.opts.label_lower), query)  # type: ignore[attr-defined]
        save = f"admin:{self.opts.app_label}_{self.opts.model_name}_save_filter"  # type: ignore[attr-defined]
        context = {
            "saved_filters": chips,
            "saved_query": query if not any(chip.here for chip in chips) and "_popup" not in request.GET else "",
            "saved_url": reverse(save),
        }
        return super().changelist_view(request, {**context, **(extra_context or {})})  # type: ignore[misc]

    def save_filter_view(self, request: HttpRequest) -> HttpResponse:
        """Keep the filters of the list under a name; one of this name is replaced."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not self.has_view_permission(request):  # type: ignore[attr-defined]
            raise PermissionDenied
        name, query = request.POST.get("name", "").strip(), folded_query(request.POST.get("query", ""))
        back = reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist")  # type: ignore[attr-defined]
        refusal = _refusal(name, query)
        if refusal:
            messages.error(request, refusal)
        else:
            owner: Any = request.user
            SavedFilter.objects.update_or_create(
                owner=owner,
                page=self.opts.label_lower,  # type: ignore[attr-defined]
                name=name,
                defaults={"query": query, "shared": "shared" in request.POST},
            )
            messages.success(request, f"Saved as “{name}”. It stands above the list.")
        return HttpResponseRedirect(f"{back}?{query}" if len(query) <= LONGEST_QUERY else back)


def _refusal(name: str, query: str) -> str:
    if not name or len(name) > _NAME:
        return f"Give the filter a name of at most {_NAME} characters."
    if not query:
        return "Nothing is filtered, so there is nothing to save. Choose filters or search, then save."
    if len(query) > LONGEST_QUERY:
        return "These filters are too long to be saved. Choose fewer of them."
    return ""


def chips_of(request: HttpRequest, page: str, query: str) -> list[Chip]:
    rows = SavedFilter.objects.filter(Q(owner=request.user) | Q(shared=True), page=page)
    # A name or a search of somebody else's may be a name of their trip's.
    rows = visible_to(request.user, rows)
    return [
        Chip(
            row.name,
            f"?{row.query}",
            row.query == query,
            "" if row.owner_id == request.user.pk else f"Shared by {row.owner}",
        )
        for row in rows.select_related("owner")
    ]


@admin.register(SavedFilter)
class SavedFilterAdmin(ScopedRows, ModelAdmin):
    """One's own filters: renamed, shared, pinned, deleted. Nobody sees another's here."""

    list_display = ("name", "of_list", "shared", "pinned", "open_it")
    list_editable = ("shared", "pinned")
    list_per_page = 25
    fields = ("name", "shared", "pinned")

    def get_queryset(self, request: HttpRequest) -> QuerySet[SavedFilter]:
        return super().get_queryset(request).filter(owner=request.user)

    # Whoever works here has filters of their own; no permission of the model is needed, and none reaches further.
    def has_module_permission(self, request: HttpRequest) -> bool:
        return True

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return obj is None or obj.owner_id == request.user.pk

    has_change_permission = has_view_permission
    has_delete_permission = has_view_permission

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    @display(description="list")
    def of_list(self, row: SavedFilter) -> str:
        return str(apps.get_model(row.page)._meta.verbose_name_plural).capitalize()

    @display(description="")
    def open_it(self, row: SavedFilter) -> SafeString | str:
        try:
            url = reverse(f"admin:{row.page.replace('.', '_')}_changelist")
        except NoReverseMatch:
            return ""
        return format_html('<a class="text-link" href="{}?{}">Open</a>', url, row.query)
