"""The whole way with a real queue: a save here, the card there, and what happens when the queue is killed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from django_q.models import Schedule
from django_q.tasks import async_task

from ghl_sync import schedules
from ghl_sync.engine.session import Session
from ghl_sync.models import Change, Link
from ghl_sync.sandbox.server import Sandbox
from tests.clusters import Cluster, eventually, running
from tests.factories import ContactFactory, PassengerFactory, TripFactory
from trips.models import Trip

pytestmark = [pytest.mark.cluster, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def cluster(session: Session, connected: Sandbox, tmp_path: Path) -> Iterator[Cluster]:
    with running(tmp_path / "cluster.log") as started:
        yield started


def card_named(sandbox: Sandbox, name: str) -> Any:
    return next((card for card in sandbox.opportunities() if card.name == name), None)


def at_rest() -> bool:
    """Whether nothing is due; asks for the sweep, which in life comes every minute."""
    if not Link.objects.due().exists():
        return True
    async_task("ghl_sync.tasks.sweep")
    return False


def test_create_edit_and_delete_follow_by_themselves(cluster: Cluster, connected: Sandbox) -> None:
    trip = TripFactory(name="Fjords", organiser=ContactFactory(), capacity=10)
    card = eventually(lambda: card_named(connected, "Fjords"), what="the new trip never reached the board")

    eventually(at_rest)
    trip.capacity = 12
    trip.save()
    seats = lambda: connected.store.custom_by_key(connected.store.get(card.id))["max_passengers"]  # type: ignore[arg-type]  # noqa: E731
    eventually(lambda: seats() == 12, what="the edit never reached the card")

    passenger = PassengerFactory(trip=trip)
    eventually(lambda: connected.opportunities("Passenger"), what="the passenger never reached the board")

    eventually(at_rest)
    passenger.delete()
    trip.delete()
    eventually(lambda: not connected.opportunities(), what="the cards are still there")
    eventually(at_rest)


def test_a_scheduled_pull_brings_a_crm_user_s_edit(cluster: Cluster, connected: Sandbox) -> None:
    contact = connected.store.add_contact(first_name="Ines", email="ines@example.com")
    connected.store.add_opportunity(pipeline="TripBooking", name="Fjords", contact_id=contact.id)
    schedules.install()
    Schedule.objects.filter(name="TripBuilder: fetch changes").update(next_run=timezone.now())
    eventually(lambda: Trip.objects.filter(name="Fjords").exists(), seconds=75, what="no scheduled pull came")


def test_a_killed_queue_loses_and_doubles_nothing(cluster: Cluster, connected: Sandbox) -> None:
    connected.faults.add("slow", method="POST", path="/opportunities/", seconds=2.0)
    trip = TripFactory(name="Fjords", organiser=ContactFactory())
    eventually(lambda: connected.faults.struck, what="the create was never sent")
    cluster.kill()
    eventually(lambda: card_named(connected, "Fjords"))  # applied, and nobody was there to hear it

    link = Link.objects.for_object(trip)
    assert link is not None
    assert link.remote_id == ""
    Link.objects.update(leased_until=None)  # the lease runs out in time
    cluster.start()

    def settled() -> bool:
        link.refresh_from_db()
        return at_rest() and bool(link.remote_id)

    eventually(settled, seconds=40, what="the lost create was never found again")
    assert [card.id for card in connected.opportunities()] == [link.remote_id]
    assert not Change.objects.exists()
