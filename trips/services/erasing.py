"""Erasing a person: everything that may go goes, what must stay stays with as little in it as it can.

`decide` says what would happen, `erase` does exactly that or nothing. There is no undo: every copy that an undo would
need is taken away with it. A contact often stands for others, too (a parent who booked, an agent), so whoever erases
says which of the bookings are this person's; those of the contact's own name are suggested.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction
from django.utils import formats, timezone

from trips.enums import FAILED, HANDED_IN, SEATED, DocumentKind
from trips.models import Contact, ContactsApart, Document, Erasure, Passenger, Payment, Trip
from trips.services import elsewhere, licences, traces
from trips.services.elsewhere import Outcome, Rows, Stay
from trips.text import fold_search

PERMISSION = "trips.erase_person"
FIRST, LAST = "Erased", "person"
# So short a word is in too many others.
_SHORTEST = 5
# What a contact and a passenger lose; the name is dealt with apart.
_OF_CONTACT = (
    "company_name", "email", "phone", "address_line1", "city", "state", "postal_code", "country", "website", "tags",
    "source", "notes",
)  # fmt: skip
_OF_PASSENGER = (
    "preferred_name", "legacy_passenger_id", "date_of_birth", "sex", "is_child", "guardian", "birth_country",
    "details_submitted_on", "occupancy", "roommate_request",
)  # fmt: skip
_NAMES = ("legal_first_name", "legal_middle_name", "legal_last_name")


class Refused(ValueError):
    """Not erased; the sentence says why and what to do."""


@dataclass(frozen=True, slots=True)
class Fate:
    """One booking: what keeps it here, if anything does."""

    passenger: Passenger
    payments: int
    licensed: bool

    @property
    def stays(self) -> bool:
        return bool(self.payments) or self.licensed


@dataclass(frozen=True, slots=True)
class Plan:
    """`waits` are the reasons for which it cannot be done now; `others` are bookings that may be the same person's."""

    contact: Contact
    itself: bool
    fates: tuple[Fate, ...]
    outcome: Outcome
    goes: dict[str, int]
    stays: tuple[Stay, ...]
    waits: tuple[str, ...]
    others: tuple[Passenger, ...] = field(default=())

    @property
    def shown(self) -> str:
        """Tells whether what would happen is still what somebody has before them."""
        told = [self.contact.pk, self.itself, sorted(self.goes.items()), [stay.what for stay in self.stays]]
        rows = [sorted(ids) for part in (self.outcome.gone, self.outcome.reduced) for ids in _ids(part)]
        return hashlib.sha256(json.dumps([told, rows]).encode()).hexdigest()


def contacts_of(contact: Contact) -> list[Contact]:
    """The contact and the duplicates that it stands for."""
    return [contact, *Contact.objects.filter(merged_into=contact).order_by("pk")]


def bookings_of(contact: Contact) -> list[Passenger]:
    """All that hang on the contact, the newest first: some may be other people's."""
    rows = Passenger.objects.filter(contact__in=contacts_of(contact)).select_related("trip", "contact")
    return list(rows.order_by("-pk"))


def own_bookings(contact: Contact, bookings: Iterable[Passenger]) -> set[int]:
    """Those of the contact's own name."""
    names = {_key(one) for one in contacts_of(contact)} - {""}
    return {one.pk for one in bookings if one.name_key in names}


def _key(contact: Contact) -> str:
    return fold_search(contact.first_name, contact.last_name)


def decide(*, contact: Contact, itself: bool, chosen: Collection[int], today: dt.date | None = None) -> Plan:
    """What erasing would do: `itself` the contact's own data, `chosen` which of its bookings. Changes nothing."""
    today = today or timezone.localdate()
    bookings = [one for one in bookings_of(contact) if one.pk in set(chosen)]
    fates = tuple(_fate(one, today) for one in bookings)
    outcome = _outcome(contact, itself, fates)
    reasons = [*_reasons(contact, itself, fates, today), *(w for s in elsewhere.shares() for w in s.waits(outcome))]
    return Plan(
        contact,
        itself,
        fates,
        outcome,
        _goes(fates, outcome),
        tuple(_stays(contact, itself, fates, outcome)),
        tuple(reasons),
        tuple(_others(contact, bookings)),
    )


def _fate(passenger: Passenger, today: dt.date) -> Fate:
    return Fate(passenger, passenger.payments.count(), licences.has_record(passenger, today))


def _outcome(contact: Contact, itself: bool, fates: Collection[Fate]) -> Outcome:
    stay = tuple(fate.passenger.pk for fate in fates if fate.stays)
    go = tuple(fate.passenger.pk for fate in fates if not fate.stays)
    if not itself:
        return Outcome(Rows((), go), Rows((), stay), _names(None, fates))
    contacts = tuple(one.pk for one in contacts_of(contact))
    former = tuple(_former(contact, contacts))
    names = _names(contact, fates)
    if _is_needed(contact, fates):
        return Outcome(Rows((), go + former), Rows(contacts, stay), names)
    return Outcome(Rows(contacts, go + former), Rows((), stay), names)


