"""The base of a link: per field, what both sides held when they last agreed.

A pair, not one value, because GoHighLevel may keep a value in another form than ours and both
forms are then "what was agreed". Empty values are left out: in a base that exists, absent means empty on
both sides. Sensitive values are kept as keyed hashes only, bound to the record and the field.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from ghl_sync.engine.merge import Pair
from ghl_sync.mapping.fields import Way
from ghl_sync.mapping.table import MAPS
from ghl_sync.models import Link
from trips.encryption import is_current_hash, keyed_hash

Canonical = Any
# Stands for "another value than the one at hand", where only hashes are known.
OTHER = "\x00another value"
# Progress tells nobody who it was, and is counted by.
_TELLS_NOTHING = frozenset({"stage", "status"})


def sealed_fields(kind: str, *, erased: bool = False) -> frozenset[str]:
    """The fields of which only hashes are kept: sensitive ones; of an erased person all that can tell who it was."""
    table = MAPS[kind]
    if not erased:
        return table.sensitive
    told = {row.name for row in table.fields if not row.reference and row.way is not Way.UP}
    return table.sensitive | told - _TELLS_NOTHING


def _token(uid: str, name: str, value: Canonical, key_id: str | None = None) -> str | None:
    return keyed_hash(f"{uid}:{name}:{json.dumps(value, sort_keys=True)}", key_id)


@dataclass(slots=True)
class Base:
    """Read with `pair`, written with `agree`, stored with `dump`; `extra` holds what only our side knows."""

    uid: str
    sensitive: frozenset[str]
    local: dict[str, Canonical] = field(default_factory=dict)
    remote: dict[str, Canonical] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)
    known: bool = False

    @classmethod
    def of(cls, link: Link) -> Base:
        """What is agreed on about this link."""
        return cls.load(link.uid, sealed_fields(link.kind, erased=link.erased_at is not None), link.base)

    def sealed(self, names: frozenset[str]) -> Base:
        """The same agreement with hashes instead of the values of these fields."""
        other = Base(self.uid, names, known=self.known, extra=dict(self.extra))
        for mine, its in ((self.local, other.local), (self.remote, other.remote)):
            for name, value in mine.items():
                its[name] = value if name in self.sensitive else other.seal(name, value)
        return other

    @classmethod
    def load(cls, uid: object, sensitive: frozenset[str], stored: dict[str, Any]) -> Base:
        same = stored.get("v", {})
        return cls(
            uid=str(uid),
            sensitive=sensitive,
            local={**same, **stored.get("l", {})},
            remote={**same, **stored.get("r", {})},
            extra=dict(stored.get("x", {})),
            known=bool(stored),
        )

    def dump(self) -> dict[str, Any]:
        """JSON: values both sides share under `v`, differing ones under `l` and `r`, ours alone under `x`."""
        same: dict[str, Any] = {}
        ours: dict[str, Any] = {}
        theirs: dict[str, Any] = {}
        for name in {**self.local, **self.remote}:
            left, right = self.local.get(name), self.remote.get(name)
            if left == right:
                same[name] = left
                continue
            if left is not None:
                ours[name] = left
            if right is not None:
                theirs[name] = right
        stored: dict[str, Any] = {"v": same}
        if ours:
            stored["l"] = ours
        if theirs:
            stored["r"] = theirs
        if self.extra:
            stored["x"] = self.extra
        return stored

    def pair(self, name: str, local: Canonical, remote: Canonical) -> Pair | None:
        """What was agreed on, comparable with the two values at hand; None before the first agreement."""
        if not self.known:
            return None
        if name not in self.sensitive:
            return Pair(self.local.get(name), self.remote.get(name))
        left = self._reveal(name, self.local.get(name), local)
        right = self._reveal(name, self.remote.get(name), remote)
        for side, fits, value in ((self.local, left == local, local), (self.remote, right == remote, remote)):
            if fits and value is not None and not is_current_hash(str(side[name])):
                self._put(side, name, value)  # of an older key, made anew while its value is at hand
        return Pair(left, right)

    def agree(self, name: str, local: Canonical, remote: Canonical) -> None:
        """Record that both sides hold these now."""
        self._put(self.local, name, local)
        self._put(self.remote, name, remote)
        self.known = True

    def agree_remote(self, name: str, remote: Canonical) -> None:
        """Record only what GoHighLevel holds now."""
        self._put(self.remote, name, remote)

    def adopt(self, name: str, sealed: Canonical) -> None:
        """Take over a value stored by `seal` as held by both sides."""
        if sealed is not None:
            self.local[name] = self.remote[name] = sealed
        self.known = True

    def accept(self, name: str, sealed: Canonical) -> None:
        """Take a value stored by `seal` as what GoHighLevel holds; None for nothing."""
        if sealed is None:
            self.remote.pop(name, None)
        else:
            self.remote[name] = sealed
        self.known = True

    def remote_is(self, name: str, value: Canonical) -> bool:
        """Whether `value` is what GoHighLevel held at the last agreement."""
        stored = self.remote.get(name)
        return bool(self._reveal(name, stored, value) == value) if name in self.sensitive else bool(stored == value)

    def seal(self, name: str, value: Canonical) -> Canonical:
        """`value` as it may be stored: itself, or its keyed hash where the field is sensitive."""
        if value is None or name not in self.sensitive:
            return value
        return _token(self.uid, name, value)

    def opens(self, name: str, stored: Canonical, value: Canonical) -> bool:
        """Whether `stored` (from `seal`) is `value`."""
        if name not in self.sensitive:
            return bool(stored == value)
        return bool(self._reveal(name, stored, value) == value)

    def _put(self, side: dict[str, Canonical], name: str, value: Canonical) -> None:
        if value is None:
            side.pop(name, None)
        else:
            side[name] = self.seal(name, value)

    def _reveal(self, name: str, stored: Canonical, value: Canonical) -> Canonical:
        """The stored side as a value: `value` itself when its hash fits, `OTHER` when it does not."""
        if stored is None:
            return None
        if value is None:
            return OTHER
        key_id = str(stored).partition(":")[0]
        return value if _token(self.uid, name, value, key_id) == stored else OTHER
