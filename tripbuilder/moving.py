"""Moving everything from SQLite to an empty PostgreSQL database: all rows of all tables, or nothing.

Rows are read as the field of each column reads them and copied with COPY, past every save: no signal, no history, no
`auto_now`. Encrypted values are copied as they lie there. Django's dumpdata and loaddata were weighed and left: they
save row by row with signals, and hold everything in memory.
"""

from __future__ import annotations

import os
import re
import subprocess  # nosec B404 # our own command only
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.db import DataError, connections, models, transaction
from django.db.migrations.executor import MigrationExecutor
from django.db.models import ExpressionWrapper, F
from django.db.utils import DatabaseError

from tripbuilder.backups.facts import source_of
from trips.encryption import EncryptedTextField

SOURCE, TARGET = "default", "target"
KEPT = "django_migrations"
ROWS_AT_ONCE = 1000
# Where COPY stopped, without the value that follows in the server's words.
_PLACE = re.compile(r"line (\d+)(?:, column (\w+))?")

Progress = Callable[[str, int], object]


class CannotMove(Exception):
    """Refused, or given up; the target is as empty as before, the source unchanged. The text says why."""


def move(url: str, progress: Progress) -> dict[str, int]:
    """Copy `default` into the database at `url`, which is the alias `target`; gives the rows of each table.

    Raises CannotMove and django.db.Error. `progress` is told each table and its rows. Nobody else may write to the
    source: it is locked meanwhile.
    """
    source, target = connections[SOURCE], connections[TARGET]
    _refuse_unfit(source, target)
    try:
        _migrate(url)
        with transaction.atomic(using=SOURCE), transaction.atomic(using=TARGET):
            left_out = sorted(set(source_of(source).tables()) - {model._meta.db_table for model in _models()} - {KEPT})
            if left_out:
                raise CannotMove(
                    f"The table {left_out[0]} belongs to nothing that is installed, and would be left behind. Drop it "
                    "from the SQLite database if nobody needs it."
                )
            _truncate(target)
            for model in _models():
                progress(model._meta.db_table, _copy(model, target))
            _set_sequences(source, target)
            return _compared(source, target)
    except BaseException:
        _drop_all(target)
        raise


def _refuse_unfit(source: Any, target: Any) -> None:
    if source.vendor != "sqlite":
        raise CannotMove("DATABASE_URL names no SQLite database; there is nothing to move.")
    if source_of(target).tables():
        raise CannotMove(
            f"The database {target.settings_dict['NAME']} is not empty. Make a new one (createdb) and name that; "
            f"nothing was changed."
        )
    plan = _unapplied(source)
    if plan:
        raise CannotMove(f"The SQLite database lacks the migration {plan}. Run manage.py migrate first.")


def _unapplied(source: Any) -> str:
    """The first migration that it lacks."""
    executor = MigrationExecutor(source)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return str(plan[0][0]) if plan else ""


