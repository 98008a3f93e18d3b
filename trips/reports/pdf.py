"""A report as PDF."""

from __future__ import annotations

from trips.reports.stamp import Stamp
from trips.reports.table import Table

CONTENT_TYPE = "application/pdf"


def write(table: Table, stamp: Stamp, *, confidential: bool = False) -> bytes:
    """The report on the office's paper; `confidential` is written across every sheet, with who had it made."""
    from trips.reports import sheets  # noqa: PLC0415 - its library takes as long to load as ten reports to print

    return sheets.draw(table, stamp, confidential=confidential)
