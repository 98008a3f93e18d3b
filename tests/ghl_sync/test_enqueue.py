"""A save and a queue that is down, refuses or hangs: half a second at most, and nothing is lost."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import connection, transaction
from django_q.models import OrmQ

from ghl_sync import tasks
from ghl_sync.models import Change
from tests.clusters import database_url, eventually
from tests.factories import ContactFactory
from tripbuilder import broker
from tripbuilder.supervisor import answers
from trips.models import Contact

pytestmark = pytest.mark.django_db(transaction=True)

MOST_SECONDS = 0.5
REDIS_SERVER = shutil.which("redis-server")


@pytest.fixture(autouse=True)
def connected_and_awake(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.GHL_API_TOKEN, settings.GHL_LOCATION_ID = "test-token", "test-location"
    monkeypatch.setattr(tasks._Wake, "silent_until", 0.0)


@pytest.fixture
def on_redis(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The product with Redis as its broker, at whatever port the test says."""
    monkeypatch.setattr("django_q.conf.Conf.BROKER_CLASS", "tripbuilder.broker.ImpatientRedis")

    def at(port: int) -> None:
        settings.REDIS_URL = f"redis://127.0.0.1:{port}/0"
        broker._client.cache_clear()

    yield at
    broker._client.cache_clear()


@contextmanager
def a_redis_server(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    words = [str(REDIS_SERVER), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    server = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    try:
        eventually(lambda: answers(port), what="redis-server does not listen")
        yield server, port
    finally:
        server.kill()
        server.wait()


def save_in_seconds() -> float:
    """Save a contact as a form does; how long that took."""
    started = time.monotonic()
    with transaction.atomic():
        ContactFactory()
    return time.monotonic() - started


def nothing_is_lost() -> None:
    assert (Contact.objects.count(), Change.objects.count(), OrmQ.objects.count()) == (1, 1, 0)


@contextmanager
def queue_table_locked() -> Iterator[None]:
    """Another connection holds the queue's table, as a migration or a dump may."""
    with psycopg.connect(database_url().replace("postgres://", "postgresql://")) as other:
        other.execute("LOCK TABLE django_q_ormq IN ACCESS EXCLUSIVE MODE")
        yield
        other.rollback()


@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite locks the whole database or nothing")
def test_a_locked_queue_table_holds_no_save_up() -> None:
    with queue_table_locked():
        assert save_in_seconds() < MOST_SECONDS
    nothing_is_lost()
    assert connection.cursor().execute("SHOW statement_timeout").fetchone() == ("0",)


def test_a_queue_table_that_is_gone_fails_no_save() -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE django_q_ormq RENAME TO django_q_away")
    try:
        assert save_in_seconds() < MOST_SECONDS
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE django_q_away RENAME TO django_q_ormq")
    nothing_is_lost()


@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="one writer at a time is SQLite's")
def test_a_writer_who_comes_between_save_and_queue_holds_no_save_up() -> None:
    """The save has committed; before it wakes the queue another process takes the database."""
    import sqlite3

    other = sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None, check_same_thread=False)
    with transaction.atomic():
        ContactFactory()
        transaction.on_commit(lambda: other.execute("BEGIN IMMEDIATE"))
        # What was registered first runs first: the lock comes between the commit and the wake-up.
        connection.run_on_commit.insert(0, connection.run_on_commit.pop())
        ends = time.monotonic()
    took = time.monotonic() - ends
    other.execute("ROLLBACK")
    other.close()
    assert took < MOST_SECONDS
    nothing_is_lost()
    assert connection.cursor().execute("PRAGMA busy_timeout").fetchone() == (20_000,)


def test_a_redis_that_refuses_fails_no_save(on_redis: Any) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # bound and not listening: refused
        on_redis(nobody.getsockname()[1])
        assert save_in_seconds() < MOST_SECONDS
    nothing_is_lost()


def test_a_redis_that_hangs_holds_no_save_up(on_redis: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes the connection and never says a word
        on_redis(silent.getsockname()[1])
        assert save_in_seconds() < MOST_SECONDS
    nothing_is_lost()


@pytest.mark.skipif(REDIS_SERVER is None, reason="no redis-server on PATH; install it with: apt-get install redis")
def test_a_redis_that_hangs_after_it_has_answered_holds_no_save_up(on_redis: Any, tmp_path: Path) -> None:
    with a_redis_server(tmp_path) as (server, port):
        on_redis(port)
        ContactFactory()
        assert broker._client(broker.WORKER_SECONDS).llen("django_q:tripbuilder:q") == 1
        server.send_signal(signal.SIGSTOP)
        assert save_in_seconds() < MOST_SECONDS
        server.send_signal(signal.SIGCONT)
    assert (Contact.objects.count(), Change.objects.count()) == (2, 2)


def test_after_one_failure_the_next_saves_do_not_even_try(on_redis: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        on_redis(silent.getsockname()[1])
        save_in_seconds()
        assert save_in_seconds() < 0.1
