"""The self-test against the sandbox: it passes, it finds what is broken, and it always takes its records away."""

from __future__ import annotations

import datetime as dt
import io
import json
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models.signals import pre_delete

from ghl_sync import selftest
from ghl_sync.conf import Config
from ghl_sync.engine import deleting, due, guards, options, push, rehearsal, resolve, state
from ghl_sync.engine.session import CannotRun, Session
from ghl_sync.models import Change, FieldRule, Issue, Link, Location, RemoteField, WantedOption
from ghl_sync.sandbox.server import Sandbox
from tests.clusters import eventually, running
from tests.factories import ContactFactory, PassengerFactory, TripFactory
from trips.models import Contact, Passenger, Trip

pytestmark = pytest.mark.django_db(transaction=True)

STEPS = ["account", "create", "option", "update", "enrol", "clear", "edit there", "delete", "clean up"]
OCCUPANCY = "GoHighLevel has no field opportunity.room_occupancy; run `manage.py ghl_setup --apply`."


def run(*words: str) -> tuple[int, dict[str, Any], str]:
    """Exit code, the JSON report and what people read."""
    out, err = io.StringIO(), io.StringIO()
    code = 0
    try:
        call_command("ghl_selftest", "--json", *words, stdout=out, stderr=err)
    except CommandError as error:
        code = error.returncode
        err.write(str(error))
    except SystemExit as stop:
        code = int(stop.code or 0)
    return code, json.loads(out.getvalue() or "{}"), err.getvalue()


def failed(report: dict[str, Any]) -> list[tuple[str, str]]:
    return [(step["name"], step["text"]) for step in report["steps"] if not step["ok"]]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selftest, "PATIENCE_SECONDS", 3.0)
    monkeypatch.setattr(selftest, "POLL_SECONDS", 0.05)


