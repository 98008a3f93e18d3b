"""A report as an Excel workbook: one sheet with dates and amounts as such, the totals on a second one."""

from __future__ import annotations

import io
import re
from typing import Any

from trips.cells import neutral
from trips.reports.table import Kind, Table, Value

CONTENT_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_FORMATS = {Kind.DATE: "yyyy-mm-dd", Kind.MONEY: "#,##0.00"}
_WIDEST = 60
# What XML cannot hold; openpyxl refuses the whole cell for one of them.
_UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def write(table: Table) -> bytes:
    from openpyxl import Workbook  # noqa: PLC0415 - slow, and only whoever downloads a workbook needs it
    from openpyxl.styles import Alignment, Font  # noqa: PLC0415 - the same

    book = Workbook()
    sheet: Any = book.active
    sheet.title = "Report"
    sheet.append([neutral(column.label) for column in table.columns])
    for row in table.rows:
        sheet.append([_cell(value) for value in row.cells])
    for heading in sheet[1]:
        heading.font = Font(bold=True)
    for letters, column in zip(sheet.columns, table.columns, strict=True):
        sheet.column_dimensions[letters[0].column_letter].width = _width(letters)
        for cell in letters[1:]:
            cell.number_format = _FORMATS.get(column.kind, "General" if column.kind is Kind.NUMBER else "@")
            cell.alignment = Alignment(vertical="top", wrap_text=True)
    sheet.freeze_panes = "A2"
    _about(book, table)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _cell(value: Value) -> Any:
    return _UNWRITABLE.sub("\ufffd", str(neutral(value))) if isinstance(value, str) else value


def _width(cells: Any) -> int:
    longest = max((len(line) for cell in cells for line in str(cell.value or "").splitlines()), default=0)
    return min(max(longest, 4) + 2, _WIDEST)


def _about(book: Any, table: Table) -> None:
    sheet = book.create_sheet("About")
    for label, value in ((table.title, table.subtitle), *((total.full_label, total.value) for total in table.totals)):
        sheet.append([_cell(label), _cell(value)])
    sheet.column_dimensions["A"].width, sheet.column_dimensions["B"].width = 30, _WIDEST
