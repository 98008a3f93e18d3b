"""The sync's own tables, to look at: nothing here adds, changes or deletes a row."""

from __future__ import annotations

from functools import partial
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import ChoicesCheckboxFilter
from unfold.decorators import display

from ghl_sync import tasks
from ghl_sync.admin import deleting
from ghl_sync.admin.account import account_of, confirm_sensitive, list_context
from ghl_sync.admin.badges import SHORT, ago, badge_of
from ghl_sync.admin.fields import is_sensitive, label_of, may_see_value
from ghl_sync.admin.filters import KindFilter, LinkKindFilter, OpenFilter, StateFilter
from ghl_sync.admin.panel import events_of
from ghl_sync.admin.switches import switch_view
from ghl_sync.admin.timeline import timeline_view
from ghl_sync.engine import resolve
from ghl_sync.models import Issue, Link, Run
from trips.admin.base import Elsewhere, badge, said

HIDDEN = "not shown"
_COUNTS = ("seen", "created", "updated", "unchanged", "issues", "failed", "gone", "linked", "unlinked")


class ReadOnlyAdmin(ModelAdmin):
    """A list and its pages, for whoever may view the model."""

    list_per_page = 25
    list_max_show_all = 200
    show_facets = admin.ShowFacets.ALWAYS
    list_fullwidth = True
    list_before_template = "admin/ghl_sync/list_before.html"
    empty_value_display = "–"
    empty_title = "Nothing here"
    empty_hint = "Reset the search and filters to see more."

    class Media:
        css = {"all": ("ghl_sync/sync.css",)}
        js = ("trips/staff.js",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return super().changelist_view(request, {**list_context(request), **(extra_context or {})})

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        # Columns ask what this user may see; a list is built anew for every request.
        found = super().get_changelist_instance(request)
        for row in found.result_list:
            row.viewer = request.user
            row.account = account_of(request)
        return found

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        obj = super().get_object(request, object_id, from_field)
        if obj is not None:
            obj.viewer, obj.account = request.user, account_of(request)
        return obj


def record_of(link: Link | None, viewer: Any, text: str = "") -> SafeString | str:
    """A record's name (or `text`), leading to its page while it is there and `viewer` may open it."""
    if link is None:
        return "–"
    if link.deleted_at is not None:
        return f"{link.label or link} (deleted here)"
    if not (viewer.has_perm(f"trips.view_{link.kind}") or viewer.has_perm(f"trips.change_{link.kind}")):
        return link.label or str(link)
    url = reverse(f"admin:trips_{link.kind}_change", args=[link.object_id])
    return format_html('<a class="text-link" href="{}">{}</a>', url, text or link.label or link)


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
            *super().get_urls(),
        ]

    def has_sync_permission(self, request: HttpRequest) -> bool:
        user: Any = request.user
        return user.has_perms(("trips.change_trip", "trips.change_passenger", "trips.change_contact"))

    @admin.action(description="Sync now", permissions=["sync"])
    def sync_selected(self, request: HttpRequest, queryset: Any) -> None:
        links = list(queryset)
        with transaction.atomic():
            for link in links:
                resolve.ask_for(link)
                tasks.wake_after_commit(link.pk)
        hindrance = account_of(request).hindrance
        asked = f"{said(len(links), 'record is', 'records are')} compared in a moment."
        level = messages.WARNING if hindrance else messages.INFO
        self.message_user(request, f"{asked} {hindrance}".strip(), level)

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
        return format_html("{}{}", _table(("When", "What", "How", "Fields", "Note"), rows), more)


class QuestionAdmin(ReadOnlyAdmin):
    """What issues and conflicts share: they belong to a link and speak of one of its fields."""

    list_select_related = ("link",)
    search_help_text = "Record, field or message"
    ordering = ("-opened_at", "-pk")
    # The column that ends a question, and how the ended ones are called: "conflict was decided".
    ended_by = "closed_at"
    ended = ("problem was settled", "problems were settled")

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        found = super().get_changelist_instance(request)
        if not found.result_count and not request.GET.get("open"):
            found.elsewhere = self._settled(request, found.query)
        return found

    def _settled(self, request: HttpRequest, query: str) -> Elsewhere | None:
        """How many questions of this search are settled, for a list that shows none that is open."""
        settled = self.get_queryset(request).filter(**{f"{self.ended_by}__isnull": False})
        rows, _doubles = self.get_search_results(request, settled, query)
        count = rows.count()
        address = {"open": "settled", **({"q": query} if query else {})}
        return Elsewhere(said(count, *self.ended), f"?{urlencode(address)}") if count else None

    @display(description="record")
    def record(self, row: Any) -> SafeString | str:
        return record_of(row.link, row.viewer)

    @display(description="field", ordering="field")
    def field_shown(self, row: Any) -> str:
        return label_of(row.link.kind, row.field) if row.field and row.link else row.field

    @display(description="opened", ordering="opened_at")
    def opened(self, row: Any) -> str:
        return ago(row.opened_at)

    def _value(self, row: Any, text: str) -> str:
        kind = row.link.kind if row.link else ""
        if not text:
            return ""
        return text if may_see_value(row.viewer, kind, row.field) else HIDDEN


