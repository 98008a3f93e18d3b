"""One record's conflicts as its page shows them: both sides in words, what was decided, what can be put back."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Any

from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import formats, timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import Truncator, capfirst

from ghl_sync.admin.fields import full_label, is_sensitive, may_decide, may_read, models_of, shown
from ghl_sync.engine import resolve
from ghl_sync.mapping.table import MAPS
from ghl_sync.models import Conflict, Kind, Link
from trips.accounts import name_of
from trips.enums import ReadKind
from trips.services import reading

OURS, THEIRS = Conflict.Outcome.OURS.value, Conflict.Outcome.THEIRS.value
SIDES = {OURS: "TripBuilder", THEIRS: "GoHighLevel"}
# So many decided conflicts of a record are shown below its open ones.
MOST_PAST = 50
# Comparing longer texts word by word would take longer than reading them.
MOST_WORDS = 2000
HIDDEN = "not shown"
BLANK = format_html('<span class="conflict-blank">{}</span>', "(empty)")
POLICIES = {
    "newest": "the newer edit won",
    "ours": "the field's rule keeps TripBuilder's value",
    "theirs": "the field's rule keeps GoHighLevel's value",
    "one way": "the field's rule lets only this side through",
}


@dataclass(frozen=True, slots=True)
class Side:
    """One side's value, for people, with who saved it and when as far as that is known."""

    value: SafeString | str
    about: str = ""


@dataclass(frozen=True, slots=True)
class Open:
    """A conflict to decide. `shown` stands for the values on the page; `pending` says what was chosen already."""

    pk: int
    label: str
    before: Side
    ours: Side
    theirs: Side
    shown: str
    decides: bool
    pending: str
    note: str
    stage: bool


@dataclass(frozen=True, slots=True)
class Past:
    """A conflict that is over; `back` is what a button sends to put back what lost, empty where it cannot be."""

    pk: int
    label: str
    outcome: str
    before: SafeString | str
    ours: SafeString | str
    theirs: SafeString | str
    lost: str
    now: str
    back: str
    put_back: str


@dataclass
class Desk:
    """One record's page."""

    link: Any
    open: list[Open] = field(default_factory=list)
    past: list[Past] = field(default_factory=list)
    form_url: str = ""
    focus: int | None = None

    @property
    def decides(self) -> bool:
        return any(row.decides and not row.pending for row in self.open)

    @property
    def resting(self) -> bool:
        """Whether nothing on the page changes by itself in a moment."""
        return not any(row.pending for row in self.open)

    def parts(self) -> dict[str, SafeString]:
        """The pieces that change while the page is open."""
        return {
            name: render_to_string(f"admin/ghl_sync/conflict_{name}.html", {"desk": self}) for name in ("open", "past")
        }


def note_look(request: HttpRequest, link: Link) -> None:
    """In the read log: which passports or health records of a passenger the page is about to show."""
    if link.kind != Kind.PASSENGER:
        return
    fields = Conflict.objects.filter(link=link).order_by().values_list("field", flat=True).distinct()
    readable = [name for name in fields if is_sensitive(link.kind, name) and may_read(request.user, link.kind, name)]
    shows = {f"trips.{model}" for name in readable for model in models_of(link.kind, name)}
    if shows & {*reading.SENSITIVE}:
        reading.note(request, ReadKind.REVIEW, shows=shows, people=[link.object_id], what="Conflicts")


def desk_of(user: Any, link: Link, *, focus: int | None = None) -> Desk:
    """Everything the page shows of this record, with as many queries for one conflict as for fifty."""
    rows = Conflict.objects.filter(link=link).select_related("resolved_by")
    open_ = list(rows.filter(resolved_at__isnull=True).order_by("field"))
    past = list(rows.filter(resolved_at__isnull=False).order_by("-resolved_at", "-pk")[:MOST_PAST])
    here = (resolve.values_here(link) if link.deleted_at is None else None) if past else {}
    desk = Desk(link, form_url=page_url(link), focus=focus)
    desk.open = [_open(user, link, conflict) for conflict in open_]
    desk.past = [_past(user, link, conflict, here) for conflict in past]
    return desk


def page_url(link: Link) -> str:
    """The page of this record's conflicts."""
    return reverse("admin:ghl_sync_conflict_record", args=[link.pk])


def _open(user: Any, link: Link, conflict: Conflict) -> Open:
    kind, name = link.kind, conflict.field
    ours, theirs = _side_by_side(user, kind, conflict)
    pending = f"{_who(conflict)} chose {SIDES[conflict.choice]}’s value." if conflict.choice in SIDES else ""
    return Open(
        pk=conflict.pk,
        label=capfirst(_label(kind, name)),
        before=Side(_before(user, kind, conflict)),
        ours=Side(ours, _about(conflict.ours_by, conflict.ours_at)),
        theirs=Side(theirs, _about("", conflict.theirs_at, "Record last changed")),
        shown=resolve.shown_of(conflict),
        decides=link.deleted_at is None and may_decide(user, kind, name),
        pending=pending,
        note=_note(conflict),
        stage=name in {"stage", "status"},
    )


