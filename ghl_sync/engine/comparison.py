"""One record and ours side by side: which fields differ, and what the engine would make of that."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any

from ghl_sync.client.types import Record
from ghl_sync.engine import apply, state
from ghl_sync.engine.base import Base
from ghl_sync.engine.local import Local
from ghl_sync.engine.plan import Plan
from ghl_sync.engine.session import Session
from ghl_sync.mapping.fields import FieldMap, Way
from ghl_sync.mapping.table import MAPS
from ghl_sync.mapping.translate import read_record
from ghl_sync.models import Change, Drift, Kind, Link
from trips.models import Contact, EmergencyContact, Passenger, Trip

What = Drift.What


class Comparison:
    """Which fields of one record differ, and what that means. Plain reading; one session's definitions and rules."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.rules = session.rules

    def suspects(self, link: Link, local: Local, record: Record, known: Collection[str]) -> set[str]:
        """Names of the fields that are not what they should be; `known` are those somebody has been told of."""
        readings = read_record(local.table, record, self.session.definitions)
        ours = local.values()
        base = apply.base_of(link)
        found = set()
        for row in local.table.fields:
            reading = readings.get(row.name)
            if reading is None or row.name in known or row.name in link.parked_fields:
                continue
            if self.rules.way(local.kind, row.name) == "off":
                continue
            if reading.unreadable or _differs(row, base, ours.get(row.name), reading.value):
                found.add(row.name)
        references = {row.name for row in local.table.fields if row.reference}
        return found - references if references & {*known, *link.parked_fields} else found

    def judged(
        self, link: Link, local: Local, record: Record, names: Collection[str]
    ) -> Iterator[tuple[str, What, Any, Any]]:
        """For each of these fields that is a find: its name, what it is, our value and theirs."""
        readings = read_record(local.table, record, self.session.definitions)
        ours = local.values()
        base = apply.base_of(link)
        plan = apply.plan_for(self.session, link, local, base, readings, record, state.NOTHING_SEEN)
        for row in local.table.fields:
            what = self._meaning(local.kind, row, plan) if row.name in names else None
            if what is not None:
                yield row.name, what, ours.get(row.name), readings[row.name].value

    def _meaning(self, kind: str, row: FieldMap, plan: Plan) -> What | None:
        """What the engine would do tells where the difference is from; None for one that it is right to let be."""
        if row.name in plan.push:
            return What.NOT_SENT
        asked = {conflict.field for conflict in plan.conflicts} | {note.field for note in plan.issues}
        if row.name in asked or row.name in plan.apply or row.name in plan.documents:
            return What.DIFFERS
        if row.reference:
            return What.DIFFERS if plan.moves or row.way is Way.CREATE else None
        return What.KEPT_APART if row.way is Way.BOTH and self.rules.way(kind, row.name) == "both" else None


def _differs(row: FieldMap, base: Base, ours: Any, theirs: Any) -> bool:
    if row.name == "title":
        return False
    if row.way is Way.BOTH:
        if ours == theirs or row.converter.same(ours, theirs):
            return False
        # Each side may call the same trip by another name for good: only what changed since counts.
        apart = ours == base.local.get(row.name) and base.remote_is(row.name, theirs)
        return not (row.reference and apart)
    if row.way is Way.UP:
        # Written along with others, so only one that would mislead is a difference of its own.
        return row.name == "trip_key" and theirs is not None and ours != theirs
    return not base.remote_is(row.name, theirs) and not (theirs is None and not base.known)


def following(kind: str, locals_: Iterable[Local]) -> dict[int, frozenset[str]]:
    """By object's id, the fields that name another record whose own change has yet to go: they follow it by themselves.

    A passenger's trip or a trip's vendor under a new name is one change of theirs, not one of each that names them.
    """
    targets = {local.obj.pk: local.target for local in locals_ if local.target is not None}
    if not targets or kind == Kind.CONTACT:
        return {}
    changing = (_changing_vendors if kind == Kind.TRIP else _changing_trips)(set(targets.values()))
    names = frozenset(row.name for row in MAPS[kind].fields if row.reference and row.way is Way.BOTH)
    return {pk: names for pk, target in targets.items() if target in changing}


def _changing_vendors(ids: Collection[int]) -> set[int]:
    changes = Change.objects.filter(kind=Kind.VENDOR, object_id__in=ids)
    return set(changes.order_by().values_list("object_id", flat=True))


def _changing_trips(ids: Collection[int]) -> set[int]:
    """Trips that are due, or bear another name here than both sides last agreed on."""
    here = dict(Trip._base_manager.filter(pk__in=ids).values_list("pk", "name"))
    links: Any = Link.objects.filter(kind=Kind.TRIP, object_id__in=ids).with_due()
    return {
        link.object_id
        for link in links
        if link.is_due or apply.base_of(link).local.get("name") != here.get(link.object_id)
    }


def load_many(kind: str, object_ids: Collection[int]) -> dict[int, Local]:
    """Objects with the parts that hold mirrored fields, in a constant number of queries.

    Without the trip's count and the contact's id over there, which are compared with nothing here.
    """
    if kind == Kind.TRIP:
        rows: Iterable[Any] = Trip._base_manager.filter(pk__in=object_ids).select_related("vendor")
        return {obj.pk: Local(kind, obj) for obj in rows}
    if kind == Kind.CONTACT:
        return {obj.pk: Local(kind, obj) for obj in Contact._base_manager.filter(pk__in=object_ids)}
    rows = Passenger._base_manager.filter(pk__in=object_ids).select_related("trip", "passport", "health")
    first: dict[int, EmergencyContact] = {}
    for person in EmergencyContact.objects.filter(passenger_id__in=object_ids).order_by("position", "pk"):
        first.setdefault(person.passenger_id, person)
    return {
        obj.pk: Local(
            kind,
            obj,
            {
                "passport": getattr(obj, "passport", None),
                "health": getattr(obj, "health", None),
                "emergency": first.get(obj.pk),
            },
        )
        for obj in rows
    }
