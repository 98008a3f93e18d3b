"""Bulk work that can be undone: `recorded` keeps what was done to each row, `undo` puts it back.

    with recorded(kind=BatchKind.STAGE, title="24 passengers to Trip ready", by=user) as batch:
        for passenger in passengers:
            batch.change(passenger, stage=PassengerStage.TRIP_READY)

Every row is a transaction of its own, together with its entry: work that breaks off halfway leaves a batch of exactly
what was done. Rows are saved one by one, with their signals, so whoever listens to saves hears of the work and of its
undo alike. An undo takes back what the batch did and nothing else: a value that somebody changed since stays, and so
does a row on which something hangs. Weighed against going back to the state before, which loses others' work.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db import DatabaseError, models, transaction
from django.utils import timezone

from trips.enums import BatchKind, BatchOutcome, BatchVerb
from trips.models import Batch, BatchRow

Values = dict[str, list[Any]]  # column: [before, after]
_NO_VALUE = object()
_HISTORY_REASON = 100  # what the column of the histories holds
_TITLE = 255
_REASON = 500


class Recorder:
    """Does the work of one batch row by row and keeps what it did."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch

    def make(self, obj: Any, *, save: Callable[[Any], object] | None = None) -> Any:
        """Save a new row, with `save` where plain saving is not enough."""
        with transaction.atomic():
            _credit(obj, self.batch.by, self.batch.title)
            (save or _save)(obj)
            self._keep(obj, BatchVerb.MADE, {name: [None, value] for name, value in _columns(obj).items()})
        return obj

    def change(self, obj: Any, *, save: Callable[[Any, set[str]], object] | None = None, **values: Any) -> list[str]:
        """Give the row, as the database holds it now, these values; the columns that changed. `obj` shows them, too.

        `save` takes the row and the fields to write. What it writes beside them is undone with them.
        """
        with transaction.atomic():
            row = type(obj)._base_manager.select_for_update().get(pk=obj.pk)
            before = _columns(row)
            fields = {name for name, value in values.items() if getattr(row, name) != value}
            if not fields:
                return []
            for name in fields:
                setattr(row, name, values[name])
            _credit(row, self.batch.by, self.batch.title)
            (save or _save_fields)(row, fields)
            changed = {name: [before[name], value] for name, value in _columns(row).items() if before[name] != value}
            if changed:
                self._keep(row, BatchVerb.CHANGED, changed)
        for name in changed:
            setattr(obj, name, getattr(row, name))
        return list(changed)

    def _keep(self, obj: Any, verb: BatchVerb, values: Values) -> None:
        count = "made" if verb == BatchVerb.MADE else "changed"
        self.batch.rows.create(
            model=obj._meta.label_lower, object_pk=obj.pk, verb=verb, values=json.dumps(values, default=str)
        )
        Batch.objects.filter(pk=self.batch.pk).update(**{count: models.F(count) + 1})


@contextmanager
def recorded(*, kind: BatchKind, title: str, by: Any) -> Iterator[Recorder]:
    """Work that can be undone; afterwards the batch shows its counts, and one that did nothing is gone (no `pk`).

    Call it outside a transaction, or a failure takes everything back, the record too. Several rows that belong together
    go into an `atomic` of the caller's.
    """
    batch = Batch.objects.create(kind=kind, title=title[:_TITLE], by=by)
    try:
        yield Recorder(batch)
    finally:
        batch.refresh_from_db()
        if not batch.rows.exists():
            batch.delete()


@dataclass(frozen=True, slots=True)
class Undone:
    """What an undo came to: rows put back, those kept in whole or in part with their reasons, how many are left."""

    back: int
    kept: list[BatchRow]
    left: int = 0


def undo(*, batch: Batch, by: Any, seconds: float | None = None) -> Undone:
    """Take back what still stands, the last thing first. A second call tries again what was kept, and only that.

    With `seconds` it starts no further row after so long; the next call goes on.
    """
    ends = None if seconds is None else time.monotonic() + seconds
    standing = list(batch.rows.exclude(outcome=BatchOutcome.UNDONE).order_by("-pk").values_list("pk", flat=True))
    back, tried = 0, 0
    for pk in standing:
        if ends is not None and time.monotonic() >= ends:
            break
        back += _undo_row(pk, batch, by)
        tried += 1
    if standing:
        Batch.objects.filter(pk=batch.pk).update(undone_at=timezone.now(), undone_by=by)
        batch.refresh_from_db()
    return Undone(back, list(batch.rows.exclude(outcome__in=["", BatchOutcome.UNDONE])), len(standing) - tried)


