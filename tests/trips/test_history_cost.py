"""What the change history costs a save."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests import factories


@pytest.mark.django_db
@pytest.mark.parametrize(
    "make",
    [
        factories.TripFactory,
        factories.ContactFactory,
        factories.PassengerFactory,
        factories.VendorFactory,
        factories.DocumentFactory,
        factories.PaymentFactory,
    ],
)
def test_history_costs_a_save_two_queries_at_most(make):
    row = make()

    with CaptureQueriesContext(
        connection,
    ) as made:
        row.save()

    assert 1 <= sum("historical" in query["sql"] for query in made.captured_queries) <= 2
