"""Everything that is due: staff's edits first, several records at a time; and what that would do.

Contacts come before the trips and passengers that need them: one kind is done before the next begins, so that nobody
waits for a record that a neighbour has in hand. A long run keeps looking for what staff saved since it began, and says
that it is at work, so that a second one leaves its worker to others.
"""

from __future__ import annotations

import datetime as dt
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from django.db import connection
from django.db.models import OuterRef, Subquery

from ghl_sync.client.errors import (
    GHLError,
    MissingScope,
)
from ghl_sync.engine import apply, deleting, options, state
from ghl_sync.engine.clock import Now, database_now
from ghl_sync.engine.local import load
from ghl_sync.engine.push import reconcile
from ghl_sync.engine.results import PushReport, Result
from ghl_sync.engine.session import CannotRun, Session, unlogged_queries
from ghl_sync.models import Change, Kind, Lane, Link, Location

logger = logging.getLogger("ghl_sync.push")

KIND_ORDER = (Kind.CONTACT, Kind.TRIP, Kind.PASSENGER)
LANE_ORDER = (Lane.STAFF, Lane.RETRY, Lane.BULK)
PASSES = 4
# Between two records a run looks this often at what staff saved and whether it may go on.
LOOK_SECONDS = 1.0
# A run that has said nothing for so long counts as ended; all that hangs on it is how long a second one works on.
AT_WORK_SECONDS = 30.0
# So long a run that is interrupted waits for calls that are under way.
LAST_SECONDS = 2.0
# Staff's records taken into a run at one look.
MOST_AT_ONCE = 50


@dataclass(frozen=True, slots=True)
class Due:
    """A record to try now, and the lane that its calls will go by."""

    link_id: int
    kind: str
    lane: str

    @property
    def rank(self) -> tuple[int, int, int]:
        return LANE_ORDER.index(Lane(self.lane)), KIND_ORDER.index(Kind(self.kind)), self.link_id


def run_due(
    session: Session,
    *,
    kinds: Collection[str] = KIND_ORDER,
    seconds: float | None = None,
    progress: Callable[[int], object] | None = None,
    in_flight: int | None = None,
) -> PushReport:
    """Reconcile every record that may be tried now; `seconds` bounds the time it takes.

    `in_flight` records at a time (GHL_CALLS_IN_FLIGHT), each by a thread with a session and a database connection of
    its own; one at a time within a transaction, which other connections cannot see into. Raises NeedsAttention, once,
    when all traffic must stop.
    """
    run, started = _Run(session, kinds, seconds, progress, _hands(session, in_flight)), time.monotonic()
    try:
        for _pass in range(PASSES):
            deleting.restore_refused(session.config.location_id)
            options.spread_vendors(session)
            apply.spread_gone(session)
            worked = run.all_due()
            served = options.serve(session)
            if run.over() or not (worked or served):
                break
    finally:
        run.let_go()
    report = PushReport(calls=session.client.calls + run.calls, complete=not run.late())
    for result in run.outcomes.values():
        report.count(result)
    report.seconds = round(time.monotonic() - started, 3)
    return report


def run_these(session: Session, link_ids: Sequence[int], *, seconds: float) -> set[int]:
    """Reconcile these records as a run does, several at a time, for so long; returns those it came to."""
    run = _Run(session, KIND_ORDER, seconds, None, _hands(session, None))
    try:
        run.take(link_ids)
    finally:
        run.let_go()
    return set(run.outcomes)


def at_work() -> bool:
    """Whether a run is sending everything that is due this moment, anywhere."""
    return Location.objects.filter(bulk_until__gt=Now()).exists()


def _hands(session: Session, in_flight: int | None) -> int:
    if connection.in_atomic_block:
        return 1
    return session.config.in_flight if in_flight is None else in_flight


