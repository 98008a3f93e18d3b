"""The shared rate limit: a table of slots that every process of every machine takes its calls from.

A call takes the slot that is free first and moves it on by one interval, so no interval ever holds more
calls than there are slots, however many processes ask. A table, because all processes already share
the database; a fair one, because slots are handed out in the order of asking. The number of slots
follows the limit that GoHighLevel's own headers state.
"""

from __future__ import annotations

import datetime as dt
import random
import time

from django.db import connection, transaction
from django.db.models import F, Q

from ghl_sync.client.errors import RateLimited
from ghl_sync.client.types import RateState
from ghl_sync.engine.clock import database_now
from ghl_sync.models import Location, RateSlot

MARGIN = 1.02  # the server counts when a call arrives, we when it leaves
MORE_THAN_WE_CAN_SEND = 2_000  # per interval; slots for such a limit would only cost time
FLUSH_SECONDS = 1.0
POLL_SECONDS = 0.05


class DatabaseLimiter:
    """The client's limiter (`client.transport.Limiter`) over `RateSlot`. One per client, used by one thread."""

    def __init__(self, location_pk: int, *, longest_wait: float = 30.0) -> None:
        self._pk = location_pk
        self._longest_wait = longest_wait
        self._location = Location.objects.get(pk=location_pk)
        self._calls = 0
        self._flushed = time.monotonic()

    def acquire(self, lane: str) -> None:
        """Wait for the right to send one call. Raises RateLimited when that would take too long."""
        self._calls += 1
        taken = self._location.rate_max >= MORE_THAN_WE_CAN_SEND
        while not taken:
            wait, taken = self._reserve()
            if wait > 0:
                time.sleep(wait)
        if time.monotonic() - self._flushed > FLUSH_SECONDS:
            self.flush()

    def observe(self, state: RateState) -> None:
        """Learn the limit from an answer's headers."""
        location = self._location
        learned = {
            "rate_max": state.max,
            "rate_interval_ms": state.interval_ms,
            "daily_limit": state.daily_limit,
        }
        changed = {name: value for name, value in learned.items() if value and getattr(location, name) != value}
        if state.daily_remaining is not None:
            location.daily_remaining = state.daily_remaining
        if changed:
            for name, value in changed.items():
                setattr(location, name, value)
            Location.objects.filter(pk=self._pk).update(**changed)

    def hit_429(self, retry_after: float) -> None:
        """GoHighLevel refused a call: nobody sends for `retry_after` seconds."""
        until = database_now() + dt.timedelta(seconds=retry_after)
        shorter = Q(held_until__isnull=True) | Q(held_until__lt=until)
        Location.objects.filter(shorter, pk=self._pk).update(held_until=until)

    def flush(self) -> None:
        """Add the calls made since the last time to the day's count."""
        calls, self._calls, self._flushed = self._calls, 0, time.monotonic()
        if not calls:
            return
        today = database_now().date()
        rows = Location.objects.filter(pk=self._pk)
        if not rows.filter(calls_day=today).update(
            calls_today=F("calls_today") + calls, daily_remaining=self._location.daily_remaining
        ):
            rows.update(calls_day=today, calls_today=calls, daily_remaining=self._location.daily_remaining)

    def _reserve(self) -> tuple[float, bool]:
        """Seconds to wait, and whether a slot is reserved for the moment after them; else ask again then."""
        with transaction.atomic():
            location = Location.objects.get(pk=self._pk)
            now = database_now()
            if location.held_until and location.held_until > now:
                held = (location.held_until - now).total_seconds()
                self._refuse_if_long(held)
                return held + random.uniform(0, 0.5), False  # noqa: S311 - spreads callers, guards nothing
            slot = self._next_slot(location, now)
            if slot is None:  # every slot is being taken this instant by someone else
                return POLL_SECONDS, False
            start = max(now, slot.free_at)
            wait = (start - now).total_seconds()
            self._refuse_if_long(wait)
            interval = dt.timedelta(milliseconds=location.rate_interval_ms * MARGIN)
            RateSlot.objects.filter(pk=slot.pk).update(free_at=start + interval)
            self._location.rate_max, self._location.rate_interval_ms = location.rate_max, location.rate_interval_ms
            return wait, True

    def _next_slot(self, location: Location, now: dt.datetime) -> RateSlot | None:
        slots = RateSlot.objects.filter(location=location)
        if slots.count() != location.rate_max:
            self._fit(location)
        if connection.features.has_select_for_update_skip_locked:
            slots = slots.select_for_update(skip_locked=True)
        slot = slots.order_by("free_at", "number").first()
        if slot is not None and slot.free_at > now:
            # Somebody may have moved this one on between our choice and our lock; another one may be free.
            slot = slots.order_by("free_at", "number").first()
        return slot

    def _fit(self, location: Location) -> None:
        RateSlot.objects.filter(location=location, number__gt=location.rate_max).delete()
        have = set(RateSlot.objects.filter(location=location).values_list("number", flat=True))
        missing = [n for n in range(1, location.rate_max + 1) if n not in have]
        epoch = dt.datetime.fromtimestamp(0, dt.UTC)
        RateSlot.objects.bulk_create(
            [RateSlot(location=location, number=n, free_at=epoch) for n in missing], ignore_conflicts=True
        )

    def _refuse_if_long(self, wait: float) -> None:
        if wait > self._longest_wait:
            raise RateLimited(f"GoHighLevel's limit is used up; free again in {wait:.0f} s.", retry_after=wait)
