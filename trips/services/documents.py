"""Documents: taking files in, deciding about them, and what of the required set is there.

A file is what its bytes say, never what its name says. The name it came with is kept in the row; in storage it lies
under a random key.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

import filetype
from django.conf import settings
from django.core.files.base import File
from django.db import transaction

from trips.encryption import Undecryptable
from trips.enums import HANDED_IN, REQUIRED_DOCUMENTS, DocumentKind, DocumentState
from trips.models import DiscardedFile, Document, Passenger, Trip
from trips.models.document import file_wanted
from trips.services import pictures
from trips.storage import private_storage

# What may come in, and how its name ends when it goes out again.
TYPES = {
    "application/pdf": ".pdf",
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/webp": ".webp",
    "image/heic": ".heic",
}
_HEAD = 8192  # bytes that tell the type
_NAME = 255
_WORDS = {
    DocumentKind.PASSPORT_SCAN: ("passport", "pasaporte"),
    DocumentKind.RESERVATION: ("reservation",),
    DocumentKind.MOU: ("mou", "memorandum"),
    DocumentKind.AFFIDAVIT: ("affidavit",),
    DocumentKind.SIGNATURE: ("signature",),
}


class NotAccepted(ValueError):
    """The file is not taken in; the sentence says why and what to do."""


@dataclass(frozen=True, slots=True)
class Measured:
    content_type: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Uploaded:
    """What was kept, a sentence for each file that was not, and one for each that is as it came."""

    kept: list[Document]
    refused: list[str]
    as_it_came: list[str] = field(default_factory=list)


def upload(
    *, owner: Trip | Passenger, files: Iterable[File], kind: str, by: Any, state: str = DocumentState.RECEIVED
) -> Uploaded:
    """Keep each file as a document of its own, to be reviewed; one that is refused keeps no other from its place.

    Without a `kind` it is told from the name, as far as that says it.
    """
    found = Uploaded([], [])
    for file in files:
        name = PurePath(file.name or "").name[:_NAME] or "file without a name"
        try:
            measured = measure(name, file)
            fresh = redrawn(name, file, measured)
            if fresh is None and measured.content_type != "application/pdf":
                found.as_it_came.append(
                    f"“{name}” is kept as it came: it cannot be drawn anew, so what it tells of place and device stays "
                    "in it."
                )
            file, measured = fresh or (file, measured)
            _refuse_twin(owner, name, measured)
        except NotAccepted as refused:
            found.refused.append(str(refused))
            continue
        document: Any = Document(kind=kind or kind_by_name(name), original_name=name, state=state, **_owner(owner))
        document._history_user = by
        found.kept.append(store(document=document, file=file, measured=measured))
    return found


def measure(name: str, file: File) -> Measured:
    """Type by the bytes, size and SHA-256 of a file; raises NotAccepted for what we do not keep."""
    most = settings.UPLOAD_MAX_MB
    if file.size > most * 1024 * 1024:
        raise NotAccepted(f"“{name}” is larger than {most} MB. Scan it with a lower resolution or split it.")
    digest, size, head = hashlib.sha256(), 0, b""
    file.seek(0)
    for chunk in file.chunks():
        head = head or chunk[:_HEAD]
        digest.update(chunk)
        size += len(chunk)
    if not size:
        raise NotAccepted(f"“{name}” is empty (0 bytes). Choose the file again.")
    guess = filetype.guess(head)
    if guess is None or guess.mime not in TYPES:
        what = f" It is {guess.mime}, whatever its name says." if guess else ""
        raise NotAccepted(f"“{name}” is no PDF, JPEG, PNG, WebP or HEIC.{what} Save it as one of them.")
    file.seek(0)
    return Measured(guess.mime, size, digest.hexdigest())


def redrawn(name: str, file: File, measured: Measured) -> tuple[File, Measured] | None:
    """A picture in a fresh file, with its measures; None for what is kept as it came. Raises NotAccepted."""
    try:
        fresh = pictures.drawn_anew(file, measured.content_type)
    except pictures.TooManyDots:
        most = pictures.MOST_DOTS // 1_000_000
        raise NotAccepted(
            f"“{name}” has more than {most} million dots. Scan or photograph it with a lower resolution."
        ) from None
    if fresh is None:
        return None
    return fresh, measure(name, fresh)


def store(*, document: Document, file: File, measured: Measured) -> Document:
    """Save the row with its file; should the row be refused, no file stays behind."""
    document.content_type, document.size, document.sha256 = measured.content_type, measured.size, measured.sha256
    document.file.save(document.original_name, file, save=False)
    try:
        document.save()
    except BaseException:
        document.file.storage.delete(str(document.file.name))
        raise
    return document


class NotAsStored(Exception):
    """A file cannot be handed out; the sentence says why and what to do."""


def opened(document: Document) -> File:
    """The stored file, after all of it was looked at, so that nothing of a damaged one is handed out.

    Raises NotAsStored. Close what you get.
    """
    what = f"{document.get_kind_display()} no. {document.pk} “{document.original_name}”"
    with ExitStack() as closing:
        try:
            file: File = closing.enter_context(document.file.storage.open(str(document.file.name)))
            digest = hashlib.sha256()
            for chunk in file.chunks():
                digest.update(chunk)
        except FileNotFoundError:
            raise NotAsStored(f"{what} is not in storage; restore it from the backup.") from None
        except Undecryptable as error:
            raise NotAsStored(f"{what}: {error}") from None
        if document.sha256 and digest.hexdigest() != document.sha256:
            raise NotAsStored(
                f"{what} is not the file that was stored: its SHA-256 differs. Restore it from the backup."
            )
        closing.pop_all()
    file.seek(0)
    return file


def kind_by_name(name: str) -> DocumentKind:
    words = name.casefold()
    return next((kind for kind, told in _WORDS.items() if any(word in words for word in told)), DocumentKind.OTHER)


def download_name(document: Document) -> str:
    """The name that it came with, with the ending that its type has."""
    name = document.original_name or f"{document.kind}-{document.pk}"
    ending = TYPES.get(document.content_type, "")
    return name if PurePath(name).suffix.lower() in {ending, ".jpeg"} else f"{PurePath(name).stem}{ending}"


def _refuse_twin(owner: Trip | Passenger, name: str, measured: Measured) -> None:
    twin = owner.documents.filter(sha256=measured.sha256).exclude(state=DocumentState.REJECTED).first()
    if twin is not None:
        raise NotAccepted(f"“{name}” is here already, as {twin.get_kind_display()} “{twin.original_name}”.")


def _owner(owner: Trip | Passenger) -> dict[str, Any]:
    return {"trip": owner} if isinstance(owner, Trip) else {"passenger": owner}


# Deciding


class NeedsReason(ValueError):
    """A decision against a paper says why."""


class AlreadyDecided(ValueError):
    """Somebody else was quicker; the sentence says what they decided."""


def approve(*, document: Document, by: Any) -> None:
    _decide(document, DocumentState.APPROVED, "", by)


@dataclass(frozen=True, slots=True)
class Approved:
    """How many were approved, and a sentence for each that somebody else had decided."""

    count: int
    decided: list[str]


def approve_each(*, documents: Iterable[Document], by: Any) -> Approved:
    """Approve one after the other, each as if it were alone; one that is decided or deleted keeps no other from it."""
    count, decided = 0, []
    for document in documents:
        try:
            approve(document=document, by=by)
        except AlreadyDecided as refused:
            decided.append(str(refused))
        except Document.DoesNotExist:
            continue  # deleted since it was read; whoever asked counts what is not there any more
        else:
            count += 1
    return Approved(count, decided)


def reject(*, document: Document, reason: str, by: Any) -> None:
    _decide(
        document, DocumentState.REJECTED, _reason(reason, "Say why it is rejected; the traveller has to mend it."), by
    )


@transaction.atomic
def waive(*, passenger: Passenger, kind: str, reason: str, by: Any) -> Document:
    """Say that this passenger need not hand in a paper of this kind."""
    told = _reason(reason, "Say why it is not needed; whoever asks at departure has to know.")
    document: Any = Document(passenger=passenger, kind=kind, state=DocumentState.WAIVED, rejection_reason=told)
    document._history_user = by
    document.save()
    return document


@transaction.atomic
def _decide(document: Document, state: DocumentState, reason: str, by: Any) -> None:
    """Only what still waits is decided: two people at the review desk do not overrule each other unseen."""
    row: Any = Document.objects.select_for_update().get(pk=document.pk)
    if row.state != DocumentState.RECEIVED:
        raise AlreadyDecided(f"{row.get_kind_display()} no. {row.pk} is {row.get_state_display().lower()} already.")
    row.state, row.rejection_reason = state, reason
    row._history_user = by
    row.save(update_fields=["state", "rejection_reason"])
    document.state, document.rejection_reason = row.state, row.rejection_reason


def _reason(text: str, otherwise: str) -> str:
    told = " ".join(text.replace("\x00", "").split())[:255]
    if not told:
        raise NeedsReason(otherwise)
    return told


@dataclass(frozen=True, slots=True)
class Requirement:
    """A required kind and the best that is there of it."""

    kind: DocumentKind
    state: DocumentState
    reason: str

    @property
    def handed_in(self) -> bool:
        return self.state in HANDED_IN


_BEST_FIRST = (DocumentState.APPROVED, DocumentState.WAIVED, DocumentState.RECEIVED, DocumentState.REJECTED)


def required_of(passenger: Passenger) -> list[Requirement]:
    rows = list(passenger.documents.filter(kind__in=REQUIRED_DOCUMENTS).defer("remote_url"))
    found = []
    for kind in REQUIRED_DOCUMENTS:
        of_kind = [row for row in rows if row.kind == kind]
        states = {row.state: row.rejection_reason for row in of_kind if not row.is_to_be_signed}
        best = next((state for state in _BEST_FIRST if state in states), DocumentState.MISSING)
        made = max((row.paper_version or 0 for row in of_kind if row.is_to_be_signed), default=0)
        waits = f"Version {made} was made here and waits for the signature." if made else ""
        sent = (
            "One came with the traveller’s form and waits for its review." if DocumentState.WITH_FORM in states else ""
        )
        told = (states.get(best, ""), *((waits, sent) if best not in HANDED_IN else ()))
        found.append(Requirement(kind, best, " ".join(filter(None, told))))
    return found


# Files whose row is gone


def remove_discarded() -> int:
    """Remove the files that nobody needs any more; how many it was. What is still needed waits for the next time."""
    return sum(_remove(name) for name in DiscardedFile.objects.values_list("name", flat=True))


def _remove(name: str) -> bool:
    with transaction.atomic():
        row = DiscardedFile.objects.select_for_update().filter(name=name).first()
        if row is None:
            return False
        if Document.objects.filter(file=name).exists():
            row.delete()  # brought back meanwhile
            return False
        if any(answer for _receiver, answer in file_wanted.send(sender=DiscardedFile, name=name)):
            return False
        private_storage().delete(name)
        row.delete()
    return True
