"""Live drop-downs: what the options over there are today, offered by our own forms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ghl_sync.admin.fields import row_of
from ghl_sync.conf import config
from ghl_sync.mapping.converters import Choice, Option, Unreadable
from ghl_sync.mapping.fields import FieldMap
from ghl_sync.models import RemoteField, Stage


def live_options(field: str) -> list[str]:
    """Values, as our column holds them, of the drop-down behind "trip.lodging"; empty where there is none."""
    model, _, name = field.partition(".")
    row = row_of(model, name)
    if row is None or not isinstance(row.converter, Option):
        return []
    return list(dict.fromkeys(_values(row, _labels(model, row))))


def _labels(model: str, row: FieldMap) -> list[str]:
    settings = config()
    if row.remote == "pipelineStageId":
        stages = Stage.objects.filter(
            pipeline__location_id=settings.location_id,
            pipeline__name=settings.pipelines.get(model, ""),
            pipeline__gone_at__isnull=True,
            gone_at__isnull=True,
        )
        known: Mapping[str, str] = row.converter.codes if isinstance(row.converter, Choice) else {}
        rows = stages.order_by("position").values_list("code", "name")
        # A stage that was renamed over there is still the one of our code.
        return [known.get(code, name) for code, name in rows]
    if not row.custom:
        return []
    fields = RemoteField.objects.filter(location_id=settings.location_id, key=row.remote, gone_at__isnull=True)
    return [str(label) for options in fields.values_list("options", flat=True)[:1] for label in options]


def _values(row: FieldMap, labels: list[str]) -> Iterator[str]:
    for label in labels:
        try:
            value = row.converter.read(label)
        except Unreadable:
            continue  # a code-only field takes no other; a label longer than our column cannot be chosen here
        if value:
            # An exact label is what the drop-down takes back; only codes are ours.
            yield value if isinstance(row.converter, Choice) else label
