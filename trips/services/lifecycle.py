"""Putting trips and vendors away and taking them out again. Both are kept; only lists and choices hide them."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import transaction
from django.utils import timezone

from trips.models import Trip, Vendor


def archive(*, rows: Iterable[Trip | Vendor]) -> int:
    """Archive those that are not yet; how many were."""
    return _set_archived(rows, archived=True)


def unarchive(*, rows: Iterable[Trip | Vendor]) -> int:
    """Take the archived ones back; how many were."""
    return _set_archived(rows, archived=False)


def _set_archived(rows: Iterable[Trip | Vendor], *, archived: bool) -> int:
    now = timezone.now()
    with transaction.atomic():
        due = [row for row in rows if (row.archived_at is not None) != archived]
        for row in due:
            row.archived_at = now if archived else None
            row.save(update_fields=["archived_at"])
    return len(due)
