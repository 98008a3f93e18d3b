"""Contacts that were merged into another one here: their links stand aside, and come back with an undo."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from ghl_sync.engine.clock import Now
from ghl_sync.engine.state.changes import record_changes
from ghl_sync.engine.state.questions import close_issues, open_issue
from ghl_sync.models import Cause, Change, Conflict, Issue, Kind, Link
from trips.models import Contact


def stand_aside(link: Link, survivor: Link | None) -> None:
    """The contact was merged into another one: neither side of it is read or written any more.

    It goes on to say who is meant where GoHighLevel names its id. Where both halves are there, a person is to merge
    them there, too. Part of the caller's transaction.
    """
    now = timezone.now()
    there = bool(link.remote_id) and link.gone_at is None
    Link.objects.filter(pk=link.pk).update(
        merged_at=now,
        ignored_at=link.ignored_at or now,
        parked_at=None,
        parked_fields=[],
        next_attempt_at=None,
        waits_for="",
        last_error="",
        gone_at=None,
        gone_reason="",
        missed_scans=0,
        remote_dirty_at=None,
    )
    Change.objects.filter(kind=link.kind, object_id=link.object_id).delete()
    close_issues(link)
    # Asked anew, if it is still a question, should the merge be undone.
    Conflict.objects.filter(link=link, resolved_at__isnull=True).update(resolved_at=Now(), choice="", resolved_by=None)
    if there and survivor is not None and survivor.remote_id:
        _ask_to_merge_there(link, survivor)


def ask_about_merged(remote_ids: Collection[str]) -> None:
    """Of the contacts that a whole scan met, those that were merged here and still stand beside their survivor.

    Most were asked about as they were merged; one may have been on its way there in that moment, or was restored.
    """
    merged = {
        link.object_id: link
        for link in Link.objects.filter(merged_at__isnull=False).exclude(remote_id="").defer("base")
        if link.remote_id in remote_ids
    }
    into: dict[int, Any] = dict(Contact._base_manager.filter(pk__in=merged).values_list("pk", "merged_into"))
    survivors = Link.objects.filter(kind=Kind.CONTACT, object_id__in=into.values()).exclude(remote_id="")
    by_contact = {link.object_id: link for link in survivors.defer("base")}
    for pk, link in merged.items():
        survivor = by_contact.get(into.get(pk) or 0)
        if survivor is not None:
            _ask_to_merge_there(link, survivor)


def _ask_to_merge_there(link: Link, survivor: Link) -> None:
    open_issue(
        link,
        Issue.Code.MERGED,
        f"“{link.label}” was merged into “{survivor.label}” here, and GoHighLevel still has both. Open "
        f"“{survivor.label}” there, choose Merge and keep it as the master: the other one's opportunities then move "
        "along. This entry ends by itself at the next complete fetch.",
        remote_id=link.remote_id,
    )


def step_back(link: Link) -> None:
    """The merge was undone: both sides are compared afresh."""
    ignored_before = link.ignored_at != link.merged_at
    Link.objects.filter(pk=link.pk).update(
        merged_at=None,
        ignored_at=link.ignored_at if ignored_before else None,
        remote_digest="",
        remote_dirty_at=Now() if link.remote_id else None,
    )
    close_issues(link, codes=(Issue.Code.MERGED,))


def trade_halves(link: Link, merged: Link) -> bool:
    """The two were merged over there as well, but the other way round: the half that is left is this link's.

    False, and nothing done, when somebody has had the link since it was read. The id that is not there any more stays
    with the merged one: what still names it means the same contact.
    """
    with transaction.atomic():
        if not Link.objects.filter(pk=link.pk, fence=link.fence, remote_id=link.remote_id).exists():
            return False
        Link.objects.filter(pk=merged.pk).update(remote_id="", remote_digest="", fence=F("fence") + 1)
        Link.objects.filter(pk=link.pk).update(
            remote_id=merged.remote_id,
            base=merged.base,
            remote_digest="",
            remote_updated_at=None,
            remote_seen_at=None,
            remote_dirty_at=Now(),
            missed_scans=0,
            gone_at=None,
            gone_reason="",
        )
        Link.objects.filter(pk=merged.pk).update(remote_id=link.remote_id, base=link.base)
        close_issues(merged, codes=(Issue.Code.MERGED,))
    return True


def hand_over(merged: Link) -> None:
    """A merged contact's half over there becomes that of the contact which stands for it."""
    Link.objects.filter(pk=merged.pk).update(remote_id="", base={}, remote_digest="", remote_updated_at=None)
    close_issues(merged, codes=(Issue.Code.MERGED,))


def merged_halves(contact_id: int) -> list[Link]:
    """The links with a half over there of what was merged into this contact."""
    ids = Contact._base_manager.filter(merged_into=contact_id).values("pk")
    rows = Link.objects.filter(kind=Kind.CONTACT, object_id__in=ids, merged_at__isnull=False)
    return list(rows.exclude(remote_id="").order_by("pk"))


def try_survivors(link_ids: list[int]) -> None:
    """These merged contacts are not over there any more: whatever was refused because of them may go now."""
    merged = Link.objects.filter(pk__in=link_ids).values("object_id")
    survivors = Contact._base_manager.filter(pk__in=merged, merged_into__isnull=False).values("merged_into")
    waiting = Q(parked_at__isnull=False) | ~Q(parked_fields=[])
    links = Link.objects.filter(waiting, kind=Kind.CONTACT, object_id__in=survivors)
    record_changes(Kind.CONTACT, list(links.values_list("object_id", flat=True)), cause=Cause.SAVED)
