"""What may stand in a cell of a spreadsheet; plain Python.

A spreadsheet runs a text that begins with one of a few characters, so a name typed by anybody could run a command on
the machine of whoever opens the file. Such a text gets an apostrophe in front, which spreadsheets read as "this is
text"; one that is only a number with its sign computes nothing and stays, or every phone number would be spoilt.
Values that are numbers, dates or empty are no text and stay what they are.
"""

from __future__ import annotations

import re
from typing import TypeVar

T = TypeVar("T")

# The last four are the full-width forms, which a spreadsheet set to Japanese or Chinese reads as the plain ones.
_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_SIGNED_NUMBER = re.compile(r"[+-]\d+([.,]\d+)?", re.ASCII)


def _runs(text: str) -> bool:
    # Spreadsheets that trim what they read would run " =1+1".
    return text.lstrip(" \u00a0").startswith(_STARTS) and not _SIGNED_NUMBER.fullmatch(text)


def neutral(value: T) -> T | str:
    """`value` as it may be written into a CSV or XLSX cell: a text that would run gets an apostrophe in front."""
    return f"'{value}" if isinstance(value, str) and _runs(value) else value


def original(text: str) -> str:
    """The text that `neutral` was given: what came out of our own file goes in unchanged."""
    return text[1:] if text.startswith("'") and _runs(text[1:]) else text
