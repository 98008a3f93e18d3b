"""What becomes of a page of records: known ones are merged one by one, new ones come in in bulk.

A pull feeds it page by page, a webhook one record at a time.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
import uuid
from collections.abc import Sequence

from django.db import DatabaseError, connection, transaction

from ghl_sync.client.errors import NotFound
from ghl_sync.client.types import Page, Record
from ghl_sync.engine import apply, guards, importing, state
from ghl_sync.engine.clock import database_now
from ghl_sync.engine.importing import Importer, Newcomer
from ghl_sync.engine.results import KindCounts, PullReport
from ghl_sync.engine.session import Session
from ghl_sync.mapping.table import FINGERPRINT, MAPS
from ghl_sync.mapping.translate import read_record
from ghl_sync.models import Arrival, Cause, Issue, Kind, Lane, Link
from trips.models import Passenger
from trips.text import fold_name

logger = logging.getLogger("ghl_sync.pull")

# SQLite lets one writer in at a time: short transactions with a pause between leave room for staff's saves.
SQLITE_ROWS, SQLITE_PAUSE = 20, 0.005
# A search row is not believed against a write of ours this young unless it is the newer one (API notes §0.4).
LAG_SECONDS = 60
# So many rows are kept in memory until a walk's end tells whether what they empty may be emptied.
MOST_KEPT = 2_000
VOLATILE = {"sort", "searchAfter", "traceId"}


class _Overtaken(Exception):
    """The link moved on while its record was being merged; nothing of the merge may stay."""


class Intake:
    """Takes pages in and counts what it did in `report`. `asked_at` is when the page at hand was asked for.

    `walking`: all records of a kind come by, and `finish` is called after the last one. `dry` plans only. `via` is the
    way the records come, for their timelines.
    """

    def __init__(
        self,
        session: Session,
        report: PullReport,
        *,
        walking: bool,
        dry: bool = False,
        first_fill: bool = False,
        via: Arrival.Via = Arrival.Via.PULL,
    ) -> None:
        self.session = session
        self.report = report
        self.walking = walking
        self.dry = dry
        self.first_fill = first_fill
        self.via = via
        self.importer = Importer(session, dry=dry)
        self.asked_at = database_now()
        self._kept: dict[int, tuple[Record, str]] = {}

    def take(self, kind: Kind, page: Page) -> None:
        self.session.check_mapping()
        self.session.know_stages(kind, page.records)
        counts = self.report.of(kind)
        counts.seen += page.size
        counts.failed += page.unreadable
        records = list({record.id: record for record in page.records}.values())
        links = self._links_of(kind, records)
        new: list[tuple[Record, str]] = []
        changed: list[tuple[Record, str, Link]] = []
        back: list[int] = []
        for record in records:
            digest, link = digest_of(record), links.get(record.id)
            if link is None:
                new.append((record, digest))
            elif link.deleted_at is not None:
                self._came_back(kind, link, record)
            elif link.ignored_at is not None and link.gone_at is None:
                counts.unchanged += 1
            else:
                if link.missed_scans or link.gone_at:
                    back.append(link.pk)
                if not self.dry:
                    note_place(self.session, link, record)
                if link.remote_digest == digest:
                    counts.unchanged += 1
                else:
                    changed.append((record, digest, link))
        if back and not self.dry:
            state.seen_again(back)
        self._merge_all(kind, changed)
        self._import_all(kind, new)
        if kind == Kind.PASSENGER:
            self._count_links(records)

    def _links_of(self, kind: Kind, records: Sequence[Record]) -> dict[str, Link]:
        found = state.of_records(self.session.config.location_id, [record.id for record in records])
        return {link.remote_id: link for link in found.filter(kind=kind).defer("base")}

    def _came_back(self, kind: Kind, link: Link, record: Record) -> None:
        """Deleted here, still there: its DELETE is on its way, it was left there by choice, or somebody restored it."""
        counts = self.report.of(kind)
        # Contacts are never deleted over there.
        if link.remote_gone_at is None or link.ignored_at is not None or kind == Kind.CONTACT:
            counts.unchanged += 1
            return
        if self.dry or not self._is_there(kind, record):
            return
        counts.issues += 1
        state.open_issue(
            link,
            Issue.Code.CAME_BACK,
            f"“{link.label}” was deleted here and is in GoHighLevel again. It was not imported.",
            remote_id=record.id,
        )

    def _is_there(self, kind: Kind, record: Record) -> bool:
        """The index shows what was deleted a moment ago for a while (API notes §0.4)."""
        try:
            self.session.read(kind, record.id)
        except NotFound:
            return False
        return True

    def _count_links(self, records: Sequence[Record]) -> None:
        """How many of the page's passengers have a trip (a dry run counts its newcomers while it builds them)."""
        links = state.of_records(self.session.config.location_id, [record.id for record in records])
        ids = links.filter(kind=Kind.PASSENGER).values("object_id")
        rows = Passenger._base_manager.filter(pk__in=ids)
        without = rows.filter(trip__isnull=True).count()
        self.report.passengers.unlinked += without
        self.report.passengers.linked += rows.count() - without

    def finish(self, kind: Kind) -> None:
        """All records of the kind have come by: values that were to be emptied are, where they are few."""
        if self.dry:
            return
        kept, self._kept = self._kept, {}
        released = guards.judge(kind)
        links = Link.objects.in_bulk([pk for pk in released if pk in kept])
        for pk, link in links.items():
            self.merge(kind, *kept[pk], link)
        state.mark_dirty([pk for pk in released if pk not in links])  # seen by an earlier slice: read afresh

    # Known records

    def _merge_all(self, kind: Kind, changed: Sequence[tuple[Record, str, Link]]) -> None:
        agreed: list[Link] = []
        # Base, times and fence must be of one moment, or another's work in between would go unnoticed.
        links = Link.objects.in_bulk([link.pk for _record, _digest, link in changed])
        asked = state.asked_about(links) if links else set()
        for record, digest, earlier in changed:
            link = links.get(earlier.pk, earlier)
            if _older_than_ours(record, link):
                self.report.of(kind).unchanged += 1
                continue
            if link.pk not in asked and self._as_agreed(record, link):
                self.report.of(kind).unchanged += 1
                link.remote_digest, link.remote_updated_at = digest, record.updated_at
                agreed.append(link)
                continue
            try:
                self.merge(kind, record, digest, link)
            except DatabaseError as error:
                self._failed(kind, record, link, error)
            if connection.vendor == "sqlite":
                time.sleep(SQLITE_PAUSE)
        if agreed and not self.dry:
            state.store_digests(agreed)

    def _as_agreed(self, record: Record, link: Link) -> bool:
        """Whether the record holds exactly what base says: nothing to read or write."""
        if link.remote_dirty_at is not None or self._may_be_old(link):
            return False
        return apply.as_agreed(self.session, link, record)

    def merge(self, kind: Kind, record: Record, digest: str, link: Link) -> None:
        counts = self.report.of(kind)
        record, direct = self._trusted(record, link)
        self.session.trust_blanks(kind, link.base, record)
        if self.dry:
            self._plan_only(record, link, counts)
            return
        opened = _open_issues(link)
        try:
            settled = self._settle(record, link, "" if direct else digest, direct=direct)
        except (_Overtaken, state.LostLease):
            state.mark_dirty([link.pk])
            settled = None
        if settled is None:
            counts.unchanged += 1
            return
        if settled.sifted.held and len(self._kept) < MOST_KEPT:
            self._kept[link.pk] = (record, digest)
        counts.issues += max(_open_issues(link) - opened, 0)
        if settled.changed:
            counts.updated += 1
        else:
            counts.unchanged += 1
        if kind == Kind.TRIP:
            trip = settled.local.obj
            self.importer.know_trips([(trip.pk, trip.uid, trip.legacy_trip_id, trip.name)])

    def _settle(self, record: Record, link: Link, digest: str, *, direct: bool) -> apply.Settled | None:
        """Merge one record and record the outcome, whole or not at all; None when the object is gone here.

        Raises _Overtaken when somebody had the link since it was read: what was decided rests on an old base.
        """
        now = database_now()
        with transaction.atomic():
            settled = apply.settle(self.session, link, record=record, via=self.via, walking=self.walking)
            if settled is None:
                return None
            recorded = state.pulled(
                link,
                settled.base,
                now if direct else self.asked_at,
                remote_digest=digest,
                remote_updated_at=record.updated_at,
                label=settled.local.label[:255],
                synced_at=now,
                **({"remote_seen_at": now} if direct else {}),  # a row of the index may be seconds old
            )
            if not recorded:
                raise _Overtaken
            if settled.plan.push and not state.changes_of(link.kind, link.object_id):
                state.record_change(link.kind, link.object_id, cause=Cause.SAVED, lane=Lane.BULK)
        return settled

    def _may_be_old(self, link: Link) -> bool:
        """Whether the record was read or written by us after this page was asked for."""
        return link.remote_seen_at is not None and link.remote_seen_at >= self.asked_at

    def _plan_only(self, record: Record, link: Link, counts: KindCounts) -> None:
        local = apply.load(link.kind, link.object_id)
        if local is None:
            counts.unchanged += 1
            return
        readings = read_record(local.table, record, self.session.definitions)
        plan = apply.plan_for(self.session, link, local, apply.base_of(link), readings, record, state.NOTHING_SEEN)
        counts.issues += len(plan.issues)
        if plan.writes_locally:
            counts.updated += 1
        else:
            counts.unchanged += 1

    def _trusted(self, record: Record, link: Link) -> tuple[Record, bool]:
        """The row, or the record read directly where the row may be wrong; and whether it was read directly.

        The index may still show what was there before our own last write; and a row without any custom field where
        there were several is more likely a broken answer than a record that somebody emptied.
        """
        custom = sum(1 for name in link.base.get("v", {}) if MAPS[link.kind].by_name[name].custom)
        emptied = custom >= 3 and not record.custom and link.kind != Kind.CONTACT
        recent = link.remote_seen_at is not None and (
            database_now() - link.remote_seen_at
        ).total_seconds() < LAG_SECONDS * max(self.session.config.scale, 0.1)
        same_time = record.updated_at is not None and record.updated_at == link.remote_updated_at
        if not emptied and not (recent and same_time) and not self._may_be_old(link):
            return record, False
        try:
            return self.session.read(link.kind, record.id), True
        except NotFound:
            return record, False  # deleted this moment: the next scans will miss it

    def _failed(self, kind: Kind, record: Record, link: Link | None, error: Exception) -> None:
        """A record that the database will not take: said, and never in the way of the others."""
        counts = self.report.of(kind)
        counts.failed += 1
        logger.error("record %s could not be stored (%s)", record.id, type(error).__name__)
        if not self.dry:
            words = f"The database refused this record ({type(error).__name__}); the log says more."
            state.open_issue(link, "unreadable", words, remote_id=record.id)

    # New records

    def _import_all(self, kind: Kind, new: Sequence[tuple[Record, str]]) -> None:
        if not new:
            return
        arrivals = self._ours_sorted_out(kind, new)
        size = SQLITE_ROWS if connection.vendor == "sqlite" and not self.first_fill and not self.dry else len(arrivals)
        for start in range(0, len(arrivals), max(size, 1)):
            self.bring_in(kind, arrivals[start : start + size])
            if size < len(arrivals):
                time.sleep(SQLITE_PAUSE)

    def bring_in(self, kind: Kind, arrivals: Sequence[tuple[Record, str, uuid.UUID | None]]) -> None:
        owners: dict[str, int] = {}
        if kind != Kind.CONTACT:
            ids = {str(record.raw.get("contactId") or "") for record, _digest, _uid in arrivals}
            owners = importing.known_contacts(self.session.config.location_id, ids)
        try:
            newcomers = self.importer.build(kind, arrivals, owners)
            self.importer.write(newcomers)
        except DatabaseError as error:
            if len(arrivals) == 1 and self._links_of(kind, [arrivals[0][0]]):
                self.report.of(kind).unchanged += 1  # another worker brought it in this moment
                return
            if len(arrivals) == 1:
                self._failed(kind, arrivals[0][0], None, error)
                return
            for arrival in arrivals:  # find the one that the database refuses
                self.bring_in(kind, [arrival])
            return
        self._count_new(kind, newcomers)
        self._follow(kind, newcomers)

    def _count_new(self, kind: Kind, newcomers: Sequence[Newcomer]) -> None:
        counts = self.report.of(kind)
        counts.created += len(newcomers)
        counts.issues += sum(len(newcomer.issues) for newcomer in newcomers)
        if self.dry and kind == Kind.PASSENGER:
            linked = sum(newcomer.linked for newcomer in newcomers)
            self.report.passengers.linked += linked
            self.report.passengers.unlinked += len(newcomers) - linked

    def _follow(self, kind: Kind, newcomers: Sequence[Newcomer]) -> None:
        """A passenger that came in later changes its trip's count; the first fill is how things stood.

        One that came in before its trip is looked at once more, so that it does not matter which of them was first.
        """
        if self.dry or self.first_fill or kind == Kind.CONTACT:
            return
        if kind == Kind.TRIP:
            ids = _waiting_for(newcomers)
            links = Link.objects.filter(kind=Kind.PASSENGER, object_id__in=ids).exclude(remote_id="")
            state.mark_dirty(list(links.values_list("pk", flat=True)))
            return
        trips = {seat for newcomer in newcomers if (seat := newcomer.local.seat) is not None}
        delay = self.session.config.count_delay
        state.record_changes(Kind.TRIP, sorted(trips), cause=Cause.COUNT, lane=Lane.BULK, delay=delay)

    def _ours_sorted_out(
        self, kind: Kind, new: Sequence[tuple[Record, str]]
    ) -> list[tuple[Record, str, uuid.UUID | None]]:
        """Those to import, with the uid to import them under; records that bear a key of ours are treated by it."""
        definition = self.session.definitions.fields.get(MAPS[kind].by_name["key"].remote)
        uids = {
            record.id: uid
            for record, _digest in new
            if definition is not None and (uid := _uid_of(kind, record.custom.get(definition.id))) is not None
        }
        ours = {link.uid: link for link in Link.objects.filter(kind=kind, uid__in=uids.values())}
        waiting = importing.waiting_contacts(_emails(new)) if kind == Kind.CONTACT else {}
        strangers = state.not_ours(kind, [record.id for record, _digest in new])
        arrivals: list[tuple[Record, str, uuid.UUID | None]] = []
        taken: set[uuid.UUID] = set()
        for record, digest in new:
            if record.id in strangers:
                self.report.of(kind).unchanged += 1
                continue
            uid = uids.get(record.id)
            link = ours.get(uid) if uid else waiting.get(str(record.raw.get("email") or "").lower())
            if link is None and uid not in taken:
                arrivals.append((record, digest, uid))
                if uid is not None:
                    taken.add(uid)
            elif link is None:
                arrivals.append((record, digest, None))  # a copy that bears the key of another newcomer
            else:
                self._meet(kind, link, record)
        return arrivals

    def _meet(self, kind: Kind, link: Link, record: Record) -> None:
        counts = self.report.of(kind)
        if link.deleted_at is not None:
            self._came_back(kind, link, record)
        elif not link.remote_id:
            counts.updated += 1
            if not self.dry:
                pipeline_id = str(record.raw.get("pipelineId") or "")
                state.met(link, record.id, location_id=self.session.config.location_id, pipeline_id=pipeline_id)
        elif link.remote_id == record.id:
            counts.unchanged += 1  # a worker made it this moment
        else:
            counts.issues += 1
            if not self.dry:
                state.open_issue(
                    link,
                    "twin",
                    f"A second record in GoHighLevel bears the key of “{link.label}”. It was not imported.",
                    remote_id=record.id,
                )


