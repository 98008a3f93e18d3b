"""What GoHighLevel defines, as we keep it: fields with their options, pipelines with their stages.

Fetched every hour and at each full pull; a push reads the copy and makes no start-up call. Nothing that is renamed or
deleted over there takes a value away here: a stage is known by its id, what is gone is only marked, and what that
means for our records is told as an issue with its remedy.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace

from django.db import transaction

from ghl_sync.client import GHLClient
from ghl_sync.client.errors import TryLater
from ghl_sync.client.types import FieldDef, LocationInfo, PipelineDef, StageDef
from ghl_sync.conf import Config
from ghl_sync.engine import state
from ghl_sync.engine.clock import database_now
from ghl_sync.engine.state import News, Trouble
from ghl_sync.engine.uses import drop_downs, labels_used, said, stages_used
from ghl_sync.mapping import kinds
from ghl_sync.mapping.converters import options_by_fold
from ghl_sync.mapping.fields import FieldMap
from ghl_sync.mapping.table import FINGERPRINTS, LOADED_AT, MAPS, STAGES
from ghl_sync.mapping.translate import Definitions
from ghl_sync.models import Cause, Issue, Lane, Link, Location, Pipeline, RemoteField, Stage, Write
from trips.models import Trip, Vendor
from trips.text import fold_name

# Drop-downs whose options are our records; all others are the operator's to edit.
GROWING = frozenset({"trip_name", "vendor"})
DROP_DOWNS = frozenset({"SINGLE_OPTIONS", "RADIO", "CHECKBOX"})
# In `Location.clearing`: nothing that was tried empties a field of this type.
NEVER = "never"


@dataclass(frozen=True)
class Fetched:
    """One look at everything GoHighLevel defines."""

    info: LocationInfo
    pipelines: tuple[PipelineDef, ...]
    fields: tuple[FieldDef, ...]


def fetch(client: GHLClient) -> Fetched:
    """Three calls. Raises what the client raises."""
    return Fetched(client.get_location(), client.list_pipelines(), client.list_custom_fields("all"))


def store(location: Location, config: Config, seen: Fetched) -> None:
    """Keep what was seen, and see to what follows from it. Raises TryLater for an answer that cannot be true."""
    location_id = location.location_id
    _refuse_emptied(location_id, seen)
    with transaction.atomic():
        state.hold_definitions(location)
        before = _shape(location_id)
        news = state.keep_fields(location_id, seen.fields)
        codes = {config.pipelines[kind]: codes for kind, codes in STAGES.items()}
        news.changed |= state.keep_pipelines(location_id, seen.pipelines, codes)
        _bring_back(location_id, news)
        if _shape(location_id) != before:
            # The same rows may read differently now: the next full pull looks at each.
            state.forget_digests(location_id)
        state.remember_location(
            location,
            name=seen.info.name,
            timezone=seen.info.timezone,
            allow_duplicate_opportunity=seen.info.allow_duplicate_opportunity,
            allow_duplicate_contact=seen.info.allow_duplicate_contact,
            refreshed_at=database_now(),
        )
        if news.changed:
            # What was refused for want of a stage, field or setting may go now; the rest parks again.
            state.unpark(Link.objects.filter(parked_at__isnull=False))
            state.try_unsendable_again()
        state.tell_troubles(_troubles(location_id, config, news))


def rehearse(location: Location, config: Config, seen: Fetched) -> Definitions:
    """The definitions as they would be kept; nothing is."""
    with transaction.atomic():
        store(location, config, seen)
        found = load(config, location)
        transaction.set_rollback(True)
    location.refresh_from_db()
    return found


def is_current(location: Location) -> bool:
    """Whether the agreements of this account are still made with the table of this process."""
    mapping = Location.objects.filter(pk=location.pk).values_list("mapping", flat=True).first()
    return mapping == FINGERPRINTS


def adopt_mapping(location: Location) -> bool:
    """Make the agreements of this account this code's; False when newer code has done so already.

    A field that is read or written differently now was agreed on under another reading: that agreement is forgotten,
    so that neither side's value counts as cleared, and the records are compared once more.
    """
    if is_current(location):
        return True
    with transaction.atomic():
        state.hold_definitions(location)
        location.refresh_from_db(fields=("mapping", "mapping_since"))
        if location.mapping == FINGERPRINTS:
            return True
        if location.mapping_since is not None and location.mapping_since > LOADED_AT:
            return False
        for kind, prints in FINGERPRINTS.items():
            before = location.mapping.get(kind, {})
            _agree_anew(kind, {name for name, mark in prints.items() if before.get(name, mark) != mark})
        state.adopt_mapping(location, FINGERPRINTS, LOADED_AT)
    return True


def unheard_of(location_id: str, stage_ids: Collection[str]) -> bool:
    """Whether one of these stages is in no pipeline of the account, ours or not."""
    known = Stage.objects.filter(pipeline__location_id=location_id, remote_id__in=stage_ids)
    return known.count() < len(stage_ids)


def _refuse_emptied(location_id: str, seen: Fetched) -> None:
    """An account does not lose all its fields or pipelines in an hour: an answer without any is a broken one."""
    fields = RemoteField.objects.filter(location_id=location_id, gone_at__isnull=True)
    pipelines = Pipeline.objects.filter(location_id=location_id, gone_at__isnull=True)
    if (not seen.fields and fields.exists()) or (not seen.pipelines and pipelines.exists()):
        raise TryLater("GoHighLevel answers that it has no custom fields or no pipelines at all; looking again later.")


def load(config: Config, location: Location) -> Definitions:
    """The cached definitions as the mapping reads them."""
    rows = RemoteField.objects.filter(location_id=config.location_id, gone_at__isnull=True)
    pipelines: dict[str, PipelineDef] = {}
    known = Pipeline.objects.filter(location_id=config.location_id).prefetch_related("stages")
    by_name = {row.name: row for row in known if row.gone_at is None}
    for kind, name in config.pipelines.items():
        row = by_name.get(name)
        if row is not None:
            pipelines[kind] = PipelineDef(
                row.remote_id,
                row.name,
                tuple(
                    StageDef(stage.remote_id, stage.name, stage.position)
                    for stage in row.stages.all()
                    if stage.gone_at is None
                ),
            )
    clearing = {data_type: wire for data_type, wire in location.clearing.items() if wire != NEVER}
    return Definitions({row.key: as_field(row) for row in rows}, pipelines, _stage_values(by_name, config), clearing)


def as_field(row: RemoteField) -> FieldDef:
    return FieldDef(row.remote_id, row.key, row.name, row.data_type, row.model, tuple(row.options), row.allow_custom)


def as_it_was(field: FieldDef, row: FieldMap) -> FieldDef:
    """A field that is gone as it should be made again: its type is put right where it never fitted."""
    fitting = kinds.data_types(row)
    data_type = field.data_type if field.data_type in fitting else fitting[0]
    return replace(field, data_type=data_type, options=field.options if data_type in DROP_DOWNS else ())


def gone_fields(location_id: str) -> dict[str, FieldDef]:
    """Mapped fields that this account had and has no longer, by key, as they were when last seen."""
    rows = RemoteField.objects.filter(location_id=location_id)
    there = set(rows.filter(gone_at__isnull=True).values_list("key", flat=True))
    mapped = {row.remote for table in MAPS.values() for row in table.customs}
    return {row.key: as_field(row) for row in rows.order_by("gone_at") if row.key in mapped - there}


def _stage_values(by_name: Mapping[str, Pipeline], config: Config) -> dict[str, str]:
    """Stage id → our value, for stages we know a code for and for those that are gone."""
    found = {}
    for name in config.pipelines.values():
        for stage in by_name[name].stages.all() if name in by_name else ():
            if stage.code or stage.gone_at is not None:
                found[stage.remote_id] = stage.code or stage.name
    return found


def _shape(location_id: str) -> tuple[object, ...]:
    """What decides how a row is read: which fields there are and what the stages stand for."""
    fields = RemoteField.objects.filter(location_id=location_id, gone_at__isnull=True)
    stages = Stage.objects.filter(pipeline__location_id=location_id, gone_at__isnull=True)
    return (
        set(fields.values_list("remote_id", "key", "data_type")),
        set(stages.values_list("remote_id", "name", "code", "pipeline__name")),
    )


def _bring_back(location_id: str, news: News) -> None:
    """A field that was made anew is empty on every record there: that is nobody's edit, and our values go again."""
    for kind, table in MAPS.items():
        names = {row.name for row in table.customs if row.remote in news.remade}
        _agree_anew(kind, names)
    for field in RemoteField.objects.filter(location_id=location_id, key__in=news.vanished, gone_at__isnull=True):
        _ask_again(field, news.vanished[field.key])


