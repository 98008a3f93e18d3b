"""A client at the sandbox, without a database."""

from __future__ import annotations

import pytest

from ghl_sync.client import GHLClient
from ghl_sync.sandbox.server import Sandbox


def client_of(sandbox: Sandbox, **values: object) -> GHLClient:
    given = {"token": sandbox.token, "location_id": sandbox.store.location_id, "base_url": sandbox.url, "timeout": 5.0}
    return GHLClient(**{**given, **values})  # type: ignore[arg-type]


@pytest.fixture
def client(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> GHLClient:
    monkeypatch.setattr("ghl_sync.client.transport.random.uniform", lambda low, high: 0.0)
    return client_of(sandbox)
