"""Webhooks from the wire to both sides being equal: who is believed, what is kept, and that order never matters."""

from __future__ import annotations

import datetime as dt
import json
import random
import socket
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django_q.models import OrmQ
from django_q.signing import SignedPackage
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ghl_sync import tasks, webhooks
from ghl_sync.client.errors import TryLater
from ghl_sync.engine import inbox, state
from ghl_sync.engine.clock import database_now
from ghl_sync.engine.local import stub_contact
from ghl_sync.engine.pull import pull
from ghl_sync.engine.session import Session
from ghl_sync.models import Arrival, Issue, Kind, Link, Location, WebhookEvent, WebhookRefusal
from ghl_sync.sandbox.server import Sandbox
from tests.clusters import eventually
from tests.ghl_sync.engine.mirror import a_trip, link_of
from trips.models import Contact, Passenger, Trip

ADDRESS = "/ghl/webhook/"
Outcome = WebhookEvent.Outcome


@pytest.fixture
def told(connected: Sandbox, settings: Any, db: None) -> Sandbox:
    """The sandbox, whose signature is believed; nothing is delivered yet."""
    settings.GHL_WEBHOOK_PUBLIC_KEYS = [connected.hooks.public_key]
    settings.GHL_WEBHOOK_SECRET = "a-secret-that-two-machines-know"
    fresh = webhooks._Refusals()
    fresh.EVERY_SECONDS = 0.0
    webhooks.refusals.__dict__.update(fresh.__dict__)
    return connected


def body_of(sandbox: Sandbox, record: Any, event: str = "OpportunityUpdate", **over: Any) -> bytes:
    """One event as the sandbox words it; None leaves a key out."""
    said = json.loads(sandbox.hooks.body(event, record)) | over
    return json.dumps({key: value for key, value in said.items() if value is not None}).encode()


def deliver(sandbox: Sandbox, body: bytes, signing: str = "right", client: Client | None = None) -> tuple[int, Any]:
    """Status and JSON of one delivery."""
    proof = sandbox.hooks.signed(body, signing)
    answer = (client or Client()).post(ADDRESS, body, content_type="application/json", headers=proof)
    return answer.status_code, answer.json()


def card(sandbox: Sandbox, pipeline: str = "TripBooking", **over: Any) -> Any:
    contact = sandbox.store.add_contact(first_name="Ines", last_name="Prado")
    return sandbox.store.add_opportunity(**{"pipeline": pipeline, "name": "Fjords", "contact_id": contact.id} | over)


def outcomes() -> list[str]:
    return list(WebhookEvent.objects.order_by("pk").values_list("outcome", flat=True))


def refused() -> dict[str, int]:
    return dict(WebhookRefusal.objects.values_list("reason", "count"))


def handle(session: Session) -> bool:
    return inbox.handle(session, seconds=20)


def gets(sandbox: Sandbox) -> list[str]:
    return [one.path for one in sandbox.requests if one.method == "GET"]


# Who is believed, and what is kept


def test_a_signed_webhook_is_kept_with_its_body_sealed(told: Sandbox) -> None:
    record = card(told)
    body = body_of(told, record, webhookId="delivery-1")
    assert deliver(told, body) == (200, {"status": "stored"})
    event = WebhookEvent.objects.get()
    assert (event.delivery_id, event.kind, event.record_kind, event.record_id, event.outcome, event.body) == (
        "delivery-1", "OpportunityUpdate", "opportunity", record.id, "waiting", body.decode(),
    )  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute("SELECT body FROM ghl_sync_webhookevent")
        (stored,) = cursor.fetchone()
    assert "Fjords" not in stored


@pytest.mark.parametrize(("signing", "reason"), [("none", "unsigned"), ("wrong", "wrong"), ("old", "unsigned")])
def test_what_is_not_proven_is_401_and_only_counted(told: Sandbox, signing: str, reason: str) -> None:
    body = body_of(told, card(told))
    for _ in range(2):
        status, answer = deliver(told, body, signing)
        assert (status, answer) == (401, {"message": "The signature is missing or wrong."})
    assert (WebhookEvent.objects.count(), refused()) == (0, {reason: 2})


