"""`manage.py ghl_setup`: the doctor of the connection to GoHighLevel; with --apply it creates what is ours."""

from __future__ import annotations

from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from ghl_sync import provisioning
from ghl_sync.engine import binding
from ghl_sync.engine.session import Session
from ghl_sync.management.output import RECORD_FAILED, ReportingCommand
from ghl_sync.provisioning import Finding, Level

EMPTY: dict[str, Any] = {"ok": False, "problems": 0, "applied": [], "findings": []}


class Command(ReportingCommand):
    help = (
        "Check the token, its scopes, the pipelines, stages, custom fields, options and settings of the GoHighLevel "
        "account, and say how to mend what is wrong. --apply creates the fields of TripBuilder and adds the names of "
        "trips and vendors to their drop-downs. Exit code 0: all well, 1: problems, 2: could not look."
    )
    # A setting that the checks complain of is what this command explains.
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--apply", action="store_true", help="create what is ours and missing there")
        parser.add_argument(
            "--bind", action="store_true", help="let this database take over an account that another one was used with"
        )
        parser.add_argument("--json", action="store_true", help="print the report as one JSON object on stdout")

    def handle(self, *args: Any, **options: Any) -> None:
        self.as_json = options["json"]
        applied: list[str] = []
        with self.reporting(EMPTY):
            session = Session()
            if options["bind"]:
                session = self.bound(session)
            seen, findings = provisioning.examine(session)
            if options["apply"]:
                if provisioning.can_apply(seen):
                    applied = provisioning.apply(session)
                    _seen, findings = provisioning.examine(session)
                else:
                    self.line("Nothing was created: the token lacks a scope for it, see below.")
        problems = [one for one in findings if one.level is Level.PROBLEM]
        self.show(applied, findings)
        if options["apply"]:
            self.hand_steps(problems)
        self.line(f"{len(problems)} problem{'s' if len(problems) > 1 else ''}." if problems else "All well.")
        self.report(
            {
                "ok": not problems,
                "problems": len(problems),
                "applied": applied,
                "findings": [asdict(one) for one in findings],
            }
        )
        if problems:
            raise SystemExit(RECORD_FAILED)

    def bound(self, session: Session) -> Session:
        """A session of a database that speaks for the account, whichever did before."""
        if session.stranger:
            binding.take_over(session.location)
            self.line("This database speaks for the account now. Everything is read before anything is sent.")
        else:
            self.line("This database speaks for the account already.")
        return Session()

    def line(self, words: str) -> None:
        """A line of the report: on stdout, unless that is for the JSON."""
        (self.stderr if self.as_json else self.stdout).write(words)

    def show(self, applied: list[str], findings: list[Finding]) -> None:
        for words in applied:
            self.line(f"{'done':<8} {words}")
        for one in findings:
            self.line(f"{one.level:<8} {one.about.capitalize()}: {one.text}" + (f" {one.fix}" if one.fix else ""))

    def hand_steps(self, problems: list[Finding]) -> None:
        steps = list(dict.fromkeys(one.fix for one in problems if one.fix))
        if steps:
            self.line("What is left can only be done by hand:")
        for number, step in enumerate(steps, start=1):
            self.line(f"  {number}. {step}")