def _migrate(url: str) -> None:
    """In a process for which the target is the only database: data steps of migrations would find the source here."""
    done = subprocess.run(  # nosec B603 # noqa: S603 - our own interpreter and command
        [sys.executable, str(Path(settings.BASE_DIR) / "manage.py"), "migrate", "--no-input", "--verbosity=0"],
        env={**os.environ, "DATABASE_URL": url},
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    if done.returncode:
        words = done.stderr.strip().splitlines() or ["it does not say why"]
        raise CannotMove(f"The tables could not be made there: {words[-1]}")


def _models() -> list[type[models.Model]]:
    """Each with a table of its own, those between many and many included. No order is needed: foreign keys are compared
    at the commit.
    """
    return [
        model
        for model in apps.get_models(include_auto_created=True)
        if model._meta.managed and not model._meta.proxy and not model._meta.swapped
    ]


def _truncate(target: Any) -> None:
    """What `migrate` itself has put there: permissions, schedules, templates. The source has its own."""
    names = ", ".join(target.ops.quote_name(model._meta.db_table) for model in _models())
    with target.cursor() as cursor:
        cursor.execute(f"TRUNCATE {names}")


def _copy(model: type[models.Model], target: Any) -> int:
    fields = [field for field in model._meta.concrete_fields if not getattr(field, "generated", False)]
    quote = target.ops.quote_name
    columns = ", ".join(quote(str(field.column)) for field in fields)
    count = 0
    try:
        with (
            target.wrap_database_errors,  # a copy under way raises psycopg's own
            target.cursor() as cursor,
            cursor.copy(f"COPY {quote(model._meta.db_table)} ({columns}) FROM STDIN") as out,
        ):
            for row in _rows(model, fields, target):
                out.write_row(row)
                count += 1
    except DataError as error:
        raise CannotMove(_which_row(model, error, count)) from None
    return count


def _rows(model: type[models.Model], fields: list[Any], target: Any) -> Iterator[list[Any]]:
    """In the order of their keys, each value as PostgreSQL takes it."""
    stored = {
        f"stored_{number}": ExpressionWrapper(F(field.name), models.TextField())
        for number, field in enumerate(fields)
        if isinstance(field, EncryptedTextField)
    }
    names = [
        f"stored_{number}" if isinstance(field, EncryptedTextField) else field.attname
        for number, field in enumerate(fields)
    ]
    prepare = [_as_it_is if isinstance(field, EncryptedTextField) else field.get_db_prep_save for field in fields]
    rows = model._base_manager.using(SOURCE).order_by("pk").annotate(**stored).values_list(*names)
    for row in rows.iterator(ROWS_AT_ONCE):
        yield [ready(value, connection=target) for ready, value in zip(prepare, row, strict=True)]


def _as_it_is(value: Any, connection: Any) -> Any:
    return value


def _which_row(model: type[models.Model], error: DataError, written: int) -> str:
    """SQLite keeps no length of a text and takes the character of number 0; PostgreSQL does neither.

    The server says the line; what psycopg itself refuses is the line after those that were written.
    """
    cause: Any = error.__cause__
    found = _PLACE.search(getattr(getattr(cause, "diag", None), "context", None) or "")
    line = int(found[1]) if found else written + 1
    key = model._base_manager.using(SOURCE).order_by("pk").values_list("pk", flat=True)[line - 1]
    column = f", column {found[2]}" if found and found[2] else ""
    return (
        f"PostgreSQL does not take a value of row {key} of table {model._meta.db_table}{column}: it is too long for "
        f"its column or holds a character of number 0. Correct it and start again."
    )


def _set_sequences(source: Any, target: Any) -> None:
    """Where SQLite's stand, and not behind the last row: the number of a deleted trip is still its tombstone's."""
    given = dict(source_of(source).ask("SELECT name, seq FROM sqlite_sequence"))
    with target.cursor() as cursor:
        for model in _models():
            last = given.get(model._meta.db_table)
            if last and isinstance(model._meta.pk, models.AutoField):
                table = target.ops.quote_name(model._meta.db_table)
                cursor.execute(
                    "SELECT setval(pg_get_serial_sequence(%s, %s), %s)", [table, model._meta.pk.column, last]
                )


def _compared(source: Any, target: Any) -> dict[str, int]:
    ours, theirs = source_of(source).count_rows(), source_of(target).count_rows()
    del ours[KEPT], theirs[KEPT]
    for table in sorted({*ours, *theirs}):
        if ours.get(table) != theirs.get(table):
            raise CannotMove(f"Table {table} has {ours.get(table)} rows here and {theirs.get(table)} there.")
    return ours


def _drop_all(target: Any) -> None:
    """The target was empty when it was looked at, so whatever is in it now is ours."""
    try:
        names = source_of(target).tables()
        if names:
            with target.cursor() as cursor:
                cursor.execute(f"DROP TABLE {', '.join(map(target.ops.quote_name, names))} CASCADE")
    except DatabaseError:
        return  # it is gone itself; what went wrong is already on its way up
