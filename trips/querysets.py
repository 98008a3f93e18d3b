"""Questions asked of trips and passengers, as chainable querysets named like the sentence they complete."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any, Self

from django.db import models
from django.db.models import (
    Case,
    Count,
    DateField,
    DecimalField,
    F,
    IntegerField,
    OuterRef,
    Q,
    Subquery,
    Sum,
    When,
)
from django.db.models.functions import Coalesce, Greatest, Round

from trips import gaps
from trips.enums import FAILED, SEATED, PaymentKind, TripStage
from trips.expressions import ExistsForEach, departs_on, ends_on, last_day

MONEY: DecimalField[Any, Any] = DecimalField(max_digits=14, decimal_places=2)
NOTHING = Decimal(0)
# Stands for the currency of a passenger's ledger that has several.
SEVERAL = "***"


def signed_amount() -> Case:
    """A payment's amount, below 0 for a refund."""
    return Case(When(kind=PaymentKind.REFUND, then=-F("amount")), default=F("amount"), output_field=MONEY)


def cents(amount: Any) -> Round:
    """An amount to the cent: SQLite adds decimals up as floats, and 0.00000001 is no debt."""
    return Round(amount, precision=2, output_field=MONEY)


class ContactQuerySet(models.QuerySet[Any]):
    def standing(self) -> Self:
        """Without the duplicates that were merged into another contact."""
        return self.filter(merged_into__isnull=True)

    def of_key(self, key: Any) -> Any:
        """The contact with this key, or the one that it was merged into; None for an unknown key."""
        found = self.filter(uid=key).select_related("merged_into").first()
        return found and (found.merged_into or found)


class TripQuerySet(models.QuerySet[Any]):
    def with_counts(self) -> Self:
        """Adds `enrolled_count`: passengers booked, not cancelled or waitlisted."""
        # A subquery, not a join: other annotations and filters on the list then can't multiply the rows.
        seated = (
            self.model._meta.get_field("passengers")
            .related_model._base_manager.filter(trip=OuterRef("pk"), attendance__in=SEATED)
            .order_by()
            .values("trip")
            .annotate(n=Count("pk"))
            .values("n")
        )
        return self.annotate(enrolled_count=Coalesce(Subquery(seated, output_field=IntegerField()), 0))

    def with_money(self) -> Self:
        """Adds `expected` (None without a price), `paid` and `outstanding`, all in the trip's currency.

        Paid counts everyone's money, that of the cancelled too; outstanding is what those booked still owe, so one
        person's overpayment settles nobody else's debt.
        """
        people = self.model._meta.get_field("passengers").related_model._default_manager.filter(trip=OuterRef("pk"))
        payments = _payments_of(people.model).filter(passenger__trip=OuterRef("pk"), currency=OuterRef("currency"))
        paid = payments.values("passenger__trip").annotate(total=Sum(signed_amount())).values("total")
        # Not `with_balance`: SQLite gives up on expressions that are nested so deep.
        booked = people.filter(attendance__in=SEATED).with_paid().annotate(left=cents(F("price") - F("paid")))
        owed = booked.filter(left__gt=0).order_by().values("trip").annotate(total=Sum("left")).values("total")
        return self.with_counts().annotate(
            expected=cents(F("price_per_person") * F("enrolled_count")),
            paid=cents(Coalesce(Subquery(paid, output_field=MONEY), NOTHING, output_field=MONEY)),
            outstanding=Case(
                When(price_per_person__isnull=True, then=None),
                default=cents(Coalesce(Subquery(owed, output_field=MONEY), NOTHING, output_field=MONEY)),
                output_field=MONEY,
            ),
        )

    def active(self) -> Self:
        return self.filter(archived_at__isnull=True)

    def overbooked(self) -> Self:
        """Trips with more people booked than seats; pulled data breaks this rule often."""
        return self.with_counts().filter(enrolled_count__gt=F("capacity"))

    def departing(self, *, first: Any, last: Any) -> Self:
        """Trips whose departure (arrival date, else start date) lies in the closed range."""
        return self.annotate(departure=departs_on()).filter(departure__range=(first, last))

    def ended_before(self, day: Any) -> Self:
        return self.annotate(last_day=ends_on()).filter(last_day__lt=day)

    def going(self) -> Self:
        """Trips that take place: not archived, not lost or abandoned."""
        return self.active().exclude(status__in=FAILED)

    def undated(self) -> Self:
        """Trips of which nobody knows when they leave."""
        return self.filter(start_date__isnull=True, arrival_date__isnull=True)

    def upcoming(self, today: dt.date) -> Self:
        """Trips that take place and are not over; one without dates may still come."""
        # Not `exclude`: without a day its question is answered by NULL, and such a trip would be left out.
        to_come = Q(_last_day__gte=today) | Q(_last_day__isnull=True)
        return self.going().alias(_last_day=last_day()).filter(to_come)

    def ended_open(self, today: dt.date) -> Self:
        """Trips that are over and were not closed."""
        return self.going().ended_before(today).exclude(stage=TripStage.TRIP_COMPLETE)

    def not_ready(self, today: dt.date) -> Self:
        """Upcoming trips without an organiser or with a booked passenger who still lacks something."""
        people = self.model._meta.get_field("passengers").related_model._base_manager
        on_it = people.filter(trip=OuterRef("pk"))
        wanting = Q(organiser__isnull=True)
        for gap in gaps.GAPS:
            wanting |= Q(ExistsForEach(gaps.lacking(on_it, gap.code, today)))
        return self.upcoming(today).filter(wanting)


