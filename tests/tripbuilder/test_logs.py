"""What a log line tells of an error, and what it keeps to itself."""

from __future__ import annotations

import io
import logging
import queue
import uuid
from collections.abc import Iterator
from multiprocessing import Value
from typing import Any

import pytest
from django.core import mail
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection
from django.utils.timezone import now
from django_q.brokers import get_broker
from django_q.models import Failure
from django_q.worker import worker

from tripbuilder.logs import Discreet


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What a logger with the product's formatter writes."""
    written, logger = io.StringIO(), logging.getLogger("tests.discreet")
    handler = logging.StreamHandler(written)
    handler.setFormatter(Discreet("{levelname}: {message}", style="{"))
    logger.addHandler(handler)
    logger.propagate = False
    yield written
    logger.removeHandler(handler)
    logger.propagate = True


def fail() -> None:
    try:
        int("X1234567")
    except ValueError as error:
        raise ValidationError("Ines Prado's passport X1234567 is odd") from error


def test_an_error_is_told_by_its_classes_and_lines_without_its_words(log: io.StringIO) -> None:
    try:
        fail()
    except ValidationError:
        logging.getLogger("tests.discreet").exception("record %s failed", 7)

    told = log.getvalue()
    assert [line for line in told.splitlines() if not line.startswith(" ")] == [
        "ERROR: record 7 failed",
        "builtins.ValueError",
        "which led to:",
        "django.core.exceptions.ValidationError",
    ]
    assert told.count("in fail\n") == 2
    assert "invalid literal" not in told


@pytest.mark.django_db
def test_what_a_database_repeats_of_a_row_is_left_out(log: io.StringIO) -> None:
    with connection.cursor() as cursor:
        cursor.execute("create temporary table logged (name varchar(20) unique)")
        cursor.execute("insert into logged values (%s)", ["Ines " + "Prado"])
    try:
        with connection.cursor() as cursor:
            cursor.execute("insert into logged values (%s)", ["Ines " + "Prado"])
    except IntegrityError:
        logging.getLogger("tests.discreet").exception("not stored")

    assert "IntegrityError" in log.getvalue()
    assert "Ines Prado" not in log.getvalue()


def leak(value: str) -> None:
    try:
        int(value)
    except ValueError as error:
        raise ValidationError(f"two lines\n{value} is odd") from error


def run_in_queue(func: str, *args: object) -> dict[str, Any]:
    """The task as a worker hands it on."""
    todo: queue.Queue[Any] = queue.Queue()
    done: queue.Queue[Any] = queue.Queue()
    todo.put({"id": uuid.uuid4().hex, "name": "leak", "func": func, "args": args, "kwargs": {}, "started": now()})
    todo.put("STOP")
    worker(todo, done, Value("f", -1))
    found: dict[str, Any] = done.get()
    return found


@pytest.mark.django_db
def test_a_failed_task_is_kept_and_logged_by_its_classes_and_lines(monkeypatch, caplog) -> None:
    from django_q import monitor as queue_monitor

    for module in ("worker", "monitor"):
        monkeypatch.setattr(f"django_q.{module}.close_old_django_connections", lambda: None)
    logging.getLogger("django-q").propagate = True
    task = run_in_queue("tests.tripbuilder.test_logs.leak", "X1234567")
    done: queue.Queue[Any] = queue.Queue()
    done.put(task)
    done.put("STOP")
    queue_monitor.monitor(done, broker=get_broker())

    kept = Failure.objects.get().result
    assert [line for line in kept.splitlines() if not line.startswith("  File")] == [
        "ValueError",
        "django.core.exceptions.ValidationError",
    ]
    assert kept.count("in leak") == 2
    assert "line" in caplog.text
    assert "X1234567" not in caplog.text + kept
    # Its arguments are kept as they were given: ids, and never a value (`ghl_sync.tasks`).


def test_a_failed_request_is_mailed_to_nobody(settings) -> None:
    settings.DEBUG, settings.ADMINS = False, ["boss@example.com"]
    logging.getLogger("django.request").error("a page failed", extra={"status_code": 500})
    assert mail.outbox == []
