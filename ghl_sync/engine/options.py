"""Names of trips and vendors as options of GoHighLevel's drop-downs: collected, added in one write, re-read.

Options are only ever added. A drop-down's list is replaced as a whole (API notes §5.11), so one worker at a time
holds the field's lease, reads the list, appends and reads it again; what vanished in between is added again. One gap
is GoHighLevel's: an option that somebody adds there after our read and before our write arrives is overwritten, and
nobody can tell unless the hourly look at the definitions met it in between.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from django.db import transaction

from ghl_sync.client.errors import (
    GHLError,
    MissingScope,
    NotFound,
    NotSent,
    OutcomeUnknown,
    RateLimited,
    Refused,
    TryLater,
)
from ghl_sync.client.types import FieldDef
from ghl_sync.engine import state
from ghl_sync.engine.local import MODELS
from ghl_sync.engine.session import Session
from ghl_sync.mapping.converters import option_label
from ghl_sync.mapping.table import TRIP
from ghl_sync.models import Cause, Change, Issue, Kind, Link, RemoteField, WantedOption, Write
from trips.models import Trip, Vendor
from trips.text import fold_name

logger = logging.getLogger("ghl_sync.options")

VENDOR_FIELD = TRIP.by_name["vendor"].remote
# How often one turn writes a list whose options vanish again, and how many refusals it takes to find the bad names.
ROUNDS, REFUSALS = 2, 12


class _Unsettled(Exception):
    """A write of the list may still arrive: nobody writes it until then."""


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
    """Add what is wanted, one write per drop-down; returns how many records may go on.

    A drop-down that cannot be written now never stops the others. Raises NeedsAttention for a wrong token.
    """
    served = 0
    for field_id in WantedOption.objects.values_list("remote_field", flat=True).distinct():
        session.check_sending()
        field = state.claim_field(field_id, session.config.lease)
        if field is not None:
            served += _take_turn(session, field)
    if served:
        session.forget_definitions()
    return served


def _take_turn(session: Session, field: RemoteField) -> int:
    """This worker's turn at one list, and what each kind of failure means for it."""
    wait = 0.0
    try:
        with session.client.deadline(lambda: state.field_lease_left(field)):
            return _Turn(session, field).grow()
    except _Unsettled:
        wait = session.config.settle
    except NotFound:
        session.refresh_definitions()  # it was deleted over there: its trouble is told there, and nobody waits for it
    except MissingScope as error:
        _tell(field, f"{field.name} cannot be given new options: {error.words}")
    except Refused as error:
        _tell(
            field, f"GoHighLevel does not take the list of {field.name}: {error.words} Add the options by hand there."
        )
    except TryLater as error:
        logger.info("the list of %s waits: %s", field.key, error.words)
    finally:
        state.release_field(field, after=wait)
    return 0


def _tell(field: RemoteField, words: str) -> None:
    state.open_issue(None, Issue.Code.REFUSED, words, field=field.key[:64])


