"""In a real browser: the office's part of the departure workflow, and a sheet on a phone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import pyzipper
from playwright.sync_api import Locator, Page, expect

from tests.factories import EmergencyContactFactory, HealthRecordFactory, PassportFactory, TripFactory
from tests.trips.reports.conftest import traveller
from tests.trips.test_browser import page  # noqa: F401 - the fixture

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
NARROWEST = {"width": 360, "height": 780}


def group() -> Any:
    trip = TripFactory(name="Baracoa")
    for first, last in (("Ada", "Castañeda"), ("Antonín", "Dvořák")):
        person = traveller(trip, first, last)
        PassportFactory(passenger=person)
        HealthRecordFactory(passenger=person, medications="Insulin")
        EmergencyContactFactory(passenger=person, last_name="Lindqvist", phone="+12025550101")
    return trip


def test_departure_pack_is_two_clicks_from_the_trip(page: Page, tmp_path: Path, capsys: Any) -> None:  # noqa: F811
    page.goto(f"/trips/trip/{group().pk}/change/")
    clicks = 0

    def click(target: Locator) -> None:
        nonlocal clicks
        target.click()
        clicks += 1

    click(page.get_by_role("link", name="Departure pack"))
    password = page.get_by_label("Password of the ZIP").input_value()
    with page.expect_download() as download:
        click(page.get_by_role("button", name="Download the ZIP"))
    download.value.save_as(tmp_path / "pack.zip")

    with capsys.disabled():
        print(f"\nDeparture pack (workflow 9, office): {clicks} clicks, 0 keystrokes")  # noqa: T201 - asked for
    assert clicks == 2
    with pyzipper.AESZipFile(tmp_path / "pack.zip") as archive:
        archive.setpassword(password.encode())
        assert "Dvořák" in archive.read("emergency-standard.csv").decode()
        assert len(archive.namelist()) == 16


def test_sheet_fits_the_narrowest_phone_and_its_numbers_dial(page: Page) -> None:  # noqa: F811
    trip = group()
    page.set_viewport_size(NARROWEST)
    page.goto(f"/trips/trip/{trip.pk}/reports/emergency/standard/")

    expect(page.get_by_role("link", name="+12025550101").first).to_have_attribute("href", "tel:+12025550101")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_role("button", name="Mark as sent").click()
    expect(page.get_by_text("Kept as sent: Emergency sheet, 2 rows.")).to_be_visible()
