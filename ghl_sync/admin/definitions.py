"""What GoHighLevel defines: fields, drop-downs with how many records use each option, stages; each trouble mended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import RadioFilter
from unfold.decorators import display

from ghl_sync import tasks
from ghl_sync.admin.account import account_of
from ghl_sync.admin.badges import ago
from ghl_sync.admin.buttons import only_by_button
from ghl_sync.admin.records import ReadOnlyAdmin, record_of
from ghl_sync.conf import config
from ghl_sync.engine.definitions import DROP_DOWNS
from ghl_sync.engine.mending import may_mend
from ghl_sync.engine.uses import held_there, said, stages_used
from ghl_sync.mapping.converters import Option, look_alikes, options_by_fold
from ghl_sync.mapping.fields import FieldMap
from ghl_sync.mapping.table import MAPS, STAGES
from ghl_sync.models import Issue, Link, Pipeline, RemoteField
from trips.admin.base import badge
from trips.text import fold_name

# Records of a look-alike that are named; the others are only counted.
NAMED = 5
DATA_TYPES = {
    "TEXT": "text",
    "LARGE_TEXT": "long text",
    "PHONE": "phone number",
    "NUMERICAL": "number",
    "MONETORY": "amount of money",
    "DATE": "date",
    "SINGLE_OPTIONS": "drop-down",
    "RADIO": "choice",
    "CHECKBOX": "tick boxes",
    "MULTIPLE_OPTIONS": "drop-down, several",
    "FILE_UPLOAD": "files",
    "SIGNATURE": "signature",
    "TEXTBOX_LIST": "list of texts",
}


def mapped(key: str) -> list[tuple[str, FieldMap]]:
    """The rows of the mapping that use this field, with their kind."""
    return [(kind, row) for kind, table in MAPS.items() for row in table.customs if row.remote == key]


class UseFilter(RadioFilter):
    """Drop-downs unless asked for otherwise: they are what needs a look."""

    title = "fields"
    parameter_name = "fields"
    all_option = None

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("drop-downs", "Drop-downs in use"), ("used", "All in use"), ("all", "All of the account")]

    def value(self) -> str:
        return super().value() or "drop-downs"

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if self.value() == "all":
            return queryset
        keys = {row.remote for table in MAPS.values() for row in table.customs}
        rows = queryset.filter(key__in=keys)
        return rows.filter(data_type__in=DROP_DOWNS) if self.value() == "drop-downs" else rows


@dataclass(frozen=True, slots=True)
class Trouble:
    """An issue about the definitions, and whether a button here ends it."""

    issue: Issue
    mends: bool

    @property
    def message(self) -> str:
        """The issue's own words, which name this page: they are read in lists and mails as well."""
        return self.issue.message.replace("on the page “Fields and drop-downs”", "on this page")

    @property
    def verb(self) -> str:
        return "Make it again" if self.issue.code == Issue.Code.NO_FIELD else "Add it again"


def troubles() -> list[Trouble]:
    codes = (Issue.Code.NO_FIELD, Issue.Code.OPTION_GONE, Issue.Code.LOOKALIKE, Issue.Code.REFUSED)
    rows = Issue.objects.filter(link__isnull=True, closed_at__isnull=True, code__in=codes).order_by("field", "pk")
    return [Trouble(row, may_mend(row)) for row in rows]


@dataclass(frozen=True, slots=True)
class StageLine:
    name: str
    note: str
    records: str


def stage_lists() -> list[tuple[str, list[StageLine]]]:
    """Our pipelines with their stages as they are called there, and how many records here stand in each."""
    settings = config()
    names = {name: kind for kind, name in settings.pipelines.items()}
    rows = Pipeline.objects.filter(location_id=settings.location_id, name__in=names, gone_at__isnull=True)
    found = []
    for pipeline in rows.order_by("-name").prefetch_related("stages"):
        kind = names[pipeline.name]
        used, known = stages_used(kind), STAGES[kind]
        lines = []
        for stage in pipeline.stages.all():
            count = used[stage.code or stage.name]
            if stage.gone_at is not None and not count:
                continue
            label = known.get(stage.code, stage.name)
            note = "gone from GoHighLevel" if stage.gone_at else ""
            if not note and fold_name(label) != fold_name(stage.name):
                note = f"known here as {label}"
            lines.append(StageLine(stage.name, note, said(kind, count) if count else "–"))
        found.append((pipeline.name, lines))
    return found


