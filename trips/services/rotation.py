"""Giving values and files the first of FIELD_ENCRYPTION_KEYS, so that an older key can be dropped.

Nobody lists what is encrypted: every `EncryptedTextField` of every model counts, and every private file that a row
names. Each row is written only if it still holds what was read, past signals, histories and `updated_at`: nothing
changed but its key. Nothing is remembered between two runs, since a value names its key: one that was killed goes on
with what is left.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.apps import apps
from django.db import connection, models, transaction
from django.db.models import ExpressionWrapper, F, Q
from django.db.models.functions import Left, Length

from trips.encryption import EncryptedTextField, Undecryptable, current_key_id, decrypt, encrypt, key_id_of
from trips.models import DiscardedFile
from trips.storage import is_private, private_files

# Rows looked at in one query, and rows and characters written in one transaction: staff's saves wait for no more.
_PAGE, _ROWS, _TEXT = 1000, 200, 2_000_000
_KEY = len("01234567:")

Progress = Callable[[int], object]


@dataclass(frozen=True, slots=True)
class Table:
    """A model with encrypted columns."""

    model: type[models.Model]
    fields: tuple[EncryptedTextField, ...]

    @property
    def label(self) -> str:
        return str(self.model._meta.label_lower)

    @property
    def rows(self) -> Any:
        return self.model._base_manager.order_by("pk")

    def due(self) -> Any:
        """The rows that hold a value of another key than the first."""
        mark = f"{current_key_id()}:"
        return self.rows.filter(
            Q(*(~Q(**{one.name: ""}) & ~Q(**{f"{one.name}__startswith": mark}) for one in self.fields), _connector=Q.OR)
        )

    def stored(self) -> list[ExpressionWrapper]:
        """Its columns as they are in the database."""
        return [ExpressionWrapper(F(one.name), models.TextField()) for one in self.fields]


@dataclass(slots=True)
class Done:
    """What a run came to. `unreadable` names each value or file that no configured key opens."""

    rotated: int = 0
    changed_meanwhile: int = 0
    unreadable: list[str] = field(default_factory=list)


def tables() -> list[Table]:
    """Every table with an encrypted column, those of other apps, too."""
    found = []
    for model in apps.get_models(include_auto_created=True):
        fields = tuple(one for one in model._meta.local_concrete_fields if isinstance(one, EncryptedTextField))
        if fields and model._meta.managed and not model._meta.proxy:
            found.append(Table(model, fields))
    return found


# How many values each key has


def keys_of(table: Table) -> Counter[str]:
    """Values by the id of their key, "" for what is not encrypted."""
    found: Counter[str] = Counter()
    for one in table.fields:
        held = table.rows.exclude(**{one.name: ""}).order_by()
        for mark, count in held.values_list(Left(one.name, _KEY)).annotate(models.Count("pk")):
            found[key_id_of(mark)] += count
    return found


def keys_in_use() -> set[str]:
    """The ids of all keys that values have, without counting them."""
    first = (_any_key(table, one) for table in tables() for one in table.fields)
    return {key_id for key_id in first if key_id}


def _any_key(table: Table, column: EncryptedTextField) -> str:
    marks = table.rows.order_by().exclude(**{column.name: ""}).values_list(Left(column.name, _KEY), flat=True)
    return key_id_of(next(iter(marks[:1]), ""))


# Values


def rotate(table: Table, done: Done, progress: Progress) -> None:
    """Give every value of the table the first key; what is changed meanwhile is left to who changed it."""
    last = None
    while page := _page(table, last):
        for pks in _slices(page):
            with transaction.atomic():
                _rotate_rows(table, pks, done)
            progress(len(pks))
        last = page[-1][0]


def _page(table: Table, after: Any) -> list[tuple[Any, int]]:
    """Rows that are due, with how long their values are."""
    due = table.due() if after is None else table.due().filter(pk__gt=after)
    size = sum((Length(one.name) for one in table.fields[1:]), Length(table.fields[0].name))
    return list(due.values_list("pk", size)[:_PAGE])


def _slices(page: Sequence[tuple[Any, int]]) -> Iterator[list[Any]]:
    pks: list[Any] = []
    text = 0
    for pk, size in page:
        if pks and (len(pks) == _ROWS or text + size > _TEXT):
            yield pks
            pks, text = [], 0
        pks.append(pk)
        text += size
    yield pks


def _rotate_rows(table: Table, pks: Sequence[Any], done: Done) -> None:
    """Each row whose columns still hold what was read; rows with the same columns to write in one go."""
    names = [one.name for one in table.fields]
    written: dict[tuple[str, ...], list[tuple[Any, ...]]] = {}
    for pk, *stored in table.rows.filter(pk__in=pks).values_list("pk", *table.stored()):
        held = dict(zip(names, stored, strict=True))
        fresh = _resealed(table, pk, held, done)
        if fresh:
            written.setdefault(tuple(fresh), []).append((*fresh.values(), pk, *(held[name] for name in fresh)))
    for columns, rows in written.items():
        changed = _write(table, columns, rows)
        done.rotated += changed
        done.changed_meanwhile += len(rows) - changed


def _write(table: Table, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> int:
    """How many of the rows were as they were read. A statement a row through the ORM takes seven times as long."""
    quoted: Callable[[Any], str] = connection.ops.quote_name
    meta: Any = table.model._meta
    there = [quoted(meta.get_field(name).column) for name in columns]
    statement = (
        f"UPDATE {quoted(meta.db_table)} SET {', '.join(f'{one} = %s' for one in there)} "  # nosec B608 # noqa: S608 - names of our own
        f"WHERE {quoted(meta.pk.column)} = %s AND {' AND '.join(f'{one} = %s' for one in there)}"
    )
    with connection.cursor() as cursor:
        cursor.executemany(statement, [_prepared(meta.pk, len(columns), row) for row in rows])
        return int(cursor.rowcount)


def _prepared(key: Any, at: int, row: tuple[Any, ...]) -> tuple[Any, ...]:
    """The row with its key as the database takes it: SQLite has no UUIDs."""
    return (*row[:at], key.get_db_prep_value(row[at], connection), *row[at + 1 :])


def _resealed(table: Table, pk: Any, held: dict[str, str], done: Done) -> dict[str, str]:
    """The values of a row that have another key, under the first one."""
    fresh = {}
    for one in table.fields:
        text = held[one.name]
        if not text or key_id_of(text) == current_key_id():
            continue
        try:
            fresh[one.name] = encrypt(decrypt(text, one.context), one.context)
        except Undecryptable as error:
            done.unreadable.append(f"{table.label} {pk}: {error}")
    return fresh


# Files


@dataclass(frozen=True, slots=True)
class Named:
    """A private file and the row that names it."""

    holder: type[models.Model]
    column: str
    pk: Any
    name: str


def files() -> Iterator[Named]:
    """Every private file that a row names, those of deleted rows that may come back, too."""
    for model, column in _holders():
        rows = model._base_manager.exclude(**{column: ""}).order_by("pk")
        for pk, name in rows.values_list("pk", column).iterator():
            yield Named(model, column, pk, name)


def count_files() -> int:
    return sum(model._base_manager.exclude(**{column: ""}).count() for model, column in _holders())


def _holders() -> Iterable[tuple[type[models.Model], str]]:
    yield DiscardedFile, "name"
    for model in apps.get_models(include_auto_created=True):
        for one in model._meta.local_concrete_fields:
            if isinstance(one, models.FileField) and is_private(one.storage) and model._meta.managed:
                yield model, one.name


def key_of_file(file: Named) -> str | None:
    """The id of its key, "" for a plain one; None for one that is not in storage."""
    try:
        return private_files().key_id_of(file.name)
    except FileNotFoundError:
        return None


def rotate_file(file: Named, done: Done) -> None:
    """Seal it anew while its row is held: whoever deletes the row waits, and takes the file with it then."""
    with transaction.atomic():
        rows = file.holder._base_manager.select_for_update().filter(pk=file.pk, **{file.column: file.name})
        if not rows.values_list("pk", flat=True).first():
            done.changed_meanwhile += 1
            return
        try:
            private_files().reseal(file.name)
        except FileNotFoundError:
            done.unreadable.append(f"The file {file.name} is not in storage; restore it from the backup.")
        except Undecryptable as error:
            done.unreadable.append(str(error))
        else:
            done.rotated += 1
