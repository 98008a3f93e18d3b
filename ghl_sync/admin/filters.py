"""Questions about the sync, as filters of lists."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from django.db import models
from django.db.models import Exists, OuterRef
from django.http import HttpRequest
from unfold.contrib.filters.admin import RadioFilter

from ghl_sync.models import Conflict, Kind, Link, State
from trips.admin.base import LookFilter
from trips.admin.people import PassengerLookFilter
from trips.admin.trip import TripLookFilter

_MOVING = (State.WAITING, State.WORKING, State.RETRYING)


def _in_states(kind: str, states: Collection[State]) -> Any:
    rows: Any = Link.objects.filter(kind=kind).not_synced().with_state()
    return rows.filter(state__in=states)


def _moving(kind: str) -> Any:
    return _in_states(kind, _MOVING)


def _needing(kind: str) -> Any:
    return _in_states(kind, [State.NEEDS_PERSON])


def _disputed(kind: str) -> Any:
    asked = Conflict.objects.filter(link=OuterRef("pk"), resolved_at__isnull=True)
    return Link.objects.filter(Exists(asked), kind=kind)


def _gone(kind: str) -> Any:
    return Link.objects.filter(kind=kind, gone_at__isnull=False)


def _narrowed(links: Callable[[str], Any]) -> Callable[[Any], Any]:
    """A question of `LookFilter` from one about links."""

    def narrow(rows: models.QuerySet[Any]) -> models.QuerySet[Any]:
        kind = str(rows.model._meta.model_name)
        return rows.filter(pk__in=links(kind).values("object_id"))

    return narrow


# The list's one filter on the sync: these join the questions that "needs a look" asks already.
SYNC_QUESTIONS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "sync_needs_you": ("Sync: needs you", _narrowed(_needing)),
    "sync_conflict": ("Sync: conflict", _narrowed(_disputed)),
    "sync_moving": ("Sync: on its way", _narrowed(_moving)),
    "sync_gone": ("Sync: gone in GoHighLevel", _narrowed(_gone)),
}


class TripSyncFilter(TripLookFilter):
    questions = {**TripLookFilter.questions, **SYNC_QUESTIONS}


class PassengerSyncFilter(PassengerLookFilter):
    questions = {**PassengerLookFilter.questions, **SYNC_QUESTIONS}


class ContactSyncFilter(LookFilter):
    questions = {**LookFilter.questions, **SYNC_QUESTIONS}


_WITH_SYNC: dict[Any, Any] = {
    TripLookFilter: TripSyncFilter,
    PassengerLookFilter: PassengerSyncFilter,
    LookFilter: ContactSyncFilter,
}


def with_sync_questions(filters: Sequence[Any]) -> tuple[Any, ...]:
    """A page's filters, its "needs a look" replaced by the one that asks about the sync, too."""
    return tuple(_WITH_SYNC.get(one, one) for one in filters)


class StateFilter(RadioFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(str(value), str(label)) for value, label in State.choices]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return queryset.filter(state=self.value()) if self.value() else queryset


class OpenFilter(RadioFilter):
    """Settled questions are out of the way unless asked for; subclasses name the column that ends them."""

    title = "open"
    parameter_name = "open"
    all_option = None
    column = "closed_at"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("open", "Open"), ("settled", "Settled"), ("all", "Both")]

    def value(self) -> str:
        return super().value() or "open"

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if self.value() == "all":
            return queryset
        return queryset.filter(**{f"{self.column}__isnull": self.value() == "open"})


class UnresolvedFilter(OpenFilter):
    column = "resolved_at"


class KindFilter(RadioFilter):
    """Trips, passengers or contacts; `path` leads to the link's kind."""

    title = "record"
    parameter_name = "kind"
    path = "link__kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(str(kind), f"{kind.label}s") for kind in (Kind.TRIP, Kind.PASSENGER, Kind.CONTACT)]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return queryset.filter(**{self.path: self.value()}) if self.value() else queryset


class LinkKindFilter(KindFilter):
    path = "kind"
