"""Pairs of inverse functions between our values, canonical values and the wire.

A canonical value is JSON-able and has one spelling: None is empty, dates are `YYYY-MM-DD`, money is a fixed
string such as `1200.00`, text is trimmed with `\\n` line ends. "Equal" is asked of canonical values only.
What cannot be read raises `Unreadable`; nothing is ever guessed.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

import phonenumbers

from ghl_sync.client.types import FieldDef
from trips.text import fold_name

Canonical = Any
SMALLINT = (-32_768, 32_767)
BIGINT = (-(2**63), 2**63 - 1)
_SURROGATES = re.compile("[\ud800-\udfff]")


class Unreadable(Exception):
    """A value that has no canonical form. `reason` is for people and never repeats the value."""

    def __init__(self, reason: str, raw: Any = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.raw = raw


class MissingOption(Exception):
    """The drop-down has no such option; written anyway, GoHighLevel would drop it silently (API notes §6)."""

    def __init__(self, label: str) -> None:
        super().__init__(label)
        self.label = label


def plain_text(value: Any) -> str:
    """Text as both databases can hold it: one newline style, trimmed, NUL and lone surrogates escaped.

    The escapes (`\\x00`, `\\ud83d`) are ordinary characters, so a value that came in so goes out so and rests.
    """
    text = str(value).replace("\r\n", "\n").replace("\r", "\n").replace("\x00", "\\x00")
    return _SURROGATES.sub(lambda match: f"\\u{ord(match.group()):04x}", text).strip()


def _text_of(raw: Any) -> str:
    if isinstance(raw, bool) or not isinstance(raw, str | int | float):
        raise Unreadable("is not text", raw)
    return plain_text(raw)


class Converter:
    """Text of any length; the base of all others."""

    def from_wire(self, raw: Any, definition: FieldDef | None = None) -> Canonical:
        """A wire value as canonical. Raises Unreadable."""
        return _text_of(raw) or None

    def to_wire(self, value: Canonical, definition: FieldDef | None = None) -> Any:
        """A canonical value, never None, as the wire takes it. Raises MissingOption."""
        return value

    def from_local(self, value: Any) -> Canonical:
        """A model's value as canonical."""
        return None if value is None else plain_text(value) or None

    def to_local(self, value: Canonical) -> Any:
        """A canonical value as the model holds it."""
        return "" if value is None else value

    def same(self, left: Canonical, right: Canonical) -> bool:
        """Whether two canonical values mean the same."""
        return bool(left == right)

    def read(self, raw: Any, definition: FieldDef | None = None) -> Canonical:
        """`from_wire`, with every spelling of empty as None."""
        if raw is None or raw == "" or raw == [] or raw == {}:
            return None
        return self.from_wire(raw, definition)


@dataclass(frozen=True)
class Text(Converter):
    """Text of a column's length; longer text is unreadable rather than cut."""

    length: int = 255

    def from_wire(self, raw: Any, definition: FieldDef | None = None) -> Canonical:
        text = _text_of(raw)
        if len(text) > self.length:
            raise Unreadable(f"is {len(text)} characters long, {self.length} fit", raw)
        return text or None


class LongText(Converter):
    """Text without a limit; never cut."""


@dataclass(frozen=True)
class Email(Text):
    length: int = 254

    def from_wire(self, raw: Any, definition: FieldDef | None = None) -> Canonical:
        text = super().from_wire(raw, definition)
        return text.lower() if text else None

    def from_local(self, value: Any) -> Canonical:
        return plain_text(value or "").lower() or None


@dataclass(frozen=True)
class Phone(Text):
    """E.164 when it parses, else as it is: real phone fields hold "ask my son" and must not be lost."""

    length: int = 64
    region: str = "US"

    def from_wire(self, raw: Any, definition: FieldDef | None = None) -> Canonical:
        text = super().from_wire(raw, definition)
        return self._canonical(text) if text else None

    def from_local(self, value: Any) -> Canonical:
        text = plain_text(value or "")
        return self._canonical(text) if text else None

    def _canonical(self, text: str) -> str:
        return _dialled(text, self.region) if any(char.isdigit() for char in text) else text


@lru_cache(maxsize=4096)
def _dialled(text: str, region: str) -> str:
    """E.164, or the text itself. Kept for a while: a pull asks for each number several times over."""
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return text
    if not phonenumbers.is_possible_number(number) or number.extension:
        return text
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


