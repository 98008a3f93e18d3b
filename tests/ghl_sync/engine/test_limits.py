"""The shared limit: however many ask, no interval holds more calls than it may."""

from __future__ import annotations

import datetime as dt
import threading
import time

import pytest
from django.db import connection

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
