"""All that is kept of one person, to be handed to them: as JSON for machines, as a sheet for people, and the files.

Parts are found by what refers to a passenger, so a model that is added later is in it without anybody thinking of it.
Left out: which members of staff wrote something, links that open files elsewhere, and what only serves the machine.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.auth import get_user_model
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import Model
from django.utils import formats, timezone

from trips.models import Contact, Document, Passenger, SentReport, Trip
from trips.reports import pdf
from trips.reports.ofac import NotAsStored, ending_of, stored
from trips.reports.stamp import Stamp
from trips.reports.table import Column, Row, Table
from trips.services import elsewhere, erasing, traces

PERMISSION = "trips.export_person"
NEEDS = (
    "trips.contact", "trips.passenger", "trips.trip", "trips.passport", "trips.healthrecord", "trips.emergencycontact",
    "trips.document", "trips.payment", "trips.note", "trips.flight", "trips.room", "trips.roomplace", "trips.reminder",
    "trips.travellerform",
)  # fmt: skip
FORMAT = "tripbuilder-person-1"
# Columns that say nothing of the person: computed ones, and the hash that knows a link again.
_LEFT_OUT = {"search_key", "name_key", "flags", "file", "remote_url", "secret_hash", "ledger_sum", "ledger_currency"}
# A cell of the sheet must fit on a page.
_CELL = 1200


@dataclass(frozen=True, slots=True)
class Person:
    """What to hand over: the contact's own data where it is theirs, and these bookings."""

    contact: Contact
    itself: bool
    bookings: tuple[Passenger, ...]


@dataclass(frozen=True, slots=True)
class Export:
    """Files by name, none of which tells of anybody; `missing` are sentences about files that are not as stored."""

    files: list[tuple[str, bytes]]
    missing: list[str]


def export(person: Person, stamp: Stamp) -> Export:
    data = collect(person)
    made: list[tuple[str, bytes]] = []
    missing: list[str] = []
    for document in _documents(person):
        try:
            made.append((f"files/{document.pk}{ending_of(document)}", stored(document)(stamp)))
        except NotAsStored as gone:
            missing.append(str(gone))
    data["files_missing"] = missing
    text = json.dumps(data, cls=DjangoJSONEncoder, ensure_ascii=False, indent=2)
    return Export([("person.json", text.encode()), ("person.pdf", _sheet(data, stamp)), *made], missing)


def collect(person: Person) -> dict[str, Any]:
    """Everything but the bytes of the files, as plain values; dates and amounts are Python's own."""
    contacts = erasing.contacts_of(person.contact) if person.itself else []
    rows = elsewhere.Rows(tuple(one.pk for one in contacts), tuple(one.pk for one in person.bookings))
    wards = Passenger.objects.filter(guardian__in=contacts).order_by("pk").values_list("pk", flat=True)
    return {
        "format": FORMAT,
        "made_at": timezone.now(),
        "contacts": [_columns(one) for one in contacts],  # the second and later ones were merged into the first
        "leads_trips": [str(trip) for trip in Trip.objects.filter(organiser__in=contacts).order_by("pk")],
        "guardian_of_passengers_no": list(wards),
        "bookings": [_booking(one) for one in person.bookings],
        "lists_sent": _lists(rows),
        "history": _history(rows),
        "elsewhere": {share.name: share.facts(rows) for share in elsewhere.shares()},
    }


def _booking(passenger: Passenger) -> dict[str, Any]:
    trip = passenger.trip
    found: dict[str, Any] = {
        "passenger": _columns(passenger),
        "trip": None if trip is None else _of_trip(trip),
    }
    for model, column in traces.parts():
        rows = list(model._base_manager.filter(**{column: passenger}).order_by("pk"))
        found[str(model._meta.verbose_name_plural)] = [_part(row, column) for row in rows]
    return found


def _of_trip(trip: Trip) -> dict[str, Any]:
    names = ("name", "destination", "start_date", "end_date", "arrival_date", "return_date")
    return {name: getattr(trip, name) for name in names}


def _part(row: Any, column: str) -> dict[str, Any]:
    found = {name: value for name, value in _columns(row).items() if name != column}
    if isinstance(row, Document):
        found["file"] = f"files/{row.pk}{ending_of(row)}" if row.file else None
    return found


def _columns(row: Model) -> dict[str, Any]:
    """The columns of a row: what it refers to by its name, a choice by its code; whoever of the staff wrote it not."""
    found: dict[str, Any] = {"no": row.pk}
    for column in row._meta.concrete_fields:
        if column.primary_key or column.name in _LEFT_OUT or column.related_model is get_user_model():
            continue
        value = getattr(row, column.name)
        found[column.name] = str(value) if isinstance(value, Model) else value
    return found


def _documents(person: Person) -> Iterator[Document]:
    for one in person.bookings:
        yield from one.documents.exclude(file="").order_by("pk")


def _lists(rows: elsewhere.Rows) -> list[dict[str, Any]]:
    """The lists in which they went out to others: which one, about what, and when."""
    keys = {f'"passenger:{pk}"' for pk in rows.passengers} | {f'"contact:{pk}"' for pk in rows.contacts}
    return [
        {"list": copy.title, "about": copy.about, "sent_at": copy.created_at}
        for copy in SentReport.objects.order_by("pk").iterator()
        if any(key in copy.rows for key in keys)
    ]


def _history(rows: elsewhere.Rows) -> list[dict[str, Any]]:
    """When which part was made, changed or deleted."""
    traced = traces.of_passengers(rows.passengers)
    traced[Contact] = set(rows.contacts)
    words = {"+": "made", "~": "changed", "-": "deleted"}
    found = [
        {"part": str(model._meta.verbose_name), "no": pk, "what": words[kind], "at": at}
        for model, ids in traced.items()
        if traces.has_history(model)
        for pk, kind, at in model.history.filter(id__in=ids).values_list("id", "history_type", "history_date")
    ]
    return sorted(found, key=lambda entry: (entry["at"], entry["part"], entry["no"]))


# The sheet

_COLUMNS = (Column("part", "Part", str), Column("what", "What", str), Column("recorded", "As recorded", str))


def _sheet(data: dict[str, Any], stamp: Stamp) -> bytes:
    lines = [line for key, value in data.items() if key != "format" for line in _lines([key], value)]
    rows = tuple(Row(f"line:{at}", "", line, ()) for at, line in enumerate(lines))
    table = Table("All that is kept of a person", "", _COLUMNS, rows, len(rows), (), (), ())
    return pdf.write(table, stamp, confidential=True)


def _lines(way: Sequence[str], value: Any) -> Iterator[tuple[str, str, str]]:
    """One line a value; what holds others opens into theirs, and what is empty is left out."""
    if isinstance(value, dict):
        for key, held in value.items():
            yield from _lines([*way, str(key)], held)
    elif isinstance(value, list) and any(isinstance(held, dict | list) for held in value):
        for number, held in enumerate(value, 1):
            yield from _lines([*way, str(number)], held)
    elif value not in (None, "", []):
        text = _said(value)
        for start in range(0, len(text), _CELL):
            yield _words(way[:-1]), _words(way[-1:]), text[start : start + _CELL]


def _words(way: Collection[str]) -> str:
    return " ".join(part.replace("_", " ") for part in way)


def _said(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dt.datetime):
        return formats.date_format(timezone.localtime(value), "j M Y, H:i")
    if isinstance(value, dt.date):
        return formats.date_format(value, "j M Y")
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
