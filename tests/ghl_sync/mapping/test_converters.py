"""Converters are inverse pairs: what a form accepts survives the trip to GoHighLevel and back, and the reverse."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ghl_sync.client.types import FieldDef
from ghl_sync.mapping.converters import (
    BIGINT,
    SMALLINT,
    Choice,
    Date,
    Email,
    Files,
    Integer,
    LongText,
    MissingOption,
    Money,
    Option,
    Phone,
    Tags,
    Text,
    Unreadable,
    YesNo,
)

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
LICENCES = FieldDef(
    "f1", "opportunity.travel_category_license", "Licence", "SINGLE_OPTIONS", "opportunity", ("None", "A - B")
)


def there_and_back(converter, value):
    """A local value sent out, read again and stored."""
    canonical = converter.from_local(value)
    wire = None if canonical is None else converter.to_wire(canonical)
    return converter.to_local(converter.read(wire))


@given(st.text())
def test_text_comes_back_as_it_was_first_understood(text):
    converter = LongText()
    once = converter.to_local(converter.from_local(text))

    assert there_and_back(converter, once) == once


@given(st.text(min_size=1))
def test_wire_text_rests_after_one_reading(raw):
    converter = LongText()
    canonical = converter.read(raw)

    assert canonical is None or converter.read(converter.to_wire(canonical)) == canonical


@given(st.none() | st.dates())
def test_date_comes_back(day):
    assert there_and_back(Date(), day) == day


@given(st.dates())
def test_date_is_read_from_midnight_utc(day):
    ms = int((dt.datetime.combine(day, dt.time(), dt.UTC) - EPOCH) / dt.timedelta(milliseconds=1))

    assert Date().read(ms) == day.isoformat()


@given(st.none() | st.integers(*SMALLINT))
def test_integer_comes_back(number):
    assert there_and_back(Integer(), number) == number


@given(st.none() | st.decimals("-99999999.99", "99999999.99", places=2))
def test_money_comes_back(amount):
    assert there_and_back(Money(), amount) == amount


@given(st.none() | st.booleans())
def test_yes_and_no_come_back(answer):
    assert there_and_back(YesNo(), answer) is answer


@given(st.lists(st.text(max_size=20), max_size=5))
def test_tags_rest_after_one_reading(tags):
    converter = Tags()
    once = converter.to_local(converter.from_local(tags))

    assert there_and_back(converter, once) == once


@pytest.mark.parametrize(
    ("converter", "raw", "canonical"),
    [
        (Text(), "  two\r\nlines ", "two\nlines"),
        (Text(), "nul\x00 half \ud83d", "nul\\x00 half \\ud83d"),
        (LongText(), "x" * 11_000, "x" * 11_000),
        (LongText(), "<b>שלום</b> 🧳", "<b>שלום</b> 🧳"),
        (Text(), "   ", None),
        (Email(), " Ana@Example.COM ", "ana@example.com"),
        (Phone(), "(202) 555-0123", "+12025550123"),
        (Phone(), "ask my son", "ask my son"),
        (Date(), -86_400_000, "1969-12-31"),
        (Date(), "2027-02-14T23:30:00-05:00", "2027-02-15"),
        (Integer(), 3.0, 3),
        (Integer(BIGINT), "12", 12),
        (Money(), 1200, "1200.00"),
        (YesNo(), ["True"], True),
        (YesNo(), [], None),
        (Choice(codes={"single": "Single Occupancy"}), "single  occupancy", "single"),
        (
            Files(),
            "data:image/png;base64,AA==",
            [{"url": "data:image/png;base64,AA==", "name": "", "mimetype": "", "size": None}],
        ),
    ],
)
def test_wire_value_is_read(converter, raw, canonical):
    assert converter.read(raw) == canonical


@pytest.mark.parametrize(
    ("converter", "raw", "reason"),
    [
        (Text(length=3), "four", "is 4 characters long, 3 fit"),
        (Text(), ["list"], "is not text"),
        (Date(), "30.02.2027", "is not a date written as 2027-02-14"),
        (Date(), "2027-02-30", "is a date that does not exist"),
        (Date(), 10**18, "is a date outside the years 1 to 9999"),
        (Integer(), 2.5, "has decimals where a whole number is expected"),
        (Integer(), "many", "is text where a number is expected"),
        (Integer(), 40_000, "is outside -32768 to 32767"),
        (Money(), 10**9, "is larger than any amount we can hold"),
        (Money(), 1.005, "has more than two decimals"),
        (Money(), float("nan"), "is not a finite number"),
        (YesNo(), ["True", "False"], "says both yes and no"),
        (Choice(codes={"single": "Single Occupancy"}), "Triple", "is not one of the known options"),
    ],
)
def test_what_cannot_be_read_says_why_and_is_not_guessed(converter, raw, reason):
    with pytest.raises(Unreadable) as caught:
        converter.read(raw)

    assert (caught.value.reason, repr(caught.value.raw)) == (reason, repr(raw))


def test_option_is_written_as_gohighlevel_spells_it():
    assert Option().to_wire("a – b", LICENCES) == "A - B"


def test_option_that_does_not_exist_is_not_sent():
    with pytest.raises(MissingOption, match="Nobody"):
        Option().to_wire("Nobody", LICENCES)


def test_money_is_a_number_on_the_wire():
    assert [Money().to_wire(text) for text in ("1200.00", "0.10")] == [1200, 0.1]
    assert Money().to_local("0.10") == Decimal("0.10")
