"""Mend what an audit found: tell the ordinary engine of it, and leave the rest to it.

Records are marked due, fetched or imported. Rules, conflicts and guards hold as ever, and nothing is deleted.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from django.db import transaction

from ghl_sync.client.errors import NotFound
from ghl_sync.engine import apply, outbox, state
from ghl_sync.engine.local import MODELS, load
from ghl_sync.engine.pull import pull_record
from ghl_sync.engine.session import Session
from ghl_sync.mapping.table import MAPS
from ghl_sync.models import Drift, Lane, Link

What = Drift.What
CHUNK = 500


def repair(session: Session, drifts: Iterable[Drift]) -> int:
    """Tell the engine of what these drifts found; returns how many it took. Nothing is sent or deleted by this itself.

    What is missing here is fetched (one call each); everything else becomes due and goes with the next sweep. A record
    that a worker has this moment is left out, and so is what was repaired before.
    """
    done: list[int] = []
    unreported: dict[str, list[Drift]] = {}
    by_link: dict[int, list[Drift]] = {}
    for drift in drifts:
        if drift.repaired_at is not None:
            continue
        if drift.what == What.NOT_HERE:
            done += [drift.pk] if _fetch_one(session, drift) else []
        elif drift.link_id is not None:
            by_link.setdefault(drift.link_id, []).append(drift)
        elif drift.what == What.NO_LINK:
            unreported.setdefault(drift.kind, []).append(drift)
    for link_id, found in by_link.items():
        done += [drift.pk for drift in found] if _mend(session, link_id, found) else []
    for kind, found in unreported.items():
        outbox.mark_many(MODELS[kind], [drift.object_id for drift in found if drift.object_id is not None])
        done += [drift.pk for drift in found]
    for start in range(0, len(done), CHUNK):
        state.drifts_repaired(done[start : start + CHUNK])
    return len(done)


def _fetch_one(session: Session, drift: Drift) -> bool:
    """Import a record that is missing here, under the key it bears; a link that lost its object is forgotten first."""
    link = drift.link
    came_back = link is not None and MODELS[drift.kind]._base_manager.filter(pk=drift.object_id).exists()
    if came_back or (link is not None and not state.drop_orphan(link)):
        return False
    try:
        pull_record(session, MAPS[drift.kind].remote_kind, drift.remote_id)
    except NotFound:
        return True  # gone there as well: nothing is missing any more
    return True


def _mend(session: Session, link_id: int, found: Sequence[Drift]) -> bool:
    link = Link.objects.filter(pk=link_id).first()
    if link is None or link.deleted_at is not None:
        return False
    with transaction.atomic():
        apart = _still_apart(link, {drift.field for drift in found if drift.what == What.KEPT_APART})
        if apart and not state.forget_agreements(link, apart):
            return False
        state.mark_dirty([link.pk])
        state.record_change(link.kind, link.object_id, lane=Lane.BULK)
    return True


def _still_apart(link: Link, fields: Collection[str]) -> set[str]:
    """Those of these fields whose difference a look would let be once more: ours is still what was agreed on."""
    local = load(link.kind, link.object_id) if fields else None
    if local is None:
        return set()
    ours, base = local.values(), apply.base_of(link)
    pairs = {name: base.pair(name, ours.get(name), None) for name in fields}
    return {name for name, pair in pairs.items() if pair is not None and pair.local == ours.get(name)}
