"""Switches for everything that goes wrong on the way (design paper FAULTS): queued per route, taken one by one."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

KINDS: Mapping[str, str] = {
    "status": "answer `status` in JSON; the call is not carried out",
    "html": "answer an HTML page with `status`; the call is not carried out",
    "ok_html": "carry the call out, then answer 200 with an HTML page",
    "empty": "carry the call out, then answer 200 with an empty body",
    "applied": "carry the call out, then answer `status` in JSON, as a gateway that gave up does",
    "short": "carry a search out, then answer 200 without the second half of the page's rows",
    "no_rows": "carry a search out, then answer 200 as if there were no record at all",
    "timeout_401": 'answer 401 "Command timed out"; the call is not carried out',
    "slow": "wait `seconds`, then carry it out and answer",
    "cut": "close the connection without carrying it out",
    "half": "carry it out, then close in the middle of the answer",
    "lost": "carry it out, then close without an answer",
    "late": "close without an answer and carry it out `seconds` later",
}


@dataclass(slots=True)
class Fault:
    """`method` and `path` are regular expressions that must match the whole; `times` how often it strikes.

    `bare` leaves out the headers that state the limits.
    """

    kind: str
    method: str = ".*"
    path: str = ".*"
    times: int = 1
    status: int = 503
    seconds: float = 0.0
    message: str = ""
    bare: bool = False

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"no fault {self.kind!r}; there are {', '.join(KINDS)}")
        for pattern in (self.method, self.path):
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"{pattern!r} is not a regular expression ({error})") from None

    def strikes(self, method: str, path: str) -> bool:
        return (
            self.times > 0
            and re.fullmatch(self.method, method) is not None
            and re.fullmatch(self.path, path) is not None
        )


class Faults:
    """The faults that wait to strike, oldest first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[Fault] = []
        self.struck: list[tuple[str, str, str]] = []

    def add(self, kind: str, **where: Any) -> Fault:
        """Queue a fault; `where` as in `Fault`. Raises ValueError for what is no fault."""
        fault = Fault(kind, **where)
        with self._lock:
            self._waiting.append(fault)
        return fault

    def clear(self) -> None:
        with self._lock:
            self._waiting.clear()

    def take(self, method: str, path: str) -> Fault | None:
        """The first waiting fault that fits this call; it has struck once more."""
        with self._lock:
            for fault in self._waiting:
                if fault.strikes(method, path):
                    fault.times -= 1
                    self._waiting = [one for one in self._waiting if one.times > 0]
                    self.struck.append((fault.kind, method, path))
                    return fault
        return None

    def waiting(self) -> list[dict[str, Any]]:
        with self._lock:
            return [asdict(fault) for fault in self._waiting]
