"""Questions about the sync, as filters of lists."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.http import HttpRequest
from unfold.contrib.filters.admin import RadioFilter

from ghl_sync.models import Change, Conflict, Kind, Link, State, Write
from trips.admin.base import LookFilter
from trips.admin.people import PassengerLookFilter
from trips.admin.trip import TripLookFilter

_MOVING = (State.WAITING, State.WORKING, State.RETRYING)


def _moving(kind: str) -> Any:
    """Links of a kind that are on their way. The first filter is what indexes answer; the states then look at few."""
    changed = Change.objects.filter(kind=kind).values("object_id")
    doubted = Write.objects.filter(outcome=Write.Outcome.OPEN, link__isnull=False).values("link_id")
    candidates: Any = Link.objects.filter(
        Q(remote_dirty_at__isnull=False) | Q(leased_until__isnull=False) | Q(object_id__in=changed) | Q(pk__in=doubted),
        kind=kind,
    )
    return candidates.with_state().filter(state__in=_MOVING)


def _parked(kind: str) -> Any:
    return Link.objects.filter(kind=kind, parked_at__isnull=False, ignored_at__isnull=True, gone_at__isnull=True)


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
    "sync_needs_you": ("Sync: needs you", _narrowed(_parked)),
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
