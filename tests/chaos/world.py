"""One seeded random run: two sides that change, an engine that is killed and a line that fails.

Every text written is unlike any other, so that the end tells whose edit a field holds.
"""

from __future__ import annotations

import datetime as dt
import random
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from ghl_sync.client.errors import TryLater
from ghl_sync.engine import apply, deleting, due, guards, state
from ghl_sync.engine.audit import audit
from ghl_sync.engine.clock import database_now
from ghl_sync.engine.pull import pull
from ghl_sync.engine.repairs import repair
from ghl_sync.engine.results import CannotDo
from ghl_sync.engine.session import Session
from ghl_sync.models import Conflict, Drift, Issue, Kind, Link, Location, Run, WantedOption
from ghl_sync.sandbox.server import Sandbox
from ghl_sync.sandbox.store import Entry
from tests.chaos import here, there
from tests.chaos.inside import Inside, leases_run_out
from tests.chaos.postman import Postman
from tests.chaos.rest import know_the_limit
from tests.chaos.tally import Mode, Tally
from tests.chaos.trouble import SLOW, Trouble
from tests.chaos.wire import Wire
from tests.factories import ContactFactory
from trips.enums import Attendance
from trips.models import Contact, Trip
from trips.services import merging

REST_SECONDS = {Mode.ENGINE: 60, Mode.QUEUE: 120, Mode.REAL_TIME: 1500}
LAG = 0.2
QUIET_ROUNDS = 3
LONG_AGO = dt.timedelta(days=1)


class Works(Protocol):
    """Who does the engine's work in a run."""

    def push(self) -> None: ...
    def pull_changes(self) -> None: ...
    def pull_all(self) -> None: ...
    def pull_slice(self) -> None: ...
    def handle_webhooks(self) -> None: ...
    def definitions(self) -> None: ...
    def pause(self) -> None: ...
    def stop(self) -> None: ...

    kills: Counter[str]


@dataclass(frozen=True, slots=True)
class LastEdit:
    """The last edit of one field: whose, what, and when and where it can have been overwritten over there."""

    side: str
    value: str
    key: str
    at: float


