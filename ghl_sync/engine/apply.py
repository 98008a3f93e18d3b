"""The local half of one record's reconciliation: read it under its lock, decide, write what GoHighLevel changed.

Push and pull both come through `settle`; what is left to send is in the plan that it returns.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction

from ghl_sync.client.types import Record
from ghl_sync.engine import guards, state
from ghl_sync.engine.base import Base
from ghl_sync.engine.clock import database_now
from ghl_sync.engine.linking import DISAGREE, find_trip, find_trip_by_key
from ghl_sync.engine.local import (
    Local,
    as_text,
    from_text,
    is_owner,
    last_edit,
    load,
    store_documents,
    stub_contact,
    vendor_named,
)
from ghl_sync.engine.merge import Action
from ghl_sync.engine.plan import UNKNOWN, Chosen, Plan, Situation, decide
from ghl_sync.engine.session import Session
from ghl_sync.engine.state import Seen
from ghl_sync.mapping.fields import FieldMap, Way
from ghl_sync.mapping.table import MAPS
from ghl_sync.mapping.translate import Readings, read_record
from ghl_sync.models import Arrival, Cause, Conflict, Lane, Link, Write
from trips.models import Passenger, Trip, Vendor
from trips.text import fold_name

# `newest` believes our clock against theirs only for an edit this young (in seconds).
HONEST_SECONDS = 120
DATE_HEADER_DOUBT = dt.timedelta(seconds=2)
OWNERS = {"trip": "organiser", "passenger": "contact"}
# What to do about a change that does not go to GoHighLevel.
_THERE_TOO = "Change it in GoHighLevel as well; both sides then agree by themselves."
_CARD = "Open the card in GoHighLevel and choose the same contact there; both sides then agree by themselves."
_OTHER = "still belongs to another contact, which cannot be changed from here."
OF_OWNER = {
    "trip": f"In GoHighLevel the trip {_OTHER} {_CARD}",
    "passenger": f"In GoHighLevel the booking {_OTHER} {_CARD}",
}
ONE_WAY = {
    Way.CREATE: f"GoHighLevel takes the {{}} only when the {{}} is made. {_THERE_TOO}",
    Way.DOWN: f"“{{}}” of a {{}} is only read from GoHighLevel. {_THERE_TOO}",
}
# Issues about a value that went, or could not go, to GoHighLevel.
VALUE_ISSUES = ("kept", "no_option", "no_field", "refused", "oscillates")
OUTCOMES = {
    Action.ASK: Conflict.Outcome.ASKED,
    Action.OURS_WON: Conflict.Outcome.OURS,
    Action.THEIRS_WON: Conflict.Outcome.THEIRS,
}


@dataclass(frozen=True, slots=True)
class NewVendor:
    """A vendor's name that nobody here knows yet."""

    name: str


@dataclass
class Settled:
    """`plan.push` and `plan.ride` are what remains to be sent; `changed` tells whether a local row was written."""

    local: Local
    base: Base
    plan: Plan
    changed: bool
    sifted: guards.Sifted = field(default_factory=guards.Sifted)


def base_of(link: Link) -> Base:
    return Base.of(link)


def as_agreed(session: Session, link: Link, record: Record) -> bool:
    """Whether the record holds exactly what base says, in every field that is read."""
    if not link.base:
        return False
    base = base_of(link)
    readings, table = read_record(MAPS[link.kind], record, session.definitions), MAPS[link.kind].by_name
    return all(
        not item.unreadable and base.remote_is(name, item.value)
        for name, item in readings.items()
        if session.rules.is_read(link.kind, table[name])
    )


def seeks_trip(link: Link) -> bool:
    """Whether it is a passenger whose record names a trip that was not here when it was last read."""
    base = base_of(link)
    named = any(base.remote.get(name) is not None for name in ("trip_key", "trip_name", "trip_id"))
    return link.kind == "passenger" and named and base.extra.get("target") is None


