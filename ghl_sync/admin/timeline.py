"""A record's timeline: what was typed here, sent, fetched, asked and decided; and where each value is from.

Read from what is kept anyway: history, writes, arrivals, questions. Sensitive values are nowhere in it, since what is
kept of them is a hash; of other values a user sees those of the models that this user may view.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import formats, timezone
from django.utils.text import Truncator, capfirst

from ghl_sync.admin.account import account_of
from ghl_sync.admin.badges import badge_of
from ghl_sync.admin.fields import PART_LABELS, full_label, label_of, may_read, may_see_value, shown
from ghl_sync.engine.local import MODELS, PARTS, Local, as_text, load
from ghl_sync.mapping.fields import FieldMap, Way
from ghl_sync.mapping.table import MAPS
from ghl_sync.models import Arrival, Conflict, Drift, Issue, Link, WebhookEvent, Write
from trips.accounts import name_of
from trips.models import Contact, Trip, Vendor
from trips.permissions import may_see, sees_every_trip
from trips.services import timeline

ENTRIES_A_PAGE = 20
# So many rows of each source are read; older ones are in the history page and the lists of the sync.
MOST_ROWS = 300
MOST_OF_A_VALUE = 200
MASKED = "not shown"
WITHHELD = "The answer is not shown: this call carried sensitive values."
# A row of history without a person, this close to an arrival, is that arrival's own.
SAME_ACT = dt.timedelta(seconds=5)
# Fields of the mapping that are held in a column of another name, and the model whose row it names.
REFERENCES: Mapping[tuple[str, str], tuple[str, Any]] = {
    ("trip", "organiser"): ("organiser_id", Contact),
    ("trip", "vendor"): ("vendor_id", Vendor),
    ("passenger", "contact"): ("contact_id", Contact),
    ("passenger", "trip_name"): ("trip_id", Trip),
}
SENT = {
    Write.Action.CREATE.value: "Created in GoHighLevel",
    Write.Action.UPDATE.value: "Sent to GoHighLevel",
    Write.Action.DELETE.value: "Deleted in GoHighLevel",
    Write.Action.OPTIONS.value: "Options added in GoHighLevel",
}
CAME = {
    Arrival.Via.PULL.value: "pull",
    Arrival.Via.LOOK.value: "look before sending",
    Arrival.Via.WEBHOOK.value: "webhook",
    Arrival.Via.PERSON.value: "a person's decision",
}
TYPED = {"+": "Entered here", "~": "Changed here", "-": "Deleted here"}
NOBODY = "TripBuilder"


@dataclass(frozen=True, slots=True)
class Step:
    """One field's way from one value to the next; `before` is None where it is not known."""

    label: str
    after: str
    before: str | None = None


@dataclass(slots=True)
class Entry:
    """One thing that happened. `who` is a person, or how it came; `trouble` colours it."""

    at: dt.datetime
    what: str
    who: str = ""
    steps: list[Step] = field(default_factory=list)
    note: str = ""
    trouble: bool = False

    @property
    def when(self) -> str:
        return moment_of(self.at)

    @property
    def fields(self) -> str:
        """The fields in a few words: "name, capacity and 3 more"."""
        found = list(dict.fromkeys(step.label for step in self.steps))
        more = f" and {len(found) - 4} more" if len(found) > 4 else ""
        return ", ".join(found[:4]) + more


@dataclass(frozen=True, slots=True)
class Source:
    """Where the value of one field is from."""

    label: str
    value: str
    origin: str
    sent: str


@dataclass(frozen=True, slots=True)
class Typed:
    """One row of history: who changed which fields, from what to what (canonical values, or None)."""

    at: dt.datetime
    kind: str
    who: str
    changes: Mapping[str, tuple[Any, Any]]
    # Fields that history keeps no values of, and the part they belong to: any of them may have been changed.
    hidden: frozenset[str] = frozenset()
    part: str = ""


