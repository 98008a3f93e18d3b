"""Which record over there is a record's other half: what only a person can say.

Each function carries out one answer in one transaction and never waits for a worker: while one has the record, it
raises CannotDo. What follows (comparing, creating) is the workers' job; wake them with the link's id.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from ghl_sync.client.errors import NotFound
from ghl_sync.client.types import Record
from ghl_sync.engine import state
from ghl_sync.engine.apply import adopt_writes, base_of, plan_for
from ghl_sync.engine.base import Base
from ghl_sync.engine.local import contact_id_of, is_owner, load, stub_contact
from ghl_sync.engine.results import CannotDo
from ghl_sync.engine.session import Session
from ghl_sync.engine.state import NOTHING_SEEN
from ghl_sync.mapping.fields import Way
from ghl_sync.mapping.table import MAPS
from ghl_sync.mapping.translate import read_record
from ghl_sync.models import Kind, Link, Pipeline, Write
from trips.enums import Attendance
from trips.models import Passenger, Trip
from trips.services import enrolment, lifecycle

# The contact whose opportunity it is: checked before, and never changed from here.
OWNER_FIELDS = frozenset({"organiser", "contact"})
BUSY = "This record is being compared with GoHighLevel this moment. Try again in a few seconds."


def adopt(session: Session, link: Link, remote_id: str) -> None:
    """ "This opportunity is that trip": link a record that has no other half, or whose half is gone, to `remote_id`.

    One call, to look at it. Both sides are then merged like any adopted record: what is empty on one side takes the
    other's value, what differs becomes a conflict for a person. Raises CannotDo, and what the client raises.
    """
    session.check_bound()
    _may_adopt(link)
    record = _look(session, link, remote_id.strip())
    _check_owner(session, link, record)
    with transaction.atomic():
        seized = _seize(link)
        _may_adopt(seized)
        _take_owner(seized, record)
        ours = _bears_key(session, seized, record)
        base = base_of(seized)
        doubts = adopt_writes(seized, base) if ours else state.open_writes(seized)
        for write in doubts:
            outcome = Write.Outcome.FOUND if ours else Write.Outcome.NOT_APPLIED
            state.close_write(write, outcome, remote_id=record.id if ours else "")
        pipeline_id = str(record.raw.get("pipelineId") or "")
        state.adopt(seized, record.id, location_id=session.config.location_id, pipeline_id=pipeline_id)
        if doubts and ours and base.known:
            state.keep(seized, base=base.dump())
        state.ask_for(seized)


class Outcome(enum.StrEnum):
    """What adopting a record does to one field."""

    SAME = "same"
    HERE = "here"  # their value comes here
    THERE = "there"  # our value goes there
    ASKED = "asked"  # they differ: a person decides


@dataclass(frozen=True, slots=True)
class Foreseen:
    """One field with both values (canonical) and what would become of it."""

    name: str
    ours: Any
    theirs: Any
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Preview:
    """What a record over there is called, and every field that one side or both have filled in."""

    name: str
    fields: list[Foreseen]


def preview(session: Session, link: Link, remote_id: str) -> Preview:
    """What `adopt` would do, by the very plan that it leads to. One call; changes nothing. Raises as `adopt` does."""
    _may_adopt(link)
    record = _look(session, link, remote_id.strip())
    _check_owner(session, link, record)
    local = load(link.kind, link.object_id)
    if local is None:
        raise CannotDo(f"{link} is not there any more.")
    readings = read_record(local.table, record, session.definitions)
    plan = plan_for(session, link, local, Base(str(link.uid), local.table.sensitive), readings, record, NOTHING_SEEN)
    asked = {conflict.field for conflict in plan.conflicts}
    ours, found = local.values(), []
    for row in local.table.fields:
        reading = readings.get(row.name)
        mine, theirs = ours.get(row.name), reading.value if reading is not None else None
        if row.way is Way.UP or row.name == "title" or row.name in OWNER_FIELDS or (mine is None and theirs is None):
            continue
        outcome = Outcome.ASKED if row.name in asked else Outcome.SAME
        if row.name in plan.apply or row.name in plan.documents or (row.reference and plan.moves):
            outcome = Outcome.HERE
        elif row.name in plan.push:
            outcome = Outcome.THERE
        found.append(Foreseen(row.name, mine, theirs, outcome))
    return Preview(str(record.raw.get("name") or _name_in(record)), found)


def detach(link: Link, *, ignore: bool) -> None:
    """Unlink a record from its other half, which stays as it is in GoHighLevel.

    With `ignore` the record here is not mirrored any more; without it a new one is created over there. Raises CannotDo.
    """
    with transaction.atomic():
        seized = _seize(link)
        if not seized.remote_id:
            raise CannotDo(f"{seized} has no record in GoHighLevel to be detached from.")
        _settle_doubts(seized)
        state.let_go(seized)
        if ignore:
            state.ignore(seized)
        else:
            _send_again(seized)


def ignore(link: Link) -> None:
    """Mirror this record no longer, in neither direction; both halves stay. Raises CannotDo."""
    with transaction.atomic():
        seized = _seize(link)
        if seized.ignored_at is None:
            state.ignore(seized)


def unignore(link: Link) -> None:
    """Mirror this record again: both sides are compared afresh. Raises CannotDo."""
    with transaction.atomic():
        seized = _seize(link)
        state.unignore(seized)
        state.ask_for(seized)


def create_again(link: Link) -> None:
    """An answer for a record that is gone over there: make it anew, under the same key, with all that waited."""
    with transaction.atomic():
        seized = _seize(link)
        if seized.gone_at is None:
            raise CannotDo(f"{seized} is not missing in GoHighLevel any more; there is nothing to create again.")
        _settle_doubts(seized)
        state.forget_half(seized)
        state.close_issues(seized)
        _send_again(seized)


def put_away(link: Link) -> str:
    """The other answer: accept that it is gone. A trip is archived, a booking cancelled; returns what was done.

    The record is not mirrored any more, until its other half should appear again.
    """
    with transaction.atomic():
        seized = _seize(link)
        if seized.gone_at is None:
            raise CannotDo(f"{seized} is not missing in GoHighLevel any more; it is compared as usual.")
        done = _put_away_here(seized)
        _settle_doubts(seized)
        state.ignore(seized)
    return done


def _put_away_here(link: Link) -> str:
    if link.kind == Kind.TRIP:
        lifecycle.archive(rows=Trip.objects.filter(pk=link.object_id))
        return "archived"
    if link.kind == Kind.PASSENGER:
        booked = Passenger.objects.filter(pk=link.object_id).exclude(attendance=Attendance.CANCELLED)
        enrolment.cancel(passengers=booked)
        return "cancelled"
    return "kept here only"


def _seize(link: Link) -> Link:
    load(link.kind, link.object_id, lock=True)  # the object before its link, as everywhere
    seized = state.seize(link.pk)
    if seized is None:
        raise CannotDo(BUSY)
    if seized.deleted_at is not None:
        raise CannotDo(f"{seized} was deleted here meanwhile.")
    return seized


def _settle_doubts(link: Link) -> None:
    for write in state.open_writes(link):
        state.close_write(write, Write.Outcome.NOT_APPLIED)


def _send_again(link: Link) -> None:
    state.unpark(Link.objects.filter(pk=link.pk))
    state.record_change(link.kind, link.object_id)


# May this record be the other half?


def _may_adopt(link: Link) -> None:
    if link.deleted_at is not None:
        raise CannotDo(f"{link} was deleted here; there is nothing to link.")
    if link.remote_id and link.gone_at is None:
        raise CannotDo(f"{link} has its record in GoHighLevel already. Detach it first, then link the other one.")


def _look(session: Session, link: Link, remote_id: str) -> Record:
    """The record to adopt, when it is of the right kind and nobody else's."""
    what = "contact" if link.kind == Kind.CONTACT else "opportunity"
    if not remote_id:
        raise CannotDo(f"Give the ID of the {what} in GoHighLevel.")
    taken = state.of_records(session.config.location_id, [remote_id]).exclude(pk=link.pk).first()
    if taken is not None:
        raise CannotDo(f"That {what} belongs to {taken} already. Detach it there first.")
    try:
        record = session.read(link.kind, remote_id)
    except NotFound:
        raise CannotDo(f"GoHighLevel has no {what} with the ID {remote_id}.") from None
    _check_place(session, link, record)
    _check_key(session, link, record)
    return record


