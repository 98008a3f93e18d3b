"""Each kind of trouble repaired from the sync desk by clicking alone, in a real browser; both sides are then equal.

What the buttons put into the queue is carried out here, task by task; only a run that is cancelled while it runs needs
a cluster beside it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone
from django.utils.module_loading import import_string
from django_q.models import OrmQ
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from ghl_sync import desk_facts
from ghl_sync.engine import due, guards, state
from ghl_sync.engine.pull import pull
from ghl_sync.engine.session import Session
from ghl_sync.models import Change, Conflict, Link, Location, Run
from ghl_sync.sandbox.server import Sandbox
from tests.clusters import eventually, running
from tests.factories import StaffFactory
from tests.ghl_sync.engine.mirror import a_trip, custom, link_of
from trips.models import Trip

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

SLOW = 20_000
LONG_HOLD = 60_000  # seconds, though waits take a hundredth of their time
PHONE = {"width": 390, "height": 844}
# Fewer values emptied at once are no flood.
FEW = 4


class Desk:
    """A tab that is only clicked and typed in, and the queue behind it."""

    def __init__(self, page: Page, sandbox: Sandbox) -> None:
        self.page, self.sandbox = page, sandbox

    def open(self) -> None:
        """The one address that is typed; what setting the scene asked of the queue is done by then."""
        OrmQ.objects.all().delete()
        self.page.goto("/ghl_sync/link/desk/")

    def number(self, label: str) -> Locator:
        """A number of the desk that leads to its list."""
        return self.page.locator(".sync-numbers a").filter(has=self.page.get_by_text(label, exact=True))

    def follow(self, name: str) -> None:
        """A link of the page."""
        self.page.locator("#main").get_by_role("link", name=name).first.click()

    def go_to(self, name: str) -> None:
        """An entry of the sidebar."""
        self.page.locator("#nav-sidebar").get_by_role("link", name=name).click()

    def record(self, name: str) -> None:
        """The row of a list of the sync: its first column leads to its page."""
        self.page.locator("#result_list").get_by_role("link", name=name, exact=True).first.click()

    def press(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).first.click()

    def says(self, text: str) -> None:
        expect(self.page.get_by_text(text).first).to_be_visible(timeout=SLOW)

    def queue_works(self) -> None:
        """Carry out what was asked of the queue, and what that asks of it in turn."""
        while row := OrmQ.objects.order_by("pk").first():
            task = row.task
            row.delete()
            func = task["func"]
            (import_string(func) if isinstance(func, str) else func)(*task["args"], **task["kwargs"])


@pytest.fixture
def desk(
    chromium: str, client: Any, monkeypatch: pytest.MonkeyPatch, live_server: Any, session: Session, connected: Sandbox
) -> Iterator[Desk]:
    """The desk as an administrator sees it, on an account that is set up and read."""
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")  # playwright keeps an event loop in this thread
    client.force_login(StaffFactory(username="ada", is_superuser=True))
    cookie = {"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}
    with sync_playwright() as playwright:
        browser: Browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        context = browser.new_context(viewport={"width": 1280, "height": 900}, base_url=live_server.url)
        context.add_cookies([cookie])  # type: ignore[list-item]
        tab = context.new_page()
        tab.set_default_timeout(SLOW)
        yield Desk(tab, connected)
        browser.close()
        connections.close_all()  # under the event loop the test had connections of its own


def here() -> list[tuple[str, int | None]]:
    return sorted(Trip.objects.values_list("name", "capacity"))


def there(sandbox: Sandbox) -> list[tuple[str, Any]]:
    cards = sandbox.opportunities("TripBooking")
    return sorted((card.name, sandbox.store.custom_by_key(card).get("max_passengers")) for card in cards)


def troubles() -> dict[str, int]:
    """Everything that the desk would still show as moving, asked or wrong."""
    counts = desk_facts.Counts()
    resting = {"synced", "ignored"}
    found = {name: count for name, count in counts.states.items() if name not in resting}
    found |= {"conflicts": counts.conflicts, "approvals": counts.approvals, "drifts": counts.drifts}
    found |= {"deletes": sum(counts.deletes.values()), "doubles": sum(counts.doubles.values()), **counts.issues}
    return {name: count for name, count in found.items() if count}


def at_rest(sandbox: Sandbox, expected: list[tuple[str, int | None]]) -> bool:
    """Both sides hold exactly these trips, and nothing is left to repair. Raises AssertionError."""
    assert (here(), there(sandbox), troubles()) == (expected, expected, {})
    return True


def a_synced_trip(session: Session, **values: Any) -> Trip:
    trip = a_trip(**{"name": "Fjords", "capacity": 10, **values})
    due.run_due(session)
    return trip


def refused(session: Session, sandbox: Sandbox, count: int) -> list[Trip]:
    """Trips whose emptied capacity GoHighLevel does not take."""
    trips = [a_synced_trip(session, name=f"Fjords {number}") for number in range(count)]
    sandbox.store.clearing = {"*": "refused"}
    for trip in trips:
        trip.capacity = None
        trip.save()
    due.run_due(Session())
    assert troubles() == {"needs_person": count}
    return trips


def gone(session: Session, sandbox: Sandbox) -> Trip:
    """A trip whose opportunity was deleted over there, beside one that was not."""
    trip = a_synced_trip(session)
    sandbox.store.delete(link_of(trip).remote_id)
    pull(session, full=True)
    pull(session, full=True)
    assert troubles() == {"gone": 1}
    return trip


def copied(session: Session, sandbox: Sandbox) -> tuple[Trip, str]:
    """A trip, and the id of a copy that somebody made of its opportunity, key included."""
    trip = a_synced_trip(session)
    record: Any = sandbox.store.get(link_of(trip).remote_id)
    fields = {**sandbox.store.custom_by_key(record), "max_passengers": 15}
    copy = sandbox.store.add_opportunity(
        pipeline="TripBooking", contact_id=record.contact_id, name="Fjords II", fields=fields
    )
    pull(session, full=True)
    assert troubles() == {"doubles": 1}
    return trip, copy.id


def came_back(session: Session, sandbox: Sandbox) -> None:
    """A trip that was deleted on both sides and that somebody restored over there."""
    trip = a_synced_trip(session)
    record: Any = sandbox.store.get(link_of(trip).remote_id)
    fields = sandbox.store.custom_by_key(record)
    trip.delete()
    due.run_due(session)
    sandbox.store.add_opportunity(pipeline="TripBooking", contact_id=record.contact_id, name="Fjords", fields=fields)
    pull(session, full=True)
    assert troubles() == {"doubles": 1}


# A record that needs a person


def test_a_refused_value_is_corrected(desk: Desk, session: Session, connected: Sandbox) -> None:
    refused(session, connected, 1)
    desk.open()
    desk.number("Needs you").click()
    desk.follow("Open trip")
    desk.says("should not be empty")
    desk.page.locator("input[name=capacity]").fill("12")
    desk.press("Save")
    desk.says("GoHighLevel follows in a moment.")
    desk.queue_works()

    assert at_rest(connected, [("Fjords 0", 12)])


def test_many_are_tried_again_at_once(desk: Desk, session: Session, connected: Sandbox) -> None:
    refused(session, connected, 3)
    connected.store.clearing = {}  # whatever stood in the way over there is mended
    desk.open()
    desk.number("Needs you").click()
    desk.page.locator("#action-toggle").check()
    desk.page.locator("select[name=action]").select_option(label="Sync now")
    desk.press("Run")
    desk.says("3 records are compared in a moment.")
    desk.queue_works()

    assert at_rest(connected, [(f"Fjords {number}", None) for number in range(3)])


# Gone, linked, let go


def test_what_is_gone_is_created_again(desk: Desk, session: Session, connected: Sandbox) -> None:
    a_synced_trip(session, name="Another")
    trip = gone(session, connected)
    was = link_of(trip)
    desk.open()
    desk.number("Gone in GoHighLevel").click()
    desk.record("Fjords")
    desk.follow("Create again in GoHighLevel…")
    desk.press("Create again in GoHighLevel")
    desk.says("1 record is created again in a moment.")
    desk.queue_works()

    assert at_rest(connected, [("Another", 10), ("Fjords", 10)])
    assert custom(connected, trip)["tripbuilder_key"] == was.key
    assert link_of(trip).remote_id != was.remote_id


def test_what_is_gone_is_put_away(desk: Desk, session: Session, connected: Sandbox) -> None:
    a_synced_trip(session, name="Another")
    trip = gone(session, connected)
    desk.open()
    desk.number("Gone in GoHighLevel").click()
    desk.record("Fjords")
    desk.follow("Accept that it is gone…")
    desk.press("Accept that it is gone")
    desk.says("1 record is put away.")
    desk.queue_works()

    trip.refresh_from_db()
    assert (trip.archived_at is not None, link_of(trip).state_now()) == (True, "ignored")
    assert (there(connected), troubles()) == ([("Another", 10)], {})


def test_an_opportunity_is_adopted_by_its_address(desk: Desk, session: Session, connected: Sandbox) -> None:
    a_synced_trip(session, name="Another")
    trip = gone(session, connected)
    made = connected.store.add_opportunity(
        pipeline="TripBooking",
        contact_id=link_of(trip.organiser).remote_id,
        name="Fjords",
        fields={"max_passengers": 10, "lodging_notes": "Cabins"},
    )
    desk.open()
    desk.number("Gone in GoHighLevel").click()
    desk.record("Fjords")
    desk.follow("Link to an opportunity that exists…")
    desk.page.get_by_label("Its ID or address in GoHighLevel").fill(
        f"https://app.gohighlevel.com/v2/location/abc/opportunities/list?opportunityId={made.id}"
    )
    desk.press("Show what would happen")
    desk.says("GoHighLevel’s value comes here")
    assert link_of(trip).remote_id != made.id
    desk.press("Yes, this opportunity is that trip")
    desk.says("Trip Fjords is linked.")
    desk.queue_works()

    trip.refresh_from_db()
    assert (link_of(trip).remote_id, trip.lodging_notes) == (made.id, "Cabins")
    assert custom(connected, trip)["tripbuilder_key"] == link_of(trip).key
    assert at_rest(connected, [("Another", 10), ("Fjords", 10)])


def test_a_record_is_detached_and_made_anew(desk: Desk, session: Session, connected: Sandbox) -> None:
    trip = a_synced_trip(session)
    was = link_of(trip).remote_id
    desk.open()
    desk.number("Synced").click()
    desk.record("Fjords")
    desk.follow("Detach and create a new one…")
    desk.press("Detach and create a new one")
    desk.says("1 record is detached, and created anew in a moment.")
    desk.queue_works()

    now = link_of(trip).remote_id
    assert sorted(card.id for card in connected.opportunities("TripBooking")) == sorted([was, now])
    assert (now not in {"", was}, here(), troubles()) == (True, [("Fjords", 10)], {"doubles": 1})

    # What becomes of the one that is nobody's any more is asked, and said.
    desk.open()
    desk.number("Doubles").click()
    desk.follow("Compare and decide")
    desk.press("The same")
    desk.says("Nothing exists twice")
    pull(Session(), full=True)
    assert (here(), troubles()) == ([("Fjords", 10)], {})


# Twice, and again


def test_a_copy_is_called_the_same(desk: Desk, session: Session, connected: Sandbox) -> None:
    trip, copy = copied(session, connected)
    was = link_of(trip).remote_id
    desk.open()
    desk.number("Doubles").click()
    desk.follow("Compare and decide")
    expect(desk.page.get_by_role("row", name="Capacity 10 15")).to_be_visible()
    desk.press("The same")
    desk.says("Noted: they are the same, and nobody is asked again.")
    desk.says("Nothing exists twice")
    desk.queue_works()
    pull(session, full=True)

    assert (here(), link_of(trip).remote_id, troubles()) == ([("Fjords", 10)], was, {})
    assert sorted(card.id for card in connected.opportunities("TripBooking")) == sorted([was, copy])


def test_a_copy_gets_its_own_key(desk: Desk, session: Session, connected: Sandbox) -> None:
    trip, copy = copied(session, connected)
    desk.open()
    desk.number("Doubles").click()
    desk.follow("Compare and decide")
    desk.press("Give it its own key")
    desk.says("is a record of its own now")
    desk.queue_works()

    other = Trip.objects.exclude(pk=trip.pk).get()
    keys = {link_of(one).remote_id: custom(connected, one)["tripbuilder_key"] for one in (trip, other)}
    assert keys == {link_of(trip).remote_id: link_of(trip).key, copy: link_of(other).key}
    assert at_rest(connected, [("Fjords", 10), ("Fjords II", 15)])


@pytest.mark.parametrize(("button", "left"), [("Bring it back here", [("Fjords", 10)]), ("Delete it there again", [])])
def test_what_came_back_is_decided(
    desk: Desk, session: Session, connected: Sandbox, button: str, left: list[tuple[str, int | None]]
) -> None:
    came_back(session, connected)
    desk.open()
    desk.number("Doubles").click()
    desk.follow("Compare and decide")
    desk.press(button)
    desk.says("Nothing exists twice")
    desk.queue_works()

    assert at_rest(connected, left)


def test_an_issue_leads_to_the_double(desk: Desk, session: Session, connected: Sandbox) -> None:
    copied(session, connected)
    desk.open()
    desk.go_to("Issues")
    desk.follow("Compare and decide")
    desk.press("The same")
    desk.says("Nothing exists twice")

    assert troubles() == {}


# Yes or no


@pytest.mark.parametrize(("button", "capacity"), [("Yes, for all 6", None), ("No, for all 6", 10)])
def test_a_flood_of_blanks_is_answered(
    desk: Desk,
    session: Session,
    connected: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    button: str,
    capacity: int | None,
) -> None:
    monkeypatch.setattr(guards, "FEWEST", FEW)
    trips = [a_synced_trip(session, name=f"Fjords {number}") for number in range(6)]
    for trip in trips:
        connected.store.edit(link_of(trip).remote_id, fields={"max_passengers": None})
    pull(session, full=True)
    assert troubles() == {"approvals": 1}
    desk.open()
    desk.number("Yes or no").click()
    desk.says("The field “capacity” of 6 trips was emptied in GoHighLevel: empty it here, too?")
    desk.press(button)
    desk.says("for 6 records, in the background.")
    desk.queue_works()

    assert at_rest(connected, [(f"Fjords {number}", capacity) for number in range(6)])


# Deletes


def test_a_held_delete_is_undone(desk: Desk, session: Session, connected: Sandbox, settings: Any) -> None:
    settings.GHL_DELETE_HOLD_SECONDS = LONG_HOLD
    trip = a_synced_trip(session)
    pk = trip.pk
    trip.delete()
    desk.open()
    desk.number("Deletes not sent yet").click()
    desk.press("Undo")
    desk.says("“Fjords” is back, with everything that belonged to it.")
    desk.queue_works()

    assert Trip.objects.get().pk == pk
    assert at_rest(connected, [("Fjords", 10)])


def test_many_held_deletes_are_undone_at_once(desk: Desk, session: Session, connected: Sandbox, settings: Any) -> None:
    settings.GHL_DELETE_HOLD_SECONDS = LONG_HOLD
    for number in range(3):
        a_synced_trip(session, name=f"Fjords {number}").delete()
    desk.open()
    desk.number("Deletes not sent yet").click()
    boxes, whole = desk.page.locator("input[name=chosen]"), desk.page.get_by_label("Select all of this page")
    whole.check()
    expect(boxes.and_(desk.page.locator(":checked"))).to_have_count(3)
    boxes.first.uncheck()
    expect(whole).not_to_be_checked()
    desk.press("Undo selected")
    desk.says("2 records are back, with everything that belonged to them.")
    expect(boxes).to_have_count(1)
    whole.check()
    desk.press("Undo selected")
    desk.says("1 record is back, with everything that belonged to it.")
    desk.says("No delete is waiting")
    desk.queue_works()

    assert at_rest(connected, [(f"Fjords {number}", 10) for number in range(3)])


@pytest.mark.parametrize(("button", "left"), [("Restore here", [("Fjords", 15)]), ("Delete there too", [])])
def test_what_was_deleted_here_and_changed_there_is_decided(
    desk: Desk, session: Session, connected: Sandbox, button: str, left: list[tuple[str, int | None]]
) -> None:
    trip = a_synced_trip(session)
    Link.objects.update(remote_seen_at=timezone.now() - dt.timedelta(hours=1))
    connected.edit(link_of(trip).remote_id, fields={"max_passengers": 15})
    trip.delete()
    due.run_due(Session())
    assert troubles() == {"needs_person": 1, "deletes": 1, "changed": 1}
    desk.open()
    desk.number("Deleted here, changed in GoHighLevel").click()
    desk.follow("Decide")
    expect(desk.page.get_by_role("row", name="capacity 10 15")).to_be_visible()
    desk.press(button)
    desk.queue_works()

    assert at_rest(connected, left)


# Differences


def test_what_the_audit_finds_is_repaired(desk: Desk, session: Session, connected: Sandbox) -> None:
    trip = a_synced_trip(session)
    Link.objects.update(remote_seen_at=timezone.now() - dt.timedelta(hours=1))
    Trip.objects.filter(pk=trip.pk).update(capacity=12)  # past the signals, as SQL does
    desk.open()
    desk.press("Compare everything")
    desk.says("Asked for: compare everything.")
    desk.queue_works()
    desk.open()
    desk.number("Differences").click()
    expect(desk.page.get_by_role("row", name="Trip Fjords")).to_contain_text("It is sent.")
    desk.press("Repair all 1 difference")
    desk.says("1 difference is handed to the sync.")
    desk.queue_works()

    assert at_rest(connected, [("Fjords", 12)])


# Pausing, and runs


def test_sending_is_paused_and_goes_on(desk: Desk, session: Session, connected: Sandbox) -> None:
    a_synced_trip(session)
    desk.open()
    desk.press("Pause sending")
    desk.says("Sending was paused by ada")
    desk.number("Synced").click()
    desk.page.get_by_role("row", name="Fjords").get_by_role("link", name="Open trip").click()
    desk.page.locator("input[name=capacity]").fill("12")
    desk.press("Save")
    desk.queue_works()
    assert (here(), there(connected)) == ([("Fjords", 12)], [("Fjords", 10)])
    desk.go_to("Sync desk")
    desk.press("Go on sending")
    desk.says("Sending goes on. What was saved meanwhile follows now.")
    desk.queue_works()

    assert at_rest(connected, [("Fjords", 12)])


@pytest.mark.cluster
def test_a_pull_is_started_watched_and_cancelled(
    desk: Desk, session: Session, connected: Sandbox, tmp_path: Path
) -> None:
    pull(session, full=True)
    for number in range(250):
        connected.store.add_contact(first_name="Ines", last_name=f"Prado {number}", email=f"ines{number}@example.com")
    contact = connected.store.add_contact(first_name="Rui", last_name="Alves", email="rui@example.com")
    connected.store.add_opportunity(pipeline="TripBooking", contact_id=contact.id, name="Fjords")
    connected.faults.add("slow", path="/(contacts|opportunities)/search", seconds=3.0, times=20)
    Location.objects.update(swept_at=timezone.now())
    with running(tmp_path / "cluster.log"):
        desk.open()
        desk.press("Fetch everything now")
        desk.says("Full pull, started")
        expect(desk.page.locator("progress")).to_be_visible()
        desk.press("Cancel")
        run = eventually(lambda: Run.objects.filter(mode="full", started_by__username="ada").first())
        eventually(lambda: Run.objects.get(pk=run.pk).finished_at, what="the cancelled pull did not end")
        expect(desk.page.get_by_text("Nothing is being fetched or compared at this moment.")).to_be_visible()
    desk.go_to("Fetches and comparisons")
    desk.says("Cancelled by ada")

    run.refresh_from_db()
    assert (run.ok, run.cancel_asked_by.username, run.error[:10]) == (False, "ada", "Cancelled.")
    assert (Link.objects.filter(kind="contact").exists(), here()) == (True, [])


# Conflicts, small screens, keys


def test_a_conflict_is_decided(desk: Desk, session: Session, connected: Sandbox) -> None:
    trip = a_synced_trip(session)
    trip.capacity = 11
    trip.save()
    Change.objects.update(at=timezone.now() - dt.timedelta(hours=1))
    connected.edit(link_of(trip).remote_id, fields={"max_passengers": 12})
    state.mark_dirty([link_of(trip).pk])
    due.run_due(Session())
    assert troubles() == {"conflict": 1, "conflicts": 1}
    desk.open()
    desk.number("Conflicts").click()
    desk.follow("Decide")
    desk.page.get_by_role("radio").nth(1).check()
    desk.press("Apply what is picked")
    desk.says("1 conflict is decided; both sides follow in a moment.")
    desk.queue_works()
    desk.says("No open conflict")

    assert Conflict.objects.get().outcome == "theirs"
    assert at_rest(connected, [("Fjords", 12)])


def test_the_desk_and_its_lists_fit_a_phone(desk: Desk, session: Session, connected: Sandbox) -> None:
    copied(session, connected)
    a_synced_trip(session, name="A trip with a rather long name, for the whole family and their friends")
    desk.page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    desk.open()
    fits = "document.documentElement.scrollWidth <= window.innerWidth + 1"
    links = desk.page.locator(".sync-numbers a")
    urls = [str(links.nth(n).get_attribute("href")) for n in range(links.count())]
    wide = []
    for url in ["/ghl_sync/link/desk/", *urls]:
        desk.page.goto(url)
        if not desk.page.evaluate(fits):
            wide.append(url)
    desk.open()
    desk.number("Doubles").click()
    desk.follow("Compare and decide")

    assert (wide, desk.page.evaluate(fits)) == ([], True)


def test_the_desk_is_used_by_keyboard(desk: Desk, session: Session, connected: Sandbox) -> None:
    copied(session, connected)
    desk.open()
    tab_to(desk.page, lambda text: text.endswith("Doubles") and text[0].isdigit())
    desk.page.keyboard.press("Enter")
    desk.says("1 question.")
    tab_to(desk.page, lambda text: text == "Compare and decide")
    desk.page.keyboard.press("Enter")
    desk.says("Back to the list")
    tab_to(desk.page, lambda text: text == "The same")
    desk.page.keyboard.press("Space")
    desk.says("Nothing exists twice")

    assert troubles() == {}


def tab_to(page: Page, wanted: Callable[[str], bool]) -> None:
    """Press Tab until the focus is on a control with these words; a person sees where it is."""
    for _press in range(120):
        page.keyboard.press("Tab")
        text, outline = page.evaluate(
            "() => { const at = document.activeElement, look = getComputedStyle(at);"
            " return [at.innerText || '', look.outlineStyle !== 'none' || look.boxShadow !== 'none'] }"
        )
        if text.strip() and wanted(" ".join(text.split())):
            assert outline, f"the focus on {text!r} cannot be seen"
            return
    raise AssertionError("no control with these words can be reached by keyboard")
