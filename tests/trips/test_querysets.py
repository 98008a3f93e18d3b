"""The questions lists ask, each answered with one query."""

from __future__ import annotations

import datetime as dt

import pytest

from tests import factories
from trips.models import Passenger, Trip
from trips.querysets import flagged

pytestmark = pytest.mark.django_db
MARCH = [dt.date(2027, 3, day) for day in range(1, 32)]


def names(rows):
    return sorted(row.name for row in rows)


@pytest.mark.parametrize("trips", [1, 3])
def test_enrolled_count_is_of_those_booked_and_costs_one_query(django_assert_num_queries, trips):
    for trip in factories.TripFactory.create_batch(trips, passengers=2):
        factories.PassengerFactory(trip=trip, attendance="waitlisted")
        factories.PassengerFactory(trip=trip, attendance="cancelled")

    with django_assert_num_queries(1):
        counts = [trip.enrolled_count for trip in Trip.objects.with_counts()]

    assert counts == [2] * trips


def test_empty_trip_counts_nobody():
    factories.TripFactory()

    assert Trip.objects.with_counts().get().enrolled_count == 0


def test_other_joins_do_not_multiply_the_count():
    trip = factories.TripFactory(passengers=2)
    for _ in range(3):
        factories.DocumentFactory(passenger=None, trip=trip)

    found = Trip.objects.with_counts().filter(documents__isnull=False).distinct()

    assert [row.enrolled_count for row in found] == [2]


def test_overbooked_are_those_with_more_people_than_seats():
    factories.TripFactory(name="full", capacity=2, passengers=2)
    factories.TripFactory(name="over", capacity=1, passengers=2)
    factories.TripFactory(name="no limit", capacity=None, passengers=2)
    waiting = factories.TripFactory(name="waiting", capacity=1, passengers=1)
    factories.PassengerFactory(trip=waiting, attendance="waitlisted")

    assert names(Trip.objects.overbooked()) == ["over"]


def test_departing_goes_by_arrival_and_includes_both_ends():
    factories.TripFactory(name="first day", start_date=MARCH[0], arrival_date=None)
    factories.TripFactory(name="last day", start_date=MARCH[0], arrival_date=MARCH[9])
    factories.TripFactory(name="arrives later", start_date=MARCH[0], arrival_date=MARCH[10])
    factories.TripFactory(name="undated", start_date=None, end_date=None)

    assert names(Trip.objects.departing(first=MARCH[0], last=MARCH[9])) == ["first day", "last day"]


@pytest.mark.parametrize(
    ("returns", "ends", "over"),
    [
        (None, MARCH[1], True),
        (MARCH[1], None, True),
        (MARCH[1], MARCH[2], False),
        (MARCH[2], MARCH[1], False),
        (MARCH[1], MARCH[1], True),
        (None, None, False),
    ],
)
def test_ended_before_goes_by_the_later_of_return_and_end(returns, ends, over):
    factories.TripFactory(start_date=None, return_date=returns, end_date=ends)

    assert Trip.objects.ended_before(MARCH[2]).exists() is over


def test_seated_and_unlinked_passengers():
    seated = factories.PassengerFactory()
    factories.PassengerFactory(attendance="waitlisted")
    unlinked = factories.PassengerFactory(trip=None)

    assert list(Passenger.objects.seated().order_by("pk")) == [seated, unlinked]
    assert list(Passenger.objects.unlinked()) == [unlinked]


def test_flagged_are_those_that_break_a_rule():
    factories.TripFactory()
    odd = factories.TripFactory(capacity=0)

    assert list(flagged(Trip.objects.all())) == [odd]
