"""Drop-downs: what is wanted of them and who may write them."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Collection, Iterable, Sequence

from django.db import transaction
from django.db.models import F, Q

from ghl_sync.engine.clock import Now, database_now
from ghl_sync.engine.state.changes import record_changes
from ghl_sync.models import Cause, RemoteField, WantedOption

# The "kind" of a wanted option that no record of ours asks for.
LOST = "lost"


def want_option(remote_field_id: int, label: str, kind: str, object_id: int) -> None:
    """Remember that this record needs an option its drop-down does not have."""
    WantedOption.objects.update_or_create(
        remote_field_id=remote_field_id, kind=kind, object_id=object_id, defaults={"label": label}
    )


def want_no_more(ids: Collection[int]) -> None:
    """The records that wanted these options are gone."""
    WantedOption.objects.filter(pk__in=ids).delete()


def want_back(field: RemoteField, labels: Iterable[str]) -> None:
    """Options that stood in the list a moment ago and were overwritten: added again, whoever made them."""
    for label in labels:
        digest = hashlib.blake2b(label.encode("utf-8", "surrogatepass"), digest_size=7).digest()
        want_option(field.pk, label, LOST, int.from_bytes(digest, "big"))


def claim_field(field_id: int, lease: float) -> RemoteField | None:
    """One writer of a drop-down at a time: its list is replaced as a whole."""
    now = database_now()
    free = RemoteField.objects.filter(Q(leased_until__isnull=True) | Q(leased_until__lte=now), pk=field_id)
    if not free.update(leased_until=now + dt.timedelta(seconds=lease), fence=F("fence") + 1):
        return None
    return RemoteField.objects.filter(pk=field_id).first()


def field_lease_left(field: RemoteField) -> float:
    """Seconds left of this writer's turn, by the database's clock; a list read in an earlier turn must not leave."""
    row = RemoteField.objects.filter(pk=field.pk, fence=field.fence).values_list("leased_until", flat=True).first()
    return (row - database_now()).total_seconds() if row is not None else 0.0


def release_field(field: RemoteField, *, after: float = 0.0) -> None:
    """End this writer's turn; the next one may begin `after` seconds."""
    until = database_now() + dt.timedelta(seconds=after) if after else None
    RemoteField.objects.filter(pk=field.pk, fence=field.fence).update(leased_until=until)


def options_seen(field: RemoteField, options: Sequence[str]) -> None:
    """The drop-down's list as it was just read."""
    RemoteField.objects.filter(pk=field.pk, fence=field.fence).update(options=list(options), refreshed_at=Now())


def options_added(field: RemoteField, options: Sequence[str], served: Sequence[WantedOption]) -> None:
    """The drop-down holds `options` now; the records that waited for theirs are due again."""
    with transaction.atomic():
        options_seen(field, options)
        by_kind: dict[str, set[int]] = {}
        for wanted in served:
            if wanted.kind != LOST:
                by_kind.setdefault(wanted.kind, set()).add(wanted.object_id)
        for kind, ids in by_kind.items():
            record_changes(kind, sorted(ids), cause=Cause.OPTION)
        WantedOption.objects.filter(pk__in=[wanted.pk for wanted in served]).delete()
