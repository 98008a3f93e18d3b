"""The sandbox's whole state and every change to it; one lock, no HTTP, no rules of the API.

Records are never changed in place: a change puts a new object, so the search index can keep showing the old one
until its lag is over (API notes §0.4). Times are epoch milliseconds. Custom values are keyed by field id, in the
stored form of `values`. Names of callers: `key` is a field's key without prefix (`trip_name`) or with it
(`contact.tripbuilder_key`).
"""

from __future__ import annotations

import random
import re
import string
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from ghl_sync.sandbox import values
from ghl_sync.sandbox.definitions import FIELDS, OWN_FIELDS, PIPELINES, DefaultField
from ghl_sync.sandbox.index import Index

LARGEST_PAGE = 500
_ALPHABET = string.ascii_letters + string.digits
# Records added without a time get one a second after the last, beginning this long ago, so that none share a cursor.
_SEEDED_AGE_MS = 60 * 86_400_000


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Stage:
    id: str
    name: str
    position: int


@dataclass(frozen=True, slots=True)
class Pipeline:
    id: str
    name: str
    stages: tuple[Stage, ...]


@dataclass(frozen=True, slots=True)
class Field:
    """A custom-field definition; `key` is full, such as `opportunity.trip_name`."""

    id: str
    key: str
    name: str
    data_type: str
    model: str
    options: tuple[str, ...] = ()
    custom: bool = False
    position: int = 0
    placeholder: str = ""
    added: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Contact:
    id: str
    added: int
    updated: int
    first_name: str | None = None
    last_name: str | None = None
    email: str | None = None
    phone: str | None = None
    company_name: str | None = None
    address1: str | None = None
    city: str | None = None
    state: str | None = None
    postal_code: str | None = None
    country: str | None = None
    website: str | None = None
    timezone: str | None = None
    source: str | None = None
    gender: str | None = None
    date_of_birth: str | None = None
    assigned_to: str | None = None
    dnd: bool = False
    tags: tuple[str, ...] = ()
    custom: Mapping[str, Any] = field(default_factory=dict)
    deleted: bool = False

    kind = "contact"

    @property
    def name(self) -> str:
        return " ".join(part for part in (self.first_name, self.last_name) if part)

    @property
    def contact_id(self) -> str:
        return self.id


@dataclass(frozen=True, slots=True, eq=False)
class Opportunity:
    id: str
    added: int
    updated: int
    name: str
    pipeline_id: str
    stage_id: str
    contact_id: str
    status: str = "open"
    value: float = 0
    source: str | None = None
    assigned_to: str | None = None
    lost_reason_id: str | None = None
    status_changed: int = 0
    stage_changed: int = 0
    api_made: bool = False
    custom: Mapping[str, Any] = field(default_factory=dict)
    deleted: bool = False

    kind = "opportunity"


Entry = Contact | Opportunity


@dataclass(slots=True)
class Settings:
    """The location's own settings, as `GET /locations/{id}` shows them (API notes §5.12)."""

    name: str = "Sandbox Travel"
    timezone: str = "America/New_York"
    allow_duplicate_opportunity: bool = True
    allow_duplicate_contact: bool = False
    unique_identifiers: tuple[str, ...] = ("email", "phone")


# With these modes of `clearing` only one spelling of empty has an effect.
CLEARING_WIRES: Mapping[str, Any] = {"null": None, "text": "", "list": []}


class UnknownName(KeyError):
    """No record, pipeline, stage or field of this name; the text names it."""

    def __str__(self) -> str:
        return str(self.args[0])


