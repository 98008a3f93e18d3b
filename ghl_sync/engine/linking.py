"""Which trip a passenger's opportunity means.

The rules link a passenger that has no trip; later only a part that changed may move it. Never by substring,
never by likeness: what resolves to no trip or to two stays a question for staff.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field

from trips.models import Trip
from trips.text import fold_name

DISAGREE = "The trip ID and the trip name point at two trips."


@dataclass
class TripIndex:
    """Trips by key, by legacy id and by folded name; a number or name that two trips carry names none."""

    by_uid: dict[str, int] = field(default_factory=dict)
    by_legacy: dict[int, set[int]] = field(default_factory=dict)
    by_name: dict[str, set[int]] = field(default_factory=dict)
    labels: dict[int, tuple[str, int | None]] = field(default_factory=dict)
    uids: dict[int, str] = field(default_factory=dict)

    @classmethod
    def load(cls) -> TripIndex:
        """Every trip: four columns each, read once per run."""
        index = cls()
        index.add(Trip._base_manager.values_list("pk", "uid", "legacy_trip_id", "name"))
        return index

    def add(self, rows: Iterable[tuple[int, uuid.UUID, int | None, str]]) -> None:
        for pk, uid, legacy, name in rows:
            old = self.labels.get(pk)
            if old is not None:
                self.by_name.get(fold_name(old[0]), set()).discard(pk)
                self.by_legacy.get(old[1] or 0, set()).discard(pk)
            self.by_uid[str(uid)] = pk
            if legacy is not None:
                self.by_legacy.setdefault(legacy, set()).add(pk)
            self.by_name.setdefault(fold_name(name), set()).add(pk)
            self.labels[pk] = (name, legacy)
            self.uids[pk] = str(uid)

    def of_key(self, key: object) -> int | None:
        kind, _, uid = str(key or "").partition(":")
        return self.by_uid.get(uid) if kind == "trip" else None

    def of_legacy(self, legacy: object) -> int | None:
        return _only(self.by_legacy.get(legacy)) if isinstance(legacy, int) else None

    def of_name(self, name: object) -> int | None:
        return _only(self.by_name.get(fold_name(name))) if isinstance(name, str) else None


def _only(found: set[int] | None) -> int | None:
    return next(iter(found)) if found and len(found) == 1 else None


@dataclass(frozen=True, slots=True)
class Resolution:
    """The trip, and whether number and name point at different ones."""

    trip_id: int | None
    disagree: bool = False


def resolve(index: TripIndex, *, key: object = None, legacy: object = None, name: object = None) -> Resolution:
    """Our key first, then the number, then the name, each only where exactly one trip has it."""
    by_key = index.of_key(key)
    if by_key is not None:
        return Resolution(by_key)
    by_legacy, by_name = index.of_legacy(legacy), index.of_name(name)
    if by_legacy is not None:
        return Resolution(by_legacy, disagree=by_name is not None and by_name != by_legacy)
    return Resolution(by_name)


def find_trip(*, legacy: object = None, name: object = None) -> int | None:
    """The one trip with this number, or of this name; asks the database, for single records."""
    if isinstance(legacy, int):
        found = Trip._base_manager.filter(legacy_trip_id=legacy)
    elif isinstance(name, str) and name:
        found = Trip._base_manager.filter(name_key=fold_name(name)[:255])
    else:
        return None
    ids = list(found.values_list("pk", flat=True)[:2])
    return ids[0] if len(ids) == 1 else None


def find_trip_by_key(key: object) -> int | None:
    """The trip whose key `trip:<uid>` this is."""
    kind, _, text = str(key or "").partition(":")
    try:
        uid = uuid.UUID(text)
    except ValueError:
        return None
    return Trip._base_manager.filter(uid=uid).values_list("pk", flat=True).first() if kind == "trip" else None
