"""Another database beside the test's own, empty, of the same kind."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
from django.db import connection

from tests.clusters import ROOT, child_environment


@contextmanager
def empty_postgresql(name: str) -> Iterator[str]:
    """The address of a new database on the test's server; gone at the end."""
    found = connection.settings_dict
    user, password = quote(found["USER"] or ""), quote(found["PASSWORD"] or "")
    server = f"postgres://{user}:{password}@{found['HOST'] or '127.0.0.1'}:{found['PORT'] or 5432}"
    with psycopg.connect(f"{server}/postgres", autocommit=True) as asked:
        asked.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        asked.execute(f'CREATE DATABASE "{name}"')
        try:
            yield f"{server}/{name}"
        finally:
            asked.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@contextmanager
def empty_database(folder: Path) -> Iterator[str]:
    if connection.vendor == "sqlite":
        yield f"sqlite:///{folder / 'restored.sqlite3'}"
        return
    with empty_postgresql(f"restored_{os.getpid()}") as address:
        yield address


def environment(database: str, papers: Path, **more: str) -> dict[str, str]:
    """What a process needs to work on that database, with the test's sandbox."""
    return child_environment() | {"DATABASE_URL": database, "PRIVATE_ROOT": str(papers)} | more


def manage(env: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    return _run(env, "manage.py", *words)


def python(env: dict[str, str], code: str, *words: str) -> subprocess.CompletedProcess[str]:
    return _run(env, "-c", code, *words)


def _run(env: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    command: list[Any] = [sys.executable, "-W", "ignore", *words]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, stdin=subprocess.DEVNULL)
