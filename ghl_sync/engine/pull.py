"""Bring GoHighLevel's state here: a full scan, what changed since the watermark, or a plan of either.

A page at a time: rows whose digest is known are not looked at, new ones come in in bulk, the others are merged one
by one. A full scan that saw every record also proves what is missing. A broken run goes on where it stopped.
"""

from __future__ import annotations

import datetime as dt
import gc
import logging
import os
import socket
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from ghl_sync.client.errors import GHLError, MissingScope, Refused
from ghl_sync.client.types import Page, Record
from ghl_sync.conf import INCREMENTAL_OVERLAP_SECONDS
from ghl_sync.engine import runs, state, twins
from ghl_sync.engine.absence import Scan, prove_absence, walk_again
from ghl_sync.engine.clock import database_now
from ghl_sync.engine.intake import Intake
from ghl_sync.engine.results import KindCounts, PullReport
from ghl_sync.engine.session import CannotRun, Session
from ghl_sync.mapping.table import FINGERPRINT
from ghl_sync.models import Arrival, Kind, Run, SeenPage
from trips.services import merging

logger = logging.getLogger("ghl_sync.pull")

KIND_ORDER = (Kind.CONTACT, Kind.TRIP, Kind.PASSENGER)
DEFINITIONS = "definitions"
SMALL_PAGE = 100
CANCELLED = "Cancelled. What came in by then stays; the next pull begins anew, so nothing is left out."

