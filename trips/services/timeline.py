"""What happened to a trip or a passenger, read from what is kept anyway: histories, notes, mails, lists that went out.

Each row of a history is held against the next older one of the same thing, and what differs is told in the words of the
forms. `may` decides about each model: who may not see one finds nothing of it, and its names stand as "not shown".
Values that a history does not keep (a passport's number, all of a health record) cannot be told by it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from django.db.models import QuerySet
from django.utils import formats, timezone
from django.utils.text import Truncator, capfirst

from trips.accounts import name_of
from trips.enums import FormState
from trips.models import (
    Cost,
    Document,
    EmergencyContact,
    Flight,
    HealthRecord,
    ItineraryItem,
    Note,
    Passenger,
    Passport,
    Payment,
    Reminder,
    Room,
    RoomingLock,
    RoomPlace,
    SentReport,
    Transfer,
    Trip,
    TripLeader,
)
from trips.permissions import sees_every_trip
from trips.scope import visible_to

May = Callable[[str], bool]
# So many rows of each history are read; the history page of a record has the older ones.
MOST_ROWS = 300
MOST_OF_A_VALUE = 200
NOTHING, MASKED = "nothing", "not shown"
NOT_KEPT = "Its values are not kept in the history."
DONE = {"+": "added", "~": "changed", "-": "removed"}
# Not editable, and yet somebody decided on it.
TOLD_ALL_THE_SAME = {"archived_at"}
# What a trip tells of its passengers; the rest is in their own timelines.
OF_A_TRIP = ("trip", "attendance", "stage")
# Rooms have no permissions of their own: their page is for whoever may see passengers.
GUARDS: dict[type[Any], str] = {
    **dict.fromkeys((Room, RoomPlace, RoomingLock), "trips.passenger"),
    TripLeader: "trips.trip",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One value's way; `before` is None where there was nothing to compare with."""

    label: str
    after: str
    before: str | None = None


@dataclass(slots=True)
class Event:
    """One thing that happened. `who` is a person, empty where nobody did it by hand; `way` is where it came from."""

    at: dt.datetime
    what: str
    who: str = ""
    way: str = ""
    steps: list[Step] = field(default_factory=list)
    note: str = ""
    trouble: bool = False
    note_id: int | None = None
    mine: bool = False
    kind: str = ""  # of a row of history: "+", "~" or "-"
    version: int | None = None  # of a row of the subject's own history that can be put back

    @property
    def by_itself(self) -> bool:
        return not self.who


@dataclass(frozen=True, slots=True)
class Source:
    """Rows of one model's history; `only` names the columns to tell, all of them when it is empty."""

    model: type[Any]
    rows: QuerySet[Any]
    only: tuple[str, ...] = ()
    owner: str = ""  # the column that leads to whose timeline it is, which says nothing there
    concerns: Callable[[Any], bool] | None = None
    own: bool = False  # of the subject itself


def of_trip(trip: Trip, may: May, user: Any) -> list[Event]:
    """The trip's own changes, its programme, rooms, papers and costs, who came and went, and its notes."""
    here = {"trip_id": trip.pk}
    ever = Passenger.history.filter(**here).order_by().values("id")
    if not sees_every_trip(user):  # who has left for another trip is somebody else's
        ever = visible_to(user, Passenger.objects.filter(pk__in=ever)).order_by().values("pk")
    sources = [
        Source(Trip, Trip.history.filter(id=trip.pk), own=True),
        *(
            _of(model, here)
            for model in (ItineraryItem, Flight, Transfer, Room, RoomingLock, Document, Cost, TripLeader)
        ),
        Source(
            Passenger,
            Passenger.history.filter(id__in=ever),
            OF_A_TRIP,
            concerns=lambda row: row.trip_id == trip.pk,
        ),
    ]
    sent = _lists(trip) if may("trips.sentreport") else []
    return _together([*_told(sources, may, user), *_notes(trip.notes.all(), may, user), *sent])


