"""What a call that goes wrong becomes: sent or not, known or not; and what never leaves this machine."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from ghl_sync.client import GHLClient
from ghl_sync.client.errors import GHLError, NeedsAttention, NotSent, OutcomeUnknown, RateLimited, TryLater
from ghl_sync.client.types import RateState
from ghl_sync.sandbox.server import Sandbox
from tests.ghl_sync.client.conftest import client_of

CONTACT = {"firstName": "Ines", "email": "ines@example.com"}
APPLIED = {"lost", "half", "empty", "ok_html", "slow"}


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("lost", OutcomeUnknown),
        ("cut", OutcomeUnknown),
        ("late", OutcomeUnknown),
        ("half", OutcomeUnknown),
        ("empty", OutcomeUnknown),
        ("ok_html", OutcomeUnknown),
        ("html", OutcomeUnknown),
        ("status", OutcomeUnknown),
        ("timeout_401", OutcomeUnknown),
        ("slow", OutcomeUnknown),
    ],
)
def test_a_write_that_goes_wrong_is_sent_once_and_in_doubt(sandbox: Sandbox, kind: str, error: type[GHLError]) -> None:
    sandbox.faults.add(kind, method="POST", path="/contacts/", seconds=0.4, times=5)
    client = client_of(sandbox, timeout=0.2)

    with pytest.raises(error) as caught:
        client.create_contact(CONTACT)

    assert type(caught.value) is error
    assert (client.calls, len(sandbox.faults.struck)) == (1, 1)
    time.sleep(0.5)
    assert len(sandbox.store.contacts()) == (1 if kind in APPLIED | {"late"} else 0)


@pytest.mark.parametrize("kind", ["lost", "cut", "half", "empty", "ok_html", "html", "status", "timeout_401"])
def test_a_read_that_goes_wrong_is_tried_again(client: GHLClient, sandbox: Sandbox, kind: str) -> None:
    sandbox.faults.add(kind, method="GET", path="/opportunities/pipelines", times=2)

    assert {pipeline.name for pipeline in client.list_pipelines()} >= {"TripBooking", "Passenger"}
    assert len(sandbox.faults.struck) == 2


def test_a_read_that_keeps_going_wrong_may_be_tried_later(client: GHLClient, sandbox: Sandbox) -> None:
    sandbox.faults.add("status", method="GET", path=".*", times=9)

    with pytest.raises(TryLater) as caught:
        client.list_pipelines()

    assert type(caught.value) is TryLater
    assert client.calls == 3


def test_a_limit_hit_is_known_not_to_be_carried_out(client: GHLClient, sandbox: Sandbox) -> None:
    sandbox.faults.add("status", method="POST", path="/contacts/", status=429)

    with pytest.raises(RateLimited) as caught:
        client.create_contact(CONTACT)

    assert caught.value.retry_after == 10.0
    assert sandbox.store.contacts() == []


def test_a_read_is_not_repeated_against_the_limit(client: GHLClient, sandbox: Sandbox) -> None:
    sandbox.faults.add("status", method="GET", path=".*", status=429, times=9)

    with pytest.raises(RateLimited):
        client.list_pipelines()

    assert client.calls == 1


def closed_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


def test_where_nobody_listens_nothing_was_sent(sandbox: Sandbox) -> None:
    client = client_of(sandbox, base_url=f"http://127.0.0.1:{closed_port()}")

    with pytest.raises(NotSent):
        client.create_contact(CONTACT)


# The deadline


def test_nothing_leaves_once_the_time_is_over(client: GHLClient, sandbox: Sandbox) -> None:
    with client.deadline(lambda: 0.0), pytest.raises(NotSent):
        client.create_contact(CONTACT)

    assert list(sandbox.requests) == []


def test_the_deadline_is_asked_when_the_connection_stands(
    client: GHLClient, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = socket.socket.connect

    def slowly(self: socket.socket, address: Any) -> None:
        real(self, address)
        time.sleep(0.3)

    monkeypatch.setattr(socket.socket, "connect", slowly)
    with client.deadline(lambda: 0.2), pytest.raises(NotSent):
        client.create_contact(CONTACT)

    assert list(sandbox.requests) == []
    assert sandbox.store.contacts() == []


def test_a_deadline_shortens_the_wait_for_an_answer(client: GHLClient, sandbox: Sandbox) -> None:
    sandbox.faults.add("slow", method="POST", path="/contacts/", seconds=2)
    started = time.monotonic()

    with client.deadline(lambda: 0.3), pytest.raises(OutcomeUnknown):
        client.create_contact(CONTACT)

    assert time.monotonic() - started < 1.5


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
TRICKLES = {"in the body": (HEAD + b"Content-Length: 9999\r\n\r\n", b" "), "in a header": (HEAD + b"X-Slow: ", b"x")}


@pytest.fixture(params=TRICKLES)
def trickle(request: pytest.FixtureRequest) -> Iterator[str]:
    """A server that sends its answer a byte at a time, for ever."""
    ended = threading.Event()
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(0.1)
    start, drop = TRICKLES[request.param]

    def serve() -> None:
        while not ended.is_set():
            try:
                peer, _address = server.accept()
            except TimeoutError:
                continue
            with peer:
                peer.recv(65_536)
                peer.sendall(start)
                while not ended.wait(0.05):
                    try:
                        peer.sendall(drop)
                    except OSError:
                        break

    thread = threading.Thread(target=serve)
    thread.start()
    yield f"http://127.0.0.1:{server.getsockname()[1]}"
    ended.set()
    thread.join()
    server.close()


def test_a_trickling_answer_does_not_hold_a_worker(sandbox: Sandbox, trickle: str) -> None:
    started = time.monotonic()

    with pytest.raises(OutcomeUnknown):
        client_of(sandbox, base_url=trickle, timeout=0.5).create_contact(CONTACT)

    assert time.monotonic() - started < 1.5


# The limiter


class Recorder:
    """A limiter that notes what it is told."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def acquire(self, lane: str) -> None:
        self.told.append(lane)

    def observe(self, state: RateState) -> None:
        self.told.append(state.max)

    def hit_429(self, retry_after: float) -> None:
        self.told.append(("429", round(retry_after)))


