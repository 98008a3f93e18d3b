"""How many calls an act of the office costs, counted by the sandbox. Limits are those the design promises.

The queue's tasks run here one after another, in the order in which the saves asked for them, so a count does not
depend on who was faster.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from django.db import transaction
from django.db.models import F
from django.utils import timezone
from django.utils.module_loading import import_string
from django_q.models import OrmQ

from bench.rows import Row
from bench.stage import Stage
from ghl_sync import tasks
from ghl_sync.engine.session import Session
from ghl_sync.models import Change, Link
from tests.factories import ContactFactory, PassengerFactory, TripFactory
from trips.models import Trip

BURST = 10
NEW_TRIPS = 5
CREATE = "POST /opportunities/"


def measure(stage: Stage) -> Iterator[Row]:
    Session().refresh_definitions()
    organiser = ContactFactory(email="organiser@example.com")
    work_off(stage)
    trip = TripFactory.create(name="Fjords", organiser=organiser)
    calls = work_off(stage)
    yield Row("a new trip stands on the board", "calls", calls.index(CREATE) + 1, 1)
    yield Row("… and its name is in the drop-down and on the card", "calls", len(calls), 5, note=told(calls))
    yield from _edits(stage, trip)
    yield from _passengers(stage, trip)
    with transaction.atomic():
        TripFactory.create_batch(NEW_TRIPS, organiser=organiser)
    yield _counted(stage, f"{NEW_TRIPS} new trips at once", NEW_TRIPS + 3 + NEW_TRIPS)


def work_off(stage: Stage) -> list[str]:
    """Do what the queue would do, until nothing is left; the calls that it took."""
    stage.far.calls()
    while (row := OrmQ.objects.order_by("pk").first()) is not None:
        task = row.task
        row.delete()
        import_string(task["func"])(*task["args"])
    return stage.far.calls()


def told(calls: list[str]) -> str:
    """The calls by what they are, without ids."""
    words = [call.split(" ")[0] for call in calls]
    return ", ".join(f"{words.count(word)} {word}" for word in dict.fromkeys(words))


def _edits(stage: Stage, trip: Trip) -> Iterator[Row]:
    _view_is(seconds=0)
    _edit(trip, 1)
    yield _counted(stage, "an edit with a fresh view", 1)
    _view_is(seconds=60)
    _edit(trip, 2)
    yield _counted(stage, "an edit with an old view", 2)
    _view_is(seconds=0)
    for number in range(BURST):
        _edit(trip, 3 + number)
    yield _counted(stage, f"a burst of {BURST} saves", 1)
    trip.save()
    yield _counted(stage, "a save without any change", 0)
    trip.destination = "Bergen"
    trip.save()
    yield _counted(stage, "a change of a field that is not mirrored", 0)
    stage.far.post("settings", answers_with_custom=False)
    _view_is(seconds=0)
    _edit(trip, 20)
    yield _counted(stage, "an edit whose answer is silent about the field", 2)
    stage.far.post("settings", answers_with_custom=True)


def _passengers(stage: Stage, trip: Trip) -> Iterator[Row]:
    PassengerFactory(trip=trip)
    yield _counted(stage, "a passenger with a new contact, duplicates refused", 2)
    stage.far.post("settings", allow_duplicate_contact=True)
    Session().refresh_definitions()
    PassengerFactory(trip=trip)
    yield _counted(stage, "a passenger with a new contact, duplicates allowed", 4)
    tasks.sweep()
    early = len(stage.far.calls())
    Change.objects.update(due_at=F("due_at") - dt.timedelta(minutes=1))
    _view_is(seconds=60)
    tasks.sweep()
    note = f"{early} calls before its time"
    yield Row("the trip's count, once for both of them", "calls", early + len(stage.far.calls()), 2, note=note)


def _edit(trip: Trip, capacity: int) -> None:
    trip.capacity = capacity
    trip.save()


def _view_is(*, seconds: float) -> None:
    """What we know of GoHighLevel's records is so old now, however slow this machine is."""
    Link.objects.update(remote_seen_at=timezone.now() - dt.timedelta(seconds=seconds))


def _counted(stage: Stage, what: str, limit: int) -> Row:
    calls = work_off(stage)
    return Row(what, "calls", len(calls), limit, note=told(calls))
