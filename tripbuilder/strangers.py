"""A limit for who knows no account: links of travellers that lead nowhere, and webhooks that prove nothing.

Only refusals count, so a traveller who fills in a form and GoHighLevel's own webhooks are never slowed. They are
counted in the memory of each process (times the number of web processes, then) and not in a table or a cache that all
share: a limit that writes for each stranger would let strangers make us write. It is there against load; links and
signatures are too long to be guessed at any rate. django-ratelimit wants a shared cache, which this product does not
need.
"""

from __future__ import annotations

import ipaddress
import threading
import time
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from trips.client_address import client_address

PLACES = ("/form/", "/ghl/webhook")
REFUSALS = frozenset({400, 401, 403, 404, 410, 413})
WINDOW_SECONDS = 60
MOST_ADDRESSES = 10_000


class StrangersLimit:
    """Answers 429 to an address with too many refusals in this minute, before anything of its request is read."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not request.path_info.startswith(PLACES):
            return self.get_response(request)
        who = network_of(client_address(request))
        left = refusals.wait_for(who)
        if left:
            answer = HttpResponse(f"Too many requests were refused. Try again in {left} s.\n", "text/plain", 429)
            answer["Retry-After"] = str(left)
            answer._has_been_logged = True  # type: ignore[attr-defined]  # not one line for each
            return answer
        answer = self.get_response(request)
        if answer.status_code in REFUSALS:
            refusals.count(who)
        return answer


def network_of(address: str | None) -> str:
    """The address; of IPv6 the /64, which one customer has whole."""
    if address is None or ":" not in address:
        return address or ""
    return str(ipaddress.ip_network(f"{address.partition('%')[0]}/64", strict=False))


class Refusals:
    """Counts by address, for the minute under way."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._began = 0.0
        self._counts: dict[str, int] = {}

    def wait_for(self, who: str) -> int:
        """Seconds after which this address is heard again; 0 for now."""
        with self._lock:
            left = WINDOW_SECONDS - (time.monotonic() - self._began)
            over = left > 0 and self._counts.get(who, 0) >= settings.REFUSALS_PER_MINUTE
        return int(left) + 1 if over else 0

    def count(self, who: str) -> None:
        with self._lock:
            if time.monotonic() - self._began >= WINDOW_SECONDS:
                self._began, self._counts = time.monotonic(), {}
            if who in self._counts or len(self._counts) < MOST_ADDRESSES:
                self._counts[who] = self._counts.get(who, 0) + 1

    def forget(self) -> None:
        with self._lock:
            self._began, self._counts = 0.0, {}


refusals = Refusals()
