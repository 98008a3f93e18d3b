"""The pages of the sign-in in a real browser: by keyboard, on a phone, light and dark, and past axe-core."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.db import connections
from playwright.sync_api import Page, expect, sync_playwright

from tests.factories import PASSWORD, StaffFactory
from tests.tripbuilder.signin.hands import code_of
from tests.trips.test_accessibility_browser import grave

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
SHOTS = os.environ.get("SHOTS", "")  # a folder for pictures of each page, to look at


@pytest.fixture
def page(chromium: str, monkeypatch: pytest.MonkeyPatch, live_server: Any, settings: Any) -> Iterator[Page]:
    """A phone, at the sign-in."""
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")  # playwright keeps an event loop in this thread
    settings.SECOND_FACTOR = "required"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        tab = browser.new_context(viewport={"width": 360, "height": 740}, base_url=live_server.url).new_page()
        tab.set_default_timeout(20_000)
        tab.goto("/trips/vendor/")
        expect(tab.get_by_label("Username")).to_be_focused()
        yield tab
        browser.close()
        connections.close_all()  # under the event loop the test had connections of its own


def judge(page: Page, name: str, found: dict[str, Any]) -> None:
    """Light and dark; and that nothing is wider than the screen."""
    axe = Axe()
    for mode in ("light", "dark"):
        page.evaluate("dark => document.documentElement.classList.toggle('dark', dark)", mode == "dark")
        if trouble := grave(page, axe):
            found[f"{name} {mode}"] = trouble
        if shots := SHOTS:
            page.screenshot(path=f"{shots}/{name}-{mode}.png", full_page=True)
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    if wide > 0:
        found[f"{name} is wider than the screen"] = wide


def test_from_the_password_to_the_recovery_codes_and_back_by_keyboard(page: Page) -> None:
    ada, found = StaffFactory(username="ada", is_superuser=True), {}
    page.keyboard.type("ada")
    page.keyboard.press("Tab")
    page.keyboard.type("wrong password")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Name and password do not fit each other.")).to_be_visible()
    judge(page, "wrong-password", found)

    page.get_by_label("Username").fill("ada")
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Set up the second factor")).to_be_visible()
    expect(page.locator(".signin-picture svg")).to_be_visible()
    expect(page.get_by_label("Code of six digits")).to_be_focused()
    page.keyboard.type("000000")
    page.keyboard.press("Enter")
    expect(page.get_by_text("This code is wrong, too old or was used already.")).to_be_visible()
    judge(page, "set-up", found)

    page.wait_for_timeout(1100)  # one wrong code costs a second
    page.get_by_label("Code of six digits").fill(code_of(ada, confirmed=False))
    page.keyboard.press("Enter")
    codes = page.locator(".signin-codes li")
    expect(codes).to_have_count(10)
    with page.expect_download() as kept:
        page.get_by_role("link", name="Download").click()
    text = kept.value.path().read_text()
    first = codes.first.inner_text()
    assert (kept.value.suggested_filename, first in text, text.count("-")) == (
        "tripbuilder-recovery-codes.txt",
        True,
        30,
    )
    judge(page, "codes", found)
    page.evaluate("window.print = () => { document.title = 'printed' }")
    page.get_by_role("button", name="Print").click()
    expect(page).to_have_title("printed")
    page.get_by_role("link", name="I have kept them, go on").click()
    expect(page).to_have_url(re.compile(r"^http://[^/]+/trips/vendor/$"))

    page.goto("/sign-in/mine/")
    expect(page.get_by_text("this one")).to_be_visible()
    judge(page, "mine", found)
    page.goto("/sign-in/code/")
    page.get_by_role("button", name="Sign out").click()
    page.goto("/trips/vendor/")
    page.get_by_label("Username").fill("ada")
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_label("Code of six digits")).to_be_focused()
    judge(page, "code", found)
    page.get_by_role("link", name="Use a recovery code").click()
    page.get_by_label("Recovery code").fill("abcd-efgh")
    page.keyboard.press("Enter")
    expect(page.get_by_text("This recovery code is wrong or was used already.")).to_be_visible()
    judge(page, "recovery", found)
    page.get_by_label("Recovery code").fill(first)
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"^http://[^/]+/trips/vendor/$"))

    page.goto(f"/auth/user/{ada.pk}/sign-ins/")
    judge(page, "of-user", found)
    page.get_by_role("link", name="Take the second factor off…").click()
    judge(page, "take-off", found)
    page.goto("/axes/accessattempt/")
    judge(page, "attempts", found)

    assert found == {}


def test_the_lock_says_how_long_it_takes(page: Page) -> None:
    found: dict[str, Any] = {}
    for _ in range(5):
        page.get_by_label("Username").fill("ada")
        page.get_by_label("Password").fill("wrong password")
        page.keyboard.press("Enter")
        page.wait_for_load_state()
    expect(page.get_by_text("is locked for 15 minutes")).to_be_visible()
    judge(page, "locked", found)
    page.get_by_role("link", name="To the sign-in page").click()
    expect(page.get_by_label("Username")).to_be_visible()

    assert found == {}
