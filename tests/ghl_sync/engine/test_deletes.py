"""Deletes: held, undone, sent, asked about, and in the end forgotten."""

from __future__ import annotations

import datetime as dt
import json
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.apps import apps
from django.db import connection, transaction
from django.utils import timezone

from ghl_sync.engine import deleting, due, push, state
from ghl_sync.engine.pull import pull
from ghl_sync.engine.results import CannotDo, Result
from ghl_sync.engine.session import Session
from ghl_sync.models import Change, DeletedRecord, Issue, Link, Write
from ghl_sync.sandbox.server import Sandbox
from tests import factories
from tests.factories import ContactFactory, PassengerFactory, StaffFactory, TripFactory
from tests.ghl_sync.engine.mirror import a_trip, custom, link_of
from trips.models import (
    Contact,
    Document,
    Flight,
    ImportDraft,
    ItineraryItem,
    Note,
    PaperRun,
    PaperRunRow,
    Passenger,
    Passport,
    Payment,
    Reminder,
    Room,
    RoomingLock,
    RoomPlace,
    Transfer,
    TravellerForm,
    Trip,
    TripLeader,
)

pytestmark = pytest.mark.django_db(transaction=True)

LONG = 600 * 100  # ten minutes, though the tests' waits take a hundredth of their time


@pytest.fixture
def held(connected: Sandbox, settings: Any) -> None:
    """Deletes stay here until something is done about them."""
    settings.GHL_DELETE_HOLD_SECONDS = LONG


def tombstone(kind: str, pk: int) -> Link:
    return Link.objects.get(kind=kind, object_id=pk)


def removed(obj: Any) -> Link:
    """Delete an object; its link."""
    kind, pk = obj._meta.model_name, obj.pk
    obj.delete()
    return tombstone(kind, pk)


def sent(sandbox: Sandbox) -> list[str]:
    """What changed something over there."""
    return [
        f"{one.method} {one.path}"
        for one in sandbox.requests
        if one.method != "GET" and not one.path.endswith("/search")
    ]


def refusal(answer: Callable[[], object]) -> str:
    with pytest.raises(CannotDo) as caught:
        answer()
    return str(caught.value)


def everything() -> dict[str, list[Any]]:
    models = (Trip, Passenger, Contact, Passport, Document, factories.HealthRecord, factories.EmergencyContact)
    return {model.__name__: sorted(map(str, model._base_manager.values())) for model in models}


DAY = dt.date(2027, 3, 1)


def a_traveller() -> Passenger:
    passenger: Passenger = PassengerFactory(trip=a_trip(name="Fjords"), number=3)
    factories.PassportFactory(passenger=passenger, number="X5559876")
    factories.HealthRecordFactory(passenger=passenger)
    factories.EmergencyContactFactory(passenger=passenger)
    factories.DocumentFactory(passenger=passenger, remote_url="https://files.example.com/1", original_name="visa.pdf")
    room = Room.objects.create(trip=passenger.trip, number=1, beds=1)
    RoomPlace.objects.create(room=room, passenger=passenger)
    Flight.objects.create(trip=passenger.trip, passenger=passenger, number="IB 6651", leaves_on=DAY, arrives_on=DAY)
    Note.objects.create(passenger=passenger, text="Walks with a stick.")
    Reminder.objects.create(passenger=passenger, kind="gaps", recipient="a@example.com", subject="", body="")
    TravellerForm.objects.create(
        passenger=passenger, secret_hash="0" * 64, expires_at=timezone.now(), answers='{"details": {"how": "new"}}'
    )
    PaperRunRow.objects.create(run=PaperRun.objects.create(), passenger=passenger, kind="affidavit")
    return passenger


# Held


def test_a_delete_waits_before_it_leaves(session: Session, connected: Sandbox, settings: Any) -> None:
    settings.GHL_DELETE_HOLD_SECONDS = 30  # times a hundredth
    trip = a_trip(name="Fjords")
    due.run_due(session)
    link = removed(trip)
    connected.requests.clear()

    due.run_due(session)
    early, is_due, due_now = sent(connected), Link.objects.due().count(), due.due_ids()
    forced = push.reconcile(session, link.pk, force=True)
    time.sleep(0.35)
    due.run_due(session)

    link.refresh_from_db()
    assert (early, is_due, due_now, forced) == ([], 1, [], Result.WAITING)
    assert connected.opportunities("TripBooking") == []
    assert (link.remote_gone_at is not None, link.held_until) == (True, None)
    assert not DeletedRecord.objects.exists()


