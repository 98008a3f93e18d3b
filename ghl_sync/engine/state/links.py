"""Links outside a claim: made, asked for, woken, buried."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from django.db import models, transaction
from django.db.models import Exists, OuterRef
from django.db.models.functions import Now

from ghl_sync.engine.base import Base
from ghl_sync.engine.state.changes import Seen, record_change
from ghl_sync.engine.state.claims import finish
from ghl_sync.engine.state.questions import close_issues
from ghl_sync.models import Cause, Change, DeletedRecord, Lane, Link, kind_of

LABEL_LENGTH = 255


def ensure_link(obj: models.Model, label: str) -> Link:
    """The object's link, made when it has none yet."""
    link, _created = Link.objects.get_or_create(
        kind=kind_of(obj),
        object_id=obj.pk,
        defaults={"uid": obj.uid, "label": label[:LABEL_LENGTH]},  # type: ignore[attr-defined]
    )
    return link


def ensure_links(objects: Sequence[models.Model]) -> None:
    """Links for objects that have none yet; one that somebody makes this moment stays."""
    links = [
        Link(kind=kind_of(obj), object_id=obj.pk, uid=obj.uid, label=str(obj)[:LABEL_LENGTH])  # type: ignore[attr-defined]
        for obj in objects
    ]
    Link.objects.bulk_create(links, batch_size=500, ignore_conflicts=True)


def unpark(links: models.QuerySet[Link]) -> int:
    """Try these again: something that refused them has changed, or a person asks."""
    return links.update(parked_at=None, next_attempt_at=None, failures=0, attempts=0, parked_fields=[])


def ask_for(link: Link, *, lane: str = Lane.STAFF) -> None:
    """A person pressed "Sync now": a fresh look at both sides, without waiting."""
    with transaction.atomic():
        unpark(Link.objects.filter(pk=link.pk))
        close_issues(link, codes=("oscillates",))
        # One that counts as gone is looked for once more; if it is gone, the look says so again.
        Link.objects.filter(pk=link.pk).update(remote_dirty_at=Now(), gone_at=None, gone_reason="")
        record_change(link.kind, link.object_id, cause=Cause.ASKED, lane=lane)


def wake_dependants(kind: str, object_ids: Sequence[int]) -> list[int]:
    """Links that waited for something that now exists may be tried at once; returns their ids."""
    waiting = Link.objects.filter(kind=kind, object_id__in=object_ids, remote_id="", deleted_at__isnull=True)
    ids = list(waiting.values_list("pk", flat=True))
    Link.objects.filter(pk__in=ids, leased_until__isnull=True).update(next_attempt_at=None)
    return ids


def gone_with_changes(kinds: Collection[str]) -> list[Link]:
    """Records that are missing over there and were changed here since."""
    changes = Change.objects.filter(kind=OuterRef("kind"), object_id=OuterRef("object_id"))
    return list(Link.objects.filter(Exists(changes), gone_at__isnull=False, kind__in=kinds))


def spread(link: Link, base: Base) -> None:
    """What follows for other records was marked; the record's own Changes wait for a person."""
    Link.objects.filter(pk=link.pk, fence=link.fence).update(base=base.dump())


def mark_dirty(link_ids: Collection[int]) -> None:
    """GoHighLevel's side may have changed: read it again."""
    Link.objects.filter(pk__in=link_ids).update(remote_dirty_at=Now())


def look_at_all(kind: str) -> int:
    """Every living record of a kind is read again, parked ones too; returns how many."""
    links = Link.objects.filter(kind=kind, deleted_at__isnull=True, ignored_at__isnull=True)
    unpark(links.filter(parked_at__isnull=False))
    return links.update(remote_dirty_at=Now())


def tombstone_done(link: Link, seen: Seen) -> None:
    """Nothing of the object is left over there either."""
    with transaction.atomic():
        finish(
            link, remote_gone_at=Now(), next_attempt_at=None, waits_for="", last_error="", failures=0, parked_at=None,
            remote_dirty_at=None, held_until=None,
        )  # fmt: skip
        Change.objects.filter(kind=link.kind, object_id=link.object_id).delete()
        DeletedRecord.objects.filter(link=link).delete()
        close_issues(link)


def drop_changes(link: Link) -> None:
    Change.objects.filter(kind=link.kind, object_id=link.object_id).delete()


def gone(link: Link, reason: str) -> None:
    """Proven missing in GoHighLevel. The local row stays; edits wait for a person."""
    Link.objects.filter(pk=link.pk, gone_at__isnull=True).update(gone_at=Now(), gone_reason=reason)


def forget_gone(link_id: int) -> None:
    """The object was deleted here, too: nothing is left to decide about its missing half."""
    Link.objects.filter(pk=link_id, gone_at__isnull=False).update(gone_at=None, gone_reason="")
