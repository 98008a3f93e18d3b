"""The engine inside the test's process: killed at any of its steps by an exception that nobody catches."""

from __future__ import annotations

import datetime as dt
import inspect
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

from ghl_sync.client.errors import GHLError
from ghl_sync.engine import due, inbox, state
from ghl_sync.engine.clock import database_now
from ghl_sync.engine.pull import pull
from ghl_sync.engine.session import CannotRun, Session
from ghl_sync.models import Link, Location, RemoteField
from tests.chaos.trouble import Trouble

# Where the engine writes its tables: a worker may be stopped before or after each of these.
STEPS = sorted(
    name
    for name, found in vars(state).items()
    if inspect.isfunction(found) and found.__module__.startswith("ghl_sync.engine.state")
)
IMPATIENT = 0.2
# What a process says of itself on the account's row while it is at work.
HOLDS = [
    row.name for row in Location._meta.fields if row.name.endswith("_until") and row.null and row.name != "held_until"
]


class Killed(BaseException):
    """The process ended here; nothing after this line ran."""


def leases_run_out() -> None:
    """As after a worker's death: until then nobody else may have its record."""
    past = database_now() - dt.timedelta(days=1)
    Link.objects.filter(leased_until__isnull=False).update(leased_until=past)
    RemoteField.objects.filter(leased_until__isnull=False).update(leased_until=past)
    Location.objects.update(**dict.fromkeys(HOLDS, None))


class Inside:
    """`hurry` lets leases, holds and waits pass at once; without it they take their time."""

    def __init__(self, random: Random, trouble: Trouble, note: Callable[[str], None], *, hurry: bool) -> None:
        self._random, self._trouble, self._note, self._hurry = random, trouble, note, hurry
        self.kills: Counter[str] = Counter()

    def push(self) -> None:
        """One record at a time, or several side by side."""
        hands = self._random.choice((1, 1, 1, 3))
        self._work(lambda session: due.run_due(session, in_flight=hands))

    def handle_webhooks(self) -> None:
        self._work(lambda session: inbox.handle(session, seconds=5))

    def pull_changes(self) -> None:
        self._work(pull)

    def pull_all(self) -> None:
        self._work(lambda session: pull(session, full=True))

    def pull_slice(self) -> None:
        """One page, then the time is up; the next pull of this kind goes on."""
        full = self._random.random() < 0.7
        self._work(lambda session: pull(session, full=full, seconds=0.0))

    def definitions(self) -> None:
        self._work(lambda session: session.refresh_definitions())

    def pause(self) -> None:
        if not self._hurry:
            time.sleep(self._random.uniform(0, 0.6))

    def stop(self) -> None:
        """Nothing runs between two pieces of work."""

    def _work(self, job: Callable[[Session], Any]) -> None:
        for told in self._trouble.brew():
            self._note(told)
        if self._hurry and self._random.random() < 0.7:
            Location.objects.update(held_until=None)  # the limit's pause is over
        try:
            with self._mortal():
                session = Session(longest_wait=IMPATIENT if self._hurry else 30.0)
                session.check_running(at_once=self._hurry and self._random.random() < 0.7)
                with session.stop_on_trouble():
                    job(session)
        except (GHLError, CannotRun) as error:
            self._note(f"stopped: {error}")
        finally:
            self._trouble.calm()

    @contextmanager
    def _mortal(self) -> Iterator[None]:
        """Within the block the process may be killed at one of the engine's steps."""
        whole = {name: getattr(state, name) for name in STEPS}
        strike = self._plan()

        def guarded(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
            def run(*args: Any, **kwargs: Any) -> Any:
                when = strike(name)
                if when == "before":
                    raise Killed(name)
                answer = call(*args, **kwargs)
                if when == "after":
                    raise Killed(name)
                return answer

            return run

        try:
            for name, call in whole.items():
                setattr(state, name, guarded(name, call))
            yield
        except Killed as killed:
            self.kills[str(killed)] += 1
            self._note(f"killed at {killed}")
            if self._hurry:
                leases_run_out()
        finally:
            for name, call in whole.items():
                setattr(state, name, call)

    def _plan(self) -> Callable[[str], str]:
        """When to die: seldom at all; at the n-th step, or the next time one named step is reached."""
        dies, left = self._random.random() < 0.3, self._random.randint(1, 60)
        name = self._random.choice(STEPS) if self._random.random() < 0.5 else ""
        left = self._random.randint(1, 3) if name else left
        when = self._random.choice(("before", "after"))

        def strike(step: str) -> str:
            nonlocal left
            if not dies or (name and step != name):
                return ""
            left -= 1
            return when if left == 0 else ""

        return strike
