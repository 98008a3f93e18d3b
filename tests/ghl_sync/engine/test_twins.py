"""Records that exist twice, or again: found, shown, decided by a person, and never deleted by us."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ghl_sync.engine import adoption, due, state, twins
from ghl_sync.engine.pull import pull
from ghl_sync.engine.results import CannotDo
from ghl_sync.engine.session import Session
from ghl_sync.models import Issue, Link, Write
from ghl_sync.sandbox.server import Sandbox
from tests.factories import ContactFactory, PassengerFactory, StaffFactory
from tests.ghl_sync.engine.mirror import a_trip, custom, link_of
from trips.models import Passenger, Trip

pytestmark = pytest.mark.django_db(transaction=True)


def a_trip_there(session: Session, **values: Any) -> Trip:
    trip = a_trip(**values)
    due.run_due(session)
    return trip


def copied(sandbox: Sandbox, obj: Any, **changes: Any) -> Any:
    """A copy of the object's record, key included, as "duplicate opportunity" makes one."""
    record = sandbox.store.get(link_of(obj).remote_id)
    assert record is not None
    fields = {**sandbox.store.custom_by_key(record), **changes.pop("fields", {})}
    pipeline = "TripBooking" if isinstance(obj, Trip) else "Passenger"
    return sandbox.store.add_opportunity(
        pipeline=pipeline, contact_id=record.contact_id, name=changes.pop("name", record.name), fields=fields
    )


def asked() -> list[tuple[str, str]]:
    return [(issue.code, issue.remote_id) for issue in twins.questions().order_by("pk")]


def the_question() -> Issue:
    return twins.questions().get()


def refusal(answer: Callable[[], object]) -> str:
    with pytest.raises(CannotDo) as caught:
        answer()
    return str(caught.value)


def at_rest(session: Session, sandbox: Sandbox) -> bool:
    due.run_due(session)
    pull(session, full=True)
    due.run_due(session)
    sandbox.requests.clear()
    pull(session, full=True)
    due.run_due(session)
    return not [one for one in sandbox.requests if one.method != "GET" and not one.path.endswith("/search")]


# By key


def test_a_copy_with_our_key_is_asked_about_and_not_imported(session: Session, connected: Sandbox) -> None:
    trip = a_trip_there(session, name="Fjords", capacity=10)
    copy = copied(connected, trip, fields={"max_passengers": 15})
    pull(session)
    pull(session, full=True)

    assert (asked(), Trip.objects.count()) == ([("twin", copy.id)], 1)
    assert [(side.name, side.ours, side.theirs) for side in twins.side_by_side(session, the_question())] == [
        ("capacity", 10, 15)
    ]
    assert at_rest(session, connected)


def test_a_copy_that_goes_away_ends_the_question(session: Session, connected: Sandbox) -> None:
    trip = a_trip_there(session)
    copy = copied(connected, trip)
    pull(session, full=True)
    question = the_question()
    connected.store.delete(copy.id)

    words = refusal(lambda: twins.own(session, question, StaffFactory()))
    pull(session, full=True)

    assert words == "That record is not in GoHighLevel any more; there is nothing left to decide."
    assert asked() == []


def test_the_same_is_remembered_and_left_alone(session: Session, connected: Sandbox) -> None:
    user = StaffFactory()
    trip = a_trip_there(session, name="Fjords")
    copy = copied(connected, trip)
    pull(session, full=True)
    question = the_question()
    twins.same(question, user)
    connected.store.edit(copy.id, fields={"max_passengers": 3})
    pull(session, full=True)
    pull(session)

    question.refresh_from_db()
    assert (asked(), Trip.objects.count(), question.decision, question.closed_by) == ([], 1, "same", user)
    assert refusal(lambda: twins.same(question, user)) == "This question is answered already."
    trip.delete()
    due.run_due(session)
    assert [card.id for card in connected.opportunities("TripBooking")] == [copy.id]
    assert at_rest(session, connected)


def test_it_gets_a_key_of_its_own(session: Session, connected: Sandbox) -> None:
    trip = a_trip_there(session, name="Fjords", capacity=10)
    copy = copied(connected, trip, name="Fjords II", fields={"max_passengers": 15})
    pull(session, full=True)
    made = twins.own(session, the_question(), StaffFactory())
    due.run_due(session)

    other = Trip.objects.get(pk=made.object_id)
    record = connected.store.get(copy.id)
    assert record is not None
    assert (other.name, other.capacity, other.uid == trip.uid) == ("Fjords II", 15, False)
    assert connected.store.custom_by_key(record)["tripbuilder_key"] == f"trip:{other.uid}"
    assert custom(connected, trip)["tripbuilder_key"] == f"trip:{trip.uid}"
    assert (asked(), len(connected.opportunities("TripBooking"))) == ([], 2)
    assert at_rest(session, connected)


