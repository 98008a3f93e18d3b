"""From a file or pasted cells to a table of texts: CSV in the encodings and separators that offices use, and XLSX."""

from __future__ import annotations

import csv
import datetime as dt
import io
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

MOST_BYTES = 5 * 1024 * 1024
MOST_UNPACKED = 60 * 1024 * 1024
# Saving so many new passengers with their contacts takes some ten seconds of a page; a larger file goes in in parts.
MOST_ROWS = 500
MOST_COLUMNS = 200
MOST_CHARACTERS = 20_000
_BOMS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))


class Unreadable(ValueError):
    """The file cannot be read; the sentence says why and what to do."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """`lines` says in which line of the file each row stood."""

    headers: list[str]
    rows: list[list[str]]
    lines: list[int]


def read_file(name: str, data: bytes) -> Sheet:
    if not data:
        raise Unreadable(f"“{name}” is empty.")
    if len(data) > MOST_BYTES:
        raise Unreadable(f"“{name}” is larger than {MOST_BYTES // 1024 // 1024} MB. Split it.")
    if data.startswith(b"\xd0\xcf\x11\xe0"):
        raise Unreadable(
            f"“{name}” is in the old Excel format or has a password. Save it as .xlsx without one, or as CSV."
        )
    if data.startswith(b"PK"):
        return _table(_workbook(name, data))
    return read_text(_decoded(name, data))


def read_text(text: str) -> Sheet:
    """Cells with tabs, semicolons or commas between them, as pasted from a spreadsheet or stored as CSV."""
    if "\x00" in text:
        raise Unreadable("This is no table of texts. Give a CSV or XLSX file.")
    separator = _separator(text)
    try:
        return _table(csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=False))
    except csv.Error as error:
        raise Unreadable(f"The table cannot be read: {error}. Check its quotation marks.") from None


def _decoded(name: str, data: bytes) -> str:
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            try:
                return data.decode(encoding)
            except UnicodeDecodeError:
                raise Unreadable(f"“{name}” is damaged: it is no {encoding.upper()}. Store it again.") from None
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        pass  # what Excel stores as plain CSV
    try:
        return data.decode("cp1252")
    except UnicodeDecodeError:
        raise Unreadable(f"“{name}” is no CSV or XLSX file. Store the table as one of them.") from None


def _separator(text: str) -> str:
    """The one that splits the first line into most cells."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    counts = {mark: len(next(csv.reader([first], delimiter=mark))) for mark in "\t;,"} if first else {}
    return max(counts, key=lambda mark: counts[mark], default=",")


def _workbook(name: str, data: bytes) -> Iterator[list[str]]:
    from openpyxl import load_workbook  # noqa: PLC0415 - slow to load, and most processes never read a workbook

    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
        if unpacked > MOST_UNPACKED:
            raise Unreadable(f"“{name}” unpacks to more than {MOST_UNPACKED // 1024 // 1024} MB. Split it.")
        book = load_workbook(io.BytesIO(data), read_only=True, data_only=True)
        for row in book.worksheets[0].iter_rows(values_only=True, max_col=MOST_COLUMNS + 1):
            yield [_text(value) for value in row]
    except Unreadable:
        raise
    except (zipfile.BadZipFile, KeyError, ValueError, IndexError, OSError, SyntaxError) as error:
        told = f"“{name}” is no workbook that can be read ({type(error).__name__}). Save it as .xlsx again, or as CSV."
        raise Unreadable(told) from None


def _text(value: Any) -> str:
    """A cell of a workbook as a person would type it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dt.datetime):
        return value.date().isoformat() if value.time() == dt.time() else value.isoformat(" ")
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value.isoformat() if isinstance(value, dt.date | dt.time) else str(value)


def _table(lines: Iterable[list[str]]) -> Sheet:
    headers: list[str] = []
    rows, numbers = [], []
    for number, cells in enumerate(lines, 1):
        texts = [cell.strip() for cell in cells]
        while texts and not texts[-1]:
            texts.pop()
        if not texts:
            continue
        if any(len(text) > MOST_CHARACTERS for text in texts):
            raise Unreadable(f"Line {number} has a cell of more than {MOST_CHARACTERS:,} characters.")
        if not headers:
            headers = texts
            continue
        rows.append(texts)
        numbers.append(number)
        if len(rows) > MOST_ROWS:
            raise Unreadable(f"More than {MOST_ROWS:,} rows. Split the file; each part can be undone by itself.")
    width = max([len(headers), *map(len, rows)], default=0)
    if not rows:
        raise Unreadable(
            "There are no rows below the headers. The first line names the columns, one row a line follows."
        )
    if width > MOST_COLUMNS:
        raise Unreadable(f"More than {MOST_COLUMNS} columns.")
    return Sheet(_unique(headers, width), [row + [""] * (width - len(row)) for row in rows], numbers)


def _unique(headers: list[str], width: int) -> list[str]:
    """A name for each column: the header, numbered where there are two, and "Column 4" where there is none."""
    named: list[str] = []
    for index in range(width):
        name = headers[index] if index < len(headers) and headers[index] else f"Column {index + 1}"
        count = 2
        while name in named:
            name = f"{name.removesuffix(f' ({count - 1})')} ({count})"
            count += 1
        named.append(name[:200])
    return named
