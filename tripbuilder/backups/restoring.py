"""Putting an archive back into an empty database."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connections

from tripbuilder.backups import CannotRestore, archive, postgresql, sqlite
from tripbuilder.backups.archive import FILES, Damaged, Manifest
from tripbuilder.backups.facts import source_of, unknown_migrations
from tripbuilder.backups.making import IN_FOLDER
from trips.encryption import key_ids

NAMES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}


class Incomplete(Exception):
    """It was loaded and is not what the manifest says; the text says where."""


def restore(path: Path) -> Manifest:
    """Put the archive back: its files, then its database, each whole or not at all.

    Raises CannotRestore before anything is written, Incomplete after, and what the disk and the database raise.
    """
    manifest = _look_at(path)
    database = connections["default"]
    _refuse_unfit(manifest, database)
    with _beside_database(database) as beside:
        dump = Path(beside) / manifest.database
        archive.unpack(path, lambda name: dump if name == manifest.database else None)
        if manifest.engine == "sqlite":
            sqlite.check(dump)
        root = Path(settings.PRIVATE_ROOT)
        try:
            archive.unpack(path, lambda name: root / name.removeprefix(FILES) if name.startswith(FILES) else None)
            (postgresql if manifest.engine == "postgresql" else sqlite).load(database, dump)
        except BaseException:
            _empty(root, manifest)
            raise
    _compare(manifest, source_of(database).count_rows())
    return manifest


def _look_at(path: Path) -> Manifest:
    try:
        return archive.verified(path)
    except FileNotFoundError:
        raise CannotRestore(
            f"There is no file {path}; give the path of an archive that `backup` has written."
        ) from None
    except Damaged as error:
        raise CannotRestore(
            f"{path} is damaged or no backup: {error}. Nothing was written; take another one."
        ) from None


def _refuse_unfit(manifest: Manifest, database: Any) -> None:
    if manifest.engine != database.vendor:
        raise CannotRestore(
            f"The archive is of {NAMES[manifest.engine]} and DATABASE_URL names {NAMES[database.vendor]}. Restore it "
            f"into an empty {NAMES[manifest.engine]} database; `move_database` moves from SQLite to PostgreSQL."
        )
    missing = [key for key in manifest.keys if key not in key_ids()]
    if missing:
        raise CannotRestore(
            f"The archive needs the encryption keys {', '.join(missing)}, which are not in FIELD_ENCRYPTION_KEYS. "
            f"Add them, behind the present one; without them passports and health records stay unreadable."
        )
    unknown = unknown_migrations(manifest.migrations)
    if unknown:
        raise CannotRestore(
            f"The archive was written by a newer TripBuilder ({manifest.version}; this one does not know "
            f"{unknown[0]}). Install that version first."
        )
    if manifest.engine == "postgresql":
        postgresql.program("pg_restore", database)
    root = Path(settings.PRIVATE_ROOT)
    if manifest.files and root.exists() and any(root.iterdir()):
        raise CannotRestore(f"The folder {root} is not empty. Move what is in it away first; nothing was changed.")
    if manifest.papers != IN_FOLDER and f"bucket {settings.PRIVATE_BUCKET}" != manifest.papers:
        raise CannotRestore(
            f"The papers are not in this archive but in the {manifest.papers}. Set PRIVATE_BUCKET to it, or to a "
            f"copy of it under that name."
        )
    if not _is_empty(database):
        raise CannotRestore(
            f"The database {database.settings_dict['NAME']} is not empty. Name a new one in DATABASE_URL, or set the "
            f"old one aside first; nothing was changed."
        )


def _is_empty(database: Any) -> bool:
    if database.vendor == "sqlite" and not sqlite.path_of(database).exists():
        return True  # asking would make the file
    return not source_of(database).tables()


def _beside_database(database: Any) -> tempfile.TemporaryDirectory[str]:
    """On a disk that has room for a database; where the server has one of its own, wherever temporary files go."""
    folder = sqlite.path_of(database).parent if database.vendor == "sqlite" else None
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryDirectory(dir=folder, prefix=".restoring-")


def _empty(root: Path, manifest: Manifest) -> None:
    """Take away again what was written into the folder, which was empty or not there."""
    if manifest.files and root.exists():
        for entry in root.iterdir():
            with suppress(OSError):
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def _compare(manifest: Manifest, found: dict[str, int]) -> None:
    for table in sorted({*manifest.rows, *found}):
        wanted, there = manifest.rows.get(table), found.get(table)
        if wanted != there:
            raise Incomplete(
                f"Table {table} holds {there} rows and the archive says {wanted}. Do not use this database."
            )


def failures() -> tuple[type[Exception], ...]:
    """What the disk and the databases raise while one is written or read."""
    return (OSError, sqlite3.Error, postgresql.Failed)
