"""What rows know of themselves: derived columns, names, nights, ages and how long a passport lasts."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest
import time_machine
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from tests import factories
from trips.models import Contact, Document, EmergencyContact, HealthRecord, Passenger, Passport, Payment, Trip, Vendor
from trips.models.document import private_path

MARCH = [dt.date(2027, 3, day) for day in range(1, 32)]
TODAY = dt.date(2026, 6, 15)


@pytest.fixture
def today():
    with time_machine.travel(dt.datetime(2026, 6, 15, 12, tzinfo=dt.UTC), tick=False):
        yield


@pytest.mark.parametrize(
    ("row", "text"),
    [
        (Trip(name="Baracoa"), "Baracoa"),
        (Trip(pk=7), "Trip 7"),
        (Vendor(name="Acme"), "Acme"),
        (Contact(first_name="Ada", last_name="Ortiz", company_name="Acme"), "Ada Ortiz"),
        (Contact(first_name="Ada"), "Ada"),
        (Contact(company_name="Acme", email="ada@example.com"), "Acme"),
        (Contact(email="ada@example.com", phone="+12025550123"), "ada@example.com"),
        (Contact(phone="+12025550123"), "+12025550123"),
        (Contact(pk=7), "Contact 7"),
        (Passenger(legal_first_name="Ada", legal_middle_name="M.", legal_last_name="Ortiz"), "Ada M. Ortiz"),
        (Passenger(legal_first_name="Ada", legal_last_name="Ortiz", preferred_name="Addie"), "Ada Ortiz"),
        (Passenger(pk=7), "Passenger 7"),
        (Passport(number="X5551234"), "Passport ••1234"),
        (Passport(number="123"), "Passport ••3"),
        (Passport(), "Passport"),
        (HealthRecord(diet="vegan"), "Health record"),
        (EmergencyContact(first_name="Kim", last_name="Lind"), "Kim Lind"),
        (EmergencyContact(phone="+12025550123"), "Emergency contact"),
        (Document(kind="mou"), "Memorandum of understanding"),
        (Payment(amount=Decimal("500.00"), currency="USD"), "500.00 USD"),
    ],
    ids=str,
)
def test_name_of_a_row(row, text):
    assert str(row) == text


@pytest.mark.django_db
def test_trip_name_is_trimmed_and_folded():
    trip = factories.TripFactory(name="  Baracoa – East ")

    assert (trip.name, trip.name_key) == ("Baracoa – East", "baracoa - east")


@pytest.mark.django_db
def test_derived_columns_are_written_with_any_other():
    trip = factories.TripFactory(name="Baracoa")

    trip.name, trip.capacity, trip.destination = "Viñales", 0, "not written"
    trip.save(update_fields=["name"])

    stored = Trip.objects.get()
    assert (stored.name, stored.name_key, stored.flags, stored.destination) == (
        "Viñales",
        "viñales",
        "capacity_below_one",
        "Havana",
    )


@pytest.mark.django_db
def test_last_change_is_stamped_with_named_columns_too():
    with time_machine.travel(dt.datetime(2026, 6, 15, 12, tzinfo=dt.UTC), tick=False) as clock:
        trip = factories.TripFactory()
        made = trip.updated_at
        clock.shift(60)
        trip.save(update_fields=["destination"])

    stored = Trip.objects.get()
    assert (stored.created_at, stored.updated_at) == (made, made + dt.timedelta(seconds=60))


@pytest.mark.django_db
def test_folded_name_of_255_characters_fits():
    factories.TripFactory(name="ﬃ" * 255)  # folds to three letters each

    assert len(Trip.objects.get().name_key) == 255


@pytest.mark.django_db
def test_contact_email_is_lower_case_without_spaces():
    assert factories.ContactFactory(email=" Ada@Example.COM ").email == "ada@example.com"


@pytest.mark.django_db
def test_country_codes_are_derived_and_empty_when_unknown():
    passenger = factories.PassengerFactory(birth_country="Cuba")
    passport = factories.PassportFactory(passenger=passenger, country="Atlantis")

    assert (passenger.birth_country_code, passport.country_code) == ("CU", "")


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["acme ", "ACME", "Ac me".replace(" ", "")])
def test_vendor_of_the_same_folded_name_is_refused_by_the_database(name):
    factories.VendorFactory(name="Acme")

    with pytest.raises(IntegrityError), transaction.atomic():
        factories.VendorFactory(name=name)


@pytest.mark.parametrize(
    ("dates", "departs", "ends", "nights"),
    [
        ({}, None, None, None),
        ({"start_date": MARCH[0], "end_date": MARCH[7]}, MARCH[0], MARCH[7], 7),
        ({"start_date": MARCH[0], "end_date": MARCH[0]}, MARCH[0], MARCH[0], 0),
        ({"start_date": MARCH[0], "arrival_date": MARCH[1], "end_date": MARCH[7]}, MARCH[1], MARCH[7], 6),
        (
            {"start_date": MARCH[0], "arrival_date": MARCH[1], "return_date": MARCH[6], "end_date": MARCH[7]},
            MARCH[1],
            MARCH[7],
            5,
        ),
        ({"start_date": MARCH[0], "return_date": MARCH[9], "end_date": MARCH[7]}, MARCH[0], MARCH[9], 9),
        ({"start_date": MARCH[7], "end_date": MARCH[0]}, MARCH[7], MARCH[0], None),
        ({"start_date": MARCH[0]}, MARCH[0], None, None),
        ({"end_date": MARCH[0]}, None, MARCH[0], None),
        ({"start_date": MARCH[0], "end_date": MARCH[7], "nights_override": 4}, MARCH[0], MARCH[7], 4),
        ({"nights_override": 0}, None, None, 0),
    ],
)
def test_departure_end_and_nights(dates, departs, ends, nights):
    trip = Trip(**dates)

    assert (trip.departs_on, trip.ends_on, trip.nights) == (departs, ends, nights)


@pytest.mark.parametrize(
    ("born", "is_child", "departs", "age", "minor"),
    [
        (dt.date(2009, 3, 1), None, MARCH[0], 18, False),
        (dt.date(2009, 3, 2), None, MARCH[0], 17, True),
        (dt.date(2009, 3, 1), True, MARCH[0], 18, False),  # the date of birth decides
        (dt.date(2009, 3, 2), False, MARCH[0], 17, True),
        (None, True, MARCH[0], None, True),
        (None, None, MARCH[0], None, False),
        (dt.date(2008, 6, 15), None, None, None, False),  # 18 today
        (dt.date(2008, 6, 16), None, None, None, True),
    ],
)
def test_age_counts_on_departure(today, born, is_child, departs, age, minor):
    passenger = Passenger(date_of_birth=born, is_child=is_child, trip=Trip(start_date=departs))

    assert (passenger.age_at_departure, passenger.is_minor) == (age, minor)


@pytest.mark.parametrize(
    ("expires", "ends", "validity"),
    [
        (None, MARCH[7], "missing"),
        (TODAY - dt.timedelta(1), None, "expired"),
        (TODAY - dt.timedelta(1), MARCH[7], "expired"),
        (TODAY, None, "ok"),
        (TODAY, MARCH[7], "short"),
        (dt.date(2027, 9, 7), MARCH[7], "short"),
        (dt.date(2027, 9, 8), MARCH[7], "ok"),
        (dt.date(2028, 2, 29), dt.date(2027, 8, 31), "ok"),  # six months after 31 August
        (dt.date(2028, 2, 28), dt.date(2027, 8, 31), "short"),
    ],
)
def test_passport_must_outlive_the_trip_by_six_months(today, expires, ends, validity):
    passport = Passport(expires_on=expires, passenger=Passenger(trip=Trip(end_date=ends)))

    assert passport.validity == validity


def test_months_a_passport_needs_are_a_setting(settings, today):
    settings.PASSPORT_VALIDITY_MONTHS = 0
    passport = Passport(expires_on=MARCH[7], passenger=Passenger(trip=Trip(end_date=MARCH[7])))

    assert (passport.needed_until, passport.validity) == (MARCH[7], "ok")


def test_passport_of_somebody_without_a_trip_has_no_last_day(today):
    passport = Passport(expires_on=TODAY, passenger=Passenger())

    assert (passport.needed_until, passport.validity) == (None, "ok")


# What the database itself refuses


@pytest.mark.django_db
@pytest.mark.parametrize("amount", ["0.00", "-5.00"])
def test_payment_of_nothing_is_refused_with_words(amount):
    payment = factories.PaymentFactory.build(passenger=factories.PassengerFactory(), amount=Decimal(amount))

    with pytest.raises(ValidationError) as caught:
        payment.full_clean()
    assert caught.value.messages == ["The amount must be greater than 0; record money given back as a refund."]
    with pytest.raises(IntegrityError), transaction.atomic():
        payment.save()


@pytest.mark.django_db
def test_reference_counts_once_a_passenger_and_empty_ones_do_not():
    first = factories.PaymentFactory(reference="R1")
    factories.PaymentFactory(reference="R1")
    factories.PaymentFactory.create_batch(2, passenger=first.passenger, reference="")

    with pytest.raises(IntegrityError), transaction.atomic():
        factories.PaymentFactory(passenger=first.passenger, reference="R1")


@pytest.mark.django_db
def test_document_belongs_to_a_trip_or_a_passenger():
    factories.DocumentFactory(passenger=None, trip=factories.TripFactory())

    for passenger, trip in ((None, None), (factories.PassengerFactory(), factories.TripFactory())):
        with pytest.raises(IntegrityError), transaction.atomic():
            factories.DocumentFactory(passenger=passenger, trip=trip)


def test_stored_name_of_a_file_tells_nothing():
    one, other = (private_path(Document(), "Ada Ortiz.pdf") for _ in range(2))

    assert one != other
    assert "Ada" not in one
    assert one.startswith("documents/")


@pytest.mark.django_db
def test_health_and_passport_values_stay_out_of_history():
    health = factories.HealthRecordFactory(diet="vegan")
    passport = factories.PassportFactory(number="X5551234")

    assert not hasattr(health.history.get(), "diet")
    assert not hasattr(passport.history.get(), "number")


@pytest.mark.django_db(transaction=True)
def test_row_is_not_kept_when_a_receiver_fails():
    def fail(**kwargs):
        raise RuntimeError

    from django.db.models.signals import post_save

    post_save.connect(fail, sender=Trip)
    try:
        with pytest.raises(RuntimeError):
            factories.TripFactory()
    finally:
        post_save.disconnect(fail, sender=Trip)

    assert not Trip.objects.exists()
