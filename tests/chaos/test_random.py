"""Random runs from fixed seeds: whatever happened on the way, at rest both sides agree and nothing is doubled or lost.

The long ones: `make chaos SEEDS=1-200 STEPS=500` (`tests/chaos/__main__.py`).
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import pytest

from ghl_sync.sandbox.server import Sandbox
from tests.chaos.clustered import Clustered
from tests.chaos.tally import Mode, mode_of
from tests.chaos.verdict import violations
from tests.chaos.world import World

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(3600)]

STEPS = int(os.environ.get("CHAOS_STEPS", "70"))


def seeds() -> list[int]:
    first, _, last = os.environ.get("CHAOS_SEEDS", "1-3").partition("-")
    return list(range(int(first), int(last or first) + 1))


def record(world: World, report: Path) -> None:
    """Write the figures down for `make chaos`; a broken run also leaves its steps in a file that stays."""
    tally = world.tally
    if tally.violations:
        log = Path(tempfile.gettempdir()) / f"tripbuilder-chaos-{tally.seed}-{os.getpid()}.log"
        log.write_text("\n".join([*tally.violations, "", *world.log]))
        tally.log = str(log)
    with report.open("a") as lines:
        lines.write(tally.as_json() + "\n")


@pytest.mark.parametrize("seed", seeds())
def test_at_rest_both_sides_agree(connected: Sandbox, settings: Any, tmp_path: Path, seed: int) -> None:
    mode = mode_of(seed)
    if mode is Mode.REAL_TIME:
        settings.GHL_WAIT_SCALE = 1.0
    world = World(connected, seed, mode)
    if mode is Mode.QUEUE:
        clusters = 2 if seed % 3 == 0 else 1
        world.work_by(Clustered(world.random, world.trouble, world.note, tmp_path, clusters=clusters))
    try:
        world.run(STEPS)
        world.tally.violations = violations(world)
    except Exception as error:
        world.tally.violations.append(f"{type(error).__name__}: {error}")
        raise
    finally:
        if report := os.environ.get("CHAOS_REPORT"):
            record(world, Path(report))
    wrong = world.tally.violations
    assert not wrong, "\n".join([*wrong, "", *world.log])