def settle(
    session: Session,
    link: Link,
    *,
    record: Record | None = None,
    seen: Seen = state.NOTHING_SEEN,
    via: Arrival.Via = Arrival.Via.LOOK,
    walking: bool = False,
) -> Settled | None:
    """Decide about one record and carry out the local part, in one transaction; None when the object is gone.

    `record` None means: GoHighLevel holds what base says. `via` is the way the record came, for its timeline;
    `walking` says that it came by in a pull's walk, at whose end the values to be emptied are counted.
    """
    with transaction.atomic():
        local = load(link.kind, link.object_id, lock=True)
        if local is None:
            return None
        base = base_of(link)
        readings = None if record is None else read_record(local.table, record, session.definitions)
        # Of most records nothing is noted that this could settle: then nothing is asked for piece by piece.
        asked = bool(state.asked_about([link.pk]))
        plan = plan_for(session, link, local, base, readings, record, seen, asked=asked)
        sides = _sides(session, local, base, readings)
        sifted = guards.sift(link, sides, plan, session.census, walking=walking, noted=asked)
        changed = _carry_out(link, local, base, plan, readings, record, asked=asked)
        if changed and session.fetching_paused:
            session.check_fetching()  # what they changed must not come in; none of this transaction stays
        if changed and readings is not None:
            state.record_arrival(link, via, _arrived(link, local, plan, readings))
        fan_out(session, link, local, base, seen.seats)
        remember(local, base, plan)
        if plan.overruled:
            # Decided with this transaction: a push that fails, or a worker that ends here, raises no second question.
            state.keep(link, base=base.dump())
        return Settled(local, base, plan, changed, sifted)


def _sides(session: Session, local: Local, base: Base, readings: Readings | None) -> guards.Sides:
    return guards.Sides(
        local.table,
        base,
        local.values(),
        readings,
        goes_out=lambda row: session.rules.goes_out(local.kind, row),
        comes_in=lambda row: session.rules.comes_in(local.kind, row),
    )


def _arrived(link: Link, local: Local, plan: Plan, readings: Readings) -> dict[str, Any]:
    """What the record brought, by field, as it may be stored: values taken over, and references that moved."""
    base, now = base_of(link), local.values()
    names = {*plan.apply, *plan.documents}
    for row in local.table.fields:
        reading = readings.get(row.name) if row.reference else None
        if reading is not None and not reading.unreadable and not base.remote_is(row.name, reading.value):
            names |= {row.name} if row.converter.same(now.get(row.name), reading.value) else set()
    return {name: base.seal(name, readings[name].value) for name in sorted(names)}


def plan_for(
    session: Session,
    link: Link,
    local: Local,
    base: Base,
    readings: Readings | None,
    record: Record | None,
    seen: Seen,
    *,
    asked: bool = True,
) -> Plan:
    """What to do about one record; decides only, so a dry run shows it. Not `asked`: nobody has a choice to make."""
    situation = Situation(
        causes=seen.causes,
        directions=session.rules.ways[link.kind],
        policies=session.rules.policies[link.kind],
        chosen=_chosen(link) if asked and readings is not None else {},
        parked=link.parked_fields,
        late=state.late_values(link, session.config) if readings is not None else {},
        local_newer=_local_newer(link, seen, record),
        local_target=local.target,
        base_target=base.extra.get("target"),
        resolve=lambda read, changed: _resolve(local, read, changed),
        label=lambda target: _label(local, target),
    )
    return decide(local.table, base, local.values(), readings, situation)


def _local_newer(link: Link, seen: Seen, record: Record | None) -> bool | None:
    """Whether our edit is the younger one; None where that cannot be told honestly."""
    if record is None or record.updated_at is None or seen.newest is None:
        return None
    now = database_now()
    if (now - seen.newest).total_seconds() > HONEST_SECONDS:
        return None
    if link.remote_updated_at is not None and record.updated_at <= link.remote_updated_at:
        return None  # the time is that of our own last write
    return seen.newest >= record.updated_at + _skew(record, now)


def _skew(record: Record, now: dt.datetime) -> dt.timedelta:
    """How far our clock is ahead of GoHighLevel's, by its Date header.

    That one has whole seconds and is a call old, so clocks that agree that far count as equal: taken at its word it
    would hand every conflict of the same second to GoHighLevel.
    """
    if record.seen_at is None:
        return dt.timedelta(0)
    skew = now - record.seen_at
    return dt.timedelta(0) if dt.timedelta(seconds=-1) < skew < DATE_HEADER_DOUBT else skew - DATE_HEADER_DOUBT / 2


