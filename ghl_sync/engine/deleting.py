"""A record that was deleted here: its half over there goes, too."""

from __future__ import annotations

import logging

from ghl_sync.client.errors import (
    NotFound,
)
from ghl_sync.engine import apply, state
from ghl_sync.engine.creating import doubtful_create
from ghl_sync.engine.results import Result
from ghl_sync.engine.sending import called
from ghl_sync.engine.session import Session
from ghl_sync.engine.state import Seen
from ghl_sync.models import Kind, Link, Write

logger = logging.getLogger("ghl_sync.push")


def delete(session: Session, link: Link, seen: Seen) -> Result:
    if link.remote_gone_at is not None:
        state.tombstone_done(link, seen)  # a late wake-up: both halves are gone already
        return Result.UNCHANGED
    if link.deleted_at is None:
        state.bury(link)
    if link.kind == Kind.CONTACT:
        state.tombstone_done(link, seen)  # contacts are never deleted over there
        return Result.UNCHANGED
    if not link.remote_id:
        found = doubtful_create(session, link)
        if found is None:
            apply.fan_out(session, link, None, apply.base_of(link))
            state.tombstone_done(link, seen)
            return Result.UNCHANGED
        state.keep(link, remote_id=found.id, location_id=session.config.location_id)
    for doubt in state.open_writes(link):
        state.close_write(doubt, Write.Outcome.NOT_APPLIED)
    write = state.open_write(link, Write.Action.DELETE, remote_id=link.remote_id)
    try:
        called(write, lambda: session.client.delete_opportunity(link.remote_id))
    except NotFound:
        logger.info("%s was gone already", link.key)
    apply.fan_out(session, link, None, apply.base_of(link))
    state.tombstone_done(link, seen)
    return Result.DELETED
