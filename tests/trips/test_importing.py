"""The import pages: from a file or pasted cells over columns and preview to the batch, and who may do what."""

from __future__ import annotations

import datetime as dt
import io

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django_q.models import Schedule
from openpyxl import Workbook

from tests import factories
from tests.pages import Read, read_log
from trips.models import Batch, ColumnMapping, Contact, ImportDraft, Passenger, Passport
from trips.services import imports

pytestmark = pytest.mark.django_db
UPLOAD = "/trips/passenger/import/"
MAY = [f"trips.{verb}_{model}" for verb in ("view", "add", "change") for model in ("passenger", "contact")]
PEOPLE = "Given\tFamily\tE-mail\nAda\tAlmqvist\tada@example.com\nBen\tBaptiste\tben@example.com\n"


@pytest.fixture
def clerk(client):
    client.force_login(factories.StaffFactory(username="clerk", permissions=MAY))
    return client


@pytest.fixture
def trip():
    return factories.TripFactory(name="Baracoa")


def given(client, text=PEOPLE, trip=None, **posted):
    """Upload and follow to the next page."""
    where = f"{UPLOAD}?trip={trip.pk}" if trip else UPLOAD
    return client.post(where, posted or {"text": text}, follow=True)


def mapped(client, page, *labels):
    here = page.request["PATH_INFO"]
    return client.post(here, {f"column-{index}": label for index, label in enumerate(labels)}, follow=True)


NAMES = ("Legal first name", "Legal last name", "E-mail")


def test_pasted_people_come_onto_the_trip_and_go_again(clerk, trip):
    known = factories.ContactFactory(first_name="Ada", last_name="Almqvist", email="ada@example.com")
    columns = given(clerk, trip=trip)
    assert [(heading.name, heading.meant) for heading in columns.context["headings"]] == [
        ("Given", ""),
        ("Family", ""),
        ("E-mail", "E-mail"),
    ]

    preview = mapped(clerk, columns, *NAMES)
    assert (preview.context["counts"], preview.context["people"]) == ([("New", 2)], "1 known, 1 new")
    assert (Passenger.objects.count(), Contact.objects.count()) == (0, 1)

    result = clerk.post(preview.request["PATH_INFO"], follow=True)
    assert "2 rows were taken." in result.content.decode()
    assert sorted(trip.passengers.values_list("number", "legal_last_name")) == [(1, "Almqvist"), (2, "Baptiste")]
    assert trip.passengers.get(number=1).contact == known
    batch = Batch.objects.get()
    assert (batch.title, batch.made) == ("Import of passengers for Baracoa: pasted cells", 3)
    assert f"/trips/batch/{batch.pk}/change/" in result.content.decode()

    clerk.post(f"/trips/batch/{batch.pk}/undo/")
    assert (Passenger.objects.count(), list(Contact.objects.all())) == (0, [known])


def test_columns_are_remembered_for_the_next_file_with_these_headers(clerk, trip):
    mapped(clerk, given(clerk, trip=trip), *NAMES)

    again = given(clerk, text=PEOPLE.replace("Ben", "Bo"), trip=trip)

    assert (again.request["PATH_INFO"].endswith("/columns/"), again.context["counts"]) == (False, [("New", 2)])
    assert ColumnMapping.objects.get().mapping == dict(zip(("Given", "Family", "E-mail"), NAMES, strict=True))
    assert given(clerk, text=PEOPLE.replace("Family", "Surname")).request["PATH_INFO"].endswith("/columns/")


def test_two_columns_of_one_meaning_are_refused(clerk):
    page = mapped(clerk, given(clerk), "E-mail", "", "E-mail")
    assert page.context["errors"] == ["Two columns of the file are to be “E-mail”. Leave one of them out."]

    page = mapped(clerk, page, "", "", "")
    assert page.context["errors"] == ["Say at least of one column what it is."]


def test_bad_rows_are_shown_and_can_be_downloaded_with_reasons(clerk, trip):
    lines = ("Ada,Almqvist,ada@example.com,01/02/80", "=cmd(),Baptiste,b@example.com,", ",,x@,")
    text = "\n".join(("First name,Last name,E-mail,DOB", *lines))
    preview = mapped(clerk, given(clerk, text=text, trip=trip), *NAMES, "Date of birth")
    shown = preview.content.decode()
    assert "Date of birth: &#x27;01/02/80&#x27; has a year of two digits. Write all four." in shown
    assert preview.context["counts"] == [("Not taken", 2), ("New", 1)]

    result = clerk.post(preview.request["PATH_INFO"], follow=True)
    answer = clerk.get(result.context["refused_url"])

    assert answer["Content-Disposition"] == 'attachment; filename="not-taken-passenger.csv"'
    assert answer.content.decode("utf-8-sig").splitlines() == [
        "First name,Last name,E-mail,DOB,Reason",
        "Ada,Almqvist,ada@example.com,01/02/80,Date of birth: '01/02/80' has a year of two digits. Write all four.",
        ",,x@,,E-mail: 'x@' is not an e-mail address.",
    ]
    assert Passenger.objects.get().legal_first_name == "=cmd()"


