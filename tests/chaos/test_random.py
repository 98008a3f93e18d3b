"""Random runs from fixed seeds: whatever happened on the way, at rest both sides agree and nothing is doubled or lost.

More of them by hand: `CHAOS_SEEDS=100-160 CHAOS_STEPS=120 pytest tests/chaos -x`.
"""

from __future__ import annotations

import os

import pytest

from ghl_sync.sandbox.server import Sandbox
from tests.chaos.world import World

pytestmark = pytest.mark.django_db(transaction=True)

STEPS = int(os.environ.get("CHAOS_STEPS", "70"))


def seeds() -> list[int]:
    first, _, last = os.environ.get("CHAOS_SEEDS", "1-6").partition("-")
    return list(range(int(first), int(last or first) + 1))


@pytest.mark.parametrize("seed", seeds())
def test_at_rest_both_sides_agree(connected: Sandbox, seed: int) -> None:
    world = World(connected, seed, late=seed % 2 == 0)
    for _step in range(STEPS):
        world.step()
    world.settle_down()
    wrong = world.faults()
    assert not wrong, "\n".join([*wrong, "", *world.log])
