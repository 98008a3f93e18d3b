"""The conflict desk in a real browser, with the CRM's stand-in on the other side and a queue between them."""

from __future__ import annotations

import datetime as dt
import io
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connections
from django.utils import timezone
from playwright.sync_api import Page, expect, sync_playwright

from ghl_sync.engine import due, state
from ghl_sync.engine.session import Session
from ghl_sync.models import Change, Conflict
from ghl_sync.sandbox.server import Sandbox
from tests.clusters import running
from tests.factories import ContactFactory, StaffFactory, TripFactory
from tests.ghl_sync.engine.mirror import custom, link_of
from trips.models import Trip

pytestmark = [pytest.mark.browser, pytest.mark.cluster, pytest.mark.django_db(transaction=True)]

SLOW = 20_000
NARROW = {"width": 360, "height": 800}
DESK = "/ghl_sync/conflict/"


@pytest.fixture
def disputed(session: Session, connected: Sandbox) -> list[Trip]:
    """Three trips whose description and capacity both sides changed an hour ago."""
    trips = TripFactory.create_batch(3, description="Old", capacity=10, organiser=ContactFactory())
    due.run_due(session)
    for trip in trips:
        trip.description, trip.capacity = "Ours", 11
        trip.save()
        connected.edit(link_of(trip).remote_id, fields={"trip_description": "Theirs", "max_passengers": 12})
    Change.objects.update(at=timezone.now() - dt.timedelta(hours=1))
    state.mark_dirty([link_of(trip).pk for trip in trips])
    due.run_due(Session())
    assert Conflict.objects.filter(resolved_at=None).count() == 6
    return trips


@pytest.fixture
def page(
    disputed: list[Trip], chromium: str, client: Any, monkeypatch: pytest.MonkeyPatch, live_server: Any, tmp_path: Path
) -> Iterator[Page]:
    """A tab on the product as an administrator, with its queue running."""
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")  # playwright keeps an event loop in this thread
    client.force_login(StaffFactory(username="ada", is_superuser=True))
    cookie = {"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}
    with running(tmp_path / "cluster.log"), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        context = browser.new_context(viewport={"width": 1280, "height": 900}, base_url=live_server.url)
        context.add_cookies([cookie])  # type: ignore[list-item]
        tab = context.new_page()
        tab.set_default_timeout(SLOW)
        yield tab
        browser.close()
        connections.close_all()  # under the event loop the test had connections of its own


def settled(reached: Callable[[], bool]) -> None:
    """Wait until the queue has done its work."""
    ends = time.monotonic() + SLOW / 1000
    while not reached():
        assert time.monotonic() < ends, "the queue did not come to rest"
        time.sleep(0.1)


def pushed(reached: Callable[[], bool]) -> None:
    """Send what is due and wait for it: the queue beside this test may hold the record just then."""
    call_command("push_ghl", stderr=io.StringIO(), stdout=io.StringIO())
    settled(reached)


def both_sides(trip: Trip, sandbox: Sandbox) -> list[tuple[Any, Any]]:
    trip.refresh_from_db()
    there = custom(sandbox, trip)
    return [(trip.description, there["trip_description"]), (trip.capacity, there["max_passengers"])]


def test_conflicts_are_decided_by_keyboard_and_what_lost_is_put_back(
    page: Page, disputed: list[Trip], connected: Sandbox
) -> None:
    trip = disputed[0]
    page.goto(f"{DESK}record/{link_of(trip).pk}/")
    page.keyboard.press("?")
    expect(page.get_by_role("heading", name="Keys")).to_be_visible()
    page.keyboard.press("Escape")

    # Capacity comes first: ours; then the description: theirs.
    page.keyboard.press("o")
    page.keyboard.press("j")
    page.keyboard.press("t")
    page.keyboard.press("Enter")

    expect(page.get_by_text("2 conflicts are decided")).to_be_visible(timeout=SLOW)
    expect(page.get_by_text("No open conflict")).to_be_visible(timeout=SLOW)
    assert both_sides(trip, connected) == [("Theirs", "Theirs"), (11, 11)]

    page.get_by_role("button", name="Put back “Ours”").click()
    expect(page.get_by_text("Put back: description of")).to_be_visible(timeout=SLOW)
    pushed(lambda: both_sides(trip, connected) == [("Ours", "Ours"), (11, 11)])
    assert trip.history.first().history_user.username == "ada"


def test_many_conflicts_are_decided_from_the_list(page: Page, disputed: list[Trip], connected: Sandbox) -> None:
    page.goto(DESK)
    page.keyboard.press("?")
    expect(page.get_by_text("select it, or not")).to_be_visible()
    page.keyboard.press("?")
    page.keyboard.press("j")
    page.keyboard.press("x")
    page.locator(".action-select").last.check()
    page.keyboard.press("t")
    expect(page.get_by_text("GoHighLevel’s value is kept in 2 conflicts of 2 records.")).to_be_visible()
    page.keyboard.press("Enter")

    expect(page.get_by_text("2 conflicts are decided")).to_be_visible(timeout=SLOW)
    settled(lambda: Conflict.objects.filter(outcome="theirs").count() == 2)
    assert Conflict.objects.filter(resolved_at=None).count() == 4


def test_the_desk_fits_a_phone(page: Page, disputed: list[Trip]) -> None:
    page.set_viewport_size(NARROW)  # type: ignore[arg-type]
    for path in (DESK, f"{DESK}record/{link_of(disputed[1]).pk}/", "/ghl_sync/fieldrule/"):
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth + 1"), path


def test_a_rule_is_found_and_set_by_keyboard(page: Page, disputed: list[Trip], connected: Sandbox) -> None:
    page.goto("/ghl_sync/fieldrule/")
    page.keyboard.press("/")
    page.keyboard.type("max_passengers")
    expect(page.locator("[data-rules-row]:visible")).to_have_count(1)
    page.get_by_label("Who wins for Capacity").select_option("theirs")
    expect(page.get_by_text("1 changed, not saved yet")).to_be_visible()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("1 rule is in force")).to_be_visible(timeout=SLOW)

    # What was open about the capacity is decided by it.
    settled(lambda: not Conflict.objects.filter(field="capacity", resolved_at=None).exists())
    pushed(lambda: [both_sides(trip, connected)[1] for trip in disputed] == [(12, 12)] * 3)
