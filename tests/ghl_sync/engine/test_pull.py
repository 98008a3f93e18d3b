"""Pull end to end: what stands in the sandbox arrives here, once, and nothing is sent back."""

from __future__ import annotations

import datetime as dt
import itertools
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from ghl_sync.client.errors import GHLError, TryLater
from ghl_sync.engine import absence, adoption, due, state
from ghl_sync.engine.clock import database_now
from ghl_sync.engine.intake import Intake
from ghl_sync.engine.pull import pull
from ghl_sync.engine.results import PullReport
from ghl_sync.engine.session import CannotRun, Session
from ghl_sync.models import Change, Conflict, Issue, Kind, Link, Location, Run, SeenPage
from ghl_sync.sandbox.server import Sandbox
from tests.factories import ContactFactory, PassengerFactory, TripFactory
from tests.ghl_sync.engine.mirror import a_trip, link_of
from trips.models import Contact, Document, EmergencyContact, HealthRecord, Passenger, Passport, Trip, Vendor

pytestmark = pytest.mark.django_db(transaction=True)


def an_account(sandbox: Sandbox) -> dict[str, Any]:
    """Two trips, three passengers, two contacts; one passenger names no trip of ours."""
    store = sandbox.store
    store.add_options("trip_name", ["Lisbon - Spring", "Fjords"])
    ines = store.add_contact(first_name="Ines", last_name="Prado", email="ines@example.com", phone="+12025550142")
    tove = store.add_contact(first_name="Tove", last_name="Lind", email="tove@example.com")
    lisbon = store.add_opportunity(
        pipeline="TripBooking",
        name="Lisbon – Spring",
        contact_id=ines.id,
        stage="TripScheduled",
        fields={
            "trip_id": 7,
            "start_date": "2027-03-01",
            "end_date": "2027-03-09",
            "max_passengers": 20,
            "trip_standard_level_pricing": 1499.5,
            "trip_vendor": "Harbour Tours",
            "trip_description": "Line one\r\nLine two",
            "passenger_count": 12,
        },
    )
    fjords = store.add_opportunity(pipeline="TripBooking", name="Fjords", contact_id=ines.id, status="won")
    first = store.add_opportunity(
        pipeline="Passenger",
        name="Ines Prado – Lisbon",
        contact_id=ines.id,
        stage="TripReady",
        fields={
            "trip_id": 7,
            "trip_name": "Lisbon - Spring",
            "passenger_first_name": "Ines",
            "passenger_last_name": "Prado",
            "passenger_id": "9001",
            "passport_number": "X555",
            "passport_expire": "2031-05-01",
            "health_state": "Good",
            "contact1_ufirst_name": "Kim",
        },
    )
    second = store.add_opportunity(
        pipeline="Passenger",
        name="Tove Lind",
        contact_id=tove.id,
        fields={"trip_name": "Fjords", "passenger_first_name": "Tove", "passenger_last_name": "Lind"},
    )
    third = store.add_opportunity(
        pipeline="Passenger",
        name="Lost",
        contact_id=tove.id,
        fields={"trip_id": 999, "passenger_first_name": "Lost", "passenger_last_name": "Soul"},
    )
    return {"lisbon": lisbon, "fjords": fjords, "first": first, "second": second, "third": third, "ines": ines}


def counts(report: PullReport) -> dict[str, Any]:
    """The report without what depends on the machine."""
    body = report.as_json()
    for name in ("calls", "seconds"):
        del body[name]
    return body


def nothing(**others: int) -> dict[str, int]:
    return {"seen": 0, "created": 0, "updated": 0, "unchanged": 0, "issues": 0, "failed": 0, "gone": 0, **others}


