"""What an impatient person meets: short ways, words that say what to do, and nothing typed twice."""

from __future__ import annotations

import datetime as dt

import pytest
import time_machine
from django.urls import reverse

from tests import factories
from tests.pages import posted
from trips.models import EmergencyContact, HealthRecord, Passenger, Passport, Payment

pytestmark = pytest.mark.django_db


def url(model, page, *args):
    return reverse(f"admin:trips_{model}_{page}", args=args)


def test_search_without_a_hit_names_the_text_and_offers_to_add(admin_client):
    shown = admin_client.get(url("trip", "changelist"), {"q": "zzz"}).content.decode()

    assert ("No trips match “zzz”" in shown, "Reset search and filters" in shown, "Add trip" in shown) == (True,) * 3


@pytest.mark.parametrize("model", ["trip", "vendor"])
def test_search_that_only_the_archive_answers_leads_there(admin_client, model):
    make = {"trip": factories.TripFactory, "vendor": factories.VendorFactory}[model]
    make(name="Baracoa & East", archived_at=dt.datetime(2026, 6, 1, tzinfo=dt.UTC))

    page = admin_client.get(url(model, "changelist"), {"q": "baracoa &"})
    link = page.context["cl"].elsewhere

    assert (link.text, link.text in page.content.decode()) == (f"1 archived {model} matches", True)
    led = admin_client.get(url(model, "changelist") + link.url)
    assert [str(row) for row in led.context["cl"].result_list] == ["Baracoa & East"]
    empty = [{"q": "zzz"}, {"q": "zzz", "archive": "all"}, {}]
    pages = [admin_client.get(url(model, "changelist"), question) for question in empty]
    assert not any(getattr(page.context["cl"], "elsewhere", None) for page in pages)


def test_empty_list_does_not_talk_of_filters(admin_client):
    shown = admin_client.get(url("trip", "changelist")).content.decode()

    assert ("No trips here" in shown, "Reset search and filters" in shown) == (True, False)


def test_who_may_not_add_is_not_told_to(client):
    client.force_login(factories.StaffFactory(permissions=["trips.view_trip"]))

    shown = client.get(url("trip", "changelist"), {"q": "zzz"}).content.decode()

    assert ("No trips match" in shown, "Add trip" in shown, "add what you missed" in shown) == (True, False, False)


def test_capacity_below_one_is_no_fraction(admin_client):
    factories.TripFactory(capacity=-4, passengers=1)

    shown = admin_client.get(url("trip", "changelist")).content.decode()

    assert ("1, capacity -4" in shown, "1 / -4" in shown) == (True, False)


def test_flag_tells_its_sentence_on_hover(admin_client):
    factories.TripFactory(capacity=0)

    assert 'title="A capacity of 0 leaves no seat.' in admin_client.get(url("trip", "changelist")).content.decode()


def test_passenger_is_added_from_the_trip_and_the_next_one_too(admin_client):
    trip = factories.TripFactory()
    contact = factories.ContactFactory()
    opened = admin_client.get(reverse("admin:trips_trip_add_passenger", args=[trip.pk]), follow=True)
    assert str(opened.context["adminform"].form["trip"].value()) == str(trip.pk)

    typed = {"legal_last_name": "Ortiz", "contact": contact.pk, "_addanother": "1"}
    answer = admin_client.post(url("passenger", "add"), posted(opened, **typed))

    assert answer["Location"] == f"{url('passenger', 'add')}?trip={trip.pk}"
    assert [passenger.trip for passenger in Passenger.objects.all()] == [trip]


def test_next_passenger_after_one_without_a_trip_has_none(admin_client):
    page = admin_client.get(url("passenger", "add"))
    typed = {"legal_last_name": "Ortiz", "contact": factories.ContactFactory().pk, "_addanother": "1"}

    assert admin_client.post(url("passenger", "add"), posted(page, **typed))["Location"] == url("passenger", "add")


