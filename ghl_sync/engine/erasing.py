"""A person is erased here: what the sync keeps of them is forgotten but for numbers and hashes.

The links stay. Without them the next complete pull would take the contact for a new one, which it is not: people are
never deleted over there by us. Hashes instead of values let a delete still be compared with what was agreed on.
"""

from __future__ import annotations

from collections.abc import Collection

from django.db.models import Q, QuerySet

from ghl_sync.engine import state
from ghl_sync.engine.base import Base, sealed_fields
from ghl_sync.engine.results import NotYet
from ghl_sync.models import Kind, Link
from trips.services.traces import ERASED


def links_of(contacts: Collection[int], passengers: Collection[int]) -> QuerySet[Link]:
    ours = Q(kind=Kind.CONTACT, object_id__in=contacts) | Q(kind=Kind.PASSENGER, object_id__in=passengers)
    return Link.objects.filter(ours).order_by("pk")


def are_busy(links: Collection[Link]) -> bool:
    return state.are_busy([link.pk for link in links])


def notes_of(links: Collection[Link]) -> int:
    return state.notes_of([link.pk for link in links])


def erase(links: Collection[Link], *, standing: Collection[int], names: Collection[str]) -> list[int]:
    """Forget what is kept of these, in the caller's transaction; ids of the links that have something to send now.

    `standing` are the ids of links whose object is still here. Raises NotYet while a worker has one of them.
    """
    if are_busy(links):
        raise NotYet("GoHighLevel is being written about them this moment. Try again in a minute.")
    for link in links:
        seized = state.seize(link.pk)
        if seized is None:
            raise NotYet("GoHighLevel is being written about them this moment. Try again in a minute.")
        _erase(seized, stands=link.pk in standing)
    state.forget_words(names, ERASED)
    state.empty_events({link.remote_id for link in links if link.remote_id}, names)
    return [link.pk for link in links if link.kind != Kind.CONTACT]


def _erase(link: Link, *, stands: bool) -> None:
    """A contact is left as it is over there and mirrored no longer; of a passenger hashes tell what was agreed on."""
    is_contact = link.kind == Kind.CONTACT
    base = {} if is_contact else Base.of(link).sealed(sealed_fields(link.kind, erased=True)).dump()
    state.erase_link(link, base if link.base else {}, ERASED if stands else "", ignored=is_contact and stands)
