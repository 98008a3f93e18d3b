"""A bulk push at GoHighLevel's pace, and staff's edits beside it: how much of the limit is used, and who waits.

By the queue alone, as in daily use; then by two clusters while a person pushes by hand as well.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import ExitStack

from django.db import transaction

from bench import rows
from bench.rows import Row
from bench.stage import Stage
from ghl_sync import tasks
from ghl_sync.engine import outbox
from ghl_sync.engine.session import Session
from ghl_sync.models import Change, Kind, Link
from tests.clusters import running
from trips.models import Passenger, Trip

RATE_MAX, INTERVAL_MS, LATENCY = 100, 10_000, 0.25
# What may be left unused of the limit, and how long an edit may take to reach its card: 2 s until it is on its way,
# and the two calls that it takes.
MOST_UNUSED, LONGEST_EDIT = 5.0, 2.0 + 2 * LATENCY
PAUSE = (1.0, 4.0)
START_SECONDS = 8.0
LOST_SECONDS = 30.0


def measure(stage: Stage) -> Iterator[Row]:
    stage.command("ghl_setup", "--apply", "--json").result()
    stage.command("pull_ghl", "--full", "--json", "--no-progress").result()
    stage.far.post("settings", rate_max=RATE_MAX, interval_ms=INTERVAL_MS, latency=LATENCY)
    Session().refresh_definitions()  # whose answers tell the limit
    yield from _pushed(stage, clusters=1, by_hand=False)
    yield from _pushed(stage, clusters=2, by_hand=True)


def _pushed(stage: Stage, *, clusters: int, by_hand: bool) -> Iterator[Row]:
    """One bulk push of so many seconds, from a moment on at which it is well under way."""
    name = f"{clusters} clusters and push_ghl" if by_hand else "1 cluster"
    _make_everything_due(f"Bulk by {name}")
    with ExitStack() as open_:
        for number in range(clusters):
            open_.enter_context(running(stage.directory / f"cluster-{clusters}-{number}.log"))
        with transaction.atomic():
            tasks.sweep_after_commit()
        if by_hand:
            open_.enter_context(stage.command("push_ghl", "--due", "--json"))
        time.sleep(START_SECONDS)
        since = stage.far.get("limits")["now"]
        waits = _edits(stage, random.Random(clusters))
        used = stage.far.get("limits", since=since)
    left = Change.objects.count()
    unused = 100 - 100 * used["calls"] / (used["seconds"] * 1000 / INTERVAL_MS * RATE_MAX)
    note = f"{used['calls']} calls in {used['seconds']:.0f} s, {used['busiest']} in the fullest {INTERVAL_MS // 1000} s"
    yield Row(f"left unused of the limit, {name}", "%", unused, MOST_UNUSED, note=f"{note}; {left} changes still due")
    yield Row(f"calls refused for the limit, {name}", "calls", used["refused"], 0)
    yield rows.p95(f"from save to card, 95 of 100, {name}", "s", waits, LONGEST_EDIT, f"{len(waits)} edits")
    yield rows.median(f"from save to card, median, {name}", "s", waits)


def _make_everything_due(value: str) -> None:
    """Each trip and passenger has a value that GoHighLevel has not: a look and a write for each of them."""
    with transaction.atomic():
        Trip.objects.update(vendor_terms=value)
        Passenger.objects.update(roommate_request=value)
        outbox.mark_many(Trip, Trip.objects.values_list("pk", flat=True))
        outbox.mark_many(Passenger, Passenger.objects.values_list("pk", flat=True))


def _edits(stage: Stage, chance: random.Random) -> list[float]:
    """Seconds that each edit took to its card."""
    ends, waits = time.monotonic() + stage.seconds, []
    while time.monotonic() < ends:
        time.sleep(chance.uniform(*PAUSE))
        waits.append(_edit(stage, f"Edit {len(waits)}", chance))
    return waits


def _edit(stage: Stage, value: str, chance: random.Random) -> float:
    obj: Trip | Passenger
    if chance.random() < 0.5:
        obj, key = chance.choice(list(Trip.objects.all())), "vendor_terms"
        obj.vendor_terms = value
    else:
        obj, key = chance.choice(list(Passenger.objects.all()[:500])), "user_roomate"
        obj.roommate_request = value
    kind = Kind.TRIP if isinstance(obj, Trip) else Kind.PASSENGER
    card = Link.objects.get(kind=kind, object_id=obj.pk).remote_id
    started = time.monotonic()
    obj.save()
    while time.monotonic() < started + LOST_SECONDS:
        if stage.far.field(card, key) == value:
            return time.monotonic() - started
        time.sleep(0.05)
    return LOST_SECONDS
