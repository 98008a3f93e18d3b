"""The stop for a field that something over there keeps changing back; and whom it must leave alone."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.utils import timezone

from ghl_sync.engine import due, oscillation, state
from ghl_sync.engine.pull import pull
from ghl_sync.engine.session import Session
from ghl_sync.models import Issue, Link, State, Write
from ghl_sync.sandbox.server import Sandbox
from tests.factories import PassengerFactory, PassportFactory
from tests.ghl_sync.engine.mirror import a_trip, custom, link_of
from trips.models import Trip

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def an_hour_is_an_hour(settings: Any, connected: Sandbox) -> None:
    settings.GHL_WAIT_SCALE = 1
    Link.objects.update(remote_seen_at=None)


def setting_it_again(connected: Sandbox, trip: Trip, *, times: int, to: str = "Ours", back: str = "Theirs") -> None:
    """Somebody here sets the description, a workflow over there sets it back, and the pull brings that."""
    for _turn in range(times):
        trip.refresh_from_db()
        trip.description = to
        trip.save()
        due.run_due(Session())
        connected.edit(link_of(trip).remote_id, fields={"trip_description": back})
        pull(Session())


@pytest.fixture
def trip(session: Session, connected: Sandbox) -> Trip:
    made = a_trip(description="Theirs", capacity=10)
    due.run_due(session)
    connected.requests.clear()
    return made


def issues() -> list[tuple[str, str, str]]:
    rows = Issue.objects.filter(closed_at=None)
    return list(rows.values_list("code", "field", "message"))


def described(connected: Sandbox, trip: Trip) -> str:
    return str(custom(connected, trip)["trip_description"])


def test_after_four_times_the_field_is_parked_and_the_rest_goes_on(connected: Sandbox, trip: Trip) -> None:
    setting_it_again(connected, trip, times=4)
    assert issues() == []
    trip.refresh_from_db()
    trip.description, trip.capacity = "Ours", 11
    trip.save()
    due.run_due(Session())

    held = custom(connected, trip)
    assert (held["trip_description"], held["max_passengers"]) == ("Theirs", 11)
    ((code, field, message),) = issues()
    assert (code, field) == ("oscillates", "description")
    assert message == (
        "Something in GoHighLevel changes description back each time: here “Ours”, there “Theirs”. It was sent 4 times "
        "within an hour and is not sent any more. Look for a workflow or another integration over there; then press "
        "Sync now to send it again, or give the field another value here."
    )
    assert link_of(trip).parked_fields == ["description"]
    connected.requests.clear()
    due.run_due(Session())
    assert connected.writes() == []


def parked(connected: Sandbox, trip: Trip) -> None:
    setting_it_again(connected, trip, times=4)
    trip.refresh_from_db()
    trip.description = "Ours"
    trip.save()
    due.run_due(Session())
    assert link_of(trip).parked_fields == ["description"]


def test_a_record_with_such_a_field_needs_a_person_until_it_is_settled(connected: Sandbox, trip: Trip) -> None:
    parked(connected, trip)
    assert link_of(trip).state_now() == "needs_person"
    assert Link.objects.by_state() == {**dict.fromkeys(State.values, 0), "needs_person": 1, "synced": 1}

    state.ask_for(link_of(trip))
    assert link_of(trip).state_now() == "waiting"
    due.run_due(Session())
    assert Link.objects.by_state() == {**dict.fromkeys(State.values, 0), "synced": 2}


def test_an_edit_of_another_field_leaves_it_parked(connected: Sandbox, trip: Trip) -> None:
    parked(connected, trip)
    trip.capacity = 12
    trip.save()
    due.run_due(Session())
    assert custom(connected, trip)["max_passengers"] == 12
    assert (described(connected, trip), link_of(trip).parked_fields) == ("Theirs", ["description"])


def test_an_edit_of_that_field_releases_it(connected: Sandbox, trip: Trip) -> None:
    parked(connected, trip)
    trip.description = "Another one"
    trip.save()
    due.run_due(Session())
    assert (described(connected, trip), issues(), link_of(trip).parked_fields) == ("Another one", [], [])


def test_taking_their_value_here_settles_it(connected: Sandbox, trip: Trip) -> None:
    parked(connected, trip)
    trip.description = "Theirs"
    trip.save()
    due.run_due(Session())
    assert (described(connected, trip), issues(), link_of(trip).parked_fields) == ("Theirs", [], [])


def test_sync_now_sends_it_again_and_counts_anew(connected: Sandbox, trip: Trip) -> None:
    parked(connected, trip)
    state.ask_for(link_of(trip))
    due.run_due(Session())
    assert (described(connected, trip), issues()) == ("Ours", [])
    connected.edit(link_of(trip).remote_id, fields={"trip_description": "Theirs"})
    pull(Session())
    setting_it_again(connected, trip, times=3)
    assert issues() == []
    trip.refresh_from_db()
    trip.description = "Ours"
    trip.save()
    due.run_due(Session())
    assert [code for code, _field, _message in issues()] == ["oscillates"]


@pytest.mark.parametrize("values", ["ABCDEF", "ABABABAB", "AABBAABB"])
def test_a_user_who_edits_often_is_left_alone(connected: Sandbox, trip: Trip, values: str) -> None:
    for value in values:
        trip.description = value
        trip.save()
        due.run_due(Session())
    assert (described(connected, trip), issues()) == (values[-1], [])


def test_a_user_who_saves_the_same_value_often_is_left_alone(connected: Sandbox, trip: Trip) -> None:
    for capacity in range(20, 27):
        trip.description, trip.capacity = "Ours", capacity
        trip.save()
        due.run_due(Session())
    assert (described(connected, trip), issues()) == ("Ours", [])


def test_four_times_in_a_day_are_no_oscillation(connected: Sandbox, trip: Trip) -> None:
    setting_it_again(connected, trip, times=4)
    first = Write.objects.filter(link=link_of(trip), values__description="Ours").earliest("pk")
    Write.objects.filter(pk=first.pk).update(sent_at=timezone.now() - dt.timedelta(hours=2))
    trip.refresh_from_db()
    trip.description = "Ours"
    trip.save()
    due.run_due(Session())
    assert (described(connected, trip), issues()) == ("Ours", [])


def test_writes_that_never_arrived_do_not_count(connected: Sandbox, trip: Trip) -> None:
    setting_it_again(connected, trip, times=3)
    connected.faults.add("status", method="PUT", path="/opportunities/.*", status=503, times=6)
    trip.refresh_from_db()
    trip.description = "Ours"
    trip.save()
    for _try in range(8):
        Link.objects.update(next_attempt_at=None)
        due.run_due(Session())
    assert (described(connected, trip), issues()) == ("Ours", [])


def test_a_sensitive_value_is_not_told(session: Session, connected: Sandbox) -> None:
    passenger = PassengerFactory(trip=a_trip())
    passport = PassportFactory(passenger=passenger, number="X5550199")
    due.run_due(session)
    due.run_due(session)
    key = "passport_number"
    for _turn in range(oscillation.TIMES):
        connected.edit(link_of(passenger).remote_id, fields={key: "Z5550111"})
        pull(Session())
        passport.refresh_from_db()
        assert passport.number == "Z5550111"
        passport.number = "X5550199"
        passport.save()
        due.run_due(Session())
    connected.edit(link_of(passenger).remote_id, fields={key: "Z5550111"})
    pull(Session())
    passport.refresh_from_db()
    passport.number = "X5550199"
    passport.save()
    due.run_due(Session())

    issue = Issue.objects.get(code="oscillates")
    assert "555" not in issue.message
    assert issue.raw == ""
    assert custom(connected, passenger)[key] == "Z5550111"


def test_a_trip_that_is_changed_back_stops_as_a_whole(session: Session, connected: Sandbox) -> None:
    theirs, ours = a_trip(name="Theirs"), a_trip(name="Ours")
    passenger = PassengerFactory(trip=theirs)
    for _pass in range(2):
        due.run_due(Session())
    for _turn in range(oscillation.TIMES + 1):
        passenger.refresh_from_db()
        passenger.trip = ours
        passenger.save()
        due.run_due(Session())
        if custom(connected, passenger)["trip_name"] == "Theirs":
            break
        connected.edit(link_of(passenger).remote_id, fields={"trip_name": "Theirs", "trip_id": theirs.legacy_trip_id})
        pull(Session())

    assert {field for code, field, _message in issues() if code == "oscillates"} <= {"trip_name", "trip_id"}
    assert "trip_name" in link_of(passenger).parked_fields
    connected.requests.clear()
    for _round in range(2):
        state.mark_dirty([link_of(passenger).pk])
        due.run_due(Session())
    assert [write.path for write in connected.writes() if link_of(passenger).remote_id in write.path] == []
    passenger.refresh_from_db()
    assert passenger.trip == ours
