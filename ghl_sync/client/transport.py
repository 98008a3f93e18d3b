"""The one door out: headers, limit, time-outs, retries of reads, and failures as our own errors.

Refuses to guess: a write whose answer did not arrive whole is `OutcomeUnknown`, one that never left is
`NotSent`, and only reads are ever repeated here. Logs method, path, status and trace id, never bodies.
"""

from __future__ import annotations

import email.utils
import io
import json
import logging
import random
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPResponse
from typing import Any, Protocol

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError, ReadTimeoutError

from ghl_sync.client.errors import (
    DuplicateContact,
    DuplicateOpportunity,
    GHLError,
    MissingScope,
    NeedsAttention,
    NotFound,
    NotSent,
    OutcomeUnknown,
    RateLimited,
    Refused,
    TryLater,
)
from ghl_sync.client.types import RateState
from ghl_sync.client.versions import Version

logger = logging.getLogger("ghl_sync.client")

USER_AGENT = "TripBuilder/0.1"
READ_TRIES = 3
LARGEST_ANSWER = 64 * 1024 * 1024
INTERVAL_SECONDS = 10.0

_guard = threading.local()


class Limiter(Protocol):
    """Who decides when a call may leave."""

    def acquire(self, lane: str) -> None: ...
    def observe(self, state: RateState) -> None: ...
    def hit_429(self, retry_after: float) -> None: ...


class _DeadlinePassed(Exception):
    """Raised at the socket: the time to send in is over."""


class _BoundedIO(io.RawIOBase):
    """What a socket brings in, up to the end of the time for the whole exchange.

    A time-out alone is for each read: headers that trickle in would stretch it without end.
    """

    def __init__(self, sock: socket.socket, raw: io.RawIOBase, ends: float) -> None:
        self._sock, self._raw, self._ends = sock, raw, ends

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._ends - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer took too long")
        self._sock.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _BoundedResponse(HTTPResponse):
    """Reads status line, headers and body within the time of the exchange at hand."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        ends = getattr(_guard, "ends", None)
        if ends is not None:
            self.fp = io.BufferedReader(_BoundedIO(sock, self.fp.detach(), ends))


class _GuardedMixin:
    """Asks the guard once the connection stands and before any byte of the request leaves."""

    response_class: Any = _BoundedResponse

    def send(self, data: Any) -> None:
        if self.sock is None:  # type: ignore[attr-defined]
            self.connect()  # type: ignore[attr-defined]
        check = getattr(_guard, "check", None)
        if check is not None and not check():
            raise _DeadlinePassed
        _guard.sent = True
        super().send(data)  # type: ignore[misc]


class _GuardedHTTP(_GuardedMixin, HTTPConnection):
    pass


class _GuardedHTTPS(_GuardedMixin, HTTPSConnection):
    pass


class HTTPPool(HTTPConnectionPool):
    ConnectionCls = _GuardedHTTP


class HTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _GuardedHTTPS


@contextmanager
def until(ends: float) -> Iterator[None]:
    """Within the block what the pools above send and read is over at this moment of the monotonic clock."""
    _guard.check, _guard.sent, _guard.ends = (lambda: time.monotonic() < ends), False, ends
    try:
        yield
    except _DeadlinePassed:
        raise TimeoutError("the time to send this in is over") from None
    finally:
        _guard.check = _guard.ends = None


class _GuardedAdapter(HTTPAdapter):
    """An adapter whose connections check the deadline and never repeat a request by themselves."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": HTTPPool, "https": HTTPSPool}


@dataclass(frozen=True, slots=True)
class Answer:
    """A 2xx answer: its JSON object and the server's own time."""

    body: Mapping[str, Any]
    date: datetime | None
    trace_id: str


