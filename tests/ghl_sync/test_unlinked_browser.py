"""Workflow 10 in a real browser: passengers without a trip are linked by keyboard, and all that are sure at once."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.factories import PassengerFactory, TripFactory
from tests.hands import Hands
from tests.trips.test_browser import page  # noqa: F401 - the fixture
from tests.trips.test_workflows_browser import told
from trips.models import Passenger

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def lost(name: str, count: int) -> None:
    for number in range(count):
        PassengerFactory(trip=None, trip_name_raw=name, legal_last_name=f"{name} {number}")


def test_groups_are_linked_and_skipped_by_keyboard(page: Page, capsys: Any) -> None:  # noqa: F811
    for name, count in (("Baracoa", 3), ("Trinidad", 2), ("Havana", 1)):
        TripFactory(name=name)
        lost(name, count)
    page.goto("/trips/passenger/unlinked/")
    hands = Hands(page)

    expect(page.get_by_role("button", name="Link all 3 to it")).to_be_focused()
    hands.press("Enter")
    expect(page.get_by_text("3 passengers linked to Baracoa.")).to_be_visible()
    expect(page.get_by_role("button", name="Link all 2 to it")).to_be_focused()
    hands.press("s")
    expect(page.get_by_role("button", name="Link to it", exact=True)).to_be_focused()
    hands.press("Enter")
    expect(page.get_by_text("1 passenger linked to Havana.")).to_be_visible()

    linked = Passenger.objects.exclude(trip=None).order_by("pk").values_list("trip__name", flat=True)
    assert list(linked) == ["Baracoa"] * 3 + ["Havana"]
    told(capsys, hands, "Link by keyboard (workflow 10)")
    assert (hands.clicks, hands.keys) == (0, 3)


def test_all_that_are_sure_are_linked_and_taken_back_in_three_clicks(page: Page, capsys: Any) -> None:  # noqa: F811
    for name in ("Baracoa", "Trinidad"):
        TripFactory(name=name)
        lost(name, 2)
    TripFactory(name="Remedios Spring 2027")
    lost("Remedios Sprin 2027", 1)
    page.goto("/trips/passenger/unlinked/")
    hands = Hands(page)

    expect(page.get_by_text("Name 97 % alike")).to_be_visible()
    hands.click(page.get_by_role("button", name="Link the ticked groups"))
    expect(page.get_by_text("4 passengers linked to their trips.")).to_be_visible()
    assert Passenger.objects.filter(trip=None).count() == 1
    hands.click(page.get_by_role("link", name="Undo", exact=True))
    hands.click(page.get_by_role("button", name="Undo"))
    expect(page.get_by_text("Passengers of 2 groups linked to their trips").first).to_be_visible()

    assert Passenger.objects.filter(trip=None).count() == 5
    told(capsys, hands, "Link all that are sure (workflow 10)")
    assert (hands.clicks, hands.keys) == (3, 0)
