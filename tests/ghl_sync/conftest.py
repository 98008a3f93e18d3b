"""The tests' far side: a running stand-in, and settings that point at it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ghl_sync.engine.session import Session
from ghl_sync.sandbox.server import Sandbox
from tests import openapi

NO_LIMIT = 100_000


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """An empty account with every field of ours, on a free port, without a rate limit.

    What our client asks of it must be what GoHighLevel's official files allow (`tests.openapi`).
    """
    with Sandbox(rate_max=NO_LIMIT) as running, openapi.watched(running):
        yield running


@pytest.fixture
def connected(sandbox: Sandbox, settings: Any) -> Sandbox:
    """The sandbox, with the product set up to mirror to it; waits take a hundredth of their time."""
    settings.GHL_API_TOKEN = sandbox.token
    settings.GHL_LOCATION_ID = sandbox.store.location_id
    settings.GHL_API_BASE_URL = sandbox.url
    settings.GHL_MIRROR_SENSITIVE = "both"
    settings.GHL_WAIT_SCALE = 0.01
    settings.GHL_TIMEOUT_SECONDS = 5
    settings.GHL_CALLS_IN_FLIGHT = 1  # one record after the other, so that a test can tell their order
    settings.GHL_DELETE_HOLD_SECONDS = 0
    return sandbox


@pytest.fixture
def session(connected: Sandbox, db: None) -> Session:
    """A session with the account's definitions already cached, as in daily use."""
    fresh = Session()
    fresh.refresh_definitions()
    connected.requests.clear()
    return fresh
