"""Our half of a mirrored object: loading it with its parts, reading its canonical values, writing some of them.

Knows the models; knows nothing of calls, bases or decisions.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

from django.conf import settings
from django.db import IntegrityError, models, transaction

from ghl_sync.engine import state
from ghl_sync.mapping.converters import Files, Flag, Integer, Tags, YesNo, plain_text
from ghl_sync.mapping.fields import FieldMap, ObjectMap, Values
from ghl_sync.mapping.table import MAPS
from ghl_sync.mapping.translate import read_local, title
from ghl_sync.models import Link
from ghl_sync.suppression import muted
from trips.enums import SEATED, DocumentState
from trips.models import Contact, Document, EmergencyContact, HealthRecord, Passenger, Passport, Trip, Vendor
from trips.text import fold_name

MODELS: Mapping[str, type[models.Model]] = {"trip": Trip, "passenger": Passenger, "contact": Contact}
PARTS: Mapping[str, type[models.Model]] = {"passport": Passport, "health": HealthRecord, "emergency": EmergencyContact}
# Columns of ours behind fields that name another record.
REFERENCES = {
    ("passenger", "trip_name"): "trip_id",
    ("passenger", "trip_id"): "trip_id",
    ("trip", "vendor"): "vendor_id",
}
# So far back history is searched for the save that made a value what it is.
MOST_SAVES = 50


def seat_of(obj: models.Model) -> int | None:
    """The trip on which a passenger takes a seat; of anything else none."""
    return obj.trip_id if isinstance(obj, Passenger) and obj.attendance in SEATED else None


@dataclass
class Local:
    """One object with the parts that hold mirrored fields; a part that has no row yet is None."""

    kind: str
    obj: Any
    parts: dict[str, Any] = field(default_factory=dict)
    contact_remote_id: str | None = None

    @property
    def table(self) -> ObjectMap:
        return MAPS[self.kind]

    @property
    def key(self) -> str:
        return f"{self.kind}:{self.obj.uid}"

    @property
    def label(self) -> str:
        return str(self.obj)

    @property
    def seat(self) -> int | None:
        """The trip on which this passenger takes a seat."""
        return seat_of(self.obj)

    @property
    def target(self) -> int | None:
        """The row its reference names: a passenger's trip, a trip's vendor."""
        if self.kind == "passenger":
            return self.obj.trip_id
        return self.obj.vendor_id if self.kind == "trip" else None

    def values(self) -> Values:
        """Canonical values of every mapped field, references as the labels and keys they go by."""
        given: dict[str, Any] = {"": self.obj, **self.parts, "key": self.key}
        if self.kind == "trip":
            given |= {
                "trip_name": self.obj.name or None,
                "organiser": self.contact_remote_id,
                "vendor": self.obj.vendor.name if self.obj.vendor_id else None,
                "enrolled_count": getattr(self.obj, "enrolled_count", None),
            }
        elif self.kind == "passenger":
            trip = self.obj.trip if self.obj.trip_id else None
            given |= {
                "title": title(self.obj.legal_first_name, self.obj.legal_last_name, trip.name if trip else ""),
                "contact": self.contact_remote_id,
                "trip_key": f"trip:{trip.uid}" if trip else None,
                "trip_name": (trip.name if trip else self.obj.trip_name_raw) or None,
                "trip_id": trip.legacy_trip_id if trip else self.obj.trip_id_raw,
            }
        return read_local(self.table, given)

    def apply(self, values: Mapping[str, Any]) -> dict[str, set[str]]:
        """Set canonical values on the object and its parts; returns the changed columns by part. Saves nothing."""
        changed: dict[str, set[str]] = {}
        for name, value in values.items():
            row = self.table.by_name[name]
            if row.reference or row.part == "documents":
                continue
            target = self._part(row.part, value)
            if target is None:
                continue
            setattr(target, row.attribute, row.converter.to_local(value))
            changed.setdefault(row.part, set()).add(row.attribute)
        return changed

    def save(self, changed: Mapping[str, Iterable[str]]) -> None:
        """Write exactly these columns, without reporting them as changes made here."""
        with transaction.atomic(), muted(self.kind, self.obj.pk):
            for part, columns in changed.items():
                target = self.parts[part] if part else self.obj
                if target.pk is None:
                    target.save(force_insert=True)
                elif columns:
                    target.save(update_fields=list(columns))

    def _part(self, part: str, value: Any) -> Any:
        if not part:
            return self.obj
        if self.parts.get(part) is None:
            if value is None:
                return None  # a part's row is made only for a value
            self.parts[part] = PARTS[part](passenger=self.obj)
        return self.parts[part]


def load(kind: str, object_id: int, *, lock: bool = False) -> Local | None:
    """The object as the database has it now, or None. `lock` holds its row until the transaction ends."""
    rows: Any = MODELS[kind]._base_manager.filter(pk=object_id)
    if lock and not rows.select_for_update().values_list("pk", flat=True).first():
        return None
    if kind == "trip":
        rows = Trip.objects.filter(pk=object_id).with_counts().select_related("vendor")
    elif kind == "passenger":
        rows = rows.select_related("trip", "passport", "health")
    obj = rows.first()
    if obj is None:
        return None
    local = Local(kind, obj)
    if kind == "passenger":
        local.parts = {
            "passport": _one(obj, "passport"),
            "health": _one(obj, "health"),
            "emergency": obj.emergency_contacts.order_by("position", "pk").first(),
        }
    local.contact_remote_id = _contact_remote_id(local)
    return local


def _one(obj: Any, name: str) -> Any:
    try:
        return getattr(obj, name)
    except (Passport.DoesNotExist, HealthRecord.DoesNotExist):
        return None


def contact_id_of(local: Local) -> int | None:
    """The contact whose opportunity it is."""
    if local.kind == "trip":
        return local.obj.organiser_id
    return local.obj.contact_id if local.kind == "passenger" else None


def _contact_remote_id(local: Local) -> str | None:
    contact_id = contact_id_of(local)
    if contact_id is None:
        return None
    found = Link.objects.filter(kind="contact", object_id=contact_id).values_list("remote_id", flat=True).first()
    return found or None


def contact_from_row(raw: Mapping[str, Any]) -> Contact:
    """An unsaved contact from what an opportunity's row says of its contact."""
    embedded = raw.get("contact")
    embedded = embedded if isinstance(embedded, dict) else {}
    first, _, last = plain_text(embedded.get("name") or "").partition(" ")
    phone = plain_text(embedded.get("phone") or "")
    contact = Contact(
        first_name=first[:100],
        last_name=last[:100],
        company_name=plain_text(embedded.get("companyName") or "")[:200],
        email=plain_text(embedded.get("email") or "")[:254],
        phone=phone[:64],
    )
    contact.derive()
    return contact