def test_a_first_pull_brings_everything(session: Session, connected: Sandbox) -> None:
    made = an_account(connected)
    report = pull(session)
    assert counts(report) == {
        "ok": True,
        "mode": "full",
        "dry_run": False,
        "contacts": nothing(seen=2, created=2),
        "trips": nothing(seen=2, created=2),
        "passengers": nothing(seen=3, created=3, linked=2, unlinked=1),
    }
    trip = Trip.objects.get(name="Lisbon – Spring")
    assert (trip.start_date, trip.end_date, trip.capacity) == (dt.date(2027, 3, 1), dt.date(2027, 3, 9), 20)
    assert (trip.price_per_person, trip.stage, trip.status) == (Decimal("1499.50"), "trip_scheduled", "open")
    assert (trip.description, trip.legacy_trip_id) == ("Line one\nLine two", 7)
    assert (trip.organiser.email, trip.vendor.name) == ("ines@example.com", "Harbour Tours")
    passenger = Passenger.objects.get(legal_first_name="Ines")
    assert (passenger.trip, passenger.contact, passenger.stage) == (trip, trip.organiser, "trip_ready")
    assert passenger.legacy_passenger_id == "9001"
    assert (passenger.passport.number, passenger.passport.expires_on) == ("X555", dt.date(2031, 5, 1))
    assert passenger.health.general_health == "Good"
    assert EmergencyContact.objects.get().first_name == "Kim"
    assert (Passport.objects.count(), HealthRecord.objects.count()) == (1, 1)
    lost = Passenger.objects.get(legal_first_name="Lost")
    assert (lost.trip, lost.trip_id_raw) == (None, 999)
    assert Link.objects.get(remote_id=made["lisbon"].id).object_id == trip.pk
    assert Vendor.objects.get().needs_review


def test_what_is_pulled_is_found_by_the_search(session: Session, connected: Sandbox) -> None:
    made = an_account(connected)
    pull(session)
    assert set(Contact.objects.values_list("search_key", flat=True)) == {
        "ines prado ines@example.com",
        "tove lind tove@example.com",
    }
    assert Passenger.objects.filter(search_key__contains="lost soul").count() == 1
    connected.edit(made["lisbon"].id, name="São Tomé")
    pull(Session())
    assert Trip.objects.filter(search_key__startswith="sao tome").count() == 1


def test_after_a_pull_nothing_is_sent(session: Session, connected: Sandbox) -> None:
    an_account(connected)
    pull(session)
    assert not Change.objects.exists()
    assert not Link.objects.due().exists()
    connected.requests.clear()
    report = due.run_due(session)
    assert (report.calls - session.client.calls, connected.writes()) == (0, [])


def test_a_second_pull_changes_nothing(
    session: Session, connected: Sandbox, django_assert_max_num_queries: Any
) -> None:
    an_account(connected)
    pull(session)
    before = list(Trip.objects.order_by("pk").values())
    with CaptureQueriesContext(connection) as captured:
        report = pull(Session(), full=True)
    writes = [q["sql"] for q in captured.captured_queries if q["sql"].startswith(("INSERT", "UPDATE", "DELETE"))]
    assert not [sql for sql in writes if "trips_" in sql]
    assert list(Trip.objects.order_by("pk").values()) == before
    assert counts(report) == {
        "ok": True,
        "mode": "full",
        "dry_run": False,
        "contacts": nothing(seen=2, unchanged=2),
        "trips": nothing(seen=2, unchanged=2),
        "passengers": nothing(seen=3, unchanged=3, linked=2, unlinked=1),
    }


def test_an_edit_there_arrives_by_an_incremental_pull(session: Session, connected: Sandbox) -> None:
    made = an_account(connected)
    pull(session)
    connected.edit(made["lisbon"].id, name="Lisbon – Late spring", fields={"max_passengers": 24}, stage="TripComplete")
    report = pull(Session())
    assert report.mode == "incremental"
    assert report.trips.updated == 1
    trip = Trip.objects.get(legacy_trip_id=7)
    assert (trip.name, trip.capacity, trip.stage) == ("Lisbon – Late spring", 24, "trip_complete")
    assert report.calls <= 4


def test_a_contact_changed_there_arrives_by_an_incremental_pull(session: Session, connected: Sandbox) -> None:
    made = an_account(connected)
    pull(session)
    connected.edit(made["ines"].id, city="Porto", tags=["vip"])
    connected.requests.clear()
    report = pull(Session())
    assert (report.contacts.seen, report.contacts.updated, report.calls) == (1, 1, 4)
    assert Contact.objects.get(email="ines@example.com").city == "Porto"
    assert "filters" not in connected.requests[0].body


