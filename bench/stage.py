"""What a section is given: where it may write, databases to spare, and how much to do."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from bench.far import FarSide
from bench.processes import Command


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much each section does."""

    seed: str = "real"
    fills: int = 2
    repeats: int = 3
    pairs: int = 400
    arrivals: int = 40
    edited_trips: int = 400
    edited_passengers: int = 1600
    views: int = 9
    contacts: int = 5453
    trips: int = 697
    passengers: int = 6477
    webhooks: int = 10_000
    times: int = 100  # the large account, in lengths of the real one
    values: int = 5_000  # encrypted values
    passports: int = 10_000  # that get a new key


FULL = Sizes()
TINY = Sizes("small", 2, 1, 4, 2, 4, 8, 1, 50, 12, 60, 40, 2, 50, 20)


@dataclass(frozen=True, slots=True)
class Stage:
    """One section's surroundings; the process's own settings name its database and its account."""

    directory: Path
    sandbox: str
    sizes: Sizes = FULL
    spare: tuple[str, ...] = ()
    seconds: float = 0.0  # how long the sections on request go on
    far: FarSide = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "far", FarSide(self.sandbox))

    @property
    def log(self) -> Path:
        return self.directory / "commands.log"

    def command(self, *words: str, database: str = "") -> Command:
        """`manage.py …` on the section's own database or on another one."""
        env = {**os.environ, **({"DATABASE_URL": database} if database else {})}
        return Command(*words, env=env, log=self.log)
