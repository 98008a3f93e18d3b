"""Every report there is, in the order of the menus: page, files, departure pack and menus all read this table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from trips.reports import care, money, office, people, programme
from trips.reports.table import Preset, Report, full_title

STANDARD = "standard"
PEOPLE = ("trips.trip", "trips.passenger")

_OF_A_TRIP = (
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
    Report(
        "arrivals",
        "Arrivals",
        "Who comes and leaves when, for transfers.",
        PEOPLE,
        (Preset(STANDARD, "", people.ARRIVALS, notes=people.about_arrivals),),
        people.by_arrival,
        totals=people.by_day,
        in_pack=True,
    ),
    Report(
        "itinerary",
        "Itinerary",
        "What happens when, day by day, also as the schedule that a licence asks for.",
        ("trips.trip", "trips.itineraryitem"),
        (Preset(STANDARD, "", programme.ITINERARY, notes=programme.empty_days),),
        programme.of_trip,
        totals=programme.days,
        in_pack=True,
        empty=("Nothing is planned yet", "Add what happens on the trip’s page “Programme”."),
    ),
    Report(
        "rooming",
        "Rooming list",
        "Who sleeps in which room, for the hotel.",
        PEOPLE,
        (
            Preset(STANDARD, "without passports", people.ROOMING, notes=people.absent),
            Preset(
                "passports", "with passport numbers", people.ROOMING_PASSPORTS, people.PASSPORT, people.absent, False
            ),
        ),
        people.by_room,
        totals=people.rooms,
        in_pack=True,
    ),
    Report(
        "emergency",
        "Emergency sheet",
        "Whom to call for each traveller, and what helpers must know.",
        (*PEOPLE, "trips.emergencycontact"),
        (Preset(STANDARD, "", care.EMERGENCY, notes=care.unreachable),),
        care.with_care,
        totals=care.emergencies,
        confidential=True,
        in_pack=True,
    ),
    Report(
        "medical",
        "Medical sheet",
        "Illnesses, medication, allergies and physicians.",
        (*PEOPLE, *care.HEALTH),
        (Preset(STANDARD, "", care.MEDICAL, notes=people.absent),),
        care.with_health,
        totals=care.answers,
        confidential=True,
        in_pack=True,
    ),
    Report(
        "dietary",
        "Dietary sheet",
        "Diets and allergies, with the kitchen's totals.",
        (*PEOPLE, *care.HEALTH),
        (Preset(STANDARD, "", care.DIETARY, notes=people.absent),),
        care.with_health,
        totals=care.kitchen,
        confidential=True,
        in_pack=True,
    ),
)

_EACH_TRIP_TOO = (
    Report(
        "balances",
        "Balances",
        "What travellers owe and have paid.",
        (*PEOPLE, "trips.payment"),
        (
            Preset("owing", "owing", money.BALANCES, narrow=money.owing),
            Preset("overdue", "overdue", money.BALANCES, narrow=money.overdue),
            Preset("give-back", "to be given back", money.BALANCES, narrow=money.to_give_back),
            Preset("all", "all who are booked", money.BALANCES, narrow=money.booked),
        ),
        money.with_balances,
        sums=money.by_currency,
    ),
    Report(
        "passports",
        "Passports",
        "Whose passport runs out before their trips allow, and before when to renew it.",
        (*PEOPLE, *people.PASSPORT),
        (
            Preset(
                "lacking", "will not do", office.PASSPORTS, notes=office.passport_notes, narrow=office.lacking_passports
            ),
            Preset("all", "all who are booked", office.PASSPORTS, notes=office.passport_notes),
        ),
        office.with_passports,
    ),
    Report(
        "documents",
        "Documents",
        "Which papers are on file for whom, and which are missing.",
        (*PEOPLE, "trips.document"),
        (
            Preset("missing", "something missing", office.DOCUMENTS, narrow=office.lacking_documents),
            Preset("all", "all who are booked", office.DOCUMENTS),
        ),
        office.with_documents,
        totals=office.by_kind,
    ),
)
_VENDORS = Report(
    "vendors",
    "Vendors",
    "Who supplies these trips, and how to reach them.",
    ("trips.trip", "trips.vendor"),
    (Preset(STANDARD, "", office.VENDORS),),
    office.vendors,
    of_trip=False,
)
REPORTS: tuple[Report, ...] = (
    *_OF_A_TRIP,
    *_EACH_TRIP_TOO,
    *(replace(report, of_trip=False) for report in _EACH_TRIP_TOO),
    _VENDORS,
)


def find(code: str, *, of_trip: bool) -> Report | None:
    """The report of this code that a trip, or the office as a whole, has."""
    return next((report for report in REPORTS if report.code == code and report.of_trip == of_trip), None)


def offered(may: Callable[[str], bool], *, of_trip: bool) -> list[tuple[Report, list[Preset]]]:
    """The reports that somebody may have, each with its presets for them; the others are not told of."""
    found = [(report, report.allowed(may)) for report in REPORTS if report.of_trip == of_trip]
    return [(report, presets) for report, presets in found if presets]


def packed(may: Callable[[str], bool]) -> tuple[list[tuple[Report, Preset]], list[str]]:
    """What goes into a departure pack for somebody, and the names of what does not since they may not see it."""
    wanted = [(report, preset) for report in REPORTS if report.in_pack for preset in report.presets if preset.in_pack]
    inside = [(report, preset) for report, preset in wanted if not report.lacking(preset, may)]
    return inside, [full_title(*pair) for pair in wanted if pair not in inside]