def _is_needed(contact: Contact, fates: Collection[Fate]) -> bool:
    """Whether a row stays that names the contact, or one of the duplicates that it stands for."""
    going = [fate.passenger.pk for fate in fates if not fate.stays]
    contacts = contacts_of(contact)
    return (
        Passenger.objects.filter(contact__in=contacts).exclude(pk__in=going).exists()
        or Trip.objects.filter(organiser__in=contacts).exists()
    )


def _former(contact: Contact, contacts: Collection[int]) -> list[int]:
    """Bookings of the contact's own name that were deleted before; histories still tell of them."""
    keys = {_key(one) for one in contacts_of(contact)} - {""}
    entries = Passenger.history.filter(contact_id__in=contacts)
    found = {
        pk
        for pk, first, last in entries.values_list("id", "legal_first_name", "legal_last_name")
        if fold_search(first, last) in keys
    }
    return sorted(found - set(Passenger.objects.filter(pk__in=found).values_list("pk", flat=True)))


def _names(contact: Contact | None, fates: Iterable[Fate]) -> tuple[str, ...]:
    """What told who it was, the longest first. Of somebody whose record keeps the name, the name may stay written."""
    found: set[str] = set()
    for fate in fates:
        one = fate.passenger
        if not fate.licensed:
            found |= {one.legal_name, f"{one.legal_first_name} {one.legal_last_name}"}
    for owner in contacts_of(contact) if contact is not None else ():
        found |= {owner.full_name, owner.company_name, owner.email, owner.phone}
    told = {name.strip() for name in found}
    return tuple(sorted((name for name in told if len(name) >= _SHORTEST), key=lambda name: (-len(name), name)))


def _reasons(contact: Contact, itself: bool, fates: Collection[Fate], today: dt.date) -> list[str]:
    found = [] if itself or fates else ["Nothing is ticked. Tick what is this person’s."]
    if contact.merged_into is not None:
        found.append(f"It was merged into “{contact.merged_into}”. Erase that contact; this one goes with it.")
    for fate in fates:
        trip = fate.passenger.trip
        if trip is not None and fate.passenger.attendance in SEATED and _goes_on(trip, today):
            found.append(f"{fate.passenger} is booked on “{trip}”, which is not over. Cancel the booking first.")
    led = Trip.objects.filter(organiser__in=contacts_of(contact)) if itself else Trip.objects.none()
    for trip in led:
        if _goes_on(trip, today):
            found.append(f"They lead “{trip}”, which is not over. Choose another lead organiser first.")
    return found


def _goes_on(trip: Trip, today: dt.date) -> bool:
    last = trip.ends_on or trip.departs_on
    return trip.status not in FAILED and trip.archived_at is None and (last is None or last >= today)


def _goes(fates: Collection[Fate], outcome: Outcome) -> dict[str, int]:
    """How many of each kind go, by what they are called."""
    found: Counter[str] = Counter()
    found["contacts"] += len(outcome.gone.contacts)
    found["passengers"] += sum(not fate.stays for fate in fates)
    for fate in fates:
        for model, column in traces.parts():
            found[str(model._meta.verbose_name_plural)] += len(_going(model, column, fate))
    found.update(traces.count(_traced(fates, outcome)))
    for share in elsewhere.shares():
        found.update(share.goes(outcome))
    return {name: number for name, number in found.items() if number}


def _going(model: type[Any], column: str, fate: Fate) -> list[Any]:
    """The rows of one part that go. What the licence asks for are the signed affidavit and the payments."""
    if model is Payment:
        return []
    rows = list(model._base_manager.filter(**{column: fate.passenger}))
    return [row for row in rows if not (model is Document and _is_kept(row, fate))]


def _is_kept(document: Document, fate: Fate) -> bool:
    signed = document.kind == DocumentKind.AFFIDAVIT and not document.is_to_be_signed
    return fate.licensed and signed and document.state in HANDED_IN


def _traced(fates: Collection[Fate], outcome: Outcome) -> traces.Traced:
    """The rows whose traces go: all but those of payments and kept affidavits."""
    traced = traces.of_passengers([*outcome.gone.passengers, *outcome.reduced.passengers])
    traced.pop(Payment, None)
    for fate in fates:
        for document in Document.objects.filter(passenger=fate.passenger):
            if _is_kept(document, fate):
                traced[Document].discard(document.pk)
    traced[Contact] = {*outcome.gone.contacts, *outcome.reduced.contacts}
    return traced


def _stays(contact: Contact, itself: bool, fates: Collection[Fate], outcome: Outcome) -> list[Stay]:
    found = []
    for fate in fates:
        found += _kept_of(fate)
    if itself and outcome.reduced.contacts:
        found.append(Stay(f"Contact no. {contact.pk} as “{FIRST} {LAST}”", "What stays, or somebody else, names it."))
    found.append(Stay("Who opened their data and when, with their numbers", "The read log only grows."))
    found.append(
        Stay(
            "What others wrote about them in free text",
            "Notes of trips, room-mate wishes and emergency contacts of others: search for the name.",
        )
    )
    return [*found, *(stay for share in elsewhere.shares() for stay in share.stays(outcome))]


