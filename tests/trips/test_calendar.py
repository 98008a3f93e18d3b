"""The calendar: which trips a month shows, in which columns and lanes, and those without a date."""

from __future__ import annotations

import datetime as dt

import pytest
import time_machine
from django.urls import reverse

from tests import factories
from trips.admin import calendar_pages

pytestmark = pytest.mark.django_db
URL = "/trips/trip/calendar/"


@pytest.fixture(autouse=True)
def _today():
    with time_machine.travel(dt.datetime(2027, 3, 15, 12, tzinfo=dt.UTC), tick=False):
        yield


def march(first, last, month=3, **values):
    days = {"start_date": dt.date(2027, month, first), "end_date": dt.date(2027, 3, last) if last else None}
    return factories.TripFactory(**{**days, **values})


def bars(strip):
    return [(bar.entry.name, bar.begin, bar.end, bar.lane) for bar in strip.bars]


def test_trips_that_overlap_have_lanes_of_their_own(admin_client):
    march(1, 8, name="first")
    march(8, 12, name="same day as the first one's last")
    march(9, 10, name="after the first")
    march(28, 8, month=2, name="from February")
    march(5, 9, name="lost", status="lost")
    march(5, 9, name="put away", archived_at=dt.datetime(2027, 1, 1, tzinfo=dt.UTC))

    (strip,) = admin_client.get(URL).context["strips"]

    assert bars(strip) == [
        ("from February", 1, 9, 2),
        ("first", 1, 9, 3),
        ("same day as the first one's last", 8, 13, 4),
        ("after the first", 9, 11, 2),
    ]
    assert (strip.bars[0].from_before, strip.bars[0].goes_on, strip.lanes) == (True, False, 3)
    assert [one.number for one in strip.days if one.today] == [15]


def test_days_are_never_invented(admin_client):
    march(3, None, name="open")
    march(6, 2, name="turned")
    factories.TripFactory(name="undated", start_date=None, end_date=dt.date(2027, 3, 9))
    factories.TripFactory(name="lost", start_date=None, end_date=None, status="lost")

    page = admin_client.get(URL)

    (strip,) = page.context["strips"]
    assert [(bar.entry.name, bar.begin, bar.end, bar.entry.note) for bar in strip.bars] == [
        ("open", 3, 4, "no end date"),
        ("turned", 6, 7, "the end is before the start"),
    ]
    assert ([str(trip) for trip, _url in page.context["tray"]], page.context["undated"]) == (["undated"], 1)
    assert admin_client.get(page.context["undated_url"]).context["cl"].result_count == 1


def test_quarter_is_three_months_and_steps_by_three(admin_client):
    page = admin_client.get(URL, {"show": "quarter", "from": "2027-05"})

    assert [strip.title for strip in page.context["strips"]] == ["April 2027", "May 2027", "June 2027"]
    assert (page.context["before"], page.context["after"], page.context["now"]) == (
        "?show=quarter&from=2027-01",
        "?show=quarter&from=2027-07",
        "?show=quarter&from=2027-03",
    )
    assert "No trip in these days" in page.content.decode()


@pytest.mark.parametrize("asked", ["2027-13", "zzz", "0000-01", "9999-12", "2027-3"])
def test_month_that_is_none_says_so_and_shows_this_one(admin_client, asked):
    page = admin_client.get(URL, {"from": asked})

    assert [str(told) for told in page.context["messages"]] == [
        f"“{asked}” is no month from 1970 to 2200, such as 2027-03; this month is shown."
    ]
    assert page.context["strips"][0].title == "March 2027"


def test_last_month_leads_no_further(admin_client):
    assert admin_client.get(URL, {"from": "2200-12"}).context["after"] == ""


def test_more_trips_than_a_calendar_holds_are_counted(admin_client, monkeypatch):
    monkeypatch.setattr(calendar_pages, "MOST_SHOWN", 2)
    for number in range(3):
        march(number + 1, 20)

    page = admin_client.get(URL)

    assert (len(page.context["strips"][0].bars), "The first 2 trips are shown; 1 more" in page.content.decode()) == (
        2,
        True,
    )


@pytest.mark.parametrize("count", [1, 3])
def test_no_trip_asks_the_database(admin_client, django_assert_num_queries, count):
    for number in range(count):
        march(number + 1, 20, passengers=1)
        factories.TripFactory(start_date=None, end_date=None)

    with django_assert_num_queries(5):
        admin_client.get(URL)


def test_bar_leads_to_the_trip_and_says_its_stage_in_words(admin_client, client):
    trip = march(1, 8, name="Havana", stage="trip_scheduled")

    shown = admin_client.get(URL).content.decode()
    client.force_login(factories.StaffFactory(permissions=["trips.view_passenger"]))

    assert (
        reverse("admin:trips_trip_change", args=[trip.pk]) in shown,
        ">, 1 Mar 2027 – 8 Mar 2027, Trip scheduled<" in shown,
    ) == (True, True)
    assert client.get(URL).status_code == 403
