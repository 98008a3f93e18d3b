"""The list of webhooks: which came, what each is about and what was done. What they say of a person is not shown."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Max, Sum
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString
from django.utils.text import get_text_list
from unfold.contrib.filters.admin import ChoicesCheckboxFilter
from unfold.decorators import display

from ghl_sync.admin.badges import ago
from ghl_sync.admin.records import ReadOnlyAdmin, record_of
from ghl_sync.conf import config
from ghl_sync.engine.inbox import KEPT_DAYS
from ghl_sync.models import Link, WebhookEvent, WebhookRefusal
from trips.admin.base import badge

_COLOURS = {
    WebhookEvent.Outcome.WAITING: "plain",
    WebhookEvent.Outcome.COMPARED: "good",
    WebhookEvent.Outcome.IMPORTED: "good",
    WebhookEvent.Outcome.FAILED: "bad",
}


def refusals() -> str:
    """One sentence on what was turned away in the days that are kept; empty when nothing was."""
    rows = WebhookRefusal.objects.values("reason").annotate(total=Sum("count"), last=Max("last_at")).order_by("-total")
    found = list(rows)
    if not found:
        return ""
    told = [f"{row['total']} {WebhookRefusal.Reason(row['reason']).label}" for row in found]
    last = max(row["last"] for row in found)
    return f"Turned away in the last {KEPT_DAYS} days: {get_text_list(told, 'and')}; the last one {ago(last)}."


@admin.register(WebhookEvent)
class WebhookEventAdmin(ReadOnlyAdmin):
    empty_title = "No webhooks yet"
    empty_hint = (
        "They are optional: without them GoHighLevel is read every five minutes. The README says how to get them."
    )
    list_before_template = "admin/ghl_sync/webhooks_before.html"
    list_display = ("event", "record", "outcome_shown", "received", "took")
    list_filter = (("outcome", ChoicesCheckboxFilter), ("record_kind", ChoicesCheckboxFilter))
    search_fields = ("record_id", "delivery_id", "kind")
    search_help_text = "GoHighLevel ID, delivery or event"
    ordering = ("-received_at", "-pk")
    fields = ("event", "record", "record_id", "delivery_id", "outcome_shown", "received_at", "handled_at", "tries")

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).defer("body")

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return super().changelist_view(request, {"ghl_refused": refusals(), **(extra_context or {})})

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        found = super().get_changelist_instance(request)
        _add_links(found.result_list)
        return found

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        event = super().get_object(request, object_id, from_field)
        if event is not None:
            _add_links([event])
        return event

    @display(description="event", ordering="kind")
    def event(self, event: WebhookEvent) -> str:
        return event.kind or "without a name"

    @display(description="record")
    def record(self, event: Any) -> SafeString | str:
        return record_of(event.link, event.viewer) if event.link else event.record_id or "–"

    @display(description="outcome", ordering="outcome")
    def outcome_shown(self, event: WebhookEvent) -> SafeString:
        colour = _COLOURS.get(WebhookEvent.Outcome(event.outcome), "plain")
        return badge(event.get_outcome_display(), colour)

    @display(description="received", ordering="received_at")
    def received(self, event: WebhookEvent) -> str:
        return ago(event.received_at)

    @display(description="handled after")
    def took(self, event: WebhookEvent) -> str:
        if event.handled_at is None:
            return ""
        seconds = max(0.0, (event.handled_at - event.received_at).total_seconds())
        return f"{seconds:.1f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _add_links(events: Any) -> None:
    """The record of each event as we know it, with one query."""
    ids = {event.record_id for event in events} - {""}
    known = Link.objects.filter(location_id=config().location_id, remote_id__in=ids).defer("base") if ids else ()
    links = {link.remote_id: link for link in known}
    for event in events:
        event.link = links.get(event.record_id)
