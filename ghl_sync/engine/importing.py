"""Records of GoHighLevel that are new here: built in memory, then written in bulk with their parts and links.

No signals and no history: a row made from theirs is nobody's edit, and sending it back would be an echo. What does
not fit comes in with an issue; nothing is guessed.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from django.db import models, transaction

from ghl_sync.client.types import Record
from ghl_sync.engine import state
from ghl_sync.engine.apply import extra_of
from ghl_sync.engine.base import Base
from ghl_sync.engine.clock import database_now
from ghl_sync.engine.linking import DISAGREE, TripIndex, resolve
from ghl_sync.engine.local import MODELS, PARTS, Local, document_from, stub_contact, vendor_named
from ghl_sync.engine.plan import IssueNote, unreadable
from ghl_sync.engine.rules import Rules
from ghl_sync.engine.session import Session
from ghl_sync.mapping.fields import Values, Way
from ghl_sync.mapping.table import MAPS
from ghl_sync.mapping.translate import EMPTY, Readings, read_record
from ghl_sync.models import Issue, Kind, Link
from trips.models import Contact, Document, Trip, Vendor
from trips.text import fold_name


@dataclass
class Newcomer:
    """One record on its way in. `local` holds unsaved rows until `write` has run."""

    record: Record
    digest: str
    readings: Readings
    local: Local
    issues: list[IssueNote] = field(default_factory=list)

    @property
    def linked(self) -> bool:
        return self.local.kind != Kind.PASSENGER or self.local.obj.trip_id is not None


class Importer:
    """Builds and writes newcomers of one run. `dry` builds only.

    Knows the run's trips, vendors and contacts by what records call them, so that a page costs a constant number of
    queries.
    """

    def __init__(self, session: Session, *, dry: bool = False) -> None:
        self.session = session
        self.dry = dry
        self._trip_rows: dict[int, Trip] = {}
        self._vendors: dict[str, Vendor | None] = {}
        self._unsaved = 0

    @cached_property
    def trips(self) -> TripIndex:
        """Read when the first passenger asks: most single records that come in ask for none."""
        return TripIndex.load()

    def know_trips(self, rows: Iterable[tuple[int, uuid.UUID, int | None, str]]) -> None:
        """These trips are new, or go by these names by now."""
        if self.dry or "trips" in self.__dict__:  # those of a dry run are nowhere else
            self.trips.add(rows)

    # Building

    def build(
        self, kind: str, arrivals: Sequence[tuple[Record, str, uuid.UUID | None]], owners: Mapping[str, int]
    ) -> list[Newcomer]:
        """Newcomers from (record, digest, our uid or None); `owners` maps contact ids over there to ours."""
        return [self._newcomer(kind, record, digest, uid, owners) for record, digest, uid in arrivals]

    def _newcomer(
        self, kind: str, record: Record, digest: str, uid: uuid.UUID | None, owners: Mapping[str, int]
    ) -> Newcomer:
        readings = read_record(MAPS[kind], record, self.session.definitions)
        obj = MODELS[kind]()
        if uid is not None:
            obj.uid = uid  # type: ignore[attr-defined]
        local = Local(kind, obj, dict.fromkeys(PARTS) if kind == Kind.PASSENGER else {})
        newcomer = Newcomer(record, digest, readings, local)
        local.apply(self._values(newcomer))
        if kind != Kind.CONTACT:
            self._owner(newcomer, owners)
        if kind == Kind.TRIP:
            self._vendor(newcomer)
        elif kind == Kind.PASSENGER:
            self._trip(newcomer)
        for row in (obj, *(part for part in local.parts.values() if part is not None)):
            row.derive()
        return newcomer

    def _values(self, newcomer: Newcomer) -> Values:
        """What may be taken over as it is: readable, not a reference, and coming in at all."""
        values: Values = {}
        for row in newcomer.local.table.fields:
            reading = newcomer.readings.get(row.name)
            if reading is None or reading is EMPTY or row.reference or row.way is Way.UP or row.name == "title":
                continue
            if not self.session.rules.comes_in(newcomer.local.kind, row):
                continue
            if reading.unreadable:
                newcomer.issues.append(unreadable(row, reading))
            elif reading.value is not None:
                values[row.name] = reading.value
        return values

    def _owner(self, newcomer: Newcomer, owners: Mapping[str, int]) -> None:
        local, name = newcomer.local, "organiser" if newcomer.local.kind == Kind.TRIP else "contact"
        remote_id = str(newcomer.readings[name].value or "")
        if not remote_id:
            return
        local.contact_remote_id = remote_id
        contact_id = owners.get(remote_id)
        if contact_id is None and not self.dry:
            contact_id = stub_contact(remote_id, newcomer.record.raw).pk
        setattr(local.obj, f"{name}_id", contact_id)

    def _vendor(self, newcomer: Newcomer) -> None:
        reading = newcomer.readings.get("vendor")
        if reading is None or reading.unreadable or not reading.value:
            return
        key = fold_name(reading.value)
        if key not in self._vendors:
            self._vendors[key] = Vendor(name=reading.value) if self.dry else vendor_named(reading.value)
        newcomer.local.obj.vendor = self._vendors[key]

    def _trip(self, newcomer: Newcomer) -> None:
        """Link by key, number or name; what names no single trip keeps what GoHighLevel calls it."""
        passenger = newcomer.local.obj
        values = {
            name: reading.value
            for name in ("trip_key", "trip_id", "trip_name")
            if (reading := newcomer.readings.get(name)) is not None and not reading.unreadable
        }
        for name in ("trip_id", "trip_name"):
            reading = newcomer.readings.get(name)
            if reading is not None and reading.unreadable:
                row = newcomer.local.table.by_name[name]
                newcomer.issues.append(unreadable(row, reading))
        found = resolve(
            self.trips, key=values.get("trip_key"), legacy=values.get("trip_id"), name=values.get("trip_name")
        )
        if found.disagree:
            newcomer.issues.append(IssueNote("trip_id", "disagree", DISAGREE))
        if found.trip_id is None:
            passenger.trip_name_raw = values.get("trip_name") or ""
            passenger.trip_id_raw = values.get("trip_id")
        else:
            passenger.trip = self._trip_row(found.trip_id)

    def _trip_row(self, trip_id: int) -> Trip:
        """Just what a passenger's values say of its trip."""
        row = self._trip_rows.get(trip_id)
        if row is None:
            name, number = self.trips.labels[trip_id]
            row = Trip(pk=trip_id, uid=uuid.UUID(self.trips.uids[trip_id]), name=name, legacy_trip_id=number)
            self._trip_rows[trip_id] = row
        return row

    # Writing

    def write(self, newcomers: Sequence[Newcomer]) -> None:
        """Insert them all, or none when the database refuses one."""
        if not newcomers:
            return
        kind = newcomers[0].local.kind
        if self.dry:
            for newcomer in newcomers:
                self._unsaved -= 1
                newcomer.local.obj.pk = self._unsaved
        else:
            self._insert(kind, newcomers)
        if kind == Kind.TRIP:
            self.know_trips(
                (n.local.obj.pk, n.local.obj.uid, n.local.obj.legacy_trip_id, n.local.obj.name) for n in newcomers
            )

    def _insert(self, kind: str, newcomers: Sequence[Newcomer]) -> None:
        with transaction.atomic():
            MODELS[kind]._base_manager.bulk_create([n.local.obj for n in newcomers], batch_size=500)
            for name, model in PARTS.items():
                _insert_parts(model, [part for n in newcomers if (part := n.local.parts.get(name)) is not None])
            Document.objects.bulk_create([paper for n in newcomers for paper in self._papers(n)], batch_size=500)
            now = database_now()
            links = [self._link(newcomer, now) for newcomer in newcomers]
            state.create_links(links)
            issues = [
                Issue(link=link, field=note.field, code=note.code, message=note.message, raw=_raw(note))
                for link, newcomer in zip(links, newcomers, strict=True)
                for note in newcomer.issues
            ]
            state.create_issues(issues)

    def _papers(self, newcomer: Newcomer) -> list[Document]:
        local, found = newcomer.local, []
        for name, reading in newcomer.readings.items():
            row = local.table.by_name[name]
            if row.part == "documents" and not reading.unreadable and self.session.rules.comes_in(local.kind, row):
                found += [document_from(local.obj, local.kind, row.attribute, item) for item in reading.value or ()]
        return found

    def _link(self, newcomer: Newcomer, now: dt.datetime) -> Link:
        record, local = newcomer.record, newcomer.local
        return Link(
            kind=local.kind,
            object_id=local.obj.pk,
            uid=local.obj.uid,
            label=str(local.obj)[:255],
            location_id=self.session.config.location_id,
            remote_id=record.id,
            pipeline_id=str(record.raw.get("pipelineId") or ""),
            base=first_base(local, newcomer.readings, self.session.rules).dump(),
            remote_digest=newcomer.digest,
            remote_updated_at=record.updated_at,
            remote_seen_at=now,
            synced_at=now,
        )


