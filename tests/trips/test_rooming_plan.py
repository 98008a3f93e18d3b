"""Who is suggested to share a room with whom and why, and what is said of a room as it stands."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trips.models.room import MOST_BEDS
from trips.services.rooming_plan import Guest, Standing, may_share, remarks, suggest, wishes


def guest(number: int, name: str, **facts: Any) -> Guest:
    first, _, last = name.partition(" ")
    known = {
        "id": number, "name": name, "first_name": first, "last_name": last, "called": "", "sex": "F",
        "is_minor": False, "occupancy": "", "wish": "", "household": 1000 + number, "guardian": None,
    }  # fmt: skip
    return Guest(**{**known, **facts})


def shared(*guests: Guest) -> list[tuple[int, list[str], str]]:
    return [(room.beds, [one.first_name for one in room.guests], room.why) for room in suggest(guests).rooms]


def left(*guests: Guest) -> dict[str, str]:
    return {one.first_name: why for one, why in suggest(guests).left}


def test_who_asked_for_each_other_comes_before_who_asked_alone():
    rooms = shared(
        guest(1, "Ana Alvarez", wish="Bea Brandt"),
        guest(2, "Bea Brandt", wish="Alvarez, Ana"),
        guest(3, "Cleo Costa", wish="Bea"),
        guest(4, "Dora Diaz"),
    )

    assert rooms == [
        (2, ["Ana", "Bea"], "They asked for each other."),
        (2, ["Cleo", "Dora"], "Adults of the same sex; neither got whom they asked for, if anybody."),
    ]


def test_a_wish_of_one_side_is_met_where_the_other_asked_for_nobody_and_nothing_forbids_it():
    rooms = shared(
        guest(1, "Ana Alvarez", wish="my friend Čeneka Novak."),
        guest(2, "Ceneka Novak", wish="n/a"),
        guest(3, "Dora Diaz", wish="Egon"),
        guest(4, "Egon Ek", sex="M"),
    )

    assert rooms == [
        (2, ["Ana", "Ceneka"], "Ana Alvarez asked for Ceneka Novak, who has not answered."),
        (2, ["Dora"], "Nobody is left to share with."),
        (2, ["Egon"], "Nobody is left to share with."),
    ]


def test_three_who_all_asked_for_each_other_are_one_room():
    rooms = shared(
        guest(1, "Ana Alvarez", wish="Bea, Cleo"),
        guest(2, "Bea Brandt", wish="Ana and Cleo"),
        guest(3, "Cleo Costa", wish="Ana; Bea"),
    )

    assert rooms == [(3, ["Ana", "Bea", "Cleo"], "They asked for each other.")]


def test_who_booked_a_single_gets_it_whatever_they_asked_for():
    rooms = shared(guest(1, "Ana Alvarez", wish="Bea", occupancy="single"), guest(2, "Bea Brandt", wish="Ana"))

    assert [(beds, names) for beds, names, _why in rooms] == [(1, ["Ana"]), (2, ["Bea"])]


def test_two_whom_an_agent_booked_are_no_couple():
    rooms = shared(guest(1, "Ana Alvarez", household=7), guest(2, "Carl Costa", household=7, sex="M"))

    assert [names for _beds, names, _why in rooms] == [["Ana"], ["Carl"]]


def test_free_beds_are_taken_before_rooms_are_added():
    ana, bea, cleo = guest(1, "Ana Alvarez"), guest(2, "Bea Brandt", wish="Ana"), guest(3, "Cleo Costa")
    dora, egon = guest(4, "Dora Diaz", occupancy="single"), guest(5, "Egon Ek", sex="M")
    standing = [Standing(11, 2, (ana,)), Standing(12, 1), Standing(13, 2, (egon,))]

    found = [
        (room.room, [one.first_name for one in room.guests]) for room in suggest([bea, cleo, dora], standing).rooms
    ]

    assert found == [(12, ["Dora"]), (11, ["Bea"]), (None, ["Cleo"])]


def test_singles_sleep_alone_and_sexes_apart():
    rooms = shared(
        guest(1, "Ana Alvarez", occupancy="single"),
        guest(2, "Bea Brandt"),
        guest(3, "Carl Costa", sex="M"),
        guest(4, "Dora Diaz"),
        guest(5, "Egon Ek", sex="M"),
    )

    assert [(beds, names) for beds, names, _why in rooms] == [(1, ["Ana"]), (2, ["Bea", "Dora"]), (2, ["Carl", "Egon"])]


def test_children_sleep_with_who_is_in_charge_of_them_and_never_with_strangers():
    mother = guest(1, "Maria Lind", household=7)
    child = guest(2, "Tove Lind", household=7, is_minor=True)
    ward = guest(3, "Nils Berg", household=8, guardian=9, is_minor=True, sex="M")
    guardian = guest(4, "Olaf Dahl", household=9, sex="M")
    alone = guest(5, "Pia Ros", household=10, is_minor=True)
    woman = guest(6, "Rita Sol")

    assert shared(mother, child, ward, guardian, alone, woman) == [
        (2, ["Olaf", "Nils"], "Children with Olaf Dahl, who is in charge."),
        (2, ["Maria", "Tove"], "Children with Maria Lind, who is in charge."),
        (2, ["Rita"], "Nobody is left to share with."),
    ]
    assert left(mother, child, ward, guardian, alone, woman) == {
        "Pia": "no other minor of the same sex and nobody in charge is free to share"
    }


def test_a_couple_and_their_child_are_one_room_and_an_agent_s_strangers_are_none():
    family = [guest(1, "Ida Moe", household=7), guest(2, "Jon Moe", household=7, sex="M")]
    child = guest(3, "Kai Moe", household=7, is_minor=True, sex="M")
    pupils = [guest(number, f"Pupil Name{number}", household=50, is_minor=True) for number in (11, 12)]
    teachers = [guest(20, "Tea Tutor", household=50), guest(21, "Tim Tutee", household=50, sex="M")]

    lovers = [guest(1, "Ida Moe", household=7, wish="Jon"), guest(2, "Jon Ruud", household=8, sex="M", wish="Ida Moe")]
    many = [guest(30 + n, f"Child{n} Moe", household=7, is_minor=True) for n in range(5)]

    assert [names for _beds, names, _why in shared(*lovers, child)] == [["Ida", "Jon", "Kai"]]
    assert [names for _beds, names, _why in shared(*family, *many)] == [
        ["Ida", "Child0", "Child1", "Child2"],
        ["Jon", "Child3", "Child4"],
    ]
    assert shared(*family, child) == [(3, ["Ida", "Jon", "Kai"], "Children with Ida Moe, who is in charge.")]
    assert ["Pupil", "Pupil"] in [names for _beds, names, _why in shared(*pupils, *teachers)]


def test_who_gives_no_sex_is_left_to_a_person():
    assert left(guest(1, "Ana Alvarez", sex=""), guest(2, "Bea Brandt")) == {
        "Ana": "no sex is given, so nobody can be chosen to share"
    }


def test_a_name_that_several_have_or_nobody_names_nobody():
    people = [guest(1, "Ana Alvarez", wish="Maria"), guest(2, "Maria Lind"), guest(3, "Maria Moe")]
    asked = wishes([*people, guest(4, "Zoe Zorn", wish="my sister")])

    assert asked == {1: frozenset(), 4: frozenset()}
    assert wishes([guest(1, "Ana Alvarez", wish="None"), guest(2, "Bea Brandt", wish=" N/A ")]) == {}
    assert wishes([guest(1, "Ana Alvarez", wish="Maria Lind & Maria Moe"), *people[1:]]) == {1: frozenset({2, 3})}


FACTS = st.tuples(
    st.sampled_from(["F", "M", "X", ""]),
    st.booleans(),
    st.sampled_from(["", "single"]),
    st.integers(1, 4),
    st.integers(0, 12),
)  # sex, minor, occupancy, household, whom they ask for


@settings(deadline=None)
@given(st.lists(FACTS, max_size=12), st.randoms(use_true_random=False))
def test_everybody_is_in_one_room_or_left_whatever_the_order(facts, chance):
    people = [
        guest(
            n, f"First{n} Last{n % 3}", sex=sex, is_minor=minor, occupancy=wish, household=house, wish=f"First{other}"
        )
        for n, (sex, minor, wish, house, other) in enumerate(facts)
    ]
    found = suggest(people)
    mixed = list(people)
    random.Random(chance.random()).shuffle(mixed)

    placed = [one.id for room in found.rooms for one in room.guests]
    assert sorted([*placed, *(one.id for one, _why in found.left)]) == [one.id for one in people]
    assert suggest(mixed) == found
    for room in found.rooms:
        assert len(room.guests) <= room.beds <= MOST_BEDS
        for one in room.guests:
            family = any(other is not one and not other.is_minor for other in room.guests)
            assert not one.is_minor or family or all(may_share(one, other) for other in room.guests)


@pytest.mark.parametrize(
    ("beds", "guests", "said"),
    [
        (2, [], [("doubt", "Nobody is in it.")]),
        (2, [guest(1, "Ana Alvarez")], [("doubt", "Under-filled: 1 of 2 beds taken.")]),
        (
            1,
            [guest(1, "Ana Alvarez", occupancy="single"), guest(2, "Bea Brandt")],
            [("bad", "Over-filled: 2 people for 1 bed."), ("bad", "Ana Alvarez booked a single.")],
        ),
        (
            2,
            [guest(1, "Ana Alvarez"), guest(2, "Carl Costa", sex="M")],
            [("bad", "People of different sex who neither asked for each other nor are family.")],
        ),
        (2, [guest(1, "Ana Lind", household=7), guest(2, "Carl Lind", sex="M", household=7)], []),
        (2, [guest(1, "Ana Lind"), guest(2, "Bea Moe", sex="")], [("doubt", "No sex is given for Bea Moe.")]),
        (1, [guest(1, "Tove Lind", is_minor=True)], [("bad", "Tove Lind is a minor and alone.")]),
        (
            2,
            [guest(1, "Tove Lind", is_minor=True), guest(2, "Rita Sol", wish="Tove")],
            [
                ("bad", "Tove Lind is a minor with Rita Sol, not kin or guardian."),
                ("doubt", "Only Rita Sol asked, not Tove Lind."),
            ],
        ),
        (1, [guest(1, "Ana Alvarez", wish="my sister")], [("doubt", "Ana Alvarez asked for “my sister”.")]),
    ],
)
def test_what_is_said_of_a_room(beds, guests, said):
    assert [(one.weight.value, one.text) for one in remarks(beds, guests, wishes(guests))] == said
