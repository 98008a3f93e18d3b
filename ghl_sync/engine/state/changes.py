"""What changed here and is not agreed on yet: inserted by saves, deleted by who has read it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice

from django.db import transaction

from ghl_sync.engine.clock import database_now
from ghl_sync.models import Cause, Change, Lane, Link

AT_ONCE = 1000
NO_SEATS: Mapping[int, int] = {}


def record_change(
    kind: str,
    object_id: int,
    *,
    cause: str = Cause.SAVED,
    lane: str = Lane.STAFF,
    delay: float = 0.0,
    seat: int | None = None,
) -> None:
    """Insert one Change; `delay` seconds before it may be acted on, `seat` the trip a passenger now has a seat on."""
    change = Change(kind=kind, object_id=object_id, cause=cause, lane=lane, seat=seat)
    if delay:
        change.due_at = database_now() + dt.timedelta(seconds=delay)
    change.save(force_insert=True)


def record_changes(
    kind: str,
    object_ids: Iterable[int],
    *,
    cause: str,
    lane: str = Lane.BULK,
    delay: float = 0.0,
    seats: Mapping[int, int] = NO_SEATS,
) -> int:
    """One Change each for many objects, built a thousand at a time; returns how many. `seats`: trips by passenger."""
    due_at = database_now() + dt.timedelta(seconds=delay)
    changes = (
        Change(kind=kind, object_id=pk, cause=cause, lane=lane, due_at=due_at, seat=seats.get(pk)) for pk in object_ids
    )
    count = 0
    with transaction.atomic():
        while some := list(islice(changes, AT_ONCE)):
            count += len(Change.objects.bulk_create(some))
    return count


@dataclass(frozen=True, slots=True)
class Seen:
    """The Changes a worker read before it looked at the object: exactly these are done when it is done."""

    ids: tuple[int, ...]
    causes: frozenset[str]
    lane: str
    newest: dt.datetime | None
    seats: frozenset[int] = frozenset()  # trips on which a passenger had a seat at one of these saves


def lane_of(lane: str, edited_at: dt.datetime | None, failures: int, failed_at: dt.datetime | None) -> str:
    """The lane of a record whose Changes are of this `lane`: one that failed gives way until it is edited again."""
    edited = edited_at is not None and (failed_at is None or edited_at > failed_at)
    return Lane.RETRY if failures and not edited else lane


NOTHING_SEEN = Seen((), frozenset(), Lane.BULK, None)


def read_changes(link: Link) -> Seen:
    """What is there to do for a claimed link; the claim remembers what it has read."""
    rows = list(
        Change.objects.filter(kind=link.kind, object_id=link.object_id).values_list("pk", "cause", "lane", "at", "seat")
    )
    lanes = {row[2] for row in rows}
    lane = next((lane for lane in (Lane.STAFF, Lane.RETRY, Lane.BULK) if lane in lanes), Lane.BULK)
    saved = [row[3] for row in rows if row[1] == Cause.SAVED]
    link.read_ids = tuple(row[0] for row in rows)
    return Seen(
        ids=tuple(row[0] for row in rows),
        causes=frozenset(row[1] for row in rows),
        lane=lane,
        newest=max(saved, default=None),
        seats=frozenset(row[4] for row in rows if row[4] is not None),
    )


def changes_of(kind: str, object_id: int) -> tuple[int, ...]:
    """Ids of the Changes of one object, as of now."""
    return tuple(Change.objects.filter(kind=kind, object_id=object_id).values_list("pk", flat=True))


def forget_changes(ids: Collection[int]) -> None:
    """What these Changes asked for is done."""
    Change.objects.filter(pk__in=ids).delete()
