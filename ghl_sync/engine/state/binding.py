"""Which database is bound to an account, and since when a pull must come before any push."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.utils import timezone

from ghl_sync.engine.clock import Now, database_now
from ghl_sync.models import Location

# Clocks differ a little; the database's decides, and is asked only where it might be time.
SURELY_AWAKE = dt.timedelta(minutes=5)


def bind(location: Location, identity: str) -> None:
    """The account's first database."""
    Location.objects.filter(pk=location.pk, bound_to="").update(bound_to=identity, bound_at=Now())
    location.refresh_from_db(fields=["bound_to", "bound_at"])


def take_over(location: Location, identity: str, user: Any) -> None:
    """Another database speaks for the account; what it does not know is read before it sends anything."""
    Location.objects.filter(pk=location.pk).update(
        bound_to=identity, bound_at=Now(), bound_by=user, pull_first_since=Now(), watermark=None
    )
    location.refresh_from_db(fields=["bound_to", "bound_at", "bound_by", "pull_first_since", "watermark"])


def note_sleep(location: Location, longest: dt.timedelta) -> None:
    """Our own heartbeat is older than that: one whole pull comes before any push."""
    if location.swept_at is None or location.pull_first_since is not None:
        return
    if timezone.now() - location.swept_at < SURELY_AWAKE:
        return
    asleep = Location.objects.filter(pk=location.pk, swept_at__lt=database_now() - longest, pull_first_since=None)
    if asleep.update(pull_first_since=Now()):
        location.refresh_from_db(fields=["pull_first_since"])


def caught_up(location: Location, started: dt.datetime) -> None:
    """A whole pull that began then is complete: pushing goes on, unless we slept once more since."""
    if Location.objects.filter(pk=location.pk, pull_first_since__lte=started).update(pull_first_since=None):
        location.pull_first_since = None
