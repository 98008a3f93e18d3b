"""Answers that GoHighLevel should not give: keys dropped, types changed, nested, cut, huge, of other records, HTML.

A pull ends with a report or with an error for people, records whose rows were whole are as they were, nothing counts
as missing, and the next pull that is told the truth puts right what a false row said.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, seed
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ghl_sync.client.errors import GHLError
from ghl_sync.engine import due
from ghl_sync.engine.pull import pull
from ghl_sync.engine.session import CannotRun, Session
from ghl_sync.models import Kind, Link
from ghl_sync.sandbox.server import Reply, Sandbox
from tests.factories import ContactFactory, PassengerFactory
from tests.ghl_sync.engine.mirror import a_trip
from trips.models import Contact, Passenger, Trip

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(1800)]

EXAMPLES = int(os.environ.get("CHAOS_EXAMPLES", "40"))
MODELS = {Kind.TRIP: Trip, Kind.PASSENGER: Passenger, Kind.CONTACT: Contact}
ROWS = ("opportunities", "contacts")
HUGE = 100_000
OF_ITSELF = ("updated_at", "created_at")
# Values of wrong types and of none; days far off; what breaks databases and pages.
VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 10**30, 1.5, "", " ", "x", "\x00", "\ud800", "<script>alert(1)</script>", [], {}, [None], [[[]]],
    {"a": {"b": None}}, "2099-12-31T00:00:00.000Z", "0000-00-00", "9" * 40, "not an id", ["trip", "trip"],
)  # fmt: skip


@dataclass
class Mutation:
    """The `call`th reading answer of a pull is bent at the place that `steps` lead to."""

    call: int
    steps: Sequence[int]
    how: str
    value: Any
    touched: set[str] = field(default_factory=set)  # ids of the records whose rows are no longer whole

    def apply(self, reply: Reply) -> Reply:
        if self.how == "html":
            return Reply(200, b"<!DOCTYPE html><html></html>", "text/html", reply.headers)
        if self.how == "cut":
            return Reply(reply.status, (reply.content or b"")[: -1 - len(self.steps)], reply.kind, reply.headers)
        body = json.loads(reply.content or b"{}")
        self._bend(body)
        return Reply(reply.status, json.dumps(body).encode(), reply.kind, reply.headers)

    def _bend(self, body: Any) -> None:
        owner, key, walked = None, None, body
        for step in self.steps or (0,):
            if not isinstance(walked, (dict, list)) or not walked:
                break
            owner, key = walked, list(walked)[step % len(walked)] if isinstance(walked, dict) else step % len(walked)
            walked = walked[key]
            if isinstance(walked, dict) and isinstance(owner, list) and isinstance(walked.get("id"), str):
                self.touched.add(walked["id"])
        if owner is not None:
            self._change(owner, key, walked)

    def _change(self, owner: Any, key: Any, old: Any) -> None:
        if self.how == "drop":
            del owner[key]
        elif self.how == "nest":
            owner[key] = {"value": [old]}
        elif self.how == "double" and isinstance(owner, list):
            owner.insert(key, old)
        elif self.how == "half" and isinstance(old, (str, list)):
            owner[key] = old[: len(old) // 2]
        elif self.how == "huge":
            owner[key] = "x" * HUGE if isinstance(old, str) else [old] * 50
        else:
            owner[key] = self.value


HOW = ("drop", "replace", "replace", "nest", "double", "half", "huge", "cut", "html")
MUTATIONS = st.lists(
    st.builds(
        Mutation,
        call=st.integers(0, 7),
        steps=st.lists(st.integers(0, 40), max_size=6),
        how=st.sampled_from(HOW),
        value=st.sampled_from(VALUES),
    ),
    min_size=1,
    max_size=3,
)


class Bent:
    """Within the block the sandbox's reading answers are bent."""

    def __init__(self, sandbox: Sandbox, mutations: Sequence[Mutation]) -> None:
        self._sandbox, self._mutations, self._calls = sandbox, mutations, 0

    def __enter__(self) -> None:
        self._real = self._sandbox.respond
        self._sandbox.respond = self._respond  # type: ignore[method-assign]

    def __exit__(self, *exception: object) -> None:
        self._sandbox.respond = self._real  # type: ignore[method-assign]

    def _respond(self, method: str, target: str, headers: Mapping[str, str], raw: bytes) -> Reply:
        reply = self._real(method, target, headers, raw)
        for mutation in self._mutations:
            if mutation.call == self._calls:
                reply = mutation.apply(reply) if _is_json(reply) else reply
        self._calls += 1
        return reply


def _is_json(reply: Reply) -> bool:
    with suppress(ValueError):
        return isinstance(json.loads(reply.content or b""), dict)
    return False


def here() -> dict[str, dict[str, Any]]:
    """By id over there what each linked object holds, without what a save changes of itself."""
    found = {}
    for link in Link.objects.exclude(remote_id=""):
        values = MODELS[Kind(link.kind)].objects.filter(pk=link.object_id).values().get()  # type: ignore[attr-defined]
        found[link.remote_id] = {name: value for name, value in values.items() if name not in OF_ITSELF}
    return found


@pytest.fixture
def account(session: Session, connected: Sandbox) -> dict[str, dict[str, Any]]:
    """A trip, its organiser and two passengers, equal on both sides."""
    trip = a_trip(description="Text", lodging_notes="Notes", legacy_trip_id=7)
    for seat in range(2):
        PassengerFactory(trip=trip, contact=ContactFactory(city=f"City {seat}"), roommate_request="Nobody")
    for _round in range(3):
        Link.objects.update(next_attempt_at=None)
        due.run_due(session, in_flight=1)
    pull(Session(), full=True)
    return here()


@seed(20261125)
@hypothesis_settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(mutations=MUTATIONS)
def test_bent_answers_neither_crash_a_pull_nor_corrupt(
    account: dict[str, dict[str, Any]], connected: Sandbox, mutations: list[Mutation]
) -> None:
    with transaction.atomic():
        with Bent(connected, mutations), suppress(GHLError, CannotRun):
            pull(Session(), full=True)
        touched = set().union(*(mutation.touched for mutation in mutations))
        after = here()
        whole = {record_id for record_id in account if record_id not in touched}
        assert {one: after.get(one) for one in whole} == {one: account[one] for one in whole}
        assert not Link.objects.filter(gone_at__isnull=False).exists()

        for _scan in range(2):
            pull(Session(), full=True)
        after = here()
        assert {one: after.get(one) for one in account} == account
        assert not Link.objects.filter(gone_at__isnull=False, remote_id__in=account).exists()
        transaction.set_rollback(True)
