"""Whether a process lives and whether it can work, as a load balancer asks: without account, host name or https."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.recorder import MigrationRecorder
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from ghl_sync.models import Location
from ghl_sync.sandbox.server import Sandbox
from tests.ghl_sync.conftest import connected as connected_to_sandbox
from tests.ghl_sync.conftest import sandbox as running_sandbox

ROOT = Path(__file__).resolve().parents[2]
sandbox, connected = running_sandbox, connected_to_sandbox
STRANGE_HOST = {"HTTP_HOST": "10.0.0.7:8000"}


def told(answer: HttpResponse) -> tuple[int, str, str]:
    return answer.status_code, answer.content.decode(), answer["Cache-Control"]


@contextmanager
def dead_database() -> Iterator[None]:
    """Nobody listens where the database was; what is open is closed."""

    def refuse(self: BaseDatabaseWrapper) -> None:
        raise OperationalError("connection to server at 10.0.0.9 failed: password of tripbuilder refused")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(connections["default"]), "connect", refuse)
        connection.close()
        yield


def test_whether_a_process_lives_is_no_question_to_the_database(client: Client) -> None:
    assert told(client.get("/livez", **STRANGE_HOST)) == (200, "ok\n", "no-store")


@pytest.mark.django_db(transaction=True)
def test_a_dead_database_is_said_and_nothing_of_where_it_was_and_its_return_is_noticed(client: Client) -> None:
    answers = [told(client.get("/readyz", **STRANGE_HOST))]
    with dead_database():
        answers += [told(client.get("/readyz", **STRANGE_HOST)), told(client.get("/livez", **STRANGE_HOST))]
    answers.append(told(client.get("/readyz", **STRANGE_HOST)))

    well = (200, "ok\n", "no-store")
    assert answers == [well, (503, "The database does not answer.\n", "no-store"), well, well]


@pytest.mark.django_db
def test_without_an_account_database_and_migrations_are_enough(
    client: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    client.get("/readyz")
    with django_assert_num_queries(3):  # one each: does it answer, is there a table of migrations, what does it say
        assert told(client.get("/readyz", **STRANGE_HOST)) == (200, "ok\n", "no-store")


@pytest.mark.django_db
def test_a_migration_that_is_missing_is_said(client: Client) -> None:
    last = MigrationRecorder.Migration.objects.filter(app="trips").order_by("-name")[0]
    last.delete()

    answer = client.get("/readyz")

    assert told(answer) == (503, "The database lacks migrations; run manage.py migrate.\n", "no-store")


@pytest.mark.django_db
def test_a_migration_of_newer_code_does_not_matter(client: Client) -> None:
    MigrationRecorder(connection).record_applied("trips", "9999_of_the_next_release")

    assert client.get("/readyz").status_code == 200


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("minutes", "wanted"),
    [(None, "The queue has not run a task yet.\n"), (1, "ok\n"), (4, "The queue has run no task for 240 s.\n")],
)
def test_a_queue_that_does_not_move_is_said(
    client: Client, connected: Sandbox, settings: Any, minutes: int | None, wanted: str
) -> None:
    settings.GHL_WAIT_SCALE = 1
    ran = None if minutes is None else timezone.now() - dt.timedelta(minutes=minutes)
    Location.objects.create(location_id=settings.GHL_LOCATION_ID, queue_ran_at=ran)

    assert told(client.get("/readyz")) == (200 if wanted == "ok\n" else 503, wanted, "no-store")
    assert told(client.get("/readyz?exclude=queue")) == (200, "ok\n", "no-store")


@pytest.mark.django_db
def test_what_cannot_be_excluded_is_named(client: Client) -> None:
    wanted = "There is no check of that name; exclude one of database, migrations, queue.\n"

    assert told(client.get("/readyz?exclude=disk")) == (400, wanted, "no-store")


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
def test_they_are_asked_and_not_told(client: Client, path: str) -> None:
    assert client.post(path).status_code == 405


PROBED = """
import django
from django.test import Client
django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0)
for path in ("/livez", "/readyz", "/login/"):
    answer = Client().get(path, headers={"host": "trips.example.com"})
    print(path, answer.status_code, answer.headers.get("Location", ""))
print(Client().get("/readyz", headers={"host": "10.0.0.7"}).status_code)
"""


def test_production_sends_no_probe_to_https() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROBED],
        cwd=ROOT,
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tripbuilder.settings",
            "DATABASE_URL": "sqlite:///:memory:",
            "DEBUG": "false",
            "SECURE_SSL_REDIRECT": "",
            "ALLOWED_HOSTS": "trips.example.com",
            "FIELD_ENCRYPTION_KEYS": "A" * 43 + "=",
        },
        capture_output=True,
        text=True,
    )

    assert done.stdout.splitlines() == [
        "/livez 200 ",
        "/readyz 200 ",
        "/login/ 301 https://trips.example.com/login/",
        "200",
    ], done.stderr
