"""Measured figures, what they are held against, and the table they make. Every target is an upper bound."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

SECONDS_PER = {"s": 1.0, "ms": 0.001, "µs": 1e-6}
HEADINGS = ("section", "database", "what", "target", "measured", "from – to", "× loop", "verdict", "note")


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. `value` None was not measured; `limit` None is told for information."""

    what: str
    unit: str
    value: float | None
    limit: float | None = None
    low: float | None = None
    high: float | None = None
    note: str = ""
    section: str = ""
    database: str = ""
    # Seconds of the reference loop when this was measured.
    reference: float | None = None
    broken: bool = False

    @property
    def passed(self) -> bool | None:
        """Whether the target was reached; None where there is none to reach."""
        if self.broken:
            return False
        if self.value is None or self.limit is None:
            return None
        return self.value <= self.limit

    @property
    def ratio(self) -> float | None:
        """A time in lengths of the reference loop: what can be compared between machines."""
        if self.value is None or not self.reference or self.unit not in SECONDS_PER:
            return None
        return self.value * SECONDS_PER[self.unit] / self.reference

    @property
    def late(self) -> bool:
        """Missed by time alone, which a busy machine can be the reason for."""
        return self.passed is False and self.unit in SECONDS_PER

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "passed": self.passed, "ratio": self.ratio}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Row:
        return cls(**{name: value for name, value in stored.items() if name not in {"passed", "ratio"}})


def median(what: str, unit: str, samples: Sequence[float], limit: float | None = None, note: str = "") -> Row:
    """The middle one of several runs is judged, the extremes are shown."""
    return Row(what, unit, statistics.median(samples), limit, min(samples), max(samples), note)


def p95(what: str, unit: str, samples: Sequence[float], limit: float | None = None, note: str = "") -> Row:
    """What 95 of 100 stay within is judged, the extremes are shown."""
    return Row(what, unit, percentile(samples, 0.95), limit, min(samples), max(samples), note)


def percentile(samples: Sequence[float], share: float) -> float:
    """The smallest sample that at least `share` of all samples do not exceed."""
    return sorted(samples)[max(math.ceil(len(samples) * share) - 1, 0)]


def table(rows: Sequence[Row]) -> str:
    """All rows as a Markdown table that is also readable as it is."""
    cells = [HEADINGS, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(HEADINGS) - 1)]
    lines = [_line(cells[0], widths), _line([*("-" * width for width in widths), "----"], widths)]
    return "\n".join(lines + [_line(line, widths) for line in cells[1:]])


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [cell.ljust(width) for cell, width in zip(cells, widths, strict=False)]
    return "| " + " | ".join([*padded, cells[-1]]) + " |"


def _cells(row: Row) -> tuple[str, ...]:
    spread = f"{_figure(row.low)} – {_figure(row.high)}" if row.low is not None else ""
    return (
        row.section,
        row.database,
        row.what,
        f"≤ {_figure(row.limit)} {row.unit}" if row.limit is not None else "",
        f"{_figure(row.value)} {row.unit}" if row.value is not None else "",
        spread,
        _figure(row.ratio),
        {True: "ok", False: "MISSED", None: ""}[row.passed],
        row.note,
    )


def _figure(value: float | None) -> str:
    """Three digits that mean something, and no decimals for what is counted."""
    if value is None:
        return ""
    if value == int(value) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"
