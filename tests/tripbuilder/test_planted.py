"""Planted secrets: the product is driven through everything that takes or makes them, and then nothing holds one.

Looked at are the whole database (SQLite's file with all its free pages, PostgreSQL's dump), every log line, the private
folder, sessions, messages and mails. A secret is sought as text, in hex, in base64 and with its signs escaped.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import logging
import queue
import shutil
import subprocess
from collections.abc import Iterator
from multiprocessing import Value
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.conf import settings as project
from django.core.files.base import ContentFile
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django_q.brokers import get_broker
from django_q.models import Failure
from django_q.monitor import monitor
from django_q.worker import worker

from ghl_sync import webhooks
from ghl_sync.client.errors import Refused
from ghl_sync.conf import config
from ghl_sync.engine import audit, due, files, inbox
from ghl_sync.engine.pull import pull
from ghl_sync.engine.session import Session
from ghl_sync.models import Change, Conflict, Link, Write
from ghl_sync.sandbox.server import Sandbox
from tests import factories, openapi
from tests.clusters import database_url
from tests.ghl_sync.engine.mirror import a_trip, link_of
from tests.pages import posted, reveal
from tests.trips.papers.conftest import pdf
from trips.models import Batch, Document, HealthRecord, Passport, SentReport
from trips.services import documents, traveller_links

PASSPORTS = [f"QZ77{letter}4631" for letter in "ABCDEFG"]
HEALTH = "xylotropic fever in childhood"
DIET = "neither quinces nor medlars"
PHYSICIAN = "Dr. Quillfeather Oxenholme"
LINK = "https://files.example.com/capability-7f3a9"
WORKFLOW = "workflow-secret-of-two-machines"
TOKEN = "private-integration-token-8861"
SCAN = "Scan of a passport that nobody may read"


class Lines(logging.Handler):
    """What would stand in the log."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.written: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.written.append(self.format(record))


@pytest.fixture
def lines() -> Iterator[list[str]]:
    """Every line of every logger, however unimportant, as the product's formatter writes it."""
    from tripbuilder.logs import Discreet

    handler = Lines()
    handler.setFormatter(Discreet("{levelname} {name}: {message}", style="{"))
    chosen = [logging.getLogger(name) for name in ("", "django", "django-q", "trips", "ghl_sync", "urllib3")]
    before = [(one, one.level, one.propagate) for one in chosen]
    for one in chosen:
        one.addHandler(handler)
        one.setLevel(logging.DEBUG)
    logging.getLogger("django.db.backends").setLevel(logging.INFO)  # statements are printed by nobody but a developer
    yield handler.written
    for one, level, propagate in before:
        one.removeHandler(handler)
        one.setLevel(level)
        one.propagate = propagate


@pytest.fixture
def account(settings: Any) -> Iterator[Sandbox]:
    shutil.rmtree(project.PRIVATE_ROOT, ignore_errors=True)
    with Sandbox(rate_max=100_000, token=TOKEN) as running, openapi.watched(running):
        settings.GHL_API_TOKEN, settings.GHL_LOCATION_ID = TOKEN, running.store.location_id
        settings.GHL_API_BASE_URL, settings.GHL_MIRROR_SENSITIVE = running.url, "both"
        settings.GHL_WAIT_SCALE, settings.GHL_TIMEOUT_SECONDS = 0.01, 5
        settings.GHL_DELETE_HOLD_SECONDS = 600
        settings.GHL_WEBHOOK_PUBLIC_KEYS, settings.GHL_WEBHOOK_SECRET = [running.hooks.public_key], WORKFLOW
        settings.TRAVELLER_LINKS = True
        webhooks.refusals.__dict__.update(webhooks._Refusals().__dict__)
        yield running
    shutil.rmtree(project.PRIVATE_ROOT, ignore_errors=True)


@pytest.mark.django_db(transaction=True)
@pytest.mark.timeout(600)
def test_nothing_holds_a_planted_secret(account, lines, client, monkeypatch, mailoutbox, tmp_path, capfd):
    client.force_login(factories.StaffFactory(is_superuser=True))
    client.raise_request_exception = False
    Session().refresh_definitions()
    trip = a_trip(name="Baracoa", start_date=dt.date(2027, 3, 1), end_date=dt.date(2027, 3, 8))
    people = [factories.PassengerFactory(trip=trip) for _ in range(4)]

    typed_by_staff(client, people[0])
    synced_both_ways(account, people)
    told_by_webhooks(account, people[0])
    imported(client, trip)
    handed_out(client, trip)
    token = filled_in_by_a_traveller(people[2])
    failing(client, monkeypatch, people)
    deleted(client, people[3])

    assert all(model.objects.exists() for model in (Conflict, SentReport, Write, Failure, Batch))
    secrets = [
        *PASSPORTS,
        HEALTH,
        DIET,
        PHYSICIAN,
        LINK,
        WORKFLOW,
        TOKEN,
        SCAN,
        token,
        token.partition(".")[2] or token,
    ]
    out, err = capfd.readouterr()
    places = {
        "database": dumped(tmp_path),
        "log": "\n".join(lines).encode(),
        "output": (out + err).encode(),
        "private folder": b"".join(one.read_bytes() for one in Path(project.PRIVATE_ROOT).rglob("*") if one.is_file()),
    }
    assert all(places[name] for name in ("database", "log", "private folder"))
    assert [f"{place}: {secret}" for place, held in places.items() for secret in secrets if is_in(secret, held)] == []


