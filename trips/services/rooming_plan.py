"""Who should share a room with whom, and what is wrong with a room as it stands; plain Python, no database.

The same guests give the same rooms, whatever order they come in. Each proposal says why.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from trips.enums import Occupancy, Sex
from trips.text import fold_search

FAMILY_BEDS = 4  # in one room with children
GROUP_BEDS = 4  # of friends who all asked for each other
_BETWEEN_NAMES = re.compile(r" and | & |[,;/+\n]")
_POINTS = str.maketrans("", "", ".!?()\"'")
# What people type who ask for nobody.
_NOBODY = {"", "no", "none", "nobody", "n/a", "na", "-", "no preference", "any", "anyone", "anybody"}


@dataclass(frozen=True, slots=True)
class Guest:
    """A traveller as rooming sees them. `household` is the contact who booked, `guardian` the contact in charge."""

    id: int
    name: str
    first_name: str
    last_name: str
    called: str
    sex: str
    is_minor: bool
    occupancy: str
    wish: str  # as it was typed
    household: int
    guardian: int | None

    @property
    def order(self) -> tuple[str, int]:
        return fold_search(self.last_name, self.first_name), self.id

    @property
    def wants_single(self) -> bool:
        return self.occupancy == Occupancy.SINGLE and not self.is_minor


@dataclass(frozen=True, slots=True)
class Standing:
    """A room that there is already, and who sleeps in it."""

    id: int
    beds: int
    guests: tuple[Guest, ...] = ()


@dataclass(frozen=True, slots=True)
class Proposal:
    """Who sleeps in one room and why; `room` is one that stands already, else a new one with so many beds."""

    beds: int
    guests: tuple[Guest, ...]
    why: str
    room: int | None = None


@dataclass(frozen=True, slots=True)
class Suggestion:
    """The proposed rooms, and those for whom there is none, each with the reason."""

    rooms: tuple[Proposal, ...]
    left: tuple[tuple[Guest, str], ...]


class Weight(Enum):
    """Whether something must be put right, or should be known."""

    WRONG = "bad"
    ODD = "doubt"


@dataclass(frozen=True, slots=True)
class Remark:
    weight: Weight
    text: str


# What travellers ask for


def wishes(guests: Collection[Guest]) -> dict[int, frozenset[int]]:
    """Whom each asks to share with, by id; a name that fits nobody, or several, names nobody."""
    return {guest.id: frozenset(_named(guest, guests)) for guest in guests if _pieces(guest.wish)}


def unknown_wish(guest: Guest, asked: Mapping[int, Collection[int]]) -> bool:
    """Whether somebody asks for a person who is not to be found on the trip."""
    return bool(_pieces(guest.wish)) and not asked.get(guest.id)


def _pieces(wish: str) -> list[str]:
    if fold_search(wish) in _NOBODY:
        return []
    pieces = (fold_search(piece).translate(_POINTS) for piece in _BETWEEN_NAMES.split(wish))
    return [piece for piece in (" ".join(piece.split()) for piece in pieces) if piece not in _NOBODY]


def _named(guest: Guest, guests: Collection[Guest]) -> Iterable[int]:
    others = [other for other in guests if other.id != guest.id]
    for piece in _pieces(guest.wish):
        for fits in (_is_full_name, _is_single_name, _has_full_name):
            found = [other.id for other in others if fits(piece, other)]
            if found:
                yield from found if len(found) == 1 else ()
                break


def _is_full_name(piece: str, guest: Guest) -> bool:
    return piece in _full_names(guest)


def _is_single_name(piece: str, guest: Guest) -> bool:
    return piece in {fold_search(name) for name in (guest.first_name, guest.called, guest.last_name) if name}


def _has_full_name(piece: str, guest: Guest) -> bool:
    """As in "my wife Bea Brandt"."""
    return any(f" {name} " in f" {piece} " for name in _full_names(guest))


def _full_names(guest: Guest) -> set[str]:
    if not guest.last_name:
        return set()
    calls = {guest.first_name, guest.first_name.split(" ")[0], guest.called} - {""}
    return {fold_search(*pair) for call in calls for pair in ((call, guest.last_name), (guest.last_name, call))}


# What to propose


def suggest(guests: Iterable[Guest], standing: Collection[Standing] = ()) -> Suggestion:
    """Rooms for `guests`, who have none; beds that are free in rooms that stand are taken first.

    Singles, children with their grown-ups, mutual wishes, households, wishes of one side, then occupancy and sex,
    minors apart. Women and men share where they asked for each other or are kin.
    """
    return _Rooming(sorted(guests, key=lambda guest: guest.order), standing).run()


class _Rooming:
    def __init__(self, guests: Sequence[Guest], standing: Collection[Standing]) -> None:
        self.free = list(guests)
        self.standing = sorted(standing, key=lambda room: room.id)
        self.asked = wishes([*guests, *(one for room in standing for one in room.guests)])
        self.rooms: list[Proposal] = []
        self.left: list[tuple[Guest, str]] = []

    def run(self) -> Suggestion:
        self._singles()
        self._families()
        self._mutual()
        self._join()
        self._households()
        self._one_sided()
        self._rest(minors=True)
        self._rest(minors=False)
        return Suggestion(tuple(self.rooms), tuple(self.left))

    def _put(self, guests: Sequence[Guest], why: str, beds: int = 0) -> None:
        beds = beds or len(guests)
        empty = next((room for room in self.standing if not room.guests and room.beds == beds), None)
        self._propose(Proposal(beds, tuple(guests), why, empty.id if empty else None))

    def _add(self, guest: Guest, room: Standing, why: str) -> None:
        self._propose(Proposal(room.beds, (guest,), why, room.id))

    def _propose(self, proposal: Proposal) -> None:
        self.rooms.append(proposal)
        self.free = [guest for guest in self.free if guest not in proposal.guests]
        self.standing = [
            replace(room, guests=(*room.guests, *proposal.guests)) if room.id == proposal.room else room
            for room in self.standing
        ]

    def _singles(self) -> None:
        for guest in [guest for guest in self.free if guest.wants_single]:
            self._put([guest], "Asked for a single room.")

    def _families(self) -> None:
        for adult in [guest for guest in self.free if not guest.is_minor]:
            children = [child for child in self.free if child.is_minor and in_charge(adult, child)]
            if adult not in self.free or not children:
                continue
            why = f"Children with {adult.name}, who is in charge."
            partner = [other for other in self.free if other is not adult and self._are_partners(adult, other)]
            grown = [adult, *partner] if len(partner) == 1 else [adult]
            if len(grown) + len(children) <= FAMILY_BEDS:
                self._put([*grown, *children], why)
                continue
            for one in grown:  # a room each, with as many of the children as fit
                share = [child for child in children if child in self.free][: FAMILY_BEDS - 1]
                self._put([one, *share], why) if share else None
            for child in [child for child in children if child in self.free]:
                self._leave(child, f"no bed is left in the room of {adult.name}")

    def _are_partners(self, one: Guest, other: Guest) -> bool:
        return not other.is_minor and (kin(one, other) or self._want_each_other(one, other))

    def _want_each_other(self, one: Guest, other: Guest) -> bool:
        return other.id in self.asked.get(one.id, ()) and one.id in self.asked.get(other.id, ())

    def _mutual(self) -> None:
        for guest in list(self.free):
            group = [guest]
            for other in self.free:
                if other not in group and all(self._want_each_other(other, one) for one in group):
                    group.append(other)
            group = group[:GROUP_BEDS]
            fine = all(may_share(one, other) for one in group for other in group)
            if guest in self.free and len(group) > 1 and fine:
                self._put(group, "They asked for each other.")

    def _join(self) -> None:
        """A free bed beside somebody who is asked for, or who asks."""
        for guest in list(self.free):
            for room in self._open_rooms():
                others = {one.id for one in room.guests}
                asks = others & set(self.asked.get(guest.id, ()))
                asked = any(guest.id in self.asked.get(one, ()) for one in others)
                fine = all(self._suit(guest, one) for one in room.guests)
                if (asks or asked) and fine:
                    self._add(guest, room, f"{guest.name} and {room.guests[0].name}: one asked for the other.")
                    break

    def _open_rooms(self) -> list[Standing]:
        """With a bed left beside somebody who did not book a single."""
        rooms = [room for room in self.standing if room.guests and len(room.guests) < room.beds]
        return [room for room in rooms if not any(one.wants_single for one in room.guests)]

    def _suit(self, one: Guest, other: Guest) -> bool:
        same = one.sex == other.sex != "" or kin(one, other) or self._want_each_other(one, other)
        return same and may_share(one, other)

    def _households(self) -> None:
        for guest in list(self.free):
            mates = [o for o in self.free if o is not guest and o.household == guest.household and self._suit(guest, o)]
            if guest in self.free and len(mates) == 1:
                self._put([guest, mates[0]], "They booked together.")

    def _one_sided(self) -> None:
        for guest in list(self.free):
            wanted = [other for other in self.free if other.id in self.asked.get(guest.id, ())]
            # Who asked for somebody else is not given to one they did not ask for.
            open_ones = [other for other in wanted if not self.asked.get(other.id) and self._suit(guest, other)]
            if guest in self.free and open_ones:
                self._put([guest, open_ones[0]], f"{guest.name} asked for {open_ones[0].name}, who has not answered.")

    def _rest(self, *, minors: bool) -> None:
        waiting: dict[str, Guest] = {}
        who = "Minors" if minors else "Adults"
        for guest in [guest for guest in self.free if guest.is_minor == minors]:
            if guest.sex not in (Sex.FEMALE, Sex.MALE):
                self._leave(guest, "no sex is given, so nobody can be chosen to share")
                continue
            beside = next((room for room in self._open_rooms() if all(self._suit(guest, o) for o in room.guests)), None)
            if beside is not None:
                self._add(guest, beside, f"{who} of the same sex; a bed was free.")
                continue
            mate = waiting.pop(guest.sex, None)
            if mate is None:
                waiting[guest.sex] = guest
                continue
            self._put([mate, guest], f"{who} of the same sex; neither got whom they asked for, if anybody.")
        for guest in waiting.values():
            if minors:
                self._leave(guest, "no other minor of the same sex and nobody in charge is free to share")
            else:
                self._put([guest], "Nobody is left to share with.", beds=2)

    def _leave(self, guest: Guest, why: str) -> None:
        self.left.append((guest, why))
        self.free.remove(guest)


def may_share(one: Guest, other: Guest) -> bool:
    """Whether nothing forbids it: a minor sleeps beside minors of their sex, kin, or who is in charge of them."""
    if one.is_minor == other.is_minor:
        return not one.is_minor or one.sex == other.sex or kin(one, other)
    adult, child = (other, one) if one.is_minor else (one, other)
    return in_charge(adult, child)


def kin(one: Guest, other: Guest) -> bool:
    """Whether both were booked by one contact and have one last name; an agent books for strangers, too."""
    same = fold_search(one.last_name) == fold_search(other.last_name) != ""
    return same and one.household == other.household


def in_charge(adult: Guest, child: Guest) -> bool:
    """Whether the grown-up is the child's guardian, or kin."""
    return not adult.is_minor and (adult.household == child.guardian or kin(adult, child))


