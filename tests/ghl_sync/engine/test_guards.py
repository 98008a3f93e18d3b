"""Very many values emptied or records deleted at once: those wait for a person's yes, and nothing else does."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.utils import timezone

from ghl_sync.engine import deleting, due, guards, push
from ghl_sync.engine.clock import database_now
from ghl_sync.engine.pull import pull, pull_record
from ghl_sync.engine.session import Session
from ghl_sync.models import Approval, Blank, DeletedRecord, Link
from ghl_sync.sandbox.server import Sandbox
from tests.chaos.rest import come_to_rest
from tests.factories import ContactFactory, PassengerFactory, StaffFactory, TripFactory
from tests.ghl_sync.engine.mirror import a_trip, link_of
from trips.models import Passenger, Trip

pytestmark = pytest.mark.django_db(transaction=True)

FEW, MANY = 3, 6


@pytest.fixture(autouse=True)
def small_guards(monkeypatch: pytest.MonkeyPatch) -> None:
    """A flood is more than four here; a share of so few records never is."""
    monkeypatch.setattr(guards, "FEWEST", 4)


@pytest.fixture
def trips(session: Session, connected: Sandbox) -> list[Trip]:
    """Trips that both sides hold alike, with a description, a vendor and a number of seats."""
    organiser = ContactFactory()
    made = [
        a_trip(name=f"Trip {number}", organiser=organiser, description="Words", capacity=10 + number)
        for number in range(MANY)
    ]
    due.run_due(session)
    pull(session, full=True)
    connected.requests.clear()
    return made


def sent(sandbox: Sandbox) -> list[str]:
    return [one.method for one in sandbox.requests if one.method != "GET" and not one.path.endswith("/search")]


def blanked_there(sandbox: Sandbox, trips: list[Trip], **fields: Any) -> None:
    for trip in trips:
        sandbox.store.edit(link_of(trip).remote_id, fields={"trip_description": None, **fields})


def blanked_here(trips: list[Trip]) -> None:
    for trip in trips:
        trip.description = ""
        trip.save()


def here() -> list[str]:
    return list(Trip.objects.order_by("pk").values_list("description", flat=True))


def there(sandbox: Sandbox) -> list[Any]:
    cards = sorted(sandbox.opportunities("TripBooking"), key=lambda card: card.name)
    return [sandbox.store.custom_by_key(card).get("trip_description") for card in cards]


def questions() -> list[tuple[str, str, str, int, int]]:
    return [(row.effect, row.kind, row.field, row.count, row.of) for row in guards.asked()]


def said(session: Session, *, yes: bool, until: dt.datetime | None = None) -> int | None:
    (approval,) = guards.asked()
    return guards.answer(
        approval, session.config.location_id, yes=yes, user=StaffFactory(), until=until or database_now()
    )


def comes_to_rest(session: Session, sandbox: Sandbox) -> bool:
    """Whether two runs in both directions write nothing any more."""
    due.run_due(session)
    pull(session, full=True)
    due.run_due(session)
    sandbox.requests.clear()
    before = here()
    pull(session, full=True)
    due.run_due(session)
    return not sent(sandbox) and here() == before and not due.due_ids()


# Emptied in GoHighLevel


def test_a_few_values_emptied_there_come_in(session: Session, connected: Sandbox, trips: list[Trip]) -> None:
    blanked_there(connected, trips[:FEW])
    pull(session, full=True)

    assert here() == [""] * FEW + ["Words"] * (MANY - FEW)
    assert questions() == []
    assert not Blank.objects.filter(state="waiting").exists()
    assert comes_to_rest(session, connected)


def test_few_values_cost_a_pull_no_further_call(session: Session, connected: Sandbox, trips: list[Trip]) -> None:
    blanked_there(connected, trips[:FEW])
    Link.objects.update(remote_seen_at=timezone.now() - dt.timedelta(hours=1))  # nothing was written lately
    connected.requests.clear()
    pull(session, full=True)

    reads = [one.path for one in connected.requests if "/opportunities/" in one.path and "search" not in one.path]
    assert [path for path in reads if "pipelines" not in path] == []


def test_many_values_emptied_there_wait_and_the_rest_goes_on(
    session: Session, connected: Sandbox, trips: list[Trip]
) -> None:
    blanked_there(connected, trips, max_passengers=99)
    pull(session, full=True)

    assert here() == ["Words"] * MANY
    assert set(Trip.objects.values_list("capacity", flat=True)) == {99}
    assert questions() == [("blank_here", "trip", "description", MANY, MANY)]
    assert comes_to_rest(session, connected)
    assert (here(), there(connected)) == (["Words"] * MANY, [None] * MANY)


def test_a_flood_counts_over_the_slices_of_a_pull(session: Session, connected: Sandbox, trips: list[Trip]) -> None:
    session.location.page_size = 2
    session.location.save()
    blanked_there(connected, trips)
    for _slice in range(20):
        if pull(session, full=True, seconds=0).complete:
            break

    assert here() == ["Words"] * MANY
    assert questions() == [("blank_here", "trip", "description", MANY, MANY)]


def test_yes_lets_them_in(session: Session, connected: Sandbox, trips: list[Trip]) -> None:
    blanked_there(connected, trips)
    pull(session, full=True)
    assert said(session, yes=True) == MANY
    due.run_due(session)

    assert (here(), there(connected), questions()) == ([""] * MANY, [None] * MANY, [])
    assert comes_to_rest(session, connected)
    assert not Blank.objects.exclude(state="passed").exists()


def test_no_gives_ours_back(session: Session, connected: Sandbox, trips: list[Trip]) -> None:
    blanked_there(connected, trips)
    pull(session, full=True)
    assert said(session, yes=False) == MANY
    due.run_due(session)

    assert (here(), there(connected), questions()) == (["Words"] * MANY, ["Words"] * MANY, [])
    assert comes_to_rest(session, connected)
    assert not Blank.objects.exclude(state="passed").exists()


def test_an_edit_of_a_value_held_back_settles_it(session: Session, connected: Sandbox, trips: list[Trip]) -> None:
    blanked_there(connected, trips)
    pull(session, full=True)
    connected.store.edit(link_of(trips[0]).remote_id, fields={"trip_description": "New words"})
    pull(session, full=True)

    assert here() == ["New words"] + ["Words"] * (MANY - 1)
    (approval,) = guards.asked()
    assert guards.waiting_for(approval, session.config.location_id).count() == MANY - 1


def test_a_yes_covers_only_what_was_shown(session: Session, connected: Sandbox, trips: list[Trip]) -> None:
    more = [a_trip(name=f"Zulu {number}", description="Words") for number in range(MANY)]
    due.run_due(session)
    blanked_there(connected, trips)
    pull(session, full=True)
    shown = database_now()
    blanked_there(connected, more)
    pull(session, full=True)
    assert said(session, yes=True, until=shown) == MANY
    due.run_due(session)

    assert here() == [""] * MANY + ["Words"] * MANY
    assert questions() == [("blank_here", "trip", "description", MANY, 2 * MANY)]


def test_single_records_are_counted_over_an_hour(session: Session, connected: Sandbox, trips: list[Trip]) -> None:
    for trip in trips:
        blanked_there(connected, [trip])
        pull_record(session, "opportunity", link_of(trip).remote_id)

    assert here() == [""] * 4 + ["Words"] * (MANY - 4)
    assert [(effect, field, count) for effect, _kind, field, count, _of in questions()] == [
        ("blank_here", "description", 5)
    ]
    Blank.objects.update(at=timezone.now() - dt.timedelta(hours=2))
    Approval.objects.all().delete()
    Blank.objects.filter(state="waiting").delete()
    blanked_there(connected, [trips[4]], max_passengers=50)
    pull_record(session, "opportunity", link_of(trips[4]).remote_id)
    assert here()[4] == ""


def test_a_dry_run_holds_nothing_back_and_asks_nobody(session: Session, connected: Sandbox, trips: list[Trip]) -> None:
    blanked_there(connected, trips)
    pull(Session(read_only=True), full=True, dry_run=True)

    assert (questions(), Blank.objects.count(), here()) == ([], 0, ["Words"] * MANY)


def test_unlinked_passengers_are_a_flood_too(session: Session, connected: Sandbox) -> None:
    trip = a_trip(name="Fjords")
    people = [PassengerFactory(trip=trip) for _number in range(MANY)]
    due.run_due(session)
    due.run_due(session)
    for person in people:
        connected.store.edit(link_of(person).remote_id, fields={"trip_name": None, "trip_id": None})
    pull(session, full=True)
    due.run_due(session)
    held = Passenger.objects.filter(trip=trip).count()
    question = questions()
    said(session, yes=False)
    due.run_due(session)
    pull(session, full=True)

    names = [connected.store.custom_by_key(card).get("trip_name") for card in connected.opportunities("Passenger")]
    assert (held, question) == (MANY, [("blank_here", "passenger", "trip_name", MANY, MANY)])
    assert (Passenger.objects.filter(trip=trip).count(), names) == (MANY, ["Fjords"] * MANY)


# Emptied here


def test_many_values_emptied_here_wait(session: Session, connected: Sandbox, trips: list[Trip]) -> None:
    for trip in trips:
        trip.capacity = 77
    blanked_here(trips)
    due.run_due(session)

    kept = [value for value in there(connected) if value]
    seats = {connected.store.custom_by_key(card)["max_passengers"] for card in connected.opportunities("TripBooking")}
    assert (kept, seats) == (["Words"] * (MANY - 4), {77})
    assert [(effect, field) for effect, _kind, field, _count, _of in questions()] == [("blank_there", "description")]
    assert comes_to_rest(session, connected)
    assert here() == [""] * MANY


def test_yes_empties_them_there(session: Session, connected: Sandbox, trips: list[Trip]) -> None:
    blanked_here(trips)
    due.run_due(session)
    assert said(session, yes=True) == MANY - 4
    due.run_due(session)

    assert there(connected) == [None] * MANY
    assert comes_to_rest(session, connected)


def test_no_brings_theirs_back(session: Session, connected: Sandbox, trips: list[Trip]) -> None:
    blanked_here(trips)
    due.run_due(session)
    assert said(session, yes=False) == MANY - 4
    due.run_due(session)

    assert (sorted(here()), questions()) == ([""] * 4 + ["Words"] * (MANY - 4), [])
    assert comes_to_rest(session, connected)


def test_passengers_taken_off_their_trip_are_put_back(session: Session, connected: Sandbox) -> None:
    trip = a_trip(name="Fjords")
    people = [PassengerFactory(trip=trip) for _number in range(MANY)]
    due.run_due(session)
    due.run_due(session)
    for person in people:
        person.trip = None
        person.save()
    due.run_due(session)
    held = [
        card for card in connected.opportunities("Passenger") if connected.store.custom_by_key(card).get("trip_name")
    ]
    said(session, yes=False)
    due.run_due(session)
    pull(session, full=True)
    due.run_due(session)

    assert len(held) == MANY - 4
    assert Passenger.objects.filter(trip=trip).count() == MANY - 4


# Deleted here


@pytest.fixture
def deleted(trips: list[Trip], settings: Any, session: Session) -> list[Link]:
    """All trips, deleted by a script and undoable."""
    links = [link_of(trip) for trip in trips]
    Trip.objects.all().delete()
    return links


def test_many_deletes_wait_and_the_rest_goes_on(
    session: Session, connected: Sandbox, trips: list[Trip], deleted: list[Link]
) -> None:
    other = a_trip(name="Another")
    due.run_due(session)
    connected.requests.clear()
    due.run_due(session)

    assert [(effect, count) for effect, _kind, _field, count, _of in questions()] == [("delete_there", MANY)]
    assert sent(connected) == []
    assert len(connected.opportunities("TripBooking")) == MANY + 1
    assert link_of(other).remote_id
    assert {link.state for link in Link.objects.with_state().filter(pk__in=[one.pk for one in deleted])} == {
        "needs_person"
    }


def test_few_deletes_go(session: Session, connected: Sandbox, trips: list[Trip]) -> None:
    for trip in trips[:FEW]:
        trip.delete()
    due.run_due(session)

    assert (len(connected.opportunities("TripBooking")), questions()) == (MANY - FEW, [])


def test_yes_deletes_them_there(session: Session, connected: Sandbox, trips: list[Trip], deleted: list[Link]) -> None:
    due.run_due(session)
    assert said(session, yes=True) == MANY
    due.run_due(session)

    assert (connected.opportunities("TripBooking"), questions()) == ([], [])


def test_a_yes_to_deletes_is_none_to_later_ones(
    session: Session, connected: Sandbox, trips: list[Trip], deleted: list[Link]
) -> None:
    more = [a_trip(name=f"Zulu {number}") for number in range(MANY)]
    due.run_due(session)
    shown = database_now()
    Trip.objects.filter(pk__in=[trip.pk for trip in more]).delete()
    said(session, yes=True, until=shown)
    due.run_due(session)

    assert len(connected.opportunities("TripBooking")) == MANY
    assert questions()[0][3] == MANY


def test_no_brings_the_deleted_back(
    session: Session, connected: Sandbox, trips: list[Trip], deleted: list[Link]
) -> None:
    due.run_due(session)
    assert said(session, yes=False) == MANY
    connected.requests.clear()
    due.run_due(session)
    pull(session, full=True)
    come_to_rest()  # a trip that came back counts its passengers a moment later

    assert (Trip.objects.count(), len(connected.opportunities("TripBooking")), sent(connected)) == (MANY, MANY, [])
    assert {link.state for link in Link.objects.filter(kind="trip").with_state()} == {"synced"}


def test_what_was_not_kept_stays_there_and_is_not_imported(
    session: Session, connected: Sandbox, trips: list[Trip], deleted: list[Link]
) -> None:
    DeletedRecord.objects.all().delete()
    due.run_due(session)
    said(session, yes=False)
    due.run_due(session)
    connected.requests.clear()
    pull(session, full=True)
    due.run_due(session)

    assert (Trip.objects.count(), len(connected.opportunities("TripBooking")), sent(connected)) == (0, MANY, [])
    assert {link.state for link in Link.objects.filter(kind="trip").with_state()} == {"ignored"}


def test_an_undo_still_works_while_deletes_wait(
    session: Session, connected: Sandbox, trips: list[Trip], deleted: list[Link]
) -> None:
    due.run_due(session)
    deleting.undo(deleted[0])
    said(session, yes=True)
    due.run_due(session)

    assert (Trip.objects.count(), len(connected.opportunities("TripBooking"))) == (1, 1)


def test_an_answer_counts_once(session: Session, trips: list[Trip], deleted: list[Link]) -> None:
    due.run_due(session)
    (approval,) = guards.asked()
    now, user = database_now(), StaffFactory()
    answers = [
        guards.answer(approval, session.config.location_id, yes=yes, user=user, until=now) for yes in (True, False)
    ]

    approval.refresh_from_db()
    assert (answers, approval.answer, approval.answered_by) == ([MANY, None], "yes", user)


def test_the_share_counts_where_there_are_many_records(
    session: Session, connected: Sandbox, trips: list[Trip], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guards, "FEWEST", 1)
    monkeypatch.setattr(guards, "VALUES_SHARE", 0.5)
    blanked_there(connected, trips[:3])
    pull(session, full=True)

    assert (here(), questions()) == ([""] * 3 + ["Words"] * 3, [])


def test_rows_that_count_no_more_are_forgotten(session: Session, connected: Sandbox, trips: list[Trip]) -> None:
    blanked_there(connected, trips[:FEW])
    pull(session, full=True)
    Blank.objects.update(at=timezone.now() - dt.timedelta(days=2))

    assert (guards.forget_old(), Blank.objects.count()) == (FEW, 0)
    assert push.reconcile(session, link_of(trips[0]).pk, force=True).value == "unchanged"
    assert TripFactory._meta.model.objects.count() == MANY


def test_what_a_worker_has_this_moment_is_brought_back_later(
    session: Session, connected: Sandbox, trips: list[Trip]
) -> None:
    passenger = PassengerFactory(trip=trips[0])
    due.run_due(session)
    trip_link, passenger_link = link_of(trips[0]), link_of(passenger)
    passenger.delete()
    for trip in trips:
        trip.delete()
    due.run_due(session)
    said(session, yes=False)
    Link.objects.filter(pk=trip_link.pk).update(leased_until=database_now() + dt.timedelta(minutes=1))
    deleting.restore_refused(session.config.location_id)
    Link.objects.filter(pk=trip_link.pk).update(leased_until=None)
    for _round in range(2):
        deleting.restore_refused(session.config.location_id)

    assert (Trip.objects.count(), Passenger.objects.count()) == (MANY, 1)
    links = Link.objects.filter(pk__in=(trip_link.pk, passenger_link.pk))
    assert set(links.values_list("deleted_at", "ignored_at")) == {(None, None)}


def test_records_are_counted_once_a_minute(session: Session, trips: list[Trip], django_assert_num_queries: Any) -> None:
    location_id = session.config.location_id
    census = guards.Census()
    with django_assert_num_queries(2):
        counts = [(census.values("trip", "description"), census.cards(location_id)) for _time in range(3)]
    assert counts == [(MANY, MANY)] * 3


def test_few_deletes_are_not_held_against_all_records(
    session: Session, trips: list[Trip], django_assert_num_queries: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = link_of(trips[0])
    trips[0].delete()
    link.refresh_from_db()
    monkeypatch.setattr(guards.Census, "cards", None)  # not asked for
    assert guards.delete_verdict(session.config.location_id, link, guards.Census()) == guards.Verdict.GO
