"""A report as CSV, for mail and for other systems."""

from __future__ import annotations

import csv
import io

from trips.cells import neutral
from trips.reports.table import Table, plain

CONTENT_TYPE = "text/csv; charset=utf-8"


def write(table: Table) -> bytes:
    """UTF-8 with the mark that Excel wants to see before it believes it; dates as ISO, no cell that would run."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow([neutral(column.label) for column in table.columns])
    writer.writerows([neutral(plain(cell)) for cell in row.cells] for row in table.rows)
    return text.getvalue().encode("utf-8-sig", "replace")
