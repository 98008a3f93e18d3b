"""A trip: one group, one departure."""

from __future__ import annotations

import datetime as dt

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Coalesce
from simple_history.models import HistoricalRecords

from trips.dates import add_months
from trips.enums import Status, TravelCategory, TripStage
from trips.expressions import last_day
from trips.models.base import Flagged, Keyed
from trips.querysets import TripQuerySet
from trips.text import fold_name, fold_search


def default_currency() -> str:
    return settings.TRIP_CURRENCY


class Trip(Keyed, Flagged):
    """What is sold and run. Money is Decimal in `currency`; dates are plain days of the destination."""

    derived = ("name", "name_key", "flags", "search_key")

    name = models.CharField(max_length=255)
    name_key = models.CharField(
        max_length=255, editable=False, db_index=True
    )  # read: linking by name, "same name" rule
    # Read: linking passengers by the other system's trip number.
    legacy_trip_id = models.BigIntegerField("legacy trip ID", null=True, blank=True, db_index=True)
    destination = models.CharField(max_length=120, blank=True)
    description = models.TextField(blank=True, help_text="Travellers may see this.")
    internal_notes = models.TextField(blank=True, help_text="Staff only.")

    start_date = models.DateField(null=True, blank=True)
    end_date = models.DateField(null=True, blank=True)
    arrival_date = models.DateField(null=True, blank=True)
    return_date = models.DateField(null=True, blank=True)
    nights_override = models.SmallIntegerField(
        "nights", null=True, blank=True, help_text="Leave empty to count them from the dates."
    )
    deposit_due = models.DateField(null=True, blank=True)
    final_payment_due = models.DateField(null=True, blank=True)

    capacity = models.SmallIntegerField(null=True, blank=True, help_text="Seats. Empty means no limit.")
    price_per_person = models.DecimalField(max_digits=10, decimal_places=2, null=True, blank=True)
    deposit_amount = models.DecimalField(max_digits=10, decimal_places=2, null=True, blank=True)
    currency = models.CharField(max_length=3, default=default_currency, help_text="ISO 4217, such as USD.")

    vendor = models.ForeignKey("trips.Vendor", on_delete=models.PROTECT, null=True, blank=True, related_name="trips")
    vendor_terms = models.TextField(blank=True)
    # The choices of these three are the known ones plus what the drop-downs of the day hold; the database checks none.
    travel_business = models.CharField(max_length=120, blank=True)
    lodging = models.CharField(max_length=120, blank=True)
    travel_category = models.CharField(max_length=120, blank=True, choices=TravelCategory.choices)
    lodging_notes = models.TextField(blank=True)
    lodging_checked_on = models.DateField(
        null=True,
        blank=True,
        help_text="The day on which the lodging was looked up in the list of prohibited accommodations.",
    )
    escort = models.CharField(
        max_length=200, blank=True, help_text="Who of the office goes along, where a licence asks for it."
    )

    stage = models.CharField(max_length=64, choices=TripStage.choices, default=TripStage.FORM_SUBMIT)
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.OPEN)
    organiser = models.ForeignKey(
        "trips.Contact",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="organised_trips",
        verbose_name="lead organiser",
        limit_choices_to={"merged_into__isnull": True},
    )
    archived_at = models.DateTimeField("archived", null=True, blank=True, editable=False)
    # Who without the permission to see every trip sees this one.
    leaders = models.ManyToManyField(
        settings.AUTH_USER_MODEL, through="trips.TripLeader", related_name="led_trips", blank=True, editable=False
    )

    # Folded, so that Dvorak finds Dvořák on every database. Read: the search of the lists, by parts in any order.
    search_key = models.TextField(blank=True, default="", editable=False)

    objects = TripQuerySet.as_manager()
    history = HistoricalRecords(excluded_fields=["search_key"])

    class Meta:
        ordering = [F("start_date").desc(nulls_last=True), "-pk"]
        indexes = [
            # The trip list and "departing soon": newest departure first.
            models.Index(Coalesce("arrival_date", "start_date").desc(), F("id").desc(), name="trip_departure"),
            # Trips that are not over, and their passengers; without it PostgreSQL takes them for a third of all.
            models.Index(last_day(), name="trip_last_day"),
            # The stage filter and the board.
            models.Index(fields=["stage"], name="trip_stage"),
            # The list filter "needs a look".
            models.Index(fields=["id"], condition=~Q(flags=""), name="trip_flagged"),
        ]
        permissions = [
            ("overbook_trip", "Can book more passengers than a trip has seats"),
            ("see_every_trip", "Sees every trip and whoever is on it, not only the trips they lead"),
        ]

    def __str__(self) -> str:
        return self.name or f"Trip {self.pk}"

    def derive(self) -> None:
        super().derive()
        self.name = self.name.strip()
        self.name_key = fold_name(self.name)[:255]
        self.search_key = fold_search(self.name, self.destination)

    @property
    def departs_on(self) -> dt.date | None:
        """The day the group leaves: arrival at the destination, else the start."""
        return self.arrival_date or self.start_date

    @property
    def ends_on(self) -> dt.date | None:
        """The day passports must outlive: the later of return and end."""
        return max((day for day in (self.return_date, self.end_date) if day), default=None)

    @property
    def passports_needed_until(self) -> dt.date | None:
        """The first day on which a traveller's passport may expire: the end plus the configured months."""
        return add_months(self.ends_on, settings.PASSPORT_VALIDITY_MONTHS) if self.ends_on else None

    @property
    def nights(self) -> int | None:
        """Nights as stated, else counted from arrival/start to return/end; None without both ends."""
        if self.nights_override is not None:
            return self.nights_override
        first, last = self.departs_on, self.return_date or self.end_date
        if first is None or last is None or last < first:
            return None
        return (last - first).days
