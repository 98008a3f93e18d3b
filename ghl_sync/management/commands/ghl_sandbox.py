"""Run the sandbox: GoHighLevel's API and boards on this computer, to try the product without an account."""

from __future__ import annotations

import errno
import re
import signal
import threading
from argparse import ArgumentParser, ArgumentTypeError
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from ghl_sync.sandbox.disk import Unusable
from ghl_sync.sandbox.seed import SIZES, fill
from ghl_sync.sandbox.server import Sandbox

PORT = 8787
RATE_MAX = 100
NO_LIMIT = 10**9
UNUSABLE = 2


class Command(BaseCommand):
    help = (
        "Run a stand-in for GoHighLevel on this computer until Ctrl-C: its API, and its boards in the browser. "
        "The records are kept in a file between runs; delete it to begin anew."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--port", type=int, default=PORT, help="port on 127.0.0.1 (%(default)s); 0 takes a free one"
        )
        parser.add_argument("--state", type=Path, default=None, help="file of the records (sandbox-state.json)")
        parser.add_argument(
            "--seed",
            choices=(*SIZES, "none"),
            default="none",
            help="fill an empty account with invented records: a dozen trips, or as many as a real account has",
        )
        limit = parser.add_mutually_exclusive_group()
        limit.add_argument("--no-limit", action="store_true", help="answer any number of calls")
        limit.add_argument(
            "--rate-max", type=_calls, default=RATE_MAX, help="calls answered in 10 seconds (%(default)s)"
        )
        parser.add_argument(
            "--lag", type=_seconds, default=0.0, help="seconds that the search lags behind (%(default)s)"
        )
        parser.add_argument(
            "--webhooks",
            type=_address,
            default=None,
            metavar="URL",
            help="tell this address of each change, as an app is told; TripBuilder's own ends in /ghl/webhook/",
        )
        parser.add_argument(
            "--webhook-seed",
            type=_seed,
            default=None,
            metavar="HEX",
            help="32 bytes that make the key which signs webhooks the same at each start",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        state = options["state"] or settings.BASE_DIR / "sandbox-state.json"
        ends = threading.Event()
        _on_signals(ends)
        try:
            sandbox = self._sandbox(state, options)
            store = sandbox.store
            if options["seed"] != "none" and not store.contacts_by_id and not store.opportunities_by_id:
                fill(store, options["seed"])
            with sandbox:
                self.stdout.write(
                    f"Sandbox ready on {sandbox.url} (token {sandbox.token}, location {store.location_id}, "
                    f"records in {state}); Ctrl-C stops it."
                )
                if options["webhooks"]:
                    self.stdout.write(f"Webhooks go to {options['webhooks']}.")
                    self.stdout.write(f"GHL_WEBHOOK_PUBLIC_KEYS={sandbox.hooks.public_key}")
                self.stdout.flush()
                ends.wait()
        except Unusable as error:
            raise CommandError(str(error), returncode=UNUSABLE) from None
        self.stdout.write("Sandbox stopped, records saved.")

    def _sandbox(self, state: Path, options: dict[str, Any]) -> Sandbox:
        port = options["port"]
        try:
            return Sandbox(
                port=port,
                state=state,
                lag=options["lag"],
                rate_max=NO_LIMIT if options["no_limit"] else options["rate_max"],
                daily=NO_LIMIT if options["no_limit"] else 200_000,
                webhooks=options["webhooks"] or "",
                webhook_seed=options["webhook_seed"],
            )
        except (OSError, OverflowError) as error:
            taken = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
            reason = "is taken" if taken else f"cannot be used ({error})"
            message = f"Port {port} {reason}; stop what uses it or choose another with --port."
            raise CommandError(message, returncode=UNUSABLE) from None


def _calls(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"{text} is not a number of calls")
    return int(text)


def _seconds(text: str) -> float:
    if not re.fullmatch(r"\d+(\.\d+)?", text):
        raise ArgumentTypeError(f"{text} is not a number of seconds")
    return float(text)


def _address(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ArgumentTypeError(f"{text} is not an address such as http://127.0.0.1:8000/ghl/webhook/")
    return text


def _seed(text: str) -> bytes:
    if not re.fullmatch(r"[0-9a-fA-F]{64}", text):
        raise ArgumentTypeError("a seed has 64 hexadecimal digits")
    return bytes.fromhex(text)


def _on_signals(ends: threading.Event) -> None:
    """Ctrl-C and SIGTERM set `ends`; the second one of them ends the process at once."""

    def stop(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        ends.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