class Transport:
    """Sends requests to one base URL with one token. Not shared between threads."""

    def __init__(self, *, token: str, base_url: str, timeout: float, version: Version, limiter: Limiter | None) -> None:
        self._base_url = base_url.rstrip("/")
        self._timeout = timeout
        self._limiter = limiter
        self._seconds_left: Callable[[], float] | None = None
        self.lane = "bulk"
        self.calls = 0
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy or netrc of the machine may see the token
        adapter = _GuardedAdapter(max_retries=0)
        self._session.mount("http://", adapter)
        self._session.mount("https://", adapter)
        self._session.headers.update(
            {
                "Authorization": f"Bearer {token}",
                "Version": version.header,
                "Accept": "application/json",
                "User-Agent": USER_AGENT,
            }
        )

    def __repr__(self) -> str:
        return f"Transport({self._base_url!r})"

    @contextmanager
    def deadline(self, seconds_left: Callable[[], float]) -> Iterator[None]:
        """Within the block nothing leaves once `seconds_left()` is no longer positive."""
        before, self._seconds_left = self._seconds_left, seconds_left
        try:
            yield
        finally:
            self._seconds_left = before

    def read(self, method: str, path: str, *, params: Mapping[str, Any] | None = None, json_body: Any = None) -> Answer:
        """A call that changes nothing: repeated a few times when it fails on the way."""
        for attempt in range(1, READ_TRIES + 1):
            try:
                return self._send(method, path, params=params, json_body=json_body, write=False)
            except RateLimited:
                raise
            except TryLater:
                if attempt == READ_TRIES:
                    raise
                time.sleep(random.uniform(0.1, 0.4) * 2**attempt)  # nosec B311 # noqa: S311 - spreads retries
        raise AssertionError("unreachable")

    def write(self, method: str, path: str, *, json_body: Any = None) -> Answer:
        """A call that changes something: sent once, whatever happens."""
        return self._send(method, path, params=None, json_body=json_body, write=True)

    def _send(self, method: str, path: str, *, params: Mapping[str, Any] | None, json_body: Any, write: bool) -> Answer:
        if self._limiter is not None:
            self._limiter.acquire(self.lane)
        budget = self._timeout
        if self._seconds_left is not None:
            budget = min(budget, self._seconds_left())
            if budget <= 0:
                raise NotSent("The time to send this in is over.", endpoint=f"{method} {path}")
        self.calls += 1
        ends = time.monotonic() + budget
        _guard.check, _guard.sent, _guard.ends = (lambda: time.monotonic() < ends), False, ends
        started = time.monotonic()
        endpoint = f"{method} {path}"
        try:
            response = self._session.request(
                method,
                self._base_url + path,
                params=params,
                data=None if json_body is None else json.dumps(json_body),
                headers={"Content-Type": "application/json"} if json_body is not None else None,
                timeout=(min(budget, 10.0), budget),
                allow_redirects=False,
                stream=True,
            )
            text = _read_body(response, ends)
        except (requests.RequestException, _DeadlinePassed, HTTPError, OSError) as error:
            raise _broken(error, endpoint, write=write, sent=bool(_guard.sent)) from None
        finally:
            _guard.check = _guard.ends = None
        return self._judge(response, text, endpoint, write=write, ms=(time.monotonic() - started) * 1000)

    def _judge(self, response: requests.Response, text: str, endpoint: str, *, write: bool, ms: float) -> Answer:
        state = rate_state(response.headers)
        if self._limiter is not None:
            self._limiter.observe(state)
        body = _json_object(text)
        trace_id = str((body or {}).get("traceId") or "")[:64]
        logger.debug("%s %s %.0f ms trace=%s", endpoint, response.status_code, ms, trace_id)
        if 200 <= response.status_code < 300:
            if body is None:
                kind = OutcomeUnknown if write else TryLater
                raise kind("GoHighLevel's answer is not the JSON it promises.", endpoint=endpoint)
            return Answer(body, _http_date(response.headers.get("Date")), trace_id)
        error = failure(response.status_code, body, text, endpoint, write=write, trace_id=trace_id, state=state)
        if isinstance(error, RateLimited) and self._limiter is not None:
            self._limiter.hit_429(error.retry_after or INTERVAL_SECONDS)
        raise error


def _read_body(response: requests.Response, ends: float) -> str:
    """The whole body within the time and size allowed; a trickling server cannot stretch either."""
    chunks, size = [], 0
    # What has arrived, not a full buffer: a read for that would wait as long as something keeps trickling in.
    while chunk := response.raw.read1(64 * 1024, decode_content=True):
        chunks.append(chunk)
        size += len(chunk)
        if time.monotonic() > ends or size > LARGEST_ANSWER:
            response.close()
            raise requests.Timeout("the answer took too long")
    return b"".join(chunks).decode("utf-8", "replace")


def _broken(error: Exception, endpoint: str, *, write: bool, sent: bool) -> GHLError:
    """A call that ended without an answer."""
    reason = error.args[0] if error.args else None
    cause = getattr(reason, "reason", reason)
    never_left = isinstance(error, requests.ConnectTimeout | _DeadlinePassed) or isinstance(
        cause, NewConnectionError | ConnectTimeoutError
    )
    if never_left or not sent:
        return NotSent("GoHighLevel could not be reached.", endpoint=endpoint)
    slow = isinstance(error, requests.Timeout | ReadTimeoutError)
    words = "GoHighLevel did not answer in time." if slow else "The connection broke."
    return OutcomeUnknown(words, endpoint=endpoint) if write else TryLater(words, endpoint=endpoint)


def _json_object(text: str) -> dict[str, Any] | None:
    try:
        body = json.loads(text)
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def _http_date(value: str | None) -> datetime | None:
    if not value:
        return None
    try:
        return email.utils.parsedate_to_datetime(value).astimezone(UTC)
    except ValueError:
        return None


