"""Webhooks as the sandbox sends them: which, in what shape, signed how, and everything that may go wrong on the way."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from ghl_sync.sandbox.hooks import Hooks, public_key
from ghl_sync.sandbox.server import Sandbox
from ghl_sync.sandbox.store import Store
from tests.ghl_sync.sandbox.conftest import Api

pytestmark = pytest.mark.behaviour


class Listener(ThreadingHTTPServer):
    """Somebody who takes webhooks: keeps them and answers `answers` in turn, then 200."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.came: list[tuple[Mapping[str, str], bytes]] = []
        self.answers: list[int] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/ghl/webhook/"

    @property
    def bodies(self) -> list[Any]:
        return [json.loads(body) for _headers, body in self.came]

    @property
    def types(self) -> list[str]:
        return [body["type"] for body in self.bodies]


class _Answer(BaseHTTPRequestHandler):
    server: Listener

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.came.append((dict(self.headers), body))
        self.send_response(self.server.answers.pop(0) if self.server.answers else 200)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def listener(sandbox: Sandbox) -> Iterator[Listener]:
    """Listens to the sandbox from now on."""
    with Listener() as running:
        threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        sandbox.hooks.switch(url=running.url)
        yield running
        sandbox.hooks.switch(url="")
        running.shutdown()


def told(api: Api, listener: Listener) -> list[str]:
    """The events that came since the last time, in their order."""
    assert api.sandbox.hooks.settle()
    types = listener.types
    listener.came.clear()
    return types


def fits(key: str, headers: Mapping[str, str], body: bytes) -> bool:
    public: Any = load_der_public_key(base64.b64decode(key))
    try:
        public.verify(base64.b64decode(headers["X-GHL-Signature"]), body)
    except InvalidSignature:
        return False
    return True


def test_nothing_is_sent_without_an_address(api: Api) -> None:
    api.card()
    assert api.own("webhooks")["sent"] == []


def test_filling_an_account_in_bulk_tells_nobody(api: Api, listener: Listener) -> None:
    with api.store.bulk():
        api.contact()
    assert told(api, listener) == []


def test_one_change_is_several_events(api: Api, listener: Listener) -> None:
    card = api.card()
    assert told(api, listener) == ["ContactCreate", "OpportunityCreate", "OpportunityUpdate"]
    api.sandbox.edit(card.id, name="Fjords and fells")
    assert told(api, listener) == ["OpportunityUpdate"]
    api.put(f"/opportunities/{card.id}", {"monetaryValue": 5, "assignedTo": "user"})
    assert told(api, listener) == [
        "OpportunityUpdate", "OpportunityMonetaryValueUpdate", "OpportunityAssignedToUpdate",
    ]  # fmt: skip
    api.sandbox.edit(card.id, stage="TripComplete", status="won")
    assert told(api, listener) == ["OpportunityUpdate", "OpportunityStageUpdate", "OpportunityStatusUpdate"]


def test_a_delete_is_followed_by_an_update(api: Api, listener: Listener) -> None:
    card = api.card()
    told(api, listener)
    api.delete(f"/opportunities/{card.id}")
    assert told(api, listener) == ["OpportunityDelete", "OpportunityUpdate"]
    api.store.restore(card.id)
    assert told(api, listener) == ["OpportunityCreate", "OpportunityUpdate"]


def test_contacts_have_events_of_their_own(api: Api, listener: Listener) -> None:
    contact = api.contact()
    api.sandbox.edit(contact.id, city="Bergen")
    api.post(f"/contacts/{contact.id}/tags", {"tags": ["vip"]})
    api.put(f"/contacts/{contact.id}", {"dnd": True})
    api.delete(f"/contacts/{contact.id}")
    assert told(api, listener) == [
        "ContactCreate", "ContactUpdate", "ContactUpdate", "ContactTagUpdate", "ContactUpdate", "ContactDndUpdate",
        "ContactDelete",
    ]  # fmt: skip


def test_an_opportunity_comes_flat_without_custom_fields_and_time_of_change(api: Api, listener: Listener) -> None:
    card = api.card(fields={"max_passengers": 12})
    told(api, listener)
    api.sandbox.edit(card.id, name="Fells")
    api.sandbox.hooks.settle()
    (body,) = listener.bodies
    stage = api.store.opportunity(card.id).stage_id
    assert {key: value for key, value in body.items() if key not in {"timestamp", "webhookId", "dateAdded"}} == {
        "type": "OpportunityUpdate", "locationId": api.location, "id": card.id, "assignedTo": None,
        "contactId": card.contact_id, "monetaryValue": 0, "name": "Fells", "pipelineId": card.pipeline_id,
        "pipelineStageId": stage, "source": None, "status": "open", "appId": "sandbox-app",
        "versionId": "sandbox-app-version",
    }  # fmt: skip


def test_a_contact_comes_with_its_custom_fields(api: Api, listener: Listener) -> None:
    contact = api.contact(email="ines@example.com", fields={"contact.tripbuilder_key": "contact:1"})
    api.sandbox.hooks.settle()
    (body,) = listener.bodies
    field = api.store.field("contact.tripbuilder_key").id
    assert (body["id"], body["email"], body["customFields"]) == (
        contact.id, "ines@example.com", [{"id": field, "value": "contact:1"}],
    )  # fmt: skip


