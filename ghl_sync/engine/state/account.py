"""The account's row: stopped or running, and what is known of it."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.db.models import Q

from ghl_sync.engine.clock import Now, database_now
from ghl_sync.models import Location


def location_row(location_id: str) -> Location:
    location, _created = Location.objects.get_or_create(location_id=location_id)
    return location


def pause(location: Location, words: str) -> None:
    """All traffic stops until a probe succeeds."""
    Location.objects.filter(pk=location.pk, paused_at__isnull=True).update(paused_at=Now())
    Location.objects.filter(pk=location.pk).update(paused_reason=words, probe_at=Now())


def resume(location: Location) -> None:
    Location.objects.filter(pk=location.pk).update(paused_reason="", paused_at=None, probe_at=None)


def switch(location: Location, name: str, *, user: Any, paused: bool) -> bool:
    """A person pauses `sending` or `fetching`, or lets it go on; False when it stood so already."""
    at = f"{name}_paused_at"
    rows = Location.objects.filter(pk=location.pk, **{f"{at}__isnull": paused})
    return bool(rows.update(**{at: Now() if paused else None, f"{name}_paused_by": user if paused else None}))


def swept(location: Location) -> None:
    """Our own heartbeat: at the end of every sweep, one that found traffic stopped or paused included."""
    remember_location(location, swept_at=database_now())


def queue_ran(location_id: str, *, unless_within: float = 0.0) -> None:
    """A task of ours runs in the queue at this moment; not written when that was noted so few seconds ago."""
    rows = Location.objects.filter(location_id=location_id)
    if unless_within:
        before = database_now() - dt.timedelta(seconds=unless_within)
        rows = rows.filter(Q(queue_ran_at__isnull=True) | Q(queue_ran_at__lt=before))
    rows.update(queue_ran_at=Now())


def hold_sending(location: Location, seconds: float, held: dt.datetime | None) -> dt.datetime | None:
    """Say for so long that a worker sends everything that is due; `held` renews. None while another one says so."""
    now = database_now()
    until = now + dt.timedelta(seconds=seconds)
    free = Q(bulk_until__isnull=True) | Q(bulk_until__lte=now) | Q(bulk_until=held)
    return until if Location.objects.filter(free, pk=location.pk).update(bulk_until=until) else None


def release_sending(location: Location, held: dt.datetime) -> None:
    """That worker has ended."""
    Location.objects.filter(pk=location.pk, bulk_until=held).update(bulk_until=None)


def take_probe(location: Location, every: float) -> bool:
    """Whether it is this caller's turn to try whether a stop is over."""
    before = database_now() - dt.timedelta(seconds=every)
    rows = Location.objects.filter(
        Q(probe_at__isnull=True) | Q(probe_at__lte=before), pk=location.pk, paused_at__isnull=False
    )
    return bool(rows.update(probe_at=Now()))


def remember_location(location: Location, **fields: Any) -> None:
    Location.objects.filter(pk=location.pk).update(**fields)
    for name, value in fields.items():
        setattr(location, name, value)
