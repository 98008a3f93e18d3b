"""Compare everything with GoHighLevel and say what differs although nothing is waiting."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from ghl_sync.engine import audit, repairs
from ghl_sync.engine.session import Session, unlogged_queries
from ghl_sync.management.output import RECORD_FAILED, Bars, ReportingCommand, said
from ghl_sync.models import Drift

# So many finds are printed; the admin lists them all.
MOST_LINES = 50
WIDTH = 28


class Command(ReportingCommand):
    help = (
        "Compare every record with GoHighLevel, also what no save reported (update(), bulk writes, SQL), and list what "
        "differs. Changes nothing on either side unless --repair is given: then the engine is told of each find and "
        "sends or fetches as always; nothing is deleted. Exit code 1 when something differs."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--repair", action="store_true", help="have what was found sent, fetched or imported")
        parser.add_argument("--json", action="store_true", help="print the report as one JSON object on stdout")
        parser.add_argument("--no-progress", action="store_true", help="no progress bar")

    def handle(self, *args: Any, **options: Any) -> None:
        self.as_json = options["json"]
        with self.reporting(audit.AuditReport().as_json()):
            session = Session(read_only=not options["repair"])
            if options["repair"]:
                session.check_bound()
            session.check_running(at_once=True)
            with session.stop_on_trouble(), unlogged_queries(), Bars(hidden=options["no_progress"]) as bars:
                report = audit.audit(session, progress=bars.show)
                drifts = Drift.objects.filter(run=report.run).select_related("link").order_by("pk")
                if options["repair"]:
                    report.repaired = repairs.repair(session, drifts)
        self._tell(report, list(drifts[:MOST_LINES]))
        self.report(report.as_json())
        if not report.ok:
            raise SystemExit(RECORD_FAILED)

    def _tell(self, report: audit.AuditReport, drifts: list[Drift]) -> None:
        for name in ("contacts", "trips", "passengers"):
            found: audit.KindFound = getattr(report, name)
            self.say(
                f"{name.capitalize():<11} {found.seen:>6} compared, {found.waiting} on their way, "
                f"{said(found.drifts, 'find')}."
            )
        for drift in drifts:
            self.say(_line(drift))
        if report.drifts > len(drifts):
            self.say(f"… and {report.drifts - len(drifts)} more; the admin's list “Differences” has them all.")
        if report.error:
            self.say(report.error)
        words = said(report.drifts, "difference")
        self.say(f"{words} found in {report.seconds:.1f} s and {said(report.calls, 'call')}.")
        if report.repaired:
            self.say(
                f"{report.repaired} of them were handed to the sync; `manage.py push_ghl` sends what is due at once."
            )
        elif report.drifts:
            self.say("Run it with --repair, or press Repair on the admin's page “Sync desk”.")


def _line(drift: Drift) -> str:
    values = f": {_cut(drift.our_value)} here, {_cut(drift.their_value)} there" if drift.field else ""
    where = f"{drift.kind} {drift.label or drift.object_id or drift.remote_id}"
    hidden = drift.field and not (drift.our_value or drift.their_value)
    return f"  {drift.get_what_display()}: {where}{f', {drift.field}' if drift.field else ''}{'' if hidden else values}"


def _cut(text: str) -> str:
    shown = " ".join(text.split()) or "nothing"
    return shown if len(shown) <= WIDTH else f"{shown[: WIDTH - 1]}…"
