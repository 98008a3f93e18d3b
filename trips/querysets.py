"""Questions asked of trips and passengers, as chainable querysets named like the sentence they complete."""

from __future__ import annotations

from typing import Any, Self

from django.db import models
from django.db.models import Count, F, IntegerField, OuterRef, Subquery
from django.db.models.functions import Coalesce, Greatest

from trips.enums import SEATED


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

    def active(self) -> Self:
        return self.filter(archived_at__isnull=True)

    def overbooked(self) -> Self:
        """Trips with more people booked than seats; pulled data breaks this rule often."""
        return self.with_counts().filter(enrolled_count__gt=F("capacity"))

    def departing(self, *, first: Any, last: Any) -> Self:
        """Trips whose departure (arrival date, else start date) lies in the closed range."""
        return self.annotate(departure=Coalesce("arrival_date", "start_date")).filter(departure__range=(first, last))

    def ended_before(self, day: Any) -> Self:
        last = Coalesce(Greatest("return_date", "end_date"), "return_date", "end_date")
        return self.annotate(last_day=last).filter(last_day__lt=day)


class PassengerQuerySet(models.QuerySet[Any]):
    def seated(self) -> Self:
        return self.filter(attendance__in=SEATED)

    def unlinked(self) -> Self:
        """Passengers whose trip is not known; legal, and a work list."""
        return self.filter(trip__isnull=True)


def flagged(queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
    """The rows that break a staff rule, as stored with them."""
    return queryset.exclude(flags="").exclude(flags__isnull=True)
