"""What runs by the clock, as data, and one idempotent `install()`.

Rows of django-q2's schedule table; one that is malformed stops every schedule, so ours are put right at each
`migrate`, and what an administrator switched off (repeats 0) stays off.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from django.utils import timezone
from django_q.models import Schedule

PREFIX = "TripBuilder: "
NIGHT_HOUR = 3


@dataclass(frozen=True, slots=True)
class Wanted:
    """`minutes` None is once a night, at `hour`."""

    name: str
    func: str
    minutes: int | None
    hour: int = NIGHT_HOUR


WANTED = (
    Wanted("send what is due", "ghl_sync.tasks.sweep", 1),
    Wanted("fetch changes", "ghl_sync.tasks.pull_changes", 5),
    Wanted("copy linked files", "ghl_sync.tasks.copy_files", 5),
    Wanted("refresh definitions", "ghl_sync.tasks.refresh_definitions", 60),
    Wanted("forget old webhooks", "ghl_sync.tasks.forget_events", None),
    Wanted("fetch everything", "ghl_sync.tasks.pull_everything", None),
    # After the pull, which mends most of what an audit would find.
    Wanted("compare everything", "ghl_sync.tasks.compare_everything", None, NIGHT_HOUR + 1),
)


def install(**_signal: Any) -> int:
    """Make the schedule rows what they should be; returns how many were made or put right."""
    names = {PREFIX + wanted.name for wanted in WANTED}
    changed, _by_model = Schedule.objects.filter(name__startswith=PREFIX).exclude(name__in=names).delete()
    for wanted in WANTED:
        changed += _install(wanted)
    return changed


def _install(wanted: Wanted) -> int:
    fixed: dict[str, Any] = {
        "func": wanted.func,
        "hook": None,
        "args": None,
        "kwargs": None,
        "cluster": None,
        "schedule_type": Schedule.DAILY if wanted.minutes is None else Schedule.MINUTES,
        "minutes": wanted.minutes,
        "cron": None,
    }
    rows = list(Schedule.objects.filter(name=PREFIX + wanted.name).order_by("pk"))
    extra = Schedule.objects.filter(pk__in=[row.pk for row in rows[1:]]).delete()[0]
    if not rows:
        Schedule.objects.create(name=PREFIX + wanted.name, repeats=-1, next_run=_first_run(wanted), **fixed)
        return extra + 1
    row = rows[0]
    wrong = {name: value for name, value in fixed.items() if getattr(row, name) != value}
    if row.next_run is None:
        wrong["next_run"] = _first_run(wanted)
    if wrong:
        Schedule.objects.filter(pk=row.pk).update(**wrong)
    return extra + bool(wrong)


def _first_run(wanted: Wanted) -> dt.datetime:
    now = timezone.localtime()
    if wanted.minutes is not None:
        return now + dt.timedelta(minutes=wanted.minutes)
    tonight = now.replace(hour=wanted.hour, minute=10, second=0, microsecond=0)
    return tonight if tonight > now else tonight + dt.timedelta(days=1)
