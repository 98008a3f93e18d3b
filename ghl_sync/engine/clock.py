"""The database's clock. Times that decide something come from it: machines disagree, the database does not."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from django.db import Error, connection
from django.db.models import functions
from django.utils import timezone


class Now(functions.Now):
    """The statement's moment, in a form that SQLite compares truly with what Python makes of it when it is read.

    SQLite compares times as text. Django's own writes `45.000` there, Python reads that as a whole second and says `45`
    from then on, which is another text and an earlier one: a mark with it was never found answered. A microsecond more
    makes both say `45.000001`.
    """

    def as_sqlite(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        return self.as_sql(
            compiler, connection, template="STRFTIME('%%%%Y-%%%%m-%%%%d %%%%H:%%%%M:%%%%f', 'NOW') || '001'", **extra
        )


def database_now() -> dt.datetime:
    """This moment by the database server (aware, UTC). SQLite has no server: there it is this machine's clock."""
    if connection.vendor != "postgresql":
        return timezone.now()
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        row = cursor.fetchone()
    moment: dt.datetime = row[0]
    return moment.astimezone(dt.UTC)


@contextmanager
def impatiently(milliseconds: int) -> Iterator[None]:
    """Within the block a statement gives up after so long: django.db.Error, as when the server is gone."""
    if connection.vendor == "sqlite":
        usual = int(connection.settings_dict["OPTIONS"].get("timeout", 5) * 1000)
        begin, end = f"PRAGMA busy_timeout = {milliseconds}", f"PRAGMA busy_timeout = {usual}"
    else:
        begin, end = f"SET statement_timeout = {milliseconds}", "RESET statement_timeout"
    with connection.cursor() as cursor:
        cursor.execute(begin)
    try:
        yield
    finally:
        with suppress(Error), connection.cursor() as cursor:  # a connection that broke is replaced anyway
            cursor.execute(end)
