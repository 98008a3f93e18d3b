"""What a save or delete leaves behind for the engine: one inserted row, and the link of a new object."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from django.db import models, transaction

from ghl_sync.conf import config
from ghl_sync.engine import kept, state
from ghl_sync.engine.local import seat_of
from ghl_sync.models import Cause, Kind, Lane, Link, kind_of
from ghl_sync.suppression import is_muted
from trips.enums import SEATED
from trips.models import Contact, Passenger, Trip, Vendor

# Objects handled at once.
CHUNK = 500
MIRRORED: tuple[type[models.Model], ...] = (Trip, Passenger, Contact)


def mark(obj: models.Model) -> int | None:
    """Record that this mirrored object was saved; its link's id, or None while the pull itself writes it."""
    kind = kind_of(obj)
    if is_muted(kind, obj.pk):
        return None
    link = state.ensure_link(obj, str(obj))
    if isinstance(obj, Contact) and _is_merged(obj, link):
        return None
    state.record_change(kind, obj.pk, seat=seat_of(obj))
    return link.pk


def _is_merged(contact: Contact, link: Link) -> bool:
    """Whether another contact stands for this one. Its link follows what was saved, so that an undo is heard, too."""
    into = contact.merged_into_id
    if into is not None and link.merged_at is None:
        state.stand_aside(link, Link.objects.filter(kind=Kind.CONTACT, object_id=into).first())
    elif into is None and link.merged_at is not None:
        state.step_back(link)
    return into is not None


def mark_part(passenger_id: int) -> int | None:
    """Record that a part of a passenger was saved or deleted."""
    if is_muted(Kind.PASSENGER, passenger_id):
        return None
    state.record_change(Kind.PASSENGER, passenger_id)
    return Link.objects.filter(kind=Kind.PASSENGER, object_id=passenger_id).values_list("pk", flat=True).first()


def keep_rows(obj: models.Model) -> None:
    """A trip or passenger is about to be deleted: what it and its parts hold is kept until its delete has been sent.

    A passenger's trip is counted anew at once: while the create of somebody is in doubt nothing is agreed with
    GoHighLevel yet, and later nobody would know on which trip they were counted.
    """
    link_id = Link.objects.filter(kind=kind_of(obj), object_id=obj.pk).values_list("pk", flat=True).first()
    if link_id is not None:
        state.keep_rows(link_id, kept.gather(obj))
    seat = seat_of(obj)
    if seat is not None:
        state.recount(seat, config().count_delay)


def mark_deleted(kind: str, object_id: int) -> int | None:
    """Record that a mirrored object is gone here; its link stays as the tombstone. The id of one to be handled now.

    Deletes of trips and passengers are held for a while, so that they can be undone; contacts stay over there anyway.
    """
    link_id = Link.objects.filter(kind=kind, object_id=object_id).values_list("pk", flat=True).first()
    if link_id is None:
        return None
    hold = 0.0 if kind == Kind.CONTACT else config().delete_hold
    state.record_change(kind, object_id)
    state.forget_gone(link_id)
    state.hold_delete(link_id, hold)
    return None if hold else link_id


def mark_vendor(vendor_id: int) -> None:
    """Record that a vendor was saved: its name is an option and a value on its trips."""
    state.record_change(Kind.VENDOR, vendor_id)


def mark_many(model: type[models.Model], object_ids: Iterable[int], *, cause: str = Cause.SAVED) -> int:
    """For bulk writers, which raise no signals: record these objects as changed; returns how many."""
    ids = list(object_ids)
    kind = str(model._meta.model_name)
    for start in range(0, len(ids), CHUNK) if kind != Kind.VENDOR else ():
        some = ids[start : start + CHUNK]
        known = Link.objects.filter(kind=kind, object_id__in=some).values("object_id")
        state.ensure_links(list(model._base_manager.filter(pk__in=some).exclude(pk__in=known)))
    seats = {} if kind != Kind.PASSENGER else _seats(ids)
    return state.record_changes(kind, ids, cause=cause, lane=Lane.BULK, seats=seats)


def _seats(passenger_ids: Sequence[int]) -> dict[int, int]:
    """Which of these passengers have a seat, and on which trip."""
    found: dict[int, int] = {}
    for start in range(0, len(passenger_ids), CHUNK):
        some = passenger_ids[start : start + CHUNK]
        seated = Passenger._base_manager.filter(pk__in=some, attendance__in=SEATED, trip_id__isnull=False)
        found.update(seated.values_list("pk", "trip_id"))
    return found


@contextmanager
def bulk(model: type[models.Model]) -> Iterator[set[int]]:
    """One transaction of a bulk writer: ids put into the set are marked as changed when it ends, or not at all.

    For trips, passengers, contacts and vendors; whoever writes passports, health records or emergency contacts in bulk
    names their passengers. Wakes nobody: `tasks.bulk` does.
    """
    reported: tuple[type[models.Model], ...] = (*MIRRORED, Vendor)
    if model not in reported:
        names = ", ".join(one.__name__ for one in reported)
        raise TypeError(f"{model.__name__} is not mirrored by itself; bulk() takes {names}.")
    written: set[int] = set()
    with transaction.atomic():
        yield written
        mark_many(model, sorted(written))


def mark_all(kinds: Iterable[str]) -> int:
    """Have every object of these kinds compared with GoHighLevel, one call each; returns how many.

    Objects that no save has ever reported (loaded past the signals) get their links here. Each gets a Change, too: of
    one without any, the worker believes that nothing was changed here.
    """
    marked = 0
    for model in MIRRORED:
        kind = model.__name__.lower()
        if kind not in kinds:
            continue
        mark_many(model, model._base_manager.values_list("pk", flat=True), cause=Cause.ASKED)
        marked += state.look_at_all(kind)
    return marked
