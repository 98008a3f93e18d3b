"""The stop for a field that something in GoHighLevel keeps changing back: a workflow, another integration.

We send a value, it is changed back over there, somebody or something here sets it again, and so on; each turn may
e-mail a traveller. The sign is the same value sent again and again: whoever merely edits often sends different ones.
After four times within an hour the field is parked with an Issue and the rest of the record goes on, until a person
edits that field or presses Sync now.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from ghl_sync.engine import state
from ghl_sync.engine.apply import Settled, base_of
from ghl_sync.engine.local import as_text, load
from ghl_sync.engine.session import Session
from ghl_sync.mapping.fields import FieldMap
from ghl_sync.models import Link

TIMES, WITHIN_SECONDS = 4, 3600
SHOWN = 80


def stop(session: Session, link: Link, settled: Settled) -> None:
    """Take out of the plan, and park, what was sent as often as one may."""
    names = _repeated(session, link, settled)
    if not names:
        return
    table = settled.local.table
    references = {row.name for row in table.fields if row.reference}
    if names & references:
        names |= references & set(settled.plan.push)  # the parts of one reference go together or not at all
    for name in sorted(names):
        ours, theirs = settled.plan.push.pop(name), settled.base.remote.get(name)
        state.open_issue(link, "oscillates", _words(table.by_name[name], ours, theirs), field=name)
    state.keep(link, parked_fields=sorted({*link.parked_fields, *names}))


def _repeated(session: Session, link: Link, settled: Settled) -> set[str]:
    sent = state.sent_lately(link, WITHIN_SECONDS * session.config.scale)
    if len(sent) < TIMES:
        return set()
    names = set()
    for name, value in settled.plan.push.items():
        released = state.stopped_oscillating_at(link, name)
        values = [values[name] for at, values in sent if name in values and (released is None or at > released)]
        newest = values[:TIMES]
        if len(newest) == TIMES and all(settled.base.opens(name, stored, value) for stored in newest):
            names.add(name)
    return names


def _words(row: FieldMap, ours: Any, theirs: Any) -> str:
    shown = "" if row.group else f": here “{_shown(ours)}”, there “{_shown(theirs)}”"
    return (
        f"Something in GoHighLevel changes {row.name} back each time{shown}. It was sent {TIMES} times within an hour "
        "and is not sent any more. Look for a workflow or another integration over there; then press Sync now to send "
        "it again, or give the field another value here."
    )


def _shown(value: Any) -> str:
    text = as_text(value)
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"


def release(link: Link, *, saved: bool) -> None:
    """Let go of parked fields that may be tried again.

    What GoHighLevel refused, as soon as the record was `saved`: the person may have mended it. What was changed back
    all the time, when its own value is another one.
    """
    stopped = state.oscillating(link)
    freed = set(link.parked_fields) - stopped if saved else set()
    freed |= _edited(link, stopped & set(link.parked_fields))
    if not freed:
        return
    state.close_issues(link, fields=freed, codes=("refused", "oscillates"))
    state.keep(link, parked_fields=sorted(set(link.parked_fields) - freed))


def _edited(link: Link, names: Collection[str]) -> set[str]:
    local = load(link.kind, link.object_id) if names else None
    if local is None:
        return set()
    base, now = base_of(link), local.values()
    return {name for name, sent in state.last_sent(link, names).items() if not base.opens(name, sent, now.get(name))}
