"""Licences that travellers travel under, as dated data: what was allowed on the days of a trip, not what is today."""

from __future__ import annotations

import datetime as dt

from django.db import models
from simple_history.models import HistoricalRecords

from trips.models.base import Stamped
from trips.text import fold_name


class Licence(Stamped):
    """One period of a licence. One that was taken away and came back stands here twice, each with its days.

    A passenger names a licence by its words, as the drop-down elsewhere does; `name_key` finds the rows of that name.
    """

    derived = ("name", "name_key")

    name = models.CharField(
        max_length=255, help_text="As the drop-down of passengers spells it; dashes, blanks and capitals do not matter."
    )
    name_key = models.CharField(max_length=255, editable=False, db_index=True)  # read: the licence a passenger names
    citation = models.CharField(max_length=120, blank=True, help_text="Where the law has it, such as 31 CFR 515.574.")
    valid_from = models.DateField(null=True, blank=True, help_text="The first day. Empty means always so far.")
    valid_until = models.DateField(null=True, blank=True, help_text="The last day. Empty means until further notice.")
    needs_escort = models.BooleanField(
        "needs an escort", default=False, help_text="Somebody of the office's has to go with the group."
    )
    needs_schedule = models.BooleanField(
        "needs a full-time schedule", default=False, help_text="Each traveller keeps the programme of every day."
    )
    conditions = models.TextField(blank=True, help_text="What else it asks for, in the office's words.")

    history = HistoricalRecords()

    class Meta:
        ordering = ["name", "valid_from", "pk"]

    def __str__(self) -> str:
        return self.name

    def derive(self) -> None:
        super().derive()
        self.name = self.name.strip()
        self.name_key = fold_name(self.name)[:255]

    def holds_on(self, day: dt.date) -> bool:
        return (self.valid_from is None or self.valid_from <= day) and (
            self.valid_until is None or day <= self.valid_until
        )
