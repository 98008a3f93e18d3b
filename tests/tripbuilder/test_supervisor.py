"""Who is started again in `make run`, and who ends it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clusters import eventually
from tripbuilder import supervisor as module
from tripbuilder.supervisor import Stopped, Supervisor

SLEEPS = """
import os, signal, sys, time
if "stubborn" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
with open(sys.argv[1], "a") as log:
    log.write(f"{os.getpid()}\\n")
time.sleep(60)
"""


@pytest.fixture
def supervisor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Supervisor]:
    script = tmp_path / "sleeps.py"
    script.write_text(SLEEPS)
    monkeypatch.setattr(module, "BROKEN_SECONDS", 0.0)
    monkeypatch.setattr(module, "RECOVERY_SECONDS", 0.0)
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 1.0)
    started = Supervisor(str(script), os.environ)
    yield started
    started.stop()


def pids(log: Path) -> list[int]:
    return [int(line) for line in log.read_text().splitlines()] if log.exists() else []


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


class Looks:
    """Asked as `hangs`: after so many looks with the same answer the watch ends."""

    def __init__(self, supervisor: Supervisor, log: Path, name: str, starts: int) -> None:
        self.supervisor, self.log, self.name, self.starts = supervisor, log, name, starts

    def __call__(self) -> str:
        if len(pids(self.log)) >= self.starts:
            self.supervisor._stop.set()
            return ""
        return self.name if pids(self.log) else ""


def test_a_child_that_ends_is_started_again(
    supervisor: Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ASK_SECONDS", 0.1)
    log = tmp_path / "queue.log"
    supervisor.start("queue", str(log), again=True)
    eventually(lambda: pids(log))
    os.kill(pids(log)[0], signal.SIGKILL)
    with pytest.raises(Stopped):
        supervisor.watch(Looks(supervisor, log, "", 2))
    assert len(pids(log)) == 2


@pytest.mark.parametrize("manner", ["willing", "stubborn"])
def test_a_child_that_hangs_is_ended_and_started_again(
    supervisor: Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, manner: str
) -> None:
    monkeypatch.setattr(module, "ASK_SECONDS", 0.1)
    log = tmp_path / "queue.log"
    supervisor.start("queue", str(log), manner, again=True)
    with pytest.raises(Stopped):
        supervisor.watch(Looks(supervisor, log, "queue", 2))
    first, _second = pids(log)
    assert gone(first)


def test_one_that_may_not_be_started_again_ends_all(supervisor: Supervisor, tmp_path: Path) -> None:
    web, queue = tmp_path / "web.log", tmp_path / "queue.log"
    supervisor.start("queue", str(queue), again=True)
    supervisor.start("web", str(web))
    eventually(lambda: pids(web) and pids(queue))
    os.kill(pids(web)[0], signal.SIGKILL)
    with pytest.raises(Stopped, match=r"The web ended by itself \(exit code -9\)"):
        supervisor.watch()
    supervisor.stop()
    assert gone(pids(queue)[0])


def test_one_that_ends_at_once_is_broken(
    supervisor: Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BROKEN_SECONDS", 60.0)
    log = tmp_path / "queue.log"
    supervisor.start("queue", str(log), again=True)
    eventually(lambda: pids(log))
    os.kill(pids(log)[0], signal.SIGKILL)
    time.sleep(0.1)
    with pytest.raises(Stopped, match="The queue ended by itself"):
        supervisor.watch()
