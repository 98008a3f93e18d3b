"""A file of 500 passengers, half of them known, looked at as the import's preview does."""

from __future__ import annotations

import time
from collections.abc import Iterator

from django.contrib.auth import get_user_model

from bench import rows
from bench.rows import Row
from bench.stage import Stage
from trips.models import Contact, Passenger, Trip
from trips.resources import RESOURCES, guessed, run
from trips.services.sheets import read_text

LINES, PREVIEW_SECONDS = 500, 3
HEAD = "First name,Last name,E-mail,Phone,DOB,Sex,Passport number,Passport expires"
REST = "1980-05-17,F,X5550001,2031-01-01"


def measure(stage: Stage) -> Iterator[Row]:
    user = get_user_model()._default_manager.create_superuser("imports", password="only-here")
    trip = Trip.objects.create(name="Bench of imports")
    text = "\n".join([HEAD, *_lines()])

    def preview() -> int:
        sheet = read_text(text)
        resource = RESOURCES[Passenger](user=user, trip=trip)
        return len(run(resource, sheet, guessed(resource, sheet.headers)))

    looked = preview()
    times = []
    for _ in range(min(stage.sizes.views, 5)):
        started = time.perf_counter()
        preview()
        times.append(time.perf_counter() - started)
    yield rows.median("preview of a file of passengers", "s", times, PREVIEW_SECONDS, f"{looked} rows")


def _lines() -> Iterator[str]:
    """Contacts that are known, then invented people."""
    known = Contact.objects.exclude(email="").exclude(last_name="").order_by("pk")[: LINES // 2]
    found = [f'"{one.first_name}","{one.last_name}",{one.email},,{REST}' for one in known]
    yield from found
    for number in range(LINES - len(found)):
        yield f"New-{number},Newcomer-{number},new{number}@example.com,,{REST}"
