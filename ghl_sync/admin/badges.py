"""A record's state in a few words: the same ones in lists, on its page and in the answers to the pages' script."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db import models
from django.utils import formats, timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator

from ghl_sync.admin.account import Account
from ghl_sync.admin.fields import label_of
from ghl_sync.models import Link, State, kind_of
from trips.admin.base import badge

SHORT = 90
_COLOURS = {
    State.SYNCED: "good",
    State.WAITING: "plain",
    State.WORKING: "plain",
    State.RETRYING: "doubt",
    State.NEEDS_PERSON: "bad",
    State.CONFLICT: "bad",
    State.GONE: "bad",
    State.IGNORED: "plain",
}
_MOVING = {State.WAITING, State.WORKING, State.RETRYING}


@dataclass(frozen=True, slots=True)
class Badge:
    """`state` is one of `State`, or "none" for an object without a link. `age` ends the text and changes by itself."""

    state: str
    text: str
    age: str = ""
    colour: str = "plain"
    resting: bool = True

    def html(self, longest: int | None = None) -> SafeString:
        """The badge; text longer than `longest` is cut and stands whole in its title."""
        shown = Truncator(self.text).chars(longest) if longest else self.text
        aged = f"{shown} {self.age}".strip()
        title = f"{self.text} {self.age}".strip() if shown != self.text else ""
        return format_html(
            '<span class="sync-badge" data-state="{}">{}</span>', self.state, badge(aged, self.colour, title)
        )


def badge_of(link: Any, account: Account) -> Badge:
    """The badge of a link that `with_state` has read; None for an object that has no link."""
    if link is None:
        return Badge("none", "Not sent yet")
    state = State(link.state)
    moving = state in _MOVING and not account.hindrance
    age = ago(link.synced_at) if state is State.SYNCED and link.synced_at else ""
    return Badge(state, _text(link, state, account), age, _COLOURS[state], not moving)


def _text(link: Any, state: State, account: Account) -> str:
    if state is State.WAITING and link.held_until is not None and link.held_until > timezone.now():
        return f"Deleted here; GoHighLevel’s opportunity follows at {clock(link.held_until)}"
    if state is State.WAITING:
        return _with("Waiting", _told(account, link.waits_for) or _why_idle(account))
    if state is State.WORKING:
        return "Being sent now"
    if state is State.RETRYING:
        return _with(
            f"Trying again {_until(link.next_attempt_at)}".strip(),
            _told(account, link.last_error) or _why_idle(account),
        )
    if state is State.NEEDS_PERSON:
        return _with("Needs you", _told(account, link.last_error) or _not_sent(link))
    if state is State.CONFLICT:
        return "Conflict: both sides changed the same field"
    if state is State.GONE:
        return _with("Gone in GoHighLevel", _told(account, link.gone_reason))
    if link.merged_at is not None:
        return "Merged into another contact"
    return "Not mirrored" if state is State.IGNORED else str(state.label)


def _not_sent(link: Link) -> str:
    """The fields that are left out when the record is sent; their open issues say why."""
    names = ", ".join(label_of(link.kind, name) for name in link.parked_fields)
    return f"not sent any more: {names}" if names else ""


def _told(account: Account, reason: str) -> str:
    return reason if account.tells_why else ""


def _with(head: str, reason: str) -> str:
    return f"{head}: {reason}" if reason else head


def _why_idle(account: Account) -> str:
    if not account.configured:
        return "GoHighLevel is not connected"
    if account.paused:
        return "GoHighLevel is stopped"
    return "sending is paused" if account.pause_words("sending") else ""


def clock(moment: dt.datetime | None) -> str:
    """ "14:32"; another day with its date."""
    if moment is None:
        return ""
    local = timezone.localtime(moment)
    day = "" if local.date() == timezone.localdate() else formats.date_format(local, "j M ")
    return day + formats.date_format(local, "H:i")


def ago(moment: dt.datetime) -> str:
    """ "2 s ago"; from a day on, the date."""
    seconds = max(0, int((timezone.now() - moment).total_seconds()))
    if seconds >= 86_400:
        return f"on {formats.date_format(timezone.localtime(moment), 'j M Y')}"
    return f"{_span(seconds)} ago"


def _until(moment: dt.datetime | None) -> str:
    seconds = int((moment - timezone.now()).total_seconds()) if moment else 0
    return f"in {_span(seconds)}" if seconds > 0 else ""


def _span(seconds: int) -> str:
    if seconds < 60:
        return f"{seconds} s"
    return f"{seconds // 60} min" if seconds < 3600 else f"{seconds // 3600} h"


def links_of(kind: str, object_ids: Iterable[int]) -> dict[int, Any]:
    """The links of these objects with their states, by object: one query however many there are."""
    rows: Any = Link.objects.filter(kind=kind, object_id__in=list(object_ids)).with_state()
    return {link.object_id: link for link in rows.defer("base")}


def link_of(obj: models.Model) -> Any:
    return links_of(kind_of(obj), [obj.pk]).get(obj.pk)