class Store:
    """State of one location. Thread-safe: every public method takes the lock itself.

    `clearing` says per data type ("*" for the rest) what an empty value does: `works`, `ignored` or `refused`.
    `custom_moves_updated` says whether a change of custom fields alone moves the time of change,
    `answers_with_custom` whether the answer to a write repeats them, `largest_page` how many rows a search gives.
    """

    def __init__(self, *, location_id: str = "sandbox-location", provisioned: bool = True, lag: float = 0.0) -> None:
        self.location_id = location_id
        self.provisioned = provisioned
        self.lag = lag
        self.lock = threading.RLock()
        self._changed = threading.Condition(self.lock)
        self._random = random.SystemRandom()
        self._listeners: list[Callable[[], None]] = []
        self._watchers: list[Callable[[Entry | None, Entry], None]] = []
        self.clearing: dict[str, str] = {}
        self.custom_moves_updated = True
        self.answers_with_custom = True
        self.largest_page = LARGEST_PAGE
        self._empty()
        self._defaults()

    # Life

    def _empty(self) -> None:
        self.version = 0
        self.settings = Settings()
        self.pipelines: dict[str, Pipeline] = {}
        self.fields: dict[str, Field] = {}
        self.contacts_by_id: dict[str, Contact] = {}
        self.opportunities_by_id: dict[str, Opportunity] = {}
        self.overlays: dict[str, dict[str, Any]] = {}
        self.hidden_keys: dict[str, set[str]] = {}
        self.index = Index()
        self._by_email: dict[str, set[str]] = {}
        self._by_phone: dict[str, set[str]] = {}
        self._by_contact: dict[str, set[str]] = {}
        self._seed_clock = now_ms() - _SEEDED_AGE_MS
        self._last_added = 0
        self._bulk = 0

    def _defaults(self) -> None:
        for name, stages in PIPELINES.items():
            self.add_pipeline(name, stages)
        for default in (*FIELDS, *(OWN_FIELDS if self.provisioned else ())):
            self.add_default(default)

    def reset(self) -> None:
        """Back to an empty account with the default definitions."""
        with self.lock:
            before = self.version
            self._empty()
            self._defaults()
            self.version = before + 1
            self._announce()

    def listen(self, listener: Callable[[], None]) -> None:
        """`listener` is called, without the lock being promised, after each change."""
        self._listeners.append(listener)

    def watch(self, watcher: Callable[[Entry | None, Entry], None]) -> None:
        """`watcher` is called, under the lock, with each record before and after a change; not for those in bulk."""
        self._watchers.append(watcher)

    def wait(self, version: int, timeout: float) -> int:
        """Block until the state is newer than `version` or `timeout` seconds passed; the version now."""
        with self.lock:
            self._changed.wait_for(lambda: self.version > version, timeout)
            return self.version

    @contextmanager
    def bulk(self) -> Iterator[None]:
        """Within the block many records may be added; they are indexed once, visible at once."""
        with self.lock:
            self._bulk += 1
            try:
                yield
            finally:
                self._bulk -= 1
                if not self._bulk:
                    self.index.rebuild((*self.contacts_by_id.values(), *self.opportunities_by_id.values()))
                    self._announce()

    def _announce(self) -> None:
        self.version += 1
        self._changed.notify_all()
        for listener in self._listeners:
            listener()

    def new_id(self) -> str:
        """Twenty letters and digits, as theirs look."""
        return "".join(self._random.choices(_ALPHABET, k=20))

    # Definitions

    def add_pipeline(self, name: str, stages: Iterable[str]) -> Pipeline:
        with self.lock:
            rows = tuple(Stage(self.new_id(), stage, position) for position, stage in enumerate(stages))
            pipeline = Pipeline(self.new_id(), name, rows)
            self.pipelines[pipeline.id] = pipeline
            self._announce()
            return pipeline

    def remove_pipeline(self, name: str) -> None:
        with self.lock:
            del self.pipelines[self.pipeline(name).id]
            self._announce()

    def rename_stage(self, pipeline: str, stage: str, name: str) -> None:
        with self.lock:
            found = self.pipeline(pipeline)
            stages = tuple(replace(row, name=name) if row.name == stage else row for row in found.stages)
            self.pipelines[found.id] = replace(found, stages=stages)
            self._announce()

    def add_stage(self, pipeline: str, name: str) -> Stage:
        with self.lock:
            found = self.pipeline(pipeline)
            stage = Stage(self.new_id(), name, len(found.stages))
            self.pipelines[found.id] = replace(found, stages=(*found.stages, stage))
            self._announce()
            return stage

    def remove_stage(self, pipeline: str, name: str) -> None:
        """Records that stand in it go on naming it: what GoHighLevel does with them is not known."""
        with self.lock:
            found = self.pipeline(pipeline)
            stages = tuple(row for row in found.stages if row.name != name)
            self.pipelines[found.id] = replace(found, stages=stages)
            self._announce()

    def add_default(self, default: DefaultField) -> Field:
        return self.add_field(
            default.key, default.name, default.data_type, default.options, model=default.model, custom=default.custom
        )

    def add_field(
        self,
        key: str,
        name: str,
        data_type: str,
        options: Iterable[str] = (),
        *,
        model: str = "opportunity",
        custom: bool = False,
        placeholder: str = "",
        position: int | None = None,
    ) -> Field:
        """`key` with or without its model; one already in use gets a number, as theirs does."""
        with self.lock:
            full = key if key.startswith(f"{model}.") else f"{model}.{key}"
            taken = {found.key for found in self.fields.values()}
            unique, count = full, 1
            while unique in taken:
                count += 1
                unique = f"{full}_{count}"
            row = Field(
                id=self.new_id(),
                key=unique,
                name=name,
                data_type=data_type,
                model=model,
                options=tuple(options),
                custom=custom,
                position=50 * (len(self.fields) + 1) if position is None else position,
                placeholder=placeholder,
                added=now_ms(),
            )
            self.fields[row.id] = row
            self._announce()
            return row

    def change_field(self, field_id: str, **changes: Any) -> Field:
        """Replace what is named of a definition: `name`, `options`, `position`, `placeholder`, `custom`."""
        with self.lock:
            self.fields[field_id] = replace(self.fields[field_id], **changes)
            self._announce()
            return self.fields[field_id]

    def add_options(self, key: str, labels: Iterable[str]) -> None:
        """Append the labels that the drop-down does not have yet."""
        with self.lock:
            found = self.field(key)
            self.change_field(found.id, options=tuple(dict.fromkeys((*found.options, *labels))))

    def remove_field(self, key: str) -> None:
        """Destroy a definition and its values on every record (API notes §5.11)."""
        with self.lock:
            gone = self.field(key).id
            del self.fields[gone]
            records: list[Entry] = [*self.contacts_by_id.values(), *self.opportunities_by_id.values()]
            for record in records:
                if gone in record.custom:
                    self._put(replace(record, custom={k: v for k, v in record.custom.items() if k != gone}))
            self._announce()

    def pipeline(self, name_or_id: str) -> Pipeline:
        with self.lock:
            for found in self.pipelines.values():
                if name_or_id in (found.id, found.name):
                    return found
        raise UnknownName(f"no pipeline {name_or_id!r}")

    def stage(self, pipeline: str, name_or_id: str) -> Stage:
        for found in self.pipeline(pipeline).stages:
            if name_or_id in (found.id, found.name):
                return found
        raise UnknownName(f"no stage {name_or_id!r} in pipeline {pipeline!r}")

    def field(self, key: str, model: str = "opportunity") -> Field:
        """By id, full key, or key without its model."""
        with self.lock:
            if key in self.fields:
                return self.fields[key]
            full = key if "." in key else f"{model}.{key}"
            for found in self.fields.values():
                if found.key == full:
                    return found
        raise UnknownName(f"no field {key!r}")

    # Records: reading

    def get(self, record_id: str) -> Entry | None:
        """The record as it is now, deleted ones too; None when there never was one."""
        with self.lock:
            return self.opportunities_by_id.get(record_id) or self.contacts_by_id.get(record_id)

    def contact(self, contact_id: str) -> Contact | None:
        """A living contact."""
        found = self.contacts_by_id.get(contact_id)
        return None if found is None or found.deleted else found

    def opportunity(self, opportunity_id: str) -> Opportunity | None:
        """A living opportunity."""
        found = self.opportunities_by_id.get(opportunity_id)
        return None if found is None or found.deleted else found

    def contacts(self) -> list[Contact]:
        """Living contacts, oldest first."""
        with self.lock:
            living = [row for row in self.contacts_by_id.values() if not row.deleted]
        return sorted(living, key=lambda row: (row.added, row.id))

    def opportunities(self, pipeline: str | None = None) -> list[Opportunity]:
        """Living opportunities, of one pipeline or all, oldest first."""
        with self.lock:
            wanted = None if pipeline is None else self.pipeline(pipeline).id
            living = [
                row
                for row in self.opportunities_by_id.values()
                if not row.deleted and (wanted is None or row.pipeline_id == wanted)
            ]
        return sorted(living, key=lambda row: (row.added, row.id))

    def of_contact(self, contact_id: str, pipeline_id: str) -> list[Opportunity]:
        """Living opportunities of a contact in a pipeline."""
        with self.lock:
            ids = self._by_contact.get(contact_id, ())
            found = [self.opportunities_by_id[one] for one in ids]
        living = [row for row in found if not row.deleted and row.pipeline_id == pipeline_id]
        return sorted(living, key=lambda row: (row.added, row.id))

    def matching(self, *, email: str | None = None, phone: str | None = None) -> Contact | None:
        """The oldest living contact of this e-mail or, failing that, this phone."""
        with self.lock:
            for table, value in ((self._by_email, (email or "").lower()), (self._by_phone, phone or "")):
                rows = [self.contacts_by_id[one] for one in table.get(value, ())] if value else []
                rows = [row for row in rows if not row.deleted]
                if rows:
                    return min(rows, key=lambda row: (row.added, row.id))
        return None

    def custom_by_key(self, record: Entry) -> dict[str, Any]:
        """Custom values by key without model, as a person would type them (dates as `YYYY-MM-DD`)."""
        found = {}
        for field_id, value in record.custom.items():
            definition = self.fields.get(field_id)
            if definition is not None:
                found[definition.key.partition(".")[2]] = values.friendly(definition.data_type, value)
        return found

    # Records: adding in bulk or by hand, without the rules of the API

    def add_contact(
        self,
        *,
        fields: Mapping[str, Any] | None = None,
        id: str | None = None,
        added: int | None = None,
        updated: int | None = None,
        **native: Any,
    ) -> Contact:
        """A contact with the attributes of `Contact` by name; `fields` by key, values as a person types them."""
        with self.lock:
            moment = self._seed_time() if added is None else added
            if native.get("email"):
                native["email"] = native["email"].lower()
            native["tags"] = tuple(native.get("tags", ()))
            custom = self._typed("contact", fields or {})
            row = Contact(id or self.new_id(), moment, updated or moment, custom=custom, **native)
            self._put(row)
            return row

    def add_opportunity(
        self,
        *,
        pipeline: str,
        name: str,
        contact_id: str,
        stage: str | None = None,
        fields: Mapping[str, Any] | None = None,
        id: str | None = None,
        added: int | None = None,
        updated: int | None = None,
        **native: Any,
    ) -> Opportunity:
        """An opportunity; pipeline and stage by name or id (no stage: the first); `fields` by key.

        Values outside a drop-down's options are dropped, as a write over the API would be.
        """
        with self.lock:
            line = self.pipeline(pipeline)
            place = self.stage(line.id, stage) if stage else line.stages[0]
            moment = self._seed_time() if added is None else added
            row = Opportunity(
                id=id or self.new_id(),
                added=moment,
                updated=updated or moment,
                name=name,
                pipeline_id=line.id,
                stage_id=place.id,
                contact_id=contact_id,
                status_changed=moment,
                stage_changed=moment,
                custom=self._typed("opportunity", fields or {}),
                **native,
            )
            self._put(row)
            return row

    def _seed_time(self) -> int:
        self._seed_clock += 1000
        return self._seed_clock

    def added_now(self) -> int:
        """The time of a record made now; two never share one, so their cursors differ."""
        with self.lock:
            self._last_added = max(now_ms(), self._last_added + 1)
            return self._last_added

    def _typed(self, model: str, by_key: Mapping[str, Any]) -> dict[str, Any]:
        return self.merge_custom({}, {self.field(key, model).id: value for key, value in by_key.items()}, edit=True)

    def merge_custom(
        self, before: Mapping[str, Any], written: Mapping[str, Any], *, edit: bool = False
    ) -> dict[str, Any]:
        """Custom values after a write of field id → value. Raises `values.Invalid` for what is refused.

        `edit` is a change by a person inside the CRM, where clearing a field always works.
        """
        after = dict(before)
        for field_id, value in written.items():
            definition = self.fields[field_id]
            name = f"customFields.{field_id}"
            if values.is_empty(value):
                mode = self.clearing.get(definition.data_type, self.clearing.get("*", "works"))
                if edit or mode == "works" or (mode in CLEARING_WIRES and value == CLEARING_WIRES[mode]):
                    after.pop(field_id, None)
                elif mode == "refused":
                    raise values.Invalid(f"{name} should not be empty")
                continue
            try:
                after[field_id] = values.stored(
                    definition.data_type, definition.options, definition.custom, value, name
                )
            except values.Ignored:
                continue
        return after

    # Records: changing

    def put(self, record: Entry) -> None:
        """Store a new version of a record (or a new record) and let the search see it after the lag."""
        with self.lock:
            self._put(record)

    def _put(self, record: Entry) -> None:
        replaced = self.get(record.id)
        if isinstance(record, Contact):
            before = self.contacts_by_id.get(record.id)
            self.contacts_by_id[record.id] = record
            for table, name in ((self._by_email, "email"), (self._by_phone, "phone")):
                old, new = getattr(before, name, None), getattr(record, name)
                if old and old != new:
                    table[old].discard(record.id)
                if new:
                    table.setdefault(new, set()).add(record.id)
        else:
            earlier = self.opportunities_by_id.get(record.id)
            if earlier is not None and earlier.contact_id != record.contact_id:
                self._by_contact[earlier.contact_id].discard(record.id)
            self.opportunities_by_id[record.id] = record
            self._by_contact.setdefault(record.contact_id, set()).add(record.id)
        if not self._bulk:
            self.index.put(record, time.monotonic() + self.lag if self.lag > 0 else 0.0)
            self._announce()
            for watcher in self._watchers:
                watcher(replaced, record)

    def edit(self, record_id: str, *, fields: Mapping[str, Any] | None = None, **native: Any) -> Entry:
        """A change by a person inside the CRM: attributes by name, `stage` and `pipeline` by name, `fields` by key.

        Moves the time of change. `contact_id` may be changed too, as merging contacts does.
        """
        with self.lock:
            record = self._living(record_id)
            if isinstance(record, Opportunity):
                native = self._opportunity_changes(record, native)
            elif "tags" in native:
                native["tags"] = tuple(native["tags"])
            written = {self.field(key, record.kind).id: value for key, value in (fields or {}).items()}
            custom = self.merge_custom(record.custom, written, edit=True)
            moment = max(now_ms(), record.updated + 1)
            after = replace(record, custom=custom, updated=moment, **native)
            self._put(after)
            return after

    def _opportunity_changes(self, record: Opportunity, native: dict[str, Any]) -> dict[str, Any]:
        changes = dict(native)
        if "pipeline" in changes:
            line = self.pipeline(changes.pop("pipeline"))
            changes |= {"pipeline_id": line.id, "stage": changes.get("stage", line.stages[0].id)}
        if "stage" in changes:
            place = changes.get("pipeline_id", record.pipeline_id)
            changes["stage_id"] = self.stage(place, changes.pop("stage")).id
        if changes.get("stage_id", record.stage_id) != record.stage_id:
            changes["stage_changed"] = now_ms()
        if changes.get("status", record.status) != record.status:
            changes["status_changed"] = now_ms()
        return changes

    def _living(self, record_id: str) -> Entry:
        found = self.get(record_id)
        if found is None or found.deleted:
            raise UnknownName(f"no record {record_id!r}")
        return found

    def set_raw(self, record_id: str, key: str, value: Any) -> Entry:
        """Put any JSON value into a custom field as it is, past all rules: what nobody expects on the wire."""
        with self.lock:
            record = self._living(record_id)
            custom = dict(record.custom) | {self.field(key, record.kind).id: value}
            after = replace(record, custom=custom, updated=max(now_ms(), record.updated + 1))
            self._put(after)
            return after

    def overlay(self, record_id: str, shown: Mapping[str, Any] | None = None, hide: Iterable[str] = ()) -> None:
        """Make answers show these wire keys instead, and leave out those in `hide`: a broken record."""
        with self.lock:
            record = self._living(record_id)
            self.overlays[record_id] = dict(shown or {})
            self.hidden_keys[record_id] = set(hide)
            self._put(replace(record, updated=record.updated))

    def delete(self, record_id: str) -> None:
        """Soft: the search may show it until its lag is over, and `restore` brings it back (API notes §9)."""
        with self.lock:
            self._put(replace(self._living(record_id), deleted=True))

    def restore(self, record_id: str) -> Entry:
        """Undo `delete`, as an admin can from the audit log."""
        with self.lock:
            record = self.get(record_id)
            if record is None or not record.deleted:
                raise UnknownName(f"no deleted record {record_id!r}")
            after = replace(record, deleted=False, updated=max(now_ms(), record.updated + 1))
            self._put(after)
            return after

    # State as JSON

    def dump(self) -> dict[str, Any]:
        """The whole state as JSON-able data."""
        with self.lock:
            contacts = list(self.contacts_by_id.values())
            opportunities = list(self.opportunities_by_id.values())
            head = {
                "version": self.version,
                "location_id": self.location_id,
                "provisioned": self.provisioned,
                "settings": asdict(self.settings),
                "pipelines": [asdict(row) for row in self.pipelines.values()],
                "fields": [_flat(row) for row in self.fields.values()],
                "overlays": dict(self.overlays),
                "hidden_keys": {key: sorted(names) for key, names in self.hidden_keys.items()},
            }
        # Records never change in place, so the long part needs no lock.
        return head | {
            "contacts": [_flat(row) for row in contacts],
            "opportunities": [_flat(row) for row in opportunities],
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Take over what `dump` gave. Raises KeyError or TypeError when it is something else."""
        with self.lock:
            self._empty()
            self.provisioned = state["provisioned"]
            saved = dict(state["settings"])
            saved["unique_identifiers"] = tuple(saved["unique_identifiers"])
            self.settings = Settings(**saved)
            for row in state["pipelines"]:
                stages = tuple(Stage(**stage) for stage in row["stages"])
                self.pipelines[row["id"]] = Pipeline(row["id"], row["name"], stages)
            for row in state["fields"]:
                self.fields[row["id"]] = Field(**row | {"options": tuple(row["options"])})
            self.overlays = {key: dict(shown) for key, shown in state["overlays"].items()}
            self.hidden_keys = {key: set(names) for key, names in state["hidden_keys"].items()}
            with self.bulk():
                for row in state["contacts"]:
                    self._put(Contact(**row | {"tags": tuple(row["tags"])}))
                for row in state["opportunities"]:
                    self._put(Opportunity(**row))
            self.version = max(self.version, state["version"])


def _flat(row: Any) -> dict[str, Any]:
    return {item.name: getattr(row, item.name) for item in fields(row)}


def e164(text: str) -> str:
    """A phone number as the API stores it: `+` and digits; ten digits count as North American."""
    digits = re.sub(r"\D", "", text)
    if text.strip().startswith("+"):
        return f"+{digits}"
    return f"+1{digits}" if len(digits) == 10 else f"+{digits}" if digits else text
