"""What is said before a bulk push: calls, time, the day's budget, and whom it may write to."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from ghl_sync import budget
from ghl_sync.budget import Forecast
from ghl_sync.engine import due
from ghl_sync.engine.clock import database_now
from ghl_sync.engine.session import Session
from ghl_sync.models import Change, Link, Location
from ghl_sync.sandbox.server import Sandbox
from tests.factories import ContactFactory, PassengerFactory, StaffFactory
from tests.ghl_sync.engine.mirror import a_trip, link_of
from tests.ghl_sync.test_commands import run
from trips.models import Passenger, Trip

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def account(settings: Any) -> Location:
    """An account of which no answer has come yet."""
    settings.GHL_LOCATION_ID, settings.TIME_ZONE = "L", "UTC"
    settings.GHL_CALLS_IN_FLIGHT = 4
    return Location.objects.create(location_id="L", rate_max=100, rate_interval_ms=10_000)


def test_a_forecast_counts_a_look_and_a_write_for_each_record(account: Location) -> None:
    found = budget.forecast({"trip": 700, "passenger": 6500})

    minutes = pytest.approx(14_400 / (100 / 10.2) / 60)
    assert found == Forecast(records=7200, calls=14_400, minutes=minutes, share_of_day=None, left_today=None)
    assert found.text == "Takes some 14,400 calls, about 24 minutes."
    assert budget.forecast({"trip": 1}, writes=0).text == "Takes 1 call, about a minute."


def test_records_that_are_only_looked_at_take_a_call_each(account: Location) -> None:
    assert budget.forecast({"contact": 5000}, writes=20).calls == 5020


def test_a_forecast_knows_the_day_s_limit_and_what_is_left_of_it(account: Location) -> None:
    resets = database_now() + dt.timedelta(hours=2)
    Location.objects.update(daily_limit=10_000, daily_remaining=9000, daily_reset_at=resets)

    enough, too_much = budget.forecast({"trip": 1000}), budget.forecast({"trip": 6000})

    assert (enough.share_of_day, enough.left_today) == (0.2, 8000)  # a tenth is kept for what is more urgent
    assert enough.text == "Takes some 2,000 calls, 20 % of GoHighLevel's limit for a day, about 3 minutes."
    assert too_much.text == (
        "Takes some 12,000 calls, 120 % of GoHighLevel's limit for a day, about 20 minutes. Today 8,000 calls are "
        f"left for it; the rest goes on by itself at {resets:%H:%M}."
    )


def test_what_was_left_yesterday_says_nothing_of_today(account: Location) -> None:
    Location.objects.update(
        daily_limit=10_000, daily_remaining=0, daily_reset_at=database_now() - dt.timedelta(hours=1)
    )

    assert budget.forecast({"trip": 10}).text == (
        "Takes some 20 calls, less than 1 % of GoHighLevel's limit for a day, about a minute."
    )


def test_nothing_to_send_is_nothing_to_say(account: Location) -> None:
    assert (budget.forecast({}).text, budget.stages_text(0)) == ("", "")


def test_cards_that_come_or_move_are_counted(session: Session, connected: Sandbox) -> None:
    settled, moved = a_trip(name="Settled"), a_trip(name="Moved")
    away, home = PassengerFactory(trip=settled), PassengerFactory(trip=settled)
    due.run_due(session)
    Trip.objects.filter(pk=moved.pk).update(stage=Trip._meta.get_field("stage").choices[-1][0])
    Passenger.objects.filter(pk=away.pk).update(stage=Passenger._meta.get_field("stage").choices[-1][0])
    new = a_trip(name="New")
    deleted = link_of(home).pk
    Link.objects.filter(pk=deleted).update(deleted_at=database_now())

    found = budget.stage_changes(Link.objects.values_list("pk", flat=True))

    assert found == 3  # the two that moved, and the new one; not the contacts
    assert budget.stages_text(found) == (
        "3 cards come or move to another stage, for which GoHighLevel's workflows may write to travellers."
    )
    assert budget.stage_changes([link_of(settled).pk, link_of(new).pk]) == 1


@pytest.mark.parametrize("trips", [1, 3])
def test_counting_stages_costs_the_same_queries_however_many_there_are(
    session: Session, trips: int, django_assert_num_queries: Any
) -> None:
    for _trip in range(trips):
        a_trip()
    ids = list(Link.objects.values_list("pk", flat=True))

    with django_assert_num_queries(3):
        budget.stage_changes(ids)


@pytest.mark.parametrize("dry", [(), ("-n",)])
def test_push_says_what_it_takes_before_it_sends(session: Session, connected: Sandbox, dry: tuple[str, ...]) -> None:
    a_trip()

    _code, _body, words = run("push_ghl", *dry)

    assert words.splitlines()[:2] == [
        "Takes some 4 calls, less than 1 % of GoHighLevel's limit for a day, about a minute.",
        "1 card comes or moves to another stage, for which GoHighLevel's workflows may write to travellers.",
    ]


def test_sync_now_of_many_records_says_what_it_takes_and_gives_way_to_staff(
    session: Session, connected: Sandbox, client: Client
) -> None:
    people = ContactFactory.create_batch(21)
    due.run_due(session)
    boss = StaffFactory(is_superuser=True)
    client.force_login(boss)
    data = {"action": "sync_selected", "_selected_action": [link_of(one).pk for one in people]}

    page = client.post(reverse("admin:ghl_sync_link_changelist"), data, follow=True)

    assert page.context["costs"] == [
        "Takes some 21 calls, less than 1 % of GoHighLevel's limit for a day, about a minute."
    ]
    client.post(reverse("admin:ghl_sync_link_repair"), {"verb": "retry", "ids": page.context["ids"]})
    assert set(Change.objects.values_list("lane", flat=True)) == {"bulk"}
