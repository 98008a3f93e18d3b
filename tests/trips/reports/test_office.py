from __future__ import annotations

import csv
import datetime as dt
import io
import logging
from decimal import Decimal

import pytest
import time_machine
from django.urls import reverse

from tests import factories
from tests.trips.reports.conftest import PEOPLE, traveller
from trips import views
from trips.enums import Attendance, DocumentKind, DocumentState, PaymentKind, Status

pytestmark = [pytest.mark.django_db]
TODAY = dt.datetime(2027, 1, 10, 12, tzinfo=dt.UTC)
MONEY, PASSPORT, PAPERS = "trips.view_payment", "trips.view_passport", "trips.view_document"


@pytest.fixture(autouse=True)
def today():
    with time_machine.travel(TODAY, tick=False):
        yield


def url(code, preset, **days):
    address = reverse("trips:office_report", args=[code, preset])
    return f"{address}?{'&'.join(f'{name}={day}' for name, day in days.items())}" if days else address


def names_on(page):
    return [line["row"].name for line in page.context["lines"]]


def texts(page):
    return [[cell["text"] for cell in line["cells"]] for line in page.context["lines"]]


def taken(client, code, preset, wanted="csv", **days):
    address = reverse("trips:office_report_file", args=[code, preset])
    answer = client.post(f"{address}?{'&'.join(f'{n}={d}' for n, d in days.items())}", {"format": wanted})
    return list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))


# Balances


@pytest.fixture
def owed(baracoa):
    """One who owes, one who paid, one who overpaid, one who cancelled after paying."""
    baracoa.price_per_person, baracoa.currency = Decimal("1000.00"), "USD"
    baracoa.save(update_fields=["price_per_person", "currency"])
    for first, paid in (("Ada", 400), ("Bruno", 1000), ("Carla", 1200)):
        factories.PaymentFactory(passenger=traveller(baracoa, first, "Almqvist"), amount=Decimal(paid))
    gone = traveller(baracoa, "Dmitri", "Almqvist", attendance=Attendance.CANCELLED)
    factories.PaymentFactory(passenger=gone, amount=Decimal(300))
    factories.PaymentFactory(passenger=gone, amount=Decimal(100), kind=PaymentKind.REFUND)
    return baracoa


@pytest.mark.parametrize(
    ("preset", "names", "sums"),
    [
        ("owing", ["Ada"], [("USD: Paid", "400.00"), ("USD: Balance", "600.00")]),
        ("give-back", ["Carla", "Dmitri"], [("USD: Paid", "1,400.00"), ("USD: Balance", "-400.00")]),
        ("all", ["Ada", "Bruno", "Carla"], [("USD: Paid", "2,600.00"), ("USD: Balance", "400.00")]),
        ("overdue", [], []),
    ],
)
def test_balances_list_who_owes_and_whom_to_give_back_with_their_sums(clerk, owed, preset, names, sums):
    page = clerk(MONEY).get(url("balances", preset))

    assert [name.removesuffix(" Almqvist") for name in names_on(page)] == names
    assert [(total.full_label, total.value) for total in page.context["table"].totals] == sums


def test_balances_of_two_currencies_are_not_added_up(clerk, owed):
    traveller(
        factories.TripFactory(currency="EUR", price_per_person=Decimal("500.00"), start_date=dt.date(2027, 5, 1)),
        "Elena",
        "Eriksen",
    )

    page = clerk(MONEY).get(url("balances", "owing"))

    assert [(total.full_label, total.value) for total in page.context["table"].totals] == [
        ("EUR: Paid", "0.00"),
        ("EUR: Balance", "500.00"),
        ("USD: Paid", "400.00"),
        ("USD: Balance", "600.00"),
    ]


def test_balance_without_a_price_is_missing_and_not_zero(clerk):
    trip = factories.TripFactory(price_per_person=None, start_date=dt.date(2027, 5, 1))
    traveller(trip, "Ada", "Almqvist")

    page = clerk(MONEY).get(url("balances", "all"))

    assert page.context["lines"][0]["row"].missing == ("Price",)


# Passports


def test_passports_say_until_when_they_are_needed_for_all_trips_and_before_when_to_renew(clerk, baracoa):
    contact = factories.ContactFactory()
    later = factories.TripFactory(name="Viñales", start_date=dt.date(2027, 9, 1), end_date=dt.date(2027, 9, 9))
    for trip in (baracoa, later):
        person = traveller(trip, "Ada", "Almqvist", contact=contact)
        factories.PassportFactory(
            passenger=person, number="X5550001", country="Canada", expires_on=dt.date(2027, 12, 1)
        )
    traveller(later, "Bruno", "Almqvist", contact=contact)  # the same address, somebody else

    page = clerk(PASSPORT).get(url("passports", "all"))

    names = [[*line[:2], line[5], *line[6:]] for line in texts(page)]
    assert names == [
        ["Bruno Almqvist", "Viñales", "", "Missing", "9 Mar 2028", "9 Mar 2028", "1 Sep 2027"],
        ["Ada Almqvist", "Baracoa", "1 Dec 2027", "Valid", "8 Sep 2027", "9 Mar 2028", "1 Sep 2027"],
        ["Ada Almqvist", "Viñales", "1 Dec 2027", "Too short", "9 Mar 2028", "9 Mar 2028", "1 Sep 2027"],
    ]