def _resolve(local: Local, read: Readings, changed: Collection[str]) -> Any:
    """The row a changed reference means: a vendor's or a trip's id, None for none, UNKNOWN for no such trip."""
    if local.kind == "trip":
        label = read["vendor"].value
        if not label:
            return None
        known = Vendor.objects.filter(name_key=fold_name(label)[:255]).values_list("pk", flat=True).first()
        return known or NewVendor(label)
    values = {name: reading.value for name, reading in read.items()}
    by_id = find_trip(legacy=values.get("trip_id")) if "trip_id" in changed else None
    by_name = find_trip(name=values.get("trip_name")) if "trip_name" in changed else None
    target = by_id or by_name
    if target is not None:
        return target
    given = [values.get(name) for name in changed]
    if local.target is None:
        return None
    if all(value is None for value in given):
        # One part blanked leaves the other to say which trip it is; only both together say "none".
        return None if all(value is None for value in values.values()) else local.target
    return UNKNOWN


def _chosen(link: Link) -> dict[str, Chosen]:
    """What persons decided about this record's fields and is still to be carried out."""
    rows = MAPS[link.kind].by_name
    return {
        conflict.field: Chosen(
            Action.OURS_WON if conflict.choice == Conflict.Outcome.OURS else Action.THEIRS_WON,
            from_text(rows[conflict.field], conflict.our_value),
            from_text(rows[conflict.field], conflict.their_value),
        )
        for conflict in Conflict.objects.filter(link=link, resolved_at__isnull=True).exclude(choice="")
        if conflict.field in rows
    }


def _label(local: Local, target: Any) -> str | None:
    """What staff call the row that a reference means over there."""
    if target is None or isinstance(target, NewVendor):
        return target.name if target else None
    model = Vendor if local.kind == "trip" else Trip
    return model._base_manager.filter(pk=target).values_list("name", flat=True).first()


def _carry_out(
    link: Link,
    local: Local,
    base: Base,
    plan: Plan,
    readings: Readings | None,
    record: Record | None,
    *,
    asked: bool,
) -> bool:
    """Do the local part of a plan; whether anything here changed. Not `asked`: no question was open before."""
    _raise_questions(link, local, base, plan, record, asked=asked)
    columns = local.apply(plan.apply)
    if plan.moves:
        _move(local, plan.move, columns)
    if readings is not None:
        _owner(local, base, readings, record, columns)
        _raw_trip(local, base, plan, readings, columns)
        _trip_by_key(local, base, plan, readings, columns)
        if asked or not _names_as_agreed(base, readings):
            _linking_issue(link, local, readings)
    if columns:
        local.save(columns)
    for name, (ours, theirs) in plan.pairs.items():
        base.agree(name, ours, theirs)
    for name, theirs in (plan.theirs | plan.overruled).items():
        base.agree_remote(name, theirs)
    if readings is not None and asked:
        _close_answered(link, local, readings)
    _tell_unsendable(link, local, base, asked=asked)
    moved_papers = store_documents(local, plan.documents) if plan.documents else False
    if plan.moves and local.kind == "passenger":
        # The other parts of the reference still name the old trip over there.
        state.record_change("passenger", local.obj.pk, cause=Cause.RENAMED, lane=Lane.BULK)
    if link.kind == "trip" and "name" in plan.apply:
        # Its new name must become an option: nobody could book on it over there otherwise.
        state.record_change("trip", local.obj.pk, cause=Cause.OPTION, lane=Lane.BULK)
    return bool(columns) or moved_papers


def _close_answered(link: Link, local: Local, readings: Readings) -> None:
    """Issues of values that both sides hold alike by now; and a contact whose own record has been read."""
    ours, table = local.values(), local.table
    alike = {
        name
        for name, reading in readings.items()
        if not reading.unreadable and table.by_name[name].converter.same(ours.get(name), reading.value)
    }
    state.close_issues(link, fields=alike, codes=VALUE_ISSUES)
    if link.kind == "contact":
        state.close_issues(link, codes=("stub",))


def _tell_unsendable(link: Link, local: Local, base: Base, *, asked: bool) -> None:
    """What was changed here and has no way over there (API notes §0.9, §5.10): a person changes it there as well."""
    if not base.known:
        return
    ours = local.values()
    stuck: list[FieldMap] = []
    fine: list[str] = []
    for row in local.table.fields:
        if row.way not in {Way.CREATE, Way.DOWN} or row.name == "title" or row.part == "documents":
            continue
        value, agreed = ours.get(row.name), base.local.get(row.name)
        # A trip without an organiser may belong to the fallback contact over there.
        same = row.converter.same(value, agreed) or base.opens(row.name, agreed, value)
        differs = not same and not (row.reference and value is None)
        if differs and row.reference and isinstance(agreed, str) and is_owner(local, agreed):
            differs = False  # theirs is a duplicate that was merged into ours: the same contact by another id
        if differs:
            stuck.append(row)
        else:
            fine.append(row.name)
    for row in stuck:
        words = ONE_WAY[row.way].format(row.name.replace("_", " "), link.kind)
        state.open_issue(link, "kept", OF_OWNER[link.kind] if row.reference else words, field=row.name)
    if asked:
        state.close_issues(link, fields=fine, codes=("kept",))


