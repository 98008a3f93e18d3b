"""Every record that is due, one after the other; and what that would do."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

from ghl_sync.client.errors import (
    GHLError,
    MissingScope,
)
from ghl_sync.engine import apply, options, state
from ghl_sync.engine.clock import database_now
from ghl_sync.engine.local import load
from ghl_sync.engine.push import reconcile
from ghl_sync.engine.results import PushReport, Result
from ghl_sync.engine.session import CannotRun, Session
from ghl_sync.models import Change, Kind, Link, Write

logger = logging.getLogger("ghl_sync.push")

KIND_ORDER = (Kind.CONTACT, Kind.TRIP, Kind.PASSENGER)
PASSES = 4
# Links asked about in one query; SQLite takes a thousand parameters.
CANDIDATES = 500


@dataclass
class _Pace:
    """When to stop: a moment by the monotonic clock, or never."""

    ends: float | None = None

    def over(self) -> bool:
        return self.ends is not None and time.monotonic() > self.ends


def run_due(
    session: Session,
    *,
    kinds: Collection[str] = KIND_ORDER,
    seconds: float | None = None,
    progress: Callable[[int], object] | None = None,
) -> PushReport:
    """Reconcile every record that may be tried now, contacts first; `seconds` bounds the time it takes."""
    report, pace = PushReport(), _Pace(None if seconds is None else time.monotonic() + seconds)
    outcomes: dict[int, Result] = {}
    started = time.monotonic()
    for _pass in range(PASSES):
        options.spread_vendors(session)
        apply.spread_gone(session)
        ids = due_ids(kinds)
        for link_id in ids:
            if pace.over():
                break
            outcomes[link_id] = _outcome(outcomes.get(link_id), safely(session, link_id))
            if progress is not None:
                progress(1)
        served = options.serve(session)
        if pace.over() or not (ids or served):
            break
    for result in outcomes.values():
        report.count(result)
    report.calls = session.client.calls
    report.seconds = round(time.monotonic() - started, 3)
    return report


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
    at_rest = now in {Result.UNCHANGED, Result.UPDATED}
    return before if before in {Result.CREATED, Result.UPDATED} and at_rest else now


def due_ids(kinds: Collection[str] = KIND_ORDER) -> list[int]:
    """Links to try now, contacts before the opportunities that need them.

    First what may be due by the small indexes, then the whole question about those alone: asked of every link it
    would read them all, several times a sweep.
    """
    candidates = sorted(_candidates(kinds))
    rows: list[tuple[int, str]] = []
    for start in range(0, len(candidates), CANDIDATES):
        some = Link.objects.filter(pk__in=candidates[start : start + CANDIDATES])
        rows += some.due_now().values_list("pk", "kind")
    order = {str(kind): index for index, kind in enumerate(KIND_ORDER)}
    return [pk for pk, kind in sorted(rows, key=lambda row: (order[row[1]], row[0]))]


def _candidates(kinds: Collection[str]) -> set[int]:
    """Links that have a Change, a doubt, a dirty mark or a tombstone."""
    links = Link.objects.filter(kind__in=kinds)
    found = set(links.filter(remote_dirty_at__isnull=False).values_list("pk", flat=True))
    found.update(links.filter(deleted_at__isnull=False, remote_gone_at__isnull=True).values_list("pk", flat=True))
    doubts = Write.objects.filter(outcome=Write.Outcome.OPEN, link__kind__in=kinds)
    found.update(pk for pk in doubts.values_list("link_id", flat=True) if pk is not None)
    for kind in kinds:
        objects = Change.objects.filter(kind=kind).values("object_id").distinct()
        found.update(links.filter(kind=kind, object_id__in=objects).values_list("pk", flat=True))
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
