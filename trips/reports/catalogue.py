"""Every report there is, in the order of the menus: page, files, departure pack and menus all read this table."""

from __future__ import annotations

from collections.abc import Callable

from trips.reports import people
from trips.reports.table import Preset, Report

STANDARD = "standard"
PEOPLE = ("trips.trip", "trips.passenger")

REPORTS: tuple[Report, ...] = (
    Report(
        "manifest",
        "Manifest",
        "Who travels, as the airline, the hotel or the ground operator wants it.",
        PEOPLE,
        (
            Preset("airline", "for the airline", people.AIRLINE, people.PASSPORT, people.about_names),
            Preset("hotel", "for the hotel", people.HOTEL, notes=people.about_hotel),
            Preset("ground", "for the ground operator", people.GROUND, notes=people.absent),
        ),
        people.with_passports,
        totals=people.headcount,
        in_pack=True,
    ),
)


def find(code: str, *, of_trip: bool) -> Report | None:
    """The report of this code that a trip, or the office as a whole, has."""
    return next((report for report in REPORTS if report.code == code and report.of_trip == of_trip), None)


def offered(may: Callable[[str], bool], *, of_trip: bool) -> list[tuple[Report, list[Preset]]]:
    """The reports that somebody may have, each with its presets for them; the others are not told of."""
    found = [(report, report.allowed(may)) for report in REPORTS if report.of_trip == of_trip]
    return [(report, presets) for report, presets in found if presets]
