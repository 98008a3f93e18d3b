"""The OFAC pack of a traveller: what has to be kept of each trip under a licence, in one ZIP with a list of hashes.

Five parts: the licence as it stood on the days of the trip, the signed affidavit, the full-time schedule, the lodging
and the payments. What is not there is named in the pack itself, so that a pack with gaps never passes for a whole one.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import io
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db.models import Prefetch
from django.utils import formats

from trips.enums import DocumentKind, DocumentState, PaymentKind
from trips.models import Document, Licence, Passenger, Trip
from trips.money import money
from trips.papers.licences import Register, Standing
from trips.reports import csv, pdf
from trips.reports.programme import ITINERARY
from trips.reports.stamp import Stamp
from trips.reports.table import Column, Kind, Row, Table, Total, Value
from trips.services.documents import TYPES, NotAsStored, opened
from trips.services.licences import YEARS, kept_until
from trips.services.programme import each_day

NEEDS = ("trips.passenger", "trips.trip", "trips.itineraryitem", "trips.document", "trips.payment", "trips.licence")
_SCHEDULE_WORDS = ("schedule", "itinerary", "programme", "program")
Content = Callable[[Stamp], bytes]


@dataclass(frozen=True, slots=True)
class Part:
    """`files` are names in the ZIP and how to make them; `missing` are sentences that say what to do."""

    code: str
    title: str
    files: tuple[tuple[str, Content], ...]
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pack:
    passenger: Any
    parts: tuple[Part, ...]

    @property
    def missing(self) -> list[str]:
        return [sentence for part in self.parts for sentence in part.missing]

    @property
    def keep_until(self) -> dt.date | None:
        return kept_until(self.passenger.trip)


def packs_of(passengers: Any) -> list[Pack]:
    """The packs of these passengers, all of whom are on a trip; the same queries for one and for many."""
    affidavits = Document.objects.filter(kind=DocumentKind.AFFIDAVIT).defer("remote_url").order_by("pk")
    schedules = Document.objects.exclude(file="").exclude(state=DocumentState.REJECTED).defer("remote_url")
    rows = passengers.select_related("trip", "trip__vendor").prefetch_related(
        Prefetch("documents", affidavits, to_attr="affidavits"),
        Prefetch("trip__documents", schedules.order_by("pk"), to_attr="papers"),
        "trip__itinerary",
        "payments",
    )
    register = Register()
    return [_pack(passenger, register.standing_of(passenger)) for passenger in rows]


def _pack(passenger: Any, standing: Standing) -> Pack:
    parts = (
        _licence(passenger, standing),
        _affidavit(passenger),
        _schedule(passenger.trip, standing.licence),
        _lodging(passenger.trip),
        _payments(passenger),
    )
    return Pack(passenger, parts)


# The parts


def _licence(passenger: Any, standing: Standing) -> Part:
    licence, trip = standing.licence, passenger.trip
    missing = () if standing.colour == "good" else (standing.sentence,)
    facts: list[tuple[str, Value]] = [
        ("Traveller", passenger.legal_name),
        ("Trip", str(trip)),
        ("First day", trip.departs_on),
        ("Last day", trip.ends_on),
        ("Licence that the traveller names", passenger.licence),
        ("How it stands", standing.sentence),
    ]
    if licence is not None:
        needs = (("an escort", licence.needs_escort), ("a full-time schedule", licence.needs_schedule))
        facts += [
            ("Citation", licence.citation),
            ("Valid from", licence.valid_from or "always so far"),
            ("Valid until", licence.valid_until or "until further notice"),
            ("Needs", ", ".join(what for what, asked in needs if asked) or "nothing more"),
        ]
        facts += [("Conditions", licence.conditions)] if licence.conditions.strip() else []
        facts += [("Escort", trip.escort)] if licence.needs_escort or trip.escort.strip() else []
    return Part("licence", "Licence", (("1-licence.pdf", _facts("Licence", passenger, facts)),), missing)


def _affidavit(passenger: Any) -> Part:
    """Only one that somebody has looked at and approved proves anything."""
    signed = [one for one in passenger.affidavits if not one.is_to_be_signed]
    held = [one for one in signed if one.state == DocumentState.APPROVED and one.file]
    files = tuple((f"2-affidavit-{number}{ending_of(one)}", stored(one)) for number, one in enumerate(held, 1))
    if files:
        return Part("affidavit", "Signed affidavit", files, ())
    if any(one.state in (DocumentState.RECEIVED, DocumentState.WITH_FORM) for one in signed):
        told = "An affidavit waits for a review."
    elif len(signed) < len(passenger.affidavits):
        told = "The affidavit that was made here has not come back signed."
    else:
        told = "No signed affidavit is here; add it to the documents."
    return Part("affidavit", "Signed affidavit", (), (told,))


def _schedule(trip: Any, licence: Licence | None) -> Part:
    """The itinerary as it is planned, and files of the trip that are named like one."""
    items = list(trip.itinerary.all())
    held = [one for one in trip.papers if any(word in one.original_name.casefold() for word in _SCHEDULE_WORDS)]
    files = [(f"3-schedule-file-{number}{ending_of(one)}", stored(one)) for number, one in enumerate(held, 1)]
    if items:
        rows = tuple(Row(f"itineraryitem:{one.pk}", "", tuple(col.read(one) for col in ITINERARY), ()) for one in items)
        table = Table("Schedule", str(trip), ITINERARY, rows, len(rows), (), (), ())
        files.insert(0, ("3-schedule.pdf", lambda stamp: pdf.write(table, stamp)))
    full_time = licence is not None and licence.needs_schedule
    if not files:
        asked = "The licence needs a full-time schedule" if full_time else "No schedule is here"
        told = f"{asked}; plan the itinerary, or add a file named “schedule” to the documents of the trip."
        return Part("schedule", "Schedule", (), (told,))
    planned = {one.day for one in items}
    empty = [_said(day) for day in each_day(trip) if day not in planned] if full_time and items else []
    missing = (f"The licence needs a full-time schedule; nothing is planned on {', '.join(empty)}.",) if empty else ()
    return Part("schedule", "Schedule", tuple(files), missing)


def _lodging(trip: Any) -> Part:
    missing = []
    if not trip.lodging.strip():
        missing.append("The trip names no lodging.")
    if trip.lodging_checked_on is None:
        missing.append("Nobody has noted when the lodging was looked up in the list of prohibited accommodations.")
    facts: list[tuple[str, Value]] = [
        ("Trip", str(trip)),
        ("First day", trip.departs_on),
        ("Last day", trip.ends_on),
        ("Nights", trip.nights),
        ("Lodging", trip.lodging),
        *([("Notes", trip.lodging_notes)] if trip.lodging_notes.strip() else []),
        ("Looked up in the list of prohibited accommodations on", trip.lodging_checked_on),
    ]
    return Part("lodging", "Lodging", (("4-lodging.pdf", _facts("Lodging", trip, facts)),), tuple(missing))


_LEDGER = (
    Column("day", "Day", lambda one: one.paid_on, Kind.DATE),
    Column("kind", "What", lambda one: one.get_kind_display()),
    Column("method", "How", lambda one: one.get_method_display()),
    Column("reference", "Reference", lambda one: one.reference),
    Column("amount", "Amount", lambda one: one.amount, Kind.MONEY),
    Column("currency", "Currency", lambda one: one.currency),
)


def _payments(passenger: Any) -> Part:
    entries = sorted(passenger.payments.all(), key=lambda one: (one.paid_on, one.pk))
    missing = () if entries else ("No payment is recorded.",)
    sums: dict[str, Decimal] = {}
    for one in entries:
        sign = -1 if one.kind == PaymentKind.REFUND else 1
        sums[one.currency] = sums.get(one.currency, Decimal(0)) + sign * one.amount
    totals = tuple(Total("Paid", money(amount, currency)) for currency, amount in sums.items())
    rows = tuple(Row(f"payment:{one.pk}", "", tuple(col.read(one) for col in _LEDGER), ()) for one in entries)
    table = Table("Payments", _about(passenger), _LEDGER, rows, len(rows), totals, (), ())
    files: tuple[tuple[str, Content], ...] = (
        ("5-payments.pdf", lambda stamp: pdf.write(table, stamp)),
        ("5-payments.csv", lambda _stamp: csv.write(table)),
    )
    return Part("payments", "Payments", files, missing)


def _facts(title: str, owner: Passenger | Trip, facts: Sequence[tuple[str, Value]]) -> Content:
    """One fact a line; a date as people write it."""
    columns = (Column("what", "What", str), Column("recorded", "As recorded", str))
    rows = tuple(
        Row(label, "", (label, _said(value)), () if _said(value) else ("As recorded",)) for label, value in facts
    )
    table = Table(title, _about(owner), columns, rows, len(rows), (), (), ())
    return lambda stamp: pdf.write(table, stamp)


def _about(owner: Passenger | Trip) -> str:
    return f"{owner}, {owner.trip}" if isinstance(owner, Passenger) else str(owner)


def _said(value: Value) -> str:
    if isinstance(value, dt.date):
        return formats.date_format(value, "j M Y")
    return "" if value is None else str(value)


def ending_of(document: Any) -> str:
    """How its name ends in a ZIP, by its type."""
    return TYPES.get(document.content_type, "")


def stored(document: Any) -> Content:
    """Reads the file as it was stored; that one raises NotAsStored."""

    def read(_stamp: Stamp) -> bytes:
        with opened(document) as file:
            return bytes(file.read())

    return read


# The ZIP

MANIFEST, SUMS = "manifest.txt", "SHA256SUMS"


def zipped(pack: Pack, stamp: Stamp) -> tuple[bytes, list[str]]:
    """The ZIP, and what it lacks: what was not there, and files that are not in storage as they were stored."""
    files: list[tuple[str, bytes]] = []
    missing = pack.missing
    for part in pack.parts:
        for name, content in part.files:
            try:
                files.append((name, content(stamp)))
            except NotAsStored as gone:
                missing.append(str(gone))
    files.insert(0, (MANIFEST, _manifest(pack, stamp, files, missing)))
    sums = "".join(f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in files)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, written in [*files, (SUMS, sums.encode())]:
            archive.writestr(name, written)
    return out.getvalue(), missing


def _manifest(pack: Pack, stamp: Stamp, files: Sequence[tuple[str, bytes]], missing: Sequence[str]) -> bytes:
    passenger, trip = pack.passenger, pack.passenger.trip
    days = f"{_said(trip.departs_on) or 'no first day'} to {_said(trip.ends_on) or 'no last day'}"
    lines = [
        "OFAC pack",
        f"Traveller: {passenger} (passenger no. {passenger.pk})",
        f"Trip: {trip} (trip no. {trip.pk}), {days}",
        f"Licence: {passenger.licence or 'none'}",
        f"Made by: {stamp}",
        f"Keep until: {_said(pack.keep_until) or f'{YEARS} years after the trip, whose last day is not known'}",
        "",
        "Files (SHA-256, bytes, name):",
        *(f"{hashlib.sha256(content).hexdigest()}  {len(content)}  {name}" for name, content in files),
        "",
        "MISSING:" if missing else "Nothing is missing.",
        *(f"- {sentence}" for sentence in missing),
        "",
        f"{SUMS} holds the same hashes and this file's: sha256sum -c {SUMS}",
    ]
    return "\n".join(lines).encode() + b"\n"