class Timeline:
    """What is known of one link, as `user` may see it. Reads each source once, when it is asked for."""

    def __init__(self, link: Link, user: Any) -> None:
        self.link, self.user, self.kind = link, user, str(link.kind)
        self._writes: list[Write] | None = None
        self._arrivals: list[Arrival] | None = None

    @property
    def writes(self) -> list[Write]:
        if self._writes is None:
            self._writes = list(Write.objects.filter(link=self.link).order_by("-sent_at", "-pk")[:MOST_ROWS])
        return self._writes

    @property
    def arrivals(self) -> list[Arrival]:
        if self._arrivals is None:
            self._arrivals = list(Arrival.objects.filter(link=self.link).order_by("-at", "-pk")[:MOST_ROWS])
        return self._arrivals

    def entries(self, history: Sequence[Typed] = ()) -> list[Entry]:
        """Everything, newest first; with `history`, what was typed here as well."""
        absences = list(self._absences())
        found = [*self._traffic(), *self._questions(), *absences, *self._marks(), *self._back(absences)]
        found += [self._typed(one) for one in history]
        return sorted(found, key=lambda entry: entry.at, reverse=True)

    # What went and came

    def traffic(self) -> list[Entry]:
        """Only what was sent and what came, newest first."""
        return list(self._traffic())[::-1]

    def _traffic(self) -> Iterator[Entry]:
        """Writes and arrivals, oldest first, so that each knows what its fields held before."""
        known: dict[str, Any] = {}
        both = [(one.sent_at, one) for one in self.writes] + [(one.at, one) for one in self.arrivals]
        for _at, one in sorted(both, key=lambda pair: pair[0]):
            yield self._sent(one, known) if isinstance(one, Write) else self._came(one, known)
            known |= one.values

    def _sent(self, write: Write, known: Mapping[str, Any]) -> Entry:
        done = write.outcome in {Write.Outcome.DONE, Write.Outcome.FOUND}
        said = WITHHELD if write.message and self._secret(write.values) else write.message
        outcome = "" if write.outcome == Write.Outcome.DONE else f"{write.get_outcome_display()}."
        return Entry(
            at=write.sent_at,
            what=SENT[write.action] if done else f"{write.get_action_display()} in GoHighLevel",
            steps=self._steps(write.values, known),
            note=" ".join(filter(None, (outcome, said))),
            trouble=not done,
        )

    def _came(self, arrival: Arrival, known: Mapping[str, Any]) -> Entry:
        steps = self._steps(arrival.values, known)
        return Entry(arrival.at, "Came from GoHighLevel", CAME[arrival.via], steps)

    def _secret(self, names: Iterable[str]) -> bool:
        rows = MAPS[self.kind].by_name
        return any(name not in rows or rows[name].group for name in names)

    def _steps(self, values: Mapping[str, Any], known: Mapping[str, Any]) -> list[Step]:
        rows = MAPS[self.kind].by_name
        names = (name for name in values if name not in rows or rows[name].way is not Way.UP)
        return [
            Step(
                label_of(self.kind, name),
                self.text(name, values[name]),
                self.text(name, known[name]) if name in known else None,
            )
            for name in names
        ]

    def text(self, name: str, value: Any) -> str:
        """A canonical value for people; masked where this user may not see it, "nothing" where it is empty."""
        if value is None or value in ("", []):
            return "nothing"
        if not may_see_value(self.user, self.kind, name):
            return MASKED
        return Truncator(shown(self.kind, name, as_text(value))).chars(MOST_OF_A_VALUE)

    # What was asked and decided

    def _questions(self) -> Iterator[Entry]:
        rows = Conflict.objects.filter(link=self.link).select_related("resolved_by").order_by("-pk")[:MOST_ROWS]
        for conflict in rows:
            yield from self._conflict(conflict)
        issues = Issue.objects.filter(link=self.link).defer("raw").select_related("closed_by").order_by("-pk")
        for issue in issues[:MOST_ROWS]:
            yield Entry(issue.opened_at, issue.get_code_display(), note=issue.message, trouble=True)
            if issue.closed_at is not None:
                yield Entry(issue.closed_at, f"Settled: {issue.get_code_display()}", name_of(issue.closed_by))

    def _conflict(self, conflict: Conflict) -> Iterator[Entry]:
        label = label_of(self.kind, conflict.field)
        may = may_see_value(self.user, self.kind, conflict.field)
        ours, theirs = (self._kept(conflict.field, text) for text in (conflict.our_value, conflict.their_value))
        both = f"Here: {ours}. In GoHighLevel: {theirs}." if may else ""
        yield Entry(conflict.opened_at, f"Both sides changed {label}", note=both, trouble=True)
        if conflict.resolved_at is not None:
            asked = conflict.outcome == Conflict.Outcome.ASKED
            what = "Both sides agree again" if asked else conflict.get_outcome_display()
            yield Entry(conflict.resolved_at, f"{what}: {label}", name_of(conflict.resolved_by))
        if conflict.put_back_at is not None:
            yield Entry(conflict.put_back_at, f"Put back: {label}")

    def _kept(self, name: str, text: str) -> str:
        return Truncator(shown(self.kind, name, text)).chars(MOST_OF_A_VALUE) if text else "nothing"

    def _marks(self) -> Iterator[Entry]:
        link = self.link
        if link.deleted_at is not None:
            yield Entry(link.deleted_at, "Deleted here")
        if link.gone_at is not None:
            yield Entry(link.gone_at, "Missing in GoHighLevel", note=link.gone_reason, trouble=True)
        if link.ignored_at is not None:
            merged = link.merged_at is not None
            told = "Merged into another contact; not mirrored from here on" if merged else "Not mirrored from here on"
            yield Entry(link.ignored_at, told)

    # When it was missing over there

    def _absences(self) -> Iterator[Entry]:
        """When the record was found missing over there, as far as anything that is kept knows of it.

        `Link.gone_at` is empty again once the record is back; what webhooks and audits saw stays for a while.
        """
        if self.link.remote_id:
            missing = Q(kind__endswith="Delete") | Q(outcome=WebhookEvent.Outcome.NOT_FOUND)
            rows = WebhookEvent.objects.filter(missing, record_id=self.link.remote_id).defer("body")
            for event in rows.order_by("-received_at")[:MOST_ROWS]:
                said = "GoHighLevel said that it was deleted there."
                note = said if event.kind.endswith("Delete") else "GoHighLevel did not find it when it was to be read."
                yield Entry(event.received_at, "Gone in GoHighLevel", CAME[Arrival.Via.WEBHOOK.value], [], note, True)
        drifts = Drift.objects.filter(link=self.link, what=Drift.What.NOT_THERE).order_by("-found_at")
        for drift in drifts.only("found_at", "repaired_at")[:MOST_ROWS]:
            yield Entry(drift.found_at, "Gone in GoHighLevel", "audit", [], "A comparison did not find it there.", True)

    def _back(self, absences: Sequence[Entry]) -> Iterator[Entry]:
        """That it is there: when it was last read, which is all that is known of when it came back."""
        link, seen = self.link, self.link.remote_seen_at
        if not absences or seen is None or link.gone_at is not None or link.deleted_at is not None:
            return
        if seen > max(entry.at for entry in absences):
            yield Entry(seen, "Is in GoHighLevel again", note="This is when it was last read there.")

    # What was typed

    def _typed(self, typed: Typed) -> Entry:
        steps = [
            Step(label_of(self.kind, name), self.text(name, after), self.text(name, before))
            for name, (before, after) in typed.changes.items()
        ]
        if typed.hidden:
            steps.append(Step(PART_LABELS[typed.part], MASKED))
        return Entry(typed.at, TYPED[typed.kind], typed.who, steps)

    def history(self) -> list[Typed]:
        """Rows of history that a person made, newest first; what arrivals wrote is left to the arrivals."""
        found = [typed for typed in _history(self.link) if typed.who != NOBODY or not self._arrived(typed)]
        return sorted(found, key=lambda typed: typed.at, reverse=True)

    def _arrived(self, typed: Typed) -> bool:
        return any(abs(typed.at - arrival.at) < SAME_ACT for arrival in self.arrivals)

    # Where each value is from

    def sources(self, history: Sequence[Typed]) -> list[Source]:
        """One row for each mapped field that staff know, in the mapping's order."""
        local = load(self.kind, self.link.object_id)
        if local is None:
            return []
        values = local.values()
        return [
            self._source(local, row, values.get(row.name), history)
            for row in local.table.fields
            if row.way is not Way.UP and row.name != "title" and (self.kind, row.name) != ("passenger", "trip_id")
        ]

    def _source(self, local: Local, row: FieldMap, value: Any, history: Sequence[Typed]) -> Source:
        typed = next((one for one in history if row.name in one.changes or row.name in one.hidden), None)
        came = next((one for one in self.arrivals if row.name in one.values), None)
        sent = next((one for one in self.writes if row.name in one.values and one.outcome in _WENT), None)
        if came is not None and (typed is None or typed.at <= came.at + SAME_ACT):
            origin = f"from GoHighLevel, {CAME[came.via]}, {moment_of(came.at)}"
        elif typed is not None:
            origin = _typed_by(typed, row.name)
        elif value is None and row.part != "documents":
            origin = "never filled in"
        elif self._was_imported:
            origin = f"from GoHighLevel, when the record was first fetched, {moment_of(local.obj.created_at)}"
        else:
            origin = "not recorded"
        if row.part == "documents":
            value = None if origin == "not recorded" else MASKED
        text = self._reference(local, row) if (self.kind, row.name) in REFERENCES else self.text(row.name, value)
        told = full_label if may_read(self.user, self.kind, row.name) else label_of
        return Source(capfirst(told(self.kind, row.name)), text, origin, moment_of(sent.sent_at) if sent else "")

    def _reference(self, local: Local, row: FieldMap) -> str:
        column, model = REFERENCES[self.kind, row.name]
        target = getattr(local.obj, column.removesuffix("_id")) if getattr(local.obj, column) else None
        if target is None:
            return "nothing"
        name = model._meta.model_name
        return str(target) if may_see(self.user, f"trips.{name}") else MASKED

    @property
    def _was_imported(self) -> bool:
        made = any(write.action == Write.Action.CREATE for write in self.writes)
        return bool(self.link.remote_id) and not made


