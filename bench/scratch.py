"""Databases that live for one run: a migrated one, copies of it, and nothing left of them afterwards."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Protocol

import psycopg
from psycopg import sql

from tests.run import find_postgresql

BUSY_SECONDS = 10.0
EMPTY = sql.Composed([])


class Scratch(Protocol):
    """The databases of one kind, each named by its URL."""

    title: str

    def create(self) -> str:
        """A new, empty database."""

    def copy(self, url: str) -> str:
        """A copy of a database that nobody is connected to."""

    def drop_all(self) -> None:
        """Away with everything that was made here."""


class Sqlite:
    def __init__(self, directory: Path) -> None:
        self.title = f"SQLite {sqlite3.sqlite_version}"
        self._directory = directory
        self._made = 0

    def create(self) -> str:
        self._made += 1
        return f"sqlite:///{self._directory}/{self._made}.sqlite3"

    def copy(self, url: str) -> str:
        made = self.create()
        with closing(sqlite3.connect(_path(url))) as source, closing(sqlite3.connect(_path(made))) as target:
            source.backup(target)  # unlike a copy of the file it includes what is still in the log
        return made

    def drop_all(self) -> None:
        """They go with the directory, which is the caller's."""


def _path(url: str) -> str:
    return url.removeprefix("sqlite:///")


class Postgresql:
    def __init__(self, url: str, version: str) -> None:
        self.title = f"PostgreSQL {version}"
        self._server = url.rpartition("/")[0]
        self._names: list[str] = []

    def create(self) -> str:
        return self._create()

    def copy(self, url: str) -> str:
        return self._create(sql.SQL(" template {}").format(sql.Identifier(url.rpartition("/")[2])))

    def drop_all(self) -> None:
        while self._names:
            name = sql.Identifier(self._names.pop())
            self._run(sql.SQL("drop database if exists {} with (force)").format(name))

    def _create(self, how: sql.Composed = EMPTY) -> str:
        name = f"tripbuilder_bench_{os.getpid()}_{len(self._names) + 1}"
        self._names.append(name)
        _patiently(lambda: self._run(sql.SQL("create database {}").format(sql.Identifier(name)) + how))
        return f"{self._server}/{name}"

    def _run(self, statement: sql.Composed) -> None:
        with psycopg.connect(f"{self._server}/postgres", autocommit=True) as connection:
            connection.execute(statement)


def _patiently(work: Callable[[], None]) -> None:
    """The server needs a moment to notice that the last connection to a template has gone."""
    ends = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            return work()
        except psycopg.errors.ObjectInUse:
            if time.monotonic() > ends:
                raise
            time.sleep(0.1)


def find_server() -> tuple[Postgresql | None, str]:
    """The server that `make test` would take, or None and why there is none."""
    try:
        found = find_postgresql()
    except SystemExit as refused:
        return None, str(refused.code)
    if found is None:
        return None, "none answers at 127.0.0.1:5432 without a password; name one with TEST_DATABASE_URL"
    return Postgresql(*found), ""
