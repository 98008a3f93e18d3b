"""Deletes: held for a while so that they can be undone, asked about, sent, and forgotten in the end."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from django.db import models
from django.db.models import Q

from ghl_sync.engine.clock import Now, database_now
from ghl_sync.engine.state.changes import record_change
from ghl_sync.engine.state.claims import keep, release
from ghl_sync.engine.state.links import unpark
from ghl_sync.engine.state.questions import close_issues
from ghl_sync.models import Cause, DeletedRecord, Issue, Kind, Lane, Link


def keep_rows(link_id: int, rows: str) -> None:
    """What the object held, while its delete can be undone."""
    DeletedRecord.objects.update_or_create(link_id=link_id, defaults={"rows": rows, "at": Now()})


def hold_delete(link_id: int, seconds: float) -> None:
    """The object is deleted here, in the caller's transaction; nothing leaves before `seconds` have passed."""
    Link.objects.filter(pk=link_id).update(**_held(seconds))
    _settle_unsendable(link_id)


def _held(seconds: float) -> dict[str, Any]:
    now = database_now()
    until = now + dt.timedelta(seconds=seconds) if seconds else None
    return {"deleted_at": now, "held_until": until, "parked_at": None, "next_attempt_at": None, "waits_for": ""}


def bury(link: Link, seconds: float) -> None:
    """The object of a claimed link turned out to be gone, unreported: a tombstone from now on, and held as well."""
    keep(link, **_held(seconds))
    _settle_unsendable(link.pk)


def _settle_unsendable(link_id: int) -> None:
    """What a deleted record holds needs no field or option over there; its undo asks for them again."""
    codes = (Issue.Code.NO_OPTION, Issue.Code.NO_FIELD)
    Issue.objects.filter(link=link_id, code__in=codes, closed_at__isnull=True).update(closed_at=Now())


def wait_held(link: Link) -> None:
    """Give the claim back until the delete may leave."""
    left = (link.held_until - database_now()).total_seconds() if link.held_until else 0.0
    release(link, after=max(left, 0.0))


def send_delete_now(link: Link) -> None:
    """The seized tombstone is held no longer."""
    keep(link, held_until=None, next_attempt_at=None, waits_for="")


def revive(link: Link) -> None:
    """The seized link's object stands again: it is compared as if nothing had happened."""
    close_issues(link, codes=(Issue.Code.CHANGED, Issue.Code.CAME_BACK))
    unpark(Link.objects.filter(pk=link.pk))
    keep(
        link, deleted_at=None, held_until=None, remote_gone_at=None, ignored_at=None, remote_dirty_at=Now(),
        waits_for="", last_error="",
    )  # fmt: skip
    DeletedRecord.objects.filter(link=link).delete()
    record_change(link.kind, link.object_id)


def revive_others(kind: str, object_ids: list[int]) -> None:
    """Objects that went and came back with another one: their links are tombstones no longer."""
    for link in Link.objects.filter(kind=kind, object_id__in=object_ids, deleted_at__isnull=False):
        revive(link)


def recount(trip_id: int, delay: float) -> None:
    """A passenger went from this trip or is back on it: its count over there may have been written otherwise."""
    record_change(Kind.TRIP, trip_id, cause=Cause.COUNT, lane=Lane.BULK, delay=delay)


def ask_about_delete(link: Link, message: str, theirs: str) -> None:
    """Deleted here, changed there since: the question, with what GoHighLevel holds now."""
    Issue.objects.update_or_create(
        link=link, code=Issue.Code.CHANGED, field="", remote_id=link.remote_id, closed_at=None,
        defaults={"message": message, "raw": theirs},
    )  # fmt: skip


def changed_issue(link: Link) -> Issue | None:
    """The open question about a delete that met a change."""
    return Issue.objects.filter(link=link, code=Issue.Code.CHANGED, closed_at__isnull=True).first()


def answer_issue(issue: Issue, user: Any, decision: str = "") -> bool:
    """A person has decided; who and what stays on record. False when it was closed before."""
    still = Issue.objects.filter(pk=issue.pk, closed_at__isnull=True)
    return bool(still.update(closed_at=Now(), closed_by=user, decision=decision))


def agree_to_delete(link: Link, base: Mapping[str, Any], pipeline_id: str) -> None:
    """The seized tombstone may take along what GoHighLevel was seen to hold."""
    unpark(Link.objects.filter(pk=link.pk))
    keep(link, base=dict(base), pipeline_id=pipeline_id, held_until=None, last_error="", waits_for="")


def tombstones(location_id: str) -> models.QuerySet[Link]:
    """Deleted here, still in GoHighLevel: every delete that is to be sent, held and asked-about ones as well."""
    return Link.objects.filter(
        Q(location_id=location_id) | Q(location_id=""),
        kind__in=(Kind.TRIP, Kind.PASSENGER),
        deleted_at__isnull=False,
        remote_gone_at__isnull=True,
        ignored_at__isnull=True,
    )


def purge_tombstones(before: dt.datetime) -> int:
    """Forget what was deleted on both sides (or left there on purpose) before then, with all that was noted of it.

    Those of erased people stay: without them a pull would bring the contact back, which is still over there.
    """
    done = Q(remote_gone_at__lt=before) | Q(ignored_at__isnull=False, deleted_at__lt=before)
    links = Link.objects.filter(done, deleted_at__isnull=False, erased_at__isnull=True)
    count = links.count()
    links.delete()
    return count
