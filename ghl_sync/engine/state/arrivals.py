"""What came from GoHighLevel into a record: one row each time local values were applied."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from ghl_sync.engine.clock import database_now
from ghl_sync.models import Arrival, Link, WebhookEvent

# A webhook this young is why the record was looked at.
HINT = dt.timedelta(minutes=5)


def record_arrival(link: Link, via: str, values: Mapping[str, Any]) -> None:
    """Keep which values came in, sealed where they are sensitive; a look that a webhook asked for counts as one."""
    if via == Arrival.Via.LOOK and link.remote_dirty_at is not None and _hinted(link):
        via = Arrival.Via.WEBHOOK
    Arrival.objects.create(link=link, via=via, values=dict(values))


def _hinted(link: Link) -> bool:
    recent = WebhookEvent.objects.filter(received_at__gte=database_now() - HINT, record_id=link.remote_id)
    return recent.exists()
