"""What suppliers are paid for a trip. Local, and for finance alone: its own permissions decide who sees it."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from simple_history.models import HistoricalRecords

from trips.enums import CostBasis
from trips.models.base import Stamped
from trips.models.trip import default_currency
from trips.money import money


class Cost(Stamped):
    trip = models.ForeignKey("trips.Trip", on_delete=models.CASCADE, related_name="costs")
    vendor = models.ForeignKey("trips.Vendor", on_delete=models.PROTECT, null=True, blank=True, related_name="costs")
    what = models.CharField(max_length=200, help_text="Such as hotel, 7 nights, or the guide.")
    amount = models.DecimalField(max_digits=10, decimal_places=2)
    currency = models.CharField(max_length=3, default=default_currency)
    basis = models.CharField(max_length=16, choices=CostBasis.choices, default=CostBasis.PER_PERSON)
    note = models.CharField(max_length=255, blank=True)

    history = HistoricalRecords()

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(amount__gt=0),
                name="cost_amount_positive",
                violation_error_message="The amount of a cost must be greater than 0.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.what}, {money(self.amount, self.currency)} {self.get_basis_display().lower()}"
