"""The mapping as the pages need it: which field of ours a row is, what staff call it, who may see its value."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any

from django.apps import apps
from django.core.exceptions import FieldDoesNotExist

from ghl_sync.engine.local import from_text
from ghl_sync.mapping.converters import Choice
from ghl_sync.mapping.fields import FieldMap
from ghl_sync.mapping.table import MAPS
from trips.admin.base import day
from trips.permissions import may_see

# Models whose rows are parts of another object, with the object's kind and the part's name in the mapping.
PARTS = {
    "passport": ("passenger", "passport"),
    "healthrecord": ("passenger", "health"),
    "emergencycontact": ("passenger", "emergency"),
}
_MODELS = {part: model for model, (_kind, part) in PARTS.items()} | {"documents": "document"}
_GROUPS = {"passport": "passport", "health": "health record", "document": "documents"}
PART_LABELS = {
    "passport": "passport",
    "health": "health record",
    "emergency": "emergency contact",
    "documents": "documents",
}
# Fields of ours that the mapping holds under the names they go by over there.
_REFERENCES = {("passenger", "trip_name"): "trip", ("passenger", "trip_id"): "trip"}


def row_of(model: str, field: str) -> FieldMap | None:
    """The mapping's row for a field of one of our models ("passport", "country"); None when it is ours alone."""
    kind, part = PARTS.get(model, (model, ""))
    table = MAPS.get(kind)
    return table.by_name.get(f"{part}.{field}" if part else field) if table else None


def is_mirrored(model: str, field: str) -> bool:
    return row_of(model, field) is not None or (model, field) == ("passenger", "trip")


def label_of(kind: str, name: str) -> str:
    """What staff call a mapped field; a sensitive one goes by its group alone."""
    row = MAPS[kind].by_name.get(name) if kind in MAPS else None
    if row is None:
        return name.replace("_", " ")
    return _GROUPS[row.group] if row.group else full_label(kind, name)


def full_label(kind: str, name: str) -> str:
    """What staff call a mapped field, sensitive or not: "passport: issuing country"."""
    row = MAPS[kind].by_name[name]
    model = apps.get_model("trips", _MODELS.get(row.part, kind))
    try:
        field: Any = model._meta.get_field(_REFERENCES.get((kind, name)) or row.attribute)
    except FieldDoesNotExist:
        label = row.label or row.attribute.replace("_", " ")
    else:
        label = str(field.verbose_name)
    return f"{PART_LABELS[row.part]}: {label}" if row.part else label


def labels(kind: str, names: Iterable[str], most: int = 4) -> str:
    """Field labels as a short list: "name, capacity and 3 more"."""
    found = list(dict.fromkeys(label_of(kind, name) for name in names))
    shown = ", ".join(found[:most])
    return f"{shown} and {len(found) - most} more" if len(found) > most else shown


def is_sensitive(kind: str, name: str) -> bool:
    """Whether values of this field are never shown; a name the mapping does not know counts as one."""
    row = MAPS[kind].by_name.get(name) if kind in MAPS else None
    return row is None or bool(row.group)


def may_see_value(user: Any, kind: str, name: str) -> bool:
    """Whether this user may read values of the field on a page of the sync."""
    if is_sensitive(kind, name):
        return False
    return may_read(user, kind, name)


def models_of(kind: str, name: str) -> set[str]:
    """The models whose permissions guard a mapped field: the object's, and that of its part."""
    return {kind, _MODELS.get(MAPS[kind].by_name[name].part, kind)}


def may_read(user: Any, kind: str, name: str) -> bool:
    """Whether this user may read the field where it is decided about, sensitive or not; links to files never are."""
    row = MAPS[kind].by_name.get(name) if kind in MAPS else None
    if row is None or row.group == "document":
        return False
    return all(may_see(user, f"trips.{model}") for model in models_of(kind, name))


def may_decide(user: Any, kind: str, name: str) -> bool:
    """Whether this user may say which value the field holds: whoever may type it."""
    known = kind in MAPS and name in MAPS[kind].by_name
    return known and all(user.has_perm(f"trips.change_{model}") for model in models_of(kind, name))


def shown(kind: str, name: str, text: str) -> str:
    """A value as a conflict keeps it, in the words of our forms: labels for codes, days as people write them."""
    row = MAPS[kind].by_name.get(name) if kind in MAPS else None
    if row is None or not text:
        return text
    try:
        value = row.converter.to_local(from_text(row, text))
    except ValueError:
        return text  # kept when the field was of another kind
    if isinstance(value, bool):
        return "Yes" if value else "No"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, dt.date):
        return day(value)
    return row.converter.codes.get(text, text) if isinstance(row.converter, Choice) else text
