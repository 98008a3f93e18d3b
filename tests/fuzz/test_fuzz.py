from __future__ import annotations

import pytest
from django.test import Client

from tests.fuzz.requests import routes
from tests.fuzz.world import World, errors

pytestmark = pytest.mark.django_db


def test_every_address_is_sent_to() -> None:
    found = routes()

    assert len(found) > 250
    assert {"login/", "form/<uuid:uid>/sign/", "ghl/webhook/", "trips/trip/<path:object_id>/change/"} <= set(found)


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("/trips/licence/%20/history/", 404),
        ("/trips/payment/AAA/", 404),
        ("/trips/passenger/1e999/to-timeline/", 404),
        ("/trips/passenger/[]/to-documents/", 404),
        ("/trips/trip/%2500/copy-it/", 404),
        ("/trips/trip/-1/reports/", 404),
        ("/trips/vendor/export/?synced_at=1", 302),
    ],
)
def test_what_random_requests_found(admin_client: Client, address: str, status: int) -> None:
    assert admin_client.get(address).status_code == status


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", [1])
def test_no_request_is_answered_with_a_500(seed: int, caplog: pytest.LogCaptureFixture, settings: object) -> None:
    caplog.set_level("CRITICAL")
    settings.TRAVELLER_LINKS = True  # type: ignore[attr-defined]
    world = World()

    assert errors(world, world.chance(seed), 200) == []
