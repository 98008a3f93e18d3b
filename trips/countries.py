"""ISO-2 codes for country names as people and drop-downs spell them."""

from __future__ import annotations

from functools import cache

from django_countries.data import COUNTRIES

from trips.text import fold_name


@cache
def _codes() -> dict[str, str]:
    return {fold_name(str(name)): code for code, name in COUNTRIES.items()}


def country_code(label: str) -> str:
    """The ISO-2 code of a country's name or code; empty when unknown (to be asked, never guessed)."""
    if len(label) == 2 and label.upper() in COUNTRIES:
        return label.upper()
    return _codes().get(fold_name(label), "")
