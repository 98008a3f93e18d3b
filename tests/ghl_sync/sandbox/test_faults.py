"""Each kind of fault: what the caller gets and whether the call was carried out."""

from __future__ import annotations

import socket
import threading
import time
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from tests.ghl_sync.sandbox.conftest import Api

pytestmark = pytest.mark.behaviour


def create_under(api: Api, kind: str, **where: Any) -> requests.Response:
    api.own("faults", {"kind": kind, "method": "POST", "path": "/opportunities/"} | where)
    return api.post("/opportunities/", api.body())


def made(api: Api) -> int:
    return len(api.store.opportunities())


def test_status_answers_without_carrying_out(api: Api) -> None:
    answer = create_under(api, "status", status=500, message="Out of order")
    assert (answer.status_code, answer.json()) == (500, {"statusCode": 500, "message": "Out of order"})
    assert made(api) == 0


def test_html_answers_a_page_without_carrying_out(api: Api) -> None:
    answer = create_under(api, "html", status=502)
    assert (answer.status_code, answer.headers["Content-Type"], answer.text[:9]) == (502, "text/html", "<!DOCTYPE")
    assert made(api) == 0


def test_ok_html_carries_out_and_answers_a_page(api: Api) -> None:
    answer = create_under(api, "ok_html")
    assert (answer.status_code, answer.text[:9], made(api)) == (200, "<!DOCTYPE", 1)


def test_empty_carries_out_and_answers_nothing(api: Api) -> None:
    answer = create_under(api, "empty")
    assert (answer.status_code, answer.content, made(api)) == (200, b"", 1)


def test_applied_carries_out_and_answers_an_error(api: Api) -> None:
    answer = create_under(api, "applied", status=500, message="Out of order")
    assert (answer.status_code, answer.json()) == (500, {"statusCode": 500, "message": "Out of order"})
    assert made(api) == 1


@pytest.mark.parametrize(("kind", "rows", "total"), [("short", 2, 4), ("no_rows", 0, 0)])
def test_a_search_loses_rows_on_the_way(api: Api, kind: str, rows: int, total: int) -> None:
    for _card in range(4):
        api.card()
    api.own("faults", {"kind": kind, "path": "/opportunities/search"})
    answer = api.search()
    assert (len(answer["opportunities"]), answer["total"]) == (rows, total)


def test_an_answer_may_leave_the_limits_out(api: Api) -> None:
    answer = create_under(api, "status", status=429, bare=True)
    assert (answer.status_code, [name for name in answer.headers if name.startswith("x-ratelimit")]) == (429, [])


def test_a_gateway_timeout_is_dressed_as_401(api: Api) -> None:
    answer = create_under(api, "timeout_401")
    assert (answer.status_code, answer.text, made(api)) == (401, "Command timed out", 0)


def test_slow_waits_and_carries_out(api: Api) -> None:
    started = time.monotonic()
    answer = create_under(api, "slow", seconds=0.3)
    assert (answer.status_code, made(api)) == (201, 1)
    assert time.monotonic() - started >= 0.3


@pytest.mark.parametrize(("kind", "carried_out"), [("cut", 0), ("lost", 1), ("half", 1)])
def test_a_broken_connection_before_or_after_carrying_out(api: Api, kind: str, carried_out: int) -> None:
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        create_under(api, kind)
    assert made(api) == carried_out


def test_late_carries_out_after_the_caller_gave_up(api: Api) -> None:
    with pytest.raises(requests.ConnectionError):
        create_under(api, "late", seconds=0.3)
    before = made(api)
    api.store.wait(api.store.version, 5)
    assert (before, made(api)) == (0, 1)


def test_a_fault_strikes_its_route_so_often_and_no_more(api: Api) -> None:
    api.own("faults", {"kind": "status", "method": "GET", "path": "/locations/.*", "times": 2})
    where = f"/locations/{api.location}"
    other = api.get("/opportunities/pipelines", locationId=api.location).status_code
    assert [other] + [api.get(where).status_code for _ in range(3)] == [200, 503, 503, 200]
    assert api.sandbox.faults.struck == [("status", "GET", where)] * 2


def test_waiting_faults_are_shown_and_cleared(api: Api) -> None:
    waiting = api.own("faults", {"kind": "cut", "path": "/contacts/.*"})["waiting"]
    assert [(one["kind"], one["path"], one["times"]) for one in waiting] == [("cut", "/contacts/.*", 1)]
    assert api.own("faults", {"clear": True})["waiting"] == []


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"kind": "earthquake"}, "no fault 'earthquake'"),
        ({"kind": "cut", "colour": "red"}, "colour"),
        ({"path": "/"}, "kind"),
        ({"kind": "cut", "path": "("}, "("),
    ],
)
def test_a_fault_that_does_not_exist_is_refused(api: Api, body: Any, words: str) -> None:
    answer = api.session.post(f"{api.sandbox.url}/_sandbox/faults", json=body, timeout=5)
    assert answer.status_code == 400
    assert words in answer.json()["message"]
    assert api.own("faults")["waiting"] == []


def test_every_call_can_take_longer(api: Api) -> None:
    api.sandbox.latency = 0.2
    started = time.monotonic()
    callers = [threading.Thread(target=requests.get, args=(f"{api.sandbox.url}/nowhere",), kwargs={"timeout": 5})
               for _ in range(4)]  # fmt: skip
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert 0.2 <= time.monotonic() - started < 0.8


def test_a_request_that_breaks_off_is_none(api: Api) -> None:
    parts = urlsplit(api.sandbox.url)
    head = f"POST /opportunities/ HTTP/1.1\r\nHost: {parts.hostname}\r\nContent-Length: 50\r\n\r\n"
    before = len(api.sandbox.requests)
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as caller:
        caller.sendall(head.encode() + b'{"name": "Fj')
        caller.shutdown(socket.SHUT_WR)
        answer = caller.recv(100)
    assert (answer, made(api), len(api.sandbox.requests)) == (b"", 0, before)
