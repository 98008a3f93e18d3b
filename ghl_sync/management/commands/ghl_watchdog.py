"""A plain loop beside the queue: it looks whether the queue works, and does the queue's work while it does not.

django-q2's cluster can hang while it looks alive, one malformed schedule stops all of them, and a broker can lose what
it held. So a task that does nothing is put into the queue every half minute; when it does not run, or when nobody has
swept for three minutes, this process sweeps and fetches by itself until the queue is back. Two at once do no harm: a
record is claimed before it is touched. Whatever fails here, the database included, is tried again.
"""

from __future__ import annotations

import datetime as dt
import logging
import signal
import threading
import time
from argparse import ArgumentParser
from types import FrameType
from typing import Any

from django.core.management.base import BaseCommand
from django.db import Error, close_old_connections, connections

from ghl_sync import schedules, tasks
from ghl_sync.conf import config
from ghl_sync.engine import alarms
from ghl_sync.engine.clock import database_now
from ghl_sync.management.output import quiet_queue
from ghl_sync.models import Location, Run

logger = logging.getLogger("ghl_sync.watchdog")

# By the setting's scale, like every wait of the sync.
LOOK_SECONDS = 5
CANARY_SECONDS = 30
# So long the queue may owe the canary's answer before its work is done here; the alarm waits longer.
PATIENCE_SECONDS = 60
SWEPT_SECONDS = 180
SWEEP_SECONDS = 20
PULLED_SECONDS = 900
PULL_SECONDS = 300
CHECK_SECONDS = 60
# A canary whose answer is overdue is sent again now and then: the queue may have lost it.
LOST_SECONDS = 60


class _Leaving(SystemExit):
    """Asked to stop in the middle of a sweep or pull: it ends after the record or page at hand."""


class Command(BaseCommand):
    help = (
        "Look whether the queue works, and send and fetch here while it does not. Runs beside the queue until it is "
        "stopped (Ctrl-C, SIGTERM)."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--once", action="store_true", help="look once, do what is overdue, and end")

    def handle(self, *args: Any, **options: Any) -> None:
        watchdog = Watchdog(self._say)
        with quiet_queue():
            if options["once"]:
                watchdog.look()
                return
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, watchdog.stop)
            watchdog.run()

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()


class Watchdog:
    """The loop and what it remembers between two looks. One per process."""

    def __init__(self, say: Any) -> None:
        self._say = say
        self._stop = threading.Event()
        self._helps = ""  # why the queue's work is done here; empty while it is not
        self._swept_here: dt.datetime | None = None
        self._queue_swept: dt.datetime | None = None
        self._pull_goes_on = False
        self._due_at: dict[str, float] = {}

    def stop(self, number: int = 0, frame: FrameType | None = None) -> None:
        self._stop.set()

    def run(self) -> None:
        """Until it is stopped."""
        self._say("Watching the queue.")
        while not self._stop.is_set():
            try:
                self.look()
            except _Leaving:
                break
            except Error as error:
                logger.warning("the database does not answer (%s); trying again", type(error).__name__)
                connections.close_all()
            except Exception:
                logger.exception("a look failed; trying again")
            self._stop.wait(LOOK_SECONDS * config().scale)
        self._say("Stopped watching.")

    def look(self) -> None:
        """One look, and what it shows to be overdue."""
        close_old_connections()
        if not config().configured:
            return
        location = alarms.watchdog_lives()
        self._canary(location)
        if self._is_time("schedules", CHECK_SECONDS):
            schedules.install()
        self._decide(location)
        self._sweep()
        self._pull(location)
        if self._is_time("alarms", CHECK_SECONDS):
            alarms.check()

    def _is_time(self, what: str, seconds: float) -> bool:
        """Whether so long has passed since the last time this was true."""
        now = time.monotonic()
        if now < self._due_at.get(what, 0.0):
            return False
        self._due_at[what] = now + seconds * config().scale
        return True

    def _canary(self, location: Location) -> None:
        """Every half minute one more, while they are answered; then one a minute, in case it was lost."""
        silent = alarms.queue_silent_for(location, database_now())
        if not self._is_time("canary", LOST_SECONDS if silent else CANARY_SECONDS):
            return
        if not silent:
            alarms.canary_is_sent(location)
        try:
            if not silent or tasks.queue_is_short():
                tasks.send_canary()
        except Exception as error:  # noqa: BLE001 - a broker may fail in any way; it then owes the answer
            logger.warning("the queue takes no task (%s)", type(error).__name__)

    def _decide(self, location: Location) -> None:
        """Whether the queue's work is to be done here, and say so when that changes."""
        scale, now = config().scale, database_now()
        if location.swept_at != self._swept_here or self._queue_swept is None:
            self._queue_swept = location.swept_at or now  # a fresh installation gets its three minutes, too
        silent, unswept = alarms.queue_silent_for(location, now), (now - self._queue_swept).total_seconds()
        why = ""
        if silent > PATIENCE_SECONDS * scale:
            why = f"The queue has run no task for {silent:.0f} s"
        elif unswept > SWEPT_SECONDS * scale:
            why = f"The queue has not swept for {unswept:.0f} s"
        if why and not self._helps:
            self._say(f"{why}; sending and fetching here until it does.")
            self._due_at.pop("sweep", None)
        elif self._helps and not why:
            self._say("The queue works again.")
        self._helps = why

    def _sweep(self) -> None:
        if self._helps and self._is_time("sweep", SWEEP_SECONDS):
            tasks.sweep_here(progress=self._between)
            self._swept_here = Location.objects.values_list("swept_at", flat=True).get(location_id=config().location_id)

    def _pull(self, location: Location) -> None:
        """What changed over there, when nobody has fetched it for too long; a slice at each look."""
        if location.fetching_paused_at is not None or location.paused_at is not None:
            return
        if not self._pull_goes_on:
            last = Run.objects.exclude(mode=Run.Mode.AUDIT).order_by("-pk").values_list("touched_at", "started_at")[:1]
            age = min(((database_now() - max(row)).total_seconds() for row in last), default=None)
            overdue = PULL_SECONDS if self._helps else PULLED_SECONDS
            if age is None and not self._helps:
                return  # never fetched yet: the queue's schedule begins
            if age is not None and age < overdue * config().scale:
                return
            if not self._is_time("pull", PULL_SECONDS):
                return
            if not self._helps:
                self._say("Nothing was fetched for a quarter of an hour; fetching here.")
        self._pull_goes_on = not tasks.pull_here(full=False, progress=self._between)

    def _between(self, *_seen: Any) -> None:
        """Called after each record and each page."""
        if self._stop.is_set():
            raise _Leaving(0)
