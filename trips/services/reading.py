"""Notes in the read log. Whoever hands out what is sensitive calls `note` first: what cannot be noted is not shown."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import transaction
from django.http import HttpRequest

from trips.client_address import client_address
from trips.enums import ReadKind, ReadReason
from trips.models import ReadEntry, ReadPerson

# Rows of an export go in by so many.
BATCH = 5_000
LONGEST = 300
# What an entry's `shows` may name; everything else is read without saying what for.
SENSITIVE = ("trips.passport", "trips.healthrecord")


def note(
    request: HttpRequest,
    kind: ReadKind,
    *,
    shows: Iterable[str] = (),
    people: Iterable[int] = (),
    what: str = "",
    reason: ReadReason | str = "",
) -> ReadEntry:
    """One entry of the account and address behind `request`.

    `shows` names the models of which values were shown, of which those of SENSITIVE are kept; `people` the passengers
    by id; `what` the report, file or term in words, never a value.
    """
    user: Any = request.user
    passengers, shown = list(dict.fromkeys(people)), set(shows)
    with transaction.atomic():
        entry = ReadEntry.objects.create(
            user=user,
            address=client_address(request),
            kind=kind,
            shows=" ".join(model for model in SENSITIVE if model in shown),
            reason=reason,
            what=what[:LONGEST],
            people=len(passengers),
        )
        ReadPerson.objects.bulk_create(
            (ReadPerson(entry=entry, passenger_id=pk) for pk in passengers), batch_size=BATCH
        )
    return entry
