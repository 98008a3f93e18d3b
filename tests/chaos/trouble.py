"""Faults of the line and of GoHighLevel, queued for the calls of one piece of work."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from random import Random
from typing import Any

from ghl_sync.sandbox.faults import Fault
from ghl_sync.sandbox.server import Sandbox

SLOW = 0.7  # longer than the runs' time-out
LATEST = 0.4
WRONG_TOKEN = "Invalid token: access token is invalid"
WRONG_LOCATION = "The token does not have access to this location."
OUT_OF_ORDER = (500, 502, 503)

PLACES = (
    ("POST", "/opportunities/"),
    ("PUT", "/opportunities/.*"),
    ("POST", "/contacts/"),
    ("PUT", "/contacts/.*"),
    ("PUT", ".*/customFields/.*"),
    ("GET", ".*"),
    ("DELETE", ".*"),
    ("POST", ".*/search"),
    (".*", ".*"),
)
# By name: what the sandbox is told. Those that only make sense in one place name it.
KINDS: Mapping[str, Mapping[str, Any]] = {
    "lost": {},
    "cut": {},
    "half": {},
    "empty": {},
    "html": {"status": 502},
    "ok_html": {},
    "timeout_401": {},
    "slow": {"seconds": SLOW},
    "late": {},
    "out of order": {"kind": "status"},
    "applied": {},
    "429": {"kind": "status", "status": 429},
    "429 without headers": {"kind": "status", "status": 429, "bare": True},
    "401": {"kind": "status", "status": 401, "message": WRONG_TOKEN},
    "403": {"kind": "status", "status": 403, "message": WRONG_LOCATION},
    "422 on a field": {
        "kind": "status", "status": 422, "message": "city must be a string", "method": "PUT", "path": "/contacts/.*",
    },
    "422 on a record": {
        "kind": "status", "status": 422, "message": "The record cannot be taken.", "path": "/(opportunities|contacts)/",
        "method": "POST",
    },
    "short": {"method": "POST", "path": ".*/search"},
    "no_rows": {"method": "POST", "path": ".*/search"},
}  # fmt: skip
STORMS = {"429", "429 without headers", "out of order", "cut"}
RARE = {"401", "403", "422 on a field", "422 on a record", "short", "no_rows", "429 without headers"}
CLEARING = ("ignored", "refused")


class Trouble:
    """Queues faults and counts which of them struck. `late` allows calls carried out after their answer."""

    def __init__(self, sandbox: Sandbox, random: Random, *, late: bool) -> None:
        self._sandbox, self._random = sandbox, random
        rare = [name for name in KINDS if name in RARE]
        common = [name for name in KINDS if name not in RARE and (late or name not in {"slow", "late"})]
        self._names, self._weights = [*common, *rare], [3] * len(common) + [1] * len(rare)
        self._queued: list[tuple[str, Fault, int]] = []
        self.fired: Counter[str] = Counter()

    def brew(self) -> list[str]:
        """None to three faults for the next calls; returns what was queued, in words."""
        told = []
        for _one in range(self._random.choice((0, 1, 1, 2, 3))):
            told.append(self._add(self._random.choices(self._names, self._weights)[0]))
        if self._random.random() < 0.05:
            mode = self._random.choice(CLEARING)
            self._sandbox.store.clearing = {"*": mode}
            self.fired[f"clearing {mode}"] += 1
            told.append(f"clearing {mode}")
        return told

    def _add(self, name: str) -> str:
        method, path = self._random.choice(PLACES)
        times = self._random.randint(2, 8) if name in STORMS and self._random.random() < 0.2 else 1
        how: dict[str, Any] = {
            "kind": name,
            "method": method,
            "path": path,
            "times": times,
            "status": self._random.choice(OUT_OF_ORDER),
            "seconds": self._random.uniform(0.05, LATEST),
            **KINDS[name],
        }
        fault = self._sandbox.faults.add(**how)
        self._queued.append((name, fault, times))
        return f"fault {name} × {times} {how['method']} {how['path']}"

    def calm(self) -> None:
        """Everything works again."""
        self._sandbox.faults.clear()
        self._sandbox.store.clearing = {}
        for name, fault, times in self._queued:
            if struck := times - fault.times:
                self.fired[name] += struck
        self._queued.clear()