def test_adding_from_the_trip_needs_the_permission(client):
    trip = factories.TripFactory()
    client.force_login(factories.StaffFactory(permissions=["trips.view_trip", "trips.change_trip"]))

    shown = client.get(url("trip", "change", trip.pk)).content.decode()

    assert "Add a passenger" not in shown
    assert client.get(reverse("admin:trips_trip_add_passenger", args=[trip.pk])).status_code == 403


def test_parts_of_a_passenger_wait_for_typing_and_stay_unmade_when_left_empty(admin_client):
    passenger = factories.PassengerFactory()
    page = admin_client.get(url("passenger", "change", passenger.pk))
    counts = [inline.formset.total_form_count() for inline in page.context["inline_admin_formsets"]]

    answer = admin_client.post(url("passenger", "change", passenger.pk), posted(page, preferred_name="Addie"))

    assert (counts, answer.status_code) == ([1, 1, 1], 302)
    assert [model.objects.exists() for model in (Passport, HealthRecord, EmergencyContact)] == [False] * 3


def test_new_passenger_can_come_with_a_passport(admin_client):
    page = admin_client.get(url("passenger", "add"))
    typed = {"legal_last_name": "Ortiz", "contact": factories.ContactFactory().pk, "passport-0-number": "X5551234"}

    assert admin_client.post(url("passenger", "add"), posted(page, **typed)).status_code == 302

    assert Passport.objects.get().number == "X5551234"


def test_second_part_is_not_offered_where_one_is_enough(admin_client):
    passenger = factories.PassportFactory().passenger
    factories.EmergencyContactFactory(passenger=passenger)

    page = admin_client.get(url("passenger", "change", passenger.pk))

    assert [inline.formset.total_form_count() for inline in page.context["inline_admin_formsets"]] == [1, 1, 1]


def test_payment_without_a_passenger_says_what_is_missing(admin_client):
    page = admin_client.get(url("payment", "add"))

    answer = admin_client.post(url("payment", "add"), posted(page, amount="20"))

    assert answer.context["adminform"].form.errors == {"passenger": ["This field is required."]}


@pytest.mark.parametrize("number", ["99999999999999999999999", "77", "-1", "abc", "", "1\x00"])
@pytest.mark.parametrize(
    ("model", "field"),
    [
        ("passenger", "contact"),
        ("passenger", "trip"),
        ("payment", "passenger"),
        ("trip", "vendor"),
        ("document", "trip"),
    ],
)
def test_add_page_ignores_an_address_that_names_no_row(admin_client, model, field, number):
    page = admin_client.get(url(model, "add"), {field: number, "name": "Baracoa"})

    assert page.status_code == 200
    assert page.context["adminform"].form[field].value() is None


def test_payment_is_of_today_unless_said_otherwise(admin_client):
    passenger = factories.PassengerFactory()
    with time_machine.travel(dt.datetime(2026, 6, 15, 12, tzinfo=dt.UTC), tick=False):
        page = admin_client.get(url("payment", "add"), {"passenger": passenger.pk})
        answer = admin_client.post(url("payment", "add"), posted(page, amount="500"))

    assert answer.status_code == 302, answer.context["errors"]
    payment = Payment.objects.get()
    assert (payment.passenger, payment.paid_on, payment.currency) == (passenger, dt.date(2026, 6, 15), "USD")


@pytest.mark.parametrize(
    ("typed", "field", "said"),
    [
        (
            {"amount": "-5"},
            "amount",
            "The amount is -5.00; it must be greater than 0. Record money given back as a refund.",
        ),
        ({"currency": "EUR"}, "currency", "Baracoa is priced in USD; this payment is in EUR."),
        (
            {"reference": "r1"},
            "reference",
            "This passenger has a payment of 500.00 USD of 5 Jan 2026 with the reference R1 already.",
        ),
    ],
)
def test_payment_that_cannot_be_is_stopped(admin_client, typed, field, said):
    passenger = factories.PassengerFactory(trip__name="Baracoa")
    factories.PaymentFactory(passenger=passenger, reference="R1")
    page = admin_client.get(url("payment", "add"), {"passenger": passenger.pk})

    answer = admin_client.post(url("payment", "add"), posted(page, **{"amount": "500", **typed}))

    assert answer.context["adminform"].form.errors == {field: [said]}


