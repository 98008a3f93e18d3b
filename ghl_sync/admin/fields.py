"""The mapping as the pages need it: which field of ours a row is, what staff call it, who may see its value."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.apps import apps
from django.core.exceptions import FieldDoesNotExist

from ghl_sync.mapping.fields import FieldMap
from ghl_sync.mapping.table import MAPS

# Models whose rows are parts of another object, with the object's kind and the part's name in the mapping.
PARTS = {
    "passport": ("passenger", "passport"),
    "healthrecord": ("passenger", "health"),
    "emergencycontact": ("passenger", "emergency"),
}
_MODELS = {part: model for model, (_kind, part) in PARTS.items()} | {"documents": "document"}
_GROUPS = {"passport": "passport", "health": "health record", "document": "documents"}
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
    if row.group:
        return _GROUPS[row.group]
    model = apps.get_model("trips", _MODELS.get(row.part, kind))
    try:
        field: Any = model._meta.get_field(_REFERENCES.get((kind, name)) or row.attribute)
    except FieldDoesNotExist:
        return row.label or name.replace("_", " ")
    label = str(field.verbose_name)
    return f"emergency contact: {label}" if row.part == "emergency" else label


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
    return all(
        user.has_perm(f"trips.view_{model}") or user.has_perm(f"trips.change_{model}")
        for model in {kind, _MODELS.get(MAPS[kind].by_name[name].part, kind)}
    )
