"""Links as a pull writes them, and the pull's own row."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from django.conf import settings
from django.db import models, transaction
from django.db.models import F, Q

from ghl_sync.engine.base import Base
from ghl_sync.engine.clock import Now, database_now
from ghl_sync.engine.state.claims import still_dirty
from ghl_sync.engine.state.links import LABEL_LENGTH, in_order
from ghl_sync.engine.state.questions import close_issues, open_issue
from ghl_sync.models import Issue, Link, Run, SeenPage


def pulled(link: Link, base: Base, asked_at: dt.datetime, **fields: Any) -> bool:
    """Record what a pull found that asked at this moment: what has been marked since waits for another look.

    False when somebody has, or had, the link since it was read: nothing is written.
    """
    free = Link.objects.filter(Q(leased_until__isnull=True) | Q(leased_until__lte=Now()), pk=link.pk, fence=link.fence)
    return bool(
        free.update(
            base=base.dump(),
            fence=F("fence") + 1,  # another pull that read the link before this one starts over, too
            remote_dirty_at=still_dirty(link, asked_at),
            missed_scans=0,
            gone_at=None,
            gone_reason="",
            **fields,
        )
    )


def met(link: Link, record_id: str, *, location_id: str, pipeline_id: str) -> bool:
    """A record that a pull met is this object's: a lost create, or a contact entered on both sides.

    The worker that reconciles the link next reads it and merges. False when a worker has the link this moment.
    """
    free = Link.objects.filter(Q(leased_until__isnull=True) | Q(leased_until__lte=Now()), pk=link.pk, remote_id="")
    return bool(
        free.update(
            remote_id=record_id,
            location_id=location_id,
            pipeline_id=pipeline_id,
            remote_dirty_at=Now(),
            next_attempt_at=None,
            parked_at=None,
        )
    )


def store_digests(links: Sequence[Link]) -> None:
    """Remember in which state records were found equal to base: seen so again they are not read.

    The links carry what to store. One that somebody has claimed since it was read is left alone.
    """
    with transaction.atomic():
        rows = Link.objects.filter(pk__in=[link.pk for link in links]).order_by("pk").select_for_update()
        fences = dict(rows.values_list("pk", "fence"))
        same = [link for link in links if fences.get(link.pk) == link.fence]
        Link.objects.bulk_update(same, ["remote_digest", "remote_updated_at"], batch_size=200)


def forget_digests(location_id: str) -> None:
    """Every record is read again by the next pull."""
    Link.objects.filter(location_id=location_id).exclude(remote_digest="").update(remote_digest="")


def create_links(links: Sequence[Link]) -> None:
    Link.objects.bulk_create(links, batch_size=500)


def link_stub(contact: models.Model, remote_id: str, tombstone: Link | None) -> Link:
    """The link of a contact made from an opportunity's row; its own record is read as soon as may be."""
    if tombstone is not None:
        # Deleted here, yet an opportunity still names it: the id moves to the new row.
        Link.objects.filter(pk=tombstone.pk).update(remote_id="")
    link = Link.objects.create(
        kind="contact",
        object_id=contact.pk,
        uid=contact.uid,  # type: ignore[attr-defined]
        label=str(contact)[:LABEL_LENGTH],
        location_id=settings.GHL_LOCATION_ID,
        remote_id=remote_id,
        remote_dirty_at=Now(),
    )
    open_issue(link, "stub", "Made from an opportunity that names this contact; its own record was not read yet.")
    return link


def seen_again(link_ids: Collection[int]) -> None:
    """Records a scan met that counted as missing before: they are back, and mirrored again if they were put away."""
    for links in in_order(link_ids):
        links.filter(gone_at__isnull=False, merged_at__isnull=True).update(ignored_at=None)
        links.update(missed_scans=0, gone_at=None, gone_reason="")


def missed(link_ids: Collection[int]) -> None:
    """A complete scan did not meet these; absence twice over is a reason to ask directly."""
    for links in in_order(link_ids):
        links.update(missed_scans=F("missed_scans") + 1)


def unfinished_run(mode: str) -> Run | None:
    return Run.objects.filter(mode=mode, finished_at__isnull=True).first()


def start_run(
    mode: str, *, only: Sequence[str] = (), since: dt.datetime | None = None, started_by: int | None = None
) -> Run:
    """A run's row; `started_by` is the id of the person who asked for it, None for the clock."""
    return Run.objects.create(mode=mode, only=list(only), since=since, started_by_id=started_by)


def ask_to_cancel(run: Run, user_id: int | None) -> bool:
    """A person wants this run to end after the page at hand; False when it has ended already."""
    going = Run.objects.filter(pk=run.pk, finished_at__isnull=True, cancel_asked_at__isnull=True)
    return bool(going.update(cancel_asked_at=Now(), cancel_asked_by_id=user_id))


def cancel_asked(run: Run) -> bool:
    """Whether a person has asked for the end of this run."""
    return Run.objects.filter(pk=run.pk, cancel_asked_at__isnull=False).exists()


def advance_run(run: Run, *, cursor: Mapping[str, Any], report: Mapping[str, Any]) -> None:
    """How far a run has come; a broken one goes on from here."""
    run.cursor, run.report = dict(cursor), dict(report)
    Run.objects.filter(pk=run.pk).update(cursor=run.cursor, report=run.report, touched_at=Now())


def set_run_start(run: Run, moment: dt.datetime) -> None:
    run.server_started_at = moment
    Run.objects.filter(pk=run.pk).update(server_started_at=moment)


def leave_run(run: Run, *, error: str = "") -> None:
    """A run broke off in good order: whoever comes next goes on at once."""
    cursor = {key: value for key, value in run.cursor.items() if key not in {"host", "pid"}}
    Run.objects.filter(pk=run.pk).update(cursor=cursor, error=error, touched_at=database_now() - dt.timedelta(days=1))


def finish_run(run: Run, *, ok: bool, report: Mapping[str, Any], error: str = "") -> None:
    with transaction.atomic():
        Run.objects.filter(pk=run.pk).update(
            ok=ok, finished_at=Now(), touched_at=Now(), report=dict(report), error=error, cursor={}
        )
        SeenPage.objects.filter(run=run).delete()


def remember_page(run: Run, kind: str, number: int, ids: Sequence[str], total: int | None) -> None:
    SeenPage.objects.update_or_create(run=run, kind=kind, number=number, defaults={"ids": list(ids), "total": total})


def stands_in(link: Link, pipeline_id: str, *, elsewhere: bool) -> None:
    """The record stands in this pipeline; outside ours it is flagged, and back in ours it is not any more.

    Nothing is said where the link has got another record since it was read.
    """
    if not Link.objects.filter(pk=link.pk, remote_id=link.remote_id).update(pipeline_id=pipeline_id):
        return
    link.pipeline_id = pipeline_id
    if elsewhere:
        message = (
            f"“{link.label}” was moved to another pipeline in GoHighLevel. It is still compared, but for its stage; "
            "move it back there, or detach it here."
        )
        open_issue(link, Issue.Code.MOVED, message)
    else:
        close_issues(link, codes=(Issue.Code.MOVED,))
