from __future__ import annotations

import io
import logging
import zipfile

import pytest
import pyzipper
from django.urls import reverse

from tests import factories
from tests.pages import Read, read_log
from tests.trips.reports.conftest import traveller
from trips.models import ItineraryItem, SentReport

pytestmark = pytest.mark.django_db
CHOSEN = "open-sesame-123"
EVERYTHING = (
    "trips.view_passport",
    "trips.change_passport",
    "trips.view_emergencycontact",
    "trips.view_healthrecord",
    "trips.view_contact",
)
PLAIN = ["manifest-hotel", "manifest-ground", "arrivals-standard", "rooming-standard"]
WHOLE = ["manifest-airline", *PLAIN, "emergency-standard", "medical-standard", "dietary-standard"]


def pack_url(trip):
    return reverse("trips:departure_pack", args=[trip.pk])


def files_in(answer, password=CHOSEN):
    with pyzipper.AESZipFile(io.BytesIO(answer.content)) as archive:
        archive.setpassword(password.encode())
        return {name: archive.read(name) for name in archive.namelist()}


def both(stems):
    return [f"{stem}.{wanted}" for stem in stems for wanted in ("pdf", "csv")]


@pytest.mark.parametrize(("names", "stems"), [((), PLAIN), (EVERYTHING, WHOLE)])
def test_pack_holds_what_its_maker_may_see_as_pdf_and_csv(clerk, baracoa, names, stems):
    traveller(baracoa, "Ada", "Almqvist")

    answer = clerk(*names).post(pack_url(baracoa), {"password": CHOSEN})

    files = files_in(answer)
    assert list(files) == both(stems)
    assert [content[:4] == b"%PDF" for name, content in files.items() if name.endswith(".pdf")] == [True] * len(stems)
    assert b"Almqvist" in files["rooming-standard.csv"]


def test_pack_does_not_open_without_its_password(clerk, baracoa):
    traveller(baracoa, "Ada", "Almqvist")

    answer = clerk().post(pack_url(baracoa), {"password": CHOSEN})

    with pytest.raises(RuntimeError, match="Bad password"):
        files_in(answer, "something-else-9")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert {entry.flag_bits & 1 for entry in archive.infolist()} == {1}
        assert {entry.compress_type for entry in archive.infolist()} == {99}  # AES, not the old cipher of ZIP
    assert b"Almqvist" not in answer.content


def test_page_offers_another_strong_password_each_time_and_says_what_is_left_out(clerk, baracoa):
    traveller(baracoa, "Ada", "Almqvist")
    client = clerk()

    pages = [client.get(pack_url(baracoa)) for _ in range(2)]

    passwords = {page.context["form"]["password"].value() for page in pages}
    assert len(passwords) == 2
    assert {len(password) for password in passwords} == {23}
    assert pages[0].context["withheld"] == [
        "Manifest, for the airline",
        "Itinerary",
        "Emergency sheet",
        "Medical sheet",
        "Dietary sheet",
    ]


@pytest.mark.parametrize(
    ("password", "sentence"),
    [
        ("short", "Ensure this value has at least 12 characters (it has 5)."),
        ("contraseña-mía-1", "Use letters A to Z, digits and signs, without blanks."),
        ("", "This field is required."),
    ],
)
def test_weak_or_unreadable_password_makes_no_pack(clerk, baracoa, password, sentence):
    traveller(baracoa, "Ada", "Almqvist")

    page = clerk().post(pack_url(baracoa), {"password": password})

    assert page["Content-Type"].startswith("text/html")
    assert sentence in page.content.decode()


def test_pack_of_an_empty_trip_is_not_made(clerk, baracoa):
    page = clerk().post(pack_url(baracoa), {"password": CHOSEN})

    assert "Nobody is booked on this trip" in page.content.decode()


def test_pack_can_be_kept_as_sent(clerk, baracoa):
    traveller(baracoa, "Ada", "Almqvist")

    clerk().post(pack_url(baracoa), {"password": CHOSEN, "sent": "on"})

    kept = SentReport.objects.order_by("pk").values_list("report", "preset", "format")
    assert ["-".join(copy[:2]) for copy in kept] == PLAIN
    assert {copy[2] for copy in kept} == {"pdf"}


def test_read_log_tells_what_the_pack_held_and_no_log_its_password(clerk, baracoa, caplog):
    ada = traveller(baracoa, "Ada", "Almqvist")
    client = clerk()
    caplog.set_level(logging.INFO)

    user = client.post(pack_url(baracoa), {"password": CHOSEN}).wsgi_request.user

    manifests = ("Manifest, for the hotel", "Manifest, for the ground operator")
    titles = (*manifests, "Arrivals", "Rooming list, without passports")
    assert read_log() == [
        Read(user, "report", f"{title} – {baracoa}, in the departure pack", people=[ada.pk]) for title in titles
    ]
    assert CHOSEN not in caplog.text
    assert CHOSEN not in "".join(entry.what for entry in read_log())


@pytest.mark.parametrize("method", ["get", "post"])
def test_pack_is_refused_to_whoever_may_not_see_passengers(client, baracoa, method):
    client.force_login(factories.StaffFactory(permissions=["trips.view_trip"]))

    assert getattr(client, method)(pack_url(baracoa)).status_code == 403


def test_itinerary_is_in_the_pack_when_something_is_planned(admin_client):
    trip = factories.TripFactory(passengers=1)
    url = reverse("trips:departure_pack", args=[trip.pk])

    before = admin_client.get(url).context["inside"]
    ItineraryItem.objects.create(trip=trip, day=trip.start_date, title="Walk")

    assert ["Itinerary" in inside for inside in (before, admin_client.get(url).context["inside"])] == [False, True]
