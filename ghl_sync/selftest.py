"""The self-test: one invented trip and traveller through the whole sync, on whatever account is configured.

It goes the way that a save goes (models, receivers, engine), looks at GoHighLevel's side with its own eyes, and takes
away what it made whatever happens. It never touches a record that it did not make.
"""

from __future__ import annotations

import datetime as dt
import secrets
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from decimal import Decimal

from django.db.models import ProtectedError
from django.utils import timezone

from ghl_sync.client.errors import GHLError, NotFound
from ghl_sync.client.types import FieldDef, Record
from ghl_sync.engine import deleting, options, push, rehearsal, resolve
from ghl_sync.engine.local import MODELS, load
from ghl_sync.engine.rehearsal import TRIP_NAMES
from ghl_sync.engine.results import CannotDo, NotYet, Result
from ghl_sync.engine.rules import PULLING, PUSHING
from ghl_sync.engine.session import Session
from ghl_sync.mapping.converters import option_label
from ghl_sync.mapping.fields import FieldMap, Way
from ghl_sync.mapping.table import MAPS
from ghl_sync.mapping.translate import read_record
from ghl_sync.models import Kind, Link
from trips.enums import Occupancy, TravelCategory
from trips.models import Contact, Passenger, Trip
from trips.services.enrolment import enrol

PATIENCE_SECONDS = 60.0
POLL_SECONDS = 0.3
ROOMMATE_FIELD = "opportunity.user_roomate"
BUSINESS_FIELD = "opportunity.travel_business_used"
LODGING_FIELD = "opportunity.lodging"
# One field of each data type that is mapped and can be cleared, and some more.
CLEARED = {
    Kind.TRIP: ("internal_notes", "price_per_person", "deposit_due", "nights_override", "lodging", "travel_category"),
    Kind.PASSENGER: ("roommate_request", "is_child"),
}
EDITED = "Edited in GoHighLevel by the self-test"


class Failed(Exception):
    """A step did not end as it must; the text says how."""


@dataclass(frozen=True, slots=True)
class Step:
    name: str
    ok: bool
    text: str