def _raise_questions(link: Link, local: Local, base: Base, plan: Plan, record: Record | None, *, asked: bool) -> None:
    for note in plan.issues:
        state.open_issue(link, note.code, note.message, field=note.field, raw=note.raw)
    for conflict in plan.conflicts:
        pair = base.local.get(conflict.field) if conflict.field not in base.sensitive else None
        saved_at, saved_by = last_edit(local, conflict.field)
        state.open_conflict(
            link,
            field=conflict.field,
            outcome=OUTCOMES[conflict.action],
            base_value=as_text(pair),
            our_value=as_text(conflict.ours),
            their_value=as_text(conflict.theirs),
            ours_at=saved_at,
            ours_by=saved_by,
            theirs_at=record.updated_at if record else None,
            policy=conflict.policy,
            chosen=conflict.chosen,
        )
    settled = plan.settled - {conflict.field for conflict in plan.conflicts}
    if settled and asked:
        state.close_conflicts(link, settled)
        state.close_issues(link, fields=settled, codes=("unreadable",))


def _move(local: Local, target: Any, columns: dict[str, set[str]]) -> None:
    if local.kind == "passenger":
        local.obj.trip = Trip._base_manager.filter(pk=target).first() if target else None
        if local.obj.trip is not None:
            local.obj.trip_name_raw, local.obj.trip_id_raw = "", None
        columns.setdefault("", set()).update({"trip", "trip_name_raw", "trip_id_raw"})
        return
    if isinstance(target, NewVendor):
        local.obj.vendor = vendor_named(target.name)
    else:
        local.obj.vendor = Vendor.objects.filter(pk=target).first() if target else None
    columns.setdefault("", set()).add("vendor")


def _owner(local: Local, base: Base, readings: Readings, record: Record | None, columns: dict[str, set[str]]) -> None:
    """The contact whose opportunity it is: decided over there once it exists (API notes §0.9)."""
    name = OWNERS.get(local.kind)
    reading = readings.get(name) if name else None
    if name is None or reading is None or not reading.value or base.remote_is(name, reading.value):
        return
    if base.known:
        contact = stub_contact(str(reading.value), record.raw if record else {})
        if getattr(local.obj, f"{name}_id") != contact.pk:
            setattr(local.obj, name, contact)
            local.contact_remote_id = str(reading.value)
            columns.setdefault("", set()).add(name)
    base.agree(name, reading.value, reading.value)


def _raw_trip(local: Local, base: Base, plan: Plan, readings: Readings, columns: dict[str, set[str]]) -> None:
    """A passenger without a trip keeps what GoHighLevel calls it; the work list groups by that.

    Not while our own unlinking is still to be sent, or disputed: it would be undone.
    """
    if local.kind != "passenger" or local.obj.trip_id is not None or plan.reference_open:
        return
    for name, column, empty in (("trip_name", "trip_name_raw", ""), ("trip_id", "trip_id_raw", None)):
        reading = readings.get(name)
        if reading is None or reading.unreadable or name in plan.push:
            continue
        value = empty if reading.value is None else reading.value
        if getattr(local.obj, column) != value:
            setattr(local.obj, column, value)
            columns.setdefault("", set()).add(column)
        base.agree(name, reading.value, reading.value)


def _trip_by_key(local: Local, base: Base, plan: Plan, readings: Readings, columns: dict[str, set[str]]) -> None:
    """A passenger that still has no trip takes the one our own key, its number or its name point to.

    One that names no trip at all was taken off its trip, whatever key has been left behind.
    """
    if local.kind != "passenger" or local.obj.trip_id is not None or base.extra.get("target") or plan.reference_open:
        return
    if not local.obj.trip_name_raw and local.obj.trip_id_raw is None:
        return
    key = readings.get("trip_key")
    target = find_trip_by_key(key.value) if key and key.value else None
    if target is None:
        target = find_trip(legacy=local.obj.trip_id_raw) or find_trip(name=local.obj.trip_name_raw)
    if target is not None:
        _move(local, target, columns)


