"""Who may open a stored file, and how it is shown in a page."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.safestring import SafeString

from trips.admin.base import badge
from trips.enums import DocumentKind, DocumentState, ReadKind
from trips.models import Document
from trips.papers import preview
from trips.permissions import may_see
from trips.scope import is_visible
from trips.services import documents, reading

LOG = logging.getLogger("trips.documents")
SHOWN_AS_THEY_ARE = ("image/jpeg", "image/png", "image/webp")
STATE_COLOURS = {
    DocumentState.MISSING: "bad",
    DocumentState.WITH_FORM: "plain",
    DocumentState.RECEIVED: "doubt",
    DocumentState.APPROVED: "good",
    DocumentState.REJECTED: "bad",
    DocumentState.WAIVED: "plain",
}
# What is shown in a page runs nothing, loads nothing and stays in no cache.
GUARDED = {
    "Cache-Control": "private, no-store",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'; img-src 'self'; style-src 'unsafe-inline'",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def shows_of(document: Document) -> list[str]:
    """The guarded models of which a document shows values."""
    scan = ["trips.passport"] if document.kind == DocumentKind.PASSPORT_SCAN else []
    return [*scan, *document.shows.split()]


def may_open(user: Any, document: Document) -> bool:
    """Whoever may see documents, this one among them, and of what it shows everything."""
    needed = ("trips.document", *shows_of(document))
    return all(may_see(user, model) for model in needed) and is_visible(user, document)


def note_file(request: HttpRequest, documents: Sequence[Document]) -> None:
    """In the read log: these files are handed out now."""
    one = documents[0]
    what = f"{one.get_kind_display()}, document {one.pk}" if len(documents) == 1 else f"{len(documents)} files"
    shows = {model for document in documents for model in shows_of(document)}
    people = [document.passenger_id for document in documents if document.passenger_id is not None]
    reading.note(request, ReadKind.FILE, shows=shows, people=people, what=what)


def state_badge(document: Document) -> SafeString:
    state = DocumentState(document.state)
    return badge(str(state.label), STATE_COLOURS[state], document.rejection_reason)


def pictures_of(document: Document) -> tuple[list[str], str]:
    """The addresses of its pages as pictures, and a sentence where it cannot be shown."""
    if not document.file:
        return [], "There is no file here."
    url = f"{reverse('admin:trips_document_preview', args=[document.pk, 0])}"
    if document.content_type in SHOWN_AS_THEY_ARE:
        return [url], ""
    if document.content_type != "application/pdf":
        return [], "Browsers do not show this type. Download it."
    try:
        with documents.opened(document) as file:
            count = preview.pages_in(file)
    except documents.NotAsStored as gone:
        return [], str(gone)
    except preview.Unreadable:
        return [], "This PDF is damaged or has a password. Download it, or ask for another one."
    shown = min(count, preview.MOST_PAGES)
    told = f"The first {shown} of {count} pages; download it for the rest." if count > shown else ""
    return [reverse("admin:trips_document_preview", args=[document.pk, n]) for n in range(1, shown + 1)], told


def not_as_stored(request: HttpRequest, document: Document, why: documents.NotAsStored) -> HttpResponse:
    """A page with the sentence instead of the file, and a line in the log."""
    LOG.error("the file of document %s could not be handed out", document.pk)
    return render(request, "trips/admin/not_as_stored.html", {"sentence": str(why)}, status=404)
