"""axe-core looks at the staff's pages, light and dark: nothing that it calls serious or critical."""

from __future__ import annotations

import datetime as dt
import uuid

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib.auth import get_user_model
from playwright.sync_api import Page, expect

from tests.factories import (
    ContactFactory,
    DocumentFactory,
    EmergencyContactFactory,
    HealthRecordFactory,
    PassengerFactory,
    PassportFactory,
    PaymentFactory,
    TripFactory,
)
from tests.trips.test_browser import page  # noqa: F401 - the fixture
from trips.models import Licence, PaperRunRow, PaperTemplate
from trips.services import paper_runs, rooming

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
GRAVE = {"serious", "critical"}


def addresses() -> list[str]:
    """Pages of each kind, with something on them."""
    trip = TripFactory(name="Baracoa", start_date=dt.date.today() + dt.timedelta(days=10), price_per_person=1000)
    licence = Licence.objects.create(name="Family visits (515.561)", valid_until=dt.date(2026, 1, 1))
    for sex, wish in (("F", "Bea"), ("M", ""), ("", "")):
        one = PassengerFactory(trip=trip, sex=sex, roommate_request=wish, licence=licence.name)
        PassportFactory(passenger=one)
        HealthRecordFactory(passenger=one)
        EmergencyContactFactory(passenger=one)
        DocumentFactory(passenger=one)
        PaymentFactory(passenger=one)
    rooming.fill(trip=trip)
    run = paper_runs.start(
        passengers=[one],
        kinds=["mou"],
        to_stage="",
        title="Papers",
        by=get_user_model().objects.get(),
        key=uuid.uuid4(),
    )
    PaperRunRow.objects.update(outcome="blocked", reason="MISSING: sex.")
    first, second = ContactFactory.create_batch(2, email="same@example.com", notes="One")
    people = ("trip", "passenger", "contact", "vendor")
    lists = (*people, "payment", "document", "licence", "reminder", "batch", "paperrun")
    return [
        "/",
        "/find/?q=per",
        *(f"/trips/{name}/" for name in lists),
        "/trips/trip/add/",
        f"/trips/trip/{trip.pk}/change/",
        f"/trips/trip/{trip.pk}/passengers/",
        f"/trips/trip/{trip.pk}/rooming/",
        f"/trips/trip/{trip.pk}/ofac/",
        "/trips/licence/names/",
        f"/trips/trip/{trip.pk}/reports/manifest/airline/",
        "/trips/trip/board/",
        "/trips/passenger/board/",
        "/trips/trip/calendar/",
        "/trips/contact/duplicates/",
        f"/trips/contact/{first.pk}/merge/",
        f"/trips/contact/{first.pk}/merge/{second.pk}/",
        f"/trips/contact/{one.contact_id}/person/",
        f"/trips/contact/{one.contact_id}/erase/",
        f"/trips/trip/{trip.pk}/programme/",
        f"/trips/passenger/{one.pk}/timeline/",
        f"/trips/passenger/{one.pk}/change/",
        f"/trips/passenger/{one.pk}/documents/",
        f"/trips/passenger/{one.pk}/emergency/",
        f"/trips/papertemplate/{PaperTemplate.objects.latest('pk').pk}/change/",
        f"/trips/paperrun/make/?trip={trip.pk}",
        f"/trips/paperrun/{run.pk}/change/",
        "/ghl_sync/link/desk/",
        "/ghl_sync/fieldrule/",
    ]


def grave(page: Page, axe: Axe) -> list[str]:  # noqa: F811
    found = axe.run(page).response["violations"]
    return [
        f"{one['id']} ({one['impact']}): {node['html'][:160]}"
        for one in found
        if one["impact"] in GRAVE
        for node in one["nodes"][:4]
    ]


def test_axe_finds_nothing_serious(page: Page) -> None:  # noqa: F811
    axe, found = Axe(), {}
    for address in addresses():
        page.goto(address)
        expect(page.locator(".select2-selection__rendered:not([aria-label])")).to_have_count(0)
        for mode in ("light", "dark"):
            page.evaluate("dark => document.documentElement.classList.toggle('dark', dark)", mode == "dark")
            if trouble := grave(page, axe):
                found[f"{address} {mode}"] = trouble

    assert found == {}
