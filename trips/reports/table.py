"""The shapes of a report, from its description down to rows of plain values; every format reads these.

A report has presets: one list of columns each. A column says how its value is read off a thing (mostly a passenger),
which models one must be allowed to see for it, and whether a blank is a gap that somebody has to fill.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import Enum
from typing import Any

from django.db.models import QuerySet
from django.utils import formats

from trips.models import Trip
from trips.text import masked

Value = str | int | Decimal | dt.date | None


class Kind(Enum):
    """How a value is written and aligned."""

    TEXT = "text"
    NUMBER = "number"
    MONEY = "money"
    DATE = "date"
    PHONE = "phone"
    MASKED = "masked"  # shown by its last four characters unless somebody may read it whole


@dataclass(frozen=True, slots=True)
class Column:
    """`needs` names the models whose permission the column takes; without it the column is left out.

    `shy`: a page or sheet leaves the column out where no row has a value; the other files always have it.
    """

    code: str
    label: str
    read: Callable[[Any], Value]
    kind: Kind = Kind.TEXT
    needs: tuple[str, ...] = ()
    required: bool = False
    shy: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """`key` names the thing for good ("passenger:12"), so that two copies of a report can be compared."""

    key: str
    name: str
    cells: tuple[Value, ...]
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Total:
    """`group`: what several belong to, such as the diets."""

    label: str
    value: str
    group: str = ""

    @property
    def full_label(self) -> str:
        return f"{self.group}: {self.label}" if self.group else self.label


@dataclass(frozen=True, slots=True)
class Table:
    """A report as it stands now, for one asker. `count` is of all rows, also where `rows` are one page of them."""

    title: str
    subtitle: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    count: int
    totals: tuple[Total, ...]
    notes: tuple[str, ...]
    left_out: tuple[str, ...]


def _as_they_are(rows: QuerySet[Any]) -> QuerySet[Any]:
    return rows


@dataclass(frozen=True, slots=True)
class Scope:
    """What is asked for and by whom: one trip, or the departures from `first` to `last`.

    `may` says whether the asker may see a model ("trips.passport"); `whole` whether secrets are to be written out.
    """

    may: Callable[[str], bool]
    today: dt.date
    trip: Trip | None = None
    first: dt.date | None = None
    last: dt.date | None = None
    whole: bool = False
    # Leaves of any rows what the asker may see.
    seen: Callable[[QuerySet[Any]], QuerySet[Any]] = _as_they_are


Rows = QuerySet[Any]
Narrow = Callable[["Scope", Rows], Rows]
Totals = Callable[[Sequence[Any]], Iterable[Total]]
Sums = Callable[[Rows], Iterable[Total]]
Notes = Callable[[Scope, Sequence[Any]], Iterable[str]]


def none_of(*_what: object) -> tuple[()]:
    return ()


def all_of(_scope: Scope, rows: Rows) -> Rows:
    return rows


@dataclass(frozen=True, slots=True)
class Preset:
    """One list of columns, of all rows or of those that `narrow` leaves.

    `notes` are for the office: they stand on the page and in no file that goes out.
    """

    code: str
    title: str
    columns: tuple[Column, ...]
    needs: tuple[str, ...] = ()
    notes: Notes = none_of
    in_pack: bool = True  # where its report is
    narrow: Narrow = all_of


@dataclass(frozen=True, slots=True)
class Report:
    """`source` asks the database; `sums` has it add up, `totals` looks at the rows that were read.

    `confidential`: every sheet says so and for whom it was made. `in_pack`: part of a trip's departure pack.
    """

    code: str
    title: str
    hint: str
    needs: tuple[str, ...]
    presets: tuple[Preset, ...]
    source: Callable[[Scope], Rows]
    of_trip: bool = True
    totals: Totals = none_of
    sums: Sums = none_of
    confidential: bool = False
    in_pack: bool = False
    # What the page of a trip says without a row, and what to do about it.
    empty: tuple[str, str] = ("Nobody is booked on this trip", "Add passengers to the trip; its lists fill themselves.")

    def allowed(self, may: Callable[[str], bool]) -> list[Preset]:
        """The presets that somebody may have."""
        return [preset for preset in self.presets if all(map(may, (*self.needs, *preset.needs)))]

    def lacking(self, preset: Preset, may: Callable[[str], bool]) -> list[str]:
        """The models that somebody may not see and would have to for `preset`."""
        return [name for name in (*self.needs, *preset.needs) if not may(name)]


def full_title(report: Report, preset: Preset) -> str:
    return report.title if len(report.presets) == 1 else f"{report.title}, {preset.title}"


def rows_of(report: Report, preset: Preset, scope: Scope) -> Rows:
    return scope.seen(preset.narrow(scope, report.source(scope)))


def build(report: Report, preset: Preset, scope: Scope, *, part: slice | None = None, count: int = 0) -> Table:
    """The report as it stands, or the `part` of its `count` rows that a page shows; then only `sums` are told."""
    found = rows_of(report, preset, scope)
    things = list(found[part] if part else found)
    count = count if part else len(things)
    columns = tuple(column for column in preset.columns if all(map(scope.may, column.needs)))
    hidden = tuple(column.label for column in preset.columns if column not in columns)
    return Table(
        title=full_title(report, preset),
        subtitle=_subtitle(scope),
        columns=columns,
        rows=tuple(_row(thing, columns, whole=scope.whole) for thing in things),
        count=count,
        totals=(*report.sums(found), *(report.totals(things) if count == len(things) else ())),
        notes=tuple(preset.notes(scope, things)),
        left_out=hidden,
    )


def without_shy(table: Table) -> Table:
    """The table without the shy columns that nobody has a value in."""
    kept = [at for at, column in enumerate(table.columns) if not column.shy or any(row.cells[at] for row in table.rows)]
    return replace(
        table,
        columns=tuple(table.columns[at] for at in kept),
        rows=tuple(replace(row, cells=tuple(row.cells[at] for at in kept)) for row in table.rows),
    )


def blanks_first(rows: Sequence[Row]) -> list[Row]:
    """Those with gaps before the others, each in their order."""
    return sorted(rows, key=lambda row: not row.missing)


def shown(value: Value, kind: Kind) -> str:
    """`value` as people read it on a page and on paper."""
    if value is None:
        return ""
    if isinstance(value, dt.date):
        return formats.date_format(value, "j M Y")
    if kind is Kind.MONEY:
        return f"{value:,.2f}"
    return str(value)


def plain(value: Value) -> str | int | None:
    """`value` as it is kept and compared: dates as ISO, money as its digits."""
    return value if isinstance(value, str | int) or value is None else str(value)


def _row(thing: Any, columns: Sequence[Column], *, whole: bool) -> Row:
    values = [column.read(thing) for column in columns]
    missing = tuple(
        column.label for column, value in zip(columns, values, strict=True) if column.required and value in (None, "")
    )
    cells = tuple(
        masked(str(value or "")) if column.kind is Kind.MASKED and not whole else value
        for column, value in zip(columns, values, strict=True)
    )
    return Row(f"{thing._meta.model_name}:{thing.pk}", str(thing), cells, missing)


def _subtitle(scope: Scope) -> str:
    if scope.trip is not None:
        days = [shown(day, Kind.DATE) for day in (scope.trip.departs_on, scope.trip.ends_on) if day]
        return ", ".join(filter(None, (str(scope.trip), scope.trip.destination, " – ".join(days))))
    if scope.first is None and scope.last is None:
        return "All departures"
    ends = [("from", scope.first), ("to", scope.last)]
    return "Departures " + " ".join(f"{word} {shown(day, Kind.DATE)}" for word, day in ends if day)
