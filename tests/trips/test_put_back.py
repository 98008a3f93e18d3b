"""Putting back what a record was before a change: through its form, with its rules, and never unseen."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest
from django.urls import reverse

from tests import factories
from tests.pages import posted
from trips.models import Passenger, Trip

pytestmark = pytest.mark.django_db


@pytest.fixture
def renamed():
    trip = factories.TripFactory(name="Havana in March", capacity=20, price_per_person=Decimal("2450.00"))
    trip.name, trip.capacity = "Havana in April", 10
    trip.save()
    return trip


def change_url(row, version=None):
    url = reverse(f"admin:trips_{row._meta.model_name}_change", args=[row.pk])
    return url if version is None else f"{url}?put_back={version.history_id}"


def told(page):
    return [str(message) for message in page.context["messages"]]


def test_form_shows_what_was_before_and_saves_it(admin_client, renamed):
    url = change_url(renamed, renamed.history.latest())
    renamed.price_per_person = Decimal("2600.00")  # changed since, and no business of that version
    renamed.save()

    page = admin_client.get(url)
    before = Trip.objects.get()
    answer = admin_client.post(url, posted(page))

    after = Trip.objects.get()
    assert told(page) == ["Not saved yet. These show what they were before: Name, Capacity. Look at them, then save."]
    assert "Now: “Havana in April”" in page.content.decode()
    assert (before.name, before.capacity) == ("Havana in April", 10)
    assert answer.status_code == 302
    assert (after.name, after.capacity, after.price_per_person) == ("Havana in March", 20, Decimal("2600.00"))
    assert after.history.latest().history_user.username == "admin"


def test_rules_decide_about_what_is_put_back(client):
    names = ("view_passenger", "change_passenger", "view_trip", "view_contact")
    client.force_login(factories.StaffFactory(permissions=[f"trips.{name}" for name in names]))
    trip = factories.TripFactory(capacity=1)
    gone = factories.PassengerFactory(trip=trip)
    gone.attendance = "cancelled"
    gone.save()
    factories.PassengerFactory(trip=trip)
    url = change_url(gone, gone.history.latest())

    page = client.get(url)
    answer = client.post(url, posted(page))

    assert page.context["adminform"].form["attendance"].value() == "booked"
    assert [*answer.context["errors"]] == [
        [f"{trip} has 1 seats and 1 other passengers booked. Put this one on the waiting list."]
    ]
    assert Passenger.objects.get(pk=gone.pk).attendance == "cancelled"


def test_reference_that_is_gone_is_left_out(admin_client):
    vendor = factories.VendorFactory()
    trip = factories.TripFactory(vendor=vendor, destination="Havana")
    trip.vendor, trip.destination = None, "Trinidad"
    trip.save()
    vendor.delete()

    page = admin_client.get(change_url(trip, trip.history.latest()))

    assert told(page) == ["Not saved yet. These show what they were before: Destination. Look at them, then save."]


@pytest.mark.parametrize("asked", ["0", "x", "9" * 30, "first", "another's"])
def test_nothing_to_put_back_is_said_and_changes_nothing(admin_client, renamed, asked):
    other = factories.TripFactory()
    other.name = "Elsewhere"
    other.save()
    named = {"first": renamed.history.earliest().history_id, "another's": other.history.latest().history_id}

    page = admin_client.get(f"{change_url(renamed)}?put_back={named.get(asked, asked)}")

    assert told(page) == ["There is nothing to put back: this version changed no field that you may edit here."]
    assert page.context["adminform"].form.initial["name"] == "Havana in April"


def test_history_and_timeline_lead_to_it(admin_client, renamed):
    wanted = change_url(renamed, renamed.history.latest())

    history = admin_client.get(reverse("admin:trips_trip_history", args=[renamed.pk])).content.decode()
    timeline = admin_client.get(reverse("admin:trips_trip_timeline", args=[renamed.pk])).content.decode()

    assert (history.count("Put back…"), timeline.count("Put back…")) == (1, 1)
    assert f'href="{wanted}"' in history
    assert f'href="{wanted}"' in timeline


def test_who_may_only_view_is_not_offered_it(client, renamed):
    client.force_login(factories.StaffFactory(permissions=["trips.view_trip"]))

    pages = [
        client.get(reverse("admin:trips_trip_history", args=[renamed.pk])),
        client.get(reverse("admin:trips_trip_timeline", args=[renamed.pk])),
        client.get(change_url(renamed, renamed.history.latest())),
    ]

    assert [page.status_code for page in pages] == [200, 200, 200]
    assert ["Put back" in page.content.decode() for page in pages] == [False] * 3
    assert "Havana in March" not in pages[2].content.decode()


@pytest.mark.parametrize("versions", [1, 3])
def test_history_takes_the_same_queries_for_one_version_and_for_three(
    admin_client, renamed, django_assert_num_queries, versions
):
    for number in range(versions - 1):
        renamed.end_date = dt.date(2027, 3, 8 + number)
        renamed.save()

    url = reverse("admin:trips_trip_history", args=[renamed.pk])
    admin_client.get(url)  # the first view asks for the content type
    with django_assert_num_queries(5):
        admin_client.get(url)
