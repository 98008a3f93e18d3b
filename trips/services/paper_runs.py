"""Making many papers in the background, row by row, so that a worker that is killed costs nothing but time.

Each paper is a transaction of its own together with its row's outcome: it is made and marked, or neither. A run is held
by one worker at a time with a lease that a killed one lets run out; then the page's button or the schedule goes on with
it. The task carries the run's number only: no name and no data is in the queue.
"""

from __future__ import annotations

import datetime as dt
import logging
import time
import uuid
from collections.abc import Sequence
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models import Count, Exists, OuterRef, Q
from django.utils import timezone
from django_q.tasks import async_task

from trips.enums import Attendance, PassengerStage
from trips.models import Document, PaperRun, PaperRunRow, Passenger
from trips.papers.fields import passengers_for_papers
from trips.permissions import may_see
from trips.services import papers, stages
from trips.services.plans import carry_out

LOG = logging.getLogger("trips.papers")
Outcome = PaperRunRow.Outcome

LEASE_SECONDS = 60
# A task's turn; between two of them the queue serves others.
TURN_SECONDS = 40.0
# Passengers read at once: few enough that what was read is not old when its paper is made.
_AT_ONCE = 10
# A run that nobody has taken up after so long was lost by the queue.
WAITING_SECONDS = 30
# Whoever is further on is not moved back.
_BEFORE_SENT = (PassengerStage.ADDED_TO_TRIP, PassengerStage.DETAILS_SUBMITTED)
SENT_STAGE = PassengerStage.TRIP_DETAILS_SENT


class _DoneAlready(Exception):
    """Another worker made this row's paper; ours is taken back."""


# Asking for it


@transaction.atomic
def start(
    *, passengers: Sequence[Passenger], kinds: Sequence[str], to_stage: str, title: str, by: Any, key: uuid.UUID
) -> PaperRun:
    """A run of these papers, in the queue after the commit; the same `key` again is the same run."""
    run, new = PaperRun.objects.get_or_create(key=key, defaults={"title": title[:255], "by": by, "to_stage": to_stage})
    if new:
        rows = [PaperRunRow(run=run, passenger=one, kind=kind) for one in passengers for kind in kinds]
        PaperRunRow.objects.bulk_create(rows, batch_size=500)
        transaction.on_commit(partial(wake, run.pk), robust=True)
    return run


def wake(run_id: int) -> None:
    async_task("trips.services.paper_runs.work", run_id)


def counts_of(run: PaperRun) -> dict[str, int]:
    """`total`, `made`, `blocked` and `left`."""
    told: dict[str, int] = run.rows.aggregate(
        total=Count("pk"), made=Count("pk", Q(outcome=Outcome.MADE)), blocked=Count("pk", Q(outcome=Outcome.BLOCKED))
    )
    return {**told, "left": told["total"] - told["made"] - told["blocked"]}


def is_stopped(run: PaperRun) -> bool:
    """Whether it should go on and nobody is at it."""
    if run.finished_at is not None:
        return False
    now = timezone.now()
    if run.leased_until is not None:
        return run.leased_until < now
    return run.updated_at < now - dt.timedelta(seconds=WAITING_SECONDS)


# Doing it, in the queue


def resume() -> int:
    """By the clock: put what nobody is at into the queue, each a task of its own; how many runs it was."""
    stopped = [run for run in PaperRun.objects.filter(finished_at__isnull=True) if is_stopped(run)]
    for run in stopped:
        wake(run.pk)
    return len(stopped)


def work(run_id: int) -> None:
    """A turn at this run, unless somebody has it; what is left goes on in the next task."""
    run = _claimed(run_id)
    if run is None:
        return
    ends = time.monotonic() + TURN_SECONDS
    done = _make_all(run, ends) and _moved(run, ends)
    finished = timezone.now() if done else None
    PaperRun.objects.filter(pk=run.pk).update(leased_until=None, finished_at=finished, updated_at=timezone.now())
    if not done:
        wake(run.pk)


