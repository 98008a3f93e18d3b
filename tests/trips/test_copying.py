"""Last year's trip again: its terms with a new name and start, nobody on it."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest
from django.contrib.messages import get_messages
from django.urls import reverse

from tests import factories
from trips.models import Trip

pytestmark = pytest.mark.django_db


@pytest.fixture
def trip(db):
    return factories.TripFactory(
        name="Havana Jazz 2027",
        destination="Havana",
        start_date=dt.date(2027, 3, 1),
        end_date=dt.date(2027, 3, 8),
        arrival_date=dt.date(2027, 3, 2),
        deposit_due=dt.date(2026, 11, 30),
        final_payment_due=dt.date(2027, 1, 30),
        deposit_amount=Decimal("500.00"),
        organiser=factories.ContactFactory(),
        vendor=factories.VendorFactory(),
        stage="trip_complete",
        internal_notes="Talk to the hotel",
        legacy_trip_id=77,
        passengers=2,
    )


def copied(client, trip, **typed):
    return client.post(reverse("admin:trips_trip_copy", args=[trip.pk]), typed)


def test_page_proposes_the_same_departure_a_year_later(admin_client, trip):
    form = admin_client.get(reverse("admin:trips_trip_copy", args=[trip.pk])).context["form"]

    assert form.initial == {"name": "Havana Jazz 2028", "start_date": dt.date(2028, 3, 1)}


def test_terms_and_distances_are_copied_people_and_progress_not(admin_client, trip):
    answer = copied(admin_client, trip, name="Havana Jazz 2028", start_date="2028-02-28")

    copy = Trip.objects.exclude(pk=trip.pk).get()
    assert answer["Location"] == reverse("admin:trips_trip_change", args=[copy.pk])
    assert (copy.name, copy.destination, copy.capacity, copy.price_per_person, copy.deposit_amount) == (
        "Havana Jazz 2028",
        "Havana",
        20,
        Decimal("2450.00"),
        Decimal("500.00"),
    )
    assert (copy.organiser, copy.vendor) == (trip.organiser, trip.vendor)
    assert (copy.start_date, copy.end_date, copy.arrival_date, copy.return_date) == (
        dt.date(2028, 2, 28),
        dt.date(2028, 3, 6),
        dt.date(2028, 2, 29),
        None,
    )
    assert (copy.deposit_due, copy.final_payment_due) == (dt.date(2027, 11, 29), dt.date(2028, 1, 29))
    assert (copy.stage, copy.internal_notes, copy.legacy_trip_id, copy.passengers.count()) == (
        "form_submit",
        "",
        None,
        0,
    )
    assert copy.uid != trip.uid
    assert copy.history.get().history_user.username == "admin"


def test_copy_without_a_start_has_no_dates(admin_client, trip):
    copied(admin_client, trip, name="Someday", start_date="")

    copy = Trip.objects.get(name="Someday")
    assert (copy.start_date, copy.end_date, copy.deposit_due) == (None, None, None)


@pytest.mark.parametrize(
    ("typed", "field", "words"),
    [
        ({"name": "", "start_date": "2028-03-01"}, "name", "This field is required."),
        ({"name": "Havana Jazz 2027", "start_date": "2027-03-01"}, "name", "There is a trip"),
        ({"name": "X", "start_date": "9999-12-30"}, "start_date", "beyond the year 9999"),
        (
            {"name": "X", "start_date": "30 Feb"},
            "start_date",
            "'30 Feb' does not read as a date. Write it as 2027-03-01 or 1 Mar 2027.",
        ),
    ],
)
def test_bad_copy_is_refused_and_makes_nothing(admin_client, trip, typed, field, words):
    answer = copied(admin_client, trip, **typed)

    assert (answer.status_code, words in " ".join(answer.context["form"].errors[field])) == (200, True)
    assert Trip.objects.count() == 1


def test_same_name_at_another_time_is_made_and_warned_of(admin_client, trip):
    answer = copied(admin_client, trip, name="Havana Jazz 2027", start_date="2028-03-01")

    said = [str(message) for message in get_messages(answer.wsgi_request)]
    assert (len(said), "another trip of this name" in said[1]) == (2, True)


@pytest.mark.parametrize("may", [["trips.view_trip"], ["trips.add_trip"]])
def test_copying_needs_seeing_and_adding(client, trip, may):
    client.force_login(factories.StaffFactory(permissions=may))

    assert copied(client, trip, name="X", start_date="").status_code == 403
    assert Trip.objects.count() == 1
