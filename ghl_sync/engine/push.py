"""Make GoHighLevel match one record as it is here now: claim it, compare both sides, send what differs."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Collection

from ghl_sync.client.errors import (
    GHLError,
    MissingScope,
    NeedsAttention,
    NotFound,
    RateLimited,
    Refused,
    TryLater,
)
from ghl_sync.client.types import Record
from ghl_sync.engine import apply, oscillation, state
from ghl_sync.engine.absence import others_answer, took_merged_half
from ghl_sync.engine.base import Base
from ghl_sync.engine.clock import database_now
from ghl_sync.engine.creating import Adopted, Vanished, create, owner, wake_waiting
from ghl_sync.engine.deleting import delete
from ghl_sync.engine.intake import note_place
from ghl_sync.engine.local import MODELS, load
from ghl_sync.engine.results import Result
from ghl_sync.engine.sending import Ended, facts_of, send
from ghl_sync.engine.session import CannotRun, Session
from ghl_sync.engine.state import Seen
from ghl_sync.mapping.table import MAPS
from ghl_sync.mapping.translate import read_record
from ghl_sync.models import Cause, Kind, Link, Write

OWNER_SECONDS = 3.0
# After a refusal for the limit. A longer one is the limiter's to remember: a staff edit may still go meanwhile.
LIMIT_SECONDS, LONGEST_LIMIT_SECONDS = 10.0, 60.0


def reconcile(session: Session, link_id: int, *, force: bool = False) -> Result:
    """Bring one record to rest as far as possible now.

    Raises NeedsAttention when all traffic must stop, CannotRun when somebody has stopped or paused it.
    """
    link = Link.objects.filter(pk=link_id).first()
    if link is None or link.ignored_at is not None:
        return Result.UNCHANGED
    session.check_sending()
    if link.kind != Kind.CONTACT and not link.remote_id:
        _owner_first(session, link)
    claimed = state.claim(link_id, session.config.lease, force=force)
    if claimed is None:
        return Result.BUSY
    try:
        return _attempt(session, claimed)
    except state.LostLease:
        return Result.BUSY
    except GHLError:
        raise
    except Exception as error:
        state.broke_off(claimed, f"An error of ours ({type(error).__name__}); the log says more.")
        raise


def _attempt(session: Session, claimed: Link) -> Result:
    """One claimed record, and what each kind of failure means for it."""
    try:
        with session.client.deadline(lambda: state.lease_left(claimed)):
            return _work(session, claimed)
    except Ended as done:
        return done.result
    except CannotRun as error:  # somebody stopped or paused it while this record was at hand
        state.release(claimed, why=str(error), after=60 * session.config.scale)
        return Result.WAITING
    except MissingScope as error:
        state.retry_later(claimed, error.words, session.config, after=60 * session.config.scale)
        raise
    except NeedsAttention as error:
        state.release(claimed, why=error.words, after=60 * session.config.scale)
        raise
    except RateLimited as error:
        why = "GoHighLevel's limit is used up." if error.status else error.words
        after = LIMIT_SECONDS if error.retry_after is None else min(error.retry_after, LONGEST_LIMIT_SECONDS)
        state.release(claimed, why=why, after=after * session.config.scale)
        return Result.WAITING
    except TryLater as error:
        state.retry_later(claimed, error.words, session.config, after=error.retry_after)
        return Result.WAITING
    except Refused as error:
        state.park(claimed, error.words)
        return Result.FAILED


def _work(session: Session, link: Link) -> Result:
    seen = state.read_changes(link)
    session.client.lane = _lane(session, link, seen)
    if session.fetching_paused and not seen.ids and link.deleted_at is None and not state.open_writes(link):
        session.check_fetching()  # only their side has changed
    if not MODELS[link.kind]._base_manager.filter(pk=link.object_id).exists():
        return delete(session, link, seen)
    if link.parked_fields:
        oscillation.release(link, saved=_saved_since(seen, link.last_error_at))
    if link.gone_at is not None and Cause.ASKED not in seen.causes:
        state.release(link, why="Gone in GoHighLevel; a person decides.")
        return Result.UNCHANGED
    if not link.remote_id:
        return _create(session, link, seen)
    return _update(session, link, seen)


def _lane(session: Session, link: Link, seen: Seen) -> str:
    """The lane of a record's calls: that of its Changes; of a mere look at the other side, the run's own."""
    return state.lane_of(seen.lane, seen.newest, link.failures, link.last_error_at) if seen.ids else session.lane


def _create(session: Session, link: Link, seen: Seen) -> Result:
    """A new record; one that turns out to be there already is merged like any other."""
    try:
        made = create(session, link, seen)
    except Vanished:
        return delete(session, link, seen)
    if not isinstance(made, Adopted):
        return made
    result = _update(session, link, seen)
    if link.kind == Kind.CONTACT:
        wake_waiting(session, link)
    return Result.CREATED if made.created else result


def _saved_since(seen: Seen, moment: dt.datetime | None) -> bool:
    return seen.newest is not None and (moment is None or seen.newest > moment)


def _update(session: Session, link: Link, seen: Seen) -> Result:
    doubts = state.open_writes(link)
    if not link.base:
        _adopt_created(link)
    look = bool(doubts) or link.remote_dirty_at is not None or Cause.ASKED in seen.causes or not link.base
    record = _get(session, link) if look else None
    if record is not None and _is_at_rest(session, link, seen, doubts, record):
        state.agreed(link, apply.base_of(link), seen, **facts_of(record))
        return Result.UNCHANGED
    settled = apply.settle(session, link, record=record, seen=seen)
    if settled is not None and settled.plan.push and record is None and not _may_send_blind(session, link, settled):
        record = _get(session, link)
        settled = apply.settle(session, link, record=record, seen=seen)
    if settled is None:
        return delete(session, link, seen)
    if record is not None:
        _close_doubts(session, link, settled.base, record, doubts)
    result = Result.UPDATED if settled.changed else Result.UNCHANGED
    if settled.plan.push:
        facts, sent = send(session, link, settled)
        state.drop_blanks(settled.sifted.answered)
        state.agreed(link, settled.base, seen, **(facts_of(record) | facts))
        return Result.UPDATED if sent else result
    state.agreed(link, settled.base, seen, **facts_of(record))
    return result


def _is_at_rest(session: Session, link: Link, seen: Seen, doubts: Collection[Write], record: Record) -> bool:
    """Whether neither side has changed and nothing is to be settled: most looks that a webhook asks for end here."""
    if seen.ids or doubts or apply.seeks_trip(link) or not apply.as_agreed(session, link, record):
        return False
    return not state.asked_about([link.pk])


def _adopt_created(link: Link) -> None:
    """The record was made by us, though no answer said so: what the create held is what both sides agreed on."""
    base = apply.base_of(link)
    for values in state.created_values(link):
        for name, value in values.items():
            base.adopt(name, value)
    if base.known:
        state.keep(link, base=base.dump())


def _may_send_blind(session: Session, link: Link, settled: apply.Settled) -> bool:
    """Whether base stands for what GoHighLevel holds: just seen, and nothing to send is under dispute."""
    return _fresh(session, link) and not state.disputed(link, settled.plan.push)


def _fresh(session: Session, link: Link) -> bool:
    if link.remote_seen_at is None:
        return False
    return (database_now() - link.remote_seen_at).total_seconds() <= session.config.fresh


def _get(session: Session, link: Link) -> Record:
    try:
        record = session.read(link.kind, link.remote_id)
    except NotFound as error:
        if others_answer(session, link):
            if not took_merged_half(session, link):
                state.gone(link, error.words)
            state.release(link)  # ends here where the link is not ours any more
            raise Ended(Result.WAITING) from None
        raise TryLater("GoHighLevel does not find the record, and no other record either.") from None
    note_place(session, link, record)
    session.know_stages(link.kind, [record])
    session.trust_blanks(link.kind, link.base, record)
    return record


def _close_doubts(session: Session, link: Link, base: Base, record: Record, doubts: Collection[Write]) -> None:
    if not doubts:
        return
    readings = read_record(MAPS[link.kind], record, session.definitions)
    state.check_held(link)
    for write in doubts:
        found = all(
            name in readings and base.opens(name, value, readings[name].value) for name, value in write.values.items()
        )
        state.close_write(write, Write.Outcome.FOUND if found else Write.Outcome.NOT_APPLIED)


def _owner_first(session: Session, link: Link) -> None:
    """A trip's organiser or a passenger's contact must exist over there before its opportunity can."""
    local = load(link.kind, link.object_id)
    if local is None:
        return
    contact = owner(session, local)
    if contact is not None:
        theirs = state.ensure_link(contact, str(contact))
        rests = theirs.parked_at is not None and not Link.objects.due().filter(pk=theirs.pk).exists()
        if not theirs.remote_id and not rests and reconcile(session, theirs.pk) == Result.BUSY:
            _await_owner(theirs.pk)


def _await_owner(link_id: int) -> None:
    """Another worker is making the contact this moment: worth a short wait, since both were saved together."""
    ends = time.monotonic() + OWNER_SECONDS
    while time.monotonic() < ends:
        row = Link.objects.filter(pk=link_id, leased_until__isnull=False, remote_id="")
        if not row.exists():
            return  # it is made, or nobody is at it any more
        time.sleep(0.05)
