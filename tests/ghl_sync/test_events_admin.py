"""The list of webhooks: what came and what became of it, for whoever may look, without what they say of people."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from ghl_sync.models import Link, WebhookEvent, WebhookRefusal
from tests.factories import StaffFactory, TripFactory

pytestmark = pytest.mark.django_db

LIST = "admin:ghl_sync_webhookevent_changelist"


@pytest.fixture
def account(settings: Any) -> None:
    settings.GHL_API_TOKEN, settings.GHL_LOCATION_ID = "token-of-tests", "loc1"


def event(number: int, record_id: str = "", **values: Any) -> WebhookEvent:
    return WebhookEvent.objects.create(
        delivery_id=f"delivery-{number}", kind="OpportunityUpdate", record_kind="opportunity",
        record_id=record_id or f"remote-{number}", body='{"name": "Ines Prado"}', **values,
    )  # fmt: skip


def linked_trip(number: int) -> None:
    trip = TripFactory(name=f"Fjords {number}")
    Link.objects.filter(kind="trip", object_id=trip.pk).update(remote_id=f"remote-{number}", location_id="loc1")


@pytest.mark.parametrize("rows", [1, 3])
def test_the_list_costs_the_same_for_any_number_of_rows(
    admin_client: Any, account: None, django_assert_num_queries: Any, rows: int
) -> None:
    for number in range(rows):
        linked_trip(number)
        event(number, outcome="compared", handled_at=timezone.now())
    admin_client.get(reverse(LIST))

    with django_assert_num_queries(10):
        page = admin_client.get(reverse(LIST))

    assert page.context["cl"].result_count == rows
    assert "Fjords 0" in page.content.decode()


def test_neither_list_nor_page_show_what_the_webhook_said(admin_client: Any, account: None) -> None:
    one = event(1)
    pages = [
        admin_client.get(address).content.decode()
        for address in (reverse(LIST), reverse("admin:ghl_sync_webhookevent_change", args=[one.pk]))
    ]
    assert ["remote-1" in page for page in pages] == [True, True]
    assert ["Prado" in page for page in pages] == [False, False]


def test_what_was_turned_away_stands_above_the_list(admin_client: Any, account: None) -> None:
    for reason, count in (("unsigned", 2), ("wrong", 5)):
        WebhookRefusal.objects.create(day=timezone.now().date(), reason=reason, count=count)
    page = admin_client.get(reverse(LIST)).content.decode()
    assert "Turned away in the last 30 days: 5 with a wrong signature and 2 without a signature; the last one" in page


def test_only_who_may_view_webhooks_sees_them(client: Any, account: None) -> None:
    client.force_login(StaffFactory(permissions=["trips.view_trip"]))
    assert client.get(reverse(LIST)).status_code == 403
    client.force_login(StaffFactory(permissions=["ghl_sync.view_webhookevent"]))
    event(1)
    page = client.get(reverse(LIST))
    assert (page.status_code, page.context["cl"].result_count) == (200, 1)
    assert client.post(reverse("admin:ghl_sync_webhookevent_add")).status_code == 403
