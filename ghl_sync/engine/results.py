"""What the engine reports: counts a command prints and the admin stores; plain Python."""

from __future__ import annotations

import enum
from dataclasses import asdict, dataclass, field
from typing import Any


class CannotDo(Exception):
    """What a person asked for cannot be done now; the text tells them why and what to do instead."""


class NotYet(CannotDo):
    """It may well be done in a while: a worker has the record, or another one must come first."""


class Result(enum.StrEnum):
    """How one reconciliation of one record ended."""

    CREATED = "created"
    UPDATED = "updated"
    DELETED = "deleted"
    UNCHANGED = "unchanged"
    WAITING = "waiting"
    FAILED = "failed"
    BUSY = "busy"  # another worker has it


@dataclass
class PushReport:
    """Counts of one push; `ok` is False when a record failed. Not `complete`: its time was up, or it was stopped."""

    calls: int = 0
    created: int = 0
    updated: int = 0
    deleted: int = 0
    unchanged: int = 0
    waiting: int = 0
    failed: int = 0
    seconds: float = 0.0
    complete: bool = True

    @property
    def ok(self) -> bool:
        return self.failed == 0

    def count(self, result: Result) -> None:
        name = "waiting" if result == Result.BUSY else result.value
        setattr(self, name, getattr(self, name) + 1)

    def as_json(self) -> dict[str, Any]:
        body = asdict(self)
        del body["complete"]
        return {"ok": self.ok, **body}


@dataclass
class KindCounts:
    """What a pull did with one kind of record."""

    seen: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    issues: int = 0
    failed: int = 0
    gone: int = 0


@dataclass
class PassengerCounts(KindCounts):
    linked: int = 0
    unlinked: int = 0


@dataclass
class PullReport:
    """Counts of one pull. `error` says why it did not finish; not `complete` is a slice that another one follows."""

    mode: str
    dry_run: bool = False
    calls: int = 0
    seconds: float = 0.0
    trips: KindCounts = field(default_factory=KindCounts)
    passengers: PassengerCounts = field(default_factory=PassengerCounts)
    contacts: KindCounts = field(default_factory=KindCounts)
    error: str = ""
    complete: bool = True

    def of(self, kind: str) -> KindCounts:
        counts: KindCounts = getattr(self, f"{kind}s")
        return counts

    @property
    def failed(self) -> int:
        return self.trips.failed + self.passengers.failed + self.contacts.failed

    @property
    def ok(self) -> bool:
        return not self.error and not self.failed

    def as_json(self) -> dict[str, Any]:
        body = asdict(self)
        error = body.pop("error")
        del body["complete"]
        return {"ok": self.ok, **body, **({"error": error} if error else {})}

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> PullReport:
        """A stored report, so that a resumed run goes on counting."""
        report = cls(mode=stored["mode"], dry_run=stored["dry_run"], calls=stored["calls"], seconds=stored["seconds"])
        report.trips = KindCounts(**stored["trips"])
        report.passengers = PassengerCounts(**stored["passengers"])
        report.contacts = KindCounts(**stored["contacts"])
        return report
