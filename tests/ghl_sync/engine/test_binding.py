"""Which database speaks for the account, and what one that slept does first."""

from __future__ import annotations

import datetime as dt
import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from ghl_sync import tasks
from ghl_sync.engine import adoption, binding, due
from ghl_sync.engine.pull import pull, pull_record
from ghl_sync.engine.session import CatchingUp, Session, Stranger
from ghl_sync.models import Change, Link, Location, Run, Write
from ghl_sync.sandbox.server import Sandbox
from tests.factories import PassengerFactory, StaffFactory
from tests.ghl_sync.engine.mirror import a_trip, custom, link_of
from trips.models import Trip

pytestmark = pytest.mark.django_db(transaction=True)

ELSEWHERE = "postgresql:another:1"
COPY = (
    "This database is a copy, or was restored elsewhere: another one was used with this GoHighLevel account. Nothing "
    "is sent or taken in before an administrator lets this one take over."
)


def a_copy() -> None:
    """From now on this database counts as one that was copied from somewhere."""
    Location.objects.update(bound_to=ELSEWHERE)


def asleep(*, minutes: int = 20) -> None:
    Location.objects.update(swept_at=timezone.now() - dt.timedelta(minutes=minutes))


def sent(sandbox: Sandbox) -> list[str]:
    return [one.method for one in sandbox.requests if one.method != "GET" and not one.path.endswith("/search")]


def our_side() -> list[Any]:
    """All that a pull or push would write of records, here."""
    rows: list[Any] = [sorted(map(str, model.objects.values())) for model in (Trip, Link, Change, Run)]
    return rows


# Binding


def test_the_first_use_binds_silently(session: Session) -> None:
    location = Location.objects.get()
    assert (location.bound_to, session.stranger) == (binding.identity(), "")
    assert location.bound_at is not None


def test_a_dry_run_binds_nothing(connected: Sandbox) -> None:
    Session(read_only=True)
    assert Location.objects.get().bound_to == ""


