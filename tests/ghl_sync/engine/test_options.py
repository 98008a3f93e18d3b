"""Drop-downs that hold our names: two writers at once, lists that shrink, answers that get lost, names refused."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from django.db import connection

from ghl_sync.engine import due, options, state
from ghl_sync.engine.session import Session
from ghl_sync.mapping.converters import look_alikes
from ghl_sync.models import Issue, RemoteField, WantedOption, Write
from ghl_sync.sandbox.server import Sandbox
from tests.factories import PassengerFactory, VendorFactory
from tests.ghl_sync.engine.mirror import a_trip, custom, link_of
from trips.models import Trip

pytestmark = pytest.mark.django_db(transaction=True)
TRIP_NAMES = "opportunity.trip_name"


def the_list(connected: Sandbox) -> tuple[str, ...]:
    return connected.store.field("trip_name").options


def wanted(session: Session, *labels: str) -> list[Trip]:
    """Trips of these names whose names are not options yet."""
    trips = [a_trip(name=label) for label in labels]
    field = session.definitions.fields[TRIP_NAMES]
    for trip in trips:
        options.want(session, field.id, trip.name, "trip", trip.pk)
    return trips


def while_writing(
    session: Session, monkeypatch: pytest.MonkeyPatch, before: Callable[[], object], times: int = 1
) -> None:
    """Have somebody else act between our read of the list and our write of it."""
    real, left = session.client.write_options, [times]

    def write(*args: Any, **kwargs: Any) -> None:
        if left[0]:
            left[0] -= 1
            before()
        real(*args, **kwargs)

    monkeypatch.setattr(session.client, "write_options", write)


def outcomes() -> list[str]:
    return list(Write.objects.filter(action=Write.Action.OPTIONS).order_by("pk").values_list("outcome", flat=True))


def open_issues() -> list[tuple[str, str]]:
    return list(Issue.objects.filter(closed_at=None).order_by("pk").values_list("code", "field"))


# Two writers


def test_two_workers_add_all_their_names(session: Session, connected: Sandbox) -> None:
    connected.store.add_options("trip_name", ["Old"])
    session.refresh_definitions()
    broken: list[BaseException] = []

    def work(name: str) -> None:
        try:
            mine = Session()
            for number in range(4):
                wanted(mine, f"{name} {number}")
                options.serve(mine)
        except BaseException as error:  # noqa: BLE001 - a thread's error must fail the test
            broken.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(name,)) for name in ("First", "Second", "Third")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    options.serve(Session())

    assert broken == []
    expected = {"Old", *(f"{name} {number}" for name in ("First", "Second", "Third") for number in range(4))}
    assert (set(the_list(connected)), len(the_list(connected))) == (expected, len(expected))
    assert not WantedOption.objects.exists()


def test_a_writer_past_its_turn_sends_nothing(
    session: Session, connected: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It read the list, was stopped, and another worker has written it since: its own list is old."""
    wanted(session, "Slow")

    def another() -> None:
        RemoteField.objects.update(leased_until=None)
        other = Session()
        wanted(other, "Quick")
        options.serve(other)

    while_writing(session, monkeypatch, another)
    options.serve(session)

    assert the_list(connected) == ("Slow", "Quick")
    assert outcomes() == ["not_sent", "done"] or outcomes() == ["done", "not_sent"]


