"""Bulk work from the lists: who goes, who is skipped and why, and that an undo puts it back."""

from __future__ import annotations

import datetime as dt
import re

import pytest
from django.urls import reverse

from tests import factories
from trips.models import Batch, Contact, Passenger, Payment, Trip
from trips.services import assigning, moving, stages
from trips.services.batches import undo
from trips.services.plans import carry_out

pytestmark = pytest.mark.django_db
TODAY = dt.date(2026, 6, 1)


def ready(**values):
    """A passenger who lacks nothing."""
    passenger = factories.PassengerFactory(sex="F", **values)
    factories.PassportFactory(passenger=passenger)
    factories.EmergencyContactFactory(passenger=passenger)
    factories.HealthRecordFactory(passenger=passenger)
    for kind in ("passport_scan", "reservation", "mou", "affidavit", "signature"):
        factories.DocumentFactory(passenger=passenger, kind=kind)
    return passenger


def told(plan):
    return [str(step.row) for step in plan.steps], {str(skip.row): skip.reason for skip in plan.skips}


def url(model, *args):
    return reverse(f"admin:trips_{model}_{'bulk' if args else 'changelist'}", args=args)


def ids(rows):
    return ",".join(str(row.pk) for row in rows)


def messages_of(answer):
    return [str(message) for message in answer.context["messages"]]


# Stages of passengers


def to_ready(rows, may_know=lambda _permission: True):
    return stages.passengers_to_stage(passengers=rows, stage="trip_ready", today=TODAY, may_know=may_know)


def named(name, **values):
    return {"legal_first_name": name, "legal_last_name": "", **values}


def test_those_not_ready_are_skipped_with_what_they_lack():
    trip = factories.TripFactory()
    rows = [
        ready(trip=trip, legal_first_name="Ada", legal_last_name="Ortiz"),
        factories.PassengerFactory(trip=trip, sex="F", legal_first_name="Ben", legal_last_name="Lind"),
        ready(trip=trip, legal_first_name="Carla", legal_last_name="Lind", attendance="cancelled"),
        ready(trip=trip, legal_first_name="Dmitri", legal_last_name="Lind", attendance="waitlisted"),
        ready(trip=trip, legal_first_name="Elena", legal_last_name="Lind", stage="trip_ready"),
        ready(trip=None, legal_first_name="Farid", legal_last_name="Lind"),
    ]

    assert told(to_ready(rows)) == (
        ["Ada Ortiz"],
        {
            "Ben Lind": "Not ready: Passport, Documents, Emergency contact, Health.",
            "Carla Lind": "The booking is cancelled.",
            "Dmitri Lind": "On the waiting list.",
            "Elena Lind": "Already there.",
            "Farid Lind": "Not on a trip.",
        },
    )


def test_gap_that_one_may_not_know_of_neither_skips_nor_shows():
    one = factories.PassengerFactory(sex="F", legal_first_name="Ben", legal_last_name="Lind")

    plan = to_ready([one], may_know=lambda permission: permission == "trips.view_passenger")

    assert told(plan) == (["Ben Lind"], {})
    assert stages.unseen_gaps(lambda permission: permission == "trips.view_passenger") == [
        "Passport",
        "Documents",
        "Emergency contact",
        "Health",
    ]


def test_other_stages_ask_for_no_readiness():
    one = factories.PassengerFactory(legal_first_name="Ben", legal_last_name="Lind")

    plan = stages.passengers_to_stage(
        passengers=[one], stage="trip_details_sent", today=TODAY, may_know=lambda _permission: True
    )

    assert told(plan) == (["Ben Lind"], {})


def test_twenty_four_are_ticked_three_skipped_and_twenty_one_come_back(admin_client, admin_user):
    trip = factories.TripFactory(capacity=30)
    good = [ready(trip=trip) for _ in range(21)]
    bad = factories.PassengerFactory.create_batch(3, trip=trip)
    chosen = {"action": "stage_selected", "_selected_action": [row.pk for row in (*good, *bad)]}

    page = admin_client.post(url("passenger"), chosen)
    posted = {"ids": page.context["ids"], "stage": "trip_ready"}
    shown = admin_client.post(url("passenger", "stage"), posted).content.decode()
    answer = admin_client.post(url("passenger", "stage"), {**posted, "confirm": "1"}, follow=True)

    assert ("Move 21 passengers" in shown, "Skipped: 3" in shown, shown.count("Not ready: Profile, Passport")) == (
        True,
        True,
        3,
    )
    batch = Batch.objects.get()
    assert messages_of(answer) == [
        f'21 passengers moved, 3 skipped. <a class="text-link" href="/trips/batch/{batch.pk}/undo/">Undo</a>'
    ]
    assert Passenger.objects.filter(stage="trip_ready").count() == 21
    assert (batch.title, batch.by, batch.changed) == ("Passengers to “Trip ready”", admin_user, 21)

    admin_client.post(f"/trips/batch/{batch.pk}/undo/")

    assert Passenger.objects.filter(stage="trip_ready").count() == 0


