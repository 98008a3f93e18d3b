"""The sync in numbers."""

from __future__ import annotations

import datetime as dt

import pytest
from django.core.management import call_command
from django.utils import timezone

from ghl_sync.models import Alarm, Change, Conflict, Issue, Link, Location, Run, State, Write
from ghl_sync.status import status
from tests import factories

pytestmark = pytest.mark.django_db

NOTHING = dict.fromkeys(map(str, State.values), 0)


def rest() -> None:
    """Every record made so far counts as agreed on."""
    Change.objects.all().delete()


def test_an_empty_installation_has_nothing_to_tell():
    assert status() == {
        "links": NOTHING,
        "due": 0,
        "due_now": 0,
        "oldest_due_seconds": None,
        "conflicts": 0,
        "issues": 0,
        "unlinked": 0,
        "paused": None,
        "switched_off": [],
        "alarms": [],
        "swept_seconds": None,
        "watchdog_seconds": None,
        "last_pull": None,
        "calls_today": 0,
    }


def test_each_record_counts_once_under_its_state():
    now = timezone.now()
    contacts = factories.ContactFactory.create_batch(9)
    rest()
    links = [Link.objects.for_object(contact) for contact in contacts]
    columns = [
        {},  # synced
        {"remote_dirty_at": now},
        {"remote_dirty_at": now, "leased_until": now + dt.timedelta(minutes=1)},
        {"remote_dirty_at": now, "failures": 2, "next_attempt_at": now + dt.timedelta(minutes=1)},
        {"parked_at": now},
        {},  # gets a conflict
        {"gone_at": now},
        {"ignored_at": now},
        {"deleted_at": now, "remote_gone_at": now},  # gone on both sides: no record any more
    ]
    for link, values in zip(links, columns, strict=True):
        Link.objects.filter(pk=link.pk).update(**values)
    Conflict.objects.create(link=links[5], field="city", policy="ask")

    found = status()

    assert found["links"] == dict.fromkeys(NOTHING, 1)
    assert (found["due"], found["due_now"], found["conflicts"]) == (3, 1, 1)


def test_due_counts_waits_and_renamed_vendors_and_tells_the_oldest():
    factories.VendorFactory()
    contact = factories.ContactFactory()
    now = timezone.now()
    Change.objects.filter(kind="contact").update(
        at=now - dt.timedelta(seconds=90), due_at=now + dt.timedelta(seconds=30)
    )

    found = status()

    assert (found["due"], found["due_now"]) == (2, 1)
    assert 90 <= found["oldest_due_seconds"] < 100
    Change.objects.filter(kind="contact").delete()
    Write.objects.create(
        link=Link.objects.for_object(contact), action="create", sent_at=now - dt.timedelta(seconds=300)
    )
    assert 300 <= status()["oldest_due_seconds"] < 310


def test_parked_records_are_not_due():
    contact = factories.ContactFactory()
    Link.objects.update(parked_at=timezone.now())
    Change.objects.update(tried=True)

    found = status()

    assert (found["due"], found["oldest_due_seconds"], found["links"]["needs_person"]) == (0, None, 1)
    assert contact.pk


def test_the_account_tells_why_it_is_stopped_and_how_many_calls_were_made(settings):
    settings.GHL_LOCATION_ID = "loc1"
    Location.objects.create(
        location_id="loc1",
        paused_at=timezone.now(),
        paused_reason="The token is not valid.",
        calls_today=7,
        calls_day=timezone.now().astimezone(dt.UTC).date(),
    )
    Location.objects.create(location_id="another", calls_today=900, calls_day=timezone.now().date())

    assert (status()["paused"], status()["calls_today"]) == ("The token is not valid.", 7)
    Location.objects.filter(location_id="loc1").update(paused_at=None, calls_day=dt.date(2020, 1, 1))
    assert (status()["paused"], status()["calls_today"]) == (None, 0)


def test_questions_and_the_last_pull_are_told():
    factories.PassengerFactory(trip=None)
    Issue.objects.create(code="kept", message="GoHighLevel kept another value for city.")
    Issue.objects.create(code="kept", message="settled", closed_at=timezone.now())
    ended = timezone.now()
    Run.objects.create(mode="full", finished_at=ended, ok=False)
    Run.objects.create(mode="incremental")
    Run.objects.create(mode="audit", finished_at=ended + dt.timedelta(minutes=1), ok=True)

    found = status()

    assert (found["issues"], found["unlinked"]) == (1, 1)
    assert found["last_pull"] == {"at": ended.isoformat(), "mode": "full", "ok": False}


def test_people_read_the_last_pull_in_the_office_s_time(capsys):
    ended = dt.datetime(2027, 6, 3, 22, 57, 42, 478000, tzinfo=dt.UTC)
    Run.objects.create(mode="full", finished_at=ended, ok=True)
    with timezone.override("Europe/Lisbon"):
        call_command("ghl_status")

    assert "\nLast pull: 3 Jun 2027, 23:57, full, all well.\n" in capsys.readouterr().out


def test_switches_alarms_and_the_watchdog_are_told(settings, capsys):
    settings.GHL_API_TOKEN, settings.GHL_LOCATION_ID = "token-of-tests", "loc1"
    settings.ADMINS = []
    boss = factories.StaffFactory(username="ana")
    now = timezone.now()
    Location.objects.create(
        location_id="loc1",
        sending_paused_at=now,
        sending_paused_by=boss,
        swept_at=now - dt.timedelta(seconds=20),
        watchdog_at=now - dt.timedelta(minutes=20),
    )
    Alarm.objects.create(code="queue", message="The queue runs no tasks.")
    Alarm.objects.create(code="stopped", message="It was stopped.", closed_at=now)

    found = status()

    (words,) = found["switched_off"]
    assert words.startswith("Sending was paused by ana on ")
    assert found["alarms"] == ["The queue runs no tasks."]
    assert 20 <= found["swept_seconds"] < 30
    assert 1200 <= found["watchdog_seconds"] < 1210
    call_command("ghl_status")
    said = capsys.readouterr().out.splitlines()
    assert said[:2] == [
        f"{words} An administrator can let it go on in the admin.",
        "Alarm: The queue runs no tasks.",
    ]
    assert said[-2].endswith("No watchdog runs; start manage.py ghl_watchdog beside the queue.")
    assert said[-1] == "Nobody is mailed when something is wrong: set ADMINS in .env."