def test_a_delete_is_committed_or_rolled_back_with_its_hold(session: Session, held: None) -> None:
    trip = a_trip()
    due.run_due(session)
    with transaction.atomic():
        trip.delete()
        transaction.set_rollback(True)

    link = link_of(Trip.objects.get())
    assert (link.deleted_at, link.held_until, DeletedRecord.objects.count()) == (None, None, 0)


def test_a_field_that_is_missing_is_asked_for_by_no_deleted_record(
    session: Session, held: None, connected: Sandbox
) -> None:
    def asks_for() -> list[tuple[str, str]]:
        return list(Issue.objects.filter(closed_at=None, link=link).values_list("code", "field"))

    connected.store.remove_field("trip_description")
    session.refresh_definitions()
    trip = a_trip(description="Slow boats")
    link = link_of(trip)
    due.run_due(session)
    before = asks_for()
    removed(trip)
    while_held = asks_for()
    deleting.undo(Link.objects.get(pk=link.pk))
    due.run_due(session)

    assert (before, while_held, asks_for()) == ([("no_field", "description")], [], [("no_field", "description")])


def test_a_contact_is_not_held(session: Session, held: None, connected: Sandbox) -> None:
    contact = ContactFactory()
    due.run_due(session)
    link = removed(contact)
    due.run_due(session)

    link.refresh_from_db()
    assert (link.held_until, link.remote_gone_at is not None, len(connected.store.contacts())) == (None, True, 1)


def test_what_vanished_past_the_application_is_held_too(held: None, session: Session, connected: Sandbox) -> None:
    trip = a_trip()
    due.run_due(session)
    link = link_of(trip)
    Trip.objects.all()._raw_delete("default")  # no signal, no Change: what a script in SQL does
    state.record_change("trip", trip.pk)
    due.run_due(session)

    link.refresh_from_db()
    assert (link.deleted_at is not None, link.held_until is not None) == (True, True)
    assert len(connected.opportunities("TripBooking")) == 1
    assert refusal(lambda: deleting.undo(link)) == (f"Nothing was kept of {link}: it was removed past the application.")


def test_a_held_delete_leaves_at_once_when_told_so(session: Session, connected: Sandbox, held: None) -> None:
    trip = a_trip()
    due.run_due(session)
    link = removed(trip)
    deleting.send_now(link)
    due.run_due(session)

    assert connected.opportunities("TripBooking") == []


# Undone


def test_undo_brings_everything_back_under_its_old_number(session: Session, connected: Sandbox, held: None) -> None:
    passenger = a_traveller()
    due.run_due(session)
    before, cards = everything(), [card.id for card in connected.opportunities("Passenger")]
    link = removed(passenger)
    gone = Passenger.objects.count(), Passport.objects.count(), Document.objects.count()

    undone = deleting.undo(link)
    connected.requests.clear()
    due.run_due(session)
    pull(session, full=True)

    assert gone == (0, 0, 0)
    passenger = Passenger.objects.get()
    assert (undone.obj, undone.emptied) == (passenger, ())
    assert everything() == before
    assert [card.id for card in connected.opportunities("Passenger")] == cards
    assert (sent(connected), link_of(passenger).state_now(), DeletedRecord.objects.count()) == ([], "synced", 0)
    assert Passenger.history.filter(id=passenger.pk).first().history_change_reason == "Delete undone"


def test_undo_takes_in_what_was_edited_there_meanwhile(session: Session, connected: Sandbox, held: None) -> None:
    trip = a_trip(name="Fjords", capacity=10)
    due.run_due(session)
    link = removed(trip)
    connected.store.edit(link.remote_id, fields={"max_passengers": 15})

    deleting.undo(link)
    due.run_due(session)

    assert Trip.objects.get().capacity == 15


def test_a_trip_counts_its_passenger_again_after_the_undo(session: Session, connected: Sandbox, held: None) -> None:
    passenger = a_traveller()
    due.run_due(session)
    time.sleep(0.35)
    due.run_due(session)
    trip = Trip.objects.get()
    link = removed(passenger)
    trip.capacity = 7
    trip.save()
    due.run_due(session)
    meanwhile = custom(connected, trip)["passenger_count"]
    deleting.undo(link)
    time.sleep(0.35)
    due.run_due(session)

    assert (meanwhile, custom(connected, trip)["passenger_count"]) == (0, 1)


