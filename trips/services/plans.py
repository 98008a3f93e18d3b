"""Bulk work decided before it is done: which rows change and to what, which are left alone and why.

A preview shows a plan; carrying it out records a batch that can be undone. Between the two the plan is made anew, and
each row is looked at once more under its lock, so what became impossible meanwhile is skipped and told.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from trips.enums import BatchKind
from trips.models import Batch
from trips.services.batches import Recorder, recorded

# A page carries out so many rows at once; it would take too long for more.
MOST_ROWS = 1000
Save = Callable[[Any, set[str]], object]


class NotNow(Exception):
    """A row cannot be changed as planned; the words say why."""


@dataclass(frozen=True, slots=True)
class Step:
    """One row and the values it is given; `note` says what is special about it."""

    row: Any
    values: dict[str, Any]
    note: str = ""
    save: Save | None = None


@dataclass(frozen=True, slots=True)
class Skip:
    """A row that is left alone, and why."""

    row: Any
    reason: str


@dataclass(frozen=True, slots=True)
class Plan:
    """`title` names the batch. `asks` names the question whose answer would let some of the skipped go, too."""

    kind: BatchKind
    title: str
    steps: list[Step] = field(default_factory=list)
    skips: list[Skip] = field(default_factory=list)
    asks: str = ""


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a plan: the batch (None when nothing changed), how many rows, those skipped and those left."""

    batch: Batch | None
    count: int
    skips: list[Skip]
    left: int = 0


def carry_out(*, plan: Plan, by: Any, seconds: float | None = None) -> Done:
    """Do it row by row, each a transaction of its own. With `seconds` no further row is started after so long."""
    ends = None if seconds is None else time.monotonic() + seconds
    count, tried = 0, 0
    skips = list(plan.skips)
    with recorded(kind=plan.kind, title=plan.title, by=by) as recorder:
        for step in plan.steps:
            if ends is not None and time.monotonic() >= ends:
                break
            tried += 1
            refusal = _do(recorder, step)
            if refusal:
                skips.append(Skip(step.row, refusal))
            else:
                count += 1
    batch = recorder.batch if recorder.batch.pk else None
    return Done(batch, count, skips, len(plan.steps) - tried)


def _do(recorder: Recorder, step: Step) -> str:
    """Change one row; why not, if not."""
    try:
        changed = recorder.change(step.row, save=step.save, **step.values)
    except step.row.DoesNotExist:
        return "It was deleted meanwhile."
    except NotNow as refusal:
        return str(refusal)
    return "" if changed else "Somebody did it meanwhile."


def without(rows: Sequence[Any], skips: Sequence[Skip]) -> list[Any]:
    """The rows that are not skipped."""
    skipped = {skip.row.pk for skip in skips}
    return [row for row in rows if row.pk not in skipped]