@pytest.mark.parametrize("name", ["acme ", "ACME", " Ａcme"])
def test_vendor_of_the_same_folded_name_is_refused_by_name(admin_client, name):
    twin = factories.VendorFactory(name="Acme")
    page = admin_client.get(url("vendor", "add"))

    answer = admin_client.post(url("vendor", "add"), posted(page, name=name))

    said = f"There is a vendor of this name already: Acme (no. {twin.pk})."
    assert answer.context["adminform"].form.errors == {"name": [said]}


def test_vendor_may_change_the_spelling_of_its_own_name(admin_client):
    vendor = factories.VendorFactory(name="acme")
    page = admin_client.get(url("vendor", "change", vendor.pk))

    assert admin_client.post(url("vendor", "change", vendor.pk), posted(page, name="ACME")).status_code == 302

    vendor.refresh_from_db()
    assert (vendor.name, vendor.name_key) == ("ACME", "acme")


def test_archiving_from_the_page_and_back(admin_client):
    trip = factories.TripFactory(destination="Havana")
    where = url("trip", "change", trip.pk)

    admin_client.post(where, posted(admin_client.get(where), destination="Trinidad", trips_trip_save_and_archive="1"))
    trip.refresh_from_db()
    assert (trip.archived_at is None, trip.destination) == (False, "Trinidad")

    admin_client.post(where, posted(admin_client.get(where), trips_trip_save_and_unarchive="1"))
    trip.refresh_from_db()
    assert trip.archived_at is None


@pytest.mark.parametrize(("action", "archived"), [("archive_selected", 2), ("unarchive_selected", 0)])
def test_archiving_from_the_list(admin_client, action, archived):
    trips = factories.TripFactory.create_batch(2, archived_at=None if archived else "2026-06-15T12:00Z")
    chosen = {"action": action, "_selected_action": [trip.pk for trip in trips]}

    answer = admin_client.post(f"{url('trip', 'changelist')}?archive=all", chosen, follow=True)

    done = "archived" if archived else "taken out of the archive"
    assert f"2 trips {done}." in answer.content.decode()
    assert type(trips[0]).objects.filter(archived_at__isnull=False).count() == archived


def test_document_is_not_rejected_without_a_reason(admin_client):
    document = factories.DocumentFactory()
    where = url("document", "change", document.pk)

    answer = admin_client.post(where, posted(admin_client.get(where), state="rejected"))

    said = "Say why it is rejected; the traveller has to mend it."
    assert answer.context["adminform"].form.errors == {"state": [said]}


def test_private_link_is_nowhere_on_the_page_of_a_document(admin_client):
    document = factories.DocumentFactory(remote_url="https://files.example.com/secret-key")

    pages = [admin_client.get(url("document", "changelist")), admin_client.get(url("document", "change", document.pk))]

    assert [("secret-key" in page.content.decode()) for page in pages] == [False, False]


def test_favicon_is_served_at_the_root(client):
    icon = client.get("/favicon.ico", follow=True)

    assert (icon.status_code, b"".join(icon)[:4]) == (200, b"\x00\x00\x01\x00")


@pytest.mark.parametrize(("most", "counted"), [(2, True), (1, False)])
def test_filters_count_their_answers_while_the_list_is_short(admin_client, monkeypatch, most, counted):
    monkeypatch.setattr("trips.admin.base.FrugalFilter.counts_up_to", most)
    factories.PassengerFactory.create_batch(2)

    shown = admin_client.get(url("passenger", "changelist")).content.decode()

    assert ("Documents missing (2)" in shown, "Documents missing" in shown) == (counted, True)
