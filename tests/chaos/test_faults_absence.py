"""Faults 27 to 29, 48: what GoHighLevel does not show, deletes in bulk, and a dry run through all of it."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

from ghl_sync.client.errors import GHLError
from ghl_sync.engine import due
from ghl_sync.engine.pull import pull
from ghl_sync.engine.session import CannotRun, Session
from ghl_sync.models import Change, Conflict, Issue, Link, Location, Run, Write
from ghl_sync.sandbox.server import Sandbox
from tests.chaos.rest import come_to_rest, quiet
from tests.chaos.trouble import KINDS
from tests.factories import ContactFactory, PassengerFactory
from tests.ghl_sync.engine.mirror import a_trip, link_of
from trips.models import Contact, Passenger, Trip

pytestmark = pytest.mark.django_db(transaction=True)

PASSENGERS = 10
SEARCH = "/opportunities/search"


@pytest.fixture
def account(session: Session, connected: Sandbox) -> list[Passenger]:
    """A trip with ten passengers that both sides agree on, in pages of three."""
    contact, trip = ContactFactory(), a_trip()
    people = [PassengerFactory(trip=trip, contact=contact) for _seat in range(PASSENGERS)]
    come_to_rest()
    pull(Session(), full=True)
    Location.objects.update(page_size=3)
    return people


def here() -> list[Any]:
    return [list(model.objects.order_by("pk").values()) for model in (Trip, Passenger, Contact)]


def missed() -> int:
    return Link.objects.filter(missed_scans__gt=0).count() + Link.objects.filter(gone_at__isnull=False).count()


def scan() -> None:
    try:
        pull(Session(), full=True)
    except GHLError:
        return


# 27, 28


def scan_with(connected: Sandbox, monkeypatch: pytest.MonkeyPatch, kind: str, page: int) -> None:
    """A full scan in which this page of opportunities goes wrong."""
    asked: list[str] = []
    real = connected.faults.take

    def only_that_page(method: str, path: str) -> Any:
        asked.extend([path] if path == SEARCH else [])
        return real(method, path) if len(asked) == page + 1 else None

    with monkeypatch.context() as patch:
        patch.setattr(connected.faults, "take", only_that_page)
        connected.faults.add(kind, method="POST", path=SEARCH)
        scan()
    connected.faults.clear()


@pytest.mark.parametrize("page", [0, 2])
def test_a_scan_with_a_broken_page_proves_nothing(
    account: list[Passenger], connected: Sandbox, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    before = here()

    for kind in ("status", "cut", "half", "html", "ok_html", "empty", "short", "no_rows"):
        for _scan in range(2):
            scan_with(connected, monkeypatch, kind, page)
        assert (kind, here(), Link.objects.filter(gone_at__isnull=False).count()) == (kind, before, 0)
        scan()

    scan()
    assert missed() == 0
    assert quiet(connected) == []


def test_an_account_that_shows_nothing_empties_nothing(account: list[Passenger], connected: Sandbox) -> None:
    before = here()
    connected.faults.add("no_rows", method="POST", path=".*/search", times=1000)

    for _scan in range(4):
        scan()

    assert (here(), Link.objects.filter(gone_at__isnull=False).count()) == (before, 0)
    assert connected.writes() == [] or quiet(connected) == []


# 29


def test_a_third_of_the_records_deleted_there_is_flagged_after_two_scans_and_a_look(
    account: list[Passenger], connected: Sandbox
) -> None:
    victims = [link_of(passenger).remote_id for passenger in account[:3]]
    for victim in victims:
        connected.store.delete(victim)
    before = here()

    scan()
    assert not Link.objects.filter(gone_at__isnull=False).exists()
    connected.requests.clear()
    scan()

    gone = Link.objects.filter(gone_at__isnull=False)
    assert sorted(gone.values_list("remote_id", flat=True)) == sorted(victims)
    assert {one.path for one in connected.requests if one.status == 400} == {f"/opportunities/{one}" for one in victims}
    assert here() == before
    for victim in victims:
        connected.store.restore(victim)
    scan()
    assert missed() == 0


# 48


def test_a_dry_run_writes_nothing_whatever_happens(account: list[Passenger], connected: Sandbox) -> None:
    account[0].roommate_request = "Ours"
    account[0].save()
    connected.edit(link_of(account[1]).remote_id, fields={"user_roomate": "Theirs"})
    connected.store.delete(link_of(account[2]).remote_id)
    tables = (Trip, Passenger, Contact, Link, Change, Write, Issue, Conflict, Run)
    before = {model: list(model.objects.order_by("pk").values()) for model in tables}
    connected.requests.clear()

    for kind, how in KINDS.items():
        connected.faults.add(**{"kind": kind, "times": 2, "seconds": 0.1, "status": 500, **how})
        Location.objects.update(held_until=None)
        with suppress(GHLError, CannotRun):
            pull(Session(read_only=True, longest_wait=0.0), full=True, dry_run=True)
        connected.faults.clear()
    due.preview(Session(read_only=True))

    assert {model: list(model.objects.order_by("pk").values()) for model in tables} == before
    assert connected.writes() == []
