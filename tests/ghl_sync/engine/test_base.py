"""What both sides agreed on, as it is stored."""

from __future__ import annotations

import uuid

from ghl_sync.engine.base import OTHER, Base
from ghl_sync.engine.merge import Pair

UID = uuid.UUID(int=7)
NONE: frozenset[str] = frozenset()
SECRET = frozenset({"secret"})


def stored(base: Base) -> Base:
    return Base.load(UID, base.sensitive, base.dump())


def test_before_the_first_agreement_there_is_no_pair() -> None:
    assert Base.load(UID, NONE, {}).pair("name", "a", "b") is None


def test_an_agreement_without_values_is_one() -> None:
    base = Base(str(UID), NONE, known=True)
    assert stored(base).pair("name", "a", "b") == Pair(None, None)


def test_equal_values_are_stored_once_and_others_apart() -> None:
    base = Base(str(UID), NONE)
    base.agree("same", "a", "a")
    base.agree("two", "ours", "theirs")
    base.agree("ours", 1, None)
    base.agree("theirs", None, False)
    base.extra = {"seat": 3}

    assert base.dump() == {
        "v": {"same": "a"},
        "l": {"two": "ours", "ours": 1},
        "r": {"two": "theirs", "theirs": False},
        "x": {"seat": 3},
    }
    again = stored(base)
    assert again.pair("two", None, None) == Pair("ours", "theirs")
    assert again.pair("ours", None, None) == Pair(1, None)
    assert again.pair("theirs", None, None) == Pair(None, False)
    assert again.extra == {"seat": 3}


def test_a_cleared_value_leaves_nothing() -> None:
    base = Base(str(UID), NONE)
    base.agree("name", "a", "a")
    base.agree("name", None, None)
    assert base.dump() == {"v": {}}


def test_a_sensitive_value_is_stored_as_a_hash_of_this_record_and_field() -> None:
    base = Base(str(UID), frozenset({"secret", "other"}))
    base.agree("secret", "X1", "X1")
    base.agree("other", "X1", "X1")
    elsewhere = Base(str(uuid.UUID(int=8)), SECRET)
    elsewhere.agree("secret", "X1", "X1")

    held = {base.dump()["v"]["secret"], base.dump()["v"]["other"], elsewhere.dump()["v"]["secret"]}
    assert len(held) == 3
    assert "X1" not in str(held)


def test_a_hash_tells_only_whether_it_is_the_value_at_hand() -> None:
    base = Base(str(UID), SECRET)
    base.agree("secret", "X1", "X1")
    again = stored(base)

    assert again.pair("secret", "X1", "X2") == Pair("X1", OTHER)
    assert again.pair("secret", None, "X1") == Pair(OTHER, "X1")
    assert (again.remote_is("secret", "X1"), again.remote_is("secret", "X2"), again.remote_is("secret", None)) == (
        True, False, False,
    )  # fmt: skip


def test_a_sealed_value_is_adopted_as_agreed() -> None:
    writer = Base(str(UID), SECRET)
    sealed = writer.seal("secret", "X1")
    base = Base(str(UID), SECRET)
    base.adopt("secret", sealed)
    base.adopt("empty", None)

    assert base.pair("secret", "X1", "X1") == Pair("X1", "X1")
    assert base.opens("secret", sealed, "X1")
    assert not base.opens("secret", sealed, "X2")
