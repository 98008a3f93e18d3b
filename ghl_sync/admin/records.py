"""The sync's own tables, to look at: nothing here adds, changes or deletes a row."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import ChoicesCheckboxFilter
from unfold.decorators import display

from ghl_sync.admin.account import account_of, list_context
from ghl_sync.admin.badges import ago
from ghl_sync.admin.fields import is_sensitive, label_of, may_see_value
from ghl_sync.admin.filters import KindFilter, OpenFilter
from ghl_sync.engine import twins
from ghl_sync.models import Issue, Link
from trips import permissions
from trips.admin.base import Elsewhere, ReadOnly, said

HIDDEN = "not shown"


class ReadOnlyAdmin(ReadOnly, ModelAdmin):
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


def may_see(link: Link | None, viewer: Any) -> bool:
    """Whether `viewer` may look at records of this kind."""
    return link is not None and permissions.may_see(viewer, f"trips.{link.kind}")


def record_of(link: Link | None, viewer: Any, text: str = "") -> SafeString | str:
    """A record's name (or `text`), leading to its page while it is there and `viewer` may open it."""
    if link is None:
        return "–"
    if link.deleted_at is not None:
        return f"{link.label or link} (deleted here)"
    if not may_see(link, viewer):
        return link.label or str(link)
    url = reverse(f"admin:trips_{link.kind}_change", args=[link.object_id])
    return format_html('<a class="text-link" href="{}">{}</a>', url, text or link.label or link)


def _has_page(link: Link | None, viewer: Any) -> bool:
    return link is not None and link.deleted_at is None and may_see(link, viewer)


# Issues settled on a page of their own: the permission that opens it (empty: to see the record), address, words.
_Code = Issue.Code
_DEFINED = ("ghl_sync.view_remotefield", "admin:ghl_sync_remotefield_changelist", "See drop-downs")
_REPAIRED: dict[str, tuple[str, str, str]] = {
    **dict.fromkeys(twins.CODES, ("", "admin:ghl_sync_double", "Compare and decide")),
    _Code.CHANGED: ("", "admin:ghl_sync_deleted", "Decide"),
    _Code.SAME_HERE: ("trips.change_contact", "admin:ghl_sync_same_here", "Compare and merge"),
    **dict.fromkeys((_Code.NO_OPTION, _Code.NO_FIELD, _Code.OPTION_GONE, _Code.LOOKALIKE), _DEFINED),
}


def repair_of(issue: Issue, viewer: Any) -> SafeString | str:
    """Where an open issue is repaired, as a link; empty where there is nothing that `viewer` may open."""
    if issue.closed_at is not None:
        return ""
    link: Any = issue.link
    if issue.code not in _REPAIRED:
        return record_of(link, viewer, "Open the record") if _has_page(link, viewer) else ""
    permission, name, words = _REPAIRED[issue.code]
    if not (viewer.has_perm(permission) if permission else may_see(link, viewer)):
        return ""
    url = reverse(name, args=[issue.pk] if issue.code in {*twins.CODES, _Code.SAME_HERE} else [])
    return format_html('<a class="text-link" href="{}">{}</a>', url, words)


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
    list_display = ("message_shown", "kind_shown", "field_shown", "record", "repair", "opened")
    list_filter = (OpenFilter, ("code", ChoicesCheckboxFilter), KindFilter)
    search_fields = ("message", "field", "link__label", "remote_id")
    fields = (
        "message",
        "kind_shown",
        "field_shown",
        "record",
        "repair",
        "received",
        "remote",
        "opened_at",
        "closed_at",
    )

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).defer("raw", "link__base")

    @display(description="problem", ordering="message")
    def message_shown(self, issue: Issue) -> str:
        return Truncator(issue.message).chars(160)

    @display(description="kind", ordering="code")
    def kind_shown(self, issue: Issue) -> str:
        return issue.get_code_display()

    @display(description="repair")
    def repair(self, issue: Any) -> SafeString | str:
        return repair_of(issue, issue.viewer)

    @display(description="GoHighLevel ID")
    def remote(self, issue: Issue) -> str:
        return issue.remote_id

    @display(description="value received")
    def received(self, issue: Any) -> str:
        if not issue.raw:
            return ""
        kind = issue.link.kind if issue.link else ""
        return HIDDEN if is_sensitive(kind, issue.field) else self._value(issue, issue.raw)


def table(heads: tuple[str, ...], rows: Any) -> SafeString | str:
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
