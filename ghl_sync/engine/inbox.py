"""Webhooks, from the bytes of one to the record that it names being equal on both sides.

Taking one in is a single inserted row. Handling turns all that wait into a set of records: one known here is marked
for another look, which the ordinary reconciliation takes; any other is read by its id and treated as a pull would.
Which came first and how often is never asked.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import logging
import re
import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from ghl_sync.client.errors import GHLError, MissingScope, NotFound, Refused, TryLater
from ghl_sync.conf import config
from ghl_sync.engine import due, state
from ghl_sync.engine.clock import database_now
from ghl_sync.engine.limits import LOOK
from ghl_sync.engine.pull import pull_record
from ghl_sync.engine.session import Session
from ghl_sync.engine.state import Delivery
from ghl_sync.models import Arrival, Kind, Link, WebhookEvent

logger = logging.getLogger("ghl_sync.inbox")

KEPT_DAYS = 30
# So many webhooks within so many seconds are a storm.
STORM, STORM_SECONDS = 20, 0.5
# A record that could not be read so often is left to the next pull.
MOST_TRIES = 5
# Ids are part of addresses that we call; theirs are letters and digits.
ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
NAME = re.compile(r"[A-Za-z]{1,64}")
# Links asked about in one query; SQLite takes a thousand parameters.
SOME = 500
# Records read by their id between two looks at what has come in meanwhile.
STEP = 20
Outcome, About = WebhookEvent.Outcome, WebhookEvent.About


class Unreadable(Exception):
    """The body is no JSON object; the text says so to whoever sent it."""


class OtherAccount(Exception):
    """The body names another account, or we have none."""


@dataclass(frozen=True, slots=True)
class Received:
    """`new`: not known before. `wake`: nobody is at work on what waits, so somebody must be woken."""

    new: bool
    wake: bool


# Taking in


def understand(body: bytes) -> Delivery:
    """What an authentic body is about. Raises Unreadable or OtherAccount."""
    try:
        text = body.decode()
        said = json.loads(text)
    except (ValueError, RecursionError):  # ValueError: no UTF-8, no JSON, or a number of more than 4,300 digits
        raise Unreadable("The body is no JSON object.") from None
    if not isinstance(said, dict):
        raise Unreadable("The body is no JSON object.")
    account = config()
    if not account.configured or said.get("locationId") != account.location_id:
        raise OtherAccount
    kind = _matching(NAME, said.get("type"))
    about = _about(kind)
    given = _matching(ID, said.get("webhookId"))
    return Delivery(
        delivery_id=given or f"body:{hashlib.blake2b(body, digest_size=20).hexdigest()}",
        nameless=not given,
        kind=kind,
        record_kind=about,
        record_id=_matching(ID, said.get("id")) if about else "",
        body=text,
    )


def _matching(pattern: re.Pattern[str], value: object) -> str:
    return value if isinstance(value, str) and pattern.fullmatch(value) else ""


def _about(kind: str) -> str:
    """What kind of record an event such as OpportunityStageUpdate is about; empty for what we do not mirror."""
    return next((about.value for about in About if kind.startswith(about.value.capitalize())), "")


def receive(delivery: Delivery) -> Received:
    """Keep one delivery. Raises django.db.Error when it cannot be kept, so that it is delivered again."""
    event_id = state.store_event(delivery)
    if event_id is None or not delivery.record_id:
        return Received(new=event_id is not None, wake=False)
    return Received(new=True, wake=state.is_first_waiting(event_id))


def count_refusals(reason: str, count: int) -> None:
    state.count_refusals(reason, count)


def purge() -> int:
    """Forget what came longer ago than 30 days; returns how many deliveries that were."""
    return state.purge_events(KEPT_DAYS)


def pours() -> bool:
    """Whether webhooks come in by the dozen."""
    return state.count_young_events(STORM_SECONDS, most=STORM) >= STORM


# Handling


def handle(session: Session, *, seconds: float) -> bool:
    """Bring the records that webhooks named to rest, for so long. Returns whether more is left for the next call.

    Marking is anybody's; one worker at a time reads, so that a storm of webhooks leaves the others to staff's edits.
    """
    if session.location.fetching_paused_at is not None:
        return False
    if not _to_read(session) or not state.hold_inbox(session.location, seconds + session.config.lease):
        return False  # nothing to do, or whoever reads looks once more after letting go
    reading = _Reading(session, time.monotonic() + seconds)
    try:
        with session.by_lane(LOOK):
            reading.run()
    finally:
        state.release_inbox(session.location)
    return any(one.key not in reading.seen for one in _to_read(session))


@dataclass(frozen=True, slots=True)
class _Named:
    """A record that waiting webhooks name and that no mark helps, and which webhooks those are."""

    about: str
    remote_id: str
    known: bool
    events: tuple[WebhookEvent, ...]

    @property
    def key(self) -> object:
        return self.ids

    @property
    def ids(self) -> tuple[int, ...]:
        return tuple(event.pk for event in self.events)

    @property
    def tries(self) -> int:
        return max(event.tries for event in self.events)


@dataclass(frozen=True, slots=True)
class _Marked:
    """A link that waits for another look, and since when."""

    link_id: int
    since: dt.datetime | None

    @property
    def key(self) -> object:
        return self.link_id, self.since


def _sort_out(session: Session) -> list[_Named]:
    """Mark every record that is known and takes part; returns the others, those tried least and longest ago first."""
    asked_at = database_now()
    found: dict[tuple[str, str], list[WebhookEvent]] = {}
    for event in state.waiting_events():
        found.setdefault((event.record_kind, event.record_id), []).append(event)
    links = _links(session, [remote_id for _about, remote_id in found])
    named: list[_Named] = []
    known: dict[int, list[int]] = {}
    idle: list[int] = []
    for (about, remote_id), events in found.items():
        link = links.get((about, remote_id))
        one = _Named(about, remote_id, link is not None, tuple(events))
        if link is None or _rests(link):
            named.append(one)
        elif link.ignored_at is not None or link.deleted_at is not None:
            idle += one.ids
        else:
            known[link.pk] = list(one.ids)
    with transaction.atomic():
        for some in _in_parts(list(known)):
            state.mark_dirty(some)
            state.close_events([pk for link_id in some for pk in known[link_id]], Outcome.COMPARED, asked_at)
    state.close_events(idle, Outcome.IGNORED, asked_at)
    return sorted(named, key=lambda one: one.tries)


def _rests(link: Link) -> bool:
    """Whether the reconciliation leaves this link alone, so that a mark would say nothing to anybody.

    It is parked, counts as gone, or was deleted on both sides: read directly it may turn out to be there again.
    """
    if link.ignored_at is not None:
        return False
    if link.deleted_at is not None:
        return link.remote_gone_at is not None and link.kind != Kind.CONTACT  # those are never deleted over there
    return link.gone_at is not None or link.parked_at is not None


def _links(session: Session, remote_ids: Sequence[str]) -> dict[tuple[str, str], Link]:
    """Links by what they are over there."""
    return {
        (About.CONTACT if link.kind == Kind.CONTACT else About.OPPORTUNITY, link.remote_id): link
        for some in _in_parts(remote_ids)
        for link in state.of_records(session.config.location_id, some).defer("base")
    }


def _in_parts(values: Sequence[Any]) -> Iterable[Sequence[Any]]:
    return (values[start : start + SOME] for start in range(0, len(values), SOME))


def _to_read(session: Session) -> list[_Named | _Marked]:
    """The next records to read: many that are marked, some that are to be read by their id."""
    named = _sort_out(session)
    marked = Link.objects.filter(location_id=session.config.location_id, remote_dirty_at__isnull=False).due_now()
    rows = marked.order_by("remote_dirty_at").values_list("pk", "remote_dirty_at")[:SOME]
    return [*(_Marked(*row) for row in rows), *named[:STEP]]


class _Reading:
    """One turn of reading, up to a moment by the monotonic clock. `seen` keeps it from trying anything twice."""

    def __init__(self, session: Session, ends: float) -> None:
        self.session = session
        self.seen: set[object] = set()
        self._ends = ends

    def run(self) -> None:
        while fresh := [one for one in _to_read(self.session) if one.key not in self.seen]:
            marked = {one.link_id: one.key for one in fresh if isinstance(one, _Marked)}
            if marked:
                done = due.run_these(self.session, list(marked), seconds=self._ends - time.monotonic())
                self.seen.update(marked[link_id] for link_id in done & set(marked))
            for one in fresh:
                if time.monotonic() > self._ends:
                    return
                if isinstance(one, _Named):
                    self.seen.add(one.key)
                    self._read(one)
            if time.monotonic() > self._ends:
                return

    def _read(self, one: _Named) -> None:
        """A record that is read by its id. While GoHighLevel does not answer, the turn is over and it waits."""
        asked_at = database_now()
        if one.tries >= MOST_TRIES:
            state.close_events(one.ids, Outcome.FAILED, asked_at)
            return
        if not one.known and self._is_elsewhere(one.events):
            state.close_events(one.ids, Outcome.ELSEWHERE, asked_at)
            return
        state.count_try(one.ids)
        try:
            outcome = self._outcome(one)
        except TryLater:  # the try counts: an answer may fail for this record alone, and others wait
            raise
        except GHLError:
            state.uncount_try(one.ids)
            raise
        except Exception:
            logger.exception("the record %s that a webhook names could not be taken over", one.remote_id)
            return
        state.close_events(one.ids, outcome, asked_at)

    def _outcome(self, one: _Named) -> str:
        try:
            counts = pull_record(self.session, one.about, one.remote_id, via=Arrival.Via.WEBHOOK)
        except NotFound:
            return Outcome.NOT_FOUND
        except (MissingScope, Refused):
            return Outcome.FAILED
        if counts is None:
            return Outcome.ELSEWHERE
        if counts.failed:
            return Outcome.FAILED
        return Outcome.IMPORTED if counts.created else Outcome.COMPARED

    def _is_elsewhere(self, events: Collection[WebhookEvent]) -> bool:
        """Whether all of them say that the record is in a pipeline that is not mirrored: not worth a call.

        Should it come into one of ours later, another webhook says so.
        """
        ours = {pipeline.id for pipeline in self.session.definitions.pipelines.values()}
        said = [json.loads(event.body).get("pipelineId") for event in events]
        return all(isinstance(one, str) and one and one not in ours for one in said)
