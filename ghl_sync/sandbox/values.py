"""Custom-field values: what a write stores and how a read shows it (API notes §6).

Stored form: text as str, numbers as int or float, a DATE as epoch milliseconds at midnight UTC,
lists as lists. Something odd put there on purpose is shown by its own type.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from typing import Any

TEXTS = {"TEXT", "LARGE_TEXT", "PHONE", "EMAIL", "SIGNATURE"}
NUMBERS = {"NUMERICAL", "MONETORY"}
ONE_OPTION = {"SINGLE_OPTIONS", "RADIO"}
MANY_OPTIONS = {"CHECKBOX", "MULTIPLE_OPTIONS"}
WITH_OPTIONS = ONE_OPTION | MANY_OPTIONS
DATA_TYPES = TEXTS | NUMBERS | WITH_OPTIONS | {"DATE", "FILE_UPLOAD", "TEXTBOX_LIST"}
_EPOCH = dt.date(1970, 1, 1)
_DAY_MS = 86_400_000


class Ignored(Exception):
    """The write of one value has no effect, and nobody is told."""


class Invalid(Exception):
    """The value is refused; the text is what the 422 says of it."""


def is_empty(value: Any) -> bool:
    """Whether writing this means clearing the field."""
    return value is None or value in ("", [], {})


def day_ms(text: str) -> int:
    """`YYYY-MM-DD…` as epoch milliseconds at midnight UTC. Raises ValueError."""
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        day = dt.date.fromisoformat(text)
    else:
        moment = dt.datetime.fromisoformat(text)
        day = (moment.astimezone(dt.UTC) if moment.tzinfo else moment).date()
    return (day - _EPOCH).days * _DAY_MS


def day_text(ms: int) -> str:
    """The day of a stored DATE."""
    return (_EPOCH + dt.timedelta(days=ms // _DAY_MS)).isoformat()


def stored(data_type: str, options: Sequence[str], custom: bool, value: Any, name: str) -> Any:
    """What a field of this type keeps of a written, non-empty value. Raises Ignored or Invalid."""
    if data_type in NUMBERS:
        return _number(value, name)
    if data_type == "DATE":
        return _date(value, name)
    if data_type in ONE_OPTION:
        if not isinstance(value, str):
            raise Invalid(f"{name} must be a string")
        if value not in options and not (data_type == "RADIO" and custom):
            raise Ignored
        return value
    if data_type in MANY_OPTIONS:
        chosen = value if isinstance(value, list) else [value]
        kept = [item for item in chosen if item in options]
        if not kept:
            raise Ignored
        return kept
    if data_type == "FILE_UPLOAD":
        return _files(value, name)
    if data_type == "TEXTBOX_LIST":
        return value
    if not isinstance(value, str):
        raise Invalid(f"{name} must be a string")
    return value


def _number(value: Any, name: str) -> int | float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and re.fullmatch(r"-?\d+(\.\d+)?", value.strip()):
        return float(value) if "." in value else int(value)
    raise Invalid(f"{name} must be a number")


def _date(value: Any, name: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value // _DAY_MS * _DAY_MS
    try:
        return day_ms(value)
    except (TypeError, ValueError):
        raise Invalid(f"{name} must be a valid date") from None


def _files(value: Any, name: str) -> list[dict[str, Any]]:
    items = list(value.values()) if isinstance(value, dict) else value
    if not isinstance(items, list) or not all(isinstance(item, dict) and item.get("url") for item in items):
        raise Invalid(f"{name} must be an object of files")
    return [{"url": item["url"], "deleted": False, "meta": item.get("meta") or {}} for item in items]


def search_element(field_id: str, data_type: str, value: Any) -> dict[str, Any]:
    """A value as an opportunity shows it: typed, exactly one value key."""
    if isinstance(value, list):
        key = "fieldValueFiles" if data_type == "FILE_UPLOAD" else "fieldValueArray"
        return {"id": field_id, "type": "array", key: value}
    if data_type == "DATE" and not isinstance(value, str):
        return {"id": field_id, "type": "date", "fieldValueDate": value}
    if isinstance(value, int | float) and not isinstance(value, bool):
        return {"id": field_id, "type": "number", "fieldValueNumber": value}
    return {"id": field_id, "type": "string", "fieldValueString": value}


def contact_element(field_id: str, data_type: str, value: Any) -> dict[str, Any]:
    """A value as a contact shows it."""
    shown = day_text(value) if data_type == "DATE" and isinstance(value, int) else value
    return {"id": field_id, "value": shown}


def friendly(data_type: str, value: Any) -> Any:
    """A stored value as a person would type it: a DATE as `YYYY-MM-DD`, the rest as it is."""
    if data_type == "DATE" and isinstance(value, int) and not isinstance(value, bool):
        try:
            return day_text(value)
        except OverflowError:
            return value
    return value
