"""The commands of daily work, run as a person or a script runs them."""

from __future__ import annotations

import datetime as dt
import io
import json
import logging
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, reset_queries
from django.utils import timezone

from ghl_sync.engine import state
from ghl_sync.engine.session import Session, unlogged_queries
from ghl_sync.models import Change, Link, Location, Run
from ghl_sync.sandbox.server import Sandbox
from tests.factories import ContactFactory, TripFactory
from trips.models import Trip

pytestmark = pytest.mark.django_db(transaction=True)


def run(*words: str) -> tuple[int, dict[str, Any], str]:
    """Exit code, the JSON report (empty without one) and what people read."""
    out, err = io.StringIO(), io.StringIO()
    code = 0
    try:
        call_command(*words, stdout=out, stderr=err)
    except CommandError as error:
        code = error.returncode
        err.write(str(error))
    except SystemExit as stop:
        code = int(stop.code or 0)
    return code, json.loads(out.getvalue()) if out.getvalue() else {}, err.getvalue()


def a_card(sandbox: Sandbox) -> str:
    contact = sandbox.store.add_contact(first_name="Ines", email="ines@example.com")
    return sandbox.store.add_opportunity(pipeline="TripBooking", name="Fjords", contact_id=contact.id).id


def test_pull_prints_the_promised_report(session: Session, connected: Sandbox) -> None:
    a_card(connected)
    code, body, words = run("pull_ghl", "--json", "--no-progress")
    assert code == 0
    assert body.pop("seconds") >= 0
    empty = {"seen": 0, "created": 0, "updated": 0, "unchanged": 0, "issues": 0, "failed": 0, "gone": 0}
    assert body == {
        "ok": True,
        "mode": "full",
        "dry_run": False,
        "calls": 6,
        "trips": {**empty, "seen": 1, "created": 1},
        "passengers": {**empty, "linked": 0, "unlinked": 0},
        "contacts": {**empty, "seen": 1, "created": 1},
    }
    assert "1 seen: have created 1" in words
    assert Trip.objects.get().name == "Fjords"


def test_a_field_that_is_not_there_is_named(session: Session, connected: Sandbox) -> None:
    connected.store.remove_field("max_passengers")
    code, _body, words = run("pull_ghl", "--json")
    assert code == 0
    assert "GoHighLevel has no field opportunity.max_passengers: nothing was read of it." in words


def test_the_second_pull_is_incremental(session: Session, connected: Sandbox) -> None:
    a_card(connected)
    run("pull_ghl", "--json")
    code, body, _words = run("pull_ghl", "--json")
    assert (code, body["mode"], body["calls"], body["trips"]["seen"]) == (0, "incremental", 3, 0)


def test_since_takes_days_and_times(session: Session, connected: Sandbox) -> None:
    a_card(connected)
    assert run("pull_ghl", "--json", "--since", "2020-01-01")[1]["trips"]["created"] == 1
    assert run("pull_ghl", "--json", "--since", "2020-01-01T10:00:00Z")[0] == 0


def test_a_since_that_is_no_time_is_named(session: Session, connected: Sandbox) -> None:
    code, _body, words = run("pull_ghl", "--since", "soon")
    assert (code, words) == (2, "--since soon is not a day or time; write it as 2027-03-01 or 2027-03-01T14:30.")


def test_a_dry_run_leaves_no_trace(session: Session, connected: Sandbox) -> None:
    a_card(connected)
    code, body, _words = run("pull_ghl", "--dry-run", "--json")
    assert (code, body["dry_run"], body["trips"]["created"]) == (0, True, 1)
    assert (Trip.objects.count(), Link.objects.count(), Run.objects.count()) == (0, 0, 0)


def test_without_an_account_it_says_what_to_set(db: None, settings: Any) -> None:
    settings.GHL_API_TOKEN = ""
    code, body, words = run("pull_ghl", "--json")
    assert (code, body["ok"]) == (2, False)
    assert "set GHL_API_TOKEN and GHL_LOCATION_ID" in words


