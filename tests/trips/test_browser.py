"""In a real browser: rows line up, the keyboard reaches everything, phones show names whole and save first."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connections
from playwright.sync_api import Page, expect, sync_playwright

from tests.factories import PASSWORD, PassengerFactory, PaymentFactory, StaffFactory, TripFactory
from tests.hands import Hands
from trips.models import Payment

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
PHONE = {"width": 390, "height": 844}
POLICY = "Content Security Policy"


@pytest.fixture
def page(chromium: str, monkeypatch: pytest.MonkeyPatch, live_server: Any) -> Iterator[Page]:
    """A tab of somebody who may do everything. Whatever is done in it, no page does what the policy forbids."""
    blocked: list[str] = []
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")  # playwright keeps an event loop in this thread
    StaffFactory(username="ada", is_superuser=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        context = browser.new_context(viewport={"width": 1400, "height": 900}, base_url=live_server.url)
        context.on("console", lambda said: blocked.append(said.text) if POLICY in said.text else None)
        tab = context.new_page()
        tab.set_default_timeout(20_000)
        tab.goto("/")
        tab.get_by_label("Username").fill("ada")
        tab.get_by_label("Password").fill(PASSWORD)
        tab.get_by_role("button", name="Log in").click()
        yield tab
        browser.close()
        connections.close_all()  # under the event loop the test had connections of its own
    assert blocked == []


def top(page: Page, name: str) -> float:
    box = page.locator(f"[name={name}]").bounding_box()
    assert box is not None
    return box["y"]


def test_inputs_of_a_row_are_level_with_help_and_with_an_error(page: Page) -> None:
    page.goto("/trips/trip/add/")
    page.locator("[name=name]").fill("Baracoa")
    page.locator("[name=start_date]").fill("2027-03-08")
    page.locator("[name=end_date]").fill("2027-03-01")
    page.locator("[name=_save]").click()
    expect(page.get_by_text("is before the start")).to_be_visible()
    assert top(page, "start_date") == top(page, "end_date")

    page.goto("/trips/passenger/add/")
    assert top(page, "attendance") == top(page, "number")
    assert top(page, "legal_first_name") == top(page, "legal_middle_name")


def test_keyboard_opens_a_tab_of_fields(page: Page) -> None:
    page.goto("/trips/trip/add/")
    expect(page.locator("[name=name]")).to_be_focused()
    tab = page.get_by_role("tab", name="Money")
    expect(page.locator("[name=price_per_person]")).to_be_hidden()

    page.get_by_role("tab", name="Programme").focus()
    page.keyboard.press("Tab")
    expect(tab).to_be_focused()
    page.keyboard.press("Enter")

    expect(page.locator("[name=price_per_person]")).to_be_visible()
    expect(tab).to_have_attribute("aria-selected", "true")


def test_keyboard_opens_the_filters_and_the_menu_beside_a_choice(page: Page) -> None:
    page.goto("/trips/trip/")
    filters = page.get_by_role("button", name="Filters")
    expect(filters).to_have_attribute("tabindex", "0")
    filters.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#changelist-filter")).to_be_visible()

    page.goto("/trips/passenger/add/")
    page.locator(".field-contact .select2-selection").focus()
    page.keyboard.press("Tab")
    expect(page.locator("[x-ref=relatedWidgetWrappercontact]")).to_be_focused()
    page.keyboard.press("Space")
    expect(page.locator("#add_id_contact")).to_be_focused()


def test_payment_starts_with_the_passenger_without_a_mouse(page: Page) -> None:
    PassengerFactory(legal_first_name="Greta", legal_last_name="Ortiz")
    page.goto("/trips/payment/add/")
    expect(page.locator(".field-passenger .select2-selection")).to_be_focused()

    page.keyboard.press("Enter")
    page.keyboard.type("orti")
    expect(page.locator(".select2-results__option", has_text="Greta Ortiz")).to_be_visible()
    page.keyboard.press("Enter")

    expect(page.locator(".select2-selection__rendered").first).to_contain_text("Greta Ortiz")


def test_phone_shows_a_long_name_whole_and_saving_before_deleting(page: Page) -> None:
    trip = TripFactory(name="Trinidad and the Valley of the Sugar Mills – private group of the Hollander family 2028")
    page.set_viewport_size(PHONE)
    page.goto("/trips/trip/")
    cell, link = page.locator("#result_list .field-name"), page.locator("#result_list .field-name a")
    whole, name = cell.bounding_box(), link.bounding_box()
    assert whole is not None
    assert name is not None
    assert whole["y"] <= name["y"]
    assert name["y"] + name["height"] <= whole["y"] + whole["height"]

    page.goto(f"/trips/trip/{trip.pk}/change/")
    save, delete = (page.locator(where).bounding_box() for where in ("[name=_save]", "#submit-row a[href$='/delete/']"))
    assert save is not None
    assert delete is not None
    assert save["y"] < delete["y"]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_refused_deletion_archives_instead(page: Page) -> None:
    trip = TripFactory(name="Baracoa", passengers=1)
    page.goto(f"/trips/trip/{trip.pk}/delete/")
    expect(page.get_by_text("“Baracoa” cannot be deleted: 1 passenger is on it.")).to_be_visible()

    page.get_by_role("button", name="Archive instead").click()

    expect(page.get_by_text("1 trip archived.")).to_be_visible()
    trip.refresh_from_db()
    assert trip.archived_at is not None


def test_money_workflow_records_two_payments_and_opens_who_is_overdue(page: Page, capsys: Any) -> None:
    trip = TripFactory(
        name="Baracoa",
        price_per_person=1000,
        deposit_amount=200,
        deposit_due=dt.date(2026, 1, 1),
        final_payment_due=dt.date(2099, 1, 1),
    )
    PassengerFactory(trip=trip, legal_first_name="Greta", legal_last_name="Ortiz")
    hugo = PassengerFactory(trip=trip, legal_first_name="Hugo", legal_last_name="Fontaine")
    PassengerFactory(trip=trip, legal_first_name="Ines", legal_last_name="Eriksen")
    PaymentFactory(passenger=hugo, amount="300")
    page.goto("/")
    hands = Hands(page)

    hands.click(page.get_by_role("link", name="Payments").first)
    hands.click(page.locator("a[href*='/payment/add/']").first)
    for typed, choice, due in (
        ("ort", "Greta Ortiz · Baracoa (1 Mar 2027) · owes 1,000.00 USD", "200.00"),
        ("fon", "Hugo Fontaine · Baracoa (1 Mar 2027) · owes 700.00 USD", "700.00"),
    ):
        expect(page.locator(".field-passenger .select2-selection")).to_be_focused()
        hands.press("Enter")
        expect(page.locator(".select2-search__field")).to_be_focused()  # it opens a moment after the key
        hands.type(typed)
        expect(page.locator(".select2-results__option--highlighted")).to_have_text(choice)
        hands.press("Enter")
        expect(page.locator("[name=amount]")).to_have_value(due)
        hands.click(page.get_by_role("button", name="Save and add another"))
        expect(page.get_by_text("was added successfully")).to_be_visible()
    hands.click(page.get_by_role("link", name="Payments").first)
    hands.click(page.get_by_role("link", name="Who is overdue"))

    expect(page.locator("#result_list tbody tr")).to_have_count(1)
    expect(page.locator("#result_list .field-balance")).to_contain_text("owes 1,000.00, overdue since 1 Jan")
    with capsys.disabled():
        print("\n" + hands.report("Money (workflow 8)"))  # noqa: T201 - the count is what was asked for
    assert (hands.clicks, hands.keys) == (6, 10)
    assert sorted(Payment.objects.exclude(amount=300).values_list("amount", flat=True)) == [200, 700]


def test_single_filter_is_applied_at_a_click_and_several_with_the_button(page: Page) -> None:
    PassengerFactory(legal_last_name="Ortiz", trip=None, stage="trip_ready")
    PassengerFactory(legal_last_name="Fontaine")
    rows = page.locator("#result_list tbody tr")
    page.goto("/trips/passenger/")

    page.get_by_role("button", name="Filters").click()
    page.get_by_text("Without a trip").click()
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("Ortiz")

    page.goto("/trips/passenger/")
    page.get_by_role("button", name="Filters").click()
    page.get_by_text("Trip ready (1)").click()
    expect(rows).to_have_count(2)
    page.get_by_role("button", name="Apply Filters").click()
    expect(rows).to_have_count(1)


def test_typed_amount_is_not_overwritten_by_what_is_due(page: Page) -> None:
    PassengerFactory(trip__currency="EUR", trip__price_per_person=1000, legal_last_name="Ortiz")
    cancelled = PassengerFactory(trip__price_per_person=1000, legal_last_name="Fontaine", attendance="cancelled")
    PaymentFactory(passenger=cancelled, amount="300")
    page.goto("/trips/payment/add/")

    def choose(name: str) -> None:
        page.locator(".field-passenger .select2-selection").click()
        page.keyboard.type(name)
        page.locator(".select2-results__option", has_text=name).click()

    choose("Ortiz")
    expect(page.locator("[name=amount]")).to_have_value("1000.00")
    expect(page.locator("[name=currency]")).to_have_value("EUR")
    choose("Fontaine")
    expect(page.locator(".payment-due")).to_contain_text("To give back: 300.00 USD.")
    expect(page.locator("[name=amount]")).to_have_value("")
    page.locator("[name=kind]").select_option("refund")
    expect(page.locator("[name=amount]")).to_have_value("300.00")
    page.locator("[name=amount]").fill("42")
    choose("Ortiz")
    expect(page.locator("[name=currency]")).to_have_value("EUR")

    expect(page.locator("[name=amount]")).to_have_value("42")


OFFICE = {"width": 1280, "height": 860}


def cut_off(page: Page, where: str) -> bool:
    """Whether a part of the text does not show."""
    return bool(page.locator(where).evaluate("box => box.scrollWidth > box.clientWidth"))


@pytest.mark.parametrize("size", [OFFICE, {"width": 1024, "height": 800}, {"width": 360, "height": 740}])
def test_name_of_a_record_stands_whole_in_its_page_s_head(page: Page, size: Any) -> None:
    trip = TripFactory(name="Havana Jazz Week")
    page.set_viewport_size(size)

    page.goto(f"/trips/trip/{trip.pk}/change/")

    expect(page.locator("h1")).to_contain_text("Havana Jazz Week")
    assert not cut_off(page, "h1 .crumb:last-child")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_head_of_a_list_names_it_once(page: Page) -> None:
    page.goto("/trips/trip/")

    assert [text.strip() for text in page.locator("h1").all_inner_texts()] == ["Trips"]
    PassengerFactory()
    page.set_viewport_size({"width": 360, "height": 740})
    page.goto("/trips/passenger/?look=passport")
    assert page.locator("h1").inner_text().startswith("Passengers")
    page.goto("/ghl_sync/drift/")
    assert [text.strip() for text in page.locator("h1").all_inner_texts()] == ["Differences"]


def test_pictures_of_letters_are_not_read_as_words(page: Page) -> None:
    page.goto("/trips/trip/")

    menu = page.locator("#nav-sidebar")
    expect(menu.get_by_role("searchbox")).to_have_attribute("placeholder", "Search the menu")
    for name in ("Batches", "Doubles", "Trips"):
        expect(menu.get_by_role("link", name=name, exact=True)).to_have_count(1)
    expect(page.get_by_role("link", name="Add trip", exact=True).first).to_be_visible()


def test_choosing_a_file_raises_no_error(page: Page) -> None:
    passenger = PassengerFactory()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    for address, field in (
        (f"/trips/passenger/{passenger.pk}/documents/", "#doc-files"),
        ("/trips/passenger/import/", "#import-file"),
    ):
        page.goto(address)
        page.locator(field).set_input_files({"name": "a.csv", "mimeType": "text/csv", "buffer": b"a"})

    assert errors == []


def test_list_of_passengers_fits_an_office_screen_and_a_phone(page: Page) -> None:
    trip = TripFactory(
        name="Trinidad Architecture Days", price_per_person=3950, final_payment_due=dt.date(2025, 12, 18)
    )
    PassengerFactory(trip=trip, legal_first_name="Emil", legal_last_name="Copperhurst", stage="trip_details_sent")
    page.set_viewport_size(OFFICE)
    page.goto("/trips/passenger/")
    fits = "table => table.getBoundingClientRect().right <= innerWidth"
    assert page.locator("#result_list").evaluate(fits)

    page.set_viewport_size({"width": 360, "height": 740})
    page.goto("/trips/passenger/")
    badge = page.locator("#result_list .field-balance > span")
    expect(badge).to_contain_text("overdue since 18 Dec 2025")
    assert badge.evaluate("one => one.getBoundingClientRect().right <= one.closest('td').getBoundingClientRect().right")
