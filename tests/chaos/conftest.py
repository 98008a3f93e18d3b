"""The far side of the random runs: the sandbox with a limit, and waits that pass a hundred times as fast."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ghl_sync.engine.session import Session
from ghl_sync.sandbox.server import Sandbox
from tests import openapi
from tests.chaos.rest import know_the_limit

# A limit that bursts of the runs do meet.
RATE_MAX, INTERVAL_MS = 500, 2_000
SCALE, TIMEOUT = 0.01, 0.5


@pytest.fixture
def connected(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """A sandbox that the product mirrors to; reads are not repeated, so that each fault is met."""
    monkeypatch.setattr("ghl_sync.client.transport.READ_TRIES", 1)
    with Sandbox(rate_max=RATE_MAX, interval_ms=INTERVAL_MS) as sandbox, openapi.watched(sandbox):
        settings.GHL_API_TOKEN = sandbox.token
        settings.GHL_LOCATION_ID = sandbox.store.location_id
        settings.GHL_API_BASE_URL = sandbox.url
        settings.GHL_MIRROR_SENSITIVE = "both"
        settings.GHL_WAIT_SCALE = SCALE
        settings.GHL_TIMEOUT_SECONDS = TIMEOUT
        settings.GHL_DELETE_HOLD_SECONDS = 600
        settings.GHL_WEBHOOK_PUBLIC_KEYS = [sandbox.hooks.public_key]
        settings.GHL_DELETE_HOLD_SECONDS = 0
        yield sandbox


@pytest.fixture
def session(connected: Sandbox, db: None) -> Session:
    """A session with the account's definitions already cached, as in daily use."""
    know_the_limit(connected)
    fresh = Session()
    fresh.refresh_definitions()
    connected.requests.clear()
    return fresh