def a_departure() -> Trip:
    trip = a_trip(name="Fjords")
    factories.DocumentFactory(passenger=None, trip=trip)
    factories.CostFactory(trip=trip)
    Room.objects.create(trip=trip, number=1, beds=2)
    RoomingLock.objects.create(trip=trip)
    flight = Flight.objects.create(trip=trip, number="IB 6651", leaves_on=DAY, arrives_on=DAY)
    Transfer.objects.create(trip=trip, day=DAY).flights.add(flight)
    ItineraryItem.objects.create(trip=trip, day=DAY, title="Old town")
    Note.objects.create(trip=trip, text="They paid for the bus.")
    ImportDraft.objects.create(user=factories.StaffFactory(), trip=trip)
    TripLeader.objects.create(trip=trip, user=factories.StaffFactory())
    return trip


@pytest.mark.parametrize(
    ("make", "kinds"),
    [
        (
            a_traveller,
            {
                "trips.passport",
                "trips.healthrecord",
                "trips.emergencycontact",
                "trips.document",
                "trips.roomplace",
                "trips.flight",
                "trips.note",
                "trips.reminder",
                "trips.travellerform",
                "trips.paperrunrow",
            },
        ),
        (
            a_departure,
            {
                "trips.document",
                "trips.cost",
                "trips.room",
                "trips.roominglock",
                "trips.flight",
                "trips.transfer",
                "trips.itineraryitem",
                "trips.note",
                "trips.importdraft",
                "trips.tripleader",
            },
        ),
    ],
)
def test_every_row_that_a_delete_takes_along_is_kept(session: Session, held: None, make: Any, kinds: set[str]) -> None:
    """A model added later whose rows go with a trip or passenger must come back as well."""
    obj = make()
    label = obj._meta.label_lower
    cascades = {
        relation.related_model._meta.label_lower
        for relation in obj._meta.get_fields(include_hidden=True)
        if relation.auto_created and not relation.concrete and relation.on_delete.__name__ == "CASCADE"
    }
    link = removed(obj)
    rows = json.loads(DeletedRecord.objects.get(link=link).rows)
    assert cascades == kinds
    assert (rows[0]["model"], {row["model"] for row in rows} - {"trips.transfer_flights"}) == (label, {label, *kinds})

    deleting.undo(link)

    model = apps.get_model
    assert {kind: model(kind)._base_manager.count() for kind in kinds} == dict.fromkeys(kinds, 1)
    assert list(Transfer.flights.through.objects.values_list("flight__number", flat=True)) == (
        ["IB 6651"] if "trips.transfer" in kinds else []
    )


def test_what_is_kept_is_encrypted(session: Session, held: None) -> None:
    removed(a_traveller())
    with connection.cursor() as cursor:
        cursor.execute("SELECT rows FROM ghl_sync_deletedrecord")
        (stored,) = cursor.fetchone()
    assert "X5559876" not in stored
    assert "X5559876" in DeletedRecord.objects.get().rows


def test_undo_says_what_stands_in_its_way(session: Session, held: None) -> None:
    trip, other = a_trip(name="Fjords"), a_trip(name="Lisbon")
    passenger = PassengerFactory(trip=trip, legal_first_name="Ada", legal_last_name="Ortiz")
    contact = passenger.contact
    due.run_due(session)
    traveller = removed(passenger)
    departed = removed(trip)
    blocked = removed(other)
    TripFactory(pk=blocked.object_id)

    words = {
        "its trip": refusal(lambda: deleting.undo(traveller)),
        "number": refusal(lambda: deleting.undo(blocked)),
    }
    deleting.undo(departed)
    contact.delete()
    words["contact"] = refusal(lambda: deleting.undo(traveller))

    assert words == {
        "its trip": "Passenger “Ada Ortiz” belongs to the trip “Fjords”, which was deleted, too. Undo that first.",
        "number": f"Trip “Lisbon” cannot be brought back: another one has its number {blocked.object_id} by now.",
        "contact": (
            "Passenger “Ada Ortiz” cannot be brought back: its contact was deleted meanwhile. Add it as a new one "
            "instead."
        ),
    }
    assert Passenger.objects.count() == 0


