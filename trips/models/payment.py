"""Money received and given back. Local: it stays in the operator's books."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from simple_history.models import HistoricalRecords

from trips.enums import PaymentKind, PaymentMethod
from trips.models.base import Stamped
from trips.models.trip import default_currency
from trips.money import money


class Payment(Stamped):
    passenger = models.ForeignKey("trips.Passenger", on_delete=models.PROTECT, related_name="payments")
    kind = models.CharField(max_length=16, choices=PaymentKind.choices, default=PaymentKind.PAYMENT)
    amount = models.DecimalField(max_digits=10, decimal_places=2)
    currency = models.CharField(max_length=3, default=default_currency)
    paid_on = models.DateField()
    method = models.CharField(max_length=16, choices=PaymentMethod.choices, default=PaymentMethod.TRANSFER)
    reference = models.CharField(max_length=120, blank=True)

    history = HistoricalRecords()

    class Meta:
        ordering = ["-paid_on", "-pk"]
        indexes = [
            # Read: what a passenger has paid, added up for each row of a list from the index alone.
            models.Index(fields=["passenger", "currency", "kind", "amount"], name="payment_balance"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(amount__gt=0),
                name="payment_amount_positive",
                violation_error_message="The amount must be greater than 0; record money given back as a refund.",
            ),
            models.UniqueConstraint(
                fields=["passenger", "reference"],
                condition=~Q(reference=""),
                name="payment_reference_once_per_passenger",
                violation_error_message="This passenger has a payment with this reference already.",
            ),
        ]

    def __str__(self) -> str:
        return money(self.amount, self.currency)
