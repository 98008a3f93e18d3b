"""`ghl_audit` as a person or the night runs it, and the way of bulk writers into GoHighLevel."""

from __future__ import annotations

import datetime as dt
import io
import json
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from ghl_sync import tasks
from ghl_sync.engine import due, outbox
from ghl_sync.engine.session import Session
from ghl_sync.models import Change, Drift, Link, Run
from ghl_sync.sandbox.server import Sandbox
from tests.factories import ContactFactory, PassportFactory, UserFactory
from tests.ghl_sync.engine.mirror import a_trip, custom
from trips.models import Passport, Trip

pytestmark = pytest.mark.django_db(transaction=True)
NOTHING = {"differs": 0, "kept_apart": 0, "not_there": 0, "not_here": 0, "not_sent": 0, "no_link": 0}


def run(*words: str) -> tuple[int, dict[str, Any], str]:
    """Exit code, the JSON report (empty without one) and what people read."""
    out, err = io.StringIO(), io.StringIO()
    code = 0
    try:
        call_command("ghl_audit", "--no-progress", *words, stdout=out, stderr=err)
    except CommandError as error:
        code = error.returncode
        err.write(str(error))
    except SystemExit as stop:
        code = int(stop.code or 0)
    return code, json.loads(out.getvalue()) if out.getvalue() else {}, err.getvalue()


def at_rest(session: Session) -> None:
    due.run_due(session)
    Link.objects.update(remote_seen_at=timezone.now() - dt.timedelta(hours=1))


def test_equal_sides_end_with_code_zero(session: Session, connected: Sandbox) -> None:
    a_trip()
    at_rest(session)
    code, body, words = run("--json")
    assert body.pop("seconds") >= 0
    kind = {"total": 1, "seen": 1, "waiting": 0, "drifts": 0}
    assert (code, body) == (
        0,
        {
            "ok": True,
            "run": Run.objects.get().pk,
            "calls": 3,
            "contacts": kind,
            "trips": kind,
            "passengers": {**kind, "total": 0, "seen": 0},
            "found": NOTHING,
            "repaired": 0,
        },
    )
    assert "0 differences found" in words


def test_a_difference_is_told_with_both_values_and_ends_with_code_one(session: Session, connected: Sandbox) -> None:
    trip = a_trip(name="Fjords", description="Old")
    at_rest(session)
    Trip.objects.filter(pk=trip.pk).update(description="Past the signals")
    connected.requests.clear()
    code, body, words = run("--json")
    assert (code, body["ok"], body["found"]) == (1, False, {**NOTHING, "not_sent": 1})
    assert "Changed here, not sent: trip Fjords, description: Past the signals here, Old there" in words
    assert connected.writes() == []
    assert not Change.objects.exists()


def test_repair_hands_what_was_found_to_the_sync(session: Session, connected: Sandbox) -> None:
    trip = a_trip(description="Old")
    at_rest(session)
    Trip.objects.filter(pk=trip.pk).update(description="Past the signals")
    code, body, _words = run("--json", "--repair")
    assert (code, body["repaired"]) == (1, 1)
    assert Drift.objects.get().repaired_at is not None
    due.run_due(session)
    assert custom(connected, trip)["trip_description"] == "Past the signals"


def test_sensitive_values_are_not_printed(session: Session, connected: Sandbox) -> None:
    passport = PassportFactory(number="X5559876", passenger__trip=a_trip())
    at_rest(session)
    Passport.objects.filter(pk=passport.pk).update(number="Y1112223")
    code, body, words = run("--json")
    assert (code, body["found"]["not_sent"]) == (1, 1)
    assert "passport.number" in words
    assert "X5559876" not in words + json.dumps(body)
    assert "Y1112223" not in words + json.dumps(body)


def test_without_an_account_it_says_what_to_set(db: None, settings: Any) -> None:
    settings.GHL_API_TOKEN = ""
    code, body, words = run("--json")
    assert (code, body["ok"]) == (2, False)
    assert "set GHL_API_TOKEN and GHL_LOCATION_ID" in words


def test_an_unreachable_service_is_a_sentence_and_the_run_is_over(
    session: Session, connected: Sandbox, settings: Any
) -> None:
    session.refresh_definitions()
    settings.GHL_API_BASE_URL = "http://127.0.0.1:9"
    code, body, words = run("--json")
    assert (code, body["ok"]) == (2, False)
    assert "Traceback" not in words
    assert Run.objects.get().finished_at is not None


def test_the_nights_task_notes_who_asked(session: Session, connected: Sandbox) -> None:
    ana = UserFactory(username="ana")
    tasks.compare_everything(ana.pk)
    row = Run.objects.get()
    assert (row.mode, row.ok, row.started_by) == ("audit", True, ana)


def test_the_repair_task_mends_and_sends(session: Session, connected: Sandbox) -> None:
    trip = a_trip(description="Old")
    at_rest(session)
    Trip.objects.filter(pk=trip.pk).update(description="Past the signals")
    tasks.compare_everything()
    tasks.repair(Run.objects.get(mode="audit").pk)
    assert custom(connected, trip)["trip_description"] == "Past the signals"


# Imports


def test_rows_of_an_import_stand_on_the_board_after_one_sweep(session: Session, connected: Sandbox) -> None:
    organiser = ContactFactory()
    due.run_due(session)
    connected.requests.clear()
    with tasks.bulk(Trip) as written:
        rows = Trip.objects.bulk_create([Trip(name=f"Imported {n:02}", organiser=organiser) for n in range(50)])
        written.update(trip.pk for trip in rows)
    assert Change.objects.count() == Link.objects.filter(kind="trip").count() == 50
    due.run_due(session)
    cards = sorted(card.name for card in connected.opportunities("TripBooking"))
    assert cards == [f"Imported {n:02}" for n in range(50)]
    options = [call for call in connected.writes() if "customFields" in call.path]
    assert len(options) <= 2  # all names in one write of the drop-down, not one each


def test_an_import_that_fails_leaves_nothing(session: Session, connected: Sandbox) -> None:
    def broken() -> None:
        with tasks.bulk(Trip) as written:
            written.update(trip.pk for trip in Trip.objects.bulk_create([Trip(name="Imported")]))
            raise ValueError("row 2 is wrong")

    with pytest.raises(ValueError, match="row 2"):
        broken()
    assert (Trip.objects.count(), Change.objects.count(), Link.objects.count()) == (0, 0, 0)


def test_an_update_in_bulk_is_sent(session: Session, connected: Sandbox) -> None:
    trip = a_trip(description="Old")
    due.run_due(session)
    with tasks.bulk(Trip) as written:
        Trip.objects.filter(pk=trip.pk).update(description="New")
        written.add(trip.pk)
    due.run_due(session)
    assert custom(connected, trip)["trip_description"] == "New"


def test_bulk_names_what_it_takes(db: None) -> None:
    with pytest.raises(TypeError, match="Passport is not mirrored by itself; bulk\\(\\) takes Trip, Passenger"):
        outbox.bulk(Passport).__enter__()