def test_all_of_a_list_are_chosen_across_its_pages(admin_client):
    factories.PassengerFactory.create_batch(30, trip=factories.TripFactory(capacity=40))
    other = factories.PassengerFactory(attendance="cancelled")
    first = Passenger.objects.first()
    chosen = {"action": "stage_selected", "_selected_action": [first.pk], "select_across": "1", "index": "0"}

    page = admin_client.post(f"{url('passenger')}?attendance__exact=booked", chosen)

    assert len(page.context["ids"].split(",")) == 30
    assert str(other.pk) not in page.context["ids"].split(",")


def test_more_than_one_press_may_change_are_left_and_told(admin_client, monkeypatch):
    monkeypatch.setattr("trips.admin.bulk.MOST_ROWS", 2)
    trips = factories.TripFactory.create_batch(3)
    chosen = {"_selected_action": [trip.pk for trip in trips]}

    answer = admin_client.post(url("trip"), {"action": "close_selected", **chosen}, follow=True)
    page = admin_client.post(url("trip"), {"action": "assign_selected", **chosen})

    assert messages_of(answer)[0].startswith("2 trips closed. 1 more is left: do it again for the rest. <a")
    assert messages_of(page) == ["Only the first 2 are taken at once; 1 more wait for another time."]
    assert len(page.context["ids"].split(",")) == 2


def test_row_changed_between_preview_and_press_is_skipped():
    one, other = factories.TripFactory(), factories.TripFactory()
    plan = stages.closing(trips=[one, other])
    Trip.objects.filter(pk=one.pk).update(stage="trip_complete")
    Trip.objects.filter(pk=other.pk).delete()

    done = carry_out(plan=plan, by=None)

    assert (done.batch, done.count) == (None, 0)
    assert [skip.reason for skip in done.skips] == ["Somebody did it meanwhile.", "It was deleted meanwhile."]
    assert not Batch.objects.exists()


def test_no_row_is_started_after_the_time(monkeypatch):
    plan = stages.closing(trips=factories.TripFactory.create_batch(2))

    assert (lambda done: (done.count, done.left))(carry_out(plan=plan, by=None, seconds=0)) == (0, 2)


@pytest.mark.parametrize("count", [1, 3])
def test_preview_asks_the_same_for_any_number(admin_client, django_assert_num_queries, count):
    rows = factories.PassengerFactory.create_batch(count, trip=factories.TripFactory())

    with django_assert_num_queries(4):
        admin_client.post(url("passenger", "stage"), {"ids": ids(rows), "stage": "trip_ready"})


# Stages of trips


def test_trip_without_dates_is_scheduled_with_a_reason_only():
    fine = factories.TripFactory(name="fine")
    undated = factories.TripFactory(name="undated", start_date=None, end_date=None)
    lost = factories.TripFactory(name="lost", status="lost")
    rows = [fine, undated, lost]

    plain = stages.trips_to_stage(trips=rows, stage="trip_scheduled")
    argued = stages.trips_to_stage(trips=rows, stage="trip_scheduled", reason=" Dates follow in May ")

    assert told(plain) == (
        ["fine"],
        {"undated": "No dates: it is scheduled only with a reason.", "lost": "The trip is lost."},
    )
    assert told(argued) == (["fine", "undated"], {"lost": "The trip is lost."})
    assert (plain.asks, argued.title) == ("reason", "Trips to “Trip scheduled”, without dates: Dates follow in May")


def test_reason_is_asked_on_the_page_and_kept_in_the_history(admin_client):
    trip = factories.TripFactory(start_date=None, end_date=None)
    posted = {"ids": ids([trip]), "stage": "trip_scheduled"}

    asked = admin_client.post(url("trip", "stage"), posted).content.decode()
    admin_client.post(url("trip", "stage"), {**posted, "confirm": "1", "reason": "Dates follow"})

    assert "Why those without dates are scheduled all the same" in asked
    trip.refresh_from_db()
    assert (trip.stage, trip.history.first().history_change_reason) == (
        "trip_scheduled",
        "Trips to “Trip scheduled”, without dates: Dates follow",
    )


def test_closing_is_one_press_with_an_undo(admin_client):
    trips = factories.TripFactory.create_batch(2)
    closed = factories.TripFactory(stage="trip_complete")
    chosen = {"action": "close_selected", "_selected_action": [trip.pk for trip in (*trips, closed)]}

    answer = admin_client.post(url("trip"), chosen, follow=True)

    batch = Batch.objects.get()
    link = f'<a class="text-link" href="/trips/batch/{batch.pk}/undo/">Undo</a>'
    assert messages_of(answer) == [f"2 trips closed, 1 skipped. {link}"]
    undo(batch=batch, by=None)
    assert sorted(Trip.objects.values_list("stage", flat=True)) == ["form_submit", "form_submit", "trip_complete"]


