"""Faults 7, 8, 23, 24, 26, 34, 35, 44, 51 and 52: answers that come late, wrong or not at all, and refusals."""

from __future__ import annotations

import time
from decimal import Decimal
from typing import Any

import pytest

from ghl_sync.conf import config
from ghl_sync.engine import due, push, state
from ghl_sync.engine.pull import pull
from ghl_sync.engine.session import Session
from ghl_sync.models import Conflict, Issue, Location, Write
from ghl_sync.sandbox.server import Sandbox
from tests.chaos.rest import come_to_rest, names, posts, quiet
from tests.factories import ContactFactory, PassengerFactory
from tests.ghl_sync.engine.mirror import a_trip, custom, link_of
from trips.models import Contact

pytestmark = pytest.mark.django_db(transaction=True)


def a_trip_whose_contact_is_there(session: Session, connected: Sandbox) -> Any:
    trip = a_trip(name="Fjords")
    push.reconcile(session, link_of(trip.organiser).pk)
    connected.requests.clear()
    return trip


# 7, 8: a create of which nobody hears


def test_a_lost_create_is_waited_for_while_the_search_lags(session: Session, connected: Sandbox) -> None:
    trip = a_trip_whose_contact_is_there(session, connected)
    connected.store.lag = 60 * config().scale
    connected.faults.add("lost", method="POST", path="/opportunities/")

    push.reconcile(session, link_of(trip).pk)
    assert link_of(trip).remote_id == ""
    come_to_rest()

    assert (names(connected), posts(connected)) == (["Fjords"], 1)
    assert link_of(trip).remote_id == connected.opportunities("TripBooking")[0].id


def test_a_create_applied_25_seconds_late_stays_the_only_one(session: Session, connected: Sandbox) -> None:
    a_trip_whose_contact_is_there(session, connected)
    connected.faults.add("late", method="POST", path="/opportunities/", seconds=25 * config().scale)

    due.run_due(session)
    come_to_rest()

    assert (names(connected), posts(connected)) == (["Fjords"], 1)
    assert quiet(connected) == []


@pytest.mark.parametrize("kind", ["lost", "cut"])
def test_a_contact_deleted_while_its_create_is_in_doubt_is_done_with(
    session: Session, connected: Sandbox, kind: str
) -> None:
    contact = ContactFactory()
    connected.faults.add(kind, method="POST", path="/contacts/")
    push.reconcile(session, link_of(contact).pk)
    contact.delete()

    come_to_rest()
    pull(Session(), full=True)

    assert not Contact.objects.exists()
    assert quiet(connected) == []


# 23: the limit


@pytest.mark.parametrize("bare", [False, True])
def test_a_storm_of_429_burns_no_attempt(session: Session, connected: Sandbox, bare: bool) -> None:
    trips = [a_trip_whose_contact_is_there(session, connected) for _trip in range(3)]
    connected.faults.add("status", path="/opportunities/.*", status=429, times=3, bare=bare)
    impatient = Session(longest_wait=0.0)

    for _round in range(3):
        due.run_due(impatient)
        Location.objects.update(held_until=None)
    come_to_rest()

    assert names(connected) == ["Fjords"] * 3
    assert {(link_of(trip).failures, link_of(trip).attempts) for trip in trips} == {(0, 0)}
    assert Write.objects.filter(action="create", outcome="not_applied").count() == 0


# 24: an error that was none


def test_an_error_with_the_effect_applied_is_unknown_not_failed(session: Session, connected: Sandbox) -> None:
    trip = a_trip_whose_contact_is_there(session, connected)
    connected.faults.add("applied", method="POST", path="/opportunities/", status=500)

    push.reconcile(session, link_of(trip).pk)
    assert Write.objects.get(action="create", link=link_of(trip)).outcome == "open"
    come_to_rest()

    assert (names(connected), posts(connected)) == (["Fjords"], 1)
    assert Write.objects.get(action="create", link=link_of(trip)).outcome == "found"


# 26: one record is refused


def test_a_refused_record_needs_a_person_and_holds_up_nobody(session: Session, connected: Sandbox) -> None:
    first, second = (a_trip_whose_contact_is_there(session, connected) for _trip in range(2))
    connected.faults.add("status", method="POST", path="/opportunities/", status=422, message="Not this one.")
    for trip in (first, second):
        push.reconcile(session, link_of(trip).pk)
    assert [link_of(trip).state_now() for trip in (first, second)] == ["needs_person", "synced"]
    assert "Not this one." in link_of(first).last_error

    first.description = "Mended"
    first.save()
    come_to_rest()

    assert link_of(first).state_now() == "synced"
    assert custom(connected, first)["trip_description"] == "Mended"


