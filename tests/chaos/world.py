"""One seeded random run: two sides that change, an engine that is killed and a line that fails.

Every text written is unlike any other, so that the end tells whose edit a field holds.
"""

from __future__ import annotations

import datetime as dt
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db.models import Q

from ghl_sync.client.errors import GHLError
from ghl_sync.engine import apply, due, state
from ghl_sync.engine.clock import database_now
from ghl_sync.engine.local import load
from ghl_sync.engine.pull import pull
from ghl_sync.engine.session import CannotRun, Session
from ghl_sync.mapping.fields import Way
from ghl_sync.mapping.table import MAPS
from ghl_sync.mapping.translate import read_record
from ghl_sync.models import Change, Conflict, Issue, Kind, Link, RemoteField, Run, Write
from ghl_sync.sandbox.server import Sandbox
from ghl_sync.sandbox.store import Entry
from tests.factories import (
    ContactFactory,
    EmergencyContactFactory,
    HealthRecordFactory,
    PassengerFactory,
    PassportFactory,
    TripFactory,
    VendorFactory,
)
from trips.models import Contact, Passenger, Trip, Vendor

PIPELINES = {Kind.TRIP: "TripBooking", Kind.PASSENGER: "Passenger"}
# Per kind: our column and the key over there ("" before the name of a native one).
TEXTS = {
    Kind.TRIP: {"description": "trip_description", "vendor_terms": "vendor_terms", "lodging_notes": "lodging_notes"},
    Kind.PASSENGER: {"roommate_request": "user_roomate", "legal_first_name": "passenger_first_name"},
    Kind.CONTACT: {"city": ":city", "address_line1": ":address1", "last_name": ":last_name"},
}
# A worker may be stopped before or after each of these.
STEPS = ("claim", "keep", "agreed", "open_write", "close_write", "pulled", "read_changes", "record_change", "met",
         "options_added", "store_digests", "advance_run",
         "release", "retry_later", "tombstone_done", "bury")  # fmt: skip
FAULTS = ("lost", "cut", "half", "status", "html", "timeout_401", "ok_html", "empty", "slow", "late", "429")
SLOW = 0.7  # longer than the tests' time-out
REST_SECONDS = 40


class Killed(BaseException):
    """The process ended here; nothing after this line ran."""


