"""Bring GoHighLevel's state here: a full scan, what changed since the watermark, or a plan of either.

A page at a time: rows whose digest is known are not looked at, new ones come in in bulk, the others are merged one
by one. A full scan that saw every record also proves what is missing. A broken run goes on where it stopped.
"""

from __future__ import annotations

import datetime as dt
import gc
import hashlib
import json
import logging
import os
import socket
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.db import DatabaseError, connection, transaction

from ghl_sync.client.errors import GHLError, MissingScope, NotFound, Refused
from ghl_sync.client.types import Page, Record
from ghl_sync.conf import INCREMENTAL_OVERLAP_SECONDS
from ghl_sync.engine import apply, importing, state
from ghl_sync.engine.clock import database_now
from ghl_sync.engine.importing import Importer, Newcomer
from ghl_sync.engine.results import KindCounts, PullReport
from ghl_sync.engine.session import CannotRun, Session
from ghl_sync.mapping.table import FINGERPRINT, MAPS
from ghl_sync.mapping.translate import read_record
from ghl_sync.models import Arrival, Cause, Kind, Lane, Link, Run, SeenPage
from trips.models import Contact, Passenger, Trip
from trips.text import fold_name

logger = logging.getLogger("ghl_sync.pull")

KIND_ORDER = (Kind.CONTACT, Kind.TRIP, Kind.PASSENGER)
DEFINITIONS = "definitions"
SMALL_PAGE = 100
# SQLite lets one writer in at a time: short transactions with a pause between leave room for staff's saves.
SQLITE_ROWS, SQLITE_PAUSE = 20, 0.005
# A scan this long in silence is not running any more.
SILENT_SECONDS = 60
# A search row is not believed against a write of ours this young unless it is the newer one (API notes §0.4).
LAG_SECONDS = 60
MOST_DIRECT_LOOKS = 100
VOLATILE = {"sort", "searchAfter", "traceId"}
CANCELLED = "Cancelled. What came in by then stays; the next pull begins anew, so nothing is left out."

Progress = Callable[[str, int, int | None], None]
"""Called with the kind, the rows done so far and how many there are, where that is known."""


@dataclass
class _Scan:
    """What one kind's walk has seen."""

    kind: str
    page_size: int
    ids: set[str] = field(default_factory=set)
    totals: list[int] = field(default_factory=list)
    number: int = 0

    @property
    def whole(self) -> bool:
        """Every page came, and as many different records as GoHighLevel says there are."""
        return not self.totals or min(self.totals) <= len(self.ids) <= max(self.totals)


def pull(
    session: Session,
    *,
    full: bool = False,
    since: dt.datetime | None = None,
    only: Collection[str] = (),
    dry_run: bool = False,
    seconds: float | None = None,
    progress: Progress | None = None,
    by: int | None = None,
) -> PullReport:
    """Pull everything (`full`, or no watermark yet), or what changed since `since` or the watermark.

    `only` narrows to contacts, trips, passengers or definitions. `seconds` ends a slice early: the report is then not
    `complete`, and the next call goes on. `by` is the id of who asked for it. A person may cancel it: it then ends
    with an error after the page at hand. Raises CannotRun when another pull is at work, GHLError when GoHighLevel
    could not be read at all; what came before stays.
    """
    run = _Pull(session, full=full, since=since, only=only, dry_run=dry_run, seconds=seconds, progress=progress)
    run.by = by
    with rare_collections():
        return run.run()


@contextmanager
def rare_collections() -> Iterator[None]:
    """A page is some hundred thousand small objects without cycles; looking through them often costs a sixth."""
    before = gc.get_threshold()
    gc.set_threshold(50_000, 20, 100)
    try:
        yield
    finally:
        gc.set_threshold(*before)


class _Overtaken(Exception):
    """The link moved on while its record was being merged; nothing of the merge may stay."""


