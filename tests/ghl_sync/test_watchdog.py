"""The watchdog: silent while the queue works, at work while it does not, and hard to kill."""

from __future__ import annotations

import datetime as dt
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone
from django_q.models import OrmQ, Schedule

from ghl_sync import schedules, tasks
from ghl_sync.conf import config
from ghl_sync.engine import due, state
from ghl_sync.engine.session import Session
from ghl_sync.management.commands.ghl_watchdog import Watchdog, _Leaving
from ghl_sync.models import Alarm, Change, Link, Location, Run
from ghl_sync.sandbox.server import Sandbox
from tests.clusters import ROOT, child_environment, eventually, running
from tests.factories import ContactFactory
from tests.ghl_sync.engine.mirror import a_trip
from trips.models import Contact

pytestmark = pytest.mark.django_db(transaction=True)


class Heard(list[str]):
    """A watchdog's words."""


@pytest.fixture
def said() -> Heard:
    return Heard()


@pytest.fixture
def watchdog(session: Session, said: Heard) -> Watchdog:
    return Watchdog(said.append)


def minutes_ago(count: float) -> dt.datetime:
    """In the test's time: a hundred times as fast, unless it sets another."""
    return timezone.now() - dt.timedelta(minutes=count) * config().scale


def canaries() -> list[str]:
    return [row.task["func"] for row in OrmQ.objects.all() if row.task["func"] == "ghl_sync.tasks.canary"]


def forget_wakes() -> None:
    """The queue has lost what saves put into it."""
    OrmQ.objects.all().delete()


def test_while_the_queue_works_it_only_asks_whether_it_does(
    watchdog: Watchdog, said: Heard, connected: Sandbox, settings: Any
) -> None:
    settings.GHL_WAIT_SCALE = 1
    a_trip()
    forget_wakes()
    tasks.canary()
    Location.objects.update(swept_at=minutes_ago(1))
    for _look in range(3):
        watchdog.look()
        tasks.canary()
    assert (list(connected.requests), said, canaries()) == ([], [], ["ghl_sync.tasks.canary"])
    row = Location.objects.get()
    assert row.watchdog_at is not None
    assert row.canary_sent_at is not None
    assert not Alarm.objects.exists()


def test_what_nobody_has_swept_for_three_minutes_goes_from_here_until_the_queue_is_back(
    watchdog: Watchdog, said: Heard, connected: Sandbox
) -> None:
    trip = a_trip()
    before = minutes_ago(4)
    Location.objects.update(swept_at=before)

    watchdog.look()

    assert [card.name for card in connected.opportunities()] == [trip.name]
    assert len(said) == 1
    assert said[0].startswith("The queue has not swept for ")
    assert Location.objects.get().swept_at > before

    said.clear()
    tasks.canary()
    tasks.sweep()
    watchdog.look()
    assert said == ["The queue works again."]


def test_its_own_sweeps_do_not_count_as_the_queue_s(watchdog: Watchdog, said: Heard, connected: Sandbox) -> None:
    Location.objects.update(swept_at=minutes_ago(4))
    watchdog.look()
    ContactFactory()
    eventually(lambda: watchdog.look() or connected.writes(), what="it stopped helping after one sweep")
    assert "The queue works again." not in said


def test_a_canary_without_an_answer_is_enough(watchdog: Watchdog, said: Heard, connected: Sandbox) -> None:
    ContactFactory()
    Location.objects.update(swept_at=timezone.now(), canary_sent_at=minutes_ago(2), queue_ran_at=minutes_ago(3))
    watchdog.look()
    assert len(connected.writes()) == 1
    assert said[0].startswith("The queue has run no task for ")


def test_a_dead_queue_is_not_filled_with_canaries(watchdog: Watchdog) -> None:
    Location.objects.update(canary_sent_at=minutes_ago(60))
    for _number in range(tasks.FEW_TASKS):
        tasks.send_canary()
    watchdog.look()
    assert len(canaries()) == tasks.FEW_TASKS


def test_a_broker_that_refuses_owes_the_answer(watchdog: Watchdog, said: Heard, connected: Sandbox) -> None:
    ContactFactory()
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE django_q_ormq RENAME TO django_q_away")
    try:
        Location.objects.update(swept_at=timezone.now())
        eventually(lambda: watchdog.look() or connected.writes(), what="it waits for a queue that takes no task")
        eventually(lambda: watchdog.look() or Alarm.objects.filter(code="queue", closed_at=None).exists())
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE django_q_away RENAME TO django_q_ormq")


def test_a_malformed_schedule_leaves_the_sync_alone_and_is_named(
    watchdog: Watchdog, said: Heard, connected: Sandbox
) -> None:
    schedules.install()
    Schedule.objects.create(name="Somebody's own", func="math.sqrt", schedule_type="H", args="(")
    a_trip()
    tasks.canary()  # the queue itself runs; only nothing is scheduled any more
    Location.objects.update(swept_at=minutes_ago(4))
    watchdog.look()
    assert len(connected.opportunities()) == 1
    alarm = Alarm.objects.get(code="schedule")
    assert (alarm.detail, "“Somebody's own” is malformed" in alarm.message) == ("Somebody's own", True)
    Schedule.objects.filter(name="Somebody's own").delete()
    eventually(lambda: watchdog.look() or not Alarm.objects.filter(code="schedule", closed_at=None).exists())


