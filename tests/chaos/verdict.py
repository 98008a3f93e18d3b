"""What must hold at rest: G1 to G6 of the promises, asked of both sides."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db.models import Q

from ghl_sync.engine import apply, due
from ghl_sync.engine.local import load
from ghl_sync.engine.pull import pull
from ghl_sync.engine.session import Session
from ghl_sync.mapping.fields import Way
from ghl_sync.mapping.table import MAPS
from ghl_sync.mapping.translate import read_record
from ghl_sync.models import Change, Conflict, Issue, Kind, Link, Write
from tests.chaos.here import MODELS
from tests.chaos.world import World

LIVING = Q(kind__in=list(MODELS))


def violations(world: World) -> list[str]:
    """Everything that does not hold; empty is what we hope for. Counts the races of promise 4 on the way."""
    return [
        *twins(world),
        *unequal(world),
        *strangers(world),
        *lost(world),
        *deleted_without_cause(world),
        *restless(world),
        *too_fast(world),
    ]


def twins(world: World) -> list[str]:
    """G1: one remote record per link."""
    found: dict[str, list[str]] = {}
    for record in (*world.sandbox.opportunities(), *world.store.contacts()):
        key = world.store.custom_by_key(record).get("tripbuilder_key")
        if key:
            found.setdefault(key, []).append(record.id)
    emails: dict[str, list[str]] = {}
    for contact in world.store.contacts():
        if contact.email:
            emails.setdefault(contact.email, []).append(contact.id)
    return [f"G1 twins {key}: {ids}" for key, ids in {**found, **emails}.items() if len(ids) > 1]


def unequal(world: World) -> list[str]:
    """G2: mapped fields are equal, or an open question shows the difference."""
    session, wrong = Session(), []
    for kind, model in MODELS.items():
        for obj in model.objects.all():  # type: ignore[attr-defined]
            if _is_merged(obj):
                continue
            link = Link.objects.for_object(obj)
            if link is None or not link.remote_id:
                wrong.append(f"G2 {kind} {obj.pk} has no other half ({link and (link.last_error or link.waits_for)})")
            elif link.parked_at is not None:
                wrong.append(f"G2 {kind} {obj.pk} is parked: {link.last_error}")
            elif world.record_of(obj) is None:
                if link.gone_at is None:
                    wrong.append(f"G2 {kind} {obj.pk}'s other half is deleted and nobody noticed")
            elif link.gone_at is not None:
                wrong.append(f"G2 {kind} {obj.pk} counts as gone and is there")
            else:
                wrong += _differing(world, session, kind, obj, link)
    return wrong


def _is_merged(obj: Any) -> bool:
    """A duplicate, for which another contact stands: it is compared with nothing any more."""
    return getattr(obj, "merged_into_id", None) is not None


def _differing(world: World, session: Session, kind: str, obj: Any, link: Link) -> Iterator[str]:
    readings = read_record(MAPS[kind], session.read(kind, link.remote_id), session.definitions)
    local = load(kind, obj.pk)
    assert local is not None
    asked = Conflict.objects.filter(link=link, resolved_at=None).values_list("field", flat=True)
    shown = {*asked, *Issue.objects.filter(link=link, closed_at=None).values_list("field", flat=True)}
    if (kind, obj.pk, "lead organiser") in world.told and obj.organiser_id is None:
        shown.add("organiser")
    if {"trip_name", "trip_id"} & shown:
        shown |= {"trip_name", "trip_id", "trip_key"}
    for row in MAPS[kind].fields:
        ours, theirs = local.values().get(row.name), readings[row.name].value
        owner = row.reference and row.way is Way.CREATE
        ours_made = Write.objects.filter(link=link, action="create").exists()
        derived = row.name in {"key", "trip_key"} or (row.name == "enrolled_count")
        derived = derived and not (row.name == "trip_key" and theirs is None)  # it rides; only a wrong one misleads
        compared = row.way is Way.BOTH or owner or (ours_made and derived)
        # A record that came in keeps how it names its trip or vendor, where that names the right one.
        pair = apply.base_of(link).pair(row.name, ours, theirs)
        named = row.reference and pair is not None and (pair.local, pair.remote) == (ours, theirs)
        if compared and row.name not in shown and not named and not row.converter.same(ours, theirs):
            yield f"G2 {kind} {obj.pk} {row.name}: {ours!r} here, {theirs!r} there, base {link.base}"


def strangers(world: World) -> list[str]:
    """Nothing over there is unknown here, but contacts deleted here, which stay over there."""
    known = Link.objects.filter(Q(deleted_at=None) | Q(kind=Kind.CONTACT)).values_list("remote_id", flat=True)
    told = Issue.objects.filter(closed_at=None).values_list("remote_id", flat=True)
    explained = {*known, *told}
    # Deleted here while nobody knew whether the create was carried out: known by our key, and left alone.
    buried = {link.key for link in Link.objects.filter(kind=Kind.CONTACT, deleted_at__isnull=False)}
    return [
        f"{row.id} {row.name} has no other half here"
        for row in (*world.sandbox.opportunities(), *world.store.contacts())
        if row.id not in explained and world.store.custom_by_key(row).get("tripbuilder_key") not in buried
    ]


def lost(world: World) -> list[str]:
    """G3: the newest edit of each field is kept, or what lost is on record; races of promise 4 are counted apart."""
    wrong = []
    for (kind, pk, column), edit in world.last.items():
        local = load(kind, pk)
        link = Link.objects.filter(kind=kind, object_id=pk).first()
        if local is None or link is None or link.gone_at is not None or _is_merged(local.obj):
            continue
        held = getattr(local.obj, column)
        told = Conflict.objects.filter(link=link, field=column)
        if held == edit.value or any(edit.value in (row.our_value, row.their_value) for row in told):
            continue
        if edit.side == "there" and world.wire.raced(link.remote_id, edit.key, edit.at):
            world.tally.races += 1
        else:
            wrong.append(f"G3 {kind} {pk} {column}: {edit.value!r} of {edit.side} is lost, {held!r} is left")
    return wrong


def deleted_without_cause(world: World) -> list[str]:
    """G4: what is deleted here or there was deleted by a person here."""
    buried = Link.objects.filter(deleted_at__isnull=False)
    wrong = [
        f"G4 {kind} {pk} is deleted here and nobody did it"
        for kind, pk in buried.values_list("kind", "object_id")
        if (kind, pk) not in world.deleted_here
    ]
    allowed = set(buried.values_list("remote_id", flat=True))
    return wrong + [f"G4 a DELETE for {one} whose object lives here" for one in world.wire.deletes - allowed]


def restless(world: World) -> list[str]:
    """G5: a second run makes no write, and nothing is left to do."""
    world.sandbox.requests.clear()
    pull(Session(), full=True)
    due.run_due(Session())
    wrong = [f"G5 not at rest: {one.method} {one.path} {one.body}" for one in world.sandbox.writes()]
    wrong += [f"G5 due at rest: {row}" for row in world.left_over()]
    gone = set(Link.objects.filter(gone_at__isnull=False).values_list("kind", "object_id"))
    wrong += [
        f"G5 a change is left: {row.kind} {row.object_id} {row.cause}"
        for row in Change.objects.filter(LIVING)
        if (row.kind, row.object_id) not in gone
    ]
    # Of a merged contact's create nobody asks any more: should it have arrived, a pull knows whose half it is.
    open_writes = Write.objects.filter(outcome=Write.Outcome.OPEN, link__gone_at=None, link__merged_at=None)
    open_writes = open_writes.exclude(action="options")
    return wrong + [f"G5 a doubt is left: {row} {row.link}" for row in open_writes]


def too_fast(world: World) -> list[str]:
    """G6: no interval saw more calls than the limit allows."""
    limit, busiest = world.sandbox.limit.rate_max, world.sandbox.limit.busiest()
    return [f"G6 {busiest} calls within one interval, {limit} are allowed"] if busiest > limit else []
