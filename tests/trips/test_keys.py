"""Keys: a missing one stops every start with one sentence, and rotation needs nobody to list what is encrypted."""

from __future__ import annotations

import base64
import datetime as dt
import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.files.base import ContentFile
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from ghl_sync.engine.base import Base
from ghl_sync.models import Kind, Link, WebhookEvent
from tests import factories
from trips import encryption
from trips.encryption import current_key_id, encrypt, keyed_hash
from trips.models import DiscardedFile, EncryptionKey, HealthRecord, Passport
from trips.services import documents, keys, rotation
from trips.storage import private_storage

ROOT = Path(__file__).resolve().parents[2]
OLD, NEW, OTHER = (base64.urlsafe_b64encode(bytes([n]) * 32).decode() for n in (1, 2, 3))
PDF = b"%PDF-1.4 invented"


def id_of(settings, key: str) -> str:
    before, settings.FIELD_ENCRYPTION_KEYS = settings.FIELD_ENCRYPTION_KEYS, [key]
    found = current_key_id()
    settings.FIELD_ENCRYPTION_KEYS = before
    return found


@pytest.fixture(autouse=True)
def fresh(settings, tmp_path):
    """No key is remembered, the old one encrypts, and private files lie in a folder of this test."""
    settings.FIELD_ENCRYPTION_KEYS = [OLD]
    keys.comparing_keys.cache_clear()
    private_storage().__dict__.pop("base_location", None)
    yield
    keys.comparing_keys.cache_clear()


@pytest.fixture
def forgotten(db):
    EncryptionKey.objects.all().delete()


def told(capsys) -> list[str]:
    return capsys.readouterr().out.splitlines()


def stored(table: str, column: str) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {column} FROM {table} ORDER BY id")
        return [row[0] for row in cursor.fetchall()]


def passports(count: int) -> None:
    trip = factories.TripFactory()
    for number in range(count):
        Passport.objects.create(passenger=factories.PassengerFactory(trip=trip), number=f"X{number:07}")


# Starting


def test_key_is_remembered_once_and_asked_for_at_each_start(forgotten, settings):
    keys.remember()
    keys.remember()
    keys.check()
    settings.FIELD_ENCRYPTION_KEYS = [NEW, OLD]
    keys.check()
    keys.remember()

    assert list(EncryptionKey.objects.order_by("pk").values_list("key_id", flat=True)) == [
        id_of(settings, OLD),
        id_of(settings, NEW),
    ]
    assert OLD not in str(list(EncryptionKey.objects.values()))


def test_missing_key_is_one_sentence(forgotten, settings):
    keys.remember()
    settings.FIELD_ENCRYPTION_KEYS = [NEW]

    with pytest.raises(ImproperlyConfigured) as caught:
        keys.check()

    assert str(caught.value) == (
        f"This database holds values that were encrypted with the key '{id_of(settings, OLD)}', which is not in "
        "FIELD_ENCRYPTION_KEYS. Put that key back into the list, behind the new one if there is one; nothing was "
        "changed."
    )


def test_values_from_before_keys_were_remembered_are_looked_at_too(forgotten, settings):
    passports(1)
    settings.FIELD_ENCRYPTION_KEYS = [NEW]

    with pytest.raises(ImproperlyConfigured, match=f"'{id_of(settings, OLD)}'"):
        keys.remember()

    assert not EncryptionKey.objects.exists()


def test_a_key_that_only_passes_for_the_right_one_is_noticed(forgotten, settings):
    keys.remember()
    EncryptionKey.objects.update(canary=encrypt("TripBuilder", "something else"))

    with pytest.raises(ImproperlyConfigured, match="passes for"):
        keys.check()


def run(*words: str, database: Path, key: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tripbuilder.settings",
        "DATABASE_URL": f"sqlite:///{database}",
        "FIELD_ENCRYPTION_KEYS": key,
        "LOG_LEVEL": "ERROR",
    }
    return subprocess.run(
        [sys.executable, *words], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=400
    )


@pytest.mark.timeout(1800)
def test_commands_worker_and_web_refuse_to_start_with_the_wrong_key(tmp_path, settings):
    database = tmp_path / "kept.sqlite3"
    first = run("manage.py", "migrate", "-v0", database=database, key=OLD)
    web = ("-c", "import tripbuilder.wsgi")

    right = [run(*web, database=database, key=OLD)]
    wrong = [
        run(*words, database=database, key=NEW)
        for words in (
            ("manage.py", "qcluster"),
            ("manage.py", "migrate", "-v0"),
            web,
        )
    ]

    sentence = f"encrypted with the key '{id_of(settings, OLD)}', which is not in FIELD_ENCRYPTION_KEYS."
    assert [first.returncode, *(one.returncode for one in right)] == [0, 0], first.stderr
    assert [one.returncode for one in wrong] == [2, 2, 1]
    assert [one.stdout for one in wrong] == [""] * 3
    for one in wrong[:2]:
        assert sentence in one.stderr
        assert one.stderr.count("\n") == 1
    assert sentence in wrong[2].stderr.splitlines()[-1]


