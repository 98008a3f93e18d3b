"""Who may call what: token, scope, location, version, paths, and how often."""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime

import pytest
import requests

from ghl_sync.sandbox.server import Sandbox
from tests.ghl_sync.sandbox.conftest import Api, refusal

pytestmark = pytest.mark.behaviour


def test_a_wrong_token_is_401(api: Api) -> None:
    answer = api.call("GET", f"/locations/{api.location}", headers={"Authorization": "Bearer wrong"})
    assert answer.status_code == 401
    assert answer.json() | {"traceId": ""} == {
        "statusCode": 401, "message": "Invalid token: access token is invalid", "error": "Unauthorized", "traceId": "",
    }  # fmt: skip


def test_a_missing_scope_is_401_with_its_own_message(api: Api) -> None:
    api.sandbox.scopes.discard("opportunities.write")
    card = api.card()
    assert refusal(api.delete(f"/opportunities/{card.id}")) == (401, "The token is not authorized for this scope.")
    assert api.get(f"/opportunities/{card.id}").status_code == 200


@pytest.mark.parametrize("where", ["path", "query", "body"])
def test_another_location_is_403(api: Api, where: str) -> None:
    answer = {
        "path": lambda: api.get("/locations/elsewhere"),
        "query": lambda: api.get("/opportunities/pipelines", locationId="elsewhere"),
        "body": lambda: api.post("/opportunities/search", {"locationId": "elsewhere", "limit": 1}),
    }[where]()
    assert refusal(answer) == (403, "The token does not have access to this location.")


@pytest.mark.parametrize("version", ["", "2020-01-01"])
def test_a_call_without_a_known_version_is_refused(api: Api, version: str) -> None:
    answer = api.call("GET", f"/locations/{api.location}", headers={"Version": version})
    assert refusal(answer) == (400, "version header was not found or is not supported")


def test_a_path_in_the_wrong_case_is_401(api: Api) -> None:
    status, message = refusal(api.get(f"/locations/{api.location}/customfields"))
    assert (status, message) == (401, "This route is not yet supported by the IAM Service.")


def test_an_unknown_path_is_404(api: Api) -> None:
    assert refusal(api.get("/opportunitys/search")) == (404, "Cannot GET /opportunitys/search")


def test_creates_need_the_trailing_slash(api: Api) -> None:
    assert api.post("/opportunities", api.body()).status_code == 404
    assert api.post("/opportunities/", api.body()).status_code == 201


def test_an_unknown_key_of_the_body_is_422(api: Api) -> None:
    answer = api.post("/opportunities/", api.body(source="site", colour="red"))
    assert answer.status_code == 422
    assert answer.json() | {"traceId": ""} == {
        "message": ["property source should not exist", "property colour should not exist"],
        "error": "Unprocessable Entity", "statusCode": 422, "traceId": "",
    }  # fmt: skip
    assert api.store.opportunities() == []


def test_an_unknown_key_of_the_query_is_422(api: Api) -> None:
    answer = api.get("/opportunities/pipelines", locationId=api.location, limit=5)
    assert refusal(answer) == (422, ["property limit should not exist"])


def test_a_value_of_the_wrong_type_is_422(api: Api) -> None:
    answer = api.post("/opportunities/", api.body(name=7, monetaryValue="12", customFields={"a": 1}))
    assert refusal(answer) == (
        422, ["name must be a string", "monetaryValue must be a number", "customFields must be an array"],
    )  # fmt: skip


def test_a_body_that_is_not_json_is_refused(api: Api) -> None:
    sent = api.call("POST", "/opportunities/", data=b"{", headers={"Content-Type": "application/json"})
    form = api.call("POST", "/opportunities/", data={"name": "x"})
    assert refusal(sent) == (400, "Unexpected token in JSON")
    assert refusal(form) == (415, "Unsupported Media Type")


def test_every_answer_carries_a_trace_id(api: Api) -> None:
    good, bad = api.get(f"/locations/{api.location}"), api.get("/nowhere")
    assert good.json()["traceId"] != bad.json()["traceId"]


def test_every_answer_states_the_limits() -> None:
    with Sandbox(rate_max=5, daily=50) as sandbox, Api(sandbox).session as session:
        answers = [session.get(sandbox.url + "/nowhere", timeout=5) for _ in range(2)]
    stated = dict(answers[1].headers)
    reset = int(stated["x-ratelimit-daily-reset"])
    assert {name: value for name, value in stated.items() if name.startswith("x-ratelimit")} == {
        "x-ratelimit-max": "5",
        "x-ratelimit-remaining": "3",
        "x-ratelimit-interval-milliseconds": "10000",
        "x-ratelimit-limit-daily": "50",
        "x-ratelimit-daily-remaining": "48",
        "x-ratelimit-daily-reset": str(reset),
    }
    assert 86_300_000 < reset <= 86_400_000


def test_too_many_calls_are_429_without_retry_after() -> None:
    with Sandbox(rate_max=2, interval_ms=300) as sandbox, requests.Session() as session:
        answers = [session.get(sandbox.url + "/nowhere", timeout=5) for _ in range(3)]
        time.sleep(0.35)
        later = session.get(sandbox.url + "/nowhere", timeout=5)
    assert [one.status_code for one in answers] == [404, 404, 429]
    assert answers[2].json() == {"statusCode": 429, "message": "Too Many Requests"}
    assert "retry-after" not in answers[2].headers
    assert answers[2].headers["x-ratelimit-remaining"] == "0"
    assert later.status_code == 404


def test_the_busiest_interval_counts_refused_calls_too() -> None:
    with Sandbox(rate_max=2, interval_ms=300) as sandbox, requests.Session() as session:
        for pause in (0, 0, 0.35):
            session.get(sandbox.url + "/nowhere", timeout=5)
            time.sleep(pause)
        for _ in range(2):
            session.get(sandbox.url + "/nowhere", timeout=5)
        assert sandbox.limit.busiest() == 3


def test_the_daily_limit_is_429_too() -> None:
    with Sandbox(daily=1) as sandbox, requests.Session() as session:
        answers = [session.get(sandbox.url + "/nowhere", timeout=5) for _ in range(2)]
    assert [one.status_code for one in answers] == [404, 429]
    assert answers[1].headers["x-ratelimit-daily-remaining"] == "0"


def test_the_servers_clock_can_be_off(api: Api) -> None:
    api.sandbox.clock_offset = -3600.0
    stated = parsedate_to_datetime(api.get("/nowhere").headers["Date"])
    assert 3590 < time.time() - stated.timestamp() < 3660


def test_the_limits_can_be_set_and_their_use_is_told(api: Api) -> None:
    page = f"{api.sandbox.url}/_sandbox"
    api.session.post(f"{page}/settings", json={"rate_max": 2, "interval_ms": 60_000, "latency": 0}, timeout=5)
    api.get(f"/locations/{api.location}")
    since = api.session.get(f"{page}/limits", timeout=5).json()["now"]
    for _call in range(3):
        api.get(f"/locations/{api.location}")

    used = api.session.get(f"{page}/limits", params={"since": since}, timeout=5).json()

    assert {name: used[name] for name in ("calls", "refused", "busiest")} == {"calls": 1, "refused": 2, "busiest": 3}
