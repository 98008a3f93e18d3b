"""Money of passengers: recording and giving back, what is due next, and a new trip's due dates.

The rules of a payment are in `trips.rules`; the form shows them beside the field, these verbs raise them. Both hold
the passenger meanwhile, so that two people at once cannot give the same money back twice.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import formats, timezone

from trips import rules
from trips.enums import SEATED, PaymentKind
from trips.models import Passenger, Payment, Trip
from trips.money import money


class PaymentRefused(ValidationError):
    """The payment cannot be; the messages say why."""


def hold_payer(passenger_id: int) -> None:
    """Whoever records or gives back money of this passenger meanwhile waits for this transaction to end."""
    list(Passenger.objects.select_for_update(no_key=True).filter(pk=passenger_id).order_by().values_list("pk"))


def record(*, payment: Payment, columns: Collection[str] | None = None) -> Payment:
    """Save a payment or refund, all of it or `columns`. Raises PaymentRefused with what is wrong."""
    with transaction.atomic():
        hold_payer(payment.passenger_id)
        _refuse_the_impossible(payment, columns)
        payment.save(update_fields=columns)
    return payment


def refund(*, passenger: Passenger, amount: Decimal, paid_on: dt.date, **values: Any) -> Payment:
    """Give money back in the currency of the passenger's trip; not more than was paid."""
    currency = passenger.trip.currency if passenger.trip else settings.TRIP_CURRENCY
    given = {"currency": currency, **values, "amount": amount, "paid_on": paid_on, "kind": PaymentKind.REFUND}
    return record(payment=Payment(passenger=passenger, **given))


def _refuse_the_impossible(payment: Payment, columns: Collection[str] | None) -> None:
    try:
        payment.clean_fields(exclude=_untouched(payment, columns))
    except ValidationError as error:
        raise PaymentRefused(error.messages) from error
    broken = [entry for entry in rules.violations(payment, columns) if entry.blocking]
    if broken:
        raise PaymentRefused([entry.sentence for entry in broken])


def _untouched(payment: Payment, columns: Collection[str] | None) -> set[str]:
    names = {field.name for field in payment._meta.fields}
    return set() if columns is None else names - {*columns}


@dataclass(frozen=True, slots=True)
class Due:
    """What a passenger is asked for next, or gets back; both amounts in the currency of the trip."""

    amount: Decimal | None
    back: Decimal | None
    currency: str
    sentence: str


def what_is_due(passenger: Passenger, today: dt.date | None = None) -> Due:
    """The deposit until it is paid, then the rest; all of it at once when the final payment is late.

    `passenger` comes from `with_balance()` with its trip.
    """
    row: Any = passenger
    trip = passenger.trip
    if trip is None:
        return Due(None, None, settings.TRIP_CURRENCY, "Not linked to a trip, so nothing is known to be due.")
    if passenger.attendance not in SEATED:
        return _of_the_absent(row, trip)
    lacking = _lacking_deposit(row, trip, today or timezone.localdate())
    if lacking:
        return Due(lacking, None, trip.currency, f"{_paid(row, trip)} Deposit due{_by(trip.deposit_due)}.")
    if row.balance is None:
        return Due(None, None, trip.currency, f"{trip} has no price, so nothing is known to be due. {_paid(row, trip)}")
    if row.balance > 0:
        return Due(row.balance, None, trip.currency, f"{_paid(row, trip)} All due{_by(trip.final_payment_due)}.")
    back = -row.balance or None
    return Due(None, back, trip.currency, f"{_paid(row, trip)} {_back(back, trip)}")


def _of_the_absent(row: Any, trip: Trip) -> Due:
    back = row.paid if row.paid > 0 else None
    return Due(None, back, trip.currency, f"{row.get_attendance_display()} on {trip}. {_back(back, trip)}")


def _back(back: Decimal | None, trip: Trip) -> str:
    return f"To give back: {money(back, trip.currency)}." if back else "Nothing is due."


def _lacking_deposit(row: Any, trip: Trip, today: dt.date) -> Decimal | None:
    """What is missing of the deposit, where it is still the deposit that is asked for."""
    asked = trip.deposit_amount
    if asked is None or (trip.final_payment_due and trip.final_payment_due < today and row.balance is not None):
        return None
    if trip.price_per_person is not None:
        asked = min(asked, trip.price_per_person)
    return asked - row.paid if row.paid < asked else None


def _paid(row: Any, trip: Trip) -> str:
    if row.balance is None:
        return f"Paid {money(row.paid, trip.currency)}."
    owes = f"owes {money(row.balance, trip.currency)}" if row.balance >= 0 else "paid too much"
    return f"{trip}: price {money(row.price)}, paid {money(row.paid)}, {owes}."


def _by(due: dt.date | None) -> str:
    return f" by {formats.date_format(due, 'j M Y')}" if due else ""


def fill_due_dates(*, trip: Trip, today: dt.date | None = None) -> list[str]:
    """Give a trip that is about to be saved the due dates that are empty, counted back from its start; which ones.

    A day that has passed becomes today, and one that was typed is neither changed nor contradicted.
    """
    start = min((day for day in (trip.start_date, trip.arrival_date) if day), default=None)
    filled: list[str] = []
    if start is None:
        return filled
    now = min(today or timezone.localdate(), start)
    for name, days in (
        ("deposit_due", settings.TRIP_DEPOSIT_DAYS_BEFORE),
        ("final_payment_due", settings.TRIP_FINAL_DAYS_BEFORE),
    ):
        if days is not None and getattr(trip, name) is None:
            setattr(trip, name, max(start - dt.timedelta(days=days), now))
            filled.append(name)
    _keep_the_order(trip, filled)
    return filled


def _keep_the_order(trip: Trip, filled: Collection[str]) -> None:
    """A computed deposit is not due after the typed final payment, nor a computed final payment before the deposit."""
    if trip.deposit_due is None or trip.final_payment_due is None or trip.deposit_due <= trip.final_payment_due:
        return
    if "final_payment_due" in filled:
        trip.final_payment_due = trip.deposit_due
    elif "deposit_due" in filled:
        trip.deposit_due = trip.final_payment_due
