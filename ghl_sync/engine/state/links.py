"""Links outside a claim: made, asked for, woken, buried."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from django.db import connection, models, transaction
from django.db.models import Exists, OuterRef

from ghl_sync.engine.base import Base
from ghl_sync.engine.clock import Now
from ghl_sync.engine.state.changes import Seen, record_change
from ghl_sync.engine.state.claims import AT_ONCE, finish
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


def of_records(location_id: str, remote_ids: Collection[str]) -> models.QuerySet[Link]:
    """The links of these records of GoHighLevel.

    SQLite takes the index, which is of linked records only, where it is told that none is asked for by an empty id.
    """
    return Link.objects.filter(location_id=location_id, remote_id__in=remote_ids).exclude(remote_id="")


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


def gone_with_changes(kinds: Collection[str]) -> list[int]:
    """Links of records that are missing over there and were changed here since they were last asked about."""
    news = Change.objects.filter(kind=OuterRef("kind"), object_id=OuterRef("object_id"), tried=False)
    links = Link.objects.filter(Exists(news), gone_at__isnull=False, kind__in=kinds)
    return list(links.order_by("pk").values_list("pk", flat=True))


def spread(link: Link, base: Base | None, seen: Collection[int]) -> None:
    """What follows for other records from these Changes was marked; they themselves wait for a person."""
    if base is not None:
        Link.objects.filter(pk=link.pk, fence=link.fence).update(base=base.dump())
    Change.objects.filter(pk__in=seen).update(tried=True)


def mark_dirty(link_ids: Collection[int]) -> None:
    """GoHighLevel's side may have changed: read it again."""
    for links in in_order(link_ids):
        links.update(remote_dirty_at=Now())


def in_order(link_ids: Collection[int]) -> Iterator[models.QuerySet[Link]]:
    """These links in parts, each locked in the order of their ids for what the caller does to it.

    Two writers of many rows would wait for each other, were each to lock them as it finds them.
    """
    ids = sorted(link_ids)
    for start in range(0, len(ids), AT_ONCE):
        with transaction.atomic():
            some = Link.objects.filter(pk__in=ids[start : start + AT_ONCE])
            if connection.features.has_select_for_update:
                list(some.order_by("pk").select_for_update().values_list("pk"))
            yield some


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


def gone(link: Link, reason: str) -> bool:
    """Proven missing in GoHighLevel. The local row stays; edits wait for a person.

    False, and nothing said, when somebody has had the link since it was read: it may have another record by now.
    """
    still = Link.objects.filter(pk=link.pk, fence=link.fence, remote_id=link.remote_id, gone_at__isnull=True)
    return bool(still.update(gone_at=Now(), gone_reason=reason))


def forget_gone(link_id: int) -> None:
    """The object was deleted here, too: nothing is left to decide about its missing half."""
    Link.objects.filter(pk=link_id, gone_at__isnull=False).update(gone_at=None, gone_reason="")