def test_an_idle_incremental_pull_costs_three_calls(session: Session, connected: Sandbox) -> None:
    an_account(connected)
    pull(session)
    connected.requests.clear()
    report = pull(Session())
    assert (report.calls, len(connected.requests)) == (3, 3)


def test_a_pulled_edit_is_not_sent_back(session: Session, connected: Sandbox) -> None:
    made = an_account(connected)
    pull(session)
    connected.edit(made["lisbon"].id, fields={"trip_description": "From there"})
    pull(Session())
    connected.requests.clear()
    due.run_due(session)
    assert connected.writes() == []
    assert not Change.objects.exists()


def test_edits_of_different_fields_on_both_sides_merge(session: Session, connected: Sandbox) -> None:
    made = an_account(connected)
    pull(session)
    trip = Trip.objects.get(legacy_trip_id=7)
    trip.lodging_notes = "Ours"
    trip.save()
    connected.edit(made["lisbon"].id, fields={"trip_description": "Theirs"})
    pull(Session())
    due.run_due(session)
    trip.refresh_from_db()
    assert (trip.lodging_notes, trip.description) == ("Ours", "Theirs")
    custom = connected.store.custom_by_key(connected.store.get(made["lisbon"].id))  # type: ignore[arg-type]
    assert (custom["lodging_notes"], custom["trip_description"]) == ("Ours", "Theirs")
    assert not Conflict.objects.exists()


def test_a_dry_run_counts_and_writes_nothing(session: Session, connected: Sandbox) -> None:
    made = an_account(connected)
    planned = counts(pull(Session(read_only=True), dry_run=True))
    assert planned == {
        "ok": True,
        "mode": "full",
        "dry_run": True,
        "contacts": nothing(seen=2, created=2),
        "trips": nothing(seen=2, created=2),
        "passengers": nothing(seen=3, created=3, linked=2, unlinked=1),
    }
    assert [m.objects.count() for m in (Trip, Passenger, Contact, Vendor, Link, Run)] == [0] * 6
    pull(session)
    connected.edit(made["fjords"].id, fields={"max_passengers": 5})
    before = list(Trip.objects.order_by("pk").values()), list(Link.objects.order_by("pk").values())
    report = pull(Session(read_only=True), dry_run=True, full=True)
    assert (report.trips.updated, report.trips.unchanged) == (1, 1)
    assert (list(Trip.objects.order_by("pk").values()), list(Link.objects.order_by("pk").values())) == before


def test_only_one_kind(session: Session, connected: Sandbox) -> None:
    an_account(connected)
    report = pull(session, only=["contacts"])
    assert (report.contacts.created, report.trips.seen, Trip.objects.count()) == (2, 0, 0)
    assert Location.objects.get().watermark is None


def test_values_that_do_not_fit_come_in_with_an_issue(session: Session, connected: Sandbox) -> None:
    made = an_account(connected)
    store = connected.store
    store.set_raw(made["lisbon"].id, "max_passengers", "about twenty")
    store.set_raw(made["lisbon"].id, "start_date", "next spring")
    store.set_raw(made["fjords"].id, "trip_id", 10**30)
    store.set_raw(made["fjords"].id, "nights_total", 2.5)
    store.set_raw(made["first"].id, "passenger_number", 99_999)
    store.set_raw(made["first"].id, "contact1_ucity", "x" * 11_000)
    store.set_raw(made["second"].id, "passenger_first_name", "To\x00ve \ud83d 🚢 <b>שלום</b>")
    report = pull(session)
    assert report.ok
    assert report.trips.issues == 4
    assert sorted(Issue.objects.values_list("field", "code")) == [
        ("capacity", "unreadable"),
        ("emergency.city", "unreadable"),
        ("legacy_trip_id", "unreadable"),
        ("nights_override", "unreadable"),
        ("number", "unreadable"),
        ("start_date", "unreadable"),
    ]
    assert Trip.objects.get(name="Lisbon – Spring").capacity is None
    assert Passenger.objects.get(legal_last_name="Lind").legal_first_name == "To\\x00ve \\ud83d 🚢 <b>שלום</b>"
    connected.requests.clear()
    due.run_due(session)
    assert connected.writes() == []


