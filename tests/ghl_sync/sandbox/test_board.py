"""The boards in a real browser: what a CRM user sees and does there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.ghl_sync.sandbox.conftest import Api

pytestmark = pytest.mark.browser

PHONE = {"width": 390, "height": 800}


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Any]:
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture
def page(browser: Any, api: Api) -> Iterator[Page]:
    """A tab; whatever the page complains of in its console fails the test."""
    tab = browser.new_page(viewport={"width": 1280, "height": 800})
    tab.set_default_timeout(5000)
    problems: list[str] = []
    tab.on("console", lambda message: problems.append(message.text) if complains(message) else None)
    tab.on("pageerror", lambda error: problems.append(str(error)))
    tab.on(
        "request", lambda request: request.url.startswith((api.sandbox.url, "data:")) or problems.append(request.url)
    )
    yield tab
    tab.close()
    assert problems == []


def complains(message: Any) -> bool:
    # What a refused save and a card that is gone look like.
    refused = re.search("the server responded with a status of 40[04]", message.text)
    return message.type in {"error", "warning"} and not refused


def card(page: Page, record: Any) -> Any:
    return page.locator(f"#card-{record.id}")


def column(page: Page, name: str) -> Any:
    return page.get_by_role("region", name=re.compile(f"^{name} "))


def posts(page: Page, api: Api) -> list[tuple[str, Any]]:
    """What the page posts from now on: its page and body, in order."""
    seen: list[tuple[str, Any]] = []
    page.on(
        "request",
        lambda one: seen.append((one.url.rpartition("/")[2], one.post_data_json)) if one.method == "POST" else None,
    )
    return seen


def test_an_empty_board_says_what_to_do(page: Page, api: Api) -> None:
    page.goto(api.sandbox.url)
    expect(page.locator("#empty")).to_contain_text("No cards in TripBooking yet")
    expect(page.locator("#empty pre")).to_have_text(
        f"GHL_API_BASE_URL={api.sandbox.url}\nGHL_API_TOKEN=sandbox-token\nGHL_LOCATION_ID=sandbox-location"
    )
    expect(page.locator(".notice").first).to_contain_text("the people in it are invented")


def test_cards_appear_move_and_vanish_by_themselves(page: Page, api: Api) -> None:
    page.goto(api.sandbox.url)
    made = api.post("/opportunities/", api.body()).json()["opportunity"]
    one = page.locator(f"#card-{made['id']}")
    expect(column(page, "FormSubmit").locator(".card")).to_contain_text("Fjords")
    expect(one).to_contain_text(re.compile("Ines Prado.*open.*just now.*made over the API"))
    api.put(f"/opportunities/{made['id']}", {"pipelineStageId": api.store.stage("TripBooking", "TripComplete").id})
    expect(column(page, "TripComplete").locator(".card")).to_have_count(1)
    api.delete(f"/opportunities/{made['id']}")
    expect(one).to_have_count(0)


def test_the_addresses_of_the_real_app_open_the_card_or_find_the_contact(page: Page, api: Api) -> None:
    record = api.card(fields={"trip_id": 7})
    page.goto(f"{api.sandbox.url}/v2/location/sandbox-location/opportunities/list?opportunityId={record.id}")
    expect(page.locator("#card-editor [name=trip_id]")).to_have_value("7")
    page.goto(f"{api.sandbox.url}/v2/location/sandbox-location/contacts/detail/{record.contact_id}")
    expect(card(page, record)).to_be_visible()
    assert page.locator("#q").input_value() == api.store.contact(record.contact_id).name
    page.goto(f"{api.sandbox.url}/v2/location/sandbox-location/opportunities/list?opportunityId=gone")
    expect(page.locator("#toast")).to_contain_text("This card is gone.")


def test_saving_posts_only_what_changed(page: Page, api: Api) -> None:
    record = api.card(
        fields={"trip_id": 7, "trip_description": "Old", "travel_category": "Other", "is_child": ["True"]}
    )
    page.goto(api.sandbox.url)
    card(page, record).click()
    form = page.locator("#card-editor")
    expect(form.locator("[name=trip_description]")).to_have_value("Old")
    form.locator("[name=trip_description]").fill("New")
    form.locator("[name=start_date]").fill("2027-03-01")
    form.locator("[name=travel_category]").select_option("People To People")
    form.locator("[name=stage]").select_option("TripScheduled")
    form.locator("[name=trip_id]").fill("")
    sent = posts(page, api)
    form.get_by_role("button", name="Save").click()
    expect(form).to_be_hidden()
    assert sent == [
        ("edit", {
            "id": record.id, "stage": "TripScheduled",
            "fields": {"trip_description": "New", "start_date": "2027-03-01", "trip_id": "",
                       "travel_category": "People To People"},
        }),
    ]  # fmt: skip
    after = api.store.opportunity(record.id)
    assert api.store.custom_by_key(after) == {
        "trip_description": "New", "start_date": "2027-03-01", "travel_category": "People To People",
        "is_child": ["True"],
    }  # fmt: skip
    expect(column(page, "TripScheduled").locator(".card")).to_have_count(1)


def test_fields_with_a_value_come_first_and_any_is_found_by_name(page: Page, api: Api) -> None:
    record = api.card(fields={"trip_id": 7, "trip_description": "Old"})
    page.goto(api.sandbox.url)
    card(page, record).click()
    inputs = page.locator("#custom [name]")
    expect(inputs.first).to_be_visible()
    names = inputs.evaluate_all("all => all.slice(0, 3).map(one => one.name)")
    assert names == ["trip_description", "trip_id", "user_roomate"]
    page.locator("#find-field").fill("passport")
    visible = inputs.evaluate_all("all => all.filter(one => one.offsetParent).map(one => one.name)")
    assert visible == ["passport_number", "passport_expire", "passport_file", "passport_country"]


def test_saving_nothing_posts_nothing(page: Page, api: Api) -> None:
    record = api.card(fields={"start_date": "2027-03-01", "is_child": ["False"], "lodging": "With a cousin"})
    api.store.edit(record.id, fields={"mou": [{"url": "https://example.com/a.pdf", "meta": {"name": "a.pdf"}}]})
    page.goto(api.sandbox.url)
    sent = posts(page, api)
    card(page, record).click()
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#card-editor")).to_be_hidden()
    assert sent == []


def test_a_new_card_with_a_new_contact(page: Page, api: Api) -> None:
    page.goto(f"{api.sandbox.url}/?pipeline=Passenger")
    page.get_by_role("button", name="New card").click()
    form = page.locator("#card-editor")
    form.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert").filter(has_text="needs a name")).to_be_visible()
    form.locator("[name=name]").fill("Otto Reed")
    form.locator("[name=contact]").fill("Otto von Reed")
    form.locator("[name=is_child][value=True]").check()
    form.get_by_role("button", name="Save").click()
    expect(page.locator(".card")).to_have_count(1)
    (record,) = api.store.opportunities("Passenger")
    (contact,) = api.store.contacts()
    assert (record.name, record.contact_id, api.store.custom_by_key(record)) == (
        "Otto Reed", contact.id, {"is_child": ["True"]},
    )  # fmt: skip
    assert (contact.first_name, contact.last_name) == ("Otto", "von Reed")


def test_a_new_card_for_a_contact_there_is(page: Page, api: Api) -> None:
    contact = api.contact(email="ines@example.com")
    page.goto(api.sandbox.url)
    page.get_by_role("button", name="New card").click()
    page.locator("[name=name]").fill("Fjords")
    page.locator("[name=contact]").fill("Ines Prado · ines@example.com")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".card")).to_have_count(1)
    assert [row.contact_id for row in api.store.opportunities()] == [contact.id]


def test_deleting_can_be_undone(page: Page, api: Api) -> None:
    record = api.card()
    page.goto(api.sandbox.url)
    card(page, record).click()
    page.get_by_role("button", name="Delete").click()
    expect(card(page, record)).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(card(page, record)).to_have_count(1)


def test_what_is_refused_is_said_in_words_and_kept(page: Page, api: Api) -> None:
    record = api.card()
    page.goto(api.sandbox.url)
    card(page, record).click()
    page.locator("[name=trip_id]").fill("seven")
    problems: list[Any] = []
    page.on("response", lambda answer: problems.append(answer.status) if answer.status >= 400 else None)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert").filter(has_text="“Trip number” must be a number")).to_be_visible()
    expect(page.locator("[name=trip_id]")).to_have_value("seven")
    assert problems == [400]


def test_an_open_editor_takes_changes_of_others_but_keeps_what_is_typed(page: Page, api: Api) -> None:
    record = api.card(fields={"trip_description": "Old", "travel_category": "Other"})
    page.goto(api.sandbox.url)
    card(page, record).click()
    page.locator("[name=name]").fill("Mine")
    api.store.edit(record.id, name="Theirs", fields={"trip_description": "Theirs", "travel_category": None})
    expect(page.locator("[name=trip_description]")).to_have_value("Theirs")
    expect(page.locator("[name=travel_category]")).to_have_value("")
    expect(page.locator("[name=name]")).to_have_value("Mine")
    sent = posts(page, api)
    page.get_by_role("button", name="Save").click()
    expect(card(page, record)).to_contain_text("Mine")
    assert sent == [("edit", {"id": record.id, "name": "Mine"})]


def test_the_board_works_without_a_mouse(page: Page, api: Api) -> None:
    first = api.card(name="First", updated=2_000_000_000_000)
    second = api.card(name="Second", stage="TripComplete")
    page.goto(api.sandbox.url)
    expect(card(page, first)).to_be_visible()
    page.keyboard.press("/")
    expect(page.locator("#q")).to_be_focused()
    card(page, first).focus()
    page.keyboard.press("ArrowRight")
    expect(card(page, second)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("[name=name]")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#card-editor")).to_be_hidden()
    expect(card(page, second)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("[name=name]")).to_be_focused()
    page.keyboard.press("End")
    page.keyboard.type("!")
    page.keyboard.press("Enter")
    expect(card(page, second)).to_contain_text("Second!")
    page.keyboard.press("n")
    expect(page.locator("#editor-title")).to_have_text("New card in TripBooking")


def test_pipeline_and_search_stand_in_the_address(page: Page, api: Api) -> None:
    api.card(name="Lisbon")
    api.card(name="Fjords")
    api.card(name="Otto", pipeline="Passenger")
    page.goto(api.sandbox.url)
    page.locator("#q").fill("lis")
    expect(page.locator(".card")).to_have_count(1)
    page.reload()
    expect(page.locator("#q")).to_have_value("lis")
    expect(page.locator(".card")).to_have_text(re.compile("Lisbon"))
    page.get_by_role("link", name="Passenger").click()
    expect(page.locator("#empty")).to_contain_text("Nothing in Passenger has “lis”")
    page.get_by_role("button", name="Show all cards").click()
    expect(page.locator(".card")).to_have_text(re.compile("Otto"))
    page.go_back()
    expect(page.locator(".card")).to_have_text(re.compile("Lisbon"))


def test_a_long_column_says_how_many_it_shows(page: Page, api: Api) -> None:
    contact = api.contact()
    for number in range(51):
        api.card(name=f"Trip {number}", contact_id=contact.id)
    page.goto(api.sandbox.url)
    expect(column(page, "FormSubmit").locator(".count")).to_have_text("51")
    expect(column(page, "FormSubmit").locator(".more")).to_contain_text("50 shown of 51")
    expect(column(page, "FormSubmit").locator(".card")).to_have_count(50)


def test_names_are_shown_as_text(page: Page, api: Api) -> None:
    name = "<img src=x onerror=alert(1)> & “Co”"
    record = api.card(name=name, fields={"trip_description": "</textarea><script>alert(1)</script>"})
    page.goto(api.sandbox.url)
    expect(card(page, record).locator("strong")).to_have_text(name)
    card(page, record).click()
    expect(page.locator("[name=trip_description]")).to_have_value("</textarea><script>alert(1)</script>")


def test_odd_values_are_shown_and_survive_a_save(page: Page, api: Api) -> None:
    record = api.card()
    for key, value in (("start_date", "soon"), ("travel_category", "Gone option"), ("trip_id", "about 7")):
        api.store.set_raw(record.id, key, value)
    page.goto(api.sandbox.url)
    card(page, record).click()
    for key, value in (("start_date", "soon"), ("travel_category", "Gone option"), ("trip_id", "about 7")):
        expect(page.locator(f"[name={key}]")).to_have_value(value)
    page.locator("[name=name]").fill("Renamed")
    page.get_by_role("button", name="Save").click()
    expect(card(page, record)).to_contain_text("Renamed")
    assert set(api.store.custom_by_key(api.store.opportunity(record.id)).values()) == {"soon", "Gone option", "about 7"}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_board_and_editor_without_scrolling_sideways(page: Page, api: Api, scheme: Any) -> None:
    record = api.card(name="A trip with a very long name that has to break somewhere " * 2)
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size(PHONE)
    page.goto(api.sandbox.url)
    card(page, record).click()
    expect(page.locator("#save-card")).to_be_in_viewport()
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert page.locator(".inputs").evaluate("one => one.scrollWidth <= one.clientWidth")


def test_the_page_says_when_the_sandbox_is_gone(browser: Any, api: Api) -> None:
    tab = browser.new_page()
    tab.goto(api.sandbox.url)
    expect(tab.locator("#empty")).to_be_visible()
    tab.route("**/_sandbox/**", lambda route: route.abort())
    api.card()
    expect(tab.locator("#offline")).to_be_visible(timeout=10_000)
    tab.unroute("**/_sandbox/**")
    expect(tab.locator(".card")).to_have_count(1, timeout=10_000)
    expect(tab.locator("#offline")).to_be_hidden(timeout=30_000)
    tab.close()
