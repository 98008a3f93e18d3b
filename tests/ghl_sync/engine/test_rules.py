"""Field rules: what may be set, what a changed rule does to both sides, and that opening a field overwrites nothing."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from ghl_sync.engine import due, rules
from ghl_sync.engine.pull import pull
from ghl_sync.engine.rules import Wish
from ghl_sync.engine.session import Session
from ghl_sync.mapping.fields import Policy
from ghl_sync.mapping.table import MAPS
from ghl_sync.models import Conflict, FieldRule, Issue, Link
from ghl_sync.sandbox.server import Sandbox
from tests import factories
from tests.ghl_sync.engine.mirror import a_trip, custom, link_of
from trips.models import Trip

pytestmark = pytest.mark.django_db(transaction=True)


def set_rule(field: str, direction: str = "both", policy: str = "newest", kind: str = "trip") -> rules.Changed:
    return rules.change([Wish(kind, field, policy, direction)], None, "both")


def rest(full: bool = True) -> None:
    """Everything that is due, and a pull; a new session, as each task has."""
    due.run_due(Session())
    if full:
        pull(Session(), full=True)
        due.run_due(Session())


def description(sandbox: Sandbox, trip: Trip) -> tuple[str, Any]:
    trip.refresh_from_db()
    return trip.description, custom(sandbox, trip).get("trip_description")


# What is offered


@pytest.mark.parametrize(
    ("wanted", "bound", "left"),
    [
        ("both", "both", "both"),
        ("both", "pull", "pull"),
        ("push", "both", "push"),
        ("push", "pull", "off"),
        ("pull", "push", "off"),
        ("both", "off", "off"),
        ("off", "both", "off"),
    ],
)
def test_a_rule_only_narrows_the_bound(wanted: str, bound: str, left: str) -> None:
    assert rules.narrowed(wanted, bound) == left


def test_each_field_offers_what_works_for_it() -> None:
    def offered(kind: str, name: str) -> tuple[tuple[str, ...], int]:
        found = rules.offer(kind, MAPS[kind].by_name[name])
        return found.directions, len(found.policies)

    assert {key: offered(*key) for key in (
        ("trip", "description"), ("trip", "name"), ("trip", "enrolled_count"), ("trip", "vendor"),
        ("trip", "organiser"), ("passenger", "trip_name"), ("passenger", "trip_id"), ("contact", "source"),
        ("contact", "email"), ("passenger", "passport.number"), ("trip", "documents.mou"),
    )} == {
        ("trip", "description"): (("both", "pull", "push", "off"), 4),
        ("trip", "name"): (("both", "pull", "push"), 4),
        ("trip", "enrolled_count"): (("push",), 0),
        ("trip", "vendor"): (("both",), 4),
        ("trip", "organiser"): (("pull",), 0),
        ("passenger", "trip_name"): (("both",), 4),
        ("passenger", "trip_id"): (("both",), 0),
        ("contact", "source"): (("pull", "off"), 0),
        ("contact", "email"): (("both", "pull", "push"), 4),
        ("passenger", "passport.number"): (("both", "pull", "push", "off"), 4),
        ("trip", "documents.mou"): (("pull", "off"), 0),
    }  # fmt: skip


def test_what_is_not_offered_is_refused() -> None:
    for wish in (Wish("trip", "name", "newest", "off"), Wish("trip", "enrolled_count", "ours", "push")):
        with pytest.raises(ValueError):
            rules.change([wish], None, "both")
    assert not FieldRule.objects.exists()


def test_only_what_differs_from_the_table_is_stored_with_its_history() -> None:
    boss = factories.StaffFactory()
    rules.change([Wish("trip", "description", "ours", "both")], boss, "both")
    rules.change([Wish("trip", "description", "ours", "both")], boss, "both")
    assert list(FieldRule.objects.values_list("field", "policy", "direction", "changed_by")) == [
        ("description", "ours", "", boss.pk)
    ]

    rules.change([Wish("trip", "description", "newest", "both")], boss, "both")

    assert not FieldRule.objects.exists()
    history = FieldRule.history.order_by("history_id").values_list("history_type", "policy", "history_user")
    assert list(history) == [("+", "ours", boss.pk), ("-", "", boss.pk)]


def test_rules_are_read_with_one_query_and_a_rule_of_another_time_is_as_if_never_set() -> None:
    FieldRule.objects.create(kind="trip", field="name", direction="off", policy="nobody")
    FieldRule.objects.create(kind="trip", field="long_gone", direction="off")
    with CaptureQueriesContext(connection) as queries:
        found = rules.load("pull")

    assert len(queries) == 1
    assert (found.way("trip", "name"), found.policies["trip"]["name"]) == ("both", Policy.NEWEST)
    assert found.way("passenger", "passport.number") == "pull"


# What a rule does


@pytest.mark.parametrize(
    ("direction", "here", "there"),
    [
        ("both", "Theirs", "Ours"),
        ("pull", "Theirs", "Old"),
        ("push", "Old", "Ours"),
        ("off", "Old", "Old"),
    ],
)
def test_each_side_hears_of_the_other_only_the_open_way(
    session: Session, connected: Sandbox, direction: str, here: str, there: str
) -> None:
    edited_here, edited_there = a_trip(description="Old"), a_trip(description="Old")
    rest(full=False)
    set_rule("description", direction)

    edited_here.description = "Ours"
    edited_here.save()
    connected.edit(link_of(edited_there).remote_id, fields={"trip_description": "Theirs"})
    rest()

    assert (description(connected, edited_there)[0], description(connected, edited_here)[1]) == (here, there)
    assert not Conflict.objects.exists()


def test_a_new_record_is_made_without_what_is_closed_but_with_what_it_needs(
    session: Session, connected: Sandbox
) -> None:
    set_rule("description", "off")
    set_rule("name", "pull")

    trip = a_trip(name="Fjords", description="Secret plan")
    rest(full=False)

    assert custom(connected, trip).get("trip_description") is None
    assert [card.name for card in connected.opportunities("TripBooking")] == ["Fjords"]


def test_a_first_import_leaves_out_what_is_closed_and_takes_it_once_it_opens(
    session: Session, connected: Sandbox
) -> None:
    set_rule("description", "push")
    set_rule("name", "push")
    contact = connected.store.add_contact(first_name="Ines", email="ines@example.com")
    connected.store.add_opportunity(
        pipeline="TripBooking", name="Lisbon", contact_id=contact.id, fields={"trip_description": "Theirs"}
    )
    pull(Session(), full=True)
    before = list(Trip.objects.values_list("name", "description"))

    set_rule("description", "both")
    rest()

    assert (before, list(Trip.objects.values_list("name", "description"))) == (
        [("Lisbon", "")],
        [("Lisbon", "Theirs")],
    )
    assert not Conflict.objects.exists()


@pytest.mark.parametrize(
    ("ours", "theirs", "ends", "asked"),
    [
        ("Ours", "Old", ("Ours", "Ours"), []),
        ("Old", "Theirs", ("Theirs", "Theirs"), []),
        ("Ours", "Theirs", ("Ours", "Theirs"), [("description", "Old", "Ours", "Theirs")]),
        ("Same", "Same", ("Same", "Same"), []),
    ],
)
def test_opening_a_field_merges_what_both_sides_did_meanwhile(
    session: Session, connected: Sandbox, ours: str, theirs: str, ends: tuple[str, str], asked: list[Any]
) -> None:
    trip = a_trip(description="Old")
    rest(full=False)
    set_rule("description", "off")
    trip.description = ours
    trip.save()
    connected.edit(link_of(trip).remote_id, fields={"trip_description": theirs})
    rest()
    assert description(connected, trip) == (ours, theirs)

    changed = set_rule("description", "both")
    rest()

    assert (changed.pulls, changed.records) == ({"trip"}, 1)
    assert description(connected, trip) == ends
    found = Conflict.objects.filter(resolved_at=None)
    assert list(found.values_list("field", "base_value", "our_value", "their_value")) == asked


def test_opening_costs_no_call_where_nothing_differs(session: Session, connected: Sandbox) -> None:
    a_trip(description="Old")
    rest()
    set_rule("description", "pull")
    connected.requests.clear()

    set_rule("description", "both")
    due.run_due(Session())

    assert list(connected.requests) == []
    assert not Link.objects.due().exists()


def test_a_field_that_is_switched_off_asks_nothing_any_more(session: Session, connected: Sandbox) -> None:
    trip = a_trip(description="Old")
    rest(full=False)
    link = link_of(trip)
    Conflict.objects.create(link=link, field="description", policy="ask")
    Issue.objects.create(link=link, field="description", code="kept", message="kept")

    set_rule("description", "off")

    assert (Conflict.objects.get().resolved_at is None, Issue.objects.get().closed_at is None) == (False, False)


@pytest.mark.parametrize(("policy", "kept"), [("ours", "Ours"), ("theirs", "Theirs")])
def test_a_new_policy_decides_what_was_open(session: Session, connected: Sandbox, policy: str, kept: str) -> None:
    trip = a_trip(description="Old")
    rest(full=False)
    set_rule("description", policy="ask")
    trip.description = "Ours"
    trip.save()
    connected.edit(link_of(trip).remote_id, fields={"trip_description": "Theirs"})
    rest(full=False)
    assert description(connected, trip) == ("Ours", "Theirs")

    set_rule("description", policy=policy)
    rest(full=False)

    assert description(connected, trip) == (kept, kept)
    conflict = Conflict.objects.get()
    assert (conflict.outcome, conflict.policy, conflict.our_value, conflict.their_value) == (
        policy, policy, "Ours", "Theirs",
    )  # fmt: skip


def test_a_policy_that_keeps_ours_records_one_conflict_however_often_the_push_fails(
    session: Session, connected: Sandbox
) -> None:
    trip = a_trip(description="Old")
    rest(full=False)
    set_rule("description", policy="ours")
    trip.description = "Ours"
    trip.save()
    connected.edit(link_of(trip).remote_id, fields={"trip_description": "Theirs"})
    connected.faults.add("status", method="PUT", path="/opportunities/.*", status=503, times=2)

    for _attempt in range(3):
        due.run_due(Session())
        Link.objects.update(next_attempt_at=None)
    due.run_due(Session())

    assert description(connected, trip) == ("Ours", "Ours")
    assert list(Conflict.objects.values_list("outcome", "their_value")) == [("ours", "Theirs")]


def test_a_policy_for_references_decides_who_moves_a_passenger(session: Session, connected: Sandbox) -> None:
    lisbon, oslo, rome = (a_trip(name=name) for name in ("Lisbon", "Oslo", "Rome"))
    passenger = factories.PassengerFactory(trip=lisbon)
    due.run_due(session)
    due.run_due(Session())
    set_rule("trip_name", policy="theirs", kind="passenger")
    passenger.trip = oslo
    passenger.save()
    connected.edit(link_of(passenger).remote_id, fields={"trip_name": "Rome"})

    rest(full=False)

    passenger.refresh_from_db()
    assert passenger.trip == rome
    assert list(Conflict.objects.values_list("field", "policy", "outcome", "our_value", "their_value")) == [
        ("trip_name", "theirs", "theirs", "Oslo", "Rome")
    ]


def test_documents_come_in_once_their_field_is_open(session: Session, connected: Sandbox) -> None:
    set_rule("documents.mou", "off", policy="")
    contact = connected.store.add_contact(first_name="Ines", email="ines@example.com")
    paper = {
        "url": "https://files.example.com/mou.pdf",
        "meta": {"originalname": "mou.pdf", "mimetype": "application/pdf"},
    }
    connected.store.add_opportunity(
        pipeline="TripBooking", name="Lisbon", contact_id=contact.id, fields={"mou": [paper]}
    )
    pull(Session(), full=True)
    trip = Trip.objects.get()
    before = trip.documents.count()

    set_rule("documents.mou", "pull", policy="")
    rest()

    assert (before, trip.documents.count()) == (0, 1)


def test_a_sensitive_field_stays_within_the_switch(session: Session, connected: Sandbox, settings: Any) -> None:
    settings.GHL_MIRROR_SENSITIVE = "pull"
    rules.change([Wish("passenger", "passport.number", "ours", "both")], None, "pull")
    passport = factories.PassportFactory(passenger=factories.PassengerFactory(trip=a_trip()), number="X5550009")
    rest()

    assert custom(connected, passport.passenger).get("passport_number") is None
