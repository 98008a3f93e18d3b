"""What a person asks of the sync: a fresh look, a yes to sensitive data, a passenger's trip, who wins a conflict.

A choice between two values is recorded and carried out by the next look at both sides (`plan.Chosen`): the person
never waits for GoHighLevel, and what was not shown is not overwritten. Putting back what lost is an edit like any.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import models, transaction

from ghl_sync.engine import state
from ghl_sync.engine.clock import database_now
from ghl_sync.engine.linking import find_trip
from ghl_sync.engine.local import Local, as_text, from_text, load, vendor_named
from ghl_sync.engine.results import CannotDo
from ghl_sync.mapping.table import MAPS
from ghl_sync.models import Cause, Conflict, Kind, Lane, Link, Location, Run
from trips.encryption import keyed_hash
from trips.models import HealthRecord, Passenger, Passport, Trip
from trips.services.batches import Recorder

# So many passengers are linked in one transaction: nobody else's save waits long for it.
CHUNK = 100


def link_for(obj: models.Model) -> Link:
    """The object's link, made when no save has ever reported the object."""
    return state.ensure_link(obj, str(obj))


def ask_for(link: Link, *, lane: str = Lane.STAFF) -> None:
    """ "Sync now": both sides are read afresh, without waiting for a back-off to pass."""
    state.ask_for(link, lane=lane)


def switch(location: Location, name: str, *, user: Any, paused: bool) -> bool:
    """Pause `sending` or `fetching`, or let it go on; False when it stood so already.

    Saving here stays possible, and everything that waited goes afterwards.
    """
    return state.switch(location, name, user=user, paused=paused)


def cancel(run: Run, user: Any) -> bool:
    """A person wants this run to end after the page at hand; False when it has ended, or was told so before."""
    return state.ask_to_cancel(run, user.pk)


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


def assign_trip(passenger_ids: Iterable[int], trip: Trip, recorder: Recorder) -> int:
    """Put passengers that have no trip on this one; returns how many. One that got a trip meanwhile keeps it."""
    ids = sorted(passenger_ids)
    return sum(_assign(ids[start : start + CHUNK], trip, recorder) for start in range(0, len(ids), CHUNK))


def _assign(ids: list[int], trip: Trip, recorder: Recorder) -> int:
    with transaction.atomic():
        passengers = list(Passenger.objects.unlinked().select_for_update().filter(pk__in=ids).order_by("pk"))
        for passenger in passengers:
            recorder.change(passenger, trip=trip, trip_name_raw="", trip_id_raw=None)
    return len(passengers)


# Conflicts


@dataclass(frozen=True, slots=True)
class Pick:
    """One conflict decided: the side that stays, and what was shown of both (`shown_of`)."""

    conflict_id: int
    side: str
    shown: str


@dataclass
class Picked:
    """What became of some picks: links to reconcile, and conflicts that hold other values than were shown."""

    taken: int = 0
    link_ids: list[int] = field(default_factory=list)
    stale: list[Conflict] = field(default_factory=list)
    settled: int = 0


def shown_of(conflict: Conflict) -> str:
    """Stands for the two values of a conflict without telling them."""
    return keyed_hash(json.dumps([conflict.pk, conflict.our_value, conflict.their_value])) or ""


def choose(picks: Sequence[Pick], user: Any) -> Picked:
    """Record these decisions; both sides are then read once more and each is carried out if they hold what was shown.

    A conflict that shows other values by now is not touched.
    """
    picked = Picked()
    wanted = {pick.conflict_id: pick for pick in picks}
    with transaction.atomic():
        rows = Conflict.objects.select_related("link").select_for_update(of=("self",)).defer("link__base")
        open_ = list(rows.filter(pk__in=wanted, resolved_at__isnull=True).order_by("pk"))
        picked.settled = len(wanted) - len(open_)
        if len({conflict.link_id for conflict in open_}) == 1:
            _look_here(open_)
        taken = [conflict for conflict in open_ if shown_of(conflict) == wanted[conflict.pk].shown]
        picked.stale = [conflict for conflict in open_ if conflict not in taken]
        for side in (Conflict.Outcome.OURS, Conflict.Outcome.THEIRS):
            picked.taken += state.choose([c.pk for c in taken if wanted[c.pk].side == side], side, user)
        picked.link_ids = sorted({conflict.link_id for conflict in taken})
        _look_again(taken)
    return picked


