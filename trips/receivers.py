"""What follows from saves and deletes, and what runs by the clock."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.db import transaction
from django_q.models import Schedule

from trips.models import DiscardedFile, Document
from trips.services import documents

_REMOVE = "Papers: remove files of deleted documents"


def document_deleted(instance: Document, **_signal: Any) -> None:
    """After the commit its file goes, unless somebody can still bring the row back."""
    if not instance.file:
        return
    DiscardedFile.objects.get_or_create(name=instance.file.name)
    transaction.on_commit(partial(documents.remove_discarded), robust=True)


def install_schedules(**_signal: Any) -> None:
    """What could not be removed at once is tried again every hour; an administrator may switch it off."""
    Schedule.objects.get_or_create(
        name=_REMOVE,
        defaults={"func": "trips.services.documents.remove_discarded", "schedule_type": Schedule.HOURLY},
    )