# Assigning, tags, archive


def test_vendor_and_organiser_are_assigned_and_come_back():
    vendor, organiser = factories.VendorFactory(name="Acme"), factories.ContactFactory(first_name="Ada", last_name="O")
    before = factories.VendorFactory(name="Beta")
    rows = [
        factories.TripFactory(name="none"),
        factories.TripFactory(name="other", vendor=before),
        factories.TripFactory(name="same", vendor=vendor, organiser=organiser),
    ]

    plan = assigning.assigning(trips=rows, vendor=vendor, organiser=organiser)
    done = carry_out(plan=plan, by=None)

    assert [(str(step.row), step.note) for step in plan.steps] == [("none", ""), ("other", "Instead of vendor Beta.")]
    assert told(plan)[1] == {"same": "Has it already."}
    assert (done.count, plan.title) == (2, "Trips given vendor Acme and lead organiser Ada O")
    assert set(Trip.objects.values_list("vendor", "organiser")) == {(vendor.pk, organiser.pk)}
    undo(batch=done.batch, by=None)
    assert list(Trip.objects.order_by("pk").values_list("vendor", "organiser")) == [
        (None, None),
        (before.pk, None),
        (vendor.pk, organiser.pk),
    ]


def test_assigning_nothing_is_refused(admin_client):
    page = admin_client.post(url("trip", "assign"), {"ids": ids([factories.TripFactory()])})

    assert "Choose a vendor, a lead organiser or both." in page.content.decode()


def test_one_tag_is_added_and_taken_off_and_the_others_stay():
    rows = [
        factories.ContactFactory(tags=["vip", "2026"]),
        factories.ContactFactory(tags=["Havana"]),
        factories.ContactFactory(),
    ]

    added = carry_out(plan=assigning.tagging(contacts=rows, tag=" havana "), by=None)
    assert [contact.tags for contact in Contact.objects.order_by("pk")] == [
        ["vip", "2026", "havana"],
        ["Havana"],
        ["havana"],
    ]
    assert (added.count, [skip.reason for skip in added.skips]) == (2, ["Has it already."])

    rows = list(Contact.objects.order_by("pk"))
    taken = carry_out(plan=assigning.tagging(contacts=rows, tag="HAVANA", remove=True), by=None)
    assert [contact.tags for contact in Contact.objects.order_by("pk")] == [["vip", "2026"], [], []]
    undo(batch=taken.batch, by=None)
    undo(batch=added.batch, by=None)
    assert [contact.tags for contact in Contact.objects.order_by("pk")] == [["vip", "2026"], ["Havana"], []]


def test_tag_that_came_between_preview_and_press_stays():
    contact = factories.ContactFactory(tags=["vip"])
    plan = assigning.tagging(contacts=[contact], tag="havana")
    Contact.objects.update(tags=["vip", "other"])

    carry_out(plan=plan, by=None)

    assert Contact.objects.get().tags == ["vip", "other", "havana"]


def test_tags_are_given_on_the_page_one_at_a_time(admin_client):
    rows = factories.ContactFactory.create_batch(2)

    refused = admin_client.post(url("contact", "tag"), {"ids": ids(rows), "tag": "a, b"}).content.decode()
    answer = admin_client.post(url("contact", "tag"), {"ids": ids(rows), "tag": "vip", "confirm": "1"}, follow=True)

    assert "One tag at a time: a comma stands between two." in refused
    assert messages_of(answer)[0].startswith("2 contacts changed. <a")


@pytest.mark.parametrize("make", [factories.TripFactory, factories.VendorFactory])
def test_archiving_from_a_list_can_be_undone(admin_client, make):
    row = make()
    model = row._meta.model_name

    admin_client.post(url(model), {"action": "archive_selected", "_selected_action": [row.pk]})
    row.refresh_from_db()
    assert row.archived_at is not None

    undo(batch=Batch.objects.get(), by=None)
    row.refresh_from_db()
    assert row.archived_at is None


# Moving and cancelling passengers


def test_those_moved_take_seats_and_numbers_and_keep_what_hangs_on_them():
    here, there = factories.TripFactory(name="here"), factories.TripFactory(name="there", passengers=2, currency="EUR")
    moved = factories.PassengerFactory(trip=here, number=1, occupancy="single", trip_name_raw="x")
    factories.PaymentFactory(passenger=moved, amount="300")

    plan = moving.to_trip(passengers=[moved], trip=there)
    done = carry_out(plan=plan, by=None)

    moved.refresh_from_db()
    assert (moved.trip, moved.number, moved.occupancy, moved.trip_name_raw) == (there, 3, "single", "")
    assert plan.steps[0].note == "Paid in USD; there is priced in EUR."
    assert list(Payment.objects.values_list("passenger__trip__name", flat=True)) == ["there"]
    undo(batch=done.batch, by=None)
    moved.refresh_from_db()
    assert (moved.trip, moved.number, moved.trip_name_raw) == (here, 1, "x")


