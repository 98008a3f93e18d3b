"""The life of a trip as a whole: copied, put away and taken out again (vendors, too)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from django.db import transaction
from django.utils import timezone

from trips.models import Trip, Vendor

# What a copy starts with: the terms of the trip, not its people, notes, progress or numbers of other systems.
TERMS = (
    "destination",
    "description",
    "nights_override",
    "capacity",
    "price_per_person",
    "deposit_amount",
    "currency",
    "vendor",
    "vendor_terms",
    "travel_business",
    "lodging",
    "travel_category",
    "lodging_notes",
    "organiser",
)
DATES = ("end_date", "arrival_date", "return_date", "deposit_due", "final_payment_due")


def draft_copy(*, trip: Trip, name: str, start_date: dt.date | None) -> Trip:
    """An unsaved trip with the terms of `trip`; its other dates keep their distance from the start.

    Without both starts there is no distance, and the other dates stay empty.
    """
    copy = Trip(name=name, start_date=start_date, **{field: getattr(trip, field) for field in TERMS})
    if start_date is not None and trip.start_date is not None:
        moved = start_date - trip.start_date
        for field in DATES:
            day = getattr(trip, field)
            setattr(copy, field, day + moved if day else None)
    return copy


def archive(*, rows: Iterable[Trip | Vendor]) -> int:
    """Archive those that are not yet; how many were."""
    return _set_archived(rows, archived=True)


def unarchive(*, rows: Iterable[Trip | Vendor]) -> int:
    """Take the archived ones back; how many were."""
    return _set_archived(rows, archived=False)


def _set_archived(rows: Iterable[Trip | Vendor], *, archived: bool) -> int:
    now = timezone.now()
    with transaction.atomic():
        due = [row for row in rows if (row.archived_at is not None) != archived]
        for row in due:
            row.archived_at = now if archived else None
            row.save(update_fields=["archived_at"])
    return len(due)
