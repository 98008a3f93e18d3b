"""The sync's part when a person is exported or erased; `trips` asks for it without knowing what it is."""

from __future__ import annotations

from typing import Any

from ghl_sync import tasks
from ghl_sync.conf import config
from ghl_sync.engine import erasing
from ghl_sync.engine.results import NotYet
from ghl_sync.engine.rules import sensitive_bound
from ghl_sync.models import Kind, Link, Location
from trips.services import elsewhere
from trips.services.elsewhere import Outcome, Rows, Stay
from trips.services.erasing import Refused

NAME = "GoHighLevel"
AUDIT_DAYS = 60  # so long GoHighLevel's own audit log goes back


def _links(rows: Rows) -> list[Link]:
    return list(erasing.links_of(rows.contacts, rows.passengers))


def facts(rows: Rows) -> list[dict[str, Any]]:
    """Where each record's other half is."""
    return [
        {"kind": link.kind, "no": link.object_id, "id": link.remote_id, "equal_since": link.synced_at}
        for link in _links(rows)
        if link.remote_id
    ]


def waits(outcome: Outcome) -> list[str]:
    busy = erasing.are_busy(_links(outcome.all))
    return ["GoHighLevel is being written about them this moment. Look again in a minute."] if busy else []


def goes(outcome: Outcome) -> dict[str, int]:
    return {"notes of the sync": erasing.notes_of(_links(outcome.all))}


def stays(outcome: Outcome) -> list[Stay]:
    reduced = set(outcome.reduced.passengers)
    found = []
    for link in _links(outcome.all):
        if not link.remote_id or (link.remote_gone_at is not None and link.kind != Kind.CONTACT):
            continue
        if link.kind == Kind.CONTACT:
            found.append(_contact(link))
        elif link.object_id in reduced:
            found.append(_card(link))
    return found


def _contact(link: Link) -> Stay:
    what = f"The contact in GoHighLevel with its conversations, and {AUDIT_DAYS} days of its audit log"
    return Stay(what, "TripBuilder deletes no contact there. Delete it there by hand.", url=link.remote_url)


def _card(link: Link) -> Stay:
    """Its fields are emptied as far as they go out; its title is only ever written when it is made."""
    what = f"The card of passenger no. {link.object_id} in GoHighLevel, with the name in its title"
    bound = sensitive_bound(config(), Location.objects.filter(location_id=config().location_id).first())
    held_back = bound not in {"both", "push"}
    also = " Passport and health stay on it, too: they are not sent there." if held_back else ""
    return Stay(
        what, f"Files and fields that are only read stay on it.{also} Delete it there by hand.", url=link.remote_url
    )


def erase(outcome: Outcome) -> None:
    links = _links(outcome.all)
    reduced = outcome.reduced
    standing = {link.pk for link in _links(reduced)}
    try:
        for link_id in erasing.erase(links, standing=standing, names=outcome.names):
            tasks.wake_after_commit(link_id)
    except NotYet as error:
        raise Refused(str(error)) from None


def register() -> None:
    elsewhere.register(elsewhere.Share(NAME, facts, waits, goes, stays, erase))
