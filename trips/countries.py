"""ISO-2 codes for country names as people and drop-downs spell them."""

from __future__ import annotations

import re
import unicodedata
from functools import cache

from django_countries.base import CountriesBase
from django_countries.data import COUNTRIES

from trips.text import fold_name

# What people and drop-downs write beside the standard's names and the common and old ones of django-countries.
# Only names that mean one country: "Virgin Islands" or a misspelling stay unknown and are asked.
_ALSO: dict[str, tuple[str, ...]] = {
    "AS": ("Samoa American",),
    "CD": ("Zaire",),
    "CG": ("Republic of the Congo",),
    "CI": ("Ivory Coast",),
    "CU": ("Cuba - special rules apply.",),
    "CV": ("Cape Verde",),
    "FK": ("Falkland Islands",),
    "GB": ("UK", "Great Britain", "England", "Scotland", "Wales", "Northern Ireland"),
    "IO": ("British Indian Ocean Ter",),
    "KN": ("St Kitts-Nevis",),
    "KP": ("Korea North",),
    "KR": ("Korea South",),
    "ME": ("Republic of Montenegro",),
    "MM": ("Burma",),
    "MO": ("Macau",),
    "NL": ("Netherlands (Holland, Europe)", "Holland"),
    "PN": ("Pitcairn Island",),
    "PW": ("Palau Island",),
    "RS": ("Republic of Serbia",),
    "SX": ("St Maarten",),
    "TC": ("Turks & Caicos Is",),
    "TF": ("French Southern Ter",),
    "TL": ("East Timor",),
    "US": ("United States", "USA", "U.S.A."),
    "VA": ("Vatican City State",),
    "VC": ("St Vincent & Grenadines",),
    "VG": ("Virgin Islands (Brit)",),
    "VI": ("Virgin Islands (USA)",),
}
_SAINT = re.compile(r"\bst\b\.?")


def _key(name: str) -> str:
    """`name` folded, without accents, with "&" and "St" written out."""
    plain = "".join(char for char in unicodedata.normalize("NFD", fold_name(name)) if not unicodedata.combining(char))
    return _SAINT.sub("saint", plain.replace("&", "and"))


@cache
def _codes() -> dict[str, str]:
    codes: dict[str, str] = {}
    for others in (_ALSO, CountriesBase.OLD_NAMES):
        codes |= {_key(str(name)): code for code, names in others.items() for name in names}
    for official in (CountriesBase.COMMON_NAMES, COUNTRIES):
        codes |= {_key(str(name)): code for code, name in official.items()}
    return codes


def country_code(label: str) -> str:
    """The ISO-2 code of a country's name or code; empty when unknown (to be asked, never guessed)."""
    if len(label) == 2 and label.upper() in COUNTRIES:
        return label.upper()
    return _codes().get(_key(label), "")


def country_names() -> tuple[str, ...]:
    """Every country by its common name, sorted."""
    names = {**COUNTRIES, **CountriesBase.COMMON_NAMES, "US": "United States"}
    return tuple(sorted(str(name) for name in names.values()))