class _Run:
    """One run: the queue that its threads take records from, and what came of each."""

    def __init__(
        self,
        session: Session,
        kinds: Collection[str],
        seconds: float | None,
        progress: Callable[[int], object] | None,
        hands: int,
    ) -> None:
        self.outcomes: dict[int, Result] = {}
        self.calls = 0  # by other sessions than the run's own
        self._session, self._kinds, self._progress, self._most_hands = session, kinds, progress, hands
        self._ends = None if seconds is None else time.monotonic() + seconds
        self._queue: deque[int] = deque()
        self._lane: str = Lane.BULK
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._broken: BaseException | None = None
        self._looks_at = 0.0
        self._held: dt.datetime | None = None

    def over(self) -> bool:
        """Whether the time is up or somebody has stopped the traffic."""
        return self._stop.is_set() or self.late()

    def let_go(self) -> None:
        """Nobody is at work any more, if it was this run that said so."""
        if self._held is not None:
            state.release_sending(self._session.location, self._held)

    def late(self) -> bool:
        return self._ends is not None and time.monotonic() > self._ends

    def all_due(self) -> int:
        """Work off what is due now; how many records that were."""
        worked = 0
        for (lane, _kind), group in groupby(due_records(self._kinds), key=lambda due: (due.lane, due.kind)):
            link_ids = [due.link_id for due in group]
            if self.over():
                break
            if self._may_go(lane, link_ids):
                self._work(lane, link_ids)
                worked += len(link_ids)
        return worked

    def take(self, link_ids: Sequence[int]) -> None:
        """Work off these records, which nobody here edited: by the session's own lane."""
        if self._may_go(self._session.lane, link_ids):
            self._work(self._session.lane, link_ids)

    def _may_go(self, lane: str, link_ids: Sequence[int]) -> bool:
        """Whether the lane is open; what it closes to waits, and says why."""
        why = self._session.limiter.closed(lane)
        if why:
            state.say_why(link_ids, why)
            self.outcomes |= dict.fromkeys(link_ids, Result.WAITING)
        return not why

    def _work(self, lane: str, link_ids: Sequence[int]) -> None:
        self._queue, self._lane = deque(link_ids), lane
        hands = min(self._most_hands, len(link_ids))
        if hands == 1:
            self._hand(self._session)
            return
        self._session.definitions  # noqa: B018 - filled here, once, before the threads ask for them
        threads = [threading.Thread(target=self._thread, name=f"push-{n}", daemon=True) for n in range(hands)]
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        except BaseException:
            self._stop.set()  # Ctrl-C: what a call in flight leaves behind is found again, as after a power cut
            ends = time.monotonic() + LAST_SECONDS
            for thread in threads:
                thread.join(max(0.0, ends - time.monotonic()))
            raise
        self._session.forget_definitions()  # a thread may have fetched newer ones
        if self._broken is not None:
            raise self._broken

    def _thread(self) -> None:
        """One more pair of hands. What breaks them stops the others and is raised by the run itself."""
        try:
            session = self._session.twin(self._stop)
            try:
                with unlogged_queries():
                    self._hand(session)
            finally:
                session.limiter.flush()
                with self._lock:
                    self.calls += session.client.calls
                    self._session.woken |= session.woken
        except BaseException as error:  # noqa: BLE001 - raised again by the run
            with self._lock:
                self._broken = self._broken or error
            self._stop.set()
        finally:
            connection.close()

    def _hand(self, session: Session) -> None:
        while (link_id := self._next(session)) is not None:
            result = safely(session, link_id)
            with self._lock:
                self.outcomes[link_id] = _outcome(self.outcomes.get(link_id), result)
                if self._progress is not None:
                    self._progress(1)

    def _next(self, session: Session) -> int | None:
        """The next record, or None when nothing is left or the run is over."""
        with self._lock:
            looks = time.monotonic() >= self._looks_at
            if looks:
                self._looks_at = time.monotonic() + LOOK_SECONDS
        if looks:
            self._look_round(session)
        with self._lock:
            return self._queue.popleft() if self._queue and not self.over() else None

    def _look_round(self, session: Session) -> None:
        """Between two records: say that we are at work, take in staff's edits, and see whether we may go on."""
        if held := state.hold_sending(session.location, AT_WORK_SECONDS, self._held):
            self._held = held
        fresh = staff_records(self._kinds) if self._queue and self._lane != Lane.STAFF else []
        if fresh:
            with self._lock:
                queued = set(fresh)
                self._queue = deque([*fresh, *(link_id for link_id in self._queue if link_id not in queued)])
        why = session.limiter.closed(self._lane) if self._queue else ""
        if why:
            with self._lock:
                left = list(self._queue)
                self._queue.clear()
                self.outcomes |= dict.fromkeys(left, Result.WAITING)
            state.say_why(left, why)


