"""What each passenger's payments come to, kept beside them for the lists that ask it of everybody."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import transaction
from django.db.models import Case, Count, Max, OuterRef, Subquery, Sum, Value, When
from django.db.models.functions import Coalesce
from django.db.models.lookups import GreaterThan

from trips.models import Passenger, Payment
from trips.querysets import MONEY, NOTHING, SEVERAL, cents, signed_amount


@transaction.atomic
def keep(passenger_ids: Iterable[int]) -> None:
    """Add up the payments of these passengers; called after each that was recorded, changed or deleted.

    They are held first: of two payments at once the later one must see the earlier one.
    """
    rows = Passenger._base_manager.filter(pk__in=sorted(passenger_ids)).order_by("pk")
    list(rows.select_for_update(no_key=True).values_list("pk"))
    recount(rows)


def recount(passengers: Any) -> None:
    """Add up the payments of all of these rows, in one statement."""
    payments = Payment._base_manager.filter(passenger=OuterRef("pk")).order_by().values("passenger")
    total = payments.annotate(total=Sum(signed_amount())).values("total")
    several = GreaterThan(Count("currency", distinct=True), 1)
    currency = payments.annotate(of_all=Case(When(several, then=Value(SEVERAL)), default=Max("currency"))).values(
        "of_all"
    )
    passengers.order_by().update(
        ledger_sum=cents(Coalesce(Subquery(total, output_field=MONEY), NOTHING, output_field=MONEY)),
        ledger_currency=Coalesce(Subquery(currency), Value("")),
    )
