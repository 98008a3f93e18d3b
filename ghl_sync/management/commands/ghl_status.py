"""How the sync stands: what is due, what waits for a person, when it last ran."""

from __future__ import annotations

import datetime as dt
import json
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.utils import formats, timezone

from ghl_sync.conf import NOT_CONFIGURED, config
from ghl_sync.management.output import said
from ghl_sync.status import status

# What is due goes within a minute, or two when a sweep is full; after this something is wrong.
STILL_SECONDS = 300


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


def _standing(found: dict[str, Any]) -> list[str]:
    """Whether anything moves at all, and what to do when it does not."""
    if not config().configured:
        return [NOT_CONFIGURED]
    if found["paused"]:
        return [f"Stopped: {found['paused']}"]
    if found["switched_off"]:
        return [f"{words} An administrator can let it go on in the admin." for words in found["switched_off"]]
    if found["due_now"] and (found["oldest_due_seconds"] or 0) > STILL_SECONDS:
        minutes = round(found["oldest_due_seconds"] / 60)
        return [
            f"Nothing moves: {said(found['due_now'], 'record')} could go, the oldest for {minutes} minutes. Is the "
            "queue running? Restart it (manage.py qcluster), or send here and now with manage.py push_ghl."
        ]
    return ["Running."]


def lines(found: dict[str, Any]) -> list[str]:
    """The same for a person."""
    states = ", ".join(f"{count} {state.replace('_', ' ')}" for state, count in found["links"].items() if count)
    oldest = found["oldest_due_seconds"]
    return [
        *_standing(found),
        *(f"Alarm: {message}" for message in found["alarms"]),
        f"Records: {states or 'none yet; run manage.py pull_ghl'}.",
        f"Due: {found['due']}, of which {found['due_now']} now"
        + (f"; the oldest has waited {oldest:.0f} s." if oldest is not None else "."),
        f"For a person: {said(found['conflicts'], 'conflict')}, {said(found['issues'], 'issue')}, "
        f"{said(found['unlinked'], 'passenger')} without a trip.",
        _last_pull(found["last_pull"]),
        f"Calls today: {found['calls_today']}.",
        _watchdog(found),
        *([] if settings.ADMINS else ["Nobody is mailed when something is wrong: set ADMINS in .env."]),
    ]


def _last_pull(pull: dict[str, Any] | None) -> str:
    if pull is None:
        return "Last pull: never."
    at = formats.date_format(timezone.localtime(dt.datetime.fromisoformat(pull["at"])), "j M Y, H:i")
    return f"Last pull: {at}, {pull['mode']}, {'all well' if pull['ok'] else 'not complete'}."


def _watchdog(found: dict[str, Any]) -> str:
    """When everything due was last looked for, and whether somebody watches over that."""
    swept, age = found["swept_seconds"], found["watchdog_seconds"]
    seen = "never" if swept is None else f"{swept:.0f} s ago"
    if age is None or age > STILL_SECONDS:
        return f"Last sweep: {seen}. No watchdog runs; start manage.py ghl_watchdog beside the queue."
    return f"Last sweep: {seen}. The watchdog looked {age:.0f} s ago."
