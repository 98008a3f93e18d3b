"""So much at once is hardly meant: many values emptied, or many records deleted, wait for a person's yes.

Only these effects wait; everything else of the same records goes on. A value that is held back is left as it is on
both sides, like one in conflict, and costs no call. Values are counted per field over an hour; during a pull's walk
they are held back one and all and judged at its end, so that a flood does not begin before it is known to be one.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Q, QuerySet

from ghl_sync.engine import state
from ghl_sync.engine.base import Base
from ghl_sync.engine.clock import database_now
from ghl_sync.engine.plan import Plan
from ghl_sync.mapping.fields import FieldMap, ObjectMap, Way
from ghl_sync.mapping.translate import Readings
from ghl_sync.models import Approval, Blank, Link

Effect, Answer = Approval.Effect, Approval.Answer
FEWEST = 20
VALUES_SHARE, DELETES_SHARE = 0.05, 0.02
COUNTED = dt.timedelta(hours=1)
# Stands in the base of a tombstone whose delete no person need be asked about.
UNGUARDED = "unguarded"
# A yes to a blank is carried out at once or not at all.
ALLOWED_FOR = dt.timedelta(days=1)
# So long a count of all records is good enough to take a share of.
COUNT_SECONDS = 60.0


@dataclass(frozen=True)
class Sides:
    """One record as `sift` sees it: values here, what was read there (None: nothing), and which way each field goes."""

    table: ObjectMap
    base: Base
    local: dict[str, Any]
    readings: Readings | None
    goes_out: Callable[[FieldMap], bool]
    comes_in: Callable[[FieldMap], bool]

    @property
    def references(self) -> list[FieldMap]:
        return [row for row in self.table.fields if row.reference and row.way is Way.BOTH]

    def theirs(self, name: str) -> Any:
        reading = (self.readings or {}).get(name)
        return None if reading is None or reading.unreadable else reading.value


@dataclass
class Sifted:
    """`held` waits, by effect and field; `answered` are rows that are done with once the plan's push has been sent."""

    held: set[tuple[str, str]] = field(default_factory=set)
    answered: list[int] = field(default_factory=list)


class Census:
    """How many records there are, as of a moment ago: counting them reads all links, and every blank of a flood asks.

    Belongs to one session.
    """

    def __init__(self) -> None:
        self._counted: dict[tuple[str, str], tuple[float, int]] = {}

    def values(self, kind: str, name: str) -> int:
        """Records that hold a value of this field."""
        return self._of((kind, name), lambda: _values(kind, name))

    def cards(self, location_id: str) -> int:
        """Living trips and passengers with an opportunity."""
        return self._of(("", location_id), lambda: _cards(location_id))

    def _of(self, what: tuple[str, str], count: Callable[[], int]) -> int:
        at, found = self._counted.get(what, (None, 0))
        if at is None or time.monotonic() - at > COUNT_SECONDS:
            found = count()
            self._counted[what] = time.monotonic(), found
        return found


def sift(link: Link, sides: Sides, plan: Plan, census: Census, *, walking: bool, noted: bool = True) -> Sifted:
    """Take out of the plan what must wait, and turn round what was refused.

    `walking`: the record comes by in a pull's walk, at whose end `judge` decides. Not `noted`: no blank of this record
    is known. Part of the caller's transaction.
    """
    sifted = Sifted()
    if not sides.base.known:
        return sifted
    found = blanks_in(sides, plan)
    known = state.blanks_of(link) if noted else {}
    over: list[int] = []
    for effect, name in found:
        row = known.pop((effect, name), None)
        verdict = _verdict(link, effect, name, row, census, walking=walking)
        done = verdict == Blank.State.ALLOWED
        if verdict == Blank.State.WAITING:
            sifted.held.add((effect, name))
            _withhold(sides, plan, effect, name)
        elif verdict == Blank.State.REFUSED:
            done = _turn_round(sides, plan, effect, name)
        if row is not None and done:
            # What this transaction does is done with it; what has to be sent is so only after that.
            is_sent = (effect == Effect.BLANK_THERE) == (verdict == Blank.State.ALLOWED)
            (sifted.answered if is_sent else over).append(row.pk)
    over += [row.pk for row in known.values() if _is_over(row, sides)]
    state.drop_blanks(over)
    return sifted


def blanks_in(sides: Sides, plan: Plan) -> list[tuple[str, str]]:
    """The values that a plan empties, by effect and field; a reference counts once, by its first field."""
    local, remote, references = sides.base.local, sides.base.remote, sides.references
    first = references[0].name if references else ""
    grouped = {row.name: first for row in references} | {"trip_key": first}
    here = [name for name, value in plan.apply.items() if value is None and local.get(name) is not None]
    here += [name for name, value in plan.documents.items() if not value and remote.get(name)]
    if plan.moves and plan.move is None and sides.base.extra.get("target") is not None:
        here.append(first)
    there = [name for name, value in plan.push.items() if value is None and remote.get(name) is not None]
    pairs = [(str(Effect.BLANK_HERE), name) for name in here]
    pairs += [(str(Effect.BLANK_THERE), grouped.get(name, name)) for name in there]
    return list(dict.fromkeys(pairs))


