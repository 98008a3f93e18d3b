"""Pause sending, pause fetching, and traffic that GoHighLevel stops: what waits, what goes on, and what follows."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django_q.models import OrmQ

from ghl_sync import tasks
from ghl_sync.client.errors import NeedsAttention
from ghl_sync.engine import due, state
from ghl_sync.engine.pull import pull
from ghl_sync.engine.session import CannotRun, Paused, Session
from ghl_sync.models import Change, Link, Location, Run
from ghl_sync.sandbox.server import Sandbox
from tests.factories import ContactFactory, StaffFactory
from tests.ghl_sync.engine.mirror import a_trip, custom, link_of
from tests.ghl_sync.test_commands import run
from trips.models import Contact, Trip

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def boss() -> Any:
    return StaffFactory(username="ana", permissions=["ghl_sync.change_location", "ghl_sync.view_link"])


def turn(name: str, *, paused: bool, user: Any = None) -> None:
    assert state.switch(Location.objects.get(), name, user=user, paused=paused)


def people_here(connected: Sandbox, count: int) -> None:
    """So many contacts over there, and a page holds ten of them."""
    for number in range(count):
        connected.store.add_contact(first_name=f"Person {number}")
    Location.objects.update(page_size=10)


# Sending


def test_while_sending_is_paused_a_save_waits_and_then_goes(session: Session, connected: Sandbox) -> None:
    turn("sending", paused=True)
    trip = a_trip()
    tasks.sweep()
    tasks.reconcile([link_of(trip).pk])
    assert list(connected.requests) == []
    assert link_of(trip).attempts == 0

    turn("sending", paused=False)
    tasks.sweep()
    assert [card.name for card in connected.opportunities()] == [trip.name]
    assert not Change.objects.exists()


def test_a_push_at_work_stops_within_one_record(session: Session, connected: Sandbox) -> None:
    ContactFactory.create_batch(4)
    done: list[int] = []

    def pause_after_the_first(count: int) -> None:
        done.append(count)
        turn("sending", paused=True)

    with pytest.raises(Paused, match=r"^Sending was paused on .*\. An administrator"):
        due.run_due(session, progress=pause_after_the_first)
    assert (len(done), len(connected.writes())) == (1, 1)
    assert Link.objects.filter(attempts=0, leased_until=None).count() == 4


def test_while_sending_is_paused_what_changed_there_comes_in(session: Session, connected: Sandbox) -> None:
    trip = a_trip(description="Old")
    due.run_due(session)
    turn("sending", paused=True)
    connected.edit(link_of(trip).remote_id, fields={"trip_description": "New"})

    tasks.pull_changes()

    trip.refresh_from_db()
    assert trip.description == "New"


# Fetching


def test_while_fetching_is_paused_nothing_is_asked_and_then_all_comes(session: Session, connected: Sandbox) -> None:
    people_here(connected, 3)
    turn("fetching", paused=True)
    for task in (tasks.pull_changes, tasks.pull_everything, tasks.refresh_definitions):
        task()
    assert list(connected.requests) == []

    turn("fetching", paused=False)
    tasks.pull_changes()
    assert Contact.objects.count() == 3


def test_a_pull_at_work_stops_within_one_page_and_goes_on_there(session: Session, connected: Sandbox) -> None:
    people_here(connected, 25)

    def pause_after_the_first(kind: str, seen: int, total: int | None) -> None:
        turn("fetching", paused=True)

    with pytest.raises(Paused):
        pull(Session(), progress=pause_after_the_first)
    assert Contact.objects.count() == 10

    turn("fetching", paused=False)
    report = pull(Session())
    assert (report.contacts.seen, Contact.objects.count(), Run.objects.count()) == (25, 25, 1)


def test_while_fetching_is_paused_an_edit_here_still_goes(session: Session, connected: Sandbox) -> None:
    trip = a_trip(description="Old")
    due.run_due(session)
    turn("fetching", paused=True)
    trip.description = "New"
    trip.save()
    tasks.sweep()
    assert custom(connected, trip)["trip_description"] == "New"


def test_a_record_that_both_sides_changed_waits_while_fetching_is_paused(session: Session, connected: Sandbox) -> None:
    trip = a_trip(description="Old", capacity=10)
    due.run_due(session)
    Link.objects.update(remote_seen_at=None)
    connected.edit(link_of(trip).remote_id, fields={"max_passengers": 11})
    turn("fetching", paused=True)
    trip.description = "New"
    trip.save()

    tasks.sweep()

    trip.refresh_from_db()
    assert (trip.capacity, custom(connected, trip)["trip_description"]) == (10, "Old")
    assert link_of(trip).waits_for.startswith("Fetching was paused on ")
    turn("fetching", paused=False)
    Link.objects.update(next_attempt_at=None)
    tasks.sweep()
    trip.refresh_from_db()
    assert (trip.capacity, custom(connected, trip)["trip_description"]) == (11, "New")


def test_a_record_that_only_they_changed_is_not_even_read_while_fetching_is_paused(
    session: Session, connected: Sandbox
) -> None:
    trip = a_trip()
    due.run_due(session)
    connected.requests.clear()
    turn("fetching", paused=True)
    state.mark_dirty([link_of(trip).pk])
    tasks.sweep()
    assert list(connected.requests) == []
    assert link_of(trip).remote_dirty_at is not None


# Commands


@pytest.mark.parametrize(
    ("switch", "command"), [("sending", ("push_ghl", "--all")), ("fetching", ("pull_ghl", "--json"))]
)
def test_the_commands_say_who_paused_and_end_with_1(
    session: Session, connected: Sandbox, boss: Any, switch: str, command: tuple[str, ...]
) -> None:
    turn(switch, paused=True, user=boss)
    code, _body, words = run(*command)
    assert code == 1
    assert re.fullmatch(
        rf"{switch.capitalize()} was paused by ana on \d+ \w+ \d{{4}}, \d\d:\d\d\. An administrator can let it go on "
        r"with the button at the top of every page\.",
        words,
    )
    assert list(connected.requests) == []


@pytest.mark.parametrize(("switch", "command"), [("sending", "pull_ghl"), ("fetching", "push_ghl")])
def test_each_switch_holds_only_its_own_way(session: Session, connected: Sandbox, switch: str, command: str) -> None:
    turn(switch, paused=True)
    assert run(command)[0] == 0


# The buttons


def click(client: Client, name: str, to: str, here: str = "/trips/trip/") -> Any:
    return client.post(reverse("admin:ghl_sync_switch"), {"name": name, "to": to, "next": here})


def test_pausing_and_going_on_by_the_buttons(session: Session, client: Client, boss: Any) -> None:
    client.force_login(boss)
    answer = click(client, "sending", "pause", reverse("admin:ghl_sync_link_changelist"))
    assert (answer.status_code, answer["Location"]) == (302, reverse("admin:ghl_sync_link_changelist"))
    row = Location.objects.get()
    assert (row.sending_paused_by, row.fetching_paused_at) == (boss, None)

    page = client.get(reverse("admin:index"), follow=True).content.decode()
    assert "Sending was paused by ana on" in page
    assert "Go on sending" in page
    assert "Pause fetching" in client.get(reverse("admin:ghl_sync_link_changelist")).content.decode()

    OrmQ.objects.all().delete()
    click(client, "sending", "go on")
    row.refresh_from_db()
    assert (row.sending_paused_at, row.sending_paused_by) == (None, None)
    assert [queued.task["func"] for queued in OrmQ.objects.all()] == ["ghl_sync.tasks.sweep"]
    click(client, "fetching", "pause")
    click(client, "fetching", "go on")
    assert OrmQ.objects.latest("pk").task["func"] == "ghl_sync.tasks.pull_changes"
    assert "was paused" not in client.get(reverse("admin:index"), follow=True).content.decode()


def test_who_may_not_switch_sees_the_banner_without_the_button(session: Session, client: Client) -> None:
    client.force_login(StaffFactory(username="bo", permissions=["ghl_sync.view_link"]))
    turn("fetching", paused=True)
    page = client.get(reverse("admin:ghl_sync_link_changelist")).content.decode()
    assert "Fetching was paused on" in page
    assert "Go on fetching" not in page
    assert "Pause sending" not in page
    assert click(client, "fetching", "go on").status_code == 403
    assert Location.objects.get().fetching_paused_at is not None


def test_odd_posts_change_nothing_and_lead_nowhere_else(session: Session, client: Client, boss: Any) -> None:
    client.force_login(boss)
    assert client.get(reverse("admin:ghl_sync_switch")).status_code == 302
    assert click(client, "watermark", "pause").status_code == 400
    assert click(client, "sending", "explode").status_code == 400
    assert click(client, "sending", "pause", "https://elsewhere.example/")["Location"] == reverse("admin:index")
    click(client, "sending", "pause")
    assert Location.objects.get().sending_paused_by == boss


def test_a_record_s_badge_says_that_sending_is_paused(session: Session, client: Client, boss: Any) -> None:
    a_trip()
    turn("sending", paused=True)
    client.force_login(boss)
    page = client.get(reverse("admin:ghl_sync_link_changelist")).content.decode()
    assert "Waiting: sending is paused" in page


# Stopped by GoHighLevel


def test_a_token_refused_in_mid_run_stops_all_and_the_right_one_resumes(session: Session, connected: Sandbox) -> None:
    trips = [a_trip() for _number in range(3)]
    right = connected.token

    def rotate(count: int) -> None:
        connected.token = "rotated"

    other = Session()
    with pytest.raises(NeedsAttention, match="refuses the token"), session.stop_on_trouble():
        due.run_due(session, progress=rotate)
    assert [write.status for write in connected.writes()] == [201, 401]
    asked = len(connected.requests)
    with pytest.raises(CannotRun, match="GoHighLevel is stopped"):
        due.run_due(other)  # another worker in the middle of its run stops, too, without a call
    assert len(connected.requests) == asked

    connected.token = right
    Location.objects.update(probe_at=None)
    Link.objects.update(next_attempt_at=None)
    tasks.sweep()
    tasks.sweep()
    assert Location.objects.get().paused_at is None
    assert sorted(card.name for card in connected.opportunities()) == sorted(trip.name for trip in trips)
    assert not Link.objects.filter(failures__gt=0).exists()


def test_a_token_refused_in_mid_pull_goes_on_at_that_page(session: Session, connected: Sandbox) -> None:
    people_here(connected, 25)
    right = connected.token

    def rotate(kind: str, seen: int, total: int | None) -> None:
        connected.token = "rotated"

    session = Session()
    with pytest.raises(NeedsAttention, match="refuses the token"), session.stop_on_trouble():
        pull(session, progress=rotate)
    assert Contact.objects.count() == 10

    connected.token = right
    Location.objects.update(probe_at=None)
    connected.requests.clear()
    tasks.pull_changes()
    assert Contact.objects.count() == 25
    assert len([one for one in connected.requests if one.path == "/contacts/search"]) == 2


def test_while_stopped_one_question_a_minute_is_asked(session: Session, connected: Sandbox) -> None:
    ContactFactory()
    connected.token = "rotated"
    tasks.sweep()
    connected.requests.clear()
    Location.objects.update(probe_at=None)
    for _round in range(5):
        tasks.sweep()
        tasks.pull_changes()
    assert len(connected.requests) == 1


def test_a_missing_scope_stops_only_what_needs_it(session: Session, connected: Sandbox) -> None:
    contact = connected.store.add_contact(first_name="Ines")
    connected.store.add_opportunity(pipeline="TripBooking", name="Fjords", contact_id=contact.id)
    connected.scopes.discard("contacts.readonly")

    report = pull(session)

    assert "contacts.readonly" in report.error
    assert (report.ok, Trip.objects.get().name) == (False, "Fjords")
    assert (Location.objects.get().paused_at, Location.objects.get().watermark) == (None, None)
    assert Run.objects.get().ok is False


def test_a_record_that_lacks_a_scope_waits_and_the_others_go(session: Session, connected: Sandbox) -> None:
    trip = a_trip()
    due.run_due(session)
    connected.scopes.discard("contacts.write")
    ContactFactory(first_name="New")
    trip.capacity = 7
    trip.save()

    report = due.run_due(Session())

    assert (report.updated, report.failed) == (1, 1)
    assert custom(connected, trip)["max_passengers"] == 7
    waiting = Link.objects.exclude(last_error="").get()
    assert (waiting.failures, "contacts.write" in waiting.last_error) == (1, True)
    assert Location.objects.get().paused_at is None


def test_a_probe_whose_own_scope_is_missing_finds_the_stop_over(session: Session, connected: Sandbox) -> None:
    right, connected.token = connected.token, "rotated"
    tasks.pull_changes()
    connected.token = right
    connected.scopes.discard("locations.readonly")
    Location.objects.update(probe_at=None)
    tasks.sweep()
    assert Location.objects.get().paused_at is None