def test_a_mended_value_closes_its_issue(session: Session, connected: Sandbox) -> None:
    made = an_account(connected)
    connected.store.set_raw(made["lisbon"].id, "max_passengers", "about twenty")
    pull(session)
    connected.edit(made["lisbon"].id, fields={"max_passengers": 21})
    pull(Session())
    assert Trip.objects.get(legacy_trip_id=7).capacity == 21
    assert not Issue.objects.filter(closed_at=None).exists()


def test_broken_records_come_in(session: Session, connected: Sandbox) -> None:
    made = an_account(connected)
    connected.store.overlay(made["fjords"].id, {"name": None, "status": None, "customFields": None}, hide=["contact"])
    connected.store.overlay(
        made["second"].id, {}, hide=["pipelineStageId", "status", "name", "contact", "customFields"]
    )
    report = pull(session)
    assert report.ok
    assert (report.trips.created, report.passengers.created) == (2, 3)


def test_a_contact_nobody_sent_is_made_from_the_row(session: Session, connected: Sandbox) -> None:
    connected.store.add_opportunity(pipeline="TripBooking", name="Orphan", contact_id="unknownContact000001")
    report = pull(session)
    assert report.trips.created == 1
    link = Link.objects.get(kind="contact")
    assert link.remote_id == "unknownContact000001"
    assert [issue.code for issue in link.issues.all()] == ["stub"]


def test_duplicates_of_every_kind_come_in(session: Session, connected: Sandbox) -> None:
    store = connected.store
    agent = store.add_contact(first_name="Agent", email="agent@example.com")
    nameless = store.add_contact(first_name="No", last_name="Address")
    for _copy in range(2):
        store.add_opportunity(pipeline="TripBooking", name="Twice", contact_id=agent.id)
    store.add_options("trip_name", ["Twice"])
    for _copy in range(3):
        store.add_opportunity(
            pipeline="Passenger",
            name="Same",
            contact_id=nameless.id,
            fields={"trip_name": "Twice", "passenger_first_name": "Same"},
        )
    report = pull(session)
    assert (report.trips.created, report.passengers.created, report.passengers.unlinked) == (2, 3, 3)
    assert set(Passenger.objects.values_list("trip_name_raw", flat=True)) == {"Twice"}


def test_a_number_and_a_name_that_disagree_are_an_issue(session: Session, connected: Sandbox) -> None:
    made = an_account(connected)
    connected.edit(made["second"].id, fields={"trip_id": 7})
    pull(session)
    assert [(issue.field, issue.code) for issue in Issue.objects.all()] == [("trip_id", "disagree")]
    assert Passenger.objects.get(legal_last_name="Lind").trip.legacy_trip_id == 7


def test_a_trip_that_comes_later_links_its_passengers(session: Session, connected: Sandbox) -> None:
    made = an_account(connected)
    pull(session)
    connected.edit(made["fjords"].id, fields={"trip_id": 999})
    connected.edit(made["third"].id, fields={"trip_name": "Fjords"})
    pull(Session())
    assert Passenger.objects.get(legal_first_name="Lost").trip.legacy_trip_id == 999


def test_what_is_missing_twice_and_by_name_is_gone(session: Session, connected: Sandbox) -> None:
    made = an_account(connected)
    pull(session)
    connected.store.delete(made["fjords"].id)
    assert pull(Session(), full=True).trips.gone == 0
    assert pull(Session(), full=True).trips.gone == 1
    link = Link.objects.get(remote_id=made["fjords"].id)
    assert link.gone_at is not None
    assert Trip.objects.filter(name="Fjords").exists()
    connected.store.restore(made["fjords"].id)
    pull(Session(), full=True)
    link.refresh_from_db()
    assert (link.gone_at, link.missed_scans) == (None, 0)


