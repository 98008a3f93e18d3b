"""What a person says about which record over there is whose: adopt, detach, ignore, create again, put away."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from ghl_sync.engine import adoption, due, state
from ghl_sync.engine.pull import pull
from ghl_sync.engine.results import CannotDo
from ghl_sync.engine.session import Session
from ghl_sync.models import Conflict, Issue, Kind, Link, Write
from ghl_sync.sandbox.server import Sandbox
from tests.factories import ContactFactory, PassengerFactory, TripFactory
from tests.ghl_sync.engine.mirror import a_trip, custom, link_of
from trips.models import Contact, Trip

pytestmark = pytest.mark.django_db(transaction=True)


def a_waiting_trip(**values: Any) -> tuple[Trip, Link]:
    """A trip that has no other half and does not look for one."""
    trip = TripFactory(**values)
    link = link_of(trip)
    adoption.ignore(link)
    return trip, link


def a_card(sandbox: Sandbox, contact: Contact, **values: Any) -> Any:
    return sandbox.store.add_opportunity(
        pipeline=values.pop("pipeline", "TripBooking"), contact_id=link_of(contact).remote_id, **values
    )


def organiser(session: Session) -> Contact:
    contact: Contact = ContactFactory(first_name="Ines", last_name="Prado")
    due.run_due(session)
    return contact


def refusal(answer: Callable[[], object]) -> str:
    with pytest.raises(CannotDo) as caught:
        answer()
    return str(caught.value)


def at_rest(session: Session, sandbox: Sandbox) -> bool:
    """Whether two more runs in both directions write nothing over there."""
    due.run_due(session)
    time.sleep(0.35)  # counts of passengers wait a little
    due.run_due(session)
    sandbox.requests.clear()
    pull(session, full=True)
    due.run_due(session)
    return not [one for one in sandbox.requests if one.method != "GET" and not one.path.endswith("/search")]


def test_adopting_fills_what_is_empty_and_asks_about_what_differs(session: Session, connected: Sandbox) -> None:
    contact = organiser(session)
    trip, link = a_waiting_trip(name="Fjords", organiser=contact, destination="Bergen", capacity=12, lodging="Hotel")
    card = a_card(connected, contact, name="Fjords", fields={"max_passengers": 15, "trip_description": "By ship"})

    adoption.adopt(session, link, card.id)
    adoption.unignore(link)
    due.run_due(session)

    trip.refresh_from_db()
    assert (link_of(trip).remote_id, trip.description, trip.capacity) == (card.id, "By ship", 12)
    assert custom(connected, trip)["lodging"] == "Hotel"
    assert custom(connected, trip)["max_passengers"] == 15
    asked = Conflict.objects.filter(resolved_at__isnull=True).values_list("field", "outcome", "our_value")
    assert [(field, outcome) for field, outcome, _ours in asked] == [("capacity", "asked")]
    assert len(connected.opportunities("TripBooking")) == 1
    assert at_rest(session, connected)


def test_an_adopted_record_gets_our_key(session: Session, connected: Sandbox) -> None:
    contact = organiser(session)
    trip, link = a_waiting_trip(name="Fjords", organiser=contact, lodging="Hotel")
    card = a_card(connected, contact, name="Fjords")

    adoption.adopt(session, link, card.id)
    adoption.unignore(link)
    due.run_due(session)

    assert custom(connected, trip)["tripbuilder_key"] == link.key


def test_a_trip_without_an_organiser_takes_the_cards_contact(session: Session, connected: Sandbox) -> None:
    contact = organiser(session)
    trip, link = a_waiting_trip(name="Fjords", organiser=None)
    card = a_card(connected, contact, name="Fjords")

    adoption.adopt(session, link, card.id)

    trip.refresh_from_db()
    assert trip.organiser == contact


def test_what_cannot_be_adopted_is_said(session: Session, connected: Sandbox) -> None:
    contact = organiser(session)
    other = a_trip(name="Lisbon", organiser=contact)
    due.run_due(session)
    waiting = a_trip(name="Fjords", organiser=contact)
    _theirs, link = a_waiting_trip(name="Fjords by ship", organiser=ContactFactory())
    _trip, mine = a_waiting_trip(name="Fjords by train", organiser=contact)
    elsewhere = a_card(connected, contact, name="A passenger", pipeline="Passenger")
    card = a_card(connected, contact, name="Fjords")
    keyed = a_card(connected, contact, name="Fjords", fields={"tripbuilder_key": link_of(waiting).key})

    assert {
        "not there": refusal(lambda: adoption.adopt(session, mine, "nowhere")),
        "nothing": refusal(lambda: adoption.adopt(session, mine, " ")),
        "taken": refusal(lambda: adoption.adopt(session, mine, link_of(other).remote_id)),
        "elsewhere": refusal(lambda: adoption.adopt(session, mine, elsewhere.id)),
        "contact": refusal(lambda: adoption.adopt(session, link, card.id)),
        "key": refusal(lambda: adoption.adopt(session, mine, keyed.id)),
        "has one": refusal(lambda: adoption.adopt(session, link_of(other), card.id)),
    } == {
        "not there": "GoHighLevel has no opportunity with the ID nowhere.",
        "nothing": "Give the ID of the opportunity in GoHighLevel.",
        "taken": "That opportunity belongs to Trip Lisbon already. Detach it there first.",
        "elsewhere": ("That opportunity stands in Passenger; a trip must stand in TripBooking. Move it there first."),
        "contact": (
            "In GoHighLevel that opportunity belongs to Ines Prado, who is not the lead organiser here. Choose that "
            "contact as the lead organiser here first; an opportunity's contact cannot be changed from here."
        ),
        "key": "That record bears the key of Trip Fjords, which is still to be linked. Link it to that one.",
        "has one": "Trip Lisbon has its record in GoHighLevel already. Detach it first, then link the other one.",
    }


def test_while_a_worker_has_the_record_nothing_is_decided(session: Session) -> None:
    trip = a_trip()
    due.run_due(session)
    link = link_of(trip)
    state.claim(link.pk, 60, force=True)

    words = {
        refusal(lambda: adoption.detach(link, ignore=True)),
        refusal(lambda: adoption.ignore(link)),
        refusal(lambda: adoption.unignore(link)),
        refusal(lambda: adoption.create_again(link)),
        refusal(lambda: adoption.put_away(link)),
    }

    assert words == {adoption.BUSY}


def test_a_detached_record_stays_there_and_is_neither_imported_nor_linked_again(
    session: Session, connected: Sandbox
) -> None:
    trip = a_trip(name="Fjords")
    due.run_due(session)
    card = link_of(trip).remote_id

    adoption.detach(link_of(trip), ignore=True)
    pull(session, full=True)
    due.run_due(session)

    link = link_of(trip)
    assert (link.remote_id, link.state_now()) == ("", "ignored")
    assert [one.id for one in connected.opportunities("TripBooking")] == [card]
    assert Trip.objects.count() == 1
    assert at_rest(session, connected)


def test_a_detached_record_that_is_still_mirrored_is_created_anew(session: Session, connected: Sandbox) -> None:
    trip = a_trip(name="Fjords")
    due.run_due(session)
    before = link_of(trip).remote_id

    adoption.detach(link_of(trip), ignore=False)
    due.run_due(session)
    pull(session, full=True)

    after = link_of(trip).remote_id
    assert {one.id for one in connected.opportunities("TripBooking")} == {before, after}
    assert after not in {"", before}
    assert [(one.code, one.remote_id) for one in Issue.objects.filter(closed_at__isnull=True)] == [("twin", before)]
    assert at_rest(session, connected)


def test_an_ignored_record_is_left_alone_until_it_is_mirrored_again(session: Session, connected: Sandbox) -> None:
    trip = a_trip(name="Fjords", capacity=10)
    due.run_due(session)
    adoption.ignore(link_of(trip))
    trip.capacity = 12
    trip.save()
    assert at_rest(session, connected)
    before = custom(connected, trip)["max_passengers"]

    adoption.unignore(link_of(trip))
    due.run_due(session)

    assert (before, custom(connected, trip)["max_passengers"]) == (10, 12)


def gone(session: Session, sandbox: Sandbox, obj: Any) -> Link:
    """The object's other half is deleted over there, and that is proven."""
    due.run_due(session)
    sandbox.store.delete(link_of(obj).remote_id)
    pull(session, full=True)
    pull(session, full=True)
    link = link_of(obj)
    assert link.gone_at is not None
    return link


