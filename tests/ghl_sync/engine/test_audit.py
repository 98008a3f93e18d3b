"""The audit: what signals, webhooks and pulls miss is found, told and mended; nothing else is touched."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from ghl_sync.engine import due, state
from ghl_sync.engine.audit import CANCELLED, AuditReport, audit
from ghl_sync.engine.pull import pull
from ghl_sync.engine.repairs import repair
from ghl_sync.engine.session import CannotRun, Session
from ghl_sync.models import Change, Conflict, Drift, Issue, Link, Run, SeenPage
from ghl_sync.sandbox.server import Sandbox
from tests.factories import ContactFactory, PassengerFactory, PassportFactory, VendorFactory
from tests.ghl_sync.engine.mirror import a_trip, custom, link_of
from trips.models import Contact, Passenger, Passport, Trip

pytestmark = pytest.mark.django_db(transaction=True)


def at_rest(session: Session) -> None:
    """Everything sent, and old enough for the index to have caught up."""
    due.run_due(session)
    Change.objects.update(due_at=timezone.now())  # trips' counts would come a moment later
    due.run_due(session)
    assert not Link.objects.due().exists()
    Link.objects.update(remote_seen_at=timezone.now() - dt.timedelta(hours=1))


def finds() -> list[tuple[str, str, str, str, str]]:
    rows = Drift.objects.order_by("pk").values_list("what", "kind", "field", "our_value", "their_value")
    return list(rows)


def tables() -> dict[str, list[Any]]:
    """Every row of every table that is ours, but for the run and what it found."""
    found = {}
    for model in (Trip, Passenger, Contact, Passport, Link, Change, Issue, Conflict):
        found[model.__name__] = list(model._base_manager.order_by("pk").values())
    return found


def test_equal_sides_are_no_find(session: Session, connected: Sandbox) -> None:
    trip = a_trip()
    PassengerFactory(trip=trip)
    at_rest(session)
    report = audit(session)
    assert (report.ok, finds(), report.trips.seen, report.passengers.seen, report.contacts.seen) == (True, [], 1, 1, 2)
    run = Run.objects.get(mode="audit")
    assert (run.ok, run.report["ok"], SeenPage.objects.count()) == (True, True, 0)


def test_what_update_changed_is_found_and_sent_on_request(session: Session, connected: Sandbox) -> None:
    trip = a_trip(description="Old")
    at_rest(session)
    Trip.objects.filter(pk=trip.pk).update(description="Past the signals")
    report = audit(session)
    assert finds() == [("not_sent", "trip", "description", "Past the signals", "Old")]
    assert not report.ok
    assert repair(session, Drift.objects.all()) == 1
    due.run_due(session)
    assert custom(connected, trip)["trip_description"] == "Past the signals"
    at_rest(session)
    assert audit(session).ok


def test_what_changed_over_there_unseen_is_found_and_fetched(session: Session, connected: Sandbox) -> None:
    trip = a_trip(description="Old")
    at_rest(session)
    connected.store.edit(link_of(trip).remote_id, fields={"trip_description": "Theirs"})
    audit(session)
    assert finds() == [("differs", "trip", "description", "Old", "Theirs")]
    repair(session, Drift.objects.all())
    due.run_due(session)
    trip.refresh_from_db()
    assert trip.description == "Theirs"
    at_rest(session)
    assert audit(session).ok


def test_both_changed_becomes_a_conflict_for_a_person(session: Session, connected: Sandbox) -> None:
    trip = a_trip(description="Old")
    at_rest(session)
    Trip.objects.filter(pk=trip.pk).update(description="Ours")
    connected.store.edit(link_of(trip).remote_id, fields={"trip_description": "Theirs"})
    audit(session)
    assert finds() == [("differs", "trip", "description", "Ours", "Theirs")]
    repair(session, Drift.objects.all())
    due.run_due(session)
    conflict = Conflict.objects.get()
    assert (conflict.field, conflict.our_value, conflict.their_value) == ("description", "Ours", "Theirs")
    assert audit(session).ok  # a person has been told


def test_a_difference_that_was_agreed_on_is_asked_about(session: Session, connected: Sandbox) -> None:
    trip = a_trip(description="Ours")
    at_rest(session)
    link = link_of(trip)
    connected.store.edit(link.remote_id, fields={"trip_description": "Theirs"})
    base = link.base
    del base["v"]["description"]
    base |= {"l": {"description": "Ours"}, "r": {"description": "Theirs"}}
    Link.objects.filter(pk=link.pk).update(base=base)
    audit(session)
    assert finds() == [("kept_apart", "trip", "description", "Ours", "Theirs")]
    repair(session, Drift.objects.all())
    due.run_due(session)
    assert [(row.field, row.our_value, row.their_value) for row in Conflict.objects.all()] == [
        ("description", "Ours", "Theirs")
    ]


def test_rows_that_no_save_reported_are_found_and_created(session: Session, connected: Sandbox) -> None:
    organiser = ContactFactory()
    at_rest(session)
    Trip.objects.bulk_create([Trip(name="Bulk", organiser=organiser)])
    audit(session)
    assert list(Drift.objects.values_list("what", "kind", "label")) == [("no_link", "trip", "Bulk")]
    repair(session, Drift.objects.all())
    due.run_due(session)
    assert [card.name for card in connected.opportunities("TripBooking")] == ["Bulk"]


def test_a_record_that_no_pull_brought_is_found_and_imported(session: Session, connected: Sandbox) -> None:
    contact = connected.store.add_contact(first_name="Ines", email="ines@example.com")
    card = connected.store.add_opportunity(pipeline="TripBooking", name="Fjords", contact_id=contact.id)
    audit(session)
    assert list(Drift.objects.order_by("pk").values_list("what", "kind", "remote_id")) == [
        ("not_here", "contact", contact.id),
        ("not_here", "trip", card.id),
    ]
    assert repair(session, Drift.objects.select_related("link").order_by("pk")) == 2
    assert Trip.objects.get().name == "Fjords"
    assert Trip.objects.get().organiser == Contact.objects.get()


def test_an_object_that_vanished_unreported_comes_back_under_its_key(session: Session, connected: Sandbox) -> None:
    trip = a_trip(name="Fjords")
    at_rest(session)
    uid = trip.uid
    Trip._base_manager.filter(pk=trip.pk)._raw_delete("default")
    audit(session)
    assert list(Drift.objects.values_list("what", "label", "object_id")) == [("not_here", "Fjords", trip.pk)]
    repair(session, Drift.objects.select_related("link"))
    due.run_due(session)
    assert (Trip.objects.get().uid, Trip.objects.get().name) == (uid, "Fjords")
    assert len(connected.opportunities("TripBooking")) == 1


def test_a_record_missing_over_there_is_found_and_flagged(session: Session, connected: Sandbox) -> None:
    trip, _other = a_trip(), a_trip()
    at_rest(session)
    connected.store.delete(link_of(trip).remote_id)
    audit(session)
    assert list(Drift.objects.values_list("what", "object_id")) == [("not_there", trip.pk)]
    repair(session, Drift.objects.all())
    due.run_due(session)
    assert link_of(trip).gone_at is not None
    assert Trip.objects.count() == 2


def test_sensitive_values_are_found_and_never_stored(session: Session, connected: Sandbox) -> None:
    passport = PassportFactory(number="X5559876", passenger__trip=a_trip())
    at_rest(session)
    Passport.objects.filter(pk=passport.pk).update(number="Y1112223")
    audit(session)
    assert finds() == [("not_sent", "passenger", "passport.number", "", "")]


@pytest.mark.parametrize(
    "values",
    [
        {"parked_at": timezone.now(), "last_error": "Refused"},
        {"ignored_at": timezone.now()},
        {"gone_at": timezone.now()},
        {"remote_dirty_at": timezone.now()},
    ],
)
def test_what_waits_or_rests_with_a_person_is_no_find(
    session: Session, connected: Sandbox, values: dict[str, Any]
) -> None:
    trip = a_trip(description="Old")
    at_rest(session)
    Trip.objects.filter(pk=trip.pk).update(description="New")
    Link.objects.filter(pk=link_of(trip).pk).update(**values)
    report = audit(session)
    assert (finds(), report.trips.waiting) == ([], 1)


def test_what_an_issue_or_conflict_is_open_about_is_no_find(session: Session, connected: Sandbox) -> None:
    trip = a_trip(description="Old", lodging_notes="Old")
    at_rest(session)
    Trip.objects.filter(pk=trip.pk).update(description="New", lodging_notes="New")
    state.open_issue(link_of(trip), "kept", "GoHighLevel kept Old.", field="description")
    Conflict.objects.create(link=link_of(trip), field="lodging_notes", policy="ask")
    audit(session)
    assert finds() == []


def test_looking_changes_nothing_on_either_side(session: Session, connected: Sandbox) -> None:
    trip = a_trip(description="Old")
    PassengerFactory(trip=trip)
    at_rest(session)
    Trip.objects.filter(pk=trip.pk).update(description="New")
    Contact.objects.bulk_create([Contact(first_name="Bulk")])
    before = tables()
    connected.requests.clear()
    audit(session)
    assert tables() == before
    assert connected.writes() == []
    assert len(finds()) == 2


def test_a_row_older_than_our_own_write_is_read_directly(session: Session, connected: Sandbox) -> None:
    trip = a_trip(description="Old")
    due.run_due(session)  # written this moment: the index may show what was there before
    connected.store.lag = 60
    trip.description = "New"
    trip.save()
    due.run_due(session)
    assert audit(session).ok


def test_a_walk_that_is_not_whole_calls_nothing_missing(session: Session, connected: Sandbox) -> None:
    a_trip()
    at_rest(session)
    connected.faults.add("short", path="/opportunities/search", times=9)
    report = audit(session)
    assert Drift.objects.filter(what="not_there").count() == 0
    assert report.found.get("not_there", 0) == 0


def test_slices_go_on_where_the_last_one_stopped(session: Session, connected: Sandbox) -> None:
    for _ in range(3):
        a_trip()
    at_rest(session)
    Trip.objects.update(description="Past the signals")
    state.remember_location(session.location, page_size=1)
    slices = 0
    report = AuditReport(complete=False)
    while not report.complete:
        report = audit(session, seconds=0)
        slices += 1
        assert slices < 20
    assert (slices > 3, report.trips.seen, report.contacts.seen) == (True, 3, 3)
    assert len(finds()) == 3
    assert Run.objects.filter(mode="audit").count() == 1


def test_a_cancelled_audit_ends_after_the_page_at_hand(session: Session, connected: Sandbox) -> None:
    a_trip()
    a_trip()
    at_rest(session)
    state.remember_location(session.location, page_size=1)
    audit(session, seconds=0)
    run = Run.objects.get(mode="audit")
    assert state.ask_to_cancel(run, None)
    report = audit(session)
    run.refresh_from_db()
    assert (report.error, run.error, run.ok, run.finished_at is not None) == (CANCELLED, CANCELLED, False, True)
    assert not state.ask_to_cancel(run, None)


def test_two_audits_at_once_are_refused(session: Session, connected: Sandbox) -> None:
    row = state.start_run("audit")
    state.advance_run(row, cursor={"host": "elsewhere", "pid": 1}, report={})
    with pytest.raises(CannotRun, match="at work already"):
        audit(session)


def test_an_audit_that_died_is_closed_and_another_begins(session: Session, connected: Sandbox) -> None:
    row = state.start_run("audit")
    Run.objects.filter(pk=row.pk).update(touched_at=timezone.now() - dt.timedelta(hours=1))
    assert audit(session).ok
    row.refresh_from_db()
    assert (row.ok, row.error) == (False, "Broken off; another one was started.")


def test_queries_do_not_grow_with_the_records(session: Session, connected: Sandbox) -> None:
    trip = a_trip()
    counted = []
    for more in (1, 2):
        for _ in range(more):
            PassportFactory(passenger__trip=trip)
        at_rest(session)
        with CaptureQueriesContext(connection) as queries:
            audit(session)
        # How often the limiter and the switches are looked at depends on how long it takes.
        timed = ("clock_timestamp", "ghl_sync_location")
        counted.append(sum(not any(word in query["sql"] for word in timed) for query in queries))
    assert counted[0] == counted[1]


def test_a_pull_in_slices_may_go_on_in_another_worker(session: Session, connected: Sandbox) -> None:
    contact = connected.store.add_contact(first_name="Ines", email="ines@example.com")
    for name in ("Fjords", "Alps"):
        connected.store.add_opportunity(pipeline="TripBooking", name=name, contact_id=contact.id)
    state.remember_location(session.location, page_size=1)
    assert not pull(session, full=True, seconds=0).complete
    run = Run.objects.get()
    assert not {"host", "pid"} & set(run.cursor)


def test_a_cancelled_pull_keeps_what_came_and_the_next_one_begins_anew(session: Session, connected: Sandbox) -> None:
    contact = connected.store.add_contact(first_name="Ines", email="ines@example.com")
    for name in ("Fjords", "Alps"):
        connected.store.add_opportunity(pipeline="TripBooking", name=name, contact_id=contact.id)
    state.remember_location(session.location, page_size=1)
    pull(session, full=True, seconds=0)
    run = Run.objects.get()
    state.ask_to_cancel(run, None)
    report = pull(session, full=True)
    run.refresh_from_db()
    assert (report.ok, run.ok, run.error.startswith("Cancelled"), run.finished_at is not None) == (
        False, False, True, True,
    )  # fmt: skip
    session.location.refresh_from_db()
    assert session.location.watermark is None
    assert pull(session, full=True).ok
    assert Trip.objects.count() == 2


def test_passengers_of_a_trip_whose_rename_is_on_its_way_are_no_find(session: Session, connected: Sandbox) -> None:
    trip = a_trip(name="Fjords", legacy_trip_id=7)
    PassengerFactory.create_batch(2, trip=trip)
    at_rest(session)
    trip.name, trip.legacy_trip_id = "Fjords and islands", 8
    trip.save()
    report = audit(session)
    assert (report.ok, finds(), report.trips.waiting, report.passengers.waiting) == (True, [], 1, 0)
    due.run_due(session)
    at_rest(session)
    assert audit(session).ok


def test_of_a_rename_past_the_signals_only_the_trip_is_a_find(session: Session, connected: Sandbox) -> None:
    trip = a_trip(name="Fjords")
    passenger = PassengerFactory(trip=trip)
    at_rest(session)
    Trip.objects.filter(pk=trip.pk).update(name="Fjords and islands")
    audit(session)
    assert finds() == [("not_sent", "trip", "name", "Fjords and islands", "Fjords")]
    repair(session, Drift.objects.all())
    due.run_due(session)
    at_rest(session)
    assert custom(connected, passenger)["trip_name"] == "Fjords and islands"
    assert audit(session).ok


def test_trips_of_a_vendor_whose_rename_is_on_its_way_are_no_find(session: Session, connected: Sandbox) -> None:
    vendor = VendorFactory(name="Fjord Lines")
    a_trip(vendor=vendor)
    at_rest(session)
    vendor.name = "Fjord Lines AS"
    vendor.save()
    assert (audit(session).ok, finds()) == (True, [])
    due.run_due(session)
    at_rest(session)
    assert audit(session).ok


def test_what_else_a_passenger_of_such_a_trip_holds_is_compared(session: Session, connected: Sandbox) -> None:
    trip = a_trip(name="Fjords")
    passenger = PassengerFactory(trip=trip, roommate_request="Ines")
    at_rest(session)
    trip.name = "Fjords and islands"
    trip.save()
    Passenger.objects.filter(pk=passenger.pk).update(roommate_request="Rosa")
    audit(session)
    assert finds() == [("not_sent", "passenger", "roommate_request", "Rosa", "Ines")]
