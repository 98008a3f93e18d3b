"""Send what changed here to GoHighLevel, in this process."""

from __future__ import annotations

from argparse import ArgumentParser
from collections import Counter
from typing import Any

from django.db.models import Count
from tqdm import tqdm

from ghl_sync import budget
from ghl_sync.engine import due, outbox
from ghl_sync.engine.results import PushReport
from ghl_sync.engine.session import Session
from ghl_sync.management.output import RECORD_FAILED, ReportingCommand, said
from ghl_sync.models import Link

KINDS = ("trips", "passengers", "contacts")


class Command(ReportingCommand):
    help = (
        "Send to GoHighLevel what is due, in this process and without the queue. --all compares every record, at one "
        "call each. What waits for a lost answer to settle is counted as waiting and goes by itself later."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        which = parser.add_mutually_exclusive_group()
        which.add_argument("--due", action="store_true", help="only what is due (the default)")
        which.add_argument("--all", action="store_true", help="look at every record, parked ones too")
        parser.add_argument("--only", nargs="+", choices=KINDS, default=[], help="send only these")
        parser.add_argument("-n", "--dry-run", action="store_true", help="say what would be sent, and send nothing")
        parser.add_argument("--json", action="store_true", help="print the report as one JSON object on stdout")

    def handle(self, *args: Any, **options: Any) -> None:
        self.as_json = options["json"]
        kinds = [kind for kind in due.KIND_ORDER if not options["only"] or f"{kind}s" in options["only"]]
        with self.reporting(PushReport().as_json()):
            session = Session(read_only=options["dry_run"])
            if not options["dry_run"]:
                self._check(session)
            self._foretell(kinds, everything=options["all"])
            if options["dry_run"]:
                report = due.preview(session, kinds=kinds, everything=options["all"])
            else:
                report = self._send(session, kinds, everything=options["all"])
        self._tell(report, dry_run=options["dry_run"])
        self.report(report.as_json())
        if not report.ok:
            raise SystemExit(RECORD_FAILED)

    def _foretell(self, kinds: list[Any], *, everything: bool) -> None:
        """Say what this takes of GoHighLevel's limits, and whom it may write to."""
        records = due.due_records(kinds)
        counts = Counter(record.kind for record in records)
        moved = budget.stage_changes([record.link_id for record in records])
        if everything:  # all of them are looked at, and those that are due are written
            every = Link.objects.filter(kind__in=kinds, deleted_at__isnull=True, ignored_at__isnull=True)
            by_kind = every.order_by().values_list("kind").annotate(n=Count("pk"))
            cost = budget.forecast(dict(by_kind), writes=len(records))
        else:
            cost = budget.forecast(counts)
        for words in filter(None, (cost.text, budget.stages_text(moved))):
            self.say(words)

    def _check(self, session: Session) -> None:
        """Raises CannotRun when nothing may be sent: then what it would cost is of no interest."""
        session.check_bound()
        session.check_running(at_once=True)
        session.check_sending()

    def _send(self, session: Session, kinds: list[Any], *, everything: bool) -> PushReport:
        if everything:
            outbox.mark_all(kinds)
        with session.stop_on_trouble(), tqdm(desc="records", unit="", disable=None) as bar:
            return due.run_due(session, kinds=kinds, progress=bar.update)

    def _tell(self, report: PushReport, *, dry_run: bool) -> None:
        verb = "Would have" if dry_run else "Have"
        self.say(
            f"{verb} created {report.created}, updated {report.updated}, deleted {report.deleted}; "
            f"{report.unchanged} unchanged, {report.waiting} waiting, {report.failed} failed "
            f"({said(report.calls, 'call')}, {report.seconds:.1f} s)."
        )
        if report.failed:
            self.say("What failed needs a person; the admin's list “Synced records” says why.")