def test_a_check_makes_no_database(tmp_path):
    done = run("manage.py", "check", database=tmp_path / "none.sqlite3", key=OLD)

    assert (done.returncode, list(tmp_path.iterdir())) == (0, [])


# Rotating


@pytest.mark.django_db
def test_every_encrypted_field_of_every_model_is_found():
    found = {f"{table.model.__name__}.{one.name}" for table in rotation.tables() for one in table.fields}
    written = set()
    for path in [*ROOT.glob("[tg]*/**/models.py"), *ROOT.glob("[tg]*/models/*.py")]:
        model = ""
        for line in path.read_text().splitlines():
            if match := re.match(r"class (\w+)", line):
                model = match[1]
            elif match := re.match(r"    (\w+) = EncryptedTextField\(", line):
                written.add(f"{model}.{match[1]}")

    assert len(written) > 20
    assert found == written


def test_rotation_changes_the_key_and_nothing_else(forgotten, settings, capsys, mailoutbox):
    passports(3)
    passenger = Passport.objects.first().passenger
    HealthRecord.objects.create(passenger=passenger, diet="none", medications="", physician_name="Dr. Invented")
    event = WebhookEvent.objects.create(delivery_id="1", kind="ContactUpdate", body='{"a": 1}')
    Passport.objects.update(updated_at=dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
    before = list(Passport.objects.values()), HealthRecord.objects.values().get(), Passport.history.count()
    changes = Link.objects.count()
    settings.FIELD_ENCRYPTION_KEYS = [NEW, OLD]

    call_command("rotate_keys", no_progress=True)

    new, old = id_of(settings, NEW), id_of(settings, OLD)
    assert told(capsys)[-2:] == [
        f"5 rows and files got the key {new}. 0 are left.",
        f"Nothing needs the key {old} any more: take it out of FIELD_ENCRYPTION_KEYS, start everything again, and keep "
        "it as long as backups from before.",
    ]
    settings.FIELD_ENCRYPTION_KEYS = [NEW]
    assert (list(Passport.objects.values()), HealthRecord.objects.values().get(), Passport.history.count()) == before
    assert {value[:8] for value in stored("trips_passport", "number")} == {new}
    assert stored("trips_healthrecord", "medications") == [""]
    assert (Link.objects.count(), WebhookEvent.objects.get().body) == (changes, event.body)
    keys.check()


def test_dry_run_counts_and_changes_nothing(forgotten, settings, capsys):
    passports(2)
    settings.FIELD_ENCRYPTION_KEYS = [NEW, OLD]
    before = stored("trips_passport", "number")

    call_command("rotate_keys", dry_run=True, no_progress=True)

    new, old = id_of(settings, NEW), id_of(settings, OLD)
    lines = told(capsys)
    assert f"trips.passport: 2 with the key {old}" in lines
    assert lines[-1] == f"Nothing was changed. 2 would get the key {new}."
    assert stored("trips_passport", "number") == before


def test_a_second_run_goes_on_with_what_is_left(forgotten, settings, monkeypatch, capsys):
    passports(5)
    settings.FIELD_ENCRYPTION_KEYS = [NEW, OLD]
    monkeypatch.setattr(rotation, "_ROWS", 2)

    def killed(pks):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rotation.rotate(next(one for one in rotation.tables() if one.model is Passport), rotation.Done(), killed)
    after_kill = [value[:8] for value in stored("trips_passport", "number")]
    call_command("rotate_keys", no_progress=True)

    new, old = id_of(settings, NEW), id_of(settings, OLD)
    assert after_kill == [new, new, old, old, old]
    assert {value[:8] for value in stored("trips_passport", "number")} == {new}


def test_what_somebody_changes_meanwhile_is_not_overwritten(forgotten, settings, monkeypatch):
    passports(2)
    settings.FIELD_ENCRYPTION_KEYS = [NEW, OLD]
    seal = rotation.encrypt

    def slow(text, context, key_id=None):
        if text == "X0000001":
            Passport.objects.filter(pk=Passport.objects.last().pk).update(number="MEANWHILE")
        return seal(text, context, key_id)

    monkeypatch.setattr(rotation, "encrypt", slow)
    done = rotation.Done()
    rotation.rotate(next(one for one in rotation.tables() if one.model is Passport), done, lambda count: None)

    assert (done.rotated, done.changed_meanwhile) == (1, 1)
    assert [passport.number for passport in Passport.objects.order_by("pk")] == ["X0000000", "MEANWHILE"]


def test_what_no_key_opens_is_named_and_the_rest_goes_on(forgotten, settings, capsys):
    passports(2)
    first = Passport.objects.order_by("pk").first()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE trips_passport SET number = %s WHERE id = %s", [f"{current_key_id()}:AAAA", first.pk])
    settings.FIELD_ENCRYPTION_KEYS = [NEW, OLD]

    with pytest.raises(CommandError, match="1 could not be read"):
        call_command("rotate_keys", no_progress=True)

    said = capsys.readouterr()
    old = id_of(settings, OLD)
    assert f"trips.passport {first.pk}: A value of trips.passport.number does not open with its key '{old}'" in said.err
    assert f"The key {old} is still needed by 1." in said.out
    assert Passport.objects.order_by("pk").defer("number").last().number == "X0000001"


def test_files_are_sealed_anew_those_of_deleted_rows_too(forgotten, settings, capsys):
    passenger = factories.PassengerFactory()
    kept = documents.upload(owner=passenger, files=[ContentFile(PDF, name="mou.pdf")], kind="", by=None).kept[0]
    discarded = private_storage().save("documents/discarded", ContentFile(PDF))
    DiscardedFile.objects.create(name=discarded)
    plain = factories.DocumentFactory(passenger=passenger, file="documents/plain")
    Path(private_storage().path("documents/plain")).write_bytes(PDF)
    settings.FIELD_ENCRYPTION_KEYS = [NEW, OLD]

    call_command("rotate_keys", no_progress=True)

    new = id_of(settings, NEW)
    names = [kept.file.name, discarded, plain.file.name]
    assert [private_storage().key_id_of(name) for name in names] == [new] * 3
    assert f"files: 3 with the key {new}" in told(capsys)
    for name in names:
        private_storage().delete(name)


def test_comparisons_of_sensitive_values_outlive_their_key(forgotten, settings):
    base = Base.load("1", frozenset({"passport_number"}), {})
    base.agree("passport_number", "X1", "X 1")
    kept = base.dump()
    keys.remember()
    settings.FIELD_ENCRYPTION_KEYS = [NEW, OLD]
    call_command("rotate_keys", no_progress=True)

    settings.FIELD_ENCRYPTION_KEYS = [NEW]
    again = Base.load("1", frozenset({"passport_number"}), json.loads(json.dumps(kept)))
    pair = again.pair("passport_number", "X1", "X 1")

    assert (pair.local, pair.remote) == ("X1", "X 1")
    assert again.remote_is("passport_number", "X 2") is False
    assert again.dump() != kept  # made anew with the new key while the values were at hand
    assert all(encryption.is_current_hash(value) for side in "lr" for value in again.dump()[side].values())


def test_comparisons_made_with_the_key_itself_are_counted(forgotten, settings, capsys):
    old = keyed_hash("X1", current_key_id())
    factories.PassengerFactory()
    Link.objects.filter(kind=Kind.PASSENGER).update(base={"v": {"passport_number": old}})
    keys.remember()
    settings.FIELD_ENCRYPTION_KEYS = [NEW, OLD]

    call_command("rotate_keys", no_progress=True)

    key = id_of(settings, OLD)
    assert told(capsys)[-1] == (f"The key {key} is still needed by 1. `push_ghl --all` makes 1 comparisons anew.")


@pytest.mark.django_db(transaction=True)
def test_many_threads_read_and_write_while_keys_are_rotated(settings):
    EncryptionKey.objects.all().delete()
    passports(60)
    settings.FIELD_ENCRYPTION_KEYS = [NEW, OLD]
    wrong: list[str] = []

    def work(number: int) -> None:
        try:
            for turn in range(5):
                for passport in Passport.objects.filter(pk__in=mine[number]):
                    if passport.number[0] not in "XY":
                        wrong.append(passport.number)
                Passport.objects.filter(pk=mine[number][0]).update(number=f"Y{number}{turn}")
        finally:
            connection.close()

    pks = list(Passport.objects.order_by("pk").values_list("pk", flat=True))
    mine = [pks[number::4] for number in range(4)]
    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    call_command("rotate_keys", no_progress=True)
    for thread in threads:
        thread.join()
    call_command("rotate_keys", no_progress=True)

    settings.FIELD_ENCRYPTION_KEYS = [NEW]
    numbers = {passport.pk: passport.number for passport in Passport.objects.all()}
    assert wrong == []
    assert [numbers[pks[number]] for number in range(4)] == [f"Y{number}4" for number in range(4)]
    assert timezone.now() - Passport.objects.order_by("updated_at").last().updated_at < dt.timedelta(minutes=5)
