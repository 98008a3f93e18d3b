"""Moving many trips or passengers to a stage: who is ready for it, who is not and why."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any

from django.db import transaction

from trips.accounts import name_of
from trips.enums import FAILED, Attendance, BatchKind, PassengerStage, TripStage
from trips.gaps import GAPS
from trips.models import Passenger, Trip
from trips.services.plans import Done, Plan, Skip, Step, carry_out, without

# The stages that say that a traveller has everything, or that the days of a trip are fixed.
COMPLETE: tuple[str, ...] = (PassengerStage.TRIP_READY,)
DATED: tuple[str, ...] = (TripStage.TRIP_SCHEDULED,)
REASON = "reason"


class MovedMeanwhile(Exception):
    """The row stands elsewhere than the person saw it; the words say where, and who moved it as far as is known."""


def passengers_to_stage(
    *, passengers: Sequence[Passenger], stage: str, today: dt.date, may_know: Callable[[str], bool]
) -> Plan:
    """`may_know` tells whether the person may know of data of a permission: a gap in other data is not looked at."""
    label = PassengerStage(stage).label
    skips = [Skip(one, reason) for one in passengers if (reason := _hindrance(one, stage))]
    if stage in COMPLETE:
        skips += _not_ready(without(passengers, skips), today, may_know)
    steps = [Step(one, {"stage": stage}) for one in without(passengers, skips)]
    return Plan(BatchKind.STAGE, f"Passengers to “{label}”", steps, skips)


def _hindrance(passenger: Passenger, stage: str) -> str:
    if passenger.attendance == Attendance.CANCELLED:
        return "The booking is cancelled."
    if passenger.stage == stage:
        return "Already there."
    if stage in COMPLETE and passenger.trip_id is None:
        return "Not on a trip."
    if stage in COMPLETE and passenger.attendance == Attendance.WAITLISTED:
        return "On the waiting list."
    return ""


def _not_ready(passengers: Sequence[Passenger], today: dt.date, may_know: Callable[[str], bool]) -> list[Skip]:
    seen = [gap for gap in GAPS if may_know(gap.permission)]
    rows: Any = Passenger.objects.filter(pk__in=[one.pk for one in passengers]).with_gaps(today)
    found = {row.pk: [gap.short for gap in seen if getattr(row, f"gap_{gap.code}")] for row in rows}
    return [Skip(one, f"Not ready: {', '.join(lacks)}.") for one in passengers if (lacks := found.get(one.pk))]


def unseen_gaps(may_know: Callable[[str], bool]) -> list[str]:
    """What is not looked at when this person moves somebody to a stage that asks for everything."""
    return [gap.short for gap in GAPS if not may_know(gap.permission)]


def trips_to_stage(*, trips: Sequence[Trip], stage: str, reason: str = "") -> Plan:
    """A trip without dates is scheduled only with a reason, which the batch and the trip's history keep."""
    label = TripStage(stage).label
    skips = [Skip(trip, why) for trip in trips if (why := _trip_hindrance(trip, stage))]
    undated = [trip for trip in without(trips, skips) if stage in DATED and not (trip.departs_on and trip.ends_on)]
    reason = reason.strip()
    if not reason:
        skips += [Skip(trip, "No dates: it is scheduled only with a reason.") for trip in undated]
    title = f"Trips to “{label}”" + (f", without dates: {reason}" if reason and undated else "")
    steps = [Step(trip, {"stage": stage}, "No dates." if trip in undated else "") for trip in without(trips, skips)]
    return Plan(BatchKind.STAGE, title, steps, skips, asks=REASON if undated else "")


def _trip_hindrance(trip: Trip, stage: str) -> str:
    if trip.stage == stage:
        return "Already there."
    if trip.status in FAILED:
        return f"The trip is {trip.get_status_display().lower()}."
    return ""


def closing(*, trips: Sequence[Trip]) -> Plan:
    """Move to "Trip complete" those that are not there yet."""
    done = TripStage.TRIP_COMPLETE
    skips = [Skip(trip, "Closed already.") for trip in trips if trip.stage == done]
    steps = [Step(trip, {"stage": done}) for trip in without(trips, skips)]
    return Plan(BatchKind.STAGE, "Trips closed", steps, skips)


def move_one(*, row: Any, seen: str, plan: Callable[[Any], Plan], by: Any) -> Done:
    """Carry out a plan for one row that the person saw in the stage `seen`.

    Raises MovedMeanwhile when it stands elsewhere by now, and the row's DoesNotExist when it is gone.
    """
    with transaction.atomic():
        now = type(row)._base_manager.select_for_update().get(pk=row.pk)
        if now.stage != seen:
            raise MovedMeanwhile(f"{now} was moved to “{now.get_stage_display()}” meanwhile{_mover(now)}.")
        return carry_out(plan=plan(now), by=by)


def _mover(row: Any) -> str:
    """ " by Ada Ortiz": who gave the row its stage; empty when no person did."""
    past = row.history.order_by("-history_date", "-history_id").select_related("history_user")
    before = past.exclude(stage=row.stage).first()
    moves = past.filter(stage=row.stage)
    moved = (moves.filter(history_id__gt=before.history_id) if before else moves).last()
    user = moved.history_user if moved else None
    return f" by {name_of(user)}" if user else ""
