"""Papers made here: the wording that staff edit, and one paper for one passenger."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from trips.models import PaperTemplate
from trips.papers import wording
from trips.papers.fields import MergeField
from trips.papers.samples import SAMPLES

UNCHECKED = "This wording was not checked by a lawyer."
_TEXTS = frozenset({"title", "body"})


def install_samples() -> None:
    """The templates that are not there yet, with sample wording."""
    for kind, (title, body) in SAMPLES.items():
        PaperTemplate.objects.get_or_create(kind=kind, defaults={"title": title, "body": body})


def change_wording(*, template: PaperTemplate, columns: Collection[str], by: Any) -> None:
    """Save these columns; a changed text is a new version, which no lawyer has read unless somebody says so now."""
    written = set(columns)
    if written & _TEXTS:
        template.version += 1
        template.edited_by = by
        if "lawyer_checked" not in written:
            template.lawyer_checked = False
        written |= {"version", "edited_by", "lawyer_checked"}
    template.save(update_fields=written)


def preview(*, template: PaperTemplate, passenger: Any, may: Callable[[str], bool]) -> tuple[wording.Filled, bytes]:
    """The paper as it would be for this passenger, or for an invented one without; what `may` denies is not shown."""
    from trips.papers import letter  # noqa: PLC0415 - its library is slow to load

    def read(field: MergeField) -> str:
        if passenger is None:
            return field.sample
        if field.needs and not may(field.needs):
            return f"[{field.label}: not shown to you]"
        return field.read(passenger)

    paper = wording.filled(title=template.title, body=template.body, read=read)
    return paper, letter.draw(paper, foot=foot(template), mark="PREVIEW")


def foot(template: PaperTemplate, version: int | None = None) -> str:
    """What stands at the foot of each sheet."""
    made = f"{template.get_kind_display()}, " + (f"version {version}, " if version else "")
    told = f"{made}wording no. {template.version}."
    return told if template.lawyer_checked else f"{told} {UNCHECKED}"
