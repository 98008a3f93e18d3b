"""What the payments of a passenger come to is right after whatever was done to them, and after whatever was saved."""

from __future__ import annotations

import random
import threading
from decimal import Decimal
from importlib import import_module

import pytest
from django.apps import apps
from django.db import connection

from tests import factories
from trips.enums import PaymentKind
from trips.models import Passenger, Payment
from trips.querysets import SEVERAL
from trips.services import ledger

pytestmark = pytest.mark.django_db


def kept(passenger: Passenger) -> tuple[Decimal, str]:
    return Passenger.objects.values_list("ledger_sum", "ledger_currency").get(pk=passenger.pk)


def added_up(passenger: Passenger) -> tuple[Decimal, str]:
    rows = list(passenger.payments.all())
    total = sum((-row.amount if row.kind == PaymentKind.REFUND else row.amount for row in rows), Decimal(0))
    currencies = {row.currency for row in rows}
    return total, SEVERAL if len(currencies) > 1 else "".join(currencies)


def test_whatever_is_done_to_payments_the_ledger_says_what_they_come_to():
    draw = random.Random(11)
    people = factories.PassengerFactory.create_batch(3)
    for _step in range(60):
        payments = list(Payment.objects.order_by("pk"))
        act = draw.choice(("pay", "pay", "refund", "change", "give", "delete", "delete all"))
        if act in {"pay", "refund"} or not payments:
            kind = PaymentKind.REFUND if act == "refund" else PaymentKind.PAYMENT
            amount, currency = Decimal(draw.randrange(1, 99999)) / 100, draw.choice(("USD", "USD", "EUR"))
            factories.PaymentFactory(passenger=draw.choice(people), amount=amount, currency=currency, kind=kind)
        elif act == "change":
            payment = draw.choice(payments)
            payment.amount += 1
            payment.save(update_fields=["amount"])
        elif act == "give":
            payment = draw.choice(payments)
            payment.passenger = draw.choice(people)
            payment.save()
        elif act == "delete":
            draw.choice(payments).delete()
        elif draw.random() < 0.2:
            draw.choice(people).payments.all().delete()
        assert [kept(one) for one in people] == [added_up(one) for one in people]


def test_a_passenger_read_before_a_payment_and_saved_after_it_leaves_the_ledger_alone():
    passenger = factories.PassengerFactory()
    read_before = Passenger.objects.get(pk=passenger.pk)
    part = Passenger.objects.only("preferred_name").get(pk=passenger.pk)
    factories.PaymentFactory(passenger=passenger, amount=Decimal(500), currency="USD")

    read_before.preferred_name = "Addie"
    read_before.save()
    part.save()

    assert (kept(passenger), Passenger.objects.get().preferred_name) == ((Decimal(500), "USD"), "")


def test_money_in_several_currencies_counts_as_far_as_it_is_the_trip_s():
    passenger = factories.PassengerFactory(trip__price_per_person=Decimal(1000), trip__currency="USD")
    for amount, currency in ((300, "USD"), (200, "EUR"), (50, "USD")):
        factories.PaymentFactory(passenger=passenger, amount=Decimal(amount), currency=currency)

    found = Passenger.objects.with_balance().get()

    assert (found.ledger_currency, found.paid, found.balance) == (SEVERAL, Decimal(350), Decimal(650))


def test_the_upgrade_fills_what_there_is():
    passenger, other = factories.PassengerFactory.create_batch(2)
    factories.PaymentFactory(passenger=passenger, amount=Decimal("10.10"), currency="EUR")
    factories.PaymentFactory(passenger=passenger, amount=Decimal("0.20"), currency="EUR", kind=PaymentKind.REFUND)
    Passenger.objects.update(ledger_sum=0, ledger_currency="")

    import_module("trips.migrations.0024_keep_ledgers").fill(apps, None)

    assert (kept(passenger), kept(other)) == ((Decimal("9.90"), "EUR"), (Decimal(0), ""))


def test_all_ledgers_can_be_counted_anew():
    passenger = factories.PaymentFactory(amount=Decimal(7), currency="USD").passenger
    Passenger.objects.update(ledger_sum=99, ledger_currency="EUR")

    ledger.recount(Passenger.objects.all())

    assert kept(passenger) == (Decimal(7), "USD")


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite has one writer at a time")
def test_two_payments_at_once_are_both_in_it():
    passenger = factories.PassengerFactory()
    ready = threading.Barrier(2)

    def pay() -> None:
        try:
            ready.wait(10)
            factories.PaymentFactory(passenger=passenger, amount=Decimal(5), currency="USD")
        finally:
            connection.close()

    for _round in range(10):
        payers = [threading.Thread(target=pay) for _ in range(2)]
        for payer in payers:
            payer.start()
        for payer in payers:
            payer.join()

    assert kept(passenger) == (Decimal(100), "USD")