def _agree_anew(kind: str, names: Collection[str]) -> None:
    """Forget what was agreed about these fields; each record that had a value is compared once more."""
    if names:
        state.record_changes(kind, state.forget_agreed(kind, names), cause=Cause.OPTION, lane=Lane.BULK)


def _ask_again(field: RemoteField, vanished: tuple[str, ...]) -> None:
    """Options that are gone from a drop-down of our names, though a record here goes by them, are added again."""
    names = {row.name for table in MAPS.values() for row in table.customs if row.remote == field.key}
    if not vanished or not names & GROWING:
        return
    if Write.objects.filter(remote_field=field, outcome=Write.Outcome.OPEN).exists():
        state.want_back(field, vanished)  # a write of ours that may have arrived late is to blame
        return
    there = options_by_fold(tuple(field.options))
    lost = {fold_name(option) for option in vanished if fold_name(option) not in there}
    model, kind = (Vendor, "vendor") if "vendor" in names else (Trip, "trip")
    for pk, name in model._base_manager.filter(name_key__in=[key[:255] for key in lost]).values_list("pk", "name"):
        state.want_option(field.pk, name, kind, pk)


# What is wrong with them


def _troubles(location_id: str, config: Config, news: News) -> list[Trouble]:
    fields = {row.key: row for row in RemoteField.objects.filter(location_id=location_id, gone_at__isnull=True)}
    return [
        *_missing_fields(location_id, fields),
        *_missing_stages(location_id, config),
        *_missing_options(fields, news),
        *_doubtful_options(fields),
    ]


