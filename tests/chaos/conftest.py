"""The far side of the random runs: the sandbox with a short patience, so that a run of many steps takes seconds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ghl_sync.sandbox.server import Sandbox
from tests import openapi

NO_LIMIT = 100_000


@pytest.fixture
def connected(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """A sandbox that the product mirrors to; waits take a hundredth of their time, reads are not repeated."""
    monkeypatch.setattr("ghl_sync.client.transport.READ_TRIES", 1)
    with Sandbox(rate_max=NO_LIMIT) as sandbox, openapi.watched(sandbox):
        settings.GHL_API_TOKEN = sandbox.token
        settings.GHL_LOCATION_ID = sandbox.store.location_id
        settings.GHL_API_BASE_URL = sandbox.url
        settings.GHL_MIRROR_SENSITIVE = "both"
        settings.GHL_WAIT_SCALE = 0.01
        settings.GHL_TIMEOUT_SECONDS = 0.5
        yield sandbox
