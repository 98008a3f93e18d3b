"""What the queue runs: wake-ups that meet another worker, and work that is not configured or stopped."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from django.db import connections

from ghl_sync import tasks
from ghl_sync.engine import state
from ghl_sync.engine.session import Session
from ghl_sync.models import Change, Link, Location
from ghl_sync.sandbox.server import Sandbox
from tests.factories import ContactFactory, TripFactory
from trips.models import Trip

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_wake_up_waits_for_the_worker_that_has_the_record(session: Session, connected: Sandbox) -> None:
    trip = TripFactory(organiser=ContactFactory(), capacity=10)
    tasks.sweep()
    trip.capacity = 11
    trip.save()
    link = Link.objects.for_object(trip)
    assert link is not None
    held = state.claim(link.pk, 60)
    assert held is not None

    def let_go() -> None:
        time.sleep(0.6)
        state.release(held)
        connections.close_all()

    other = threading.Thread(target=let_go)
    other.start()
    tasks.reconcile([link.pk])
    other.join()
    assert connected.store.custom_by_key(connected.opportunities()[0])["max_passengers"] == 11
    assert not Change.objects.exists()


def test_a_wake_up_does_not_wait_for_a_record_whose_time_has_not_come(session: Session, connected: Sandbox) -> None:
    trip = TripFactory(organiser=ContactFactory())
    link = Link.objects.for_object(trip)
    assert link is not None
    Link.objects.update(next_attempt_at="2099-01-01T00:00:00Z")
    started = time.monotonic()
    tasks.reconcile([link.pk])
    assert time.monotonic() - started < tasks.HELD_SECONDS / 2
    assert connected.opportunities() == []


def test_without_an_account_nothing_happens(db: None, settings: Any, caplog: pytest.LogCaptureFixture) -> None:
    settings.GHL_API_TOKEN = ""
    for task in (tasks.sweep, tasks.pull_changes, tasks.pull_everything, tasks.refresh_definitions):
        task()
    assert not Location.objects.exists()


def test_a_wrong_token_stops_all_and_the_right_one_starts_again(
    session: Session, connected: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    connected.store.add_contact(first_name="Ines")
    right, connected.token = connected.token, "rotated"
    tasks.pull_changes()
    stopped = Location.objects.get()
    assert stopped.paused_at is not None
    assert "refuses the token" in stopped.paused_reason
    connected.token = right
    connected.requests.clear()
    tasks.pull_changes()  # within the minute: nobody asks again
    assert list(connected.requests) == []
    monkeypatch.setattr("ghl_sync.engine.session.PROBE_SECONDS", 0)
    tasks.pull_changes()
    assert Location.objects.get().paused_at is None


def test_a_long_pull_goes_on_in_the_next_task(
    session: Session, connected: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(25):
        contact = connected.store.add_contact(first_name=f"Person {number}")
        connected.store.add_opportunity(pipeline="TripBooking", name=f"Trip {number}", contact_id=contact.id)
    Location.objects.update(page_size=10)
    queued: list[str] = []
    monkeypatch.setattr(tasks, "SLICE_SECONDS", 0)
    monkeypatch.setattr(tasks, "async_task", lambda name, *args: queued.append(name))
    tasks.pull_everything()
    assert queued == ["ghl_sync.tasks.pull_everything"]
    while queued:
        queued.clear()
        tasks.pull_everything()
    assert Trip.objects.count() == 25
