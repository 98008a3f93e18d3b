"""Copies of the files that records link to, in our own private storage: a link dies with its record over there.

Each is fetched once, without our token, and measured like an upload. Ours are never sent there. Which ones are due
follows from the documents themselves: those with a link and no file.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection
from typing import Any

from django.conf import settings
from django.core.files.base import ContentFile, File
from django.db import transaction
from django.db.models import Exists, OuterRef, Q

from ghl_sync.client import files
from ghl_sync.client.errors import GHLError, TryLater
from ghl_sync.conf import Config
from ghl_sync.engine import state
from ghl_sync.engine.clock import database_now
from ghl_sync.models import FileCopy
from trips.models import Document
from trips.services import documents

logger = logging.getLogger("ghl_sync.files")

# Longer than one file may take, so that nobody else begins while somebody is at it.
LEASE_EXTRA = 30.0
# Seconds until the next try, one entry a failure; after the last one a person has to ask for it.
WAITS = (300.0, 1800.0, 7200.0, 21600.0, 86400.0)
NEVER_AGAIN = "It was tried {tries} times."


def linked() -> Any:
    """The documents that stand only over there."""
    return Document.objects.filter(file="").exclude(remote_url="")


def due() -> Any:
    """Those of them that may be fetched now, the oldest first."""
    known = FileCopy.objects.filter(document_id=OuterRef("pk"))
    waits = known.filter(Q(next_try_at__isnull=True) | Q(next_try_at__gt=database_now()))
    return linked().filter(~Exists(waits)).order_by("pk")


def copy_due(config: Config, *, seconds: float) -> bool:
    """Fetch what is due, for as long as one task may take; whether all of it had its turn."""
    if not settings.GHL_COPY_FILES:
        return True
    ends = time.monotonic() + seconds
    for pk in due().values_list("pk", flat=True):
        if time.monotonic() >= ends:
            return False
        copy_one(pk, config)
    return True


def try_again(pks: Collection[int]) -> None:
    """What is known of these is forgotten: they are due at once, because a person asked for it."""
    state.try_files_again(pks)


def copy_one(pk: int, config: Config) -> bool:
    """Fetch one; whether its file is here now. Why not is kept, in words without the link."""
    rules = _rules(config)
    if not state.claim_file(pk, rules.seconds + LEASE_EXTRA):
        return False
    document = linked().filter(pk=pk).first()
    if document is None:  # somebody deleted it or brought the file meanwhile
        state.file_is_here(pk)
        return False
    try:
        content = files.fetch(document.remote_url, rules)
        _keep(pk, content)
    except TryLater as error:
        _again(pk, error.words, config)
    except (GHLError, documents.NotAccepted) as error:
        logger.info("the file of document %s is not copied", pk)
        state.file_failed(pk, str(error), None)
    else:
        logger.info("copied the file of document %s, %s bytes", pk, len(content))
        state.file_is_here(pk)
        return True
    return False


def _rules(config: Config) -> files.Rules:
    return files.Rules(
        hosts=settings.GHL_FILE_HOSTS,
        most_bytes=settings.UPLOAD_MAX_MB * 1024 * 1024,
        seconds=settings.GHL_FILE_SECONDS,
        origin=config.base_url.rstrip("/") if config.loopback else "",
    )


def _keep(pk: int, content: bytes) -> None:
    """Put the bytes into private storage, unless the document went or got a file meanwhile. Raises NotAccepted."""
    file: File = ContentFile(content, name="file")
    measured = documents.measure("The file", file)
    file, measured = documents.redrawn("The file", file, measured) or (file, measured)
    with transaction.atomic():
        row: Any = Document.objects.select_for_update().filter(pk=pk, file="").first()
        if row is None:
            return
        row._change_reason = "Copied from GoHighLevel"
        row.original_name = row.original_name or f"{row.kind}{documents.TYPES[measured.content_type]}"
        documents.store(document=row, file=file, measured=measured)


def _again(pk: int, words: str, config: Config) -> None:
    tries = state.tries_of_file(pk)
    if tries > len(WAITS):
        state.file_failed(pk, f"{words} {NEVER_AGAIN.format(tries=tries)}", None)
        return
    state.file_failed(pk, words, WAITS[tries - 1] * config.scale)
