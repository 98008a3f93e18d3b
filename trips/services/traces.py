"""What is still said of rows that are gone: histories, values of bulk work, the admin's own log, lists as sent.

Models are found by what refers to a passenger, so a model that is added later is dealt with without anybody thinking
of it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db.models import Max
from simple_history.models import registered_models

from trips.models import Batch, BatchRow, ImportDraft, Passenger, SentReport

ERASED = "Erased person"
AT_ONCE = 500

Traced = dict[type[Any], set[int]]


def parts() -> list[tuple[type[Any], str]]:
    """Every model that refers to a passenger, with the column; histories are none of them."""
    relations: list[Any] = [*Passenger._meta.get_fields(include_hidden=True)]
    found = [
        (relation.related_model, relation.field.name)
        for relation in relations
        if relation.auto_created and not relation.concrete and (relation.one_to_many or relation.one_to_one)
    ]
    return [(model, column) for model, column in found if not hasattr(model, "instance_type")]


def of_passengers(ids: Collection[int]) -> Traced:
    """These passengers and every row that hangs on them or, by its history, once did."""
    traced: Traced = {Passenger: set(ids)}
    for model, column in parts():
        found = set(model._base_manager.filter(**{f"{column}__in": ids}).values_list("pk", flat=True))
        if has_history(model):
            found |= set(model.history.filter(**{f"{column}_id__in": ids}).values_list("id", flat=True))
        traced[model] = traced.get(model, set()) | found
    return traced


def count(traced: Traced) -> dict[str, int]:
    """How many of each kind `wipe` would take."""
    found: Counter[str] = Counter()
    for model, ids in _portions(traced):
        if has_history(model):
            found["entries of histories"] += model.history.filter(id__in=ids).count()
        found["rows of bulk work"] += _batch_rows(model, ids).count()
        found["lines of the admin’s log"] += _log(model, ids).count()
    return {name: number for name, number in found.items() if number}


def wipe(traced: Traced, *, standing: Traced | None = None) -> None:
    """Take the traces away. Of rows in `standing`, which are still there, the newest entry of the history stays."""
    for model, ids in _portions(traced):
        if has_history(model):
            entries = model.history.filter(id__in=ids)
            kept = (standing or {}).get(model, set()) & set(ids)
            newest = model.history.filter(id__in=kept).values("id").annotate(last=Max("history_id"))
            entries.exclude(history_id__in=[row["last"] for row in newest]).delete()
        _batch_rows(model, ids).delete()
        _log(model, ids).update(object_repr=ERASED, change_message="")


def forget_names(names: Iterable[str], *, rows: Collection[str] = ()) -> int:
    """Take these words out of what was written about many; how many lists as sent lost rows.

    `rows` are keys of rows in those lists ("passenger:12").
    """
    for name in names:
        for batch in Batch.objects.filter(title__icontains=name):
            Batch.objects.filter(pk=batch.pk).update(title=batch.get_kind_display())
        BatchRow.objects.filter(reason__icontains=name).update(reason="")
        for model in registered_models.values():
            entries: Any = getattr(model, "history", None)
            if entries is not None:
                entries.filter(history_change_reason__icontains=name).update(history_change_reason=ERASED)
    words = [name.casefold() for name in names]
    drafts = ImportDraft.objects.only("pk", "content").iterator()
    ImportDraft.objects.filter(
        pk__in=[draft.pk for draft in drafts if any(word in draft.content.casefold() for word in words)]
    ).delete()
    return sum(_forget_in(copy, list(names), rows) for copy in SentReport.objects.iterator())


def _forget_in(copy: SentReport, names: list[str], rows: Collection[str]) -> bool:
    """Its digest stays that of the file as it went out."""
    held = json.loads(copy.rows)
    held["rows"] = [row for row in held["rows"] if row["key"] not in rows]
    text = json.dumps(held, ensure_ascii=False)
    for name in names:
        text = text.replace(json.dumps(name, ensure_ascii=False)[1:-1], ERASED)
    if json.loads(text) == json.loads(copy.rows):
        return False
    copy.rows = text
    copy.save(update_fields=["rows"])
    return True


def has_history(model: type[Any]) -> bool:
    return hasattr(model, "history")


def _portions(traced: Traced) -> Iterator[tuple[type[Any], list[int]]]:
    for model, ids in traced.items():
        ordered = sorted(ids)
        for start in range(0, len(ordered), AT_ONCE):
            yield model, ordered[start : start + AT_ONCE]


def _batch_rows(model: type[Any], ids: Collection[int]) -> Any:
    return BatchRow.objects.filter(model=model._meta.label_lower, object_pk__in=ids)


def _log(model: type[Any], ids: Collection[int]) -> Any:
    kind = ContentType.objects.get_for_model(model)
    return LogEntry.objects.filter(content_type=kind, object_id__in=[str(pk) for pk in ids])