@pytest.fixture
def live(connected: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """The sandbox, taken for an account that is not on this machine."""
    monkeypatch.setattr(Config, "loopback", property(lambda self: False))
    return connected


def nothing_is_left(sandbox: Sandbox) -> None:
    assert sandbox.opportunities() == []
    assert sandbox.store.contacts() == []
    assert not Trip.objects.exists()
    assert not Passenger.objects.exists()
    assert not Contact.objects.exists()
    assert not Link.objects.due().exists()
    assert not WantedOption.objects.exists()
    assert not Change.objects.exists()


def test_it_passes_and_leaves_only_an_option(connected: Sandbox) -> None:
    code, report, _words = run()

    assert (code, report["ok"], failed(report)) == (0, True, [])
    assert [step["name"] for step in report["steps"]] == STEPS
    assert len(report["left"]) == 1
    assert report["left"][0].startswith("The option 'TripBuilder self-test 20")
    nothing_is_left(connected)


def test_people_read_a_line_for_each_step(connected: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("ghl_selftest")

    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "ok       Account: Sandbox Travel answers."
    assert lines[-1] == "All well."
    assert len(lines) == len(STEPS) + 2


def test_it_touches_no_other_record(connected: Sandbox) -> None:
    kept = connected.store.add_contact(email="ines@example.com", first_name="Ines")
    card = connected.store.add_opportunity(pipeline="TripBooking", name="Fjords", contact_id=kept.id)
    trip = TripFactory(name="Andes")
    PassengerFactory(trip=trip)

    run()

    assert connected.opportunities() == [card]
    assert connected.store.contacts() == [kept]
    assert list(Trip.objects.values_list("name", flat=True)) == ["Andes"]
    assert Passenger.objects.count() == 1


def test_on_a_live_account_it_wants_a_yes(live: Sandbox) -> None:
    code, _report, words = run()

    assert code == 2
    assert "Run it with --yes to agree." in words
    assert live.writes() == []


@pytest.mark.parametrize(("answer", "code"), [("no", 2), ("yes", 0)])
def test_on_a_live_account_it_asks_a_person(
    live: Sandbox, monkeypatch: pytest.MonkeyPatch, answer: str, code: int
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda prompt: answer)

    assert run()[0] == code


def test_on_a_live_account_no_list_of_options_is_written(live: Sandbox) -> None:
    code, report, _words = run("--yes")

    assert (code, failed(report)) == (0, [])
    assert [one for one in live.writes() if "customFields" in one.path] == []
    assert live.store.field("trip_name").options == ()
    (left,) = report["left"]
    assert left.startswith("GoHighLevel's conversation with the invented contact tripbuilder-selftest-")
    nothing_is_left(live)
    assert not RemoteField.objects.filter(leased_until__isnull=False).exists()


def test_no_other_process_adds_the_option_meanwhile(session: Session, connected: Sandbox) -> None:
    trip = TripFactory(name="Fjords")
    field = RemoteField.objects.get(key=rehearsal.TRIP_NAMES)

    with rehearsal.drop_downs_held(session):
        options.want(session, field.remote_id, trip.name, "trip", trip.pk)
        assert options.serve(session) == 0

    assert options.serve(session) == 1
    assert connected.store.field("trip_name").options == ("Fjords",)


def test_a_drop_down_that_nobody_lets_go_of_stops_the_test(
    session: Session, live: Sandbox, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rehearsal, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(Config, "lease", property(lambda self: 0.05))

    with (
        rehearsal.drop_downs_held(session),
        pytest.raises(CannotRun, match="Options are being added"),
        rehearsal.drop_downs_held(session),
    ):
        pass


def test_without_a_token_it_could_not_run(db: None) -> None:
    code, report, words = run()

    assert code == 2
    assert report == {"ok": False, "steps": [], "left": [], "error": words}


def test_a_wrong_token_could_not_run(connected: Sandbox, settings: Any) -> None:
    settings.GHL_API_TOKEN = "pit-very-secret"

    code, report, words = run()

    assert code == 2
    assert words.startswith("GoHighLevel refuses the token or the location")
    assert "pit-very-secret" not in json.dumps(report) + words


def test_an_unreachable_account_could_not_run(connected: Sandbox, settings: Any) -> None:
    settings.GHL_API_BASE_URL = "http://127.0.0.1:9"

    assert run()[0] == 2


def test_a_missing_stage_fails_the_first_step_and_cleans_up(connected: Sandbox) -> None:
    connected.store.rename_stage("TripBooking", "FormSubmit", "Form")

    code, report, _words = run()

    assert code == 1
    assert [name for name, _text in failed(report)] == ["create"]
    assert failed(report)[0][1].startswith("GoHighLevel's pipeline TripBooking has no stage")
    nothing_is_left(connected)


def test_a_value_that_is_not_kept_is_named(connected: Sandbox) -> None:
    connected.store.clearing = {"*": "ignored"}

    code, report, _words = run()

    assert code == 1
    words = (
        "GoHighLevel does not empty fields of the type CHECKBOX, DATE, LARGE_TEXT, MONETORY, NUMERICAL, RADIO, "
        "SINGLE_OPTIONS, TEXT: a value cleared here stays there, and each record says so. Clear such values in "
        "GoHighLevel itself."
    )
    assert failed(report) == [("clear", words)]
    assert set(Location.objects.get().clearing.values()) == {"never"}
    nothing_is_left(connected)


@pytest.mark.parametrize("default", ["ignored", "refused"])
def test_another_spelling_of_empty_is_found_and_used_from_then_on(connected: Sandbox, default: str) -> None:
    connected.store.clearing = {"DATE": "text", "LARGE_TEXT": "null"}
    if default == "refused":
        connected.store.clearing |= {"NUMERICAL": "refused"}

    code, report, _words = run()

    if default == "refused":
        assert (code, failed(report)[0][0]) == (1, "clear")
    else:
        (step,) = (step["text"] for step in report["steps"] if step["name"] == "clear")
        assert code == 0
        assert step.endswith("It took another spelling of empty for DATE, LARGE_TEXT, kept from now on.")
    assert {key: Location.objects.get().clearing[key] for key in ("DATE", "LARGE_TEXT")} == {
        "DATE": "", "LARGE_TEXT": None,
    }  # fmt: skip
    trip = TripFactory(organiser=ContactFactory(), deposit_due=dt.date(2027, 1, 1))
    push.reconcile(Session(), Link.objects.get(kind="trip", object_id=trip.pk).pk)
    trip.deposit_due = None
    trip.save()
    push.reconcile(Session(), Link.objects.get(kind="trip", object_id=trip.pk).pk)
    (card,) = connected.opportunities("TripBooking")
    assert "deposit_date" not in connected.store.custom_by_key(card)
    assert not Issue.objects.filter(closed_at=None).exists()


def test_an_edit_that_never_arrives_here_fails(connected: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolve, "ask_for", lambda link: None)

    code, report, _words = run()

    assert code == 1
    assert failed(report) == [("edit there", "An edit made in GoHighLevel did not arrive here.")]
    nothing_is_left(connected)


def test_a_refused_scope_fails_the_step_that_needs_it(connected: Sandbox) -> None:
    connected.scopes.discard("opportunities.write")

    code, report, _words = run()

    assert code == 1
    assert [name for name, _text in failed(report)] == ["create"]
    assert "opportunities.write" in failed(report)[0][1]
    nothing_is_left(connected)


def test_what_cannot_be_deleted_is_listed(connected: Sandbox) -> None:
    connected.faults.add("status", method="DELETE", path="/opportunities/.*", status=422, times=99)

    code, report, _words = run()

    assert code == 1
    assert [name for name, _text in failed(report)] == ["delete", "clean up"]
    kinds = [words.split(" ")[1] for words in report["left"]]
    assert kinds == ["option", "passenger", "trip", "contact"]
    assert connected.opportunities("Passenger")[0].id in report["left"][1]


def test_a_lost_answer_is_waited_for(connected: Sandbox, settings: Any) -> None:
    settings.GHL_SETTLE_SECONDS = 10.0
    connected.faults.add("lost", method="POST", path="/opportunities/")

    code, report, _words = run()

    assert (code, failed(report)) == (0, [])
    nothing_is_left(connected)


def busy_when_deleted(model: type[Trip] | type[Passenger], seconds: float) -> Any:
    """Has a worker take each record of this model just before it is deleted, and find out only then."""

    def taken(instance: Any, **_kwargs: object) -> None:
        claimed = state.claim(Link.objects.get(kind=instance._meta.model_name, object_id=instance.pk).pk, 60.0)
        assert claimed is not None
        worker = threading.Timer(seconds, finds_it_gone, (claimed,))
        workers.append(worker)
        worker.start()

    def finds_it_gone(claimed: Link) -> None:
        with suppress(state.LostLease):
            deleting.delete(Session(), claimed, state.read_changes(claimed))
        connection.close()

    workers: list[threading.Timer] = []
    pre_delete.connect(taken, sender=model, weak=False, dispatch_uid="busy")
    return workers


@pytest.fixture
def held(connected: Sandbox, settings: Any) -> Iterator[None]:
    """Deletes are held for longer than anybody waits."""
    settings.GHL_DELETE_HOLD_SECONDS = 60_000
    yield
    for model in (Trip, Passenger):
        pre_delete.disconnect(sender=model, dispatch_uid="busy")


@pytest.mark.usefixtures("held")
@pytest.mark.parametrize("model", [Trip, Passenger])
def test_a_worker_that_has_a_record_cannot_hold_its_delete(connected: Sandbox, model: Any) -> None:
    connected.store.remove_field("opportunity.room_occupancy")
    workers = busy_when_deleted(model, 0.3)

    code, report, _words = run()
    for worker in workers:
        worker.join()

    assert code == 1
    assert failed(report) == [("enrol", OCCUPANCY)]
    nothing_is_left(connected)


@pytest.mark.usefixtures("held")
def test_what_a_worker_does_not_let_go_of_is_named_with_that_reason(
    connected: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selftest, "PATIENCE_SECONDS", 2.0)
    workers = busy_when_deleted(Trip, 6.0)

    code, report, _words = run()
    for worker in workers:
        worker.join()

    reason = "is being deleted in GoHighLevel this moment; it cannot be brought back any more."
    assert code == 1
    assert [name for name, _text in failed(report)] == ["delete", "clean up"]
    assert failed(report)[0][1].endswith(reason)
    left = next(words for words in report["left"] if words.startswith("The trip"))
    assert left.endswith(f"{reason} TripBuilder goes on trying to delete it.")


@pytest.mark.usefixtures("held")
def test_its_deletes_neither_count_in_a_question_nor_wait_for_one(
    connected: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guards, "FEWEST", 1)
    trips = TripFactory.create_batch(3, organiser=ContactFactory())
    due.run_due(Session())
    for trip in trips[:2]:
        trip.delete()
    Link.objects.filter(deleted_at__isnull=False).update(held_until=None)
    due.run_due(Session())
    (question,) = guards.asked()

    code, report, _words = run()

    assert (code, failed(report)) == (0, [])
    assert [(one.pk, one.count, one.of) for one in guards.asked()] == [(question.pk, 2, 3)]
    assert guards.undecided(connected.store.location_id).count() == 2
    assert len(connected.opportunities()) == 3


@pytest.mark.parametrize("direction", ["pull", "off"])
def test_a_field_whose_rule_closes_the_way_there_is_no_failure(connected: Sandbox, direction: str) -> None:
    for kind, names in selftest.CLEARED.items():
        for name in names:
            FieldRule.objects.create(kind=kind, field=name, direction=direction)
    FieldRule.objects.create(kind="trip", field="capacity", direction=direction)

    code, report, _words = run()

    assert (code, failed(report)) == (0, [])
    nothing_is_left(connected)


def test_a_field_whose_rule_lets_nothing_in_is_not_tried_from_there(connected: Sandbox) -> None:
    FieldRule.objects.create(kind="passenger", field="roommate_request", direction="push")

    code, report, _words = run()

    assert (code, failed(report)) == (0, [])
    (text,) = (step["text"] for step in report["steps"] if step["name"] == "edit there")
    assert text == "Not tried: by its field rule nothing of the roommate request comes here."
    nothing_is_left(connected)


def test_an_interruption_cleans_up_too(connected: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(test: selftest.SelfTest) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(selftest.SelfTest, "_enrol", interrupted)

    assert run()[0] == 130
    nothing_is_left(connected)


@pytest.mark.cluster
@pytest.mark.usefixtures("held")
def test_beside_a_running_queue_it_takes_away_what_a_failed_step_left(
    session: Session, connected: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selftest, "PATIENCE_SECONDS", 30.0)
    connected.store.remove_field("opportunity.room_occupancy")
    with running(tmp_path / "cluster.log"):
        code, report, _words = run()
        eventually(lambda: not Link.objects.due().exists())

    assert (code, failed(report)) == (1, [("enrol", OCCUPANCY)])
    nothing_is_left(connected)
