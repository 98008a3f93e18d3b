"""Webhooks: stored once, found again while they wait, closed with an outcome, forgotten after a while."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from django.db import IntegrityError, transaction
from django.db.models import F, Q

from ghl_sync.engine.clock import Now, database_now, impatiently
from ghl_sync.models import Location, WebhookEvent, WebhookRefusal

# Whoever delivers a webhook waits for the answer: rather "again later" than a long wait for a lock.
PATIENCE_MS = 2000
# While another delivery of this age still waits, the queue has been woken already.
WOKEN_SECONDS = 30
AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Delivery:
    """A delivery as it is kept. One without an id of its own (`nameless`) is known by a hash of its body."""

    delivery_id: str
    nameless: bool
    kind: str
    record_kind: str
    record_id: str
    body: str


def store_event(delivery: Delivery) -> int | None:
    """Keep a delivery; its id, or None when it is known already. Raises django.db.Error when it cannot be kept.

    A nameless one that comes again may as well be a second change that says the same, so it asks for another look.
    """
    about = WebhookEvent(
        delivery_id=delivery.delivery_id,
        kind=delivery.kind,
        record_kind=delivery.record_kind,
        record_id=delivery.record_id,
        body=delivery.body,
    )
    if not delivery.record_id:
        about.outcome, about.handled_at = WebhookEvent.Outcome.IGNORED, database_now()
    with impatiently(PATIENCE_MS):
        try:
            with transaction.atomic():
                about.save(force_insert=True)
        except IntegrityError:
            if not delivery.nameless or not delivery.record_id:
                return None
            again = WebhookEvent.objects.filter(delivery_id=delivery.delivery_id)
            again.update(outcome=WebhookEvent.Outcome.WAITING, tries=0, received_at=Now(), handled_at=None)
            return again.values_list("pk", flat=True).get()
    return about.pk


def is_first_waiting(event_id: int) -> bool:
    """Whether nobody has been woken yet for what waits: no earlier young delivery does.

    Of several that come at once each may see the others; the one with the lowest id sees none before it.
    """
    since = database_now() - dt.timedelta(seconds=WOKEN_SECONDS)
    young = WebhookEvent.objects.filter(outcome=WebhookEvent.Outcome.WAITING, tries=0, received_at__gt=since)
    return not young.filter(pk__lt=event_id).exists()


def count_young_events(seconds: float, *, most: int) -> int:
    """How many of the deliveries that wait came within the last `seconds`; more than `most` are not counted."""
    since = database_now() - dt.timedelta(seconds=seconds)
    young = WebhookEvent.objects.filter(outcome=WebhookEvent.Outcome.WAITING, received_at__gt=since)
    return young.order_by()[:most].count()


def waiting_events() -> list[WebhookEvent]:
    """What nobody has looked at yet, oldest first, without the bodies."""
    rows = WebhookEvent.objects.filter(outcome=WebhookEvent.Outcome.WAITING)
    return list(rows.defer("body").order_by("received_at", "pk"))


def count_try(ids: Collection[int]) -> None:
    """A look for these begins."""
    WebhookEvent.objects.filter(pk__in=ids).update(tries=F("tries") + 1)


def uncount_try(ids: Collection[int]) -> None:
    """The look ended without an answer for a reason that has nothing to do with these."""
    WebhookEvent.objects.filter(pk__in=ids).update(tries=F("tries") - 1)


def close_events(ids: Sequence[int], outcome: str, asked_at: dt.datetime) -> None:
    """A look that began at `asked_at` answers these; one that came again since then waits for the next look."""
    waiting = WebhookEvent.objects.filter(outcome=WebhookEvent.Outcome.WAITING, received_at__lte=asked_at)
    for start in range(0, len(ids), AT_ONCE):
        waiting.filter(pk__in=ids[start : start + AT_ONCE]).update(outcome=outcome, handled_at=Now())


def hold_inbox(location: Location, seconds: float) -> bool:
    """Take the right to read the records that webhooks named; False while another worker has it."""
    now = database_now()
    free = Location.objects.filter(Q(inbox_held_until__isnull=True) | Q(inbox_held_until__lte=now), pk=location.pk)
    return bool(free.update(inbox_held_until=now + dt.timedelta(seconds=seconds)))


def release_inbox(location: Location) -> None:
    Location.objects.filter(pk=location.pk).update(inbox_held_until=None)


def purge_events(days: int) -> int:
    """Forget deliveries that are older, in steps that let other writers in between; returns how many."""
    old = WebhookEvent.objects.filter(received_at__lt=database_now() - dt.timedelta(days=days)).order_by("received_at")
    gone = 0
    while ids := list(old.values_list("pk", flat=True)[:AT_ONCE]):
        gone += WebhookEvent.objects.filter(pk__in=ids).delete()[0]
    WebhookRefusal.objects.filter(day__lt=database_now().date() - dt.timedelta(days=days)).delete()
    return gone


def count_refusals(reason: str, count: int) -> None:
    """So many more deliveries were turned away today."""
    today = database_now().date()
    with impatiently(PATIENCE_MS), transaction.atomic():
        row, _created = WebhookRefusal.objects.get_or_create(day=today, reason=reason)
        WebhookRefusal.objects.filter(pk=row.pk).update(count=F("count") + count, last_at=Now())