def rate_state(headers: Mapping[str, str]) -> RateState:
    """The limit as the headers state it; odd values count as missing."""

    def number(name: str) -> int | None:
        text = str(headers.get(name, "")).strip()
        return int(text) if text.isascii() and text.isdigit() else None

    return RateState(
        max=number("x-ratelimit-max"),
        remaining=number("x-ratelimit-remaining"),
        interval_ms=number("x-ratelimit-interval-milliseconds"),
        daily_limit=number("x-ratelimit-limit-daily"),
        daily_remaining=number("x-ratelimit-daily-remaining"),
        daily_reset_ms=number("x-ratelimit-daily-reset"),
    )


def words_of(body: Mapping[str, Any] | None, status: int) -> tuple[str, ...]:
    """GoHighLevel's message in any of its shapes: a text or a list, under `message`, `error` or `msg`."""
    for name in ("message", "error", "msg"):
        value = (body or {}).get(name)
        if isinstance(value, dict):
            value = value.get("message")
        if isinstance(value, str) and value.strip():
            return (value.strip(),)
        if isinstance(value, list) and value:
            return tuple(str(item) for item in value if item)
    return (f"HTTP {status} without an explanation.",)


_PROPERTY = re.compile(r"^(?:property )?([A-Za-z][\w.]*?)(?: should| must|\.?$|\. | is | has )")
_MISSING_RECORD = re.compile(r"not found|does not exist|no (?:opportunity|contact) ", re.IGNORECASE)
_PAGE_SIZE = re.compile(r"\b(limit|pageLimit)\b.*(greater|exceed|maximum|at most|less)", re.IGNORECASE)
_WRONG_TOKEN = re.compile(r"invalid (jwt|token)|token|unauthori[sz]ed|location|forbidden", re.IGNORECASE)


def scope_of(endpoint: str) -> str:
    """The scope an endpoint needs (API notes §1)."""
    method, _, path = endpoint.partition(" ")
    if "/customFields" in path:
        return f"locations/customFields.{'readonly' if method == 'GET' else 'write'}"
    if path.startswith("/locations"):
        return "locations.readonly"
    area = "contacts" if path.startswith("/contacts") else "opportunities"
    reads = method == "GET" or path.endswith("/search")
    return f"{area}.{'readonly' if reads else 'write'}"


def failure(
    status: int,
    body: Mapping[str, Any] | None,
    text: str,
    endpoint: str,
    *,
    write: bool,
    trace_id: str,
    state: RateState,
) -> GHLError:
    """The error that a non-2xx answer stands for, by API notes §4."""
    said = words_of(body, status)
    words = "; ".join(said)
    where: dict[str, Any] = {"status": status, "endpoint": endpoint, "trace_id": trace_id}
    if status == 429:
        spent = state.daily_remaining == 0 and state.daily_reset_ms
        wait = state.daily_reset_ms / 1000 if spent and state.daily_reset_ms else (state.interval_ms or 10_000) / 1000
        return RateLimited(words, retry_after=wait + random.uniform(0, 1), **where)  # nosec B311 # noqa: S311 - spreads retries
    timed_out = "command timed out" in (words + text[:200]).lower()
    if status >= 500 or status in {408} or timed_out or (300 <= status < 400):
        words = words if body is not None else f"GoHighLevel is out of order (HTTP {status})."
        return OutcomeUnknown(words, **where) if write else TryLater(words, **where)
    if status in {401, 403}:
        return _not_allowed(words, endpoint, where)
    return _refused(status, body, said, words, endpoint, where)


def _not_allowed(words: str, endpoint: str, where: dict[str, Any]) -> GHLError:
    lowered = words.lower()
    if "scope" in lowered or "iam service" in lowered:
        scope = scope_of(endpoint)
        fix = f"Add the scope {scope} to the Private Integration in GoHighLevel; the token stays the same."
        return MissingScope(f"{words} {fix}", scope=scope, **where)
    return NeedsAttention(f"GoHighLevel refuses the token or the location: {words}", **where)


def _refused(
    status: int,
    body: Mapping[str, Any] | None,
    said: Sequence[str],
    words: str,
    endpoint: str,
    where: dict[str, Any],
) -> GHLError:
    meta = (body or {}).get("meta")
    meta = meta if isinstance(meta, dict) else {}
    if (body or {}).get("code") == "OPPORTUNITY_NO_DUPLICATE" or isinstance(meta.get("existingId"), str):
        return DuplicateOpportunity(words, existing_id=str(meta.get("existingId") or ""), **where)
    if isinstance(meta.get("contactId"), str):
        field = str(meta.get("matchingField") or "")
        return DuplicateContact(words, contact_id=meta["contactId"], matching_field=field, **where)
    names_record = bool(re.search(r"/(opportunities|contacts|customFields)/[^/]+", endpoint))
    if names_record and body is not None and status in {400, 404} and _MISSING_RECORD.search(words):
        return NotFound(words, **where)
    if any(_PAGE_SIZE.search(line) for line in said):
        return Refused(words, code="page_size", **where)
    fields = [match.group(1) for line in said if (match := _PROPERTY.match(line))] if status == 422 else []
    return Refused(words, fields=fields, code=str((body or {}).get("code") or ""), **where)