def note_place(session: Session, link: Link, record: Record) -> None:
    """Remember in which pipeline a record stands: one that left ours is flagged until it is back."""
    stands_in = str(record.raw.get("pipelineId") or "")
    if link.kind == Kind.CONTACT or not stands_in or stands_in == link.pipeline_id:
        return
    ours = session.definitions.pipelines.get(link.kind)
    elsewhere = ours is not None and stands_in != ours.id
    state.stands_in(link, stands_in, elsewhere=elsewhere)


def _waiting_for(trips: Sequence[Newcomer]) -> list[int]:
    """Passengers without a trip whose record names one of these."""
    names = {fold_name(newcomer.local.obj.name) for newcomer in trips}
    numbers = {newcomer.local.obj.legacy_trip_id for newcomer in trips} - {None}
    rows = Passenger.objects.unlinked().values_list("pk", "trip_name_raw", "trip_id_raw")
    return [pk for pk, name, number in rows if (name and fold_name(name) in names) or number in numbers]


def _older_than_ours(record: Record, link: Link) -> bool:
    """A row from before our own last write: the index lags (API notes §0.4)."""
    return (
        record.updated_at is not None
        and link.remote_updated_at is not None
        and record.updated_at < link.remote_updated_at
    )


def _open_issues(link: Link) -> int:
    return link.issues.filter(closed_at__isnull=True).count()


def _emails(new: Sequence[tuple[Record, str]]) -> list[str]:
    return [str(record.raw.get("email") or "").lower() for record, _digest in new]


def _uid_of(kind: str, key: object) -> uuid.UUID | None:
    """The uid in a key of ours of this kind; None for anything else."""
    owner, _, text = str(key or "").partition(":")
    try:
        return uuid.UUID(text) if owner == kind else None
    except ValueError:
        return None


def digest_of(record: Record) -> str:
    """One record's state as a fingerprint: everything it holds but its place in a search, and how we read it."""
    raw = {key: value for key, value in record.raw.items() if key not in VOLATILE}
    text = json.dumps(raw, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b((FINGERPRINT + text).encode("utf-8", "surrogatepass"), digest_size=20).hexdigest()
