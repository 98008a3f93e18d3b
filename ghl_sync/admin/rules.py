"""Field rules: for every mapped field who wins a conflict and which way it goes, with a value to know it by.

One page for all: what differs from the mapping's own is marked, what cannot be chosen says why. A field is only
stored when its choice was changed on this page, so two administrators do not undo each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import formats, timezone
from django.utils.text import Truncator, capfirst

from ghl_sync import tasks
from ghl_sync.admin.account import list_context
from ghl_sync.admin.fields import PART_LABELS, full_label, is_sensitive, may_read, shown
from ghl_sync.admin.records import ReadOnlyAdmin
from ghl_sync.conf import config
from ghl_sync.engine import rules
from ghl_sync.engine.base import Base
from ghl_sync.engine.local import as_text, load
from ghl_sync.engine.rules import Wish
from ghl_sync.mapping.fields import FieldMap
from ghl_sync.mapping.table import MAPS
from ghl_sync.models import Direction, FieldRule, Kind, Link
from ghl_sync.status import account_row
from trips.accounts import name_of
from trips.admin.base import said

# So many records are asked for values to show, the newest first; the best few of them are read.
SAMPLED, READ = 40, 3
MOST_HISTORY = 30
MASKED = "••••"
POLICIES = {
    "newest": "The newer edit",
    "ours": "TripBuilder",
    "theirs": "GoHighLevel",
    "ask": "A person decides",
}
DIRECTIONS: Mapping[str, str] = {str(value): str(label) for value, label in Direction.choices}


@dataclass(frozen=True, slots=True)
class Row:
    """One field on the page. `policies` and `directions` are what may be chosen: (value, label, selected)."""

    name: str
    label: str
    remote: str
    here: str
    there: str
    policies: list[tuple[str, str, bool]]
    directions: list[tuple[str, str, bool]]
    was: str
    fixed: str
    why: str
    changed: str


@dataclass(frozen=True, slots=True)
class Group:
    title: str
    rows: list[Row]


@dataclass(frozen=True, slots=True)
class Table:
    """All fields of one kind, grouped by the part of the object they belong to."""

    kind: str
    title: str
    sample: str
    groups: list[Group]


def tables(user: Any, wanted: str = "") -> list[Table]:
    """The page: every mapped field that `wanted` finds by its name on either side."""
    stored = {(rule.kind, rule.field): rule for rule in FieldRule.objects.select_related("changed_by")}
    now = rules.load(sensitive_bound())
    return [table for kind in MAPS if (table := _table(user, kind, stored, now, wanted.strip().lower())).groups]


def sensitive_bound() -> str:
    """How far passports and health records may go at most."""
    return rules.sensitive_bound(config(), account_row())


def _table(user: Any, kind: str, stored: Mapping[tuple[str, str], FieldRule], now: rules.Rules, wanted: str) -> Table:
    values = samples(kind)
    groups: dict[str, list[Row]] = {}
    for row in MAPS[kind].fields:
        found = _row(user, kind, row, stored.get((kind, row.name)), now, values.get(row.name, ("", "")))
        if wanted in f"{found.label} {found.remote} {found.name}".lower():
            groups.setdefault(row.part, []).append(found)
    title = f"{Kind(kind).label}s"
    parts = [Group(capfirst(PART_LABELS.get(part, "")) or title, rows) for part, rows in groups.items()]
    return Table(kind, title, Kind(kind).label.lower(), parts)


def _row(user: Any, kind: str, row: FieldMap, rule: FieldRule | None, now: rules.Rules, sample: tuple[str, str]) -> Row:
    offered = rules.offer(kind, row)
    # What is set, not what is in force: a switch may narrow it.
    was = _is_now(kind, row, rule)
    policy, _, direction = was.partition("/")
    in_force = now.way(kind, row.name)
    why = offered.why
    if in_force != direction:
        why = f"Now {_low(DIRECTIONS[in_force])}: the switch on passports and health records allows no more."
    return Row(
        name=row.name,
        label=capfirst(full_label(kind, row.name)),
        remote=row.remote,
        here=_sample(user, kind, row, sample[0]),
        there=_sample(user, kind, row, sample[1]),
        policies=[(value, POLICIES[value], value == policy) for value in offered.policies],
        directions=_choices(offered.directions, direction),
        was=was,
        fixed=DIRECTIONS[direction] if len(offered.directions) == 1 else "",
        why=why,
        changed=_changed(rule) if rule else "",
    )


def _low(label: str) -> str:
    """Within a sentence: the first letter small, names as they are."""
    return label[:1].lower() + label[1:]


def _choices(offered: Sequence[str], current: str) -> list[tuple[str, str, bool]]:
    if len(offered) == 1:
        return []
    return [(value, DIRECTIONS[value], value == current) for value in offered]


def _changed(rule: FieldRule) -> str:
    return f"Set{_by(rule.changed_by)} on {_day(rule.changed_at)}"


def _by(user: Any) -> str:
    return f" by {name_of(user)}" if user else ""


def _day(moment: Any) -> str:
    return formats.date_format(timezone.localtime(moment), "j M Y, H:i")


# Values to know a field by


def samples(kind: str) -> dict[str, tuple[str, str]]:
    """By field, what a real record holds here and what GoHighLevel held of it at the last agreement.

    The few among the newest records that fill the most fields are read, each field is shown from one of them.
    """
    links = list(
        Link.objects.filter(
            kind=kind, deleted_at__isnull=True, gone_at__isnull=True, synced_at__isnull=False, erased_at=None
        )
        .exclude(remote_id="")
        .order_by("-pk")[:SAMPLED]
    )
    bases = [(link, Base.of(link)) for link in links]
    found: dict[str, tuple[str, str]] = {}
    for _read in range(READ):
        best = max(bases, key=lambda pair: len(pair[1].remote.keys() - found.keys()), default=None)
        if best is None or not best[1].remote.keys() - found.keys():
            break
        bases.remove(best)
        local = load(kind, best[0].object_id)
        ours = local.values() if local is not None else {}
        for name in best[1].remote.keys() - found.keys():
            found[name] = (as_text(ours.get(name)), as_text(best[1].remote[name]))
    return found


def _sample(user: Any, kind: str, row: FieldMap, text: str) -> str:
    if not text:
        return "–"
    if is_sensitive(kind, row.name):
        return MASKED
    if not may_read(user, kind, row.name):
        return "not shown"
    return Truncator(shown(kind, row.name, text)).chars(60)


# What was changed, by whom


def history() -> list[str]:
    """The last changes, newest first, in words."""
    told = []
    for entry in FieldRule.history.select_related("history_user").order_by("-history_date", "-history_id")[
        :MOST_HISTORY
    ]:
        row = MAPS[entry.kind].by_name.get(entry.field) if entry.kind in MAPS else None
        if row is None:
            continue
        label = f"{Kind(entry.kind).label}, {full_label(entry.kind, entry.field)}"
        told.append(f"{_day(entry.history_date)}: {label}: {_setting(entry, row)}{_by(entry.history_user)}.")
    return told


def _setting(entry: Any, row: FieldMap) -> str:
    if entry.history_type == "-":
        return "back to how it comes"
    direction = DIRECTIONS.get(entry.direction or row.direction, entry.direction)
    policy = POLICIES.get(entry.policy or str(row.policy), entry.policy)
    return f"“{direction}”, and who wins: “{policy}”"


@admin.register(FieldRule)
class FieldRuleAdmin(ReadOnlyAdmin):
    class Media:
        css = {"all": ("ghl_sync/rules.css",)}
        js = ("ghl_sync/rules.js",)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The page, and the POST that stores what was changed on it."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        may_change = self._may_change(request)
        if request.method == "POST":
            if not may_change:
                raise PermissionDenied
            return self._save(request)
        wanted = request.GET.get("q", "")
        context = {
            **self.admin_site.each_context(request),
            **list_context(request),
            "opts": self.opts,
            "title": "Field rules",
            "tables": tables(request.user, wanted),
            "q": wanted,
            "may_change": may_change,
            "history": history(),
            "media": self.media,
        }
        return TemplateResponse(request, "admin/ghl_sync/rules.html", context)

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> HttpResponse:
        """A rule has no page of its own."""
        if request.method != "GET" or not self.has_view_permission(request):
            raise PermissionDenied
        return HttpResponseRedirect(self._url())

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_view_permission(request, obj) or self._may_change(request)

    def _may_change(self, request: HttpRequest) -> bool:
        user: Any = request.user
        return bool(user.has_perm("ghl_sync.change_fieldrule"))

    def _url(self) -> str:
        return reverse("admin:ghl_sync_fieldrule_changelist")

    def _save(self, request: HttpRequest) -> HttpResponse:
        stored = {(rule.kind, rule.field): rule for rule in FieldRule.objects.select_related("changed_by")}
        wishes, overtaken = [], []
        for kind, table in MAPS.items():
            for row in table.fields:
                wish = _wish(request.POST, kind, row)
                if wish is None:
                    continue
                rule = stored.get((kind, row.name))
                if request.POST.get(f"was-{kind}-{row.name}") != _is_now(kind, row, rule):
                    overtaken.append(f"{full_label(kind, row.name)}{_by(rule.changed_by) if rule else ''}")
                else:
                    wishes.append(wish)
        try:
            with transaction.atomic():
                changed = rules.change(wishes, request.user, sensitive_bound())
                if changed.records:
                    tasks.sweep_after_commit()
                if changed.pulls:
                    tasks.compare_after_commit(sorted(changed.pulls))
        except ValueError as error:
            self.message_user(request, f"Nothing was saved: {error}.", messages.ERROR)
            return HttpResponseRedirect(self._url())
        self.message_user(request, *_told(changed))
        if overtaken:
            told = f"Changed meanwhile, so left as it is now: {', '.join(overtaken)}. Look at it and choose again."
            self.message_user(request, told, messages.WARNING)
        return HttpResponseRedirect(self._url())


def _told(changed: rules.Changed) -> tuple[str, int]:
    if not changed.fields:
        return "Nothing was changed.", messages.INFO
    told = f"{said(changed.fields, 'rule is', 'rules are')} in force for all that is sent or fetched from now on."
    if changed.pulls:
        names = " and ".join(f"{kind}s" for kind in sorted(changed.pulls))
        told = f"{told} All {names} are compared with GoHighLevel once more, in the background."
    elif changed.records:
        told = f"{told} {said(changed.records, 'record is', 'records are')} compared once more, in the background."
    return told, messages.SUCCESS


def _is_now(kind: str, row: FieldMap, rule: FieldRule | None) -> str:
    """What the page would show as chosen for this field."""
    offered = rules.offer(kind, row)
    direction = rule.direction if rule and rule.direction in offered.directions else row.direction
    policy = rule.policy if rule and rule.policy in offered.policies else str(row.policy)
    return f"{policy if offered.policies else ''}/{direction}"


def _wish(data: Mapping[str, str], kind: str, row: FieldMap) -> Wish | None:
    """What the form asks for this field; None where it was left as the page showed it, or is not on the page."""
    was = data.get(f"was-{kind}-{row.name}")
    if was is None:
        return None
    policy, _, direction = was.partition("/")
    policy = data.get(f"policy-{kind}-{row.name}", policy)
    direction = data.get(f"direction-{kind}-{row.name}", direction)
    return None if f"{policy}/{direction}" == was else Wish(kind, row.name, policy, direction)