def _verdict(link: Link, effect: str, name: str, row: Blank | None, census: Census, *, walking: bool) -> str:
    """What becomes of one value to be emptied; notes it where it is new."""
    if row is not None and not _is_stale(row):
        return row.state
    if walking and effect == Effect.BLANK_HERE:
        verdict = Blank.State.WAITING
    else:
        many = _too_many(link.kind, effect, name, census, more=1)
        verdict = Blank.State.WAITING if many else Blank.State.PASSED
    state.note_blank(link, effect, name, verdict)
    return verdict


def _is_stale(row: Blank) -> bool:
    """Whether this row is about an earlier occasion."""
    age = database_now() - row.at
    if row.state == Blank.State.PASSED:
        return age > COUNTED
    return row.state == Blank.State.ALLOWED and age > ALLOWED_FOR


def _is_over(row: Blank, sides: Sides) -> bool:
    """Whether a value that was held back, allowed or refused is not to be emptied any more; a count stays its hour."""
    if row.state == Blank.State.PASSED:
        return False
    return row.effect == Effect.BLANK_THERE or (sides.readings is not None and row.field in sides.readings)


def _too_many(kind: str, effect: str, name: str, census: Census, *, more: int = 0) -> bool:
    """Whether these values must wait; asks a person when they have become too many."""
    if Approval.objects.filter(effect=effect, kind=kind, field=name, answer=Answer.ASKED).exists():
        return True
    count = _counted(kind, effect, name).count() + more
    if count <= FEWEST:
        return False
    of = census.values(kind, name)
    if count <= of * VALUES_SHARE:
        return False
    state.ask_approval(effect, kind, name, count=count, of=max(of, count))
    return True


def _counted(kind: str, effect: str, name: str) -> QuerySet[Blank]:
    """The values of one field that were to be emptied within the hour, but for what a person has decided on."""
    since = database_now() - COUNTED
    rows = Blank.objects.filter(kind=kind, effect=effect, field=name)
    return rows.filter(Q(state=Blank.State.WAITING) | Q(state=Blank.State.PASSED, at__gte=since))


def _values(kind: str, name: str) -> int:
    """How many records hold a value of this field, as both sides last agreed."""
    holds = Q(base__v__has_key=name) | Q(base__l__has_key=name) | Q(base__r__has_key=name)
    return Link.objects.filter(holds, kind=kind, deleted_at__isnull=True).count()


def judge(kind: str) -> list[int]:
    """At the end of a walk: the links whose held-back values are few enough to be emptied after all."""
    released: list[int] = []
    waiting = Blank.objects.filter(kind=kind, effect=Effect.BLANK_HERE, state=Blank.State.WAITING)
    for name in waiting.order_by().values_list("field", flat=True).distinct():
        if not _too_many(kind, Effect.BLANK_HERE, name, Census()):
            released += state.release_blanks(waiting.filter(field=name), Blank.State.PASSED)
    return sorted(set(released))


# Carrying it out on a plan


def _names(sides: Sides, name: str) -> list[str]:
    """The fields that stand or fall with this one."""
    references = [row.name for row in sides.references]
    return [*references, "trip_key"] if name in references else [name]


def _withhold(sides: Sides, plan: Plan, effect: str, name: str) -> None:
    """Leave the value as it is on both sides; what was agreed on stays agreed."""
    names = _names(sides, name)
    if effect == Effect.BLANK_HERE:
        for one in names:
            for part in (plan.apply, plan.documents, plan.pairs):
                part.pop(one, None)
        if len(names) > 1:
            plan.move, plan.moves = None, False
        return
    for one in names:
        plan.push.pop(one, None)
        plan.ride.pop(one, None)
    if len(names) > 1:
        plan.reference_open = True


def _turn_round(sides: Sides, plan: Plan, effect: str, name: str) -> bool:
    """A person said no: the side that still has the value gives it back to the other. False where that must wait."""
    row = sides.table.by_name[name]
    may = sides.goes_out(row) if effect == Effect.BLANK_HERE else sides.comes_in(row) and sides.readings is not None
    _withhold(sides, plan, effect, name)
    if not may or row.part == "documents":
        return False
    if effect == Effect.BLANK_HERE:
        for one in _names(sides, name):
            if sides.local.get(one) is not None:
                plan.push[one] = sides.local[one]
    elif row.reference:
        plan.move, plan.moves, plan.reference_open = sides.base.extra.get("target"), True, False
        for one in _names(sides, name):
            if sides.theirs(one) is not None:
                plan.pairs[one] = (sides.theirs(one), sides.theirs(one))
    elif sides.theirs(name) is not None:
        plan.apply[name] = sides.theirs(name)
        plan.pairs[name] = (sides.theirs(name), sides.theirs(name))
    return True


# Deletes


class Verdict:
    """What becomes of a delete."""

    GO, WAIT, REFUSED = "go", "wait", "refused"


