"""`manage.py ghl_mapping`: the mapping table as a page for people; docs/mapping.md is its output."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from ghl_sync.conf import config
from ghl_sync.engine.rules import Rules, load, sensitive_bound
from ghl_sync.mapping import kinds
from ghl_sync.mapping.converters import Choice
from ghl_sync.mapping.fields import FieldMap, ObjectMap, Policy, Way
from ghl_sync.mapping.table import MAPS
from ghl_sync.status import account_row

PAGE = settings.BASE_DIR / "docs" / "mapping.md"
COMMAND = "manage.py ghl_mapping"

TITLES = {
    "trip": "Trip: an opportunity in the pipeline for trips",
    "passenger": "Passenger: an opportunity in the pipeline for passengers",
    "contact": "Contact: a contact",
}
WAYS = {
    Way.BOTH: "both ways",
    Way.UP: "to GoHighLevel",
    Way.DOWN: "from GoHighLevel",
    Way.CREATE: "to GoHighLevel when the record is made there, from it after that",
}
RULED_WAYS = {
    "both": WAYS[Way.BOTH],
    "push": WAYS[Way.UP],
    "pull": WAYS[Way.DOWN],
    "off": "not at all",
}
WINNERS = {
    Policy.NEWEST: "the newer edit",
    Policy.OURS: "TripBuilder",
    Policy.THEIRS: "GoHighLevel",
    Policy.ASK: "a person decides",
}
INTRODUCTION = f"""\
# What goes where

Every field that TripBuilder and GoHighLevel share. This page is made from `ghl_sync/mapping/table.py`, the table that
the sync itself reads: change the table, then run `{COMMAND} > docs/mapping.md`.

*Field there* is the key of a custom field; a name without a dot is one of GoHighLevel's own fields. Fields that
`manage.py ghl_setup --apply` creates are marked "made by TripBuilder".

*Who wins* says what happens when both sides changed a field since they last agreed. "The newer edit" is decided by the
times of change while the edit here is younger than two minutes, and by a person after that; what lost is kept and can
be put back. A field that goes one way only follows its source.

An administrator may change the direction and who wins on the page "Field rules"; `{COMMAND} --rules` prints what is in
force.

Options are compared without regard to dashes, spaces and case, and written as GoHighLevel spells them. A stage is known
by its id once it was met: another name over there is no other stage. A field that is made anew, or mapped to another
one, blanks nothing: equal values agree, an empty one is filled, two different ones are a person's to decide.

A passenger that came in by its trip's name alone keeps the empty trip number and key that it has there; they go along
with the next value that is sent. Sent by themselves, a first pull would write every card once, moving its time of
change and starting its workflows, for values that nobody needs to find the trip.

*Sensitive* names the group that a field belongs to. The groups `passport` and `health` are only read until an
administrator confirms once that they may be written too (`GHL_MIRROR_SENSITIVE`). A link to a `document` is only read.
"""


def direction(kind: str, row: FieldMap, rules: Rules | None) -> str:
    """Which way a field goes in words: as the table has it, or as `rules` set it."""
    if rules is None or row.way is Way.CREATE:
        return WAYS[row.way]
    return RULED_WAYS[rules.way(kind, row.name)]


def winner(kind: str, row: FieldMap, rules: Rules | None) -> str:
    """Who wins when both sides changed a field; of one that goes one way only, its source."""
    way = row.direction if rules is None else rules.way(kind, row.name)
    if way == "both":
        return WINNERS[row.policy if rules is None else rules.policies[kind][row.name]]
    return {"push": "TripBuilder", "pull": "GoHighLevel"}.get(way, "")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def field_row(kind: str, row: FieldMap, rules: Rules | None) -> tuple[str, ...]:
    there = f"`{row.remote}`" + (" (made by TripBuilder)" if row.provision else "")
    way, wins = direction(kind, row, rules), winner(kind, row, rules)
    return f"`{row.name}`", there, kinds.words(row), way, row.group, wins


def code_rows(mapped: ObjectMap) -> Iterator[tuple[str, ...]]:
    """A line for each code of ours and the word it stands for over there."""
    for row in mapped.fields:
        if isinstance(row.converter, Choice):
            for code, label in row.converter.codes.items():
                yield f"`{row.name}`", f"`{code}`", label


def page(rules: Rules | None = None) -> str:
    """The whole page as Markdown: as the table has it, or as `rules` set it."""
    lines = [INTRODUCTION]
    for kind, mapped in MAPS.items():
        lines += [f"## {TITLES[kind]}", ""]
        head = ("Field here", "Field there", "Kind of value", "Direction", "Sensitive", "Who wins")
        lines += [*table(head, (field_row(kind, row, rules) for row in mapped.fields)), ""]
        codes = list(code_rows(mapped))
        if codes:
            lines += ["Codes here and the words they stand for there:", ""]
            lines += [*table(("Field here", "Code here", "Word there"), codes), ""]
    return "\n".join(lines).rstrip() + "\n"


class Command(BaseCommand):
    help = "Print the mapping between TripBuilder and GoHighLevel as Markdown."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--check", action="store_true", help="only say whether docs/mapping.md is up to date")
        parser.add_argument("--rules", action="store_true", help="as the field rules of this installation set it")

    def handle(self, *args: Any, check: bool, rules: bool, **options: Any) -> None:
        if rules:
            self.stdout.write(page(load(sensitive_bound(config(), account_row()))), ending="")
            return
        text = page()
        if not check:
            self.stdout.write(text, ending="")
            return
        if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text:
            raise CommandError(f"docs/mapping.md is stale: run `{COMMAND} > docs/mapping.md` and commit it.")
        self.stdout.write("docs/mapping.md is up to date.")
