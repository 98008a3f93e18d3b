"""One object, three snapshots, one plan: what to write here, what to send, what to ask.

Decides and does nothing. Push and pull carry out the same plan; a dry run leaves it at that.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from ghl_sync.engine.base import Base
from ghl_sync.engine.merge import APPLYING, CONFLICTING, PUSHING, Action, merge_field, merge_reference
from ghl_sync.mapping.fields import FieldMap, ObjectMap, Policy, Values, Way
from ghl_sync.mapping.translate import Reading, Readings

# What `Situation.resolve` answers for a reference to nothing we know: left as it is, and shown.
UNKNOWN = object()

# Fields that only a matching cause makes a reason to write, although they are merely written along otherwise.
CAUSED = {"enrolled_count": "count", "trip_name": "option"}


@dataclass(frozen=True, slots=True)
class IssueNote:
    field: str
    code: str
    message: str
    raw: Any = None


@dataclass(frozen=True, slots=True)
class ConflictNote:
    field: str
    action: Action
    ours: Any
    theirs: Any
    policy: str
    chosen: bool = False  # by a person, not by the policy


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a person decided about a field: for these two values, which that person was shown, and for no others."""

    action: Action
    ours: Any
    theirs: Any


@dataclass
class Plan:
    """`move` is the row a reference shall point to, where `moves`; pairs are agreements with nothing to send.

    `theirs` is what GoHighLevel holds of fields that are only written, and of others that it spells its own way;
    `overruled` what it holds of fields where ours won: seen, so that a push that has to be tried again asks nobody a
    second time. `reference_open` says that both sides do not agree yet which row the reference means: until they do,
    the one agreed on before is remembered.
    """

    apply: Values = field(default_factory=dict)
    push: Values = field(default_factory=dict)
    ride: Values = field(default_factory=dict)
    pairs: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    theirs: dict[str, Any] = field(default_factory=dict)
    overruled: dict[str, Any] = field(default_factory=dict)
    documents: dict[str, Any] = field(default_factory=dict)
    issues: list[IssueNote] = field(default_factory=list)
    conflicts: list[ConflictNote] = field(default_factory=list)
    settled: set[str] = field(default_factory=set)
    move: Any = None
    moves: bool = False
    reference_open: bool = False

    @property
    def writes_locally(self) -> bool:
        return bool(self.apply or self.documents or self.moves)


@dataclass(frozen=True)
class Situation:
    """What a decision needs beside the three snapshots.

    `resolve` gives, for the reference whose remote parts changed, the row they mean here (None: none), and `label`
    what that row is called. `directions` maps a field to both/pull/push/off where that is not the table's own,
    `chosen` holds a person's decisions by field, `late` values of ours that may still be applied over there.
    """

    causes: Collection[str] = ()
    directions: Mapping[str, str] = field(default_factory=dict)
    policies: Mapping[str, str] = field(default_factory=dict)
    chosen: Mapping[str, Chosen] = field(default_factory=dict)
    parked: Collection[str] = ()
    late: Mapping[str, list[Any]] = field(default_factory=dict)
    local_newer: bool | None = None
    local_target: Any = None
    base_target: Any = None
    resolve: Callable[[Readings, Collection[str]], Any] | None = None
    label: Callable[[Any], Any] | None = None

    def policy(self, row: FieldMap) -> Policy:
        return Policy(self.policies.get(row.name, row.policy))


def decide(
    table: ObjectMap, base: Base, local: Mapping[str, Any], readings: Readings | None, situation: Situation
) -> Plan:
    """The plan for one object. `readings` None means: GoHighLevel holds what base says, read moments ago."""
    plan = Plan()
    for row in table.fields:
        direction = situation.directions.get(row.name, row.direction)
        if row.reference or row.name == "title" or direction == "off":
            continue
        if row.way is Way.UP:
            _ride(plan, base, row, local, readings, situation)
        elif row.part == "documents":
            _documents(plan, base, row, readings)
        else:
            _field(plan, base, row, local, readings, situation, direction)
    _reference(table, plan, base, local, readings, situation)
    return plan


