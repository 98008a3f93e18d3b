"""Invent for the sandbox's people what GoHighLevel has no field for; `manage.py dev` runs it after the first pull."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from ghl_sync.conf import config
from tripbuilder.demo import SANDBOX_LOCATION, fill_demo


class Command(BaseCommand):
    help = (
        "Invent sex, date of birth, guardian and destination for the people and trips of the sandbox, where they are "
        "empty. Refuses any other account; a second run changes nothing."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        connected = config()
        if not connected.loopback or connected.location_id != SANDBOX_LOCATION:
            raise CommandError(
                "The account of GHL_LOCATION_ID is not the sandbox, so nothing was invented; "
                f"this is only for the account {SANDBOX_LOCATION} on this machine.",
                returncode=2,
            )
        trips, passengers = fill_demo(timezone.localdate())
        self.stdout.write(f"Filled in {trips} trips and {passengers} passengers.")
