"""What a text field with a drop-down elsewhere offers: the known values, then what registered sources add.

Nothing is refused because it is not listed here. Another app registers a source when it knows live options;
this one asks none by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from trips.countries import country_names

# Given "trip.lodging", the values to offer for it; an empty iterable for fields it knows nothing of.
Source = Callable[[str], Iterable[str]]

_STATES = (
    "Alabama Alaska Arizona Arkansas California Colorado Connecticut Delaware Florida Georgia Hawaii Idaho Illinois "
    "Indiana Iowa Kansas Kentucky Louisiana Maine Maryland Massachusetts Michigan Minnesota Mississippi Missouri "
    "Montana Nebraska Nevada New_Hampshire New_Jersey New_Mexico New_York North_Carolina North_Dakota Ohio Oklahoma "
    "Oregon Pennsylvania Rhode_Island South_Carolina South_Dakota Tennessee Texas Utah Vermont Virginia Washington "
    "West_Virginia Wisconsin Wyoming"
)
KNOWN: dict[str, tuple[str, ...]] = {
    "passenger.birth_country": country_names(),
    "passport.country": country_names(),
    "emergencycontact.state": tuple(name.replace("_", " ") for name in _STATES.split()),
}

_sources: list[Source] = []


def register_source(source: Source) -> None:
    """Ask `source` too from now on; registering one again changes nothing."""
    if source not in _sources:
        _sources.append(source)


def unregister_source(source: Source) -> None:
    if source in _sources:
        _sources.remove(source)


def live_values(field: str) -> list[str]:
    """What the sources offer for `field` ("model.field", lower case), each value once, in their order."""
    return list(dict.fromkeys(value for source in _sources for value in source(field) if value))


def suggestions(field: str) -> list[str]:
    """Everything to offer for `field`: live values first where there are any, since those can be mirrored."""
    return live_values(field) or list(KNOWN.get(field, ()))
