"""What is missing over there, and what only stands elsewhere.

A record counts as gone when two whole scans did not meet it and a direct look, while others of its kind are found,
does not find it either. One that stands in another pipeline is moved, not gone.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import F

from ghl_sync.client.errors import NotFound
from ghl_sync.client.types import Page
from ghl_sync.engine import state
from ghl_sync.engine.intake import Intake, note_place
from ghl_sync.engine.session import Session
from ghl_sync.models import Kind, Link

MOST_DIRECT_LOOKS = 100
MOST_OTHERS = 3
# So long a look at all links tells which records of a kind are likely to be there.
LAST_SEEN_SECONDS = 60.0


@dataclass
class Scan:
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


Pages = Callable[[Scan, Sequence[Any] | None], Page]
"""One page of a scan, from a cursor on."""


def prove_absence(session: Session, intake: Intake, kind: Kind, scan: Scan, *, started: dt.datetime) -> None:
    """Links that a whole scan did not meet; twice over, they are asked for one by one."""
    state.try_survivors(state.close_absent(kind, scan.ids))
    if kind == Kind.CONTACT:
        state.ask_about_merged(scan.ids)
    present = Link.objects.filter(
        kind=kind,
        location_id=session.config.location_id,
        deleted_at__isnull=True,
        gone_at__isnull=True,
        ignored_at__isnull=True,
    ).exclude(remote_id="")
    rows = present.filter(remote_seen_at__lt=started).values_list("pk", "remote_id", "missed_scans")
    absent = [(pk, missed) for pk, remote_id, missed in rows.iterator() if remote_id not in scan.ids]
    state.missed([pk for pk, _missed in absent])
    again = [pk for pk, missed in absent if missed >= 1][:MOST_DIRECT_LOOKS]
    for link in Link.objects.filter(pk__in=again):
        _look_for(session, intake, kind, link)


def walk_again(intake: Intake, kind: Kind, scan: Scan, pages: Pages) -> Scan:
    """Two rows may share a cursor and one be skipped at a page's end: other page ends find it (API notes §5.2)."""
    again = Scan(kind, scan.page_size - 3, ids=set(scan.ids))
    cursor: Sequence[Any] | None = None
    while True:
        page = pages(again, cursor)
        if page.total is not None:
            again.totals.append(page.total)
        missed = [record for record in page.records if record.id not in again.ids]
        again.ids.update(record.id for record in page.records)
        if missed:
            intake.take(kind, Page(tuple(missed), page.total, page.cursor, page.server_date, len(missed)))
        cursor = page.cursor
        if page.size < again.page_size or cursor is None:
            return again


def _look_for(session: Session, intake: Intake, kind: Kind, link: Link) -> None:
    try:
        record = session.read(kind, link.remote_id)
    except NotFound as error:
        if not others_answer(session, link) or took_merged_half(session, link):
            return
        if state.gone(link, error.words[:255]):
            intake.report.of(kind).gone += 1
        return
    state.seen_again([link.pk])
    note_place(session, link, record)
    link.refresh_from_db()
    intake.merge(kind, record, "", link)


def took_merged_half(session: Session, link: Link) -> bool:
    """Whether a contact that is not found has the half of one merged into it from now on.

    Who merged the two over there as well has kept the other one, which no program can tell but by what is left.
    """
    if link.kind != Kind.CONTACT:
        return False
    for merged in state.merged_halves(link.object_id):
        if _is_found(session, link.kind, merged.remote_id):
            return state.trade_halves(link, merged)
    return False


def others_answer(session: Session, link: Link) -> bool:
    """Whether another record of the kind is found this moment, so that "not found" means this one alone.

    Up to three are asked: the one last seen may have been deleted as well.
    """
    others = [remote_id for remote_id in _last_seen(session, link.kind) if remote_id != link.remote_id]
    if not others:
        return True  # the account holds no other record of ours: the known shape of the answer must do
    if any(_is_found(session, link.kind, remote_id) for remote_id in others[:MOST_OTHERS]):
        return True
    session.last_seen.pop(link.kind, None)
    return False


def _last_seen(session: Session, kind: str) -> list[str]:
    """The records of a kind that were seen last; asked of all links, and so not for each of many that are missing."""
    looked_at, ids = session.last_seen.get(kind, (0.0, []))
    if not ids or time.monotonic() - looked_at > LAST_SEEN_SECONDS:
        alive = Link.objects.filter(kind=kind, gone_at__isnull=True, deleted_at__isnull=True).exclude(remote_id="")
        rows = alive.order_by("missed_scans", F("remote_seen_at").desc(nulls_last=True), "-pk")
        ids = list(rows.values_list("remote_id", flat=True)[: MOST_OTHERS + 1])
        session.last_seen[kind] = time.monotonic(), ids
    return ids


def _is_found(session: Session, kind: str, remote_id: str) -> bool:
    try:
        session.read(kind, remote_id)
    except NotFound:
        return False
    return True
