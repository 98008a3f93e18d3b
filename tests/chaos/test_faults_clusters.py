"""Faults 11, 15 to 18 and 45: real clusters whose processes are killed, orphaned, doubled or given another key.

On PostgreSQL, as in life; with CHAOS_SLOW on SQLite, too. Each takes some seconds.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django_q.models import OrmQ
from django_q.tasks import async_task

from ghl_sync import tasks
from ghl_sync.engine.session import Session
from ghl_sync.models import Change, Link
from ghl_sync.sandbox.server import Sandbox
from tests.chaos.inside import leases_run_out
from tests.chaos.rest import come_to_rest, names, posts, quiet
from tests.clusters import Cluster, eventually, running
from tests.factories import ContactFactory
from tests.ghl_sync.engine.mirror import a_trip, custom, link_of

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(
        connection.vendor == "sqlite" and not os.environ.get("CHAOS_SLOW"), reason="slow; runs on PostgreSQL"
    ),
]

STOPS_WITHIN = 20.0


@pytest.fixture
def cluster(session: Session, tmp_path: Path) -> Iterator[Cluster]:
    with running(tmp_path / "cluster.log") as started:
        eventually(lambda: len(started.pids("worker")) == 2, seconds=40, what="the cluster did not start")
        yield started


def settled() -> bool:
    """Whether nothing is due; asks for the sweep, which in life comes every minute."""
    if not Link.objects.due().exists():
        return True
    Link.objects.filter(next_attempt_at__isnull=False).update(next_attempt_at=None)
    async_task("ghl_sync.tasks.sweep")
    time.sleep(0.3)
    return False


def rests() -> None:
    eventually(settled, seconds=60, what="it did not come to rest")


def in_mid_create(connected: Sandbox) -> Any:
    """A trip whose create is on the wire and will be applied in a moment."""
    connected.faults.add("slow", method="POST", path="/opportunities/", seconds=0.4)
    trip = a_trip(name="Fjords")
    eventually(lambda: connected.faults.struck, seconds=40, what="the create was never sent")
    return trip


# 11


def test_two_clusters_and_a_sweep_never_have_two_requests_for_one_record(
    cluster: Cluster, connected: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trip = a_trip(name="Fjords")
    rests()
    busy, most, lock, real = Counter[str](), Counter[str](), threading.Lock(), connected.respond

    def counted(method: str, target: str, *rest: Any) -> Any:
        with lock:
            busy[target] += method != "GET"
            most[target] = max(most[target], busy[target])
        try:
            return real(method, target, *rest)
        finally:
            with lock:
                busy[target] -= method != "GET"

    monkeypatch.setattr(connected, "respond", counted)
    connected.latency = 0.03
    with running(tmp_path / "second.log") as second:
        eventually(lambda: len(second.pids("worker")) == 2, seconds=40)
        for number in range(15):
            trip.description = f"Edit {number}"
            trip.save()
            async_task("ghl_sync.tasks.sweep")
            tasks.sweep()
        rests()

    assert custom(connected, trip)["trip_description"] == "Edit 14"
    assert most[f"/opportunities/{link_of(trip).remote_id}"] == 1
    assert names(connected) == ["Fjords"]


# 15, 16


@pytest.mark.parametrize("victim", ["monitor", "sentinel", "worker"])
def test_a_cluster_that_lost_a_process_doubles_nothing(cluster: Cluster, connected: Sandbox, victim: str) -> None:
    trip = in_mid_create(connected)
    os.kill(cluster.pids(victim)[0], signal.SIGKILL)
    other = a_trip(name="Andes", organiser=ContactFactory())
    time.sleep(0.5)

    left = Cluster(cluster.log)
    left.start()  # beside whatever the first one has left running
    try:
        leases_run_out()
        rests()
    finally:
        left.kill()

    assert names(connected) == ["Andes", "Fjords"]
    assert posts(connected) == 2
    cluster.kill()
    tasks.reconcile([link_of(trip).pk, link_of(other).pk])  # what was never acknowledged comes again
    assert quiet(connected) == []


# 17, 18


@pytest.mark.parametrize("group", [False, True])
def test_a_cluster_stopped_in_mid_call_recovers_what_was_on_the_wire(
    cluster: Cluster, connected: Sandbox, group: bool
) -> None:
    in_mid_create(connected)

    cluster.signal(signal.SIGTERM, group=group)
    if not cluster.ended(STOPS_WITHIN):
        assert group, "SIGTERM to the main process alone must end it"
        cluster.kill()  # django-q2 hangs when all its processes are told at once; whoever supervises it does this
    come_to_rest()

    assert (names(connected), posts(connected)) == (["Fjords"], 1)
    assert quiet(connected) == []


# 45


def test_a_queue_under_another_secret_key_is_lost_and_the_sweep_recovers_it(
    session: Session, connected: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        a_trip(name=f"Trip {number}")
    assert OrmQ.objects.count() > 0

    monkeypatch.setenv("SECRET_KEY", "rotated-" + "y" * 50)
    with running(tmp_path / "cluster.log"):
        eventually(lambda: OrmQ.objects.count() == 0, seconds=40, what="the old queue was never emptied")
    tasks.sweep()  # the schedule's, with the key of the day
    come_to_rest()

    assert names(connected) == ["Trip 0", "Trip 1", "Trip 2"]
    assert not Change.objects.exists()
