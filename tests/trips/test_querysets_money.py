"""What passengers and trips owe, each question answered with one query and to the cent on every database."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest

from tests import factories
from trips.models import Passenger, Trip

pytestmark = pytest.mark.django_db
TODAY = dt.date(2027, 3, 10)
YESTERDAY, TOMORROW = TODAY - dt.timedelta(1), TODAY + dt.timedelta(1)
NOW = dt.datetime(2027, 3, 1, tzinfo=dt.UTC)


def traveller(*amounts, **values):
    """A passenger with payments; an amount below 0 is a refund, a pair names its currency."""
    passenger = factories.PassengerFactory(**{"trip__price_per_person": 1000, **values})
    for entry in amounts:
        amount, currency = entry if isinstance(entry, tuple) else (entry, "USD")
        kind = "refund" if Decimal(amount) < 0 else "payment"
        factories.PaymentFactory(passenger=passenger, amount=abs(Decimal(amount)), currency=currency, kind=kind)
    return passenger


def balance_of(passenger):
    row = Passenger.objects.with_balance().get(pk=passenger.pk)
    return row.price, row.paid, row.balance


@pytest.mark.parametrize(
    ("amounts", "values", "found"),
    [
        ((), {}, (1000, 0, 1000)),
        (("300", "200.50"), {}, (1000, Decimal("500.50"), Decimal("499.50"))),
        (("1000",), {}, (1000, 1000, 0)),
        (("1200", "-50"), {}, (1000, 1150, -150)),
        (("300", ("700", "EUR")), {}, (1000, 300, 700)),
        (("300",), {"attendance": "cancelled"}, (1000, 300, -300)),
        (("300", "-300"), {"attendance": "cancelled"}, (1000, 0, 0)),
        (("300",), {"attendance": "waitlisted"}, (1000, 300, -300)),
        (("300",), {"trip__price_per_person": None}, (None, 300, None)),
        (("300",), {"trip__price_per_person": None, "attendance": "cancelled"}, (None, 300, -300)),
        ((), {"trip__price_per_person": 0}, (0, 0, 0)),
    ],
)
def test_balance_is_the_price_less_what_was_paid(amounts, values, found):
    passenger = traveller(*amounts, **values)

    assert balance_of(passenger) == found


def test_balance_is_not_known_without_a_trip():
    passenger = factories.PassengerFactory(trip=None)
    factories.PaymentFactory(passenger=passenger, amount="300")

    assert balance_of(passenger) == (None, 0, None)


def test_ten_small_payments_leave_no_crumb():
    passenger = traveller(*["0.10"] * 3, "999.70")

    assert balance_of(passenger) == (1000, 1000, 0)
    assert list(Passenger.objects.owing()) == []
    assert list(Passenger.objects.to_give_back()) == []


@pytest.mark.parametrize("people", [1, 3])
def test_balances_cost_one_query(django_assert_num_queries, people):
    for _ in range(people):
        traveller("300", "100")

    with django_assert_num_queries(1):
        balances = [row.balance for row in Passenger.objects.with_balance()]

    assert balances == [600] * people


def test_other_joins_do_not_multiply_a_balance():
    passenger = traveller("300", "100")
    factories.DocumentFactory.create_batch(3, passenger=passenger)

    found = Passenger.objects.with_balance().filter(documents__isnull=False, payments__isnull=False).distinct()

    assert [(row.paid, row.balance) for row in found] == [(400, 600)]


@pytest.mark.parametrize(
    ("paid", "trip", "since"),
    [
        ("0", {"final_payment_due": YESTERDAY}, YESTERDAY),
        ("0", {"final_payment_due": TODAY}, None),
        ("0", {"final_payment_due": TOMORROW}, None),
        ("0", {}, None),
        ("1000", {"final_payment_due": YESTERDAY}, None),
        ("999.99", {"final_payment_due": YESTERDAY}, YESTERDAY),
        ("0", {"deposit_due": YESTERDAY, "deposit_amount": 200}, YESTERDAY),
        ("199.99", {"deposit_due": YESTERDAY, "deposit_amount": 200}, YESTERDAY),
        ("200", {"deposit_due": YESTERDAY, "deposit_amount": 200, "final_payment_due": TOMORROW}, None),
        ("0", {"deposit_due": YESTERDAY, "deposit_amount": None}, None),
        ("0", {"deposit_due": YESTERDAY, "deposit_amount": 200, "price_per_person": None}, YESTERDAY),
        ("0", {"final_payment_due": YESTERDAY, "price_per_person": None}, None),
        ("0", {"final_payment_due": YESTERDAY, "archived_at": NOW}, None),
        ("0", {"final_payment_due": YESTERDAY, "status": "lost"}, None),
        ("0", {"final_payment_due": YESTERDAY, "status": "abandoned"}, None),
        ("0", {"final_payment_due": YESTERDAY, "status": "won"}, YESTERDAY),
        (
            "0",
            {
                "deposit_due": YESTERDAY - dt.timedelta(30),
                "deposit_amount": 200,
                "final_payment_due": YESTERDAY,
            },
            YESTERDAY - dt.timedelta(30),
        ),
    ],
)
def test_overdue_since_the_first_due_date_that_passed_unpaid(paid, trip, since):
    amounts = (paid,) if Decimal(paid) else ()
    traveller(*amounts, **{f"trip__{name}": value for name, value in trip.items()})

    assert Passenger.objects.with_overdue(TODAY).get().overdue_since == since
    assert Passenger.objects.overdue(TODAY).exists() is (since is not None)


@pytest.mark.parametrize("attendance", ["cancelled", "waitlisted"])
def test_only_who_is_booked_is_overdue(attendance):
    traveller(attendance=attendance, trip__final_payment_due=YESTERDAY)

    assert list(Passenger.objects.overdue(TODAY)) == []


def test_owing_and_to_give_back():
    owes, even, too_much, cancelled = (
        traveller("999"),
        traveller("1000"),
        traveller("1001"),
        traveller("5", attendance="cancelled"),
    )
    traveller(attendance="cancelled")

    assert list(Passenger.objects.owing()) == [owes]
    assert set(Passenger.objects.to_give_back()) == {too_much, cancelled}
    assert even not in Passenger.objects.owing()


def money_of(trip):
    row = Trip.objects.with_money().get(pk=trip.pk)
    return row.expected, row.paid, row.outstanding


def test_trip_money_counts_debts_of_those_booked_and_everyones_payments():
    trip = factories.TripFactory(price_per_person=1000)
    traveller("300", trip=trip)
    traveller("1200", trip=trip)
    traveller(("50", "EUR"), "0.10", trip=trip)
    traveller("70", trip=trip, attendance="cancelled")
    traveller(trip=trip, attendance="waitlisted")

    assert money_of(trip) == (3000, Decimal("1570.10"), Decimal("1699.90"))


def test_trip_without_price_or_people():
    priceless, empty = factories.TripFactory(price_per_person=None), factories.TripFactory(price_per_person=10)
    traveller("300", trip=priceless)

    assert money_of(priceless) == (None, 300, None)
    assert money_of(empty) == (0, 0, 0)


@pytest.mark.parametrize("trips", [1, 3])
def test_trip_money_costs_one_query(django_assert_num_queries, trips):
    for trip in factories.TripFactory.create_batch(trips, price_per_person=1000):
        traveller("100", trip=trip)
        traveller(trip=trip)

    with django_assert_num_queries(1):
        found = [(row.enrolled_count, row.expected, row.paid, row.outstanding) for row in Trip.objects.with_money()]

    assert found == [(2, 2000, 100, 1900)] * trips
