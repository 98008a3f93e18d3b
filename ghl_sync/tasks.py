"""What runs in the queue: entry points that take ids and call the engine.

The queue is a convenience, never the guarantee: a wake-up that is lost, doubled or late costs nothing but time,
because the sweep finds every record that is due.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import models, transaction
from django_q.brokers import get_broker
from django_q.tasks import async_task

from ghl_sync.client.errors import GHLError, NeedsAttention
from ghl_sync.conf import config
from ghl_sync.engine import (
    alarms,
    audit,
    binding,
    deleting,
    due,
    files,
    guards,
    inbox,
    mending,
    options,
    outbox,
    repairs,
    runs,
)
from ghl_sync.engine import pull as pulling
from ghl_sync.engine.clock import impatiently
from ghl_sync.engine.results import Result
from ghl_sync.engine.session import CannotRun, Session, unlogged_queries
from ghl_sync.models import Drift, Run

logger = logging.getLogger("ghl_sync.tasks")

# After a wake-up that failed nobody tries another one for so long: a dead broker must not slow down every save.
SILENT_SECONDS = 30
# A save waits no longer than this for the queue's table; Redis has its own time-outs (`tripbuilder.broker`).
PATIENCE_MS = 200
# A burst of saves within this time is one write.
DEBOUNCE_SECONDS = 0.15
SWEEP_SECONDS = 60
# So long a wake-up waits for another worker that has its record; then the sweep finds it.
HELD_SECONDS = 15
# While a pull or a sweep has one of the two workers, another sweep leaves the other one to staff's edits.
SHORT_SWEEP_SECONDS = 2
SLICE_SECONDS = 30
# So often, and so many seconds apart, a pull of one kind waits for another full pull; the nightly one comes anyway.
COMPARE_TRIES, COMPARE_PAUSE = 20, 5
# Webhooks are handled in turns this long: between two of them the queue serves staff's edits.
EVENTS_SECONDS = 2
# A storm of webhooks is let in for no longer than this before the first of its records is read.
POURING_SECONDS = 10.0
FEW_TASKS = 20
# Payloads stay small; what is left over is found by the sweep.
MOST_IDS = 100
# Finds of an audit mended in one task: what is missing here costs a call each.
MOST_REPAIRS = 200


class _Wake:
    """The one wake-up of a transaction: collects ids until the commit."""

    silent_until = 0.0

    def __init__(self) -> None:
        self.link_ids: dict[int, None] = {}
        self.names: dict[str, None] = {}  # tasks without arguments, in the order of asking
        self.kinds: set[str] = set()  # to be compared as a whole

    def __call__(self) -> None:
        if not config().configured or time.monotonic() < _Wake.silent_until:
            return
        try:
            # In a transaction the database's broker does not look whether to open a new connection.
            with impatiently(PATIENCE_MS), transaction.atomic():
                if self.link_ids:
                    async_task("ghl_sync.tasks.reconcile", list(self.link_ids)[:MOST_IDS])
                if len(self.link_ids) > MOST_IDS:
                    self.names["sweep"] = None
                for name in self.names:
                    async_task(f"ghl_sync.tasks.{name}")
                if self.kinds:
                    async_task("ghl_sync.tasks.compare_kinds", sorted(self.kinds))
        except Exception as error:  # noqa: BLE001 - a broker may fail in any way; the save has succeeded all the same
            _Wake.silent_until = time.monotonic() + SILENT_SECONDS
            logger.warning("the queue could not be woken (%s); the sweep will find the change", type(error).__name__)


def _pending() -> _Wake:
    """The wake-up that this transaction will send, registered once."""
    connection = transaction.get_connection()
    for _savepoints, function, *_rest in connection.run_on_commit:
        if isinstance(function, _Wake):
            return function
    wake = _Wake()
    if connection.in_atomic_block:
        transaction.on_commit(wake, robust=True)
    return wake


def wake_after_commit(link_id: int | None) -> None:
    """Once the transaction at hand has committed, have this link reconciled."""
    if link_id is not None:
        _pending().link_ids[link_id] = None


def sweep_after_commit() -> None:
    """Once the transaction at hand has committed, look for everything that is due."""
    _pending().names["sweep"] = None


def pull_after_commit() -> None:
    """Once the transaction at hand has committed, fetch what has changed."""
    _pending().names["pull_changes"] = None


def wake_inbox() -> None:
    """Have the webhooks that wait handled. Called outside a transaction: what waits is stored."""
    wake = _Wake()
    wake.names["handle_events"] = None
    wake()


def compare_after_commit(kinds: Iterable[str]) -> None:
    """Once the transaction at hand has committed, pull every record of these kinds."""
    _pending().kinds.update(kinds)


def reconcile(link_ids: list[int]) -> None:
    """Bring these records to rest, then add the options they turned out to need."""
    alarms.queue_runs()
    time.sleep(DEBOUNCE_SECONDS)
    _run(lambda session: _reconcile(session, link_ids))


def _reconcile(session: Session, link_ids: list[int]) -> None:
    for link_id in link_ids:
        _reconcile_one(session, link_id)
    for link_id in sorted(session.woken - set(link_ids)):
        due.safely(session, link_id)
    if options.serve(session):
        due.run_due(session, seconds=_turn_seconds())


def _reconcile_one(session: Session, link_id: int) -> None:
    """Once more when another worker had it: that one may have read the record before the change at hand."""
    ends = time.monotonic() + HELD_SECONDS
    while due.safely(session, link_id) is Result.BUSY and time.monotonic() < ends:
        if not due.is_held(link_id):
            due.safely(session, link_id)  # let go of this moment, or not its time yet
            return
        time.sleep(DEBOUNCE_SECONDS)


def send_canary() -> None:
    """Put a task into the queue that only shows whether it runs tasks. Raises what a broken broker raises."""
    with impatiently(PATIENCE_MS), transaction.atomic():
        async_task("ghl_sync.tasks.canary")


def queue_is_short() -> bool:
    """Whether little waits in the queue; one that is dead must not be filled with canaries."""
    return bool(get_broker().queue_size() < FEW_TASKS)


def canary() -> None:
    """The queue runs tasks."""
    alarms.queue_answers()


def sweep() -> None:
    """Everything that is due now, for as long as one task may take; the next one goes on with what is left."""
    alarms.queue_runs()
    if not sweep_here():
        async_task("ghl_sync.tasks.sweep")


def sweep_here(progress: Callable[[int], object] | None = None) -> bool:
    """A sweep in this process; `progress` is called after each record. At its end stands our own heartbeat.

    Returns False when it had its whole turn and something is left.

    It counts as one, too, when traffic is stopped or paused: somebody looked.
    """
    complete, seconds = True, _turn_seconds()

    def sweep(session: Session) -> None:
        nonlocal complete
        if binding.catching_up(session.location) and not _caught_up(session):
            complete = False
            return
        inbox.handle(session, seconds=EVENTS_SECONDS)  # what the queue has lost of the webhooks
        report = due.run_due(session, seconds=seconds, progress=progress)
        complete = report.complete or seconds < SWEEP_SECONDS  # whoever is at it goes on

    _run(sweep)
    alarms.swept()
    alarms.check()
    return complete


def _caught_up(session: Session) -> bool:
    """A slice of the whole pull that must come before anything is sent; whether that is complete by now."""
    report = pulling.pull(session, full=True, seconds=SLICE_SECONDS)
    return report.complete and not binding.catching_up(session.location)


def _turn_seconds() -> float:
    """How long to send all that is due: one long task at a time, so that a worker stays free for staff's edits."""
    return SHORT_SWEEP_SECONDS if runs.any_at_work() or due.at_work() else SWEEP_SECONDS


