"""A process of its own that does one piece of work and is killed, or stopped, at one exact line of it.

`python -m tests.chaos.mortal sweep ghl_sync.engine.state:open_write after KILL`
"""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from tests.clusters import ROOT, child_environment


def sweep() -> None:
    from ghl_sync import tasks

    tasks.sweep()


def fetch() -> None:
    from ghl_sync import tasks

    tasks.pull_everything()


def save() -> None:
    """A person saves a new contact; the caller opens no transaction."""
    from trips.models import Contact

    Contact(first_name="Ines", last_name="Prado", email="ines@example.com").save()


JOBS: dict[str, Callable[[], None]] = {"sweep": sweep, "fetch": fetch, "save": save}


def start(
    job: str, line: str, when: str = "before", how: str = "KILL", lease: float | None = None
) -> subprocess.Popen[bytes]:
    """Start it on the test's database and sandbox. `line` is `module:function` or `module:Class.method`.

    `lease` in seconds lets it hold a record for less than the usual half minute.
    """
    return subprocess.Popen(
        [sys.executable, "-m", "tests.chaos.mortal", job, line, when, how, str(lease or "")],
        cwd=ROOT,
        env=child_environment(),
        stdin=subprocess.DEVNULL,
    )


def die(job: str, line: str, when: str = "before") -> None:
    """Run it to its death by kill -9; anything else is an error of the test."""
    code = start(job, line, when).wait(60)
    assert code == -signal.SIGKILL, f"the process was to be killed at {line} and ended with {code}"


def await_stop(process: subprocess.Popen[bytes]) -> None:
    """Wait until the process has stopped itself."""
    _pid, status = os.waitpid(process.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status), f"it ended with {status} instead of stopping"


def _mine(line: str, when: str, number: int) -> None:
    """Patch the line so that the first time it is reached this process gets the signal."""
    module, _, path = line.partition(":")
    owner: Any = importlib.import_module(module)
    *outer, name = path.split(".")
    for part in outer:
        owner = getattr(owner, part)
    whole, reached = getattr(owner, name), []

    def strike() -> None:
        if not reached:
            reached.append(True)
            os.kill(os.getpid(), number)

    def mined(*args: Any, **kwargs: Any) -> Any:
        if when == "before":
            strike()
        answer = whole(*args, **kwargs)
        if when == "after":
            strike()
        return answer

    setattr(owner, name, mined)


def main(job: str, line: str, when: str, how: str, lease: str) -> None:
    import django

    django.setup()
    if lease:
        from ghl_sync.conf import Config

        Config.lease = property(lambda _config: float(lease))  # type: ignore[method-assign, assignment]
    _mine(line, when, getattr(signal, f"SIG{how}"))
    JOBS[job]()


if __name__ == "__main__":
    main(*sys.argv[1:])
