"""The shared limit: however many ask, no interval holds more calls than it may."""

from __future__ import annotations

import datetime as dt
import threading
import time
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from ghl_sync.client.errors import RateLimited
from ghl_sync.client.types import RateState
from ghl_sync.engine.clock import database_now
from ghl_sync.engine.limits import DatabaseLimiter
from ghl_sync.models import Location, RateSlot

pytestmark = pytest.mark.django_db(transaction=True)


def a_location(rate: int, interval_ms: int) -> Location:
    return Location.objects.create(location_id="L", rate_max=rate, rate_interval_ms=interval_ms)


def most_in_any(moments: list[float], seconds: float) -> int:
    return max(sum(start <= moment < start + seconds for moment in moments) for start in moments)


def test_two_clients_share_one_limit() -> None:
    location = a_location(rate=5, interval_ms=400)
    moments: list[float] = []

    def work() -> None:
        limiter = DatabaseLimiter(location.pk)
        for _call in range(8):
            limiter.acquire("bulk")
            moments.append(time.monotonic())
        connection.close()

    threads = [threading.Thread(target=work) for _worker in range(3)]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.monotonic() - started

    assert len(moments) == 24
    assert most_in_any(moments, 0.35) <= 6  # a thread may be late by a few milliseconds
    assert took < 5  # 24 calls at 5 in 0.4 s; nobody waits for a slot that somebody else has moved on


def test_a_429_holds_everybody() -> None:
    location = a_location(rate=5, interval_ms=100)
    first, second = DatabaseLimiter(location.pk), DatabaseLimiter(location.pk)
    first.acquire("bulk")
    first.hit_429(0.4)
    started = time.monotonic()

    second.acquire("staff")

    assert time.monotonic() - started >= 0.4


def test_a_second_429_does_not_shorten_the_hold() -> None:
    limiter = DatabaseLimiter(a_location(rate=5, interval_ms=100).pk)
    limiter.hit_429(60)
    limiter.hit_429(1)

    with pytest.raises(RateLimited):
        limiter.acquire("bulk")


def test_a_long_wait_is_refused_as_not_sent() -> None:
    location = a_location(rate=1, interval_ms=60_000)
    limiter = DatabaseLimiter(location.pk, longest_wait=1)
    limiter.acquire("bulk")

    with pytest.raises(RateLimited) as caught:
        limiter.acquire("bulk")

    assert caught.value.retry_after == pytest.approx(61, abs=2)


def test_after_a_hold_the_slots_count_again() -> None:
    location = a_location(rate=1, interval_ms=300)
    limiter = DatabaseLimiter(location.pk)
    limiter.hit_429(0.05)
    moments = []
    for _call in range(2):
        limiter.acquire("bulk")
        moments.append(time.monotonic())

    assert moments[1] - moments[0] >= 0.29


def test_the_limit_is_learned_from_headers() -> None:
    location = a_location(rate=3, interval_ms=100)
    limiter = DatabaseLimiter(location.pk)
    limiter.acquire("bulk")
    assert RateSlot.objects.count() == 3

    limiter.observe(RateState(max=7, interval_ms=200, daily_limit=1000, daily_remaining=990))
    limiter.acquire("bulk")

    location.refresh_from_db()
    assert (location.rate_max, location.rate_interval_ms, location.daily_limit) == (7, 200, 1000)
    assert RateSlot.objects.count() == 7


def test_a_limit_that_shrinks_takes_slots_away() -> None:
    location = a_location(rate=7, interval_ms=100)
    limiter = DatabaseLimiter(location.pk)
    limiter.acquire("bulk")
    limiter.observe(RateState(max=2))

    limiter.acquire("bulk")

    assert sorted(RateSlot.objects.values_list("number", flat=True)) == [1, 2]


def test_calls_are_counted_by_day() -> None:
    location = a_location(rate=50, interval_ms=100)
    yesterday = (database_now() - dt.timedelta(days=1)).date()
    Location.objects.update(calls_day=yesterday, calls_today=999)
    limiter = DatabaseLimiter(location.pk)
    for _call in range(3):
        limiter.acquire("bulk")
    limiter.flush()
    limiter.flush()

    location.refresh_from_db()
    assert (location.calls_today, location.calls_day) == (3, database_now().date())


# Lanes


def calls_of(location: Location, lane: str, count: int) -> list[float]:
    """The moments at which so many calls of a lane may leave."""
    limiter, moments = DatabaseLimiter(location.pk), []
    for _call in range(count):
        limiter.acquire(lane)
        moments.append(time.monotonic())
    return moments


def test_bulk_is_spread_over_the_interval_and_staff_s_edits_go_at_once() -> None:
    location = a_location(rate=10, interval_ms=2000)
    staff = calls_of(location, "staff", 3)
    RateSlot.objects.update(free_at="2020-01-01T00:00:00Z")
    bulk = calls_of(location, "bulk", 6)

    assert bulk[-1] - bulk[0] >= 5 * 0.95 * 0.2 - 0.1
    assert staff[-1] - staff[0] < bulk[-1] - bulk[0]


