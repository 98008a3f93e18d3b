"""The promise of the product in a real browser: the admin here, the CRM's board there, a queue between them."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connections
from playwright.sync_api import Page, expect, sync_playwright

from ghl_sync.engine.session import Session
from ghl_sync.models import Link
from ghl_sync.sandbox.server import Sandbox
from tests.clusters import running
from tests.factories import PASSWORD, ContactFactory, StaffFactory
from trips.models import Trip

pytestmark = [pytest.mark.browser, pytest.mark.cluster, pytest.mark.django_db(transaction=True)]

SLOW = 20_000
PHONE = {"width": 390, "height": 844}


@pytest.fixture
def page(
    chromium: str, monkeypatch: pytest.MonkeyPatch, live_server: Any, session: Session, tmp_path: Path
) -> Iterator[Page]:
    """A tab on the product, with its queue running and an administrator who can log in."""
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")  # playwright keeps an event loop in this thread
    StaffFactory(username="ada", is_superuser=True)
    with running(tmp_path / "cluster.log"), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        context = browser.new_context(viewport={"width": 1360, "height": 900}, base_url=live_server.url)
        tab = context.new_page()
        tab.set_default_timeout(SLOW)
        yield tab
        browser.close()
        connections.close_all()  # under the event loop the test had connections of its own


def log_in(page: Page) -> None:
    page.goto("/")
    page.get_by_label("Username").fill("ada")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()


def test_a_trip_goes_there_comes_back_and_goes_away(page: Page, connected: Sandbox) -> None:
    organiser = ContactFactory(first_name="Ines", last_name="Prado")
    log_in(page)

    # Add a trip, as staff do.
    page.goto("/trips/trip/add/")
    page.locator("input[name=name]").fill("Fjords by ship")
    page.locator("input[name=capacity]").fill("12")
    page.locator(".field-organiser .select2-selection, #id_organiser + .select2 .select2-selection").first.click()
    page.locator(".select2-search__field").last.fill("Prado")
    page.locator(".select2-results__option", has_text="Ines Prado").click()
    page.get_by_role("button", name="Save and continue editing").click()
    expect(page.get_by_text("GoHighLevel follows")).to_be_visible()

    # The badge turns by itself, and the card stands on the board.
    panel = page.locator(".sync-panel")
    expect(panel.locator("[data-sync-part=badge]")).to_contain_text(re.compile("Synced", re.IGNORECASE), timeout=SLOW)
    trip = Trip.objects.get(name="Fjords by ship")
    assert trip.organiser == organiser
    link = Link.objects.for_object(trip)
    assert link is not None
    board = page.context.new_page()
    board.goto(connected.url)
    card = board.locator(f"#card-{link.remote_id}")
    expect(card).to_contain_text("Fjords by ship")

    # A CRM user edits the card; a pull brings it back.
    card.click()
    editor = board.locator("form#card-editor")
    editor.locator("[name=max_passengers]").fill("15")
    board.get_by_role("button", name="Save").click()
    expect(board.locator("#editor")).to_be_hidden()
    page.goto("/")
    call_command("pull_ghl", no_progress=True, stderr=io.StringIO())
    page.goto(f"/trips/trip/{trip.pk}/change/")
    expect(page.locator("input[name=capacity]")).to_have_value("15")

    # Deleted here, gone there.
    page.goto(f"/trips/trip/{trip.pk}/delete/")
    page.get_by_label("Type the trip’s name").fill("Fjords by ship")
    page.locator("form input[type=submit], form button[type=submit]").last.click()
    expect(card).to_have_count(0, timeout=SLOW)
    assert connected.opportunities("TripBooking") == []


def test_an_edit_shows_on_the_open_board_within_moments(page: Page, connected: Sandbox) -> None:
    trip = Trip.objects.create(name="Old name", organiser=ContactFactory())
    board = page.context.new_page()
    board.goto(connected.url)
    expect(board.get_by_text("Old name").first).to_be_visible(timeout=SLOW)
    log_in(page)
    page.goto(f"/trips/trip/{trip.pk}/change/")
    page.locator("input[name=name]").fill("New name")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(board.get_by_text("New name").first).to_be_visible(timeout=SLOW)


def test_what_changed_meanwhile_is_shown_and_not_overwritten(page: Page, connected: Sandbox) -> None:
    trip = Trip.objects.create(name="Fjords", capacity=10, organiser=ContactFactory())
    log_in(page)
    page.goto(f"/trips/trip/{trip.pk}/change/")
    Trip.objects.filter(pk=trip.pk).update(capacity=11)
    page.locator("input[name=capacity]").fill("12")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text(re.compile("changed meanwhile to .*11.* in GoHighLevel", re.IGNORECASE))).to_be_visible()
    trip.refresh_from_db()
    assert trip.capacity == 11


def test_pages_fit_a_phone(page: Page) -> None:
    Trip.objects.create(name="A trip with a rather long name, for the whole family", organiser=ContactFactory())
    log_in(page)
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    too_wide = []
    for path in ("/", "/trips/trip/", "/trips/passenger/", "/trips/contact/", "/trips/trip/add/"):
        page.goto(path)
        if page.evaluate("document.documentElement.scrollWidth > window.innerWidth + 1"):
            too_wide.append(path)
    assert too_wide == []


def test_a_delete_is_taken_back(page: Page, connected: Sandbox, settings: Any) -> None:
    settings.GHL_DELETE_HOLD_SECONDS = 60_000  # times a hundredth
    trip = Trip.objects.create(name="Fjords by ship", capacity=12, organiser=ContactFactory())
    log_in(page)
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    page.goto(f"/trips/trip/{trip.pk}/delete/")
    page.get_by_role("button", name="Yes").click()
    expect(page.locator("#typed:invalid")).to_be_visible()  # nothing typed, nothing deleted
    page.get_by_label("Type the trip’s name").fill("fjords by ship")
    page.keyboard.press("Enter")
    expect(page.get_by_text("is deleted here")).to_be_visible()
    assert not Trip.objects.exists()

    page.goto("/ghl_sync/link/deleted/")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth + 1")
    page.get_by_role("button", name="Undo", exact=True).click()

    expect(page.get_by_text("is back, with everything that belonged to it")).to_be_visible()
    expect(page.locator("input[name=capacity]")).to_have_value("12")
    assert Trip.objects.get() == trip
