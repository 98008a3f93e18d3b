"""Who is at a run: the process that said so, while it lives and is heard of."""

from __future__ import annotations

import os
import socket

from ghl_sync.engine.clock import database_now
from ghl_sync.models import Run
from trips.models import Contact, Passenger, Trip

# A run this long in silence is not at work any more.
SILENT_SECONDS = 60


def any_at_work() -> bool:
    """Whether a pull or an audit is running this moment, anywhere."""
    return any(at_work(row) for row in Run.objects.filter(finished_at__isnull=True))


def at_work(row: Run) -> bool:
    """Whether somebody is pulling right now; a process of this machine that has ended is not."""
    owner = row.cursor
    if owner.get("host") == socket.gethostname() and isinstance(owner.get("pid"), int):
        if owner["pid"] == os.getpid():
            return False
        try:
            os.kill(owner["pid"], 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass  # it runs, as somebody else
    return (database_now() - row.touched_at).total_seconds() < SILENT_SECONDS


def nothing_here() -> bool:
    """Whether this database holds no record yet, so that a pull fills it for the first time."""
    return not any(model._base_manager.exists() for model in (Trip, Passenger, Contact))