def _ride(
    plan: Plan,
    base: Base,
    row: FieldMap,
    local: Mapping[str, Any],
    readings: Readings | None,
    situation: Situation,
) -> None:
    """A field that is only written goes along with others, and by itself only where leaving it would mislead."""
    name, ours, theirs = row.name, local.get(row.name), base.remote.get(row.name)
    reading = (readings or {}).get(name)
    if reading is not None and not reading.unreadable:
        theirs = reading.value
        if not base.remote_is(name, theirs):
            plan.theirs[name] = theirs
    if name in situation.parked or _equal(row, ours, theirs):
        return
    caused = name in CAUSED and CAUSED[name] in situation.causes
    # A key that names another trip than ours would win over name and number when the record is read afresh, and one
    # that names another record makes two of them look like one.
    misleads = name in {"key", "trip_key"} and theirs is not None
    late = reading is not None and _is_late(base, name, theirs, situation)
    (plan.push if caused or misleads or late else plan.ride)[name] = ours


def _is_late(base: Base, name: str, theirs: Any, situation: Situation) -> bool:
    """Whether what they hold is an older value of ours that arrived behind our back."""
    return any(base.opens(name, value, theirs) for value in situation.late.get(name, ()))


def _documents(plan: Plan, base: Base, row: FieldMap, readings: Readings | None) -> None:
    reading = (readings or {}).get(row.name)
    if reading is None:
        return
    if reading.unreadable:
        plan.issues.append(unreadable(row, reading))
    elif not base.known or not base.remote_is(row.name, reading.value):
        if base.known or reading.value is not None:
            plan.documents[row.name] = reading.value
        plan.pairs[row.name] = (None, reading.value)


def unreadable(row: FieldMap, reading: Reading) -> IssueNote:
    """The issue for a value that cannot be read; it never repeats a sensitive one."""
    shown = "" if row.group else f" ({str(reading.raw)[:80]!r})"
    where = row.remote.rpartition(".")[2]
    return IssueNote(row.name, "unreadable", f"GoHighLevel's {where}{shown} {reading.unreadable}.", reading.raw)


def _field(
    plan: Plan,
    base: Base,
    row: FieldMap,
    local: Mapping[str, Any],
    readings: Readings | None,
    situation: Situation,
    direction: str,
) -> None:
    name, ours = row.name, local.get(row.name)
    may_push = row.way is Way.BOTH and direction in {"both", "push"} and name not in situation.parked
    may_apply = direction in {"both", "pull"}
    reading = None if readings is None else readings.get(name)
    if reading is None:
        pair = base.pair(name, ours, None)
        if may_push and (pair is None or not _equal(row, ours, pair.local)) and (pair or ours is not None):
            plan.push[name] = ours
        return
    if reading.unreadable:
        plan.issues.append(unreadable(row, reading))
        return
    theirs = reading.value
    plan.settled.add(name)
    if _is_late(base, name, theirs, situation) and not _equal(row, ours, theirs):
        if may_push:
            plan.push[name] = ours
        return
    action = merge_field(
        base.pair(name, ours, theirs),
        ours,
        theirs,
        same=row.converter.same,
        policy=situation.policy(row),
        local_newer=situation.local_newer,
    )
    if action in CONFLICTING and may_push and may_apply:
        action = _decided(plan, situation, row, action, ours, theirs)
    elif action in CONFLICTING:
        # One way only: what the open way brings wins, and what it replaces is kept on record.
        action = Action.THEIRS_WON if may_apply else Action.OURS_WON
        plan.conflicts.append(ConflictNote(name, action, ours, theirs, "one way"))
    if action == Action.NOTHING and not base.remote_is(name, theirs):
        plan.theirs[name] = theirs  # the same in another spelling
    _carry(plan, row, action, ours, theirs, may_push=may_push, may_apply=may_apply)


def _decided(plan: Plan, situation: Situation, row: FieldMap, action: Action, ours: Any, theirs: Any) -> Action:
    """Note that both sides changed a field; a person's choice for just these two values goes before the policy."""
    choice = situation.chosen.get(row.name)
    chosen = choice is not None and _equal(row, ours, choice.ours) and _equal(row, theirs, choice.theirs)
    if choice is not None and chosen:
        action = choice.action
    plan.conflicts.append(ConflictNote(row.name, action, ours, theirs, str(situation.policy(row)), chosen))
    return action