def test_undo_is_whole_or_not_at_all(session: Session, held: None) -> None:
    passenger = a_traveller()
    due.run_due(session)
    link = removed(passenger)
    TripFactory(uid=link.uid)  # not unique with a passenger's
    PassengerFactory(uid=link.uid)
    before = everything()

    words = refusal(lambda: deleting.undo(link))

    link.refresh_from_db()
    assert words == (
        f"Passenger “{passenger}” cannot be brought back: a record made meanwhile holds a value that may be there "
        "only once, such as the reference of a payment. Change that one, then undo again."
    )
    assert (everything(), link.deleted_at is not None) == (before, True)


def test_a_trip_comes_back_without_the_vendor_that_is_gone(session: Session, held: None) -> None:
    vendor = factories.VendorFactory()
    trip = a_trip(vendor=vendor)
    due.run_due(session)
    link = removed(trip)
    vendor.delete()

    undone = deleting.undo(link)

    assert (undone.emptied, Trip.objects.get().vendor) == (("vendor",), None)


def test_undo_and_the_worker_do_not_both_win(session: Session, connected: Sandbox, held: None) -> None:
    trip, second, third = a_trip(), a_trip(), a_trip()
    due.run_due(session)
    link, doubtful, done = removed(trip), removed(second), removed(third)
    deleting.send_now(done)
    due.run_due(session)
    claimed = state.claim(link.pk, 60, force=True)
    assert claimed is not None
    state.claim(doubtful.pk, 60, force=True)
    doubtful.refresh_from_db()
    state.open_write(doubtful, Write.Action.DELETE, remote_id=doubtful.remote_id)
    Link.objects.filter(pk=doubtful.pk).update(leased_until=timezone.now() - dt.timedelta(seconds=1))

    words = [refusal(lambda link=link: deleting.undo(link)) for link in (link, doubtful, done)]  # type: ignore[misc]
    Link.objects.filter(pk=link.pk).update(leased_until=timezone.now() - dt.timedelta(seconds=1))
    deleting.undo(link)  # the worker was stopped past its lease
    with pytest.raises(state.LostLease):
        state.open_write(claimed, Write.Action.DELETE, remote_id=claimed.remote_id)

    ending = "is being deleted in GoHighLevel this moment; it cannot be brought back any more."
    assert words == [
        f"{link} {ending}",
        f"{doubtful} {ending}",
        f"{done} is deleted in GoHighLevel, too, and cannot be brought back any more.",
    ]
    assert [found.pk for found in Trip.objects.all()] == [link.object_id]
    assert refusal(lambda: deleting.undo(link)) == f"{link} is not deleted any more."


def test_an_undone_delete_with_a_payment_meanwhile_keeps_both(session: Session, held: None) -> None:
    first, second = a_traveller(), PassengerFactory()
    link = removed(first)
    factories.PaymentFactory(passenger=second, amount=Decimal("10.00"))
    deleting.undo(link)

    assert (Passenger.objects.count(), Payment.objects.count()) == (2, 1)


# Changed there since


def test_what_changed_there_is_not_deleted_unseen(session: Session, connected: Sandbox) -> None:
    trip = a_trip(name="Fjords", capacity=10)
    due.run_due(session)
    link = link_of(trip)
    connected.store.edit(link.remote_id, fields={"max_passengers": 15})
    trip.delete()

    due.run_due(session)
    connected.requests.clear()
    due.run_due(session)
    pull(session, full=True)
    due.run_due(session)

    issue = Issue.objects.get(closed_at__isnull=True)
    link.refresh_from_db()
    assert (issue.code, issue.message, json.loads(issue.raw)) == (
        "changed",
        "Deleted here, but changed in GoHighLevel since: capacity. Delete it there too, or restore it here.",
        {"capacity": 15},
    )
    assert (link.state_now(), link.last_error, sent(connected)) == ("needs_person", issue.message, [])
    assert (len(connected.opportunities("TripBooking")), Trip.objects.count()) == (1, 0)


def test_a_move_to_another_pipeline_is_a_change(session: Session, connected: Sandbox) -> None:
    trip = a_trip(name="Fjords")
    due.run_due(session)
    link = link_of(trip)
    connected.store.edit(link.remote_id, pipeline="Passenger", stage="AddedToTrip")
    trip.delete()
    due.run_due(session)

    theirs = json.loads(Issue.objects.get(code="changed").raw)
    assert theirs["pipeline"] != link.pipeline_id


def test_a_sensitive_change_is_kept_sealed(session: Session, connected: Sandbox) -> None:
    passenger = a_traveller()
    due.run_due(session)
    connected.store.edit(link_of(passenger).remote_id, fields={"passport_number": "Y7777777"})
    passenger.delete()
    due.run_due(session)

    issue = Issue.objects.get(code="changed")
    assert "passport number" in issue.message
    assert "Y7777777" not in issue.message + issue.raw


