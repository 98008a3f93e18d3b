"""Deleting what others need is refused in one sentence, with something better to do."""

from __future__ import annotations

import datetime as dt

import pytest
from django.urls import reverse

from tests import factories
from trips.models import Contact, Document, Passenger, Trip, Vendor

pytestmark = pytest.mark.django_db
ARCHIVED = dt.datetime(2026, 6, 15, 12, tzinfo=dt.UTC)


def url(model, page, *args):
    return reverse(f"admin:trips_{model}_{page}", args=args)


def trip_with_people():
    return factories.TripFactory(name="Baracoa", passengers=2)


def vendor_of_a_trip():
    return factories.TripFactory(vendor=factories.VendorFactory(name="Acme")).vendor


def organiser():
    return factories.TripFactory(organiser=factories.ContactFactory(first_name="Ada", last_name="Ortiz")).organiser


def payer():
    return factories.PaymentFactory(passenger__legal_first_name="Ada", passenger__legal_last_name="Ortiz").passenger


CASES = {
    "trip": (trip_with_people, "“Baracoa” cannot be deleted: 2 passengers are on it.", "Archive instead"),
    "vendor": (vendor_of_a_trip, "“Acme” cannot be deleted: 1 trip or cost names it.", "Archive instead"),
    "contact": (organiser, "“Ada Ortiz” cannot be deleted: 1 passenger, trip or merged contact needs it.", None),
    "passenger": (
        payer,
        "“Ada Ortiz” cannot be deleted: 1 payment is recorded for them.",
        "Cancel the booking instead",
    ),
}


@pytest.mark.parametrize("model", CASES)
@pytest.mark.parametrize("way", ["page", "list"])
def test_refusal_is_one_sentence_and_offers_what_to_do(admin_client, model, way):
    make, sentence, label = CASES[model]
    row = make()

    if way == "page":
        page = admin_client.post(url(model, "delete", row.pk), {"post": "yes"})
    else:
        chosen = {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"}
        page = admin_client.post(url(model, "changelist"), chosen)

    refusal = page.context["refusal"]
    assert (refusal.sentence, refusal.instead and refusal.instead.label) == (sentence, label)
    shown = page.content.decode()
    assert sentence in shown
    assert "would require deleting the following protected" not in shown
    assert (label is None) or label in shown
    assert type(row).objects.filter(pk=row.pk).exists()


def press(client, model, refusal):
    """What the button of a refusal sends."""
    rows = [row.pk for row in refusal.rows]
    return client.post(url(model, "changelist"), {"action": refusal.instead.action, "_selected_action": rows})


def test_several_trips_are_archived_at_once_instead(admin_client):
    trips = factories.TripFactory.create_batch(2, passengers=1)
    chosen = {"action": "delete_selected", "_selected_action": [trip.pk for trip in trips]}
    page = admin_client.post(url("trip", "changelist"), chosen)
    assert page.context["refusal"].sentence == "2 trips cannot be deleted: 2 passengers are on it."

    press(admin_client, "trip", page.context["refusal"])

    assert not Trip.objects.filter(archived_at=None).exists()


def test_booking_is_cancelled_instead(admin_client):
    row = payer()
    page = admin_client.get(url("passenger", "delete", row.pk))

    answer = press(admin_client, "passenger", page.context["refusal"])

    assert answer.status_code == 302
    assert Passenger.objects.get().attendance == "cancelled"
    assert admin_client.get(url("passenger", "delete", row.pk)).context["refusal"].instead is None


def test_archived_trip_is_not_offered_the_archive(admin_client):
    row = factories.TripFactory(passengers=1, archived_at=ARCHIVED)

    assert admin_client.get(url("trip", "delete", row.pk)).context["refusal"].instead is None


def test_who_may_not_change_is_not_offered_the_archive(client):
    row = trip_with_people()
    client.force_login(factories.StaffFactory(permissions=["trips.view_trip", "trips.delete_trip"]))

    page = client.get(url("trip", "delete", row.pk))

    assert page.context["refusal"].instead is None
    assert "Archive instead" not in page.content.decode()


@pytest.mark.parametrize(
    ("model", "make"),
    [
        (Trip, factories.TripFactory),
        (Vendor, factories.VendorFactory),
        (Contact, factories.ContactFactory),
        (Passenger, factories.PassengerFactory),
    ],
)
def test_what_nobody_needs_is_deleted(admin_client, model, make):
    name = model._meta.model_name
    first, second, third = make.create_batch(3)

    admin_client.post(url(name, "delete", first.pk), {"post": "yes", "typed": str(first)})
    chosen = {"action": "delete_selected", "_selected_action": [second.pk], "post": "yes", "typed": "1"}
    admin_client.post(url(name, "changelist"), chosen)

    assert list(model.objects.all()) == [third]


def test_deleting_needs_its_own_permission(client):
    row = factories.TripFactory()
    client.force_login(factories.StaffFactory(permissions=["trips.view_trip", "trips.change_trip"]))

    page = client.get(url("trip", "changelist"))

    assert client.get(url("trip", "delete", row.pk)).status_code == 403
    assert [name for name, _ in page.context["action_form"].fields["action"].choices] == [
        "",
        "close_selected",
        "stage_selected",
        "assign_selected",
        "archive_selected",
        "unarchive_selected",
    ]


@pytest.mark.parametrize("way", ["page", "list"])
@pytest.mark.parametrize(
    ("granted", "shown", "rest"),
    [
        ((), [], "and 4 parts you may not see"),
        (
            ("trips.view_passport", "trips.change_document"),
            ["Passport ••9876", "Document:"],
            "and 2 parts you may not see",
        ),
        (
            (
                "trips.view_passport",
                "trips.view_document",
                "trips.view_healthrecord",
                "trips.view_emergencycontact",
            ),
            ["Passport ••9876", "Health record", "Wilhelmina", "Document:"],
            None,
        ),
    ],
)
def test_only_parts_that_one_may_view_are_named_before_deleting(client, way, granted, shown, rest):
    passenger = factories.PassengerFactory()
    factories.PassportFactory(passenger=passenger, number="X5559876")
    factories.HealthRecordFactory(passenger=passenger)
    factories.EmergencyContactFactory(passenger=passenger, first_name="Wilhelmina")
    Document.objects.create(passenger=passenger, original_name="visa.pdf")
    permissions = ["trips.view_passenger", "trips.delete_passenger", "trips.delete_document", *granted]
    client.force_login(factories.StaffFactory(permissions=permissions))

    if way == "page":
        page = client.get(url("passenger", "delete", passenger.pk))
    else:
        data = {"action": "delete_selected", "_selected_action": passenger.pk}
        page = client.post(url("passenger", "changelist"), data)
    listed = str(page.context["deleted_objects" if way == "page" else "deletable_objects"])
    text = page.content.decode()

    named = ["Passport ••9876", "Health record", "Wilhelmina", "Document:"]
    assert [name for name in named if name in listed] == shown
    assert ("may not see" in listed, rest is None or rest in text) == (rest is not None, True)
    assert str(passenger) in listed
