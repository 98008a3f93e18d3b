"""A copy of all that is kept of a person: what is in it, who may take it, what is noted of it."""

from __future__ import annotations

import io
import json

import pypdfium2
import pytest
import time_machine
from django.urls import reverse
from pyzipper import AESZipFile

from tests import factories
from tests.pages import Read, read_log
from tests.trips.papers.conftest import private_folder  # noqa: F401 - the fixture
from tests.trips.test_erasing import TODAY, a_person
from trips.reports import person
from trips.services import elsewhere

pytestmark = pytest.mark.django_db
PASSWORD = "abcde-fghjk-mnpqr"


@pytest.fixture(autouse=True)
def _today(private_folder):  # noqa: F811 - the fixture
    with time_machine.travel(TODAY, tick=False):
        yield


@pytest.fixture
def theirs():
    return a_person(factories.StaffFactory(is_superuser=True, first_name="Clara", last_name="Clerk"))


def text_of(content):
    document = pypdfium2.PdfDocument(content)
    return "".join(page.get_textpage().get_text_bounded() for page in document)


def page_of(contact):
    return reverse("admin:trips_contact_person", args=[contact.pk])


def asked(one, **changed):
    return {"chosen": 1, "contact": 1, "booking": one.pk, "password": PASSWORD, "reason": "asked", **changed}


def opened(answer):
    with AESZipFile(io.BytesIO(answer.content)) as archive:
        archive.setpassword(PASSWORD.encode())
        return {name: archive.read(name) for name in archive.namelist()}


def test_zip_holds_everything_for_machines_and_for_people(admin_client, admin_user, theirs):
    contact, one = theirs
    factories.PaymentFactory(passenger=one, reference="REF-7")

    answer = admin_client.post(page_of(contact), asked(one))

    files = opened(answer)
    scan = one.documents.get()
    assert [*files] == ["person.json", "person.pdf", f"files/{scan.pk}"]
    data = json.loads(files["person.json"])
    booking = data["bookings"][0]
    assert (data["format"], data["contacts"][0]["email"], data["files_missing"]) == (
        "tripbuilder-person-1", "zdenka.q@example.com", []
    )  # fmt: skip
    assert [
        booking["passenger"]["legal_last_name"],
        booking["passports"][0]["number"],
        booking["health records"][0]["allergies"],
        booking["emergency contacts"][0]["first_name"],
        booking["payments"][0]["reference"],
        booking["notes"][0]["text"],
        booking["flights"][0]["booking_code"],
        booking["reminders"][0]["body"],
        booking["traveller forms"][0]["signed_name"],
        booking["places in rooms"][0]["room"],
        booking["documents"][0]["file"],
        data["lists_sent"][0]["list"],
    ] == [
        "Quillfeather", "ZQ7770123", "peanutbane", "Ottoline", "REF-7", "Zdenka wants a window seat zq", "QF-ZQ-1",
        "Dear Zdenka", "Zdenka Quillfeather", "Room 1", f"files/{scan.pk}", "Manifest",
    ]  # fmt: skip
    assert {entry["part"] for entry in data["history"]} >= {"passenger", "passport", "contact", "note"}
    assert data["elsewhere"] == {"GoHighLevel": []}
    assert files[f"files/{scan.pk}"] == b"%PDF zq"
    sheet = text_of(files["person.pdf"])
    assert [word in sheet for word in ("ZQ7770123", "peanutbane", "Clara", "0" * 64)] == [True, True, False, False]
    shows = "trips.passport trips.healthrecord"
    assert read_log() == [Read(admin_user, "person", f"contact {contact.pk}", shows, "asked", [one.pk])]
    assert "no-store" in answer["Cache-Control"]


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"reason": "curiosity"}, "Say what the copy is for."),
        ({"contact": [], "booking": []}, "Tick what is this person’s."),
        ({"password": "short"}, "at least 12"),
    ],
)
def test_nothing_is_handed_out_or_noted_without_whose_it_is_and_what_for(admin_client, theirs, changed, told):
    contact, one = theirs

    answer = admin_client.post(page_of(contact), asked(one, **changed))

    assert (answer["Content-Type"].partition(";")[0], told in answer.content.decode(), read_log()) == (
        "text/html", True, []
    )  # fmt: skip


def test_contact_that_booked_for_others_gives_out_only_what_is_ticked(admin_client, theirs):
    contact, one = theirs
    child = factories.PassengerFactory(contact=contact, legal_first_name="Milo", legal_last_name="Quillfeather")

    page = admin_client.get(page_of(contact))
    data = json.loads(opened(admin_client.post(page_of(contact), asked(child, contact=[])))["person.json"])

    assert page.context["bookings"] == [(child, False), (one, True)]
    assert (data["contacts"], [one["passenger"]["legal_first_name"] for one in data["bookings"]]) == ([], ["Milo"])


@pytest.mark.parametrize("missing", [person.PERMISSION, *(need.replace(".", ".view_") for need in person.NEEDS)])
def test_it_is_offered_only_to_who_may_see_all_of_it(client, missing):
    contact = factories.ContactFactory()
    names = {person.PERMISSION, *(need.replace(".", ".view_") for need in person.NEEDS)}
    client.force_login(factories.StaffFactory(permissions=[*names - {missing}]))
    few = client.get(page_of(contact)).status_code
    client.force_login(factories.StaffFactory(permissions=[*names]))

    assert (few, client.get(page_of(contact)).status_code) == (403, 200)


def test_file_that_is_not_in_storage_is_named(theirs):
    contact, one = theirs
    one.documents.get().file.storage.delete(one.documents.get().file.name)

    data = person.collect(person.Person(contact, True, (one,)))
    made = person.export(person.Person(contact, True, (one,)), person.Stamp("Ada", TODAY))

    assert (len(data["bookings"]), len(made.files)) == (1, 2)
    assert [sentence.partition(" is not in storage")[0] for sentence in made.missing] == [
        f"Passport scan no. {one.documents.get().pk} “scan-of-zq.pdf”"
    ]


def test_every_app_that_keeps_copies_has_its_part():
    assert [share.name for share in elsewhere.shares()] == ["GoHighLevel"]
