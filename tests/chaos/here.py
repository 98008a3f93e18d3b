"""What staff do on our side, at random."""

from __future__ import annotations

import datetime as dt
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from django.db.models import ProtectedError

from ghl_sync.engine import deleting
from ghl_sync.engine.local import load
from ghl_sync.engine.results import CannotDo
from ghl_sync.models import Kind, Link
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
from trips.services.lifecycle import archive, unarchive

if TYPE_CHECKING:
    from tests.chaos.world import World

MODELS = {Kind.TRIP: Trip, Kind.PASSENGER: Passenger, Kind.CONTACT: Contact}
# Per kind: our column and the key over there (a colon before the name of a native one).
TEXTS = {
    Kind.TRIP: {"description": "trip_description", "vendor_terms": "vendor_terms", "lodging_notes": "lodging_notes"},
    Kind.PASSENGER: {"roommate_request": "user_roomate", "legal_first_name": "passenger_first_name"},
    Kind.CONTACT: {"city": ":city", "address_line1": ":address1", "last_name": ":last_name"},
}
PARTS = {
    "passport": ("number", PassportFactory),
    "health": ("general_health", HealthRecordFactory),
    "emergency": ("first_name", EmergencyContactFactory),
}


def a_contact(world: World) -> Contact:
    word = world.word()
    return ContactFactory(first_name=word, last_name=world.word(), email=f"{word}@example.com", phone="")


def contact_or_new(world: World, new: float) -> Contact:
    contact = world.pick(Contact.objects.all())
    return a_contact(world) if contact is None or world.random.random() < new else contact


def new_contact(world: World) -> None:
    a_contact(world)


def new_trip(world: World) -> None:
    contact = contact_or_new(world, 0.3)
    number = world.random.choice((None, 1000 + world.count))
    vendor = world.random.choice((None, world.pick(Vendor.objects.all())))
    TripFactory(name=f"Trip {world.word()}", organiser=contact, legacy_trip_id=number, vendor=vendor)


def new_passenger(world: World) -> None:
    contact, trip = contact_or_new(world, 0.5), world.pick(Trip.objects.all())
    PassengerFactory(contact=contact, trip=trip, legal_first_name=world.word(), legal_last_name=world.word())


def edit(world: World) -> None:
    kind = world.random.choice(tuple(MODELS))
    obj = world.pick(MODELS[kind].objects.all())  # type: ignore[attr-defined]
    if obj is None:
        return
    column, key = world.random.choice(list(TEXTS[kind].items()))
    value = "" if world.random.random() < 0.2 and column != "last_name" else world.word()
    if getattr(obj, column) == value:
        return
    setattr(obj, column, value)
    obj.save(update_fields=[column])
    world.edited("here", kind, obj, column, key, value)


def rename_trip(world: World) -> None:
    trip = world.pick(Trip.objects.all())
    if trip is None:
        return
    trip.name, columns = f"Trip {world.word()}", ["name"]
    if world.random.random() < 0.3:
        trip.legacy_trip_id = world.random.choice((None, 5000 + world.count))
        columns.append("legacy_trip_id")
    trip.save(update_fields=columns)
    world.note(f"here trip {trip.pk} name={trip.name!r} id={trip.legacy_trip_id}")


def move(world: World) -> None:
    passenger = world.pick(Passenger.objects.all())
    if passenger is not None:
        passenger.trip = world.pick([*Trip.objects.all(), None])
        passenger.trip_name_raw, passenger.trip_id_raw = "", None
        passenger.save(update_fields=["trip", "trip_name_raw", "trip_id_raw"])
        world.note(f"here passenger {passenger.pk} trip={passenger.trip_id}")


def vendor(world: World) -> None:
    dice = world.random.random()
    row = world.pick(Vendor.objects.all())
    trip = world.pick(Trip.objects.all())
    if row is None or dice < 0.3:
        VendorFactory(name=f"Vendor {world.word()}")
    elif dice < 0.5:
        row.name = f"Vendor {world.word()}"
        row.save(update_fields=["name"])
        world.note(f"here vendor {row.pk} name={row.name!r}")
    elif dice < 0.6:
        remove(world, row)
    elif trip is not None:
        trip.vendor = world.pick([*Vendor.objects.all(), None])
        trip.save(update_fields=["vendor"])
        world.note(f"here trip {trip.pk} vendor={trip.vendor_id}")


