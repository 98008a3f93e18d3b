"""What the fault tests share: bringing the engine to rest, and what is over there then."""

from __future__ import annotations

import time
from typing import Any

from ghl_sync.engine import due
from ghl_sync.engine.clock import database_now
from ghl_sync.engine.session import Session
from ghl_sync.models import Link, Location
from ghl_sync.sandbox.server import Recorded, Sandbox
from tests.chaos.inside import leases_run_out

SECONDS = 60.0  # a busy machine


def come_to_rest() -> None:
    """Push until nothing is due. Waits that GHL_WAIT_SCALE shortens pass by themselves, leases and retries at once."""
    ends = time.monotonic() + SECONDS
    leases_run_out()
    while Link.objects.due().exists():
        assert time.monotonic() < ends, f"not at rest: {waiting()}"
        past = database_now()
        Link.objects.filter(next_attempt_at__isnull=False).update(next_attempt_at=None)
        Link.objects.filter(held_until__isnull=False).update(held_until=past)
        Location.objects.filter(held_until__isnull=False).update(held_until=None)
        due.run_due(Session())
        time.sleep(0.05)


def waiting() -> list[dict[str, Any]]:
    return list(Link.objects.due().values("kind", "object_id", "waits_for", "last_error", "remote_id"))


def quiet(sandbox: Sandbox) -> list[Recorded]:
    """The writes of a second run in a row: none, if all is well."""
    sandbox.requests.clear()
    due.run_due(Session())
    return sandbox.writes()


def names(sandbox: Sandbox, pipeline: str = "TripBooking") -> list[str]:
    return sorted(card.name for card in sandbox.opportunities(pipeline))


def posts(sandbox: Sandbox, path: str = "/opportunities/") -> int:
    """How many creates were carried out."""
    return sum(one.method == "POST" and one.path == path for one in sandbox.requests)


def know_the_limit(sandbox: Sandbox) -> None:
    """As if an earlier answer had told it; otherwise the first calls keep to the usual one."""
    location = Session().location
    limits = {"rate_max": sandbox.limit.rate_max, "rate_interval_ms": sandbox.limit.interval_ms}
    Location.objects.filter(pk=location.pk).update(**limits)