def _missing_fields(location_id: str, fields: Mapping[str, RemoteField]) -> Iterator[Trouble]:
    """Mapped fields that were there and are not: values stay on our side and go again once there is one."""
    gone = RemoteField.objects.filter(location_id=location_id, gone_at__isnull=False).exclude(key__in=fields)
    mapped = {row.remote: row for table in MAPS.values() for row in table.customs}
    for field in gone.order_by("key"):
        row = mapped.get(field.key)
        if row is None:
            continue
        data_type = as_it_was(as_field(field), row).data_type
        message = (
            f"The field “{field.name}” ({field.key}) is gone from GoHighLevel. TripBuilder keeps its values and blanks "
            "nothing. Have it made again on the page “Fields and drop-downs” (or by `manage.py ghl_setup --apply`) "
            f"with the type {data_type}; the values then follow by themselves."
        )
        yield Trouble(Issue.Code.NO_FIELD, field.key[:64], message)


def _missing_stages(location_id: str, config: Config) -> Iterator[Trouble]:
    """Stages that records stand in and that are gone from their pipeline."""
    for kind, name in config.pipelines.items():
        stages = Stage.objects.filter(pipeline__location_id=location_id, pipeline__name=name)
        there = {stage.code or stage.name for stage in stages if stage.gone_at is None}
        used = stages_used(kind)
        for stage in stages:
            value = stage.code or stage.name
            if stage.gone_at is None or value in there or not used[value]:
                continue
            stand, them = (
                ("stands in it and keeps it", "it") if used[value] == 1 else ("stand in it and keep it", "them")
            )
            message = (
                f"The stage {stage.name} is gone from GoHighLevel's pipeline {name}; {said(kind, used[value])} here "
                f"{stand}. Make it again there under this name (Opportunities → Pipelines), or choose another stage "
                f"for {them} here."
            )
            yield Trouble(Issue.Code.OPTION_GONE, f"{kind}.stage", message, value[:64])


def _missing_options(fields: Mapping[str, RemoteField], news: News) -> Iterator[Trouble]:
    """Options that vanished and that records here still hold; told until they are back or nothing holds them."""
    told = set(
        Issue.objects.filter(link__isnull=True, closed_at__isnull=True, code=Issue.Code.OPTION_GONE).values_list(
            "field", "remote_id"
        )
    )
    for kind, row in drop_downs():
        field = fields.get(row.remote)
        if field is None or row.name in GROWING or field.allow_custom:
            continue
        there = options_by_fold(tuple(field.options))
        vanished = {fold_name(option) for option in news.vanished.get(row.remote, ())}
        for label, count in _by_fold(labels_used(kind, row)).items():
            about = hashlib.blake2b(label[0].encode(), digest_size=8).hexdigest()
            name = f"{kind}.{row.name}"[:64]
            if label[0] in there or not (label[0] in vanished or (name, about) in told):
                continue
            shown = "One of its options" if row.group else f"“{label[1]}”"
            message = (
                f"{shown} is no option of GoHighLevel's drop-down {field.name} any more; {said(kind, count)} here "
                f"{'has it and keeps' if count == 1 else 'have it and keep'} it. Have it added again on the page "
                "“Fields and drop-downs”, or choose another one here."
            )
            yield Trouble(Issue.Code.OPTION_GONE, name, message, about, label[1])


def _by_fold(used: Mapping[str, int]) -> dict[tuple[str, str], int]:
    """Counts by (folded label, one of its spellings)."""
    counts: Counter[str] = Counter()
    spelling: dict[str, str] = {}
    for label, count in used.items():
        counts[fold_name(label)] += count
        spelling.setdefault(fold_name(label), label)
    return {(folded, spelling[folded]): count for folded, count in counts.items()}


def _doubtful_options(fields: Mapping[str, RemoteField]) -> Iterator[Trouble]:
    """Values of ours that several options look like and none is: the first is written, a person should keep one."""
    told = set()
    for kind, row in drop_downs():
        field = fields.get(row.remote)
        if field is None or row.group:
            continue
        alike = {folded: group for folded, group in options_by_fold(tuple(field.options)).items() if len(group) > 1}
        for label in labels_used(kind, row) if alike else ():
            group = alike.get(fold_name(label))
            if group is None or label in group or group in told:
                continue
            told.add(group)  # trips and passengers share the drop-down of names
            quoted = " and ".join(f"“{option}”" for option in group)
            about = hashlib.blake2b(fold_name(label).encode(), digest_size=8).hexdigest()
            message = (
                f"GoHighLevel's drop-down {field.name} has {quoted}, which look alike, and none is exactly “{label}”. "
                f"TripBuilder reads them as the same and writes the first. Keep one of them there: give the records of "
                "the others the one to keep, then remove the others (Settings → Custom Fields)."
            )
            yield Trouble(Issue.Code.LOOKALIKE, f"{kind}.{row.name}"[:64], message, about)
