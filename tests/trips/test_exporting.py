"""Exports: what the list shows, chosen columns, nothing that runs, nothing a person may not see, no query a row."""

from __future__ import annotations

import csv
import datetime as dt
import io
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from openpyxl import load_workbook

from tests import factories
from trips.models import Contact

pytestmark = pytest.mark.django_db


def exported(client, url, *columns, kind="csv"):
    answer = client.post(url, {"column": columns, "format": kind})
    assert answer["Content-Disposition"].startswith("attachment; filename=")
    if kind == "csv":
        return list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"), newline="")))
    return [list(row) for row in load_workbook(io.BytesIO(answer.content)).active.iter_rows(values_only=True)]


def test_csv_runs_nothing_and_reads_back(admin_client):
    factories.ContactFactory(first_name="=cmd|' /C calc'!A0", last_name="@Almqvist", phone="+12025550123", city="\t=1")

    table = exported(admin_client, "/trips/contact/export/", "first_name", "last_name", "phone", "city")

    assert table == [
        ["First name", "Last name", "Phone", "City"],
        ["'=cmd|' /C calc'!A0", "'@Almqvist", "+12025550123", "'\t=1"],
    ]
    text = "\n".join("\t".join(row[:3]) for row in table)
    page = admin_client.post("/trips/contact/import/", {"text": text}, follow=True)
    columns = {f"column-{index}": heading.meant for index, heading in enumerate(page.context["headings"])}
    preview = admin_client.post(page.request["PATH_INFO"], columns, follow=True)
    assert preview.context["counts"] == [("The same as here", 1)]


def test_workbook_keeps_numbers_and_days(admin_client):
    trip = factories.TripFactory(
        name="=1+1", start_date=dt.date(2027, 3, 1), capacity=20, price_per_person=Decimal("2450.50")
    )

    columns = ("name", "start_date", "capacity", "price_per_person")
    table = exported(admin_client, "/trips/trip/export/", *columns, kind="xlsx")

    assert table == [
        ["Name", "Start date", "Capacity", "Price per person"],
        ["'=1+1", dt.datetime(2027, 3, 1), 20, 2450.5],
    ]
    assert trip.name == "=1+1"


def test_export_follows_the_filters_of_the_list(admin_client):
    trip = factories.TripFactory(name="Baracoa", passengers=2)
    factories.PassengerFactory()

    url = f"/trips/passenger/export/?trip__id__exact={trip.pk}"
    page = admin_client.get(url)
    table = exported(admin_client, url, "trip", "number")

    assert "2 passengers: what" in page.content.decode()
    assert sorted(table[1:]) == [["Baracoa", "1"], ["Baracoa", "2"]]


@pytest.mark.parametrize(
    ("permissions", "wanted"),
    [
        ([], []),
        (["trips.view_passport"], ["Passport expires"]),
        (["trips.view_passport", "trips.change_passport"], ["Passport number", "Passport expires"]),
        (["trips.view_healthrecord"], ["Diet"]),
        (["trips.view_emergencycontact"], ["Emergency contact phone"]),
    ],
)
def test_sensitive_columns_need_their_permission(client, permissions, wanted):
    passenger = factories.PassportFactory().passenger
    factories.HealthRecordFactory(passenger=passenger, diet="Vegan")
    factories.EmergencyContactFactory(passenger=passenger)
    client.force_login(factories.StaffFactory(permissions=["trips.view_passenger", *permissions]))
    sensitive = ("passport_number", "passport_expires", "diet", "emergency_phone")

    table = exported(client, "/trips/passenger/export/", "legal_last_name", *sensitive)

    assert table[0] == ["Legal last name", *wanted]
    assert all(table[1])


def test_document_exports_its_facts_and_no_link(admin_client):
    factories.DocumentFactory(original_name="scan.pdf", remote_url="https://files.example.com/secret")

    page = admin_client.get("/trips/document/export/").content.decode()
    names = ("kind", "trip", "passenger", "state", "rejection_reason", "original_name", "size", "content_type")
    table = exported(admin_client, "/trips/document/export/", *names, "remote_url", "file")

    assert (len(table[0]), "remote_url" in page) == (len(names), False)
    assert "secret" not in str(table)
    assert admin_client.get("/trips/document/import/").status_code != 200


def test_export_needs_the_permission_to_view(client):
    client.force_login(factories.StaffFactory(permissions=["trips.view_trip"]))

    assert client.get("/trips/contact/export/").status_code == 403
    assert client.post("/trips/contact/export/", {"column": "email", "format": "csv"}).status_code == 403


def test_export_without_columns_says_so(admin_client):
    factories.ContactFactory()

    page = admin_client.post("/trips/contact/export/", {"format": "csv"})

    assert "Choose at least one column." in page.content.decode()
    assert Contact.objects.count() == 1


def queries(client, model):
    page = client.get(f"/trips/{model}/export/")
    columns = [name for name, _label, _ticked in page.context["columns"]]
    with CaptureQueriesContext(connection) as asked:
        client.post(f"/trips/{model}/export/", {"column": columns, "format": "csv"})
    return len(asked)


MAKERS = {
    "trip": lambda: factories.TripFactory(vendor=factories.VendorFactory(), organiser=factories.ContactFactory()),
    "passenger": lambda: factories.EmergencyContactFactory(
        passenger=factories.HealthRecordFactory(passenger=factories.PassportFactory().passenger).passenger
    ),
    "contact": factories.ContactFactory,
    "vendor": factories.VendorFactory,
    "payment": factories.PaymentFactory,
    "document": factories.DocumentFactory,
}


@pytest.mark.parametrize("model", MAKERS)
def test_export_asks_no_query_a_row(admin_client, model):
    MAKERS[model]()
    one = queries(admin_client, model)
    for _more in range(3):
        MAKERS[model]()

    assert queries(admin_client, model) == one