_WENT = {Write.Outcome.DONE, Write.Outcome.FOUND}


def moment_of(moment: dt.datetime) -> str:
    """ "24 Nov 2026, 10:12"."""
    return formats.date_format(timezone.localtime(moment), "j M Y, H:i")


def _typed_by(typed: Typed, name: str) -> str:
    when = moment_of(typed.at)
    if typed.who == NOBODY:
        return f"set by TripBuilder, {when}"
    if name in typed.hidden:
        return f"{PART_LABELS[typed.part]} last saved here by {typed.who}, {when}"
    return f"typed here by {typed.who}, {when}"


def _history(link: Link) -> Iterator[Typed]:
    """What history tells of an object and its parts, as changes of mapped fields."""
    table, kind = MAPS[link.kind], str(link.kind)
    names: dict[Any, dict[int, str]] = {}
    for part, model in {"": MODELS[kind], **(PARTS if kind == "passenger" else {})}.items():
        kept: Any = model.history  # type: ignore[attr-defined]
        rows = kept.filter(**{"passenger_id" if part else "id": link.object_id}).select_related("history_user")
        columns = {row.name: row for row in table.fields if row.part == part and _column(kind, row, model)}
        told = {name: row for name, row in columns.items() if _column(kind, row, kept.model)}
        yield from _changes(
            _Columns(kind, part, told, frozenset(columns.keys() - told.keys()), names),
            list(rows.order_by("-history_date", "-history_id")[:MOST_ROWS]),
        )


