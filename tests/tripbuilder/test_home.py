"""The home page: each number is the length of the list that it leads to."""

from __future__ import annotations

import datetime as dt
import re

import pytest
import time_machine
from django.urls import reverse

from tests import factories
from tripbuilder import dashboard

pytestmark = pytest.mark.django_db
TODAY = dt.date(2027, 1, 15)
HOME = "admin:index"
QUERIES = 21


@pytest.fixture(autouse=True)
def _today():
    with time_machine.travel(dt.datetime(2027, 1, 15, 12, tzinfo=dt.UTC), tick=False):
        yield


def soon(days=10, **kwargs):
    start = TODAY + dt.timedelta(days=days)
    return factories.TripFactory(start_date=start, end_date=start + dt.timedelta(days=7), **kwargs)


def a_busy_office():
    trip = soon(passengers=2)
    factories.PassengerFactory(trip=trip, attendance="cancelled")
    soon(days=40, passengers=1)
    soon(days=80, passengers=3)
    soon(days=200, passengers=4)
    soon(passengers=2, status="lost")
    soon(passengers=2, archived_at=dt.datetime(2027, 1, 1, tzinfo=dt.UTC))
    soon(days=-30)
    factories.PassengerFactory(trip=trip, stage="details_submitted")
    factories.PassengerFactory(trip=soon(days=-60), stage="details_submitted")
    factories.DocumentFactory(passenger=trip.passengers.first())
    late = soon(days=60, final_payment_due=TODAY - dt.timedelta(days=1))
    for _ in range(2):
        factories.PassengerFactory(trip=late)


def test_each_number_is_the_length_of_its_list(admin_client):
    a_busy_office()

    numbers = {one.label: one for one in admin_client.get(reverse(HOME)).context["numbers"]}

    tiles = {tile.label: numbers[tile.label] for tile in dashboard.TILES}
    lists = {label: admin_client.get(one.url).context["cl"].result_count for label, one in tiles.items()}
    assert {label: one.count for label, one in tiles.items()} == lists
    assert lists == {
        "Leave soon, not ready": 1,
        "Passports to mend": 9,
        "Documents missing": 6,
        "Documents to review": 1,
        "Overdue balances": 2,
        "New forms": 1,
        "Over, not closed": 2,
    }


def test_a_stage_of_a_funnel_leads_to_those_who_stand_there(admin_client):
    a_busy_office()

    funnels = dict(admin_client.get(reverse(HOME)).context["funnels"])

    steps = [step for title in funnels for step in funnels[title]]
    assert [step.count for step in steps] == [admin_client.get(step.url).context["cl"].result_count for step in steps]
    assert sum(step.count for step in steps) == 5 + 14


def test_departures_come_soonest_first_with_seats_and_readiness(admin_client):
    soon(days=20, name="Later")
    soon(days=3, name="Sooner", capacity=5, passengers=2)
    soon(days=90, name="Far away")

    rows = admin_client.get(reverse(HOME)).context["departures"]

    assert [(str(one.trip), one.days, one.seats, one.over) for one in rows] == [
        ("Sooner", 3, "2 / 5", False),
        ("Later", 20, "0 / 20", False),
    ]
    assert 0 < rows[0].percent < 100


def test_a_trip_with_more_people_than_seats_is_marked(admin_client):
    soon(days=3, capacity=1, passengers=2)

    page = admin_client.get(reverse(HOME))

    assert [(one.seats, one.over) for one in page.context["departures"]] == [("2 / 1", True)]
    assert '<span class="home-seats trip-over">2 / 1 booked</span>' in page.content.decode()


def test_charts_add_up_months_and_leave_out_other_currencies(admin_client):
    soon(days=1, capacity=10, passengers=2, price_per_person=100)
    soon(days=2, capacity=5, passengers=1, price_per_person=7, currency="EUR")
    soon(days=40, capacity=None, passengers=1, price_per_person=None)

    seats, worth = admin_client.get(reverse(HOME)).context["charts"]

    assert seats.rows == [("Jan 2027", ["3", "15"]), ("Feb 2027", ["1", "0"])]
    assert worth.rows == [("Jan 2027", ["200"])]


@pytest.mark.parametrize("trips", [1, 3])
def test_home_costs_the_same_for_one_trip_and_for_three(admin_client, django_assert_num_queries, trips):
    for days in range(trips):
        soon(days=days + 1, passengers=2)
    admin_client.get(reverse(HOME))

    with django_assert_num_queries(QUERIES):
        admin_client.get(reverse(HOME))


def test_who_sees_nothing_gets_no_tile_and_no_chart(client):
    a_busy_office()
    client.force_login(factories.StaffFactory(permissions=["trips.view_contact"]))

    page = client.get(reverse(HOME))

    shown = {name: page.context[name] for name in ("numbers", "departures", "charts", "funnels")}
    assert shown == {"numbers": [], "departures": None, "charts": [], "funnels": []}


def test_who_may_not_see_passports_learns_nothing_of_them(client):
    a_busy_office()
    client.force_login(factories.StaffFactory(permissions=["trips.view_trip", "trips.view_passenger"]))

    page = client.get(reverse(HOME))

    assert [one.label for one in page.context["numbers"]] == ["Leave soon, not ready", "New forms", "Over, not closed"]
    assert not re.search("passport|turnover|price", page.content.decode().split("home-tiles")[1].lower())
    listed = client.get(reverse("admin:trips_passenger_changelist"), {"look": "passport"})
    assert listed.context["cl"].result_count == 19  # the question is not asked for them


def test_a_sync_that_stands_comes_first(admin_client, settings):
    settings.GHL_API_TOKEN = ""

    first = admin_client.get(reverse(HOME)).context["numbers"][0]

    assert (first.label, first.urgent, first.url) == (
        "GoHighLevel: not connected",
        True,
        reverse("admin:ghl_sync_desk"),
    )


def test_an_empty_office_is_told_how_to_start(admin_client):
    assert "Add the first trip" in admin_client.get(reverse(HOME)).content.decode()
    soon()
    assert "Add the first trip" not in admin_client.get(reverse(HOME)).content.decode()
