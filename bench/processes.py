"""The processes of a measurement: each is started here and ended by its own id, whatever happens."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
TOKEN, LOCATION = "sandbox-token", "sandbox-location"
PATIENCE_SECONDS = 20.0
START_SECONDS = 60.0


class Failed(Exception):
    """A process of the bench did not do its part; the text says which and how."""


def environment(database: str, sandbox: str) -> dict[str, str]:
    """The product's defaults on this database and account: neither `.env` nor the shell has a say."""
    documented = re.findall(r"^([A-Z_]+)=", (ROOT / ".env.example").read_text("utf-8"), re.MULTILINE)
    return {
        **os.environ,
        **dict.fromkeys(documented, ""),
        "DJANGO_SETTINGS_MODULE": "tripbuilder.settings",
        "DATABASE_URL": database,
        "GHL_API_TOKEN": TOKEN,
        "GHL_LOCATION_ID": LOCATION,
        "GHL_API_BASE_URL": sandbox,
        "GHL_MIRROR_SENSITIVE": "both",
    }


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended: seconds by the clock and of the processor, megabytes at the most, and what it printed."""

    seconds: float
    cpu: float
    peak: float
    report: dict[str, Any]


class Command:
    """`manage.py …` whose stdout is one JSON object, started at once; as a context manager it ends with the block."""

    def __init__(self, *words: str, env: Mapping[str, str], log: Path) -> None:
        self._words = words
        self._started = time.monotonic()
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "manage.py", *words],
                cwd=ROOT,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
            )

    def __enter__(self) -> Command:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._process.returncode is None:
            stop(self._process)

    @property
    def running(self) -> bool:
        """Whether it still works. It prints only at its end, so nothing to read means that it goes on."""
        assert self._process.stdout is not None
        return not select.select([self._process.stdout], [], [], 0)[0]

    def result(self) -> Ran:
        """Waits for the end. Raises Failed when that was none of the good ones."""
        assert self._process.stdout is not None
        try:
            printed = self._process.stdout.read()
            # The only call that also tells what this one process used.
            _pid, status, used = os.wait4(self._process.pid, 0)
        except BaseException:
            stop(self._process)
            raise
        seconds = time.monotonic() - self._started
        self._process.returncode = os.waitstatus_to_exitcode(status)
        if self._process.returncode != 0:
            raise Failed(f"manage.py {' '.join(self._words)} ended with {self._process.returncode}: {printed.decode()}")
        report = json.loads(printed) if printed.strip() else {}
        return Ran(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, report)


def run(*words: str, env: Mapping[str, str], log: Path) -> Ran:
    """`manage.py …` from its start to its end. Raises Failed."""
    return Command(*words, env=env, log=log).result()


@contextmanager
def sandbox(*words: str, state: Path, log: Path) -> Iterator[str]:
    """A sandbox in a process of its own; its address."""
    with log.open("ab") as errors:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "ghl_sandbox", "--port", "0", "--state", str(state), *words],
            cwd=ROOT,
            env=environment("sqlite:///:memory:", ""),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        )
    try:
        yield _address(process)
    finally:
        stop(process)


def _address(process: subprocess.Popen[bytes]) -> str:
    assert process.stdout is not None
    if not select.select([process.stdout], [], [], START_SECONDS)[0]:
        raise Failed(f"the sandbox said nothing for {START_SECONDS:.0f} s")
    line = process.stdout.readline().decode()
    found = re.search(r"http://[\d.:]+", line)
    if found is None:
        raise Failed(f"the sandbox did not start: {line}")
    return found.group()


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ask, wait, insist."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