def standing_for(contact_id: int) -> Contact | None:
    """The contact, or the one that it was merged into here; None when there is none any more."""
    found = Contact._base_manager.filter(pk=contact_id).select_related("merged_into").first()
    return found and (found.merged_into or found)


def is_owner(local: Local, remote_id: str) -> bool:
    """Whether the contact of this id over there is this object's, under its own id or that of a merged one."""
    link = state.of_records(settings.GHL_LOCATION_ID, [remote_id]).filter(kind="contact").first()
    contact = standing_for(link.object_id) if link is not None else None
    return contact is not None and contact.pk == contact_id_of(local)


def stub_contact(remote_id: str, raw: Mapping[str, Any]) -> Contact:
    """The contact with this id over there; one that nobody here knows is made from the row and flagged."""
    known_there = state.of_records(settings.GHL_LOCATION_ID, [remote_id]).filter(kind="contact")
    link = known_there.first()
    if link is not None:
        known = standing_for(link.object_id)
        if known is not None:
            return known
    contact = contact_from_row(raw)
    try:
        with transaction.atomic():
            Contact.objects.bulk_create([contact])  # no signals: it came from there
            state.link_stub(contact, remote_id, link)
    except IntegrityError:  # another worker met it this moment
        return Contact._base_manager.get(pk=known_there.get().object_id)
    return contact


def vendor_named(label: str) -> Vendor:
    """The vendor of this name; an unknown one is made and flagged for a look."""
    vendor = Vendor.objects.filter(name_key=fold_name(label)[:255]).first()
    if vendor is None:
        vendor = Vendor(name=label[:200], needs_review=True)
        vendor.derive()
        Vendor.objects.bulk_create([vendor])  # no signals: it came from there
    return vendor


def store_documents(local: Local, readings: Mapping[str, Any]) -> bool:
    """Keep the papers that a record links to; a link that changed replaces the old one, ours are never touched."""
    owner = {local.kind: local.obj}
    changed = False
    for name, files in readings.items():
        kind = name.rpartition(".")[2]
        have = {doc.remote_url: doc for doc in Document.objects.filter(**owner, kind=kind).exclude(remote_url="")}
        wanted = {item["url"]: item for item in files or ()}
        for url, item in wanted.items():
            if url not in have:
                document_from(local.obj, local.kind, kind, item).save()
                changed = True
        for url, doc in have.items():
            if url not in wanted and doc.state == DocumentState.RECEIVED and not doc.file:
                doc.delete()
                changed = True
    return changed


def document_from(obj: Any, owner: str, kind: str, item: Mapping[str, Any]) -> Document:
    """An unsaved Document for one linked file."""
    return Document(
        kind=kind,
        remote_url=item["url"],
        original_name=item.get("name") or "",
        content_type=item.get("mimetype") or "",
        size=item.get("size"),
        state=DocumentState.RECEIVED,
        **{owner: obj},
    )


def as_text(value: Any) -> str:
    """A canonical value as it is kept in a conflict or an event."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)


def from_text(row: FieldMap, text: str) -> Any:
    """The canonical value that `as_text` wrote down."""
    if not text:
        return None
    if not isinstance(row.converter, (Integer, YesNo, Flag, Tags, Files)):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text  # written down when the field was of another kind; it equals nothing, and says so to a person


def last_edit(local: Local, name: str) -> tuple[dt.datetime | None, str]:
    """When our value of this field came to be and who saved it, as far as history knows.

    Of a value that history does not keep (passports, health) it is the last save of that part.
    """
    row = local.table.by_name[name]
    target = local.parts.get(row.part) if row.part else local.obj
    if target is None or target.pk is None:
        return None, ""
    column = REFERENCES.get((local.kind, name), row.attribute)
    history: Any = target.history
    kept = any(column in (field.name, field.attname) for field in history.model._meta.concrete_fields)
    columns = ("history_date", "history_user__username", *((column,) if kept else ()))
    saves = list(history.order_by("-history_date", "-history_id").values_list(*columns)[:MOST_SAVES])
    now = getattr(target, column) if kept else None
    if not saves or (kept and saves[0][2] != now):
        return target.updated_at, ""  # written past history, as a bulk update is
    same = list(takewhile(lambda save: not kept or save[2] == now, saves)) if kept else saves[:1]
    return same[-1][0], same[-1][1] or ""
