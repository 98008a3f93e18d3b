"""Which contacts may be one person: the same e-mail, the same phone, or the same name and date of birth.

Candidates only. Families share an address, so nothing is ever merged by itself, and who was said to be two people is
not asked about again. An address that many share is an agency's or a group's and says nothing about anybody.
"""

from __future__ import annotations

import functools
import itertools
import operator
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from django.core.cache import cache
from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce

from trips.models import Contact, ContactsApart, Passenger

# So many contacts may have one address before it stops being a sign.
MOST_SHARING = 10
ADDRESSES = ("email", "phone")
COUNT_KEY, COUNT_SECONDS = "trips.duplicates", 24 * 3600
PAIRS_KEY, PAIRS_SECONDS = "trips.duplicate_pairs", 300
# So many pairs of a list made earlier are asked at once whether they still stand.
MOST_ASKED = 50


class Reason(StrEnum):
    """What two contacts have in common; the strongest first."""

    BIRTH = "name and date of birth"
    EMAIL = "e-mail"
    PHONE = "phone"


@dataclass(slots=True)
class Pair:
    """Two contacts by number, the older one first, and what they have in common."""

    first: int
    second: int
    reasons: list[Reason] = field(default_factory=list)

    @property
    def ids(self) -> tuple[int, int]:
        return self.first, self.second


@dataclass(frozen=True, slots=True)
class Found:
    """The pairs to look at, the likeliest first, and how many signs were left out as too many share them."""

    pairs: list[Pair]
    crowded: int


def find(*, born: bool = True) -> Found:
    """Every pair that nobody has decided about, in a fixed number of queries; without `born` by addresses alone."""
    found: dict[tuple[int, int], Pair] = {}
    crowded = 0
    for reason, groups in _groups(born=born):
        for ids in groups:
            if len(ids) > MOST_SHARING:
                crowded += 1
                continue
            for one, other in itertools.combinations(sorted(ids), 2):
                found.setdefault((one, other), Pair(one, other)).reasons.append(reason)
    for apart in _apart():
        found.pop(apart, None)
    pairs = sorted(found.values(), key=lambda pair: (-len(pair.reasons), _rank(pair), -pair.second, -pair.first))
    return Found(pairs, crowded)


def next_pair(*, born: bool = True) -> Pair | None:
    """The likeliest pair that is still to be decided, for whoever goes through the list one by one.

    The list of some minutes ago will do: only its first pairs are asked whether they still stand.
    """
    key = f"{PAIRS_KEY}.{born}"
    pairs: list[Pair] | None = cache.get(key)
    if pairs is None:
        pairs = find(born=born).pairs
    while pairs:
        standing = _undecided(pairs[:MOST_ASKED])
        if standing:
            break
        pairs = pairs[MOST_ASKED:]
    cache.set(key, pairs, PAIRS_SECONDS)
    return standing[0] if pairs else None


def _undecided(pairs: list[Pair]) -> list[Pair]:
    ids = {pk for pair in pairs for pk in pair.ids}
    there = set(Contact.objects.standing().filter(pk__in=ids).values_list("pk", flat=True))
    apart = set(_apart())
    return [pair for pair in pairs if {*pair.ids} <= there and pair.ids not in apart]


def likely(contact: Contact, *, born: bool = True) -> list[int]:
    """The contacts that may be the same person as this one, by what they share; those kept apart are left out."""
    alike = [Q(**{column: value}) for column in ADDRESSES if (value := getattr(contact, column))]
    if born and (births := _births(contact)):
        same = [Q(date_of_birth=day, name_key=name) for day, name in births]
        people = Passenger.objects.filter(functools.reduce(operator.or_, same)).values_list("contact_id", flat=True)
        alike.append(Q(pk__in=list(people)))
    if not alike:
        return []
    rows = Contact.objects.standing().exclude(pk=contact.pk).filter(functools.reduce(operator.or_, alike))
    ids = list(rows.order_by("-pk").values_list("pk", flat=True)[:MOST_SHARING])
    apart = set(_apart()) if ids else set()
    return [pk for pk in ids if (min(pk, contact.pk), max(pk, contact.pk)) not in apart]


def reasons_of(one: Contact, other: Contact, *, born: bool = True) -> list[Reason]:
    """What two contacts have in common."""
    found = []
    if born and _births(one) & _births(other):
        found.append(Reason.BIRTH)
    found += [Reason.EMAIL] if one.email and one.email == other.email else []
    return found + ([Reason.PHONE] if one.phone and one.phone == other.phone else [])


