"""Which way each field goes and who wins when both sides changed it: the mapping table, with what administrators set.

Only what differs from the table is stored (`FieldRule`). A rule narrows: the switch on passports and health records
stays the outer bound, and what GoHighLevel cannot do without is not offered. A session reads the rules once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction

from ghl_sync.conf import Config
from ghl_sync.engine import state
from ghl_sync.mapping.fields import FieldMap, Policy, Way
from ghl_sync.mapping.table import MAPS
from ghl_sync.models import Cause, Direction, FieldRule, Lane, Location

SENSITIVE = frozenset({"passport", "health"})
# GoHighLevel makes no record without these, or tells people apart by them: a new record gets them whatever the rule.
ESSENTIAL: Mapping[str, frozenset[str]] = {
    "trip": frozenset({"name", "stage", "status"}),
    "passenger": frozenset({"stage", "status"}),
    "contact": frozenset({"first_name", "last_name", "email", "phone"}),
}
ALL_WAYS = tuple(str(value) for value in Direction.values)
ALL_POLICIES = tuple(str(policy) for policy in Policy)
PULLING, PUSHING = frozenset({"both", "pull"}), frozenset({"both", "push"})


@dataclass(frozen=True, slots=True)
class Offer:
    """What may be set for one field, and a sentence where that is less than everything."""

    directions: tuple[str, ...]
    policies: tuple[str, ...]
    why: str = ""


def offer(kind: str, row: FieldMap) -> Offer:
    """What an administrator may choose for this row of the mapping."""
    if row.way is Way.UP:
        return Offer(("push",), (), "TripBuilder works it out and only writes it.")
    if row.way is Way.CREATE:
        return Offer(("pull",), (), "Written when the record is made in GoHighLevel, only read after that.")
    if row.way is Way.DOWN:
        return Offer(("pull", "off"), (), "Only read from GoHighLevel.")
    if row.reference:
        first = next(item for item in MAPS[kind].fields if item.reference and item.way is Way.BOTH)
        if row is not first:
            return Offer(("both",), (), "Says which trip it is together with the trip's name, and follows its rule.")
        return Offer(("both",), ALL_POLICIES, "Names another record, so it always goes both ways.")
    if row.name in ESSENTIAL[kind]:
        return Offer(("both", "pull", "push"), ALL_POLICIES, "GoHighLevel needs it, so it cannot be switched off.")
    return Offer(ALL_WAYS, ALL_POLICIES)


def narrowed(wanted: str, bound: str) -> str:
    """The ways that both allow: "both" within "pull" is "pull", "push" within "pull" is "off"."""
    pulls, pushes = {wanted, bound} <= PULLING, {wanted, bound} <= PUSHING
    if pulls and pushes:
        return "both"
    return "pull" if pulls else "push" if pushes else "off"


@dataclass(frozen=True)
class Rules:
    """Every field's way and policy, by kind and name; `ways` is within the bound on sensitive fields."""

    ways: Mapping[str, Mapping[str, str]]
    policies: Mapping[str, Mapping[str, Policy]]

    def way(self, kind: str, name: str) -> str:
        """`both`, `pull`, `push` or `off`."""
        return self.ways[kind][name]

    def comes_in(self, kind: str, row: FieldMap) -> bool:
        """Whether a new record over there brings this field along."""
        return self.way(kind, row.name) in PULLING or row.name in ESSENTIAL[kind]

    def goes_out(self, kind: str, row: FieldMap) -> bool:
        """Whether a record made over there is made with this field."""
        return row.way is Way.CREATE or self.way(kind, row.name) in PUSHING or row.name in ESSENTIAL[kind]

    def is_read(self, kind: str, row: FieldMap) -> bool:
        """Whether it matters what GoHighLevel holds of this field."""
        return row.way is Way.UP or self.way(kind, row.name) in PULLING


def sensitive_bound(config: Config, location: Location | None) -> str:
    """The way passports and health records may go at most: the setting, or an administrator's yes where it asks."""
    if config.mirror_sensitive != "ask":
        return config.mirror_sensitive
    return "both" if location is not None and location.sensitive_confirmed_at else "pull"


def load(sensitive: str) -> Rules:
    """The rules of this moment, in one query; `sensitive` bounds passports and health records."""
    return _rules(sensitive, {(rule.kind, rule.field): rule for rule in FieldRule.objects.all()})


def _rules(sensitive: str, stored: Mapping[tuple[str, str], FieldRule]) -> Rules:
    ways: dict[str, dict[str, str]] = {}
    policies: dict[str, dict[str, Policy]] = {}
    for kind, table in MAPS.items():
        ways[kind], policies[kind] = {}, {}
        for row in table.fields:
            offered, rule = offer(kind, row), stored.get((kind, row.name))
            # What a rule says and the table does not offer any more is as if it was never set.
            way = rule.direction if rule is not None and rule.direction in offered.directions else row.direction
            policy = rule.policy if rule is not None and rule.policy in offered.policies else row.policy
            ways[kind][row.name] = narrowed(way, sensitive) if row.group in SENSITIVE else way
            policies[kind][row.name] = Policy(policy)
    return Rules(ways, policies)


# Changing them


@dataclass(frozen=True, slots=True)
class Wish:
    """What an administrator wants for one field; `policy` is empty where none can be chosen."""

    kind: str
    field: str
    policy: str
    direction: str


@dataclass
class Changed:
    """What a change set in motion: kinds to be pulled afresh, how many records are compared again."""

    fields: int = 0
    pulls: set[str] = field(default_factory=set)
    records: int = 0


def change(wishes: Iterable[Wish], user: Any, sensitive: str) -> Changed:
    """Store these rules and have what they concern compared again. Raises ValueError for what is not offered.

    Base is left as it is: what both sides held when they last agreed stays true while a field is closed. So once it
    opens, the ordinary merge sees who changed it since, and nothing is overwritten that nobody was asked about.
    """
    changed = Changed()
    with transaction.atomic():
        before = load(sensitive)
        touched = [wish for wish in wishes if _store(wish, user)]
        after = load(sensitive)
        changed.fields = len(touched)
        pushed: set[str] = set()
        disputed: dict[str, set[str]] = defaultdict(set)
        for wish in touched:
            old, new = before.way(wish.kind, wish.field), after.way(wish.kind, wish.field)
            if new == "off":
                state.drop_questions(wish.kind, wish.field)
                continue
            disputed[wish.kind].add(wish.field)
            if new in PULLING and old not in PULLING:
                changed.pulls.add(wish.kind)
            if new in PUSHING and old not in PUSHING:
                pushed.add(wish.kind)
        for kind, names in disputed.items():
            changed.records += state.ask_again(kind, names)
        for kind in sorted(pushed):
            changed.records += state.record_changes(kind, state.linked_ids(kind), cause=Cause.RULE, lane=Lane.BULK)
        for kind in sorted(changed.pulls):
            state.forget_digests_of(kind)
    return changed


def _store(wish: Wish, user: Any) -> bool:
    """Store what differs from the table; True when that changed anything."""
    row = MAPS[wish.kind].by_name[wish.field]
    offered = offer(wish.kind, row)
    if wish.direction not in offered.directions or (wish.policy and wish.policy not in offered.policies):
        raise ValueError(f"{wish.kind} {wish.field} cannot be {wish.direction} with {wish.policy or 'no policy'}")
    return state.save_rule(
        wish.kind,
        wish.field,
        policy="" if wish.policy == row.policy else wish.policy,
        direction="" if wish.direction == row.direction else wish.direction,
        user=user,
    )