def _undo_row(pk: int, batch: Batch, by: Any) -> bool:
    """Whether this call took the row back."""
    with transaction.atomic():
        row = BatchRow.objects.select_for_update().get(pk=pk)
        if row.outcome == BatchOutcome.UNDONE:
            return False  # somebody else pressed the button, too
        try:
            with transaction.atomic():
                outcome, reason = _take_back(row, batch, by)
        except DatabaseError as error:
            # Such as a name that another row has taken meanwhile; the other rows are not to wait for it.
            outcome, reason = BatchOutcome.KEPT, f"The database refused it: {type(error).__name__}."
        row.outcome, row.reason = outcome, reason[:_REASON]
        row.save(update_fields=["outcome", "reason"])
    return row.outcome == BatchOutcome.UNDONE


def _take_back(row: BatchRow, batch: Batch, by: Any) -> tuple[BatchOutcome, str]:
    model: Any = apps.get_model(row.model)
    obj = model._base_manager.select_for_update().filter(pk=row.object_pk).first()
    values: Values = json.loads(row.values)
    if obj is None:
        return (BatchOutcome.UNDONE if row.verb == BatchVerb.MADE else BatchOutcome.KEPT), "It was deleted since."
    _credit(obj, by, f"Undo: {batch.title}")
    return _unmake(obj, values) if row.verb == BatchVerb.MADE else _put_back(obj, values)


def _unmake(obj: Any, values: Values) -> tuple[BatchOutcome, str]:
    changed = [name for name, (_before, after) in values.items() if not _holds(obj, name, after)]
    if changed:
        return BatchOutcome.KEPT, f"It was changed since: {_named(obj, changed)}."
    hanging = [f"{count} {label}" for label, count in _hanging_on(obj).items()]
    if hanging:
        return BatchOutcome.KEPT, f"Something hangs on it: {', '.join(hanging)}."
    obj.delete()
    return BatchOutcome.UNDONE, ""


def _put_back(obj: Any, values: Values) -> tuple[BatchOutcome, str]:
    ours = [name for name, (_before, after) in values.items() if _holds(obj, name, after)]
    others = [name for name, (before, _after) in values.items() if name not in ours and not _holds(obj, name, before)]
    missing = [name for name in ours if not _still_there(obj, name, values[name][0])]
    due = [name for name in ours if name not in missing]
    for name in due:
        setattr(obj, name, _python(obj, name, values[name][0]))
    if due:
        obj.save(update_fields=[obj._meta.get_field(name).name for name in due])
    reasons = []
    if others:
        reasons.append(f"Changed since and kept: {_named(obj, others)}.")
    if missing:
        reasons.append(f"What it pointed to is gone: {_named(obj, missing)}.")
    if not reasons:
        return BatchOutcome.UNDONE, ""
    return (BatchOutcome.PARTLY if due else BatchOutcome.KEPT), " ".join(reasons)


def _hanging_on(obj: Any) -> dict[str, int]:
    """How many rows of each kind refer to this one."""
    found: dict[str, int] = {}
    for relation in obj._meta.related_objects:
        count = relation.related_model._base_manager.filter(**{relation.field.name: obj}).count()
        if count:
            meta = relation.related_model._meta
            label = str(meta.verbose_name if count == 1 else meta.verbose_name_plural)
            found[label] = found.get(label, 0) + count
    return found


def _still_there(obj: Any, name: str, value: Any) -> bool:
    """Whether the row that a reference would lead to again is there; true of all that is no reference."""
    target = obj._meta.get_field(name).related_model
    return target is None or value is None or target._base_manager.filter(pk=value).exists()


def _columns(obj: Any) -> dict[str, Any]:
    """The columns that somebody decided on: no key, no time stamp, nothing computed."""
    return {
        field.attname: field.value_from_object(obj)
        for field in obj._meta.concrete_fields
        if not field.primary_key
        if not (getattr(field, "auto_now", False) or getattr(field, "auto_now_add", False))
        if field.editable or field.name not in getattr(obj, "derived", ())
    }


def _python(obj: Any, name: str, value: Any) -> Any:
    """A stored value as the model's own; JSON knows neither days nor money."""
    field = obj._meta.get_field(name)
    return None if value is None else getattr(field, "target_field", field).to_python(value)


def _holds(obj: Any, name: str, value: Any) -> bool:
    return getattr(obj, name, _NO_VALUE) == _python(obj, name, value)


def _named(obj: Any, names: Iterable[str]) -> str:
    return ", ".join(str(obj._meta.get_field(name).verbose_name) for name in names)


def _credit(obj: Any, by: Any, why: str) -> None:
    """Name the person and the batch in the row's history."""
    obj._history_user = by
    obj._change_reason = why[:_HISTORY_REASON]


def _save(obj: Any) -> None:
    obj.save()


def _save_fields(obj: Any, fields: set[str]) -> None:
    obj.save(update_fields=fields)