@pytest.mark.parametrize(
    "unwanted", [{"status": Status.LOST}, {"archived_at": TODAY}, {"end_date": dt.date(2027, 1, 9)}]
)
def test_trip_that_is_over_or_will_not_be_asks_no_passport_to_last(clerk, baracoa, unwanted):
    contact = factories.ContactFactory()
    other = factories.TripFactory(**{"start_date": dt.date(2027, 1, 2), "end_date": dt.date(2029, 9, 9), **unwanted})
    for trip in (baracoa, other):
        factories.PassportFactory(passenger=traveller(trip, "Ada", "Almqvist", contact=contact))

    page = clerk(PASSPORT).get(url("passports", "all", first="2027-02-01", last=""))

    assert [line[8] for line in texts(page)] == ["8 Sep 2027"]


def test_passport_recorded_for_another_trip_of_the_person_is_pointed_at(clerk, baracoa):
    contact = factories.ContactFactory()
    later = factories.TripFactory(name="Viñales", start_date=dt.date(2027, 9, 1), end_date=dt.date(2027, 9, 9))
    factories.PassportFactory(passenger=traveller(baracoa, "Ada", "Almqvist", contact=contact))
    traveller(later, "Ada", "Almqvist", contact=contact)

    page = clerk(PASSPORT).get(url("passports", "all"))

    assert [line[6] for line in texts(page)] == ["Missing here, recorded for Baracoa", "Valid"]


def test_passports_that_will_not_do_are_a_list_of_their_own(clerk, baracoa):
    for first, expires in (
        ("Ada", dt.date(2027, 9, 8)),  # the very day until which it is needed
        ("Bruno", dt.date(2027, 9, 7)),
        ("Carla", dt.date(2027, 1, 9)),
        ("Dmitri", None),
    ):
        factories.PassportFactory(passenger=traveller(baracoa, first, "Almqvist"), expires_on=expires)

    page = clerk(PASSPORT).get(url("passports", "lacking"))

    assert [(line[0], line[6]) for line in texts(page)] == [
        ("Dmitri Almqvist", "Missing"),
        ("Carla Almqvist", "Expired"),
        ("Bruno Almqvist", "Too short"),
    ]


# Documents


def test_documents_count_what_is_on_file_and_take_the_best_of_a_kind(clerk, baracoa):
    person = traveller(baracoa, "Ada", "Almqvist")
    for kind, state in (
        (DocumentKind.PASSPORT_SCAN, DocumentState.REJECTED),
        (DocumentKind.PASSPORT_SCAN, DocumentState.RECEIVED),
        (DocumentKind.MOU, DocumentState.WAIVED),
        (DocumentKind.AFFIDAVIT, DocumentState.REJECTED),
        (DocumentKind.OTHER, DocumentState.APPROVED),
    ):
        factories.DocumentFactory(passenger=person, kind=kind, state=state)

    page = clerk(PAPERS).get(url("documents", "missing"))

    assert texts(page) == [
        ["Ada Almqvist", "Baracoa", "1 Mar 2027", "2/5", "Received", "Missing", "Waived", "Rejected", "Missing"]
    ]
    assert [(total.label, total.value) for total in page.context["table"].totals] == [
        ("Passport scan lacking", "0"),
        ("Reservation lacking", "1"),
        ("Memorandum of understanding lacking", "0"),
        ("Affidavit lacking", "1"),
        ("Signature lacking", "1"),
    ]


def test_who_handed_everything_in_is_not_on_the_list_of_the_missing(clerk, baracoa):
    person = traveller(baracoa, "Ada", "Almqvist")
    for kind in DocumentKind.values:
        factories.DocumentFactory(passenger=person, kind=kind, state=DocumentState.RECEIVED)
    client = clerk(PAPERS)

    assert names_on(client.get(url("documents", "missing"))) == []
    assert names_on(client.get(url("documents", "all"))) == ["Ada Almqvist"]


# Vendors


def test_vendors_are_those_of_the_trips_in_the_days(clerk):
    hotel, other = factories.VendorFactory(name="Acme", phone="+12025550101"), factories.VendorFactory(name="Other")
    for day in (dt.date(2027, 3, 1), dt.date(2027, 4, 1)):
        factories.TripFactory(vendor=hotel, start_date=day)
    factories.TripFactory(vendor=other, start_date=dt.date(2029, 1, 1))

    page = clerk("trips.view_vendor").get(url("vendors", "standard"))

    assert texts(page) == [["Acme", "Other", "", "", "+12025550101", "2"]]
    assert page.context["lines"][0]["row"].missing == ("E-mail",)


# Days