class Date(Converter):
    """A day. Read as epoch milliseconds at midnight UTC, written as `YYYY-MM-DD` (API notes §6)."""

    def from_wire(self, raw: Any, definition: FieldDef | None = None) -> Canonical:
        if isinstance(raw, bool):
            raise Unreadable("is not a date", raw)
        if isinstance(raw, str):
            text = raw.strip()
            if re.fullmatch(r"-?\d{5,}", text):
                raw = int(text)
            else:
                return self._from_text(text, raw)
        if isinstance(raw, int | float):
            try:
                moment = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(milliseconds=raw)
            except (OverflowError, ValueError):
                raise Unreadable("is a date outside the years 1 to 9999", raw) from None
            return moment.date().isoformat()
        raise Unreadable("is not a date", raw)

    def _from_text(self, text: str, raw: Any) -> str:
        if not re.match(r"\d{4}-\d{2}-\d{2}", text):
            raise Unreadable("is not a date written as 2027-02-14", raw)
        try:
            if len(text) == 10:
                return dt.date.fromisoformat(text).isoformat()
            moment = dt.datetime.fromisoformat(text)
            return (moment.astimezone(dt.UTC) if moment.tzinfo else moment).date().isoformat()
        except (ValueError, OverflowError):
            raise Unreadable("is a date that does not exist", raw) from None

    def from_local(self, value: Any) -> Canonical:
        return value.isoformat() if value else None

    def to_local(self, value: Canonical) -> Any:
        return dt.date.fromisoformat(value) if value else None


def _number(raw: Any) -> Decimal:
    if isinstance(raw, bool) or not isinstance(raw, int | float | str):
        raise Unreadable("is not a number", raw)
    try:
        number = Decimal(str(raw).strip())
    except InvalidOperation:
        raise Unreadable("is text where a number is expected", raw) from None
    if not number.is_finite():
        raise Unreadable("is not a finite number", raw)
    return number


@dataclass(frozen=True)
class Integer(Converter):
    bounds: tuple[int, int] = SMALLINT

    def from_wire(self, raw: Any, definition: FieldDef | None = None) -> Canonical:
        if isinstance(raw, str) and not raw.strip():
            return None
        number = _number(raw)
        low, high = self.bounds
        if not low <= number <= high:
            raise Unreadable(f"is outside {low} to {high}", raw)
        if number != number.to_integral_value():
            raise Unreadable("has decimals where a whole number is expected", raw)
        return int(number)

    def from_local(self, value: Any) -> Canonical:
        return None if value is None else int(value)

    def to_local(self, value: Canonical) -> Any:
        return value


@dataclass(frozen=True)
class Money(Converter):
    """Decimal(10, 2) as a fixed string; a number on the wire."""

    digits: int = 10

    def from_wire(self, raw: Any, definition: FieldDef | None = None) -> Canonical:
        if isinstance(raw, str) and not raw.strip():
            return None
        number = _number(raw)
        if abs(number) >= Decimal(10) ** (self.digits - 2):
            raise Unreadable("is larger than any amount we can hold", raw)
        rounded = number.quantize(Decimal("0.01"))
        if rounded != number:
            raise Unreadable("has more than two decimals", raw)
        return f"{rounded + 0:f}"

    def to_wire(self, value: Canonical, definition: FieldDef | None = None) -> Any:
        number = Decimal(value)
        return int(number) if number == number.to_integral_value() else float(number)

    def from_local(self, value: Any) -> Canonical:
        return None if value is None else f"{Decimal(value).quantize(Decimal('0.01')) + 0:f}"

    def to_local(self, value: Canonical) -> Any:
        return None if value is None else Decimal(value)


@dataclass(frozen=True)
class Option(Text):
    """A drop-down's label. Compared folded (dashes, spaces, case), written as GoHighLevel spells it."""

    def to_wire(self, value: Canonical, definition: FieldDef | None = None) -> Any:
        if definition is None:
            return value
        label = option_label(definition, value)
        if label is not None:
            return label
        if definition.allow_custom:
            return value
        raise MissingOption(value)

    def same(self, left: Canonical, right: Canonical) -> bool:
        if left is None or right is None:
            return left is right
        return fold_name(str(left)) == fold_name(str(right))


def option_label(definition: FieldDef, label: str) -> str | None:
    """The drop-down's own spelling of `label`; None when it has no such option.

    An exact match wins. Of several options that only look like it the first is taken, always the same one; that there
    are several is a question for a person (`look_alikes`).
    """
    if label in definition.options:
        return label
    alike = options_by_fold(definition.options).get(fold_name(label))
    return alike[0] if alike else None


@lru_cache(maxsize=64)
def options_by_fold(options: tuple[str, ...]) -> Mapping[str, tuple[str, ...]]:
    """Options by what look-alikes have in common; a real list of 689 is folded once, not once per row."""
    found: dict[str, tuple[str, ...]] = {}
    for option in options:
        folded = fold_name(option)
        found[folded] = (*found.get(folded, ()), option)
    return found


