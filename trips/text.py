"""How two spellings of one name are recognised, a name found without its accents, a number masked; plain Python.

A real account held 19 trip names that differ from their drop-down option only by the kind of dash,
and names with double spaces. Names are shown as typed and compared folded.
"""

from __future__ import annotations

import re
import unicodedata

_DASHES = dict.fromkeys(map(ord, "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d"), "-")
_SPACES = re.compile(r"\s+")
MASK = "••"


def fold_name(text: str) -> str:
    """`text` for comparison: NFKC, case-folded, one kind of dash, single spaces, trimmed."""
    folded = unicodedata.normalize("NFKC", text.translate(_DASHES)).translate(_DASHES).casefold()
    return _SPACES.sub(" ", folded).strip()


# Letters that Unicode does not take apart into a plain one and its accent.
_LETTERS = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "ħ": "h", "ı": "i", "æ": "ae", "œ": "oe", "þ": "th", "\u2019": "'"}
)


def fold_search(*parts: str) -> str:
    """What a search compares: the parts folded, without accents, one blank between them."""
    text = fold_name(" ".join(part for part in parts if part)).translate(_LETTERS)
    plain = "".join(char for char in unicodedata.normalize("NFKD", text) if not unicodedata.combining(char))
    return plain.casefold()


def is_id(text: str) -> bool:
    """Whether a row can have this number: digits, and no more of them than the database holds."""
    return text.isascii() and text.isdigit() and len(text) <= 18


def masked(secret: str) -> str:
    """A number to be told apart and not read: its last four characters, of a short one no more than half."""
    if not secret or secret.startswith(MASK):
        return secret
    return f"{MASK}{secret[max(len(secret) - 4, (len(secret) + 1) // 2) :]}"
