"""Copying SQLite by its own backup API: as it was at one moment, while others go on writing."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from django.db.backends.base.base import BaseDatabaseWrapper

from tripbuilder.backups import CannotBackUp, CannotRestore
from tripbuilder.backups.facts import Facts, Source


def path_of(database: BaseDatabaseWrapper) -> Path:
    return Path(str(database.settings_dict["NAME"]))


def copy_out(database: BaseDatabaseWrapper, target: Path) -> tuple[Facts, str]:
    """A copy in `target` and what it holds. Raises CannotBackUp, and sqlite3.Error where the disk is full or broken."""
    path = path_of(database)
    if not path.is_file():
        raise CannotBackUp(
            f"There is no database {path}; DATABASE_URL names another file, or nothing was migrated yet."
        )
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(target)) as copy:
        source.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE")  # one file, without a -wal beside it
        # Of the copy, so that nothing has changed since it was made.
        held = Source("sqlite", lambda query: copy.execute(query).fetchall()).facts()
    return held, sqlite3.sqlite_version


def check(dump: Path) -> None:
    """Raises CannotRestore for a copy that SQLite itself finds damaged."""
    try:
        with closing(sqlite3.connect(dump)) as copy:
            sound = copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    except sqlite3.DatabaseError:
        sound = False
    if not sound:
        raise CannotRestore("SQLite finds the database of this archive damaged; take an earlier archive.")


def load(database: BaseDatabaseWrapper, dump: Path) -> None:
    """Into the empty database, in one transaction. Raises sqlite3.Error."""
    path = path_of(database)
    database.close()
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(dump)) as copy, closing(sqlite3.connect(path)) as target:
        copy.backup(target)
