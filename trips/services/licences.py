"""Licences: putting the names that are in use into the list, so that somebody can give them their days."""

from __future__ import annotations

import datetime as dt
from typing import Any

from trips.choices import live_values
from trips.dates import add_months
from trips.enums import SEATED, BatchKind
from trips.models import Batch, Licence, Passenger, Trip
from trips.papers.licences import NO_LICENCE, names_one
from trips.services.batches import recorded
from trips.text import fold_name

# 31 CFR 501.601: records are kept for ten years.
YEARS = 10


def names_without_licence() -> list[str]:
    """What the drop-down offers or a passenger names and the list lacks, each spelling of a name once."""
    known = set(Licence.objects.values_list("name_key", flat=True)) | {"", NO_LICENCE}
    used = Passenger.objects.exclude(licence="").order_by("licence").values_list("licence", flat=True).distinct()
    found: dict[str, str] = {}
    for name in [*live_values("passenger.licence"), *used]:
        key = fold_name(name)[:255]
        if key not in known:
            found.setdefault(key, name.strip())
    return list(found.values())


def add_names(*, by: Any) -> Batch | None:
    """One licence without days for each of them; the batch takes them back. None where there was nothing to add."""
    with recorded(kind=BatchKind.CHANGE, title="Licences from the names in use", by=by) as batch:
        for name in names_without_licence():
            batch.make(Licence(name=name))
    return batch.batch if batch.batch.pk else None


def kept_until(trip: Trip) -> dt.date | None:
    """The day until which the records of a trip under a licence are kept; None while its days are not known."""
    end = trip.ends_on or trip.departs_on
    return add_months(end, 12 * YEARS) if end else None


def has_record(passenger: Passenger, today: dt.date) -> bool:
    """Whether this traveller's record under a licence has to be kept today: they took part, and it is not over yet."""
    if not names_one(passenger.licence) or passenger.trip is None or passenger.attendance not in SEATED:
        return False
    until = kept_until(passenger.trip)
    return until is None or until >= today
