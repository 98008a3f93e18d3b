"""What other apps keep of the same people: their part in an export and in an erasure.

An app that keeps copies registers one `Share` when it starts (`AppConfig.ready`). This app knows no more of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Rows:
    """Contacts and passengers by number; some of them may be gone already."""

    contacts: tuple[int, ...] = ()
    passengers: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What becomes of them: rows that go, and rows that stay with hardly anything in them.

    `names` are words that told who it was; texts that hold them lose them.
    """

    gone: Rows
    reduced: Rows
    names: tuple[str, ...]

    @property
    def all(self) -> Rows:
        both = self.gone, self.reduced
        return Rows(*(tuple(pk for rows in both for pk in getattr(rows, name)) for name in ("contacts", "passengers")))


@dataclass(frozen=True, slots=True)
class Stay:
    """Something that an erasure leaves: what, why, until when in words, and a page where a person can deal with it."""

    what: str
    why: str
    until: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class Share:
    """`waits`: why it cannot be done this moment. `goes`: its own rows by what they are called."""

    name: str
    facts: Callable[[Rows], list[dict[str, Any]]]
    waits: Callable[[Outcome], list[str]]
    goes: Callable[[Outcome], dict[str, int]]
    stays: Callable[[Outcome], list[Stay]]
    erase: Callable[[Outcome], None]


_shares: dict[str, Share] = {}


def register(share: Share) -> None:
    _shares[share.name] = share


def shares() -> list[Share]:
    return list(_shares.values())
