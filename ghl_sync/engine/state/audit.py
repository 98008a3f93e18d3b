"""What an audit found, and what became of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from django.db.models import F, Q

from ghl_sync.engine.clock import Now
from ghl_sync.models import Drift, Link, Run

# Lists of so many audits are kept; older runs keep their counts.
KEPT_AUDITS = 14
# The parts of a stored base that hold values by field (`engine.base.Base.dump`).
PAIRS = ("v", "l", "r")


def store_drifts(drifts: Sequence[Drift]) -> None:
    Drift.objects.bulk_create(drifts, batch_size=500)


def forget_old_drifts() -> None:
    """Drop the lists of all but the last audits: a list of differences is of no use once there are newer ones."""
    kept = Run.objects.filter(mode=Run.Mode.AUDIT).order_by("-pk").values_list("pk", flat=True)[:KEPT_AUDITS]
    Drift.objects.exclude(run__in=list(kept)).delete()


def drifts_repaired(drift_ids: Collection[int]) -> None:
    """The engine has been told of these; the next audit says whether it could mend them."""
    Drift.objects.filter(pk__in=drift_ids, repaired_at__isnull=True).update(repaired_at=Now())


def forget_agreements(link: Link, fields: Collection[str]) -> bool:
    """Both sides are no longer known to agree on these fields, so that the next look asks about them.

    False when a worker has the link this moment: what it finds out is newer than what was found.
    """
    base = {part: _without(held, fields) if part in PAIRS else held for part, held in link.base.items()}
    free = Link.objects.filter(Q(leased_until__isnull=True) | Q(leased_until__lte=Now()), pk=link.pk, fence=link.fence)
    return bool(free.update(base=base, fence=F("fence") + 1, remote_dirty_at=Now()))


def _without(held: Mapping[str, Any], fields: Collection[str]) -> dict[str, Any]:
    return {name: value for name, value in held.items() if name not in fields}


def drop_orphan(link: Link) -> bool:
    """Forget the link of an object that vanished past the sync; its record is then new here, and comes in again.

    False when a worker has it. A link that was deleted in the ordinary way is a tombstone and stays.
    """
    free = Link.objects.filter(Q(leased_until__isnull=True) | Q(leased_until__lte=Now()), pk=link.pk, fence=link.fence)
    deleted, _by_model = free.filter(deleted_at__isnull=True).delete()
    return bool(deleted)
