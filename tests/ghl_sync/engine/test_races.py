"""What goes wrong between two workers, between a push and a pull, and in a worker that ends too early."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest

from ghl_sync.client import GHLClient
from ghl_sync.engine import adoption, due, push, state
from ghl_sync.engine.clock import database_now
from ghl_sync.engine.intake import Intake, note_place
from ghl_sync.engine.pull import pull
from ghl_sync.engine.results import Result
from ghl_sync.engine.session import Session
from ghl_sync.models import Change, Conflict, Issue, Link, Write
from ghl_sync.sandbox.server import Sandbox
from tests.factories import ContactFactory, PassengerFactory
from tests.ghl_sync.engine.mirror import a_trip, custom, link_of
from trips.models import Trip

pytestmark = pytest.mark.django_db(transaction=True)


class Killed(BaseException):
    """The process ended at this line."""


def lease_is_over() -> None:
    Link.objects.filter(leased_until__isnull=False).update(leased_until=database_now() - dt.timedelta(seconds=1))


def killed_in(monkeypatch: pytest.MonkeyPatch, name: str, session: Session) -> None:
    """Push until the worker is killed at the first call of this function of `state`."""

    def ended(*args: Any, **kwargs: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(state, name, ended)
        with pytest.raises(Killed):
            due.run_due(session)
    lease_is_over()


# A worker that ends


def test_a_worker_killed_after_the_answer_makes_no_second_record(
    session: Session, connected: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    trip = a_trip()
    push.reconcile(session, link_of(trip.organiser).pk)
    killed_in(monkeypatch, "keep", session)
    assert Write.objects.get(link=link_of(trip)).outcome == Write.Outcome.DONE

    due.run_due(Session())

    (card,) = connected.opportunities("TripBooking")
    assert link_of(trip).remote_id == card.id
    assert link_of(trip).state_now() == "synced"


def test_an_object_deleted_after_such_a_death_leaves_no_record(
    session: Session, connected: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    trip = a_trip()
    push.reconcile(session, link_of(trip.organiser).pk)
    killed_in(monkeypatch, "keep", session)
    trip.delete()

    due.run_due(Session())

    assert connected.opportunities("TripBooking") == []


def test_an_edit_after_a_worker_died_is_no_conflict(
    session: Session, connected: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    trip = a_trip(description="A")
    due.run_due(session)
    trip.description = "B"
    trip.save()
    killed_in(monkeypatch, "agreed", session)
    Change.objects.update(at=database_now() - dt.timedelta(hours=1))
    trip.description = "C"
    trip.save()
    Change.objects.update(at=database_now() - dt.timedelta(hours=1))

    due.run_due(Session())

    assert not Conflict.objects.exists()
    assert custom(connected, trip)["trip_description"] == "C"


def test_a_lost_update_found_again_stays_ours_until_it_is_agreed(session: Session, connected: Sandbox) -> None:
    trip = a_trip(description="A")
    due.run_due(session)
    connected.faults.add("lost", method="PUT", path="/opportunities/.*")
    trip.description = "B"
    trip.save()
    due.run_due(session)
    connected.faults.add("status", method="PUT", path="/opportunities/.*", status=503)
    trip.description = "C"
    trip.save()
    Change.objects.update(at=database_now() - dt.timedelta(hours=1))
    for _try in range(3):
        Link.objects.update(next_attempt_at=None)
        due.run_due(session)

    assert not Conflict.objects.exists()
    assert custom(connected, trip)["trip_description"] == "C"


@pytest.mark.parametrize("edit", ["", "Newer"])
def test_an_edit_after_a_lost_create_that_a_pull_met_wins(session: Session, connected: Sandbox, edit: str) -> None:
    trip = a_trip(description="First")
    connected.faults.add("lost", method="POST", path="/opportunities/")
    due.run_due(session)
    trip.description = edit
    trip.save()

    pull(Session())
    due.run_due(Session())

    trip.refresh_from_db()
    assert (trip.description, custom(connected, trip).get("trip_description", "")) == (edit, edit)
    assert not Conflict.objects.exists()


def test_an_error_of_a_worker_past_its_lease_takes_nobody_s_record(session: Session) -> None:
    contact = ContactFactory()
    first = state.claim(link_of(contact).pk, 20)
    assert first is not None
    lease_is_over()
    second = state.claim(link_of(contact).pk, 20)

    state.broke_off(first, "An error of ours.")

    assert second is not None
    assert state.lease_left(link_of(contact)) > 10


def test_looks_in_between_do_not_put_off_the_second_one_that_counts(session: Session, connected: Sandbox) -> None:
    trip = a_trip()
    push.reconcile(session, link_of(trip.organiser).pk)
    connected.faults.add("cut", method="POST", path="/opportunities/")
    due.run_due(session)
    settled = database_now() - dt.timedelta(seconds=session.config.settle + 1)
    Write.objects.filter(outcome="open").update(sent_at=settled)
    link = link_of(trip)
    push.reconcile(session, link.pk, force=True)
    first = Write.objects.get(outcome="open").looked_up_at

    push.reconcile(session, link.pk, force=True)

    assert Write.objects.get(outcome="open").looked_up_at == first


# Push and pull


def test_a_page_from_before_our_write_does_not_undo_it(
    session: Session, connected: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page is read, then a worker writes and is done, then the page's rows are merged."""
    connected.store.custom_moves_updated = False
    trip = a_trip(description="Old")
    due.run_due(session)
    Link.objects.update(remote_digest="", remote_seen_at=database_now() - dt.timedelta(hours=1))
    real = GHLClient.opportunity_page
    pushed = []

    def page(self: GHLClient, **asked: Any) -> Any:
        answer = real(self, **asked)
        if not pushed:
            pushed.append(True)
            trip.description = "New"
            trip.save()
            due.run_due(Session())
        return answer

    monkeypatch.setattr(GHLClient, "opportunity_page", page)
    pull(Session(), full=True)

    trip.refresh_from_db()
    assert trip.description == "New"
    assert custom(connected, trip)["trip_description"] == "New"


