"""Two contacts that are one person become one: fields chosen side by side, what hangs on the one moved to the other.

Nothing is deleted. The duplicate is marked with the contact that stands for it and is out of every list from then on,
so a merge is a batch of changed values like any other and is undone like any other.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction
from django.db.models import Model, QuerySet

from trips.encryption import keyed_hash
from trips.enums import Attendance, BatchKind, BatchOutcome
from trips.models import Batch, BatchRow, Contact, ContactsApart, Passenger, Trip
from trips.services import duplicates
from trips.services.batches import Recorder, recorded

# What is chosen of either contact, in the order of the page; of some both may be kept.
FIELDS = (
    "first_name",
    "last_name",
    "company_name",
    "email",
    "phone",
    "address_line1",
    "city",
    "state",
    "postal_code",
    "country",
    "website",
    "tags",
    "do_not_contact",
    "notes",
)
BOTH_FIELDS = ("tags", "notes")
KEEP, DROP, BOTH = "keep", "drop", "both"
# Every column that names a contact: those that follow it into the other one, and those that do not.
MOVED: tuple[tuple[type[Model], str], ...] = (
    (Passenger, "contact"),
    (Passenger, "guardian"),
    (Trip, "organiser"),
    (Contact, "merged_into"),
)
STAYS: tuple[tuple[type[Model], str], ...] = ((ContactsApart, "first"), (ContactsApart, "second"))
PERMISSIONS = ("trips.change_contact", "trips.change_passenger")


def told_apart(one: Contact, other: Contact) -> tuple[str, str]:
    """What each is called beside the other: where both have one name by the e-mail, too, or else by the number."""
    if str(one) != str(other):
        return str(one), str(other)
    by_mail = one.email and other.email and one.email != other.email
    marks = (one.email, other.email) if by_mail else (f"no. {one.pk}", f"no. {other.pk}")
    return f"{one} ({marks[0]})", f"{other} ({marks[1]})"


class Refused(Exception):
    """The two are not merged; the words say why and what to do. `trips` are those that both of them are on."""

    def __init__(self, words: str, trips: list[Trip] | None = None) -> None:
        super().__init__(words)
        self.trips = trips or []


@dataclass(frozen=True, slots=True)
class Hanging:
    """What is recorded of a contact elsewhere."""

    bookings: int
    wards: int
    trips: int
    merged: int

    def words(self) -> list[str]:
        """ "3 bookings", without what is not there."""
        named = (
            (self.bookings, "booking", "bookings"),
            (self.trips, "trip that they lead", "trips that they lead"),
            (self.wards, "traveller whom they answer for", "travellers whom they answer for"),
            (self.merged, "contact merged into it", "contacts merged into it"),
        )
        return [f"{count} {one if count == 1 else many}" for count, one, many in named if count]


@dataclass(frozen=True, slots=True)
class Choice:
    """One field with both values; `picked` is the side that is taken unless somebody says otherwise."""

    name: str
    kept: Any
    dropped: Any
    picked: str
    differs: bool = field(default=True)

    @property
    def both(self) -> bool:
        return self.name in BOTH_FIELDS


def hanging_on(contact: Contact) -> Hanging:
    counts = [_naming(model, column, contact).count() for model, column in MOVED]
    return Hanging(counts[0], counts[1], counts[2], counts[3])


def choices(keep: Contact, drop: Contact) -> list[Choice]:
    """Every field that one of the two has: what stays is taken where it is filled, else what is filled."""
    found = []
    for name in FIELDS:
        mine, other = getattr(keep, name), getattr(drop, name)
        if mine or other:
            found.append(Choice(name, mine, other, _suggested(name, mine, other), mine != other))
    return found


def _suggested(name: str, mine: Any, other: Any) -> str:
    if name in BOTH_FIELDS and mine and other and mine != other:
        return BOTH  # nothing that somebody wrote down is lost
    if name == "do_not_contact":
        return KEEP if mine else DROP  # a wish not to be written to outlives any doubt about who said so
    return KEEP if mine or not other else DROP


def check(keep: Contact, drop: Contact) -> None:
    """Raises Refused where these two must not, or cannot, become one."""
    if keep.pk == drop.pk:
        raise Refused(f"“{keep}” cannot be merged into itself. Choose another contact.")
    for one in (keep, drop):
        if one.merged_into_id is not None:
            raise Refused(f"“{one}” was merged into “{one.merged_into}” already. Choose that one instead.")
    both = common_trips(keep, drop)
    if both:
        names = ", ".join(f"“{trip}”" for trip in both)
        raise Refused(
            f"Both travel on {names}: they are two people, or one who is booked twice. If it is one, cancel or delete "
            "one of the two bookings there first.",
            both,
        )


def common_trips(one: Contact, other: Contact) -> list[Trip]:
    """The trips on which both have a booking that stands."""
    standing = Passenger.objects.exclude(attendance=Attendance.CANCELLED).filter(trip__isnull=False)
    mine, others = (standing.filter(contact=contact).values("trip") for contact in (one, other))
    return list(Trip.objects.filter(pk__in=mine).filter(pk__in=others).order_by("name", "pk"))


def lacking(user: Any, drop: Contact) -> list[str]:
    """The permissions that merging this one away takes and `user` does not have."""
    needed = [*PERMISSIONS, *(["trips.change_trip"] if drop.organised_trips.exists() else [])]
    return [name for name in needed if not user.has_perm(name)]


def shown_hash(keep: Contact, drop: Contact) -> str:
    """Tells whether the values of both are still those that somebody has before them, without telling them."""
    values = [[getattr(one, name) for name in FIELDS] for one in (keep, drop)]
    return str(keyed_hash(f"merge {keep.pk} {drop.pk}: {json.dumps(values)}"))


def merge(*, keep: Contact, drop: Contact, picks: Mapping[str, str], by: Any, shown: str | None = None) -> Batch:
    """Make `drop` a duplicate of `keep`; the batch that takes it back. Raises Refused, and then nothing was done.

    `picks` says of each field whose value stays: "keep", "drop" or, of tags and notes, "both"; what it does not name
    stays as it is. `shown` is the `shown_hash` of the values that were picked from, where a person picked.
    """
    title = f"“{drop}” merged into “{keep}”"
    with recorded(kind=BatchKind.MERGE, title=title, by=by) as batch, transaction.atomic():
        keep, drop = _hold(keep.pk, drop.pk)
        check(keep, drop)
        if shown is not None and shown != shown_hash(keep, drop):
            raise Refused("One of the two was changed since you looked. These are the values of now: choose again.")
        batch.change(keep, **_picked(keep, drop, picks))
        _move(batch, keep, drop)
        batch.change(drop, merged_into_id=keep.pk)
        duplicates.one_less()
    return batch.batch


def _hold(*ids: int) -> tuple[Contact, Contact]:
    """Both rows as they are now, held until the transaction ends; always locked in the same order."""
    rows = {row.pk: row for row in Contact.objects.select_for_update().filter(pk__in=ids).order_by("pk")}
    if len(rows) < len(set(ids)):
        raise Refused("One of the two was deleted meanwhile.")
    return rows[ids[0]], rows[ids[1]]


def _picked(keep: Contact, drop: Contact, picks: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name in FIELDS:
        side = picks.get(name, KEEP)
        mine, other = getattr(keep, name), getattr(drop, name)
        if side == DROP:
            values[name] = other
        elif side == BOTH and name in BOTH_FIELDS:
            values[name] = _joined(name, mine, other)
    return values


def _joined(name: str, mine: Any, other: Any) -> Any:
    if name == "tags":
        return [*mine, *(tag for tag in other if tag not in mine)]
    return "\n\n".join(dict.fromkeys(text.strip() for text in (mine, other) if text.strip()))


def _naming(model: Any, column: str, contact: Contact) -> QuerySet[Any]:
    rows: QuerySet[Any] = model._base_manager.filter(**{column: contact}).order_by("pk")
    return rows


def _move(batch: Recorder, keep: Contact, drop: Contact) -> None:
    for model, column in MOVED:
        for row in _naming(model, column, drop):
            moved: dict[str, Any] = {f"{column}_id": keep.pk}
            batch.change(row, **moved)


# Afterwards


def merge_of(drop: Contact) -> Batch | None:
    """The batch that merged this contact into another, so that its page can tell of it and take it back."""
    rows = BatchRow.objects.filter(model="trips.contact", object_pk=drop.pk, batch__kind=BatchKind.MERGE)
    for row in rows.exclude(outcome=BatchOutcome.UNDONE).select_related("batch__by").order_by("-pk"):
        before, after = json.loads(row.values).get("merged_into_id", (drop.pk, None))
        if before is None and after is not None:
            return row.batch
    return None


def gather() -> int:
    """Move what came to hang on a merged contact all the same to the one that stands for it; how many rows.

    Such as a booking that was written by somebody else in the moment of the merge.
    """
    moved = 0
    for model, column in MOVED:
        for row in _strays(model, column):
            with transaction.atomic():
                contact = getattr(row, column)
                setattr(row, f"{column}_id", contact.merged_into_id)
                row._change_reason = f"“{contact}” is merged"[:100]
                row.save(update_fields=[column])
            moved += 1
    return moved


def _strays(model: Any, column: str) -> Iterator[Any]:
    rows = model._base_manager.filter(**{f"{column}__merged_into__isnull": False})
    yield from list(rows.select_related(column).order_by("pk"))
