"""An import through the admin page reaches GoHighLevel as a saved form does, no call too many; so does its undo."""

from __future__ import annotations

import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django_q.tasks import async_task

from ghl_sync.engine.session import Session
from ghl_sync.models import Link
from ghl_sync.sandbox.server import Sandbox
from tests.clusters import eventually, running
from tests.factories import ContactFactory, StaffFactory, TripFactory
from trips.models import Batch, Passenger

pytestmark = [pytest.mark.cluster, pytest.mark.django_db(transaction=True)]

ROWS = 6
LABELS = ("Legal first name", "Legal last name", "E-mail", "Number", "Passport number")


def at_rest() -> bool:
    if not Link.objects.due().exists():
        return True
    async_task("ghl_sync.tasks.sweep")
    return False


def imported(client: Client, trip: Any, text: str) -> Batch:
    """Through the three pages, as staff do."""
    page: Any = client.post(f"/trips/passenger/import/?trip={trip.pk}", {"text": text}, follow=True)
    here = page.request["PATH_INFO"]
    if here.endswith("/columns/"):
        posted = {f"column-{index}": label for index, label in enumerate(LABELS)}
        here = client.post(here, posted, follow=True).request["PATH_INFO"]  # type: ignore[attr-defined]
    client.post(here)
    return Batch.objects.latest("pk")


def written(sandbox: Sandbox) -> Counter[tuple[str, str]]:
    """How often each kind of write was sent: the method and the first part of the path."""
    return Counter((one.method, one.path.strip("/").partition("/")[0]) for one in sandbox.writes())


def seats_there(sandbox: Sandbox) -> list[tuple[str, Any]]:
    cards = sandbox.opportunities("Passenger")
    return sorted(
        (card.name.split(" – ")[0], sandbox.store.custom_by_key(card).get("passenger_number")) for card in cards
    )


def test_import_and_its_undo_arrive_with_no_call_too_many(
    session: Session, connected: Sandbox, client: Client, tmp_path: Path
) -> None:
    client.force_login(StaffFactory(is_superuser=True))
    known = [ContactFactory(first_name=f"Known-{n}", last_name="Almqvist") for n in range(ROWS // 2)]
    trip = TripFactory(name="Fjords", organiser=known[0])
    lines = [f"{one.first_name}\tAlmqvist\t{one.email}\t\tX555000{n}" for n, one in enumerate(known)]
    lines += [f"New-{n}\tBaptiste\tnew{n}@example.com\t\tX555001{n}" for n in range(ROWS // 2)]
    text = "\n".join(["First\tLast\tE-mail\tNo\tPassport", *lines])

    with running(tmp_path / "cluster.log"):
        eventually(lambda: connected.opportunities("TripBooking"), what="the trip never arrived")
        eventually(at_rest)
        connected.requests.clear()

        started = time.monotonic()
        batch = imported(client, trip, text)
        eventually(lambda: len(connected.opportunities("Passenger")) == ROWS, what="the passengers never arrived")
        took = time.monotonic() - started
        eventually(at_rest)

        assert seats_there(connected) == [
            *((f"Known-{n} Almqvist", n + 1) for n in range(ROWS // 2)),
            *((f"New-{n} Baptiste", n + 1 + ROWS // 2) for n in range(ROWS // 2)),
        ]
        arrived = written(connected)
        connected.requests.clear()

        # A correction changes one card, and its undo puts it back.
        again = imported(client, trip, text.replace("X5550000", "X5559999"))
        passports = lambda: {  # noqa: E731
            connected.store.custom_by_key(card).get("passport_number") for card in connected.opportunities("Passenger")
        }
        eventually(lambda: "X5559999" in passports(), what="the correction never arrived")
        eventually(at_rest)
        corrected = written(connected)
        client.post(f"/trips/batch/{again.pk}/undo/")
        eventually(lambda: "X5559999" not in passports(), what="the undo of the correction never arrived")
        eventually(at_rest)

        client.post(f"/trips/batch/{batch.pk}/undo/")
        eventually(lambda: not connected.opportunities("Passenger"), what="the undo never arrived")
        eventually(at_rest)

    told = f"{ROWS} imported passengers stood in GoHighLevel {took:.1f} s after the file was given"
    sys.stdout.write(f"\n{told}: {dict(arrived)}\n")
    assert not Passenger.objects.exists()
    # Three contacts and six cards are made, and the trip's card is told its passengers once or a few times.
    assert arrived["POST", "contacts"] == ROWS // 2
    assert arrived["POST", "opportunities"] == ROWS
    assert arrived["PUT", "opportunities"] <= ROWS
    assert corrected == Counter({("PUT", "opportunities"): 1})