def test_the_limiter_is_asked_before_and_told_after_each_call(sandbox: Sandbox) -> None:
    recorder = Recorder()
    client = client_of(sandbox, limiter=recorder)
    client.lane = "staff"
    client.get_location()

    assert recorder.told == ["staff", 100_000]


def test_the_limiter_hears_of_a_429(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ghl_sync.client.transport.random.uniform", lambda low, high: 0.0)
    sandbox.faults.add("status", method="GET", path=".*", status=429)
    recorder = Recorder()

    with pytest.raises(RateLimited):
        client_of(sandbox, limiter=recorder).get_location()

    assert recorder.told == ["bulk", 100_000, ("429", 10)]


# Secrets and people


def test_the_token_is_in_no_log_and_no_error(sandbox: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    token = "pit-0123-very-secret"
    client = client_of(sandbox, token=token)
    caplog.set_level(logging.DEBUG)
    said = [repr(client), repr(client._http)]

    for call in (client.get_location, lambda: client.create_contact(CONTACT)):
        with pytest.raises(NeedsAttention) as caught:
            call()
        said += [str(caught.value), repr(caught.value), str(caught.value.__cause__)]
    refused = client_of(sandbox, token=token, base_url=f"http://127.0.0.1:{closed_port()}")
    with pytest.raises(NotSent) as unsent:
        refused.create_contact(CONTACT)
    said += [str(unsent.value), repr(unsent.value.__context__) if unsent.value.__suppress_context__ else ""]

    assert token not in "".join(said) + caplog.text


def test_no_body_is_logged(client: GHLClient, sandbox: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    client.create_contact(CONTACT)
    client.find_contact_by_email("ines@example.com")

    ours = [record.getMessage() for record in caplog.records if record.name.startswith("ghl_sync")]
    assert not [line for line in ours if "Ines" in line or "ines" in line]


def test_a_dry_run_sends_no_write(sandbox: Sandbox) -> None:
    client = client_of(sandbox, read_only=True)

    for call in (
        lambda: client.create_contact(CONTACT),
        lambda: client.update_opportunity("x", {}),
        lambda: client.delete_opportunity("x"),
        lambda: client.write_options("x", name="x", options=[]),
        lambda: client.add_contact_tags("x", ["a"]),
    ):
        with pytest.raises(RuntimeError, match="dry run"):
            call()
    assert list(sandbox.requests) == []
