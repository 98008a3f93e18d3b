"""The search over everything, and the card that one needs at two in the morning."""

from __future__ import annotations

import datetime as dt

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from tests import factories
from tests.pages import Read, read_log
from trips.services import rooming

pytestmark = pytest.mark.django_db


def found(client, term):
    groups = client.get(reverse("trips:find"), {"q": term}).context["groups"]
    return {group.title: [(one.label, one.hint) for one in group.rows] for group in groups}


def card(passenger):
    return reverse("admin:trips_passenger_emergency", args=[passenger.pk])


@pytest.fixture
def greta(db):
    contact = factories.ContactFactory(
        first_name="Greta", last_name="Dvořák", email="greta@example.com", phone="+12025550111"
    )
    vendor = factories.VendorFactory(name="Caribe Ground", contact_name="Luis Prado", phone="+5375550133")
    trip = factories.TripFactory(
        name="Baracoa",
        start_date=dt.date(2027, 3, 1),
        end_date=dt.date(2027, 3, 8),
        lodging="Hostal La Habanera",
        vendor=vendor,
    )
    return factories.PassengerFactory(contact=contact, trip=trip, sex="F")


def test_one_term_finds_people_trips_and_vendors_without_accents(admin_client, greta):
    factories.TripFactory(name="Dvorak and his music", start_date=None, end_date=None)
    factories.VendorFactory(name="Dvorak Tours")

    assert found(admin_client, "dvorak") == {
        "Passengers": [("Greta Dvořák", "Baracoa, 1 Mar 2027 · booked")],
        "Trips": [("Dvorak and his music", "Havana")],
        "Contacts": [("Greta Dvořák", "greta@example.com")],
        "Vendors": [("Dvorak Tours", "Other")],
    }


def test_whoever_travels_now_comes_first_and_more_are_a_link_away(admin_client, admin_user, greta):
    for year in range(2028, 2038):
        trip = factories.TripFactory(start_date=dt.date(year, 3, 1), end_date=dt.date(year, 3, 8))
        factories.PassengerFactory(trip=trip, contact=greta.contact)

    with time_machine.travel(dt.datetime(2027, 3, 3, 12, tzinfo=dt.UTC), tick=False):
        admin_client.force_login(admin_user)
        (group, *_others) = admin_client.get(reverse("trips:find"), {"q": "dvorak"}).context["groups"]

    assert (group.rows[0].hint, len(group.rows)) == ("Baracoa, 1 Mar 2027 · booked", 8)
    assert group.more == f"{reverse('admin:trips_passenger_changelist')}?q=dvorak"


def test_only_lists_that_one_may_see_are_searched(client, greta):
    client.force_login(factories.StaffFactory(permissions=["trips.view_trip"]))

    assert found(client, "dvorak") == {}
    assert found(client, "baracoa") == {"Trips": [("Baracoa", "1 Mar 2027, Havana")]}


@pytest.mark.parametrize(
    ("term", "said"), [("d", "Type at least 2 letters."), ("nobody", "Nothing was found for “nobody”")]
)
def test_what_finds_nothing_says_what_to_do(admin_client, term, said):
    assert said in admin_client.get(reverse("trips:find"), {"q": term}).content.decode()


def test_a_search_asks_as_much_for_three_as_for_one(admin_client, greta):
    def queries():
        with CaptureQueriesContext(connection) as asked:
            admin_client.get(reverse("trips:find"), {"q": "dvorak"})
        return len(asked)

    once = queries()
    for _number in range(2):
        factories.PassengerFactory(contact=greta.contact)

    assert queries() == once


@time_machine.travel(dt.datetime(2027, 3, 3, 12, tzinfo=dt.UTC), tick=False)
def test_the_card_says_where_they_are_and_whom_to_call(admin_client, admin_user, greta):
    admin_client.force_login(admin_user)  # the session of today is over by then
    factories.EmergencyContactFactory(passenger=greta, first_name="Kim", last_name="Lind", phone="(202) 555-0144")
    rooming.put(passenger=greta, room=rooming.add_room(trip=greta.trip, beds=2))

    shown = admin_client.get(card(greta))
    page = shown.content.decode()

    assert [(call.who, call.what, call.numbers) for call in shown.context["calls"]] == [
        ("Greta Dvořák", "booked, or the traveller", [("+12025550111", "+12025550111")]),
        ("Kim Lind", "Sibling", [("(202) 555-0144", "+12025550144")]),
        ("Luis Prado", "Caribe Ground, on site", [("+5375550133", "+5375550133")]),
    ]
    assert "1 Mar 2027 – 8 Mar 2027: day 3 of 8" in page
    assert "Hostal La Habanera" in page
    assert "Room 1" in page
    assert 'href="tel:+12025550144"' in page


def test_health_is_shown_for_a_reason_and_each_look_is_kept(admin_client, admin_user, greta):
    factories.HealthRecordFactory(passenger=greta, medications="Insulin twice a day", general_health="")

    before = admin_client.get(card(greta)).content.decode()
    after = admin_client.post(card(greta), {"reason": "doctor"}).content.decode()

    assert "Insulin" not in before
    assert "Insulin twice a day" in after
    assert "Not answered" in after
    assert read_log() == [Read(admin_user, "card", shows="trips.healthrecord", reason="doctor", people=[greta.pk])]
    assert admin_client.post(card(greta), {"reason": "curiosity"}).status_code == 404


def test_the_physician_can_be_called_with_a_tap(admin_client, greta):
    factories.HealthRecordFactory(passenger=greta, physician_name="Dr Lind", physician_phone="(202) 555-0166")

    page = admin_client.post(card(greta), {"reason": "emergency"}).content.decode()

    assert 'href="tel:+12025550166">(202) 555-0166</a>' in page


def test_a_vendor_without_a_person_is_named_once(admin_client, greta):
    greta.trip.vendor.contact_name = ""
    greta.trip.vendor.save()

    calls = admin_client.get(card(greta)).context["calls"]

    assert [(call.who, call.what) for call in calls][-1] == ("Caribe Ground", "on site")


def test_who_may_not_see_health_or_contacts_is_not_offered_them(client, greta):
    factories.HealthRecordFactory(passenger=greta, medications="Insulin twice a day")
    factories.EmergencyContactFactory(passenger=greta)
    client.force_login(factories.StaffFactory(permissions=["trips.view_passenger"]))

    shown = client.get(card(greta))

    assert shown.context["calls"] == []
    assert "Ask an administrator" in shown.content.decode()
    assert "Health" not in shown.content.decode()
    assert client.post(card(greta), {"reason": "doctor"}).status_code == 403
    client.force_login(factories.StaffFactory(permissions=["trips.view_trip"]))
    assert client.get(card(greta)).status_code == 403
