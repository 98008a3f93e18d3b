"""How the sync stands: what is due, what waits for a person, when it last ran."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from ghl_sync.status import status


class Command(BaseCommand):
    help = "Say how the sync stands: what is due, what needs a person, the last pull, the calls of today."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        found = status()
        if options["json"]:
            self.stdout.write(json.dumps(found))
            return
        for line in lines(found):
            self.stdout.write(line)


def lines(found: dict[str, Any]) -> list[str]:
    """The same for a person."""
    states = ", ".join(f"{count} {state.replace('_', ' ')}" for state, count in found["links"].items() if count)
    oldest = found["oldest_due_seconds"]
    pull = found["last_pull"]
    return [
        f"Stopped: {found['paused']}" if found["paused"] else "Running.",
        f"Records: {states or 'none yet; run manage.py pull_ghl'}.",
        f"Due: {found['due']}, of which {found['due_now']} now"
        + (f"; the oldest has waited {oldest:.0f} s." if oldest is not None else "."),
        f"For a person: {found['conflicts']} conflicts, {found['issues']} issues, {found['unlinked']} passengers "
        "without a trip.",
        f"Last pull: {pull['mode']} at {pull['at']}, {'all well' if pull['ok'] else 'not complete'}."
        if pull
        else "Last pull: never.",
        f"Calls today: {found['calls_today']}.",
    ]
