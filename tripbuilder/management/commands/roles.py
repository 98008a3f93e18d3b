"""How the roles' groups stand against the table in tripbuilder/roles.py, and putting one back."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from tripbuilder import roles


class Command(BaseCommand):
    help = "Says of each role what an administrator has changed in its group; --reset puts one back."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--reset", metavar="ROLE", choices=sorted(roles.BY_CODE), help="put this role's group back")
        parser.add_argument("-n", "--dry-run", action="store_true", help="with --reset: say what would change, only")

    def handle(self, *_args: Any, **options: Any) -> None:
        if options["dry_run"] and not options["reset"]:
            raise CommandError("--dry-run goes with --reset: without it nothing is changed anyway.")
        if options["reset"]:
            self._reset(roles.BY_CODE[options["reset"]], dry=options["dry_run"])
            return
        found = [roles.standing(role) for role in roles.ROLES]
        for one in found:
            self.stdout.write(f"{one.role.name} ({one.role.code}): {one.words}.")
        changed = sum(one.words != "as in the table" for one in found)
        self.stdout.write(f"{len(found)} roles, {changed} not as in the table.")

    def _reset(self, role: roles.Role, *, dry: bool) -> None:
        before = roles.reset(role, dry=dry)
        head = "Would change" if dry else "Changed"
        if before.group is None:
            self.stdout.write(f"{role.name}: {'would be made' if dry else 'made'} from the table.")
        elif not (before.given or before.taken):
            self.stdout.write(f"{role.name}: nothing to change, it is as in the table.")
        else:
            for name in before.given:
                self.stdout.write(f"{head}: {name} is taken away.")
            for name in before.taken:
                self.stdout.write(f"{head}: {name} is given.")
