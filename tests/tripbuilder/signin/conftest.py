from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from tests.factories import StaffFactory
from tests.tripbuilder.signin.hands import set_up


@pytest.fixture
def required(settings: Any) -> None:
    settings.SECOND_FACTOR = "required"


@pytest.fixture
def ada(db: None) -> Any:
    return StaffFactory(username="ada", permissions=["trips.view_vendor"])


@pytest.fixture
def boss(db: None) -> Any:
    return StaffFactory(username="boss", is_superuser=True)


@pytest.fixture
def with_app(ada: Any) -> list[str]:
    """Ada has an app; her recovery codes."""
    return set_up(ada)


@pytest.fixture
def other_browser() -> Client:
    return Client(HTTP_USER_AGENT="Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) Version/19.0 Safari/604.1")