def test_a_schedule_of_ours_that_was_bent_is_put_right(watchdog: Watchdog) -> None:
    schedules.install()
    Schedule.objects.filter(name="TripBuilder: send what is due").update(args="(")
    watchdog.look()
    assert Schedule.objects.get(name="TripBuilder: send what is due").args is None


def test_what_was_not_fetched_for_a_quarter_of_an_hour_is_fetched_here(
    watchdog: Watchdog, said: Heard, connected: Sandbox, settings: Any
) -> None:
    settings.GHL_WAIT_SCALE = 1
    ines = connected.store.add_contact(first_name="Ines", email="ines@example.com")
    tasks.canary()
    Location.objects.update(swept_at=timezone.now())
    watchdog.look()
    assert Contact.objects.count() == 0  # never fetched yet: nothing is overdue

    tasks.pull_changes()
    connected.edit(ines.id, city="Porto")
    Run.objects.update(started_at=minutes_ago(16), touched_at=minutes_ago(16))
    watchdog.look()
    assert Contact.objects.get().city == "Porto"
    assert said == ["Nothing was fetched for a quarter of an hour; fetching here."]


def test_it_obeys_the_switches(watchdog: Watchdog, connected: Sandbox) -> None:
    ContactFactory()
    Location.objects.update(swept_at=minutes_ago(4))
    Run.objects.create(mode="incremental", started_at=minutes_ago(60), touched_at=minutes_ago(60))
    for name in ("sending", "fetching"):
        state.switch(Location.objects.get(), name, user=None, paused=True)
    watchdog.look()
    assert list(connected.requests) == []


def test_asked_to_stop_it_ends_after_the_record_at_hand(watchdog: Watchdog, connected: Sandbox) -> None:
    ContactFactory.create_batch(30)
    Location.objects.update(swept_at=minutes_ago(4))
    watchdog.stop()
    with pytest.raises(_Leaving):
        watchdog.look()
    assert 1 <= len(connected.writes()) < 30
    assert not Link.objects.filter(leased_until__isnull=False).exists()


def test_without_an_account_it_waits(db: None, settings: Any, said: Heard) -> None:
    settings.GHL_API_TOKEN = ""
    Watchdog(said.append).look()
    assert (Location.objects.count(), said) == (0, [])


def test_once_does_what_is_overdue_and_ends(session: Session, connected: Sandbox, capsys: Any) -> None:
    ContactFactory()
    Location.objects.update(swept_at=minutes_ago(4))
    call_command("ghl_watchdog", "--once")
    assert len(connected.writes()) == 1


# As a process of its own


@contextmanager
def at_work(log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("ab") as words:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "ghl_watchdog"],
            cwd=ROOT,
            env={**child_environment(), "ADMINS": "operators@example.com"},
            stdout=words,
            stderr=words,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(session: Session, tmp_path: Path, number: int) -> None:
    log = tmp_path / "watchdog.log"
    with at_work(log) as process:
        eventually(lambda: Location.objects.get().watchdog_at)
        process.send_signal(number)
        assert process.wait(10) == 0
    assert log.read_text().splitlines()[0] == "Watching the queue."
    assert log.read_text().splitlines()[-1] == "Stopped watching."


def test_without_a_queue_all_arrives_and_the_operators_are_told(
    session: Session, connected: Sandbox, tmp_path: Path
) -> None:
    log = tmp_path / "watchdog.log"
    with at_work(log):
        trip = a_trip()
        eventually(lambda: [card.name for card in connected.opportunities()] == [trip.name])
        eventually(lambda: "Subject: [TripBuilder] The queue does not work" in log.read_text())
    assert trip.name not in log.read_text()


@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite has no server to lose")
def test_it_survives_the_database_s_end(session: Session, connected: Sandbox, tmp_path: Path) -> None:
    log = tmp_path / "watchdog.log"
    with at_work(log) as process:
        eventually(lambda: Location.objects.get().watchdog_at)
        for _round in range(3):
            with connection.cursor() as cursor:  # as a restart does to every connection
                cursor.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            ended = timezone.now()
            eventually(lambda ended=ended: Location.objects.get().watchdog_at > ended, what=log.read_text)
        trip = a_trip()
        eventually(lambda: [card.name for card in connected.opportunities()] == [trip.name])
        assert process.poll() is None


@pytest.mark.cluster
def test_beside_a_cluster_whose_workers_were_killed_all_arrives(
    session: Session, connected: Sandbox, tmp_path: Path
) -> None:
    """Whether django-q2 hangs then is its own affair; what was saved arrives either way, once."""
    with running(tmp_path / "cluster.log") as cluster, at_work(tmp_path / "watchdog.log"):
        first = a_trip()
        eventually(lambda: len(connected.opportunities()) == 1, what="the cluster never worked")
        for pid in cluster.pids("worker"):
            os.kill(pid, signal.SIGKILL)
        second = a_trip()
        eventually(
            lambda: len(connected.opportunities()) == 2, seconds=40, what="what came after the kill never arrived"
        )
        eventually(lambda: not Change.objects.exists(), seconds=40)
    assert sorted(card.name for card in connected.opportunities()) == sorted([first.name, second.name])
    due.run_due(Session())
    assert len(connected.opportunities()) == 2
