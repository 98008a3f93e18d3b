"""What a database holds, asked of it and not of this code's models: it may be one release older."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db.migrations.loader import MigrationLoader

from trips.models import EncryptionKey
from trips.services.rotation import tables

_KEY = len("01234567")
_TABLES = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite!_%' ESCAPE '!' ORDER BY "
    "name",
    "postgresql": "SELECT tablename FROM pg_tables WHERE schemaname = current_schema() ORDER BY tablename",
}
_COLUMNS = {
    "sqlite": "SELECT t.name, c.name FROM sqlite_master t, pragma_table_info(t.name) c WHERE t.type = 'table'",
    "postgresql": "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = "
    "current_schema()",
}
Ask = Callable[[str], list[Any]]


@dataclass(frozen=True, slots=True)
class Facts:
    rows: dict[str, int]
    migrations: list[list[str]]
    keys: set[str]


@dataclass(frozen=True, slots=True)
class Source:
    """A database and a way to ask it: by Django's connection, or by one to a copy that Django knows nothing of."""

    vendor: str
    ask: Ask

    def tables(self) -> list[str]:
        return [name for (name,) in self.ask(_TABLES[self.vendor])]

    def count_rows(self) -> dict[str, int]:
        return {name: self.ask(f'SELECT count(*) FROM "{name}"')[0][0] for name in self.tables()}  # noqa: S608 # nosec B608

    def facts(self) -> Facts:
        """Rows of each table, applied migrations, and the ids of the keys that it cannot be used without."""
        applied = self.ask("SELECT app, name FROM django_migrations ORDER BY app, name")
        return Facts(self.count_rows(), [list(row) for row in applied], self._keys())

    def _keys(self) -> set[str]:
        """Those of all encrypted values, and those that a start asks for."""
        columns = set(self.ask(_COLUMNS[self.vendor]))
        found: set[str] = set()
        for table, column in ((one.model._meta.db_table, field.column) for one in tables() for field in one.fields):
            if (table, column) in columns:
                query = f'SELECT DISTINCT substr("{column}", 1, {_KEY}) FROM "{table}" WHERE "{column}" <> \'\''  # noqa: S608 # nosec B608
                found.update(key for (key,) in self.ask(query))
        kept = EncryptionKey._meta.db_table
        if (kept, "canary") in columns:
            found.update(key for (key,) in self.ask(f"SELECT key_id FROM \"{kept}\" WHERE canary <> ''"))  # noqa: S608 # nosec B608
        return found


def source_of(database: Any) -> Source:
    """One of Django's connections."""

    def ask(query: str) -> list[Any]:
        with database.cursor() as cursor:
            cursor.execute(query)
            return list(cursor.fetchall())

    return Source(database.vendor, ask)


def unknown_migrations(migrations: list[list[str]]) -> list[str]:
    """Those that this code does not have, because it is older; squashed ones count as known."""
    loader = MigrationLoader(None, ignore_no_migrations=True)
    known = set(loader.disk_migrations) | {old for one in loader.disk_migrations.values() for old in one.replaces}
    apps_here = {app for app, _name in known}
    return [f"{app}.{name}" for app, name in migrations if app in apps_here and (app, name) not in known]