def delete_verdict(location_id: str, link: Link, census: Census) -> str:
    """Whether this tombstone's DELETE may leave; asks a person when there are too many of them."""
    if link.base.get("x", {}).get(UNGUARDED):
        return Verdict.GO
    answered = _delete_answer(link)
    if answered is not None:
        return Verdict.GO if answered == Answer.YES else Verdict.REFUSED
    flood = deletes_to_ask_about(location_id, census)
    if flood is None:
        return Verdict.GO
    count, of = flood
    state.ask_approval(Effect.DELETE_THERE, "", "", count=count, of=of)
    return Verdict.WAIT


def deletes_to_ask_about(location_id: str, census: Census) -> tuple[int, int] | None:
    """How many deletes wait of how many records, where a person is or will be asked; None where they just go."""
    count = undecided(location_id).count()
    asked = _deletes_asked().exists()
    if count <= FEWEST and not asked:
        return None
    of = count + census.cards(location_id)
    return None if count <= of * DELETES_SHARE and not asked else (count, of)


def _deletes_asked() -> QuerySet[Approval]:
    return Approval.objects.filter(effect=Effect.DELETE_THERE, answer=Answer.ASKED)


def _delete_answer(link: Link) -> str | None:
    """The last answer that is about this delete."""
    answers = Approval.objects.filter(effect=Effect.DELETE_THERE, covers_until__gte=link.deleted_at)
    return answers.exclude(answer=Answer.ASKED).order_by("covers_until").values_list("answer", flat=True).first()


def undecided(location_id: str) -> QuerySet[Link]:
    """Deletes to be sent about which nobody has said yes or no."""
    answers = Approval.objects.filter(effect=Effect.DELETE_THERE).exclude(answer=Answer.ASKED)
    last = answers.order_by("-covers_until").values_list("covers_until", flat=True).first()
    rows = _guarded(location_id)
    return rows if last is None else rows.filter(deleted_at__gt=last)


def refused(location_id: str) -> QuerySet[Link]:
    """Deletes that a person said no to and that have not been undone yet."""
    answers = Approval.objects.filter(effect=Effect.DELETE_THERE).exclude(answer=Answer.ASKED).order_by("covers_until")
    covered, found = Q(), Q(pk__in=[])
    for answer, until in answers.values_list("answer", "covers_until"):
        if answer == Answer.NO:
            found |= Q(deleted_at__lte=until) & ~covered
        covered |= Q(deleted_at__lte=until)
    return _guarded(location_id).filter(found)


def _guarded(location_id: str) -> QuerySet[Link]:
    rows = state.tombstones(location_id).exclude(remote_id="")
    return rows.exclude(pk__in=rows.filter(base__x__has_key=UNGUARDED).values("pk"))


def _cards(location_id: str) -> int:
    living = Link.objects.filter(location_id=location_id, kind__in=("trip", "passenger"), deleted_at__isnull=True)
    return living.exclude(remote_id="").count()


# A person's answers


def waiting_for(approval: Approval, location_id: str, until: dt.datetime | None = None) -> QuerySet[Link]:
    """The records that an open question is about, those that were asked about first at the top."""
    if approval.effect == Effect.DELETE_THERE:
        rows = undecided(location_id)
        return (rows if until is None else rows.filter(deleted_at__lte=until)).order_by("deleted_at", "pk")
    blanks = _waiting_blanks(approval, until)
    return Link.objects.filter(pk__in=blanks.values("link_id")).order_by("pk")


def _waiting_blanks(approval: Approval, until: dt.datetime | None) -> QuerySet[Blank]:
    rows = Blank.objects.filter(
        kind=approval.kind, effect=approval.effect, field=approval.field, state=Blank.State.WAITING
    )
    return rows if until is None else rows.filter(at__lte=until)


def asked() -> QuerySet[Approval]:
    """Every question that waits for a person."""
    return Approval.objects.filter(answer=Answer.ASKED).order_by("asked_at", "pk")


def answer(approval: Approval, location_id: str, *, yes: bool, user: Any, until: dt.datetime) -> int | None:
    """Carry out a yes or a no about what waited `until` then: how many records; None when somebody was faster.

    What came to wait later is judged anew. Deletes that were refused are brought back by `deleting.restore_refused`.
    """
    links = waiting_for(approval, location_id, until)
    count = links.count()
    said = Answer.YES if yes else Answer.NO
    if not state.answer_approval(approval, said, user=user, until=until, count=count):
        return None
    if approval.effect == Effect.DELETE_THERE:
        state.allow_deletes(state.tombstones(location_id).filter(deleted_at__lte=until))
        return count
    state.set_blanks(_waiting_blanks(approval, until), Blank.State.ALLOWED if yes else Blank.State.REFUSED)
    rest = _waiting_blanks(approval, None)
    if rest.exists() and not _too_many(approval.kind, approval.effect, approval.field, Census()):
        state.set_blanks(rest, Blank.State.PASSED)
    return count


def forget_old() -> int:
    """Rows that count no more."""
    return state.forget_blanks(database_now() - ALLOWED_FOR)
