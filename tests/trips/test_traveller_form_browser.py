"""A traveller fills in the whole form on a phone 360 px wide; staff take it over by a key. axe looks at every page."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.factories import ContactFactory, PassengerFactory, TripFactory
from tests.trips.papers.conftest import PNG, private_folder  # noqa: F401 - the fixture
from tests.trips.test_accessibility_browser import grave
from tests.trips.test_browser import page  # noqa: F401 - the fixture
from trips.models import Passenger, TravellerForm

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
NARROW = {"width": 360, "height": 740}


def looked_at(tab: Page, name: str) -> None:
    """Nothing wider than the phone, nothing that axe calls serious, light or dark."""
    for scheme in ("light", "dark"):
        tab.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
        assert grave(tab, Axe()) == [], f"{name} {scheme}"
        if folder := os.environ.get("SCREENSHOTS"):
            tab.screenshot(path=Path(folder) / f"{name}-{scheme}.png", full_page=True)
    tab.emulate_media(color_scheme="light")


@pytest.mark.usefixtures("private_folder")
def test_a_form_is_filled_in_on_a_phone_and_taken_over_by_a_key(page: Page, settings: Any) -> None:  # noqa: F811
    settings.TRAVELLER_LINKS = settings.TRAVELLER_UPLOADS = True
    trip = TripFactory(name="Baracoa", start_date=dt.date.today() + dt.timedelta(days=60), end_date=None)
    contact = ContactFactory(first_name="Greta", last_name="Ortiz")
    greta = PassengerFactory(trip=trip, contact=contact, date_of_birth=None)
    page.goto(f"/trips/passenger/{greta.pk}/change/")
    page.get_by_role("link", name="Traveller form", exact=True).first.click()
    page.get_by_role("button", name="Make a link").click()
    link = page.get_by_label("Link", exact=True).input_value()
    assert grave(page, Axe()) == []
    page.get_by_role("button", name="Copy").click()
    expect(page.locator("[data-copied]")).not_to_be_empty()
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=Path(folder) / "panel.png", full_page=True)
        page.set_viewport_size(NARROW)
        page.screenshot(path=Path(folder) / "panel-360.png", full_page=True)
        page.set_viewport_size({"width": 1400, "height": 900})

    phone = page.context.browser.new_context(viewport=NARROW, base_url=page.url).new_page()  # type: ignore[union-attr]
    phone.set_default_timeout(20_000)
    urls: list[str] = []
    phone.on("request", lambda request: urls.append(request.url))
    phone.goto(link)
    expect(phone.get_by_role("heading", name="Your details")).to_be_visible()
    looked_at(phone, "details")
    phone.get_by_label("What shall we call you?").fill("Gretl")
    phone.get_by_role("button", name="Save and continue").click()
    expect(phone.get_by_role("alert")).to_be_visible()
    expect(phone.get_by_label("What shall we call you?")).to_have_value("Gretl")
    looked_at(phone, "details-wrong")
    phone.get_by_label("Date of birth").fill("1980-05-17")
    phone.get_by_label("Sex").select_option(label="Female")
    phone.get_by_role("button", name="Save and continue").click()

    expect(phone.get_by_role("heading", name="Passport")).to_be_visible()
    phone.get_by_label("Passport number").fill("K7770123")
    phone.get_by_label("Expires on").fill("2039-01-31")
    phone.get_by_label("Country that issued it").fill("Austria")
    looked_at(phone, "passport")
    phone.get_by_role("button", name="Save and continue").click()

    phone.get_by_role("link", name="Back").click()
    expect(phone.get_by_label("Leave it as I typed it: Passport whose number ends 123")).to_be_checked()
    expect(phone.get_by_label("Passport number")).to_be_hidden()
    looked_at(phone, "passport-kept")
    phone.get_by_label("I type it anew").check()
    expect(phone.get_by_label("Passport number")).to_be_empty()
    phone.get_by_label("Leave it as I typed it").check()
    phone.get_by_role("button", name="Save and continue").click()

    expect(phone.get_by_role("heading", name="Health and diet")).to_be_visible()
    phone.get_by_label("Allergies").fill("Peanuts")
    looked_at(phone, "health")
    phone.get_by_role("button", name="Save and continue").click()

    expect(phone.get_by_role("heading", name="Emergency contacts")).to_be_visible()
    first = phone.get_by_role("group", name="Call first")
    for label, value in (("First name", "Kim"), ("Last name", "Lind"), ("What they are to you", "Sister")):
        first.get_by_label(label).fill(value)
    first.get_by_label("Mobile").fill("+12025550142")
    looked_at(phone, "emergency")
    phone.get_by_role("button", name="Save and continue").click()

    expect(phone.get_by_role("heading", name="Documents")).to_be_visible()
    looked_at(phone, "documents")
    scan = {"name": "scan.png", "mimeType": "image/png", "buffer": PNG}
    phone.get_by_label("File or photo").set_input_files(scan)  # type: ignore[arg-type]
    phone.get_by_role("button", name="Send this file").click()
    expect(phone.get_by_text("scan.png")).to_be_visible()
    phone.get_by_role("button", name="Continue", exact=True).click()

    expect(phone.get_by_role("heading", name="Read and sign")).to_be_visible()
    looked_at(phone, "sign")
    phone.get_by_label("I mean my name below as my signature").check()
    phone.get_by_label("Your full name").fill("Greta Ortiz")
    phone.get_by_role("button", name="Sign and send in").click()
    expect(phone.get_by_role("heading", name="This form was sent in")).to_be_visible()
    looked_at(phone, "sent")
    secret = link.partition("#")[2]
    assert not [url for url in urls if secret in url.partition("#")[0]]
    assert Passenger.objects.get().preferred_name == ""
    phone.goto(link)
    expect(phone.get_by_role("heading", name="This form was sent in")).to_be_visible()
    phone.goto("/form/#nonsense")
    expect(phone.get_by_role("heading", name="This link does not work")).to_be_visible()

    page.goto("/")
    page.get_by_role("link", name="Forms to review").click()
    expect(page.get_by_role("link", name="Greta Ortiz")).to_be_visible()
    assert grave(page, Axe()) == []
    page.get_by_role("link", name="Review", exact=True).click()
    expect(page.get_by_text("Peanuts")).to_be_visible()
    for mode in ("light", "dark"):
        page.evaluate("dark => document.documentElement.classList.toggle('dark', dark)", mode == "dark")
        assert grave(page, Axe()) == [], mode
        if folder := os.environ.get("SCREENSHOTS"):
            page.screenshot(path=Path(folder) / f"review-{mode}.png", full_page=True)
    page.set_viewport_size(NARROW)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=Path(folder) / "review-360.png", full_page=True)
    page.set_viewport_size({"width": 1400, "height": 900})
    page.keyboard.press("y")

    expect(page.get_by_text("Greta Ortiz: taken over.")).to_be_visible()
    taken = Passenger.objects.get()
    assert (taken.preferred_name, taken.sex, taken.passport.number, taken.health.allergies) == (
        "Gretl",
        "F",
        "K7770123",
        "Peanuts",
    )
    assert TravellerForm.objects.get().state == "accepted"
    assert taken.documents.get().state == "received"
