"""From the text of a cell to a value, and back: what cannot be read is refused by name, and nothing is guessed.

Cells arrive as text (`trips.services.sheets` turns a spreadsheet's own days and numbers into it). A day written with
numbers that can be read two ways is refused, and so is a year of two digits: a passport's expiry ten years off or a
birthday with day and month swapped is found at the airport.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils import formats
from import_export.widgets import Widget

from trips.rules import e164
from trips.text import fold_name

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
_MONEY = re.compile(r"-?(\d+|\d{1,3}(,\d{3})+)(\.\d{1,2})?", re.ASCII)
_YES, _NO = {"yes", "y", "true", "1", "x"}, {"no", "n", "false", "0"}
_MOST_LISTED = 15


class Reader(Widget):
    """Text. `clean` gets what stands in the cell, never empty; `render` gives what an export writes there."""

    def __init__(self) -> None:
        super().__init__()

    def clean(self, value: Any, row: Any = None, **kwargs: Any) -> Any:
        return self.read(str(value).strip())

    def read(self, text: str) -> Any:
        if "\x00" in text or any("\ud800" <= char <= "\udfff" for char in text):
            raise ValueError("The cell holds characters that are no text. Type it anew.")
        return text

    def render(self, value: Any, obj: Any = None, **kwargs: Any) -> Any:
        return "" if value is None else str(value)


class EMail(Reader):
    def read(self, text: str) -> str:
        try:
            validate_email(text)
        except ValidationError:
            raise ValueError(f"{text!r} is not an e-mail address.") from None
        return super().read(text).lower()


class Phone(Reader):
    def read(self, text: str) -> str:
        text = super().read(text)
        return e164(text) or text


class Day(Reader):
    def read(self, text: str) -> dt.date:
        plain = text.casefold()
        if found := _ISO.fullmatch(plain):
            return _day(text, int(found[1]), int(found[2]), int(found[3]))
        if found := _NUMBERS.fullmatch(plain):
            first, second = int(found[1]), int(found[2])
            year = _year(text, found[3])
            if first != second and first <= 12 and second <= 12:
                one, other = dt.date(year, first, second), dt.date(year, second, first)
                raise ValueError(
                    f"{text!r} can be {_said(one)} or {_said(other)}. Write it as {one.isoformat()} or "
                    f"{other.isoformat()}."
                )
            month, day = (first, second) if first <= 12 else (second, first)
            return _day(text, year, month, day)
        if found := _DAY_FIRST.fullmatch(plain):
            return _day(text, _year(text, found[3]), _month(text, found[2]), int(found[1]))
        if found := _MONTH_FIRST.fullmatch(plain):
            return _day(text, _year(text, found[3]), _month(text, found[1]), int(found[2]))
        raise ValueError(f"{text!r} does not read as a date. Write it as 2027-03-01 or 1 Mar 2027.")

    def render(self, value: Any, obj: Any = None, **kwargs: Any) -> Any:
        if value is None or kwargs.get("force_native_type"):
            return value
        return value.isoformat()


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


class Money(Reader):
    def read(self, text: str) -> Decimal:
        plain = text.replace(" ", "").replace("\u00a0", "")
        if not _MONEY.fullmatch(plain):
            raise ValueError(f"{text!r} does not read as an amount. Write it as 1234.50, without a currency.")
        try:
            amount = Decimal(plain.replace(",", ""))
        except InvalidOperation:  # pragma: no cover - the pattern lets through nothing else
            raise ValueError(f"{text!r} does not read as an amount.") from None
        if abs(amount) >= 10**8:
            raise ValueError(f"{text!r} is more than this column can hold (99,999,999.99).")
        return amount

    def render(self, value: Any, obj: Any = None, **kwargs: Any) -> Any:
        return "" if value is None else value


class Whole(Reader):
    def __init__(self, least: int = -32768, most: int = 32767) -> None:
        super().__init__()
        self.least, self.most = least, most

    def read(self, text: str) -> int:
        plain = text.replace(",", "")
        if not re.fullmatch(r"-?\d{1,18}(\.0+)?", plain, re.ASCII):
            raise ValueError(f"{text!r} does not read as a whole number.")
        number = int(plain.partition(".")[0])
        if not self.least <= number <= self.most:
            raise ValueError(f"{text!r} lies outside {self.least} to {self.most}.")
        return number

    def render(self, value: Any, obj: Any = None, **kwargs: Any) -> Any:
        return "" if value is None else value


class YesNo(Reader):
    def read(self, text: str) -> bool:
        word = text.casefold()
        if word not in _YES | _NO:
            raise ValueError(f"{text!r} is neither yes nor no.")
        return word in _YES

    def render(self, value: Any, obj: Any = None, **kwargs: Any) -> Any:
        return "" if value is None else ("yes" if value else "no")


class Choice(Reader):
    """A code or its label, however written. `open_to` takes other values, too, as drop-downs grow elsewhere."""

    def __init__(self, choices: Iterable[Sequence[Any]], *, open_to: bool = False) -> None:
        super().__init__()
        self.labels = {str(code): str(label) for code, label in choices}
        self.open_to = open_to
        words = {_folded(label): code for code, label in self.labels.items()}
        self.words = words | {_folded(code): code for code in self.labels}

    def read(self, text: str) -> str:
        code = self.words.get(_folded(text))
        if code is not None:
            return code
        if self.open_to:
            return super().read(text)
        listed = ", ".join(list(self.labels.values())[:_MOST_LISTED])
        raise ValueError(f"{text!r} is none of: {listed}.")

    def render(self, value: Any, obj: Any = None, **kwargs: Any) -> Any:
        return self.labels.get(value, "" if value is None else str(value))


def _folded(text: str) -> str:
    return re.sub(r"[\s_/-]+", "", fold_name(text))


class Tags(Reader):
    def read(self, text: str) -> list[str]:
        return list(dict.fromkeys(part.strip() for part in super().read(text).split(",") if part.strip()))

    def render(self, value: Any, obj: Any = None, **kwargs: Any) -> Any:
        return ", ".join(map(str, value or ()))
