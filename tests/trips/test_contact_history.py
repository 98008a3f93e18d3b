"""A contact's trips on the contact's page: all of them, and only what one may see of each."""

from __future__ import annotations

import datetime as dt

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def greta(db):
    return factories.ContactFactory(first_name="Greta", last_name="Lind", email="greta@example.com")


def journeys(client, contact):
    shown = client.get(reverse("admin:trips_contact_change", args=[contact.pk]))
    return shown, [(str(one.passenger), one.when, one.part, one.documents) for one in shown.context["journeys"]]


def test_all_trips_newest_first_with_wards_and_those_they_lead(admin_client, greta):
    old = factories.TripFactory(name="Lisbon", start_date=dt.date(2025, 5, 1), end_date=dt.date(2025, 5, 8))
    new = factories.TripFactory(name="Baracoa", organiser=greta)
    own = factories.PassengerFactory(contact=greta, trip=old, attendance="cancelled")
    factories.PassportFactory(passenger=own, expires_on=dt.date(2020, 1, 1))
    factories.PassengerFactory(trip=new, guardian=greta, legal_first_name="Tove", legal_last_name="Moe")
    factories.PassengerFactory(trip=new)

    shown, found = journeys(admin_client, greta)

    assert found == [
        ("Tove Moe", "1 Mar 2027 – 8 Mar 2027", "Booked, as guardian", "0/5"),
        ("Greta Lind", "1 May 2025 – 8 May 2025", "Cancelled", "0/5"),
    ]
    page = shown.content.decode()
    assert "until 1 Jan 2020" in page
    assert [str(trip) for trip in shown.context["led_trips"]] == ["Baracoa"]


def test_what_one_may_not_see_is_not_asked_for(client, greta):
    passenger = factories.PassengerFactory(contact=greta)
    factories.PassportFactory(passenger=passenger)
    client.force_login(factories.StaffFactory(permissions=["trips.view_contact", "trips.view_passenger"]))

    shown, found = journeys(client, greta)

    assert [row[3] for row in found] == [""]
    assert "until 1 Jan 2031" not in shown.content.decode()
    client.force_login(factories.StaffFactory(permissions=["trips.view_contact"]))
    page = client.get(reverse("admin:trips_contact_change", args=[greta.pk]))
    assert "Baracoa" not in page.content.decode()
    assert "journeys" not in page.context


def test_the_first_visit_says_how_to_put_them_on_a_trip(admin_client, greta):
    shown, found = journeys(admin_client, greta)

    assert found == []
    assert "On no trip yet." in shown.content.decode()


def test_the_page_asks_as_much_for_three_trips_as_for_one(admin_client, greta):
    def queries():
        with CaptureQueriesContext(connection) as asked:
            journeys(admin_client, greta)
        return len(asked)

    factories.PassportFactory(passenger=factories.PassengerFactory(contact=greta))
    queries()  # what is looked up once for good
    once = queries()
    for _number in range(2):
        factories.PassportFactory(passenger=factories.PassengerFactory(contact=greta))

    assert queries() == once
