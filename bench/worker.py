"""One section in a process of its own, whose settings name a scratch database: `python -m bench.worker JOB.json`.

Writes its rows as JSON lines into the file that the job names. Ends on SIGTERM through its `finally` blocks.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import signal
import statistics
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

import django

from bench.stage import FULL, TINY, Stage


def reference() -> float:
    """Seconds of a fixed piece of work of the kind a pull does: the middle of five times."""
    rows = [{"id": str(number), "values": list(range(10))} for number in range(2_000)]
    times = []
    for _ in range(5):
        started = time.perf_counter()
        for row in json.loads(json.dumps(rows)):
            hashlib.blake2b(json.dumps(row, sort_keys=True).encode()).hexdigest()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def unbind() -> None:
    """A copy of a filled database would only compare (`engine.binding`): this one speaks for the account."""
    from ghl_sync.models import Location

    Location.objects.update(bound_to="", bound_at=None)


def work(job: dict[str, Any]) -> None:
    section = importlib.import_module(f"bench.sections.{job['module']}")
    stage = Stage(
        Path(job["directory"]),
        os.environ["GHL_API_BASE_URL"],
        TINY if job["tiny"] else FULL,
        tuple(job["spare"]),
        job["seconds"],
    )
    unbind()
    before = reference()
    rows = list(getattr(section, job["measure"])(stage))
    loop = (before + reference()) / 2
    with open(job["rows"], "w", encoding="utf-8") as out:
        for row in rows:
            out.write(json.dumps(replace(row, reference=loop).as_json()) + "\n")


def _end(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _end)
    django.setup()
    work(json.loads(Path(sys.argv[1]).read_text("utf-8")))
