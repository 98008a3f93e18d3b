"""What a person decides about a record's other half: the link is taken from the workers, changed and given back."""

from __future__ import annotations

from collections.abc import Collection

from django.db.models import F, Q

from ghl_sync.engine.clock import Now, database_now
from ghl_sync.engine.state.claims import keep
from ghl_sync.engine.state.questions import open_issue
from ghl_sync.models import Issue, Link


def seize(link_id: int) -> Link | None:
    """The link, locked, when no worker has it; a worker that claimed it before finds its fence moved on.

    Part of the caller's transaction.
    """
    free = Link.objects.filter(Q(leased_until__isnull=True) | Q(leased_until__lte=Now()), pk=link_id)
    if not free.update(fence=F("fence") + 1, leased_until=None, attempts=0):
        return None
    return Link.objects.get(pk=link_id)


def adopt(link: Link, remote_id: str, *, location_id: str, pipeline_id: str) -> None:
    """The seized link's other half is this record from now on; nothing is agreed on yet."""
    keep(
        link,
        remote_id=remote_id,
        location_id=location_id,
        pipeline_id=pipeline_id,
        base={},
        remote_digest="",
        remote_updated_at=None,
        remote_seen_at=database_now(),
        missed_scans=0,
        gone_at=None,
        gone_reason="",
    )
    # Whoever said once that this record is none of ours has changed their mind.
    Issue.objects.filter(code=Issue.Code.TWIN, remote_id=remote_id, closed_at__isnull=True).update(closed_at=Now())
    Issue.objects.filter(code=Issue.Code.TWIN, remote_id=remote_id).update(decision="")


def let_go(link: Link) -> str:
    """The seized link forgets its other half; returns the id that it had.

    That record still bears our key: a question about it is opened, so that no pull links it again by itself.
    """
    remote_id = forget_half(link)
    if remote_id:
        open_issue(
            link,
            Issue.Code.TWIN,
            f"Detached from “{link.label}”, whose key it still bears. It is not mirrored.",
            remote_id=remote_id,
        )
    return remote_id


def forget_half(link: Link) -> str:
    """The seized link has no other half any more; returns the id that it had."""
    remote_id = link.remote_id
    keep(
        link,
        remote_id="",
        pipeline_id="",
        base={},
        remote_digest="",
        remote_updated_at=None,
        remote_dirty_at=None,
        # What was created up to now is no longer what this link is about.
        remote_seen_at=database_now(),
        missed_scans=0,
        gone_at=None,
        gone_reason="",
        waits_for="",
        last_error="",
    )
    return remote_id


def ignore(link: Link) -> None:
    """Nothing of the seized link is mirrored until somebody says otherwise."""
    keep(link, ignored_at=database_now(), next_attempt_at=None, parked_at=None, waits_for="", last_error="")


def unignore(link: Link) -> None:
    keep(link, ignored_at=None)


def not_ours(kind: str, remote_ids: Collection[str]) -> set[str]:
    """Those of these records that bear a key of ours and are not ours all the same, or of which a person has yet to
    say whether they are: no pull imports or links them.
    """
    asked = Issue.objects.filter(code=Issue.Code.TWIN, link__kind=kind, remote_id__in=remote_ids)
    said = asked.filter(Q(closed_at__isnull=True) | Q(decision=Issue.Decision.SAME))
    return set(said.values_list("remote_id", flat=True))
