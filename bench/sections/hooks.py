"""What the sync's receivers add to saving a trip: the row of the change, and the wake-up in the queue's table."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator

from django.db.models.signals import post_save
from django_q.models import OrmQ

from bench.rows import Row, percentile
from bench.stage import Stage
from ghl_sync import receivers
from ghl_sync.models import Change
from trips.models import Trip

MOST_TRIPS = 50


def measure(stage: Stage) -> Iterator[Row]:
    trips = list(Trip.objects.order_by("pk")[:MOST_TRIPS])
    for trip in trips:  # connections and caches are warm in daily use
        _save(trip, 1)
    changes, wakes = Change.objects.count(), OrmQ.objects.count()
    with_hooks, without = [], []
    try:
        for number in range(stage.sizes.pairs):
            trip = trips[number % len(trips)]
            with_hooks.append(_save(trip, 2 + 2 * number))
            _disconnect()
            without.append(_save(trip, 3 + 2 * number))
            receivers.connect()
    finally:
        receivers.connect()
    recorded = (Change.objects.count() - changes, OrmQ.objects.count() - wakes)
    if recorded != (len(with_hooks), len(with_hooks)):
        raise AssertionError(f"{len(with_hooks)} saves left {recorded[0]} changes and {recorded[1]} wake-ups")
    yield _difference(with_hooks, without)


def _difference(with_hooks: list[float], without: list[float]) -> Row:
    added = statistics.median(with_hooks) - statistics.median(without)
    note = (
        f"median {statistics.median(with_hooks):.2f} ms with, {statistics.median(without):.2f} ms without; p95 "
        f"{percentile(with_hooks, 0.95):.1f} and {percentile(without, 0.95):.1f}; {len(without)} of each in turn"
    )
    return Row("added to saving a trip, wake-up included", "ms", added, 3, note=note)


def _save(trip: Trip, capacity: int) -> float:
    trip.capacity = capacity % 1000
    started = time.perf_counter()
    trip.save()
    return (time.perf_counter() - started) * 1000


def _disconnect() -> None:
    if not post_save.disconnect(sender=Trip, dispatch_uid="ghl_sync_trip_saved"):
        raise AssertionError("the receiver of a saved trip has another name now; this section must follow")