def test_a_flood_of_refusals_is_one_line_and_one_write(
    told: Sandbox, caplog: pytest.LogCaptureFixture, django_assert_num_queries: Any
) -> None:
    webhooks.refusals.EVERY_SECONDS = 60.0  # type: ignore[misc]
    deliver(told, b"", "none")
    with django_assert_num_queries(0):
        for _ in range(50):
            assert deliver(told, b"", "none")[0] == 401
    assert [record.message for record in caplog.records] == ["webhooks refused: 1 unsigned"]
    webhooks.refusals.EVERY_SECONDS = 0.0  # type: ignore[misc]
    deliver(told, b"", "none")
    assert refused() == {"unsigned": 52}


def test_the_old_signature_counts_once_it_is_switched_on(told: Sandbox, settings: Any) -> None:
    settings.GHL_WEBHOOK_RSA = [told.hooks.old_public_key]
    assert deliver(told, body_of(told, card(told)), "old") == (200, {"status": "stored"})


def test_a_workflow_is_believed_by_its_secret(told: Sandbox, client: Client, settings: Any) -> None:
    said = {"type": "OpportunityUpdate", "locationId": told.store.location_id, "id": card(told).id}
    send = {"data": json.dumps(said), "content_type": "application/json"}
    right = {"X-TripBuilder-Secret": settings.GHL_WEBHOOK_SECRET}
    assert client.post(ADDRESS, **send, headers={"X-TripBuilder-Secret": "guessed"}).status_code == 401
    assert client.post(ADDRESS, **send, headers=right).json() == {"status": "stored"}
    assert WebhookEvent.objects.get().delivery_id.startswith("body:")


@pytest.mark.parametrize("method", ["get", "put", "delete", "patch", "head"])
def test_only_a_post_is_taken(told: Sandbox, client: Client, method: str) -> None:
    assert getattr(client, method)(ADDRESS).status_code == 405


def test_the_address_works_without_its_last_slash(told: Sandbox, client: Client) -> None:
    body = body_of(told, card(told))
    proof = told.hooks.signed(body)
    assert client.post("/ghl/webhook", body, content_type="application/json", headers=proof).status_code == 200


def test_another_account_is_answered_counted_and_forgotten(told: Sandbox, settings: Any) -> None:
    record = card(told)
    assert deliver(told, body_of(told, record, locationId="elsewhere")) == (200, {"status": "ignored"})
    assert deliver(told, body_of(told, record, locationId=None)) == (200, {"status": "ignored"})
    settings.GHL_LOCATION_ID = ""
    assert deliver(told, body_of(told, record, locationId="")) == (200, {"status": "ignored"})
    assert (WebhookEvent.objects.count(), refused()) == (0, {"other_account": 3})


def test_an_event_of_no_record_is_kept_and_closed(told: Sandbox) -> None:
    record = card(told)
    assert deliver(told, body_of(told, record, "INSTALL", id=None)) == (200, {"status": "stored"})
    assert deliver(told, body_of(told, record, "OpportunityUpdate", id="../contacts/1")) == (200, {"status": "stored"})
    assert list(WebhookEvent.objects.values_list("record_id", "outcome")) == [("", "ignored"), ("", "ignored")]
    assert OrmQ.objects.count() == 0


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"null", b"type=OpportunityUpdate", b"\xff\xfe{}", b'{"a": ' + b"9" * 5000 + b"}", b'{"a": "\x00"}',
     b"[" * 10_000 + b"]" * 10_000, b'{"a":' * 10_000 + b"1" + b"}" * 10_000],
)  # fmt: skip
def test_an_authentic_body_that_is_no_object_is_400(told: Sandbox, body: bytes) -> None:
    status, _answer = deliver(told, body)
    assert (status, WebhookEvent.objects.count(), refused()) == (400, 0, {"unreadable": 1})


def test_a_large_body_is_refused_unread(told: Sandbox, live_server: Any) -> None:
    parts = urlsplit(live_server.url)
    with socket.create_connection((parts.hostname, parts.port), 5) as wire:
        wire.sendall(f"POST {ADDRESS} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10485760\r\n\r\n".encode())
        assert wire.recv(100).startswith(b"HTTP/1.1 413 ")  # though not a byte of it was sent
    assert deliver(told, b"x" * (webhooks.LARGEST_BODY + 1))[0] == 413
    assert refused() == {"too_large": 2}


