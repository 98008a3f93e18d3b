"""Bring GoHighLevel's trips, passengers and contacts here."""

from __future__ import annotations

import datetime as dt
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime

from ghl_sync.engine.pull import pull
from ghl_sync.engine.results import KindCounts, PullReport
from ghl_sync.engine.session import Session, unlogged_queries
from ghl_sync.management.output import COULD_NOT_RUN, RECORD_FAILED, Bars, ReportingCommand, said

KINDS = ("contacts", "trips", "passengers", "definitions")


class Command(ReportingCommand):
    help = (
        "Fetch from GoHighLevel: what changed since the last time, or everything with --full. Safe to run at any "
        "time and to break off; a broken run goes on where it stopped."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        which = parser.add_mutually_exclusive_group()
        which.add_argument("--full", action="store_true", help="fetch every record, not only what changed")
        which.add_argument(
            "--since", metavar="ISO", help="fetch what changed since this day or time, such as 2027-03-01"
        )
        parser.add_argument("--only", nargs="+", choices=KINDS, default=[], help="fetch only these")
        parser.add_argument("--dry-run", action="store_true", help="say what would change here, and change nothing")
        parser.add_argument("--json", action="store_true", help="print the report as one JSON object on stdout")
        parser.add_argument("--no-progress", action="store_true", help="no progress bar")

    def handle(self, *args: Any, **options: Any) -> None:
        self.as_json = options["json"]
        since = _moment(options["since"]) if options["since"] else None
        shape = PullReport(mode="full" if options["full"] else "incremental", dry_run=options["dry_run"]).as_json()
        with self.reporting(shape):
            session = Session(read_only=options["dry_run"])
            if session.stranger:
                self.say(f"{session.stranger} This is only what a pull would do.")
            session.check_running(at_once=True)
            session.check_fetching()
            with session.stop_on_trouble(), unlogged_queries(), Bars(hidden=options["no_progress"]) as bars:
                report = pull(
                    session,
                    full=options["full"],
                    since=since,
                    only=options["only"],
                    dry_run=options["dry_run"],
                    progress=bars.show,
                )
        self._tell(report, session.missing_fields())
        self.report(report.as_json())
        if not report.ok or session.stranger:
            raise SystemExit(RECORD_FAILED)

    def _tell(self, report: PullReport, missing: list[str]) -> None:
        verb = "would have" if report.dry_run else "have"
        article = "An" if report.mode == "incremental" else "A"
        self.say(f"{article} {report.mode} pull of {report.seconds:.1f} s and {said(report.calls, 'call')}.")
        for name in ("contacts", "trips", "passengers"):
            counts: KindCounts = getattr(report, name)
            self.say(
                f"{name.capitalize():<11} {counts.seen:>6} seen: {verb} created {counts.created}, updated "
                f"{counts.updated}; {counts.unchanged} unchanged, {said(counts.issues, 'issue')}, "
                f"{counts.failed} failed, {counts.gone} gone."
            )
        if report.error:
            self.say(f"Not everything could be read: {report.error}")
        if missing:
            self.say(
                f"GoHighLevel has no field {', '.join(missing)}: nothing was read of "
                f"{'it' if len(missing) == 1 else 'them'}. `manage.py ghl_setup` says what to do."
            )
        if report.passengers.unlinked:
            unlinked = said(report.passengers.unlinked, "passenger names", "passengers name")
            self.say(f"{unlinked} no trip that is known here; see the admin's work list “Not linked to a trip”.")


def _moment(text: str) -> dt.datetime:
    """A day or time as a person writes it, in the office's time zone unless it names its own."""
    try:
        found = parse_datetime(text)
        day = parse_date(text) if found is None else None
    except ValueError:
        found = day = None
    if found is None and day is not None:
        found = dt.datetime.combine(day, dt.time())
    if found is None:
        raise CommandError(
            f"--since {text} is not a day or time; write it as 2027-03-01 or 2027-03-01T14:30.",
            returncode=COULD_NOT_RUN,
        )
    return found if found.tzinfo else timezone.make_aware(found)