# What is wrong with a room


def remarks(beds: int, guests: Sequence[Guest], asked: Mapping[int, Collection[int]]) -> list[Remark]:
    """What a person should know of a room as it stands, what is wrong first."""
    found = [*_counts(beds, guests), *_company(guests, asked), *_unmet(guests, asked)]
    return sorted(found, key=lambda remark: remark.weight is not Weight.WRONG)


def _counts(beds: int, guests: Sequence[Guest]) -> Iterable[Remark]:
    if not guests:
        yield Remark(Weight.ODD, "Nobody is in it.")
    elif len(guests) > beds:
        yield Remark(Weight.WRONG, f"Over-filled: {len(guests)} people for {beds} {'bed' if beds == 1 else 'beds'}.")
    elif len(guests) < beds:
        yield Remark(Weight.ODD, f"Under-filled: {len(guests)} of {beds} beds taken.")


def _company(guests: Sequence[Guest], asked: Mapping[int, Collection[int]]) -> Iterable[Remark]:
    for guest in guests:
        others = [other for other in guests if other is not guest]
        if guest.occupancy == Occupancy.SINGLE and others:
            yield Remark(Weight.WRONG, f"{guest.name} booked a single.")
        if guest.is_minor and not others:
            yield Remark(Weight.WRONG, f"{guest.name} is a minor and alone.")
        strangers = [other.name for other in others if guest.is_minor and not may_share(guest, other)]
        if strangers:
            yield Remark(Weight.WRONG, f"{guest.name} is a minor with {', '.join(strangers)}, not kin or guardian.")
    adults = [guest for guest in guests if not guest.is_minor]
    if not _belong(adults, asked):
        if len({guest.sex for guest in adults} - {""}) > 1:
            yield Remark(Weight.WRONG, "People of different sex who neither asked for each other nor are family.")
        unknown = [guest.name for guest in adults if not guest.sex]
        if unknown and len(adults) > 1:
            yield Remark(Weight.ODD, f"No sex is given for {', '.join(unknown)}.")


def _belong(guests: Sequence[Guest], asked: Mapping[int, Collection[int]]) -> bool:
    """Whether all are kin, or each asked for all others."""
    if all(kin(one, other) for one in guests for other in guests):
        return True
    return all({other.id for other in guests} - {guest.id} <= set(asked.get(guest.id, ())) for guest in guests)


def _unmet(guests: Sequence[Guest], asked: Mapping[int, Collection[int]]) -> Iterable[Remark]:
    here = {guest.id for guest in guests}
    for guest in guests:
        if set(asked.get(guest.id, ())) - here or unknown_wish(guest, asked):
            yield Remark(Weight.ODD, f"{guest.name} asked for “{guest.wish.strip()}”.")
        one_sided = [
            other.name
            for other in guests
            if other.id in asked.get(guest.id, ()) and guest.id not in asked.get(other.id, ())
        ]
        if one_sided:
            yield Remark(Weight.ODD, f"Only {guest.name} asked, not {', '.join(one_sided)}.")
