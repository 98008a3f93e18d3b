"""`make test`: the suite on SQLite, beside it what touches the database again on PostgreSQL, and which of them ran.

PostgreSQL is looked for at TEST_DATABASE_URL, else at 127.0.0.1:5432 as `postgres` and as the present user. A
server that was named must answer; without one its run is left out and said so. TESTS_REQUIRE (a comma list of
`postgresql` and `chromium`) turns a missing one into a failure; `.ci/run` sets it. Arguments go to pytest; without
any, each run has WORKERS processes. POSTGRESQL=all runs every test there, too.
"""

from __future__ import annotations

import getpass
import hashlib
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psycopg

ROOT = Path(__file__).resolve().parent.parent
NOTHING_COLLECTED = 5
LOOK_SECONDS = 0.2
# Processes by database. A third of a test is waiting for an answer, a lease or a browser: more of them than cores still
# gain; and so shared, both runs take about as long.
WORKERS = {"sqlite": 3, "postgresql": 1}
INSTALL_POSTGRESQL = (
    "none answers at 127.0.0.1:5432 to user postgres without a password; name one with "
    "TEST_DATABASE_URL=postgres://user:password@host/name (its user must be allowed to create databases)"
)


@dataclass
class Outcome:
    """One run of pytest: what it is called, how it ended and its own closing line."""

    title: str
    code: int
    closing: str


def version_at(url: str) -> str | None:
    """The server's version, or None when none answers or its user may not create a test database."""
    server, _, _name = url.rpartition("/")
    try:
        with psycopg.connect(f"{server}/postgres", connect_timeout=3) as connection:
            row = connection.execute(
                "select current_setting('server_version'), rolcreatedb or rolsuper from pg_roles "
                "where rolname = current_user"
            ).fetchone()
    except psycopg.Error:
        return None
    return str(row[0]).split(" ")[0] if row and row[1] else None


def find_postgresql() -> tuple[str, str] | None:
    """Address and version of the server to test on; its database is named after this folder."""
    named = os.environ.get("TEST_DATABASE_URL", "").strip()
    if named:
        version = version_at(named)
        if version is None:
            sys.exit("TEST_DATABASE_URL: no server answers there, or its user may not create databases.")
        return named, version
    name = "tripbuilder_" + hashlib.sha256(str(ROOT).encode()).hexdigest()[:8]
    for user in dict.fromkeys(("postgres", getpass.getuser(), "root")):
        url = f"postgres://{user}@127.0.0.1:5432/{name}"
        if version := version_at(url):
            return url, version
    return None


@dataclass
class Running:
    """One run of pytest at work; what it prints waits in a file of its own until it is shown."""

    title: str
    process: subprocess.Popen[bytes]
    output: IO[bytes]


def start_pytest(title: str, database: str, arguments: list[str]) -> Running:
    colour = ["--color=yes"] if sys.stdout.isatty() else []
    output = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the run; closing it deletes it
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", *colour, *arguments],
        cwd=ROOT,
        env={**os.environ, "TRIPBUILDER_TEST_DATABASE": database, "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.DEVNULL,
        stdout=output,
    )
    return Running(title, process, output)


def show(running: Running) -> Outcome:
    """Print what a run prints, as it comes, to its end."""
    print(f"\n{running.title}", flush=True)
    shown, tail = 0, b""
    while True:
        ended = running.process.poll() is not None
        chunk = os.pread(running.output.fileno(), 65536, shown)
        sys.stdout.buffer.write(chunk)
        sys.stdout.flush()
        shown, tail = shown + len(chunk), (tail + chunk)[-4096:]
        if ended and not chunk:
            break
        if not chunk:
            time.sleep(LOOK_SECONDS)
    lines = tail.decode(errors="replace").rstrip().splitlines()
    return Outcome(running.title, running.process.wait(), lines[-1] if lines else "pytest printed nothing")


def shared(database: str) -> list[str]:
    """pytest's arguments for a run over several processes."""
    return ["-n", str(WORKERS[database]), "--dist", "worksteal"]


def main(arguments: list[str]) -> int:
    required = os.environ.get("TESTS_REQUIRE", "").split(",")
    postgresql = find_postgresql()
    if postgresql is None and "postgresql" in required:
        sys.exit(f"PostgreSQL is required here, but {INSTALL_POSTGRESQL}.")

    # Both at once: two cores are the least that a machine has today.
    runs = [start_pytest("Tests on SQLite", "", arguments or shared("sqlite"))]
    if postgresql:
        url, version = postgresql
        everything = os.environ.get("POSTGRESQL") == "all"
        title = f"Tests on PostgreSQL {version}" + (
            "" if everything else ", those that it may end otherwise than SQLite"
        )
        chosen = arguments or shared("postgresql")
        runs.append(start_pytest(title, url, [*([] if everything else ["--may-differ"]), "--create-db", *chosen]))
    try:
        outcomes = [show(running) for running in runs]
    except BaseException:
        for running in runs:
            running.process.terminate()
        raise

    print("\nWhich tests ran:")
    for outcome in outcomes:
        print(f"{outcome.title}\n{outcome.closing}")
    if postgresql is None:
        print(f"Tests on PostgreSQL did not run: {INSTALL_POSTGRESQL}.")
    return verdict(outcomes, narrowed=bool(arguments))


def verdict(outcomes: list[Outcome], *, narrowed: bool) -> int:
    """0 when every run passed. A run without tests is a failure, unless arguments narrowed the choice."""
    empty = [outcome for outcome in outcomes if outcome.code == NOTHING_COLLECTED]
    if empty and (not narrowed or len(empty) == len(outcomes)):
        print("No test was found, which is not the same as all tests passing.")
        return 1
    return next((outcome.code for outcome in outcomes if outcome.code not in {0, NOTHING_COLLECTED}), 0)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
