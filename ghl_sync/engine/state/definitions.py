"""What GoHighLevel defines, as we keep it, and what follows for agreements made under another definition."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction
from django.db.models import F, Model

from ghl_sync.client.types import FieldDef, PipelineDef
from ghl_sync.engine.clock import Now
from ghl_sync.engine.state.account import remember_location
from ghl_sync.models import Issue, Link, Location, Pipeline, RemoteField, Stage, WantedOption
from trips.text import fold_name

# Issues about what GoHighLevel defines; they belong to no single record.
TOLD = (Issue.Code.OPTION_GONE, Issue.Code.LOOKALIKE, Issue.Code.NO_FIELD)


@dataclass
class News:
    """What is new since the last look. `remade` are keys of fields that came back under another id."""

    changed: bool = False
    remade: set[str] = field(default_factory=set)
    vanished: dict[str, tuple[str, ...]] = field(default_factory=dict)  # field key → options that are gone


@dataclass(frozen=True, slots=True)
class Trouble:
    """One thing wrong with the definitions, with what to do in its text.

    `about` tells two of one field apart, `label` is the option it is about.
    """

    code: str
    field: str
    message: str
    about: str = ""
    label: str = ""


def hold_definitions(location: Location) -> None:
    """One look at the definitions is stored at a time; call it inside the transaction that stores them."""
    Location.objects.select_for_update().get(pk=location.pk)


def keep_fields(location_id: str, fields: Iterable[FieldDef]) -> News:
    """Write definitions that are new or differ; those that are gone are marked, and known again by their id."""
    have = {row.remote_id: row for row in RemoteField.objects.filter(location_id=location_id)}
    gone_keys = {row.key for row in have.values()}
    news, newcomers = News(), list[RemoteField]()
    for definition in fields:
        row = have.pop(definition.id, None)
        wanted: dict[str, Any] = {
            "model": definition.model,
            "key": definition.key,
            "name": definition.name,
            "data_type": definition.data_type,
            "options": list(definition.options),
            "allow_custom": definition.allow_custom,
            "gone_at": None,
        }
        if row is None and definition.key in gone_keys:
            news.remade.add(definition.key)
        if row is None:
            newcomers.append(RemoteField(location_id=location_id, remote_id=definition.id, **wanted))
        elif _differs(row, wanted):
            news.vanished[row.key] = tuple(option for option in row.options if option not in definition.options)
            RemoteField.objects.filter(pk=row.pk).update(**wanted, refreshed_at=Now())
            news.changed = True
    RemoteField.objects.bulk_create(newcomers)
    news.changed |= bool(newcomers)
    lost = [row.pk for row in have.values() if row.gone_at is None]
    if lost:
        RemoteField.objects.filter(pk__in=lost).update(gone_at=Now())
        WantedOption.objects.filter(remote_field__in=lost).delete()
        news.changed = True
    return news


def keep_pipelines(location_id: str, pipelines: Iterable[PipelineDef], codes: Mapping[str, Mapping[str, str]]) -> bool:
    """Write pipelines and stages; `codes` are ours by pipeline name, code → label. True when a stage changed."""
    before = _stages(location_id)
    known = {row.remote_id: row for row in Pipeline.objects.filter(location_id=location_id).prefetch_related("stages")}
    kept = []
    for pipeline in pipelines:
        row = known.get(pipeline.id) or Pipeline(location_id=location_id, remote_id=pipeline.id)
        _keep(row, {"name": pipeline.name, "gone_at": None})
        kept.append(row.pk)
        _keep_stages(row, pipeline, codes.get(pipeline.name, {}))
    gone = Pipeline.objects.filter(location_id=location_id, gone_at__isnull=True).exclude(pk__in=kept)
    Stage.objects.filter(pipeline__in=gone, gone_at__isnull=True).update(gone_at=Now())
    gone.update(gone_at=Now())
    return before != _stages(location_id)


def _stages(location_id: str) -> set[tuple[Any, ...]]:
    rows = Stage.objects.filter(pipeline__location_id=location_id)
    return set(rows.values_list("remote_id", "name", "code", "gone_at", "pipeline__name"))


def _keep_stages(row: Pipeline, pipeline: PipelineDef, codes: Mapping[str, str]) -> None:
    """A stage keeps the code it was first known by, unless another one took the name that the code stands for."""
    known = {stage.remote_id: stage for stage in row.stages.all()}
    named = _codes_by_name(pipeline, codes)
    for stage in pipeline.stages:
        ours = known.pop(stage.id, None) or Stage(pipeline=row, remote_id=stage.id)
        code = named.get(stage.id) or ours.code
        if code and named.get(stage.id) is None and code in named.values():
            code = ""
        _keep(ours, {"name": stage.name, "position": stage.position, "code": code, "gone_at": None})
    lost = [stage.pk for stage in known.values() if stage.gone_at is None]
    Stage.objects.filter(pk__in=lost).update(gone_at=Now())


def _keep(row: Pipeline | Stage, wanted: Mapping[str, Any]) -> None:
    """Write a row that is new or differs."""
    if row.pk is None or _differs(row, wanted):
        for name, value in wanted.items():
            setattr(row, name, value)
        row.save()


def _differs(row: Model, wanted: Mapping[str, Any]) -> bool:
    return any(getattr(row, name) != value for name, value in wanted.items())


def _codes_by_name(pipeline: PipelineDef, codes: Mapping[str, str]) -> dict[str, str]:
    """Stage id → code for the stages that bear a name we know: the exact one first, else one that looks like it."""
    found: dict[str, str] = {}
    for code, label in codes.items():
        exact = [stage.id for stage in pipeline.stages if stage.name == label]
        alike = [stage.id for stage in pipeline.stages if fold_name(stage.name) == fold_name(label)]
        for stage_id in (exact or alike)[:1]:
            found[stage_id] = code
    return found


def forget_agreed(kind: str, names: Collection[str]) -> list[int]:
    """What was agreed about these fields was agreed under another definition: it is nobody's wish to blank them.

    Each side's value counts as new from now on: equal ones agree, a blank one is filled, two different ones ask.
    Returns the objects that held one. Workers and pulls that have read the old agreement lose their turn.
    """
    held: list[int] = []
    links = Link.objects.filter(kind=kind).exclude(base={}).only("pk", "object_id", "base", "fence", "remote_digest")
    for link in links.iterator(chunk_size=500):
        base, found = _without(link.base, names)
        if not found:
            continue
        with transaction.atomic():
            row = Link.objects.select_for_update().only("pk", "base").get(pk=link.pk)
            base, _found = _without(row.base, names)
            Link.objects.filter(pk=link.pk).update(base=base, remote_digest="", fence=F("fence") + 1)
        held.append(link.object_id)
    return held


def _without(base: Mapping[str, Any], names: Collection[str]) -> tuple[dict[str, Any], bool]:
    found = any(name in base.get(side, {}) for side in ("v", "l", "r") for name in names)
    kept = {
        side: {name: value for name, value in held.items() if name not in names} if side in {"v", "l", "r"} else held
        for side, held in base.items()
    }
    return kept, found


def adopt_mapping(location: Location, fingerprints: Mapping[str, Any], loaded_at: dt.datetime) -> None:
    """From now on agreements are made with this table."""
    remember_location(location, mapping=dict(fingerprints), mapping_since=loaded_at)


def tell_troubles(troubles: Iterable[Trouble]) -> None:
    """Open an issue for each trouble and end those that are over."""
    rows = {(row.code, row.field, row.remote_id): row for row in _told()}
    for trouble in troubles:
        row = rows.pop((trouble.code, trouble.field, trouble.about), None)
        if row is None:
            Issue.objects.create(
                link=None,
                code=trouble.code,
                field=trouble.field,
                remote_id=trouble.about,
                message=trouble.message,
                raw=trouble.label,
            )
        elif row.message != trouble.message:
            Issue.objects.filter(pk=row.pk).update(message=trouble.message)
    Issue.objects.filter(pk__in=[row.pk for row in rows.values()]).update(closed_at=Now())


def _told() -> list[Issue]:
    return list(Issue.objects.filter(link__isnull=True, closed_at__isnull=True, code__in=TOLD))
