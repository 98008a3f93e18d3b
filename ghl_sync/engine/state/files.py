"""Copying the files behind links: who is at it, and why one did not come."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection

from django.db.models import F

from ghl_sync.engine.clock import Now, database_now
from ghl_sync.models import FileCopy

_LONGEST = 255


def claim_file(document_id: int, lease: float) -> bool:
    """Whether it is this caller's turn to fetch the file of this document, for so many seconds."""
    now = database_now()
    until = now + dt.timedelta(seconds=lease)
    row, made = FileCopy.objects.get_or_create(document_id=document_id, defaults={"tries": 1, "next_try_at": until})
    if made:
        return True
    due = FileCopy.objects.filter(pk=row.pk, next_try_at__lte=now)
    return bool(due.update(tries=F("tries") + 1, tried_at=Now(), next_try_at=until))


def file_is_here(document_id: int) -> None:
    """There is nothing left to tell of it."""
    FileCopy.objects.filter(document_id=document_id).delete()


def file_failed(document_id: int, why: str, wait: float | None) -> None:
    """Why it did not come; tried again after `wait` seconds, with None not at all."""
    again = None if wait is None else database_now() + dt.timedelta(seconds=wait)
    FileCopy.objects.filter(document_id=document_id).update(failure=why[:_LONGEST], next_try_at=again)


def tries_of_file(document_id: int) -> int:
    return FileCopy.objects.filter(document_id=document_id).values_list("tries", flat=True).first() or 0


def try_files_again(document_ids: Collection[int]) -> int:
    """Forget what is known of these, so that they are fetched anew; how many were waiting or given up."""
    count, _by_model = FileCopy.objects.filter(document_id__in=document_ids).delete()
    return count
