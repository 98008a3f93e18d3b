"""What the sync desk shows, read in a constant number of queries however many records there are. Reads only."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.db.models import Avg, Count, DurationField, Exists, ExpressionWrapper, F, Max, OuterRef, Q
from django.db.models.functions import Now, TruncHour
from django.utils import timezone

from ghl_sync.engine import deleting, twins
from ghl_sync.engine.clock import database_now
from ghl_sync.models import (
    Alarm,
    Approval,
    Change,
    Conflict,
    Drift,
    Issue,
    Kind,
    Link,
    Location,
    Run,
    SeenPage,
    State,
    WebhookEvent,
    Write,
)
from trips.models import Passenger

HOURS = 24
MOVING = (State.WAITING, State.WORKING, State.RETRYING)


class Counts:
    """What waits for the engine or for a person, each number read when it is first asked for.

    `states` counts records by `State`, `troubled` only those that wait for a person, which takes no look at the others;
    `deletes` and `doubles` count by kind, since their lists show each user the kinds that this user may see; `issues`
    the other open ones by code.
    """

    @cached_property
    def records(self) -> Mapping[str, int]:
        return records_by_kind()

    @cached_property
    def states(self) -> Mapping[str, int]:
        return Link.objects.by_state(records=sum(self.records.values()))

    @cached_property
    def troubled(self) -> Mapping[str, int]:
        return Link.objects.troubled_by_state()

    @cached_property
    def conflicts(self) -> int:
        return Conflict.objects.filter(resolved_at__isnull=True).count()

    @cached_property
    def unlinked(self) -> int:
        return Passenger.objects.unlinked().count()

    @cached_property
    def deletes(self) -> Mapping[str, int]:
        return _counted(deleting.waiting(), "kind")

    @cached_property
    def doubles(self) -> Mapping[str, int]:
        return _counted(twins.questions(), "link__kind")

    @cached_property
    def approvals(self) -> int:
        return Approval.objects.filter(answer=Approval.Answer.ASKED).count()

    @cached_property
    def issues(self) -> Mapping[str, int]:
        return _counted(Issue.objects.filter(closed_at__isnull=True).exclude(code__in=twins.CODES), "code")

    @cached_property
    def drifts(self) -> int:
        return open_drifts().count()

    @cached_property
    def oldest_change(self) -> dt.datetime | None:
        return _oldest_change()

    @property
    def moving(self) -> int:
        return sum(self.states[state] for state in MOVING)


def _counted(rows: Any, column: str) -> dict[str, int]:
    """How many rows there are of each value of a column."""
    return dict(rows.order_by().values(column).annotate(n=Count("pk")).values_list(column, "n"))


def records_by_kind() -> dict[str, int]:
    """How many records there are of each kind."""
    found = _counted(Link.objects.filter(remote_gone_at__isnull=True), "kind")
    return {str(kind): found.get(kind, 0) for kind in (Kind.TRIP, Kind.PASSENGER, Kind.CONTACT)}


def _oldest_change() -> dt.datetime | None:
    """When the oldest change was saved that goes by itself; what waits for a person or is held may wait for long."""
    links: Any = Link.objects.filter(kind=OuterRef("kind"), object_id=OuterRef("object_id"))
    moving = links.exclude(held_until__gt=Now()).with_state().filter(state__in=MOVING)
    changes = Change.objects.filter(Q(kind=Kind.VENDOR) | Exists(moving))
    return changes.order_by("at").values_list("at", flat=True).first()


def last_audit() -> Run | None:
    return Run.objects.filter(mode=Run.Mode.AUDIT).order_by("-pk").first()


def open_drifts() -> Any:
    """What the last audit found and nobody has had mended yet."""
    last = Run.objects.filter(mode=Run.Mode.AUDIT).order_by("-pk").values("pk")[:1]
    return Drift.objects.filter(run__in=last, repaired_at__isnull=True)


@dataclass(frozen=True, slots=True)
class Machinery:
    """How the parts that move things stand; times are None for what was never seen."""

    now: dt.datetime
    location: Location | None
    alarms: list[Alarm]
    last: Mapping[str, Run]  # by mode, the last one that ended
    running: list[Run]
    event_at: dt.datetime | None
    events_waiting: int


def machinery(location: Location | None) -> Machinery:
    newest = Run.objects.filter(finished_at__isnull=False).order_by().values("mode").annotate(newest=Max("pk"))
    ended = Run.objects.filter(pk__in=newest.values("newest")).select_related("started_by")
    running = Run.objects.filter(finished_at__isnull=True).select_related("started_by", "cancel_asked_by")
    events = WebhookEvent.objects.aggregate(
        last=Max("received_at"), waiting=Count("pk", filter=Q(outcome=WebhookEvent.Outcome.WAITING))
    )
    return Machinery(
        now=database_now(),
        location=location,
        alarms=list(Alarm.objects.filter(closed_at__isnull=True).order_by("-opened_at")),
        last={run.mode: run for run in ended},
        running=list(running.order_by("pk")),
        event_at=events["last"],
        events_waiting=events["waiting"],
    )


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run has come: records seen, of how many where that is known."""

    done: int
    total: int | None

    @property
    def percent(self) -> int | None:
        return min(100, round(100 * self.done / self.total)) if self.total else None


