"""From the text of a cell to a value, and back: what cannot be read is refused by name, and nothing is guessed.

Cells arrive as text (`trips.services.sheets` turns a spreadsheet's own days and numbers into it).
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

from trips.days import read_day
from trips.money import money
from trips.rules import e164
from trips.text import fold_name

_MONEY = re.compile(r"-?(\d+|\d{1,3}(,\d{3})+)(\.\d{1,2})?", re.ASCII)
_YES, _NO = {"yes", "y", "true", "1", "x"}, {"no", "n", "false", "0"}
_MOST_LISTED = 15


class Reader(Widget):
    """Text. `clean` gets what stands in the cell, never empty; `render` gives what an export writes there.

    `shown` is for people, in the preview of an import.
    """

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

    def shown(self, value: Any) -> str:
        return str(self.render(value))


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
        return read_day(text)

    def render(self, value: Any, obj: Any = None, **kwargs: Any) -> Any:
        if value is None or kwargs.get("force_native_type"):
            return value
        return value.isoformat()

    def shown(self, value: Any) -> str:
        return "" if value is None else formats.date_format(value)


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

    def shown(self, value: Any) -> str:
        return money(value)


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
