"""Fetching a real-sized account: into nothing, again without news, and only what changed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import StringIO
from typing import Any

from django.core.management import call_command
from django.db import connection

from bench import rows
from bench.far import writes
from bench.processes import Ran
from bench.rows import Row
from bench.stage import Stage

FULL = ("pull_ghl", "--full", "--json", "--no-progress")
CHANGING = ("INSERT", "UPDATE", "DELETE")


def measure(stage: Stage) -> Iterator[Row]:
    yield from _first(stage)
    yield from _again(stage)
    yield from _idle(stage)
    stage.far.calls()
    stage.command("push_ghl", "--due", "--json").result()
    yield Row("writes of push_ghl --due after a full pull", "writes", len(writes(stage.far.calls())), 0)


def _first(stage: Stage) -> Iterator[Row]:
    """Each into an empty database, the last one into the section's own."""
    stage.far.calls()
    fills = [stage.command(*FULL, database=url).result() for url in (*stage.spare, "")]
    asked = len(stage.far.calls()) / len(fills)
    yield rows.median("full pull into an empty database", "s", [one.seconds for one in fills], 10, _processor(fills))
    yield Row("calls of a full pull", "calls", asked, 135)
    yield rows.median("peak memory of a full pull", "MB", [one.peak for one in fills], 250)
    expected = (stage.sizes.trips, stage.sizes.passengers, stage.sizes.contacts)
    found = [one.report[kind]["created"] for one in fills for kind in ("trips", "passengers", "contacts")]
    missing = sum(abs(have - want) for have, want in zip(found, expected * len(fills), strict=True))
    note = "{:,} trips, {:,} passengers, {:,} contacts".format(*expected)
    yield Row("records too many or too few", "records", missing, 0, note=note)


def _processor(runs: list[Ran]) -> str:
    """How much of the time was ours: the rest is the sandbox's, the database server's and the neighbours'."""
    return f"processor {min(one.cpu for one in runs):.1f} – {max(one.cpu for one in runs):.1f} s"


def _again(stage: Stage) -> Iterator[Row]:
    again = [stage.command(*FULL).result() for _ in range(stage.sizes.repeats)]
    yield rows.median("full pull again, nothing changed", "s", [one.seconds for one in again], 5, _processor(again))
    yield Row("writes to trips' tables in it", "writes", _written(), 0)


def _written() -> int:
    """Statements that change the business's tables during one more full pull."""
    found = 0

    def look(execute: Any, statement: str, params: Any, many: bool, context: Any) -> Any:
        nonlocal found
        found += statement.lstrip().upper().startswith(CHANGING) and '"trips_' in statement
        return execute(statement, params, many, context)

    with connection.execute_wrapper(look):
        report = StringIO()
        call_command(*FULL, stdout=report, stderr=StringIO())
    assert json.loads(report.getvalue())["ok"]
    return found


def _idle(stage: Stage) -> Iterator[Row]:
    stage.far.calls()
    runs = [stage.command("pull_ghl", "--json", "--no-progress").result() for _ in range(stage.sizes.repeats)]
    yield Row("calls of an idle incremental pull", "calls", len(stage.far.calls()) / len(runs), 4)
    reported = [one.report["seconds"] for one in runs]
    whole = f"the command took {min(one.seconds for one in runs):.2f} s at least"
    yield rows.median("idle incremental pull, as reported", "s", reported, 0.5, whole)
