"""A real django-q2 cluster beside a test, on the test's own database and sandbox."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from django.conf import settings
from django.db import connection

ROOT = Path(__file__).resolve().parents[1]
MIRRORED = (
    "GHL_API_TOKEN",
    "GHL_LOCATION_ID",
    "GHL_API_BASE_URL",
    "GHL_MIRROR_SENSITIVE",
    "GHL_WAIT_SCALE",
    "GHL_TIMEOUT_SECONDS",
    "GHL_DELETE_HOLD_SECONDS",
)


def database_url() -> str:
    """The database of the running test, as another process reaches it."""
    found = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{found['NAME']}"
    user, password = quote(found["USER"] or ""), quote(found["PASSWORD"] or "")
    return f"postgres://{user}:{password}@{found['HOST']}:{found['PORT'] or 5432}/{found['NAME']}"


def child_environment() -> dict[str, str]:
    """What another process needs to work on the same database and sandbox."""
    mirrored = {name: str(getattr(settings, name)) for name in MIRRORED}
    return {**os.environ, **mirrored, "DATABASE_URL": database_url(), "DJANGO_SETTINGS_MODULE": "tripbuilder.settings"}


# How django-q2 names the number of each process in its log.
ROLES = {"worker": "ready for work at", "monitor": "monitoring at", "pusher": "pushing tasks at"}


def children_of(pid: int) -> list[int]:
    """The processes that this one has started and that are still there."""
    found: list[int] = []
    with suppress(OSError):
        for listed in Path(f"/proc/{pid}/task").glob("*/children"):
            found += map(int, listed.read_text().split())
    return found


class Cluster:
    """A cluster in a process group of its own."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "manage.py", "qcluster"],
                cwd=ROOT,
                env=child_environment() | {"LOG_LEVEL": "INFO"},  # its log names the processes
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The main process, which leads the group."""
        assert self._process is not None
        return self._process.pid

    def pids(self, role: str) -> list[int]:
        """The living processes of a role: `main`, `sentinel`, `worker`, `monitor` or `pusher`."""
        if self._process is None:
            return []
        if role == "main":
            return [self.pid]
        if role == "sentinel":
            return children_of(self.pid)
        said = re.findall(rf"{ROLES[role]} (\d+)", self.log.read_text("utf-8", "replace"))
        alive = {pid for sentinel in children_of(self.pid) for pid in children_of(sentinel)}
        return [pid for pid in map(int, said) if pid in alive]

    def signal(self, number: int, *, group: bool = False) -> None:
        """To the main process alone, or to every process of the cluster."""
        (os.killpg if group else os.kill)(self.pid, number)

    def ended(self, seconds: float) -> bool:
        """Whether the main process ends within so many seconds."""
        assert self._process is not None
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def stop(self) -> None:
        """The clean way: through the main process alone."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    def kill(self) -> None:
        """As a power cut: every process at once, without a word."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None


@contextmanager
def running(log: Path) -> Iterator[Cluster]:
    cluster = Cluster(log)
    cluster.start()
    try:
        yield cluster
    finally:
        cluster.stop()


def eventually(holds: Callable[[], Any], *, seconds: float = 20.0, what: str = "") -> Any:
    """The first true answer of `holds`, asked again and again. Raises AssertionError after `seconds`."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        answer = holds()
        if answer:
            return answer
        time.sleep(0.05)
    raise AssertionError(what or "it did not happen in time")
