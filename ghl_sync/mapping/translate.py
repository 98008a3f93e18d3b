"""Object to body and record to values, both by walking the same rows; plain Python."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ghl_sync.client.types import FieldDef, PipelineDef, Record
from ghl_sync.mapping.converters import Canonical, MissingOption, Unreadable
from ghl_sync.mapping.fields import FieldMap, ObjectMap, Values
from trips.text import fold_name

TITLE_LENGTH = 120

# How a value is cleared, by data type, until the self-test has found out (API notes §6: unverified).
EMPTY_WIRE: Mapping[str, Any] = {"NUMERICAL": None, "MONETORY": None, "DATE": None, "CHECKBOX": []}


@dataclass(frozen=True)
class Definitions:
    """What GoHighLevel defines: custom fields by full key, the pipeline of each kind of opportunity.

    `stages` maps a stage's id to our own value for it, whatever it is called today and whether or not it is still
    there: a stage that was renamed or deleted takes nobody's stage away. `clearing` is what was seen to empty a field,
    by data type.
    """

    fields: Mapping[str, FieldDef]
    pipelines: Mapping[str, PipelineDef]
    stages: Mapping[str, str] = field(default_factory=dict)
    clearing: Mapping[str, Any] = field(default_factory=dict)

    def knows_stage(self, kind: str, stage_id: str) -> bool:
        pipeline = self.pipelines.get(kind)
        return stage_id in self.stages or any(s.id == stage_id for s in (pipeline.stages if pipeline else ()))

    def stage_value(self, row: FieldMap, kind: str, stage_id: str) -> Canonical:
        """Our value for a stage. Raises Unreadable for one that nobody has met."""
        known = self.stages.get(stage_id)
        if known is not None:
            return known
        pipeline = self.pipelines.get(kind)
        name = next((s.name for s in pipeline.stages if s.id == stage_id), None) if pipeline else None
        if name is None:
            raise Unreadable("is a stage that this pipeline does not have", stage_id)
        return row.converter.read(name)

    def stage_id(self, row: FieldMap, kind: str, value: Canonical) -> str | None:
        """The stage over there that our value stands for: by its id, else by its name."""
        pipeline = self.pipelines.get(kind)
        if pipeline is None or not value:
            return None
        by_id = next((s.id for s in pipeline.stages if self.stages.get(s.id) == value), None)
        label = str(row.converter.to_wire(value))
        named = next((s.id for s in pipeline.stages if s.name == label), None)
        return by_id or named or next((s.id for s in pipeline.stages if fold_name(s.name) == fold_name(label)), None)

    def empty(self, data_type: str) -> Any:
        """What empties a field of this type."""
        return self.clearing.get(data_type, EMPTY_WIRE.get(data_type, ""))


@dataclass(frozen=True, slots=True)
class Reading:
    """What a record says of one field: a canonical value, or why it could not be read."""

    value: Canonical = None
    unreadable: str = ""
    raw: Any = None


Readings = dict[str, Reading]
EMPTY = Reading()


@dataclass
class Body:
    """A neutral body for the client, and what had to stay out of it."""

    body: dict[str, Any]
    sent: Values
    missing_options: list[tuple[FieldMap, FieldDef, str]] = field(default_factory=list)
    missing_fields: list[FieldMap] = field(default_factory=list)
    missing_stages: list[str] = field(default_factory=list)


def title(first_name: str, last_name: str, trip_name: str) -> str:
    """A passenger's opportunity name: "Legal First Last – Trip", at most 120 characters, cut in the trip's name."""
    person = f"{first_name} {last_name}".strip() or "Passenger"
    whole = f"{person} – {trip_name}" if trip_name else person
    return whole if len(whole) <= TITLE_LENGTH else whole[: TITLE_LENGTH - 1].rstrip() + "…"


def read_record(table: ObjectMap, record: Record, definitions: Definitions) -> Readings:
    """Every field the record speaks for; in a complete record a missing key means empty."""
    readings: Readings = {}
    for row in table.natives:
        found, raw = _native(row, record)
        if not found and not record.complete:
            continue
        readings[row.name] = (
            _read_stage(table, row, raw, definitions) if row.remote == "pipelineStageId" else _read(row, raw)
        )
    speaks_of_custom = record.complete or record.has_custom
    for row in table.customs if speaks_of_custom else ():
        definition = definitions.fields.get(row.remote)
        if definition is None:
            continue
        if definition.id in record.custom:
            readings[row.name] = _read(row, record.custom[definition.id], definition)
        elif record.complete:
            readings[row.name] = EMPTY
    return readings


def _native(row: FieldMap, record: Record) -> tuple[bool, Any]:
    if row.remote in {"firstName", "lastName"}:
        raw_key = f"{row.remote}Raw"  # the list endpoint lower-cases the plain key (API notes §5.10)
        if record.raw.get(raw_key):
            return True, record.raw[raw_key]
    return row.remote in record.raw, record.raw.get(row.remote)


def _read(row: FieldMap, raw: Any, definition: FieldDef | None = None) -> Reading:
    try:
        return Reading(row.converter.read(raw, definition))
    except Unreadable as error:
        return Reading(unreadable=error.reason, raw=raw)


def _read_stage(table: ObjectMap, row: FieldMap, raw: Any, definitions: Definitions) -> Reading:
    if not isinstance(raw, str) or not raw:
        return Reading(unreadable="is not a stage", raw=raw)
    try:
        return Reading(definitions.stage_value(row, table.kind, raw))
    except Unreadable as error:
        return Reading(unreadable=error.reason, raw=raw)


def read_local(table: ObjectMap, parts: Mapping[str, Any]) -> Values:
    """Canonical values of an object. In `parts` "" is the object, a part's name its part, a row's name its value."""
    values: Values = {}
    for row in table.fields:
        if row.name in parts:
            values[row.name] = parts[row.name]
        elif row.part == "documents":
            continue
        else:
            part = parts.get(row.part)
            held = getattr(part, row.attribute) if part is not None else None
            values[row.name] = None if held is None or held == "" else row.converter.from_local(held)
    return values


def build_body(table: ObjectMap, values: Mapping[str, Canonical], definitions: Definitions) -> Body:
    """The wire form of these fields; what has no option, field or stage over there stays out and is named."""
    result = Body(body={}, sent={})
    custom: dict[str, Any] = {}
    for name, value in values.items():
        row = table.by_name[name]
        if row.remote == "pipelineStageId":
            stage_id = definitions.stage_id(row, table.kind, value)
            if stage_id is None:
                result.missing_stages.append(str(row.converter.to_wire(value)) if value else "")
                continue
            result.body["stage_id"] = stage_id
        elif not row.custom:
            _native_wire(result.body, table, row, value)
        else:
            definition = definitions.fields.get(row.remote)
            if definition is None:
                result.missing_fields.append(row)
                continue
            try:
                custom[definition.id] = _custom_wire(row, value, definition, definitions)
            except MissingOption as error:
                result.missing_options.append((row, definition, error.label))
                continue
        result.sent[name] = value
    if custom:
        result.body["custom_fields"] = custom
    return result


def _custom_wire(row: FieldMap, value: Canonical, definition: FieldDef, definitions: Definitions) -> Any:
    if value is None:
        return definitions.empty(definition.data_type)
    return row.converter.to_wire(value, definition)


def _native_wire(body: dict[str, Any], table: ObjectMap, row: FieldMap, value: Canonical) -> None:
    neutral = {"name": "name", "status": "status", "contactId": "contact_id"}
    key = neutral.get(row.remote, row.remote) if table.remote_kind == "opportunity" else row.remote
    if value is None:
        # `email: ""` is refused (API notes §5.10); null clears a native field of a contact.
        body[key] = None
        return
    body[key] = row.converter.to_wire(value)


def spoken(table: ObjectMap, names: Iterable[str]) -> list[FieldMap]:
    """The rows of these names, in the table's order."""
    wanted = set(names)
    return [row for row in table.fields if row.name in wanted]