def test_twin_is_asked_about(clerk, trip):
    factories.ContactFactory(first_name="Ada", last_name="Almqvist", email="other@example.com")
    preview = mapped(clerk, given(clerk, trip=trip), *NAMES)
    assert preview.context["counts"] == [("Suspected twins", 1), ("New", 1)]
    assert preview.context["people"] == "0 known, 1 new, 1 suspected twin"
    assert 'name="twin" value="1"' in preview.content.decode()

    clerk.post(preview.request["PATH_INFO"], {"twin": ["1"]})

    assert sorted(trip.passengers.values_list("legal_first_name", flat=True)) == ["Ada", "Ben"]


def test_rows_for_which_there_is_no_time_are_handed_back(clerk, trip, monkeypatch):
    monkeypatch.setattr("trips.admin.importing.SAVE_SECONDS", 0)
    preview = mapped(clerk, given(clerk, trip=trip), *NAMES)

    result = clerk.post(preview.request["PATH_INFO"], follow=True)

    assert (trip.passengers.count(), Batch.objects.count()) == (0, 0)
    refused = clerk.get(result.context["refused_url"]).content.decode("utf-8-sig").splitlines()
    assert refused[1:] == [
        f"{name},There was no time left for this row. Give it again."
        for name in ("Ada,Almqvist,ada@example.com", "Ben,Baptiste,ben@example.com")
    ]


def test_preview_that_shows_what_is_there_stands_in_the_read_log(admin_client, admin_user, trip):
    passport = factories.PassportFactory(number="X5550001", passenger__trip=trip)
    person = passport.passenger
    header = "First name,Last name,E-mail,Passport number"
    lines = [
        f"{person.legal_first_name},{person.legal_last_name},{person.contact.email},X5550002",
        "New,One,n@example.com,X1",
    ]

    page = given(admin_client, text="\n".join((header, *lines)), trip=trip)
    preview = mapped(admin_client, page, *NAMES, "Passport number") if "headings" in page.context else page

    assert preview.context["counts"] == [("Changed", 1), ("New", 1)]
    what = "pasted cells"
    assert read_log() == [Read(admin_user, "import", what, shows="trips.passport", people=[person.pk])]


def test_second_confirmation_does_nothing(clerk, trip):
    preview = mapped(clerk, given(clerk, trip=trip), *NAMES)
    for _press in range(2):
        clerk.post(preview.request["PATH_INFO"])

    assert (Batch.objects.count(), trip.passengers.count()) == (1, 2)


def workbook():
    book = Workbook()
    sheet = book.active
    sheet.append(["First name", "Last name", "E-mail", "Date of birth", "Number"])
    sheet.append(["Ada", "Almqvist", "ada@example.com", dt.datetime(1980, 5, 17), 4.0])
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("people.xlsx", workbook()),
        (
            "bom.csv",
            "First name,Last name,E-mail,Date of birth,Number\nAda,Almqvist,ada@example.com,1980-05-17,4".encode(
                "utf-8-sig"
            ),
        ),
        (
            "semicolon.csv",
            b"First name;Last name;E-mail;Date of birth;Number\r\nAda;Almqvist;ada@example.com;17 May 1980;4\r\n",
        ),
        (
            "tabs.txt",
            "First name\tLast name\tE-mail\tDate of birth\tNumber\nAda\tAlmqvist\tada@example.com\t17.5.1980\t4".encode(
                "utf-16"
            ),
        ),
    ],
)
def test_files_of_offices_are_read(clerk, trip, name, data):
    preview = mapped(
        clerk, given(clerk, trip=trip, file=SimpleUploadedFile(name, data)), *NAMES, "Date of birth", "Number"
    )
    clerk.post(preview.request["PATH_INFO"])

    passenger = trip.passengers.get()
    assert (passenger.legal_last_name, passenger.date_of_birth, passenger.number) == (
        "Almqvist",
        dt.date(1980, 5, 17),
        4,
    )


