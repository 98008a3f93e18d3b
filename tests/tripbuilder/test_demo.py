"""What the demo invents, on whom, and that it leaves any other account alone."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from ghl_sync.engine.pull import pull
from ghl_sync.engine.session import Session
from ghl_sync.models import Link
from ghl_sync.sandbox.people import EITHER, FIRST_NAMES, MEN
from ghl_sync.sandbox.seed import fill
from ghl_sync.sandbox.server import Sandbox
from tests.factories import PassengerFactory
from tripbuilder import demo
from trips.enums import PAPER_KINDS, Sex
from trips.models import Passenger, Trip
from trips.papers.fields import passengers_for_papers
from trips.services import duplicates, papers, rooming

pytestmark = pytest.mark.django_db

NOW = dt.datetime(2026, 11, 25, 12, tzinfo=dt.UTC)


@pytest.fixture
def account(settings: Any) -> Iterator[Sandbox]:
    """The sandbox of `manage.py dev`, pulled for the first time."""
    with Sandbox(rate_max=100_000) as running:
        settings.GHL_API_TOKEN, settings.GHL_LOCATION_ID = demo.SANDBOX_TOKEN, demo.SANDBOX_LOCATION
        settings.GHL_API_BASE_URL, settings.GHL_MIRROR_SENSITIVE = running.url, "both"
        fill(running.store, "small")
        session = Session()
        session.refresh_definitions()
        pull(session, full=True)
        yield running


def filled() -> str:
    out = StringIO()
    call_command("fill_demo", stdout=out)
    return out.getvalue()


def test_a_newcomer_can_make_papers_rooms_and_a_merge_without_typing(account: Sandbox) -> None:
    filled()
    trip = Trip.objects.get(name="Trinidad Architecture Days")
    people = passengers_for_papers(trip.passengers.values_list("pk", flat=True))
    wordings = {one.kind: one for one in papers.templates()}
    prepared = [papers.prepare(template=wordings[kind], passenger=one, may=lambda _: True)
                for kind in PAPER_KINDS for one in people]  # fmt: skip
    assert [one.blocked for one in prepared] == [""] * 15
    assert rooming.suggestion(rooming.rooming_of(trip)).left == ()
    pairs = [pair.reasons for pair in duplicates.find().pairs]
    assert pairs == [[duplicates.Reason.BIRTH]] * 2


def test_a_second_run_changes_nothing_and_nothing_has_to_be_sent(account: Sandbox) -> None:
    due = Link.objects.with_due().filter(is_due=True).count()
    assert filled() == "Filled in 12 trips and 61 passengers.\n"
    assert filled() == "Filled in 0 trips and 0 passengers.\n"
    assert Link.objects.with_due().filter(is_due=True).count() == due


def test_what_somebody_typed_stays_and_children_are_children(account: Sandbox) -> None:
    typed = Passenger.objects.filter(is_child=None).first()
    assert typed is not None
    Passenger.objects.filter(pk=typed.pk).update(sex=Sex.OTHER, date_of_birth=dt.date(1950, 2, 3))
    filled()
    typed.refresh_from_db()
    assert (typed.sex, typed.date_of_birth) == (Sex.OTHER, dt.date(1950, 2, 3))
    born = Passenger.objects.exclude(date_of_birth=None).select_related("trip")
    assert {(bool(one.is_child), one.is_minor) for one in born} == {(False, False), (True, True)}
    assert {one.guardian for one in born if not one.is_child} == {None}
    assert all(one.guardian == one.contact for one in born if one.is_child and str(one.contact) != str(one))


def test_people_who_are_not_of_the_sandbox_are_left_alone(account: Sandbox) -> None:
    own = PassengerFactory(date_of_birth=None, sex="")
    filled()
    own.refresh_from_db()
    assert (own.date_of_birth, own.sex) == (None, "")


@pytest.mark.parametrize(
    ("name", "value"),
    [("GHL_LOCATION_ID", "a-real-one"), ("GHL_API_BASE_URL", "https://services.leadconnectorhq.com")],
)
def test_another_account_is_refused(settings: Any, db: None, name: str, value: str) -> None:
    settings.GHL_LOCATION_ID, settings.GHL_API_BASE_URL = demo.SANDBOX_LOCATION, "http://127.0.0.1:8787"
    setattr(settings, name, value)
    with pytest.raises(CommandError, match="is not the sandbox, so nothing was invented"):
        filled()


def test_every_invented_name_has_a_sex() -> None:
    counts = {sex: sum(demo._sex(name) == sex for name in FIRST_NAMES) for sex in Sex}
    assert counts == {Sex.FEMALE: 41, Sex.MALE: 30, Sex.OTHER: 2}
    assert {*FIRST_NAMES} >= MEN | EITHER