def _carry(
    plan: Plan, row: FieldMap, action: Action, ours: Any, theirs: Any, *, may_push: bool, may_apply: bool
) -> None:
    name = row.name
    if action == Action.AGREE:
        plan.pairs[name] = (ours, theirs)
    elif action in APPLYING and may_apply:
        plan.apply[name] = theirs
        plan.pairs[name] = (theirs, theirs)
    elif action in PUSHING and may_push:
        plan.push[name] = ours
        if action == Action.OURS_WON:
            plan.overruled[name] = theirs


def _equal(row: FieldMap, left: Any, right: Any) -> bool:
    return left == right or row.converter.same(left, right)


def _reference(
    table: ObjectMap,
    plan: Plan,
    base: Base,
    local: Mapping[str, Any],
    readings: Readings | None,
    situation: Situation,
) -> None:
    """A trip's vendor or a passenger's trip: fields that name another record of ours."""
    rows = [row for row in table.fields if row.reference and row.way is Way.BOTH]
    if not rows:
        return
    read = {row.name: readings[row.name] for row in rows if readings and row.name in readings}
    for row in rows:
        if row.name in read and read[row.name].unreadable:
            plan.issues.append(unreadable(row, read.pop(row.name)))
    changed = {
        row.name
        for row in rows
        if row.name in read
        and not base.remote_is(row.name, read[row.name].value)
        and not row.converter.same(read[row.name].value, base.remote.get(row.name))
    }
    respelt = {name for name in set(read) - changed if not base.remote_is(name, read[name].value)}
    plan.theirs.update({name: read[name].value for name in respelt})
    late = {
        row.name
        for row in rows
        if row.name in changed
        and _is_late(base, row.name, read[row.name].value, situation)
        and not _equal(row, local.get(row.name), read[row.name].value)
    }
    changed -= late
    relabelled = late | {row.name for row in rows if not _equal(row, local.get(row.name), base.local.get(row.name))}
    moved = base.known and situation.local_target != situation.base_target
    target = situation.resolve(read, changed) if changed and situation.resolve else situation.local_target
    if target is UNKNOWN:
        for name in changed:
            plan.issues.append(
                IssueNote(name, "unreadable", "GoHighLevel names a trip that does not exist here.", read[name].value)
            )
        plan.settled.update(set(read) - changed)
        plan.reference_open = moved or not base.known
        return
    action = merge_reference(
        local_moved=moved or not base.known,
        relabelled=bool(relabelled),
        remote_target=target,
        local_target=situation.local_target,
        remote_changed=bool(changed),
        policy=situation.policy(rows[0]) if base.known else Policy.ASK,
        local_newer=situation.local_newer,
    )
    first = rows[0]
    plan.settled.update(read)
    if action in CONFLICTING:
        theirs = read[first.name].value if first.name in read else None
        theirs = situation.label(target) if situation.label is not None else theirs
        action = _decided(plan, situation, first, action, local.get(first.name), theirs)
    if action == Action.OURS_WON:
        plan.overruled |= {name: read[name].value for name in changed}
    if action in APPLYING:
        plan.move, plan.moves = target, True
        for name in changed:
            plan.pairs[name] = (read[name].value, read[name].value)
    elif action == Action.AGREE:
        for name in changed:
            plan.pairs[name] = (local.get(name), read[name].value)
        for name in relabelled - changed:
            if name not in situation.parked:
                plan.push[name] = local.get(name)
    elif action in PUSHING:
        for row in rows:
            if not (row.name in relabelled or row.name in changed or moved):
                continue
            if row.name in read and _equal(row, local.get(row.name), read[row.name].value):
                plan.pairs[row.name] = (local.get(row.name), read[row.name].value)
            elif row.name not in situation.parked:
                plan.push[row.name] = local.get(row.name)
    sends = any(row.name in plan.push for row in rows)
    plan.reference_open = (moved or not base.known) and (action in CONFLICTING or sends)
