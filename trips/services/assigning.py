"""What many rows are given at once: a vendor or organiser, a tag, a place in the archive."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.utils import timezone

from trips.enums import BatchKind
from trips.models import Contact, Trip, Vendor
from trips.services.plans import NotNow, Plan, Save, Skip, Step, without


def assigning(*, trips: Sequence[Trip], vendor: Vendor | None, organiser: Contact | None) -> Plan:
    """What is None stays as it is."""
    values: dict[str, Any] = {}
    if vendor is not None:
        values["vendor"] = vendor
    if organiser is not None:
        values["organiser"] = organiser
    skips = [
        Skip(trip, "Has it already.")
        for trip in trips
        if all(getattr(trip, f"{name}_id") == value.pk for name, value in values.items())
    ]
    what = " and ".join(f"{label} {values[name]}" for name, label in _LABELS.items() if name in values)
    steps = [Step(trip, values, _before(trip, values)) for trip in without(trips, skips)]
    return Plan(BatchKind.ASSIGN, f"Trips given {what}", steps, skips)


_LABELS = {"vendor": "vendor", "organiser": "lead organiser"}


def _before(trip: Trip, values: dict[str, Any]) -> str:
    """What somebody else had chosen, which a preview should not hide."""
    lost = [
        f"{_LABELS[name]} {getattr(trip, name)}"
        for name, value in values.items()
        if getattr(trip, f"{name}_id") not in {None, value.pk}
    ]
    return f"Instead of {' and '.join(lost)}." if lost else ""


def tagging(*, contacts: Sequence[Contact], tag: str, remove: bool = False) -> Plan:
    """Add one tag or take it off; the other tags of a contact stay as they are. Capitals make no other tag."""
    tag = tag.strip()
    skips = [Skip(one, "Has it not." if remove else "Has it already.") for one in contacts if _has(one, tag) != remove]
    title = f"Tag “{tag}” {'taken off' if remove else 'added'}"
    save = _tagged(tag, remove)
    steps = [Step(one, {"tags": _tags(one, tag, remove)}, save=save) for one in without(contacts, skips)]
    return Plan(BatchKind.TAG, title, steps, skips)


def _has(contact: Contact, tag: str) -> bool:
    return tag.casefold() in {str(known).casefold() for known in contact.tags}


def _tags(contact: Contact, tag: str, remove: bool) -> list[str]:
    kept = [known for known in contact.tags if str(known).casefold() != tag.casefold()]
    return kept if remove else [*contact.tags, tag]


def _tagged(tag: str, remove: bool) -> Save:
    def save(contact: Contact, fields: set[str]) -> None:
        # The row is held by now: a tag that came between the preview and this is not taken off again.
        held = Contact.objects.values_list("tags", flat=True).get(pk=contact.pk)
        contact.tags = held
        if _has(contact, tag) != remove:
            raise NotNow("Somebody did it meanwhile.")
        contact.tags = _tags(contact, tag, remove)
        contact.save(update_fields=fields)

    return save


def archiving(*, rows: Sequence[Trip | Vendor], archived: bool = True) -> Plan:
    """Put away those that are not yet, or take back those that are."""
    skips = [
        Skip(row, "Archived already." if archived else "Not archived.")
        for row in rows
        if (row.archived_at is not None) == archived
    ]
    steps = [Step(row, {"archived_at": timezone.now() if archived else None}) for row in without(rows, skips)]
    kind = str(rows[0]._meta.verbose_name_plural).capitalize() if rows else "Rows"
    title = f"{kind} {'archived' if archived else 'taken out of the archive'}"
    return Plan(BatchKind.ARCHIVE, title, steps, skips)
