"""Faults 12, 22, 41, 47 and 50: two runs, a locked database, transactions out of order, wrong clocks, many hands."""

from __future__ import annotations

import datetime as dt
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
import time_machine
from django.db import OperationalError, connection, transaction

from ghl_sync import tasks
from ghl_sync.engine import due, state
from ghl_sync.engine.pull import pull
from ghl_sync.engine.session import Session
from ghl_sync.models import Change, Issue
from ghl_sync.sandbox.server import Sandbox
from tests.chaos.rest import come_to_rest, names, quiet
from tests.factories import ContactFactory, PassengerFactory
from tests.ghl_sync.engine.mirror import a_trip, custom, link_of
from trips.models import Passenger, Trip

pytestmark = pytest.mark.django_db(transaction=True)

only_postgresql = pytest.mark.skipif(
    connection.vendor != "postgresql", reason="SQLite lets one writer in at a time and has no clock of its own"
)


# Between two saves of one person. SQLite lets one writer in at a time.
PAUSE = 0.02 if connection.vendor == "postgresql" else 0.2


class Thread(threading.Thread):
    """Work with a connection of its own; what goes wrong is kept."""

    def __init__(self, work: Callable[[], object]) -> None:
        super().__init__(daemon=True)
        self._work, self.error = work, None
        self.start()

    def run(self) -> None:
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001 - the test looks at it
            self.error: BaseException | None = error
        finally:
            connection.close()


# 12


def test_a_task_that_the_queue_runs_twice_writes_once(session: Session, connected: Sandbox) -> None:
    trip = a_trip(description="Old")
    come_to_rest()
    trip.description = "New"
    trip.save()
    connected.requests.clear()
    connected.latency = 0.2

    runs = [Thread(lambda: tasks.reconcile([link_of(trip).pk])) for _run in range(2)]
    for run in runs:
        run.join()

    assert [run.error for run in runs] == [None, None]
    assert [one.method for one in connected.writes()] == ["PUT"]
    assert custom(connected, trip)["trip_description"] == "New"


# 22


@contextmanager
def locked_sqlite(seconds: float) -> Iterator[None]:
    """Somebody else writes to the database for so long."""
    other = sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    release = threading.Timer(seconds, lambda: other.execute("ROLLBACK"))
    release.start()
    try:
        yield
    finally:
        release.join()
        other.close()


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL locks rows, not the database")
@pytest.mark.parametrize("patience_ms", [5_000, 50])
def test_a_locked_database_delays_and_halves_nothing(session: Session, connected: Sandbox, patience_ms: int) -> None:
    """With the usual patience both wait for their turn; with less than the lock lasts they fail and try again."""
    trip = a_trip(description="Old", capacity=5)
    come_to_rest()
    connected.edit(link_of(trip).remote_id, fields={"trip_description": "Theirs", "max_passengers": 6})
    Trip.objects.filter(pk=trip.pk).update(lodging_notes="Ours")
    state.record_change("trip", trip.pk)
    with connection.cursor() as cursor:
        cursor.execute(f"PRAGMA busy_timeout = {patience_ms}")

    with locked_sqlite(0.5):
        for work in (lambda: due.run_due(Session(), in_flight=1), lambda: pull(Session(), full=True)):
            with suppress(OperationalError):
                work()
            trip.refresh_from_db()
            assert (trip.description, trip.capacity) in {("Old", 5), ("Theirs", 6)}

    with connection.cursor() as cursor:
        cursor.execute("PRAGMA busy_timeout = 5000")
    come_to_rest()
    pull(Session(), full=True)
    come_to_rest()
    trip.refresh_from_db()
    assert (trip.description, trip.capacity, trip.lodging_notes) == ("Theirs", 6, "Ours")
    assert custom(connected, trip)["lodging_notes"] == "Ours"
    assert not Issue.objects.exists()
    assert quiet(connected) == []


# 41


@only_postgresql
def test_a_transaction_that_commits_after_a_younger_one_is_not_skipped(session: Session, connected: Sandbox) -> None:
    saved, may_commit = threading.Event(), threading.Event()

    def slow_save() -> None:
        with transaction.atomic():
            a_trip(name="Slow")
            saved.set()
            may_commit.wait(10)

    slow = Thread(slow_save)
    saved.wait(10)
    a_trip(name="Quick")
    due.run_due(Session())
    assert names(connected) == ["Quick"]

    may_commit.set()
    slow.join()
    come_to_rest()

    assert (slow.error, names(connected)) == (None, ["Quick", "Slow"])
    assert not Change.objects.filter(kind="trip").exists()


# 47


@only_postgresql
@pytest.mark.parametrize("minutes", [-10, 10])
def test_a_machine_with_a_wrong_clock_takes_no_held_record_and_misses_none(
    session: Session, connected: Sandbox, minutes: int
) -> None:
    trip = a_trip(description="Old")
    come_to_rest()
    held = state.claim(link_of(trip).pk, 60)
    assert held is not None

    with time_machine.travel(dt.datetime.now(dt.UTC) + dt.timedelta(minutes=minutes)):
        assert state.claim(link_of(trip).pk, 60) is None
        state.release(held)
        trip.description = "New"
        trip.save()
        due.run_due(Session(), in_flight=1)

    assert custom(connected, trip)["trip_description"] == "New"
    assert quiet(connected) == []


# 50


def test_people_edit_passengers_while_their_account_is_fetched(session: Session, connected: Sandbox) -> None:
    """A pull that changes every passenger, and six people who save those of the same trips."""
    trips = [a_trip(organiser=ContactFactory()) for _trip in range(2)]
    contact = ContactFactory()
    people = [PassengerFactory(trip=trips[number % 2], contact=contact) for number in range(24)]
    come_to_rest()
    come_to_rest()
    pull(Session(), full=True)
    for person in people:
        connected.edit(link_of(person).remote_id, fields={"passenger_first_name": f"There-{person.pk}"})
    done, took = threading.Event(), list[float]()

    def edit(number: int) -> None:
        while not done.is_set():
            person: Any = Passenger.objects.get(pk=people[number].pk)
            started = time.monotonic()
            person.roommate_request = f"Here-{number}-{len(took)}"
            person.save(update_fields=["roommate_request"])
            took.append(time.monotonic() - started)
            time.sleep(PAUSE)

    editors = [Thread(lambda number=number: edit(number)) for number in range(6)]
    try:
        pull(Session(), full=True)
        due.run_due(Session())
    finally:
        done.set()
    for editor in editors:
        editor.join()

    assert [editor.error for editor in editors] == [None] * 6
    assert sorted(took)[len(took) // 2] < 0.5
    come_to_rest()
    pull(Session(), full=True)
    come_to_rest()
    for number, person in enumerate(people):
        person.refresh_from_db()
        assert person.legal_first_name == f"There-{person.pk}"
        assert custom(connected, person).get("user_roomate", "") == person.roommate_request
        assert (number < 6) is person.roommate_request.startswith("Here-")
