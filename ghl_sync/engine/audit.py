"""Compare everything: each record of GoHighLevel with ours, field by field, though nothing says that they differ.

What saves, webhooks and pulls miss shows here: `update()`, `bulk_create` and SQL raise no signal, a webhook may be
lost, a backup may be old. Looking writes nothing but the run and what it found; `repairs` has it mended.

What is on its way, needs a person, is in conflict, or is known to be wrong (an open issue) is no find; nor is what
follows another record that is on its way: its passengers' trip name, its trips' vendor.
"""

from __future__ import annotations

import datetime as dt
import os
import socket
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Q

from ghl_sync.client.errors import GHLError, NotFound, Refused
from ghl_sync.client.types import Page, Record
from ghl_sync.engine import state
from ghl_sync.engine.absence import MOST_DIRECT_LOOKS
from ghl_sync.engine.clock import Now, database_now
from ghl_sync.engine.comparison import Comparison, following, load_many
from ghl_sync.engine.intake import LAG_SECONDS
from ghl_sync.engine.local import MODELS, Local, as_text, load
from ghl_sync.engine.pull import KIND_ORDER, SMALL_PAGE, rare_collections
from ghl_sync.engine.runs import at_work
from ghl_sync.engine.session import CannotRun, Session
from ghl_sync.models import Blank, Conflict, Drift, Issue, Kind, Link, Run, SeenPage

What = Drift.What
Progress = Callable[[str, int, int | None], None]
CANCELLED = "Cancelled. What was found by then is listed; the rest was not compared."
# Objects and rows handled at once where a list has no pages of its own.
CHUNK = 500
MOST_OF_A_VALUE = 2_000


@dataclass
class KindFound:
    """One kind of record: rows seen over there, as many as GoHighLevel says there are, and how many differ."""

    seen: int = 0
    total: int | None = None
    waiting: int = 0  # on their way or with a person: not compared
    drifts: int = 0


@dataclass
class AuditReport:
    """`found` counts what was found by `Drift.What`; not `complete` is a slice that the next call goes on from."""

    contacts: KindFound = field(default_factory=KindFound)
    trips: KindFound = field(default_factory=KindFound)
    passengers: KindFound = field(default_factory=KindFound)
    found: dict[str, int] = field(default_factory=dict)
    repaired: int = 0
    calls: int = 0
    seconds: float = 0.0
    run: int | None = None
    error: str = ""
    complete: bool = True

    def of(self, kind: str) -> KindFound:
        found: KindFound = getattr(self, f"{kind}s")
        return found

    @property
    def drifts(self) -> int:
        return sum(self.found.values())

    @property
    def ok(self) -> bool:
        return not self.error and not self.drifts

    def as_json(self) -> dict[str, Any]:
        body: dict[str, Any] = {"ok": self.ok, "run": self.run, "calls": self.calls, "seconds": self.seconds}
        body |= {f"{kind}s": vars(self.of(kind)) for kind in KIND_ORDER}
        body |= {"found": {what.value: self.found.get(what.value, 0) for what in What}, "repaired": self.repaired}
        return body | ({"error": self.error} if self.error else {})

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> AuditReport:
        """What an earlier slice counted."""
        report = cls(calls=stored["calls"], seconds=stored["seconds"], run=stored["run"])
        for kind in KIND_ORDER:
            setattr(report, f"{kind}s", KindFound(**stored[f"{kind}s"]))
        report.found = {what: count for what, count in stored["found"].items() if count}
        return report


def audit(
    session: Session, *, seconds: float | None = None, progress: Progress | None = None, by: int | None = None
) -> AuditReport:
    """Compare all records; what differs is stored as the run's drifts.

    `seconds` ends a slice early: the report is then not `complete`, and the next call goes on. `by` is the id of who
    asked. Raises CannotRun while another audit is at work, GHLError when GoHighLevel cannot be read: the run is over.
    """
    with rare_collections():
        return _Audit(session, seconds=seconds, progress=progress, by=by).run()


@dataclass
class _Walk:
    """What the walk over one kind has seen."""

    kind: Kind
    size: int
    ids: set[str] = field(default_factory=set)
    totals: list[int] = field(default_factory=list)
    number: int = 0

    @property
    def whole(self) -> bool:
        return not self.totals or min(self.totals) <= len(self.ids) <= max(self.totals)


