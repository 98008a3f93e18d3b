"""Recording and giving back money, what is due next, due dates of new trips, and margins."""

from __future__ import annotations

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from threading import Barrier

import pytest
from django.db import connection

from tests import factories
from tests.trips.postgres import postgresql_only
from trips.models import Passenger, Payment, Trip
from trips.services import margins, payments
from trips.services.margins import Margin, Margins

pytestmark = pytest.mark.django_db
TODAY = dt.date(2026, 6, 15)
PAID = dt.date(2026, 6, 1)


def traveller(**values):
    return factories.PassengerFactory(
        legal_first_name="Greta",
        legal_last_name="Ortiz",
        **{"trip__name": "Baracoa", "trip__price_per_person": 1000, **values},
    )


def payment(passenger, amount, **values):
    return Payment(passenger=passenger, **{"amount": Decimal(amount), "paid_on": PAID, "currency": "USD", **values})


def ledger(passenger):
    return list(passenger.payments.order_by("pk").values_list("kind", "amount", "currency"))


def test_payment_and_refund_are_recorded():
    passenger = traveller()

    payments.record(payment=payment(passenger, "500"))
    payments.refund(passenger=passenger, amount=Decimal("120.50"), paid_on=PAID, reference="R1")

    assert ledger(passenger) == [("payment", 500, "USD"), ("refund", Decimal("120.50"), "USD")]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"amount": "-5"}, "The amount is -5.00; it must be greater than 0. Record money given back as a refund."),
        ({"amount": "0"}, "The amount is 0.00; it must be greater than 0. Record money given back as a refund."),
        ({"currency": "EUR"}, "Baracoa is priced in USD; this payment is in EUR."),
        ({"currency": "dollars"}, "Ensure this value has at most 3 characters (it has 7)."),
        (
            {"reference": " r1"},
            "This passenger has a payment of 300.00 USD of 5 Jan 2026 with the reference R1 already.",
        ),
        (
            {"kind": "refund", "amount": "300.01"},
            "Greta Ortiz has paid 300.00 USD in all: 300.01 USD cannot be given back.",
        ),
    ],
)
def test_payment_that_cannot_be_is_refused_and_nothing_is_kept(values, said):
    passenger = traveller()
    factories.PaymentFactory(passenger=passenger, amount="300", reference="R1")

    with pytest.raises(payments.PaymentRefused) as refused:
        payments.record(payment=payment(passenger, **{"amount": "10", **values}))

    assert (refused.value.messages, ledger(passenger)) == ([said], [("payment", 300, "USD")])


def test_same_reference_of_somebody_else_is_fine():
    factories.PaymentFactory(reference="R1")
    passenger = traveller()

    payments.record(payment=payment(passenger, "10", reference="R1"))

    assert ledger(passenger) == [("payment", 10, "USD")]


def test_payment_does_not_shrink_below_what_was_given_back():
    passenger = traveller()
    paid = factories.PaymentFactory(passenger=passenger, amount="300")
    factories.PaymentFactory(passenger=passenger, amount="200", kind="refund")
    paid.amount = Decimal("100")

    with pytest.raises(payments.PaymentRefused) as refused:
        payments.record(payment=paid, columns=["amount"])

    assert refused.value.messages == ["200.00 USD of it was given back already; it cannot become less than that."]
    assert Payment.objects.get(pk=paid.pk).amount == 300


def test_change_writes_its_columns_only():
    paid = factories.PaymentFactory(reference="old")
    Payment.objects.update(method="cash")
    paid.reference = "new"

    payments.record(payment=paid, columns=["reference"])

    assert Payment.objects.values_list("reference", "method").get() == ("new", "cash")


@pytest.mark.django_db(transaction=True)
@postgresql_only
def test_the_same_money_is_given_back_once_to_two_at_once():
    passenger = traveller()
    factories.PaymentFactory(passenger=passenger, amount="300")
    together = Barrier(4)

    def give_back(_number: int) -> bool:
        together.wait(timeout=10)
        try:
            payments.refund(passenger=passenger, amount=Decimal(300), paid_on=PAID)
        except payments.PaymentRefused:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(4) as threads:
        given = list(threads.map(give_back, range(4)))

    assert (sorted(given), Passenger.objects.with_balance().get().paid) == ([False, False, False, True], 0)


DEPOSIT = {"trip__deposit_amount": 200, "trip__deposit_due": dt.date(2026, 7, 1)}