def _claimed(run_id: int) -> PaperRun | None:
    now = timezone.now()
    free = Q(leased_until__isnull=True) | Q(leased_until__lt=now)
    until = now + dt.timedelta(seconds=LEASE_SECONDS)
    open_one = PaperRun.objects.filter(pk=run_id, finished_at__isnull=True)
    if not open_one.filter(free).update(leased_until=until):
        return None
    return PaperRun.objects.select_related("by").get(pk=run_id)


def _make_all(run: PaperRun, ends: float) -> bool:
    """Whether every row has its outcome now."""
    while rows := list(run.rows.filter(outcome="")[:_AT_ONCE]):
        people = {one.pk: one for one in passengers_for_papers({row.passenger_id for row in rows})}
        wordings = {one.kind: one for one in papers.templates()}
        for row in rows:
            if time.monotonic() >= ends:
                return False
            until = timezone.now() + dt.timedelta(seconds=LEASE_SECONDS)
            PaperRun.objects.filter(pk=run.pk).update(leased_until=until)
            passenger, template = people.get(row.passenger_id), wordings.get(row.kind)
            if passenger is None or template is None:
                _settle(row, Outcome.BLOCKED, "The passenger or the template was deleted meanwhile.")
            else:
                _make(run, row, template, passenger)
    return True


def _make(run: PaperRun, row: PaperRunRow, template: Any, passenger: Any) -> None:
    by: Any = run.by
    if by is None or not by.has_perm("trips.add_document"):
        _settle(row, Outcome.BLOCKED, "Whoever asked for it may not make papers any more.")
        return
    try:
        prepared = papers.prepare(template=template, passenger=passenger, may=partial(may_see, by))
        papers.finalise(prepared=prepared, by=by, then=partial(_settle, row, Outcome.MADE, ""))
    except papers.NotFinal as refused:
        _settle(row, Outcome.BLOCKED, str(refused))
    except _DoneAlready:
        LOG.info("row %s of run %s was made by another worker", row.pk, run.pk)
    except Exception as error:  # noqa: BLE001 - one paper that cannot be drawn must not keep the others waiting
        # Its words may hold what was to be printed; the class and the numbers lead whoever looks for it.
        LOG.error("row %s of run %s failed: %s", row.pk, run.pk, type(error).__name__)
        _settle(row, Outcome.BLOCKED, f"It could not be drawn ({type(error).__name__}). Look at its draft.")


def _settle(row: PaperRunRow, outcome: str, reason: str, document: Document | None = None) -> None:
    """Raises _DoneAlready where a paper was made for a row that has its outcome."""
    due = PaperRunRow.objects.filter(pk=row.pk, outcome="")
    if not due.update(outcome=outcome, reason=reason[:500], document=document) and document is not None:
        raise _DoneAlready


# The stage


def to_move(passengers: Sequence[Passenger]) -> list[Passenger]:
    """Those whom the move concerns: not further on already, and not cancelled."""
    return [one for one in passengers if one.stage in _BEFORE_SENT and one.attendance != Attendance.CANCELLED]


def _moved(run: PaperRun, ends: float) -> bool:
    """Move those whose papers were all made, where that was asked for; whether all are moved."""
    by: Any = run.by
    if not run.to_stage or by is None or not by.has_perm("trips.change_passenger"):
        return True
    ours = PaperRunRow.objects.filter(run=run, passenger=OuterRef("pk"))
    complete = Passenger.objects.filter(Exists(ours), ~Exists(ours.exclude(outcome=Outcome.MADE)))
    plan = stages.passengers_to_stage(
        passengers=to_move(list(complete)), stage=run.to_stage, today=timezone.localdate(), may_know=by.has_perm
    )
    done = carry_out(plan=plan, by=by, seconds=max(ends - time.monotonic(), 1.0))
    if done.batch is not None and run.batch_id is None:
        PaperRun.objects.filter(pk=run.pk).update(batch=done.batch)
    return done.left == 0
