"""Move everything from SQLite into an empty PostgreSQL database."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

import environ
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import Error, connections

from tripbuilder.moving import TARGET, CannotMove, move

POSTGRESQL = "django.db.backends.postgresql"


class Command(BaseCommand):
    help = (
        "Copy every row of the SQLite database of DATABASE_URL into an empty PostgreSQL database: all of it, "
        "compared, or nothing. Stop web, queue and watchdog before. Exit code 2: refused, nothing was written."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--to",
            required=True,
            metavar="URL",
            help="postgres://user@host/name; a password is better kept in ~/.pgpass than typed here",
        )

    def handle(self, *args: Any, to: str, **options: Any) -> None:
        _connect(to)
        try:
            moved = move(to, self._say)
        except CannotMove as error:
            raise CommandError(str(error), returncode=2) from None
        except Error as error:
            raise CommandError(
                f"Nothing was moved, the SQLite database is unchanged ({type(error).__name__}): {_first_line(error)}"
            ) from None
        finally:
            connections[TARGET].close()
        self.stdout.write(
            f"Moved {sum(moved.values()):,} rows of {len(moved)} tables; each table has as many rows there as here."
        )
        self.stdout.write(
            "Next: name the new database in DATABASE_URL, start web, queue and watchdog, and let it take over the "
            "account: manage.py ghl_setup --bind. Keep the SQLite file until you have looked around."
        )

    def _say(self, table: str, rows: int) -> None:
        if rows:
            self.stdout.write(f"{table}: {rows:,}")


def _connect(url: str) -> None:
    """Make the address Django's database `target`, with the options that DATABASE_URL would get."""
    try:
        told = environ.Env.db_url_config(url)
    except (ValueError, environ.ImproperlyConfigured):
        told = {}
    if told.get("ENGINE") != POSTGRESQL or not told.get("NAME"):
        raise CommandError("--to must name a PostgreSQL database: postgres://user@host/name", returncode=2)
    told["OPTIONS"] = settings.POSTGRESQL_OPTIONS | told.get("OPTIONS", {})
    connections.databases[TARGET] = {**connections.databases["default"], **told}


def _first_line(error: Exception) -> str:
    """Without the row that PostgreSQL quotes below it."""
    return str(error).partition("\n")[0]
