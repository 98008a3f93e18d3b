"""How long a save takes while a pull in another process holds SQLite's one writing place again and again."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence

from bench import rows
from bench.processes import Command
from bench.rows import Row
from bench.stage import Stage
from ghl_sync.models import Kind, Link, Run
from trips.models import Trip

FULL = ("pull_ghl", "--full", "--json", "--no-progress")
LIMIT_MS = 50
PAUSE = 0.02
QUIET_SAVES = 50
# The sandbox writes its records to disk a second after the last change.
SETTLE_SECONDS = 2.0


def measure(stage: Stage) -> Iterator[Row]:
    """A pull that finds many changed records."""
    trip = Trip.objects.order_by("pk")[0]
    _edit_many(stage, trip)
    quiet = iter(range(QUIET_SAVES))
    yield _row("a save, 95 of 100, no pull", _saves(trip, lambda: next(quiet, None) is not None))
    with stage.command(*FULL) as pull:
        times = _saves_during(trip, pull)
        ran = pull.result()
    updated = ran.report["trips"]["updated"] + ran.report["passengers"]["updated"]
    wanted = stage.sizes.edited_trips + stage.sizes.edited_passengers
    if updated != wanted:
        raise AssertionError(f"the pull took over {updated} changes, {wanted} were made")
    note = f"{updated:,} records changed in {ran.seconds:.1f} s"
    yield _row("a save, 95 of 100, during a full pull", times, LIMIT_MS, note)


def measure_first_fill(stage: Stage) -> Iterator[Row]:
    """The first pull into an empty database, which takes whole pages at a time: told, not judged."""
    with stage.command(*FULL) as pull:
        while pull.running and not Run.objects.exists():
            time.sleep(0.01)
        times = _saves_during(Trip(name="Made during the first pull"), pull)
        ran = pull.result()
    yield _row("a save, 95 of 100, during the very first pull", times, note=f"a pull of {ran.seconds:.1f} s")


def _row(what: str, times: Sequence[float], limit: float | None = None, note: str = "") -> Row:
    told = f"median {statistics.median(times):.1f} ms of {len(times)} saves"
    return rows.p95(what, "ms", times, limit, f"{told}; {note}" if note else told)


def _edit_many(stage: Stage, spared: Trip) -> None:
    """As an import into GoHighLevel would: a number of every trip, a wish of every passenger."""
    for kind, count, key, value in (
        (Kind.TRIP, stage.sizes.edited_trips, "max_passengers", 77),
        (Kind.PASSENGER, stage.sizes.edited_passengers, "user_roomate", "Changed by the bench"),
    ):
        links = Link.objects.filter(kind=kind).exclude(kind=Kind.TRIP, object_id=spared.pk).order_by("pk")
        for remote_id in links.values_list("remote_id", flat=True)[:count]:
            stage.far.post("edit", id=remote_id, fields={key: value})
    time.sleep(SETTLE_SECONDS)


def _saves_during(trip: Trip, pull: Command) -> list[float]:
    return _saves(trip, lambda: pull.running)


def _saves(trip: Trip, go_on: Callable[[], bool]) -> list[float]:
    """Milliseconds of each save of the trip, one after another with a pause between, for as long as told."""
    times: list[float] = []
    while go_on():
        trip.capacity = len(times) % 1000
        started = time.perf_counter()
        trip.save()
        times.append((time.perf_counter() - started) * 1000)
        time.sleep(PAUSE)
    return times
