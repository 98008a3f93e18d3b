"""What staff type into the search box, and whom they find."""

from __future__ import annotations

from importlib import import_module
from types import SimpleNamespace

import pytest
from django.apps import apps
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from tests import factories
from trips.models import Passenger, Reminder, TravellerForm

pytestmark = pytest.mark.django_db


@pytest.fixture
def find(admin_client):
    def found(model, text):
        page = admin_client.get(reverse(f"admin:trips_{model}_changelist"), {"q": text})
        return [str(row) for row in page.context["cl"].result_list]

    return found


@pytest.mark.parametrize("text", ["baracoa", "BARA coa", "trinidad", "4711"])
def test_trip_is_found_by_name_destination_and_legacy_id(find, text):
    factories.TripFactory(name="Baracoa", destination="Trinidad", legacy_trip_id=4711)
    factories.TripFactory(name="Other", legacy_trip_id=47)

    assert find("trip", text) == ["Baracoa"]


@pytest.mark.parametrize("text", ["9" * 18, "9" * 19, "٤٧", "²", "%", "47.5"])
def test_trip_search_takes_any_text(find, text):
    factories.TripFactory(name="Baracoa", legacy_trip_id=4711)

    assert find("trip", text) == []


@pytest.mark.parametrize("text", ["'", '"', "\x00", "\\"])
@pytest.mark.parametrize("model", ["trip", "contact", "passenger", "vendor", "payment", "document"])
def test_search_survives_odd_characters(admin_client, model, text):
    assert admin_client.get(reverse(f"admin:trips_{model}_changelist"), {"q": text}).status_code == 200


@pytest.mark.parametrize(
    "text",
    [
        "ada",
        "Ortiz ada",
        "ADA@example.com",
        "acme",
        "+12025550123",
        "(202) 555-0123",
        "202 555 0123",
        "5550123",
        "202.555.0123",
    ],
)
def test_contact_is_found_by_name_email_company_and_any_spelling_of_the_phone(find, text):
    factories.ContactFactory(
        first_name="Ada", last_name="Ortiz", company_name="Acme", email="ada@example.com", phone="+12025550123"
    )
    factories.ContactFactory(first_name="Bruno", last_name="Lind", email="bruno@example.com", phone="+12025550199")

    assert find("contact", text) == ["Ada Ortiz"]


@pytest.mark.parametrize("text", ["ada", "ortiz", "Addie", "ada@example.com", "P-0815", "42"])
def test_passenger_is_found_by_name_email_legacy_id_and_number(find, text):
    factories.PassengerFactory(
        contact__email="ada@example.com",
        legal_first_name="Ada",
        legal_last_name="Ortiz",
        preferred_name="Addie",
        legacy_passenger_id="P-0815",
        number=42,
    )
    # Named in full: an address or a name with a running number may hold the 42 that is looked for.
    factories.PassengerFactory(
        contact__email="bruno@example.com", legal_first_name="Bruno", legal_last_name="Lind", number=4
    )

    assert find("passenger", text) == ["Ada Ortiz"]


@pytest.mark.parametrize("text", ["32768", "9" * 30])
def test_passenger_number_beyond_the_column_finds_nobody(find, text):
    factories.PassengerFactory(number=32767)

    assert find("passenger", text) == []


def test_vendor_is_found_by_name_and_contact(find):
    factories.VendorFactory(name="Acme", contact_name="Ada Ortiz", email="acme@example.com")
    factories.VendorFactory(name="Other")

    assert [find("vendor", text) for text in ("acm", "ortiz", "acme@")] == [["Acme"]] * 3


def test_payment_is_found_by_reference_and_name(admin_client):
    factories.PaymentFactory(reference="R-77", passenger__legal_last_name="Ortiz")
    factories.PaymentFactory(reference="R-78", passenger__legal_last_name="Lind")

    for text in ("R-77", "ortiz"):
        page = admin_client.get(reverse("admin:trips_payment_changelist"), {"q": text})
        assert [row.reference for row in page.context["cl"].result_list] == ["R-77"]


def test_archived_trip_is_found_only_where_it_is_looked_for(admin_client):
    trip = factories.TripFactory(archived_at="2026-06-15T12:00Z")

    counts = [
        admin_client.get(reverse("admin:trips_trip_changelist"), asked).context["cl"].result_count
        for asked in ({}, {"archive": "archived"}, {"archive": "all"}, {"archive": "active"})
    ]

    assert counts == [0, 1, 1, 0], trip


