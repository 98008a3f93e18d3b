"""`manage.py ghl_selftest`: a trip and a traveller through the whole sync, and away again."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandError

from ghl_sync.engine.session import Session
from ghl_sync.management.output import COULD_NOT_RUN, RECORD_FAILED, ReportingCommand
from ghl_sync.selftest import SelfTest, Step

EMPTY: dict[str, Any] = {"ok": False, "steps": [], "left": []}


class Command(ReportingCommand):
    help = (
        "Create an invented trip and traveller here, follow them to GoHighLevel and back, and delete them on both "
        "sides. On a live account it asks first and writes no list of options. Exit code 0: all well, 1: a step "
        "failed, 2: could not run."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--yes", action="store_true", help="do not ask before using a live account")
        parser.add_argument("--json", action="store_true", help="print the report as one JSON object on stdout")

    def handle(self, *args: Any, **options: Any) -> None:
        self.as_json = options["json"]
        with self.reporting(EMPTY):
            session = Session(lane="staff")
            if not session.config.loopback and not options["yes"]:
                self.ask(session)
            test = SelfTest(session, tell=self.tell)
            test.open()
            test.run()
        for words in test.left:
            self.line(f"left     {words}")
        self.line("All well." if test.ok else "The self-test failed.")
        self.report({"ok": test.ok, "steps": [asdict(step) for step in test.steps], "left": test.left})
        if not test.ok:
            raise SystemExit(RECORD_FAILED)

    def ask(self, session: Session) -> None:
        """Raises CommandError unless a person says yes."""
        words = (
            f"This makes a trip, a traveller and a contact in the account {session.config.location_id} at "
            f"{session.config.base_url} and deletes them again; workflows there may act on them."
        )
        if not sys.stdin.isatty():
            raise CommandError(f"{words} Run it with --yes to agree.", returncode=COULD_NOT_RUN)
        self.line(words)
        if input("Go on? Type yes: ").strip().lower() != "yes":
            raise CommandError("Nothing was done.", returncode=COULD_NOT_RUN)

    def line(self, words: str) -> None:
        """A line of the report: on stdout, unless that is for the JSON."""
        (self.stderr if self.as_json else self.stdout).write(words)

    def tell(self, step: Step) -> None:
        self.line(f"{'ok' if step.ok else 'FAILED':<8} {step.name.capitalize()}: {step.text}")