def test_of_several_that_a_lost_create_may_have_made_a_person_names_the_one(
    session: Session, connected: Sandbox, settings: Any
) -> None:
    contact = ContactFactory()
    due.run_due(session)
    settings.GHL_WAIT_SCALE = 1.0  # nobody looks for the lost one before there are two
    session = Session()
    connected.faults.add("lost", method="POST", path="/opportunities/")
    trip = a_trip(name="Fjords", organiser=contact)
    due.run_due(session)
    (first,) = connected.opportunities("TripBooking")
    second = connected.store.add_opportunity(
        pipeline="TripBooking", contact_id=first.contact_id, name="Fjords",
        fields=connected.store.custom_by_key(first),
    )  # fmt: skip
    Link.objects.update(next_attempt_at=None)
    due.run_due(session)
    link = link_of(trip)
    waits = link.last_error

    adoption.adopt(session, link, first.id)
    due.run_due(session)
    pull(session, full=True)

    assert waits == "Several records in GoHighLevel bear this record's key. Say which one it is."
    assert (link_of(trip).remote_id, asked()) == (first.id, [("twin", second.id)])
    assert not Write.objects.filter(outcome="open").exists()


# By likeness


def test_trips_that_look_alike_are_asked_about_once(session: Session, connected: Sandbox) -> None:
    trip = a_trip_there(session, name="Fjords – by ship", capacity=10)
    twin = connected.store.add_opportunity(
        pipeline="TripBooking", name="fjords - By Ship", contact_id=link_of(trip.organiser).remote_id,
        fields={"max_passengers": 15},
    )  # fmt: skip
    pull(session)
    other = Link.objects.get(remote_id=twin.id)
    found, sides = asked(), [side.name for side in twins.side_by_side(None, the_question())]
    twins.apart(the_question(), StaffFactory())
    pull(session, full=True)

    assert found == [("likeness", link_of(trip).remote_id)]
    assert Issue.objects.get().link == other
    assert ("capacity" in sides, asked()) == (True, [])
    assert (Trip.objects.count(), len(connected.opportunities("TripBooking"))) == (2, 2)


def test_travellers_that_look_alike_are_asked_about_and_families_are_not(session: Session, connected: Sandbox) -> None:
    trip = a_trip(name="Fjords")
    person = PassengerFactory(trip=trip, legal_first_name="Ada", legal_last_name="Ortiz")
    due.run_due(session)
    due.run_due(session)
    for first in ("Bruno", "ADA"):
        connected.store.add_opportunity(
            pipeline="Passenger", name=first, contact_id=link_of(person.contact).remote_id,
            fields={"trip_name": "Fjords", "passenger_first_name": first, "passenger_last_name": "Ortiz"},
        )  # fmt: skip
    pull(session, full=True)

    assert Passenger.objects.filter(trip=trip, contact=person.contact).count() == 3
    assert asked() == [("likeness", link_of(person).remote_id)]


def test_what_staff_entered_twice_here_is_no_question(session: Session, connected: Sandbox) -> None:
    organiser = ContactFactory()
    a_trip(name="Fjords", organiser=organiser)
    a_trip(name="Fjords", organiser=organiser)
    due.run_due(session)
    pull(session, full=True)

    assert asked() == []


def test_a_likeness_that_is_renamed_ends_the_question_and_may_come_again(session: Session, connected: Sandbox) -> None:
    trip = a_trip_there(session, name="Fjords")
    connected.store.add_opportunity(pipeline="TripBooking", name="Fjords", contact_id=link_of(trip.organiser).remote_id)
    pull(session, full=True)
    before = asked()
    trip.name = "Other"
    trip.save()
    due.run_due(session)
    pull(session)
    between = asked()
    trip.name = "Fjords"
    trip.save()
    due.run_due(session)
    pull(session)

    assert (len(before), between, asked()) == (1, [], before)


# Came back


