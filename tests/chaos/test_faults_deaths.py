"""Faults 1, 1b, 4 to 6 and 10: real processes killed by -9, or stopped, at one line of their work."""

from __future__ import annotations

import datetime as dt
import os
import signal
import time

import pytest
from django_q.models import OrmQ

from ghl_sync import tasks
from ghl_sync.engine import push
from ghl_sync.engine.clock import database_now
from ghl_sync.engine.session import Session
from ghl_sync.models import Change, Issue, Link, Run, Write
from ghl_sync.sandbox.server import Sandbox
from tests.chaos import mortal
from tests.chaos.rest import come_to_rest, names, posts, quiet
from tests.ghl_sync.engine.mirror import a_trip, custom, link_of
from trips.models import Contact

pytestmark = pytest.mark.django_db(transaction=True)

OPEN_WRITE = "ghl_sync.engine.state:open_write"
ANSWER = "ghl_sync.client.transport:Transport._judge"  # the answer is here, nobody has looked at it
LEASE = 1.0


# 1


def test_a_save_whose_process_died_before_it_woke_the_queue_is_swept(session: Session, connected: Sandbox) -> None:
    mortal.die("save", "ghl_sync.tasks:async_task")
    assert (Contact.objects.count(), Change.objects.count(), OrmQ.objects.count()) == (1, 1, 0)

    tasks.sweep()

    assert [contact.email for contact in connected.store.contacts()] == ["ines@example.com"]
    assert not Change.objects.exists()


# 1b


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_row_and_its_change_commit_together_or_not_at_all(session: Session, when: str) -> None:
    mortal.die("save", "ghl_sync.engine.outbox:mark", when)

    assert (Contact.objects.count(), Change.objects.count(), Link.objects.count()) == (0, 0, 0)


# 4, 5, 6: before the intent, between intent and call, between call and answer


@pytest.mark.parametrize(
    ("line", "when", "sent", "intents"),
    [(OPEN_WRITE, "before", 0, 0), (OPEN_WRITE, "after", 0, 1), (ANSWER, "before", 1, 1)],
)
def test_a_create_is_made_once_whenever_its_worker_dies(
    session: Session, connected: Sandbox, line: str, when: str, sent: int, intents: int
) -> None:
    trip = a_trip(name="Fjords")
    push.reconcile(session, link_of(trip.organiser).pk)
    session.location.refresh_from_db()
    connected.requests.clear()

    mortal.die("sweep", line, when)
    assert (posts(connected), Write.objects.filter(outcome="open").count()) == (sent, intents)
    come_to_rest()

    assert names(connected) == ["Fjords"]
    assert posts(connected) == 1
    assert link_of(trip).state_now() == "synced"
    assert quiet(connected) == []


@pytest.mark.parametrize(("line", "when"), [(OPEN_WRITE, "before"), (OPEN_WRITE, "after"), (ANSWER, "before")])
def test_an_update_arrives_once_whenever_its_worker_dies(
    session: Session, connected: Sandbox, line: str, when: str
) -> None:
    trip = a_trip(description="Old")
    come_to_rest()
    trip.description = "New"
    trip.save()

    mortal.die("sweep", line, when)
    come_to_rest()

    assert custom(connected, trip)["trip_description"] == "New"
    assert quiet(connected) == []


@pytest.mark.parametrize("line", ["ghl_sync.engine.state:pulled", "ghl_sync.engine.state:advance_run"])
def test_a_pull_that_died_goes_on_and_leaves_nothing_half_done(session: Session, connected: Sandbox, line: str) -> None:
    trip = a_trip(description="Old", capacity=5)
    come_to_rest()
    connected.edit(link_of(trip).remote_id, fields={"trip_description": "New", "max_passengers": 6})

    mortal.die("fetch", line)
    trip.refresh_from_db()
    assert (trip.description, trip.capacity) in {("Old", 5), ("New", 6)}
    Run.objects.update(touched_at=database_now() - dt.timedelta(minutes=2))  # silent for a minute: it is dead
    tasks.pull_everything()
    come_to_rest()

    trip.refresh_from_db()
    assert (trip.description, trip.capacity) == ("New", 6)
    assert quiet(connected) == []


# 10: the worker sleeps through its lease


def test_a_worker_that_wakes_after_its_lease_sends_nothing(session: Session, connected: Sandbox) -> None:
    trip = a_trip(name="Fjords")
    push.reconcile(session, link_of(trip.organiser).pk)
    connected.requests.clear()
    stopped = mortal.start("sweep", OPEN_WRITE, "after", "STOP", lease=LEASE)
    mortal.await_stop(stopped)
    time.sleep(LEASE)
    come_to_rest()
    before = Link.objects.filter(kind="trip").values().get()

    os.kill(stopped.pid, signal.SIGCONT)
    stopped.wait(60)

    assert (names(connected), posts(connected)) == (["Fjords"], 1)
    assert Link.objects.filter(kind="trip").values().get() == before
    come_to_rest()
    assert quiet(connected) == []


def test_a_worker_that_wakes_with_an_answer_writes_nothing_to_a_record_that_moved_on(
    session: Session, connected: Sandbox
) -> None:
    trip = a_trip(name="Fjords")
    push.reconcile(session, link_of(trip.organiser).pk)
    connected.requests.clear()
    stopped = mortal.start("sweep", ANSWER, "before", "STOP", lease=LEASE)
    mortal.await_stop(stopped)
    time.sleep(LEASE)
    come_to_rest()
    before = Link.objects.filter(kind="trip").values().get()

    os.kill(stopped.pid, signal.SIGCONT)
    stopped.wait(60)

    assert (names(connected), posts(connected)) == (["Fjords"], 1)
    assert Link.objects.filter(kind="trip").values().get() == before
    assert not Issue.objects.exists()


def test_a_worker_stopped_on_the_wire_may_double_and_the_twin_is_shown(session: Session, connected: Sandbox) -> None:
    """Stopped in the instant before the send: the one case that a check cannot close (promise 3)."""
    trip = a_trip(name="Fjords")
    push.reconcile(session, link_of(trip.organiser).pk)
    connected.requests.clear()
    stopped = mortal.start("sweep", "urllib3.connection:HTTPConnection.send", "before", "STOP")
    try:
        mortal.await_stop(stopped)
        come_to_rest()
    finally:
        os.kill(stopped.pid, signal.SIGCONT)
        stopped.wait(60)

    tasks.pull_everything()

    twins = len(names(connected)) - 1
    assert Issue.objects.filter(code="twin", closed_at=None).count() == twins
    assert link_of(trip).remote_id in {card.id for card in connected.opportunities("TripBooking")}
