"""Take away what is kept long enough, as the settings say; with --dry-run only say what it would be."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from trips.services import retention


class Command(BaseCommand):
    help = "Take away health, passports, papers and the like so many days after a trip (RETENTION_… in .env)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("-n", "--dry-run", action="store_true", help="count what is due and change nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["dry_run"]:
            for due in retention.look():
                rule = "kept" if due.days is None else f"{due.count} due after {due.days} days"
                self.stdout.write(f"{due.label}: {rule} ({due.setting})")
            self.stdout.write("Nothing was changed.")
            return
        counts, _left = retention.run()
        for label, count in counts.items():
            self.stdout.write(f"{label}: {count} taken away")
        self.stdout.write(f"{sum(counts.values())} in all.")
