"""Everything that is due, by several hands: each record once, staff's edits first, and one end for all of them."""

from __future__ import annotations

import datetime as dt
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection, transaction
from pytest_django import DjangoAssertNumQueries

from ghl_sync.client.errors import NeedsAttention
from ghl_sync.engine import due, outbox, state
from ghl_sync.engine.clock import database_now
from ghl_sync.engine.results import PushReport
from ghl_sync.engine.session import Session
from ghl_sync.models import Change, Lane, Link, Location, Write
from ghl_sync.sandbox.server import Sandbox
from tests.factories import ContactFactory, PassengerFactory, TripFactory
from tests.ghl_sync.engine.mirror import a_trip, link_of
from trips.models import Contact

pytestmark = pytest.mark.django_db(transaction=True)
HANDS = 4


@pytest.fixture
def no_hand_left() -> Iterator[None]:
    """A hand that an interrupted run left behind ends before the database of the test does."""
    yield
    for thread in threading.enumerate():
        if thread.name.startswith("push-"):
            thread.join(20)


def counts(report: PushReport) -> dict[str, int]:
    body = report.as_json()
    return {name: body[name] for name in ("created", "updated", "deleted", "unchanged", "waiting", "failed")}


def counted(**found: int) -> dict[str, int]:
    return {**dict.fromkeys(("created", "updated", "deleted", "unchanged", "waiting", "failed"), 0), **found}


def bulk(*people: Contact) -> None:
    """These people changed in bulk: no staff edit of theirs is due any more."""
    Change.objects.all().delete()
    for person in people:
        person.last_name += " Changed"
    Contact.objects.bulk_update(people, ["last_name"])
    outbox.mark_many(Contact, [person.pk for person in people])


def created(sandbox: Sandbox) -> list[str]:
    return [f"{one.method} {one.path}" for one in sandbox.writes() if one.method == "POST"]


def test_several_hands_make_each_record_once_contacts_first(session: Session, connected: Sandbox) -> None:
    trips = [a_trip() for _trip in range(3)]
    for trip in trips:
        PassengerFactory.create_batch(2, trip=trip)
    before = session.client.calls

    report = due.run_due(session, in_flight=HANDS)

    assert counts(report) == counted(created=18)
    assert report.calls - before == len(connected.requests)
    assert created(connected) == ["POST /contacts/"] * 9 + ["POST /opportunities/"] * 9
    assert set(Write.objects.values_list("outcome", flat=True)) == {Write.Outcome.DONE}


def test_several_calls_are_in_flight_at_a_time(session: Session, connected: Sandbox) -> None:
    ContactFactory.create_batch(8)
    connected.latency = 0.5

    report = due.run_due(session, in_flight=8)

    assert report.created == 8
    assert report.seconds < 8 * connected.latency


def test_within_a_transaction_one_hand_does_it_all(session: Session, connected: Sandbox) -> None:
    with transaction.atomic():
        ContactFactory.create_batch(3)
        report = due.run_due(session, in_flight=HANDS)

    assert counts(report) == counted(created=3)
    assert report.calls == session.client.calls


def test_a_refused_token_stops_all_hands_and_is_told_once(session: Session, connected: Sandbox) -> None:
    ContactFactory.create_batch(20)
    connected.token = "another"

    with pytest.raises(NeedsAttention, match="refuses the token"):
        due.run_due(session, in_flight=HANDS)

    assert len(connected.requests) + len(connected.limit.arrivals) <= 2 * HANDS + 3
    assert set(Link.objects.values_list("attempts", "leased_until")) == {(0, None)}
    assert not due.at_work()


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Ctrl-C means what it does in a terminal; a worker of a parallel test run ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_an_interrupted_run_ends_quickly_and_the_next_one_goes_on(
    session: Session, connected: Sandbox, no_hand_left: None, interruptible: None
) -> None:
    ContactFactory.create_batch(12)
    connected.latency = 0.3
    threading.Timer(0.6, signal.pthread_kill, (threading.get_ident(), signal.SIGINT)).start()
    started = time.monotonic()

    with pytest.raises(KeyboardInterrupt):
        due.run_due(session, in_flight=2)

    assert time.monotonic() - started < 6
    for thread in threading.enumerate():
        if thread.name.startswith("push-"):
            thread.join(20)
    connected.latency = 0
    assert 0 < Link.objects.exclude(remote_id="").count() < 12
    due.run_due(Session(), in_flight=2)
    assert not Link.objects.filter(remote_id="").exists()
    assert len(connected.store.contacts_by_id) == 12


def test_a_hand_that_breaks_breaks_the_run(session: Session, connected: Sandbox) -> None:
    ContactFactory.create_batch(4)

    def breaks(count: int) -> None:
        raise RuntimeError("the bar broke")

    with pytest.raises(RuntimeError, match="the bar broke"):
        due.run_due(session, in_flight=HANDS, progress=breaks)


