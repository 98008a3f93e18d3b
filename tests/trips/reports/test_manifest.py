from __future__ import annotations

import csv
import datetime as dt
import io
import logging

import openpyxl
import pypdfium2
import pytest
from django.urls import reverse

from tests import factories
from tests.pages import Read, read_log
from tests.trips.reports.conftest import PEOPLE, traveller
from trips.enums import Attendance, Occupancy
from trips.models import Passenger
from trips.reports import people

pytestmark = pytest.mark.django_db
PASSPORTS = ("trips.view_passport", "trips.change_passport")


def page_url(trip, preset="airline"):
    return reverse("trips:trip_report", args=[trip.pk, "manifest", preset])


def file_url(trip, preset="airline"):
    return reverse("trips:trip_report_file", args=[trip.pk, "manifest", preset])


def downloaded(client, trip, preset, wanted):
    answer = client.post(file_url(trip, preset), {"format": wanted})
    assert answer.status_code == 200, answer.content
    return answer


def csv_rows(answer):
    return list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))


def ours(caplog):
    return [record.getMessage() for record in caplog.records if record.name == "trips.reports"]


def names_on(page):
    return [line["row"].name for line in page.context["lines"]]


def test_airline_manifest_has_split_latin_names_and_iso_codes(clerk, baracoa):
    dvorak = traveller(baracoa, "Inés", "Dvořák", legal_middle_name="Zoë", sex="F", date_of_birth=dt.date(1980, 5, 17))
    factories.PassportFactory(
        passenger=dvorak, number="X5550001", country="Czech Republic", expires_on=dt.date(2031, 1, 9)
    )

    answer = downloaded(clerk(*PASSPORTS), baracoa, "airline", "csv")

    assert csv_rows(answer) == [
        [
            "Last name",
            "First name",
            "Middle name",
            "Sex",
            "Date of birth",
            "Nationality",
            "Document",
            "Document no.",
            "Issued by",
            "Expires",
        ],
        ["DVORAK", "INES", "ZOE", "F", "1980-05-17", "CZE", "P", "X5550001", "CZE", "2031-01-09"],
    ]
    assert answer["Content-Disposition"].startswith('attachment; filename="manifest-airline-baracoa-')


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Dvořák", "DVORAK"),
        ("O’Brien", "OBRIEN"),
        ("Łukasz-Jan", "LUKASZ-JAN"),
        ("  van   der Groß ", "VAN DER GROSS"),
        ("Søren", "SOREN"),
        ("Юрий", ""),
        ("", ""),
    ],
)
def test_latin_keeps_what_a_ticket_holds_and_gives_up_on_other_alphabets(name, expected):
    assert people.latin(name) == expected


def test_hotel_manifest_has_no_document_number(clerk, baracoa):
    factories.PassportFactory(passenger=traveller(baracoa, "Ada", "Almqvist"), number="X5550001")

    answer = downloaded(clerk(*PASSPORTS), baracoa, "hotel", "csv")

    assert "Document no." not in csv_rows(answer)[0]
    assert "X5550001" not in answer.content.decode()


def test_cells_that_would_run_are_neutralised_in_csv_and_workbook(clerk, baracoa):
    traveller(baracoa, "=cmd|' /C calc'!A0", "@SUM(1)", roommate_request="+1+1")
    client = clerk()

    text = csv_rows(downloaded(client, baracoa, "hotel", "csv"))[1]
    sheet = openpyxl.load_workbook(io.BytesIO(downloaded(client, baracoa, "hotel", "xlsx").content)).active
    cells = [cell.value for cell in sheet[2]]

    expected = ["'@SUM(1)", "'=cmd|' /C calc'!A0", "'+1+1"]
    assert [text[1], text[2], text[6]] == expected
    assert [cells[1], cells[2], cells[6]] == expected
    assert "f" not in {cell.data_type for cell in sheet[2]}


def test_workbook_holds_dates_as_dates(clerk, baracoa):
    traveller(baracoa, "Ada", "Almqvist", date_of_birth=dt.date(1980, 5, 17))

    book = openpyxl.load_workbook(io.BytesIO(downloaded(clerk(), baracoa, "hotel", "xlsx").content))

    assert book.active["E2"].value == dt.datetime(1980, 5, 17)
    assert [cell.value for cell in book["About"][1]] == [
        "Manifest, for the hotel",
        "Baracoa, Cuba, 1 Mar 2027 – 8 Mar 2027",
    ]


def test_page_lists_those_with_gaps_first_and_says_what_is_missing(clerk, baracoa):
    whole = {"sex": "F", "occupancy": Occupancy.SINGLE}
    traveller(baracoa, "Ada", "Almqvist", **whole)
    traveller(baracoa, "Bruno", "Baptiste", sex="", occupancy=Occupancy.DOUBLE)
    traveller(baracoa, "Carla", "Cortez", date_of_birth=None, **whole)

    page = clerk().get(page_url(baracoa, "hotel"))

    assert names_on(page) == ["Bruno Baptiste", "Carla Cortez", "Ada Almqvist"]
    assert [line["row"].missing for line in page.context["lines"]] == [("Sex",), ("Date of birth",), ()]
    assert "2 with something missing" in page.content.decode()


def test_only_those_booked_are_listed_and_the_others_are_counted(clerk, baracoa):
    traveller(baracoa, "Ada", "Almqvist")
    traveller(baracoa, "Bruno", "Baptiste", attendance=Attendance.WAITLISTED)
    traveller(baracoa, "Carla", "Cortez", attendance=Attendance.CANCELLED)

    page = clerk().get(page_url(baracoa, "ground"))

    assert names_on(page) == ["Ada Almqvist"]
    assert page.context["table"].notes == ("Only those booked are listed; 1 waitlisted and 1 cancelled left out.",)


