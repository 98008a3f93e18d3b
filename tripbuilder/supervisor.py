"""Starting and stopping the processes of `manage.py dev`: each in its own group, ended through its main process.

django-q2's cluster hangs when its whole group is signalled, so Ctrl-C must not reach the children by itself.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess  # nosec B404 # it starts our own commands only
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import FrameType

HOST = "127.0.0.1"
PATIENCE_SECONDS = 20.0
# A child that may be started again and ends sooner than this is broken: starting it once more would not help.
BROKEN_SECONDS = 5.0
# How often it is asked whether a child hangs, and how long one that was started again for it has to recover.
ASK_SECONDS = 5.0
RECOVERY_SECONDS = 120.0


def port_is_free(port: int) -> bool:
    """Whether a server could listen there now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def answers(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(0.5)
        return probe.connect_ex((HOST, port)) == 0


@dataclass
class Child:
    """A running process and what to call it."""

    name: str
    process: subprocess.Popen[bytes]
    words: tuple[str, ...]
    again: bool = False
    started: float = field(default_factory=time.monotonic)


class Stopped(Exception):
    """Somebody asked us to stop, or a child ended by itself; the text says which (empty: asked)."""


class Supervisor:
    """Runs children of this project until one ends for good or a signal comes. Not for more than one thread."""

    def __init__(self, manage: str, environment: Mapping[str, str]) -> None:
        self._manage = manage
        self._environment = dict(environment)
        self._children: list[Child] = []
        self._stop = threading.Event()

    def listen(self) -> None:
        """Ctrl-C, `kill` and a closed terminal ask us to stop."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._asked)

    def _asked(self, number: int, frame: FrameType | None) -> None:
        self._stop.set()

    def start(self, name: str, *words: str, again: bool = False) -> None:
        """Start `manage.py words…` in a process group of its own; its words go to our stderr.

        One that may be started `again` is, when it ends by itself.
        """
        process = subprocess.Popen(  # nosec B603 # noqa: S603 - our own interpreter and command
            [sys.executable, self._manage, *words],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr.fileno(),
            start_new_session=True,
        )
        self._children.append(Child(name, process, words, again))

    def run(self, *words: str) -> int:
        """Run `manage.py words…` to its end; its exit code. Raises Stopped when asked to meanwhile."""
        process = subprocess.Popen(  # nosec B603 # noqa: S603 - our own interpreter and command
            [sys.executable, self._manage, *words],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        while process.poll() is None:
            if self._stop.wait(0.05):
                process.send_signal(signal.SIGINT)
                process.wait()
            self._check()
        self._check()
        return process.returncode

    def wait_for(self, port: int, seconds: float = 60.0) -> None:
        """Until something listens there. Raises Stopped when a child ends first, TimeoutError when nothing does."""
        ends = time.monotonic() + seconds
        while not answers(port):
            self._check()
            if time.monotonic() > ends:
                raise TimeoutError(f"Nothing answers on port {port} after {seconds:.0f} s.")
            self._stop.wait(0.05)

    def watch(self, hangs: Callable[[], str] = lambda: "") -> None:
        """Until we are asked to stop or a child ends. `hangs` names a child to start again. Raises Stopped."""
        ask_at = 0.0
        while True:
            self._check()
            if time.monotonic() >= ask_at:
                ask_at = time.monotonic() + ASK_SECONDS
                name = hangs()
                for child in [child for child in self._children if child.name == name]:
                    if time.monotonic() - child.started > RECOVERY_SECONDS:
                        self._start_again(child, "hangs")
            self._stop.wait(0.3)

    def _start_again(self, child: Child, why: str) -> None:
        sys.stderr.write(f"The {child.name} {why}; starting it again.\n")
        self._children.remove(child)
        self._end([child], patience=PATIENCE_SECONDS / 4)
        self.start(child.name, *child.words, again=child.again)

    def _check(self) -> None:
        if self._stop.is_set():
            raise Stopped
        for child in list(self._children):
            code = child.process.poll()
            if code is None:
                continue
            if child.again and time.monotonic() - child.started > BROKEN_SECONDS:
                self._start_again(child, f"ended by itself (exit code {code})")
            else:
                raise Stopped(f"The {child.name} ended by itself (exit code {code}); its words are above.")

    def stop(self) -> None:
        """End all children, the last one started first, each through its main process."""
        self._end(self._children[::-1], patience=PATIENCE_SECONDS)

    def _end(self, children: list[Child], *, patience: float) -> None:
        """Ask the main processes to end; whatever of a group outlives its patience, or its main process, is killed."""
        for child in children:
            if child.process.poll() is None:
                child.process.send_signal(signal.SIGTERM)
        ends = time.monotonic() + patience
        for child in children:
            with suppress(subprocess.TimeoutExpired):
                child.process.wait(max(ends - time.monotonic(), 0.1))
            with suppress(ProcessLookupError):
                os.killpg(child.process.pid, signal.SIGKILL)
            child.process.wait()