class _Audit:
    def __init__(self, session: Session, *, seconds: float | None, progress: Progress | None, by: int | None) -> None:
        self.session = session
        self.ends = None if seconds is None else time.monotonic() + seconds
        self.progress = progress or (lambda kind, done, total: None)
        self.by = by
        self.report = AuditReport()
        self.compare = Comparison(session)
        self._clock = time.monotonic()
        self._calls_before, self._seconds_before = 0, 0.0

    def run(self) -> AuditReport:
        self._open()
        try:
            for kind in self._kinds():
                if self._cancelled() or not self._walk(kind):
                    return self._ended_early()
        except (KeyboardInterrupt, SystemExit):
            self._close("Broken off.")
            raise
        except (GHLError, CannotRun) as error:
            self._close(error.words if isinstance(error, GHLError) else str(error))
            raise
        return self._close()

    # The run's row

    def _open(self) -> None:
        row = state.unfinished_run(Run.Mode.AUDIT)
        if row is not None and at_work(row):
            raise CannotRun("A comparison of everything is at work already; wait until it is done, or cancel it.")
        if row is not None and not row.cursor.get("slice"):
            # Its process ended with it: half a list is no list.
            state.finish_run(row, ok=False, report=row.report, error="Broken off; another one was started.")
            row = None
        if row is None:
            row = state.start_run(Run.Mode.AUDIT, started_by=self.by)
            state.forget_old_drifts()
        elif row.report:
            self.report = AuditReport.from_json(row.report)
        self.row = row
        self.report.run = row.pk
        self._calls_before, self._seconds_before = self.report.calls, self.report.seconds
        self._remember({key: value for key, value in row.cursor.items() if key != "slice"})

    def _remember(self, cursor: Mapping[str, Any]) -> None:
        owner = {"host": socket.gethostname(), "pid": os.getpid()}
        state.advance_run(self.row, cursor={**cursor, **owner}, report=self._count_up().as_json())

    def _count_up(self) -> AuditReport:
        self.report.calls = self._calls_before + self.session.client.calls
        self.report.seconds = round(self._seconds_before + time.monotonic() - self._clock, 3)
        return self.report

    def _ended_early(self) -> AuditReport:
        if self._cancelled():
            return self._close(CANCELLED)
        self.report.complete = False
        self._remember({**self.row.cursor, "slice": True})
        state.leave_run(self.row)  # the next slice may be another worker's
        return self.report

    def _cancelled(self) -> bool:
        return state.cancel_asked(self.row)

    def _close(self, error: str = "") -> AuditReport:
        self.report.error = error
        state.finish_run(self.row, ok=not error, report=self._count_up().as_json(), error=error)
        return self.report

    # The walk

    def _kinds(self) -> list[Kind]:
        done = self.row.cursor.get("done", [])
        kinds = [kind for kind in KIND_ORDER if kind not in done]
        for kind in kinds:
            if kind != Kind.CONTACT and kind not in self.session.definitions.pipelines:
                name = self.session.config.pipelines[kind]
                raise CannotRun(f"GoHighLevel has no pipeline named {name}; `manage.py ghl_setup` says what to do.")
        return kinds

    def _walk(self, kind: Kind) -> bool:
        """Every page of one kind and what has no page; False when it has to end before that."""
        walk = _Walk(kind, self.session.location.page_size)
        cursor = self._resume(walk)
        while True:
            page = self._page(walk, cursor)
            walk.totals += [] if page.total is None else [page.total]
            walk.ids.update(record.id for record in page.records)
            self._take(kind, page)
            self.report.of(kind).total = page.total
            self.progress(f"{kind}s", len(walk.ids), page.total)
            cursor, walk.number = page.cursor, walk.number + 1
            if page.size < walk.size or cursor is None:
                break
            self._checkpoint(walk, page, cursor)
            if self._cancelled() or (self.ends is not None and time.monotonic() > self.ends):
                return False
        self._without_page(kind, walk)
        self._remember({"done": [*self.row.cursor.get("done", []), str(kind)]})
        return True

    def _resume(self, walk: _Walk) -> Sequence[Any] | None:
        if self.row.cursor.get("kind") != walk.kind:
            return None
        for page in SeenPage.objects.filter(run=self.row, kind=walk.kind):
            walk.ids.update(page.ids)
            walk.totals += [] if page.total is None else [page.total]
            walk.number = max(walk.number, page.number + 1)
        return tuple(self.row.cursor.get("after") or ()) or None

    def _checkpoint(self, walk: _Walk, page: Page, cursor: Sequence[Any]) -> None:
        ids = [record.id for record in page.records]
        state.remember_page(self.row, walk.kind, walk.number - 1, ids, page.total)
        self._remember({"done": self.row.cursor.get("done", []), "kind": walk.kind, "after": list(cursor)})

    def _page(self, walk: _Walk, cursor: Sequence[Any] | None) -> Page:
        try:
            return self._fetch(walk.kind, walk.size, cursor)
        except Refused as error:
            if error.code != "page_size" or walk.size <= SMALL_PAGE:
                raise
            walk.size = SMALL_PAGE
            return self._fetch(walk.kind, walk.size, cursor)

    def _fetch(self, kind: str, limit: int, cursor: Sequence[Any] | None) -> Page:
        self.session.check_fetching()
        client = self.session.client
        if kind == Kind.CONTACT:
            return client.contact_page(limit=limit, cursor=cursor)
        pipeline = self.session.definitions.pipelines[kind]
        return client.opportunity_page(pipeline_id=pipeline.id, limit=limit, cursor=cursor)

    # One page of records

    def _take(self, kind: Kind, page: Page) -> None:
        counts = self.report.of(kind)
        records = {record.id: record for record in page.records}
        counts.seen += len(records)
        links = {link.remote_id: link for link in self._links(kind, records)}
        known = _asked_about(kind, records)
        found = [
            self._drift(kind, What.NOT_HERE, remote_id=record.id, label=_label_in(record))
            for record in records.values()
            if record.id not in links and record.id not in known
        ]
        pairs = [(link, records[remote_id]) for remote_id, link in links.items() if link.deleted_at is None]
        moving = _moving([link.pk for link, _record in pairs])
        counts.waiting += len(moving)
        resting = [(link, record) for link, record in pairs if link.pk not in moving]
        locals_ = load_many(kind, [link.object_id for link, _record in resting])
        questions = _questions([link.pk for link, _record in resting])
        led = following(kind, locals_.values())
        for link, record in resting:
            local = locals_.get(link.object_id)
            if local is None:
                found += self._vanished(kind, link)
            elif self.compare.suspects(link, local, record, _known(link, questions, led)):
                found += self._examine(link.pk, record)
        self._store(kind, found)

    def _links(self, kind: Kind, remote_ids: Collection[str]) -> list[Link]:
        location_id = self.session.config.location_id
        return list(Link.objects.filter(kind=kind, location_id=location_id, remote_id__in=remote_ids))

    def _vanished(self, kind: Kind, link: Link) -> list[Drift]:
        """The object is gone although no delete was reported."""
        if MODELS[kind]._base_manager.filter(pk=link.object_id).exists() or not _still(link):
            return []
        return [self._drift(kind, What.NOT_HERE, link=link)]

    def _examine(self, link_id: int, record: Record) -> list[Drift]:
        """Look at one record again, at everything as it is now, and say what the engine would do about it."""
        link = Link.objects.filter(pk=link_id, deleted_at__isnull=True).first()
        if link is None or _moving([link.pk]):
            return []
        fresh, local = self._fresh(link, record), load(link.kind, link.object_id)
        if fresh is None or local is None:
            return []
        known = _known(link, _questions([link.pk]), following(link.kind, [local]))
        differing = self.compare.suspects(link, local, fresh, known)
        if not differing:
            return []
        found = list(self.compare.judged(link, local, fresh, differing))
        return [self._field_drift(link, local, *judged) for judged in found] if _still(link) else []

    def _fresh(self, link: Link, record: Record) -> Record | None:
        """The record itself where the index may lag behind our own last write; None when it is gone this moment."""
        scale = max(self.session.config.scale, 0.1)
        seen = link.remote_seen_at
        if seen is None or (database_now() - seen).total_seconds() > LAG_SECONDS * scale:
            emptied = not record.custom and len(link.base.get("v", {})) >= 3 and link.kind != Kind.CONTACT
            if not emptied:
                return record
        try:
            return self.session.read(link.kind, record.id)
        except NotFound:
            return None

    def _field_drift(self, link: Link, local: Local, name: str, what: What, ours: Any, theirs: Any) -> Drift:
        shown = name not in local.table.sensitive
        return self._drift(
            Kind(link.kind),
            what,
            link=link,
            field=name,
            our_value=as_text(ours)[:MOST_OF_A_VALUE] if shown else "",
            their_value=as_text(theirs)[:MOST_OF_A_VALUE] if shown else "",
        )

    def _drift(self, kind: Kind, what: What, *, link: Link | None = None, **fields: Any) -> Drift:
        if link is not None:
            of_link = {"object_id": link.object_id, "remote_id": link.remote_id, "label": link.label}
            fields = {"link": link, **of_link, **fields}
        return Drift(run=self.row, kind=kind, what=what, **fields)

    def _store(self, kind: Kind, found: Sequence[Drift]) -> None:
        state.store_drifts(found)
        self.report.of(kind).drifts += len(found)
        for drift in found:
            self.report.found[str(drift.what)] = self.report.found.get(str(drift.what), 0) + 1

    # What no page holds

    def _without_page(self, kind: Kind, walk: _Walk) -> None:
        self._store(kind, [*self._unreported(kind), *self._unsent(kind)])
        if walk.whole:
            self._store(kind, self._missing(kind, walk.ids))

    def _unreported(self, kind: Kind) -> Iterator[Drift]:
        """Objects that have no link: no save was ever reported."""
        known = Link.objects.filter(kind=kind).values("object_id")
        for obj in MODELS[kind]._base_manager.exclude(pk__in=known).order_by("pk").iterator(chunk_size=CHUNK):
            yield self._drift(kind, What.NO_LINK, object_id=obj.pk, label=str(obj)[:255])

    def _unsent(self, kind: Kind) -> Iterator[Drift]:
        """Records that were never sent although nothing hinders them."""
        waiting = Link.objects.filter(kind=kind, remote_id="", deleted_at__isnull=True).order_by("pk")
        ids = list(waiting.values_list("pk", flat=True))
        for start in range(0, len(ids), CHUNK):
            some = set(ids[start : start + CHUNK])
            for link in Link.objects.filter(pk__in=some - _moving(some)).defer("base"):
                yield self._drift(kind, What.NOT_SENT, link=link)

    def _missing(self, kind: Kind, seen: Collection[str]) -> list[Drift]:
        """Links whose record the whole walk did not meet; the first of them are asked for directly.

        The index lags: what was seen or written a moment ago is not missing yet.
        """
        before = self.row.started_at - dt.timedelta(seconds=LAG_SECONDS * max(self.session.config.scale, 0.1))
        living = Link.objects.filter(
            kind=kind, location_id=self.session.config.location_id, deleted_at__isnull=True, gone_at__isnull=True
        ).exclude(remote_id="")
        rows = living.filter(remote_seen_at__lt=before).values_list("pk", "remote_id")
        absent = [pk for pk, remote_id in rows if remote_id not in seen]
        found: list[Drift] = []
        for start in range(0, len(absent), CHUNK):
            some = absent[start : start + CHUNK]
            moving = _moving(some)
            for link in Link.objects.filter(pk__in=set(some) - moving).defer("base").order_by("pk"):
                if len(found) >= MOST_DIRECT_LOOKS or not self._is_there(link):
                    found.append(self._drift(kind, What.NOT_THERE, link=link))
        return found

    def _is_there(self, link: Link) -> bool:
        try:
            self.session.read(link.kind, link.remote_id)
        except NotFound:
            return False
        return True


