"""Faults 20 and 21: a PostgreSQL of our own that is restarted between call and commit, and crashes during a pull.

Needs PostgreSQL's server programs; runs in the half of `make test` that has PostgreSQL. Takes some ten seconds.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import connection

from ghl_sync.sandbox.server import Sandbox
from tests.chaos.rest import names, posts
from tests.clusters import ROOT, child_environment, eventually

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
WHO: dict[str, Any] = {"user": "postgres"} if os.geteuid() == 0 else {}  # it refuses to run as root

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(not PROGRAMS, reason="no server programs of PostgreSQL under /usr/lib/postgresql"),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="it is about PostgreSQL"),
]


class Server:
    """A server in a folder of its own, durable as in life."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._programs = folder, PROGRAMS[-1].parent
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]

    @property
    def url(self) -> str:
        return f"postgres://postgres@127.0.0.1:{self.port}/postgres"

    def make(self) -> None:
        self._call("initdb", "-D", str(self._folder), "-A", "trust", "-U", "postgres", "--no-sync")
        self.start()

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self._folder}"
        log = str(self._folder / "log")
        self._call("pg_ctl", "-D", str(self._folder), "-w", "-l", log, "-o", options, "start")

    def crash(self) -> None:
        """As a power cut: nothing is flushed, every connection ends."""
        self._call("pg_ctl", "-D", str(self._folder), "-w", "-m", "immediate", "stop")

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url, autocommit=True) as asked:
            found = asked.execute(query)
            return found.fetchall() if found.description else []

    def _call(self, program: str, *words: str) -> None:
        subprocess.run([str(self._programs / program), *words], check=True, cwd="/", stdout=subprocess.DEVNULL, **WHO)


@pytest.fixture
def server(connected: Sandbox) -> Iterator[Server]:
    folder = Path(f"/tmp/tripbuilder-server-{os.getpid()}")
    folder.mkdir(mode=0o700)
    if WHO:
        shutil.chown(folder, "postgres")
    running = Server(folder)
    try:
        running.make()
        manage(running, "from django.core.management import call_command; call_command('migrate', verbosity=0)")
        yield running
        running.crash()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def process(server: Server, code: str) -> subprocess.Popen[bytes]:
    """Our own code in a process that works on that server."""
    words = "import django; django.setup(); from ghl_sync import tasks; " + code
    environment = child_environment() | {"DATABASE_URL": server.url, "GHL_TIMEOUT_SECONDS": "5"}
    return subprocess.Popen(
        [sys.executable, "-c", words], cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def manage(server: Server, code: str) -> None:
    assert process(server, code).wait(60) == 0, code


A_TRIP = (
    "from trips.models import Contact, Trip; "
    "owner = Contact.objects.create(first_name='Ines', email='ines@example.com'); "
    "Trip.objects.create(name='Fjords', organiser=owner); "
)
SWEEPS = "import time; [(tasks.sweep(), time.sleep(0.7)) for _sweep in range(6)]"
LEASES_END = "update ghl_sync_link set leased_until = null, next_attempt_at = null"


def test_a_restart_between_call_and_commit_makes_no_second_record(connected: Sandbox, server: Server) -> None:
    connected.faults.add("slow", method="POST", path="/opportunities/", seconds=1.5)
    worker = process(server, A_TRIP + "tasks.sweep()")
    eventually(lambda: connected.faults.struck, seconds=60, what="the create was never sent")

    server.crash()
    eventually(lambda: names(connected) == ["Fjords"], seconds=20)
    worker.wait(60)
    server.start()
    server.rows(LEASES_END)
    manage(server, SWEEPS)

    (card,) = connected.opportunities("TripBooking")
    assert posts(connected) == 1
    assert server.rows("select remote_id from ghl_sync_link where kind = 'trip'") == [(card.id,)]
    assert server.rows("select count(*) from ghl_sync_change where kind in ('trip', 'contact')") == [(0,)]
    assert server.rows("select count(*) from ghl_sync_write where outcome = 'open'") == [(0,)]


def test_a_crash_during_a_pull_leaves_each_record_whole_or_away(connected: Sandbox, server: Server) -> None:
    contact = connected.store.add_contact(first_name="Ines", email="ines@example.com")
    for number in range(250):
        connected.store.add_opportunity(pipeline="TripBooking", name=f"Trip {number}", contact_id=contact.id)
    worker = process(server, "from ghl_sync.models import Location; tasks.refresh_definitions(); "
                             "Location.objects.update(page_size=10); tasks.pull_everything()")  # fmt: skip
    arrived = lambda: server.rows("select count(*) from trips_trip")[0][0] > 20  # noqa: E731
    eventually(arrived, seconds=60, what="the pull brought nothing")

    server.crash()
    worker.wait(60)
    server.start()
    ((trips,),) = server.rows("select count(*) from trips_trip")
    whole = "l.kind = 'trip' and l.object_id = t.id and l.base <> '{}'::jsonb and l.remote_digest <> ''"
    assert server.rows(f"select count(*) from ghl_sync_link l join trips_trip t on {whole}") == [(trips,)]
    assert server.rows("select count(*) from ghl_sync_link where kind = 'trip'") == [(trips,)]
    assert 20 < trips < 250

    server.rows("update ghl_sync_run set touched_at = now() - interval '2 minutes'")
    manage(server, "[tasks.pull_everything() for _slice in range(3)]")
    assert server.rows("select count(*), count(distinct name) from trips_trip") == [(250, 250)]
    assert connected.writes() == []
