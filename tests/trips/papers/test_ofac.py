"""OFAC packs: what is in the ZIP, what it says is missing, and who may have it."""

from __future__ import annotations

import datetime as dt
import hashlib
import io
import logging
import zipfile
from decimal import Decimal

import pypdfium2
import pytest
from django.urls import reverse

from tests import factories
from tests.trips.papers.conftest import pdf
from trips.models import Document, Licence
from trips.services import documents

pytestmark = pytest.mark.django_db
NAME = "Support for the Cuban people (515.574)"


def file_of(passenger):
    return reverse("admin:trips_passenger_ofac_file", args=[passenger.pk])


def page_of(owner):
    return reverse(f"admin:trips_{owner._meta.model_name}_ofac", args=[owner.pk])


def unpacked(answer):
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def words(content):
    with pypdfium2.PdfDocument(content) as document:
        return " ".join(document[0].get_textpage().get_text_range().split())


@pytest.fixture
def traveller(sheet):
    """Somebody with everything that a pack asks for."""
    Licence.objects.create(name=NAME, citation="31 CFR 515.574", needs_schedule=True)
    trip = factories.TripFactory(name="Havana", lodging="Casa Sample", lodging_checked_on=dt.date(2026, 11, 2))
    passenger = factories.PassengerFactory(
        trip=trip, licence=NAME, legal_first_name="Carla", legal_last_name="Dvořák", number=1
    )
    factories.PaymentFactory(passenger=passenger, amount=Decimal("500.00"), reference="R-1")
    factories.PaymentFactory(passenger=passenger, amount=Decimal("50.00"), kind="refund", reference="R-2")
    signed = documents.upload(owner=passenger, files=[sheet("signed.pdf", pdf("Signed"))], kind="affidavit", by=None)
    documents.approve(document=signed.kept[0], by=None)
    documents.upload(owner=trip, files=[sheet("Itinerary day by day.pdf")], kind="other", by=None)
    for number in range(8):
        trip.itinerary.create(day=trip.start_date + dt.timedelta(days=number), title=f"Museum {number}")
    return passenger


def test_a_whole_pack_holds_five_parts_and_hashes_that_check(admin_client, traveller, caplog):
    caplog.set_level(logging.INFO, logger="trips.ofac")

    answer = admin_client.get(file_of(traveller))
    files = unpacked(answer)

    assert sorted(files) == [
        "1-licence.pdf",
        "2-affidavit-1.pdf",
        "3-schedule-file-1.pdf",
        "3-schedule.pdf",
        "4-lodging.pdf",
        "5-payments.csv",
        "5-payments.pdf",
        "SHA256SUMS",
        "manifest.txt",
    ]
    told = dict(reversed(line.split("  ")) for line in files["SHA256SUMS"].decode().splitlines())
    assert told == {
        name: hashlib.sha256(content).hexdigest() for name, content in files.items() if name != "SHA256SUMS"
    }
    affidavit = Document.objects.get(kind="affidavit")
    assert told["2-affidavit-1.pdf"] == affidavit.sha256
    manifest = files["manifest.txt"].decode()
    assert "Nothing is missing." in manifest
    assert "Keep until: 8 Mar 2037" in manifest
    licence = words(files["1-licence.pdf"])
    assert "31 CFR 515.574" in licence
    assert "Carla Dvořák" in licence
    assert "Paid: 450.00 USD" in words(files["5-payments.pdf"])
    assert "Museum 7" in words(files["3-schedule.pdf"])
    assert "Casa Sample" in words(files["4-lodging.pdf"])
    line = caplog.messages[-1]
    assert hashlib.sha256(answer.content).hexdigest() in line
    assert "Dvořák" not in line


def test_what_is_missing_is_listed_on_the_page_and_in_the_pack(admin_client):
    trip = factories.TripFactory(lodging="", passengers=1, passengers__licence=NAME)
    passenger = trip.passengers.get()
    factories.DocumentFactory(passenger=passenger, kind="affidavit", state="received")
    expected = [
        f"“{NAME}” is not in the list of licences; add it with its days.",
        "An affidavit waits for a review.",
        "No schedule is here; plan the itinerary, or add a file named “schedule” to the documents of the trip.",
        "The trip names no lodging.",
        "Nobody has noted when the lodging was looked up in the list of prohibited accommodations.",
        "No payment is recorded.",
    ]

    unsigned = factories.PassengerFactory(trip=trip, number=2)
    factories.DocumentFactory(passenger=unsigned, kind="affidavit", state="approved", paper_version=1)

    page = admin_client.get(page_of(trip))
    files = unpacked(admin_client.get(file_of(passenger)))

    assert page.context["packs"][0].missing == expected
    assert "The affidavit that was made here has not come back signed." in page.context["packs"][1].missing
    assert "Download, 6 missing" in page.content.decode()
    assert "MISSING:\n" + "".join(f"- {sentence}\n" for sentence in expected) in files["manifest.txt"].decode()


def test_a_file_that_is_not_what_was_stored_is_left_out_and_named(admin_client, traveller, private_folder):
    affidavit = Document.objects.get(kind="affidavit")
    (private_folder / affidavit.file.name).write_bytes(b"%PDF-1.4 another one")

    files = unpacked(admin_client.get(file_of(traveller)))

    assert "2-affidavit-1.pdf" not in files
    assert "signed.pdf” is not the file that was stored: its SHA-256 differs." in files["manifest.txt"].decode()


def test_a_full_time_schedule_leaves_no_day_empty(admin_client, traveller):
    traveller.trip.itinerary.filter(title__in=["Museum 2", "Museum 5"]).delete()

    page = admin_client.get(page_of(traveller))

    told = "The licence needs a full-time schedule; nothing is planned on 3 Mar 2027, 6 Mar 2027."
    assert page.context["packs"][0].missing == [told]


@pytest.mark.parametrize("people", [1, 3])
def test_the_trip_s_page_costs_the_same_for_one_and_for_three(admin_client, django_assert_num_queries, people):
    trip = factories.TripFactory(passengers=people)
    admin_client.get(page_of(trip))

    with django_assert_num_queries(9):
        page = admin_client.get(page_of(trip))

    assert len(page.context["packs"]) == people


@pytest.mark.parametrize("lacking", ["passenger", "trip", "itineraryitem", "document", "payment", "licence"])
def test_who_may_not_see_all_of_it_is_not_offered_a_pack(client, traveller, lacking):
    names = {"passenger", "trip", "itineraryitem", "document", "payment", "licence"} - {lacking}
    client.force_login(factories.StaffFactory(permissions=[f"trips.view_{name}" for name in names]))

    for address in (page_of(traveller), page_of(traveller.trip), file_of(traveller)):
        assert client.get(address).status_code == 403
    filing = client.get(reverse("admin:trips_passenger_filing", args=[traveller.pk]))
    assert "OFAC" not in filing.content.decode()


def test_a_passenger_without_a_trip_has_no_pack(admin_client):
    passenger = factories.PassengerFactory(trip=None)

    assert admin_client.get(page_of(passenger)).status_code == 404
    assert admin_client.get(file_of(passenger)).status_code == 404