# The order


def test_staff_s_edits_come_first_then_retries_then_the_rest(session: Session) -> None:
    trip = a_trip()
    passenger = PassengerFactory(trip=trip)
    bulky, failed, edited_again = ContactFactory.create_batch(3)
    Change.objects.filter(object_id__in=[bulky.pk], kind="contact").update(lane=Lane.BULK)
    an_hour_ago = database_now() - dt.timedelta(hours=1)
    Link.objects.filter(pk=link_of(failed).pk).update(failures=2, last_error_at=database_now())
    Link.objects.filter(pk=link_of(edited_again).pk).update(failures=2, last_error_at=an_hour_ago)

    found = [(record.lane, record.link_id) for record in due.due_records()]

    people = sorted(link_of(one).pk for one in (trip.organiser, passenger.contact, edited_again))
    assert found == [
        *(("staff", pk) for pk in people),
        ("staff", link_of(trip).pk),
        ("staff", link_of(passenger).pk),
        ("retry", link_of(failed).pk),
        ("bulk", link_of(bulky).pk),
    ]


@pytest.mark.parametrize("hands", [1, 2])
def test_what_staff_saves_meanwhile_goes_before_the_rest_of_a_bulk_run(
    session: Session, connected: Sandbox, monkeypatch: pytest.MonkeyPatch, hands: int
) -> None:
    monkeypatch.setattr(due, "LOOK_SECONDS", 0.0)
    people = ContactFactory.create_batch(8)
    due.run_due(session)
    bulk(*people)
    connected.requests.clear()
    edited = people[-1]

    def edit_at_the_first(count: int) -> None:
        if not Change.objects.filter(lane=Lane.STAFF).exists() and edited.first_name != "Edited":
            edited.first_name = "Edited"
            edited.save()

    due.run_due(session, in_flight=hands, progress=edit_at_the_first)

    order = [one.path for one in connected.requests if one.method == "PUT"]
    assert order.index(f"/contacts/{link_of(edited).remote_id}") <= 2 * hands
    assert len(set(order)) == 8
    assert not Change.objects.exists()