@admin.register(Issue)
class IssueAdmin(QuestionAdmin):
    empty_title = "No problems here"
    empty_hint = "Values that do not fit, and what GoHighLevel kept or refused, are listed here."
    list_display = ("message_shown", "code", "field_shown", "record", "opened")
    list_filter = (OpenFilter, ("code", ChoicesCheckboxFilter), KindFilter)
    search_fields = ("message", "field", "link__label", "remote_id")
    fields = ("message", "code", "field_shown", "record", "received", "remote_id", "opened_at", "closed_at")

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).defer("raw", "link__base")

    @display(description="problem", ordering="message")
    def message_shown(self, issue: Issue) -> str:
        return Truncator(issue.message).chars(160)

    @display(description="value received")
    def received(self, issue: Any) -> str:
        kind = issue.link.kind if issue.link else ""
        return HIDDEN if is_sensitive(kind, issue.field) else self._value(issue, issue.raw)


@admin.register(Run)
class RunAdmin(ReadOnlyAdmin):
    empty_title = "No pulls yet"
    empty_hint = "GoHighLevel is read every five minutes, and in full every night."
    list_display = ("run", "started", "took", "outcome", "summary")
    list_filter = (("mode", ChoicesCheckboxFilter), "ok")
    search_fields = ("error",)
    search_help_text = "Error"
    ordering = ("-pk",)
    fields = ("run", "outcome", "started_at", "finished_at", "took", "since", "calls", "counts", "error")

    @display(description="pull", ordering="pk")
    def run(self, run: Run) -> str:
        return str(run)

    @display(description="started", ordering="started_at")
    def started(self, run: Run) -> str:
        return ago(run.started_at)

    @display(description="took")
    def took(self, run: Run) -> str:
        end = run.finished_at or run.touched_at
        seconds = max(0.0, (end - run.started_at).total_seconds())
        return f"{seconds:.1f} s" if seconds < 120 else f"{seconds / 60:.0f} min"

    @display(description="outcome")
    def outcome(self, run: Run) -> SafeString:
        if run.finished_at is None:
            return badge("Broke off, goes on", "doubt") if run.error else badge("Under way", "plain")
        return badge("Done", "good") if run.ok else badge("Ended with failures", "bad")

    @display(description="found")
    def summary(self, run: Run) -> str:
        return "; ".join(filter(None, (_summary(name, run.report.get(name)) for name in _KINDS))) or "nothing yet"

    @display(description="calls")
    def calls(self, run: Run) -> int | None:
        return run.report.get("calls")

    @display(description="counts")
    def counts(self, run: Run) -> SafeString | str:
        rows = ((name.capitalize(), *(_number(run, name, count) for count in _COUNTS)) for name in _KINDS)
        return _table(("", *(count.capitalize() for count in _COUNTS)), rows)


_KINDS = ("trips", "passengers", "contacts")


def _summary(name: str, counts: dict[str, int] | None) -> str:
    """ "12 trips (3 new, 1 failed)"."""
    if not counts or not counts.get("seen"):
        return ""
    words = {"created": "new", "updated": "changed", "failed": "failed", "gone": "gone", "issues": "with problems"}
    told = ", ".join(f"{counts[key]} {word}" for key, word in words.items() if counts.get(key))
    return f"{said(counts['seen'], name[:-1], name)}" + (f" ({told})" if told else "")


def _number(run: Run, name: str, count: str) -> Any:
    return run.report.get(name, {}).get(count, "")


def _table(heads: tuple[str, ...], rows: Any) -> SafeString | str:
    body = format_html_join("", "<tr>{}</tr>", ((_cells("td", row),) for row in rows))
    if not body:
        return ""
    return format_html(
        '<div class="sync-scroll"><table class="sync-table"><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>',
        _cells("th", heads),
        body,
    )


def _cells(tag: str, values: Any) -> SafeString:
    return format_html_join("", f"<{tag}>{{}}</{tag}>", ((value,) for value in values))