@pytest.mark.parametrize(
    ("rest", "attendances", "skipped"),
    [
        ("stay", ["booked"], 2),
        ("wait", ["booked", "waitlisted", "waitlisted"], 0),
        ("overbook", ["booked", "booked", "booked"], 0),
    ],
)
def test_full_target_offers_its_waiting_list(rest, attendances, skipped):
    there = factories.TripFactory(capacity=2, passengers=1)
    rows = factories.PassengerFactory.create_batch(3, trip=factories.TripFactory())

    plan = moving.to_trip(passengers=rows, trip=there, rest=rest)
    done = carry_out(plan=plan, by=None)

    moved = there.passengers.filter(pk__in=[row.pk for row in rows]).order_by("pk")
    assert [one.attendance for one in moved] == attendances
    assert (plan.asks, [skip.reason for skip in done.skips]) == ("seats", [f"{there} is full."] * skipped)


def test_those_who_cannot_be_moved_are_named():
    there = factories.TripFactory(name="there", start_date=dt.date(2027, 3, 1))
    twin = factories.PassengerFactory(trip=there)
    rows = [
        factories.PassengerFactory(trip=there, legal_first_name="On", legal_last_name="It"),
        factories.PassengerFactory(attendance="cancelled", legal_first_name="Off", legal_last_name="It"),
        factories.PassengerFactory(contact=twin.contact),
        factories.PassengerFactory(
            date_of_birth=dt.date(2015, 1, 1), legal_first_name="Young", legal_last_name="One", trip=None
        ),
    ]

    assert told(moving.to_trip(passengers=rows, trip=there)) == (
        [],
        {
            "On It": "On this trip already.",
            "Off It": "The booking is cancelled.",
            str(twin): f"{twin} has another booking on there. Cancel or delete one of the two first.",
            "Young One": "A traveller under 18 on departure needs a guardian.",
        },
    )


def test_seat_taken_between_preview_and_press_moves_nobody():
    there = factories.TripFactory(name="there", capacity=1)
    one = factories.PassengerFactory()
    plan = moving.to_trip(passengers=[one], trip=there)
    factories.PassengerFactory(trip=there)

    done = carry_out(plan=plan, by=None)

    assert (done.count, [skip.reason for skip in done.skips]) == (0, ["there is full."])


def test_overbooking_takes_its_permission(client):
    client.force_login(factories.StaffFactory(permissions=["trips.view_passenger", "trips.change_passenger"]))
    there, one = factories.TripFactory(capacity=1, passengers=1), factories.PassengerFactory()
    posted = {"ids": ids([one]), "trip": there.pk, "rest": "overbook", "confirm": "1"}

    page = client.post(url("passenger", "trip"), posted)

    assert "Select a valid choice" in str(page.context["form"].errors)
    assert Passenger.objects.get(pk=one.pk).trip != there


def test_cancelling_is_one_press_with_an_undo(admin_client):
    one = factories.PassengerFactory()

    answer = admin_client.post(
        url("passenger"), {"action": "cancel_selected", "_selected_action": [one.pk]}, follow=True
    )

    assert re.match(r"1 passenger cancelled\. <a .*>Undo</a>$", messages_of(answer)[0])
    undo(batch=Batch.objects.get(), by=None)
    one.refresh_from_db()
    assert one.attendance == "booked"


# Who may


def test_viewers_have_no_bulk_work(client):
    client.force_login(factories.StaffFactory(permissions=["trips.view_passenger", "trips.view_trip"]))
    one = factories.PassengerFactory()

    page = client.get(url("passenger"))
    answer = client.post(url("passenger", "stage"), {"ids": ids([one]), "stage": "trip_complete", "confirm": "1"})

    assert page.context["action_form"] is None
    assert answer.status_code == 403


def test_address_of_the_page_leads_back_to_the_list(admin_client):
    assert admin_client.get(url("passenger", "stage")).headers["Location"] == url("passenger")
    assert admin_client.post(url("passenger", "nothing"), {"ids": "1"}).status_code == 404


def test_preview_says_what_it_does_not_look_at(client):
    client.force_login(factories.StaffFactory(permissions=["trips.view_passenger", "trips.change_passenger"]))

    page = client.post(url("passenger", "stage"), {"ids": ids([factories.PassengerFactory()]), "stage": "trip_ready"})

    told_ = "Not looked at, because your account may not see it: Passport, Documents, Emergency contact, Health."
    assert told_ in page.content.decode()
