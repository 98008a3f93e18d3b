"""Saves and deletes of mirrored models: record that they happened, in their own transaction, and wake the queue.

A receiver only inserts a row: nothing to deadlock on, nothing that waits for GoHighLevel. Which other records
follow from a change is the worker's question.
"""

from __future__ import annotations

from typing import Any

from django.db.models import Model
from django.db.models.signals import post_delete, post_save, pre_delete

from ghl_sync import tasks
from ghl_sync.engine import kept, outbox
from ghl_sync.models import kind_of
from trips.models import Contact, EmergencyContact, HealthRecord, Passport, Vendor
from trips.models.document import file_wanted

PARTS: tuple[type[Model], ...] = (Passport, HealthRecord, EmergencyContact)


def saved(instance: Model, raw: bool = False, **kwargs: Any) -> None:
    """A mirrored object was saved; `raw` is a fixture being loaded."""
    if not raw:
        tasks.wake_after_commit(outbox.mark(instance))


def part_changed(instance: Any, raw: bool = False, **kwargs: Any) -> None:
    """A passenger's passport, health record or emergency contact was saved or deleted."""
    if not raw:
        tasks.wake_after_commit(outbox.mark_part(instance.passenger_id))


def about_to_be_deleted(instance: Model, **kwargs: Any) -> None:
    """The last moment at which all rows that go with a trip or passenger are still there."""
    outbox.keep_rows(instance)


def deleted(instance: Model, **kwargs: Any) -> None:
    """A mirrored object was deleted; its link stays as the tombstone until GoHighLevel's half is gone."""
    if instance.pk is not None:
        tasks.wake_after_commit(outbox.mark_deleted(kind_of(instance), instance.pk))


def vendor_saved(instance: Vendor, raw: bool = False, **kwargs: Any) -> None:
    """A vendor's name is an option over there and a value on its trips; the sweep spreads it."""
    if not raw:
        outbox.mark_vendor(instance.pk)
        tasks.sweep_after_commit()


def wants_file(name: str, **kwargs: Any) -> bool:
    """A deleted record that can still be brought back keeps the files of its papers."""
    return kept.names_file(name)


def connect() -> None:
    """Called once at start-up."""
    for model in outbox.MIRRORED:
        name = model.__name__.lower()
        post_save.connect(saved, sender=model, dispatch_uid=f"ghl_sync_{name}_saved")
        post_delete.connect(deleted, sender=model, dispatch_uid=f"ghl_sync_{name}_deleted")
        if model is not Contact:
            pre_delete.connect(about_to_be_deleted, sender=model, dispatch_uid=f"ghl_sync_{name}_about_to_be_deleted")
    for model in PARTS:
        name = model.__name__.lower()
        post_save.connect(part_changed, sender=model, dispatch_uid=f"ghl_sync_{name}_saved")
        post_delete.connect(part_changed, sender=model, dispatch_uid=f"ghl_sync_{name}_deleted")
    post_save.connect(vendor_saved, sender=Vendor, dispatch_uid="ghl_sync_vendor_saved")
    file_wanted.connect(wants_file, dispatch_uid="ghl_sync_file_wanted")
