"""The three-way merge of one field: the table of the design, row by row."""

from __future__ import annotations

import pytest

from ghl_sync.engine.merge import Action, Pair, merge_field, merge_reference
from ghl_sync.mapping.fields import Policy

AGREED = Pair("a", "a")


def same(left, right):
    return left == right


@pytest.mark.parametrize(
    ("base", "local", "remote", "action"),
    [
        (AGREED, "a", "a", Action.NOTHING),
        (AGREED, "b", "a", Action.PUSH),
        (AGREED, None, "a", Action.PUSH),
        (AGREED, "a", "b", Action.APPLY),
        (AGREED, "a", None, Action.APPLY),
        (AGREED, "b", "b", Action.AGREE),
        (AGREED, "b", "c", Action.ASK),
        (Pair("a", "A"), "a", "A", Action.NOTHING),
        (Pair("a", "A"), "A", "A", Action.AGREE),
        (None, "a", "a", Action.AGREE),
        (None, "a", None, Action.PUSH),
        (None, None, "a", Action.APPLY),
        (None, "a", "b", Action.ASK),
    ],
)
def test_field(base, local, remote, action):
    assert merge_field(base, local, remote, same=same) == action


def test_first_import_takes_the_remote_value():
    assert merge_field(None, "a", "b", same=same, first_import=True) == Action.APPLY


@pytest.mark.parametrize(
    ("policy", "local", "remote", "newer", "action"),
    [
        (Policy.OURS, "b", "c", None, Action.OURS_WON),
        (Policy.THEIRS, "b", "c", None, Action.THEIRS_WON),
        (Policy.ASK, "b", "c", True, Action.ASK),
        (Policy.NEWEST, "b", "c", True, Action.OURS_WON),
        (Policy.NEWEST, "b", "c", False, Action.THEIRS_WON),
        (Policy.NEWEST, "b", "c", None, Action.ASK),
        (Policy.NEWEST, None, "c", True, Action.ASK),
        (Policy.NEWEST, "b", None, False, Action.ASK),
    ],
)
def test_policy_decides_where_both_changed_and_blank_never_wins_by_itself(policy, local, remote, newer, action):
    assert merge_field(AGREED, local, remote, same=same, policy=policy, local_newer=newer) == action


@pytest.mark.parametrize(
    ("moved", "relabelled", "theirs", "changed", "action"),
    [
        (False, False, 1, False, Action.NOTHING),
        (False, True, 1, False, Action.PUSH),
        (True, False, 1, False, Action.PUSH),
        (False, True, 1, True, Action.PUSH),
        (False, False, 1, True, Action.AGREE),
        (False, True, 2, True, Action.APPLY),
        (True, True, 2, True, Action.ASK),
    ],
)
def test_reference_rename_is_not_a_move(moved, relabelled, theirs, changed, action):
    assert (
        merge_reference(
            local_moved=moved, relabelled=relabelled, remote_target=theirs, local_target=1, remote_changed=changed
        )
        == action
    )