# 34, 35: the same value in other words, and a true return to an old one


def test_a_value_in_other_words_is_no_edit(session: Session, connected: Sandbox) -> None:
    contact = ContactFactory(phone="+12025550123")
    trip = a_trip(price_per_person=Decimal("2450.00"), organiser=contact)
    come_to_rest()
    connected.edit(link_of(contact).remote_id, phone="(202) 555-0123")
    connected.edit(link_of(trip).remote_id, fields={"trip_standard_level_pricing": 2450})
    connected.requests.clear()

    for _round in range(2):
        pull(Session(), full=True)
        due.run_due(Session())

    contact.refresh_from_db()
    assert (contact.phone, connected.writes()) == ("+12025550123", [])
    assert not Conflict.objects.exists()


def test_a_return_to_our_earlier_value_is_an_edit(session: Session, connected: Sandbox) -> None:
    trip = a_trip(description="First")
    come_to_rest()
    trip.description = "Second"
    trip.save()
    come_to_rest()

    connected.edit(link_of(trip).remote_id, fields={"trip_description": "First"})
    pull(Session(), full=True)
    come_to_rest()

    trip.refresh_from_db()
    assert (trip.description, custom(connected, trip)["trip_description"]) == ("First", "First")
    assert quiet(connected) == []


# 44: who is who


def test_two_owners_of_one_address_and_number_go_to_a_person(session: Session, connected: Sandbox) -> None:
    connected.store.settings.allow_duplicate_contact = True
    session.refresh_definitions()
    connected.store.add_contact(first_name="Ines", email="ines@example.com")
    connected.store.add_contact(first_name="Rui", phone="+12025550123")
    contact = ContactFactory(email="ines@example.com", phone="+12025550123")

    due.run_due(Session())

    assert link_of(contact).state_now() == "needs_person"
    assert "two contacts" in link_of(contact).last_error
    assert len(connected.store.contacts()) == 2


def test_an_opportunity_whose_contact_was_merged_away_follows_it(session: Session, connected: Sandbox) -> None:
    passenger = PassengerFactory(trip=a_trip())
    come_to_rest()
    gone = link_of(passenger.contact).remote_id
    kept = connected.store.add_contact(first_name="Ines", email="other@example.com", added=connected.store.added_now())
    connected.edit(link_of(passenger).remote_id, contact_id=kept.id)
    connected.store.delete(gone)

    pull(Session(), full=True)
    come_to_rest()

    passenger.refresh_from_db()
    assert passenger.contact.email == "other@example.com"
    assert [card.contact_id for card in connected.opportunities("Passenger")] == [kept.id]


# 51, 52


def test_an_answer_without_custom_fields_blanks_nothing(session: Session, connected: Sandbox) -> None:
    connected.store.answers_with_custom = False
    trip = a_trip(description="Text", lodging_notes="Notes")
    come_to_rest()
    trip.lodging_notes = "More"
    trip.save()
    come_to_rest()

    trip.refresh_from_db()
    assert (trip.description, custom(connected, trip)["trip_description"]) == ("Text", "Text")
    assert quiet(connected) == []


@pytest.mark.parametrize("kind", ["lost", "cut", "late", "applied"])
def test_a_contact_without_address_and_number_is_made_once(session: Session, connected: Sandbox, kind: str) -> None:
    contact = ContactFactory(email="", phone="")
    connected.faults.add(kind, method="POST", path="/contacts/", seconds=0.2)

    due.run_due(session)
    come_to_rest()

    assert [one.id for one in connected.store.contacts()] == [link_of(contact).remote_id]


def test_an_open_question_about_a_kept_value_is_not_asked_twice(session: Session, connected: Sandbox) -> None:
    trip = a_trip(description="Text")
    come_to_rest()
    connected.store.clearing = {"*": "ignored"}
    trip.description = ""
    trip.save()
    come_to_rest()

    for _round in range(2):
        state.mark_dirty([link_of(trip).pk])
        due.run_due(Session())
        time.sleep(0.01)

    assert list(Issue.objects.filter(closed_at=None).values_list("code", "field")) == [("kept", "description")]
    assert quiet(connected) == []