def came_back(session: Session, sandbox: Sandbox, **changes: Any) -> Link:
    """A trip that was deleted on both sides and stands in GoHighLevel again."""
    trip = a_trip_there(session, name="Fjords", capacity=10, description="Words")
    link = link_of(trip)
    record = sandbox.store.get(link.remote_id)
    assert record is not None
    fields = sandbox.store.custom_by_key(record)
    trip.delete()
    due.run_due(session)
    sandbox.store.add_opportunity(
        pipeline="TripBooking", name="Fjords", contact_id=record.contact_id, fields={**fields, **changes}
    )
    pull(session, full=True)
    link.refresh_from_db()
    return link


def test_what_came_back_is_asked_about_and_not_imported(session: Session, connected: Sandbox) -> None:
    link = came_back(session, connected)
    (card,) = connected.opportunities("TripBooking")
    assert (asked(), Trip.objects.count(), link.deleted_at is not None) == ([("came_back", card.id)], 0, True)
    assert at_rest(session, connected)


def test_it_is_brought_back_under_its_own_key(session: Session, connected: Sandbox) -> None:
    link = came_back(session, connected, max_passengers=15)
    (card,) = connected.opportunities("TripBooking")
    twins.bring_back(session, the_question(), StaffFactory())
    due.run_due(session)

    trip = Trip.objects.get()
    assert (trip.uid, trip.name, trip.capacity, trip.description) == (link.uid, "Fjords", 15, "Words")
    now = link_of(trip)
    assert (now.pk, now.remote_id, now.state_now()) == (link.pk, card.id, "synced")
    assert at_rest(session, connected)


def test_it_is_deleted_there_again(session: Session, connected: Sandbox) -> None:
    link = came_back(session, connected, max_passengers=15)
    twins.delete_again(session, the_question(), StaffFactory())
    due.run_due(session)

    link.refresh_from_db()
    assert (connected.opportunities("TripBooking"), link.remote_gone_at is not None, asked()) == ([], True, [])
    assert at_rest(session, connected)


def test_one_that_changes_once_more_before_that_is_asked_about(session: Session, connected: Sandbox) -> None:
    came_back(session, connected)
    (card,) = connected.opportunities("TripBooking")
    twins.delete_again(session, the_question(), StaffFactory())
    connected.store.edit(card.id, fields={"max_passengers": 16})
    due.run_due(session)

    assert Issue.objects.get(closed_at__isnull=True).code == "changed"
    assert len(connected.opportunities("TripBooking")) == 1


def test_the_lagging_index_is_no_resurrection(session: Session, connected: Sandbox) -> None:
    trip = a_trip_there(session, name="Fjords")
    pull(session, full=True)
    connected.store.lag = 30.0
    trip.delete()
    due.run_due(session)
    pull(session, full=True)

    assert (asked(), Trip.objects.count()) == ([], 0)


# Moved


def test_a_moved_record_is_flagged_and_no_more_when_it_is_back(session: Session, connected: Sandbox) -> None:
    a_trip(name="Another")
    trip = a_trip_there(session, name="Fjords", capacity=10)
    Link.objects.update(remote_seen_at=None)
    Link.objects.update(remote_seen_at="2026-01-01T00:00:00Z")
    connected.store.edit(link_of(trip).remote_id, pipeline="Passenger", stage="AddedToTrip",
                         fields={"max_passengers": 15})  # fmt: skip
    pull(session, full=True)
    pull(session, full=True)
    trip.refresh_from_db()
    moved = [(issue.code, issue.link.label) for issue in Issue.objects.filter(code="moved", closed_at__isnull=True)
             if issue.link]  # fmt: skip
    gone = link_of(trip).gone_at
    connected.store.edit(link_of(trip).remote_id, pipeline="TripBooking", stage="FormSubmit")
    pull(session, full=True)

    assert (moved, gone, trip.capacity) == ([("moved", "Fjords")], None, 15)
    assert not Issue.objects.filter(code="moved", closed_at__isnull=True).exists()
    assert link_of(trip).state_now() == "synced"


def test_what_was_put_away_and_reappears_is_mirrored_again(session: Session, connected: Sandbox) -> None:
    a_trip(name="Another")
    trip = a_trip_there(session, name="Fjords")
    Link.objects.update(remote_seen_at="2026-01-01T00:00:00Z")
    state.gone(link_of(trip), "Gone.")
    adoption.put_away(link_of(trip))
    pull(session, full=True)
    due.run_due(session)

    link = link_of(trip)
    assert (link.gone_at, link.ignored_at, link.state_now()) == (None, None, "synced")