@pytest.mark.parametrize(("setting", "value"), [("GHL_API_TOKEN", "wrong"), ("GHL_LOCATION_ID", "elsewhere")])
def test_a_wrong_token_or_location_stops_and_says_so(
    connected: Sandbox, db: None, settings: Any, setting: str, value: str
) -> None:
    setattr(settings, setting, value)
    code, body, words = run("pull_ghl", "--json")
    assert (code, body["ok"]) == (2, False)
    assert "GoHighLevel refuses the token or the location" in words
    assert "wrong" not in words
    assert Location.objects.get().paused_at is not None


def test_an_unreachable_service_is_a_sentence(connected: Sandbox, db: None, settings: Any) -> None:
    settings.GHL_API_BASE_URL = "http://127.0.0.1:9"
    code, body, words = run("pull_ghl", "--json")
    assert (code, body["ok"]) == (2, False)
    assert "Traceback" not in words
    assert words.strip()


@pytest.mark.parametrize("kind", ["ok_html", "empty", "html"])
def test_an_answer_that_is_no_answer_is_a_sentence(session: Session, connected: Sandbox, kind: str) -> None:
    connected.faults.add(kind, path="/contacts/search", times=9)
    code, body, _words = run("pull_ghl", "--json")
    assert (code, body["ok"]) == (2, False)
    assert not Trip.objects.exists()


def test_push_prints_the_promised_report(session: Session, connected: Sandbox) -> None:
    TripFactory(organiser=ContactFactory())
    code, body, words = run("push_ghl", "--due", "--json")
    assert code == 0
    assert body.pop("seconds") >= 0
    assert body.pop("calls") > 0
    assert body == {
        "ok": True, "created": 2, "updated": 0, "deleted": 0, "unchanged": 0, "waiting": 0, "failed": 0,
    }  # fmt: skip
    assert words.startswith("Takes some 4 calls, less than 1 % of GoHighLevel's limit for a day, about a minute.\n")
    assert "\nHave created 2" in words


def test_push_plans_without_sending(session: Session, connected: Sandbox) -> None:
    trip = TripFactory(organiser=ContactFactory())
    assert run("push_ghl", "--dry-run", "--json")[1]["created"] == 2
    assert connected.writes() == []
    run("push_ghl", "--json")
    trip.description = "New"
    trip.save()
    connected.requests.clear()
    body = run("push_ghl", "--dry-run", "--json")[1]
    assert (body["updated"], body["calls"], list(connected.requests)) == (1, 0, [])


def test_push_of_one_kind(session: Session, connected: Sandbox) -> None:
    TripFactory(organiser=ContactFactory())
    assert run("push_ghl", "--only", "contacts", "--json")[1]["created"] == 1
    assert connected.opportunities() == []


def test_a_record_that_needs_a_person_is_exit_code_one(session: Session, connected: Sandbox) -> None:
    TripFactory(organiser=None)
    code, body, _words = run("push_ghl", "--json")
    assert (code, body["ok"], body["failed"]) == (1, False, 1)


def test_push_all_repairs_what_nobody_reported(session: Session, connected: Sandbox) -> None:
    trip = TripFactory(organiser=ContactFactory(), description="Old")
    run("push_ghl", "--json")
    Trip.objects.filter(pk=trip.pk).update(description="Past the signals")
    Trip.objects.bulk_create([Trip(name="Bulk", organiser=trip.organiser)])
    assert run("push_ghl", "--due", "--json")[1]["updated"] == 0
    body = run("push_ghl", "--all", "--json")[1]
    assert (body["created"], body["updated"]) == (1, 1)
    assert connected.store.custom_by_key(connected.opportunities()[0])["trip_description"] == "Past the signals"


