"""How many records here hold each value of a drop-down, and each stage: what a missing option would concern."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from django.db.models import Count
from django.db.models.fields.json import KeyTextTransform, KeyTransform
from django.db.models.functions import Coalesce

from ghl_sync.engine.local import MODELS
from ghl_sync.mapping.converters import Choice, Option, Status
from ghl_sync.mapping.fields import FieldMap
from ghl_sync.mapping.table import MAPS
from ghl_sync.models import Link

# Where our side keeps what a row says, when that is not a column of the object itself.
PATHS = {
    ("trip", "vendor"): "vendor__name",
    ("trip", "trip_name"): "name",
    ("passenger", "trip_name"): "trip__name",
    ("passenger", "emergency.state"): "emergency_contacts__state",
}


def drop_downs() -> Iterator[tuple[str, FieldMap]]:
    """Every mapped drop-down with its kind, sensitive ones too."""
    for kind, table in MAPS.items():
        for row in table.customs:
            if isinstance(row.converter, Option) and not isinstance(row.converter, Status):
                yield kind, row


def labels_used(kind: str, row: FieldMap) -> Counter[str]:
    """Records by the label that we would write for what they hold; empty ones are left out."""
    path = PATHS.get((kind, row.name), row.name.replace(".", "__"))
    found = Counter(_counts(kind, path))
    if (kind, row.name) == ("passenger", "trip_name"):
        found.update(_counts(kind, "trip_name_raw"))
    if isinstance(row.converter, Choice):
        codes = row.converter.codes
        return Counter({codes.get(value, value): count for value, count in found.items()})
    return found


def stages_used(kind: str) -> Counter[str]:
    """Records by their stage."""
    return Counter(_counts(kind, "stage"))


def _counts(kind: str, path: str) -> dict[str, int]:
    rows: Any = MODELS[kind]._base_manager.order_by().values_list(path).annotate(count=Count("pk", distinct=True))
    return {str(value): count for value, count in rows if value}


def held_there(kind: str, row: FieldMap) -> dict[str, list[int]]:
    """Links by the option that their record bore when it was last read, spelt as GoHighLevel spells it."""
    found: dict[str, list[int]] = {}
    same, theirs = (KeyTextTransform(row.name, KeyTransform(side, "base")) for side in ("v", "r"))
    links = Link.objects.filter(kind=kind, deleted_at__isnull=True, gone_at__isnull=True)
    label = links.annotate(held=Coalesce(theirs, same)).filter(held__isnull=False).order_by("pk")
    codes = row.converter.codes if isinstance(row.converter, Choice) else {}
    for pk, held in label.values_list("pk", "held"):
        found.setdefault(codes.get(held, held), []).append(pk)
    return found


def said(kind: str, count: int) -> str:
    """A number of records in words: "3 trips"."""
    return f"{count:,} {kind}{'' if count == 1 else 's'}"
