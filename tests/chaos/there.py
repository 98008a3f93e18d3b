"""What people do inside GoHighLevel, at random."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ghl_sync.models import Kind, Link
from tests.chaos.here import MODELS, TEXTS
from trips.models import Trip, Vendor

if TYPE_CHECKING:
    from tests.chaos.world import World

PIPELINES = {Kind.TRIP: "TripBooking", Kind.PASSENGER: "Passenger"}


def a_pair(world: World, *kinds: Kind) -> tuple[Kind, Any, Any]:
    """A kind, an object of ours and its other half (both None where there is none)."""
    kind = world.random.choice(kinds)
    ids = dict(Link.objects.filter(kind=kind, deleted_at=None).values_list("object_id", "remote_id"))
    living = {pk: record for pk, one in ids.items() if (record := world.store.get(one)) and not record.deleted}
    rows = MODELS[kind].objects.filter(pk__in=living).order_by("pk")  # type: ignore[attr-defined]
    obj = world.pick(rows)
    return kind, obj, None if obj is None else living[obj.pk]


def edit(world: World) -> None:
    kind, obj, record = a_pair(world, Kind.TRIP, Kind.PASSENGER, Kind.CONTACT)
    if record is None:
        return
    column, key = world.random.choice(list(TEXTS[kind].items()))
    value = "" if world.random.random() < 0.2 and column != "last_name" else world.word()
    held = getattr(record, key[1:]) if key.startswith(":") else world.store.custom_by_key(record).get(key)
    if (held or "") == value:
        return
    if key.startswith(":"):
        world.sandbox.edit(record.id, **{key[1:]: value or None})
    else:
        world.sandbox.edit(record.id, fields={key: value})
    world.edited("there", kind, obj, column, key, value)


def rename_trip(world: World) -> None:
    _kind, obj, record = a_pair(world, Kind.TRIP)
    if record is not None:
        name = f"Trip {world.word()}"
        world.sandbox.edit(record.id, name=name)
        world.note(f"there trip {obj.pk} name={name!r}")


def move(world: World) -> None:
    _kind, obj, record = a_pair(world, Kind.PASSENGER)
    trip = world.pick(Trip.objects.all())
    if record is None or trip is None:
        return
    how = world.random.choice(("name", "both", "clear"))
    world.store.add_options("trip_name", [trip.name])
    fields: dict[str, Any] = {"trip_name": trip.name}
    if how == "both":
        fields["trip_id"] = trip.legacy_trip_id
    if how == "clear":
        fields = {"trip_name": None, "trip_id": None}
    world.sandbox.edit(record.id, fields=fields)
    world.note(f"there passenger {obj.pk} {fields}")


def vendor(world: World) -> None:
    _kind, obj, record = a_pair(world, Kind.TRIP)
    if record is None:
        return
    label = world.random.choice(("", f"Vendor {world.word()}", *Vendor.objects.values_list("name", flat=True)))
    if label:
        world.store.add_options("trip_vendor", [label])
    world.sandbox.edit(record.id, fields={"trip_vendor": label})
    world.note(f"there trip {obj.pk} vendor={label!r}")


def numbers(world: World) -> None:
    _kind, _obj, record = a_pair(world, Kind.TRIP)
    if record is not None:
        day = world.random.choice((None, f"2027-04-{world.random.randint(10, 28)}"))
        fields = {"max_passengers": world.random.choice((None, world.random.randint(1, 99))), "start_date": day}
        stage = world.random.choice(("FormSubmit", "TripFinalized", "TripScheduled"))
        world.sandbox.edit(record.id, fields=fields, stage=stage, status=world.random.choice(("open", "won")))


def new(world: World) -> None:
    word = world.word()
    contact = world.pick(world.store.contacts())
    if contact is None or world.random.random() < 0.3:
        contact = world.store.add_contact(
            first_name=word, last_name=word, email=f"{word}@example.com", added=world.store.added_now()
        )
    kind = world.random.choice((Kind.TRIP, Kind.PASSENGER))
    fields: dict[str, Any] = {}
    trip = world.pick(Trip.objects.all())
    if kind == Kind.PASSENGER and trip is not None:
        world.store.add_options("trip_name", [trip.name])
        fields = {"trip_name": trip.name, "passenger_first_name": word}
    world.store.add_opportunity(
        pipeline=PIPELINES[kind],
        name=f"Trip {word}",
        contact_id=contact.id,
        fields=fields,
        added=world.store.added_now(),
    )


def delete(world: World) -> None:
    kind, obj, record = a_pair(world, Kind.TRIP, Kind.PASSENGER)
    if record is not None:
        world.store.delete(record.id)
        world.deleted_there.append(record.id)
        world.note(f"there delete {kind} {obj.pk}")


def restore(world: World) -> None:
    """Somebody takes a record out of GoHighLevel's bin."""
    record_id = world.pick(world.deleted_there)
    if record_id is not None:
        world.deleted_there.remove(record_id)
        world.store.restore(record_id)
        world.note(f"there restore {record_id}")


def owner(world: World) -> None:
    """As merging two contacts does."""
    _kind, obj, record = a_pair(world, Kind.PASSENGER)
    contact = world.pick(world.store.contacts())
    if record is not None and contact is not None:
        world.sandbox.edit(record.id, contact_id=contact.id)
        world.note(f"there passenger {obj.pk} contact={contact.id}")


MOVES = (
    (10, edit), (3, rename_trip), (4, move), (3, vendor), (3, numbers), (2, new), (1, delete), (1, restore), (1, owner),
)  # fmt: skip