@pytest.mark.parametrize(
    ("days", "names"),
    [
        ({}, ["Soon"]),
        ({"first": "2028-01-01", "last": ""}, ["Late"]),
        ({"first": "", "last": ""}, ["Past", "Soon", "Late"]),
        ({"first": "2026-01-01", "last": "2027-03-01"}, ["Past", "Soon"]),
    ],
)
def test_days_narrow_the_departures(clerk, days, names):
    for name, day in (("Past", dt.date(2026, 6, 1)), ("Soon", dt.date(2027, 3, 1)), ("Late", dt.date(2028, 6, 1))):
        traveller(factories.TripFactory(name=name, start_date=day, end_date=day), "Ada", "Almqvist")
    client = clerk(PAPERS)

    page = client.get(url("documents", "all", **days))

    assert [line[1] for line in texts(page)] == names
    assert [row[1] for row in taken(client, "documents", "all", **days)[1:]] == names


@pytest.mark.parametrize(
    ("days", "sentence"),
    [
        ({"first": "2027-02-30", "last": ""}, "&#x27;2027-02-30&#x27; is not a day of the calendar."),
        ({"first": "2027-03-02", "last": "2027-03-01"}, "1 Mar 2027 is before 2 Mar 2027"),
    ],
)
def test_days_that_cannot_be_are_named_and_the_usual_ones_shown(clerk, days, sentence):
    page = clerk(PAPERS).get(url("documents", "all", **days))

    assert sentence in page.content.decode()
    assert page.context["table"].subtitle == "Departures from 10 Jan 2027 to 10 Jan 2028"


@pytest.mark.parametrize("unwanted", [{"status": Status.LOST}, {"archived_at": TODAY}])
def test_trips_that_do_not_take_place_are_left_out(clerk, unwanted):
    traveller(factories.TripFactory(start_date=dt.date(2027, 3, 1), **unwanted), "Ada", "Almqvist")

    assert names_on(clerk(PAPERS).get(url("documents", "all"))) == []


# Who may, and how much


@pytest.mark.parametrize(
    ("code", "preset", "name"),
    [("balances", "owing", MONEY), ("passports", "lacking", PASSPORT), ("documents", "missing", PAPERS)],
)
def test_report_is_offered_and_given_to_whoever_may_see_what_it_holds(clerk, caplog, code, preset, name):
    caplog.set_level(logging.CRITICAL)
    listing = reverse("trips:office_reports")

    without = [clerk().get(address) for address in (listing, url(code, preset))]
    allowed = [clerk(name).get(address) for address in (listing, url(code, preset))]

    assert [page.status_code for page in without] == [403, 403]
    assert [page.status_code for page in allowed] == [200, 200]
    assert [report.code for report, _presets in allowed[0].context["entries"]] == [code]


def test_menu_names_the_reports_only_to_whoever_has_one(client):
    link = f'href="{reverse("trips:office_reports")}"'
    pages = []
    for names in (PEOPLE, (*PEOPLE, PAPERS)):
        client.force_login(factories.StaffFactory(permissions=names))
        pages.append(client.get(reverse("admin:trips_trip_changelist")).content.decode())

    assert [link in page for page in pages] == [False, True]


def test_page_shows_25_rows_and_the_file_all(clerk, baracoa):
    contact = factories.ContactFactory()
    for number in range(27):
        traveller(baracoa, f"Person {number:02}", "Almqvist", contact=contact)
    client = clerk(PAPERS)

    pages = [client.get(f"{url('documents', 'all')}?p={number}") for number in (1, 2)]

    assert [len(page.context["lines"]) for page in pages] == [25, 2]
    assert {page.context["table"].count for page in pages} == {27}
    assert len(taken(client, "documents", "all")) == 28


def test_file_that_nobody_would_read_is_refused(clerk, baracoa, monkeypatch):
    traveller(baracoa, "Ada", "Almqvist")
    traveller(baracoa, "Bruno", "Baptiste")
    monkeypatch.setitem(views.MOST_ROWS, "pdf", 1)

    answer = clerk(PAPERS).post(
        reverse("trips:office_report_file", args=["documents", "all"]), {"format": "pdf"}, follow=True
    )

    assert "2 rows are more than the 1 that such a file holds; narrow the days." in answer.content.decode()


@pytest.mark.parametrize("people", [1, 3])
@pytest.mark.parametrize(
    ("code", "preset", "queries"),
    [("balances", "owing", 12), ("passports", "all", 12), ("documents", "missing", 12), ("vendors", "standard", 10)],
)
def test_page_takes_the_same_queries_for_one_and_for_three(
    clerk, django_assert_num_queries, people, code, preset, queries
):
    for number in range(people):
        trip = factories.TripFactory(vendor=factories.VendorFactory(), start_date=dt.date(2027, 3, 1 + number))
        person = traveller(trip, "Ada", "Almqvist")
        factories.PassportFactory(passenger=person)
        factories.DocumentFactory(passenger=person)
        factories.PaymentFactory(passenger=person)
    client = clerk(MONEY, PASSPORT, PAPERS, "trips.view_vendor")
    client.get(url(code, preset))

    with django_assert_num_queries(queries):
        page = client.get(url(code, preset))

    assert len(page.context["lines"]) == people
