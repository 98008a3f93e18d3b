"""GoHighLevel's limits, shared by every thread of every process of every machine through the database.

**Slots.** An interval allows N calls, so there are N rows. A call takes the one that is free first and moves it on by
one interval: no interval ever holds more than N calls, however many ask. All processes share the database already;
its clock decides, so machines whose clocks disagree share one limit all the same.

**Lanes.** Staff's edits must not queue behind a bulk push. Keeping a part of the slots for them would waste it, so
all lanes use all slots, under two rules. Every lane but staff's is spread evenly over the interval: a slot comes free
every N-th of it, never a burst and then ten seconds of nothing. And a slot is taken only shortly before it comes free,
the sooner the more urgent the lane (`Right.ahead`): a staff edit has the next one, while bulk asks again. So bulk alone
uses nearly all of the limit, and an edit waits for half a second at worst. Within a process one thread of the spread
lanes asks at a time; the others queue behind it instead of asking the database over and over.

**The day's budget** is as the last answer stated it. Bulk stops while a tenth is left, retries at a twentieth; the rest
is for looks at what webhooks named and, to the last call, for staff's edits. With nothing left nobody sends until the
reset.

Weighed against this: a token bucket in one row (a burst then needs a lower rate, some 10 % of the limit unused) and
slots taken in the order of asking (sixteen bulk callers put an edit almost two seconds back).
"""

from __future__ import annotations

import datetime as dt
import random
import threading
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from django.db import connection, transaction
from django.db.models import Count, F, Max, Q
from django.utils import timezone

from ghl_sync.client.errors import RateLimited
from ghl_sync.client.types import RateState
from ghl_sync.engine.clock import Now, database_now
from ghl_sync.models import Lane, Location, RateSlot

MARGIN = 1.02  # the server counts when a call arrives, we when it leaves
# How the words begin by which a record waits for the day's budget.
BUDGET_WORDS = "Today's budget of GoHighLevel calls is"
MORE_THAN_WE_CAN_SEND = 2_000  # per interval; slots for such a limit would only cost time
FLUSH_SECONDS = 1.0
POLL_SECONDS = 0.05
# Calls of the spread lanes lie at least this part of an even share apart; while a few slots lie idle (a part of all of
# them), because nobody asked for a moment, this smaller one: a slot that waits is a call lost.
SPREAD, CATCHING_UP, FEW = 0.95, 0.5, 0.1
# After a hold staff's edits leave first.
AFTER_HOLD_SECONDS = 0.3
# The day's end is asked for again after this long where GoHighLevel does not say when it is.
UNKNOWN_RESET_SECONDS = 900
# A look at a record that a webhook named: no Change, so no lane of one.
LOOK = "look"


@dataclass(frozen=True, slots=True)
class Right:
    """What a lane may do.

    `ahead`: how many seconds before a slot comes free it may be taken. `spread`: not in bursts. `spares`: the share of
    the day's budget that it leaves to the lanes above it.
    """

    ahead: float
    spread: bool
    spares: float


RIGHTS = {
    Lane.STAFF.value: Right(ahead=2.0, spread=False, spares=0.0),
    LOOK: Right(ahead=0.8, spread=True, spares=0.02),
    Lane.RETRY.value: Right(ahead=0.6, spread=True, spares=0.05),
    Lane.BULK.value: Right(ahead=0.4, spread=True, spares=0.1),
}
MOST_SPARED = max(right.spares for right in RIGHTS.values())

# One thread of the spread lanes asks at a time.
_turn = threading.Lock()


