"""Papers made here: the wording that staff edit, and one paper for one passenger.

A paper is prepared first, which tells what keeps it from being final; a final one is a document of the passenger with
a version of its own. Earlier versions stay, and what is made is reviewed as what is handed in is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from django.core.files.base import ContentFile
from django.db import transaction
from django.db.models import Max

from trips.enums import PAPER_KINDS, Attendance, DocumentKind, DocumentState
from trips.models import DiscardedFile, Document, PaperTemplate, Passenger
from trips.models.document import private_path
from trips.papers import wording
from trips.papers.fields import MergeField
from trips.papers.samples import SAMPLES
from trips.storage import private_storage

UNCHECKED = "This wording was not checked by a lawyer."
_TEXTS = frozenset({"title", "body"})
# What a model holds, in words.
_WORDS = {
    "trips.passport": "passports",
    "trips.payment": "payments",
    "trips.contact": "contacts",
    "trips.vendor": "vendors",
    "trips.itineraryitem": "itineraries",
}
May = Callable[[str], bool]


class NotFinal(ValueError):
    """The paper cannot be final; the sentence says why."""


# The wording


def install_samples() -> None:
    """The templates that are not there yet, with sample wording."""
    for kind, (title, body) in SAMPLES.items():
        PaperTemplate.objects.get_or_create(kind=kind, defaults={"title": title, "body": body})


def templates() -> list[PaperTemplate]:
    """One of each kind, in the order of the kinds."""
    found = {one.kind: one for one in PaperTemplate.objects.all()}
    return [found[kind] for kind in PAPER_KINDS if kind in found]


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


# One paper


@dataclass(frozen=True, slots=True)
class Prepared:
    """A paper for a passenger, filled in. `blocked` says why it cannot be final; empty when it can."""

    template: PaperTemplate
    passenger: Any
    paper: wording.Filled
    blocked: str

    @property
    def label(self) -> str:
        return str(DocumentKind(self.template.kind).label)


def prepare(*, template: PaperTemplate, passenger: Any, may: May) -> Prepared:
    """`passenger` as `fields.passengers_for_papers` gives them; what `may` denies is neither read nor told."""
    paper = wording.filled(title=template.title, body=template.body, read=_reader(passenger, may))
    return Prepared(template, passenger, paper, _hindrance(template, passenger, paper, may))


def _reader(passenger: Any, may: May) -> wording.Read:
    def read(field: MergeField) -> str:
        if passenger is None:
            return field.sample
        if field.needs and not may(field.needs):
            return f"[{field.label}: not shown to you]"
        return field.read(passenger)

    return read


def _hindrance(template: PaperTemplate, passenger: Any, paper: wording.Filled, may: May) -> str:
    from trips.papers import letter  # noqa: PLC0415 - its library is slow to load

    unseen = [_WORDS[model] for model in sorted(wording.needed_for(template.title, template.body)) if not may(model)]
    if unseen:
        return f"It shows data that your account may not see: {', '.join(unseen)}."
    if passenger is not None and passenger.attendance == Attendance.CANCELLED:
        return "The booking is cancelled."
    if paper.missing:
        return f"MISSING: {', '.join(paper.missing)}."
    if strange := letter.strange_letters(paper):
        return f"Letters that the font does not have: {' '.join(sorted(strange))}."
    return ""


def draft(*, template: PaperTemplate, passenger: Any, may: May, mark: str = "DRAFT") -> tuple[wording.Filled, bytes]:
    """The paper as it would be for this passenger, or for an invented one without, marked across each sheet."""
    from trips.papers import letter  # noqa: PLC0415 - as above

    paper = wording.filled(title=template.title, body=template.body, read=_reader(passenger, may))
    return paper, letter.draw(paper, foot=foot(template), mark=mark)


def foot(template: PaperTemplate, version: int | None = None) -> str:
    """What stands at the foot of each sheet."""
    made = f"{template.get_kind_display()}, " + (f"version {version}, " if version else "")
    told = f"{made}wording no. {template.version}."
    return told if template.lawyer_checked else f"{told} {UNCHECKED}"


def finalise(*, prepared: Prepared, by: Any, then: Callable[[Document], object] | None = None) -> Document:
    """Keep it as the next version, to be reviewed; `then` is done in the same transaction. Raises NotFinal.

    The file's key is told to those who clear up before the file is written: a process that is killed between file and
    row leaves nothing behind for long.
    """
    if prepared.blocked:
        raise NotFinal(prepared.blocked)
    document: Any = Document(
        passenger_id=prepared.passenger.pk,
        kind=prepared.template.kind,
        state=DocumentState.RECEIVED,
        template_version=prepared.template.version,
        made_by=by,
        shows=" ".join(sorted(wording.needed_for(prepared.template.title, prepared.template.body))),
        content_type="application/pdf",
    )
    document._history_user = by
    key = private_path(document, "")
    DiscardedFile.objects.create(name=key)
    with transaction.atomic():
        DiscardedFile.objects.select_for_update().get_or_create(name=key)
        Passenger.objects.select_for_update().get(pk=prepared.passenger.pk)  # one version after the other
        _write(document, prepared, key)
        document.save()
        DiscardedFile.objects.filter(name=key).delete()
        if then is not None:
            then(document)
    return document


def _write(document: Any, prepared: Prepared, key: str) -> None:
    from trips.papers import letter  # noqa: PLC0415 - as above

    version = _last_version(prepared.passenger.pk, prepared.template.kind) + 1
    content = letter.draw(prepared.paper, foot=foot(prepared.template, version))
    document.paper_version = version
    document.original_name = f"{prepared.label} {prepared.passenger}, version {version}.pdf"[-255:]
    document.size, document.sha256 = len(content), hashlib.sha256(content).hexdigest()
    document.file.name = private_storage().save(key, ContentFile(content))


def _last_version(passenger_id: int, kind: str) -> int:
    """From the history, too: the number of a paper that was deleted is not given to another one."""
    rows = Document.history.filter(passenger_id=passenger_id, kind=kind)
    return int(rows.aggregate(last=Max("paper_version"))["last"] or 0)
