"""What the search sees: the records as they were when the lag last ended, in ready-made orders.

Kept apart from the records themselves because HighLevel's search is an index that lags behind them.
Called with the store's lock held.
"""

from __future__ import annotations

import heapq
import itertools
import time
from bisect import bisect_left, insort
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ghl_sync.sandbox.store import Entry

Key = tuple[Any, str, str]
# Orders asked for all the time; any other one is sorted when asked.
KEPT = ("added", "updated")


def sort_key(record: Entry, attribute: str) -> Key:
    """The cursor of a row and, last, its own id: two rows may share a cursor (API notes §5.2)."""
    return (getattr(record, attribute), record.contact_id, record.id)


class Index:
    """Visible versions of the records by kind."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Entry]] = {"contact": {}, "opportunity": {}}
        self.by_contact: dict[str, set[str]] = {}
        self._orders: dict[tuple[str, str], list[Key]] = {(kind, name): [] for kind in self.rows for name in KEPT}
        self._pending: list[tuple[float, int, Entry]] = []
        self._count = itertools.count()

    def put(self, record: Entry, visible_at: float) -> None:
        """Show this version from `visible_at` (monotonic seconds; 0 is at once) on."""
        if visible_at <= 0 and not self._pending:
            self._show(record)
        else:
            heapq.heappush(self._pending, (visible_at or time.monotonic(), next(self._count), record))

    def settle(self) -> None:
        """Show what has waited long enough."""
        now = time.monotonic()
        while self._pending and self._pending[0][0] <= now:
            self._show(heapq.heappop(self._pending)[2])

    def rebuild(self, records: Iterable[Entry]) -> None:
        """Show exactly these, at once."""
        self._pending.clear()
        self.rows = {"contact": {}, "opportunity": {}}
        self.by_contact = {}
        for record in records:
            if not record.deleted:
                self.rows[record.kind][record.id] = record
                if record.kind == "opportunity":
                    self.by_contact.setdefault(record.contact_id, set()).add(record.id)
        for kind, name in self._orders:
            self._orders[kind, name] = sorted(sort_key(row, name) for row in self.rows[kind].values())

    def order(self, kind: str, attribute: str) -> list[Key]:
        """Keys of all visible rows, ascending."""
        if (kind, attribute) in self._orders:
            return self._orders[kind, attribute]
        return sorted(sort_key(row, attribute) for row in self.rows[kind].values())

    def _show(self, record: Entry) -> None:
        rows = self.rows[record.kind]
        before = rows.pop(record.id, None)
        if before is not None:
            self._forget(before)
        if record.deleted:
            return
        rows[record.id] = record
        if record.kind == "opportunity":
            self.by_contact.setdefault(record.contact_id, set()).add(record.id)
        for name in KEPT:
            insort(self._orders[record.kind, name], sort_key(record, name))

    def _forget(self, record: Entry) -> None:
        if record.kind == "opportunity":
            self.by_contact[record.contact_id].discard(record.id)
        for name in KEPT:
            order = self._orders[record.kind, name]
            del order[bisect_left(order, sort_key(record, name))]
