"""Starting and stopping the processes of `manage.py dev`: each in its own group, ended through its main process.

django-q2's cluster hangs when its whole group is signalled, so Ctrl-C must not reach the children by itself.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import FrameType

HOST = "127.0.0.1"
PATIENCE_SECONDS = 20.0


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


class Stopped(Exception):
    """Somebody asked us to stop, or a child ended by itself; the text says which (empty: asked)."""


class Supervisor:
    """Runs children of this project until one ends or a signal comes. Not for more than one thread."""

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

    def start(self, name: str, *words: str) -> None:
        """Start `manage.py words…` in a process group of its own; its words go to our stderr."""
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and command
            [sys.executable, self._manage, *words],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr.fileno(),
            start_new_session=True,
        )
        self._children.append(Child(name, process))

    def run(self, *words: str) -> int:
        """Run `manage.py words…` to its end; its exit code. Raises Stopped when asked to meanwhile."""
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and command
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

    def watch(self) -> None:
        """Until we are asked to stop or a child ends. Raises Stopped."""
        while True:
            self._check()
            self._stop.wait(0.3)

    def _check(self) -> None:
        if self._stop.is_set():
            raise Stopped
        for child in self._children:
            code = child.process.poll()
            if code is not None:
                raise Stopped(f"The {child.name} ended by itself (exit code {code}); its words are above.")

    def stop(self) -> None:
        """End all children, the last one started first, each through its main process."""
        for child in reversed(self._children):
            if child.process.poll() is None:
                child.process.send_signal(signal.SIGTERM)
        ends = time.monotonic() + PATIENCE_SECONDS
        for child in reversed(self._children):
            try:
                child.process.wait(max(ends - time.monotonic(), 0.1))
            except subprocess.TimeoutExpired:
                with suppress(ProcessLookupError):
                    os.killpg(child.process.pid, signal.SIGKILL)
                child.process.wait()
