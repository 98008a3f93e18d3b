"""How two spellings of one name are recognised; plain Python.

A real account held 19 trip names that differ from their drop-down option only by the kind of dash,
and names with double spaces. Names are shown as typed and compared folded.
"""

from __future__ import annotations

import re
import unicodedata

_DASHES = dict.fromkeys(map(ord, "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d"), "-")
_SPACES = re.compile(r"\s+")


def fold_name(text: str) -> str:
    """`text` for comparison: NFKC, case-folded, one kind of dash, single spaces, trimmed."""
    folded = unicodedata.normalize("NFKC", text.translate(_DASHES)).translate(_DASHES).casefold()
    return _SPACES.sub(" ", folded).strip()
