"""A person's answers, carried out: the yes to sensitive data, a fresh look, the trip of a passenger."""

from __future__ import annotations

from typing import Any

import pytest

from ghl_sync.engine import due, resolve
from ghl_sync.engine.session import Session
from ghl_sync.models import Link
from ghl_sync.sandbox.server import Sandbox
from tests import factories
from trips.enums import BatchKind
from trips.services.batches import recorded

pytestmark = pytest.mark.django_db(transaction=True)


def cards(sandbox: Sandbox) -> list[dict[str, Any]]:
    return [sandbox.store.custom_by_key(card) for card in sandbox.opportunities("Passenger")]


def booked() -> Any:
    """A passenger on a trip that can go over there."""
    return factories.PassengerFactory(trip=factories.TripFactory(organiser=factories.ContactFactory()))


def test_passports_typed_before_the_yes_are_written_after_it(
    session: Session, connected: Sandbox, settings: Any
) -> None:
    settings.GHL_MIRROR_SENSITIVE = "ask"
    passport = factories.PassportFactory(passenger=booked(), number="X5550001")
    booked()
    due.run_due(Session())
    before = [card.get("passport_number") for card in cards(connected)]
    connected.requests.clear()

    count = resolve.confirm_sensitive(session.location, factories.StaffFactory(is_superuser=True))
    due.run_due(Session())

    assert (count, before) == (1, [None, None])
    assert sorted(card.get("passport_number") or "" for card in cards(connected)) == ["", passport.number]
    # The passenger whose passport it is, and nobody else.
    link = Link.objects.for_object(passport.passenger)
    assert link is not None
    assert {one.path for one in connected.requests} == {f"/opportunities/{link.remote_id}"}


def test_confirming_costs_no_call_where_nothing_differs(session: Session, connected: Sandbox, settings: Any) -> None:
    settings.GHL_MIRROR_SENSITIVE = "both"
    factories.PassportFactory(passenger=booked())
    due.run_due(Session())
    connected.requests.clear()

    resolve.confirm_sensitive(session.location, factories.StaffFactory(is_superuser=True))
    due.run_due(Session())

    assert list(connected.requests) == []
    assert not Link.objects.due().exists()


def test_passengers_assigned_a_trip_carry_its_name_over_there(session: Session, connected: Sandbox) -> None:
    lost = factories.PassengerFactory(trip=None, trip_name_raw="Lisbon of old", trip_id_raw=9912)
    trip = factories.TripFactory(name="Lisbon", organiser=factories.ContactFactory())
    due.run_due(session)

    with recorded(kind=BatchKind.CHANGE, title="Linked", by=None) as recorder:
        count = resolve.assign_trip([lost.pk], trip, recorder)
    due.run_due(session)

    assert count == 1
    assert [(card.get("trip_name"), card.get("tripbuilder_trip")) for card in cards(connected)] == [
        ("Lisbon", f"trip:{trip.uid}")
    ]


def test_a_passenger_that_got_a_trip_meanwhile_keeps_it() -> None:
    passenger = booked()
    theirs = passenger.trip

    with recorded(kind=BatchKind.CHANGE, title="Linked", by=None) as recorder:
        assert resolve.assign_trip([passenger.pk], factories.TripFactory(), recorder) == 0
    passenger.refresh_from_db()
    assert passenger.trip == theirs
