"""Settings: each variable is documented, a wrong one names itself, production refuses to start without its secrets."""

from __future__ import annotations

import datetime as dt
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.utils import formats

ROOT = Path(__file__).resolve().parents[2]
READER = re.compile(
    r"""(?:read|days|flag|code|time_zone|phone_region|database|seconds|count|choice|email|http_url|fernet_keys|public_keys|shared_secret)\(\s*"([A-Z_]+)\""""
)
KEY = "A" * 43 + "="


def start(**variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "tripbuilder.settings", **variables},
        capture_output=True,
        text=True,
    )


def test_every_variable_that_is_read_is_documented_and_no_other():
    read = set(READER.findall((ROOT / "tripbuilder/settings.py").read_text()))
    documented = set(re.findall(r"^([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))

    assert read == documented


def test_the_readme_s_table_names_each_variable_once():
    table = (ROOT / "README.md").read_text().partition("## Configuration")[2].partition("\n## ")[0]
    named = [
        name
        for row in re.findall(r"^\| (`[A-Z_`, ]+`) \|", table, re.MULTILINE)
        for name in re.findall(r"[A-Z_]+", row)
    ]

    assert sorted(named) == sorted(READER.findall((ROOT / "tripbuilder/settings.py").read_text()))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DEBUG", "perhaps"),
        ("GHL_SETTLE_SECONDS", "soon"),
        ("GHL_SETTLE_SECONDS", "3 min"),
        ("GHL_SETTLE_SECONDS", "nan"),
        ("GHL_TIMEOUT_SECONDS", "0"),
        ("GHL_CALLS_IN_FLIGHT", "0"),
        ("GHL_CALLS_IN_FLIGHT", "4.5"),
        ("GHL_CALLS_IN_FLIGHT", "33"),
        ("EMAIL_URL", "mail://user:word@mail.example.com"),
        ("EMAIL_URL", "smtp://user:word@mail.example.com:many"),
        ("TIME_ZONE", "Mars/X"),
        ("PHONE_REGION", "XX"),
        ("TRIP_CURRENCY", "dollars"),
        ("TRIP_DEPOSIT_DAYS_BEFORE", "-5"),
        ("TRIP_FINAL_DAYS_BEFORE", "60 days"),
        ("DATABASE_URL", "foo"),
        ("GHL_API_BASE_URL", "leadconnector"),
        ("GHL_MIRROR_SENSITIVE", "sometimes"),
        ("FIELD_ENCRYPTION_KEYS", "short"),
        ("DATABASE_URL", "mysql://root@127.0.0.1/trips"),
        ("GHL_WEBHOOK_PUBLIC_KEYS", "N/A"),
        ("GHL_WEBHOOK_RSA", "MCowBQYDK2VwAyEAi2HR1srL4o18O8BRa7gVJY7G7bupbN3H9AwJrHCDiOg="),  # an Ed25519 key
        ("GHL_WEBHOOK_SECRET", "hunter2"),
        ("GHL_WEBHOOK_SECRET", "thirty letters, some of them spaces"),
    ],
)
def test_wrong_value_names_its_variable(name, value):
    done = start(**{name: value})

    (said,) = done.stderr.strip().splitlines()  # a sentence, not a traceback
    assert done.returncode == 2
    assert said.startswith(name)
    # secrets and keys
    unsaid = name in {"FIELD_ENCRYPTION_KEYS", "DATABASE_URL", "EMAIL_URL"} or name.startswith("GHL_WEBHOOK_")
    assert (value in said) is not unsaid


@pytest.mark.parametrize(
    ("given", "missing"),
    [({}, "SECRET_KEY"), ({"SECRET_KEY": "s" * 60}, "FIELD_ENCRYPTION_KEYS")],
)
def test_production_refuses_to_start_without_its_secrets(given, missing):
    done = start(**{"DEBUG": "false", "SECRET_KEY": "", "FIELD_ENCRYPTION_KEYS": "", **given})

    assert done.returncode == 2
    assert done.stderr.startswith(f"{missing} is")


def test_production_starts_with_its_secrets():
    done = start(DEBUG="false", SECRET_KEY="s" * 60, FIELD_ENCRYPTION_KEYS=KEY, ALLOWED_HOSTS="trips.example.com")

    assert (done.returncode, done.stdout) == (0, "System check identified no issues (0 silenced).\n")


def test_days_and_times_are_written_without_doubt_where_nothing_else_is_said():
    then = dt.datetime(2026, 11, 28, 16, 5, tzinfo=dt.UTC)

    assert formats.localize(then.date()) == "28 Nov 2026"
    assert formats.localize(then) == "28 Nov 2026 16:05"
    assert formats.localize(then.time()) == "16:05"
    assert "%Y-%m-%d" in formats.get_format("DATE_INPUT_FORMATS")


def test_final_payment_is_not_due_before_the_deposit():
    answer = start(TRIP_DEPOSIT_DAYS_BEFORE="30", TRIP_FINAL_DAYS_BEFORE="60")

    assert answer.returncode != 0
    assert "TRIP_FINAL_DAYS_BEFORE is 60 and TRIP_DEPOSIT_DAYS_BEFORE 30" in answer.stderr
