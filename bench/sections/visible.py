"""From a save here to the value on the card there, with the queue and the account as `make run` starts them."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

from bench import rows
from bench.rows import Row
from bench.stage import Stage
from ghl_sync.models import Kind, Link
from tests.clusters import running
from trips.models import Passenger, Trip

WARM_UP = 2
LONGEST_SECONDS = 30.0
# Long enough that saves do not fall in step with the queue's polling.
PAUSE = (0.1, 0.6)


def measure(stage: Stage) -> Iterator[Row]:
    stage.command("ghl_setup", "--apply", "--json").result()
    stage.command("pull_ghl", "--full", "--json", "--no-progress").result()
    chance = random.Random(7)
    with running(stage.directory / "cluster.log"):
        for number in range(WARM_UP):
            _arrival(stage, number, chance)
        times = [_arrival(stage, WARM_UP + number, chance) for number in range(stage.sizes.arrivals)]
    lost = sum(seconds >= LONGEST_SECONDS for seconds in times)
    yield rows.median("from save to card, median", "s", times, 1, f"{len(times)} saves of trips and passengers in turn")
    yield rows.p95("from save to card, 95 of 100", "s", times, 2)
    yield Row("saves that never arrived", "saves", lost, 0, note=f"after {LONGEST_SECONDS:.0f} s")


def _arrival(stage: Stage, number: int, chance: random.Random) -> float:
    """Seconds until a new value of some trip's or passenger's field is on its card; LONGEST_SECONDS when it is not."""
    time.sleep(chance.uniform(*PAUSE))
    value = f"Bench {number}"
    obj: Trip | Passenger
    if number % 2:
        obj, key = chance.choice(list(Trip.objects.all())), "vendor_terms"
        obj.vendor_terms = value
    else:
        obj, key = chance.choice(list(Passenger.objects.all())), "user_roomate"
        obj.roommate_request = value
    card = Link.objects.get(kind=Kind.TRIP if number % 2 else Kind.PASSENGER, object_id=obj.pk).remote_id
    version = stage.far.version()
    started = time.monotonic()
    obj.save()
    while time.monotonic() < started + LONGEST_SECONDS:
        version = stage.far.wait(version)
        if stage.far.field(card, key) == value:
            return time.monotonic() - started
    return LONGEST_SECONDS
