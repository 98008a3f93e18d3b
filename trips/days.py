"""Days as people type them, in forms and in files alike: no 03/04 and no year of two digits is guessed at.

A passport's expiry ten years off or a birthday with day and month swapped is found at the airport.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils import formats

_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_FULL = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
]
_ISO = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?:[T ]00:00(?::00(?:\.0+)?)?)?", re.ASCII)
_NUMBERS = re.compile(r"(\d{1,2})\s*[-/.]\s*(\d{1,2})\s*[-/.]\s*(\d{2}|\d{4})", re.ASCII)
_DAY_FIRST = re.compile(r"(\d{1,2})(?:st|nd|rd|th)?[\s./-]+([a-z]+)[\s.,/-]+(\d{2}|\d{4})", re.ASCII)
_MONTH_FIRST = re.compile(r"([a-z]+)[\s./-]+(\d{1,2})(?:st|nd|rd|th)?[\s.,/-]+(\d{2}|\d{4})", re.ASCII)


class DayField(forms.DateField):
    """A day; what is refused is named, with how to write it."""

    def to_python(self, value: Any) -> dt.date | None:
        text = value.strip() if isinstance(value, str) else ""
        if not text:
            return super().to_python(value)
        try:
            return read_day(text)
        except ValueError as refused:
            raise ValidationError(str(refused), code="invalid") from refused


def read_day(text: str) -> dt.date:
    """The one day that `text` can mean. Raises ValueError with a sentence for people."""
    plain = text.casefold()
    if found := _ISO.fullmatch(plain):
        return _day(text, int(found[1]), int(found[2]), int(found[3]))
    if found := _NUMBERS.fullmatch(plain):
        first, second = int(found[1]), int(found[2])
        year = _year(text, found[3])
        if first != second and first <= 12 and second <= 12:
            one, other = dt.date(year, first, second), dt.date(year, second, first)
            raise ValueError(
                f"{text!r} can be {_said(one)} or {_said(other)}. Write it as {one.isoformat()} or {other.isoformat()}."
            )
        month, day = (first, second) if first <= 12 else (second, first)
        return _day(text, year, month, day)
    if found := _DAY_FIRST.fullmatch(plain):
        return _day(text, _year(text, found[3]), _month(text, found[2]), int(found[1]))
    if found := _MONTH_FIRST.fullmatch(plain):
        return _day(text, _year(text, found[3]), _month(text, found[1]), int(found[2]))
    raise ValueError(f"{text!r} does not read as a date. Write it as 2027-03-01 or 1 Mar 2027.")


def _said(day: dt.date) -> str:
    return formats.date_format(day, "j M Y")


def _year(text: str, digits: str) -> int:
    if len(digits) == 2:
        raise ValueError(f"{text!r} has a year of two digits. Write all four.")
    return int(digits)


def _month(text: str, word: str) -> int:
    for number, (short, full) in enumerate(zip(_MONTHS, _FULL, strict=True), 1):
        if word in {short, full, "sept" if number == 9 else full}:
            return number
    raise ValueError(f"{text!r} names no month. Write it as 2027-03-01 or 1 Mar 2027.")


def _day(text: str, year: int, month: int, day: int) -> dt.date:
    try:
        return dt.date(year, month, day)
    except ValueError:
        raise ValueError(f"{text!r} is not a day of the calendar.") from None