def first_base(local: Local, readings: Readings, rules: Rules) -> Base:
    """The agreement a row made from theirs begins with: what each side holds now.

    Of a field that did not come in nothing is agreed, so that it does as soon as a rule lets it.
    """
    base = Base(str(local.obj.uid), local.table.sensitive, known=True)
    ours = local.values()
    rows = local.table.by_name
    for name, reading in readings.items():
        row = rows[name]
        if reading.unreadable:
            continue
        if row.way is Way.UP:
            base.agree_remote(name, reading.value)
        elif not rules.comes_in(local.kind, row):
            continue
        elif row.part == "documents":
            base.agree(name, None, reading.value)
        elif reading.value is not None or ours.get(name) is not None:
            base.agree(name, ours.get(name), reading.value)
    base.extra = extra_of(local)
    return base


def _insert_parts(model: type[models.Model], parts: Iterable[Any]) -> None:
    rows = list(parts)
    for row in rows:
        row.passenger = row.passenger  # takes over the key that the passenger has by now
    model._base_manager.bulk_create(rows, batch_size=500)


def _raw(note: IssueNote) -> str:
    return "" if note.raw is None else str(note.raw)[:10_000]


def known_contacts(location_id: str, remote_ids: Iterable[str]) -> dict[str, int]:
    """Our contacts by their ids over there; for one that was merged here, the one that stands for it."""
    rows = state.of_records(location_id, set(remote_ids)).filter(kind=Kind.CONTACT, deleted_at__isnull=True)
    known = dict(rows.values_list("remote_id", "object_id"))
    merged: dict[int, Any] = dict(
        Contact._base_manager.filter(pk__in=known.values(), merged_into__isnull=False).values_list("pk", "merged_into")
    )
    return {remote_id: merged.get(pk, pk) for remote_id, pk in known.items()}


def waiting_contacts(emails: Iterable[str]) -> dict[str, Link]:
    """Links of contacts made here that are not over there yet, by e-mail: the same person, met from both sides."""
    wanted = {email for email in emails if email}
    if not wanted:
        return {}
    waiting = Link.objects.filter(kind=Kind.CONTACT, remote_id="", deleted_at__isnull=True)
    standing = Contact.objects.standing().filter(email__in=wanted, pk__in=waiting.values("object_id"))
    contacts = dict(standing.values_list("pk", "email"))
    return {contacts[link.object_id]: link for link in waiting.filter(object_id__in=contacts)}
