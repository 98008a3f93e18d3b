"""Enrolment and lifecycle: numbers and seats, also for two at once, and the archive."""

from __future__ import annotations

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
import time_machine
from django.db import connection

from tests import factories
from tests.trips.postgres import postgresql_only
from trips.models import Passenger, Trip, Vendor
from trips.services import enrolment, lifecycle

pytestmark = pytest.mark.django_db
NOON = dt.datetime(2026, 6, 15, 12, tzinfo=dt.UTC)


def newcomer(**values):
    return factories.PassengerFactory.build(contact=factories.ContactFactory(), **values)


@pytest.mark.parametrize(
    ("taken", "given"), [([], 1), ([1, 2], 3), ([2, 7], 8), ([None, 4], 5), ([-3], 1), ([32767], None)]
)
def test_newcomer_gets_the_number_after_the_highest(taken, given):
    trip = factories.TripFactory()
    for number in taken:
        factories.PassengerFactory(trip=trip, number=number)

    enrolment.enrol(passenger=newcomer(trip=trip, legal_last_name="New"))

    assert Passenger.objects.get(legal_last_name="New").number == given


def test_number_given_by_hand_is_kept():
    trip = factories.TripFactory(passengers=2)

    assert enrolment.enrol(passenger=newcomer(trip=trip, number=9)).number == 9


def test_passenger_without_a_trip_gets_no_number():
    assert enrolment.enrol(passenger=newcomer(trip=None)).number is None


def test_numbers_of_other_trips_do_not_count():
    factories.TripFactory(passengers=3)

    assert enrolment.enrol(passenger=newcomer(trip=factories.TripFactory())).number == 1


def test_reseat_writes_its_columns_and_the_number_only():
    there = factories.TripFactory(passengers=2)
    passenger = factories.PassengerFactory(number=1, preferred_name="Ada")
    Passenger.objects.filter(pk=passenger.pk).update(preferred_name="written meanwhile")
    passenger.trip, passenger.number = there, None

    enrolment.reseat(passenger=passenger, columns=["trip"])

    stored = Passenger.objects.get(pk=passenger.pk)
    assert (stored.trip, stored.number, stored.preferred_name) == (there, 3, "written meanwhile")


def test_cancelling_counts_those_who_were_not_cancelled_yet():
    trip = factories.TripFactory(passengers=2)
    factories.PassengerFactory(trip=trip, attendance="cancelled")

    assert enrolment.cancel(passengers=trip.passengers.all()) == 2
    assert Trip.objects.with_counts().get().enrolled_count == 0
    assert enrolment.cancel(passengers=trip.passengers.all()) == 0


@pytest.mark.django_db(transaction=True)
@postgresql_only
def test_two_enrolments_at_once_get_a_number_each():
    trip = factories.TripFactory()
    people = [newcomer(trip=trip) for _ in range(4)]
    together = Barrier(len(people))

    def enrol(passenger: Passenger) -> int | None:
        together.wait(timeout=10)
        try:
            return enrolment.enrol(passenger=passenger).number
        finally:
            connection.close()

    with ThreadPoolExecutor(len(people)) as threads:
        numbers = list(threads.map(enrol, people))

    assert sorted(numbers) == [1, 2, 3, 4]


@pytest.mark.parametrize("make", [factories.TripFactory, factories.VendorFactory])
def test_archive_and_back(make):
    row = make()

    with time_machine.travel(NOON, tick=False):
        assert lifecycle.archive(rows=[row]) == 1
    row.refresh_from_db()
    assert row.archived_at == NOON
    assert lifecycle.archive(rows=[row]) == 0
    assert lifecycle.unarchive(rows=[row]) == 1
    row.refresh_from_db()
    assert row.archived_at is None
    assert lifecycle.unarchive(rows=[row]) == 0


def test_archiving_again_keeps_the_first_date():
    with time_machine.travel(NOON, tick=False):
        lifecycle.archive(rows=[factories.TripFactory()])

    lifecycle.archive(rows=Trip.objects.all())

    assert Trip.objects.get().archived_at == NOON


def test_archive_counts_only_those_that_were_active():
    factories.VendorFactory.create_batch(2)
    factories.VendorFactory(archived_at=NOON)

    assert lifecycle.archive(rows=Vendor.objects.all()) == 2


def test_archiving_undoes_no_other_column():
    trip = factories.TripFactory(destination="Havana")
    Trip.objects.update(destination="Trinidad")

    lifecycle.archive(rows=[trip])

    assert Trip.objects.get().destination == "Trinidad"


def test_archived_trip_is_not_active():
    active = factories.TripFactory()
    factories.TripFactory(archived_at=NOON)

    assert list(Trip.objects.active()) == [active]