# What is done


def typed_by_staff(client: Client, passenger: Any) -> None:
    page_url = reverse("admin:trips_passenger_change", args=[passenger.pk])
    Passport.objects.create(passenger=passenger, number="A1")
    HealthRecord.objects.create(passenger=passenger, diet="B1")
    for word in ("passport", "health"):
        reveal(client, passenger, word)
    page = client.get(page_url)
    answer = client.post(
        page_url,
        posted(
            page,
            **{
                "passport-0-number": PASSPORTS[0],
                "health-0-general_health": HEALTH,
                "health-0-diet": DIET,
                "health-0-physician_name": PHYSICIAN,
                "legal_first_name": "",  # and once with an error, which shows the form again
            },
        ),
    )
    fresh = posted(client.get(page_url), **{"passport-0-number": PASSPORTS[0], "health-0-general_health": HEALTH})
    again = client.post(page_url, fresh | {"health-0-diet": DIET, "health-0-physician_name": PHYSICIAN})
    assert (answer.status_code in {200, 302}, again.status_code) == (True, 302)
    assert Passport.objects.get(passenger=passenger).number == PASSPORTS[0]
    assert HealthRecord.objects.get(passenger=passenger).physician_name == PHYSICIAN
    file = ContentFile(pdf(SCAN) + SCAN.encode(), name="passport.pdf")
    kept = documents.upload(owner=passenger, files=[file], kind="passport_scan", by=None).kept
    for name, args in (("file", []), ("preview", [1])):
        answer = client.get(reverse(f"admin:trips_document_{name}", args=[kept[0].pk, *args]))
        assert b"".join(answer.streaming_content)


def synced_both_ways(account: Sandbox, people: list[Any]) -> None:
    due.run_due(Session())
    due.run_due(Session())
    first, second = people[0], people[1]
    assert account.store.custom_by_key(account.store.get(link_of(first).remote_id))
    account.edit(link_of(second).remote_id, fields={"passport_number": PASSPORTS[1], "health_state": HEALTH})
    assert pull(Session(), full=True).ok
    assert Passport.objects.get(passenger=second).number == PASSPORTS[1]
    # Both sides change one field.
    passport = Passport.objects.get(passenger=first)
    passport.number = PASSPORTS[2]
    passport.save()
    Change.objects.update(at=timezone.now() - dt.timedelta(hours=1))
    account.edit(link_of(first).remote_id, fields={"passport_number": PASSPORTS[3]})
    due.run_due(Session())
    assert audit.audit(Session(), seconds=20).complete
    # A link that may not be followed.
    Document.objects.create(passenger=first, kind="mou", remote_url=LINK)
    assert files.copy_due(config(), seconds=5)


def told_by_webhooks(account: Sandbox, passenger: Any) -> None:
    record = account.store.get(link_of(passenger).remote_id)
    said = json.loads(account.hooks.body("OpportunityUpdate", record))
    body = json.dumps({**said, "passport": PASSPORTS[4], "health": HEALTH, "file": LINK}).encode()
    for signing in ("right", "wrong"):
        proof = account.hooks.signed(body, signing)
        Client().post("/ghl/webhook/", body, content_type="application/json", headers=proof)
    for secret in (WORKFLOW, f"{WORKFLOW}?"):
        headers = {"X-TripBuilder-Secret": secret}
        Client().post("/ghl/webhook/", body + b" ", content_type="application/json", headers=headers)
    inbox.handle(Session(), seconds=5)


def imported(client: Client, trip: Any) -> None:
    text = (
        "First name,Last name,E-mail,Passport number,Allergies\n"
        f"Ada,Almqvist,ada@example.com,{PASSPORTS[5]},{HEALTH}\n"
        f",,x@,{PASSPORTS[5]},{HEALTH}\n"
    )
    url = reverse("admin:trips_passenger_import")
    page = client.post(f"{url}?trip={trip.pk}", {"text": text}, follow=True)
    labels = ("Legal first name", "Legal last name", "E-mail", "Passport number", "Allergies")
    columns = {f"column-{index}": label for index, label in enumerate(labels)}
    page = client.post(page.request["PATH_INFO"], columns, follow=True)
    page = client.post(page.request["PATH_INFO"], follow=True)
    batch = Batch.objects.latest("pk")
    assert Passport.objects.filter(passenger__legal_last_name="Almqvist").get().number == PASSPORTS[5]
    client.get(reverse("admin:trips_batch_change", args=[batch.pk]))
    client.post(reverse("admin:trips_batch_undo", args=[batch.pk]))