@pytest.mark.parametrize("length", ["-1", "many", "9" * 30])
def test_a_length_that_makes_no_sense_is_refused(told: Sandbox, client: Client, length: str) -> None:
    assert client.post(ADDRESS, b"{}", content_type="application/json", CONTENT_LENGTH=length).status_code == 413


# Doubles


def test_a_webhook_that_comes_twice_is_one(told: Sandbox, session: Session) -> None:
    record = card(told)
    body = body_of(told, record)
    assert [deliver(told, body)[1]["status"] for _ in range(3)] == ["stored", "known", "known"]
    handle(session)
    told.requests.clear()
    assert deliver(told, body) == (200, {"status": "known"})  # replayed an hour later
    handle(session)
    assert (outcomes(), list(told.requests)) == (["imported"], [])


def test_a_webhook_without_an_id_asks_again_once_it_was_handled(told: Sandbox, session: Session) -> None:
    record = card(told)
    body = body_of(told, record, webhookId=None, timestamp=None)
    deliver(told, body)
    handle(session)
    told.edit(record.id, fields={"max_passengers": 31})
    assert deliver(told, body) == (200, {"status": "stored"})
    handle(session)
    assert (outcomes(), Trip.objects.get().capacity) == (["compared"], 31)


def test_one_that_comes_again_while_it_is_handled_waits_for_another_look(told: Sandbox) -> None:
    deliver(told, body_of(told, card(told), webhookId=None))
    (event,) = state.waiting_events()
    asked_at = event.received_at
    WebhookEvent.objects.update(received_at="2099-01-01T00:00:00Z")
    state.close_events([event.pk], Outcome.COMPARED, asked_at)
    assert outcomes() == ["waiting"]


# The queue


@pytest.mark.django_db(transaction=True)
def test_many_webhooks_wake_the_queue_once_and_tell_it_nothing(told: Sandbox) -> None:
    for number in range(5):
        deliver(told, body_of(told, card(told, name=f"Trip {number}")))
    ((payload,),) = OrmQ.objects.values_list("payload")
    task = SignedPackage.loads(payload)
    assert (task["func"], task["args"], task["kwargs"]) == ("ghl_sync.tasks.handle_events", (), {})


