"""The check of our requests against the official files catches what is wrong, and lets pass what is not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from ghl_sync.client import GHLClient
from ghl_sync.client.errors import GHLError
from ghl_sync.sandbox.server import Sandbox
from tests import openapi
from tests.openapi import WAIVERS, Call, problems

pytestmark = pytest.mark.skipif(not openapi.available(), reason=openapi.ABSENT)

HEADERS = {
    "authorization": "Bearer x",
    "version": "2021-07-28",
    "content-type": "application/json",
    "user-agent": "TripBuilder/0.1",
}
TRIP = {"pipelineId": "p", "locationId": "l", "name": "Fjords", "status": "open", "contactId": "c"}


def call(method: str, target: str, body: Any = None, **headers: str) -> Call:
    raw = b"" if body is None else json.dumps(body).encode()
    return Call(method, target, HEADERS | headers, raw)


@pytest.mark.parametrize(
    "request_",
    [
        call("GET", "/opportunities/pipelines?locationId=l"),
        call("GET", "/opportunities/abc"),
        call("POST", "/opportunities/", TRIP),
        call("PUT", "/opportunities/abc", {}),
        call("PUT", "/opportunities/abc", {"customFields": [{"id": "f", "field_value": 12.5}]}),
        call("PUT", "/opportunities/abc", {"customFields": [{"id": "f", "field_value": None}]}),
        call("PUT", "/opportunities/abc", {"customFields": [{"id": "f", "field_value": ["True"]}]}),
        call("POST", "/opportunities/search", {"locationId": "l", "limit": 100, "searchAfter": [1, "x"]}),
        call("GET", "/contacts/search/duplicate?locationId=l&number=%2B12025550100"),
        call("POST", "/contacts/", {"locationId": "l", "email": "ines@example.com"}),
        call("PUT", "/contacts/abc", {"city": None, "postalCode": None}),
        call("GET", "/locations/l/customFields?model=all"),
        call("PUT", "/locations/l/customFields/f", {"name": "Trip", "options": ["A", "B"]}),
        call("PUT", "/opportunities/abc", {"customFields": [{"id": "f", "fieldValue": 3}]}, version="v3"),
    ],
    ids=lambda one: f"{one.method} {one.target}",
)
def test_a_right_request_passes(request_: Call) -> None:
    assert problems(request_) == []


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (call("GET", "/opportunity/abc"), "GET /opportunity/abc: no such call"),
        (call("POST", "/opportunities", TRIP), "POST /opportunities: no such call"),
        (call("GET", "/locations/l/customfields"), "GET /locations/l/customfields: no such call"),
        (call("PATCH", "/opportunities/abc", {}), "PATCH /opportunities/abc: no such call"),
        (call("GET", "/opportunities/abc", version="2020-01-01"), "Version '2020-01-01' is none of"),
        (call("GET", "/opportunities/abc", authorization="Basic x"), "no bearer token"),
        (call("GET", "/opportunities/pipelines"), "query parameter locationId is missing"),
        (call("GET", "/opportunities/search?location_id=l&locationId=l"), "unknown query parameter locationId"),
        (call("GET", "/locations/l/customFields?model=trip"), "query parameter model is 'trip', not one of"),
        (call("POST", "/opportunities/"), "the body is missing"),
        (call("GET", "/opportunities/abc", {"a": 1}), "a body is sent where none is taken"),
        (call("PUT", "/opportunities/abc", {}, **{"content-type": "text/plain"}), "Content-Type is 'text/plain'"),
        (call("POST", "/opportunities/", TRIP | {"status": "done"}), "body.status: 'done' is not one of"),
        (call("POST", "/opportunities/", {"name": "x"}), "body: 'contactId' is a required property"),
        (call("PUT", "/opportunities/abc", {"contactId": "c"}), "('contactId' was unexpected)"),
        (call("PUT", "/opportunities/abc", {"customFields": {"f": 1}}), "body.customFields: {'f': 1} is not of type"),
        (call("PUT", "/opportunities/abc", {"customFields": [{"id": "f", "fieldValue": 3}]}), "body.customFields[0]"),
        (
            call("PUT", "/opportunities/abc", {"customFields": [{"id": "f", "field_value": 3}]}, version="v3"),
            "body.customFields[0]",
        ),
        (call("POST", "/opportunities/search", {"limit": 1}), "body: 'locationId' is a required property"),
        (call("PUT", "/contacts/abc", {"locationId": "l"}), "('locationId' was unexpected)"),
        (call("PUT", "/contacts/abc", {"companyName": "x"}), "('companyName' was unexpected)"),
        (call("POST", "/contacts/abc/tags", {"tags": "vip"}), "body.tags: 'vip' is not of type 'array'"),
        (call("PUT", "/locations/l/customFields/f", {"options": ["A"]}), "body: 'name' is a required property"),
    ],
    ids=lambda one: f"{one.method} {one.target}" if isinstance(one, Call) else "",
)
def test_a_wrong_request_is_caught(request_: Call, words: str) -> None:
    assert words in "\n".join(problems(request_))


def test_every_waiver_names_its_paragraph_and_is_needed() -> None:
    documents = [
        json.loads((openapi.FOLDER / "apps" / name).read_text(encoding="utf-8"))["components"]["schemas"]
        for names in openapi.FILES.values()
        for name in names
    ]
    for waiver in WAIVERS:
        originals = [schemas[name] for schemas in documents for name in waiver.schemas if name in schemas]
        assert waiver.source.startswith("API notes §")
        assert originals, waiver.name
        for original in originals:
            differs = any(original["properties"].get(name) != spec for name, spec in waiver.properties.items())
            assert differs or waiver.optional & set(original.get("required", ())), waiver.name


@pytest.fixture
def stand_in() -> Iterator[Sandbox]:
    with Sandbox(rate_max=100_000) as running:
        yield running


def client_of(sandbox: Sandbox) -> GHLClient:
    return GHLClient(token=sandbox.token, location_id=sandbox.store.location_id, base_url=sandbox.url, timeout=5)


def test_our_client_is_watched(stand_in: Sandbox) -> None:
    client = client_of(stand_in)

    with (
        pytest.raises(AssertionError, match="'colour' was unexpected"),
        openapi.watched(stand_in),
        pytest.raises(GHLError),
    ):
        client.update_contact("abc", {"colour": "red"})


def test_a_request_that_the_sandbox_loses_is_watched_too(stand_in: Sandbox) -> None:
    client = client_of(stand_in)
    stand_in.faults.add("cut")

    with (
        pytest.raises(AssertionError, match="'colour' was unexpected"),
        openapi.watched(stand_in),
        pytest.raises(GHLError),
    ):
        client.update_contact("abc", {"colour": "red"})


def test_what_a_test_sends_itself_is_left_alone(stand_in: Sandbox) -> None:
    with openapi.watched(stand_in) as calls:
        requests.get(f"{stand_in.url}/opportunity/abc", timeout=5)

    assert [(one.target, one.ours) for one in calls] == [("/opportunity/abc", False)]