def handed_out(client: Client, trip: Any) -> None:
    for preset in ("manifest/airline", "medical/standard", "emergency/standard"):
        url = f"{reverse('trips:trip_reports', args=[trip.pk])}{preset}/file/"
        for wanted in ("csv", "pdf"):
            client.post(url, {"format": wanted, "sent": "on"})
    assert client.get(reverse("admin:trips_passenger_changelist"), {"q": PASSPORTS[0][:4]}).status_code == 200


def filled_in_by_a_traveller(passenger: Any) -> str:
    """The link's secret."""
    from tests.trips.test_traveller_form import Phone, accepted, everything

    with time_machine.travel(dt.datetime(2026, 12, 1, 12, tzinfo=dt.UTC), tick=True):
        form, token = traveller_links.make_link(
            passenger=passenger, steps=["details", "passport", "health", "emergency"], by=None
        )
        phone = Phone(token)
        for step, typed in (
            ("details", {}),
            ("passport", {"number": PASSPORTS[6]}),
            ("health", {"allergies": HEALTH, "diet": DIET, "physician_name": PHYSICIAN}),
            ("emergency", {}),
        ):
            assert phone.fill(step, **typed).status_code == 302, step
        assert phone.sign().status_code == 302
        form.refresh_from_db()
        accepted(form, may=everything)
    assert Passport.objects.get(passenger=passenger).number == PASSPORTS[6]
    return str(token)


def leak(passenger_id: int) -> None:
    """A task that fails over what it reads."""
    passport = Passport.objects.get(passenger=passenger_id)
    int(f"{passport.number} {HEALTH}")


def failing(client: Client, monkeypatch: pytest.MonkeyPatch, people: list[Any]) -> None:
    monkeypatch.setattr("django_q.worker.close_old_django_connections", lambda: None)
    monkeypatch.setattr("django_q.monitor.close_old_django_connections", lambda: None)
    todo: queue.Queue[Any] = queue.Queue()
    done: queue.Queue[Any] = queue.Queue()
    task = {"id": "a" * 32, "name": "leak", "func": f"{__name__}.leak", "args": (people[0].pk,), "kwargs": {}}
    todo.put(task | {"started": timezone.now()})
    todo.put("STOP")
    worker(todo, done, Value("f", -1))
    done.put("STOP")
    monitor(done, broker=get_broker())
    # A page, and a call that is refused in words that repeat what was sent.
    with monkeypatch.context() as patch:
        patch.setattr(
            "trips.admin.people.PassengerAdmin.render_change_form", lambda *a, **k: int(f"{PASSPORTS[0]} {HEALTH}")
        )
        url = reverse("admin:trips_passenger_change", args=[people[0].pk])
        assert client.get(url).status_code == 500

    def refuse(self: Any, record_id: str, body: Any) -> None:
        raise Refused(f"customFields.1 must not be {json.dumps(str(body))}", status=422)

    with monkeypatch.context() as patch:
        patch.setattr("ghl_sync.client.api.GHLClient.update_opportunity", refuse)
        health = HealthRecord.objects.get(passenger=people[1])
        health.general_health = DIET
        health.save()
        due.run_due(Session())
    assert "(value)" in Link.objects.get(pk=link_of(people[1]).pk).last_error


def deleted(client: Client, passenger: Any) -> None:
    """A passenger whose delete can be undone, with all that goes with them."""
    HealthRecord.objects.create(passenger=passenger, allergies=HEALTH, physician_name=PHYSICIAN)
    passenger.delete()


# Where it is sought


def dumped(folder: Path) -> bytes:
    """All that the database keeps, deleted rows as far as they are still there, too."""
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        name = str(connection.settings_dict["NAME"])
        return b"".join(path.read_bytes() for path in Path(name).parent.glob(f"{Path(name).name}*"))
    done = subprocess.run(["pg_dump", "--inserts", database_url()], capture_output=True, check=True)
    return done.stdout


def is_in(secret: str, held: bytes) -> bool:
    plain = secret.encode()
    shapes = {plain, plain.hex().encode(), json.dumps(secret)[1:-1].encode(), secret.lower().encode()}
    shapes |= {base64.b64encode(b"\0" * lead + plain)[4 if lead else 0 : -4] for lead in range(3)}
    return any(shape in held for shape in shapes)


def test_what_is_sought_would_be_found():
    secret = PASSPORTS[0]
    for held in (
        secret,
        secret.encode().hex(),
        *(base64.b64encode(b"x" * n + secret.encode()).decode() for n in range(3)),
    ):
        assert is_in(secret, f"…{held}…".encode())
    assert not is_in(secret, b"QZ77")