def _note(conflict: Conflict) -> str:
    if conflict.stale_at is None:
        return ""
    return "Something else was typed after a choice was made. Nothing was overwritten; these are the values now."


def _past(user: Any, link: Link, conflict: Conflict, here: dict[str, str] | None) -> Past:
    kind, name = link.kind, conflict.field
    readable, lost = may_read(user, kind, name), resolve.loser(conflict)
    now = (here or {}).get(name, "")
    back = ""
    if lost is not None and here is not None and name in here and lost != now and may_decide(user, kind, name):
        back = f"{conflict.pk}:{resolve.standing(link, name, now)}"
    ours, theirs = _side_by_side(user, kind, conflict)
    return Past(
        pk=conflict.pk,
        label=capfirst(_label(kind, name)),
        outcome=_outcome(conflict),
        before=_before(user, kind, conflict),
        ours=ours,
        theirs=theirs,
        lost=_short(kind, name, lost or "", readable),
        now=_short(kind, name, now, readable),
        back=back,
        put_back=_moment(conflict.put_back_at),
    )


def _label(kind: str, name: str) -> str:
    known = kind in MAPS and name in MAPS[kind].by_name
    return full_label(kind, name) if known else name.replace("_", " ")


def _outcome(conflict: Conflict) -> str:
    """Who won, who said so and when, in one sentence."""
    when = _moment(conflict.resolved_at)
    if conflict.outcome == Conflict.Outcome.ASKED:
        why = "the field is not synced any more" if conflict.policy == "off" else "both sides came to agree"
        return f"Ended without a choice on {when}: {why}."
    why = f"{_who(conflict)} chose it" if conflict.resolved_by else POLICIES.get(conflict.policy, "")
    return f"{SIDES[conflict.outcome]}’s value was kept on {when}{f': {why}' if why else ''}."


def _who(conflict: Conflict) -> str:
    return name_of(conflict.resolved_by) or "Somebody"


def _moment(moment: dt.datetime | None) -> str:
    """Absolute, so that a page which looks again has nothing to replace while nothing changes."""
    return formats.date_format(timezone.localtime(moment), "j M Y, H:i") if moment else ""


def _about(who: str, when: dt.datetime | None, verb: str = "Saved") -> str:
    parts = (f"by {who}" if who else "", f"on {_moment(when)}" if when else "")
    told = " ".join(part for part in parts if part)
    return f"{verb} {told}" if told else ""


def _before(user: Any, kind: str, conflict: Conflict) -> SafeString | str:
    if is_sensitive(kind, conflict.field):
        return "Not kept: of sensitive fields only a fingerprint is."
    return _value(user, kind, conflict, conflict.base_value)


def _value(user: Any, kind: str, conflict: Conflict, text: str) -> SafeString | str:
    if not may_read(user, kind, conflict.field):
        return HIDDEN
    return shown(kind, conflict.field, text) or BLANK


def _short(kind: str, name: str, text: str, readable: bool) -> str:
    """A value for the words on a button; empty for who may not read it."""
    if not readable:
        return ""
    return Truncator(shown(kind, name, text)).chars(60) or "(empty)"


def _side_by_side(user: Any, kind: str, conflict: Conflict) -> tuple[SafeString | str, SafeString | str]:
    """Both values with the words that differ marked."""
    if not may_read(user, kind, conflict.field):
        return HIDDEN, HIDDEN
    left, right = (shown(kind, conflict.field, text) for text in (conflict.our_value, conflict.their_value))
    if not left or not right:
        return left or BLANK, right or BLANK
    return marked(left, right)


def marked(left: str, right: str) -> tuple[SafeString, SafeString]:
    """Two texts as HTML, each with the words that the other lacks marked."""
    ours, theirs = re.split(r"(\s+)", left), re.split(r"(\s+)", right)
    if len(ours) + len(theirs) > MOST_WORDS:
        return format_html("{}", left), format_html("{}", right)
    steps = SequenceMatcher(None, ours, theirs, autojunk=False).get_opcodes()
    return (
        _marks(("".join(ours[a:b]), step != "equal") for step, a, b, _c, _d in steps),
        _marks(("".join(theirs[c:d]), step != "equal") for step, _a, _b, c, d in steps),
    )


def _marks(pieces: Iterable[tuple[str, bool]]) -> SafeString:
    return format_html_join(
        "", "{}", ((format_html("<mark>{}</mark>", text) if differs else text,) for text, differs in pieces if text)
    )
