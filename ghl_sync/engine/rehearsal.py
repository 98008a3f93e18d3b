"""What the self-test needs of the engine beside an ordinary push: drop-downs left alone, and how a field is emptied.

On a live account the self-test's trip must not become an option: the list is replaced as a whole and belongs to
everybody. Holding the leases of the growing drop-downs keeps every process from writing them meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ghl_sync.client.errors import Refused
from ghl_sync.engine import options, state
from ghl_sync.engine.definitions import NEVER
from ghl_sync.engine.session import CannotRun, Session
from ghl_sync.mapping.fields import FieldMap
from ghl_sync.mapping.table import TRIP
from ghl_sync.models import Link, RemoteField, WantedOption

TRIP_NAMES = TRIP.by_name["trip_name"].remote
HOLD_SECONDS = 600.0
POLL_SECONDS = 0.5
# Spellings of empty, in the order in which they are tried (API notes §6: which one works is not documented).
EMPTIES: tuple[Any, ...] = (None, "", [])


@contextmanager
def drop_downs_held(session: Session) -> Iterator[None]:
    """Within the block no option is added to the drop-downs that hold our names, by any process.

    Raises CannotRun when another process does not let go of one.
    """
    held: list[RemoteField] = []
    growing = RemoteField.objects.filter(
        location_id=session.config.location_id, key__in=(TRIP_NAMES, options.VENDOR_FIELD), gone_at__isnull=True
    )
    try:
        for field_id in growing.values_list("pk", flat=True):
            held.append(_hold(field_id, session.config.lease))
        yield
    finally:
        for field in held:
            state.release_field(field)


def _hold(field_id: int, patience: float) -> RemoteField:
    ends = time.monotonic() + patience
    while True:
        field = state.claim_field(field_id, HOLD_SECONDS)
        if field is not None:
            return field
        if time.monotonic() > ends:
            raise CannotRun("Options are being added to a drop-down in GoHighLevel this moment; try again.")
        time.sleep(POLL_SECONDS)


def forget_wish(label: str) -> None:
    """Nobody wants this option any more: what was named so is gone."""
    WantedOption.objects.filter(label=label).delete()


def learn_clearing(session: Session, link: Link, row: FieldMap) -> bool:
    """Find the spelling of empty that empties this field of the test's own record, and keep it for its data type.

    False when none does: a value cleared here then stays over there, and each such record says so.
    """
    definition = session.definitions.fields[row.remote]
    failed = session.definitions.empty(definition.data_type)
    works = next((wire for wire in EMPTIES if wire != failed and _empties(session, link, row, wire)), NEVER)
    clearing = {**session.location.clearing, definition.data_type: works}
    state.remember_location(session.location, clearing=clearing)
    session.forget_definitions()
    return works != NEVER


def _empties(session: Session, link: Link, row: FieldMap, wire: Any) -> bool:
    definition = session.definitions.fields[row.remote]
    try:
        session.client.update_opportunity(link.remote_id, {"custom_fields": {definition.id: wire}})
    except Refused:
        return False
    return row.converter.read(session.read(link.kind, link.remote_id).custom.get(definition.id)) is None
