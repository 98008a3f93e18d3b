"""Calls that change one record over there: written down before they leave, checked against what came back.

A definite answer closes the `Write`; a lost one leaves it open: the doubt that the next look settles.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ghl_sync.client.errors import (
    GHLError,
    NeedsAttention,
    NotFound,
    NotSent,
    OutcomeUnknown,
    RateLimited,
    Refused,
    TryLater,
)
from ghl_sync.client.types import Record
from ghl_sync.engine import apply, definitions, options, oscillation, state
from ghl_sync.engine.base import Base
from ghl_sync.engine.clock import database_now
from ghl_sync.engine.results import Result
from ghl_sync.engine.session import Session
from ghl_sync.mapping.fields import FieldMap, Values
from ghl_sync.mapping.table import MAPS
from ghl_sync.mapping.translate import Body, build_body, read_record
from ghl_sync.models import Kind, Link, Write

logger = logging.getLogger("ghl_sync.push")


class Ended(Exception):
    """This reconciliation has ended early, with its state written."""

    def __init__(self, result: Result) -> None:
        self.result = result


def facts_of(record: Record | None) -> dict[str, Any]:
    """What an answer of GoHighLevel's own tells of the record beside its values."""
    if record is None:
        return {}
    return {"remote_seen_at": database_now(), "remote_updated_at": record.updated_at, "remote_digest": ""}


def send(session: Session, link: Link, settled: apply.Settled) -> tuple[dict[str, Any], bool]:
    """One PUT with the fields that differ; facts for the link, and whether anything was sent."""
    table, base = settled.local.table, settled.base
    oscillation.stop(session, link, settled)
    wanted = settled.plan.push | settled.plan.ride
    tags = "tags" in wanted
    body = build_body(table, {name: v for name, v in wanted.items() if name != "tags"}, session.definitions)
    note_unsendable(session, link, body)
    facts: dict[str, Any] = {}
    sends = bool(set(body.sent) & set(settled.plan.push))
    if sends:
        write = state.open_write(
            link,
            Write.Action.UPDATE,
            remote_id=link.remote_id,
            values={name: base.seal(name, value) for name, value in body.sent.items()},
        )
        record = called(
            write,
            lambda: _put(session, link, body.body),
            on_refused=lambda e: _park_fields(link, e),
            secret=secrets_of(base, body.sent),
        )
        facts = verify(session, link, base, body.sent, record)
        apply.reference_sent(settled.local, base, settled.plan, body.sent)
    if tags:
        _send_tags(session, link, base, wanted["tags"])
        facts["remote_seen_at"] = database_now()
    return facts, sends or tags


def _put(session: Session, link: Link, body: Mapping[str, Any]) -> Record:
    if link.kind == Kind.CONTACT:
        return session.client.update_contact(link.remote_id, body)
    return session.client.update_opportunity(link.remote_id, body)


def _send_tags(session: Session, link: Link, base: Base, wanted: list[str] | None) -> None:
    """Tags are added and removed one by one: the set of a contact belongs to many (API notes §5.10)."""
    have, want = set(base.remote.get("tags") or ()), set(wanted or ())
    for tags, call in (
        (sorted(want - have), session.client.add_contact_tags),
        (sorted(have - want), session.client.remove_contact_tags),
    ):
        if tags:
            write = state.open_write(link, Write.Action.UPDATE, remote_id=link.remote_id, values={"tags": wanted})
            called(write, lambda call=call, tags=tags: call(link.remote_id, tags))  # type: ignore[misc]
    base.agree("tags", wanted, wanted)


