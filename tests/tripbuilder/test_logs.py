"""What a log line tells of an error, and what it keeps to itself."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import pytest
from django.core import mail
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection

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


def test_a_failed_request_is_mailed_to_nobody(settings) -> None:
    settings.DEBUG, settings.ADMINS = False, ["boss@example.com"]
    logging.getLogger("django.request").error("a page failed", extra={"status_code": 500})
    assert mail.outbox == []
