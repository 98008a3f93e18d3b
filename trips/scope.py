"""Which rows a user sees. The one place that decides it: lists, choices, searches, reports and timelines ask here.

Permissions say which models somebody may look into; this says how far. Whoever may see every trip sees all rows, and
their queries stay as they were: not a join, not a question more. Everybody else sees the trips that they lead and what
belongs to them. A model that is not told of here shows such a user nothing.
"""

from __future__ import annotations

from typing import Any, TypeVar

from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet

from trips.models import Passenger, Trip, TripLeader
from trips.permissions import sees_every_trip

Rows = TypeVar("Rows", bound="QuerySet[Any]")

# How rows of a model lead to the trip that they belong to; a row is seen by the leaders of any of these trips.
OF_A_TRIP: dict[str, tuple[str, ...]] = {
    "trips.trip": ("pk",),
    "trips.passenger": ("trip",),
    "trips.passport": ("passenger__trip",),
    "trips.healthrecord": ("passenger__trip",),
    "trips.emergencycontact": ("passenger__trip",),
    "trips.payment": ("passenger__trip",),
    "trips.document": ("trip", "passenger__trip"),
    "trips.note": ("trip", "passenger__trip"),
    "trips.reminder": ("passenger__trip",),
    "trips.travellerform": ("passenger__trip",),
    "trips.cost": ("trip",),
    "trips.itineraryitem": ("trip",),
    "trips.flight": ("trip",),
    "trips.transfer": ("trip",),
    "trips.room": ("trip",),
    "trips.roomplace": ("room__trip",),
    "trips.roominglock": ("trip",),
    "trips.tripleader": ("trip",),
    # A list across trips belongs to none, and speaks of others' people.
    "trips.sentreport": ("trip",),
}
# What somebody made for themselves: their own, wherever it leads; what it names is looked at again.
OF_SOMEBODY: dict[str, str] = {
    "trips.batch": "by",
    "trips.paperrun": "by",
    "trips.importdraft": "user",
    "trips.columnmapping": "user",
    "trips.savedfilter": "owner",
}
# They speak of no trip and of nobody on one.
OF_THE_OFFICE = {"trips.vendor", "trips.licence", "trips.papertemplate", "auth.user"}


def led_by(user: Any) -> QuerySet[Any]:
    """The numbers of the trips that `user` leads, as a question to put into another one."""
    return TripLeader.objects.filter(user=user.pk).order_by().values("trip")


def visible_to(user: Any, rows: Rows) -> Rows:
    """Those of `rows` that `user` may see, in the same order; all of them, unchanged, for who sees every trip."""
    if sees_every_trip(user):
        return rows
    label = rows.model._meta.label_lower
    if label in OF_THE_OFFICE:
        return rows
    if label in OF_SOMEBODY:
        return rows.filter(**{OF_SOMEBODY[label]: user.pk})
    if label == "trips.contact":
        return rows.filter(_contacts_of(user))
    ways = OF_A_TRIP.get(label, ())
    if not ways:
        return rows.none()
    wanted = Q()
    for way in ways:
        wanted |= Q(**{f"{way}__in": led_by(user)})
    return rows.filter(wanted)


def _contacts_of(user: Any) -> Q:
    """Whoever is booked with, answers for or leads somebody's own trips: each way a question, none a join."""
    people = Passenger.objects.filter(trip__in=led_by(user)).order_by()
    trips = Trip.objects.filter(pk__in=led_by(user)).order_by()
    return (
        Q(pk__in=people.values("contact"))
        | Q(pk__in=people.filter(guardian__isnull=False).values("guardian"))
        | Q(pk__in=trips.filter(organiser__isnull=False).values("organiser"))
    )


def is_visible(user: Any, obj: Any) -> bool:
    """Whether `user` may see this row; asks the database only about those who do not see every trip."""
    if sees_every_trip(user):
        return True
    return visible_to(user, type(obj)._base_manager.filter(pk=obj.pk)).exists()


def check_every_trip(user: Any) -> None:
    """For pages that speak of all trips at once. Raises PermissionDenied for who does not see every one."""
    if not sees_every_trip(user):
        raise PermissionDenied


def narrow_choices(user: Any, form: Any) -> None:
    """Leave in the fields of a form only the rows that `user` may choose."""
    for field in form.fields.values():
        if hasattr(field, "queryset") and field.queryset is not None:
            field.queryset = visible_to(user, field.queryset)
