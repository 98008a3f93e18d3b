"""The staff's pages: they open, cost the same for any number of rows, and never undo what others changed."""

from __future__ import annotations

import datetime as dt

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from tests import factories
from tests.pages import posted, reveal
from trips.models import Passenger, Trip

pytestmark = pytest.mark.django_db

LISTS = {
    "trip": lambda n: factories.TripFactory.create_batch(n, passengers=1),
    "passenger": lambda n: [factories.PassportFactory() for _ in range(n)],
    "contact": factories.ContactFactory.create_batch,
    "vendor": factories.VendorFactory.create_batch,
    "payment": factories.PaymentFactory.create_batch,
    "document": factories.DocumentFactory.create_batch,
}


def url(model, page, *args):
    return reverse(f"admin:trips_{model}_{page}", args=args)


@pytest.mark.parametrize("model", LISTS)
def test_list_costs_the_same_for_one_row_and_three(admin_client, model):
    LISTS[model](1)
    admin_client.get(url(model, "changelist"))
    with CaptureQueriesContext(
        connection,
    ) as one:
        admin_client.get(url(model, "changelist"))
    LISTS[model](2)
    with CaptureQueriesContext(connection) as three:
        page = admin_client.get(url(model, "changelist"))

    assert page.context["cl"].result_count >= 3
    assert len(three) == len(one)


@pytest.mark.parametrize("model", LISTS)
def test_forms_open(admin_client, model):
    row = LISTS[model](1)[0]
    pk = row.passenger.pk if model == "passenger" else row.pk

    pages = [admin_client.get(url(model, "add")), admin_client.get(url(model, "change", pk))]

    assert [page.status_code for page in pages] == [200, 200]


def test_untouched_field_keeps_what_changed_meanwhile(admin_client):
    trip = factories.TripFactory(destination="Havana", description="old")
    page = admin_client.get(url("trip", "change", trip.pk))
    Trip.objects.filter(pk=trip.pk).update(destination="Trinidad", end_date=dt.date(2027, 3, 9))

    answer = admin_client.post(url("trip", "change", trip.pk), posted(page, description="new"))

    assert answer.status_code == 302, answer.context["errors"]
    trip.refresh_from_db()
    assert (trip.destination, trip.end_date, trip.description) == ("Trinidad", dt.date(2027, 3, 9), "new")


def test_field_changed_by_both_is_an_error_until_saved_again(admin_client):
    trip = factories.TripFactory(destination="Havana")
    page = admin_client.get(url("trip", "change", trip.pk))
    Trip.objects.filter(pk=trip.pk).update(destination="Trinidad")

    page = admin_client.post(url("trip", "change", trip.pk), posted(page, destination="Viñales"))

    said = "Changed meanwhile to “Trinidad”; save again to keep yours."
    assert page.context["adminform"].form.errors == {"destination": [said]}
    assert admin_client.post(url("trip", "change", trip.pk), posted(page)).status_code == 302
    trip.refresh_from_db()
    assert trip.destination == "Viñales"


def test_inline_keeps_what_changed_meanwhile(admin_client):
    passport = factories.PassportFactory(number="X5551111")
    where = url("passenger", "change", passport.passenger.pk)
    page = admin_client.get(where)
    type(passport).objects.filter(pk=passport.pk).update(number="X5552222")

    answer = admin_client.post(where, posted(page, **{"passport-0-country": "Peru"}))

    assert answer.status_code == 302, answer.context["errors"]
    passport.refresh_from_db()
    assert (passport.number, passport.country) == ("X5552222", "Peru")


def test_altered_digests_save_nothing(admin_client):
    trip = factories.TripFactory(destination="Havana")
    page = admin_client.get(url("trip", "change", trip.pk))

    answer = admin_client.post(
        url("trip", "change", trip.pk), posted(page, destination="Viñales", rendered_values="forged")
    )

    assert answer.status_code == 200
    assert list(answer.context["adminform"].form.errors) == ["__all__"]
    trip.refresh_from_db()
    assert trip.destination == "Havana"


def test_end_before_start_is_an_error_on_its_field_and_keeps_the_typing(admin_client):
    page = admin_client.get(url("trip", "add"))

    answer = admin_client.post(
        url("trip", "add"), posted(page, name="Baracoa", start_date="2027-03-08", end_date="2027-03-01", capacity="0")
    )

    assert set(answer.context["adminform"].form.errors) == {"end_date", "capacity"}
    assert answer.context["adminform"].form["name"].value() == "Baracoa"