def test_our_option_stands_after_somebody_else_adds_one(
    session: Session, connected: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other write arrives last, from a list without ours: the re-read shows it, and ours goes again."""
    wanted(session, "Ours")
    real = session.client.write_options

    def write(field_id: str, *, name: str, options: Sequence[str]) -> None:
        real(field_id, name=name, options=options)
        monkeypatch.setattr(session.client, "write_options", real)
        connected.store.change_field(field_id, options=("Theirs",))

    monkeypatch.setattr(session.client, "write_options", write)
    options.serve(session)

    assert the_list(connected) == ("Theirs", "Ours")
    assert not WantedOption.objects.exists()


def test_their_option_that_was_met_is_put_back(
    session: Session, connected: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted(session, "Ours")

    def they_add() -> None:
        connected.store.add_options("trip_name", ["Theirs"])
        Session().refresh_definitions()  # the hourly look comes by in between

    while_writing(session, monkeypatch, they_add)
    options.serve(session)

    assert set(the_list(connected)) == {"Ours", "Theirs"}


def test_their_option_that_nobody_met_is_lost(
    session: Session, connected: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """GoHighLevel's own gap, named in the documentation: added after our read, overwritten before anybody saw it."""
    wanted(session, "Ours")
    while_writing(session, monkeypatch, lambda: connected.store.add_options("trip_name", ["Theirs"]))

    options.serve(session)

    assert the_list(connected) == ("Ours",)


def test_what_our_write_lost_of_the_list_is_added_again(
    session: Session, connected: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    connected.store.add_options("trip_name", ["One", "Two"])
    session.refresh_definitions()
    wanted(session, "Ours")
    real = session.client.write_options

    def write(field_id: str, *, name: str, options: Sequence[str]) -> None:
        real(field_id, name=name, options=options)
        monkeypatch.setattr(session.client, "write_options", real)
        connected.store.change_field(field_id, options=("One", "Ours"))  # an old list of theirs, saved just now

    monkeypatch.setattr(session.client, "write_options", write)
    options.serve(session)

    assert the_list(connected) == ("One", "Ours", "Two")


# Lost answers


def test_a_lost_answer_of_a_write_that_arrived_is_no_second_write(session: Session, connected: Sandbox) -> None:
    connected.faults.add("lost", method="PUT", path=".*customFields.*")
    wanted(session, "Ours")

    assert options.serve(session) == 1

    assert (the_list(connected), outcomes()) == (("Ours",), ["found"])


def test_a_write_that_may_still_arrive_keeps_others_away(session: Session, connected: Sandbox, settings: Any) -> None:
    settings.GHL_SETTLE_SECONDS = 60  # 0.6 s at the tests' scale
    connected.faults.add("cut", method="PUT", path=".*customFields.*")
    wanted(session, "Ours")
    assert options.serve(Session()) == 0
    assert outcomes() == ["open"]
    connected.requests.clear()

    assert options.serve(Session()) == 0

    assert connected.requests == type(connected.requests)()
    RemoteField.objects.update(leased_until=None)
    assert options.serve(Session()) == 1
    assert (the_list(connected), outcomes()) == (("Ours",), ["not_applied", "done"])


def test_what_a_late_write_overwrote_is_added_again(session: Session, connected: Sandbox) -> None:
    connected.faults.add("cut", method="PUT", path=".*customFields.*")
    wanted(session, "Ours")
    options.serve(session)
    connected.store.add_options("trip_name", ["Theirs"])
    Session().refresh_definitions()
    connected.store.change_field(connected.store.field("trip_name").id, options=("Ours",))  # now it arrives
    RemoteField.objects.update(leased_until=None)

    options.serve(Session())

    assert the_list(connected) == ("Ours", "Theirs")


# Long lists, odd names


def test_a_thousand_names_are_one_write(session: Session, connected: Sandbox) -> None:
    connected.store.add_options("trip_name", [f"Old {number}" for number in range(1000)])
    session.refresh_definitions()
    owner = a_trip(name="Old 0").organiser
    Trip.objects.bulk_create(Trip(name=f"Trip {number}", name_key=f"trip {number}") for number in range(1000))
    field = session.definitions.fields[TRIP_NAMES]
    row = RemoteField.objects.get(key=TRIP_NAMES)
    WantedOption.objects.bulk_create(
        WantedOption(remote_field=row, label=trip.name, kind="trip", object_id=trip.pk)
        for trip in Trip.objects.filter(organiser=None)
    )
    connected.requests.clear()

    assert options.serve(session) == 1000

    assert owner is not None
    assert [(one.method, field.id in one.path) for one in connected.requests] == [
        ("GET", True), ("PUT", True), ("GET", True),
    ]  # fmt: skip
    assert len(the_list(connected)) == 2000


def test_names_that_look_alike_become_one_option(session: Session, connected: Sandbox) -> None:
    wanted(session, "Porto - Spring", "Porto – Spring", "PORTO - SPRING")

    assert options.serve(session) == 3

    assert the_list(connected) == ("Porto - Spring",)
    assert look_alikes(the_list(connected)) == []


def test_a_refused_name_does_not_hold_up_the_others(
    session: Session, connected: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ghl_sync.client.errors import Refused

    trips = wanted(session, *(f"Good {number}" for number in range(6)), "Bad")
    real = session.client.write_options

    def write(field_id: str, *, name: str, options: Sequence[str]) -> None:
        if "Bad" in options:
            raise Refused("options must be shorter", status=422)
        real(field_id, name=name, options=options)

    monkeypatch.setattr(session.client, "write_options", write)

    assert options.serve(session) == 6

    assert set(the_list(connected)) == {f"Good {number}" for number in range(6)}
    issue = Issue.objects.get(closed_at=None)
    assert (issue.link, issue.code, issue.field) == (link_of(trips[-1]), "no_option", "trip_name")
    assert issue.message == (
        "GoHighLevel's drop-down Name of the trip does not take “Bad”: options must be shorter "
        "Change the name here, or add it there by hand; then press Sync now."
    )
    assert not WantedOption.objects.exists()


def test_a_list_that_cannot_be_written_is_an_issue_and_stops_nobody(session: Session, connected: Sandbox) -> None:
    connected.scopes.discard("locations/customFields.write")
    trip = a_trip(name="New", vendor=VendorFactory(name="Somebody"))

    due.run_due(session)

    assert link_of(trip).remote_id
    assert sorted(open_issues()) == [("refused", TRIP_NAMES), ("refused", "opportunity.trip_vendor")]
    connected.scopes.add("locations/customFields.write")
    due.run_due(Session())
    assert open_issues() == []
    assert (custom(connected, trip)["trip_name"], custom(connected, trip)["trip_vendor"]) == ("New", "Somebody")


def test_a_drop_down_that_is_gone_holds_nothing_up(session: Session, connected: Sandbox) -> None:
    wanted(session, "Ours")
    connected.store.remove_field("trip_name")

    assert options.serve(session) == 0

    assert not WantedOption.objects.exists()
    assert RemoteField.objects.get(key=TRIP_NAMES).gone_at is not None


def test_an_outage_leaves_what_is_wanted(session: Session, connected: Sandbox) -> None:
    connected.faults.add("status", status=503, path=".*customFields.*", times=20)
    wanted(session, "Ours")

    assert options.serve(session) == 0

    assert WantedOption.objects.count() == 1
    assert RemoteField.objects.get(key=TRIP_NAMES).leased_until is None


def test_an_option_needs_a_record_that_still_asks_for_it(session: Session, connected: Sandbox) -> None:
    (trip,) = wanted(session, "Gone")
    PassengerFactory(trip=a_trip(name="Stays"))
    trip.delete()

    options.serve(session)

    assert "Gone" not in the_list(connected)
    assert state.LOST not in WantedOption.objects.values_list("kind", flat=True)