def test_status_tells_how_things_stand(session: Session, connected: Sandbox) -> None:
    a_card(connected)
    run("pull_ghl", "--json")
    TripFactory(name="Not sent yet", organiser=None)
    out = io.StringIO()
    call_command("ghl_status", "--json", stdout=out)
    found = json.loads(out.getvalue())
    assert found["last_pull"].pop("at")
    assert found.pop("oldest_due_seconds") >= 0
    assert found.pop("calls_today") >= 3
    states = dict.fromkeys(("working", "retrying", "needs_person", "conflict", "gone", "ignored"), 0)
    assert found == {
        "links": {**states, "synced": 2, "waiting": 1},
        "due": 1,
        "due_now": 1,
        "conflicts": 0,
        "issues": 0,
        "unlinked": 0,
        "paused": None,
        "last_pull": {"mode": "full", "ok": True},
        "switched_off": [],
        "alarms": [],
        "swept_seconds": None,
        "watchdog_seconds": None,
    }
    words = io.StringIO()
    call_command("ghl_status", stdout=words)
    assert "Records: 2 synced, 1 waiting." in words.getvalue()


def test_a_pull_keeps_no_list_of_its_queries(session: Session, connected: Sandbox, settings: Any) -> None:
    settings.DEBUG = True
    a_card(connected)
    reset_queries()
    with unlogged_queries():
        Trip.objects.count()
    assert connection.queries == []
    Trip.objects.count()
    assert len(connection.queries) == 1
    run("pull_ghl", "--json")
    assert not [query for query in connection.queries if "INSERT INTO" in query["sql"]]


def test_status_says_when_nothing_moves_and_when_nothing_is_connected(
    session: Session, connected: Sandbox, settings: Any
) -> None:
    TripFactory(organiser=None)
    Change.objects.update(at=timezone.now() - dt.timedelta(minutes=12), due_at=timezone.now())
    words = io.StringIO()
    call_command("ghl_status", stdout=words)
    assert words.getvalue().startswith("Nothing moves: 1 record could go, the oldest for 12 minutes.")
    settings.GHL_API_TOKEN = ""
    words = io.StringIO()
    call_command("ghl_status", stdout=words)
    assert words.getvalue().startswith("GoHighLevel is not connected: set GHL_API_TOKEN")


def test_a_wrong_token_typed_once_stops_nobody_for_long(session: Session, connected: Sandbox, settings: Any) -> None:
    a_card(connected)
    right = settings.GHL_API_TOKEN
    settings.GHL_API_TOKEN = "typo"
    assert run("pull_ghl", "--dry-run", "--json")[0] == 2
    assert Location.objects.get().paused_at is None
    assert run("pull_ghl", "--json")[0] == 2
    assert Location.objects.get().paused_at is not None
    settings.GHL_API_TOKEN = right
    assert run("pull_ghl", "--json")[0] == 0  # a person does not wait for the minute
    assert Location.objects.get().paused_at is None


def test_one_of_a_thing_is_said_as_one(session: Session, connected: Sandbox) -> None:
    contact = connected.store.add_contact(first_name="Ines", email="ines@example.com")
    connected.store.add_opportunity(
        pipeline="Passenger", name="Ines", contact_id=contact.id, fields={"trip_name": "Fjords"}
    )
    words = run("pull_ghl", "--full")[2]
    assert "1 passenger names no trip that is known here; see the admin's work list “Not linked to a trip”." in words


def test_while_sending_is_paused_no_cost_is_told(session: Session, connected: Sandbox) -> None:
    ContactFactory()
    state.switch(session.location, "sending", user=None, paused=True)
    code, _body, words = run("push_ghl", "--due")
    assert code == 1
    assert "Takes" not in words


class _Heard(logging.Handler):
    """Keeps what was logged."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def test_what_the_queue_is_handed_is_not_told_among_a_command_s_words(session: Session, connected: Sandbox) -> None:
    logger, heard = logging.getLogger("django-q"), _Heard()
    before = logger.level
    logger.addHandler(heard)
    logger.setLevel(logging.INFO)
    try:
        ContactFactory()
        handed = [line.partition(" ")[0] for line in heard.lines]
        heard.lines.clear()
        code = run("ghl_selftest", "--json")[0]
        level = logger.level
    finally:
        logger.setLevel(before)
        logger.removeHandler(heard)
    assert (handed, code, heard.lines, level) == (["Enqueued"], 0, [], logging.INFO)