class World:
    """Both sides of one account. `late` allows calls that are carried out after their answer was given up."""

    def __init__(self, sandbox: Sandbox, seed: int, *, late: bool) -> None:
        self.sandbox, self.store = sandbox, sandbox.store
        self.random = random.Random(seed)
        self.late = late
        self.seed = seed
        self.count = 0
        self.log: list[str] = []
        # (kind, object id, column) → (whose, value) of the last edit; and everything ever written there.
        self.last: dict[tuple[str, int, str], tuple[str, Any]] = {}
        self.kills = 0
        self.store.lag = 0.2 if seed % 3 == 0 else 0.0
        ContactFactory.reset_sequence(0, force=True)
        Session().refresh_definitions()

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

    def edited(self, side: str, kind: str, obj: Any, column: str, value: str) -> None:
        """Remember the last edit of a field; one taken back before the other side saw it leaves none."""
        link = Link.objects.for_object(obj)
        base = apply.base_of(link) if link and link.base else None
        if base is not None and value == ((base.local if side == "here" else base.remote).get(column) or ""):
            self.last.pop((kind, obj.pk, column), None)
        else:
            self.last[(kind, obj.pk, column)] = (side, value)

    # Steps

    def step(self) -> None:
        moves: list[tuple[int, Callable[[], None]]] = [
            (4, self.new_trip), (5, self.new_passenger), (2, self.new_contact),
            (10, self.edit_here), (4, self.rename_trip_here), (5, self.move_here), (3, self.vendor_here),
            (3, self.numbers_here), (2, self.delete_here), (4, self.parts_here), (2, self.tags_here),
            (10, self.edit_there), (3, self.rename_trip_there), (4, self.move_there), (3, self.vendor_there),
            (3, self.numbers_there), (2, self.new_there), (1, self.delete_there), (1, self.owner_there),
            (22, self.push), (10, self.pull_changes), (5, self.pull_all), (3, self.definitions),
        ]  # fmt: skip
        move = self.random.choices([one for _w, one in moves], [weight for weight, _one in moves])[0]
        self.note(move.__name__)
        move()

    # Here

    def new_contact(self) -> None:
        word = self.word()
        ContactFactory(first_name=word, last_name=self.word(), email=f"{word}@example.com", phone="")

    def new_trip(self) -> None:
        contact = self.pick(Contact.objects.all())
        if contact is None or self.random.random() < 0.3:
            word = self.word()
            contact = ContactFactory(first_name=word, last_name=word, email=f"{word}@example.com", phone="")
        number = self.random.choice((None, 1000 + self.count))
        vendor = self.random.choice((None, self.pick(Vendor.objects.all())))
        TripFactory(name=f"Trip {self.word()}", organiser=contact, legacy_trip_id=number, vendor=vendor)

    def new_passenger(self) -> None:
        word = self.word()
        contact = self.pick(Contact.objects.all())
        if contact is None or self.random.random() < 0.5:
            contact = ContactFactory(first_name=word, last_name=word, email=f"{word}@example.com", phone="")
        trip = self.pick(Trip.objects.all())
        PassengerFactory(contact=contact, trip=trip, legal_first_name=word, legal_last_name=self.word())

    def any_here(self) -> tuple[str, Any]:
        kind = self.random.choice((Kind.TRIP, Kind.PASSENGER, Kind.CONTACT))
        return kind, self.pick({Kind.TRIP: Trip, Kind.PASSENGER: Passenger, Kind.CONTACT: Contact}[kind].objects.all())

    def edit_here(self) -> None:
        kind, obj = self.any_here()
        if obj is None:
            return
        column = self.random.choice(list(TEXTS[kind]))
        value = "" if self.random.random() < 0.2 and column != "last_name" else self.word()
        if getattr(obj, column) == value:
            return
        setattr(obj, column, value)
        obj.save()
        self.edited("here", kind, obj, column, value)
        self.note(f"here {kind} {obj.pk} {column}={value!r}")

    def rename_trip_here(self) -> None:
        trip = self.pick(Trip.objects.all())
        if trip is not None:
            trip.name = f"Trip {self.word()}"
            if self.random.random() < 0.3:
                trip.legacy_trip_id = self.random.choice((None, 5000 + self.count))
            trip.save()
            self.note(f"here trip {trip.pk} name={trip.name!r} id={trip.legacy_trip_id}")

    def move_here(self) -> None:
        passenger = self.pick(Passenger.objects.all())
        if passenger is not None:
            passenger.trip = self.pick([*Trip.objects.all(), None])
            passenger.trip_name_raw, passenger.trip_id_raw = "", None
            passenger.save()
            self.note(f"here passenger {passenger.pk} trip={passenger.trip_id}")

    def vendor_here(self) -> None:
        if self.random.random() < 0.4:
            VendorFactory(name=f"Vendor {self.word()}")
        elif (vendor := self.pick(Vendor.objects.all())) is not None and self.random.random() < 0.4:
            vendor.name = f"Vendor {self.word()}"
            vendor.save()
            self.note(f"here vendor {vendor.pk} name={vendor.name!r}")
        elif (trip := self.pick(Trip.objects.all())) is not None:
            trip.vendor = self.pick([*Vendor.objects.all(), None])
            trip.save()
            self.note(f"here trip {trip.pk} vendor={trip.vendor_id}")

    def numbers_here(self) -> None:
        trip = self.pick(Trip.objects.all())
        if trip is not None:
            trip.capacity = self.random.choice((None, self.random.randint(1, 99)))
            trip.start_date = self.random.choice((None, dt.date(2027, 3, self.random.randint(1, 28))))
            trip.status = self.random.choice(("open", "won", "lost"))
            trip.stage = self.random.choice(("form_submit", "trip_finalized", "trip_scheduled"))
            trip.save()

    def parts_here(self) -> None:
        passenger = self.pick(Passenger.objects.all())
        if passenger is None:
            return
        local = load("passenger", passenger.pk)
        assert local is not None
        part = self.random.choice(("passport", "health", "emergency"))
        column = {"passport": "number", "health": "general_health", "emergency": "first_name"}[part]
        value = self.random.choice(("", self.word(), self.word()))
        row = local.parts[part]
        if row is None:
            factory = {"passport": PassportFactory, "health": HealthRecordFactory, "emergency": EmergencyContactFactory}
            factory[part](passenger=passenger, **{column: value})
        else:
            setattr(row, column, value)
            row.save()
        self.note(f"here passenger {passenger.pk} {part}={value!r}")

    def tags_here(self) -> None:
        contact = self.pick(Contact.objects.all())
        if contact is not None:
            contact.tags = self.random.sample(["gold", "silver", "vip"], self.random.randint(0, 2))
            contact.save()
            self.note(f"here contact {contact.pk} tags={contact.tags}")

    def delete_here(self) -> None:
        passenger, trip = self.pick(Passenger.objects.all()), self.pick(Trip.objects.filter(passengers=None))
        obj = self.random.choice((passenger, trip))
        if obj is not None:
            self.note(f"here delete {obj!r} {obj.pk}")
            obj.delete()

    # There

    def any_there(self, *kinds: str) -> tuple[str, Any, Any]:
        """A kind, an object of ours and its other half (both None where there is none)."""
        kind = self.random.choice(kinds)
        rows = {Kind.TRIP: Trip, Kind.PASSENGER: Passenger, Kind.CONTACT: Contact}[kind].objects.all()  # type: ignore[index]
        pairs = [(obj, record) for obj in rows if (record := self.record_of(obj)) is not None]
        obj, record = self.random.choice(pairs) if pairs else (None, None)
        return kind, obj, record

    def edit_there(self) -> None:
        kind, obj, record = self.any_there(Kind.TRIP, Kind.PASSENGER, Kind.CONTACT)
        if record is None:
            return
        column, key = self.random.choice(list(TEXTS[kind].items()))  # type: ignore[index]
        value = "" if self.random.random() < 0.2 and column != "last_name" else self.word()
        held = getattr(record, key[1:]) if key.startswith(":") else self.store.custom_by_key(record).get(key)
        if (held or "") == value:
            return
        if key.startswith(":"):
            self.sandbox.edit(record.id, **{key[1:]: value or None})
        else:
            self.sandbox.edit(record.id, fields={key: value})
        self.edited("there", kind, obj, column, value)
        self.note(f"there {kind} {obj.pk} {column}={value!r}")

    def rename_trip_there(self) -> None:
        _kind, obj, record = self.any_there(Kind.TRIP)
        if record is not None:
            name = f"Trip {self.word()}"
            self.sandbox.edit(record.id, name=name)
            self.note(f"there trip {obj.pk} name={name!r}")

    def move_there(self) -> None:
        _kind, obj, record = self.any_there(Kind.PASSENGER)
        trip = self.pick(Trip.objects.all())
        if record is None or trip is None:
            return
        how = self.random.choice(("name", "both", "clear"))
        self.store.add_options("trip_name", [trip.name])
        fields: dict[str, Any] = {"trip_name": trip.name}
        if how == "both":
            fields["trip_id"] = trip.legacy_trip_id
        if how == "clear":
            fields = {"trip_name": None, "trip_id": None}
        self.sandbox.edit(record.id, fields=fields)
        self.note(f"there passenger {obj.pk} {fields}")

    def vendor_there(self) -> None:
        _kind, obj, record = self.any_there(Kind.TRIP)
        if record is None:
            return
        label = self.random.choice(("", f"Vendor {self.word()}", *Vendor.objects.values_list("name", flat=True)))
        if label:
            self.store.add_options("trip_vendor", [label])
        self.sandbox.edit(record.id, fields={"trip_vendor": label})
        self.note(f"there trip {obj.pk} vendor={label!r}")

    def numbers_there(self) -> None:
        _kind, _obj, record = self.any_there(Kind.TRIP)
        if record is not None:
            day = self.random.choice((None, f"2027-04-{self.random.randint(10, 28)}"))
            fields = {"max_passengers": self.random.choice((None, self.random.randint(1, 99))), "start_date": day}
            stage = self.random.choice(("FormSubmit", "TripFinalized", "TripScheduled"))
            self.sandbox.edit(record.id, fields=fields, stage=stage, status=self.random.choice(("open", "won")))

    def new_there(self) -> None:
        word = self.word()
        contact = self.pick(self.store.contacts())
        if contact is None or self.random.random() < 0.3:
            contact = self.store.add_contact(
                first_name=word, last_name=word, email=f"{word}@example.com", added=self.store.added_now()
            )
        kind = self.random.choice((Kind.TRIP, Kind.PASSENGER))
        fields: dict[str, Any] = {}
        trip = self.pick(Trip.objects.all())
        if kind == Kind.PASSENGER and trip is not None:
            self.store.add_options("trip_name", [trip.name])
            fields = {"trip_name": trip.name, "passenger_first_name": word}
        self.store.add_opportunity(
            pipeline=PIPELINES[kind],
            name=f"Trip {word}",
            contact_id=contact.id,
            fields=fields,
            added=self.store.added_now(),
        )

    def delete_there(self) -> None:
        kind, obj, record = self.any_there(Kind.TRIP, Kind.PASSENGER)
        if record is not None:
            self.store.delete(record.id)
            self.note(f"there delete {kind} {obj.pk}")

    def owner_there(self) -> None:
        """As merging two contacts does."""
        _kind, obj, record = self.any_there(Kind.PASSENGER)
        contact = self.pick(self.store.contacts())
        if record is not None and contact is not None:
            self.sandbox.edit(record.id, contact_id=contact.id)
            self.note(f"there passenger {obj.pk} contact={contact.id}")

    # The engine

    def trouble(self) -> None:
        """None, one or two faults for the next calls."""
        for _one in range(self.random.choice((0, 0, 1, 1, 2))):
            kind = self.random.choice(FAULTS)
            if kind in {"slow", "late"} and not self.late:
                continue
            method, path = self.random.choice(
                (("POST", "/opportunities/"), ("PUT", "/opportunities/.*"), ("POST", "/contacts/"),
                 ("PUT", ".*/customFields/.*"), ("GET", ".*"), ("DELETE", ".*"), (".*", ".*"))
            )  # fmt: skip
            status = 429 if kind == "429" else self.random.choice((500, 502, 503))
            seconds = SLOW if kind == "slow" else self.random.uniform(0.05, 0.4)
            self.sandbox.faults.add(
                "status" if kind == "429" else kind, method=method, path=path, status=status, seconds=seconds
            )
            self.note(f"fault {kind} {method} {path}")

    @contextmanager
    def mortal(self) -> Iterator[None]:
        """Within the block the process may be killed at one of the engine's steps."""
        whole = {name: getattr(state, name) for name in STEPS}
        left = self.random.randint(1, 40) if self.random.random() < 0.3 else 0
        before = self.random.random() < 0.5

        def guarded(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
            def run(*args: Any, **kwargs: Any) -> Any:
                nonlocal left
                left -= 1
                if left == 0 and before:
                    raise Killed(name)
                answer = call(*args, **kwargs)
                if left == 0:
                    raise Killed(name)
                return answer

            return run

        try:
            for name, call in whole.items():
                setattr(state, name, guarded(name, call))
            yield
        except Killed as killed:
            self.kills += 1
            self.note(f"killed at {killed} {'before' if before else 'after'}")
            # The lease runs out; until then nobody else may have the record.
            Link.objects.filter(leased_until__isnull=False).update(leased_until=database_now() - dt.timedelta(1))
        except (GHLError, CannotRun) as error:
            self.note(f"stopped: {error}")
        finally:
            for name, call in whole.items():
                setattr(state, name, call)
            self.sandbox.faults.clear()

    def push(self) -> None:
        self.trouble()
        with self.mortal():
            due.run_due(Session())

    def pull_changes(self) -> None:
        self.trouble()
        with self.mortal():
            pull(Session())

    def pull_all(self) -> None:
        self.trouble()
        with self.mortal():
            pull(Session(), full=True)

    def definitions(self) -> None:
        with self.mortal():
            Session().refresh_definitions()

    # The end

    def settle_down(self) -> None:
        """Everything works again: push and pull until there is nothing to do."""
        self.note("rest")
        self.sandbox.faults.clear()
        time.sleep(SLOW if self.late else self.store.lag)
        RemoteField.objects.update(leased_until=None)
        ends = time.monotonic() + REST_SECONDS
        quiet = 0
        while quiet < 3:
            assert time.monotonic() < ends, f"not at rest: {self.left_over()}"
            Link.objects.filter(leased_until__isnull=True).update(next_attempt_at=None)
            report = due.run_due(Session())
            Run.objects.filter(finished_at=None).update(touched_at=database_now() - dt.timedelta(1))
            pulled = pull(Session(), full=True)
            busy = Link.objects.due().exists() or pulled.trips.updated or pulled.passengers.updated
            quiet = 0 if busy or report.failed else quiet + 1
            if busy:
                time.sleep(0.1)

    def left_over(self) -> list[dict[str, Any]]:
        return list(Link.objects.due().values("kind", "object_id", "waits_for", "last_error", "failures", "remote_id"))

    def faults(self) -> list[str]:
        """What does not hold now, at rest."""
        return [*self.twins(), *self.unequal(), *self.strangers(), *self.lost(), *self.restless()]

    def twins(self) -> list[str]:
        found: dict[str, list[str]] = {}
        for record in (*self.sandbox.opportunities(), *self.store.contacts()):
            key = self.store.custom_by_key(record).get("tripbuilder_key")
            if key:
                found.setdefault(key, []).append(record.id)
        emails: dict[str, list[str]] = {}
        for contact in self.store.contacts():
            if contact.email:
                emails.setdefault(contact.email, []).append(contact.id)
        return [f"twins {key}: {ids}" for key, ids in {**found, **emails}.items() if len(ids) > 1]

    def unequal(self) -> list[str]:
        session, wrong = Session(), []
        for kind, model in ((Kind.TRIP, Trip), (Kind.PASSENGER, Passenger), (Kind.CONTACT, Contact)):
            for obj in model.objects.all():
                link = Link.objects.for_object(obj)
                if link is None or not link.remote_id:
                    wrong.append(f"{kind} {obj.pk} has no other half ({link and (link.last_error or link.waits_for)})")
                elif link.parked_at is not None:
                    wrong.append(f"{kind} {obj.pk} is parked: {link.last_error}")
                elif self.record_of(obj) is None:
                    if link.gone_at is None:
                        wrong.append(f"{kind} {obj.pk}'s other half is deleted and nobody noticed")
                elif link.gone_at is not None:
                    wrong.append(f"{kind} {obj.pk} counts as gone and is there")
                else:
                    wrong += self.differing(session, kind, obj, link)
        return wrong

    def differing(self, session: Session, kind: str, obj: Any, link: Link) -> Iterator[str]:
        client = session.client
        record = client.get_contact(link.remote_id) if kind == Kind.CONTACT else client.get_opportunity(link.remote_id)
        readings = read_record(MAPS[kind], record, session.definitions)
        local = load(kind, obj.pk)
        assert local is not None
        asked = Conflict.objects.filter(link=link, resolved_at=None).values_list("field", flat=True)
        shown = {*asked, *Issue.objects.filter(link=link, closed_at=None).values_list("field", flat=True)}
        if {"trip_name", "trip_id"} & shown:
            shown |= {"trip_name", "trip_id", "trip_key"}
        for row in MAPS[kind].fields:
            ours, theirs = local.values().get(row.name), readings[row.name].value
            owner = row.reference and row.way is Way.CREATE
            ours_made = Write.objects.filter(link=link, action="create").exists()
            derived = row.name in {"key", "trip_key"} or (row.name == "enrolled_count")
            derived = derived and not (row.name == "trip_key" and theirs is None)  # it rides; only a wrong one misleads
            compared = row.way is Way.BOTH or owner or (ours_made and derived)
            # A record that came in keeps how it names its trip or vendor, where that names the right one.
            pair = apply.base_of(link).pair(row.name, ours, theirs)
            named = row.reference and pair is not None and (pair.local, pair.remote) == (ours, theirs)
            if compared and row.name not in shown and not named and not row.converter.same(ours, theirs):
                yield f"{kind} {obj.pk} {row.name}: {ours!r} here, {theirs!r} there, base {link.base}"

    def strangers(self) -> list[str]:
        known = set(Link.objects.filter(deleted_at=None).values_list("remote_id", flat=True))
        told = set(Issue.objects.filter(closed_at=None).values_list("remote_id", flat=True))
        return [
            f"{row.id} {row.name} has no other half here"
            for row in (*self.sandbox.opportunities(), *self.store.contacts())
            if row.id not in known | told
        ]

    def lost(self) -> list[str]:
        wrong = []
        for (kind, pk, column), (side, value) in self.last.items():
            local = load(kind, pk)
            link = Link.objects.filter(kind=kind, object_id=pk).first()
            if local is None or link is None or link.gone_at is not None or (side == "there" and self.late):
                continue
            held = getattr(local.obj, column)
            told = Conflict.objects.filter(link=link, field=column)
            if held != value and not any(value in (row.our_value, row.their_value) for row in told):
                wrong.append(f"{kind} {pk} {column}: {value!r} of {side} is lost, {held!r} is left")
        return wrong

    def restless(self) -> list[str]:
        self.sandbox.requests.clear()
        pull(Session(), full=True)
        due.run_due(Session())
        wrong = [f"not at rest: {one.method} {one.path} {one.body}" for one in self.sandbox.writes()]
        wrong += [f"due at rest: {row}" for row in self.left_over()]
        living = Q(kind__in=[Kind.TRIP, Kind.PASSENGER, Kind.CONTACT])
        gone = set(Link.objects.filter(gone_at__isnull=False).values_list("kind", "object_id"))
        wrong += [
            f"a change is left: {row.kind} {row.object_id} {row.cause}"
            for row in Change.objects.filter(living)
            if (row.kind, row.object_id) not in gone
        ]
        open_writes = Write.objects.filter(outcome=Write.Outcome.OPEN, link__gone_at=None).exclude(action="options")
        return wrong + [f"a doubt is left: {row} {row.link}" for row in open_writes]
