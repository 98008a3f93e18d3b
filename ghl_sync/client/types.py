"""What the client gives back: frozen records, tolerant of what the wire really holds.

The official response schemas are wrong on the wire (API notes §0.1), so nothing here is validated
against them: a record keeps the raw object and reads from it what is there.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

RecordKind = Literal["opportunity", "contact"]


def parse_time(value: object) -> dt.datetime | None:
    """An ISO time or epoch milliseconds as aware UTC; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        if isinstance(value, str):
            moment = dt.datetime.fromisoformat(value)
            return (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).astimezone(dt.UTC)
        return dt.datetime.fromtimestamp(value / 1000, dt.UTC)
    except (ValueError, OverflowError, OSError):
        return None


def custom_values(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Field id → value, from every spelling the API uses for it (API notes §5.4, §6)."""
    found: dict[str, Any] = {}
    elements = raw.get("customFields")
    for element in elements if isinstance(elements, list) else ():
        if not isinstance(element, dict) or not isinstance(element.get("id"), str):
            continue
        for name, value in element.items():
            if name in {"value", "field_value"} or name.startswith("fieldValue"):
                found[element["id"]] = value
                break
    return found


@dataclass(frozen=True, slots=True)
class Record:
    """An opportunity or contact as GoHighLevel sent it.

    `complete` says how far its silence speaks: in an answer to GET and in a search row a missing key
    means "empty"; an answer to a write speaks only for the keys it contains.
    """

    kind: RecordKind
    id: str
    raw: Mapping[str, Any]
    complete: bool
    custom: Mapping[str, Any]
    has_custom: bool
    seen_at: dt.datetime | None = None
    trace_id: str = ""

    @classmethod
    def parse(
        cls, kind: RecordKind, raw: object, *, complete: bool, seen_at: dt.datetime | None = None, trace_id: str = ""
    ) -> Record | None:
        """None when the object has no id to be known by."""
        if not isinstance(raw, dict) or not isinstance(raw.get("id"), str) or not raw["id"]:
            return None
        has_custom = isinstance(raw.get("customFields"), list)
        return cls(kind, raw["id"], raw, complete, custom_values(raw), has_custom, seen_at, trace_id)

    @property
    def updated_at(self) -> dt.datetime | None:
        """GoHighLevel's time of the last change, by its own clock."""
        return parse_time(self.raw.get("updatedAt") or self.raw.get("dateUpdated"))


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a search. `unreadable` counts rows that had no id."""

    records: tuple[Record, ...]
    total: int | None
    cursor: tuple[Any, ...] | None
    server_date: dt.datetime | None
    size: int
    unreadable: int = 0


@dataclass(frozen=True, slots=True)
class FieldDef:
    """A custom-field definition; `key` is the full key such as `opportunity.trip_name`."""

    id: str
    key: str
    name: str
    data_type: str
    model: str
    options: tuple[str, ...] = ()
    allow_custom: bool = False


@dataclass(frozen=True, slots=True)
class StageDef:
    id: str
    name: str
    position: int


@dataclass(frozen=True, slots=True)
class PipelineDef:
    id: str
    name: str
    stages: tuple[StageDef, ...]


@dataclass(frozen=True, slots=True)
class LocationInfo:
    """Settings of the sub-account; None where GoHighLevel did not say."""

    id: str
    name: str
    timezone: str
    allow_duplicate_opportunity: bool | None
    allow_duplicate_contact: bool | None
    contact_unique_identifiers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RateState:
    """What an answer's headers say of the limit (API notes §3); None where a header is missing."""

    max: int | None = None
    remaining: int | None = None
    interval_ms: int | None = None
    daily_limit: int | None = None
    daily_remaining: int | None = None
    daily_reset_ms: int | None = None
