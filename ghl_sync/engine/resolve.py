"""What a person asks of the sync: a fresh look, a yes to sensitive data, the trip that a passenger belongs to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import models, transaction

from ghl_sync.engine import state
from ghl_sync.engine.clock import database_now
from ghl_sync.models import Cause, Kind, Link, Location
from trips.models import HealthRecord, Passenger, Passport, Trip

# So many passengers are linked in one transaction: nobody else's save waits long for it.
CHUNK = 100


def link_for(obj: models.Model) -> Link:
    """The object's link, made when no save has ever reported the object."""
    return state.ensure_link(obj, str(obj))


def ask_for(link: Link) -> None:
    """ "Sync now": both sides are read afresh, without waiting for a back-off to pass."""
    state.ask_for(link)


def confirm_sensitive(location: Location, user: Any) -> int:
    """From now on passports and health records are written too; returns how many passengers that concerns.

    Each of them is compared once more. As after a new option, what could not be sent before may go now;
    one whose values are equal costs no call.
    """
    with transaction.atomic():
        state.remember_location(location, sensitive_confirmed_at=database_now(), sensitive_confirmed_by=user)
        ids = set(Passport.objects.values_list("passenger_id", flat=True))
        ids |= set(HealthRecord.objects.values_list("passenger_id", flat=True))
        return state.record_changes(Kind.PASSENGER, sorted(ids), cause=Cause.OPTION)


def assign_trip(passenger_ids: Iterable[int], trip: Trip) -> int:
    """Put passengers that have no trip on this one; returns how many. One that got a trip meanwhile keeps it."""
    ids = sorted(passenger_ids)
    return sum(_assign(ids[start : start + CHUNK], trip) for start in range(0, len(ids), CHUNK))


def _assign(ids: list[int], trip: Trip) -> int:
    with transaction.atomic():
        passengers = list(Passenger.objects.unlinked().select_for_update().filter(pk__in=ids).order_by("pk"))
        for passenger in passengers:
            passenger.trip, passenger.trip_name_raw, passenger.trip_id_raw = trip, "", None
            passenger.save(update_fields=["trip", "trip_name_raw", "trip_id_raw"])
    return len(passengers)