class _Turn:
    """One worker's turn at one drop-down's list."""

    def __init__(self, session: Session, field: RemoteField) -> None:
        self.session = session
        self.field = field
        self.refusals = 0

    def grow(self) -> int:
        """Read, append, read again; what vanished meanwhile is appended once more."""
        wanted = _still_wanted(self.field)
        if not wanted:
            return 0
        present = self._read()
        self._settle_doubts(present)
        for _round in range(ROUNDS):
            wanted = _still_wanted(self.field)
            labels = _missing(present, wanted)
            if not labels:
                break
            before = present
            self._add(present, labels)
            present = self._read()
            state.want_back(self.field, self._lost(before.options, present))
        return self._done(present, _still_wanted(self.field))

    def _read(self) -> FieldDef:
        return self.session.client.get_custom_field(self.field.remote_id)

    def _settle_doubts(self, present: FieldDef) -> None:
        """Earlier writes whose answer was lost: what the list holds now tells, and what they may have overwritten."""
        doubts = state.open_option_writes(self.field)
        if doubts:
            state.want_back(self.field, [option for option in self.field.options if option not in present.options])
        for write in doubts:
            found = all(label in present.options for label in write.values["added"])
            state.close_write(write, Write.Outcome.FOUND if found else Write.Outcome.NOT_APPLIED)

    def _lost(self, before: Sequence[str], present: FieldDef) -> list[str]:
        """Options that were there before our write, or were met by somebody else's look since, and are not now."""
        cached = RemoteField.objects.filter(pk=self.field.pk).values_list("options", flat=True).first() or []
        met = [option for option in cached if option not in self.field.options]
        return [option for option in dict.fromkeys((*before, *met)) if option not in present.options]

    def _done(self, present: FieldDef, wanted: Sequence[WantedOption]) -> int:
        there = [row for row in wanted if _is_there(present, row)]
        state.options_added(self.field, present.options, there)
        if there:
            state.close_issues(None, fields=(self.field.key[:64],), codes=(Issue.Code.REFUSED, Issue.Code.NO_OPTION))
        return len(there)

    def _add(self, present: FieldDef, labels: Sequence[str]) -> list[str]:
        """One write with `labels` appended; a refused one is halved until the names that are refused stand alone.

        Returns those that were taken.
        """
        try:
            self._write(present, labels)
        except Refused as error:
            if isinstance(error, NotFound):
                raise
            self.refusals += 1
            if len(labels) == 1 or self.refusals > REFUSALS:
                self._refused(labels, error)
                return []
        else:
            return list(labels)
        half = len(labels) // 2
        taken = self._add(present, labels[:half])
        grown = replace(present, options=(*present.options, *taken))
        return taken + self._add(grown, labels[half:])

    def _write(self, present: FieldDef, labels: Sequence[str]) -> None:
        write = state.open_write(
            None, Write.Action.OPTIONS, remote_field=self.field, values={"added": list(labels)}, fence=self.field.fence
        )
        options = [*present.options, *labels]
        try:
            self.session.client.write_options(self.field.remote_id, name=present.name, options=options)
        except (NotSent, RateLimited) as error:
            state.close_write(write, Write.Outcome.NOT_SENT, message=error.words)
            raise
        except OutcomeUnknown as error:
            self._look_for(write, labels, error)
        except GHLError as error:
            state.close_write(write, Write.Outcome.REFUSED, message=error.words)
            raise
        else:
            state.close_write(write, Write.Outcome.DONE)

    def _look_for(self, write: Write, labels: Sequence[str], error: OutcomeUnknown) -> None:
        """The answer was lost: the list itself tells; while it may still arrive nobody else writes."""
        try:
            present = self._read()
        except TryLater:
            raise _Unsettled from None
        if not all(label in present.options for label in labels):
            state.options_seen(self.field, present.options)
            raise _Unsettled
        state.close_write(write, Write.Outcome.FOUND, message=error.words)

    def _refused(self, labels: Sequence[str], error: Refused) -> None:
        """GoHighLevel takes the others but not these: each record that needs one says so, and the rest goes on."""
        refused = {fold_name(label) for label in labels}
        rows = [row for row in WantedOption.objects.filter(remote_field=self.field) if fold_name(row.label) in refused]
        links = _links(rows)
        for row in rows:
            words = (
                f"GoHighLevel's drop-down {self.field.name} does not take “{row.label[:80]}”: {error.words} "
                "Change the name here, or add it there by hand; then press Sync now."
            )
            link = links.get((row.kind, row.object_id))
            field = "trip_name" if link is not None else self.field.key[:64]
            state.open_issue(link, Issue.Code.NO_OPTION, words, field=field)
        state.want_no_more([row.pk for row in rows])


def _links(rows: Iterable[WantedOption]) -> Mapping[tuple[str, int], Link]:
    found = {}
    by_kind: dict[str, set[int]] = {}
    for row in rows:
        by_kind.setdefault(row.kind, set()).add(row.object_id)
    for kind, ids in by_kind.items():
        for link in Link.objects.filter(kind=kind, object_id__in=ids):
            found[kind, link.object_id] = link
    return found


def _missing(present: FieldDef, wanted: Iterable[WantedOption]) -> list[str]:
    """Each wanted name that the list does not have; of several that look alike one is added, and stands for all."""
    labels: dict[str, str] = {}
    for row in wanted:
        if not _is_there(present, row):
            labels.setdefault(row.label if row.kind == state.LOST else fold_name(row.label), row.label)
    return list(dict.fromkeys(labels.values()))


def _is_there(present: FieldDef, row: WantedOption) -> bool:
    """One of our names may be there in another spelling; what was overwritten comes back as it was."""
    return row.label in present.options or (row.kind != state.LOST and option_label(present, row.label) is not None)


def _still_wanted(field: RemoteField) -> list[WantedOption]:
    """What is wanted of this drop-down, without what was wanted by a record that is gone by now."""
    wanted = list(WantedOption.objects.filter(remote_field=field).order_by("pk"))
    alive = {(row.kind, row.object_id) for row in wanted if row.kind == state.LOST}
    models: dict[str, Any] = {**MODELS, Kind.VENDOR: Vendor}
    for kind, model in models.items():
        ids = [row.object_id for row in wanted if row.kind == kind]
        alive |= {(str(kind), pk) for pk in model._base_manager.filter(pk__in=ids).values_list("pk", flat=True)}
    state.want_no_more([row.pk for row in wanted if (row.kind, row.object_id) not in alive])
    return [row for row in wanted if (row.kind, row.object_id) in alive]
