"""Files that a traveller sends with their form: the same checks as for staff, and each waits with the form.

They are documents that count as handed in by nobody until staff take the form over; then there is the documents' own
desk. The form keeps the SHA-256 of each, so that the signature covers it.
"""

from __future__ import annotations

import json
from typing import Any

from django.core.files.base import File
from django.db import transaction

from trips.enums import DocumentState, FormStep
from trips.models import TravellerForm
from trips.services import documents
from trips.services.traveller_answers import NEW, held

# More than each kind three times is no traveller who hands in papers.
MOST_FILES = 15


def add(*, form: TravellerForm, file: File, kind: str) -> None:
    """Keep one file. Raises documents.NotAccepted with the sentence for the traveller, and Closed."""
    with transaction.atomic():
        row = held(form)
        kept = _kept(row)
        if len(kept) >= MOST_FILES:
            raise documents.NotAccepted(f"{MOST_FILES} files are here already. Send further ones to your organiser.")
        state = DocumentState.WITH_FORM
        done = documents.upload(owner=row.passenger, files=[file], kind=kind, by=None, state=state)
        if done.refused:
            raise documents.NotAccepted(done.refused[0])
        (document,) = done.kept
        told = {"name": document.original_name, "kind": document.kind, "sha256": document.sha256, "id": document.pk}
        _keep(row, {**kept, str(len(kept) + 1): told})


def finish(*, form: TravellerForm) -> TravellerForm:
    """Go on, with or without files."""
    with transaction.atomic():
        row = held(form)
        _keep(row, _kept(row))
    return row


def _kept(form: TravellerForm) -> dict[str, Any]:
    found: dict[str, Any] = form.answered.get(FormStep.DOCUMENTS, {}).get("values", {})
    return found


def _keep(form: TravellerForm, values: dict[str, Any]) -> None:
    form.answers = json.dumps({**form.answered, FormStep.DOCUMENTS: {"how": NEW, "values": values}})
    form.save(update_fields=["answers"])
