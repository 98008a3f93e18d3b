"""Workflow 3 in a real browser, "Put 24 people on it": its clicks and keystrokes are counted and printed."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.factories import ContactFactory, TripFactory
from tests.hands import Hands
from tests.trips.test_browser import page  # noqa: F401 - the fixture
from trips.models import Batch, Contact, Passenger

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
PHONE = {"width": 360, "height": 740}
KNOWN, NEW = 18, 5


def shot(tab: Page, name: str) -> None:
    """A picture for whoever looks at the pages: TRIPBUILDER_SHOTS names the folder."""
    if folder := os.environ.get("TRIPBUILDER_SHOTS"):
        tab.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


def people() -> str:
    known = [ContactFactory(first_name=f"Known-{n}", last_name="Almqvist") for n in range(KNOWN)]
    ContactFactory(first_name="Greta", last_name="Ortiz", email="greta@example.com")
    lines = [f"{one.first_name}\t{one.last_name}\t{one.email}\t1980-05-17" for one in known]
    lines += [f"New-{n}\tBaptiste\tnew{n}@example.com\t{n + 1} May 1980" for n in range(NEW)]
    lines.append("Greta\tOrtiz\tgreta.ortiz@example.com\t1990-01-02")
    return "\n".join(["Given\tFamily\tMail address\tBorn", *lines])


def test_workflow_3_puts_24_people_on_a_trip(page: Page) -> None:  # noqa: F811
    trip = TripFactory(name="Baracoa", capacity=30)
    text = people()
    hand = Hands(page)
    page.goto(f"/trips/trip/{trip.pk}/change/")

    hand.click(page.get_by_role("link", name="Import passengers"))
    expect(page.locator("#import-text")).to_be_focused()
    hand.paste(text)
    shot(page, "upload")
    hand.click(page.get_by_role("button", name="Continue"))
    hand.choose("Given", "Legal first name")
    hand.choose("Family", "Legal last name")
    hand.choose("Mail address", "E-mail")
    expect(page.get_by_label("Born", exact=True)).to_have_value("Date of birth")
    shot(page, "columns")
    hand.click(page.get_by_role("button", name="Preview"))
    expect(page.locator("[data-people]")).to_have_text(f"People: {KNOWN} known, {NEW} new, 1 suspected twin.")
    shot(page, "preview")
    hand.click(page.get_by_label("Greta Ortiz"))
    hand.click(page.get_by_role("button", name="Import 23 rows"))
    expect(page.get_by_text("24 rows were taken.")).to_be_visible()
    shot(page, "result")
    first = (hand.clicks, hand.keys)
    assert (trip.passengers.count(), Contact.objects.count()) == (24, KNOWN + NEW + 2)

    # The next file with these headers needs no mapping.
    hand = Hands(page)
    hand.click(page.get_by_role("link", name="Another file"))
    expect(page.locator("#import-text")).to_be_focused()
    hand.paste(text)
    hand.click(page.get_by_role("button", name="Continue"))
    expect(page.get_by_text("There is nothing to import.")).to_be_visible()
    again = (hand.clicks, hand.keys)

    # And the whole of it goes again.
    hand = Hands(page)
    page.goto(f"/trips/batch/{Batch.objects.get().pk}/change/")
    shot(page, "batch")
    hand.click(page.get_by_role("link", name="Undo", exact=True))
    shot(page, "undo")
    hand.click(page.get_by_role("button", name="Undo", exact=True))
    expect(page.get_by_text("30 rows were put back.")).to_be_visible()
    shot(page, "undone")
    assert (Passenger.objects.count(), Contact.objects.count()) == (0, KNOWN + 1)
    sys.stdout.write(
        f"\nWorkflow 3: {first[0]} clicks and {first[1]} keystroke, {again[0]} clicks and {again[1]} keystroke where "
        f"the columns are known; the undo {hand.clicks} clicks.\n"
    )
    assert (first, again, (hand.clicks, hand.keys)) == ((11, 1), (2, 1), (2, 0))


def test_import_fits_a_phone(page: Page) -> None:  # noqa: F811
    trip = TripFactory(name="Baracoa", capacity=30)
    text = people()
    page.set_viewport_size(PHONE)
    page.goto(f"/trips/passenger/import/?trip={trip.pk}")
    page.locator("#import-text").fill(text)

    for step, button in (("upload", "Continue"), ("columns", "Preview"), ("preview", "")):
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), step
        shot(page, f"phone-{step}")
        if step == "columns":
            page.get_by_label("Family", exact=True).select_option(label="Legal last name")
            page.get_by_label("Given", exact=True).select_option(label="Legal first name")
        if button:
            page.get_by_role("button", name=button).click()
    page.goto("/trips/passenger/export/")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    shot(page, "phone-export")
