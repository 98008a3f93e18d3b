"""Staff who may have some reports and not others, and a trip with people whose names are not plain ASCII."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from tests import factories
from trips.models import Trip

PEOPLE = ("trips.view_trip", "trips.view_passenger")


@pytest.fixture
def clerk(client: Client) -> Callable[..., Client]:
    """Logs in somebody who may see trips, passengers and what is named beside."""

    def log_in(*names: str, **values: Any) -> Client:
        client.force_login(factories.StaffFactory(permissions=[*PEOPLE, *names], **values))
        return client

    return log_in


@pytest.fixture
def baracoa() -> Trip:
    return factories.TripFactory(
        name="Baracoa", destination="Cuba", start_date=dt.date(2027, 3, 1), end_date=dt.date(2027, 3, 8)
    )


def traveller(trip: Trip, first: str, last: str, **values: Any) -> Any:
    return factories.PassengerFactory(trip=trip, legal_first_name=first, legal_last_name=last, **values)
