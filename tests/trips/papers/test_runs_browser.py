"""Workflow 7 in a real browser: the papers of a group, what is missing, one ZIP and the stage, counted in clicks."""

from __future__ import annotations

import datetime as dt
from typing import Any
from zipfile import ZipFile

import pytest
from playwright.sync_api import Page, expect

from tests.factories import ContactFactory, PassengerFactory, PassportFactory, TripFactory
from tests.hands import Hands
from tests.trips.test_browser import page  # noqa: F401 - the fixture
from tests.trips.test_workflows_browser import told
from trips.models import PaperRun, Trip
from trips.services import paper_runs

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_papers_of_a_group_are_made_and_sent_in_five_clicks(page: Page, capsys: Any) -> None:  # noqa: F811
    trip = TripFactory(name="Havana", lodging="Casa", passengers=3)
    Trip.objects.filter(pk=trip.pk).update(final_payment_due=dt.date(2027, 1, 15), organiser=ContactFactory())
    for passenger in trip.passengers.all():
        PassportFactory(passenger=passenger)
        passenger.birth_country, passenger.licence = "Canada", "§ 515.574 Support"
        passenger.save()
    PassengerFactory(trip=trip, date_of_birth=None)
    page.goto("/trips/passenger/")
    hands = Hands(page)

    hands.click(page.locator("#action-toggle"))
    hands.click(page.get_by_role("button", name="Make papers…"))
    expect(page.get_by_text("MISSING: date of birth").first).to_be_visible()
    hands.click(page.get_by_label("Then move to “Trip details sent”"))
    hands.click(page.get_by_role("button", name="Make 10 papers"))
    expect(page.get_by_text("0 of 12")).to_be_visible()
    paper_runs.work(PaperRun.objects.get().pk)  # as the queue does
    with page.expect_download() as download:
        hands.click(page.get_by_role("link", name="Download 10 as ZIP"))

    assert len(ZipFile(download.value.path()).namelist()) == 10
    expect(page.get_by_text("3 moved")).to_be_visible()
    expect(page.get_by_role("link", name="Undo the move")).to_be_visible()
    told(capsys, hands, "Trip papers of a group")
    assert (hands.clicks, hands.keys) == (5, 0)