def handle_events() -> None:
    """Bring the records that webhooks named to rest; what takes longer goes on in the next task.

    While webhooks pour in, most records that were read now would be read again in a moment, and the reading would take
    the machine from the web server.
    """
    ends = time.monotonic() + POURING_SECONDS
    time.sleep(DEBOUNCE_SECONDS)
    while inbox.pours() and time.monotonic() < ends:
        time.sleep(DEBOUNCE_SECONDS)
    _run(_handle_events)


def _handle_events(session: Session) -> None:
    if inbox.handle(session, seconds=EVENTS_SECONDS):
        async_task("ghl_sync.tasks.handle_events")


def forget_events() -> None:
    """Webhooks of long ago, deletes that were done long ago, and what the guards have counted."""
    inbox.purge()
    deleting.purge()
    guards.forget_old()


def pull_changes(by: int | None = None) -> None:
    """What changed in GoHighLevel since the last time; everything where nothing was pulled yet. `by` asked for it."""
    alarms.queue_runs()
    if not pull_here(full=False, by=by):
        async_task("ghl_sync.tasks.pull_changes")


def pull_everything(by: int | None = None) -> None:
    """Every record, which alone shows what was deleted over there. `by` is the id of who asked for it."""
    alarms.queue_runs()
    if not pull_here(full=True, by=by):
        async_task("ghl_sync.tasks.pull_everything")