def progress_of(runs: list[Run], records: Mapping[str, int]) -> dict[int, Progress]:
    """By run. What GoHighLevel has not told of a kind yet is taken to be as many as are known here."""
    totals: dict[tuple[int, str], int] = {}
    pages = SeenPage.objects.filter(run__in=[run.pk for run in runs], total__isnull=False).order_by("number")
    for run_id, kind, total in pages.values_list("run_id", "kind", "total"):
        totals[run_id, kind] = total or 0
    return {run.pk: _progress(run, totals, records) for run in runs}


def _progress(run: Run, totals: Mapping[tuple[int, str], int], records: Mapping[str, int]) -> Progress:
    done = expected = 0
    for kind, known in records.items():
        told = run.report.get(f"{kind}s") or {}
        seen = told.get("seen") or 0
        done += seen
        ended = kind in run.cursor.get("done", ())
        expected += seen if ended else max(seen, told.get("total") or totals.get((run.pk, kind)) or known)
    return Progress(done, None if run.mode == Run.Mode.INCREMENTAL else expected)


# The last day, by the hour


@dataclass(frozen=True, slots=True)
class Hour:
    """One hour: writes to GoHighLevel, calls of pulls and audits, and how long saves waited until they were sent."""

    start: dt.datetime
    writes: int = 0
    fetches: int = 0
    average_wait: float | None = None
    longest_wait: float | None = None


def last_day() -> list[Hour]:
    """The last 24 hours, oldest first, the hour at hand last."""
    this_hour = timezone.localtime(database_now()).replace(minute=0, second=0, microsecond=0)
    first = this_hour - dt.timedelta(hours=HOURS - 1)
    waited = ExpressionWrapper(F("sent_at") - F("saved_at"), output_field=DurationField())
    rows = (
        Write.objects.filter(sent_at__gte=first)
        .annotate(hour=TruncHour("sent_at"))
        .order_by()
        .values("hour")
        .annotate(n=Count("pk"), mean=Avg(waited), most=Max(waited))
    )
    writes = {row["hour"]: row for row in rows}
    fetches: dict[dt.datetime, int] = {}
    runs = Run.objects.filter(started_at__gte=first)
    for started, report in runs.values_list("started_at", "report"):
        hour = timezone.localtime(started).replace(minute=0, second=0, microsecond=0)
        fetches[hour] = fetches.get(hour, 0) + int(report.get("calls") or 0)
    hours = [first + dt.timedelta(hours=n) for n in range(HOURS)]
    return [_hour(hour, writes.get(hour), fetches.get(hour, 0)) for hour in hours]


def _hour(start: dt.datetime, row: Mapping[str, Any] | None, fetches: int) -> Hour:
    if row is None:
        return Hour(start, fetches=fetches)
    mean, most = row["mean"], row["most"]
    return Hour(
        start,
        writes=row["n"],
        fetches=fetches,
        average_wait=None if mean is None else max(mean.total_seconds(), 0.0),
        longest_wait=None if most is None else max(most.total_seconds(), 0.0),
    )
