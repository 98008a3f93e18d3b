"""What GoHighLevel defines, as we keep it: fields with their options, pipelines with their stages.

Fetched every hour and at each full pull; a push reads the copy and makes no start-up call.
"""

from __future__ import annotations

from typing import Any

from django.db import transaction

from ghl_sync.client import GHLClient
from ghl_sync.client.types import FieldDef, PipelineDef, StageDef
from ghl_sync.conf import Config
from ghl_sync.engine import state
from ghl_sync.engine.clock import database_now
from ghl_sync.mapping.translate import Definitions
from ghl_sync.models import Link, Location, Pipeline, RemoteField, Stage


def refresh(client: GHLClient, location: Location) -> None:
    """Fetch location, pipelines and fields (three calls) into the cache tables."""
    info = client.get_location()
    pipelines = client.list_pipelines()
    fields = client.list_custom_fields("all")
    location_id = location.location_id
    with transaction.atomic():
        before = _shape(location_id)
        changed = _store_fields(location_id, fields) | _store_pipelines(location_id, pipelines)
        if _shape(location_id) != before:
            # The same rows may read differently now: the next full pull looks at each.
            state.forget_digests(location_id)
        state.remember_location(
            location,
            name=info.name,
            timezone=info.timezone,
            allow_duplicate_opportunity=info.allow_duplicate_opportunity,
            allow_duplicate_contact=info.allow_duplicate_contact,
            refreshed_at=database_now(),
        )
        if changed:
            # What was refused for want of a stage, field or setting may go now; the rest parks again.
            state.unpark(Link.objects.filter(parked_at__isnull=False))
            state.try_unsendable_again()


def load(settings: Config) -> Definitions:
    """The cached definitions as the mapping reads them."""
    fields = {
        row.key: FieldDef(
            row.remote_id, row.key, row.name, row.data_type, row.model, tuple(row.options), row.allow_custom
        )
        for row in RemoteField.objects.filter(location_id=settings.location_id)
    }
    pipelines: dict[str, PipelineDef] = {}
    rows = Pipeline.objects.filter(location_id=settings.location_id).prefetch_related("stages")
    by_name = {row.name: row for row in rows}
    for kind, name in settings.pipelines.items():
        row = by_name.get(name)
        if row is not None:
            stages = tuple(StageDef(stage.remote_id, stage.name, stage.position) for stage in row.stages.all())
            pipelines[kind] = PipelineDef(row.remote_id, row.name, stages)
    return Definitions(fields, pipelines)


def _shape(location_id: str) -> tuple[set[Any], set[Any]]:
    """What decides how a row is read: which fields there are and what the stages are called."""
    fields = RemoteField.objects.filter(location_id=location_id).values_list("remote_id", "key", "data_type")
    stages = Stage.objects.filter(pipeline__location_id=location_id)
    return set(fields), set(stages.values_list("remote_id", "name", "pipeline__name"))


def _store_fields(location_id: str, fields: tuple[FieldDef, ...]) -> bool:
    """Write definitions that are new or differ, drop those that are gone; True when anything changed."""
    have = {row.remote_id: row for row in RemoteField.objects.filter(location_id=location_id)}
    changed = False
    for field in fields:
        row = have.pop(field.id, None) or RemoteField(location_id=location_id, remote_id=field.id)
        wanted = {
            "model": field.model,
            "key": field.key,
            "name": field.name,
            "data_type": field.data_type,
            "options": list(field.options),
            "allow_custom": field.allow_custom,
        }
        if row.pk is None or any(getattr(row, name) != value for name, value in wanted.items()):
            RemoteField.objects.update_or_create(
                location_id=location_id, remote_id=field.id, defaults=wanted | {"refreshed_at": database_now()}
            )
            changed = True
    if have:
        RemoteField.objects.filter(pk__in=[row.pk for row in have.values()]).delete()
    return changed or bool(have)


def _store_pipelines(location_id: str, pipelines: tuple[PipelineDef, ...]) -> bool:
    before = set(Stage.objects.filter(pipeline__location_id=location_id).values_list("remote_id", "name"))
    kept = []
    for pipeline in pipelines:
        row, _created = Pipeline.objects.update_or_create(
            location_id=location_id, remote_id=pipeline.id, defaults={"name": pipeline.name}
        )
        kept.append(row.pk)
        for stage in pipeline.stages:
            Stage.objects.update_or_create(
                pipeline=row, remote_id=stage.id, defaults={"name": stage.name, "position": stage.position}
            )
        row.stages.exclude(remote_id__in=[stage.id for stage in pipeline.stages]).delete()
    Pipeline.objects.filter(location_id=location_id).exclude(pk__in=kept).delete()
    return before != set(Stage.objects.filter(pipeline__location_id=location_id).values_list("remote_id", "name"))
