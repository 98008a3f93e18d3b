"""Licences: putting the names that are in use into the list, so that somebody can give them their days."""

from __future__ import annotations

from typing import Any

from trips.choices import live_values
from trips.enums import BatchKind
from trips.models import Batch, Licence, Passenger
from trips.papers.licences import NO_LICENCE
from trips.services.batches import recorded
from trips.text import fold_name


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
