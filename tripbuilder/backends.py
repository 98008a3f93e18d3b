"""Permissions as Django counts them, less those that reach over all trips for who does not see every trip.

A page of the sync, another account's batches or a search for duplicates speaks of everybody's people. Narrowing each
of them to somebody's own trips would leave hints; so whoever does not see every trip does not have these permissions,
whatever their groups say. Superusers have all of them, as ever.
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth.backends import ModelBackend

from trips.permissions import EVERY_TRIP

# All permissions of other apps, and of the business these.
BUSINESS = "trips."
OVER_ALL_TRIPS = frozenset(
    {
        "trips.add_trip",  # "a trip of this name exists"
        "trips.add_contact",  # looks for the same person among all
        "trips.delete_contact",  # is refused for bookings on others' trips
        "trips.view_readentry",  # who has read of whom
        "trips.view_erasure",
        "trips.view_batch",  # others' bulk work
        "trips.change_batch",
        "trips.view_paperrun",  # others' runs
        "trips.change_paperrun",
    }
)


def reachable(permissions: set[str]) -> set[str]:
    """Those of `permissions` that their holder can use."""
    if EVERY_TRIP in permissions:
        return permissions
    return {name for name in permissions if name.startswith(BUSINESS) and name not in OVER_ALL_TRIPS}


class RoleBackend(ModelBackend):
    """Django's own backend with `reachable` permissions."""

    def get_all_permissions(self, user_obj: Any, obj: Any = None) -> set[str]:
        found: set[str] | None = getattr(user_obj, "_reachable_permissions", None)
        if found is None or obj is not None:
            found = reachable(super().get_all_permissions(user_obj, obj))
            if obj is None:
                user_obj._reachable_permissions = found
        return found
