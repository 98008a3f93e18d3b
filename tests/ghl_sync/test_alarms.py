"""Who is told of trouble, when, how often, and when it is over."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.core import mail
from django.utils import timezone
from django_q.models import Schedule

from ghl_sync import schedules, tasks
from ghl_sync.engine import alarms, due, state
from ghl_sync.engine.limits import BUDGET_WORDS
from ghl_sync.engine.session import Session
from ghl_sync.models import Alarm, Approval, Change, Link, Location, Write
from ghl_sync.sandbox.server import Sandbox
from tests.factories import ContactFactory, VendorFactory
from tests.ghl_sync.engine.mirror import a_trip, link_of

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def operators(settings: Any) -> None:
    settings.ADMINS = [("Operators", "operators@example.com")]


def ago(**span: Any) -> dt.datetime:
    return timezone.now() - dt.timedelta(**span)


def told() -> list[str]:
    """Subjects of the mails since the last look."""
    subjects = [letter.subject for letter in mail.outbox]
    mail.outbox.clear()
    return subjects


def open_alarms() -> list[tuple[str, str]]:
    return list(Alarm.objects.filter(closed_at=None).values_list("code", "detail").order_by("code", "detail"))


def test_at_rest_nobody_is_told(session: Session) -> None:
    a_trip()
    due.run_due(session)
    alarms.check()
    assert (told(), Alarm.objects.count()) == ([], 0)


def test_without_an_account_nothing_is_looked_at(db: None, settings: Any) -> None:
    settings.GHL_API_TOKEN = ""
    alarms.check()
    assert not Alarm.objects.exists()


def test_a_stop_is_told_once_and_its_end_once(session: Session, connected: Sandbox) -> None:
    right, connected.token = connected.token, "rotated"
    tasks.pull_changes()
    for _round in range(3):
        tasks.sweep()
    assert told() == ["[TripBuilder] GoHighLevel is stopped"]
    assert open_alarms() == [("stopped", "")]

    connected.token = right
    Location.objects.update(probe_at=None)
    for _round in range(3):
        tasks.sweep()
    assert told() == ["[TripBuilder] Over: GoHighLevel is stopped"]
    assert open_alarms() == []


def test_what_waits_for_fifteen_minutes_is_told(session: Session) -> None:
    contact = ContactFactory(first_name="Zebulon")
    alarms.check()
    assert told() == []
    Change.objects.update(at=ago(minutes=16), due_at=ago(minutes=16))
    alarms.check()
    letter = mail.outbox[0]
    assert told() == ["[TripBuilder] Records wait too long"]
    assert letter.to == ["operators@example.com"]
    assert "1 record waits longer than 15 minutes" in letter.body
    assert "Zebulon" not in letter.body
    assert contact.email not in letter.body

    due.run_due(session)
    alarms.check()
    assert told() == ["[TripBuilder] Over: Records wait too long"]


def test_a_vendor_whose_name_was_not_spread_counts(session: Session) -> None:
    VendorFactory()
    Change.objects.update(at=ago(minutes=16), due_at=ago(minutes=16))
    alarms.check()
    assert open_alarms() == [("overdue", "")]


@pytest.mark.parametrize(
    ("why", "columns", "told_of"),
    [
        ("parked", {"parked_at": -1}, False),
        ("gone", {"gone_at": -1}, False),
        ("ignored", {"ignored_at": -1}, False),
        ("given time to settle", {"next_attempt_at": 1}, False),
        ("kept back by the day's budget", {"waits_for": f"{BUDGET_WORDS} used up; goes on at 0:00."}, False),
        ("in back-off", {"next_attempt_at": 1, "failures": 5}, True),
        ("at work for the whole time", {"leased_until": 1}, True),
        ("free", {}, True),
    ],
)
def test_what_counts_as_overdue(session: Session, why: str, columns: dict[str, Any], told_of: bool) -> None:
    ContactFactory()
    Change.objects.update(at=ago(minutes=16), due_at=ago(minutes=16), tried="parked_at" in columns)
    moments = {name for name in columns if name not in {"failures", "waits_for"}}
    Link.objects.update(**{name: ago(minutes=-n) if name in moments else n for name, n in columns.items()})
    alarms.check()
    assert bool(open_alarms()) is told_of


def test_a_delete_that_is_held_is_not_overdue_and_one_that_was_held_long_ago_is(session: Session) -> None:
    trip = a_trip()
    due.run_due(session)
    Link.objects.filter(kind="trip").update(deleted_at=ago(minutes=16), held_until=timezone.now())
    alarms.check()
    assert open_alarms() == []
    Link.objects.filter(kind="trip").update(held_until=ago(minutes=16))
    alarms.check()
    assert (open_alarms(), trip.pk is not None) == ([("overdue", "")], True)


def test_a_doubt_is_overdue_only_after_its_settle_time(session: Session, settings: Any) -> None:
    trip = a_trip()
    due.run_due(session)
    settings.GHL_WAIT_SCALE = 1
    doubt = Write.objects.create(link=link_of(trip), action="update", sent_at=ago(minutes=17))
    alarms.check()
    assert open_alarms() == []
    Write.objects.filter(pk=doubt.pk).update(sent_at=ago(minutes=19))
    alarms.check()
    assert open_alarms() == [("overdue", "")]


def test_a_bulk_push_may_take_its_time_while_it_moves(session: Session) -> None:
    first, second = ContactFactory(), ContactFactory()
    Change.objects.update(at=ago(minutes=30), due_at=ago(minutes=30), lane="bulk")
    Link.objects.filter(pk=link_of(first).pk).update(synced_at=timezone.now())
    alarms.check()
    assert open_alarms() == []
    Link.objects.update(synced_at=ago(minutes=30))
    alarms.check()
    assert (open_alarms(), second.pk is not None) == ([("overdue", "")], True)


def test_while_a_person_has_paused_sending_nothing_counts_as_overdue(session: Session) -> None:
    ContactFactory()
    Change.objects.update(at=ago(minutes=16), due_at=ago(minutes=16))
    state.switch(session.location, "sending", user=None, paused=True)
    alarms.check()
    assert open_alarms() == []


def test_a_queue_that_does_not_answer_is_told_and_its_answer_ends_it(session: Session, settings: Any) -> None:
    settings.GHL_WAIT_SCALE = 1
    alarms.canary_is_sent(session.location)
    alarms.check()
    assert told() == []
    Location.objects.update(canary_sent_at=ago(minutes=4))
    alarms.check()
    assert told() == ["[TripBuilder] The queue does not work"]
    tasks.canary()
    alarms.check()
    assert told() == ["[TripBuilder] Over: The queue does not work"]


@pytest.mark.parametrize(
    ("columns", "fault"),
    [
        ({"args": "("}, "its arguments cannot be read"),
        ({"args": "one, two"}, "its arguments cannot be read"),
        ({"kwargs": "5"}, "its keyword arguments are no keyword arguments"),
        ({"kwargs": "{'q_options': 5}"}, "its keyword arguments are no keyword arguments"),
        ({"schedule_type": "C", "cron": "every day"}, "its next run cannot be computed"),
        ({"args": "1, 2", "kwargs": "{'a': 1}"}, ""),
        ({"kwargs": "a=1"}, ""),
        ({"args": "(", "repeats": 0}, ""),
    ],
)
def test_a_malformed_schedule_is_named(session: Session, columns: dict[str, Any], fault: str) -> None:
    schedules.install()
    row = Schedule.objects.create(name="Somebody's own", func="math.sqrt", schedule_type="H")
    Schedule.objects.filter(pk=row.pk).update(**columns)
    found = dict(alarms.malformed_schedules())
    assert list(found) == (["Somebody's own"] if fault else [])
    assert all(f"is malformed: {fault}." in message for message in found.values())


def test_a_malformed_schedule_stops_the_scheduler_indeed(session: Session) -> None:
    """What the alarm says of it is true of the django-q2 we use."""
    from django_q.scheduler import scheduler

    schedules.install()
    Schedule.objects.update(next_run=ago(minutes=1))
    for broken in ({"args": "("}, {"kwargs": "5"}, {"schedule_type": "C", "cron": "every day"}):
        row = Schedule.objects.create(func="math.sqrt", schedule_type="H", next_run=ago(hours=1))
        Schedule.objects.filter(pk=row.pk).update(**broken)
        scheduler()
        assert not Schedule.objects.filter(name__startswith="TripBuilder", next_run__gt=timezone.now()).exists()
        row.delete()
    scheduler()
    assert not Schedule.objects.filter(next_run__lt=timezone.now()).exists()


def test_guards_that_ask_and_a_spent_budget_are_told(session: Session) -> None:
    asked = Approval.objects.create(effect="delete_there", kind="trip", count=40, of=100)
    Location.objects.update(daily_limit=200_000, daily_remaining=0, daily_reset_at=ago(hours=-2), calls_today=12)
    alarms.check()
    assert open_alarms() == [("budget", ""), ("guard", "delete_there trip")]
    assert Alarm.objects.get(code="guard").message == (
        "40 of 100 records: opportunities deleted in GoHighLevel. So many at once wait for a person's yes or no in the "
        "admin; everything else goes on."
    )
    Approval.objects.filter(pk=asked.pk).update(answer="yes")
    Location.objects.update(daily_remaining=7)
    alarms.check()
    assert open_alarms() == []


def test_a_mail_server_that_fails_breaks_no_sweep_and_is_tried_again(session: Session, settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_PORT = 9
    state.pause(session.location, "The token is not valid.")
    tasks.sweep()
    assert Alarm.objects.get().mailed_at is None
    assert Location.objects.get().swept_at is not None
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    alarms.check()
    assert told() == ["[TripBuilder] GoHighLevel is stopped"]


def test_a_flood_is_cut(session: Session) -> None:
    for number in range(alarms.MAILS_AN_HOUR + 3):
        Alarm.objects.create(code="schedule", detail=str(number), message=f"Number {number}")
    alarms.post()
    assert len(told()) == alarms.MAILS_AN_HOUR
    alarms.post()
    assert told() == []
    Alarm.objects.exclude(mailed_at=None).update(mailed_at=ago(hours=2))
    alarms.post()
    assert len(told()) == 3


def test_what_was_over_before_anybody_was_told_is_not_told(session: Session) -> None:
    Alarm.objects.create(code="queue", message="The queue runs no tasks.", closed_at=timezone.now())
    alarms.post()
    assert told() == []


def test_without_addresses_nothing_counts_as_told(session: Session, settings: Any) -> None:
    settings.ADMINS = []
    state.pause(session.location, "The token is not valid.")
    alarms.check()
    assert (told(), Alarm.objects.get().mailed_at) == ([], None)


def test_a_sweep_leaves_its_heartbeat_stopped_or_not(session: Session) -> None:
    tasks.sweep()
    first = Location.objects.get().swept_at
    state.pause(session.location, "The token is not valid.")
    tasks.sweep()
    second = Location.objects.get().swept_at
    assert first is not None
    assert second is not None
    assert second > first