class DatabaseLimiter:
    """The client's limiter (`client.transport.Limiter`) over `RateSlot`. One per client, used by one thread.

    `stop` ends every wait when it is set; `scale` multiplies the waits after a refusal (GHL_WAIT_SCALE).
    """

    def __init__(
        self,
        location_pk: int,
        *,
        longest_wait: float = 30.0,
        stop: threading.Event | None = None,
        scale: float = 1.0,
    ) -> None:
        self._pk = location_pk
        self._longest_wait = longest_wait
        self.stop = stop or threading.Event()
        self._scale = scale
        self._location = Location.objects.get(pk=location_pk)
        self._fitted = 0
        self._calls = 0
        self._flushed = time.monotonic()
        self._daily: RateState | None = None  # not written yet
        self._daily_at = 0.0

    def acquire(self, lane: str) -> None:
        """Wait for the right to send one call. Raises RateLimited when that would take too long."""
        right = RIGHTS[lane]
        if self.stop.is_set():
            raise _stopped()
        if self._location.rate_max >= MORE_THAN_WE_CAN_SEND:
            self._pass_unlimited(right)
        else:
            turn: AbstractContextManager[object] = _turn if right.spread else nullcontext()
            with turn:
                slot = self._take(right)
            self._leave_with(slot)
        self._calls += 1
        if time.monotonic() - self._flushed > FLUSH_SECONDS:
            self.flush()

    def observe(self, state: RateState) -> None:
        """Learn the limits from an answer's headers."""
        location = self._location
        learned = {
            "rate_max": state.max,
            "rate_interval_ms": state.interval_ms,
            "daily_limit": state.daily_limit,
        }
        changed = {name: value for name, value in learned.items() if value and getattr(location, name) != value}
        if changed:
            for name, value in changed.items():
                setattr(location, name, value)
            Location.objects.filter(pk=self._pk).update(**changed)
        if state.daily_remaining is not None:
            self._daily, self._daily_at = state, time.monotonic()
            if state.daily_remaining <= MOST_SPARED * (location.daily_limit or 0):
                self.flush()  # where it matters everybody must know at once

    def hit_429(self, retry_after: float) -> None:
        """GoHighLevel refused a call: nobody sends for `retry_after` seconds."""
        until = database_now() + dt.timedelta(seconds=retry_after * self._scale)
        shorter = Q(held_until__isnull=True) | Q(held_until__lt=until)
        if Location.objects.filter(shorter, pk=self._pk).update(held_until=until):
            self._location.held_until = until

    def closed(self, lane: str) -> str:
        """Why this lane may not send for more than a moment, in words for people; empty when it may."""
        location, now = self._read()
        try:
            self._check_budget(location, now, RIGHTS[lane])
            self._refuse_if_long(_held(location, now))
        except RateLimited as error:
            return error.words
        return ""

    def flush(self) -> None:
        """Add the calls made since the last time to the day's count, and tell what is left of the day's budget."""
        calls, self._calls, self._flushed = self._calls, 0, time.monotonic()
        daily, self._daily = self._daily, None
        if not calls and daily is None:
            return
        now = database_now()
        facts = {} if daily is None else self._budget_facts(daily, now)
        rows = Location.objects.filter(pk=self._pk)
        if not rows.filter(calls_day=now.date()).update(calls_today=F("calls_today") + calls, **facts):
            rows.update(calls_day=now.date(), calls_today=calls, **facts)
        if self._location.rate_max >= MORE_THAN_WE_CAN_SEND:
            self._location, _now = self._read()

    # The day's budget

    def _budget_facts(self, daily: RateState, now: dt.datetime) -> dict[str, object]:
        left = UNKNOWN_RESET_SECONDS if daily.daily_reset_ms is None else daily.daily_reset_ms / 1000
        age = time.monotonic() - self._daily_at
        reset_at = now + dt.timedelta(seconds=min(left, 86_400) - age)
        return {"daily_remaining": daily.daily_remaining, "daily_reset_at": reset_at}

    def _check_budget(self, location: Location, now: dt.datetime, right: Right) -> None:
        left, resets = location.daily_remaining, location.daily_reset_at
        if left is None or resets is None or resets <= now or left > right.spares * (location.daily_limit or 0):
            return
        wait = (resets - now).total_seconds()
        words = "used up" if left <= 0 else "nearly used up, and the rest is kept for staff's edits"
        raise RateLimited(f"{BUDGET_WORDS} {words}; goes on at {_clock_time(resets)}.", retry_after=wait)

    # Slots

    def _pass_unlimited(self, right: Right) -> None:
        """There is always a slot; a hold and the day's budget count as the row said within the last second."""
        location = self._location
        while location.held_until is not None or location.daily_reset_at is not None:
            now = database_now()
            self._check_budget(location, now, right)
            held = _held(location, now)
            if held <= 0:
                return
            self._refuse_if_long(held)
            self._sleep(held)

    def _take(self, right: Right) -> _Slot:
        """Ask until a slot is ours. Raises RateLimited when that would take too long."""
        ends = time.monotonic() + self._longest_wait
        while True:
            asked = time.monotonic()
            wait, slot = self._reserve(right)
            if slot is not None:
                return _Slot(slot.pk, slot.free_at, asked + wait, time.monotonic() + wait)
            if asked > ends:
                raise RateLimited("More urgent calls take all of GoHighLevel's limit.", retry_after=self._longest_wait)
            self._refuse_if_long(wait)
            self._sleep(wait)

    def _leave_with(self, slot: _Slot) -> None:
        """Wait for the slot's time. A call that leaves later than the margin allows for counts from when it leaves."""
        self._sleep(slot.latest - time.monotonic())
        late = time.monotonic() - slot.earliest
        if late > self._location.rate_interval_ms / 1000 * (MARGIN - 1) / 2:
            RateSlot.objects.filter(pk=slot.pk).update(free_at=slot.free_at + dt.timedelta(seconds=late))

    def _reserve(self, right: Right) -> tuple[float, RateSlot | None]:
        """Seconds to wait, and the slot that is reserved for the moment after them; without one ask again then."""
        with transaction.atomic():
            location, now = self._read()
            self._check_budget(location, now, right)
            held = _held(location, now)
            if held > 0:
                after = AFTER_HOLD_SECONDS if right.spread else 0.0
                return held + after + random.uniform(0, after), None  # nosec B311 # noqa: S311 - spreads callers, guards nothing
            slot = self._next_slot(location)
            if slot is None:  # every slot is being taken this instant by someone else
                return POLL_SECONDS, None
            interval = dt.timedelta(milliseconds=location.rate_interval_ms * MARGIN)
            start = max(now, min(slot.free_at, now + interval))  # further off only if the clock was set back
            if right.spread:
                start = max(start, self._spread_from(location, now, interval))
            wait = (start - now).total_seconds()
            if wait > right.ahead:
                return wait - right.ahead + random.uniform(0, POLL_SECONDS), None  # nosec B311 # noqa: S311 - as above
            slot.free_at = start + interval
            RateSlot.objects.filter(pk=slot.pk).update(free_at=slot.free_at)
            return wait, slot

    def _read(self) -> tuple[Location, dt.datetime]:
        location = Location.objects.annotate(now=Now()).get(pk=self._pk)
        now: dt.datetime = location.now
        return location, now

    def _next_slot(self, location: Location) -> RateSlot | None:
        if self._fitted != location.rate_max:
            self._fit(location)
        self._location.rate_max, self._location.rate_interval_ms = location.rate_max, location.rate_interval_ms
        slots = RateSlot.objects.filter(location=location)
        if connection.features.has_select_for_update_skip_locked:
            slots = slots.select_for_update(skip_locked=True)
        slot = slots.order_by("free_at", "number").first()
        if slot is not None and slot.free_at > location.now:  # type: ignore[attr-defined]
            # Somebody may have moved this one on between our choice and our lock; another one may be free.
            slot = slots.order_by("free_at", "number").first()
        return slot

    def _spread_from(self, location: Location, now: dt.datetime, interval: dt.timedelta) -> dt.datetime:
        """The moment that lies far enough behind the latest call that has been given a slot."""
        idle = Count("pk", filter=Q(free_at__lte=now))
        found = RateSlot.objects.filter(location=location).aggregate(at=Max("free_at"), idle=idle)
        part = CATCHING_UP if 1 < found["idle"] <= FEW * location.rate_max else SPREAD
        return min(found["at"] - interval, now + interval) + interval * part / location.rate_max

    def _fit(self, location: Location) -> None:
        """As many slots as the limit has calls."""
        RateSlot.objects.filter(location=location, number__gt=location.rate_max).delete()
        have = set(RateSlot.objects.filter(location=location).values_list("number", flat=True))
        missing = [n for n in range(1, location.rate_max + 1) if n not in have]
        epoch = dt.datetime.fromtimestamp(0, dt.UTC)
        RateSlot.objects.bulk_create(
            [RateSlot(location=location, number=n, free_at=epoch) for n in missing], ignore_conflicts=True
        )
        self._fitted = location.rate_max

    # Waiting

    def _sleep(self, seconds: float) -> None:
        """Raises RateLimited when the run ends meanwhile."""
        if seconds > 0 and self.stop.wait(seconds):
            raise _stopped()

    def _refuse_if_long(self, wait: float) -> None:
        if wait > self._longest_wait:
            raise RateLimited(f"GoHighLevel's limit is used up; free again in {wait:.0f} s.", retry_after=wait)


@dataclass(frozen=True, slots=True)
class _Slot:
    """A slot that is ours, and when it comes free again.

    Its time lies between `earliest` and `latest` by this process's monotonic clock: the database's was read in between.
    """

    pk: int
    free_at: dt.datetime
    earliest: float
    latest: float


def _stopped() -> RateLimited:
    return RateLimited("This run was stopped; the next one goes on.", retry_after=0.0)


def _held(location: Location, now: dt.datetime) -> float:
    """Seconds for which a 429 keeps everybody back."""
    return 0.0 if location.held_until is None else (location.held_until - now).total_seconds()


def _clock_time(moment: dt.datetime) -> str:
    return f"{timezone.localtime(moment):%H:%M}"
