"""The rate limit as its headers state it and its 429s enforce it (API notes §3)."""

from __future__ import annotations

import threading
import time
from collections import deque

DAY_SECONDS = 86_400
KEPT_ARRIVALS = 100_000


class RateLimit:
    """At most `rate_max` calls in any `interval_ms`, and `daily` in a day. Thread-safe."""

    def __init__(self, rate_max: int, interval_ms: int, daily: int) -> None:
        self.rate_max = rate_max
        self.interval_ms = interval_ms
        self.daily = daily
        self._times: deque[float] = deque()
        self._day_started = time.monotonic()
        self._today = 0
        self._lock = threading.Lock()
        self.arrivals: deque[float] = deque(maxlen=KEPT_ARRIVALS)  # of every call, those refused included
        self.refusals: deque[float] = deque(maxlen=KEPT_ARRIVALS)

    def used(self, since: float) -> dict[str, float]:
        """Calls answered and refused since a moment of this clock, whose time it is now, and the fullest interval."""
        now, arrivals, refusals = time.monotonic(), list(self.arrivals), list(self.refusals)
        refused = sum(moment >= since for moment in refusals)
        return {
            "now": now,
            "seconds": now - since,
            "calls": sum(moment >= since for moment in arrivals) - refused,
            "refused": refused,
            "busiest": self.busiest(since),
        }

    def busiest(self, since: float = 0.0) -> int:
        """The most calls that arrived within any one interval."""
        window: deque[float] = deque()
        most = 0
        for moment in list(self.arrivals):
            if moment < since:
                continue
            window.append(moment)
            while moment - window[0] >= self.interval_ms / 1000:
                window.popleft()
            most = max(most, len(window))
        return most

    def take(self) -> tuple[bool, dict[str, str]]:
        """Whether this call may go on, and the headers that every answer carries."""
        with self._lock:
            now = time.monotonic()
            self.arrivals.append(now)
            if now - self._day_started >= DAY_SECONDS:
                self._day_started, self._today = now, 0
            while self._times and now - self._times[0] >= self.interval_ms / 1000:
                self._times.popleft()
            allowed = len(self._times) < self.rate_max and self._today < self.daily
            if allowed:
                self._times.append(now)
                self._today += 1
            else:
                self.refusals.append(now)
            return allowed, {
                "x-ratelimit-max": str(self.rate_max),
                "x-ratelimit-remaining": str(self.rate_max - len(self._times)),
                "x-ratelimit-interval-milliseconds": str(self.interval_ms),
                "x-ratelimit-limit-daily": str(self.daily),
                "x-ratelimit-daily-remaining": str(self.daily - self._today),
                "x-ratelimit-daily-reset": str(round((DAY_SECONDS - (now - self._day_started)) * 1000)),
            }
