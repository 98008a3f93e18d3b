"""The database's clock. Times that decide something come from it: machines disagree, the database does not."""

from __future__ import annotations

import datetime as dt

from django.db import connection
from django.utils import timezone


def database_now() -> dt.datetime:
    """This moment by the database server (aware, UTC). SQLite has no server: there it is this machine's clock."""
    if connection.vendor != "postgresql":
        return timezone.now()
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        row = cursor.fetchone()
    moment: dt.datetime = row[0]
    return moment.astimezone(dt.UTC)
