"""Tables as CSV and XLSX files whose cells run nothing."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from typing import Any

from trips.cells import neutral

ILLEGAL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def write_csv(headers: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """UTF-8 with a mark in front, without which Excel takes it for the office's old encoding."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    for row in (headers, *rows):
        writer.writerow([neutral(cell) for cell in row])
    return out.getvalue().encode("utf-8-sig", "replace")


def write_xlsx(headers: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """Numbers and days stay numbers and days; texts are texts, also those that begin like a formula."""
    from openpyxl import Workbook  # noqa: PLC0415 - slow to load, and most processes never write a workbook

    book = Workbook(write_only=True)
    sheet = book.create_sheet("Export")
    for row in (headers, *rows):
        sheet.append([_cell(neutral(value)) for value in row])
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _cell(value: Any) -> Any:
    """Excel knows no control characters but tab and line ends; a workbook with one does not open."""
    return ILLEGAL.sub("", value) if isinstance(value, str) else value