def pull_here(*, full: bool, by: int | None = None, progress: pulling.Progress | None = None) -> bool:
    """One slice of a pull in this process; False when it needs another one to go on."""
    complete = True

    def pull(session: Session) -> None:
        nonlocal complete
        complete = pulling.pull(session, full=full, seconds=SLICE_SECONDS, by=by, progress=progress).complete

    _run(pull)
    return complete


def copy_files() -> None:
    """Bring the files that records link to into our own storage, a slice at a time."""
    _run(_copy_files)


def _copy_files(session: Session) -> None:
    session.check_fetching()
    if not files.copy_due(session.config, seconds=SLICE_SECONDS):
        async_task("ghl_sync.tasks.copy_files")


def compare_everything(by: int | None = None) -> None:
    """The audit, a slice at a time. `by` is the id of who asked for it."""
    _run(lambda session: _compare(session, by))


def _compare(session: Session, by: int | None) -> None:
    if not audit.audit(session, seconds=SLICE_SECONDS, by=by).complete:
        async_task("ghl_sync.tasks.compare_everything")


def repair(run_id: int, ids: list[int] | None = None) -> None:
    """Have what an audit found mended (all of it, or these finds), and sent as far as time allows."""
    _run(lambda session: _repair(session, run_id, ids))


def _repair(session: Session, run_id: int, ids: list[int] | None) -> None:
    found = Drift.objects.filter(run=run_id, repaired_at__isnull=True).select_related("link").order_by("pk")
    chosen = list((found if ids is None else found.filter(pk__in=ids))[:MOST_REPAIRS])
    done = repairs.repair(session, chosen)
    if ids is None and done and found.exists():
        async_task("ghl_sync.tasks.repair", run_id)
    due.run_due(session, seconds=SHORT_SWEEP_SECONDS)


def ask(name: str, *args: Any) -> bool:
    """Have a task of this module run soon, because a person pressed a button; False when the queue does not take it."""
    try:
        with impatiently(PATIENCE_MS), transaction.atomic():
            async_task(f"ghl_sync.tasks.{name}", *args)
    except Exception as error:  # noqa: BLE001 - a broker may fail in any way; the person is told
        logger.warning("the queue could not be asked (%s)", type(error).__name__)
        return False
    return True


@contextmanager
def bulk(model: type[models.Model]) -> Iterator[set[int]]:
    """For imports and other writers that raise no signals: what they wrote reaches GoHighLevel with the next sweep.

    The ids go into the set, and rows and marks commit together:

        with tasks.bulk(Trip) as written:
            written.update(trip.pk for trip in Trip.objects.bulk_create(rows))
    """
    with outbox.bulk(model) as ids:
        yield ids
        sweep_after_commit()


def compare_kinds(kinds: list[str], tries: int = 0) -> None:
    """Every record of these kinds as GoHighLevel holds it now. Given up while another full pull takes too long."""
    only = sorted(f"{kind}s" for kind in kinds)
    full = Run.objects.filter(mode=Run.Mode.FULL, finished_at__isnull=True)
    if any(found != only for found in full.values_list("only", flat=True)):
        # Two full pulls would break each other off; the other one goes first, and whatever it is late for waits.
        if tries < COMPARE_TRIES:
            time.sleep(COMPARE_PAUSE * config().scale)
            async_task("ghl_sync.tasks.compare_kinds", kinds, tries + 1)
        return
    _run(lambda session: _compare_kinds(session, kinds, only))


def _compare_kinds(session: Session, kinds: list[str], only: list[str]) -> None:
    report = pulling.pull(session, full=True, only=only, seconds=SLICE_SECONDS)
    if not report.complete:
        async_task("ghl_sync.tasks.compare_kinds", kinds)


def refresh_definitions() -> None:
    """Pipelines, stages, fields, options and settings as they are in GoHighLevel now."""
    _run(_refresh_definitions)


def _refresh_definitions(session: Session) -> None:
    session.check_fetching()
    session.refresh_definitions()


def mend_definition(issue_id: int) -> None:
    """A field or an option that is gone from GoHighLevel is made again, because a person asked for it."""
    _run(lambda session: _mend(session, issue_id))


def _mend(session: Session, issue_id: int) -> None:
    mending.mend(session, issue_id)
    due.run_due(session, seconds=SHORT_SWEEP_SECONDS)


def _run(work: Callable[[Session], object]) -> None:
    try:
        session = Session(lane="bulk")
        session.check_bound()
        session.check_running()
        with session.stop_on_trouble(), unlogged_queries():
            work(session)
    except CannotRun as error:
        logger.info("%s", error)
    except NeedsAttention as error:
        logger.warning("GoHighLevel is stopped: %s", error.words)
    except GHLError as error:
        logger.warning("GoHighLevel could not be read: %s The next run tries again.", error.words)
