"""One worker's hold on a link, and how it ends.

What a worker writes about a link after it has claimed it is conditional on its fence: a worker that was
stopped past its lease finds the fence moved on and writes nothing.
"""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Collection
from typing import Any

from django.db import models, transaction
from django.db.models import Case, F, Q, Value, When

from ghl_sync.conf import MAX_CLAIMS, Config
from ghl_sync.engine.base import Base
from ghl_sync.engine.clock import Now, database_now
from ghl_sync.engine.state.changes import Seen, changes_of
from ghl_sync.models import Change, Link

# Links named in one statement; SQLite takes a thousand parameters.
AT_ONCE = 500


class LostLease(Exception):
    """Somebody else holds the record by now; nothing more may be written or sent for it."""


def claim(link_id: int, lease: float, *, force: bool = False) -> Link | None:
    """Take a link for `lease` seconds, or None when somebody has it or it is not its time (`force` skips the latter).

    Attempts are counted here, so that a worker killed by a record counts too.
    """
    now = database_now()
    free = Link.objects.filter(Q(leased_until__isnull=True) | Q(leased_until__lte=now), pk=link_id)
    if not force:
        free = free.filter(Q(next_attempt_at__isnull=True) | Q(next_attempt_at__lte=now))
    taken = free.update(
        leased_until=now + dt.timedelta(seconds=lease), fence=F("fence") + 1, attempts=F("attempts") + 1
    )
    if not taken:
        return None
    link = Link.objects.get(pk=link_id)
    if link.attempts > MAX_CLAIMS:
        park(link, f"Handling this record broke off {MAX_CLAIMS} times. Look at the worker's log, then press Sync now.")
        return None
    return link


def finish(link: Link, **fields: Any) -> None:
    """Write the end of a claim; raises LostLease when the fence has moved on."""
    done = Link.objects.filter(pk=link.pk, fence=link.fence).update(leased_until=None, attempts=0, **fields)
    if not done:
        raise LostLease(str(link.pk))


def lease_left(link: Link) -> float:
    """Seconds left of this claim, by the database's clock."""
    if link.leased_until is None:
        return 0.0
    return (link.leased_until - database_now()).total_seconds()


def release(link: Link, *, why: str = "", after: float = 0.0) -> None:
    """Give a claim back without a result; nothing counts as failed."""
    next_at = database_now() + dt.timedelta(seconds=after) if after else None
    finish(link, next_attempt_at=next_at, waits_for=why[:255])


def say_why(link_ids: Collection[int], words: str) -> None:
    """These wait for something that has nothing to do with them; they may be tried at any time."""
    ids = list(link_ids)
    for start in range(0, len(ids), AT_ONCE):
        some = Link.objects.filter(pk__in=ids[start : start + AT_ONCE], leased_until__isnull=True)
        some.exclude(waits_for=words[:255]).update(waits_for=words[:255])


def agreed(link: Link, base: Base, seen: Seen, **fields: Any) -> None:
    """Record the agreement and what it covers; a change made meanwhile is not in `seen` and stays due."""
    with transaction.atomic():
        finish(
            link,
            base=base.dump(),
            failures=0,
            next_attempt_at=None,
            waits_for="",
            last_error="",
            parked_at=None,
            remote_dirty_at=still_dirty(link),
            synced_at=Now(),
            **fields,
        )
        if seen.ids:
            Change.objects.filter(pk__in=seen.ids).delete()


def still_dirty(link: Link, asked_at: dt.datetime | None = None) -> Any:
    """The mark that the claim found is done with; one set since then, or since `asked_at`, asks for another look."""
    if link.remote_dirty_at is None:
        return F("remote_dirty_at")
    answered = link.remote_dirty_at if asked_at is None else min(link.remote_dirty_at, asked_at)
    done = When(remote_dirty_at__lte=answered, then=Value(None))
    return Case(done, default=F("remote_dirty_at"), output_field=models.DateTimeField())


def keep(link: Link, **fields: Any) -> None:
    """Write facts about a claimed link that hold whatever comes next; the claim goes on."""
    if not Link.objects.filter(pk=link.pk, fence=link.fence).update(**fields):
        raise LostLease(str(link.pk))
    for name, value in fields.items():
        setattr(link, name, value)


def check_held(link: Link) -> None:
    """Raises LostLease when the fence has moved on: what was decided rests on an old look."""
    if not Link.objects.filter(pk=link.pk, fence=link.fence).exists():
        raise LostLease(str(link.pk))


def retry_later(link: Link, words: str, config: Config, *, after: float | None = None) -> None:
    """The same call may work later: wait with full jitter, 30 s doubling to 6 h."""
    failures = link.failures + 1
    longest = min(config.backoff_most, config.backoff_first * 2 ** min(failures - 1, 20))
    wait = after if after is not None else random.uniform(longest / 10, longest)  # nosec B311 # noqa: S311 - spreads retries
    now = database_now()
    finish(
        link,
        failures=failures,
        last_error=words,
        last_error_at=now,
        waits_for=words[:255],
        next_attempt_at=now + dt.timedelta(seconds=wait),
    )


def park(link: Link, words: str) -> None:
    """A person must act; the record rests until it, or what refused it, changes.

    What was saved while GoHighLevel was being asked is news: of the Changes only those that were read rest with it.
    """
    now = database_now()
    read = link.read_ids if link.read_ids is not None else changes_of(link.kind, link.object_id)
    with transaction.atomic():
        finish(link, parked_at=now, last_error=words, last_error_at=now, waits_for="", next_attempt_at=None)
        Change.objects.filter(pk__in=read).update(tried=True)


def broke_off(link: Link, words: str) -> None:
    """Handling a record ended in an error of ours: say so and wait a minute; its attempts keep counting."""
    now = database_now()
    Link.objects.filter(pk=link.pk, fence=link.fence).update(
        leased_until=None, last_error=words, last_error_at=now, next_attempt_at=now + dt.timedelta(seconds=60)
    )