def _names_as_agreed(base: Base, readings: Readings) -> bool:
    """Whether the record names its trip as it did when both sides last agreed."""
    return base.known and all(
        name in readings and not readings[name].unreadable and base.remote_is(name, readings[name].value)
        for name in ("trip_name", "trip_id")
    )


def _linking_issue(link: Link, local: Local, readings: Readings) -> None:
    if local.kind != "passenger" or not {"trip_name", "trip_id"} <= set(readings):
        return
    by_id, by_name = find_trip(legacy=readings["trip_id"].value), find_trip(name=readings["trip_name"].value)
    if by_id and by_name and by_id != by_name:
        state.open_issue(link, "disagree", DISAGREE, field="trip_id")
    else:
        state.close_issues(link, fields=("trip_id",), codes=("disagree",))


def fan_out(
    session: Session, link: Link, local: Local | None, base: Base, seats: Collection[int] = frozenset()
) -> None:
    """From (base, now): which other records follow from what changed here. Repeating it is harmless.

    `seats` are the trips a passenger was on at the saves in between: one of them may have been sent with a count of
    somebody who was gone again before they were looked at.
    """
    if link.kind == "passenger":
        trips = {base.extra.get("seat"), local.seat if local else None, *seats}
        for trip_id in trips if len(trips) > 1 else ():
            if trip_id is not None:
                state.recount(trip_id, session.config.count_delay)
    elif link.kind == "trip" and local is not None and base.known:
        names = (local.obj.name or None, local.obj.legacy_trip_id)
        if names != (base.extra.get("name"), base.extra.get("number")):
            ids = Passenger._base_manager.filter(trip_id=local.obj.pk).values_list("pk", flat=True)
            state.record_changes("passenger", list(ids), cause=Cause.RENAMED)


def spread_gone(session: Session) -> None:
    """A trip or passenger missing over there waits for a person; what its edits mean for others does not."""
    for link_id in state.gone_with_changes(("trip", "passenger")):
        link = Link.objects.filter(pk=link_id, gone_at__isnull=False).first()
        if link is None:
            continue
        seen = state.read_changes(link)  # before the object: what is saved later is seen later
        with transaction.atomic():
            local = load(link.kind, link.object_id, lock=True)
            base = base_of(link)
            if local is None or not base.known or not _concerns_others(local, base, seen):
                state.spread(link, None, seen.ids)
                continue
            fan_out(session, link, local, base, seen.seats)
            base.extra |= _others_need(local)
            base.extra = {name: value for name, value in base.extra.items() if value is not None}
            state.spread(link, base, seen.ids)


def _concerns_others(local: Local, base: Base, seen: Seen) -> bool:
    before = {name: base.extra.get(name) for name in ("seat", "name", "number")}
    return before != {**before, **_others_need(local)} or not seen.seats <= {before["seat"]}


def _others_need(local: Local) -> dict[str, Any]:
    if local.kind == "trip":
        return {"name": local.obj.name or None, "number": local.obj.legacy_trip_id}
    return {"seat": local.seat}


def adopt_writes(link: Link, base: Base) -> list[Write]:
    """Take over what doubtful writes put into a record that turned out to be ours; returns them."""
    writes = state.open_writes(link)
    for write in writes:
        for name, value in write.values.items():
            base.adopt(name, value)
    return writes


def remember(local: Local, base: Base, plan: Plan | None = None) -> None:
    """What only our side knows and the next comparison needs.

    A move that is not agreed yet stays a move: what the reference meant before is kept until it has been sent.
    """
    before = base.extra.get("target")
    base.extra = extra_of(local)
    if plan is not None and plan.reference_open:
        base.extra.pop("target", None)
        if before is not None:
            base.extra["target"] = before


def reference_sent(local: Local, base: Base, plan: Plan, sent: Collection[str]) -> None:
    """Our move has arrived whole: from now on both sides mean the same row."""
    names = {row.name for row in local.table.fields if row.reference} & set(plan.push)
    if names and names <= set(sent):
        base.extra.pop("target", None)
        if local.target is not None:
            base.extra["target"] = local.target


def extra_of(local: Local) -> dict[str, Any]:
    """Seat, reference and names as they are now; empty ones left out."""
    found: Mapping[str, Any] = {"seat": local.seat, "target": local.target}
    if local.kind == "trip":
        found = {"target": local.target, "name": local.obj.name or None, "number": local.obj.legacy_trip_id}
    return {name: value for name, value in found.items() if value is not None}
