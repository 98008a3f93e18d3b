"""What a traveller lacks: in lists, on the trip's checklist and in words, each the same answer."""

from __future__ import annotations

import datetime as dt

import pytest

from tests import factories
from trips.gaps import GAPS
from trips.models import Passenger, Trip
from trips.readiness import percent, readiness_of

pytestmark = pytest.mark.django_db
TODAY = dt.date(2027, 1, 15)
FULL = ("passport_scan", "reservation", "mou", "affidavit", "signature")


def complete(**kwargs):
    """A booked passenger with everything that a traveller needs."""
    passenger = factories.PassengerFactory(sex="F", **kwargs)
    factories.PassportFactory(passenger=passenger)
    factories.EmergencyContactFactory(passenger=passenger)
    factories.HealthRecordFactory(passenger=passenger)
    for kind in FULL:
        factories.DocumentFactory(passenger=passenger, kind=kind, state="received")
    return passenger


def gaps_of(passenger):
    return [gap.code for gap in GAPS if Passenger.objects.filter(pk=passenger.pk).lacking(gap.code, TODAY).exists()]


def test_complete_passenger_lacks_nothing_and_an_empty_one_everything_but_a_guardian():
    trip = factories.TripFactory()
    empty = factories.PassengerFactory(trip=trip)

    assert gaps_of(complete(trip=trip)) == []
    assert gaps_of(empty) == ["profile", "passport", "documents", "emergency", "health"]


@pytest.mark.parametrize("attendance", ["waitlisted", "cancelled"])
def test_who_has_no_seat_lacks_nothing(attendance):
    assert gaps_of(factories.PassengerFactory(attendance=attendance)) == []


@pytest.mark.parametrize(
    ("ends", "expires", "short"),
    [
        (dt.date(2027, 3, 8), dt.date(2027, 9, 8), False),
        (dt.date(2027, 3, 8), dt.date(2027, 9, 7), True),
        (dt.date(2027, 8, 31), dt.date(2028, 2, 28), True),  # the rule says 29 February
        (dt.date(2027, 8, 31), dt.date(2028, 2, 29), False),
        (dt.date(2026, 8, 31), dt.date(2027, 2, 28), False),  # no leap year: the last day counts
        (dt.date(2027, 12, 31), dt.date(2028, 6, 29), True),
    ],
)
def test_passport_in_sql_is_what_the_badge_says(ends, expires, short):
    trip = factories.TripFactory(start_date=dt.date(2026, 8, 1), end_date=ends)
    passenger = factories.PassengerFactory(trip=trip)
    passport = factories.PassportFactory(passenger=passenger, expires_on=expires)

    assert ("passport" in gaps_of(passenger)) is short
    assert (passport.needed_until > expires) is short


@pytest.mark.parametrize(
    ("arrival", "end", "returned", "until"),
    [
        (None, dt.date(2027, 3, 8), None, True),
        (None, None, dt.date(2027, 3, 8), True),
        (None, dt.date(2027, 2, 1), dt.date(2027, 3, 8), True),
        (None, None, None, False),
    ],
)
def test_passport_counts_from_the_later_end_and_from_none_without_one(arrival, end, returned, until):
    trip = factories.TripFactory(end_date=end, arrival_date=arrival, return_date=returned)
    passenger = factories.PassengerFactory(trip=trip)
    factories.PassportFactory(passenger=passenger, expires_on=dt.date(2027, 9, 7))

    assert ("passport" in gaps_of(passenger)) is until