class World:
    """Both sides of one account. Odd seeds know no call that is carried out after its answer was given up."""

    def __init__(self, sandbox: Sandbox, seed: int, mode: Mode) -> None:
        self.sandbox, self.store = sandbox, sandbox.store
        self.random = random.Random(seed)
        self.mode, self.hurry = mode, mode is not Mode.REAL_TIME
        self.late = seed % 2 == 0
        self.count = 0
        self.log: list[str] = []
        self.last: dict[tuple[str, int, str], LastEdit] = {}
        self.deleted_here: set[tuple[str, int]] = set()
        # What came back without something that was deleted meanwhile, as its undo said: kind, object, field's name.
        self.told: set[tuple[str, int, str]] = set()
        self.deleted_there: list[str] = []
        self.bypassed = False  # something was written past the signals since the last audit
        self.tally = Tally(seed, str(mode))
        self.wire = Wire(sandbox)
        self.trouble = Trouble(sandbox, self.random, late=self.late)
        self.postman = Postman(sandbox, self.random)
        self.store.lag = LAG if seed % 3 == 0 else 0.0
        self.started = time.monotonic()
        self._asked: set[int] = set()
        ContactFactory.reset_sequence(0, force=True)
        know_the_limit(sandbox)
        Session().refresh_definitions()
        self.work_by(Inside(self.random, self.trouble, self.note, hurry=self.hurry))

    def work_by(self, works: Works) -> None:
        self.works = works
        self.moves = self._moves()

    def _moves(self) -> list[tuple[int, str, Callable[[], object]]]:
        found: list[tuple[int, str, Callable[[], object]]] = []
        for side in (here, there):
            name = side.__name__.rpartition(".")[2]
            found += [(weight, f"{name} {one.__name__}", lambda one=one: one(self)) for weight, one in side.MOVES]
        works = self.works
        return [
            *found,
            (22, "push", works.push), (10, "pull changes", works.pull_changes), (4, "pull all", works.pull_all),
            (2, "pull slice", works.pull_slice), (6, "deliver webhooks", self.postman.deliver),
            (5, "handle webhooks", works.handle_webhooks),
            (3, "definitions", works.definitions), (2, "time", self.time_passes),
        ]  # fmt: skip

    # Words and picks

    def word(self) -> str:
        self.count += 1
        return f"w{self.count}"

    def pick(self, rows: Any) -> Any:
        found = list(rows)
        return self.random.choice(found) if found else None

    def note(self, text: str) -> None:
        self.log.append(text)

    def record_of(self, obj: Any) -> Entry | None:
        """The living other half of an object, where the link knows it."""
        link = Link.objects.for_object(obj)
        found = self.store.get(link.remote_id) if link and link.remote_id else None
        return None if found is None or found.deleted else found

    def edited(self, side: str, kind: str, obj: Any, column: str, key: str, value: str) -> None:
        """Remember the last edit of a field; one taken back before the other side saw it leaves none."""
        self.note(f"{side} {kind} {obj.pk} {column}={value!r}")
        link = Link.objects.for_object(obj)
        base = apply.base_of(link) if link and link.base else None
        if base is not None and value == ((base.local if side == "here" else base.remote).get(column) or ""):
            self.last.pop((kind, obj.pk, column), None)
        else:
            self.last[(kind, obj.pk, column)] = LastEdit(side, value, key, time.monotonic())

    # Steps

    def run(self, steps: int) -> None:
        """So many random operations, then rest."""
        try:
            for number in range(steps):
                self.random.seed(f"{self.tally.seed}/{number}")  # whatever was drawn before, this step is the same
                self.step()
            self.settle_down()
        finally:
            self.works.stop()
            self._sum_up()

    def step(self) -> None:
        weights = [weight for weight, _name, _move in self.moves]
        _weight, name, move = self.random.choices(self.moves, weights)[0]
        self.note(name)
        self.tally.operations[name] += 1
        move()
        self.works.pause()

    def time_passes(self) -> None:
        """Waits that are over: the next tries, the limit's pause, the holds of deletes."""
        if self.hurry:
            past = database_now()
            Link.objects.filter(next_attempt_at__isnull=False).update(next_attempt_at=None)
            Link.objects.filter(held_until__isnull=False).update(held_until=past)
            Location.objects.update(held_until=None)

    # The end

    def settle_down(self) -> None:
        """Everything works again: a person presses "Sync now" where one is needed, then all runs until it is quiet."""
        self.note("rest")
        started = time.monotonic()
        self.works.stop()
        self.trouble.calm()
        time.sleep(SLOW if self.late else self.store.lag)
        ends, quiet = started + REST_SECONDS[self.mode], 0
        while quiet < QUIET_ROUNDS:
            assert time.monotonic() < ends, f"not at rest: {self.left_over()}"
            quiet = quiet + 1 if self._round() else 0
            if quiet == QUIET_ROUNDS and self.bypassed:
                quiet = 0
                self._audit()
        self.tally.rest_seconds = round(time.monotonic() - started, 2)

    def _round(self) -> bool:
        """One push and one full pull; True when neither had anything to do."""
        if self.hurry:
            leases_run_out()
            self.time_passes()
            Run.objects.filter(finished_at=None).update(touched_at=database_now() - LONG_AGO)
        self._ask_persons()
        try:
            session = Session()
            session.check_running(at_once=True)
            report = due.run_due(session)
            pulled = pull(Session(), full=True)
        except TryLater as error:  # answers have a hundredth of their time, too, and the machine may be busy
            self.note(f"not at rest: {error}")
            return False
        # An option whose write was lost is settled before the record that needs it is due again.
        waiting = Link.objects.due().exists() or WantedOption.objects.exists()
        busy = waiting or pulled.trips.updated or pulled.passengers.updated or report.failed
        if busy:
            time.sleep(0.1 if self.hurry else 5.0)
        return not busy

    def _audit(self) -> None:
        """Find what was written past the signals, and have it mended."""
        self.bypassed = False
        session = Session()
        report = audit(session)
        self.tally.drifts += report.drifts
        repair(session, Drift.objects.filter(run=report.run))

    def _ask_persons(self) -> None:
        """What was refused while the faults lasted goes once somebody asks for it; a guard's question is answered."""
        location = Session().location
        for approval in guards.asked():
            self.note(f"yes to {approval}")
            guards.answer(approval, location.location_id, yes=True, user=None, until=database_now())
        self._merge_the_same()
        self._choose_organisers()
        needing = Link.objects.filter(parked_at__isnull=False) | Link.objects.exclude(parked_fields=[])
        for link in needing.exclude(pk__in=self._asked):
            self._asked.add(link.pk)
            self.tally.parked += 1
            if link.deleted_at is None:
                self.note(f"sync now {link}: {link.last_error}")
                state.ask_for(link)
            else:
                self._decide_about_delete(link)

    def _merge_the_same(self) -> None:
        """Two contacts here that are one over there: a person merges them, and cancels what was booked twice."""
        for issue in Issue.objects.filter(code=Issue.Code.SAME_HERE, closed_at=None).select_related("link"):
            other = state.of_records(Session().config.location_id, [issue.remote_id]).filter(kind=Kind.CONTACT).first()
            pair = Contact.objects.in_bulk([issue.link.object_id, other.object_id] if issue.link and other else [])
            if len(pair) < 2 or any(one.merged_into_id for one in pair.values()):
                continue
            keep, drop = pair[other.object_id], pair[issue.link.object_id]
            self.note(f"merge {drop.pk} into {keep.pk}")
            for trip in merging.common_trips(keep, drop):
                for twice in drop.passengers.filter(trip=trip):
                    twice.attendance = Attendance.CANCELLED
                    twice.save()
            merging.merge(keep=keep, drop=drop, picks={}, by=None)

    def _choose_organisers(self) -> None:
        """A trip whose lead organiser was deleted while it was, before it had another half: a person chooses one."""
        lost = [pk for kind, pk, name in self.told if (kind, name) == (Kind.TRIP, "lead organiser")]
        waiting = Link.objects.filter(kind=Kind.TRIP, object_id__in=lost, remote_id="", deleted_at=None)
        for trip in Trip.objects.filter(pk__in=waiting.values("object_id"), organiser=None).order_by("pk"):
            trip.organiser = Contact.objects.filter(merged_into=None).order_by("pk").first()
            self.note(f"trip {trip.pk} organiser={trip.organiser_id}")
            trip.save(update_fields=["organiser"])

    def _decide_about_delete(self, link: Link) -> None:
        """Deleted here, changed over there: one of the two buttons; what cannot be brought back is deleted."""
        if self.random.random() < 0.5:
            try:
                here.take_back(self, link)
            except CannotDo as error:
                self.note(f"not brought back: {error}")
            else:
                return
        with suppress(CannotDo):
            self.note(f"delete anyway {link}")
            deleting.delete_anyway(link, None)

    def left_over(self) -> list[dict[str, Any]]:
        return list(Link.objects.due().values("kind", "object_id", "waits_for", "last_error", "failures", "remote_id"))

    def _sum_up(self) -> None:
        tally = self.tally
        tally.faults = self.trouble.fired
        tally.kills = self.works.kills
        tally.calls = self.wire.calls
        tally.conflicts = Conflict.objects.count()
        tally.busiest = self.sandbox.limit.busiest()
        tally.seconds = round(time.monotonic() - self.started, 2)