def numbers(world: World) -> None:
    trip = world.pick(Trip.objects.all())
    if trip is not None:
        trip.capacity = world.random.choice((None, world.random.randint(1, 99)))
        trip.start_date = world.random.choice((None, dt.date(2027, 3, world.random.randint(1, 28))))
        trip.status = world.random.choice(("open", "won", "lost"))
        trip.stage = world.random.choice(("form_submit", "trip_finalized", "trip_scheduled"))
        trip.save(update_fields=["capacity", "start_date", "status", "stage"])


def parts(world: World) -> None:
    passenger = world.pick(Passenger.objects.all())
    local = None if passenger is None else load("passenger", passenger.pk)
    if passenger is None or local is None:
        return
    part = world.random.choice(tuple(PARTS))
    (column, factory), row = PARTS[part], local.parts[part]
    value = world.random.choice(("", world.word(), world.word()))
    if row is None:
        factory(passenger=passenger, **{column: value})
    else:
        setattr(row, column, value)
        row.save(update_fields=[column])
    world.note(f"here passenger {passenger.pk} {part}={value!r}")


def tags(world: World) -> None:
    contact = world.pick(Contact.objects.all())
    if contact is not None:
        contact.tags = world.random.sample(["gold", "silver", "vip"], world.random.randint(0, 2))
        contact.save(update_fields=["tags"])
        world.note(f"here contact {contact.pk} tags={contact.tags}")


def put_away(world: World) -> None:
    """Archived trips and vendors are hidden, not gone: their sync goes on."""
    row = world.pick([*Trip.objects.all(), *Vendor.objects.all()])
    if row is not None:
        (unarchive if row.archived_at else archive)(rows=[row])
        world.note(f"here archive {row!r}")


def burst(world: World) -> None:
    """Several saves of one record in a row, as a person does who keeps pressing Save."""
    trip = world.pick(Trip.objects.all())
    for _save in range(0 if trip is None else world.random.randint(2, 5)):
        value = world.word()
        trip.lodging_notes = value
        trip.save(update_fields=["lodging_notes"])
        world.edited("here", Kind.TRIP, trip, "lodging_notes", "lodging_notes", value)


def bypass(world: World) -> None:
    """A bulk write that raises no signals: only the audit finds it."""
    trip = world.pick(Trip.objects.all())
    if trip is not None:
        value = world.word()
        Trip.objects.filter(pk=trip.pk).update(vendor_terms=value)
        world.bypassed = True
        world.edited("here", Kind.TRIP, trip, "vendor_terms", "vendor_terms", value)


def delete(world: World) -> None:
    choices = [
        world.pick(Passenger.objects.all()),
        world.pick(Trip.objects.filter(passengers=None)),
        world.pick(Contact.objects.filter(passengers=None, organised_trips=None)),
    ]
    obj = world.random.choice(choices)
    if obj is not None:
        remove(world, obj)


def remove(world: World, obj: Any) -> None:
    """Delete it, unless something still hangs on it."""
    key = (obj._meta.model_name, obj.pk)
    try:
        obj.delete()
    except ProtectedError:
        return
    world.deleted_here.add(key)
    world.note(f"here delete {key}")


def undo_delete(world: World) -> None:
    link = world.pick(deleting.waiting())
    if link is not None:
        with suppress(CannotDo):
            take_back(world, link)


def take_back(world: World, link: Link) -> None:
    """The object stands again; what was deleted with it, too. Raises CannotDo."""
    undone = deleting.undo(link)
    world.deleted_here.discard((link.kind, link.object_id))
    world.told.update((link.kind, undone.obj.pk, name) for name in undone.emptied)
    world.note(f"here undo delete {link.kind} {link.object_id} -> {undone.obj.pk}")


MOVES = (
    (4, new_trip), (5, new_passenger), (2, new_contact), (10, edit), (4, rename_trip), (5, move), (3, vendor),
    (3, numbers), (2, delete), (4, parts), (2, tags), (1, put_away), (2, burst), (1, undo_delete), (2, bypass),
)  # fmt: skip
