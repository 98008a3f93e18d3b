"""Trips of passengers, vendors of trips, owners of opportunities: renames, moves and clearing on both sides."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from ghl_sync.engine import due, outbox, state
from ghl_sync.engine.clock import database_now
from ghl_sync.engine.pull import pull
from ghl_sync.engine.push import reconcile
from ghl_sync.engine.session import Session
from ghl_sync.models import Change, Conflict, Issue, Link
from ghl_sync.sandbox.server import Sandbox
from tests.factories import ContactFactory, PassengerFactory, VendorFactory
from tests.ghl_sync.engine.mirror import a_trip, custom, link_of
from trips.enums import Attendance
from trips.models import Passenger, Trip

pytestmark = pytest.mark.django_db(transaction=True)


def at_rest(connected: Sandbox) -> None:
    """Nothing is due and one more round writes nothing."""
    pull(Session(), full=True)
    due.run_due(Session())
    Change.objects.update(due_at=database_now())
    due.run_due(Session())
    connected.requests.clear()
    pull(Session(), full=True)
    due.run_due(Session())
    assert connected.writes() == []
    assert not Link.objects.due().exists()


def test_taking_a_passenger_off_its_trip_is_not_undone_by_a_pull(session: Session, connected: Sandbox) -> None:
    passenger = PassengerFactory(trip=a_trip(legacy_trip_id=7))
    due.run_due(session)
    connected.edit(link_of(passenger).remote_id, fields={"user_roomate": "Kim"})
    passenger.trip = None
    passenger.save()

    pull(Session())
    at_rest(connected)

    passenger.refresh_from_db()
    assert (passenger.trip, passenger.trip_name_raw, passenger.roommate_request) == (None, "", "Kim")
    assert not {"trip_name", "trip_id", "tripbuilder_trip"} & set(custom(connected, passenger))


def test_a_passenger_taken_off_its_trip_there_stays_off(session: Session, connected: Sandbox) -> None:
    passenger = PassengerFactory(trip=a_trip(legacy_trip_id=7))
    due.run_due(session)
    connected.edit(link_of(passenger).remote_id, fields={"trip_name": None, "trip_id": None})

    pull(Session())
    pull(Session(), full=True)
    at_rest(connected)

    passenger.refresh_from_db()
    assert passenger.trip is None
    assert "tripbuilder_trip" not in custom(connected, passenger)


def test_a_move_there_takes_key_and_number_along(session: Session, connected: Sandbox) -> None:
    first, second = a_trip(name="First", legacy_trip_id=1), a_trip(name="Second", legacy_trip_id=2)
    passenger = PassengerFactory(trip=first)
    due.run_due(session)
    connected.edit(link_of(passenger).remote_id, fields={"trip_name": "Second"})

    pull(Session())
    at_rest(connected)

    passenger.refresh_from_db()
    assert passenger.trip == second
    held = custom(connected, passenger)
    assert (held["trip_name"], held["trip_id"], held["tripbuilder_trip"]) == ("Second", 2, f"trip:{second.uid}")


def test_a_key_does_not_go_on_naming_the_trip_before(session: Session, connected: Sandbox) -> None:
    first, second = a_trip(name="First"), a_trip(name="Second")
    passenger = PassengerFactory(trip=first)
    due.run_due(session)
    connected.edit(link_of(passenger).remote_id, fields={"trip_name": "Second"})

    pull(Session())
    at_rest(connected)

    assert custom(connected, passenger)["tripbuilder_trip"] == f"trip:{second.uid}"


def test_a_rename_here_and_a_move_there_both_happen(session: Session, connected: Sandbox) -> None:
    first, second = a_trip(name="First"), a_trip(name="Second")
    stays, moves = PassengerFactory(trip=first), PassengerFactory(trip=first)
    due.run_due(session)
    due.run_due(session)
    connected.edit(link_of(moves).remote_id, fields={"trip_name": "Second"})
    first.name = "First, renamed"
    first.save()

    pull(Session())
    at_rest(connected)

    moves.refresh_from_db()
    assert moves.trip == second
    assert custom(connected, moves)["trip_name"] == "Second"
    assert custom(connected, stays)["trip_name"] == "First, renamed"


def test_the_new_name_of_a_trip_renamed_there_can_be_chosen(session: Session, connected: Sandbox) -> None:
    trip = a_trip(name="Old")
    due.run_due(session)
    connected.edit(link_of(trip).remote_id, name="New")

    pull(Session())
    at_rest(connected)

    assert "New" in connected.store.field("trip_name").options
    assert custom(connected, trip)["trip_name"] == "New"


def test_an_old_move_applied_late_does_not_move_back(session: Session, connected: Sandbox) -> None:
    trips = [a_trip(name=name) for name in ("A", "B", "C")]
    passenger = PassengerFactory(trip=trips[0])
    due.run_due(session)
    due.run_due(session)
    connected.faults.add("cut", method="PUT", path="/opportunities/.*")
    passenger.trip = trips[1]
    passenger.save()
    due.run_due(session)
    passenger.trip = trips[2]
    passenger.save()
    Link.objects.update(next_attempt_at=None)
    due.run_due(session)
    assert custom(connected, passenger)["trip_name"] == "C"
    connected.edit(link_of(passenger).remote_id, fields={"trip_name": "B"})  # the one that was cut arrives

    state.mark_dirty([link_of(passenger).pk])
    due.run_due(Session())

    passenger.refresh_from_db()
    assert passenger.trip == trips[2]
    assert custom(connected, passenger)["trip_name"] == "C"


def test_an_old_count_applied_late_is_put_right(session: Session, connected: Sandbox) -> None:
    trip = a_trip()
    due.run_due(session)
    connected.faults.add("cut", method="PUT", path="/opportunities/.*")
    first = PassengerFactory(trip=trip)
    due.run_due(session)
    for _round in range(2):
        Change.objects.update(due_at=database_now())
        Link.objects.update(next_attempt_at=None)
        due.run_due(session)
    PassengerFactory(trip=trip)
    for _round in range(2):
        due.run_due(session)
        Change.objects.update(due_at=database_now())
    due.run_due(session)
    assert custom(connected, trip)["passenger_count"] == 2
    assert first.trip == trip
    connected.edit(link_of(trip).remote_id, fields={"passenger_count": 1})

    state.mark_dirty([link_of(trip).pk])
    due.run_due(Session())

    assert custom(connected, trip)["passenger_count"] == 2


def test_a_renamed_vendor_reaches_its_trips(session: Session, connected: Sandbox) -> None:
    vendor = VendorFactory(name="Harbour Tours")
    trips = [a_trip(vendor=vendor), a_trip(vendor=vendor)]
    due.run_due(session)
    due.run_due(session)
    vendor.name = "Harbour & Sons"
    vendor.save()

    at_rest(connected)

    assert {custom(connected, trip)["trip_vendor"] for trip in trips} == {"Harbour & Sons"}


def test_a_vendor_cleared_here_or_there_is_cleared(session: Session, connected: Sandbox) -> None:
    here, there = a_trip(vendor=VendorFactory()), a_trip(vendor=VendorFactory())
    due.run_due(session)
    due.run_due(session)
    here.vendor = None
    here.save()
    connected.edit(link_of(there).remote_id, fields={"trip_vendor": None})

    pull(Session())
    at_rest(connected)

    there.refresh_from_db()
    assert there.vendor is None
    assert "trip_vendor" not in custom(connected, here)


@pytest.mark.parametrize("spelling", ["lisbon – spring", "Lisbon -  Spring", "LISBON — SPRING"])
def test_a_name_that_only_looks_alike_is_the_same_option(session: Session, connected: Sandbox, spelling: str) -> None:
    connected.store.add_options("trip_name", ["Lisbon - Spring"])
    session.refresh_definitions()
    trip = a_trip(name=spelling)
    passenger = PassengerFactory(trip=trip)

    due.run_due(session)
    at_rest(connected)

    assert connected.store.field("trip_name").options == ("Lisbon - Spring",)
    assert custom(connected, passenger)["trip_name"] == custom(connected, trip)["trip_name"] == "Lisbon - Spring"
    passenger.refresh_from_db()
    assert passenger.trip == trip
    assert not Issue.objects.exists()


def test_another_contact_there_becomes_ours(session: Session, connected: Sandbox) -> None:
    passenger, other = PassengerFactory(trip=a_trip()), ContactFactory()
    due.run_due(session)
    connected.edit(link_of(passenger).remote_id, contact_id=link_of(other).remote_id)

    pull(Session())
    at_rest(connected)

    passenger.refresh_from_db()
    assert passenger.contact == other


def test_an_option_lost_to_another_writer_is_added_again(session: Session, connected: Sandbox) -> None:
    first, second = a_trip(name="First"), a_trip(name="Second")
    passenger = PassengerFactory(trip=first)
    due.run_due(session)
    field = connected.store.field("trip_name")
    connected.store.change_field(field.id, options=("First",))  # somebody else's list, without the second name
    passenger.trip = second
    passenger.save()

    at_rest(connected)

    assert custom(connected, passenger)["trip_name"] == "Second"
    assert not Issue.objects.filter(closed_at=None).exists()


def test_a_drop_down_that_keeps_nothing_is_an_issue_and_no_loop(
    session: Session, connected: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    passenger = PassengerFactory(trip=a_trip(name="First"))
    due.run_due(session)
    real = connected.store.merge_custom
    field_id = connected.store.field("trip_name").id

    def merge(before: Any, written: Any, **how: Any) -> Any:
        return real(before, {key: value for key, value in written.items() if key != field_id}, **how)

    monkeypatch.setattr(connected.store, "merge_custom", merge)
    passenger.trip = a_trip(name="Second")
    passenger.save()

    at_rest(connected)

    assert ("kept", "trip_name") in Issue.objects.filter(closed_at=None).values_list("code", "field")


def test_two_moves_at_once_are_a_question(session: Session, connected: Sandbox) -> None:
    first, ours, _theirs = a_trip(name="First"), a_trip(name="Ours"), a_trip(name="Theirs")
    passenger = PassengerFactory(trip=first)
    due.run_due(session)
    connected.edit(link_of(passenger).remote_id, fields={"trip_name": "Theirs"})
    passenger.trip = ours
    passenger.save()
    Change.objects.update(at=database_now() - dt.timedelta(hours=1))

    at_rest(connected)
    connected.edit(link_of(passenger).remote_id, fields={"trip_name": "Ours"})  # a person decides over there
    at_rest(connected)

    assert not Conflict.objects.filter(resolved_at=None).exists()
    passenger.refresh_from_db()
    assert passenger.trip == ours


def test_one_counted_before_their_create_was_known_leaves_the_count_when_deleted(
    session: Session, connected: Sandbox
) -> None:
    trip = a_trip()
    due.run_due(session)
    connected.faults.add("lost", method="POST", path="/opportunities/")
    lost = PassengerFactory(trip=trip, contact=trip.organiser)
    due.run_due(session)  # carried out over there, and nobody heard of it
    doubtful = Link.objects.filter(pk=link_of(lost).pk)
    PassengerFactory(trip=trip, contact=trip.organiser)
    for _round in range(4):
        Change.objects.update(due_at=database_now())
        doubtful.update(next_attempt_at=database_now() + dt.timedelta(hours=1))
        due.run_due(Session())
    assert custom(connected, trip)["passenger_count"] == 2
    assert not Change.objects.exclude(kind="passenger", object_id=lost.pk).exists()

    lost.delete()
    for _round in range(4):
        Change.objects.update(due_at=database_now())
        Link.objects.update(next_attempt_at=None, held_until=None)
        due.run_due(Session())

    assert custom(connected, trip)["passenger_count"] == 1


def put_on(trip: Trip, passenger: Passenger, *, in_bulk: bool) -> None:
    if not in_bulk:
        passenger.trip = trip
        passenger.save()
        return
    with outbox.bulk(Passenger) as written:
        Passenger.objects.filter(pk=passenger.pk).update(trip=trip)
        written.add(passenger.pk)


def run_all_rounds(*, not_yet: Passenger | None = None) -> None:
    """Until counts have settled; `not_yet` is somebody that no round looks at."""
    for _round in range(4):
        Change.objects.update(due_at=database_now())
        Link.objects.update(next_attempt_at=None, held_until=None)
        if not_yet is not None:
            later = database_now() + dt.timedelta(hours=1)
            Link.objects.filter(kind="passenger", object_id=not_yet.pk).update(next_attempt_at=later)
        due.run_due(Session())


@pytest.mark.parametrize("leaves", ["moves on", "moves on in bulk", "waits", "is deleted"])
def test_a_seat_taken_and_left_between_two_looks_leaves_the_count(
    session: Session, connected: Sandbox, leaves: str
) -> None:
    first, passed_by, last = (a_trip(name=name) for name in ("First", "Passed by", "Last"))
    passenger = PassengerFactory(trip=first, contact=first.organiser)
    due.run_due(session)
    put_on(passed_by, passenger, in_bulk=leaves.endswith("in bulk"))
    PassengerFactory(trip=passed_by, contact=first.organiser)
    run_all_rounds(not_yet=passenger)
    assert custom(connected, passed_by)["passenger_count"] == 2

    if leaves == "is deleted":
        passenger.delete()
    elif leaves == "waits":
        passenger.attendance = Attendance.WAITLISTED
        passenger.save()
    else:
        put_on(last, passenger, in_bulk=leaves.endswith("in bulk"))
    run_all_rounds()

    counts = [custom(connected, trip).get("passenger_count", 0) for trip in (first, passed_by, last)]
    assert counts == [0, 1, int(leaves.startswith("moves"))]


def test_a_seat_left_on_the_way_is_counted_off_while_they_are_missing_there(
    session: Session, connected: Sandbox
) -> None:
    first, passed_by = a_trip(name="First"), a_trip(name="Passed by")
    passenger = PassengerFactory(trip=first, contact=first.organiser)
    run_all_rounds()
    Link.objects.filter(pk=link_of(passenger).pk).update(gone_at=database_now())
    put_on(passed_by, passenger, in_bulk=False)
    state.recount(passed_by.pk, 0)
    reconcile(session, link_of(passed_by).pk)
    assert custom(connected, passed_by)["passenger_count"] == 1
    put_on(first, passenger, in_bulk=False)

    run_all_rounds()

    assert [custom(connected, one).get("passenger_count", 0) for one in (first, passed_by)] == [1, 0]