@pytest.mark.parametrize(
    ("paid", "values", "due"),
    [
        (
            "0",
            DEPOSIT,
            (200, None, "Baracoa: price 1,000.00, paid 0.00, owes 1,000.00 USD. Deposit due by 1 Jul 2026."),
        ),
        (
            "50",
            DEPOSIT,
            (150, None, "Baracoa: price 1,000.00, paid 50.00, owes 950.00 USD. Deposit due by 1 Jul 2026."),
        ),
        ("200", DEPOSIT, (800, None, "Baracoa: price 1,000.00, paid 200.00, owes 800.00 USD. All due.")),
        (
            "0",
            {**DEPOSIT, "trip__final_payment_due": dt.date(2026, 6, 14)},
            (1000, None, "Baracoa: price 1,000.00, paid 0.00, owes 1,000.00 USD. All due by 14 Jun 2026."),
        ),
        (
            "0",
            {**DEPOSIT, "trip__price_per_person": 150},
            (150, None, "Baracoa: price 150.00, paid 0.00, owes 150.00 USD. Deposit due by 1 Jul 2026."),
        ),
        ("0", {**DEPOSIT, "trip__price_per_person": None}, (200, None, "Paid 0.00 USD. Deposit due by 1 Jul 2026.")),
        (
            "7",
            {"trip__price_per_person": None},
            (None, None, "Baracoa has no price, so nothing is known to be due. Paid 7.00 USD."),
        ),
        ("1000", {}, (None, None, "Baracoa: price 1,000.00, paid 1,000.00, owes 0.00 USD. Nothing is due.")),
        ("1100", {}, (None, 100, "Baracoa: price 1,000.00, paid 1,100.00, paid too much. To give back: 100.00 USD.")),
        ("300", {"attendance": "cancelled"}, (None, 300, "Cancelled on Baracoa. To give back: 300.00 USD.")),
        ("0", {"attendance": "waitlisted"}, (None, None, "Waitlisted on Baracoa. Nothing is due.")),
    ],
)
def test_deposit_is_due_first_then_the_rest(paid, values, due):
    passenger = traveller(**values)
    if Decimal(paid):
        factories.PaymentFactory(passenger=passenger, amount=paid)

    found = payments.what_is_due(Passenger.objects.with_balance().get(), TODAY)

    assert (found.amount, found.back, found.sentence, found.currency) == (*due, "USD")


def test_nothing_is_known_to_be_due_without_a_trip():
    factories.PassengerFactory(trip=None)

    found = payments.what_is_due(Passenger.objects.with_balance().get(), TODAY)

    assert (found.amount, found.sentence) == (None, "Not linked to a trip, so nothing is known to be due.")


@pytest.mark.parametrize(
    ("start", "typed", "dates"),
    [
        ("2027-03-01", {}, ("2026-11-01", "2026-12-31")),
        ("2027-03-01", {"deposit_due": "2026-10-01"}, ("2026-10-01", "2026-12-31")),
        ("2027-03-01", {"final_payment_due": "2026-10-01"}, ("2026-10-01", "2026-10-01")),
        ("2027-03-01", {"deposit_due": "2027-01-15"}, ("2027-01-15", "2027-01-15")),
        ("2026-07-01", {}, ("2026-06-15", "2026-06-15")),
        ("2026-05-01", {}, ("2026-05-01", "2026-05-01")),
        (None, {}, (None, None)),
    ],
)
def test_due_dates_of_a_new_trip_are_counted_back_from_its_start(settings, start, typed, dates):
    settings.TRIP_DEPOSIT_DAYS_BEFORE, settings.TRIP_FINAL_DAYS_BEFORE = 120, 60
    trip = Trip(name="Baracoa", start_date=start and dt.date.fromisoformat(start))
    for name, text in typed.items():
        setattr(trip, name, dt.date.fromisoformat(text))

    filled = payments.fill_due_dates(trip=trip, today=TODAY)

    assert [day and day.isoformat() for day in (trip.deposit_due, trip.final_payment_due)] == list(dates)
    assert filled == [name for name in ("deposit_due", "final_payment_due") if start and name not in typed]


def test_due_dates_are_left_empty_without_the_settings():
    trip = Trip(name="Baracoa", start_date=TODAY)

    assert (payments.fill_due_dates(trip=trip), trip.deposit_due, trip.final_payment_due) == ([], None, None)


def group(**values):
    trip = factories.TripFactory(price_per_person=1000, passengers=2, **{"capacity": 10, **values})
    factories.PassengerFactory(trip=trip, attendance="cancelled")
    return trip


def test_margin_is_told_for_those_booked_and_for_a_full_trip():
    trip = group()
    factories.CostFactory(trip=trip, amount="600")
    factories.CostFactory(trip=trip, amount="500", basis="group")

    found = margins.margins_of(trip)

    assert found == Margins(Margin(2, Decimal(2000), Decimal(1700)), Margin(10, Decimal(10000), Decimal(6500)))
    assert [(side.profit, side.percent) for side in (found.booked, found.full)] == [(300, 15), (3500, 35)]


@pytest.mark.parametrize(
    ("values", "cost", "reasons"),
    [
        ({"price_per_person": None}, {}, ["the trip has no price"] * 2),
        ({}, None, ["no costs are recorded"] * 2),
        ({}, {"currency": "EUR"}, ["there are costs in EUR, not USD"] * 2),
        ({"passengers": 0, "capacity": None}, {}, ["nobody is booked", "the trip has no capacity"]),
    ],
)
def test_margin_that_cannot_be_told_says_why(values, cost, reasons):
    trip = factories.TripFactory(**{"price_per_person": 1000, "passengers": 1, **values})
    if cost is not None:
        factories.CostFactory(trip=trip, **cost)

    found = margins.margins_of(trip)

    assert [found.booked.unknown, found.full.unknown] == reasons


def test_margins_cost_two_queries(django_assert_num_queries):
    trip = group()
    for _ in range(3):
        factories.CostFactory(trip=trip)

    with django_assert_num_queries(2):
        margins.margins_of(trip)
