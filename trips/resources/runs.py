"""One file through one resource: the same code looks at it and saves it."""

from __future__ import annotations

import tablib

from trips.cells import original
from trips.resources.base import Row, RowResource
from trips.services.sheets import Sheet


def guessed(resource: RowResource, headers: list[str]) -> dict[str, str]:
    """What each header means, as far as its words say; no column is given twice."""
    meant: dict[str, str] = {}
    for header in headers:
        label = resource.guess(header)
        meant[header] = label if label not in meant.values() else ""
    return meant


def fitting(resource: RowResource, headers: list[str], mapping: dict[str, str]) -> dict[str, str]:
    """`mapping` without what this user may not write, or what no column is called any more."""
    labels = {column.label for column in resource.columns}
    return {header: label if (label := mapping.get(header, "")) in labels else "" for header in headers}


def run(resource: RowResource, sheet: Sheet, mapping: dict[str, str]) -> list[Row]:
    """What becomes of each row. With a recorder the resource saves; without one nothing is written."""
    used = [(index, mapping[header]) for index, header in enumerate(sheet.headers) if mapping.get(header)]
    dataset = tablib.Dataset(headers=[label for _index, label in used])
    for row in sheet.rows:
        dataset.append([original(row[index]) for index, _label in used])
    result = resource.import_data(dataset, dry_run=resource.recorder is None, use_transactions=False)
    for error in result.base_errors:
        raise error.error
    return list(result.rows)
