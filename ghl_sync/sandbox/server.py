"""The sandbox: GoHighLevel's API over real HTTP on loopback, for trying the product and as the tests' far side.

Each behaviour is a row of `docs/sandbox.md` with its source and its test.
"""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
import uuid
from collections import deque
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from ghl_sync.sandbox import control, disk
from ghl_sync.sandbox.faults import Fault, Faults
from ghl_sync.sandbox.hooks import Hooks
from ghl_sync.sandbox.limits import RateLimit
from ghl_sync.sandbox.routes import SCOPES, Route, find
from ghl_sync.sandbox.store import Entry, Opportunity, Store
from ghl_sync.sandbox.wire import ApiError, Request, bad_request

VERSIONS = {"2021-07-28", "2021-04-15", "2023-02-21", "v3"}
KEPT_REQUESTS = 20_000
LARGEST_BODY = 8 * 1024 * 1024
HTML = "<!DOCTYPE html><html><head><title>{status}</title></head><body><h1>Bad gateway</h1></body></html>"


@dataclass(frozen=True, slots=True)
class Recorded:
    """One call that reached the API, in the order of arrival."""

    method: str
    path: str
    params: Mapping[str, str]
    body: Any
    version: str
    status: int


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back: `content` None closes the connection without an answer; `half` sends half of it first."""

    status: int
    content: bytes | None
    kind: str = "application/json; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)
    half: bool = False


class Sandbox:
    """A running stand-in for one location. Start it with `start()` or as a context manager.

    `port` 0 takes a free one. `state` names the file that keeps the records between runs. `lag` is how many seconds
    the search lags; `rate_max` calls are answered in any `interval_ms`, `daily` in a day. `scopes` are the token's.
    `webhooks` is the address that hears of changes, `webhook_seed` (32 bytes) fixes the key that signs them.
    Raises OSError when the port is taken and `disk.Unusable` when the file is not a state.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        token: str = "sandbox-token",  # noqa: S107 - it opens nothing but this stand-in
        location_id: str = "sandbox-location",
        state: Path | None = None,
        rate_max: int = 100,
        interval_ms: int = 10_000,
        daily: int = 200_000,
        lag: float = 0.0,
        provisioned: bool = True,
        scopes: Collection[str] = SCOPES,
        webhooks: str = "",
        webhook_seed: bytes | None = None,
    ) -> None:
        self.token = token
        self.scopes = set(scopes)
        self.store = Store(location_id=location_id, provisioned=provisioned, lag=lag)
        self.hooks = Hooks(self.store, url=webhooks, seed=webhook_seed)
        self.faults = Faults()
        self.limit = RateLimit(rate_max, interval_ms, daily)
        self.latency = 0.0
        self.clock_offset = 0.0
        self.requests: deque[Recorded] = deque(maxlen=KEPT_REQUESTS)
        self._state = state
        self._saver: disk.Saver | None = None
        self.loaded = state is not None and disk.load(self.store, state)
        self._http = _Server(("127.0.0.1", port), _Handler)
        self._http.sandbox = self
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        return int(self._http.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> Sandbox:
        self.hooks.start()
        if self._state is not None:
            self._saver = disk.Saver(self.store, self._state)
        self._thread = threading.Thread(
            target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, name="sandbox", daemon=True
        )
        self._thread.start()
        return self

    def stop(self) -> None:
        """Answer nothing more, not even on connections that stand, and write the state."""
        self._http.shutdown()
        self._http.server_close()
        self._http.drop_connections()
        if self._thread is not None:
            self._thread.join()
        self.hooks.stop()
        if self._saver is not None:
            self._saver.stop()

    def __enter__(self) -> Sandbox:
        return self.start()

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def reset(self) -> None:
        """An empty account with the default definitions and without faults, recorded calls or waiting webhooks."""
        self.store.reset()
        self.faults.clear()
        self.hooks.reset()
        self.requests.clear()

    def edit(self, record_id: str, *, fields: Mapping[str, Any] | None = None, **native: Any) -> Entry:
        """A change by a CRM user; see `Store.edit`."""
        return self.store.edit(record_id, fields=fields, **native)

    def opportunities(self, pipeline: str | None = None) -> list[Opportunity]:
        """Living opportunities, oldest first."""
        return self.store.opportunities(pipeline)

    def writes(self) -> list[Recorded]:
        """The recorded calls that could change something."""
        return [one for one in self.requests if one.method != "GET" and not one.path.endswith("/search")]

    # One call

    def respond(self, method: str, target: str, headers: Mapping[str, str], raw: bytes) -> Reply:
        """The reply to one HTTP request, faults and limits included."""
        parts = urlsplit(target)
        path = unquote(parts.path)
        if path == "/" or path.startswith(("/_sandbox/", control.APP_PATH)):
            return self._own_page(method, path, dict(parse_qsl(parts.query)), headers, raw)
        if self.latency:
            time.sleep(self.latency)
        allowed, limits = self.limit.take()
        if not allowed:
            return _json(429, {"statusCode": 429, "message": "Too Many Requests"}, limits)
        params = dict(parse_qsl(parts.query, keep_blank_values=True))
        fault = self.faults.take(method, path)
        if fault is not None:
            return self._struck(fault, method, path, params, headers, raw, limits)
        return self._carried_out(method, path, params, headers, raw, limits)

    def _carried_out(
        self,
        method: str,
        path: str,
        params: Mapping[str, str],
        headers: Mapping[str, str],
        raw: bytes,
        limits: Mapping[str, str],
    ) -> Reply:
        body: Any = None
        version = headers.get("version", "")
        try:
            route, names = find(method, path)
            self._authorise(route, headers, version)
            body = _parsed(raw, headers)
            self._own_location(names, params, body)
            request = Request(method, path, params, body, version, names)
            answer = self._handled(route, request)
            status = route.status
        except ApiError as error:
            status, answer = error.status, error.body
        self.requests.append(Recorded(method, path, params, body, version, status))
        return _json(status, answer | {"traceId": str(uuid.uuid4())}, limits)

    def _handled(self, route: Route, request: Request) -> dict[str, Any]:
        if route.pattern.endswith("/search"):
            return route.handler(self.store, request)  # takes the lock itself, for as long as it looks
        with self.store.lock:
            return route.handler(self.store, request)

    def _authorise(self, route: Route, headers: Mapping[str, str], version: str) -> None:
        if headers.get("authorization") != f"Bearer {self.token}":
            message = "Invalid token: access token is invalid"
            raise ApiError(401, {"statusCode": 401, "message": message, "error": "Unauthorized"})
        if route.scope not in self.scopes:
            raise ApiError(401, {"statusCode": 401, "message": "The token is not authorized for this scope."})
        if version not in VERSIONS:
            raise bad_request("version header was not found or is not supported")

    def _own_location(self, names: Mapping[str, str], params: Mapping[str, str], body: Any) -> None:
        asked = [names.get("location"), params.get("locationId"), params.get("location_id")]
        if isinstance(body, dict):
            asked.append(body.get("locationId"))
        if any(one and one != self.store.location_id for one in asked):
            raise ApiError(
                403,
                {
                    "statusCode": 403,
                    "message": "The token does not have access to this location.",
                    "error": "Forbidden",
                },
            )

    def _struck(
        self,
        fault: Fault,
        method: str,
        path: str,
        params: Mapping[str, str],
        headers: Mapping[str, str],
        raw: bytes,
        limits: Mapping[str, str],
    ) -> Reply:
        limits = {} if fault.bare else limits

        def carry_out() -> Reply:
            return self._carried_out(method, path, params, headers, raw, limits)

        if fault.kind == "slow":
            time.sleep(fault.seconds)
            return carry_out()
        if fault.kind == "late":
            timer = threading.Timer(fault.seconds, carry_out)
            timer.daemon = True
            timer.start()
            return Reply(0, None)
        if fault.kind == "lost":
            carry_out()
            return Reply(0, None)
        if fault.kind == "cut":
            return Reply(0, None)
        if fault.kind == "half":
            whole = carry_out()
            return Reply(whole.status, whole.content, whole.kind, whole.headers, half=True)
        if fault.kind in {"ok_html", "empty"}:
            carry_out()
            content = HTML.format(status=200).encode() if fault.kind == "ok_html" else b""
            return Reply(200, content, "text/html", limits)
        if fault.kind in {"short", "no_rows"}:
            return _with_fewer_rows(carry_out(), keep_half=fault.kind == "short")
        if fault.kind == "applied":
            carry_out()
        if fault.kind == "html":
            return Reply(fault.status, HTML.format(status=fault.status).encode(), "text/html", limits)
        if fault.kind == "timeout_401":
            return Reply(401, b"Command timed out", "text/plain", limits)
        message = fault.message or "The sandbox was told to fail here."
        return _json(fault.status, {"statusCode": fault.status, "message": message}, limits)

    def _own_page(
        self, method: str, path: str, params: Mapping[str, str], headers: Mapping[str, str], raw: bytes
    ) -> Reply:
        if not _is_local(headers.get("host", "")):
            return _json(403, {"message": "Open the sandbox by its own address."}, {})  # a renamed one is an attack
        if method == "POST" and not headers.get("content-type", "").startswith("application/json"):
            return _json(415, {"message": "Send application/json."}, {})  # a form on some web page must not reach us
        try:
            content, kind = control.page(self, method, path, params, json.loads(raw) if raw else {})
        except control.Mistake as error:
            return _json(error.status, {"message": str(error)}, {})
        except ValueError as error:
            return _json(400, {"message": str(error)}, {})
        return Reply(200, content, kind, {"Cache-Control": "no-store"})


def _is_local(host: str) -> bool:
    return (urlsplit(f"//{host}").hostname or "") in {"127.0.0.1", "localhost", "::1"}


def _json(status: int, body: Mapping[str, Any], headers: Mapping[str, str]) -> Reply:
    return Reply(status, json.dumps(body).encode(), headers=headers)


def _with_fewer_rows(reply: Reply, *, keep_half: bool) -> Reply:
    """A search's answer that lost rows on the way; any other answer stays as it is."""
    body = json.loads(reply.content or b"{}")
    name = next((key for key in ("opportunities", "contacts") if isinstance(body.get(key), list)), None)
    if name is None:
        return reply
    body[name] = body[name][: len(body[name]) // 2] if keep_half else []
    if not keep_half:
        body |= {key: 0 for key in ("total", "count") if key in body}
        if isinstance(body.get("meta"), dict):
            body["meta"]["total"] = 0
    return Reply(reply.status, json.dumps(body).encode(), reply.kind, reply.headers)


def _parsed(raw: bytes, headers: Mapping[str, str]) -> Any:
    if not raw:
        return None
    if not headers.get("content-type", "").startswith("application/json"):
        raise ApiError(415, {"statusCode": 415, "message": "Unsupported Media Type"})
    try:
        return json.loads(raw)
    except ValueError:
        raise bad_request("Unexpected token in JSON") from None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = False
    request_queue_size = 128
    sandbox: Sandbox

    def __init__(self, *args: Any) -> None:
        self._open: set[socket.socket] = set()
        super().__init__(*args)

    def server_bind(self) -> None:
        # A port in TIME_WAIT may be taken again at once; one that is served may not (Linux refuses that by itself).
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        super().server_bind()

    @contextmanager
    def connection(self, open_socket: socket.socket) -> Iterator[None]:
        self._open.add(open_socket)
        try:
            yield
        finally:
            self._open.discard(open_socket)

    def drop_connections(self) -> None:
        for open_socket in list(self._open):
            try:
                open_socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # its peer was faster

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def handle(self) -> None:
        with self.server.connection(self.connection):
            super().handle()

    def _answer(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        if length > LARGEST_BODY:
            self.close_connection = True
            self.send_error(413)
            return
        raw = self.rfile.read(length)
        if len(raw) < length:  # the caller gave up in the middle of its request: to GoHighLevel there was none
            self.close_connection = True
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        reply = self.server.sandbox.respond(self.command, self.path, headers, raw)
        if reply.content is None:
            self.close_connection = True
            return
        head = [f"HTTP/1.1 {reply.status} {self.responses.get(reply.status, ('',))[0]}"]
        head.append(f"Date: {formatdate(time.time() + self.server.sandbox.clock_offset, usegmt=True)}")
        head.append(f"Content-Type: {reply.kind}")
        head.append(f"Content-Length: {len(reply.content)}")
        head += [f"{name}: {value}" for name, value in reply.headers.items()]
        content = reply.content
        if reply.half:
            content = content[: len(content) // 2]
            self.close_connection = True
        self.wfile.write("\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + content)

    do_GET = do_POST = do_PUT = do_DELETE = _answer

    def log_message(self, format: str, *args: Any) -> None:
        """Silent: requests are kept in `Sandbox.requests`."""
