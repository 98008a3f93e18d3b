"""What went over the line and when: evidence of races, of deletes and of the rate."""

from __future__ import annotations

import json
import re
import time
from collections import defaultdict
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from ghl_sync.sandbox.server import Reply, Sandbox

RECORD = re.compile(r"/(?:opportunities|contacts)/(?!search|pipelines)([^/]+)/?")
# A call whose answer was lost may be applied this much later (`trouble.LATEST`).
LATEST = 0.5


class Wire:
    """Listens to one sandbox for as long as it lives. Times are monotonic."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._answer = sandbox.respond
        self.calls = 0
        self.deletes: set[str] = set()
        self._reads: defaultdict[str, list[float]] = defaultdict(list)
        # Per record: arrival, latest moment it can have been applied, keys written.
        self._puts: defaultdict[str, list[tuple[float, float, set[str]]]] = defaultdict(list)
        sandbox.respond = self._listening  # type: ignore[method-assign]

    def _listening(self, method: str, target: str, headers: Mapping[str, str], raw: bytes) -> Reply:
        path = urlsplit(target).path
        if path.startswith("/_sandbox"):
            return self._answer(method, target, headers, raw)
        arrived = time.monotonic()
        self.calls += 1
        reply = self._answer(method, target, headers, raw)
        found = RECORD.fullmatch(path)
        if found is not None:
            self._note(method, found[1], arrived, raw, whole=reply.content is not None and reply.status == 200)
        return reply

    def _note(self, method: str, record_id: str, arrived: float, raw: bytes, *, whole: bool) -> None:
        if method == "GET" and whole:
            self._reads[record_id].append(arrived)
        elif method == "PUT":
            applied = time.monotonic() + (0 if whole else LATEST)
            self._puts[record_id].append((arrived, applied, self._keys(json.loads(raw or b"{}"))))
        elif method == "DELETE":
            self.deletes.add(record_id)

    def _keys(self, body: Mapping[str, Any]) -> set[str]:
        """`:city` for a field of GoHighLevel's own, `trip_description` for one of the account's."""
        names = {row.id: row.key for row in self._sandbox.store.fields.values()}
        custom = body.get("customFields") or []
        return {f":{key}" for key in body} | {names.get(str(one.get("id")), "").split(".")[-1] for one in custom}

    def raced(self, record_id: str, key: str, edited_at: float) -> bool:
        """Whether a write of ours that had not seen this edit may have been applied after it."""
        reads = self._reads[record_id]
        return any(
            key in keys
            and edited_at < applied
            and max((one for one in reads if one < arrived), default=0.0) < edited_at
            for arrived, applied, keys in self._puts[record_id]
        )
