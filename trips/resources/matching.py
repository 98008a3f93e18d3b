"""Who of the people in a file is known already: one look at the database for a whole file, then no query a row.

A person is found by e-mail, then by phone, then by name and date of birth. Whoever only looks like somebody (the same
name under another e-mail, the same birthday and last name, somebody's phone) is a suspected twin, and staff decide.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Q
from django.db.models.functions import Lower

from trips.models import Contact, Passenger
from trips.text import fold_name

CHUNK = 500


@dataclass(frozen=True, slots=True)
class Person:
    """What a row says of somebody."""

    first_name: str = ""
    last_name: str = ""
    email: str = ""
    phone: str = ""
    born: dt.date | None = None

    @property
    def name(self) -> tuple[str, str]:
        return fold_name(self.first_name), fold_name(self.last_name)


class Ambiguous(ValueError):
    """Several contacts fit equally well."""


class People:
    """The contacts that the people of a file may be."""

    def __init__(self, persons: Iterable[Person]) -> None:
        self._by_email: dict[str, list[Contact]] = defaultdict(list)
        self._by_phone: dict[str, list[Contact]] = defaultdict(list)
        self._by_last: dict[str, list[Contact]] = defaultdict(list)
        # Last name folded → (first name folded, date of birth, contact) of everybody who travelled.
        self._travelled: dict[str, list[tuple[str, dt.date | None, Contact]]] = defaultdict(list)
        everybody = list(persons)
        for start in range(0, len(everybody), CHUNK):
            self._load(everybody[start : start + CHUNK])

    def _load(self, persons: list[Person]) -> None:
        emails = {person.email for person in persons if person.email}
        phones = {person.phone for person in persons if person.phone}
        # SQLite lowers no accents: both spellings are asked for, and what comes is folded here.
        lasts = {form for person in persons if person.last_name for form in _forms(person.last_name)}
        born = {person.born for person in persons if person.born}
        named = Q(lowered__in=lasts) | Q(last_name__in=lasts)
        found = (
            Contact.objects.standing()
            .annotate(lowered=Lower("last_name"))
            .filter(Q(email__in=emails) | Q(phone__in=phones) | named)
        )
        for contact in found.order_by("pk"):
            self.add(contact)
        legal = Q(lowered__in=lasts) | Q(legal_last_name__in=lasts)
        travelled = Passenger.objects.annotate(lowered=Lower("legal_last_name")).filter(
            legal | Q(date_of_birth__in=born), contact__merged_into__isnull=True
        )
        for passenger in travelled.select_related("contact").order_by("pk"):
            self.add_traveller(passenger)

    def add(self, contact: Contact) -> None:
        """Know this contact from now on; those of earlier rows of the file are added as they are taken."""
        for index, key in (
            (self._by_email, contact.email),
            (self._by_phone, contact.phone),
            (self._by_last, fold_name(contact.last_name)),
        ):
            if key and not any(_same(contact, other) for other in index[key]):
                index[key].append(contact)

    def add_traveller(self, passenger: Passenger) -> None:
        entry = (fold_name(passenger.legal_first_name), passenger.date_of_birth, passenger.contact)
        self._travelled[fold_name(passenger.legal_last_name)].append(entry)

    def find(self, person: Person) -> tuple[Contact | None, str]:
        """The contact and by what it was found. Raises Ambiguous when several fit."""
        for by, found in (
            ("e-mail", self._by_email.get(person.email, []) if person.email else []),
            ("phone", self._fitting_phone(person)),
            ("name and date of birth", self._by_birth(person)),
        ):
            if found:
                return self._one_of(found, person, by), by
        return None, ""

    def _fitting_phone(self, person: Person) -> list[Contact]:
        """A phone is a family's: it finds somebody of that last name, or anybody when the row has no other address."""
        found = self._by_phone.get(person.phone, []) if person.phone else []
        if not person.email:
            return found
        return [contact for contact in found if fold_name(contact.last_name) == person.name[1]]

    def _by_birth(self, person: Person) -> list[Contact]:
        if not person.born:
            return []
        first, last = person.name
        found = [
            contact for known, born, contact in self._travelled.get(last, []) if (known, born) == (first, person.born)
        ]
        return list({contact.pk: contact for contact in found}.values())

    def _one_of(self, found: list[Contact], person: Person, by: str) -> Contact:
        named = [
            contact for contact in found if (fold_name(contact.first_name), fold_name(contact.last_name)) == person.name
        ]
        fitting = named or found
        if len(fitting) == 1:
            return fitting[0]
        listed = ", ".join(f"{contact} (no. {contact.pk})" for contact in fitting[:5])
        raise Ambiguous(
            f"{len(fitting)} contacts have this {by}: {listed}. Give the contact’s key, or merge them first."
        )

    def twin(self, person: Person) -> str:
        """Why an unknown person may be a known one after all; empty when nothing says so."""
        first, last = person.name
        for contact in self._by_last.get(last, []) if first else []:
            if fold_name(contact.first_name) == first:
                return f"The same name as {_called(contact)}."
        for known, born, contact in self._travelled.get(last, []):
            if known == first:
                return f"The same name as a passenger of {_called(contact)}."
            if born and born == person.born:
                return f"The same last name and date of birth as a passenger of {_called(contact)}."
        for contact in self._by_phone.get(person.phone, []) if person.phone else []:
            return f"The same phone as {_called(contact)}."
        return ""


def _forms(name: str) -> set[str]:
    return {name, name.strip(), name.strip().lower(), fold_name(name)}


def _same(one: Contact, other: Contact) -> bool:
    return one is other or (one.pk is not None and one.pk == other.pk)


def _called(contact: Contact) -> str:
    where = contact.email or contact.phone
    return f"{contact} (no. {contact.pk}{', ' + where if where else ''})" if contact.pk else f"{contact} of this file"