def test_what_was_deleted_here_is_not_imported_again(session: Session, connected: Sandbox) -> None:
    made = an_account(connected)
    pull(session)
    Passenger.objects.filter(legal_first_name="Tove").get().delete()
    due.run_due(session)
    assert pull(Session(), full=True).passengers.created == 0
    connected.store.restore(made["second"].id)
    report = pull(Session(), full=True)
    assert (report.passengers.created, report.passengers.issues) == (0, 1)
    assert Issue.objects.get(code="came_back").remote_id == made["second"].id
    assert Passenger.objects.count() == 2


def test_our_own_records_are_known_by_their_key(session: Session, connected: Sandbox) -> None:
    trip = TripFactory(organiser=ContactFactory(), capacity=12)
    due.run_due(session)
    Link.objects.all().delete()  # a restored backup, from before the link
    Trip.objects.all().delete()
    Change.objects.all().delete()
    Link.objects.all().delete()
    pull(session)
    assert Trip.objects.get().uid == trip.uid


def test_a_second_record_with_our_key_is_a_twin(session: Session, connected: Sandbox) -> None:
    trip = TripFactory(organiser=ContactFactory())
    due.run_due(session)
    (card,) = connected.opportunities("TripBooking")
    twin = connected.store.add_opportunity(
        pipeline="TripBooking",
        name="Copy",
        contact_id=card.contact_id,
        fields={"tripbuilder_key": f"trip:{trip.uid}"},
    )
    report = pull(Session(), full=True)
    assert report.trips.created == 0
    assert Issue.objects.get(code="twin").remote_id == twin.id


def test_a_create_that_was_lost_is_met_by_the_pull(session: Session, connected: Sandbox) -> None:
    trip = TripFactory(organiser=ContactFactory())
    connected.faults.add("lost", method="POST", path="/opportunities/")
    due.run_due(session)
    pull(Session())
    due.run_due(Session())
    link = Link.objects.for_object(trip)
    assert link is not None
    assert link.remote_id == connected.opportunities("TripBooking")[0].id
    assert link.state_now() == "synced"
    assert Trip.objects.count() == 1


def test_a_contact_entered_on_both_sides_is_one(session: Session, connected: Sandbox) -> None:
    theirs = connected.store.add_contact(email="ines@example.com", first_name="Ines", city="Porto")
    ours = ContactFactory(email="ines@example.com", first_name="Ines", last_name="Prado", phone="")
    pull(session)
    due.run_due(session)
    assert Contact.objects.count() == 1
    ours.refresh_from_db()
    assert ours.city == "Porto"
    assert connected.store.contact(theirs.id).last_name == "Prado"  # type: ignore[union-attr]


def test_small_pages_where_the_large_are_refused(session: Session, connected: Sandbox) -> None:
    an_account(connected)
    connected.store.largest_page = 100
    assert pull(session).ok
    assert Location.objects.get().page_size == 100
    assert Passenger.objects.count() == 3


def test_a_broken_run_goes_on_where_it_stopped(session: Session, connected: Sandbox, monkeypatch: Any) -> None:
    an_account(connected)
    for number in range(30):
        connected.store.add_contact(first_name="Filler", last_name=str(number))
    Location.objects.update(page_size=10)
    fresh = Session()
    connected.faults.add("status", method="POST", path="/opportunities/search", status=503, times=3)
    monkeypatch.setattr("ghl_sync.client.transport.READ_TRIES", 1)
    with pytest.raises(TryLater):
        pull(fresh)
    run = Run.objects.get()
    assert (run.finished_at, run.cursor["done"]) == (None, ["contact"])
    connected.faults.clear()
    connected.requests.clear()
    report = pull(Session())
    assert not [one for one in connected.requests if one.path == "/contacts/search"]
    assert (report.contacts.created, report.trips.created, report.passengers.created) == (32, 2, 3)
    assert Run.objects.get().ok
    assert not SeenPage.objects.exists()


