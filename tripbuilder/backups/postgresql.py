"""Copying PostgreSQL by pg_dump and pg_restore of the server's own version.

An older pg_dump refuses a newer server, and what a newer one writes an older server may not understand.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess  # nosec B404 # PostgreSQL's own programs only
from pathlib import Path
from typing import Any

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.client import DatabaseClient

from tripbuilder.backups.facts import Facts, source_of

# Where Debian keeps those of each version beside the one on PATH.
DEBIAN = "/usr/lib/postgresql/{major}/bin"


class NoProgram(Exception):
    """The program that it takes is not here, in the version that it takes; the text says what to install."""


class Failed(Exception):
    """A program of PostgreSQL's ended with an error; the text has its words."""


def program(name: str, database: BaseDatabaseWrapper) -> str:
    """The path of pg_dump or pg_restore in the server's version. Raises NoProgram and django.db.Error."""
    major = server_major(database)
    there = {path for path in (shutil.which(name), shutil.which(name, path=DEBIAN.format(major=major))) if path}
    found = {path: _major_of(path) for path in there}
    for path, version in found.items():
        if version == major:
            return path
    others = f"; there is one of version {', '.join(sorted(map(str, found.values())))}" if found else ""
    raise NoProgram(
        f"The server is PostgreSQL {major}, and there is no {name} of that version on PATH{others}. Install it "
        f"(Debian: apt-get install postgresql-client-{major}) and try again."
    )


def server_major(database: Any) -> int:
    database.ensure_connection()
    return int(database.pg_version) // 10000


def _major_of(path: str) -> int:
    told = subprocess.run([path, "--version"], capture_output=True, text=True)  # nosec B603 # noqa: S603 - it is pg_dump
    found = re.search(r"\b(\d+)\.?\d*", told.stdout)
    return int(found[1]) if found else 0


def copy_out(database: Any, target: Path) -> tuple[Facts, str]:
    """A dump in `target` and what it holds, both of one snapshot. Raises NoProgram, Failed and django.db.Error."""
    pg_dump = program("pg_dump", database)
    with transaction.atomic(using=database.alias):
        with database.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            cursor.execute("SELECT pg_export_snapshot()")
            snapshot = cursor.fetchone()[0]
        held = source_of(database).facts()
        # Comments on extensions belong to who installed those, often an administrator.
        _run(database, pg_dump, "--format=custom", "--no-owner", "--no-privileges", "--no-comments",
             f"--snapshot={snapshot}", f"--file={target}")  # fmt: skip
    return held, str(server_major(database))


def load(database: Any, dump: Path) -> None:
    """Into the empty database, in one transaction. Raises NoProgram, Failed and django.db.Error."""
    pg_restore = program("pg_restore", database)
    database.close()
    _run(database, pg_restore, "--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges", str(dump))


def _run(database: Any, path: str, *words: str) -> None:
    """The password goes by the environment, where other accounts of this machine cannot read it."""
    told, extra = DatabaseClient.settings_to_cmd_args_env(database.settings_dict, [])
    where, name = told[1:-1], told[-1]
    done = subprocess.run(  # nosec B603 # noqa: S603 - PostgreSQL's own program, and no shell
        [path, *where, f"--dbname={name}", *words],
        env={**os.environ, **(extra or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise Failed(f"{Path(path).name} ended with an error: {first_words(done.stderr)}")


def first_words(stderr: str) -> str:
    """The first line that says what is wrong, without the rows that some quote after it."""
    lines = [line for line in stderr.splitlines() if "error:" in line] or stderr.splitlines() or ["it says nothing"]
    return lines[0].partition("DETAIL")[0].strip()
