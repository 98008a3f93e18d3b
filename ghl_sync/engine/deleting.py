"""A record that was deleted here: held for a while, undone or sent, and in the end forgotten.

What GoHighLevel changed since both sides last agreed is never deleted unseen: then a person decides.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from ghl_sync.client.errors import NotFound, TryLater
from ghl_sync.client.types import Record
from ghl_sync.conf import config
from ghl_sync.engine import apply, guards, kept, state
from ghl_sync.engine.absence import others_answer
from ghl_sync.engine.base import Base
from ghl_sync.engine.clock import database_now
from ghl_sync.engine.creating import doubtful_create
from ghl_sync.engine.local import MODELS, seat_of
from ghl_sync.engine.results import CannotDo, NotYet, Result
from ghl_sync.engine.sending import called
from ghl_sync.engine.session import Session
from ghl_sync.engine.state import Seen
from ghl_sync.mapping.fields import FieldMap, Way
from ghl_sync.mapping.table import MAPS
from ghl_sync.mapping.translate import Reading, read_record
from ghl_sync.models import DeletedRecord, Kind, Link, Write

logger = logging.getLogger("ghl_sync.push")

TOMBSTONE_DAYS = 60
PIPELINE = "pipeline"
MANY = "Very many records were deleted at once. They are deleted in GoHighLevel once somebody says yes."
SENDING = "is being deleted in GoHighLevel this moment; it cannot be brought back any more."


def delete(session: Session, link: Link, seen: Seen) -> Result:
    """What is left to do for a claimed link whose object is gone here."""
    if link.remote_gone_at is not None:
        state.tombstone_done(link, seen)  # a late wake-up: both halves are gone already
        return Result.UNCHANGED
    if link.deleted_at is None:
        state.bury(link, 0.0 if link.kind == Kind.CONTACT else session.config.delete_hold)
    if link.kind == Kind.CONTACT:
        for doubt in state.open_writes(link):
            # Should it have been applied: a pull that meets the record knows it by its key and leaves it alone.
            state.close_write(doubt, Write.Outcome.NOT_APPLIED)
        state.tombstone_done(link, seen)  # contacts are never deleted over there
        return Result.UNCHANGED
    if is_held(link):
        state.wait_held(link)
        return Result.WAITING
    if not _may_leave(session, link):
        return Result.WAITING
    if not link.remote_id:
        found = doubtful_create(session, link)
        if found is None:
            return _done(session, link, seen, Result.UNCHANGED)
        state.keep(link, remote_id=found.id, location_id=session.config.location_id)
    return _delete_there(session, link, seen)


def is_held(link: Link) -> bool:
    """Whether the delete may still be undone and must not leave yet."""
    return link.held_until is not None and link.held_until > database_now()


def _may_leave(session: Session, link: Link) -> bool:
    """Whether no guard keeps this delete here; ends the claim where one does."""
    verdict = (
        guards.delete_verdict(session.config.location_id, link, session.census) if link.remote_id else guards.Verdict.GO
    )
    if verdict == guards.Verdict.WAIT:
        state.park(link, MANY)
    elif verdict == guards.Verdict.REFUSED:
        state.release(link, why="A person said no to this delete: it is brought back.", after=60 * session.config.scale)
    return bool(verdict == guards.Verdict.GO)


def _delete_there(session: Session, link: Link, seen: Seen) -> Result:
    record = _look(session, link)
    doubts = state.open_writes(link)
    if record is None:
        for doubt in doubts:
            arrived = doubt.action == Write.Action.DELETE
            state.close_write(doubt, Write.Outcome.FOUND if arrived else Write.Outcome.NOT_APPLIED)
        logger.info("%s was gone already", link.key)
        return _done(session, link, seen, Result.DELETED)
    theirs = changed_since(session, link, record)
    if theirs:
        return _ask(link, theirs)
    for doubt in doubts:
        state.close_write(doubt, Write.Outcome.NOT_APPLIED)
    write = state.open_write(link, Write.Action.DELETE, remote_id=link.remote_id)
    try:
        called(write, lambda: session.client.delete_opportunity(link.remote_id))
    except NotFound:
        logger.info("%s was gone already", link.key)
    return _done(session, link, seen, Result.DELETED)


def _done(session: Session, link: Link, seen: Seen, result: Result) -> Result:
    apply.fan_out(session, link, None, apply.base_of(link), seen.seats)
    state.tombstone_done(link, seen)
    return result


def _look(session: Session, link: Link) -> Record | None:
    """The record as it is now; None when it is gone."""
    try:
        return session.read(link.kind, link.remote_id)
    except NotFound:
        if others_answer(session, link):
            return None
        raise TryLater("GoHighLevel does not find the record, and no other record either.") from None


# Has GoHighLevel changed it since?


def changed_since(session: Session, link: Link, record: Record) -> dict[str, Any]:
    """What somebody changed over there since both sides last agreed: the new values by field, sensitive ones sealed.

    Values of ours that arrived late are no change. "pipeline" stands for the pipeline it was moved to.
    """
    base, late = _agreed_on(link), state.late_values(link, session.config)
    ways, table = session.rules.ways[link.kind], MAPS[link.kind]
    found: dict[str, Any] = {}
    for name, reading in read_record(table, record, session.definitions).items():
        row = table.by_name[name]
        comes_in = row.way is not Way.UP and name != "title" and ways[name] != "off"
        if comes_in and _differs(row, base, reading, late.get(name, ())):
            found[name] = base.seal(name, reading.raw if reading.unreadable else reading.value)
    stands_in = str(record.raw.get("pipelineId") or "")
    if link.pipeline_id and stands_in != link.pipeline_id:
        found[PIPELINE] = stands_in
    return found


def _agreed_on(link: Link) -> Base:
    """Base; for a record whose create nobody heard of, what the create held."""
    base = apply.base_of(link)
    if not base.known:
        for values in state.created_values(link):
            for name, value in values.items():
                base.adopt(name, value)
    return base


def _differs(row: FieldMap, base: Base, reading: Reading, late: Iterable[Any]) -> bool:
    name = row.name
    theirs = reading.raw if reading.unreadable else reading.value
    if base.remote_is(name, theirs) or any(base.opens(name, value, theirs) for value in late):
        return False
    if reading.unreadable or name in base.sensitive:
        return True
    return not row.converter.same(base.remote.get(name), theirs)


def _ask(link: Link, theirs: dict[str, Any]) -> Result:
    """Both rest until a person has decided; what GoHighLevel holds is kept with the question."""
    names = ", ".join(name.replace("_", " ").replace(".", " ") for name in theirs)
    message = f"Deleted here, but changed in GoHighLevel since: {names}. Delete it there too, or restore it here."
    state.ask_about_delete(link, message, json.dumps(theirs))
    state.park(link, message)
    return Result.WAITING


# What a person says


@dataclass(frozen=True, slots=True)
class Undone:
    """The object that stands again, and which of its references had to be left empty."""

    obj: Any
    emptied: tuple[str, ...] = ()


def undo(link: Link, *, by: Any = None) -> Undone:
    """Bring a deleted object back, with all its rows and numbers; the sync goes on as if nothing had happened.

    Answers "restore here" as well: what was changed in GoHighLevel meanwhile is then taken in. Raises CannotDo.
    """
    with transaction.atomic():
        seized = _seize(link)
        record = DeletedRecord.objects.filter(link=seized).first()
        if record is None:
            raise CannotDo(f"Nothing was kept of {seized}: it was removed past the application.")
        restored = kept.restore(record.rows, by)
        state.revive(seized)
        for row in restored.rows:
            _row_is_back(row, config().count_delay)
    return Undone(restored.rows[0], tuple(restored.emptied))


def _row_is_back(row: Any, delay: float) -> None:
    kind = str(row._meta.model_name)
    if type(row) in MODELS.values():
        state.revive_others(kind, [row.pk])
    seat = seat_of(row)
    if seat is not None:
        state.recount(seat, delay)


def waiting() -> QuerySet[Link]:
    """What is deleted here and still in GoHighLevel: held, on its way, or waiting for a person."""
    return state.tombstones(config().location_id)


def send_now(link: Link) -> None:
    """The delete need not be held any longer. Raises CannotDo."""
    with transaction.atomic():
        state.send_delete_now(_seize(link))


def send_own(link: Link) -> None:
    """The delete of a record that only a test made leaves at once, and is none of those that a guard counts.

    Raises NotYet while a worker has the record, CannotDo when nothing is left to delete.
    """
    with transaction.atomic():
        seized = _seize(link)
        base = _agreed_on(seized)
        base.extra[guards.UNGUARDED] = True
        state.agree_to_delete(seized, base.dump(), seized.pipeline_id)


def restore_refused(location_id: str, most: int = 200) -> int:
    """Bring back what a person said no to; what cannot be brought back stays in GoHighLevel and is deleted here only.

    Trips before their passengers. Returns how many were looked at, `most` at a time.
    """
    links = list(guards.refused(location_id).order_by("-kind", "pk")[:most])
    for link in links:
        try:
            undo(link)
        except NotYet as error:
            logger.info("%s is brought back later: %s", link.key, error)
        except CannotDo as error:
            logger.info("%s is not brought back: %s", link.key, error)
            _leave_there(link)
    return len(links)


def _leave_there(link: Link) -> None:
    with transaction.atomic():
        seized = state.seize(link.pk)
        if seized is not None and seized.deleted_at is not None:
            state.leave_there(seized)


def delete_anyway(link: Link, user: Any) -> None:
    """An answer to "changed there since": what was seen over there may go as well. Raises CannotDo.

    Should it change once more before the delete leaves, the question is asked again.
    """
    with transaction.atomic():
        seized = _seize(link)
        issue = state.changed_issue(seized)
        if issue is None:
            raise CannotDo(f"There is no open question about {seized} any more.")
        base, pipeline_id = _agreed_on(seized), seized.pipeline_id
        for name, value in json.loads(issue.raw).items():
            if name == PIPELINE:
                pipeline_id = value
            else:
                base.accept(name, value)
        state.answer_issue(issue, user)
        state.agree_to_delete(seized, base.dump(), pipeline_id)


def _seize(link: Link) -> Link:
    """The tombstone, while no DELETE is or may be under way."""
    seized = state.seize(link.pk)
    if seized is None:
        raise NotYet(f"{link} {SENDING}")
    if seized.deleted_at is None:
        raise CannotDo(f"{link} is not deleted any more.")
    if seized.remote_gone_at is not None:
        raise CannotDo(f"{link} is deleted in GoHighLevel, too, and cannot be brought back any more.")
    if any(write.action == Write.Action.DELETE for write in state.open_writes(seized)):
        raise NotYet(f"{link} {SENDING}")
    return seized


def purge() -> int:
    """Forget tombstones that are 60 days old, with their calls and questions; returns how many."""
    return state.purge_tombstones(database_now() - dt.timedelta(days=TOMBSTONE_DAYS))