def of_passenger(passenger: Passenger, may: May, user: Any) -> list[Event]:
    """The passenger's own changes and those of their parts, payments, papers, mails, and their notes."""
    here = {"passenger_id": passenger.pk}
    parts = (Passport, HealthRecord, EmergencyContact, Document, Payment, Flight, RoomPlace)
    sources = [
        Source(Passenger, Passenger.history.filter(id=passenger.pk), own=True),
        *(_of(model, here) for model in parts),
    ]
    mails = _mails(passenger) if may("trips.reminder") else []
    forms = _forms(passenger) if may("trips.travellerform") else []
    return _together([*_told(sources, may, user), *_notes(passenger.notes.all(), may, user), *mails, *forms])


def _of(model: Any, where: dict[str, Any]) -> Source:
    return Source(model, model.history.filter(**where), owner=next(iter(where)))


def _together(events: Iterable[Event]) -> list[Event]:
    return sorted(events, key=lambda event: event.at, reverse=True)


# Histories


@dataclass(frozen=True, slots=True)
class _Change:
    """A row of history, the columns to tell with their values before and after, and whether it told anything else."""

    model: type[Any]
    row: Any
    pairs: list[tuple[Any, Any, Any]]  # field, before, after
    own: bool = False


def _told(sources: Sequence[Source], may: May, user: Any) -> list[Event]:
    changes = [
        change
        for source in sources
        if may(GUARDS.get(source.model, source.model._meta.label_lower))
        for change in _changes(source)
    ]
    names = _names(changes, may, user)
    return [_event(change, names) for change in changes]


def _changes(source: Source) -> Iterator[_Change]:
    """Each row against the next older one of the same thing; of the oldest that was read nothing is known."""
    newest = source.rows.select_related("history_user").order_by("-history_date", "-history_id")[:MOST_ROWS]
    fields = _fields(source)
    before: dict[int, Any] = {}
    for row in reversed(list(newest)):
        old = before.get(row.id)
        before[row.id] = row
        known = old is not None or row.history_type == "+"
        if not known or (source.concerns and not any(source.concerns(one) for one in (row, old) if one)):
            continue
        pairs = [] if row.history_type == "-" else _pairs(fields, old, row)
        if pairs or row.history_type != "~" or _hides(source.model):
            yield _Change(source.model, row, pairs, source.own)


def _fields(source: Source) -> list[Any]:
    kept: Any = source.model.history.model
    columns = {column.attname for column in kept._meta.concrete_fields}
    return [
        one
        for one in source.model._meta.concrete_fields
        if one.attname in columns and not one.primary_key and one.attname != source.owner
        if one.editable or one.name in TOLD_ALL_THE_SAME
        if not source.only or one.name in source.only
    ]


def _pairs(fields: Sequence[Any], old: Any, row: Any) -> list[tuple[Any, Any, Any]]:
    """What differs; of a new thing what was filled in."""
    found = []
    for one in fields:
        after = getattr(row, one.attname)
        past = getattr(old, one.attname) if old is not None else None
        if old is None and (after in (None, "", []) or after == one.get_default()):
            continue
        if past != after:
            found.append((one, past, after))
    return found


def _hides(model: type[Any]) -> bool:
    return model in (Passport, HealthRecord)


def _names(changes: Sequence[_Change], may: May, user: Any) -> dict[tuple[type[Any], int], str]:
    """What the rows that references name are called: one query a model."""
    wanted: dict[type[Any], set[int]] = {}
    for change in changes:
        for one, *values in change.pairs:
            if one.related_model is not None:
                wanted.setdefault(one.related_model, set()).update(value for value in values if value is not None)
    found: dict[tuple[type[Any], int], str] = {}
    for model, ids in wanted.items():
        label = model._meta.label_lower
        guard = GUARDS.get(model, label)
        # Who did something is told with every event; a user's name is no secret here.
        if ids and (may(guard) or label == "auth.user"):
            seen = {(model, row.pk): str(row) for row in visible_to(user, model._base_manager.filter(pk__in=ids))}
            # A row that is gone has a number for a name; to who does not see every trip it could be a hidden one.
            found |= seen if sees_every_trip(user) else {(model, pk): MASKED for pk in ids} | seen
        elif ids:
            found |= {(model, pk): MASKED for pk in ids}
    return found