def test_a_slice_ends_in_time_and_the_next_goes_on(session: Session, connected: Sandbox) -> None:
    an_account(connected)
    for number in range(30):
        connected.store.add_contact(first_name="Filler", last_name=str(number))
    Location.objects.update(page_size=10)
    slices = 0
    while True:
        report = pull(Session(), full=True, seconds=0.0)
        slices += 1
        if report.complete:
            break
    assert slices > 1
    assert (report.contacts.created, report.passengers.created) == (32, 3)


def test_two_pulls_at_once_are_refused(session: Session, connected: Sandbox, monkeypatch: Any) -> None:
    Run.objects.create(mode="full", cursor={"host": "another", "pid": 1})
    with pytest.raises(CannotRun, match="at work already"):
        pull(session)


def test_the_index_s_old_rows_do_not_undo_our_writes(session: Session, connected: Sandbox) -> None:
    trip = TripFactory(organiser=ContactFactory(), description="Old")
    due.run_due(session)
    pull(Session(), full=True)
    connected.store.lag = 30
    trip.description = "New"
    trip.save()
    due.run_due(session)
    pull(Session(), full=True)
    trip.refresh_from_db()
    assert trip.description == "New"
    due.run_due(session)
    assert connected.store.custom_by_key(connected.opportunities()[0])["trip_description"] == "New"


def test_old_rows_are_seen_through_where_times_stand_still(session: Session, connected: Sandbox) -> None:
    connected.store.custom_moves_updated = False
    trip = TripFactory(organiser=ContactFactory(), description="Old")
    due.run_due(session)
    pull(Session(), full=True)
    connected.store.lag = 30
    trip.description = "New"
    trip.save()
    due.run_due(session)
    pull(Session(), full=True)
    trip.refresh_from_db()
    assert trip.description == "New"


def test_a_row_without_custom_fields_is_asked_again(session: Session, connected: Sandbox) -> None:
    made = an_account(connected)
    pull(session)
    connected.store.overlay(made["lisbon"].id, {"updatedAt": "2030-01-01T00:00:00.000Z"}, hide=["customFields"])
    real = connected.store.get(made["lisbon"].id)
    assert real is not None
    pull(Session(), full=True)
    assert any(one.path == f"/opportunities/{made['lisbon'].id}" for one in connected.requests)


def test_html_instead_of_json_stops_the_run_with_a_sentence(session: Session, connected: Sandbox) -> None:
    connected.faults.add("ok_html", method="POST", path="/contacts/search", times=5)
    with pytest.raises(GHLError, match="JSON"):
        pull(session)
    assert Location.objects.get().watermark is None


def test_a_missing_pipeline_is_named_and_nothing_is_half_written(session: Session, connected: Sandbox) -> None:
    an_account(connected)
    connected.store.remove_pipeline("Passenger")
    with pytest.raises(CannotRun, match="no pipeline named Passenger"):
        pull(session)
    assert [model.objects.count() for model in (Contact, Trip, Passenger, Link)] == [0] * 4
    connected.store.add_pipeline("Passenger", ["AddedToTrip"])
    assert pull(Session(), full=True).ok


def test_days_before_1970_and_far_ahead_are_days(session: Session, connected: Sandbox) -> None:
    made = an_account(connected)
    connected.edit(made["first"].id, fields={"passport_expire": "1931-02-28", "form_submitted_date": "2062-12-31"})
    pull(session)
    passenger = Passenger.objects.get(legal_first_name="Ines")
    assert passenger.passport.expires_on == dt.date(1931, 2, 28)
    assert passenger.details_submitted_on == dt.date(2062, 12, 31)


def test_one_contact_with_188_trips_and_an_over_full_one(session: Session, connected: Sandbox) -> None:
    agent = connected.store.add_contact(first_name="Agent", email="agent@example.com")
    for number in range(188):
        connected.store.add_opportunity(
            pipeline="TripBooking",
            name=f"Trip {number}",
            contact_id=agent.id,
            fields={"trip_id": number, "max_passengers": 1},
        )
    for _seat in range(3):
        connected.store.add_opportunity(
            pipeline="Passenger", name="Someone", contact_id=agent.id, fields={"trip_id": 5}
        )
    report = pull(session)
    assert (report.ok, report.trips.created, report.passengers.linked) == (True, 188, 3)
    assert Trip.objects.get(legacy_trip_id=5).passengers.count() == 3