def test_what_is_gone_is_created_again_with_the_edits_that_waited(session: Session, connected: Sandbox) -> None:
    a_trip(name="Another")
    trip = a_trip(name="Fjords", capacity=10)
    link = gone(session, connected, trip)
    trip.capacity = 12
    trip.save()
    due.run_due(session)

    adoption.create_again(link)
    due.run_due(session)

    again = link_of(trip)
    assert again.remote_id not in {"", link.remote_id}
    assert (custom(connected, trip)["max_passengers"], custom(connected, trip)["tripbuilder_key"]) == (12, link.key)
    assert Write.objects.filter(link=link, action="create").count() == 2
    assert at_rest(session, connected)


def test_what_is_gone_is_put_away(session: Session, connected: Sandbox) -> None:
    trip = a_trip(name="Fjords")
    passenger = PassengerFactory(trip=a_trip())
    done = [adoption.put_away(gone(session, connected, obj)) for obj in (trip, passenger)]

    trip.refresh_from_db()
    passenger.refresh_from_db()
    assert done == ["archived", "cancelled"]
    assert (trip.archived_at is not None, passenger.attendance) == (True, "cancelled")
    assert [link_of(obj).state_now() for obj in (trip, passenger)] == ["ignored", "ignored"]
    assert at_rest(session, connected)


def test_only_what_is_gone_is_created_again_or_put_away(session: Session) -> None:
    trip = a_trip(name="Fjords")
    due.run_due(session)
    assert [
        refusal(lambda: adoption.create_again(link_of(trip))),
        refusal(lambda: adoption.put_away(link_of(trip))),
    ] == [
        "Trip Fjords is not missing in GoHighLevel any more; there is nothing to create again.",
        "Trip Fjords is not missing in GoHighLevel any more; it is compared as usual.",
    ]


def test_a_gone_record_is_linked_to_another_one(session: Session, connected: Sandbox) -> None:
    contact = organiser(session)
    a_trip(name="Another", organiser=contact)
    trip = a_trip(name="Fjords", organiser=contact, capacity=10)
    link = gone(session, connected, trip)
    card = a_card(connected, contact, name="Fjords")

    adoption.adopt(session, link, card.id)
    due.run_due(session)

    assert (link_of(trip).remote_id, custom(connected, trip)["max_passengers"]) == (card.id, 10)
    assert Link.objects.filter(kind=Kind.TRIP).count() == 2
    assert at_rest(session, connected)