class _Pull:
    def __init__(
        self,
        session: Session,
        *,
        full: bool,
        since: dt.datetime | None,
        only: Collection[str],
        dry_run: bool,
        seconds: float | None,
        progress: Progress | None,
    ) -> None:
        self.session = session
        self.only = sorted(only)
        watermark = session.location.watermark
        self.since = None if full else since or watermark
        self.mode = Run.Mode.INCREMENTAL if self.since else Run.Mode.FULL
        self.dry = dry_run
        self.ends = None if seconds is None else time.monotonic() + seconds
        self.progress = progress or (lambda kind, done, total: None)
        self.report = PullReport(mode=str(self.mode.value), dry_run=dry_run)
        self.run_row: Run | None = None
        self.by: int | None = None
        self.first_fill = False
        self.started = self.asked_at = database_now()
        self._clock = time.monotonic()
        self._calls_before, self._seconds_before = 0, 0.0

    @property
    def counts_whole(self) -> bool:
        """Whether this run speaks for all kinds, so that it moves the watermark."""
        return not self.only

    def run(self) -> PullReport:
        self._open_run()
        try:
            self.session.check_fetching()
            self._definitions()
            kinds = self._kinds()
            self._check_pipelines(kinds)
            self.importer = Importer(self.session, dry=self.dry)
            for kind in kinds:
                if self._cancelled() or not self._walk_if_allowed(kind):
                    return self._ended_early()
        except (KeyboardInterrupt, SystemExit):
            self._give_up_turn()
            raise
        except (GHLError, CannotRun) as error:
            self._fail(error.words if isinstance(error, GHLError) else str(error))
            raise
        return self._finish()

    def _ended_early(self) -> PullReport:
        """The time of this slice was up, and the next one goes on; or a person cancelled, and that is the end."""
        if self._cancelled():
            self.report.error = CANCELLED
            return self._finish()
        self.report.complete = False
        if self.run_row is not None:
            state.leave_run(self.run_row)  # the next slice may be another worker's
        return self._count_up()

    def _cancelled(self) -> bool:
        return self.run_row is not None and state.cancel_asked(self.run_row)

    # The run's row

    def _open_run(self) -> None:
        if self.dry:
            return
        row = state.unfinished_run(self.mode)
        if row is not None and run_at_work(row):
            raise CannotRun(f"A {self.mode.label.lower()} pull is at work already; wait until it is done.")
        if row is not None and row.cursor.get("mapping", FINGERPRINT) != FINGERPRINT:
            state.finish_run(row, ok=False, report=row.report, error="Broken off; TripBuilder was updated meanwhile.")
            row = None
        if row is not None and (row.only != self.only or (row.since is None) != (self.since is None)):
            state.finish_run(row, ok=False, report=row.report, error="Broken off; another pull was asked for.")
            row = None
        if row is None:
            row = state.start_run(self.mode, only=self.only, since=self.since, started_by=self.by)
            row.cursor = {"first": _nothing_here()}
        else:
            self.since = row.since
            if row.report:
                self.report = PullReport.from_json(row.report)
            self.started = row.started_at
        self.run_row = row
        self.first_fill = bool(row.cursor.get("first"))
        self._calls_before = self.report.calls
        self._seconds_before = self.report.seconds
        self._remember(row.cursor)

    def _remember(self, cursor: Mapping[str, Any]) -> None:
        if self.run_row is not None:
            owner = {"host": socket.gethostname(), "pid": os.getpid(), "first": self.first_fill, "mapping": FINGERPRINT}
            state.advance_run(self.run_row, cursor={**cursor, **owner}, report=self._count_up().as_json())

    def _give_up_turn(self) -> None:
        """Interrupted by a person: the next run may go on at once."""
        if self.run_row is not None:
            state.leave_run(self.run_row)

    def _fail(self, words: str) -> None:
        self.report.error = words
        if self.run_row is not None:
            state.leave_run(self.run_row, error=words)

    def _count_up(self) -> PullReport:
        self.report.calls = self._calls_before + self.session.client.calls
        self.report.seconds = round(self._seconds_before + time.monotonic() - self._clock, 3)
        return self.report

    def _finish(self) -> PullReport:
        self._count_up()
        if self.run_row is None:
            return self.report
        server_start = self.run_row.server_started_at
        ok = self.report.ok
        if ok and self.counts_whole and server_start is not None:
            marks: dict[str, Any] = {"watermark": server_start - dt.timedelta(seconds=INCREMENTAL_OVERLAP_SECONDS)}
            if self.mode is Run.Mode.FULL:
                marks["full_scan_at"] = database_now()
            state.remember_location(self.session.location, **marks)
        state.finish_run(self.run_row, ok=ok, report=self.report.as_json(), error=self.report.error)
        return self.report

    # Definitions, kinds, pages

    def _definitions(self) -> None:
        wanted = DEFINITIONS in self.only or not self.only
        if (wanted and self.mode is Run.Mode.FULL) or self.only == [DEFINITIONS]:
            try:
                self.session.refresh_definitions()
            except MissingScope as error:
                if self.session.location.refreshed_at is None:
                    raise
                self.report.error = error.words  # those of the last time must do

    def _kinds(self) -> list[Kind]:
        done = self.run_row.cursor.get("done", []) if self.run_row else []
        return [kind for kind in KIND_ORDER if (not self.only or f"{kind}s" in self.only) and kind not in done]

    def _check_pipelines(self, kinds: Sequence[Kind]) -> None:
        """Before anything is written: a pipeline that is not there would look like an empty one."""
        for kind in kinds:
            if kind != Kind.CONTACT and kind not in self.session.definitions.pipelines:
                name = self.session.config.pipelines[kind]
                raise CannotRun(
                    f"GoHighLevel has no pipeline named {name}. Create it there or correct "
                    f"GHL_{kind.upper()}_PIPELINE, then run `manage.py ghl_setup`."
                )

    def _walk_if_allowed(self, kind: Kind) -> bool:
        """As `_walk`; a kind that the token may not read never stops the others, and the run still ends as failed."""
        try:
            return self._walk(kind)
        except MissingScope as error:
            self.report.error = error.words
            return True

    def _walk(self, kind: Kind) -> bool:
        """Every page of one kind; False when it has to end before that."""
        scan = _Scan(kind, self.session.location.page_size)
        cursor = self._resume(scan)
        while True:
            self.session.check_fetching()
            self.asked_at = database_now()
            page = self._page(scan, cursor)
            self._note_start(page)
            if page.total is not None:
                scan.totals.append(page.total)
            scan.ids.update(record.id for record in page.records)
            self._take(kind, page)
            self.progress(f"{kind}s", len(scan.ids), page.total if self.since is None else None)
            cursor, scan.number = page.cursor, scan.number + 1
            last = page.size < scan.page_size or cursor is None
            if not last:
                self._checkpoint(scan, page, cursor)
                if self._cancelled() or (self.ends is not None and time.monotonic() > self.ends):
                    return False
                continue
            if self.since is None:
                self._prove_absence(kind, scan)
            self._kind_done(kind)
            return True

    def _resume(self, scan: _Scan) -> Sequence[Any] | None:
        """Where a broken walk of this kind goes on, and what it had seen."""
        if self.run_row is None or self.run_row.cursor.get("kind") != scan.kind:
            return None
        for page in SeenPage.objects.filter(run=self.run_row, kind=scan.kind):
            scan.ids.update(page.ids)
            scan.totals += [] if page.total is None else [page.total]
            scan.number = max(scan.number, page.number + 1)
        after = self.run_row.cursor.get("after")
        return tuple(after) if after else None

    def _checkpoint(self, scan: _Scan, page: Page, cursor: Sequence[Any] | None) -> None:
        if self.run_row is None:
            return
        ids = [record.id for record in page.records]
        state.remember_page(self.run_row, scan.kind, scan.number - 1, ids, page.total)
        done = self.run_row.cursor.get("done", [])
        self._remember({"done": done, "kind": scan.kind, "after": list(cursor or ())})

    def _kind_done(self, kind: Kind) -> None:
        if self.run_row is not None:
            self._remember({"done": [*self.run_row.cursor.get("done", []), str(kind)]})

    def _note_start(self, page: Page) -> None:
        if self.run_row is not None and self.run_row.server_started_at is None and page.server_date is not None:
            state.set_run_start(self.run_row, page.server_date)

    def _page(self, scan: _Scan, cursor: Sequence[Any] | None) -> Page:
        """One page; a size the API refuses falls back to the small one for good."""
        try:
            return self._fetch(scan.kind, scan.page_size, cursor)
        except Refused as error:
            if error.code != "page_size" or scan.page_size <= SMALL_PAGE:
                raise
            scan.page_size = SMALL_PAGE
            state.remember_location(self.session.location, page_size=SMALL_PAGE)
            return self._fetch(scan.kind, scan.page_size, cursor)

    def _fetch(self, kind: str, limit: int, cursor: Sequence[Any] | None) -> Page:
        client = self.session.client
        if kind == Kind.CONTACT:
            return client.contact_page(limit=limit, cursor=cursor, updated_since=self.since)
        pipeline = self.session.definitions.pipelines[kind]
        return client.opportunity_page(pipeline_id=pipeline.id, limit=limit, cursor=cursor, updated_since=self.since)

    # One page of records

    def _take(self, kind: Kind, page: Page) -> None:
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
            elif link.ignored_at is not None:
                counts.unchanged += 1
            elif link.deleted_at is not None:
                self._came_back(kind, link, record)
            else:
                if link.missed_scans or link.gone_at:
                    back.append(link.pk)
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
        found = Link.objects.filter(
            kind=kind, location_id=self.session.config.location_id, remote_id__in=[record.id for record in records]
        )
        return {link.remote_id: link for link in found.defer("base")}

    def _came_back(self, kind: Kind, link: Link, record: Record) -> None:
        """Deleted here, still there: its DELETE is on its way, or somebody restored it."""
        counts = self.report.of(kind)
        if link.remote_gone_at is None or kind == Kind.CONTACT:  # contacts are never deleted over there
            counts.unchanged += 1
            return
        counts.issues += 1
        if not self.dry:
            state.open_issue(
                link,
                "came_back",
                f"“{link.label}” was deleted here and is in GoHighLevel again. It was not imported.",
                remote_id=record.id,
            )

    def _count_links(self, records: Sequence[Record]) -> None:
        """How many of the page's passengers have a trip (a dry run counts its newcomers while it builds them)."""
        ids = Link.objects.filter(
            kind=Kind.PASSENGER,
            location_id=self.session.config.location_id,
            remote_id__in=[record.id for record in records],
        ).values("object_id")
        rows = Passenger._base_manager.filter(pk__in=ids)
        without = rows.filter(trip__isnull=True).count()
        self.report.passengers.unlinked += without
        self.report.passengers.linked += rows.count() - without

    # Known records

    def _merge_all(self, kind: Kind, changed: Sequence[tuple[Record, str, Link]]) -> None:
        agreed: list[Link] = []
        # Base, times and fence must be of one moment, or another's work in between would go unnoticed.
        links = Link.objects.in_bulk([link.pk for _record, _digest, link in changed])
        for record, digest, earlier in changed:
            link = links.get(earlier.pk, earlier)
            if _older_than_ours(record, link):
                self.report.of(kind).unchanged += 1
                continue
            if self._as_agreed(record, link):
                self.report.of(kind).unchanged += 1
                link.remote_digest, link.remote_updated_at = digest, record.updated_at
                agreed.append(link)
                continue
            try:
                self._merge(kind, record, digest, link)
            except DatabaseError as error:
                self._failed(kind, record, link, error)
            if connection.vendor == "sqlite":
                time.sleep(SQLITE_PAUSE)
        if agreed and not self.dry:
            state.store_digests(agreed)

    def _as_agreed(self, record: Record, link: Link) -> bool:
        """Whether the record holds exactly what base says: nothing to read or write."""
        if not link.base or link.remote_dirty_at is not None or self._may_be_old(link):
            return False
        base = apply.base_of(link)
        readings, table = read_record(MAPS[link.kind], record, self.session.definitions), MAPS[link.kind].by_name
        return all(
            not item.unreadable and base.remote_is(name, item.value)
            for name, item in readings.items()
            if self.session.rules.is_read(link.kind, table[name])
        )

    def _merge(self, kind: Kind, record: Record, digest: str, link: Link) -> None:
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
        counts.issues += max(_open_issues(link) - opened, 0)
        if settled.changed:
            counts.updated += 1
        else:
            counts.unchanged += 1
        if kind == Kind.TRIP:
            trip = settled.local.obj
            self.importer.trips.add([(trip.pk, trip.uid, trip.legacy_trip_id, trip.name)])

    def _settle(self, record: Record, link: Link, digest: str, *, direct: bool) -> apply.Settled | None:
        """Merge one record and record the outcome, whole or not at all; None when the object is gone here.

        Raises _Overtaken when somebody had the link since it was read: what was decided rests on an old base.
        """
        now = database_now()
        with transaction.atomic():
            settled = apply.settle(self.session, link, record=record, via=Arrival.Via.PULL)
            if settled is None:
                return None
            recorded = state.pulled(
                link,
                settled.base,
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
            self._import(kind, arrivals[start : start + size])
            if size < len(arrivals):
                time.sleep(SQLITE_PAUSE)

    def _import(self, kind: Kind, arrivals: Sequence[tuple[Record, str, uuid.UUID | None]]) -> None:
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
                self._import(kind, [arrival])
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

    # What is missing

    def _prove_absence(self, kind: Kind, scan: _Scan) -> None:
        """Links that a whole scan did not meet; twice over, they are asked for one by one."""
        if self.dry:
            return
        if not scan.whole:
            scan = self._walk_again(kind, scan)
            if not scan.whole:
                logger.warning("%d %ss seen, %s reported; nothing counts as missing", len(scan.ids), kind, scan.totals)
                return
        state.close_absent(kind, scan.ids)
        present = Link.objects.filter(
            kind=kind,
            location_id=self.session.config.location_id,
            deleted_at__isnull=True,
            gone_at__isnull=True,
            ignored_at__isnull=True,
        ).exclude(remote_id="")
        rows = present.filter(remote_seen_at__lt=self.started).values_list("pk", "remote_id", "missed_scans")
        absent = [(pk, missed) for pk, remote_id, missed in rows if remote_id not in scan.ids]
        state.missed([pk for pk, _missed in absent])
        again = [pk for pk, missed in absent if missed >= 1][:MOST_DIRECT_LOOKS]
        for link in Link.objects.filter(pk__in=again):
            self._look_for(kind, link)

    def _walk_again(self, kind: Kind, scan: _Scan) -> _Scan:
        """Two rows may share a cursor and one be skipped at a page's end: other page ends find it (API notes §5.2)."""
        again = _Scan(kind, scan.page_size - 3, ids=set(scan.ids))
        cursor: Sequence[Any] | None = None
        while True:
            page = self._page(again, cursor)
            if page.total is not None:
                again.totals.append(page.total)
            missed = [record for record in page.records if record.id not in again.ids]
            again.ids.update(record.id for record in page.records)
            if missed:
                self._take(kind, Page(tuple(missed), page.total, page.cursor, page.server_date, len(missed)))
            cursor = page.cursor
            if page.size < again.page_size or cursor is None:
                return again

    def _look_for(self, kind: Kind, link: Link) -> None:
        try:
            record = self.session.read(kind, link.remote_id)
        except NotFound as error:
            state.gone(link, error.words[:255])
            self.report.of(kind).gone += 1
            return
        state.seen_again([link.pk])
        link.refresh_from_db()
        self._merge(kind, record, "", link)  # moved to another pipeline, most likely


def pull_record(session: Session, about: str, remote_id: str) -> KindCounts | None:
    """Read one record by its id and treat it as a pull treats a row; what that did, or None where it is not mirrored.

    `about` says whether it is a "contact" or an "opportunity". Raises NotFound when there is none.
    """
    asked_at = database_now()
    record = session.read(Kind.CONTACT if about == "contact" else Kind.TRIP, remote_id)
    kind = Kind.CONTACT if about == "contact" else _kind_of_opportunity(session, record)
    if kind is None:
        return None
    one = _Pull(session, full=False, since=None, only=(), dry_run=False, seconds=None, progress=None)
    one.importer = Importer(session)
    one.asked_at = asked_at
    one._take(kind, Page((record,), None, None, None, 1))
    return one.report.of(kind)


def _kind_of_opportunity(session: Session, record: Record) -> Kind | None:
    """What it is here already, wherever it has been moved; else by its pipeline."""
    link = Link.objects.filter(location_id=session.config.location_id, remote_id=record.id).first()
    if link is not None:
        return Kind(link.kind)
    pipelines = session.definitions.pipelines.items()
    kinds = [Kind(kind) for kind, pipeline in pipelines if pipeline.id == record.raw.get("pipelineId")]
    return kinds[0] if kinds else None


def at_work() -> bool:
    """Whether a pull is running this moment, anywhere."""
    return any(run_at_work(row) for row in Run.objects.filter(finished_at__isnull=True))


def run_at_work(row: Run) -> bool:
    """Whether somebody is pulling right now; a process of this machine that has ended is not."""
    owner = row.cursor
    if owner.get("host") == socket.gethostname() and isinstance(owner.get("pid"), int):
        if owner["pid"] == os.getpid():
            return False
        try:
            os.kill(owner["pid"], 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass  # it runs, as somebody else
    return (database_now() - row.touched_at).total_seconds() < SILENT_SECONDS


def _nothing_here() -> bool:
    return not any(model._base_manager.exists() for model in (Trip, Passenger, Contact))


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
