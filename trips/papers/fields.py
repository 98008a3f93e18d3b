"""What the wording of a paper may name: a closed list of merge fields, each with its own reader.

A wording can reach nothing else. Each reader gives a text, empty where the office does not know it; `needs` names the
model whose data it prints beyond the passenger and the trip, so that nobody makes or opens a paper that shows what
their account may not see. Health is in no paper.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from django.utils import formats, timezone

from trips.models import Passenger
from trips.money import money
from trips.text import fold_name

PASSPORT, PAYMENT, CONTACT = "trips.passport", "trips.payment", "trips.contact"


@dataclass(frozen=True, slots=True)
class MergeField:
    """`code` stands between the braces, `label` after "MISSING:", `sample` is an invented person's."""

    code: str
    label: str
    group: str
    sample: str
    read: Callable[[Any], str]
    needs: str = ""


def passengers_for_papers(ids: Iterable[int]) -> Any:
    """These passengers with everything that a reader asks for, in two queries."""
    related = ("contact", "guardian", "passport", "trip", "trip__organiser", "trip__vendor")
    return (
        Passenger.objects.filter(pk__in=ids).select_related(*related).with_balance().prefetch_related("trip__itinerary")
    )


def _day(value: dt.date | None) -> str:
    return formats.date_format(value, "j F Y") if value else ""


def _of_trip(read: Callable[[Any], str]) -> Callable[[Any], str]:
    return lambda passenger: read(passenger.trip) if passenger.trip else ""


def _of_passport(read: Callable[[Any], str]) -> Callable[[Any], str]:
    def of(passenger: Any) -> str:
        passport = getattr(passenger, "passport", None)
        return read(passport) if passport else ""

    return of


def _amount(name: str) -> Callable[[Any], str]:
    return _of_trip(lambda trip: money(getattr(trip, name), trip.currency))


def _sum(name: str) -> Callable[[Any], str]:
    return lambda passenger: money(getattr(passenger, name), passenger.trip.currency) if passenger.trip else ""


def _address(passenger: Any) -> str:
    contact = passenger.contact
    town = " ".join(part for part in (contact.city, contact.state, contact.postal_code) if part)
    return ", ".join(part for part in (contact.address_line1, town, contact.country) if part)


def _licence(passenger: Any) -> str:
    """ "None" is one of the choices, and it names no licence."""
    return "" if fold_name(passenger.licence) == "none" else passenger.licence


def _programme(trip: Any) -> str:
    """A line for each entry, such as "1 Mar 2027, 9:00: Walk with Ana, Old Town"; times are those of the place."""
    return "\n".join(_entry(item) for item in trip.itinerary.all())


def _entry(item: Any) -> str:
    day = formats.date_format(item.day, "j M Y")
    at = f", {item.starts_at:%H:%M}" if item.starts_at else ""
    until = f"–{item.ends_at:%H:%M}" if item.starts_at and item.ends_at else ""
    where = f", {item.place}" if item.place else ""
    return f"{day}{at}{until}: {item.title}{where}"


def _nights(trip: Any) -> str:
    return "" if trip.nights is None else str(trip.nights)


