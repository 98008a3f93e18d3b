"""Who leads a trip, which is who sees it without seeing every one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import transaction

from trips.models import Trip, TripLeader


def assign(*, trip: Trip, leaders: Iterable[Any], by: Any) -> None:
    """These accounts lead the trip from now on, and no others. Each change is a row of its own in the history."""
    wanted = {user.pk for user in leaders}
    with transaction.atomic():
        for row in trip.leading.exclude(user__in=wanted):
            _of(row, by).delete()
        for user in sorted(wanted - {*trip.leading.values_list("user", flat=True)}):
            _of(TripLeader(trip=trip, user_id=user), by).save()


def _of(row: Any, by: Any) -> Any:
    row._history_user = by
    return row
