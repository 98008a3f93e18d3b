"""Bulk work from a list reaches the board in GoHighLevel, and its undo sends the compensating push by itself."""

from __future__ import annotations

import pytest
from django.test import Client

from ghl_sync.engine import due
from ghl_sync.engine.session import Session
from ghl_sync.sandbox.server import Sandbox
from tests.factories import PassengerFactory, StaffFactory
from tests.ghl_sync.engine.mirror import a_trip
from trips.models import Batch

pytestmark = pytest.mark.django_db(transaction=True)


def stages_there(sandbox: Sandbox) -> list[str]:
    cards = sandbox.opportunities("Passenger")
    return [sandbox.store.stage("Passenger", card.stage_id).name for card in cards]


def test_stage_move_and_its_undo_arrive_on_the_board(session: Session, connected: Sandbox, client: Client) -> None:
    client.force_login(StaffFactory(is_superuser=True))
    trip = a_trip()
    people = [PassengerFactory(trip=trip) for _ in range(2)]
    due.run_due(session)
    assert stages_there(connected) == ["AddedToTrip", "AddedToTrip"]
    connected.requests.clear()
    posted = {"ids": ",".join(str(one.pk) for one in people), "stage": "trip_details_sent", "confirm": "1"}

    client.post("/trips/passenger/bulk/stage/", posted)
    due.run_due(session)
    assert stages_there(connected) == ["TripDetailsSent", "TripDetailsSent"]

    client.post(f"/trips/batch/{Batch.objects.get().pk}/undo/")
    due.run_due(session)

    assert stages_there(connected) == ["AddedToTrip", "AddedToTrip"]
    assert [write.method for write in connected.writes()] == ["PUT"] * 4