def _moving(link_ids: Collection[int]) -> set[int]:
    """Those that are on their way, rest with a person, or are not mirrored: what they hold now is no find."""
    some: Any = Link.objects.filter(pk__in=link_ids)
    resting = Q(is_due=False, parked_at__isnull=True, gone_at__isnull=True, ignored_at__isnull=True)
    free = Q(leased_until__isnull=True) | Q(leased_until__lte=Now())
    return set(some.with_due().exclude(resting & free).values_list("pk", flat=True))


def _still(link: Link) -> bool:
    """Whether nobody has had the link since it was read, and nothing about it has become due."""
    return Link.objects.filter(pk=link.pk, fence=link.fence).exists() and not _moving([link.pk])


def _questions(link_ids: Collection[int]) -> dict[int, frozenset[str]]:
    """By link, the fields that an open issue or conflict is about, or that wait for a person's yes."""
    found: dict[int, set[str]] = {}
    issues = Issue.objects.filter(link__in=link_ids, closed_at__isnull=True)
    conflicts = Conflict.objects.filter(link__in=link_ids, resolved_at__isnull=True)
    held = Blank.objects.filter(link__in=link_ids, state=Blank.State.WAITING)
    for rows in (issues, conflicts, held):
        for link_id, name in rows.values_list("link_id", "field"):
            found.setdefault(link_id, set()).add(name)
    return {link_id: frozenset(names) for link_id, names in found.items()}


def _known(link: Link, questions: Mapping[int, frozenset[str]], led: Mapping[int, frozenset[str]]) -> frozenset[str]:
    """The fields of this record whose difference is no find."""
    return questions.get(link.pk, frozenset()) | led.get(link.object_id, frozenset())


def _asked_about(kind: str, remote_ids: Collection[str]) -> set[str]:
    """Records without a link that a question is open about, or that are not ours to mirror."""
    ids = list(remote_ids)
    asked = Issue.objects.filter(remote_id__in=ids, closed_at__isnull=True)
    return {*asked.values_list("remote_id", flat=True), *state.not_ours(kind, ids)}


def _label_in(record: Record) -> str:
    raw = record.raw
    person = f"{raw.get('firstName') or ''} {raw.get('lastName') or ''}".strip()
    return str(raw.get("name") or person or raw.get("email") or "")[:255]