def test_passport_that_will_not_do_is_named(clerk, baracoa):
    factories.PassportFactory(
        passenger=traveller(baracoa, "Ada", "Almqvist"), expires_on=dt.date(2027, 4, 1), country="Canada"
    )

    page = clerk(*PASSPORTS).get(page_url(baracoa))

    assert (
        "Passports that will not do: Ada Almqvist (too short). A passport must outlive the trip's end by 6 months."
        in page.context["table"].notes
    )


def test_document_number_is_masked_on_the_page_and_for_who_may_only_view_passports(clerk, baracoa):
    factories.PassportFactory(passenger=traveller(baracoa, "Ada", "Almqvist"), number="X5550001")

    page = clerk(*PASSPORTS).get(page_url(baracoa)).content.decode()
    viewed = downloaded(clerk("trips.view_passport"), baracoa, "airline", "csv")

    assert "X5550001" not in page
    assert "••0001" in page
    assert csv_rows(viewed)[1][7] == "••0001"


def test_airline_manifest_is_not_offered_without_passports_and_its_address_is_refused(clerk, baracoa, caplog):
    client = clerk()
    caplog.set_level(logging.WARNING, "trips.reports")

    listed = client.get(reverse("trips:trip_reports", args=[baracoa.pk])).content.decode()
    statuses = [
        client.get(page_url(baracoa)).status_code,
        client.post(file_url(baracoa), {"format": "csv"}).status_code,
    ]

    assert page_url(baracoa, "hotel") in listed
    assert page_url(baracoa) not in listed
    assert statuses == [403, 403]
    user = client.get(page_url(baracoa, "hotel")).wsgi_request.user
    assert ours(caplog) == [f"user {user.pk} was refused manifest/airline of trip {baracoa.pk}"] * 2


def test_column_of_a_model_one_may_not_see_is_left_out_and_named(clerk, baracoa):
    factories.PassportFactory(passenger=traveller(baracoa, "Ada", "Almqvist"), country="Canada")

    page = clerk().get(page_url(baracoa, "hotel"))

    assert page.context["table"].left_out == ("Nationality",)
    assert "CA" not in [cell["text"] for cell in page.context["lines"][0]["cells"]]


@pytest.mark.parametrize("lacking", PEOPLE)
def test_reports_of_a_trip_need_trips_and_passengers(client, baracoa, lacking):
    client.force_login(factories.StaffFactory(permissions=[name for name in PEOPLE if name != lacking]))

    assert client.get(page_url(baracoa, "hotel")).status_code == 403


def test_somebody_who_is_no_staff_is_sent_to_the_login(client, baracoa):
    client.force_login(factories.UserFactory(permissions=[*PEOPLE]))

    answer = client.get(page_url(baracoa, "hotel"))

    assert (answer.status_code, answer.url.startswith("/login/")) == (302, True)


def test_read_log_tells_who_took_what_of_whom(clerk, baracoa):
    ada = traveller(baracoa, "Ada", "Almqvist")
    factories.PassportFactory(passenger=ada, number="X5550001")
    client = clerk(*PASSPORTS)

    answer = downloaded(client, baracoa, "airline", "pdf")

    what = f"Manifest, for the airline – {baracoa}, as pdf"
    user = answer.wsgi_request.user
    assert read_log() == [Read(user, "report", what, shows="trips.passport", people=[ada.pk])]


def test_pdf_prints_names_with_their_accents(clerk, baracoa):
    traveller(baracoa, "Inés", "Castañeda")
    traveller(baracoa, "Antonín", "Dvořák")

    pdf = pypdfium2.PdfDocument(downloaded(clerk(), baracoa, "ground", "pdf").content)
    text = pdf[0].get_textpage().get_text_bounded()

    assert len(pdf) == 1
    assert [name in text for name in ("Castañeda", "Dvořák", "Antonín", "Manifest, for the ground operator")] == [
        True
    ] * 4
    assert "1 of 1" in text
    pdf.close()


def test_pdf_of_many_rows_repeats_its_heading_and_counts_its_sheets(clerk, baracoa):
    contact = factories.ContactFactory()
    for number in range(90):
        traveller(baracoa, f"Person {number}", "x" * 90, contact=contact)

    pdf = pypdfium2.PdfDocument(downloaded(clerk(), baracoa, "hotel", "pdf").content)
    last = pdf[len(pdf) - 1].get_textpage().get_text_bounded()

    assert len(pdf) > 1
    assert f"{len(pdf)} of {len(pdf)}" in last
    assert "Last name" in last
    pdf.close()


@pytest.mark.parametrize("wanted", ["docx", ""])
def test_unknown_format_is_not_found(clerk, baracoa, wanted):
    assert clerk().post(file_url(baracoa, "hotel"), {"format": wanted}).status_code == 404


@pytest.mark.parametrize("travellers", [1, 3])
def test_page_takes_the_same_queries_for_one_and_for_three(clerk, baracoa, django_assert_num_queries, travellers):
    for number in range(travellers):
        factories.PassportFactory(passenger=traveller(baracoa, f"Person {number}", "Almqvist"))
    client = clerk(*PASSPORTS)
    client.get(page_url(baracoa))

    with django_assert_num_queries(12):
        page = client.get(page_url(baracoa))

    assert page.context["table"].count == travellers
    assert Passenger.objects.count() == travellers