FIELDS = (
    MergeField("traveller_name", "legal name", "Traveller", "Ada Almqvist", lambda p: p.legal_name),
    MergeField("first_name", "legal first name", "Traveller", "Ada", lambda p: p.legal_first_name),
    MergeField("middle_name", "legal middle name", "Traveller", "Maria", lambda p: p.legal_middle_name),
    MergeField("last_name", "legal last name", "Traveller", "Almqvist", lambda p: p.legal_last_name),
    MergeField("preferred_name", "preferred name", "Traveller", "Ada", lambda p: p.preferred_name),
    MergeField("date_of_birth", "date of birth", "Traveller", "17 May 1980", lambda p: _day(p.date_of_birth)),
    MergeField("sex", "sex", "Traveller", "Female", lambda p: p.get_sex_display()),
    MergeField("birth_country", "country of birth", "Traveller", "Sweden", lambda p: p.birth_country),
    MergeField("occupancy", "occupancy", "Traveller", "Double", lambda p: p.get_occupancy_display()),
    MergeField("licence", "travel licence", "Traveller", "§ 515.574 Support for the Cuban People", _licence),
    MergeField(
        "guardian_name", "guardian", "Traveller", "Kim Almqvist", lambda p: str(p.guardian) if p.guardian else ""
    ),
    MergeField("email", "e-mail", "Contact", "ada@example.com", lambda p: p.contact.email, CONTACT),
    MergeField("phone", "phone", "Contact", "+1 202 555 0123", lambda p: p.contact.phone, CONTACT),
    MergeField("address", "address", "Contact", "1 Sample Street, Springfield IL 62701, US", _address, CONTACT),
    MergeField(
        "passport_number", "passport number", "Passport", "X5550001", _of_passport(lambda p: p.number), PASSPORT
    ),
    MergeField(
        "passport_country", "passport’s country", "Passport", "Canada", _of_passport(lambda p: p.country), PASSPORT
    ),
    MergeField(
        "passport_expires",
        "passport’s expiry",
        "Passport",
        "1 January 2031",
        _of_passport(lambda p: _day(p.expires_on)),
        PASSPORT,
    ),
    MergeField("trip_name", "trip", "Trip", "Havana, spring", _of_trip(lambda t: t.name)),
    MergeField("destination", "destination", "Trip", "Havana", _of_trip(lambda t: t.destination)),
    MergeField("departure", "day of departure", "Trip", "1 March 2027", _of_trip(lambda t: _day(t.departs_on))),
    MergeField("end", "last day", "Trip", "8 March 2027", _of_trip(lambda t: _day(t.ends_on))),
    MergeField("nights", "nights", "Trip", "7", _of_trip(_nights)),
    MergeField("lodging", "lodging", "Trip", "Casa Sample", _of_trip(lambda t: t.lodging)),
    MergeField("escort", "escort", "Trip", "Kim Almqvist", _of_trip(lambda t: t.escort)),
    MergeField(
        "programme",
        "programme",
        "Trip",
        "1 Mar 2027, 09:00–12:00: Walk with a historian, Old Town\n2 Mar 2027, 10:00: Visit of a school",
        _of_trip(_programme),
        "trips.itineraryitem",
    ),
    MergeField(
        "travel_category",
        "travel category",
        "Trip",
        "Support for the Cuban people",
        _of_trip(lambda t: t.get_travel_category_display()),
    ),
    MergeField(
        "organiser", "lead organiser", "Trip", "Elena Eriksen", _of_trip(lambda t: str(t.organiser or "")), CONTACT
    ),
    MergeField("vendor", "vendor", "Trip", "Sample Ground", _of_trip(lambda t: str(t.vendor or "")), "trips.vendor"),
    MergeField("price", "price per person", "Money", "2,450.00 USD", _amount("price_per_person")),
    MergeField("deposit", "deposit", "Money", "500.00 USD", _amount("deposit_amount")),
    MergeField(
        "deposit_due", "deposit’s due date", "Money", "1 November 2026", _of_trip(lambda t: _day(t.deposit_due))
    ),
    MergeField(
        "final_payment_due",
        "final payment’s due date",
        "Money",
        "15 January 2027",
        _of_trip(lambda t: _day(t.final_payment_due)),
    ),
    MergeField("paid", "amount paid", "Money", "500.00 USD", _sum("paid"), PAYMENT),
    MergeField("balance", "balance", "Money", "1,950.00 USD", _sum("balance"), PAYMENT),
    MergeField("today", "today’s date", "Paper", "5 December 2026", lambda _passenger: _day(timezone.localdate())),
)
BY_CODE = {field.code: field for field in FIELDS}
GUARDED_MODELS = tuple(dict.fromkeys(field.needs for field in FIELDS if field.needs))


def nearest(name: str) -> MergeField | None:
    """The field that somebody most likely meant: by its code, or by the words of its label."""
    names = {**{field.label.replace(" ", "_"): field for field in FIELDS}, **BY_CODE}
    found = get_close_matches(name.casefold(), names, n=1, cutoff=0.5)
    return names[found[0]] if found else None