@pytest.mark.parametrize("people", [1, 3])
def test_what_is_due_costs_the_same_queries_however_much_it_is(
    session: Session, people: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    ContactFactory.create_batch(people)

    with django_assert_num_queries(1):
        assert len(due.due_records()) == people
    with django_assert_num_queries(2):
        assert len(due.staff_records()) == people


# One run at a time


def test_a_run_says_that_it_is_at_work_and_a_second_one_leaves_it_at_that(session: Session, connected: Sandbox) -> None:
    ContactFactory()
    heard: list[bool] = []

    def look(count: int) -> None:
        heard.append(due.at_work())
        ContactFactory()
        due.run_due(Session(), in_flight=1)
        heard.append(due.at_work())

    due.run_due(session, in_flight=1, progress=look, seconds=30)

    assert heard[:2] == [True, True]
    assert not due.at_work()


def test_a_run_whose_time_is_up_says_that_more_is_left(session: Session, connected: Sandbox) -> None:
    ContactFactory()

    cut_short = due.run_due(session, seconds=-1)
    whole = due.run_due(session)

    assert (cut_short.complete, cut_short.created, whole.complete, whole.created) == (False, 0, True, 1)


# Limits


def test_while_the_budget_is_low_bulk_waits_and_says_why_and_staff_s_edits_go(
    session: Session, connected: Sandbox, settings: Any
) -> None:
    settings.TIME_ZONE = "UTC"
    people = ContactFactory.create_batch(3)
    due.run_due(session)
    bulk(*people)
    people[0].save()
    connected.requests.clear()
    connected.limit.daily, connected.limit._today = 1000, 940
    Location.objects.update(daily_limit=1000, daily_remaining=60, daily_reset_at=database_now() + dt.timedelta(hours=3))

    report = due.run_due(Session(), in_flight=1)

    assert [one.path for one in connected.writes()] == [f"/contacts/{link_of(people[0]).remote_id}"]
    assert counts(report) == counted(updated=1, waiting=2)
    resets = Location.objects.get().daily_reset_at
    assert resets is not None
    rows = {link.object_id: (link.waits_for, link.attempts, link.next_attempt_at) for link in Link.objects.all()}
    why = (
        "Today's budget of GoHighLevel calls is nearly used up, and the rest is kept for staff's edits; "
        f"goes on at {resets:%H:%M}."
    )
    assert rows == {people[0].pk: ("", 0, None), people[1].pk: (why, 0, None), people[2].pk: (why, 0, None)}


def test_with_nothing_left_of_the_budget_nobody_sends_until_the_reset(session: Session, connected: Sandbox) -> None:
    ContactFactory.create_batch(2)
    connected.requests.clear()
    Location.objects.update(daily_limit=1000, daily_remaining=0, daily_reset_at=database_now() + dt.timedelta(hours=3))
    held = due.run_due(Session(), in_flight=1)
    assert (counts(held)["waiting"], list(connected.requests)) == (2, [])

    Location.objects.update(daily_reset_at=database_now())
    due.run_due(Session(), in_flight=1)
    assert not Link.objects.filter(remote_id="").exists()
    assert set(Link.objects.values_list("waits_for", flat=True)) == {""}


@pytest.mark.parametrize("bare", [False, True])
@pytest.mark.parametrize("hands", [1, HANDS])
def test_a_storm_of_429s_burns_no_attempts_and_everything_arrives(
    session: Session, connected: Sandbox, bare: bool, hands: int
) -> None:
    trip = a_trip()
    PassengerFactory.create_batch(4, trip=trip)
    connected.faults.add("status", status=429, message="Too Many Requests", times=6, bare=bare)

    for _run in range(20):
        due.run_due(Session(), in_flight=hands)
        assert set(Link.objects.values_list("attempts", "failures")) == {(0, 0)}
        Link.objects.update(next_attempt_at=None)
        if not connected.faults.waiting() and not Change.objects.filter(due_at__lte=database_now()).exists():
            break

    assert len(connected.faults.struck) == 6
    assert not Link.objects.filter(remote_id="").exists()
    assert len(connected.opportunities()) == 5


def test_a_429_lets_nobody_send_for_a_while_and_staff_s_edits_first(
    session: Session, connected: Sandbox, settings: Any
) -> None:
    settings.GHL_WAIT_SCALE = 1.0
    person = ContactFactory()
    connected.faults.add("status", status=429, message="Too Many Requests")

    due.run_due(Session(longest_wait=1), in_flight=1)

    link = link_of(person)
    assert link.next_attempt_at is not None
    assert (link.waits_for, link.attempts) == ("GoHighLevel's limit is used up.", 0)
    assert Session(longest_wait=1).limiter.closed("staff").startswith("GoHighLevel's limit is used up; free again in")
    assert len(connected.limit.arrivals) == 4  # the definitions, and the call that was refused


def test_a_lane_is_that_of_the_most_urgent_change_until_it_fails() -> None:
    now = database_now()
    earlier, later = now - dt.timedelta(minutes=1), now + dt.timedelta(minutes=1)

    found = [
        state.lane_of("staff", now, 0, None),
        state.lane_of("staff", now, 1, later),
        state.lane_of("staff", now, 1, earlier),
        state.lane_of("bulk", None, 0, None),
        state.lane_of("bulk", None, 3, now),
    ]

    assert found == ["staff", "retry", "staff", "bulk", "retry"]


def test_hands_leave_no_connection_behind(session: Session, connected: Sandbox) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("only a server tells who is connected")
    TripFactory.create_batch(4, organiser=ContactFactory())
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
        before = cursor.fetchone()

        due.run_due(session, in_flight=HANDS)

        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
        assert cursor.fetchone() == before


def test_looks_at_what_webhooks_named_go_on_while_bulk_waits(session: Session, connected: Sandbox) -> None:
    person = ContactFactory()
    due.run_due(session)
    link = link_of(person)
    connected.edit(link.remote_id, first_name="Renamed")
    state.mark_dirty([link.pk])
    connected.limit.daily, connected.limit._today = 1000, 950
    Location.objects.update(daily_limit=1000, daily_remaining=50, daily_reset_at=database_now() + dt.timedelta(hours=3))

    assert due.run_these(Session(), [link.pk], seconds=5) == {link.pk}
    person.refresh_from_db()
    assert person.first_name != "Renamed"
    look = Session()
    with look.by_lane("look"):
        due.run_these(look, [link.pk], seconds=5)

    person.refresh_from_db()
    assert (person.first_name, look.lane) == ("Renamed", "bulk")


@pytest.mark.parametrize("milliseconds", ["000", "120", "999"])
def test_a_mark_set_at_whatever_fraction_of_a_second_is_answered(
    session: Session, connected: Sandbox, milliseconds: str
) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("only SQLite compares times as text")
    person = ContactFactory()
    due.run_due(session)
    link = link_of(person)
    moment = f"{dt.datetime.now(dt.UTC) - dt.timedelta(seconds=5):%Y-%m-%d %H:%M:%S}.{milliseconds}"
    connection.ensure_connection()
    connection.connection.create_function("strftime", 2, lambda _form, _moment: moment)
    state.mark_dirty([link.pk])
    connection.close()  # and with it goes the clock that stands still

    link.refresh_from_db()
    assert link.remote_dirty_at is not None
    due.run_due(session)

    link.refresh_from_db()
    assert link.remote_dirty_at is None
