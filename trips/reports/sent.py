"""Copies of what was sent, and how today's rows differ from one.

A copy is compared only by the columns that it has in common with today's report as the asker may see it, so it shows
nobody what its report would not show them.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from trips.models import SentReport
from trips.reports.table import Column, Kind, Preset, Report, Row, Scope, Table, Value, plain, shown
from trips.text import MASK, masked


@dataclass(frozen=True, slots=True)
class Edit:
    """One field of a row that is not as it was sent."""

    label: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Changed:
    key: str
    name: str
    edits: tuple[Edit, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """`apart`: columns that only one of the two has, which were not compared."""

    added: tuple[Row, ...]
    removed: tuple[str, ...]
    changed: tuple[Changed, ...]
    apart: tuple[str, ...]

    @property
    def count(self) -> int:
        return len(self.added) + len(self.removed) + len(self.changed)

    @property
    def summary(self) -> str:
        """ "2 added, 1 changed", or that nothing is different."""
        parts = ((self.added, "added"), (self.removed, "no longer on it"), (self.changed, "changed"))
        return ", ".join(f"{len(rows)} {word}" for rows, word in parts if rows) or "nothing is different"


def keep(
    *, report: Report, preset: Preset, scope: Scope, table: Table, by: Any, written: str, content: bytes | None
) -> SentReport:
    """Store the rows of `table` as sent; the digest is of the file, or of the rows where there was none."""
    rows = _dump(table)
    copy = SentReport(
        report=report.code,
        preset=preset.code,
        title=table.title,
        trip=scope.trip,
        of_trip=scope.trip is not None,
        about=table.subtitle[:512],
        first_day=scope.first,
        last_day=scope.last,
        by=by,
        format=written,
        sha256=hashlib.sha256(rows.encode() if content is None else content).hexdigest(),
        row_count=len(table.rows),
        rows=rows,
    )
    copy.save()
    return copy


def compare(copy: SentReport, now: Table) -> Comparison:
    """What is different now; `now` must hold secrets whole where the copy does, and none is shown whole here."""
    kept = json.loads(copy.rows)
    codes = [column["code"] for column in kept["columns"]]
    before = {row["key"]: row for row in kept["rows"]}
    today = {row.key: row for row in now.rows}
    pairs = [(codes.index(column.code), at) for at, column in enumerate(now.columns) if column.code in codes]
    changed = (
        Changed(key, row.name, _edits(before[key]["cells"], row, now.columns, pairs))
        for key, row in today.items()
        if key in before
    )
    return Comparison(
        added=tuple(row for key, row in today.items() if key not in before),
        removed=tuple(row["name"] for key, row in before.items() if key not in today),
        changed=tuple(change for change in changed if change.edits),
        apart=tuple(_apart(kept["columns"], now.columns)),
    )


def _apart(kept: Iterable[dict[str, str]], columns: Iterable[Column]) -> list[str]:
    then, now = {column["code"]: column["label"] for column in kept}, {c.code: c.label for c in columns}
    return [label for code, label in (then | now).items() if (code in then) != (code in now)]


def _edits(before: list[Any], row: Row, columns: tuple[Column, ...], pairs: list[tuple[int, int]]) -> tuple[Edit, ...]:
    different = ((columns[now], before[then], row.cells[now]) for then, now in pairs)
    return tuple(
        Edit(column.label, _shown(old, column.kind), _shown(new, column.kind))
        for column, old, new in different
        if not _same(old, plain(new), column.kind)
    )


def _same(old: Any, new: Any, kind: Kind) -> bool:
    if kind is Kind.MASKED and MASK in (str(old)[:2], str(new)[:2]):
        return masked(str(old or "")) == masked(str(new or ""))  # of one of them only the end is known
    return ("" if old is None else old) == ("" if new is None else new)


def _shown(value: Value, kind: Kind) -> str:
    if kind is Kind.MASKED:
        return masked(str(value or ""))
    if kind is Kind.DATE and isinstance(value, str) and value:
        value = dt.date.fromisoformat(value)
    return shown(value, Kind.TEXT if kind is Kind.MONEY else kind)


def _dump(table: Table) -> str:
    columns = [{"code": column.code, "label": column.label} for column in table.columns]
    rows = [{"key": row.key, "name": row.name, "cells": [plain(cell) for cell in row.cells]} for row in table.rows]
    return json.dumps({"columns": columns, "rows": rows}, ensure_ascii=False)