def test_each_delivery_is_signed_over_its_bytes(api: Api, listener: Listener) -> None:
    api.card()
    api.sandbox.hooks.settle()
    key = api.own("webhooks")["public_key"]
    assert [fits(key, headers, body) for headers, body in listener.came] == [True, True, True]
    headers, body = listener.came[0]
    assert not fits(key, headers, body + b" ")
    assert "X-WH-Signature" not in headers


def test_a_seed_fixes_the_key() -> None:
    seed = bytes(range(32))
    assert Hooks(Store(), seed=seed).public_key == public_key(seed)
    assert Hooks(Store()).public_key != Hooks(Store()).public_key


@pytest.mark.parametrize("signing", ["wrong", "none", "old"])
def test_signing_can_be_wrong_missing_or_old(api: Api, listener: Listener, signing: str) -> None:
    api.own("webhooks", {"signing": signing})
    api.contact()
    api.sandbox.hooks.settle()
    ((headers, body),) = listener.came
    state = api.own("webhooks")
    if signing == "wrong":
        assert not fits(state["public_key"], headers, body)
    assert ("X-GHL-Signature" in headers) is (signing == "wrong")
    assert ("X-WH-Signature" in headers) is (signing == "old")
    if signing == "old":
        public: Any = load_der_public_key(base64.b64decode(state["old_public_key"]))
        public.verify(base64.b64decode(headers["X-WH-Signature"]), body, PKCS1v15(), SHA256())


def test_each_event_can_come_several_times_with_one_id(api: Api, listener: Listener) -> None:
    api.own("webhooks", {"copies": 3})
    api.contact()
    assert api.sandbox.hooks.settle()
    assert len({body for _headers, body in listener.came}) == 1
    assert len(listener.came) == 3


def test_later_events_can_overtake(api: Api, listener: Listener) -> None:
    api.own("webhooks", {"shuffle": True})
    cards = [api.contact(first_name=f"Ines {number}").id for number in range(30)]
    assert api.sandbox.hooks.settle()
    came = [body["id"] for body in listener.bodies]
    assert sorted(came) == sorted(cards)
    assert came != cards


def test_events_can_be_late(api: Api, listener: Listener) -> None:
    api.own("webhooks", {"delay": 0.3})
    api.contact()
    assert not api.sandbox.hooks.settle(0.1)
    assert listener.came == []
    assert told(api, listener) == ["ContactCreate"]


def test_what_was_sent_can_be_replayed_as_it_was(api: Api, listener: Listener) -> None:
    api.contact()
    api.sandbox.hooks.settle()
    api.own("webhooks", {"replay": 5})
    api.sandbox.hooks.settle()
    first, again = listener.bodies
    assert first == again


def test_only_429_is_delivered_again(api: Api, listener: Listener) -> None:
    api.own("webhooks", {"retry": 0.05})
    listener.answers = [429, 200, 500]
    api.contact()
    assert api.sandbox.hooks.settle()
    for _ in range(100):
        if len(listener.came) == 2:
            break
        threading.Event().wait(0.02)
    assert len({body for _headers, body in listener.came}) == 1
    api.contact(first_name="Tomas")
    assert api.sandbox.hooks.settle()
    assert [one["status"] for one in api.own("webhooks")["sent"]] == [429, 200, 500]


def test_custom_fields_alone_are_news_or_are_not(api: Api, listener: Listener) -> None:
    card = api.card()
    told(api, listener)
    api.sandbox.edit(card.id, fields={"max_passengers": 9})
    assert told(api, listener) == ["OpportunityUpdate"]
    api.own("webhooks", {"custom_fires": False})
    api.sandbox.edit(card.id, fields={"max_passengers": 10})
    assert told(api, listener) == []


def test_nobody_listening_does_no_harm(api: Api) -> None:
    api.own("webhooks", {"url": "http://127.0.0.1:9/"})
    api.contact()
    assert api.sandbox.hooks.settle()
    assert [one["status"] for one in api.own("webhooks")["sent"]] == [0]


@pytest.mark.parametrize(
    ("switch", "words"),
    [
        ({"url": "localhost"}, "'localhost' is no address; give one such as http://127.0.0.1:8000/ghl/webhook/"),
        ({"signing": "odd"}, "signing must be one of right, wrong, none, old"),
        ({"copies": True}, "copies must be a whole number"),
        ({"copies": -1}, "copies, delay and retry cannot be negative"),
        ({"shuffle": 1}, "shuffle must be true or false"),
        ({"replay": "all"}, "replay must be a whole number"),
    ],
)
def test_a_switch_that_makes_no_sense_is_refused(api: Api, switch: dict[str, Any], words: str) -> None:
    answer = api.session.post(f"{api.sandbox.url}/_sandbox/webhooks", json=switch, timeout=5)
    assert (answer.status_code, answer.json()["message"]) == (400, words)
