"""Bar charts as SVG, drawn here: no script, nothing from another host, and each with the same figures as a table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 480, 170
LEFT, RIGHT, TOP, BOTTOM = 64, 8, 10, 24
GAP = 2
STEPS = (1, 2, 5)


@dataclass(frozen=True, slots=True)
class Series:
    """One colour of a chart: what it is called and its value in each column (None: nothing to show)."""

    name: str
    values: Sequence[float | None]
    css: str


@dataclass(frozen=True, slots=True)
class Bar:
    x: float
    y: float
    width: float
    height: float
    css: str
    title: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A line across with its value, or a word below a column."""

    x: float
    y: float
    text: str


@dataclass(frozen=True, slots=True)
class Chart:
    """What the template draws. `rows` are the table's: the column's name, then each series' text."""

    name: str
    title: str
    bars: list[Bar]
    lines: list[Mark]
    labels: list[Mark]
    legend: list[Series]
    rows: list[tuple[str, list[str]]]
    empty: str
    column: str = ""
    width: int = WIDTH
    height: int = HEIGHT

    @property
    def right(self) -> int:
        return self.width - RIGHT


def chart(
    name: str, title: str, columns: Sequence[str], series: Sequence[Series], *, unit: str, column: str, empty: str
) -> Chart:
    """Bars of all series side by side in each column, on a scale up to a round number; `empty` is said of none.

    `column` is what a column is, as the heading of the table ("Hour", "Month"); `unit` "s" writes seconds as spans.
    """
    highest = max((value for one in series for value in one.values if value), default=0.0)
    top = _round_up(highest)
    room = (WIDTH - LEFT - RIGHT) / max(len(columns), 1)
    deep = HEIGHT - TOP - BOTTOM
    bars = []
    for index, column in enumerate(columns):
        wide = (room - GAP) / len(series)
        for place, one in enumerate(series):
            value = one.values[index]
            if value:
                tall = max(deep * value / top, 1.0)
                said = f"{column}: {_text(value, unit)} {one.name}"
                x = LEFT + room * index + wide * place
                bars.append(Bar(_r(x), _r(HEIGHT - BOTTOM - tall), _r(wide), _r(tall), one.css, said))
    lines = [Mark(LEFT, _r(TOP + deep * (1 - part)), _text(top * part, unit)) for part in (0, 0.5, 1)] if top else []
    every = max(len(columns) // 6, 1)
    shown = [(index, column) for index, column in enumerate(columns) if index % every == 0]
    labels = [Mark(_r(LEFT + room * (index + 0.5)), HEIGHT - 6, column) for index, column in shown]
    rows = [
        (column, [_text(one.values[index], unit) if one.values[index] is not None else "–" for one in series])
        for index, column in enumerate(columns)
        if any(one.values[index] for one in series)
    ]
    return Chart(name, title, bars, lines, labels, list(series), rows, "" if bars else empty, column)


def _round_up(value: float) -> float:
    """The next of 1, 2, 5, 10, 20 …, so that the scale has readable steps."""
    if value <= 0:
        return 0.0
    power = 10 ** math.floor(math.log10(value))
    return next((step * power for step in STEPS if step * power >= value), 10 * power)


def _text(value: float | None, unit: str) -> str:
    if value is None:
        return "–"
    if unit == "s":
        return span(value)
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:,.1f}"


def span(seconds: float) -> str:
    """ "0.4 s", "12 s", "3 min", "2 h"."""
    if seconds < 10:
        return f"{seconds:.1f} s" if seconds else "0 s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"


def _r(value: float) -> float:
    return round(value, 1)