def test_papers_come_in_as_links(session: Session, connected: Sandbox) -> None:
    made = an_account(connected)
    connected.store.set_raw(
        made["first"].id,
        "passport_file",
        [{"url": "https://files.example.com/scan.pdf", "meta": {"name": "scan.pdf", "size": 10, "mimetype": "a/b"}}],
    )
    pull(session)
    paper = Document.objects.get()
    assert (paper.kind, paper.remote_url, paper.passenger.legal_first_name) == (
        "passport_scan", "https://files.example.com/scan.pdf", "Ines",
    )  # fmt: skip


def test_a_page_costs_the_same_for_one_and_for_many(session: Session, connected: Sandbox) -> None:
    store = connected.store
    owner = store.add_contact(first_name="Owner")
    pull(session)
    numbers = itertools.count()

    def queries(count: int) -> int:
        for number in itertools.islice(numbers, count):
            store.add_opportunity(
                pipeline="TripBooking", name=f"T{number}", contact_id=owner.id, added=store.added_now()
            )
        with CaptureQueriesContext(connection) as captured:
            pull(Session(), only=["trips"], full=True)
        return len(captured)

    queries(1)  # the first one fills caches
    assert queries(1) == queries(3)


def test_passengers_that_arrive_later_are_counted_on_their_trip(session: Session, connected: Sandbox) -> None:
    made = an_account(connected)
    pull(session)
    connected.store.add_opportunity(
        pipeline="Passenger",
        name="New",
        contact_id=made["ines"].id,
        added=connected.store.added_now(),
        fields={"trip_id": 7, "passenger_first_name": "New"},
    )
    pull(Session())
    assert [(change.kind, change.cause) for change in Change.objects.all()] == [("trip", "count")]


# What a run speaks for


def test_a_pull_since_a_later_moment_leaves_no_gap(session: Session, connected: Sandbox) -> None:
    an_account(connected)
    pull(session)
    mark = Location.objects.get().watermark
    assert mark is not None
    Location.objects.update(watermark=mark - dt.timedelta(days=1))
    pull(Session(), since=mark)
    assert Location.objects.get().watermark == mark - dt.timedelta(days=1)
    pull(Session(), since=mark - dt.timedelta(days=2))
    moved = Location.objects.get().watermark
    assert moved is not None
    assert moved >= mark


def test_a_pull_since_some_day_is_no_first_pull(session: Session, connected: Sandbox) -> None:
    an_account(connected)
    pull(session, since=dt.datetime(2099, 1, 1, tzinfo=dt.UTC))
    report = pull(Session())
    assert (report.mode, report.trips.created, report.passengers.created) == ("full", 2, 3)


def test_a_broken_run_since_a_later_day_is_not_what_the_clock_goes_on_with(
    session: Session, connected: Sandbox
) -> None:
    an_account(connected)
    pull(session)
    connected.faults.add("status", method="POST", path="/opportunities/search", times=3)
    with pytest.raises(TryLater):
        pull(Session(), since=dt.datetime(2099, 1, 1, tzinfo=dt.UTC))
    contact = Contact.objects.get(first_name="Tove")
    link = Link.objects.get(kind="contact", object_id=contact.pk)
    connected.edit(link.remote_id, last_name="Berg")
    pull(Session())
    contact.refresh_from_db()
    assert contact.last_name == "Berg"


@pytest.mark.parametrize("times", [1, 2])
def test_a_short_page_of_an_incremental_pull_loses_nothing(session: Session, connected: Sandbox, times: int) -> None:
    for number in range(6):
        connected.store.add_contact(first_name="Filler", last_name=str(number))
    pull(session)
    Location.objects.update(watermark=dt.datetime.now(dt.UTC) - dt.timedelta(seconds=1))
    for link in Link.objects.filter(kind="contact"):
        connected.edit(link.remote_id, first_name="Edited")
    connected.faults.add("short", method="POST", path="/contacts/search", times=times)
    pull(Session())
    connected.faults.clear()
    pull(Session())
    assert set(Contact.objects.values_list("first_name", flat=True)) == {"Edited"}