def _check_place(session: Session, link: Link, record: Record) -> None:
    pipeline = session.definitions.pipelines.get(link.kind)
    stands_in = str(record.raw.get("pipelineId") or "")
    if link.kind == Kind.CONTACT or (pipeline is not None and stands_in == pipeline.id):
        return
    named = Pipeline.objects.filter(location_id=session.config.location_id, remote_id=stands_in)
    name = named.values_list("name", flat=True).first() or stands_in or "no pipeline"
    wanted = session.config.pipelines[link.kind]
    raise CannotDo(f"That opportunity stands in {name}; a {link.kind} must stand in {wanted}. Move it there first.")


def _check_key(session: Session, link: Link, record: Record) -> None:
    key = _key_of(session, link, record)
    if key is None or key == link.key:
        return
    uid = key.partition(":")[2]
    others = Link.objects.filter(kind=link.kind, deleted_at__isnull=True).exclude(pk=link.pk)
    other = next((one for one in others.filter(remote_id="") if str(one.uid) == uid), None)
    if other is not None:
        raise CannotDo(f"That record bears the key of {other}, which is still to be linked. Link it to that one.")


def _key_of(session: Session, link: Link, record: Record) -> str | None:
    definition = session.definitions.fields.get(MAPS[link.kind].by_name["key"].remote)
    value = record.custom.get(definition.id) if definition is not None else None
    return str(value) if value else None


def _bears_key(session: Session, link: Link, record: Record) -> bool:
    return _key_of(session, link, record) == link.key


def _check_owner(session: Session, link: Link, record: Record) -> None:
    """An opportunity's contact is chosen when it is made and stays: ours must be the same one."""
    local = load(link.kind, link.object_id)
    if local is None:
        raise CannotDo(f"{link} is not there any more.")
    contact_id = contact_id_of(local)
    theirs = str(record.raw.get("contactId") or "")
    if link.kind == Kind.CONTACT or not theirs:
        return
    known = state.of_records(session.config.location_id, [theirs]).filter(kind=Kind.CONTACT).first()
    if contact_id is not None and not is_owner(local, theirs):
        role = "lead organiser" if link.kind == Kind.TRIP else "contact"
        theirs_named = f"{known.label}" if known is not None else _name_in(record)
        raise CannotDo(
            f"In GoHighLevel that opportunity belongs to {theirs_named or theirs}, who is not the {role} here. Choose "
            f"that contact as the {role} here first; an opportunity's contact cannot be changed from here."
        )


def _name_in(record: Record) -> str:
    embedded = record.raw.get("contact")
    return str(embedded.get("name") or "") if isinstance(embedded, dict) else ""


def _take_owner(link: Link, record: Record) -> None:
    """A trip without an organiser takes the contact whose opportunity it is."""
    local = load(link.kind, link.object_id, lock=True)
    theirs = str(record.raw.get("contactId") or "")
    if local is None or link.kind != Kind.TRIP or not theirs or local.obj.organiser_id is not None:
        return
    local.obj.organiser = stub_contact(theirs, record.raw)
    local.save({"": {"organiser"}})
