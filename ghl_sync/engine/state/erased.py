"""Links of people who were erased, and what was noted of them on the way."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from django.db.models import Q

from ghl_sync.engine.clock import Now, database_now
from ghl_sync.engine.state.claims import keep
from ghl_sync.models import Arrival, Conflict, DeletedRecord, Drift, Issue, Link, WebhookEvent, Write

AT_ONCE = 500


def erase_link(link: Link, base: Mapping[str, Any], label: str, *, ignored: bool) -> None:
    """The seized link keeps numbers and hashes; an `ignored` one is mirrored no longer, a held delete may leave."""
    more: dict[str, Any] = {"ignored_at": link.ignored_at or database_now()} if ignored else {}
    keep(
        link, base=dict(base), label=label, last_error="", waits_for="", held_until=None, next_attempt_at=None,
        erased_at=database_now(), **more,
    )  # fmt: skip
    DeletedRecord.objects.filter(link=link).delete()
    Conflict.objects.filter(link=link).delete()
    _drifts(link).delete()
    # Which records over there are not ours is still asked of these.
    Issue.objects.filter(link=link).exclude(code=Issue.Code.TWIN).delete()
    Issue.objects.filter(link=link).update(message=label or "Erased", raw="")
    Arrival.objects.filter(link=link).update(values={})
    Write.objects.filter(link=link).update(values={}, message="")


def _drifts(link: Link) -> Any:
    known = Q(link=link) | Q(kind=link.kind, object_id=link.object_id)
    return Drift.objects.filter(known | Q(remote_id=link.remote_id) if link.remote_id else known)


def forget_words(words: Iterable[str], instead: str) -> None:
    """Issues of others that name somebody who was erased say it no longer."""
    for word in words:
        Issue.objects.filter(message__icontains=word).update(message=instead, raw="")


def empty_events(remote_ids: Collection[str], words: Iterable[str]) -> int:
    """Webhooks that were about these records, or name one of them or a person, lose what they said; how many did."""
    told = [*remote_ids, *(word.casefold() for word in words)]
    about = [
        event.pk
        for event in WebhookEvent.objects.exclude(body="").only("pk", "body", "record_id").iterator()
        if event.record_id in remote_ids or any(text in event.body or text in event.body.casefold() for text in told)
    ]
    for start in range(0, len(about), AT_ONCE):
        WebhookEvent.objects.filter(pk__in=about[start : start + AT_ONCE]).update(body="")
    return len(about)


def notes_of(link_ids: Collection[int]) -> int:
    """How many notes hold values of these links."""
    counts = (rows.filter(link__in=link_ids).count() for rows in (Conflict.objects, Issue.objects, Drift.objects))
    more = (rows.filter(link__in=link_ids).exclude(values={}).count() for rows in (Arrival.objects, Write.objects))
    return sum(counts) + sum(more) + DeletedRecord.objects.filter(link__in=link_ids).count()


def are_busy(link_ids: Collection[int]) -> bool:
    """Whether a worker has one of these links, or nobody knows yet what became of a call about it."""
    leased = Link.objects.filter(pk__in=link_ids, leased_until__gt=Now())
    return leased.exists() or Write.objects.filter(link__in=link_ids, outcome=Write.Outcome.OPEN).exists()
