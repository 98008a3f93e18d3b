"""What a deleted object held, with every row that goes with it, as text that brings it back.

Follows Django's own rules of deletion, so a model that is added later is kept without anybody thinking of it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from django.core import serializers
from django.core.serializers.json import DjangoJSONEncoder
from django.db import IntegrityError, connection, models, transaction
from django.db.models.deletion import Collector, ProtectedError, RestrictedError
from simple_history.exceptions import NotHistoricalModelError
from simple_history.utils import get_history_manager_for_model

from ghl_sync.engine.results import CannotDo, NotYet
from ghl_sync.models import DeletedRecord, Link

REASON = "Delete undone"


class _Exact(DjangoJSONEncoder):
    """Django's own cuts moments to milliseconds."""

    def default(self, o: Any) -> Any:
        return o.isoformat() if isinstance(o, dt.datetime) else super().default(o)


class _Everything(Collector):
    """Collects the rows themselves, also those that Django would delete unseen."""

    def can_fast_delete(self, *args: Any, **kwargs: Any) -> bool:
        return False


def gather(obj: models.Model) -> str:
    """The object and all that is deleted with it, as Django's JSON. Call it while they are still there."""
    collector = _Everything(using=obj._state.db or "default")
    with suppress(ProtectedError, RestrictedError):  # whoever deletes it has dealt with what needs it
        collector.collect([obj])
    others = [row for rows in collector.data.values() for row in rows if row != obj]
    return str(serializers.serialize("json", [obj, *others], cls=_Exact))


def names_file(name: str) -> bool:
    """Whether a row that can still be brought back holds the stored file of this name, which is random and unique."""
    return any(name in rows for rows in DeletedRecord.objects.values_list("rows", flat=True).iterator())


@dataclass
class Restored:
    """The rows that stand again, the deleted object first, and which references had to be left empty."""

    rows: list[Any] = field(default_factory=list)
    emptied: list[str] = field(default_factory=list)


def restore(text: str, by: Any = None) -> Restored:
    """Insert the rows under their old numbers, all or none. Raises CannotDo when something else stands in the way.

    Part of the caller's transaction. Nothing is reported as changed here; the history notes the return and whose it is.
    """
    found = list(serializers.deserialize("json", text, ignorenonexistent=True))
    restored = Restored([item.object for item in found])
    ours = {(type(row), row.pk) for row in restored.rows}
    for row in restored.rows:
        if type(row)._base_manager.filter(pk=row.pk).exists():
            raise CannotDo(f"{_named(row)} cannot be brought back: another one has its number {row.pk} by now.")
        restored.emptied += _mend_references(row, ours)
    try:
        with transaction.atomic():
            for item in found:
                item.save()
            connection.check_constraints(table_names=sorted({row._meta.db_table for row in restored.rows}))
    except IntegrityError:
        raise CannotDo(
            f"{_named(restored.rows[0])} cannot be brought back: a record made meanwhile holds a value that may be "
            "there only once, such as the reference of a payment. Change that one, then undo again."
        ) from None
    _note(restored.rows, by)
    return restored


def _named(row: models.Model) -> str:
    return f"{str(row._meta.verbose_name).capitalize()} “{row}”"


def _mend_references(row: Any, ours: set[tuple[type, Any]]) -> list[str]:
    """Empties references to rows that are gone, where a row may do without; returns their names."""
    emptied = []
    for column in row._meta.concrete_fields:
        target = column.related_model
        value = getattr(row, column.attname) if target is not None else None
        if value is None or (target, value) in ours or target._base_manager.filter(pk=value).exists():
            continue
        _refuse_if_it_may_return(row, column, value)
        if not column.null:
            raise CannotDo(
                f"{_named(row)} cannot be brought back: its {column.verbose_name} was deleted meanwhile. Add it as a "
                "new one instead."
            )
        setattr(row, column.attname, None)
        emptied.append(str(column.verbose_name))
    return emptied


def _refuse_if_it_may_return(row: Any, column: Any, value: Any) -> None:
    held = DeletedRecord.objects.filter(link__kind=column.related_model._meta.model_name, link__object_id=value)
    link = Link.objects.filter(deleted_record__in=held).first()
    if link is not None:
        raise NotYet(
            f"{_named(row)} belongs to the {column.verbose_name} “{link.label}”, which was deleted, too. Undo that "
            "first."
        )


def _note(rows: Iterable[Any], by: Any) -> None:
    for row in rows:
        try:
            history: Any = get_history_manager_for_model(row)
        except NotHistoricalModelError:
            continue
        history.bulk_history_create([row], default_user=by, default_change_reason=REASON)
