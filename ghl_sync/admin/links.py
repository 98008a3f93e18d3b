"""The list of synced records, one row each, and what hangs below its address: the desk, timelines, repairs."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.decorators import display

from ghl_sync.admin import adopt, approvals, bulk, deleting, desk, doubles
from ghl_sync.admin.account import confirm_sensitive
from ghl_sync.admin.badges import SHORT, ago, badge_of
from ghl_sync.admin.fields import label_of
from ghl_sync.admin.filters import LinkKindFilter, StateFilter
from ghl_sync.admin.panel import events_of
from ghl_sync.admin.records import ReadOnlyAdmin, record_of, table
from ghl_sync.admin.switches import switch_view
from ghl_sync.admin.timeline import timeline_view
from ghl_sync.models import Link


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
    actions = (
        "sync_selected", "adopt_selected", "create_again_selected", "put_away_selected", "detach_selected",
        "detach_ignore_selected", "ignore_selected", "unignore_selected",
    )  # fmt: skip
    fields = (
        "record", "state_shown", "repairs", "key_shown", "remote", "opened_remotely", "synced_at", "waits_for",
        "next_attempt_at", "last_error", "last_error_at", "refused_fields", "gone_at", "gone_reason", "deleted_at",
        "events",
    )  # fmt: skip

    # Told only of records that have something to tell.
    told_if_any = {
        "waits_for", "next_attempt_at", "last_error", "last_error_at", "parked_fields", "gone_at", "gone_reason",
        "deleted_at",
    }  # fmt: skip

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        names = {"refused_fields": "parked_fields"}
        columns = [(str(name), names.get(str(name), str(name))) for name in super().get_fields(request, obj)]
        return [name for name, column in columns if column not in self.told_if_any or getattr(obj, column, None)]

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
            *doubles.urls(self.admin_site),
            *desk.urls(self.admin_site),
            *bulk.urls(self.admin_site),
            *adopt.urls(self.admin_site),
            *super().get_urls(),
        ]

    def has_sync_permission(self, request: HttpRequest) -> bool:
        return bulk.may_repair(request.user)

    @admin.action(description="Sync now", permissions=["sync"])
    def sync_selected(self, request: HttpRequest, queryset: Any) -> HttpResponse | None:
        """A few at once; many say first what that takes."""
        if queryset.count() > bulk.MANY:
            return self._confirm(queryset, "retry")
        links = [link for link in queryset if bulk.BY_NAME["retry"].fits(link)]
        bulk.tell(request, bulk.BY_NAME["retry"], *bulk.run(bulk.BY_NAME["retry"], links))
        return None

    @admin.action(description="Stop mirroring…", permissions=["sync"])
    def ignore_selected(self, request: HttpRequest, queryset: Any) -> HttpResponse:
        return self._confirm(queryset, "ignore")

    @admin.action(description="Mirror again…", permissions=["sync"])
    def unignore_selected(self, request: HttpRequest, queryset: Any) -> HttpResponse:
        return self._confirm(queryset, "unignore")

    @admin.action(description="Create again in GoHighLevel…", permissions=["sync"])
    def create_again_selected(self, request: HttpRequest, queryset: Any) -> HttpResponse:
        return self._confirm(queryset, "create-again")

    @admin.action(description="Accept that they are gone…", permissions=["sync"])
    def put_away_selected(self, request: HttpRequest, queryset: Any) -> HttpResponse:
        return self._confirm(queryset, "put-away")

    @admin.action(description="Detach and create new ones…", permissions=["sync"])
    def detach_selected(self, request: HttpRequest, queryset: Any) -> HttpResponse:
        return self._confirm(queryset, "detach")

    @admin.action(description="Detach and leave alone…", permissions=["sync"])
    def detach_ignore_selected(self, request: HttpRequest, queryset: Any) -> HttpResponse:
        return self._confirm(queryset, "detach-ignore")

    @admin.action(description="Link to an opportunity that exists…", permissions=["sync"])
    def adopt_selected(self, request: HttpRequest, queryset: Any) -> HttpResponse | None:
        ids = list(queryset.values_list("pk", flat=True)[:2])
        if len(ids) == 1:
            return HttpResponseRedirect(reverse("admin:ghl_sync_link_adopt", args=ids))
        self.message_user(request, "Choose one record: each is linked to one opportunity.", messages.WARNING)
        return None

    def _confirm(self, queryset: Any, verb: str) -> HttpResponse:
        ids = queryset.order_by("pk").values_list("pk", flat=True)[: bulk.MOST + 1]
        return HttpResponseRedirect(bulk.confirm_url(verb, list(ids)))

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
        if not link.remote_url or link.gone_at is not None:
            return ""
        return format_html(
            '<a class="text-link" href="{}" target="_blank" rel="noopener">Open in GoHighLevel</a>', link.remote_url
        )

    @display(description="repairs")
    def repairs(self, link: Any) -> SafeString | str:
        if not bulk.may_repair(link.viewer):
            return ""
        offered = [(bulk.confirm_url(verb.name, [link.pk]), f"{verb.label}…") for verb in bulk.verbs_for(link)]
        if link.deleted_at is None and (not link.remote_id or link.gone_at is not None):
            url = reverse("admin:ghl_sync_link_adopt", args=[link.pk])
            offered.insert(0, (url, "Link to an opportunity that exists…"))
        return format_html_join(" · ", '<a class="text-link" href="{}">{}</a>', offered)

    @display(description="GoHighLevel ID")
    def remote(self, link: Any) -> str:
        return link.remote_id

    @display(description="key")
    def key_shown(self, link: Any) -> str:
        return link.key

    @display(description="fields not sent any more")
    def refused_fields(self, link: Any) -> str:
        return ", ".join(label_of(link.kind, name) for name in link.parked_fields)

    @display(description="sent and fetched last")
    def events(self, link: Any) -> SafeString | str:
        rows = ((e.when, e.what, e.who, e.fields, e.note) for e in events_of(link, link.viewer, 20))
        url = reverse("admin:ghl_sync_link_timeline", args=[link.pk])
        more = format_html('<a class="text-link" href="{}">Whole timeline, and where each value is from</a>', url)
        return format_html("{}{}", table(("When", "What", "How", "Fields", "Note"), rows), more)
