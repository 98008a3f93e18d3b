"""What a trip earns after its suppliers are paid, for as many people as are booked and as there are seats."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from trips.enums import SEATED, CostBasis
from trips.models import Cost, Trip


@dataclass(frozen=True, slots=True)
class Margin:
    """In the currency of the trip. `unknown` says why there is none; the amounts are 0 then."""

    heads: int = 0
    income: Decimal = Decimal(0)
    cost: Decimal = Decimal(0)
    unknown: str = ""

    @property
    def profit(self) -> Decimal:
        return self.income - self.cost

    @property
    def percent(self) -> int | None:
        """Of the income; None where there is none."""
        return round(self.profit * 100 / self.income) if self.income else None


@dataclass(frozen=True, slots=True)
class Margins:
    booked: Margin
    full: Margin


def margins_of(trip: Trip) -> Margins:
    """Both margins, with two queries."""
    costs = list(trip.costs.all())
    booked = trip.passengers.filter(attendance__in=SEATED).count()
    return Margins(
        margin(trip, costs, booked, "nobody is booked"), margin(trip, costs, trip.capacity, "the trip has no capacity")
    )


def margin(trip: Trip, costs: Collection[Cost | Any], heads: int | None, nobody: str) -> Margin:
    """The margin with `heads` people, or why there is none; `nobody` is the reason where there are no heads."""
    unknown = _why_unknown(trip, costs)
    if unknown or not heads or heads < 1:
        return Margin(unknown=unknown or nobody)
    price = trip.price_per_person or Decimal(0)
    cost = sum((entry.amount * (heads if entry.basis == CostBasis.PER_PERSON else 1) for entry in costs), Decimal(0))
    return Margin(heads, price * heads, cost)


def _why_unknown(trip: Trip, costs: Collection[Cost | Any]) -> str:
    if trip.price_per_person is None:
        return "the trip has no price"
    if not costs:
        return "no costs are recorded"
    others = sorted({cost.currency for cost in costs} - {trip.currency})
    return f"there are costs in {' and '.join(others)}, not {trip.currency}" if others else ""