@pytest.mark.parametrize(
    ("look", "names"),
    [
        ("flagged", ["odd"]),
        ("overbooked", ["over"]),
        ("no_organiser", ["odd", "over", "undated"]),
        ("no_dates", ["undated"]),
    ],
)
def test_trips_that_need_a_look(admin_client, look, names):
    organiser = factories.ContactFactory()
    factories.TripFactory(name="fine", organiser=organiser)
    factories.TripFactory(name="odd", capacity=0)
    factories.TripFactory(name="over", capacity=1, passengers=2)
    factories.TripFactory(name="undated", start_date=None, end_date=None)

    page = admin_client.get(reverse("admin:trips_trip_changelist"), {"look": look})

    assert sorted(str(row) for row in page.context["cl"].result_list) == names


@pytest.mark.parametrize("field", ["vendor", "organiser"])
def test_choices_of_a_trip_come_in_order(admin_client, field):
    for name in ("Caribe", "Acme", "Beta"):
        factories.VendorFactory(name=name)
        factories.ContactFactory(first_name="Ada", last_name=name)
    asked = {"app_label": "trips", "model_name": "trip", "field_name": field, "term": "a"}

    found = admin_client.get(reverse("admin:autocomplete"), asked).json()["results"]

    assert [one["text"].split()[-1] for one in found] == ["Acme", "Beta", "Caribe"]


@pytest.mark.parametrize("text", ["Dvorak", "dvořák", "DVOŘÁK jose", "Jose Dvor", "jose\u0301"])
def test_people_are_found_by_parts_in_any_order_without_accents(find, text):
    contact = factories.ContactFactory(first_name="José", last_name="Dvořák")
    factories.PassengerFactory(contact=contact)
    factories.PassengerFactory(contact__first_name="Bruno", contact__last_name="Lind")

    assert (find("contact", text), find("passenger", text)) == (["José Dvořák"], ["José Dvořák"])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("São Tomé – Spring", "spring sao"),
        ("Ærø", "aero"),
        ("Łódź", "lodz"),
        ("Straße", "strasse"),
        ("O\u2019Hare", "o'hare"),
    ],
)
def test_trip_is_found_without_its_accents(find, name, text):
    factories.TripFactory(name=name)
    factories.TripFactory(name="Other")

    assert find("trip", text) == [name]


def test_key_follows_a_save_of_some_columns_and_stays_out_of_history():
    contact = factories.ContactFactory(first_name="Ada", last_name="Ortiz", email="")
    contact.last_name = "Núñez"
    contact.save(update_fields=["last_name"])

    contact.refresh_from_db()
    assert contact.search_key == "ada nunez"
    assert not any(hasattr(row, "search_key") for row in contact.history.all())


@pytest.mark.parametrize("model", ["trip", "passenger", "contact"])
def test_a_number_longer_than_any_is_searched_and_finds_nothing(find, model):
    factories.PassengerFactory()

    assert find(model, "9" * 5000) == []


@pytest.mark.parametrize("text", ["ines NÚÑEZ", "nunez", "Núñez Inés"])
@pytest.mark.parametrize("model", ["travellerform", "reminder"])
def test_what_hangs_on_a_traveller_is_found_by_the_name_as_it_is_typed(find, settings, model, text):
    settings.TRAVELLER_LINKS = True
    for number, name in enumerate(("Núñez", "Ortiz")):
        one = factories.PassengerFactory(legal_first_name="Inés", legal_last_name=name)
        TravellerForm.objects.create(passenger=one, secret_hash=str(number), expires_at=timezone.now())
        Reminder.objects.create(passenger=one, kind="gaps", recipient="a@example.com", subject="", body="")

    assert len(find(model, text)) == 1
    assert len(find(model, "INÉS")) == 2


def test_rows_from_before_the_key_are_filled():
    contact = factories.ContactFactory(first_name="José", last_name="Dvořák", email="")
    trip = factories.TripFactory(name="São Tomé", destination="")
    passenger = factories.PassengerFactory(contact=contact, trip=trip)
    for row in (contact, trip, passenger):
        type(row).objects.update(search_key="")

    import_module("trips.migrations.0010_fill_search_keys").fill(apps, None)

    keys = [type(row).objects.get(pk=row.pk).search_key for row in (contact, trip, passenger)]
    assert keys == ["jose dvorak", "sao tome", "jose dvorak"]


def test_the_key_of_names_alone_is_filled(monkeypatch):
    filling = import_module("trips.migrations.0022_fill_name_keys")
    monkeypatch.setattr(filling, "STRIDE", 2)
    for name in ("Dvořák", "Núñez", "ORTIZ"):
        factories.PassengerFactory(legal_first_name="José", legal_middle_name="Luis", legal_last_name=name)
    nameless = factories.PassengerFactory(legal_first_name="", legal_last_name="")
    Passenger.objects.update(name_key="")

    filling.fill(apps, SimpleNamespace(connection=connection))

    assert [one.name_key for one in Passenger.objects.exclude(pk=nameless.pk).order_by("pk")] == [
        "jose dvorak", "jose nunez", "jose ortiz",
    ]  # fmt: skip
    nameless.refresh_from_db()
    assert nameless.name_key == ""
