"""What one random run did and found, as a line of a table and as JSON."""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

QUEUE_EVERY = 10
REAL_TIME_EVERY, REAL_TIME_AT = 50, 25


class Mode(StrEnum):
    """Who does the engine's work, and how fast waits pass."""

    ENGINE = "engine"  # this process, killed by an exception at a step; waits take a hundredth
    QUEUE = "queue"  # a real django-q2 cluster, killed by signals; waits take a hundredth
    REAL_TIME = "realtime"  # this process, with every wait in full


def mode_of(seed: int) -> Mode:
    """By the seed, so that a seed repeats its run; `CHAOS_MODE` overrides."""
    if forced := os.environ.get("CHAOS_MODE"):
        return Mode(forced)
    if seed % REAL_TIME_EVERY == REAL_TIME_AT:
        return Mode.REAL_TIME
    return Mode.QUEUE if seed % QUEUE_EVERY == 0 else Mode.ENGINE


@dataclass
class Tally:
    seed: int
    mode: str
    operations: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    kills: Counter[str] = field(default_factory=Counter)
    calls: int = 0
    conflicts: int = 0
    races: int = 0  # of promise 4: GoHighLevel's gap between a read and a write
    drifts: int = 0  # found by the audit
    parked: int = 0  # records that needed a person while the faults lasted
    busiest: int = 0  # most calls of one interval
    seconds: float = 0.0
    rest_seconds: float = 0.0
    violations: list[str] = field(default_factory=list)
    log: str = ""  # the file that tells a broken run step by step

    def as_json(self) -> str:
        return json.dumps(vars(self))

    @classmethod
    def from_json(cls, text: str) -> Tally:
        found: dict[str, Any] = json.loads(text)
        for name in ("operations", "faults", "kills"):
            found[name] = Counter(found[name])
        return cls(**found)

    HEAD = (
        f"{'seed':>5} {'mode':<8} {'ops':>5} {'faults':>6} {'kills':>5} {'calls':>6} {'confl.':>6} {'races':>5} "
        f"{'parked':>6} {'busiest':>7} {'rest s':>6} {'all s':>6}"
    )

    def line(self) -> str:
        figures = (
            f"{self.seed:>5} {self.mode:<8} {self.operations.total():>5} {self.faults.total():>6} "
            f"{self.kills.total():>5} {self.calls:>6} {self.conflicts:>6} {self.races:>5} {self.parked:>6} "
            f"{self.busiest:>7} {self.rest_seconds:>6.1f} {self.seconds:>6.1f}"
        )
        return figures + (f"  {len(self.violations)} VIOLATED" if self.violations else "")