def changed_and_deleted(session: Session, sandbox: Sandbox) -> Link:
    trip = a_trip(name="Fjords", capacity=10)
    due.run_due(session)
    sandbox.store.edit(link_of(trip).remote_id, fields={"max_passengers": 15})
    link = removed(trip)
    due.run_due(session)
    link.refresh_from_db()
    return link


def test_delete_there_too(session: Session, connected: Sandbox) -> None:
    link, user = changed_and_deleted(session, connected), StaffFactory()
    deleting.delete_anyway(link, user)
    due.run_due(session)

    link.refresh_from_db()
    issue = Issue.objects.get(code="changed")
    assert connected.opportunities("TripBooking") == []
    assert (issue.closed_by, json.loads(issue.raw), link.remote_gone_at is not None) == (user, {"capacity": 15}, True)


def test_one_more_change_is_asked_about_once_more(session: Session, connected: Sandbox) -> None:
    link = changed_and_deleted(session, connected)
    deleting.delete_anyway(link, StaffFactory())
    connected.store.edit(link.remote_id, fields={"max_passengers": 16})
    due.run_due(session)

    asked = Issue.objects.filter(code="changed", closed_at__isnull=True)
    assert [json.loads(issue.raw) for issue in asked] == [{"capacity": 16}]
    assert len(connected.opportunities("TripBooking")) == 1


def test_restore_here_takes_their_edit_in(session: Session, connected: Sandbox) -> None:
    link = changed_and_deleted(session, connected)
    deleting.undo(link)
    due.run_due(session)
    connected.requests.clear()
    pull(session, full=True)
    due.run_due(session)

    assert (Trip.objects.get().capacity, Issue.objects.filter(closed_at__isnull=True).count()) == (15, 0)
    assert sent(connected) == []
    assert refusal(lambda: deleting.delete_anyway(link, StaffFactory())) == f"{link} is not deleted any more."


def test_our_own_late_update_is_no_change_of_theirs(session: Session, connected: Sandbox) -> None:
    trip = a_trip(name="Fjords", capacity=10)
    due.run_due(session)
    trip.capacity = 12
    trip.save()
    connected.faults.add("lost", method="PUT", path="/opportunities/.*")
    due.run_due(session)
    link = removed(trip)
    for _try in range(20):
        due.run_due(session)
        time.sleep(0.05)

    link.refresh_from_db()
    assert (connected.opportunities("TripBooking"), Issue.objects.count()) == ([], 0)


def test_what_is_gone_there_already_is_done_without_a_delete(session: Session, connected: Sandbox) -> None:
    a_trip(name="Another")
    trip = a_trip(name="Fjords")
    due.run_due(session)
    connected.store.delete(link_of(trip).remote_id)
    link = removed(trip)
    connected.requests.clear()
    due.run_due(session)

    link.refresh_from_db()
    assert (sent(connected), link.remote_gone_at is not None) == ([], True)


def test_a_lost_answer_to_a_delete_is_looked_up(session: Session, connected: Sandbox) -> None:
    a_trip(name="Another")
    trip = a_trip(name="Fjords")
    due.run_due(session)
    link = removed(trip)
    connected.faults.add("lost", method="DELETE", path="/opportunities/.*")
    for _try in range(20):
        due.run_due(session)
        time.sleep(0.05)

    link.refresh_from_db()
    deletes = Write.objects.filter(link=link, action="delete").values_list("outcome", flat=True)
    assert (link.remote_gone_at is not None, list(deletes)) == (True, ["found"])


# Forgotten


def test_tombstones_are_forgotten_after_sixty_days(session: Session, connected: Sandbox) -> None:
    old, young = removed(a_trip()), removed(a_trip())
    due.run_due(session)
    then = timezone.now() - dt.timedelta(days=deleting.TOMBSTONE_DAYS, hours=1)
    Link.objects.filter(pk=old.pk).update(remote_gone_at=then, deleted_at=then)
    left = removed(a_trip())
    Link.objects.filter(pk=left.pk).update(deleted_at=then, ignored_at=then)

    assert deleting.purge() == 2
    assert not Link.objects.filter(pk__in=[old.pk, left.pk]).exists()
    assert Link.objects.filter(pk=young.pk).exists()
    assert not Change.objects.filter(object_id=young.object_id, kind="trip").exists()