def look_alikes(options: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Groups of options that differ only by dashes, spaces or case, or not at all."""
    return [group for group in options_by_fold(options).values() if len(group) > 1]


@dataclass(frozen=True)
class Choice(Option):
    """Our code for a label of theirs. A label without a code is kept as it is where `free`, else unreadable."""

    codes: Mapping[str, str] = field(default_factory=dict)  # code → their label
    free: bool = False

    def from_wire(self, raw: Any, definition: FieldDef | None = None) -> Canonical:
        text = super().from_wire(raw, definition)
        if text is None:
            return None
        folded = fold_name(text)
        for code, label in self.codes.items():
            if folded == fold_name(label):
                return code
        if self.free:
            return text
        raise Unreadable("is not one of the known options", raw)

    def to_wire(self, value: Canonical, definition: FieldDef | None = None) -> Any:
        return super().to_wire(self.codes.get(value, value), definition)


@dataclass(frozen=True)
class Status(Choice):
    """The native status: the codes are the same words."""

    def to_wire(self, value: Canonical, definition: FieldDef | None = None) -> Any:
        return self.codes.get(value, value)


class YesNo(Converter):
    """A CHECKBOX field with the options True and False: a list of one (API notes §6)."""

    def from_wire(self, raw: Any, definition: FieldDef | None = None) -> Canonical:
        if isinstance(raw, list):
            if len(raw) != 1:
                raise Unreadable("says both yes and no", raw)
            raw = raw[0]
        text = str(raw).strip().lower()
        if text in {"true", "yes", "1"}:
            return True
        if text in {"false", "no", "0"}:
            return False
        raise Unreadable("is neither True nor False", raw)

    def to_wire(self, value: Canonical, definition: FieldDef | None = None) -> Any:
        return ["True" if value else "False"]

    def from_local(self, value: Any) -> Canonical:
        return value

    def to_local(self, value: Canonical) -> Any:
        return value


class Flag(Converter):
    """A native JSON boolean; missing means no."""

    def from_wire(self, raw: Any, definition: FieldDef | None = None) -> Canonical:
        if not isinstance(raw, bool):
            raise Unreadable("is neither true nor false", raw)
        return raw or None

    def from_local(self, value: Any) -> Canonical:
        return value or None

    def to_local(self, value: Canonical) -> Any:
        return bool(value)


class Tags(Converter):
    """A set of words, sorted."""

    def from_wire(self, raw: Any, definition: FieldDef | None = None) -> Canonical:
        if not isinstance(raw, list) or not all(isinstance(item, str) for item in raw):
            raise Unreadable("is not a list of tags", raw)
        return sorted({tag for item in raw if (tag := plain_text(item).lower())}) or None

    def from_local(self, value: Any) -> Canonical:
        return sorted({tag for item in value or () if (tag := plain_text(item).lower())}) or None

    def to_local(self, value: Canonical) -> Any:
        return value or []


@dataclass(frozen=True)
class CountryCode(Converter):
    """A contact's country: the ISO code of two letters."""

    names: Callable[[str], str] = str

    def from_wire(self, raw: Any, definition: FieldDef | None = None) -> Canonical:
        text = _text_of(raw)
        if not text:
            return None
        code = self.names(text)
        if not code:
            raise Unreadable("is not a country we know", raw)
        return code

    def from_local(self, value: Any) -> Canonical:
        return plain_text(value or "").upper() or None


class Files(Converter):
    """Links to files: a list of `{url, name, mimetype, size}`. Read only; a signature may be one text."""

    def from_wire(self, raw: Any, definition: FieldDef | None = None) -> Canonical:
        if isinstance(raw, str):
            return [{"url": raw.strip(), "name": "", "mimetype": "", "size": None}] if raw.strip() else None
        items = list(raw.values()) if isinstance(raw, dict) else raw
        if not isinstance(items, list):
            raise Unreadable("is not a list of files", raw)
        files = []
        for item in items:
            if not isinstance(item, dict) or not isinstance(item.get("url"), str):
                raise Unreadable("is a file without a link", raw)
            if item.get("deleted") is True:
                continue
            meta = item.get("meta")
            meta = meta if isinstance(meta, dict) else {}
            size = meta.get("size")
            files.append(
                {
                    "url": item["url"],
                    "name": plain_text(meta.get("name") or "")[:255],
                    "mimetype": plain_text(meta.get("mimetype") or "")[:120],
                    "size": size if isinstance(size, int) and not isinstance(size, bool) and size >= 0 else None,
                }
            )
        return files or None

    def from_local(self, value: Any) -> Canonical:
        return value

    def to_local(self, value: Canonical) -> Any:
        return value or []
