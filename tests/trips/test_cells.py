"""What a spreadsheet would run is written as text, everything else as it is, and our own files read back unchanged."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest

from trips.cells import neutral, original


@pytest.mark.parametrize(
    "text",
    [
        "=cmd|' /C calc'!A0",
        "+1+1",
        "-2+3",
        "-",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "\n=1",
        " =1+1",
        "\u00a0=1+1",
        "＝1",
        "+1-202-555-0100",
        "+1 202 555 0100",
    ],
)
def test_text_that_would_run_gets_an_apostrophe_and_reads_back(text: str) -> None:
    assert neutral(text) == f"'{text}"
    assert original(f"'{text}") == text


@pytest.mark.parametrize(
    "value",
    [
        *("", "Ada", "O'Hara", "'Ada'", "a=b", "2027-03-01", "+12025550100", "-5.00"),
        *(5, -5, Decimal("-5.00"), -1.5, None, dt.date(2027, 3, 1), True),
    ],
)
def test_everything_else_stays_what_it_is(value: object) -> None:
    assert neutral(value) is value


@pytest.mark.parametrize("text", ["", "'", "'Ada'", "''tis", "'+12025550100", "Ada"])
def test_an_apostrophe_of_the_text_itself_is_kept(text: str) -> None:
    assert original(text) == text