@pytest.mark.django_db(transaction=True)
def test_of_webhooks_that_come_at_once_one_wakes_the_queue(told: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    bodies = [body_of(told, card(told, name=name)) for name in ("Fjords", "Lofoten")]
    all_are_kept, keep = threading.Barrier(2), state.store_event

    def keep_both_first(delivery: Any) -> int | None:
        kept = keep(delivery)
        all_are_kept.wait(10)
        return kept

    monkeypatch.setattr(state, "store_event", keep_both_first)
    woken: list[bool] = []

    def receive(body: bytes) -> None:
        woken.append(inbox.receive(inbox.understand(body)).wake)
        connection.close()

    both = [threading.Thread(target=receive, args=(body,)) for body in bodies]
    for one in both:
        one.start()
    for one in both:
        one.join()

    assert sorted(woken) == [False, True]


def test_a_storm_is_let_in_before_its_records_are_read(
    told: Sandbox, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    trip = card(told)
    pull(session)
    asked: list[bool] = []

    def read(_session: Session, **_how: Any) -> bool:
        asked.append(inbox.pours())
        return False

    monkeypatch.setattr(inbox, "handle", read)
    monkeypatch.setattr(inbox, "STORM_SECONDS", 60.0)
    for number in range(inbox.STORM):
        assert not inbox.pours()
        deliver(told, body_of(told, trip, webhookId=f"one-of-a-storm-{number}"))
    monkeypatch.setattr(tasks, "POURING_SECONDS", 0.5)
    tasks.handle_events()  # it does not end in time
    monkeypatch.setattr(tasks, "POURING_SECONDS", 60.0)
    WebhookEvent.objects.update(received_at=database_now() - dt.timedelta(seconds=59))
    tasks.handle_events()  # it ends

    assert asked == [True, False]


def test_the_next_webhook_after_the_work_wakes_the_queue_again(told: Sandbox, session: Session) -> None:
    deliver(told, body_of(told, card(told)))
    tasks.handle_events()
    deliver(told, body_of(told, card(told)))
    assert OrmQ.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_what_the_queue_lost_the_sweep_finds(told: Sandbox, session: Session) -> None:
    deliver(told, body_of(told, card(told)))
    OrmQ.objects.all().delete()
    tasks.sweep()
    assert (outcomes(), Trip.objects.count()) == (["imported"], 1)


@pytest.mark.django_db(transaction=True)
def test_work_that_takes_longer_goes_on_in_the_next_task(
    told: Sandbox, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        deliver(told, body_of(told, card(told, name=f"Trip {number}")))
    OrmQ.objects.all().delete()
    monkeypatch.setattr(tasks, "EVENTS_SECONDS", 0)
    tasks.handle_events()
    assert OrmQ.objects.count() == 1
    monkeypatch.setattr(tasks, "EVENTS_SECONDS", 20)
    tasks.handle_events()
    assert (OrmQ.objects.count(), Trip.objects.count()) == (1, 3)


def test_one_worker_at_a_time_reads(told: Sandbox, session: Session) -> None:
    deliver(told, body_of(told, card(told)))
    assert state.hold_inbox(session.location, 60)
    assert handle(session) is False
    assert outcomes() == ["waiting"]
    state.release_inbox(session.location)
    handle(session)
    assert outcomes() == ["imported"]


def test_while_fetching_is_paused_webhooks_wait(told: Sandbox, session: Session) -> None:
    deliver(told, body_of(told, card(told)))
    Location.objects.update(fetching_paused_at="2026-01-01T00:00:00Z")
    session.location.refresh_from_db()
    assert handle(session) is False
    assert (outcomes(), gets(told)) == (["waiting"], [])


# What follows from one


def test_many_events_of_a_known_record_are_one_look(told: Sandbox, session: Session) -> None:
    record = card(told)
    pull(session)
    told.edit(record.id, fields={"max_passengers": 40}, stage="TripScheduled")
    for event in ("OpportunityUpdate", "OpportunityStageUpdate", "OpportunityUpdate"):
        deliver(told, body_of(told, record, event))
    told.requests.clear()
    handle(session)
    assert gets(told) == [f"/opportunities/{record.id}"]
    assert (Trip.objects.get().capacity, outcomes()) == (40, ["compared"] * 3)


@pytest.mark.django_db(transaction=True)
def test_several_known_records_are_read_at_a_time(told: Sandbox, settings: Any) -> None:
    settings.GHL_CALLS_IN_FLIGHT = 4
    session = Session()
    records = [card(told, name=f"Trip {number}") for number in range(20)]
    pull(session)
    for record in records:
        told.edit(record.id, fields={"max_passengers": 9})
        deliver(told, body_of(told, record))
    told.latency = 0.25
    started = time.monotonic()
    handle(session)
    assert time.monotonic() - started < 20 * 0.25  # one after the other they would take longer
    assert set(Trip.objects.values_list("capacity", flat=True)) == {9}


def test_what_a_webhook_says_of_a_record_is_never_used(told: Sandbox, session: Session) -> None:
    record = card(told)
    pull(session)
    deliver(told, body_of(told, record, name="Forged", status="lost", pipelineStageId="nowhere"))
    handle(session)
    assert (Trip.objects.get().name, link_of(Trip.objects.get()).remote_dirty_at) == ("Fjords", None)


def test_records_made_over_there_come_in(told: Sandbox, session: Session) -> None:
    trip = card(told, fields={"max_passengers": 12})
    told.store.add_options("trip_name", ["Fjords"])
    passenger = card(told, "Passenger", name="Ana Reis", fields={"trip_name": "Fjords"})
    alone = told.store.add_contact(first_name="Otto", last_name="Lind")
    deliver(told, body_of(told, trip, "OpportunityCreate"))
    deliver(told, body_of(told, passenger, "OpportunityCreate"))
    deliver(told, body_of(told, alone, "ContactCreate"))
    handle(session)
    assert (outcomes(), Trip.objects.get().capacity) == (["imported"] * 3, 12)
    assert Passenger.objects.get().trip == Trip.objects.get()
    assert sorted(Contact.objects.values_list("first_name", flat=True)) == ["Ines", "Ines", "Otto"]
    assert not Issue.objects.filter(code="stub", closed_at__isnull=True).exists()  # their own records were read, too


def test_a_passenger_that_comes_before_its_trip_finds_it(told: Sandbox, session: Session) -> None:
    told.store.add_options("trip_name", ["Fjords"])
    passenger = card(told, "Passenger", name="Ana Reis", fields={"trip_name": "Fjords"})
    deliver(told, body_of(told, passenger, "OpportunityCreate"))
    handle(session)
    assert Passenger.objects.get().trip is None
    deliver(told, body_of(told, card(told), "OpportunityCreate"))
    handle(session)
    assert Passenger.objects.get().trip == Trip.objects.get()


def test_a_record_of_ours_whose_create_answer_was_lost_is_met(told: Sandbox, session: Session) -> None:
    trip = a_trip(name="Azores")
    link = link_of(trip)
    contact = told.store.add_contact(first_name="Ines")
    record = told.store.add_opportunity(
        pipeline="TripBooking", name="Azores", contact_id=contact.id, fields={"tripbuilder_key": link.key}
    )
    deliver(told, body_of(told, record, "OpportunityCreate"))
    handle(session)
    assert (link_of(trip).remote_id, Trip.objects.count()) == (record.id, 1)


def test_a_record_of_another_pipeline_is_left_alone_without_a_call(told: Sandbox, session: Session) -> None:
    told.store.add_pipeline("Leads", ["New"])
    deliver(told, body_of(told, card(told, "Leads")))
    handle(session)
    assert (outcomes(), gets(told), Trip.objects.count()) == (["elsewhere"], [], 0)


def test_a_record_said_to_be_ours_and_found_in_another_pipeline_is_left_alone(told: Sandbox, session: Session) -> None:
    told.store.add_pipeline("Leads", ["New"])
    ours = told.store.pipeline("TripBooking").id
    deliver(told, body_of(told, card(told, "Leads"), pipelineId=ours))
    handle(session)
    assert (outcomes(), Trip.objects.count()) == (["elsewhere"], 0)


@pytest.mark.parametrize("order", [("Delete", "Update"), ("Update", "Delete")])
@pytest.mark.parametrize("together", [True, False])
def test_a_delete_flags_the_record_in_whichever_order_its_events_come(
    told: Sandbox, session: Session, order: tuple[str, str], together: bool
) -> None:
    record, other = card(told), card(told, name="Alps")
    pull(session)
    told.store.delete(record.id)
    for event in order:
        deliver(told, body_of(told, record, f"Opportunity{event}"))
        if not together:
            handle(session)
    handle(session)
    links = Link.objects.filter(kind=Kind.TRIP)
    assert {link.remote_id: link.gone_at is not None for link in links} == {record.id: True, other.id: False}
    assert (Trip.objects.count(), Counter(outcomes())["waiting"]) == (2, 0)


def test_a_deleted_record_that_was_never_here_is_not_made(told: Sandbox, session: Session) -> None:
    record = card(told)
    told.store.delete(record.id)
    deliver(told, body_of(told, record, "OpportunityDelete"))
    deliver(told, body_of(told, record, "OpportunityUpdate"))
    handle(session)
    assert (outcomes(), Trip.objects.count()) == (["not_found", "not_found"], 0)


def test_a_delete_is_not_believed_while_nothing_is_found(told: Sandbox, session: Session) -> None:
    records = [card(told), card(told, name="Alps")]
    pull(session)
    told.faults.add("status", method="GET", path="/opportunities/.*", status=400, times=9,
                    message=f"The opportunity with id {records[0].id} was not found")  # fmt: skip
    deliver(told, body_of(told, records[0], "OpportunityDelete"))
    handle(session)
    assert not Link.objects.filter(gone_at__isnull=False).exists()


def test_a_record_that_counts_as_gone_and_is_restored_is_back(told: Sandbox, session: Session) -> None:
    record, _other = card(told), card(told, name="Alps")
    pull(session)
    told.store.delete(record.id)
    deliver(told, body_of(told, record, "OpportunityDelete"))
    handle(session)
    told.store.restore(record.id)
    told.edit(record.id, fields={"max_passengers": 8})
    deliver(told, body_of(told, record, "OpportunityCreate"))
    handle(session)
    link = Link.objects.get(remote_id=record.id)
    assert (link.gone_at, Trip.objects.get(pk=link.object_id).capacity) == (None, 8)


def test_a_record_that_needs_a_person_still_hears_of_changes_over_there(told: Sandbox, session: Session) -> None:
    record = card(told)
    pull(session)
    Link.objects.filter(remote_id=record.id).update(parked_at="2026-01-01T00:00:00Z", last_error="refused")
    told.edit(record.id, fields={"max_passengers": 17})
    deliver(told, body_of(told, record))
    handle(session)
    assert (Trip.objects.get().capacity, outcomes()) == (17, ["compared"])


def test_a_record_that_is_ignored_is_not_looked_at(told: Sandbox, session: Session) -> None:
    record = card(told)
    pull(session)
    Link.objects.filter(remote_id=record.id).update(ignored_at="2026-01-01T00:00:00Z")
    told.requests.clear()
    deliver(told, body_of(told, record))
    handle(session)
    assert (outcomes(), gets(told)) == (["ignored"], [])


def deleted_on_both_sides(told: Sandbox, session: Session) -> Any:
    record = card(told)
    pull(session)
    Trip.objects.get().delete()
    Link.objects.filter(remote_id=record.id).update(
        deleted_at="2026-01-01T00:00:00Z", remote_gone_at="2026-01-01T00:01:00Z"
    )
    told.store.delete(record.id)
    return record


def test_the_echo_of_our_own_delete_brings_nothing_back(told: Sandbox, session: Session) -> None:
    record = deleted_on_both_sides(told, session)
    deliver(told, body_of(told, record, "OpportunityDelete"))
    deliver(told, body_of(told, record, "OpportunityUpdate"))
    handle(session)
    assert (outcomes(), Trip.objects.count(), Issue.objects.count()) == (["not_found", "not_found"], 0, 0)


def test_a_record_deleted_here_and_restored_there_is_a_question(told: Sandbox, session: Session) -> None:
    record = deleted_on_both_sides(told, session)
    told.store.restore(record.id)
    deliver(told, body_of(told, record, "OpportunityCreate"))
    handle(session)
    assert (Trip.objects.count(), list(Issue.objects.values_list("code", flat=True))) == (0, ["came_back"])


def test_an_unknown_record_that_cannot_be_read_waits_and_is_left_to_the_pull_in_the_end(
    told: Sandbox, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox, "MOST_TRIES", 2)
    record = card(told)
    told.faults.add("status", method="GET", path=f"/opportunities/{record.id}", times=99)
    deliver(told, body_of(told, record))
    for _ in range(inbox.MOST_TRIES):
        with pytest.raises(TryLater):
            handle(session)
        assert outcomes() == ["waiting"]
    handle(session)
    assert outcomes() == ["failed"]


def test_a_known_record_that_cannot_be_read_stays_due(told: Sandbox, session: Session) -> None:
    record = card(told)
    pull(session)
    told.edit(record.id, fields={"max_passengers": 23})
    told.faults.add("status", method="GET", path=f"/opportunities/{record.id}", times=99)
    deliver(told, body_of(told, record))
    handle(session)
    assert Link.objects.get(remote_id=record.id).remote_dirty_at is not None
    told.faults.clear()
    Link.objects.update(next_attempt_at=None)
    handle(session)
    assert Trip.objects.get().capacity == 23


def test_webhooks_that_never_came_are_repaired_by_the_pull(told: Sandbox, session: Session) -> None:
    record = card(told)
    pull(session)
    told.edit(record.id, fields={"max_passengers": 19})
    pull(session)
    assert (Trip.objects.get().capacity, WebhookEvent.objects.count()) == (19, 0)


def test_webhooks_of_long_ago_are_forgotten(told: Sandbox) -> None:
    for number in range(3):
        deliver(told, body_of(told, card(told), webhookId=f"delivery-{number}"))
    deliver(told, b"", "none")
    WebhookEvent.objects.filter(delivery_id="delivery-1").update(received_at="2026-01-01T00:00:00Z")
    WebhookRefusal.objects.update(day="2026-01-01")
    tasks.forget_events()
    assert sorted(WebhookEvent.objects.values_list("delivery_id", flat=True)) == ["delivery-0", "delivery-2"]
    assert refused() == {}


# The database is down


@contextmanager
def locked_database() -> Iterator[None]:
    """Nobody else can write, as during a long import or when the disk hangs."""
    found = connection.settings_dict
    if connection.vendor == "sqlite":
        other: Any = sqlite3.connect(found["NAME"], isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
    else:
        other = psycopg.connect(
            host=found["HOST"], port=found["PORT"], user=found["USER"], password=found["PASSWORD"], dbname=found["NAME"]
        )
        other.execute("LOCK TABLE ghl_sync_webhookevent, ghl_sync_webhookrefusal IN ACCESS EXCLUSIVE MODE")
    try:
        yield
    finally:
        other.rollback()
        other.close()


@pytest.mark.django_db(transaction=True)
def test_what_cannot_be_stored_is_429_and_welcome_again(
    told: Sandbox, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state.events, "PATIENCE_MS", 100)
    body = body_of(told, card(told))
    proof = told.hooks.signed(body)
    with locked_database():
        started = time.monotonic()
        answer = client.post(ADDRESS, body, content_type="application/json", headers=proof)
        assert (answer.status_code, answer["Retry-After"]) == (429, "60")
        assert time.monotonic() - started < 2
    assert deliver(told, body) == (200, {"status": "stored"})
    deliver(told, b"", "none")
    assert refused() == {"not_stored": 1, "unsigned": 1}  # the first one was counted once that was possible


@pytest.mark.django_db(transaction=True)
def test_a_webhook_that_met_a_locked_database_is_delivered_again(
    told: Sandbox, session: Session, live_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state.events, "PATIENCE_MS", 50)
    told.hooks.switch(url=live_server.url + ADDRESS, retry=0.3)
    with locked_database():
        record = card(told)
        eventually(lambda: 429 in [one.status for one in told.hooks.sent])
    eventually(lambda: WebhookEvent.objects.filter(record_id=record.id).count() == 2)
    assert told.hooks.settle()
    told.hooks.switch(url="")
    handle(session)
    assert Trip.objects.count() == 1


# Rubbish

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
KEYS = ("type", "locationId", "id", "webhookId", "timestamp", "pipelineId", "contactId", "customFields")


@hypothesis_settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    over=st.dictionaries(st.sampled_from(KEYS), JSON, max_size=5),
    raw=st.none() | st.binary(max_size=200),
    signing=st.sampled_from(["right", "wrong", "none"]),
)
def test_no_body_makes_an_error_or_a_change(
    told: Sandbox, session: Session, over: dict[str, Any], raw: bytes | None, signing: str
) -> None:
    if not told.opportunities():
        card(told)
        pull(session)
    before = _everything()
    told.requests.clear()
    record = told.opportunities()[0]
    good = body_of(told, record)
    body = raw if raw is not None else json.dumps(json.loads(good) | over).encode()
    status, _answer = deliver(told, body, signing)
    assert status in ({200, 400} if signing == "right" else {401})
    handle(session)
    assert (_everything(), told.writes(), Counter(outcomes())["waiting"]) == (before, [], 0)


def _everything() -> Any:
    """All that webhooks must not change while nothing changed over there."""
    models = (Trip, Passenger, Contact)
    rows = [list(model._base_manager.order_by("pk").values()) for model in models]
    return rows, list(Link.objects.order_by("pk").values_list("object_id", "remote_id", "gone_at", "parked_at", "base"))


# Everything at once


@pytest.mark.django_db(transaction=True)
def test_doubled_shuffled_and_replayed_events_of_many_edits_leave_both_sides_equal(
    told: Sandbox, session: Session, live_server: Any
) -> None:
    chance = random.Random(11)
    records = [card(told, name=f"Trip {number}") for number in range(12)]
    pull(session)
    told.hooks.switch(url=live_server.url + ADDRESS, copies=2, shuffle=True)
    living = list(records)
    for number in range(60):
        record = chance.choice(living)
        told.edit(
            record.id, fields={"max_passengers": number + 1}, stage=chance.choice(["TripScheduled", "TripComplete"])
        )
        if number % 20 == 10:
            living.append(card(told, name=f"New {number}"))
            living.remove(record)
            told.store.delete(record.id)
        if number % 15 == 0:
            handle(session)
    told.hooks.replay(30)
    assert told.hooks.settle()
    told.hooks.switch(url="")
    handle(session)
    assert [one.status for one in told.hooks.sent if one.status != 200] == []
    over_there = {row.id: told.store.custom_by_key(row).get("max_passengers") for row in told.opportunities()}
    links = {link.object_id: link.remote_id for link in Link.objects.filter(kind=Kind.TRIP, gone_at__isnull=True)}
    here = {links[trip.pk]: trip.capacity for trip in Trip.objects.filter(pk__in=links)}
    assert here == over_there
    assert (Trip.objects.count(), set(outcomes()) - {"compared", "imported", "not_found"}) == (15, set())
    assert told.writes() == []


@pytest.mark.django_db(transaction=True)
def test_two_who_meet_one_unknown_contact_at_once_make_one(told: Sandbox) -> None:
    def meet(number: int) -> None:
        gate.wait()
        made.append(stub_contact("contact-over-there", {"contact": {"name": "Ines Prado"}}).pk)
        connection.close()

    made: list[int] = []
    gate = threading.Barrier(4)
    workers = [threading.Thread(target=meet, args=(number,)) for number in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert (len(set(made)), Contact.objects.count(), Link.objects.count()) == (1, 1, 1)


# What its coming says of where a value is from, and what a look costs


@pytest.mark.parametrize("parked", [False, True])
def test_what_a_webhook_brought_is_told_so(told: Sandbox, parked: bool) -> None:
    record = card(told)
    pull(Session(), full=True)
    link = Link.objects.get(remote_id=record.id)
    if parked:
        Link.objects.filter(pk=link.pk).update(parked_at=database_now())
    told.edit(record.id, fields={"trip_description": "By the sea"})
    deliver(told, body_of(told, record))
    handle(Session())
    assert list(Arrival.objects.filter(link=link).values_list("via", "values")) == [
        ("webhook", {"description": "By the sea"})
    ]


def test_what_a_pull_brought_after_a_webhook_of_another_record_is_the_pull_s(told: Sandbox) -> None:
    record, other = card(told), card(told, name="Lisbon")
    pull(Session(), full=True)
    deliver(told, body_of(told, other))
    told.edit(record.id, fields={"trip_description": "By the sea"})
    pull(Session(), full=True)
    assert list(Arrival.objects.values_list("link__remote_id", "via")) == [(record.id, "pull")]


def test_a_look_at_what_has_not_changed_neither_locks_nor_loads_it(told: Sandbox) -> None:
    record = card(told)
    pull(Session(), full=True)
    deliver(told, body_of(told, record))
    with CaptureQueriesContext(connection) as asked:
        handle(Session())
    touched = {query["sql"] for query in asked if "trips_" in query["sql"]}
    assert (outcomes(), len(touched), Link.objects.get(remote_id=record.id).state_now()) == (["compared"], 1, "synced")


def test_a_trip_that_a_webhook_names_does_not_have_all_trips_read(told: Sandbox) -> None:
    for name in ("Alps", "Bergen", "Cadiz"):
        card(told, name=name)
    pull(Session(), full=True)
    deliver(told, body_of(told, card(told, name="Dover"), event="OpportunityCreate"))
    with CaptureQueriesContext(connection) as asked:
        handle(Session())
    whole = [query["sql"] for query in asked if '"legacy_trip_id"' in query["sql"] and "WHERE" not in query["sql"]]
    assert ([one for one in whole if one.startswith("SELECT")], Trip.objects.count()) == ([], 4)