@dataclass
class SelfTest:
    """One run. `tell` hears of each step as it ends; `left` names what could not be taken away."""

    session: Session
    tell: Callable[[Step], None]
    steps: list[Step] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    made: dict[str, int] = field(default_factory=dict)  # kind → id here
    trip_name: str = ""
    email: str = ""
    stuck: bool = False

    @property
    def ok(self) -> bool:
        return all(step.ok for step in self.steps)

    def open(self) -> None:
        """Reach the account. Raises CannotRun or GHLError when that is not possible: the test could not run."""
        self.session.check_running(at_once=True)
        self.session.refresh_definitions()
        self._note("account", f"{self.session.location} answers.")

    def run(self) -> bool:
        """All steps up to the first that fails, then the cleaning up; True when everything went as it must."""
        with nullcontext() if self.session.config.loopback else rehearsal.drop_downs_held(self.session):
            try:
                self._take_steps()
            finally:
                self._clean_up()
                self.session.limiter.flush()
        return self.ok

    def _take_steps(self) -> None:
        for name, step in (
            ("create", self._create),
            ("option", self._option),
            ("update", self._update),
            ("enrol", self._enrol),
            ("clear", self._clear),
            ("edit there", self._edit_there),
            ("delete", self._delete_both),
        ):
            try:
                text = step()
            except (Failed, GHLError) as error:
                self._note(name, str(error), ok=False)
                return
            self._note(name, text)

    def _note(self, name: str, text: str, *, ok: bool = True) -> None:
        step = Step(name, ok, text)
        self.steps.append(step)
        self.tell(step)

    # Steps: each returns what it has shown, or raises Failed or GHLError

    def _create(self) -> str:
        now = timezone.localtime()
        self.trip_name = f"TripBuilder self-test {now:%Y-%m-%d %H:%M:%S}"
        self.email = f"tripbuilder-selftest-{secrets.token_hex(6)}@example.com"
        contact = Contact(first_name="TripBuilder", last_name="Self-test", email=self.email)
        contact.save()
        self.made[Kind.CONTACT] = contact.pk
        trip = self._trip(contact, now.date())
        trip.save()
        self.made[Kind.TRIP] = trip.pk
        self._reconcile(Kind.TRIP)
        self._compare(Kind.CONTACT)
        self._compare(Kind.TRIP)
        return f"{self.trip_name!r} and its invented contact stand in GoHighLevel with every value."

    def _trip(self, contact: Contact, today: dt.date) -> Trip:
        business = self.session.definitions.fields.get(BUSINESS_FIELD)
        lodging = self.session.definitions.fields.get(LODGING_FIELD)
        return Trip(
            name=self.trip_name,
            organiser=contact,
            description="Made by `manage.py ghl_selftest`; it takes this away again.",
            internal_notes="Nobody travels here.",
            start_date=today + dt.timedelta(days=200),
            end_date=today + dt.timedelta(days=207),
            deposit_due=today + dt.timedelta(days=100),
            capacity=8,
            price_per_person=Decimal("1234.50"),
            travel_business=business.options[0] if business and business.options else "",
            travel_category=TravelCategory.OTHER,
            lodging=lodging.options[0] if lodging and lodging.options else "",
            nights_override=7,
        )

    def _option(self) -> str:
        """The trip's name as an option; a live account's list is left alone, its existing options are used."""
        if not self.session.config.loopback:
            return "An option that exists was used; no list of options is written on a live account."
        ends = time.monotonic() + PATIENCE_SECONDS
        while not self._is_option():
            if time.monotonic() > ends:
                raise Failed("The trip's name did not become an option.")
            options.serve(self.session)  # a worker of the queue may hold the list, or have written it
            self.session.forget_definitions()
        self.left.append(f"The option {self.trip_name!r}: options are never removed.")
        self._reconcile(Kind.TRIP)
        self._compare(Kind.TRIP)
        return "The trip's name is an option of its drop-down and stands in the field."

    def _is_option(self) -> bool:
        definition = self.session.definitions.fields.get(TRIP_NAMES)
        return definition is not None and option_label(definition, self.trip_name) is not None

    def _update(self) -> str:
        trip = Trip.objects.get(pk=self.made[Kind.TRIP])
        trip.description, trip.capacity = "Changed by the self-test.", 9
        trip.save()
        self._reconcile(Kind.TRIP)
        self._compare(Kind.TRIP)
        return "A changed description and capacity arrived there."

    def _clear(self) -> str:
        """One field of each type that is mapped; a type that stays filled is tried with other spellings of empty."""
        trip = Trip.objects.get(pk=self.made[Kind.TRIP])
        trip.internal_notes = trip.lodging = trip.travel_category = ""
        trip.price_per_person = trip.deposit_due = trip.nights_override = None
        trip.save()
        passenger = Passenger.objects.get(pk=self.made[Kind.PASSENGER])
        passenger.roommate_request, passenger.is_child = "", None
        passenger.save()
        refused = [kind for kind in CLEARED if not self._may_reconcile(kind)]
        learnt = self._learn_to_clear()
        for kind in CLEARED:
            if refused or learnt:
                resolve.ask_for(self._link(kind))
                self._reconcile(kind)
            self._compare(kind)
        types = ", ".join(sorted({self._field_of(row).data_type for _kind, row in self._cleared()}))
        return f"Values cleared here are empty there, of each type: {types}.{learnt}"

    def _may_reconcile(self, kind: str) -> bool:
        """Whether it came to rest; one spelling of empty may be refused and another one taken."""
        try:
            self._reconcile(kind)
        except Failed:
            return False
        return True

    def _cleared(self) -> list[tuple[str, FieldMap]]:
        """The fields that were cleared here and are to be empty there."""
        rows = [(kind, MAPS[kind].by_name[name]) for kind, names in CLEARED.items() for name in names]
        there = self.session.definitions.fields
        return [(kind, row) for kind, row in rows if row.remote in there and self._goes_there(kind, row)]

    def _field_of(self, row: FieldMap) -> FieldDef:
        return self.session.definitions.fields[row.remote]

    def _learn_to_clear(self) -> str:
        """What it took to empty the fields that stayed filled. Raises Failed naming types that nothing empties."""
        learnt, stubborn = set(), set()
        records: dict[str, Record] = {kind: self._record(kind) for kind in CLEARED}
        for kind, row in self._cleared():
            definition = self._field_of(row)
            if row.converter.read(records[kind].custom.get(definition.id)) is None:
                continue
            if rehearsal.learn_clearing(self.session, self._link(kind), row):
                learnt.add(definition.data_type)
            else:
                stubborn.add(definition.data_type)
        if stubborn:
            raise Failed(
                f"GoHighLevel does not empty fields of the type {', '.join(sorted(stubborn))}: a value cleared here "
                "stays there, and each record says so. Clear such values in GoHighLevel itself."
            )
        return (
            f" It took another spelling of empty for {', '.join(sorted(learnt))}, kept from now on." if learnt else ""
        )

    def _enrol(self) -> str:
        passenger = Passenger(
            contact_id=self.made[Kind.CONTACT],
            trip_id=self.made[Kind.TRIP],
            legal_first_name="Self",
            legal_last_name="Test",
            occupancy=Occupancy.SINGLE,
            roommate_request="Nobody",
            is_child=False,
        )
        enrol(passenger=passenger)
        self.made[Kind.PASSENGER] = passenger.pk
        self._reconcile(Kind.PASSENGER)
        self._compare(Kind.PASSENGER)
        return "The traveller stands in GoHighLevel and bears the trip's key."

    def _edit_there(self) -> str:
        definition = self.session.definitions.fields.get(ROOMMATE_FIELD)
        if definition is None:
            raise Failed(f"GoHighLevel has no field {ROOMMATE_FIELD}; run `manage.py ghl_setup`.")
        if self.session.rules.way(Kind.PASSENGER, "roommate_request") not in PULLING:
            return "Not tried: by its field rule nothing of the roommate request comes here."
        link = self._link(Kind.PASSENGER)
        self.session.client.update_opportunity(link.remote_id, {"custom_fields": {definition.id: EDITED}})
        resolve.ask_for(link)
        self._reconcile(Kind.PASSENGER)
        if not Passenger.objects.filter(pk=self.made[Kind.PASSENGER], roommate_request=EDITED).exists():
            raise Failed("An edit made in GoHighLevel did not arrive here.")
        self._compare(Kind.PASSENGER)
        return "An edit made in GoHighLevel arrived here."

    def _delete_both(self) -> str:
        for kind in (Kind.PASSENGER, Kind.TRIP):
            remote_id = self._link(kind).remote_id
            MODELS[kind]._base_manager.get(pk=self.made[kind]).delete()
            self._let_the_delete_leave(kind)
            self._reconcile(kind)
            try:
                self.session.client.get_opportunity(remote_id)
            except NotFound:
                continue
            raise Failed(f"GoHighLevel still has the {kind} that was deleted here.")
        return "Deleted here, traveller and trip are gone there too."

    # Tools

    def _let_the_delete_leave(self, kind: str) -> None:
        """Nobody wants to undo or guard the test's own deletes. Raises Failed when this one cannot leave.

        A worker that took the record before it was deleted may still have it, and hold the delete once it finds out.
        """
        ends = time.monotonic() + PATIENCE_SECONDS
        while (link := self._link(kind)).remote_gone_at is None:
            try:
                deleting.send_own(link)
                return
            except NotYet as error:
                if time.monotonic() > ends:
                    raise Failed(str(error)) from None
            except CannotDo as error:
                raise Failed(str(error)) from None
            time.sleep(POLL_SECONDS)

    def _link(self, kind: str) -> Link:
        return Link.objects.get(kind=kind, object_id=self.made[kind])

    def _reconcile(self, kind: str) -> None:
        """Bring one record to rest; a worker of the queue may be faster, then wait for it."""
        link, ends = self._link(kind), time.monotonic() + PATIENCE_SECONDS
        while True:
            result = push.reconcile(self.session, link.pk, force=True)
            link.refresh_from_db()
            if result is Result.FAILED or link.parked_at is not None:
                raise Failed(link.last_error)
            at_rest = result not in {Result.BUSY, Result.WAITING}
            if at_rest and not Link.objects.due_now().filter(pk=link.pk).exists():
                return
            if time.monotonic() > ends:
                why = link.waits_for or link.last_error or "another worker has it"
                raise Failed(f"{link} did not come to rest in {PATIENCE_SECONDS:.0f} s: {why}")
            time.sleep(POLL_SECONDS)

    def _compare(self, kind: str) -> None:
        """Every value that goes there against what GoHighLevel itself answers. Raises Failed naming the fields."""
        table, local = MAPS[kind], load(kind, self.made[kind])
        if local is None:
            raise Failed(f"The {kind} vanished here.")
        readings = read_record(table, self._record(kind), self.session.definitions)
        values, wrong = local.values(), []
        for row in table.fields:
            if not self._goes_there(kind, row):
                continue
            reading = readings.get(row.name)
            theirs = None if reading is None or reading.unreadable else reading.value
            if not row.converter.same(values.get(row.name), theirs):
                wrong.append(row.name)
        if missing := [row.remote for row in table.customs if row.name in wrong and self._is_missing(row)]:
            raise Failed(f"GoHighLevel has no field {', '.join(missing)}; run `manage.py ghl_setup --apply`.")
        if wrong:
            raise Failed(f"GoHighLevel holds other values of the {kind} for: {', '.join(wrong)}.")

    def _is_missing(self, row: FieldMap) -> bool:
        return row.remote not in self.session.definitions.fields

    def _goes_there(self, kind: str, row: FieldMap) -> bool:
        """Whether GoHighLevel must hold what stands here, by the rules in force."""
        if row.name == "trip_name":
            return self._is_option()
        if row.way is Way.CREATE:
            return True
        return not row.group and self.session.rules.way(kind, row.name) in PUSHING

    def _record(self, kind: str) -> Record:
        return self.session.read(kind, self._link(kind).remote_id)

    # Cleaning up

    def _clean_up(self) -> None:
        for kind in (Kind.PASSENGER, Kind.TRIP, Kind.CONTACT):
            if kind in self.made:
                self._take_away(kind)
        rehearsal.forget_wish(self.trip_name)
        text = "Something had to stay, see below." if self.stuck else "What the test made is gone on both sides."
        self._note("clean up", text, ok=not self.stuck)

    def _take_away(self, kind: str) -> None:
        """Delete one record on both sides; what resists is named in `left`."""
        link = self._link(kind)
        obj = MODELS[kind]._base_manager.filter(pk=self.made[kind]).first()
        if obj is None and link.remote_gone_at is not None:
            return
        try:
            if obj is not None:
                obj.delete()
            self._let_the_delete_leave(kind)
            try:
                self._reconcile(kind)
            except Failed as failed:
                self._delete_anyway(kind, failed)
            if kind == Kind.CONTACT:
                self._delete_contact(link.remote_id)
        except ProtectedError:
            self._stays(f"The {kind} {link.label!r} here: other records name it.")
        except (Failed, GHLError) as error:
            where = link.remote_url or "perhaps, an answer was lost"
            again = "" if kind == Kind.CONTACT else " TripBuilder goes on trying to delete it."
            self._stays(f"The {kind} {link.label!r} in GoHighLevel ({where}): {error}{again}")

    def _delete_anyway(self, kind: str, failed: Failed) -> None:
        """What a failed step left over there is the test's own. Raises `failed` when that is not what is in the way."""
        try:
            deleting.delete_anyway(self._link(kind), None)
        except CannotDo:
            raise failed from None
        self._reconcile(kind)

    def _stays(self, words: str) -> None:
        self.left.append(words)
        self.stuck = True

    def _delete_contact(self, remote_id: str) -> None:
        """The sync never deletes a contact over there, so the test does it itself, and only one of its own address."""
        client = self.session.client
        if self.stuck:
            raise Failed("it is still named by a record that had to stay.")
        found = client.get_contact(remote_id) if remote_id else client.find_contact_by_email(self.email)
        if found is None:
            return
        if str(found.raw.get("email") or "").lower() != self.email:
            raise Failed("its e-mail address is no longer the test's.")
        client.delete_contact(found.id)
        if not self.session.config.loopback:
            self.left.append(f"GoHighLevel's conversation with the invented contact {self.email}: it has no API.")
