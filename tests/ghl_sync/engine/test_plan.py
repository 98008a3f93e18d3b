"""The plan for one object: what is applied, pushed, asked, and what only goes along."""

from __future__ import annotations

from typing import Any

import pytest

from ghl_sync.engine.base import Base
from ghl_sync.engine.merge import Action
from ghl_sync.engine.plan import UNKNOWN, Plan, Situation, decide
from ghl_sync.mapping.table import PASSENGER, TRIP
from ghl_sync.mapping.translate import Reading, Readings


def a_base(**values: Any) -> Base:
    base = Base("uid", PASSENGER.sensitive, known=True)
    for name, value in values.items():
        base.agree(name.replace("__", "."), value, value)
    return base


def read(**values: Any) -> Readings:
    return {name.replace("__", "."): Reading(value) for name, value in values.items()}


def planned(base: Base, local: dict[str, Any], readings: Readings | None, **situation: Any) -> Plan:
    return decide(TRIP, base, local, readings, Situation(**situation))


def test_nothing_changed_is_nothing_to_do() -> None:
    plan = planned(a_base(description="a"), {"description": "a"}, read(description="a"))
    assert (plan.push, plan.apply, plan.pairs, plan.conflicts) == ({}, {}, {}, [])


def test_without_a_reading_only_our_change_is_seen() -> None:
    assert planned(a_base(description="a"), {"description": "b"}, None).push == {"description": "b"}
    assert planned(a_base(description="a"), {"description": "a"}, None).push == {}


def test_each_field_is_merged_by_itself() -> None:
    plan = planned(
        a_base(description="a", lodging_notes="a"),
        {"description": "ours", "lodging_notes": "a"},
        read(description="a", lodging_notes="theirs"),
    )
    assert (plan.push, plan.apply) == ({"description": "ours"}, {"lodging_notes": "theirs"})


@pytest.mark.parametrize(
    ("policy", "newer", "action"),
    [
        ("newest", True, Action.OURS_WON),
        ("newest", False, Action.THEIRS_WON),
        ("newest", None, Action.ASK),
        ("ours", None, Action.OURS_WON),
        ("theirs", None, Action.THEIRS_WON),
        ("ask", True, Action.ASK),
    ],
)
def test_a_policy_decides_what_both_changed(policy: str, newer: bool | None, action: Action) -> None:
    plan = planned(
        a_base(description="a"),
        {"description": "ours"},
        read(description="theirs"),
        policies={"description": policy},
        local_newer=newer,
    )
    assert [(note.field, note.action, note.ours, note.theirs) for note in plan.conflicts] == [
        ("description", action, "ours", "theirs")
    ]
    assert plan.push == ({"description": "ours"} if action == Action.OURS_WON else {})
    assert plan.apply == ({"description": "theirs"} if action == Action.THEIRS_WON else {})


def test_what_cannot_be_read_is_an_issue_and_nothing_moves() -> None:
    readings = {"capacity": Reading(unreadable="is text where a number is expected", raw="many")}
    plan = planned(a_base(capacity=5), {"capacity": 6}, readings)
    assert [(note.field, note.code) for note in plan.issues] == [("capacity", "unreadable")]
    assert (plan.push, plan.apply) == ({}, {})


def test_an_older_value_of_ours_that_arrives_late_is_no_edit_of_theirs() -> None:
    plan = planned(a_base(description="c"), {"description": "c"}, read(description="b"), late={"description": ["b"]})
    assert (plan.push, plan.apply, plan.conflicts) == ({"description": "c"}, {}, [])


def test_a_parked_field_is_not_sent() -> None:
    plan = planned(a_base(description="a"), {"description": "b"}, None, parked=["description"])
    assert plan.push == {}


def test_fields_only_written_go_along_and_are_no_reason() -> None:
    plan = planned(a_base(enrolled_count=1), {"enrolled_count": 2}, None)
    assert (plan.push, plan.ride) == ({}, {"enrolled_count": 2})
    plan = planned(a_base(enrolled_count=1), {"enrolled_count": 2}, None, causes={"count"})
    assert plan.push == {"enrolled_count": 2}


def test_what_they_hold_of_a_field_only_written_is_remembered() -> None:
    plan = planned(a_base(enrolled_count=2), {"enrolled_count": 2}, read(enrolled_count=9))
    assert (plan.theirs, plan.ride, plan.push) == ({"enrolled_count": 9}, {"enrolled_count": 2}, {})


@pytest.mark.parametrize(
    ("direction", "pushed", "applied"),
    [("both", True, True), ("push", True, False), ("pull", False, True), ("off", False, False)],
)
def test_a_field_goes_only_its_way(direction: str, pushed: bool, applied: bool) -> None:
    base = a_base(passport__number="A", health__general_health="A")
    local = {"passport.number": "B", "health.general_health": "A"}
    readings = read(passport__number="A", health__general_health="C")
    directions = {"passport.number": direction, "health.general_health": direction}
    plan = decide(PASSENGER, base, local, readings, Situation(directions=directions))
    assert (("passport.number" in plan.push), ("health.general_health" in plan.apply)) == (pushed, applied)


# References


def passenger(local: str | None, there: str | None, *, base: str = "A", **situation: Any) -> Plan:
    return decide(
        PASSENGER, a_base(trip_name=base), {"trip_name": local}, read(trip_name=there), Situation(**situation)
    )


def test_a_rename_is_no_move() -> None:
    plan = passenger("A, renamed", "A", local_target=1, base_target=1)
    assert (plan.push, plan.moves, plan.reference_open) == ({"trip_name": "A, renamed"}, False, False)


def test_their_move_is_followed() -> None:
    plan = passenger("A", "B", local_target=1, base_target=1, resolve=lambda read, changed: 2)
    assert (plan.moves, plan.move, plan.push) == (True, 2, {})


def test_our_move_is_sent_and_stays_a_move_until_then() -> None:
    plan = passenger("B", "A", local_target=2, base_target=1)
    assert (plan.push["trip_name"], plan.reference_open) == ("B", True)


def test_two_moves_are_a_question_that_stays_open() -> None:
    plan = passenger("B", "C", local_target=2, base_target=1, resolve=lambda read, changed: 3)
    assert ([note.action for note in plan.conflicts], plan.moves, plan.reference_open) == ([Action.ASK], False, True)


def test_both_moved_to_the_same_agree() -> None:
    plan = passenger("B", "B", local_target=2, base_target=1, resolve=lambda read, changed: 2)
    assert (plan.pairs, plan.reference_open, plan.conflicts) == ({"trip_name": ("B", "B")}, False, [])


def test_a_trip_nobody_knows_leaves_ours() -> None:
    plan = passenger("A", "Z", local_target=1, base_target=1, resolve=lambda read, changed: UNKNOWN)
    assert ([note.code for note in plan.issues], plan.moves, plan.push) == (["unreadable"], False, {})


def test_our_move_that_stands_there_already_is_agreed() -> None:
    readings = read(trip_name="A", trip_id=None)
    plan = decide(PASSENGER, a_base(trip_name="A"), {"trip_name": "A"}, readings, Situation(local_target=2))
    assert (plan.pairs, plan.push, plan.reference_open) == (
        {"trip_name": ("A", "A"), "trip_id": (None, None)},
        {},
        False,
    )


def test_an_old_move_of_ours_that_arrives_late_does_not_move_back() -> None:
    plan = passenger(
        "C", "B", base="C", local_target=3, base_target=3, late={"trip_name": ["B"]}, resolve=lambda read, changed: 2
    )
    assert (plan.push, plan.moves) == ({"trip_name": "C"}, False)