@admin.register(RemoteField)
class DefinitionAdmin(ReadOnlyAdmin):
    empty_title = "GoHighLevel's fields were not read yet"
    empty_hint = "They are read every hour. Run `manage.py ghl_setup` to look at once."
    list_before_template = "admin/ghl_sync/definitions_before.html"
    list_display = ("name_shown", "kind_of_value", "used_by", "options_count", "alike", "there")
    list_filter = (UseFilter,)
    search_fields = ("name", "key")
    search_help_text = "Name or key"
    ordering = ("name", "pk")
    fields = ("name", "key", "kind_of_value", "used_by", "there", "refreshed_at", "look_alikes_shown", "options_shown")

    def get_queryset(self, request: HttpRequest) -> QuerySet[RemoteField]:
        return super().get_queryset(request).filter(location_id=config().location_id)

    def get_urls(self) -> list[URLPattern]:
        mend = self.admin_site.admin_view(only_by_button(self.mend_view))
        look = self.admin_site.admin_view(only_by_button(self.look_view))
        return [
            path("look/", look, name="ghl_sync_remotefield_look"),
            path("mend/<int:issue_id>/", mend, name="ghl_sync_remotefield_mend"),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        seen = account_of(request).location
        more = {
            "title": "Fields and drop-downs",
            "troubles": troubles(),
            "stage_lists": stage_lists(),
            "seen": seen,
            "seen_ago": ago(seen.refreshed_at) if seen and seen.refreshed_at else "",
            "may_mend": self._may_mend(request),
        }
        return super().changelist_view(request, {**more, **(extra_context or {})})

    def _may_mend(self, request: HttpRequest) -> bool:
        user: Any = request.user
        return user.has_perm("ghl_sync.change_remotefield")

    def look_view(self, request: HttpRequest) -> HttpResponse:
        """Read the definitions now instead of within the hour."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        return self._asked(request, tasks.ask("refresh_definitions"), "GoHighLevel's definitions are read in a moment.")

    def mend_view(self, request: HttpRequest, issue_id: int) -> HttpResponse:
        """Make the field or add the option again that an issue is about."""
        if not self._may_mend(request):
            raise PermissionDenied
        issue = Issue.objects.filter(pk=issue_id).first()
        if issue is None or not may_mend(issue):
            messages.info(request, "That is settled already.")
            return HttpResponseRedirect(reverse("admin:ghl_sync_remotefield_changelist"))
        what = "field is made" if issue.code == Issue.Code.NO_FIELD else "option is added"
        return self._asked(request, tasks.ask("mend_definition", issue_id), f"The {what} again in a moment.")

    def _asked(self, request: HttpRequest, taken: bool, words: str) -> HttpResponse:
        hindrance = account_of(request).hindrance
        if not taken:
            messages.error(request, "The queue does not take it at the moment. Try again in a minute.")
        elif hindrance:
            messages.warning(request, f"{words} {hindrance}")
        else:
            messages.success(request, words)
        return HttpResponseRedirect(reverse("admin:ghl_sync_remotefield_changelist"))

    @display(description="field", ordering="name")
    def name_shown(self, field: RemoteField) -> str:
        return field.name or field.key

    @display(description="kind of value", ordering="data_type")
    def kind_of_value(self, field: RemoteField) -> str:
        return DATA_TYPES.get(field.data_type, field.data_type.lower())

    @display(description="used for")
    def used_by(self, field: RemoteField) -> str:
        return " and ".join(dict.fromkeys(f"{kind}s" for kind, _row in mapped(field.key))) or "–"

    @display(description="options")
    def options_count(self, field: RemoteField) -> str:
        return f"{len(field.options):,}" if field.data_type in DROP_DOWNS else "–"

    @display(description="look alike")
    def alike(self, field: RemoteField) -> SafeString | str:
        groups = look_alikes(tuple(field.options))
        return badge(said("group", len(groups)), "doubt") if groups else "–"

    @display(description="in GoHighLevel")
    def there(self, field: RemoteField) -> SafeString:
        return badge("There", "good") if field.gone_at is None else badge(f"Gone {ago(field.gone_at)}", "bad")

    @display(description="options that look alike")
    def look_alikes_shown(self, field: Any) -> SafeString | str:
        groups = look_alikes(tuple(field.options))
        if not groups:
            return "None"
        held = _held(field)
        lines = format_html_join("", "<li>{}</li>", ((_group(group, held, field.viewer),) for group in groups))
        return format_html(
            "<p>TripBuilder reads the options of a group as the same one. Keep one of each in GoHighLevel: give the "
            'records of the others the one to keep, then remove the others there.</p><ul class="sync-list">{}</ul>',
            lines,
        )

    @display(description="options and the records that bear them there")
    def options_shown(self, field: RemoteField) -> SafeString | str:
        held = _held(field)
        there = options_by_fold(tuple(field.options))
        rows = [(option, _records(held.get(option, []))) for option in dict.fromkeys(field.options)]
        lost = [
            (f"{label} (no option any more)", _records(links))
            for label, links in held.items()
            if fold_name(label) not in there
        ]
        body = format_html_join("", "<tr><td>{}</td><td>{}</td></tr>", [*lost, *rows])
        if not body:
            return "None"
        return format_html(
            '<div class="sync-scroll"><table class="sync-table"><thead><tr><th>Option</th><th>Records</th></tr></thead>'
            "<tbody>{}</tbody></table></div>",
            body,
        )


def _held(field: RemoteField) -> dict[str, list[int]]:
    """Links by the option that their record bears over there; of passports and health nothing is said."""
    found: dict[str, list[int]] = {}
    for kind, row in mapped(field.key):
        if isinstance(row.converter, Option) and not row.group:
            for label, links in held_there(kind, row).items():
                found.setdefault(label, []).extend(links)
    return found


def _records(links: Sequence[int]) -> str:
    return f"{len(links):,}" if links else "–"


def _group(group: Sequence[str], held: Mapping[str, Sequence[int]], viewer: Any) -> SafeString:
    """The options of one group, each with its first records."""
    counted = [(option, held.get(option, ())) for option in dict.fromkeys(group)]
    named = Link.objects.in_bulk([pk for _option, links in counted for pk in links[:NAMED]])
    parts = []
    for option, links in counted:
        records = format_html_join(", ", "{}", ((record_of(named[pk], viewer),) for pk in links[:NAMED] if pk in named))
        more = f" and {len(links) - NAMED:,} more" if len(links) > NAMED else ""
        twice = f" ({group.count(option)} times)" if group.count(option) > 1 else ""
        parts.append((f"“{option}”{twice}", records or "no record", more))
    return format_html_join("; ", "{}: {}{}", parts)