class PassengerQuerySet(models.QuerySet[Any]):
    def upcoming(self, today: dt.date) -> Self:
        """Passengers of trips that take place and are not over."""
        trips = self.model._meta.get_field("trip").related_model._default_manager
        return self.filter(trip__in=trips.upcoming(today).order_by().values("pk"))

    def departing(self, *, first: dt.date, last: dt.date) -> Self:
        """Passengers whose trip leaves in the closed range."""
        return self.annotate(_departure=departs_on("trip__")).filter(_departure__range=(first, last))

    def ended_before(self, day: dt.date) -> Self:
        return self.annotate(_last_day=ends_on("trip__")).filter(_last_day__lt=day)

    def going(self) -> Self:
        """Passengers of trips that take place."""
        return self.filter(trip__isnull=False, trip__archived_at__isnull=True).exclude(trip__status__in=FAILED)

    def lacking(self, code: str, today: dt.date) -> Self:
        """Those booked who have the gap `code` of `trips.gaps`."""
        return gaps.lacking(self, code, today)

    def with_gaps(self, today: dt.date, among: Q | None = None) -> Self:
        return gaps.with_gaps(self, today, among)

    def with_documents(self) -> Self:
        """Adds `documents_held`: how many of the required kinds are handed in or waived."""
        return gaps.with_documents(self)

    def seated(self) -> Self:
        return self.filter(attendance__in=SEATED)

    def unlinked(self) -> Self:
        """Passengers whose trip is not known; legal, and a work list."""
        return self.filter(trip__isnull=True)

    def with_paid(self) -> Self:
        """Adds `price` and `paid`, in the currency of the trip; money in another one is left out."""
        payments = _payments_of(self.model).filter(passenger=OuterRef("pk"), currency=OuterRef("trip__currency"))
        total = payments.values("passenger").annotate(total=cents(Sum(signed_amount()))).values("total")
        return self.annotate(
            price=F("trip__price_per_person"),
            paid=Case(
                When(ledger_currency=F("trip__currency"), then=F("ledger_sum")),
                # Added up anew only for those few who paid in more than one currency.
                When(ledger_currency=SEVERAL, then=Coalesce(Subquery(total, output_field=MONEY), NOTHING)),
                default=NOTHING,
                output_field=MONEY,
            ),
        )

    def with_balance(self) -> Self:
        """Adds `balance` beside `price` and `paid`.

        Who is cancelled or waits owes nothing, so what they paid is to be given back: their balance is 0 or below.
        Without a trip, or booked on one without a price, it is None.
        """
        return self.with_paid().annotate(
            balance=Case(
                When(trip__isnull=True, then=None),
                When(attendance__in=SEATED, then=cents(F("price") - F("paid"))),
                default=-F("paid"),
                output_field=MONEY,
            ),
        )

    def with_overdue(self, today: Any) -> Self:
        """Adds `overdue_since` beside the balance: the first due date that passed before what it asks for was paid."""
        lacks_deposit = Q(trip__deposit_due__lt=today, paid__lt=F("trip__deposit_amount"))
        lacks_rest = Q(trip__final_payment_due__lt=today, balance__gt=0)
        asked = Q(attendance__in=SEATED, trip__archived_at__isnull=True) & ~Q(trip__status__in=FAILED)
        return self.with_balance().annotate(
            overdue_since=Case(
                When(asked & lacks_deposit, then=F("trip__deposit_due")),
                When(asked & lacks_rest, then=F("trip__final_payment_due")),
                default=None,
                output_field=DateField(),
            )
        )

    def overdue(self, today: Any) -> Self:
        """Booked on a trip that goes on, and behind with the deposit or the final payment."""
        due = Q(trip__deposit_due__lt=today) | Q(trip__final_payment_due__lt=today)
        # Says the same as `overdue_since` in one comparison instead of three for each row.
        asked = Greatest(
            _where(Q(trip__deposit_due__lt=today), "trip__deposit_amount"),
            _where(Q(trip__final_payment_due__lt=today), "trip__price_per_person"),
        )
        return self.going().filter(due, attendance__in=SEATED).with_overdue(today).filter(paid__lt=asked)

    def owing(self) -> Self:
        """Booked, and not all of the price is paid."""
        return self.filter(attendance__in=SEATED).with_balance().filter(balance__gt=0)

    def to_give_back(self) -> Self:
        """Those who paid more than they have to, or cancelled after paying."""
        # Without a payment there is nothing to give back.
        return self.exclude(ledger_currency="").with_balance().filter(balance__lt=0)


def _where(condition: Q, amount: str) -> Coalesce:
    """The amount where the condition holds and there is one, else 0."""
    return Coalesce(
        Case(When(condition, then=F(amount)), default=None, output_field=MONEY), NOTHING, output_field=MONEY
    )


def _payments_of(passengers: type[models.Model]) -> Any:
    """All payments, reached from the model of passengers, in no order."""
    return passengers._meta.get_field("payments").related_model._base_manager.order_by()  # type: ignore[union-attr]


def flagged(queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
    """The rows that break a staff rule, as stored with them."""
    return queryset.exclude(flags="").exclude(flags__isnull=True)
