"""A storm of webhooks into the web server of the Procfile while the queue works: how fast they are taken and handled.

Each edit over there is told twice, as two events, and each event is delivered twice: half are duplicates.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings
from django.db import connection

from bench import rows
from bench.processes import ROOT, Failed, stop
from bench.rows import Row
from bench.stage import Stage
from ghl_sync.models import Kind, Link, WebhookEvent
from ghl_sync.sandbox.hooks import Hooks
from ghl_sync.sandbox.store import Store
from tests.clusters import running
from trips.models import Passenger

TOLD, COPIES = 2, 2
SENDERS = 4
SINGLES = 100
START_SECONDS, LONGEST_SECONDS = 30.0, 120.0
HEADERS = {"Content-Type": "application/json"}
KEY = "user_roomate"


def measure(stage: Stage) -> Iterator[Row]:
    hooks = Hooks(Store(location_id=settings.GHL_LOCATION_ID))
    edited = _edited(stage, stage.sizes.webhooks // (TOLD * COPIES))
    storm = [body for record_id in edited for _event in range(TOLD) for body in [_body(record_id)] * COPIES]
    random.Random(7).shuffle(storm)
    signed = [(body, HEADERS | hooks.signed(body)) for body in storm]
    with _web(stage.directory / "web.log", hooks.public_key) as port, running(stage.directory / "cluster.log"):
        calm = [_body(next(iter(edited))) for _number in range(SINGLES)]
        singles = [_posted(port, body, HEADERS | hooks.signed(body)) for body in calm]
        _rest()
        started = time.monotonic()
        refused = _deliver(port, signed)
        taken = time.monotonic() - started
        _rest()
        handled = time.monotonic() - started
    note = f"{len(storm):,} of {len(edited):,} records; {len(storm) / taken:.0f} a second by gunicorn with 2 workers"
    yield rows.p95("a webhook, from its first byte to the answer, 95 of 100", "ms", [1000 * one for one in singles], 20)
    yield Row("per webhook in a storm (200 a second are 5 ms)", "ms", 1000 * taken / len(storm), 5, note=note)
    yield Row("a storm, half of it duplicates, until both sides are equal", "s", handled, 60)
    yield Row("webhooks not taken", "webhooks", refused, 0)
    yield Row("wrong values after the storm", "values", _wrong(edited), 0)


def _edited(stage: Stage, count: int) -> dict[str, str]:
    """New values of that many passengers over there, by the record's id."""
    links = Link.objects.filter(kind=Kind.PASSENGER).exclude(remote_id="").order_by("pk")[:count]
    values = {link.remote_id: f"Storm {number}" for number, link in enumerate(links)}
    for record_id, value in values.items():
        stage.far.post("edit", id=record_id, fields={KEY: value})
    return values


def _body(record_id: str) -> bytes:
    said = {"type": "OpportunityUpdate", "locationId": settings.GHL_LOCATION_ID, "id": record_id}
    return json.dumps(said | {"webhookId": str(uuid.uuid4()), "name": "Ines Prado", "status": "open"}).encode()


@contextmanager
def _web(log: Path, key: str) -> Iterator[int]:
    """The web server of the Procfile on a free port; the port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = ["gunicorn", "tripbuilder.wsgi", "--bind", f"127.0.0.1:{port}", "--workers", "2", "--no-control-socket"]
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", *words],
            cwd=ROOT,
            env={**os.environ, "GHL_WEBHOOK_PUBLIC_KEYS": key},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    try:
        ends = time.monotonic() + START_SECONDS
        while _posted(port, b"", {}, patient=False) < 0:
            if time.monotonic() > ends or process.poll() is not None:
                raise Failed("the web server did not start")
            time.sleep(0.1)
        yield port
    finally:
        stop(process)


def _posted(port: int, body: bytes, headers: dict[str, str], *, patient: bool = True) -> float:
    """Seconds until the answer; -1 where nobody listens. Raises Failed when a signed one is not taken."""
    started = time.perf_counter()
    wire = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        wire.request("POST", "/ghl/webhook/", body, headers)
        status = wire.getresponse().status
    except ConnectionRefusedError:
        if patient:
            raise
        return -1.0
    finally:
        wire.close()
    if patient and status != 200:
        raise Failed(f"a webhook was answered {status}")
    return time.perf_counter() - started


def _deliver(port: int, signed: list[tuple[bytes, dict[str, str]]]) -> int:
    """All of them as fast as they are taken; how many were not."""
    refused: list[int] = []

    def send(part: list[tuple[bytes, dict[str, str]]]) -> None:
        for body, headers in part:
            try:
                _posted(port, body, headers)
            except (Failed, OSError):
                refused.append(1)

    senders = [threading.Thread(target=send, args=(signed[number::SENDERS],)) for number in range(SENDERS)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    return len(refused)


def _rest() -> None:
    """Until nothing that a webhook named waits any more, here or for a look over there."""
    ends = time.monotonic() + LONGEST_SECONDS
    waiting = WebhookEvent.objects.filter(outcome=WebhookEvent.Outcome.WAITING)
    while waiting.exists() or Link.objects.filter(remote_dirty_at__isnull=False).exists():
        if time.monotonic() > ends:
            raise Failed(f"{waiting.count()} webhooks wait after {LONGEST_SECONDS:.0f} s")
        time.sleep(0.1)
    connection.close()


def _wrong(edited: dict[str, str]) -> int:
    links = Link.objects.filter(kind=Kind.PASSENGER, remote_id__in=edited)
    values = dict(Passenger.objects.values_list("pk", "roommate_request"))
    return len(edited) - sum(values.get(link.object_id) == edited[link.remote_id] for link in links)
