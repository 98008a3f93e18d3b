# ruff: noqa: E501 - it holds the lines of a page
"""docs/roles.md: the roles in words, then what each address and action answers them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tripbuilder.roles import ROLES, Role
from trips.permissions import EVERY_TRIP

HEAD = """# Roles

Who may do what, and why. This page is written by a test (`ROLES_WRITE=1 pytest tests/roles`) and compared with what the
pages answer on each run, so it says what is so.

## How it works

- A role is a group. The six below are installed by `manage.py migrate`; give an account one or several on its page, at
  *Users*. Roles add up: who is in two groups may do what either may.
- Whatever you change in such a group stays, also over an upgrade; a group that nobody changed follows the table of the new
  version. `manage.py roles` tells what differs, `manage.py roles --reset finance --dry-run` what a reset would change, and
  without `--dry-run` it does it. The table is `tripbuilder/roles.py`.
- **Own trips only.** The permission *Sees every trip and whoever is on it* decides whether an account sees all trips or
  only those that name it under *Trip leaders* (a trip's page, tab *Progress*). Without it passengers, contacts, payments,
  papers, rooms, notes, lists and everything else is seen only where it belongs to such a trip; a contact is seen by who
  leads a trip that they book, answer for or organise. Passengers without a trip belong to nobody's own trips.
- What speaks of all trips at once takes that permission too, whatever else a group has: the sync's pages, imports,
  duplicates and merges, new trips and contacts, others' bulk work and runs of papers, the read log, accounts and groups.
- What somebody may not see is nowhere: not in lists, choices, searches, counts, exports, reports, histories or messages. A
  guessed address is refused (403), the same for what is hidden and for what is not there, and each refusal is a line of
  the log with the account's number and the address with its numbers.
- Health is not among a trip leader's permissions. Where the one who goes along has to know it, give their own account
  *Can view health record* besides the group: it reaches no further than their trips. (The role *Medical* sees all trips.)
- Superusers may do everything and see every trip. Administrators can neither make nor change one.

## The roles
"""

MATRIX = """
## What each address answers

One trip, and a row of each kind on it, is asked for as each role; *leader* leads the trip, *leader, others'* asks for the
rows of a trip that they do not lead. *nobody* is staff in no group.

- `yes`: it opens, or does what was asked. `on`: it leads on, to what has an answer of its own.
- `no`: refused (403). `sign in`: led to the sign-in.
- `404`: there is nothing of this number here, or the feature is switched off. `405`: asked in the wrong way. `400`, `409`,
  `401`: what was sent makes no sense, or not any more.

"""


def page(columns: Sequence[str], cells: dict[str, dict[str, str]]) -> str:
    parts = [HEAD, *(_role(role) for role in ROLES), MATRIX, *_table(columns, cells)]
    return "".join(parts)


def _role(role: Role) -> str:
    lines = [f"\n### {role.name}\n\n{role.purpose}\n"]
    if role.every:
        lines.append("\nAll permissions of TripBuilder, of the sync, of accounts and of the queue.\n")
        return "".join(lines)
    lines.append("\n| May | What | Why |\n|---|---|---|\n")
    lines += [
        f"| {', '.join(grant.verbs)} | {', '.join(model.partition('.')[2] for model in grant.models)} | {grant.why} |\n"
        for grant in role.grants
    ]
    lines += [f"| {name.partition('.')[2].replace('_', ' ')} | | {why} |\n" for name, why in role.single]
    if EVERY_TRIP not in {name for name, _why in role.single}:
        lines.append("\nOwn trips only.\n")
    return "".join(lines)


def _table(columns: Sequence[str], cells: dict[str, dict[str, str]]) -> Iterator[str]:
    yield f"| | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}\n"
    for row in cells:
        told = " | ".join(cells[row].get(column, "") for column in columns)
        yield f"| {row.replace('|', chr(92) + '|').replace('<', '‹').replace('>', '›')} | {told} |\n"
