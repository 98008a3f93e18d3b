"""What one piece of work needs: settings, a client, the account's row and its definitions."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection, transaction

from ghl_sync.client import GHLClient
from ghl_sync.client.errors import GHLError, MissingScope, NeedsAttention
from ghl_sync.client.types import FieldDef, PipelineDef, Record, StageDef
from ghl_sync.conf import NOT_CONFIGURED, Config, config
from ghl_sync.engine import state
from ghl_sync.engine.clock import database_now
from ghl_sync.engine.limits import DatabaseLimiter
from ghl_sync.mapping.table import MAPS
from ghl_sync.mapping.translate import Definitions
from ghl_sync.models import Kind, Link, Location, Pipeline, RemoteField, Stage

PROBE_SECONDS = 60


class CannotRun(Exception):
    """There is no account to talk to, or its traffic is stopped; the text says what to do."""


class Session:
    """One client and what it needs to know. Not shared between threads."""

    def __init__(self, *, lane: str = "bulk", read_only: bool = False, longest_wait: float = 30.0) -> None:
        self.config: Config = config()
        if not self.config.configured:
            raise CannotRun(NOT_CONFIGURED)
        self.location: Location = state.location_row(self.config.location_id)
        self.limiter = DatabaseLimiter(self.location.pk, longest_wait=longest_wait)
        self.client = GHLClient(
            token=self.config.token,
            location_id=self.config.location_id,
            base_url=self.config.base_url,
            timeout=self.config.timeout,
            limiter=self.limiter,
            read_only=read_only,
        )
        self.client.lane = lane
        self._definitions: Definitions | None = None
        self.woken: set[int] = set()  # links that waited for something that this session made

    @property
    def definitions(self) -> Definitions:
        """From our cache; fetched once when it has never been filled, so that a push makes no start-up call."""
        if self._definitions is None:
            if self.location.refreshed_at is None:
                self.refresh_definitions()
            self._definitions = load_definitions(self.config)
        return self._definitions

    def read(self, kind: str, remote_id: str) -> Record:
        """One record of ours straight from GoHighLevel, never from the lagging index. Raises NotFound, TryLater."""
        if kind == Kind.CONTACT:
            return self.client.get_contact(remote_id)
        return self.client.get_opportunity(remote_id)

    def forget_definitions(self) -> None:
        self._definitions = None

    def missing_fields(self) -> list[str]:
        """Keys of mapped custom fields that GoHighLevel lacks, but for our own, which the set-up creates."""
        known = self.definitions.fields
        rows = (row for table in MAPS.values() for row in table.customs if not row.provision)
        return sorted({row.remote for row in rows if row.remote not in known})

    def sensitive_direction(self) -> str:
        """`both`, `pull`, `push` or `off` for passports and health."""
        if self.config.mirror_sensitive != "ask":
            return self.config.mirror_sensitive
        return "both" if self.location.sensitive_confirmed_at else "pull"

    def refresh_definitions(self) -> None:
        """Fetch location, pipelines and fields (three calls) into the cache tables."""
        info = self.client.get_location()
        pipelines = self.client.list_pipelines()
        fields = self.client.list_custom_fields("all")
        with transaction.atomic():
            before = _shape(self.config.location_id)
            changed = _store_fields(self.config.location_id, fields) | _store_pipelines(
                self.config.location_id, pipelines
            )
            if _shape(self.config.location_id) != before:
                # The same rows may read differently now: the next full pull looks at each.
                state.forget_digests(self.config.location_id)
            state.remember_location(
                self.location,
                name=info.name,
                timezone=info.timezone,
                allow_duplicate_opportunity=info.allow_duplicate_opportunity,
                allow_duplicate_contact=info.allow_duplicate_contact,
                refreshed_at=database_now(),
            )
            if changed:
                # What was refused for want of a stage, field or setting may go now; the rest parks again.
                state.unpark(Link.objects.filter(parked_at__isnull=False))
                state.try_unsendable_again()
        self._definitions = None

    def check_running(self, *, at_once: bool = False) -> None:
        """Raises CannotRun while traffic is stopped; tries once a minute, or `at_once`, whether the stop is over."""
        self.location.refresh_from_db()
        if self.location.paused_at is None:
            return
        if not at_once and not state.take_probe(self.location, PROBE_SECONDS):
            raise CannotRun(f"GoHighLevel is stopped: {self.location.paused_reason}")
        try:
            self.client.get_location()
        except GHLError as error:
            raise CannotRun(f"GoHighLevel is stopped: {error.words}") from None
        if not self.client.read_only:
            state.resume(self.location)

    @contextmanager
    def stop_on_trouble(self) -> Iterator[None]:
        """A wrong token or location stops all traffic, for everybody, until a probe succeeds; a dry run's does not."""
        try:
            yield
        except MissingScope:
            raise
        except NeedsAttention as error:
            if not self.client.read_only:
                state.pause(self.location, error.words)
            raise
        finally:
            self.limiter.flush()


