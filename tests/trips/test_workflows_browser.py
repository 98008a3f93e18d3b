"""The daily workflows in a real browser, each counted in clicks and keys; none needs more than staff were promised."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.core import mail
from django.core.cache import cache
from playwright.sync_api import Page, expect

from tests.factories import (
    ContactFactory,
    EmergencyContactFactory,
    HealthRecordFactory,
    PassengerFactory,
    TripFactory,
    VendorFactory,
)
from tests.hands import Hands
from tests.trips.test_browser import page  # noqa: F401 - the fixture
from trips.models import Trip

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def told(capsys: Any, hands: Hands, workflow: str) -> None:
    with capsys.disabled():
        print("\n" + hands.report(workflow))  # noqa: T201 - what the workflow costs is what this test tells


def test_morning_triage_closes_six_trips_in_three_clicks(page: Page, capsys: Any) -> None:  # noqa: F811
    today = dt.date.today()
    for number in range(6):
        start = today - dt.timedelta(days=30 + number)
        TripFactory(name=f"Autumn {number}", start_date=start, end_date=start + dt.timedelta(days=7))
    TripFactory(name="Still to come", start_date=today + dt.timedelta(days=50), end_date=today + dt.timedelta(days=57))
    page.goto("/")
    hands = Hands(page)

    hands.click(page.get_by_role("link", name="Over, not closed"))
    hands.click(page.locator("#action-toggle"))
    hands.click(page.get_by_role("button", name="Close (trip complete)"))

    expect(page.get_by_text("6 trips closed.")).to_be_visible()
    assert Trip.objects.filter(stage="trip_complete").count() == 6
    told(capsys, hands, "Morning triage")
    assert (hands.clicks, hands.keys) == (3, 0)


def test_new_trip_takes_six_fields(page: Page, capsys: Any) -> None:  # noqa: F811
    ContactFactory(first_name="Elena", last_name="Eriksen")
    VendorFactory(name="Caribe Ground")
    page.goto("/trips/trip/")
    hands = Hands(page)

    hands.click(page.get_by_role("link", name="Add trip").first)
    expect(page.locator("[name=name]")).to_be_focused()
    hands.type("Baracoa 2028")
    for name, value in (("start_date", "2028-03-01"), ("end_date", "2028-03-08"), ("capacity", "20")):
        hands.click(page.locator(f"[name={name}]"))
        hands.type(value)
    for name, letters, whole in (("organiser", "eri", "Elena Eriksen"), ("vendor", "car", "Caribe Ground")):
        hands.click(page.locator(f".field-{name} .select2-selection"))
        hands.type(letters)
        expect(page.locator(".select2-results__option", has_text=whole)).to_be_visible()
        hands.press("Enter")
    hands.press("Control+s")

    expect(page.get_by_text("was added successfully")).to_be_visible()
    trip = Trip.objects.get()
    assert (trip.name, trip.capacity, str(trip.organiser), str(trip.vendor)) == (
        "Baracoa 2028",
        20,
        "Elena Eriksen",
        "Caribe Ground",
    )
    told(capsys, hands, "New trip")
    assert hands.clicks <= 6


def test_a_known_person_is_enrolled_in_three_letters_and_enter(page: Page, capsys: Any) -> None:  # noqa: F811
    trip = TripFactory(name="Havana")
    contact = ContactFactory(first_name="Greta", last_name="Lindqvist")
    PassengerFactory(contact=contact, sex="F")
    page.goto(f"/trips/trip/{trip.pk}/change/")
    hands = Hands(page)

    hands.click(page.get_by_role("link", name="Passengers", exact=True).last)
    expect(page.get_by_role("combobox")).to_be_focused()
    hands.type("lin")
    hands.press("Enter")

    expect(page.get_by_text("Booked: Greta Lindqvist")).to_be_visible()
    assert [(str(one), one.sex) for one in trip.passengers.all()] == [("Greta Lindqvist", "F")]
    told(capsys, hands, "One person on a trip")
    assert (hands.clicks, hands.keys) == (1, 4)


def test_a_stage_move_of_many_is_previewed_and_undone(page: Page, capsys: Any) -> None:  # noqa: F811
    trip = TripFactory(name="Havana", passengers=4)
    PassengerFactory(trip=trip, legal_last_name="Fontaine", attendance="cancelled")
    page.goto("/trips/passenger/")
    hands = Hands(page)

    hands.click(page.locator("#action-toggle"))
    hands.click(page.get_by_role("button", name="Move to stage…"))
    hands.click(page.get_by_role("button", name="Trip details sent"))
    expect(page.get_by_text("Skipped: 1")).to_be_visible()
    hands.click(page.get_by_role("button", name="Move 4 passengers"))
    expect(page.get_by_text("4 passengers moved, 1 skipped.")).to_be_visible()
    told(capsys, hands, "Bulk stage move")
    assert (hands.clicks, hands.keys) == (4, 0)

    hands.click(page.get_by_role("link", name="Undo", exact=True))
    hands.click(page.get_by_role("button", name="Undo"))

    expect(page.get_by_text("4 rows were put back.")).to_be_visible()
    assert {one.stage for one in trip.passengers.all()} == {"added_to_trip"}
    assert hands.clicks == 6


def test_a_card_is_moved_on_the_board_by_key_by_menu_and_by_mouse(page: Page, capsys: Any) -> None:  # noqa: F811
    trip = TripFactory(name="Havana Jazz")
    undated = TripFactory(name="Baracoa", start_date=None, end_date=None)
    page.goto("/trips/trip/board/")
    hands = Hands(page)
    card = page.get_by_role("link", name="Havana Jazz", exact=True)

    card.focus()
    hands.press("Shift+ArrowRight")
    expect(page.get_by_text("Havana Jazz is in “Trip finalised” now.")).to_be_visible()
    expect(card).to_be_focused()
    told(capsys, hands, "A card on the board")
    assert (hands.clicks, hands.keys, Trip.objects.get(pk=trip.pk).stage) == (0, 1, "trip_finalized")

    page.get_by_role("link", name="Baracoa", exact=True).focus()
    hands.press("m")
    hands.click(page.get_by_role("button", name="Trip scheduled"))
    expect(page.get_by_text("No dates: it is scheduled only with a reason.")).to_be_visible()
    hands.type("Dates follow")
    hands.press("Enter")
    expect(page.get_by_text("Baracoa is in “Trip scheduled” now.")).to_be_visible()
    assert Trip.objects.get(pk=undated.pk).stage == "trip_scheduled"

    page.set_viewport_size({"width": 1800, "height": 900})  # or playwright scrolls while it drags, which ends the drag
    Trip.objects.filter(pk=trip.pk).update(stage="travelers_added")
    page.locator(f"[data-card='{trip.pk}']").drag_to(page.locator("[data-stage=trip_complete]"))
    expect(page.get_by_text("Havana Jazz was moved to “Travellers added” meanwhile")).to_be_visible()
    page.locator(f"[data-card='{trip.pk}']").drag_to(page.locator("[data-stage=trip_complete]"))
    expect(page.get_by_text("Havana Jazz is in “Trip complete” now.")).to_be_visible()
    assert Trip.objects.get(pk=trip.pk).stage == "trip_complete"


def test_rooming_is_suggested_put_right_locked_and_sent(page: Page, capsys: Any) -> None:  # noqa: F811
    trip = TripFactory(name="Baracoa", capacity=20)
    for first, last, facts in (
        ("Ana", "Alvarez", {"sex": "F", "roommate_request": "Bea Brandt"}),
        ("Bea", "Brandt", {"sex": "F", "roommate_request": "Ana Alvarez"}),
        ("Carl", "Costa", {"sex": "M", "occupancy": "single"}),
        ("Dora", "Diaz", {"sex": "F"}),
        ("Egon", "Ek", {"sex": ""}),
    ):
        PassengerFactory(trip=trip, legal_first_name=first, legal_last_name=last, **facts)
    page.goto(f"/trips/trip/{trip.pk}/change/")
    hands = Hands(page)

    hands.click(page.locator(".trip-pages").get_by_role("link", name="Rooming"))
    hands.click(page.get_by_role("button", name="Suggest rooms"))
    expect(page.get_by_text("4 people put into 3 rooms. Without a room: Egon Ek")).to_be_visible()
    hands.click(page.get_by_label("Room of Egon Ek"))
    hands.type("new")
    hands.press("Enter")
    expect(page.get_by_text("Everybody has a room.")).to_be_visible()
    hands.click(page.get_by_role("button", name="Lock"))
    expect(page.get_by_text("Locked by ada")).to_be_visible()
    hands.click(page.get_by_role("link", name="Rooming list for the hotel"))
    hands.click(page.get_by_label("Keep this file as sent"))
    with page.expect_download() as taken:
        hands.click(page.get_by_role("button", name="Excel"))
    assert taken.value.suggested_filename.endswith(".xlsx")

    told(capsys, hands, "Rooming")
    assert (hands.clicks, hands.keys) == (7, 4)

    # Somebody is put elsewhere after the hotel has the list.
    page.goto(f"/trips/trip/{trip.pk}/rooming/")
    page.get_by_role("button", name="Unlock").click()
    name = page.locator(".rooming-person").get_by_role("link", name="Dora Diaz")
    name.drag_to(page.locator(".rooming-room", has_text="Egon Ek").get_by_role("heading"))
    expect(page.get_by_text("Dora Diaz: Room 4.")).to_be_visible()
    page.get_by_role("link", name="Rooming list for the hotel").click()
    expect(page.get_by_text("1 changed since")).to_be_visible()


def test_the_call_at_night_is_answered_from_a_phone_in_two_taps(page: Page, capsys: Any) -> None:  # noqa: F811
    today = dt.date.today()
    trip = TripFactory(name="Baracoa", start_date=today - dt.timedelta(days=2), end_date=today + dt.timedelta(days=5))
    greta = PassengerFactory(trip=trip, legal_first_name="Greta", legal_last_name="Ortiz")
    EmergencyContactFactory(passenger=greta, first_name="Kim", last_name="Lind", mobile="+12025550144", phone="")
    HealthRecordFactory(passenger=greta, medications="Insulin twice a day")
    page.set_viewport_size({"width": 360, "height": 740})
    page.goto("/")
    hands = Hands(page)

    hands.press("/")
    hands.type("ort")
    hands.press("Enter")
    hands.click(page.get_by_role("link", name="Emergency card of Greta Ortiz"))
    expect(page.locator("a[href='tel:+12025550144']")).to_be_visible()
    expect(page.get_by_text("day 3 of 8")).to_be_visible()
    hands.click(page.get_by_role("button", name="An emergency"))
    expect(page.get_by_text("Insulin twice a day")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

    told(capsys, hands, "The 2 a.m. call")
    assert (hands.clicks, hands.keys) == (2, 5)


def test_who_lacks_something_is_chased_from_a_saved_filter(page: Page, capsys: Any) -> None:  # noqa: F811
    trip = TripFactory(name="Baracoa", start_date=dt.date.today() + dt.timedelta(days=30))
    for first in ("Ana", "Bea"):
        PassengerFactory(trip=trip, legal_first_name=first, legal_last_name="Alvarez")
    page.goto("/trips/passenger/?look=documents")
    hands = Hands(page)

    hands.click(page.locator("#action-toggle"))
    page.locator("#changelist-actions select[name=action]").select_option(label="Remind of what is missing…")
    hands.clicks += 2
    hands.click(page.locator("#changelist-actions button[name=index]"))
    expect(page.get_by_text("documents that we have not received yet").first).to_be_visible()
    hands.click(page.get_by_role("button", name="Send 2 mails"))
    expect(page.get_by_text("2 reminders sent.")).to_be_visible()

    assert len(mail.outbox) == 2
    told(capsys, hands, "Chase what is missing")
    assert (hands.clicks, hands.keys) == (5, 0)


def test_two_contacts_are_merged_by_keyboard_and_taken_apart_again(page: Page, capsys: Any) -> None:  # noqa: F811
    cache.clear()
    trip = TripFactory(name="Baracoa")
    keep = ContactFactory(first_name="Greta", last_name="Lindqvist", email="greta@example.com", city="Oslo")
    drop = ContactFactory(first_name="Gréta", last_name="Lindqvist", email="greta@example.com", city="Bergen")
    family = ContactFactory.create_batch(2, email="family@example.com")
    PassengerFactory(contact=keep, trip=None)
    booked = PassengerFactory(contact=drop, trip=trip)
    page.goto("/")
    hands = Hands(page)

    hands.click(page.get_by_role("link", name="Duplicates"))
    hands.click(page.get_by_role("link", name="Compare Greta Lindqvist and Gréta Lindqvist"))
    expect(page.locator("[name=pick-first_name][value=keep]")).to_be_focused()
    expect(page.locator("[data-preview]")).to_contain_text("1 booking moves to “Greta Lindqvist”.")
    hands.press("ArrowRight", "ArrowDown", "ArrowDown")
    expect(page.locator("[name=pick-city][value=keep]")).to_be_focused()
    hands.press("ArrowRight", "Enter")

    expect(page.get_by_text("“Gréta Lindqvist” is merged into")).to_be_visible()
    keep.refresh_from_db()
    booked.refresh_from_db()
    assert (keep.first_name, keep.city, booked.contact) == ("Gréta", "Bergen", keep)
    told(capsys, hands, "Duplicates: two contacts merged")
    assert (hands.clicks, hands.keys) == (2, 5)

    # The next pair is open: a family that shares an address.
    expect(page.get_by_role("heading", name=f"Merge {family[1]} into {family[0]}")).to_be_visible()
    hands.press("n")
    expect(page.get_by_text("are two people. They are not asked about again.")).to_be_visible()
    expect(page.get_by_text("No duplicates")).to_be_visible()

    page.goto(f"/trips/contact/{drop.pk}/change/")
    hands.click(page.get_by_role("link", name="Undo", exact=True))
    hands.click(page.get_by_role("button", name="Undo"))
    expect(page.get_by_text("3 rows were put back.")).to_be_visible()
    drop.refresh_from_db()
    booked.refresh_from_db()
    assert (drop.merged_into, booked.contact) == (None, drop)