Progress = Callable[[str, int, int | None], None]
"""Called with the kind, the rows done so far and how many there are, where that is known."""


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
    could not be read at all; what came before stays. Where another database is bound to the account it only plans.
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
        self.dry = dry_run or bool(session.stranger)
        self.ends = None if seconds is None else time.monotonic() + seconds
        self.progress = progress or (lambda kind, done, total: None)
        self.report = PullReport(mode=str(self.mode.value), dry_run=self.dry)
        self.run_row: Run | None = None
        self.by: int | None = None
        self.short = False  # of some kind fewer records came than GoHighLevel says there are
        self.first_fill = False
        self.started = database_now()
        self._clock = time.monotonic()
        self._calls_before, self._seconds_before = 0, 0.0

    @property
    def counts_whole(self) -> bool:
        """Whether this run speaks for all kinds and nothing was held back from it, so that it moves the watermark."""
        return not self.only and not self.short

    def run(self) -> PullReport:
        self._open_run()
        try:
            self.session.check_fetching()
            self._definitions()
            kinds = self._kinds()
            self._check_pipelines(kinds)
            self.intake = Intake(self.session, self.report, walking=True, dry=self.dry, first_fill=self.first_fill)
            for kind in kinds:
                if self._cancelled() or not self._walk_if_allowed(kind):
                    return self._ended_early()
        except (KeyboardInterrupt, SystemExit):
            self._give_up_turn()
            raise
        except (GHLError, CannotRun) as error:
            self._fail(error.words if isinstance(error, GHLError) else str(error))
            raise
        if not self.dry:
            merging.gather()
            twins.find_alike()
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
        if row is not None and runs.at_work(row):
            raise CannotRun(f"A {self.mode.label.lower()} pull is at work already; wait until it is done.")
        if row is not None and row.cursor.get("mapping", FINGERPRINT) != FINGERPRINT:
            state.finish_run(row, ok=False, report=row.report, error="Broken off; TripBuilder was updated meanwhile.")
            row = None
        if row is not None and (row.only != self.only or (row.since is None) != (self.since is None)):
            state.finish_run(row, ok=False, report=row.report, error="Broken off; another pull was asked for.")
            row = None
        if row is not None and row.since is not None and self.since is not None and row.since > self.since:
            state.finish_run(row, ok=False, report=row.report, error="Broken off; more is to be read than it would.")
            row = None
        if row is not None and self._began_before_sleep(row):
            state.finish_run(row, ok=False, report=row.report, error="Broken off; everything is read afresh.")
            row = None
        if row is None:
            row = state.start_run(self.mode, only=self.only, since=self.since, started_by=self.by)
            row.cursor = {"first": runs.nothing_here()}
        else:
            self.since = row.since
            if row.report:
                self.report = PullReport.from_json(row.report)
            self.started = row.started_at
        self.run_row = row
        self.first_fill = bool(row.cursor.get("first"))
        self.short = bool(row.cursor.get("short"))
        self._calls_before = self.report.calls
        self._seconds_before = self.report.seconds
        self._remember(row.cursor)

    def _began_before_sleep(self, row: Run) -> bool:
        """Whether what it saw is too old to catch up with."""
        since = self.session.location.pull_first_since
        return self.mode is Run.Mode.FULL and since is not None and row.started_at < since

    def _remember(self, cursor: Mapping[str, Any]) -> None:
        if self.run_row is not None:
            owner = {"host": socket.gethostname(), "pid": os.getpid()}
            facts = {"first": self.first_fill, "short": self.short, "mapping": FINGERPRINT}
            report = self._count_up().as_json()
            state.advance_run(self.run_row, cursor={**cursor, **owner, **facts}, report=report)

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
        if ok and self.counts_whole and server_start is not None and self._leaves_no_gap():
            marks: dict[str, Any] = {"watermark": server_start - dt.timedelta(seconds=INCREMENTAL_OVERLAP_SECONDS)}
            if self.mode is Run.Mode.FULL:
                marks["full_scan_at"] = database_now()
            state.remember_location(self.session.location, **marks)
        if self.mode is Run.Mode.FULL and not self.only and not self.report.error:
            state.caught_up(self.session.location, self.run_row.started_at)
        state.finish_run(self.run_row, ok=ok, report=self.report.as_json(), error=self.report.error)
        return self.report

    def _leaves_no_gap(self) -> bool:
        """Whether what changed before this run's start was read: by it, or by those before it."""
        self.session.location.refresh_from_db(fields=["watermark"])
        watermark = self.session.location.watermark
        return self.since is None or (watermark is not None and self.since <= watermark)

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
        scan = Scan(kind, self.session.location.page_size)
        cursor = self._resume(scan)
        while True:
            self.session.check_fetching()
            self.intake.asked_at = database_now()
            page = self._page(scan, cursor)
            self._note_start(page)
            if page.total is not None:
                scan.totals.append(page.total)
            scan.ids.update(record.id for record in page.records)
            self.intake.take(kind, page)
            self.progress(f"{kind}s", len(scan.ids), page.total if self.since is None else None)
            cursor, scan.number = page.cursor, scan.number + 1
            # Where no total tells how many there are, a short page may be a broken answer: an empty one ends the walk.
            ends = page.total is None and self.since is not None
            last = cursor is None or page.size < (1 if ends else scan.page_size)
            if not last:
                self._checkpoint(scan, page, cursor)
                if self._cancelled() or (self.ends is not None and time.monotonic() > self.ends):
                    return False
                continue
            if not self.dry:
                self._made_whole(kind, scan)
            self.intake.finish(kind)
            self._kind_done(kind)
            return True

    def _made_whole(self, kind: Kind, scan: Scan) -> None:
        """Every record of the walk has come by, or it speaks for none; a whole one tells what is missing over there."""
        if not scan.whole:
            scan = walk_again(self.intake, kind, scan, self._page)
        if not scan.whole:
            logger.warning("%d %ss seen, %s reported; they are read once more", len(scan.ids), kind, scan.totals)
            self.short = True
        elif self.since is None:
            prove_absence(self.session, self.intake, kind, scan, started=self.started)

    def _resume(self, scan: Scan) -> Sequence[Any] | None:
        """Where a broken walk of this kind goes on, and what it had seen."""
        if self.run_row is None or self.run_row.cursor.get("kind") != scan.kind:
            return None
        for page in SeenPage.objects.filter(run=self.run_row, kind=scan.kind):
            scan.ids.update(page.ids)
            scan.totals += [] if page.total is None else [page.total]
            scan.number = max(scan.number, page.number + 1)
        after = self.run_row.cursor.get("after")
        return tuple(after) if after else None

    def _checkpoint(self, scan: Scan, page: Page, cursor: Sequence[Any] | None) -> None:
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

    def _page(self, scan: Scan, cursor: Sequence[Any] | None) -> Page:
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


def pull_record(
    session: Session, about: str, remote_id: str, *, via: Arrival.Via = Arrival.Via.PULL
) -> KindCounts | None:
    """Read one record by its id and treat it as a pull treats a row; what that did, or None where it is not mirrored.

    `about` says whether it is a "contact" or an "opportunity", `via` why it is read. Raises NotFound when there is
    none.
    """
    session.check_bound()
    asked_at = database_now()
    record = session.read(Kind.CONTACT if about == "contact" else Kind.TRIP, remote_id)
    kind = Kind.CONTACT if about == "contact" else _kind_of_opportunity(session, record)
    if kind is None:
        return None
    one = Intake(session, PullReport(mode=str(Run.Mode.INCREMENTAL.value)), walking=False, via=via)
    one.asked_at = asked_at
    one.take(kind, Page((record,), None, None, None, 1))
    return one.report.of(kind)


def _kind_of_opportunity(session: Session, record: Record) -> Kind | None:
    """What it is here already, wherever it has been moved; else by its pipeline."""
    link = state.of_records(session.config.location_id, [record.id]).first()
    if link is not None:
        return Kind(link.kind)
    pipelines = session.definitions.pipelines.items()
    kinds = [Kind(kind) for kind, pipeline in pipelines if pipeline.id == record.raw.get("pipelineId")]
    return kinds[0] if kinds else None
