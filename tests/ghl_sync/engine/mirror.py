"""What the engine's tests ask of both halves of an object."""

from __future__ import annotations

from typing import Any

from ghl_sync.models import Link
from ghl_sync.sandbox.server import Sandbox
from tests.factories import ContactFactory, TripFactory
from trips.models import Trip


def link_of(obj: Any) -> Link:
    link = Link.objects.for_object(obj)
    assert link is not None
    return link


def a_trip(**values: Any) -> Trip:
    """A trip that can go over there: one with a lead organiser, unless told otherwise."""
    if "organiser" not in values:
        values["organiser"] = ContactFactory()
    return TripFactory(**values)


def custom(sandbox: Sandbox, obj: Any) -> dict[str, Any]:
    """The custom values of the object's record over there, by key."""
    record = sandbox.store.get(link_of(obj).remote_id)
    assert record is not None
    return sandbox.store.custom_by_key(record)
