"""What a batch did is taken back, and nothing else: not what others did since, not what something hangs on."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest
from django.db import connection, transaction

from tests import factories
from trips.enums import Attendance, BatchKind, PassengerStage
from trips.models import Batch, BatchRow, Contact, HealthRecord, Passenger, Passport, Payment, Trip, Vendor
from trips.services import enrolment
from trips.services.batches import Undone, recorded, undo

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada():
    return factories.StaffFactory(username="ada")


@pytest.fixture
def ben():
    return factories.StaffFactory(username="ben")


def outcomes(batch):
    return [(row.outcome, row.reason) for row in batch.rows.all()]


def test_change_is_kept_with_who_and_undone_through_a_save(ada, ben):
    passenger = factories.PassengerFactory()
    with recorded(kind=BatchKind.STAGE, title="1 passenger to Trip ready", by=ada) as batch:
        changed = batch.change(passenger, stage=PassengerStage.TRIP_READY, number=7)
    stored = Passenger.objects.get()
    assert ({*changed}, stored.stage, stored.number) == ({"stage", "number"}, "trip_ready", 7)
    assert (batch.batch.by, batch.batch.made, batch.batch.changed) == (ada, 0, 1)

    result = undo(batch=batch.batch, by=ben)

    stored = Passenger.objects.get()
    assert (stored.stage, stored.number) == ("added_to_trip", None)
    assert result == Undone(1, [])
    assert (batch.batch.undone_by, batch.batch.undone_at is not None) == (ben, True)
    assert [(entry.history_user, entry.history_change_reason) for entry in stored.history.all()[:2]] == [
        (ben, "Undo: 1 passenger to Trip ready"),
        (ada, "1 passenger to Trip ready"),
    ]


def test_every_kind_of_value_comes_back(ada):
    trip = factories.TripFactory(
        start_date=dt.date(2027, 3, 1), price_per_person=Decimal("2450.00"), organiser=factories.ContactFactory()
    )
    contact = factories.ContactFactory(tags=["vip"], do_not_contact=True)
    health = factories.HealthRecordFactory(diet="Vegan, “=cmd”")
    vendor = factories.VendorFactory(name="Acme")
    before = [
        list(model._base_manager.filter(pk=row.pk).values())
        for model, row in ((Trip, trip), (Contact, contact), (HealthRecord, health), (Vendor, vendor))
    ]
    with recorded(kind=BatchKind.CHANGE, title="All sorts", by=ada) as batch:
        batch.change(trip, start_date=None, price_per_person=Decimal("1.50"), organiser=None)
        batch.change(contact, tags=[], do_not_contact=False, email="NEW@example.com")
        batch.change(health, diet="")
        batch.change(vendor, name="Beta")

    undo(batch=batch.batch, by=ada)

    after = [
        list(model._base_manager.filter(pk=row.pk).values())
        for model, row in ((Trip, trip), (Contact, contact), (HealthRecord, health), (Vendor, vendor))
    ]
    for rows in (*before, *after):
        for row in rows:
            row.pop("updated_at")
    assert after == before


def test_change_starts_from_the_row_as_it_is_now(ada):
    contact = factories.ContactFactory(city="Lund")
    Contact.objects.filter(pk=contact.pk).update(city="Oslo", phone="+12025550111")
    with recorded(kind=BatchKind.CHANGE, title="City", by=ada) as batch:
        batch.change(contact, city="Turku")

    undo(batch=batch.batch, by=ada)

    stored = Contact.objects.get()
    assert (contact.city, stored.city, stored.phone) == ("Turku", "Oslo", "+12025550111")


def test_value_changed_since_stays_and_is_named(ada):
    contact = factories.ContactFactory(city="Lund", state="Skåne")
    with recorded(kind=BatchKind.CHANGE, title="Move", by=ada) as batch:
        batch.change(contact, city="Oslo", state="Viken")
    Contact.objects.filter(pk=contact.pk).update(city="Turku")

    result = undo(batch=batch.batch, by=ada)

    stored = Contact.objects.get()
    assert (stored.city, stored.state) == ("Turku", "Skåne")
    assert (result.back, [(row.outcome, row.reason) for row in result.kept]) == (
        0,
        [("partly", "Changed since and kept: city.")],
    )


def test_made_rows_go_in_reverse_order_with_their_parts(ada):
    trip = factories.TripFactory()
    with recorded(kind=BatchKind.IMPORT, title="New people", by=ada) as batch, transaction.atomic():
        contact = batch.make(Contact(first_name="Ada", email="ada@example.com"))
        passenger = Passenger(contact=contact, trip=trip, legal_last_name="Almqvist")
        batch.make(passenger, save=lambda row: enrolment.enrol(passenger=row))
        batch.make(Passport(passenger=passenger, number="X5550001"))
    assert (Passenger.objects.get().number, batch.batch.made) == (1, 3)

    result = undo(batch=batch.batch, by=ada)

    assert result == Undone(3, [])
    assert [model.objects.count() for model in (Contact, Passenger, Passport)] == [0, 0, 0]


def test_made_row_stays_when_somebody_changed_it_or_something_hangs_on_it(ada):
    with recorded(kind=BatchKind.IMPORT, title="New people", by=ada) as batch:
        edited = batch.make(Contact(first_name="Ada"))
        needed = batch.make(Contact(first_name="Ben"))
        batch.make(Contact(first_name="Carla"))
    edited.city = "Oslo"
    edited.save(update_fields=["city"])
    factories.PassengerFactory(contact=needed, trip__organiser=needed)

    result = undo(batch=batch.batch, by=ada)

    assert [contact.first_name for contact in Contact.objects.order_by("pk")] == ["Ada", "Ben"]
    assert result.back == 1
    assert outcomes(batch.batch) == [
        ("kept", "It was changed since: city."),
        ("kept", "Something hangs on it: 1 trip, 1 passenger."),
        ("undone", ""),
    ]


def test_second_undo_does_nothing_twice_and_tries_what_was_kept(ada):
    kept, moved = factories.ContactFactory(city="Lund"), factories.ContactFactory(city="Lund")
    with recorded(kind=BatchKind.IMPORT, title="People", by=ada) as batch:
        batch.change(moved, city="Oslo")
        fresh = batch.make(Contact(first_name="Ada"))
    payer = factories.PassengerFactory(contact=fresh)
    assert undo(batch=batch.batch, by=ada).back == 1
    Contact.objects.filter(pk=moved.pk).update(city="Oslo")  # by somebody, after the undo
    payer.delete()

    result = undo(batch=batch.batch, by=ada)

    assert (result, undo(batch=batch.batch, by=ada)) == (Undone(1, []), Undone(0, []))
    assert {contact.pk: contact.city for contact in Contact.objects.all()} == {kept.pk: "Lund", moved.pk: "Oslo"}


def test_undo_with_little_time_goes_on_with_the_next_call(ada):
    with recorded(kind=BatchKind.IMPORT, title="People", by=ada) as batch:
        for name in ("Ada", "Ben"):
            batch.make(Contact(first_name=name))

    assert undo(batch=batch.batch, by=ada, seconds=0) == Undone(0, [], left=2)
    assert undo(batch=batch.batch, by=ada, seconds=60) == Undone(2, [])
    assert not Contact.objects.exists()


def test_row_deleted_since_is_told(ada):
    contact = factories.ContactFactory()
    with recorded(kind=BatchKind.CHANGE, title="Gone", by=ada) as batch:
        batch.change(contact, city="Oslo")
        made = batch.make(Contact(first_name="Ada"))
    contact.delete()
    made.delete()

    undo(batch=batch.batch, by=ada)

    assert outcomes(batch.batch) == [("kept", "It was deleted since."), ("undone", "It was deleted since.")]


def test_reference_to_a_deleted_row_is_not_put_back(ada):
    old = factories.VendorFactory()
    trip = factories.TripFactory(vendor=old)
    with recorded(kind=BatchKind.CHANGE, title="Vendor", by=ada) as batch:
        batch.change(trip, vendor=factories.VendorFactory(name="Beta"))
    old.delete()

    undo(batch=batch.batch, by=ada)

    assert outcomes(batch.batch) == [("kept", "What it pointed to is gone: vendor.")]
    assert Trip.objects.get().vendor.name == "Beta"


def test_name_taken_meanwhile_keeps_one_row_and_not_the_others(ada):
    acme, other = factories.VendorFactory(name="Acme"), factories.VendorFactory(name="Other")
    with recorded(kind=BatchKind.CHANGE, title="Names", by=ada) as batch:
        batch.change(other, notes="old name Other", name="Another")
        batch.change(acme, name="Beta")
    factories.VendorFactory(name="ACME")

    result = undo(batch=batch.batch, by=ada)

    assert (result.back, outcomes(batch.batch)) == (
        1,
        [("undone", ""), ("kept", "The database refused it: IntegrityError.")],
    )
    assert [vendor.name for vendor in Vendor.objects.order_by("pk")] == ["Beta", "Other", "ACME"]


def test_what_saving_adds_is_undone_with_it(ada):
    there = factories.TripFactory(passengers=2)
    passenger = factories.PassengerFactory(number=5)
    here = passenger.trip
    with recorded(kind=BatchKind.ASSIGN, title="Move", by=ada) as batch:
        batch.change(
            passenger,
            save=lambda row, columns: enrolment.reseat(passenger=row, columns=columns),
            trip=there,
            number=None,
        )
    assert (passenger.trip_id, passenger.number) == (there.pk, 3)

    undo(batch=batch.batch, by=ada)

    passenger.refresh_from_db()
    assert (passenger.trip, passenger.number) == (here, 5)


def test_batch_that_did_nothing_is_not_kept(ada):
    contact = factories.ContactFactory(city="Lund")
    with recorded(kind=BatchKind.CHANGE, title="Nothing", by=ada) as batch:
        assert batch.change(contact, city="Lund") == []

    assert (batch.batch.pk, Batch.objects.count()) == (None, 0)


def test_work_that_breaks_off_keeps_what_was_done(ada):
    contact = factories.ContactFactory(city="Lund")

    def work():
        with recorded(kind=BatchKind.CHANGE, title="Halfway", by=ada) as batch:
            batch.change(contact, city="Oslo")
            with transaction.atomic():
                batch.make(Contact(first_name="Ada"))
                raise RuntimeError("the machine stopped")

    with pytest.raises(RuntimeError):
        work()

    assert (Batch.objects.get().changed, Batch.objects.get().made, Contact.objects.count()) == (1, 0, 1)
    assert undo(batch=Batch.objects.get(), by=ada).back == 1


def test_values_are_unreadable_in_the_database(ada):
    health = factories.HealthRecordFactory()
    with recorded(kind=BatchKind.IMPORT, title="Health", by=ada) as batch:
        batch.change(health, medications="Unobtainium 5 mg")
    assert "Unobtainium" in batch.batch.rows.get().values

    with connection.cursor() as cursor:
        cursor.execute(f'select * from "{BatchRow._meta.db_table}"')
        stored = str(cursor.fetchall())

    assert ("Unobtainium" in stored, "general_health" in stored) == (False, False)


def test_undo_of_an_attendance_and_of_money(ada):
    payment = factories.PaymentFactory(amount=Decimal("500.00"))
    with recorded(kind=BatchKind.CHANGE, title="Both", by=ada) as batch:
        batch.change(payment, amount=Decimal("5"))
        batch.change(payment.passenger, attendance=Attendance.CANCELLED)

    undo(batch=batch.batch, by=ada)

    stored = Payment.objects.get()
    assert (stored.amount, stored.passenger.attendance) == (Decimal("500.00"), "booked")
