"""From SQLite to PostgreSQL with one command: every row as it was, or nothing."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from django.db import connection

from tests.tripbuilder.backups.places import empty_postgresql, environment, manage, python

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.timeout(600),  # it migrates three databases
    pytest.mark.skipif(connection.vendor != "postgresql", reason="it is about PostgreSQL"),
]

FILLED = """
import django
django.setup()
from django.contrib.auth.models import Group, Permission
from django.core.management import call_command
from tests.factories import PassengerFactory, PaymentFactory, StaffFactory, TripFactory
from trips.models import Passport, Trip
call_command("migrate", verbosity=0)
group = Group.objects.create(name="Office")
group.permissions.set(Permission.objects.filter(content_type__app_label="trips")[:5])
StaffFactory(username="ines").groups.add(group)
trips = [*TripFactory.create_batch(3, passengers=2), TripFactory()]
traveller = trips[0].passengers.first()
Passport.objects.create(passenger=traveller, number="X1234567")
PaymentFactory(passenger=traveller)
trips[1].name = "Changed once"
trips[1].save()
trips[3].delete()  # its number must not be given again
"""

COMPARED = """
import django, json, sys
django.setup()
from django.apps import apps
from django.db import connections
from tests.factories import TripFactory
connections.databases["before"] = {**connections.databases["default"], "ENGINE": "django.db.backends.sqlite3",
    "NAME": sys.argv[1], "OPTIONS": {}}
differ = []
for model in apps.get_models(include_auto_created=True):
    names = [field.attname for field in model._meta.concrete_fields]
    before, after = (
        list(model._base_manager.using(alias).order_by("pk").values_list(*names)) for alias in ("before", "default")
    )
    if before != after:
        differ.append(model._meta.label)
def stored(alias):
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT number FROM trips_passport")
        return cursor.fetchall()
print(json.dumps([differ, stored("before") == stored("default"), TripFactory().pk]))
"""


def run(database: str, folder: Path, code: str, *words: str) -> str:
    env = environment(database, folder / "papers", DJANGO_SETTINGS_MODULE="tripbuilder.settings")
    done = python(env, code, *words)
    assert done.returncode == 0, done.stderr
    return done.stdout


def change(path: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(path)) as opened:
        opened.execute(statement, values)
        opened.commit()


def test_everything_moves_as_it_was_or_nothing_does(tmp_path: Path) -> None:
    path = tmp_path / "before.sqlite3"
    source = f"sqlite:///{path}"
    run(source, tmp_path, FILLED)
    env = environment(source, tmp_path / "papers")
    with empty_postgresql(f"moved_{os.getpid()}") as address:
        for value, column in (("long " * 100, ", column name"), ("zero \0 zero", "")):
            change(path, "UPDATE trips_trip SET name = ? WHERE id = 2", value)
            refused = manage(env, "move_database", "--to", address)
            with psycopg.connect(address) as asked:
                left = asked.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
            assert (refused.returncode, refused.stderr, left) == (
                2,
                f"CommandError: PostgreSQL does not take a value of row 2 of table trips_trip{column}: it is too long "
                "for its column or holds a character of number 0. Correct it and start again.\n",
                [],
            )
        change(path, "UPDATE trips_trip SET name = ? WHERE id = 2", "Changed once")

        moved = manage(env, "move_database", "--to", address)

        assert (moved.returncode, moved.stderr) == (0, "")
        assert "trips_passport: 1\n" in moved.stdout
        assert json.loads(run(address, tmp_path, COMPARED, str(path))) == [[], True, 5]
        again = manage(env, "move_database", "--to", address)
        assert (again.returncode, "is not empty" in again.stderr) == (2, True)


@pytest.mark.parametrize("address", ["sqlite:///other.sqlite3", "postgres://", "here", "mysql://a@b/c"])
def test_another_target_than_postgresql_is_refused(tmp_path: Path, address: str) -> None:
    done = manage(environment("sqlite:///:memory:", tmp_path), "move_database", "--to", address)

    assert (done.returncode, done.stderr) == (
        2,
        "CommandError: --to must name a PostgreSQL database: postgres://user@host/name\n",
    )