def test_new_passenger_takes_the_next_number(admin_client):
    trip = factories.TripFactory(passengers=2)
    contact = factories.ContactFactory()
    page = admin_client.get(url("passenger", "add"))

    answer = admin_client.post(
        url("passenger", "add"),
        posted(page, legal_first_name="Ada", legal_last_name="New", contact=contact.pk, trip=trip.pk),
    )

    assert answer.status_code == 302, answer.context["errors"]
    assert Passenger.objects.get(legal_last_name="New").number == 3


def test_passport_is_hidden_without_its_permission(client):
    passport = factories.PassportFactory(number="X5559876", expires_on=dt.date(2031, 1, 1))
    client.force_login(factories.StaffFactory(permissions=["trips.view_passenger", "trips.change_passenger"]))

    pages = [
        client.get(url("passenger", "change", passport.passenger.pk)).content.decode(),
        client.get(url("passenger", "changelist")).content.decode(),
    ]

    assert [("9876" in page, "column-passport_validity" in page, "passport-0-" in page) for page in pages] == [
        (False, False, False)
    ] * 2


def test_passport_number_is_masked_for_those_who_may_only_view(client):
    passport = factories.PassportFactory(number="X5559876")
    client.force_login(
        factories.StaffFactory(permissions=["trips.view_passenger", "trips.change_passenger", "trips.view_passport"])
    )

    page = client.get(url("passenger", "change", passport.passenger.pk)).content.decode()

    assert ("••9876" in page, "X5559876" in page) == (True, False)


def test_trip_with_passengers_is_not_deleted(admin_client):
    trip = factories.TripFactory(passengers=1)

    page = admin_client.get(url("trip", "delete", trip.pk))

    assert page.context["protected"] != []
    admin_client.post(url("trip", "delete", trip.pk), {"post": "yes"})
    assert Trip.objects.filter(pk=trip.pk).exists()


@pytest.mark.parametrize("model", LISTS)
def test_empty_list_says_what_is_not_there(admin_client, model):
    page = admin_client.get(url(model, "changelist"))

    assert page.context["cl"].model_admin.empty_title in page.content.decode()


AMBIGUOUS = "'02/03/2027' can be 3 Feb 2027 or 2 Mar 2027. Write it as 2027-02-03 or 2027-03-02."


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("02/03/27", "'02/03/27' has a year of two digits. Write all four."),
        ("02/03/2027", AMBIGUOUS),
        ("2027-02-30", "'2027-02-30' is not a day of the calendar."),
        ("soon", "'soon' does not read as a date. Write it as 2027-03-01 or 1 Mar 2027."),
    ],
)
def test_day_that_can_be_misread_is_refused_with_how_to_write_it(admin_client, typed, told):
    passenger = factories.PassportFactory().passenger
    url = reverse("admin:trips_passenger_change", args=[passenger.pk])
    page = admin_client.get(url)

    born = admin_client.post(url, posted(page, date_of_birth=typed))
    expires = admin_client.post(url, posted(page, **{"passport-0-expires_on": typed}))

    assert born.context["adminform"].form.errors == {"date_of_birth": [told]}
    inlines = expires.context["inline_admin_formsets"]
    assert [errors for inline in inlines for errors in inline.formset.errors if errors] == [{"expires_on": [told]}]


@pytest.mark.parametrize("typed", ["2027-03-09", "9 Mar 2027", "03/13/2027", ""])
def test_day_that_reads_one_way_only_is_taken(admin_client, typed):
    trip = factories.TripFactory(start_date=None, end_date=None)
    url = reverse("admin:trips_trip_change", args=[trip.pk])

    admin_client.post(url, posted(admin_client.get(url), start_date=typed))

    trip.refresh_from_db()
    days = {"": None, "03/13/2027": dt.date(2027, 3, 13)}
    assert trip.start_date == days.get(typed, dt.date(2027, 3, 9))


def test_passport_number_is_typed_in_one_line(admin_client):
    passport = factories.PassportFactory()
    reveal(admin_client, passport.passenger, "passport")

    page = admin_client.get(reverse("admin:trips_passenger_change", args=[passport.passenger.pk])).content.decode()

    assert '<textarea name="passport-0-number"' not in page
    assert 'name="passport-0-number"' in page