def preview(session: Session, *, kinds: Collection[str] = KIND_ORDER, everything: bool = False) -> PushReport:
    """What `run_due` would do by what is known here, without a call and without writing anything.

    `everything` looks at all records instead of those that are due.
    """
    report, started = PushReport(), time.monotonic()
    links = Link.objects.filter(ignored_at__isnull=True, gone_at__isnull=True) if everything else Link.objects.due()
    for link in links.filter(kind__in=kinds).order_by("pk").iterator(chunk_size=500):
        report.count(_foreseen(session, link))
    report.seconds = round(time.monotonic() - started, 3)
    return report


def _foreseen(session: Session, link: Link) -> Result:
    local = load(link.kind, link.object_id)
    if local is None:
        leaves = link.kind != Kind.CONTACT and link.remote_id and link.remote_gone_at is None
        return Result.DELETED if leaves else Result.UNCHANGED
    if link.parked_at is not None:
        return Result.FAILED
    if not link.remote_id:
        return Result.CREATED
    seen = state.read_changes(link)
    plan = apply.plan_for(session, link, local, apply.base_of(link), None, None, seen)
    return Result.UPDATED if plan.push else Result.UNCHANGED


def _outcome(before: Result | None, now: Result) -> Result:
    """What a record counts as that was looked at more than once: how it stands now, and what was done to it."""
    if before is not None and now is Result.BUSY:
        return before
    at_rest = now in {Result.UNCHANGED, Result.UPDATED}
    return before if before in {Result.CREATED, Result.UPDATED} and at_rest else now


def due_ids(kinds: Collection[str] = KIND_ORDER) -> list[int]:
    """Links to try now, in the order to try them."""
    return [due.link_id for due in due_records(kinds)]


def due_records(kinds: Collection[str] = KIND_ORDER) -> list[Due]:
    """What may be tried now: staff's edits, retries, the rest; each with contacts before what needs them."""
    edits = Change.objects.filter(
        kind=OuterRef("kind"), object_id=OuterRef("object_id"), lane=Lane.STAFF, due_at__lte=Now()
    )
    rows = Link.objects.due_now().filter(kind__in=kinds)
    rows = rows.annotate(edited_at=Subquery(edits.order_by("-at").values("at")[:1]))
    found = [
        Due(pk, kind, state.lane_of(Lane.BULK if edited_at is None else Lane.STAFF, edited_at, failures, failed_at))
        for pk, kind, failures, failed_at, edited_at in rows.values_list(
            "pk", "kind", "failures", "last_error_at", "edited_at"
        )
    ]
    return sorted(found, key=lambda due: due.rank)


def staff_records(kinds: Collection[str] = KIND_ORDER) -> list[int]:
    """Links that a staff edit made due, contacts first; asked for often, so it starts from the edits."""
    edits = Change.objects.filter(lane=Lane.STAFF, due_at__lte=Now())
    edited = set(edits.order_by().values_list("kind", flat=True).distinct())
    found: list[int] = []
    for kind in KIND_ORDER:
        if kind in kinds and kind in edited:
            objects = edits.filter(kind=kind).values("object_id")
            links: Any = Link.objects.filter(kind=kind, object_id__in=objects, failures=0).with_due()
            found += links.filter(is_due=True).ready().order_by("pk").values_list("pk", flat=True)[:MOST_AT_ONCE]
    return found


def is_held(link_id: int) -> bool:
    """Whether a worker has this record at this moment."""
    return Link.objects.filter(pk=link_id, leased_until__gt=database_now()).exists()


def safely(session: Session, link_id: int) -> Result:
    """Reconcile one record; whatever goes wrong with it is recorded on it and never stops the others."""
    try:
        return reconcile(session, link_id)
    except MissingScope as error:
        logger.warning("record %s waits: %s", link_id, error.words)  # the others may not need this scope
        return Result.FAILED
    except (GHLError, CannotRun):
        raise
    except Exception:
        logger.exception("record %s failed", link_id)
        return Result.FAILED