def called(
    write: Write,
    call: Callable[[], Any],
    on_refused: Callable[[Refused], None] | None = None,
    secret: Iterable[str] = (),
) -> Any:
    """The call an open Write stands for; a definite answer closes it, a lost one leaves the doubt.

    Whatever an error says, it does not repeat what is `secret`.
    """
    try:
        answer = _discreetly(call, secret)
    except (NotSent, RateLimited) as error:
        state.close_write(write, Write.Outcome.NOT_SENT, message=error.words)
        raise
    except OutcomeUnknown:
        raise
    except (Refused, NeedsAttention) as error:
        state.close_write(write, Write.Outcome.REFUSED, message=error.words, trace_id=error.trace_id)
        if isinstance(error, Refused) and on_refused is not None:
            on_refused(error)
        raise
    remote_id, trace_id = getattr(answer, "id", ""), getattr(answer, "trace_id", "")
    state.close_write(write, Write.Outcome.DONE, remote_id=remote_id, trace_id=trace_id)
    return answer


def _discreetly(call: Callable[[], Any], secret: Iterable[str]) -> Any:
    try:
        return call()
    except GHLError as error:
        error.unsay(secret)
        raise


def secrets_of(base: Base, sent: Mapping[str, Any]) -> list[str]:
    """The sensitive ones of the values that are sent, as texts."""
    return [str(value) for name, value in sent.items() if name in base.sensitive and value is not None]


def _park_fields(link: Link, error: Refused) -> None:
    """A 422 that names properties parks those fields; the rest goes with the next try.

    A record that is not there any more is looked at once more: the look finds out whether it is gone.
    """
    if isinstance(error, NotFound):
        state.keep(link, remote_dirty_at=database_now())
        raise TryLater(error.words, retry_after=0.0)
    names = {row.name for row in MAPS[link.kind].natives if row.remote in error.fields} - set(link.parked_fields)
    if not names:
        return
    for name in sorted(names):
        state.open_issue(link, "refused", error.words, field=name)
    state.keep(link, parked_fields=sorted({*link.parked_fields, *names}))
    raise TryLater(error.words, retry_after=0.0)


def verify(session: Session, link: Link, base: Base, sent: Values, record: Record) -> dict[str, Any]:
    """Compare what came back with what was sent; an answer that is silent about a field is asked again by GET."""
    table = MAPS[link.kind]
    readings = read_record(table, record, session.definitions)
    if any(name not in readings for name in sent):
        record = session.read(link.kind, record.id)
        readings = read_record(table, record, session.definitions)
    for name, value in sent.items():
        reading = readings.get(name)
        kept = reading.value if reading is not None and not reading.unreadable else None
        if table.by_name[name].converter.same(value, kept):
            base.agree(name, value, kept)
            state.close_issues(link, fields=(name,), codes=apply.VALUE_ISSUES)
            continue
        new = state.open_issue(link, "kept", f"GoHighLevel kept another value for {name}.", field=name)
        if new and value is not None and name in definitions.GROWING:
            _option_is_lost(session, link, table.by_name[name], str(value))
            base.agree_remote(name, kept)  # ours is not agreed: it goes again once the option is there
        else:
            base.agree(name, value, kept)
    return facts_of(record)


def _option_is_lost(session: Session, link: Link, row: FieldMap, label: str) -> None:
    """An option that we know of is not there any more: somebody else wrote the list. It is read and added again."""
    definition = session.definitions.fields.get(row.remote)
    if definition is not None:
        options.want(session, definition.id, label, link.kind, link.object_id)


def note_unsendable(session: Session, link: Link, body: Body) -> None:
    """What has no option or field over there stays here, and says so."""
    for row, definition, label in body.missing_options:
        if row.name in definitions.GROWING:
            options.want(session, definition.id, label, link.kind, link.object_id)
        else:
            shown = "" if row.group else f" “{label[:80]}”"
            message = f"GoHighLevel's drop-down {definition.name} has no option{shown}; the value stays here."
            state.open_issue(link, "no_option", message, field=row.name)
    for row in body.missing_fields:
        message = f"GoHighLevel has no field {row.remote}; run `manage.py ghl_setup --apply`."
        state.open_issue(link, "no_field", message, field=row.name)
    for name in body.missing_stages:
        message = f"GoHighLevel's pipeline has no stage {name!r}. Make it there, or choose another stage here."
        state.open_issue(link, "no_option", message, field="stage")
