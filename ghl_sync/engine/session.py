"""What one piece of work needs: settings, a client, the account's row and its definitions."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.db import connection

from ghl_sync.client import GHLClient
from ghl_sync.client.errors import GHLError, MissingScope, NeedsAttention
from ghl_sync.client.types import Record
from ghl_sync.conf import NOT_CONFIGURED, Config, config
from ghl_sync.engine import binding, definitions, guards, rules, state
from ghl_sync.engine.limits import DatabaseLimiter
from ghl_sync.engine.rules import Rules
from ghl_sync.mapping.table import MAPS
from ghl_sync.mapping.translate import Definitions
from ghl_sync.models import Kind, Location

PROBE_SECONDS = 60
# So long a look at the list of fields speaks for those that records no longer have a value of.
FIELDS_SEEN_SECONDS = 10.0
OLD_CODE = "A newer version of TripBuilder is at work with this account; restart this process."


class CannotRun(Exception):
    """There is no account to talk to, or its traffic is stopped; the text says what to do."""


class Paused(CannotRun):
    """A person has paused sending or fetching; what waits stays due."""


class Stranger(Paused):
    """Another database is bound to the account: this one compares and writes nothing on either side."""


class CatchingUp(Paused):
    """We slept: everything is read before anything is sent."""


GO_ON = "An administrator can let it go on with the button at the top of every page."


class Session:
    """One client and what it needs to know. Not shared between threads."""

    def __init__(
        self,
        *,
        lane: str = "bulk",
        read_only: bool = False,
        longest_wait: float = 30.0,
        stop: threading.Event | None = None,
    ) -> None:
        self.config: Config = config()
        if not self.config.configured:
            raise CannotRun(NOT_CONFIGURED)
        self.location: Location = state.location_row(self.config.location_id)
        if not read_only:
            binding.bind(self.location)
            binding.note_sleep(self.location)
        self.stranger = binding.words(self.location)
        self.limiter = DatabaseLimiter(self.location.pk, longest_wait=longest_wait, stop=stop, scale=self.config.scale)
        self.client = GHLClient(
            token=self.config.token,
            location_id=self.config.location_id,
            base_url=self.config.base_url,
            timeout=self.config.timeout,
            limiter=self.limiter,
            read_only=read_only or bool(self.stranger),
        )
        self.client.lane = self.lane = lane
        self._definitions: Definitions | None = None
        self._rules: Rules | None = None
        self._stages_asked_for: set[str] = set()
        self._fields_seen_until = 0.0
        self.last_seen: dict[str, tuple[float, list[str]]] = {}  # by kind; kept by `absence`
        self.census = guards.Census()
        self.woken: set[int] = set()  # links that waited for something that this session made

    @contextmanager
    def by_lane(self, lane: str) -> Iterator[None]:
        """Within the block calls that no Change gives a lane of its own go by this one."""
        before, self.lane = self.lane, lane
        self.client.lane = lane
        try:
            yield
        finally:
            self.client.lane = self.lane = before

    def twin(self, stop: threading.Event) -> Session:
        """A session for the same work in another thread, which must call this itself; `stop` ends its waits."""
        twin = Session(lane=self.lane, read_only=self.client.read_only, stop=stop)
        twin._definitions = self._definitions
        return twin

    @property
    def definitions(self) -> Definitions:
        """From our cache; fetched once when it has never been filled, so that a push makes no start-up call."""
        if self._definitions is None:
            if self.location.refreshed_at is None:
                self.refresh_definitions()
            if self._definitions is None:
                self._accept_mapping()
                self._definitions = definitions.load(self.config, self.location)
        return self._definitions

    @property
    def rules(self) -> Rules:
        """Which way each field goes and who wins; read once, so a change counts from the next piece of work on."""
        if self._rules is None:
            self._rules = rules.load(self.sensitive_direction())
        return self._rules

    def _accept_mapping(self) -> None:
        """Raises CannotRun when newer code than this has taken over; a dry run plans with what is here."""
        if not self.client.read_only and not definitions.adopt_mapping(self.location):
            raise CannotRun(OLD_CODE)

    def check_mapping(self) -> None:
        """Raises CannotRun when newer code has taken over since this work began: its plan is worth nothing now."""
        if not definitions.is_current(self.location):
            raise CannotRun(OLD_CODE)

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
        return rules.sensitive_bound(self.config, self.location)

    def refresh_definitions(self) -> None:
        """Fetch location, pipelines and fields (three calls) into the cache tables; a dry run only reads them."""
        seen = definitions.fetch(self.client)
        self._definitions = None
        if self.client.read_only:
            self._definitions = definitions.rehearse(self.location, self.config, seen)
        else:
            self._accept_mapping()
            definitions.store(self.location, self.config, seen)

    def know_stages(self, kind: str, records: Iterable[Record]) -> None:
        """A stage that nobody has met is new, most likely: look at once, and once only (API notes §5.1)."""
        if kind == Kind.CONTACT:
            return
        met = {str(record.raw.get("pipelineStageId") or "") for record in records} - self._stages_asked_for - {""}
        unknown = {stage_id for stage_id in met if not self.definitions.knows_stage(kind, stage_id)}
        if unknown and definitions.unheard_of(self.config.location_id, unknown):
            self.refresh_definitions()
        self._stages_asked_for |= unknown

    def trust_blanks(self, kind: str, base: Mapping[str, Any], record: Record) -> None:
        """A record without values that it had: see first whether their fields still exist over there.

        A field that is deleted takes its values along on every record, and that is nobody's wish to blank ours.
        """
        if not (record.complete or record.has_custom):
            return
        held = {name for side in ("v", "r") for name in base.get(side, {})}
        blank = {
            definition.id
            for row in MAPS[kind].customs
            if row.name in held
            and (definition := self.definitions.fields.get(row.remote)) is not None
            and definition.id not in record.custom
        }
        if not blank or time.monotonic() < self._fields_seen_until:
            return
        there = {definition.id for definition in self.client.list_custom_fields("all")}
        self._fields_seen_until = time.monotonic() + FIELDS_SEEN_SECONDS
        if blank - there:
            self.refresh_definitions()

    @property
    def fetching_paused(self) -> bool:
        """As of the last look at the switches."""
        return self.location.fetching_paused_at is not None

    def check_sending(self) -> None:
        """Asked before each record is sent. Raises Paused, or CannotRun when traffic was stopped meanwhile."""
        self._check("sending")

    def check_fetching(self) -> None:
        """Asked before each page is fetched. Raises Paused, or CannotRun when traffic was stopped meanwhile."""
        self._check("fetching")

    def _check(self, switch: str) -> None:
        if self.stranger and switch == "sending":
            raise Stranger(self.stranger)
        if self.client.read_only:
            return  # a dry run changes nothing on either side
        fields = [
            "paused_at", "paused_reason", "sending_paused_at", "fetching_paused_at", f"{switch}_paused_by",
            "pull_first_since",
        ]  # fmt: skip
        self.location.refresh_from_db(fields=fields)
        if self.location.paused_at is not None:
            raise CannotRun(f"GoHighLevel is stopped: {self.location.paused_reason}")
        if words := self.location.pause_words(switch):
            raise Paused(f"{words} {GO_ON}")
        if switch == "sending" and (words := binding.catching_up(self.location)):
            raise CatchingUp(words)

    def check_bound(self) -> None:
        """Raises Stranger where this database must not write."""
        if self.stranger:
            raise Stranger(self.stranger)

    def check_running(self, *, at_once: bool = False) -> None:
        """Raises CannotRun while traffic is stopped; tries once a minute, or `at_once`, whether the stop is over."""
        self.location.refresh_from_db()
        if self.location.paused_at is None:
            return
        if not at_once and not state.take_probe(self.location, PROBE_SECONDS * self.config.scale):
            raise CannotRun(f"GoHighLevel is stopped: {self.location.paused_reason}")
        try:
            self.client.get_location()
        except MissingScope:
            pass  # token and location are right; only this one question is not allowed
        except GHLError as error:
            raise CannotRun(f"GoHighLevel is stopped: {error.words}") from None
        if not self.client.read_only:
            state.resume(self.location)
            self.location.refresh_from_db()

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