def test_windows_file_keeps_its_accents(clerk, trip):
    data = "First name;Last name;E-mail\nInés;Castañeda – Núñez;ines@example.com\n".encode("cp1252")
    preview = mapped(clerk, given(clerk, trip=trip, file=SimpleUploadedFile("old.csv", data)), *NAMES)
    clerk.post(preview.request["PATH_INFO"])

    assert str(trip.passengers.get()) == "Inés Castañeda – Núñez"


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("old.xls", b"\xd0\xcf\x11\xe0" + b"x" * 100, "is in the old Excel format or has a password."),
        ("photo.xlsx", b"PK\x03\x04garbage", "is no workbook that can be read (BadZipFile)."),
        ("photo.csv", b"\x89PNG\x00\x81\x8d", "is no CSV or XLSX file."),
        ("nul.csv", b"a,b\n\x00,2\n", "This is no table of texts."),
        ("head.csv", b"First name,Last name\n", "There are no rows below the headers."),
        ("long.csv", b"Last name\n" + b"x\n" * 501, "More than 500 rows. Split the file"),
        ("large.csv", b"x" * (5 * 1024 * 1024 + 1), "is larger than 5 MB. Split it."),
    ],
)
def test_file_that_cannot_be_read_says_why(clerk, name, data, said):
    page = given(clerk, file=SimpleUploadedFile(name, data))

    assert (page.status_code, ImportDraft.objects.count()) == (200, 0)
    assert said in " ".join(text for texts in page.context["form"].errors.values() for text in texts)


def test_neither_file_nor_text_says_what_to_do(clerk):
    page = given(clerk, text="  \n")

    assert page.context["form"].non_field_errors() == ["Choose a file, or paste cells from a spreadsheet."]


def test_upload_is_unreadable_in_the_database_and_goes_after_a_day(clerk, time_machine):
    time_machine.move_to(dt.datetime(2026, 11, 1, 12, tzinfo=dt.UTC), tick=False)
    given(clerk)
    with connection.cursor() as cursor:
        cursor.execute("select * from trips_importdraft")
        assert "Almqvist" not in str(cursor.fetchall())

    time_machine.move_to(dt.datetime(2026, 11, 2, 13, tzinfo=dt.UTC))

    due = Schedule.objects.get(func="trips.services.imports.forget_old").next_run
    assert due == dt.datetime(2026, 11, 2, 12, 1, tzinfo=dt.UTC)
    assert imports.forget_old() == 1
    assert not ImportDraft.objects.exists()


def test_confirmed_upload_keeps_only_what_was_refused(clerk, trip):
    preview = mapped(clerk, given(clerk, text=PEOPLE + "\t\tx@\n", trip=trip), *NAMES)
    clerk.post(preview.request["PATH_INFO"])

    draft = ImportDraft.objects.get()

    assert ("Almqvist" in draft.content, "x@" in draft.content) == (False, True)


def test_uploads_belong_to_who_gave_them(clerk, client, trip):
    page = given(clerk, trip=trip)
    here = page.request["PATH_INFO"]
    client.force_login(factories.StaffFactory(permissions=MAY))

    answers = [client.get(here), client.post(here), client.get(here.replace("columns/", "refused.csv"))]

    assert [answer.status_code for answer in answers] == [404, 404, 404]


@pytest.mark.parametrize("lacking", ["view", "add", "change"])
def test_import_needs_view_add_and_change(client, lacking, trip):
    rest = [name for name in MAY if name != f"trips.{lacking}_passenger"]
    client.force_login(factories.StaffFactory(permissions=rest))

    assert client.get(UPLOAD).status_code == 403
    listed = client.get("/trips/passenger/").content.decode() if lacking != "view" else ""
    assert "to-import" not in listed


def test_sensitive_column_is_not_offered_and_not_taken_from_who_may_not(clerk, trip):
    text = "First name,Last name,E-mail,Passport number\nAda,Almqvist,ada@example.com,X5550001\n"
    columns = given(clerk, text=text, trip=trip)
    assert "Passport number" not in [column.label for column in columns.context["columns"]]

    preview = mapped(clerk, columns, *NAMES, "Passport number")
    clerk.post(preview.request["PATH_INFO"])

    assert (Passenger.objects.count(), Passport.objects.count()) == (1, 0)


def test_trip_and_list_lead_to_the_import(admin_client, trip):
    def shown(url):
        return admin_client.get(url).content.decode()

    button = f"/trips/trip/{trip.pk}/import_passengers/"
    assert button in shown(f"/trips/trip/{trip.pk}/change/")
    there = admin_client.get(button, follow=True)
    assert (there.request["PATH_INFO"], there.context["trip"]) == (UPLOAD, trip)

    button = f"/trips/passenger/to-import/?trip__id__exact={trip.pk}"
    assert button in shown(f"/trips/passenger/?trip__id__exact={trip.pk}")
    assert admin_client.get(button, follow=True).context["trip"] == trip


@pytest.mark.parametrize("model", ["trip", "contact", "vendor", "payment"])
def test_every_model_has_its_import(admin_client, model):
    page = admin_client.get(f"/trips/{model}/import/")

    assert page.status_code == 200
    assert f"/trips/{model}/to-import" in admin_client.get(f"/trips/{model}/").content.decode()