@pytest.mark.parametrize(
    ("born", "flag", "guardian", "open_"),
    [
        (dt.date(2009, 3, 2), None, False, True),  # 17 on departure
        (dt.date(2009, 3, 1), None, False, False),  # 18 that day
        (dt.date(2009, 3, 2), None, True, False),
        (dt.date(1980, 1, 1), True, False, False),  # the date of birth decides
        (None, True, False, True),
        (None, False, False, False),
    ],
)
def test_minor_without_guardian_in_sql_is_what_the_model_says(born, flag, guardian, open_):
    passenger = factories.PassengerFactory(date_of_birth=born, is_child=flag)
    if guardian:
        passenger.guardian = factories.ContactFactory()
        passenger.save()

    assert ("guardian" in gaps_of(passenger)) is open_
    assert (passenger.is_minor and passenger.guardian is None) is open_


def test_two_papers_of_one_kind_count_once_and_a_rejected_one_not():
    passenger = complete()
    passenger.documents.filter(kind="mou").delete()
    factories.DocumentFactory(passenger=passenger, kind="affidavit", state="approved")
    factories.DocumentFactory(passenger=passenger, kind="mou", state="rejected", rejection_reason="blurred")

    assert Passenger.objects.with_documents().get().documents_held == 4
    factories.DocumentFactory(passenger=passenger, kind="mou", state="waived")
    assert Passenger.objects.with_documents().get().documents_held == 5


def test_health_that_declares_nothing_is_an_answer_and_an_empty_record_is_none():
    passenger = complete()
    record = passenger.health
    record.general_health = ""
    record.save()
    assert gaps_of(passenger) == ["health"]

    record.nothing_to_declare = True
    record.save()
    assert gaps_of(passenger) == []


def test_readiness_counts_each_thing_of_each_passenger_and_the_trip_s_own():
    trip = factories.TripFactory(organiser=factories.ContactFactory())
    complete(trip=trip)
    factories.PassengerFactory(trip=trip)
    factories.PassengerFactory(trip=trip, attendance="cancelled")

    ready = readiness_of([trip], TODAY)[trip.pk]

    assert [(line.code, line.done, line.total) for line in ready.lines] == [
        ("organiser", 1, 1),
        ("dates", 1, 1),
        ("price", 1, 1),
        ("profile", 1, 2),
        ("guardian", 2, 2),
        ("passport", 1, 2),
        ("documents", 1, 2),
        ("emergency", 1, 2),
        ("health", 1, 2),
    ]
    assert ready.percent == percent(10, 15) == 66


@pytest.mark.parametrize("trips", [1, 3])
def test_readiness_of_many_trips_is_one_query(django_assert_num_queries, trips):
    rows = factories.TripFactory.create_batch(trips, passengers=2)

    with django_assert_num_queries(1):
        ready = readiness_of(rows, TODAY)

    assert len(ready) == trips


def names(rows):
    return sorted(row.name for row in rows)


def test_not_ready_are_upcoming_trips_that_lack_something():
    organiser = factories.ContactFactory()
    complete(trip=factories.TripFactory(name="ready", organiser=organiser))
    factories.TripFactory(name="nobody booked", organiser=organiser)
    factories.TripFactory(name="no organiser")
    factories.TripFactory(name="gaps", organiser=organiser, passengers=1)
    factories.TripFactory(name="over", passengers=1, start_date=dt.date(2026, 1, 1), end_date=dt.date(2026, 1, 8))
    factories.TripFactory(name="lost", passengers=1, status="lost")

    assert names(Trip.objects.not_ready(TODAY)) == ["gaps", "no organiser"]


def test_ended_open_leaves_out_what_is_closed_dropped_or_put_away():
    past = {"start_date": dt.date(2026, 1, 1), "end_date": dt.date(2026, 1, 8)}
    factories.TripFactory(name="open", **past)
    factories.TripFactory(name="closed", stage="trip_complete", **past)
    factories.TripFactory(name="lost", status="lost", **past)
    factories.TripFactory(name="archived", archived_at=dt.datetime(2026, 2, 1, tzinfo=dt.UTC), **past)
    factories.TripFactory(name="running", start_date=TODAY, end_date=TODAY)

    assert names(Trip.objects.ended_open(TODAY)) == ["open"]