def _kept_of(fate: Fate) -> list[Stay]:
    one, found = fate.passenger, []
    if fate.licensed and one.trip is not None:
        until = licences.kept_until(one.trip)
        told = formats.date_format(until, "j M Y") if until else f"{licences.YEARS} years after its last day"
        what = f"Name, trip, licence and signed affidavit of passenger no. {one.pk}, and the trip’s schedule"
        found.append(Stay(what, "Records of travel under a licence (31 CFR 501.601)", told))
    if fate.payments:
        whose = "" if fate.licensed else ", without the name"
        noun = "payment" if fate.payments == 1 else "payments"
        found.append(
            Stay(f"{fate.payments} {noun} of passenger no. {one.pk}{whose}", "The books", "as long as they do")
        )
    return found


def _others(contact: Contact, bookings: Iterable[Passenger]) -> list[Passenger]:
    """Bookings under other contacts with the same name and date of birth."""
    found: dict[int, Passenger] = {}
    mine = [one.pk for one in contacts_of(contact)]
    for key, born in {(one.name_key, one.date_of_birth) for one in bookings if one.name_key and one.date_of_birth}:
        rows = Passenger.objects.filter(name_key=key, date_of_birth=born).exclude(contact__in=mine)
        found |= {one.pk: one for one in rows.select_related("contact", "trip")}
    return list(found.values())


# The deed


@transaction.atomic
def erase(*, contact_id: int, itself: bool, chosen: Collection[int], shown: str, by: Any) -> Erasure:
    """Do what `decide` said. Raises Refused, with nothing done, where it would come to something else by now."""
    contact = Contact.objects.select_for_update().filter(pk=contact_id).first()
    if contact is None:
        raise Refused("The contact was deleted meanwhile.")
    held = Passenger.objects.select_for_update(of=("self",)).filter(pk__in=chosen).order_by("pk")
    list(held.values_list("pk", flat=True))
    plan = decide(contact=contact, itself=itself, chosen=chosen)
    if plan.waits:
        raise Refused(plan.waits[0])
    if plan.shown != shown:
        raise Refused("Something of it was changed since you looked. This is how it stands now: look again.")
    traced = _traced(plan.fates, plan.outcome)
    ids = sorted(fate.passenger.pk for fate in plan.fates)
    for fate in plan.fates:
        (_reduce if fate.stays else _remove)(fate, by)
    _let_go_of_contacts(plan, by)
    standing: traces.Traced = {Passenger: set(plan.outcome.reduced.passengers)}
    standing[Contact] = set(plan.outcome.reduced.contacts)
    traces.wipe(traced, standing=standing)
    keys = {f"passenger:{pk}" for pk in plan.outcome.all.passengers} | {
        f"contact:{pk}" for pk in plan.outcome.all.contacts
    }
    lists = traces.forget_names(plan.outcome.names, rows=keys)
    for share in elsewhere.shares():
        share.erase(plan.outcome)
    counts = {**plan.goes, **({"lists as sent, without their rows": lists} if lists else {})}
    return Erasure.objects.create(kind=Erasure.Kind.PERSON, by=by, contact_id=contact.pk, passengers=ids, counts=counts)


def _remove(fate: Fate, by: Any) -> None:
    """The ordinary delete, which takes all that hangs on the passenger along."""
    fate.passenger._history_user = by  # type: ignore[attr-defined]
    fate.passenger.delete()


def _reduce(fate: Fate, by: Any) -> None:
    for model, column in traces.parts():
        for row in _going(model, column, fate):
            row.delete()
    one: Any = fate.passenger
    columns = _OF_PASSENGER if fate.licensed else (*_OF_PASSENGER, *_NAMES, "licence")
    _empty(one, columns)
    if not fate.licensed:
        one.legal_first_name, one.legal_last_name = FIRST, LAST
    _save(one, columns, by)


def _let_go_of_contacts(plan: Plan, by: Any) -> None:
    ids = plan.outcome.all.contacts
    for ward in Passenger.objects.filter(guardian__in=ids):
        ward.guardian = None
        _save(ward, ["guardian"], by, why="")
    # Duplicates first: the contact that stands for them is needed by them.
    going = Contact.objects.filter(pk__in=plan.outcome.gone.contacts)
    for one in sorted(going, key=lambda row: row.merged_into_id is None):
        one.delete()
    for one in Contact.objects.filter(pk__in=plan.outcome.reduced.contacts):
        ContactsApart.objects.filter(first=one).delete()
        ContactsApart.objects.filter(second=one).delete()
        _empty(one, _OF_CONTACT)
        one.first_name, one.last_name = FIRST, LAST
        _save(one, [*_OF_CONTACT, "first_name", "last_name"], by)


def _empty(row: Any, columns: Iterable[str]) -> None:
    for name in columns:
        column = row._meta.get_field(name)
        setattr(row, name, None if column.null else column.get_default())


def _save(row: Any, columns: Iterable[str], by: Any, why: str = "Erased") -> None:
    row._history_user, row._change_reason = by, why
    row.save(update_fields=[*columns])


def _ids(rows: Rows) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return rows.contacts, rows.passengers
