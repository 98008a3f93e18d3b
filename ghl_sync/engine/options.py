"""Names of trips and vendors as options of GoHighLevel's drop-downs: collected, added in one write, re-read.

Options are only ever added. A drop-down's list is replaced as a whole (API notes §5.11), so one worker at a time
holds the field's lease, reads the list, appends and reads it again.
"""

from __future__ import annotations

from typing import Any

from django.db import transaction

from ghl_sync.client.errors import GHLError, OutcomeUnknown
from ghl_sync.engine import state
from ghl_sync.engine.local import MODELS
from ghl_sync.engine.session import Session
from ghl_sync.mapping.converters import option_label
from ghl_sync.models import Cause, Change, Kind, RemoteField, WantedOption, Write
from trips.models import Trip, Vendor

# Drop-downs whose options are our records; all others are the operator's to edit.
GROWING = frozenset({"trip_name", "vendor"})
VENDOR_FIELD = "opportunity.trip_vendor"


def want(session: Session, remote_field_id: str, label: str, kind: str, object_id: int) -> None:
    """Remember that a record needs an option its drop-down does not have."""
    row = RemoteField.objects.filter(location_id=session.config.location_id, remote_id=remote_field_id).first()
    if row is not None:
        state.want_option(row.pk, label, kind, object_id)


def spread_vendors(session: Session) -> None:
    """A saved vendor makes its trips due and its name an option."""
    ids = set(Change.objects.filter(kind=Kind.VENDOR).values_list("object_id", flat=True))
    definition = session.definitions.fields.get(VENDOR_FIELD) if ids else None
    for vendor in Vendor.objects.filter(pk__in=ids):
        with transaction.atomic():
            seen = state.changes_of(Kind.VENDOR, vendor.pk)
            trips = Trip._base_manager.filter(vendor_id=vendor.pk).values_list("pk", flat=True)
            state.record_changes(Kind.TRIP, list(trips), cause=Cause.RENAMED)
            if definition is not None and option_label(definition, vendor.name) is None:
                want(session, definition.id, vendor.name, Kind.VENDOR, vendor.pk)
            state.forget_changes(seen)
    gone = ids - set(Vendor.objects.filter(pk__in=ids).values_list("pk", flat=True))
    for vendor_id in gone:
        state.forget_changes(state.changes_of(Kind.VENDOR, vendor_id))


def serve(session: Session) -> int:
    """Add what is wanted, one write per drop-down; returns how many records may go on."""
    served = 0
    for field_id in WantedOption.objects.values_list("remote_field", flat=True).distinct():
        field = state.claim_field(field_id, session.config.lease)
        if field is None:
            continue
        try:
            served += _add(session, field)
        finally:
            state.release_field(field)
    if served:
        session.forget_definitions()
    return served


def _add(session: Session, field: RemoteField) -> int:
    wanted = _still_wanted(field)
    if not wanted:
        return 0
    present = session.client.get_custom_field(field.remote_id)
    labels = list(dict.fromkeys(row.label for row in wanted if option_label(present, row.label) is None))
    if labels:
        write = state.open_write(None, Write.Action.OPTIONS, remote_field=field, values={"added": labels})
        try:
            session.client.write_options(field.remote_id, name=present.name, options=[*present.options, *labels])
        except OutcomeUnknown as error:
            # The list is read again below: what is not in it stays wanted.
            state.close_write(write, Write.Outcome.NOT_APPLIED, message=error.words)
        except GHLError as error:
            state.close_write(write, Write.Outcome.REFUSED, message=error.words)
            raise
        else:
            state.close_write(write, Write.Outcome.DONE)
        present = session.client.get_custom_field(field.remote_id)
    done = [row for row in wanted if option_label(present, row.label) is not None]
    state.options_added(field, present.options, done)
    return len(done)


def _still_wanted(field: RemoteField) -> list[WantedOption]:
    """What is wanted of this drop-down, without what was wanted by a record that is gone by now."""
    wanted = list(WantedOption.objects.filter(remote_field=field))
    alive: set[tuple[str, int]] = set()
    models: dict[str, Any] = {**MODELS, Kind.VENDOR: Vendor}
    for kind, model in models.items():
        ids = [row.object_id for row in wanted if row.kind == kind]
        alive |= {(str(kind), pk) for pk in model._base_manager.filter(pk__in=ids).values_list("pk", flat=True)}
    state.want_no_more([row.pk for row in wanted if (row.kind, row.object_id) not in alive])
    return [row for row in wanted if (row.kind, row.object_id) in alive]