def _look_here(conflicts: Sequence[Conflict]) -> None:
    """Our own values are at hand: what was edited here since a conflict was recorded is shown before it is decided."""
    link = conflicts[0].link
    local = load(link.kind, link.object_id)
    ours = local.values() if local is not None else {}
    for conflict in conflicts:
        row = MAPS[link.kind].by_name.get(conflict.field)
        if local is None or row is None:
            continue
        if not row.converter.same(ours.get(conflict.field), from_text(row, conflict.our_value)):
            state.ours_is_now(conflict, as_text(ours.get(conflict.field)))


def _look_again(conflicts: Iterable[Conflict]) -> None:
    ids: dict[str, set[int]] = {}
    for conflict in conflicts:
        ids.setdefault(conflict.link.kind, set()).add(conflict.link.object_id)
    lane = Lane.STAFF if sum(map(len, ids.values())) <= CHUNK else Lane.BULK
    for kind, found in ids.items():
        state.record_changes(kind, sorted(found), cause=Cause.ASKED, lane=lane)


def stage_changes(conflicts: Iterable[Conflict], side: str) -> int:
    """How many records change their stage or status in GoHighLevel when this side wins: workflows there may react."""
    if side != Conflict.Outcome.OURS:
        return 0
    return len({conflict.link_id for conflict in conflicts if conflict.field in {"stage", "status"}})


def loser(conflict: Conflict) -> str | None:
    """What lost a decided conflict, as kept; None where nothing did."""
    if conflict.resolved_at is None:
        return None
    return {Conflict.Outcome.OURS: conflict.their_value, Conflict.Outcome.THEIRS: conflict.our_value}.get(
        Conflict.Outcome(conflict.outcome)
    )


def values_here(link: Link) -> dict[str, str] | None:
    """Every mapped value of the record as it is here now, as conflicts keep them; None when it is deleted."""
    local = load(link.kind, link.object_id)
    return None if local is None else {name: as_text(value) for name, value in local.values().items()}


def standing(link: Link, field: str, text: str) -> str:
    """Stands for what a field of a record holds here, without telling it."""
    return keyed_hash(json.dumps([link.pk, field, text])) or ""


def put_back(conflict: Conflict, user: Any, *, shown: str) -> None:
    """Write what lost into our record, as an edit of this user's that is then sent like any other.

    `shown` is what the field was seen to hold (`standing`). Raises CannotDo when it holds something else by now, or
    the record is gone.
    """
    lost, link, name = loser(conflict), conflict.link, conflict.field
    row = MAPS[link.kind].by_name.get(name)
    if lost is None or row is None:
        raise CannotDo("Nothing lost in this conflict, so there is nothing to put back.")
    with transaction.atomic():
        local = load(link.kind, link.object_id, lock=True)
        if local is None:
            raise CannotDo(f"“{link.label}” was deleted here, so nothing can be put back into it.")
        if standing(link, name, as_text(local.values().get(name))) != shown:
            raise CannotDo("The field holds another value by now than this page showed; look at it and decide again.")
        try:
            columns = _refer(local, lost) if row.reference else local.apply({name: from_text(row, lost)})
        except ValueError:
            raise CannotDo("The field is of another kind now, so the value does not fit it; type it anew.") from None
        _save_as(local, columns, user)
        state.put_back_done(conflict)


def _refer(local: Local, label: str) -> dict[str, set[str]]:
    """Point to the trip or vendor of this name again."""
    if local.kind == Kind.TRIP:
        local.obj.vendor = vendor_named(label) if label else None
        return {"": {"vendor"}}
    trip_id = find_trip(name=label) if label else None
    if label and trip_id is None:
        raise CannotDo(f"There is no single trip named “{label}”; choose the trip on the passenger's page.")
    local.obj.trip = Trip._base_manager.get(pk=trip_id) if trip_id else None
    local.obj.trip_name_raw, local.obj.trip_id_raw = "", None
    return {"": {"trip", "trip_name_raw", "trip_id_raw"}}


def _save_as(local: Local, changed: dict[str, set[str]], user: Any) -> None:
    """Save these columns as a person's edit: with history, and reported as changed here."""
    for part, columns in changed.items():
        target = local.parts[part] if part else local.obj
        target._history_user = user
        target._change_reason = "Put back after a conflict"
        if target.pk is None:
            target.save(force_insert=True)
        else:
            target.save(update_fields=list(columns))
