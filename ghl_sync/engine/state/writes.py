"""One row per call that changes GoHighLevel, committed before the call."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from typing import Any

from django.db import models, transaction
from django.db.models import Min, Q

from ghl_sync.conf import Config
from ghl_sync.engine.clock import Now, database_now
from ghl_sync.engine.state.claims import LostLease
from ghl_sync.models import Cause, Change, Link, RemoteField, Write


def open_write(link: Link | None, action: str, **fields: Any) -> Write:
    """Commit the intent before the call. Raises LostLease when the claim is no longer ours."""
    with transaction.atomic():
        if link is not None:
            held = Link.objects.filter(pk=link.pk, fence=link.fence, leased_until__gt=Now())
            if not held.select_for_update().values_list("pk", flat=True).first():
                raise LostLease(str(link.pk))
            saved = Change.objects.filter(kind=link.kind, object_id=link.object_id, cause=Cause.SAVED)
            fields |= {"key": link.key, "fence": link.fence, "saved_at": saved.aggregate(first=Min("at"))["first"]}
        return Write.objects.create(link=link, action=action, **fields)


def close_write(write: Write, outcome: str, *, message: str = "", trace_id: str = "", remote_id: str = "") -> None:
    """A definite answer ends the doubt; what is only concluded from a look goes after any answer."""
    fields: dict[str, Any] = {"outcome": outcome, "closed_at": Now(), "message": message, "trace_id": trace_id or ""}
    if remote_id:
        fields["remote_id"] = remote_id
    rows = Write.objects.filter(pk=write.pk)
    if outcome in (Write.Outcome.FOUND, Write.Outcome.NOT_APPLIED):
        rows = rows.filter(outcome=Write.Outcome.OPEN)
    rows.update(**fields)


def looked_in_vain(write: Write, *, counts: bool) -> int:
    """A look-up for a doubtful create found nothing; returns how many that counted did so."""
    if counts:
        # Only these set the time: looks in between must not put off the next one that counts.
        write.looked_up_at = database_now()
        write.empty_lookups += 1
        Write.objects.filter(pk=write.pk).update(looked_up_at=write.looked_up_at, empty_lookups=write.empty_lookups)
    return write.empty_lookups


def open_writes(link: Link) -> list[Write]:
    return list(Write.objects.filter(link=link, outcome=Write.Outcome.OPEN).order_by("pk"))


def open_option_writes(field: RemoteField) -> list[Write]:
    """Writes of a drop-down's list that may still arrive, or have."""
    return list(Write.objects.filter(remote_field=field, outcome=Write.Outcome.OPEN).order_by("pk"))


def _not_agreed(link: Link) -> Q:
    """Writes that arrived, or may have, and that no agreement covers: the worker ended before it recorded one."""
    arrived = Q(outcome__in=(Write.Outcome.DONE, Write.Outcome.FOUND))
    known = [moment for moment in (link.remote_seen_at, link.synced_at) if moment is not None]
    if known:
        arrived &= Q(closed_at__gt=max(known))
    return Q(outcome=Write.Outcome.OPEN) | arrived


def created_values(link: Link) -> list[dict[str, Any]]:
    """What the creates of a record held that no agreement covers yet, oldest first."""
    creates = Write.objects.filter(_not_agreed(link), link=link, action=Write.Action.CREATE).order_by("pk")
    return list(creates.values_list("values", flat=True))


def answered_create(link: Link) -> str:
    """The id of the record that a create of this link has made, though the link was never told; else empty."""
    made = Write.objects.filter(link=link, action=Write.Action.CREATE, outcome=Write.Outcome.DONE).exclude(remote_id="")
    if link.remote_seen_at is not None:
        made = made.filter(closed_at__gt=link.remote_seen_at)  # an earlier half was known, and let go since
    return made.order_by("-pk").values_list("remote_id", flat=True).first() or ""


def late_values(link: Link, config: Config) -> dict[str, list[Any]]:
    """By field, values of ours that may stand over there without being agreed on.

    Those of writes that no agreement covers, and of updates that were not there when we looked but are young enough
    to be applied late.
    """
    since = database_now() - dt.timedelta(seconds=config.settle + config.timeout)
    late = Q(outcome=Write.Outcome.NOT_APPLIED, action=Write.Action.UPDATE, sent_at__gte=since)
    doubtful = Write.objects.filter(
        _not_agreed(link) | late, link=link, action__in=(Write.Action.UPDATE, Write.Action.CREATE)
    )
    found: dict[str, list[Any]] = {}
    for values in doubtful.values_list("values", flat=True):
        for name, value in values.items():
            found.setdefault(name, []).append(value)
    return found


def sent_lately(link: Link, seconds: float) -> list[tuple[dt.datetime, dict[str, Any]]]:
    """What arrived of this link's updates within so many seconds, newest first: when, and the values as stored."""
    since = database_now() - dt.timedelta(seconds=seconds)
    return list(_arrived(link).filter(sent_at__gt=since).values_list("sent_at", "values"))


def last_sent(link: Link, fields: Collection[str]) -> dict[str, Any]:
    """The values of these fields, as stored, that arrived with the newest update of each, if any."""
    found: dict[str, Any] = {}
    for values in _arrived(link).values_list("values", flat=True):
        found |= {name: values[name] for name in fields if name in values and name not in found}
        if len(found) == len(fields):
            break
    return found


def _arrived(link: Link) -> models.QuerySet[Write]:
    """Updates of this link that are known to have arrived, newest first."""
    arrived = (Write.Outcome.DONE, Write.Outcome.FOUND)
    return Write.objects.filter(link=link, action=Write.Action.UPDATE, outcome__in=arrived).order_by("-pk")