def _rank(pair: Pair) -> int:
    return list(Reason).index(pair.reasons[0])


def _births(contact: Contact) -> set[tuple[Any, str]]:
    rows = contact.passengers.filter(date_of_birth__isnull=False).exclude(name_key="")
    return set(rows.order_by().values_list("date_of_birth", "name_key"))


def _groups(*, born: bool) -> Iterator[tuple[Reason, Iterator[list[int]]]]:
    """The contacts that have something in common, the strongest sign first."""
    if born:
        yield Reason.BIRTH, _born_alike()
    yield Reason.EMAIL, _sharing("email")
    yield Reason.PHONE, _sharing("phone")


def _sharing(column: str) -> Iterator[list[int]]:
    """The contacts that have one value of a column."""
    filled = Contact.objects.standing().exclude(**{column: ""}).order_by()
    twice = filled.filter(Exists(filled.filter(**{column: OuterRef(column)}).exclude(pk=OuterRef("pk"))))
    return _grouped(twice.values_list(column, "pk"))


def _born_alike() -> Iterator[list[int]]:
    """Contacts whose travellers have one name, without accents, and one date of birth."""
    born = Passenger.objects.filter(date_of_birth__isnull=False).exclude(name_key="").order_by()
    # No join: what a merge re-points leaves nothing on the contacts that were merged, and they are few.
    born = born.exclude(contact__in=Contact.objects.filter(merged_into__isnull=False))
    same = born.filter(date_of_birth=OuterRef("date_of_birth"), name_key=OuterRef("name_key"))
    twice = born.filter(Exists(same.exclude(contact=OuterRef("contact"))))
    people = {((day, name), pk) for day, name, pk in twice.values_list("date_of_birth", "name_key", "contact_id")}
    return _grouped(people)


def _grouped(rows: Iterable[tuple[Any, int]]) -> Iterator[list[int]]:
    groups: dict[Any, list[int]] = {}
    for key, pk in rows:
        groups.setdefault(key, []).append(pk)
    return (ids for ids in groups.values() if len(ids) > 1)


def _apart() -> Iterator[tuple[int, int]]:
    """Pairs that were said to be two, by number."""
    for one, other in kept_apart().order_by().values_list("one", "other"):
        yield min(one, other), max(one, other)


# Not the same person


def kept_apart() -> QuerySet[Any]:
    """The pairs that were said to be two, the newest first, as `one` and `other`.

    Of a contact that was merged since, the one that stands for it is meant.
    """
    rows = ContactsApart.objects.annotate(
        one=Coalesce("first__merged_into", "first"), other=Coalesce("second__merged_into", "second")
    )
    return rows.exclude(one=F("other")).order_by("-pk")


def keep_apart(*, one: Contact, other: Contact, by: Any) -> ContactsApart:
    """ "Not the same person": remembered until it is taken back."""
    first, second = sorted((one.pk, other.pk))
    row, made = ContactsApart.objects.get_or_create(first_id=first, second_id=second, defaults={"by": by})
    if made:
        one_less()
    return row


def ask_again(*, one: int, other: int) -> bool:
    """Take "not the same person" back, also what was said of those that these two stand for; whether it had been."""
    said = _said(one, other).values_list("pk", flat=True)
    return bool(ContactsApart.objects.filter(pk__in=list(said)).delete()[0])


def said_apart(one: Contact, other: Contact) -> ContactsApart | None:
    """Who said of these two that they are two."""
    return _said(one.pk, other.pk).select_related("by").first()


def _said(one: int, other: int) -> QuerySet[Any]:
    return kept_apart().filter(Q(one=one, other=other) | Q(one=other, other=one))


# The number beside the list's name


def remember_count(count: int) -> None:
    """Keep the number of pairs for the side bar, which is on every page and must not count by itself."""
    cache.set(COUNT_KEY, count, COUNT_SECONDS)


def one_less() -> None:
    """A pair was decided."""

    def lower() -> None:
        count = cache.get(COUNT_KEY)
        if count:
            remember_count(count - 1)

    transaction.on_commit(lower)


def last_count() -> int | None:
    """The number of pairs when the list was last opened, less those decided since; None when nobody has looked."""
    return cache.get(COUNT_KEY)
