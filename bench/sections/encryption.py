"""What encryption costs: a value on its way in and out, a scan, and a new key for ten thousand rows."""

from __future__ import annotations

import base64
import io
import os
import time
from collections.abc import Callable, Iterator
from functools import partial

from django.conf import settings
from django.core.files.base import ContentFile
from django.core.management import call_command

from bench import rows
from bench.rows import Row
from bench.stage import Stage
from tests.factories import TripFactory
from trips.encryption import decrypt, encrypt
from trips.models import Contact, Passenger, Passport
from trips.storage import private_storage

VALUE_MICROSECONDS = 20
ROTATION_SECONDS = 10
SCAN_MB = 15
# A passport's number, and what people write about their health.
TEXTS = {"a passport's number": "X12345678", "400 letters of health": "Allergic to nuts. " * 22}
CONTEXT = "trips.passport.number"


def measure(stage: Stage) -> Iterator[Row]:
    for what, text in TEXTS.items():
        sealed = encrypt(text, CONTEXT)
        for verb, act in (
            ("encrypted", partial(encrypt, text, CONTEXT)),
            ("decrypted", partial(decrypt, sealed, CONTEXT)),
        ):
            yield rows.median(f"{what}, {verb}", "µs", _each(stage, act), VALUE_MICROSECONDS)
    yield from _scan(stage)
    yield _rotation(stage)


def _each(stage: Stage, act: Callable[[], object]) -> list[float]:
    """Microseconds of one act, several times over the mean of many."""
    return [_mean(stage.sizes.values, act) for _ in range(5)]


def _mean(count: int, act: Callable[[], object]) -> float:
    started = time.perf_counter()
    for _ in range(count):
        act()
    return 1e6 * (time.perf_counter() - started) / count


def _scan(stage: Stage) -> Iterator[Row]:
    content = ContentFile(os.urandom(SCAN_MB * 1024 * 1024))
    kept, read = [], []
    for number in range(3):
        started = time.perf_counter()
        name = private_storage().save(f"bench/{os.getpid()}-{number}", content)
        between = time.perf_counter()
        with private_storage().open(name) as file:
            size = sum(len(chunk) for chunk in file.chunks())
        kept.append(1000 * (between - started))
        read.append(1000 * (time.perf_counter() - between))
        private_storage().delete(name)
        if size != content.size:
            raise AssertionError(f"{content.size} bytes went in and {size} came out")
    yield rows.median(f"a scan of {SCAN_MB} MB, kept", "ms", kept)
    yield rows.median(f"a scan of {SCAN_MB} MB, read", "ms", read)


def _rotation(stage: Stage) -> Row:
    count = stage.sizes.passports
    trip, contact = TripFactory(), Contact.objects.create(last_name="Prado")
    people = Passenger.objects.bulk_create(
        [Passenger(contact=contact, trip=trip, legal_last_name=f"Prado {number}") for number in range(count)], 500
    )
    Passport.objects.bulk_create([Passport(passenger=one, number=f"X{one.pk:08}") for one in people], 500)
    fresh = base64.urlsafe_b64encode(os.urandom(32)).decode()
    settings.FIELD_ENCRYPTION_KEYS = [fresh, *settings.FIELD_ENCRYPTION_KEYS]
    told = io.StringIO()
    started = time.perf_counter()
    call_command("rotate_keys", no_progress=True, stdout=told)
    seconds = time.perf_counter() - started
    settings.FIELD_ENCRYPTION_KEYS = [fresh]
    wrong = [one.pk for one in Passport.objects.filter(passenger__in=people[:: max(count // 50, 1)]) if not one.number]
    if wrong or "0 are left" not in told.getvalue():
        raise AssertionError(f"the rotation is not complete: {told.getvalue()}")
    note = f"{count / seconds:,.0f} rows a second"
    return Row(f"a new key for {count:,} passports, whole command", "s", seconds, ROTATION_SECONDS, note=note)
