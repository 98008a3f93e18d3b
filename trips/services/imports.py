"""Files on their way in: kept encrypted between upload and confirmation, and forgotten a day later."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from typing import Any

from django.db import transaction
from django.utils import timezone
from django_q.models import Schedule
from django_q.tasks import schedule

from trips.models import Batch, ColumnMapping, ImportDraft, Trip
from trips.services.sheets import Sheet

KEPT = dt.timedelta(days=1)
_TITLE = 120


def keep(*, sheet: Sheet, title: str, model: str, user: Any, trip: Trip | None = None) -> ImportDraft:
    """Keep a file until it is confirmed; older ones go."""
    forget_old()
    # Should nobody import anything for a while, the queue forgets it.
    tomorrow = timezone.now() + KEPT + dt.timedelta(minutes=1)
    schedule("trips.services.imports.forget_old", schedule_type=Schedule.ONCE, next_run=tomorrow)
    content = json.dumps({"headers": sheet.headers, "rows": sheet.rows, "lines": sheet.lines})
    return ImportDraft.objects.create(user=user, model=model, trip=trip, title=title[:_TITLE], content=content)


def forget_old() -> int:
    """Remove what was uploaded more than a day ago; how many files it was."""
    return ImportDraft.objects.filter(created_at__lt=timezone.now() - KEPT).delete()[0]


def sheet_of(draft: ImportDraft) -> Sheet:
    content = json.loads(draft.content)
    return Sheet(content["headers"], content["rows"], content["lines"])


def refused_of(draft: ImportDraft) -> tuple[list[str], list[list[str]]]:
    """Headers and rows, each with its reason at the end, that a confirmed import did not take."""
    content = json.loads(draft.content)
    return content["headers"], content["rows"]


def remembered(*, user: Any, model: str, headers: list[str]) -> dict[str, str] | None:
    """What this person said the last time about such headers."""
    found = ColumnMapping.objects.filter(user=user, model=model, headers=_digest(headers)).first()
    return None if found is None else found.mapping


def map_columns(*, draft: ImportDraft, mapping: dict[str, str]) -> None:
    """Set what the columns mean, and remember it for the next file with these headers."""
    with transaction.atomic():
        draft.mapping, draft.mapped = mapping, True
        draft.save(update_fields=["mapping", "mapped"])
        ColumnMapping.objects.update_or_create(
            user=draft.user,
            model=draft.model,
            headers=_digest(sheet_of(draft).headers),
            defaults={"mapping": mapping},
        )


def claim(*, draft: ImportDraft) -> bool:
    """Whether the caller is the one who carries it out; a second press of the button is not."""
    waiting = ImportDraft.objects.filter(pk=draft.pk, confirmed_at__isnull=True)
    return bool(waiting.update(confirmed_at=timezone.now()))


def finish(*, draft: ImportDraft, batch: Batch | None, report: dict[str, int], refused: list[list[str]]) -> None:
    """Keep what came of it: counts, the batch, and of the file only what was refused."""
    headers = [*sheet_of(draft).headers, "Reason"]
    draft.content = json.dumps({"headers": headers, "rows": refused})
    draft.batch, draft.report = batch, report
    draft.save(update_fields=["content", "batch", "report"])


def _digest(headers: list[str]) -> str:
    return hashlib.sha256("\x1f".join(sorted(headers)).encode("utf-8", "surrogatepass")).hexdigest()