@contextmanager
def unlogged_queries() -> Iterator[None]:
    """Within the block Django keeps no list of queries.

    With DEBUG, the default of a first try, it does for every connection: a sixth of a full pull's time, for a list
    that nobody reads outside a request. There is no switch for it but the cursor that keeps it.
    """
    connection.make_debug_cursor = connection.make_cursor  # type: ignore[assignment, method-assign]
    try:
        yield
    finally:
        del connection.make_debug_cursor


def load_definitions(settings: Config) -> Definitions:
    """The cached definitions as the mapping reads them."""
    fields = {
        row.key: FieldDef(
            row.remote_id, row.key, row.name, row.data_type, row.model, tuple(row.options), row.allow_custom
        )
        for row in RemoteField.objects.filter(location_id=settings.location_id)
    }
    pipelines: dict[str, PipelineDef] = {}
    rows = Pipeline.objects.filter(location_id=settings.location_id).prefetch_related("stages")
    by_name = {row.name: row for row in rows}
    for kind, name in settings.pipelines.items():
        row = by_name.get(name)
        if row is not None:
            stages = tuple(StageDef(stage.remote_id, stage.name, stage.position) for stage in row.stages.all())
            pipelines[kind] = PipelineDef(row.remote_id, row.name, stages)
    return Definitions(fields, pipelines)


def _shape(location_id: str) -> tuple[set[Any], set[Any]]:
    """What decides how a row is read: which fields there are and what the stages are called."""
    fields = RemoteField.objects.filter(location_id=location_id).values_list("remote_id", "key", "data_type")
    stages = Stage.objects.filter(pipeline__location_id=location_id)
    return set(fields), set(stages.values_list("remote_id", "name", "pipeline__name"))


def _store_fields(location_id: str, fields: tuple[FieldDef, ...]) -> bool:
    """Write definitions that are new or differ, drop those that are gone; True when anything changed."""
    have = {row.remote_id: row for row in RemoteField.objects.filter(location_id=location_id)}
    changed = False
    for field in fields:
        row = have.pop(field.id, None) or RemoteField(location_id=location_id, remote_id=field.id)
        wanted = {
            "model": field.model,
            "key": field.key,
            "name": field.name,
            "data_type": field.data_type,
            "options": list(field.options),
            "allow_custom": field.allow_custom,
        }
        if row.pk is None or any(getattr(row, name) != value for name, value in wanted.items()):
            RemoteField.objects.update_or_create(
                location_id=location_id, remote_id=field.id, defaults=wanted | {"refreshed_at": database_now()}
            )
            changed = True
    if have:
        RemoteField.objects.filter(pk__in=[row.pk for row in have.values()]).delete()
    return changed or bool(have)


def _store_pipelines(location_id: str, pipelines: tuple[PipelineDef, ...]) -> bool:
    before = set(Stage.objects.filter(pipeline__location_id=location_id).values_list("remote_id", "name"))
    kept = []
    for pipeline in pipelines:
        row, _created = Pipeline.objects.update_or_create(
            location_id=location_id, remote_id=pipeline.id, defaults={"name": pipeline.name}
        )
        kept.append(row.pk)
        for stage in pipeline.stages:
            Stage.objects.update_or_create(
                pipeline=row, remote_id=stage.id, defaults={"name": stage.name, "position": stage.position}
            )
        row.stages.exclude(remote_id__in=[stage.id for stage in pipeline.stages]).delete()
    Pipeline.objects.filter(location_id=location_id).exclude(pk__in=kept).delete()
    return before != set(Stage.objects.filter(pipeline__location_id=location_id).values_list("remote_id", "name"))


def server_now(session: Session) -> dt.datetime:
    """GoHighLevel's own clock, from an answer's Date header; ours where it has none."""
    page = session.client.contact_page(limit=1)
    return page.server_date or database_now()
