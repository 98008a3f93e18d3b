"""Start-up checks: the product as it is passes, and each rule can fail."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from django.core import checks as django_checks

from ghl_sync import checks
from ghl_sync.mapping.converters import (
    BIGINT,
    Choice,
    CountryCode,
    Date,
    Files,
    Flag,
    Integer,
    LongText,
    Money,
    Option,
    Tags,
    Text,
    YesNo,
)
from ghl_sync.mapping.fields import FieldMap, ObjectMap, Way
from ghl_sync.mapping.table import CONTACT, PASSENGER, TRIP


def found(messages: Iterator[Any] | list[Any]) -> list[tuple[str, str]]:
    return [(message.id, message.msg) for message in messages]


def with_row(table: ObjectMap, name: str, /, **changes: Any) -> ObjectMap:
    """The table with one row changed."""
    assert name in table.by_name
    rows = tuple(replace(row, **changes) if row.name == name else row for row in table.fields)
    return ObjectMap(table.kind, table.remote_kind, rows)


def test_the_mapping_as_it_is_passes() -> None:
    assert checks.mapping_is_sound() == []


def test_the_settings_of_a_fresh_copy_pass() -> None:
    assert checks.settings_agree() == []


def test_the_checks_run_at_start_up() -> None:
    registered = django_checks.registry.registry.get_checks()

    assert {checks.mapping_is_sound, checks.settings_agree} <= set(registered)


@pytest.mark.parametrize(
    ("table", "name", "changes", "words"),
    [
        (TRIP, "capacity", {"name": "seats"}, "trip.seats: Trip has no field 'seats'."),
        (PASSENGER, "health.medications", {"name": "health.pills"}, "HealthRecord has no field 'pills'."),
        (PASSENGER, "passport.number", {"name": "visa.number"}, "there is no part 'visa'."),
        (PASSENGER, "documents.mou", {"name": "documents.visa"}, "there is no kind of document 'visa'."),
        (PASSENGER, "documents.mou", {"way": Way.BOTH}, "links to files can only be read."),
        (TRIP, "description", {"name": "passengers"}, "Trip.passengers is no column."),
        (
            TRIP,
            "description",
            {"remote": "contact.trip_description"},
            "contact.trip_description is no field of its opportunity.",
        ),
        (TRIP, "capacity", {"converter": Flag()}, "its converter reads a field of GoHighLevel's own."),
        (TRIP, "key", {"label": ""}, "a field that we create needs a name."),
        (TRIP, "description", {"reference": True}, "it is no reference to another record."),
        (TRIP, "lodging", {"converter": Option(length=121)}, "it lets 121 characters in, the column holds 120."),
        (TRIP, "lodging", {"converter": LongText()}, "text of any length does not fit 120 characters."),
        (TRIP, "capacity", {"converter": Integer(BIGINT)}, "the column holds -32768 to 32767."),
        (TRIP, "capacity", {"converter": Text()}, "Text does not fit a SmallIntegerField."),
        (TRIP, "start_date", {"converter": Money()}, "Money does not fit a DateField."),
        (TRIP, "price_per_person", {"converter": Money(digits=12)}, "it lets 12 digits with 2 decimals in"),
        (TRIP, "price_per_person", {"converter": Date()}, "Date does not fit a DecimalField."),
        (PASSENGER, "occupancy", {"converter": Choice(length=16, codes={"single": "One"})}, "double has no word"),
        (
            PASSENGER,
            "occupancy",
            {"converter": Choice(length=16, codes={"single": "One", "double": "Two", "triple": "Three"})},
            "triple is no choice of the field.",
        ),
        (CONTACT, "do_not_contact", {"converter": YesNo()}, "the column cannot hold “not answered”."),
        (CONTACT, "country", {"name": "tags", "converter": CountryCode()}, "CountryCode does not fit a JSONField."),
        (CONTACT, "city", {"converter": Tags()}, "Tags does not fit a CharField."),
    ],
)
def test_a_wrong_row_is_an_error_with_a_hint(table: ObjectMap, name: str, changes: dict[str, Any], words: str) -> None:
    messages = [one for one in checks.check_table(with_row(table, name, **changes)) if one.id == "ghl_sync.E001"]

    assert len(messages) == 1
    assert words in messages[0].msg
    assert messages[0].hint


def test_two_rows_for_one_field_are_an_error() -> None:
    row = FieldMap("documents.mou", "opportunity.mou", Files(), Way.DOWN)
    doubled = ObjectMap("trip", "opportunity", (*TRIP.fields, row))

    assert found(checks.check_table(doubled)) == [
        ("ghl_sync.E002", "The mapping of trip names the field documents.mou (here) twice."),
        ("ghl_sync.E002", "The mapping of trip names the field opportunity.mou (there) twice."),
    ]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"GHL_TRIP_PIPELINE": "Passenger"},
            [
                (
                    "ghl_sync.E003",
                    "Trips and passengers have one pipeline, Passenger; their records could not be told apart.",
                )
            ],
        ),
        (
            {"GHL_API_TOKEN": "pit-secret"},
            [("ghl_sync.W001", "GHL_API_TOKEN is set and GHL_LOCATION_ID is not, so nothing is sent or fetched.")],
        ),
        (
            {"GHL_LOCATION_ID": "somewhere"},
            [("ghl_sync.W001", "GHL_LOCATION_ID is set and GHL_API_TOKEN is not, so nothing is sent or fetched.")],
        ),
        (
            {"GHL_API_BASE_URL": "http://crm.example.com"},
            [("ghl_sync.E004", "GHL_API_BASE_URL begins with http://: the token would travel in the open.")],
        ),
        (
            {"GHL_API_BASE_URL": "https://crm.example.com", "GHL_WAIT_SCALE": 0.1},
            [("ghl_sync.W002", "GHL_WAIT_SCALE is 0.1 for an account that is not on this machine.")],
        ),
        (
            {"GHL_SETTLE_SECONDS": 5.0},
            [("ghl_sync.W003", "GHL_SETTLE_SECONDS (5) is shorter than GHL_TIMEOUT_SECONDS (20).")],
        ),
        (
            {"GHL_FALLBACK_CONTACT_EMAIL": "the office"},
            [("ghl_sync.W004", "GHL_FALLBACK_CONTACT_EMAIL is no e-mail address: 'the office'.")],
        ),
        ({"GHL_FALLBACK_CONTACT_EMAIL": "office@example.com"}, []),
    ],
)
def test_settings_that_disagree_are_named(settings: Any, changes: dict[str, Any], expected: list[Any]) -> None:
    for name, value in changes.items():
        setattr(settings, name, value)

    messages = checks.settings_agree()

    assert found(messages) == expected
    assert all(message.hint for message in messages)
    assert "pit-secret" not in str(messages)