def _event(change: _Change, names: dict[tuple[type[Any], int], str]) -> Event:
    row, kind = change.row, str(change.model._meta.verbose_name)
    name = _name_of(change.model, row)
    steps = [
        Step(
            str(one.verbose_name),
            _words(one, after, names),
            None if row.history_type == "+" else _words(one, before, names),
        )
        for one, before, after in change.pairs
    ]
    user = row.history_user
    return Event(
        row.history_date,
        f"{capfirst(kind)}{f' “{name}”' if name else ''} {DONE[row.history_type]}",
        name_of(user),
        row.history_change_reason or "",
        steps,
        NOT_KEPT if _hides(change.model) and row.history_type == "~" and not steps else "",
        kind=row.history_type,
        version=row.history_id if change.own and steps and row.history_type == "~" else None,
    )


def _name_of(model: type[Any], row: Any) -> str:
    """What tells this one from others of its kind; read off the row alone."""
    if model is Passenger:
        return " ".join(filter(None, (row.legal_first_name, row.legal_last_name)))
    if model is EmergencyContact:
        return " ".join(filter(None, (row.first_name, row.last_name)))
    if model is Document:
        return str(dict(Document._meta.get_field("kind").flatchoices).get(row.kind, row.kind))
    column = {ItineraryItem: "title", Flight: "number", Cost: "what", Room: "number"}.get(model)
    return str(getattr(row, column)) if column else ""


def _words(one: Any, value: Any, names: dict[tuple[type[Any], int], str]) -> str:
    """A value in the words of the forms."""
    if value is None or value in ("", []):
        return NOTHING
    if one.related_model is not None:
        return names.get((one.related_model, value), f"no. {value}")
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dt.datetime):
        return formats.date_format(timezone.localtime(value), "j M Y, H:i")
    if isinstance(value, dt.date):
        return formats.date_format(value, "j M Y")
    if isinstance(value, dt.time):
        return f"{value:%H:%M}"
    if isinstance(value, Decimal):
        return f"{value:,.2f}"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return Truncator(str(dict(one.flatchoices).get(value, value))).chars(MOST_OF_A_VALUE)


# What is no history


def _notes(notes: QuerySet[Note], may: May, user: Any) -> list[Event]:
    if not may("trips.note"):
        return []
    return [
        Event(
            note.created_at,
            "Note",
            name_of(note.by),
            note=note.text,
            note_id=note.pk,
            mine=note.by_id == user.pk,
        )
        for note in notes.select_related("by")[:MOST_ROWS]
    ]


def _mails(passenger: Passenger) -> list[Event]:
    """The text of a mail says what somebody lacks; its subject says enough."""
    found = passenger.reminders.select_related("by").defer("body")[:MOST_ROWS]
    return [
        Event(
            mail.created_at,
            f"E-mail, {mail.get_kind_display().lower()}: {mail.get_state_display().lower()}",
            name_of(mail.by),
            f"to {mail.recipient}",
            note=mail.subject,
            trouble=mail.state == Reminder.State.FAILED,
        )
        for mail in found
    ]


def _forms(passenger: Passenger) -> Iterator[Event]:
    """The steps of a traveller's own form; its answers are told by what was taken over of them."""
    found = passenger.traveller_forms.select_related("made_by", "reviewed_by").defer("answers", "base")
    for form in found[:MOST_ROWS]:
        yield Event(form.created_at, "Traveller form made", name_of(form.made_by))
        if form.sent_in_at:
            signed = f"Signed by {form.signed_name}." if form.signed_name else ""  # a withdrawn one has forgotten it
            yield Event(form.sent_in_at, "Traveller form sent in", note=signed)
        if form.reviewed_at:
            done = "sent back" if form.state == FormState.OPEN else form.get_state_display().lower()
            note = form.sent_back_reason if form.state == FormState.OPEN else ""
            yield Event(form.reviewed_at, f"Traveller form {done}", name_of(form.reviewed_by), note=note)


def _lists(trip: Trip) -> list[Event]:
    found = SentReport.objects.filter(trip=trip).select_related("by").defer("rows")[:MOST_ROWS]
    return [
        Event(
            copy.created_at,
            f"{copy.title} kept as sent",
            name_of(copy.by),
            f"{copy.get_format_display()}, {copy.row_count} rows",
        )
        for copy in found
    ]
