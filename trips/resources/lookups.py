"""References in a file: trips, vendors, contacts and passengers by key, name or e-mail, each looked up once a file."""

from __future__ import annotations

import uuid
from typing import Any

from django.db.models import Q
from django.utils import formats

from trips.models import Contact, Trip, Vendor
from trips.resources.readers import Reader
from trips.text import fold_name


def key_of(text: str) -> uuid.UUID | None:
    """The key in `text`; None when it is none."""
    try:
        return uuid.UUID(text.strip())
    except ValueError:
        return None


class Reference(Reader):
    """Remembers what it found: a file names the same trip five hundred times."""

    what = "row"

    def __init__(self) -> None:
        super().__init__()
        self._found: dict[str, Any] = {}

    def read(self, text: str) -> Any:
        if text not in self._found:
            self._found[text] = self._one(super().read(text))
        return self._found[text]

    def _one(self, text: str) -> Any:
        key = key_of(text)
        found = list((self.by_key(key) if key else self.named(text))[:6])
        if not found:
            raise ValueError(f"There is no {self.what} {text!r}. {self.hint}")
        if len(found) > 1:
            listed = ", ".join(f"{self.called(row)}" for row in found)
            raise ValueError(f"Several {self.what}s are called {text!r}: {listed}. Give the key of one.")
        return found[0]

    hint = "Add it first, or mend the name."

    def by_key(self, key: uuid.UUID) -> Any:
        raise NotImplementedError

    def named(self, text: str) -> Any:
        raise NotImplementedError

    def called(self, row: Any) -> str:
        return f"{row} (no. {row.pk})"


class TripReader(Reference):
    what = "trip"

    def by_key(self, key: uuid.UUID) -> Any:
        return Trip.objects.filter(uid=key)

    def named(self, text: str) -> Any:
        return Trip.objects.filter(name_key=fold_name(text)[:255]).order_by("pk")

    def called(self, row: Trip) -> str:
        when = formats.date_format(row.departs_on) if row.departs_on else "no dates"
        return f"no. {row.pk}, {when}, key {row.uid}"


class VendorReader(Reference):
    what = "vendor"

    def by_key(self, key: uuid.UUID) -> Any:
        return Vendor.objects.none()  # vendors have no keys

    def named(self, text: str) -> Any:
        return Vendor.objects.filter(name_key=fold_name(text)[:255])


class ContactReader(Reference):
    """By key, e-mail or full name."""

    what = "contact"
    hint = "Name it by its e-mail address, its key or its full name, or add it first."

    def by_key(self, key: uuid.UUID) -> Any:
        found = Contact.objects.of_key(key)
        return [found] if found else []

    def named(self, text: str) -> Any:
        if "@" in text:
            return Contact.objects.standing().filter(email=text.lower()).order_by("pk")
        first, _space, last = text.partition(" ")
        splits = Q(first_name__iexact=first, last_name__iexact=last) | Q(company_name__iexact=text)
        words = text.split(" ")
        for cut in range(2, len(words)):
            splits |= Q(first_name__iexact=" ".join(words[:cut]), last_name__iexact=" ".join(words[cut:]))
        return Contact.objects.standing().filter(splits).order_by("pk")

    def render(self, value: Any, obj: Any = None, **kwargs: Any) -> Any:
        return "" if value is None else (value.email or str(value.uid))