def test_the_mark_is_the_clusters_and_the_databases(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    if connection.vendor == "postgresql":
        kind, cluster, number = binding.identity().split(":")
        assert (kind, cluster.isdigit(), number.isdigit()) == ("postgresql", True, True)
        return
    mark = binding.identity()
    assert mark.startswith("sqlite:")
    assert str(connection.settings_dict["NAME"])[-20:] in mark or len(mark) == 128
    monkeypatch.setattr(binding, "MACHINE_IDS", (tmp_path / "none", tmp_path / "empty"))
    (tmp_path / "empty").write_text("\n")
    database = tmp_path / "db.sqlite3"
    database.touch()
    assert binding._sqlite(str(database)).startswith(f"sqlite:file {database.stat().st_ino}:")


def test_a_copy_writes_on_neither_side(session: Session, connected: Sandbox) -> None:
    trip = a_trip(name="Fjords", capacity=10)
    due.run_due(session)
    trip.capacity = 12
    trip.save()
    connected.store.edit(link_of(trip).remote_id, fields={"trip_description": "Theirs"})
    connected.store.add_opportunity(
        pipeline="TripBooking", name="New there", contact_id=link_of(trip.organiser).remote_id
    )
    a_copy()
    before, copy = our_side(), Session()
    connected.requests.clear()

    with pytest.raises(Stranger, match="is a copy"):
        due.run_due(copy)
    report = pull(copy, full=True)
    with pytest.raises(Stranger):
        pull_record(copy, "opportunity", link_of(trip).remote_id)
    with pytest.raises(Stranger):
        adoption.adopt(copy, link_of(trip), "other")
    for task in (tasks.sweep, tasks.pull_changes, tasks.pull_everything, tasks.refresh_definitions):
        task()

    assert (report.dry_run, report.trips.created, report.trips.updated) == (True, 1, 1)
    assert (our_side(), sent(connected)) == (before, [])


@pytest.mark.parametrize("command", ["pull_ghl", "push_ghl"])
def test_commands_say_so_and_fail(session: Session, connected: Sandbox, command: str) -> None:
    a_trip()
    a_copy()
    out, err = io.StringIO(), io.StringIO()
    with pytest.raises((CommandError, SystemExit)) as ended:
        call_command(command, json=True, stdout=out, stderr=err)

    report = json.loads(out.getvalue())
    code = ended.value.returncode if isinstance(ended.value, CommandError) else ended.value.code
    assert code == 1
    assert COPY in err.getvalue() + str(report.get("error"))
    assert report.get("dry_run", True) is True
    assert sent(connected) == []


def test_the_doctor_names_it_and_lets_it_take_over(session: Session, connected: Sandbox) -> None:
    a_copy()
    out = io.StringIO()
    with pytest.raises(SystemExit):
        call_command("ghl_setup", stdout=out)
    told = out.getvalue()
    out = io.StringIO()
    call_command("ghl_setup", bind=True, stdout=out)
    location = Location.objects.get()

    assert f"Database: {COPY} Run `manage.py ghl_setup --bind`" in told
    assert "This database speaks for the account now." in out.getvalue()
    assert "Database:" not in out.getvalue()
    assert (location.bound_to, location.pull_first_since is not None) == (binding.identity(), True)


def test_whoever_takes_over_reads_everything_before_it_sends(session: Session, connected: Sandbox) -> None:
    trip = a_trip(name="Fjords", capacity=10)
    due.run_due(session)
    pull(session, full=True)
    a_copy()
    connected.store.edit(link_of(trip).remote_id, fields={"max_passengers": 15})
    trip.description = "Typed here"
    trip.save()
    user = StaffFactory(is_superuser=True)
    binding.take_over(Location.objects.get(), user)
    connected.requests.clear()

    with pytest.raises(CatchingUp):
        due.run_due(Session())
    early = sent(connected)
    pull(Session())
    due.run_due(Session())

    location = Location.objects.get()
    trip.refresh_from_db()
    assert (early, location.bound_by, location.pull_first_since) == ([], user, None)
    assert (trip.capacity, custom(connected, trip)["trip_description"]) == (15, "Typed here")


def test_another_account_for_a_filled_database_is_asked_about(
    session: Session, connected: Sandbox, settings: Any
) -> None:
    a_trip()
    due.run_due(session)
    first = settings.GHL_LOCATION_ID
    settings.GHL_LOCATION_ID = "AnotherAccount123456"

    assert Session().stranger == (
        f"This database mirrors the GoHighLevel account {first}, and the settings name another one. Nothing is sent "
        "or taken in before an administrator lets it take over."
    )


# A backup from yesterday


def test_a_restored_backup_makes_no_twins_and_reverts_nothing(session: Session, connected: Sandbox) -> None:
    old = a_trip(name="Fjords", capacity=10)
    due.run_due(session)
    pull(session, full=True)
    yesterday: dict[str, Any] = {
        "link": Link.objects.values().get(pk=link_of(old).pk),
        "trip": Trip.objects.values().get(pk=old.pk),
        "write": Write.objects.latest("pk").pk,
    }
    # What happens today, and is lost with the restore: an edit that was sent, a new trip, a new passenger.
    old.capacity = 12
    old.save()
    lost = a_trip(name="Lost", organiser=old.organiser)
    person = PassengerFactory(trip=lost, contact=old.organiser)
    due.run_due(session)
    due.run_due(session)
    uids = {lost.uid, person.uid}
    cards = {card.id for card in (*connected.opportunities("TripBooking"), *connected.opportunities("Passenger"))}
    for obj in (person, lost):
        type(obj).objects.filter(pk=obj.pk)._raw_delete("default")
        Link.objects.filter(uid=obj.uid).delete()
    Change.objects.all().delete()
    Write.objects.filter(pk__gt=yesterday["write"]).delete()
    Trip.objects.filter(pk=old.pk).update(**{name: yesterday["trip"][name] for name in ("capacity", "updated_at")})
    Link.objects.filter(pk=yesterday["link"]["id"]).update(**yesterday["link"])
    asleep(minutes=60 * 24)
    due_here = a_trip(name="Typed after the restore", organiser=old.organiser)
    connected.requests.clear()

    tasks.sweep()
    tasks.sweep()

    old.refresh_from_db()
    after = {card.id for card in (*connected.opportunities("TripBooking"), *connected.opportunities("Passenger"))}
    assert (old.capacity, custom(connected, old)["max_passengers"]) == (12, 12)
    assert set(Link.objects.filter(uid__in=uids).values_list("uid", flat=True)) == uids
    assert after - cards == {link_of(due_here).remote_id}
    assert Trip.objects.filter(name="Lost").get().passengers.count() == 1


# The heartbeat


def test_without_a_heartbeat_there_is_no_rule(session: Session, connected: Sandbox) -> None:
    a_trip()
    due.run_due(Session())
    assert len(connected.opportunities("TripBooking")) == 1


@pytest.mark.parametrize(("minutes", "waits"), [(14, False), (16, True)])
def test_a_heartbeat_older_than_a_quarter_of_an_hour_asks_for_a_pull(
    session: Session, connected: Sandbox, minutes: int, waits: bool
) -> None:
    asleep(minutes=minutes)
    assert (Session().location.pull_first_since is not None) == waits


def test_a_sweep_catches_up_before_it_sends(session: Session, connected: Sandbox) -> None:
    trip = a_trip(name="Fjords", capacity=10)
    due.run_due(session)
    connected.store.edit(link_of(trip).remote_id, fields={"max_passengers": 15})
    asleep()
    trip.description = "Typed here"
    trip.save()
    connected.requests.clear()
    tasks.reconcile([link_of(trip).pk])  # the wake-up comes before any sweep
    early = sent(connected)

    tasks.sweep()

    trip.refresh_from_db()
    location = Location.objects.get()
    assert (early, trip.capacity, custom(connected, trip)["trip_description"]) == ([], 15, "Typed here")
    assert (location.pull_first_since, location.swept_at is not None) == (None, True)


def test_an_incremental_or_partial_pull_does_not_catch_up(session: Session, connected: Sandbox) -> None:
    pull(session, full=True)
    asleep()
    pull(Session())
    pull(Session(), full=True, only=["trips"])
    still = Location.objects.get().pull_first_since
    pull(Session(), full=True)

    assert (still is not None, Location.objects.get().pull_first_since) == (True, None)


def test_a_pull_broken_off_before_the_sleep_is_not_gone_on_with(session: Session, connected: Sandbox) -> None:
    session.location.page_size = 1
    session.location.save()
    for number in range(3):
        connected.store.add_contact(first_name=f"Person {number}", email=f"p{number}@example.com")
    assert not pull(session, full=True, seconds=0).complete
    asleep()

    pull(Session(), full=True)

    assert [(run.ok, run.error) for run in Run.objects.order_by("pk")] == [
        (False, "Broken off; everything is read afresh."),
        (True, ""),
    ]