def test_a_staff_edit_overtakes_the_bulk_calls_that_wait() -> None:
    location = a_location(rate=10, interval_ms=3000)
    bulk: list[float] = []

    def work() -> None:
        try:
            bulk.extend(calls_of(location, "bulk", 3))
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _worker in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    (staff,) = calls_of(location, "staff", 1)
    for thread in threads:
        thread.join()

    assert sum(moment > staff for moment in bulk) >= 4  # in the order of asking all four that wait would go first
    assert most_in_any([*bulk, staff], 2.9) <= 10


def test_the_stop_of_a_run_ends_its_waits() -> None:
    location = a_location(rate=1, interval_ms=20_000)
    stop = threading.Event()
    limiter = DatabaseLimiter(location.pk, stop=stop)
    limiter.acquire("bulk")
    threading.Timer(0.1, stop.set).start()
    started = time.monotonic()

    with pytest.raises(RateLimited, match="stopped") as caught:
        limiter.acquire("bulk")

    assert (time.monotonic() - started < 5, caught.value.retry_after) == (True, 0.0)


# Clocks


def test_a_machine_whose_clock_is_ahead_shares_the_limit_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    location = a_location(rate=2, interval_ms=600)
    here = calls_of(location, "staff", 2)
    ahead = timezone.now() + dt.timedelta(minutes=10)
    monkeypatch.setattr("django.utils.timezone.now", lambda: ahead)

    there = calls_of(location, "staff", 2)

    assert there[0] - here[0] >= 0.6


def test_slots_taken_before_the_clock_was_set_back_are_free_within_an_interval() -> None:
    location = a_location(rate=2, interval_ms=200)
    calls_of(location, "bulk", 2)
    RateSlot.objects.update(free_at=database_now() + dt.timedelta(hours=1))

    started = time.monotonic()
    calls_of(location, "bulk", 1)

    assert 0.2 <= time.monotonic() - started < 5


class Stalled(threading.Event):
    """A process that the machine keeps from running for a while after its wait is over."""

    def wait(self, timeout: float | None = None) -> bool:
        time.sleep((timeout or 0) + 0.3)
        return False


def test_a_call_that_leaves_late_counts_from_when_it_leaves() -> None:
    location = a_location(rate=1, interval_ms=500)
    limiter = DatabaseLimiter(location.pk, stop=Stalled())
    limiter.acquire("staff")

    limiter.acquire("staff")
    left = time.monotonic()

    free_in = (RateSlot.objects.get().free_at - database_now()).total_seconds() + time.monotonic() - left
    assert free_in >= 0.45  # a slot that had kept its time would be free in 0.2 s


# The day's budget

ALL_LANES = ("staff", "look", "retry", "bulk")


@pytest.mark.parametrize(
    ("left", "closed"),
    [
        (1000, ()),
        (101, ()),
        (100, ("bulk",)),
        (50, ("retry", "bulk")),
        (20, ("look", "retry", "bulk")),
        (1, ("look", "retry", "bulk")),
        (0, ALL_LANES),
    ],
)
@pytest.mark.parametrize("rate", [50, 100_000])
def test_when_the_day_s_budget_runs_low_bulk_stops_first(rate: int, left: int, closed: tuple[str, ...]) -> None:
    location = a_location(rate=rate, interval_ms=1000)
    limiter = DatabaseLimiter(location.pk)
    limiter.observe(RateState(daily_limit=1000, daily_remaining=left, daily_reset_ms=3_600_000))
    limiter.flush()
    other = DatabaseLimiter(location.pk)

    refused = []
    for lane in ALL_LANES:
        try:
            other.acquire(lane)
        except RateLimited:
            refused.append(lane)

    assert tuple(refused) == closed
    assert tuple(lane for lane in ALL_LANES if other.closed(lane)) == closed


def test_what_waits_for_the_budget_is_told_when_it_goes_on(settings: Any) -> None:
    settings.TIME_ZONE = "UTC"
    location = a_location(rate=5, interval_ms=100)
    resets = database_now() + dt.timedelta(hours=5)
    Location.objects.update(daily_limit=1000, daily_remaining=0, daily_reset_at=resets)
    limiter = DatabaseLimiter(location.pk)
    used_up = limiter.closed("staff")
    Location.objects.update(daily_remaining=60)

    assert used_up == f"Today's budget of GoHighLevel calls is used up; goes on at {resets:%H:%M}."
    assert limiter.closed("bulk") == (
        "Today's budget of GoHighLevel calls is nearly used up, and the rest is kept for staff's edits; "
        f"goes on at {resets:%H:%M}."
    )


def test_after_the_reset_everybody_goes_on() -> None:
    location = a_location(rate=5, interval_ms=100)
    Location.objects.update(
        daily_limit=1000, daily_remaining=0, daily_reset_at=database_now() - dt.timedelta(seconds=1)
    )

    DatabaseLimiter(location.pk).acquire("bulk")

    assert [lane for lane in ALL_LANES if DatabaseLimiter(location.pk).closed(lane)] == []


def test_the_reset_is_learned_as_a_time_left() -> None:
    location = a_location(rate=5, interval_ms=100)
    limiter = DatabaseLimiter(location.pk)
    limiter.observe(RateState(daily_limit=1000, daily_remaining=3, daily_reset_ms=7_200_000))

    location.refresh_from_db()
    assert location.daily_reset_at is not None
    left = (location.daily_reset_at - database_now()).total_seconds()
    assert (location.daily_remaining, left) == (3, pytest.approx(7200, abs=5))