def test_a_scan_that_stays_short_does_not_move_the_watermark(session: Session, connected: Sandbox) -> None:
    for number in range(6):
        connected.store.add_contact(first_name="Filler", last_name=str(number))
    connected.faults.add("short", method="POST", path="/contacts/search", times=10)
    pull(session, full=True)
    assert Location.objects.get().watermark is None
    connected.faults.clear()
    report = pull(Session())
    assert (report.mode, Contact.objects.count(), Location.objects.get().watermark is None) == ("full", 6, False)


def test_a_page_asked_for_before_a_mark_does_not_answer_it(session: Session, connected: Sandbox) -> None:
    made = an_account(connected)
    pull(session)
    link = Link.objects.get(remote_id=made["lisbon"].id)
    connected.edit(made["lisbon"].id, fields={"trip_description": "First"})
    intake = Intake(session, PullReport(mode="incremental"), walking=False)
    intake.asked_at = database_now()
    page = session.client.opportunity_page(
        pipeline_id=session.definitions.pipelines["trip"].id, limit=100, cursor=None, updated_since=None
    )
    connected.edit(made["lisbon"].id, fields={"trip_description": "Second"})
    state.mark_dirty([link.pk])
    intake.take(Kind.TRIP, page)
    assert Trip.objects.get(name="Lisbon – Spring").description == "First"
    due.run_due(Session())
    assert Trip.objects.get(name="Lisbon – Spring").description == "Second"


def test_a_record_gone_in_an_old_look_leaves_the_new_half_alone(
    session: Session, connected: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    trip, _other = a_trip(name="Fjords"), a_trip(name="Lisbon")
    due.run_due(session)
    Link.objects.update(missed_scans=1, remote_seen_at=database_now() - dt.timedelta(days=1))
    connected.store.delete(link_of(trip).remote_id)
    real = absence.others_answer

    def meanwhile(own: Session, link: Link) -> bool:
        adoption.detach(link_of(trip), ignore=False)
        due.run_due(Session())
        return real(own, link)

    monkeypatch.setattr(absence, "others_answer", meanwhile)
    pull(Session(), full=True)
    link = link_of(trip)
    assert (link.gone_at, connected.store.get(link.remote_id) is not None) == (None, True)


@pytest.mark.parametrize("look", ["pull", "webhook"])
def test_a_value_mended_to_what_was_agreed_on_closes_its_issue(session: Session, connected: Sandbox, look: str) -> None:
    made = an_account(connected)
    pull(session)
    connected.store.set_raw(made["lisbon"].id, "max_passengers", "many")
    pull(Session(), full=True)
    assert [issue.field for issue in Issue.objects.filter(closed_at__isnull=True, code="unreadable")] == ["capacity"]
    connected.store.set_raw(made["lisbon"].id, "max_passengers", 20)
    if look == "pull":
        pull(Session(), full=True)
    else:
        state.mark_dirty([Link.objects.get(remote_id=made["lisbon"].id).pk])
        due.run_due(Session())
    assert not Issue.objects.filter(closed_at__isnull=True, code="unreadable").exists()


def test_edits_of_a_missing_record_are_spread_once(session: Session, connected: Sandbox) -> None:
    trip, _other = a_trip(name="Fjords"), a_trip(name="Lisbon")
    PassengerFactory(trip=trip)
    due.run_due(session)
    connected.store.delete(link_of(trip).remote_id)
    state.mark_dirty([link_of(trip).pk])
    due.run_due(Session())
    trip.name = "Fjords by boat"
    trip.save()
    due.run_due(Session())
    assert Link.objects.get(pk=link_of(trip).pk).gone_at is not None
    assert state.gone_with_changes(("trip", "passenger")) == []
    trip.name = "Fjords by train"
    trip.save()
    assert state.gone_with_changes(("trip", "passenger")) == [link_of(trip).pk]
    adoption.create_again(link_of(trip))
    due.run_due(Session())
    assert {card.name for card in connected.opportunities("TripBooking")} == {"Fjords by train", "Lisbon"}