def test_a_merge_that_a_worker_overtakes_leaves_nothing_behind(
    session: Session, connected: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    trip = a_trip(description="Old", capacity=5)
    due.run_due(session)
    connected.edit(link_of(trip).remote_id, fields={"max_passengers": 6})
    real = state.pulled

    def overtaken(link: Link, *args: Any, **kwargs: Any) -> bool:
        Link.objects.filter(pk=link.pk).update(fence=99)
        return real(link, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(state, "pulled", overtaken)
        pull(Session())
    trip.refresh_from_db()
    assert trip.capacity == 5
    assert link_of(trip).remote_dirty_at is not None

    due.run_due(Session())
    trip.refresh_from_db()
    assert trip.capacity == 6


def test_a_mark_set_while_a_worker_looks_asks_for_another_look(session: Session) -> None:
    trip = a_trip()
    due.run_due(session)
    state.mark_dirty([link_of(trip).pk])
    claimed = state.claim(link_of(trip).pk, 20)
    assert claimed is not None
    later = database_now() + dt.timedelta(seconds=1)
    Link.objects.filter(pk=claimed.pk).update(remote_dirty_at=later)

    state.agreed(claimed, push.apply.base_of(claimed), state.NOTHING_SEEN)

    assert link_of(trip).remote_dirty_at is not None
    assert push.reconcile(session, claimed.pk) == Result.UNCHANGED
    assert link_of(trip).remote_dirty_at is None


def test_a_record_made_while_its_page_was_read_is_no_twin(
    session: Session, connected: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    trip = a_trip()
    due.run_due(session)
    monkeypatch.setattr(Intake, "_links_of", lambda self, kind, records: {})

    report = pull(Session(), full=True)

    assert (report.trips.issues, report.trips.created) == (0, 0)
    assert not Issue.objects.exists()
    assert link_of(trip).state_now() == "synced"


def test_a_row_older_than_our_write_does_not_turn_the_clock_back(session: Session, connected: Sandbox) -> None:
    trip = a_trip(description="Old")
    due.run_due(session)
    pull(Session(), full=True)
    connected.store.lag = 30
    trip.description = "New"
    trip.save()
    due.run_due(session)
    before = link_of(trip).remote_updated_at

    pull(Session(), full=True)

    assert link_of(trip).remote_updated_at == before


def test_a_save_while_ghl_is_asked_releases_a_parked_record(
    session: Session, connected: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    trip = a_trip(organiser=None)
    real = push.owner

    def saved_meanwhile(*args: Any) -> Any:
        monkeypatch.setattr(push, "owner", real)
        owner = real(*args)
        Trip.objects.get(pk=trip.pk).save()
        return owner

    link = state.claim(link_of(trip).pk, session.config.lease)
    assert link is not None
    seen = state.read_changes(link)
    saved_meanwhile(session, push.load("trip", trip.pk))
    state.park(link, "Refused.")

    assert len(seen.ids) == 1
    assert Link.objects.due().filter(pk=link.pk).exists()


def test_a_save_that_began_before_the_claim_and_ended_after_its_look_releases_a_parked_record(
    session: Session, connected: Sandbox
) -> None:
    """A Change counts from the start of its transaction: by times it would look older than the try that missed it."""
    trip = a_trip(organiser=None)
    began = database_now()
    link = state.claim(link_of(trip).pk, session.config.lease)
    assert link is not None
    state.read_changes(link)
    Change.objects.create(kind="trip", object_id=trip.pk, at=began)
    state.park(link, "Refused.")

    assert Link.objects.due().filter(pk=link.pk).exists()


def test_a_parked_record_rests_while_nothing_changes(session: Session, connected: Sandbox) -> None:
    trip = a_trip(organiser=None)

    due.run_due(session)

    assert link_of(trip).state_now() == "needs_person"
    assert not Link.objects.due().filter(kind="trip").exists()
    trip.save()
    assert Link.objects.due().filter(kind="trip").exists()


def test_a_record_that_kills_its_worker_rests_with_what_it_had(session: Session, connected: Sandbox) -> None:
    trip = a_trip()
    for _claim in range(6):
        state.claim(link_of(trip).pk, session.config.lease)
        lease_is_over()

    assert link_of(trip).state_now() == "needs_person"
    assert not Link.objects.due().filter(kind="trip").exists()


@pytest.mark.parametrize("deleted_too", [0, 2, 3])
def test_up_to_three_others_are_asked_before_a_record_counts_as_gone(
    session: Session, connected: Sandbox, deleted_too: int
) -> None:
    """The one seen last may have been deleted as well; when none of three answers, the answers are not believed."""
    trips = [a_trip() for _trip in range(4)]
    due.run_due(session)
    pull(Session(), full=True)
    for trip in trips[: deleted_too + 1]:
        connected.store.delete(link_of(trip).remote_id)
    for age, trip in enumerate(trips):
        Link.objects.filter(pk=link_of(trip).pk).update(remote_seen_at=database_now() - dt.timedelta(minutes=age + 1))
    state.mark_dirty([link_of(trips[0]).pk])

    due.run_due(Session())

    assert (link_of(trips[0]).gone_at is not None) == (deleted_too < 3)


# Conflicts


def test_a_second_save_within_seconds_does_not_settle_a_conflict(session: Session, connected: Sandbox) -> None:
    trip = a_trip(description="Base")
    due.run_due(session)
    connected.edit(link_of(trip).remote_id, fields={"trip_description": "Theirs"})
    Trip.objects.filter(pk=trip.pk).update(description="Ours")
    pull(Session())
    Link.objects.update(remote_seen_at=database_now() + dt.timedelta(seconds=30))  # as fresh as can be
    trip.refresh_from_db()
    trip.capacity = 7
    trip.save()

    due.run_due(Session())

    held = custom(connected, trip)
    assert (held["trip_description"], held["max_passengers"]) == ("Theirs", 7)
    assert Conflict.objects.get().resolved_at is None


def test_a_disputed_move_stays_disputed(session: Session, connected: Sandbox) -> None:
    first, ours, theirs = a_trip(name="First"), a_trip(name="Ours"), a_trip(name="Theirs")
    passenger = PassengerFactory(trip=first)
    due.run_due(session)
    due.run_due(session)
    connected.edit(link_of(passenger).remote_id, fields={"trip_name": "Theirs"})
    passenger.trip = ours
    passenger.save()
    Change.objects.update(at=database_now() - dt.timedelta(hours=1))  # nobody can tell who was first
    pull(Session())
    for _round in range(2):
        due.run_due(Session())
        state.mark_dirty([link_of(passenger).pk])
        pull(Session(), full=True)

    passenger.refresh_from_db()
    assert passenger.trip == ours
    assert custom(connected, passenger)["trip_name"] == "Theirs"
    assert [conflict.field for conflict in Conflict.objects.filter(resolved_at=None)] == ["trip_name"]
    assert theirs.passengers.count() == 0


def test_a_conflict_ends_when_both_sides_come_to_agree(session: Session, connected: Sandbox) -> None:
    trip = a_trip(description="Base")
    due.run_due(session)
    connected.edit(link_of(trip).remote_id, fields={"trip_description": "Theirs"})
    Trip.objects.filter(pk=trip.pk).update(description="Ours")
    pull(Session())
    assert Conflict.objects.get().resolved_at is None

    connected.edit(link_of(trip).remote_id, fields={"trip_description": "Ours"})
    pull(Session())

    assert Conflict.objects.get().resolved_at is not None
    connected.requests.clear()
    due.run_due(Session())
    assert connected.writes() == []


# Records that are gone


def gone_there(connected: Sandbox, obj: Any) -> None:
    connected.store.delete(link_of(obj).remote_id)
    for _scan in range(2):
        pull(Session(), full=True)
    assert link_of(obj).gone_at is not None


def test_the_rename_of_a_trip_that_is_gone_reaches_its_passengers(session: Session, connected: Sandbox) -> None:
    trip = a_trip(name="Old name")
    passenger = PassengerFactory(trip=trip)
    due.run_due(session)
    gone_there(connected, trip)

    trip.name = "New name"
    trip.save()
    due.run_due(Session())

    assert custom(connected, passenger)["trip_name"] == "New name"
    assert link_of(trip).gone_at is not None
    assert Change.objects.filter(kind="trip", object_id=trip.pk).exists()  # sent when a person brings it back


def test_a_passenger_that_is_gone_leaves_its_seat(session: Session, connected: Sandbox) -> None:
    trip = a_trip()
    passenger = PassengerFactory(trip=trip)
    due.run_due(session)
    Change.objects.update(due_at=database_now())
    due.run_due(session)
    assert custom(connected, trip)["passenger_count"] == 1
    gone_there(connected, passenger)

    passenger.trip = None
    passenger.save()
    due.run_due(Session())
    Change.objects.update(due_at=database_now())
    due.run_due(Session())

    assert custom(connected, trip)["passenger_count"] == 0


def test_what_is_gone_there_and_deleted_here_is_done_with(session: Session, connected: Sandbox) -> None:
    trip = a_trip()
    due.run_due(session)
    gone_there(connected, trip)
    trip.delete()

    due.run_due(Session())

    link = Link.objects.get(kind="trip")
    assert link.remote_gone_at is not None
    assert not Change.objects.filter(kind="trip").exists()


def test_sync_now_finds_a_record_that_came_back(session: Session, connected: Sandbox) -> None:
    trip = a_trip()
    due.run_due(session)
    gone_there(connected, trip)
    connected.store.restore(link_of(trip).remote_id)

    state.ask_for(link_of(trip))
    due.run_due(Session())

    assert link_of(trip).state_now() == "synced"


def test_sync_now_says_again_that_a_record_is_gone(session: Session, connected: Sandbox) -> None:
    trip = a_trip()
    due.run_due(session)
    gone_there(connected, trip)

    state.ask_for(link_of(trip))
    due.run_due(Session())

    assert link_of(trip).state_now() == "gone"


def test_an_update_of_a_record_that_is_gone_says_so(session: Session, connected: Sandbox) -> None:
    trip = a_trip(description="A")
    a_trip()  # another one answers: the account is there
    due.run_due(session)
    connected.store.delete(link_of(trip).remote_id)
    Link.objects.update(remote_seen_at=database_now() + dt.timedelta(seconds=30))  # no look before the write
    trip.description = "B"
    trip.save()

    due.run_due(Session())

    assert link_of(trip).state_now() == "gone"


def test_a_deleted_contact_does_not_come_back(session: Session, connected: Sandbox) -> None:
    contact = ContactFactory()
    due.run_due(session)
    contact.delete()
    due.run_due(session)

    report = pull(Session(), full=True)

    assert (report.contacts.issues, report.contacts.created) == (0, 0)


def test_questions_about_a_twin_end_with_the_twin(session: Session, connected: Sandbox) -> None:
    trip = a_trip()
    due.run_due(session)
    twin = connected.store.add_opportunity(
        pipeline="TripBooking",
        name="Copy",
        contact_id=link_of(trip.organiser).remote_id,
        fields={"tripbuilder_key": f"trip:{trip.uid}"},
    )
    pull(Session(), full=True)
    assert [issue.code for issue in Issue.objects.filter(closed_at=None)] == ["twin"]
    connected.store.delete(twin.id)

    pull(Session(), full=True)

    assert not Issue.objects.filter(closed_at=None).exists()


# A worker that was stopped past its lease


def test_a_stopped_worker_does_not_call_the_new_half_gone(
    session: Session, connected: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    trip, _other = a_trip(name="Fjords"), a_trip(name="Lisbon")
    due.run_due(session)
    connected.store.delete(link_of(trip).remote_id)
    state.mark_dirty([link_of(trip).pk])
    real = push.others_answer

    def stopped(own: Session, link: Link) -> bool:
        lease_is_over()
        monkeypatch.setattr(push, "others_answer", real)
        adoption.detach(link_of(trip), ignore=False)
        due.run_due(Session())
        return True

    monkeypatch.setattr(push, "others_answer", stopped)
    push.reconcile(session, link_of(trip).pk)
    link = link_of(trip)
    assert (link.gone_at, link.state_now(), connected.store.get(link.remote_id) is not None) == (None, "synced", True)


def test_a_stopped_worker_does_not_answer_another_one_s_doubt(
    session: Session, connected: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    trip = a_trip(description="A")
    due.run_due(session)
    connected.faults.add("lost", method="PUT", path="/opportunities/.*")
    trip.description = "B"
    trip.save()
    due.run_due(session)
    Link.objects.update(next_attempt_at=None)
    real = push.read_record

    def stopped(*args: Any) -> Any:
        monkeypatch.setattr(push, "read_record", real)
        lease_is_over()
        due.run_due(Session())
        return {}

    monkeypatch.setattr(push, "read_record", stopped)
    push.reconcile(session, link_of(trip).pk)
    doubt = Write.objects.filter(link=link_of(trip), action=Write.Action.UPDATE).latest("pk")
    assert doubt.outcome == Write.Outcome.FOUND


def test_a_stopped_worker_s_old_look_does_not_move_the_new_half(session: Session, connected: Sandbox) -> None:
    trip = a_trip()
    due.run_due(session)
    old = link_of(trip)
    record = session.read("trip", old.remote_id)
    adoption.detach(old, ignore=False)
    due.run_due(Session())
    other = replace(record, raw={**record.raw, "pipelineId": "elsewhere"})
    note_place(session, old, other)
    assert link_of(trip).pipeline_id == session.definitions.pipelines["trip"].id
    assert not Issue.objects.filter(code="moved").exists()
