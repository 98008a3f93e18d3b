"""The list of synced records, one row each, and what hangs below its address: the desk, timelines, repairs."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.db import transaction
from django.http import HttpRequest
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import display

from ghl_sync import budget, tasks
from ghl_sync.admin import approvals, deleting, desk
from ghl_sync.admin.account import account_of, confirm_sensitive
from ghl_sync.admin.badges import SHORT, ago, badge_of
from ghl_sync.admin.fields import label_of
from ghl_sync.admin.filters import LinkKindFilter, StateFilter
from ghl_sync.admin.panel import events_of
from ghl_sync.admin.records import ReadOnlyAdmin, record_of, table
from ghl_sync.admin.switches import switch_view
from ghl_sync.admin.timeline import timeline_view
from ghl_sync.engine import resolve
from ghl_sync.models import Lane, Link
from trips.admin.base import said

# From so many records on, "Sync now" says what it takes, and gives way to staff's edits.
MANY = 20


@admin.register(Link)
class LinkAdmin(ReadOnlyAdmin):
    empty_title = "No synced records here"
    empty_hint = "Every trip, passenger and contact has one from its first save or pull on."
    show_facets = admin.ShowFacets.ALLOW  # counting eight computed states costs more than the list itself
    list_display = ("link_name", "kind", "state_shown", "synced", "opened_here", "opened_remotely")
    list_filter = (LinkKindFilter, StateFilter)
    search_fields = ("label", "remote_id", "uid")
    search_help_text = "Name, GoHighLevel ID or key"
    ordering = ("-pk",)
    actions = ("sync_selected",)
    fields = (
        "record", "state_shown", "key_shown", "remote_id", "opened_remotely", "synced_at", "waits_for",
        "next_attempt_at", "last_error", "last_error_at", "refused_fields", "gone_at", "gone_reason", "deleted_at",
        "events",
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> Any:
        rows: Any = super().get_queryset(request)
        return rows.with_state().defer("base")

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(confirm_sensitive)
        timeline = self.admin_site.admin_view(partial(timeline_view, site=self.admin_site))
        switch = self.admin_site.admin_view(switch_view)
        return [
            path("confirm-sensitive/", view, name="ghl_sync_confirm_sensitive"),
            path("<int:link_id>/timeline/", timeline, name="ghl_sync_link_timeline"),
            path("switch/", switch, name="ghl_sync_switch"),
            *deleting.urls(self.admin_site),
            *approvals.urls(self.admin_site),
            *desk.urls(self.admin_site),
            *super().get_urls(),
        ]

    def has_sync_permission(self, request: HttpRequest) -> bool:
        user: Any = request.user
        return user.has_perms(("trips.change_trip", "trips.change_passenger", "trips.change_contact"))

    @admin.action(description="Sync now", permissions=["sync"])
    def sync_selected(self, request: HttpRequest, queryset: Any) -> None:
        links = list(queryset)
        many = len(links) > MANY
        cost = _cost(links) if many else ""
        with transaction.atomic():
            for link in links:
                resolve.ask_for(link, lane=Lane.BULK if many else Lane.STAFF)
                tasks.wake_after_commit(link.pk)
        hindrance = account_of(request).hindrance
        asked = f"{said(len(links), 'record is', 'records are')} compared in a moment."
        level = messages.WARNING if hindrance else messages.INFO
        self.message_user(request, " ".join(filter(None, (asked, cost, hindrance))), level)

    @display(description="name", ordering="label")
    def link_name(self, link: Any) -> str:
        return link.label or f"{link.get_kind_display()} {link.object_id}"

    @display(description="record")
    def record(self, link: Any) -> SafeString | str:
        return record_of(link, link.viewer)

    @display(description="state")
    def state_shown(self, link: Any) -> SafeString:
        return badge_of(link, link.account).html(SHORT)

    @display(description="synced", ordering="synced_at")
    def synced(self, link: Any) -> str:
        return ago(link.synced_at) if link.synced_at else ""

    @display(description="here")
    def opened_here(self, link: Any) -> SafeString | str:
        return record_of(link, link.viewer, f"Open {link.get_kind_display().lower()}")

    @display(description="GoHighLevel")
    def opened_remotely(self, link: Any) -> SafeString | str:
        if not link.remote_url:
            return ""
        return format_html(
            '<a class="text-link" href="{}" target="_blank" rel="noopener">Open in GoHighLevel</a>', link.remote_url
        )

    @display(description="key")
    def key_shown(self, link: Any) -> str:
        return link.key

    @display(description="fields GoHighLevel refused")
    def refused_fields(self, link: Any) -> str:
        return ", ".join(label_of(link.kind, name) for name in link.parked_fields)

    @display(description="sent and fetched last")
    def events(self, link: Any) -> SafeString | str:
        rows = ((e.when, e.what, e.who, e.fields, e.note) for e in events_of(link, link.viewer, 20))
        url = reverse("admin:ghl_sync_link_timeline", args=[link.pk])
        more = format_html('<a class="text-link" href="{}">Whole timeline, and where each value is from</a>', url)
        return format_html("{}{}", table(("When", "What", "How", "Fields", "Note"), rows), more)


def _cost(links: list[Link]) -> str:
    """What comparing so many takes of GoHighLevel's limits, and whom it may write to."""
    counts = Counter(link.kind for link in links)
    moved = budget.stage_changes([link.pk for link in links])
    return f"{budget.forecast(counts).text} {budget.stages_text(moved)}".strip()