def _column(kind: str, row: FieldMap, model: Any) -> bool:
    known = {one.attname for one in model._meta.concrete_fields}
    return row.attribute in known or (kind, row.name) in REFERENCES


@dataclass(frozen=True, slots=True)
class _Columns:
    """The mapped columns of one model: those whose values history keeps, and those whose values it does not."""

    kind: str
    part: str
    told: Mapping[str, FieldMap]
    hidden: frozenset[str]
    names: dict[Any, dict[int, str]]  # what rows that references name are called, as far as was asked

    def values(self, row: Any) -> dict[str, Any]:
        return {name: _value(self.kind, one, row, self.names) for name, one in self.told.items()}


def _changes(columns: _Columns, rows: Sequence[Any]) -> Iterator[Typed]:
    """Each row of history against the next older one of the same object."""
    older: dict[int, dict[str, Any]] = {}
    for row in reversed(rows):
        first, gone = row.history_type == "+", row.history_type == "-"
        now = {} if gone else columns.values(row)
        before = {} if first else older.get(row.id)
        older[row.id] = now
        if before is None:
            continue  # what it changed is beyond what was read
        pairs = {name: (before.get(name), now.get(name)) for name in columns.told}
        differing = {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
        who = name_of(row.history_user) or NOBODY
        hidden = columns.hidden if who != NOBODY else frozenset()
        if differing or hidden or gone:
            yield Typed(row.history_date, row.history_type, who, differing, hidden, columns.part)


def _value(kind: str, row: FieldMap, holder: Any, names: dict[Any, dict[int, str]]) -> Any:
    if (kind, row.name) not in REFERENCES:
        held = getattr(holder, row.attribute, None)
        return None if held in (None, "") else row.converter.from_local(held)
    column, model = REFERENCES[kind, row.name]
    target = getattr(holder, column)
    if target is None:
        return None
    if model not in names:
        names[model] = {}
    if target not in names[model]:
        found = model._base_manager.filter(pk=target).first()
        names[model][target] = str(found) if found is not None else f"{model._meta.verbose_name} {target}"
    return names[model][target]


# The timeline of the record itself


def with_sync(events: Sequence[timeline.Event], told: Timeline) -> list[timeline.Event]:
    """A record's own events and what moved between the two systems, as one stream, newest first.

    A change that nobody made by hand, this close to an arrival, is what the arrival wrote, and the arrival tells it.
    """
    moments = [arrival.at for arrival in told.arrivals]

    def arrived(event: timeline.Event) -> bool:
        unclaimed = event.kind == "~" and event.by_itself and not event.way
        return unclaimed and any(abs(event.at - moment) < SAME_ACT for moment in moments)

    own = [event for event in events if not arrived(event)]
    return sorted([*own, *map(_as_event, told.entries())], key=lambda event: event.at, reverse=True)


def _as_event(entry: Entry) -> timeline.Event:
    came = entry.who in CAME.values()
    return timeline.Event(
        entry.at,
        entry.what,
        "" if came else entry.who,
        f"GoHighLevel, {entry.who}" if came else "GoHighLevel",
        [timeline.Step(step.label, step.after, step.before) for step in entry.steps],
        entry.note,
        entry.trouble,
    )


# The page


def may_look(user: Any, link: Link) -> bool:
    """Whoever sees every trip and may see the synced records, or the record itself."""
    wanted = ("ghl_sync.view_link", f"trips.view_{link.kind}", f"trips.change_{link.kind}")
    return sees_every_trip(user) and any(user.has_perm(name) for name in wanted)


def timeline_view(request: HttpRequest, link_id: int, site: Any) -> HttpResponse:
    links: Any = Link.objects.filter(pk=link_id)
    link = links.with_state().first()
    if link is None:
        raise Http404("There is no such record.")
    if not may_look(request.user, link):
        raise PermissionDenied
    told = Timeline(link, request.user)
    history = told.history()
    page = Paginator(told.entries(history), ENTRIES_A_PAGE).get_page(request.GET.get("p", 1))
    context = {
        **site.each_context(request),
        "title": f"Timeline of {link.label or link}",
        "link": link,
        "badge": badge_of(link, account_of(request)),
        "record_url": record_url(request.user, link),
        "page": page,
        "last_read": moment_of(link.remote_seen_at) if link.remote_seen_at else "",
        "sources": told.sources(history),
    }
    return TemplateResponse(request, "admin/ghl_sync/timeline.html", context)


def record_url(user: Any, link: Link) -> str:
    """The record's own page, for whoever may open it."""
    if link.deleted_at is not None:
        return ""
    may = may_see(user, f"trips.{link.kind}")
    return reverse(f"admin:trips_{link.kind}_change", args=[link.object_id]) if may else ""
