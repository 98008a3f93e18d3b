"""Muting the pull's own writes: what came from GoHighLevel is not news to send there.

The mute names the records being written; everything else that a save touches (a vendor made on the way,
a neighbour's count) is still recorded. It follows the thread of execution, not the process.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_muted: ContextVar[frozenset[tuple[str, int]]] = ContextVar("ghl_sync_muted", default=frozenset())


@contextmanager
def muted(kind: str, object_id: int) -> Iterator[None]:
    """Within the block saves of this one record are not recorded as changes made here."""
    token = _muted.set(_muted.get() | {(kind, object_id)})
    try:
        yield
    finally:
        _muted.reset(token)


def is_muted(kind: str, object_id: int) -> bool:
    return (kind, object_id) in _muted.get()
