"""Three-way merge of one field: base, local and remote in, one action out. No database, no clock."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ghl_sync.mapping.fields import Policy

Canonical = Any
Same = Callable[[Canonical, Canonical], bool]


@dataclass(frozen=True, slots=True)
class Pair:
    """What each side held when both last agreed."""

    local: Canonical
    remote: Canonical


class Action(enum.StrEnum):
    NOTHING = "nothing"  # both as agreed
    AGREE = "agree"  # both changed to the same: record it
    PUSH = "push"
    APPLY = "apply"
    OURS_WON = "ours_won"  # both changed, a policy chose ours: push, and keep theirs on record
    THEIRS_WON = "theirs_won"  # both changed, a policy chose theirs: apply, and keep ours on record
    ASK = "ask"  # both changed: a person decides, both sides stay


PUSHING = frozenset({Action.PUSH, Action.OURS_WON})
APPLYING = frozenset({Action.APPLY, Action.THEIRS_WON})
CONFLICTING = frozenset({Action.OURS_WON, Action.THEIRS_WON, Action.ASK})


def merge_field(
    base: Pair | None,
    local: Canonical,
    remote: Canonical,
    *,
    same: Same,
    policy: Policy = Policy.NEWEST,
    first_import: bool = False,
    local_newer: bool | None = None,
) -> Action:
    """What to do about one field.

    `base` is None before the first agreement; `first_import` then says that the record has just been made from
    theirs. `local_newer` answers "which edit is younger" where that is known honestly, else None, and
    `newest` then asks.
    """
    if base is None:
        return _without_base(local, remote, same=same, first_import=first_import)
    local_changed = local != base.local and not same(local, base.local)
    remote_changed = remote != base.remote and not same(remote, base.remote)
    if not local_changed and not remote_changed:
        return Action.NOTHING
    if not remote_changed:
        # A change back to what they hold already needs no call.
        return Action.AGREE if same(local, remote) and local == remote else Action.PUSH
    if same(local, remote):
        return Action.AGREE
    if not local_changed:
        return Action.APPLY
    return _both_changed(local, remote, policy, local_newer)


def _without_base(local: Canonical, remote: Canonical, *, same: Same, first_import: bool) -> Action:
    if same(local, remote):
        return Action.AGREE
    if first_import or local is None:
        return Action.APPLY
    return Action.PUSH if remote is None else Action.ASK


def _both_changed(local: Canonical, remote: Canonical, policy: Policy, local_newer: bool | None) -> Action:
    if policy == Policy.OURS:
        return Action.OURS_WON
    if policy == Policy.THEIRS:
        return Action.THEIRS_WON
    if policy == Policy.ASK or local_newer is None:
        return Action.ASK
    if (local is None and local_newer) or (remote is None and not local_newer):
        return Action.ASK  # blank never wins by itself
    return Action.OURS_WON if local_newer else Action.THEIRS_WON


def merge_reference(
    *,
    local_moved: bool,
    relabelled: bool,
    remote_target: object | None,
    local_target: object | None,
    remote_changed: bool,
    policy: Policy = Policy.NEWEST,
    local_newer: bool | None = None,
) -> Action:
    """What to do about a field that names another record. A rename of the same target is not a move.

    `remote_target` is what the changed remote value means here (None: no record); targets are compared with ==.
    """
    if not remote_changed:
        return Action.PUSH if local_moved or relabelled else Action.NOTHING
    if remote_target == local_target:
        return Action.PUSH if relabelled and not local_moved else Action.AGREE
    if not local_moved:
        return Action.APPLY
    return _both_changed(local_target, remote_target, policy, local_newer)
