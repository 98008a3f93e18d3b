"""How the sync stands, in numbers: what the command prints and the dashboard shows. Reads only."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.db.models import Min, OuterRef, Subquery, TextField
from django.db.models.functions import Cast, Now

from ghl_sync.conf import config
from ghl_sync.engine import alarms
from ghl_sync.engine.clock import database_now
from ghl_sync.models import Alarm, Change, Conflict, Issue, Kind, Link, Location, Run, Write
from trips.models import Passenger

STOPPED = "GoHighLevel is stopped."
SWITCHES = ("sending", "fetching")


def comparisons_with(key_id: str) -> int:
    """Records whose base compares sensitive values with this key itself, as it was done before keys had comparing keys.

    Comparing the record (`push_ghl --all`) makes them anew.
    """
    bases = Link.objects.order_by().annotate(text=Cast("base", TextField()))
    return bases.filter(text__contains=f'"{key_id}:').count()


def status() -> dict[str, Any]:
    """Counts, ages and the last pull, as JSON takes them."""
    now = database_now()
    location = account_row()
    return {
        "links": Link.objects.by_state(),
        "due": Link.objects.due().count() + _vendors().count(),
        "due_now": Link.objects.due_now().count() + _vendors().filter(due_at__lte=Now()).count(),
        "oldest_due_seconds": _oldest_due_seconds(now),
        "conflicts": Conflict.objects.filter(resolved_at__isnull=True).count(),
        "issues": Issue.objects.filter(closed_at__isnull=True).count(),
        "unlinked": Passenger.objects.unlinked().count(),
        "paused": paused(location),
        "switched_off": [words for name in SWITCHES if location and (words := location.pause_words(name))],
        "alarms": list(Alarm.objects.filter(closed_at__isnull=True).order_by("pk").values_list("message", flat=True)),
        "swept_seconds": _age(location.swept_at if location else None, now),
        "watchdog_seconds": _age(location.watchdog_at if location else None, now),
        "last_pull": _last_pull(),
        "calls_today": _calls_today(location, now.date()),
    }


def _age(moment: dt.datetime | None, now: dt.datetime) -> float | None:
    return None if moment is None else max(0.0, round((now - moment).total_seconds(), 3))


def queue_trouble() -> str:
    """What is wrong with the queue, in a sentence; empty while it runs tasks.

    Asked is when it last ran one of ours, as it does each minute, and not whether it owes the watchdog an answer: it
    owes none where no watchdog runs. Without an account nothing runs by the minute, and nothing is said.
    """
    settings_ = config()
    if not settings_.configured:
        return ""
    location = account_row()
    silent = _age(location.queue_ran_at if location else None, database_now())
    if silent is None:
        return "The queue has not run a task yet."
    if silent < alarms.QUEUE_SECONDS * settings_.scale:
        return ""
    return f"The queue has run no task for {silent:.0f} s."


def account_row() -> Location | None:
    """The account that is mirrored to; None before its first call or without settings."""
    location_id = config().location_id
    rows = Location.objects.select_related("sending_paused_by", "fetching_paused_by")
    return rows.filter(location_id=location_id).first() if location_id else None


def paused(location: Location | None) -> str | None:
    """Why all traffic is stopped; None while it runs."""
    if location is None or location.paused_at is None:
        return None
    return location.paused_reason or STOPPED


def _vendors() -> Any:
    """One row for each vendor whose new name has not been spread to its trips yet; vendors have no links."""
    return Change.objects.filter(kind=Kind.VENDOR).order_by().values("object_id").distinct()


def _oldest_due_seconds(now: dt.datetime) -> float | None:
    changes = Change.objects.filter(kind=OuterRef("kind"), object_id=OuterRef("object_id")).order_by("at")
    doubts = Write.objects.filter(link=OuterRef("pk"), outcome=Write.Outcome.OPEN).order_by("sent_at")
    due: Any = Link.objects.due()
    moments = due.annotate(
        changed_at=Subquery(changes.values("at")[:1]), doubt_at=Subquery(doubts.values("sent_at")[:1])
    ).aggregate(a=Min("changed_at"), b=Min("doubt_at"), c=Min("remote_dirty_at"), d=Min("deleted_at"))
    moments["vendor"] = Change.objects.filter(kind=Kind.VENDOR).aggregate(at=Min("at"))["at"]
    oldest = min((moment for moment in moments.values() if moment is not None), default=None)
    return None if oldest is None else max(0.0, round((now - oldest).total_seconds(), 3))


def _last_pull() -> dict[str, Any] | None:
    run = Run.objects.exclude(mode=Run.Mode.AUDIT).filter(finished_at__isnull=False).order_by("-finished_at").first()
    if run is None or run.finished_at is None:
        return None
    return {"at": run.finished_at.isoformat(), "mode": run.mode, "ok": run.ok}


def _calls_today(location: Location | None, today: dt.date) -> int:
    return location.calls_today if location is not None and location.calls_day == today else 0
