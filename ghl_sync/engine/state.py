"""The only writer of the sync's tables. Every function is one small transaction or part of the caller's.

What a worker writes about a link after it has claimed it is conditional on its fence: a worker that was
stopped past its lease finds the fence moved on and writes nothing.
"""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import models, transaction
from django.db.models import Case, Exists, F, OuterRef, Q, Value, When
from django.db.models.functions import Now

from ghl_sync.conf import MAX_CLAIMS, Config, config
from ghl_sync.engine.base import Base
from ghl_sync.engine.clock import database_now
from ghl_sync.models import (
    Cause,
    Change,
    Conflict,
    Issue,
    Lane,
    Link,
    Location,
    RemoteField,
    Run,
    SeenPage,
    WantedOption,
    Write,
    kind_of,
)

LABEL_LENGTH = 255


class LostLease(Exception):
    """Somebody else holds the record by now; nothing more may be written or sent for it."""


# Changes


def record_change(
    kind: str, object_id: int, *, cause: str = Cause.SAVED, lane: str = Lane.STAFF, delay: float = 0.0
) -> None:
    """Insert one Change; `delay` seconds before it may be acted on."""
    change = Change(kind=kind, object_id=object_id, cause=cause, lane=lane)
    if delay:
        change.due_at = database_now() + dt.timedelta(seconds=delay)
    change.save(force_insert=True)


def record_changes(
    kind: str, object_ids: Iterable[int], *, cause: str, lane: str = Lane.BULK, delay: float = 0.0
) -> int:
    """One Change each for many objects; returns how many."""
    due_at = database_now() + dt.timedelta(seconds=delay)
    changes = [Change(kind=kind, object_id=pk, cause=cause, lane=lane, due_at=due_at) for pk in object_ids]
    Change.objects.bulk_create(changes, batch_size=1000)
    return len(changes)


@dataclass(frozen=True, slots=True)
class Seen:
    """The Changes a worker read before it looked at the object: exactly these are done when it is done."""

    ids: tuple[int, ...]
    causes: frozenset[str]
    lane: str
    newest: dt.datetime | None


NOTHING_SEEN = Seen((), frozenset(), Lane.BULK, None)


def read_changes(link: Link) -> Seen:
    rows = list(
        Change.objects.filter(kind=link.kind, object_id=link.object_id).values_list("pk", "cause", "lane", "at")
    )
    lanes = {row[2] for row in rows}
    lane = next((lane for lane in (Lane.STAFF, Lane.RETRY, Lane.BULK) if lane in lanes), Lane.BULK)
    saved = [row[3] for row in rows if row[1] == Cause.SAVED]
    return Seen(tuple(row[0] for row in rows), frozenset(row[1] for row in rows), lane, max(saved, default=None))


def changes_of(kind: str, object_id: int) -> tuple[int, ...]:
    """Ids of the Changes of one object, as of now."""
    return tuple(Change.objects.filter(kind=kind, object_id=object_id).values_list("pk", flat=True))


def forget_changes(ids: Collection[int]) -> None:
    """What these Changes asked for is done."""
    Change.objects.filter(pk__in=ids).delete()


# Links


def ensure_link(obj: models.Model, label: str) -> Link:
    """The object's link, made when it has none yet."""
    link, _created = Link.objects.get_or_create(
        kind=kind_of(obj),
        object_id=obj.pk,
        defaults={"uid": obj.uid, "label": label[:LABEL_LENGTH]},  # type: ignore[attr-defined]
    )
    return link


def claim(link_id: int, lease: float, *, force: bool = False) -> Link | None:
    """Take a link for `lease` seconds, or None when somebody has it or it is not its time (`force` skips the latter).

    Attempts are counted here, so that a worker killed by a record counts too.
    """
    now = database_now()
    free = Link.objects.filter(Q(leased_until__isnull=True) | Q(leased_until__lte=now), pk=link_id)
    if not force:
        free = free.filter(Q(next_attempt_at__isnull=True) | Q(next_attempt_at__lte=now))
    taken = free.update(
        leased_until=now + dt.timedelta(seconds=lease), fence=F("fence") + 1, attempts=F("attempts") + 1
    )
    if not taken:
        return None
    link = Link.objects.get(pk=link_id)
    if link.attempts > MAX_CLAIMS:
        park(link, f"Handling this record broke off {MAX_CLAIMS} times. Look at the worker's log, then press Sync now.")
        return None
    return link


def _finish(link: Link, **fields: Any) -> None:
    """Write the end of a claim; raises LostLease when the fence has moved on."""
    done = Link.objects.filter(pk=link.pk, fence=link.fence).update(leased_until=None, attempts=0, **fields)
    if not done:
        raise LostLease(str(link.pk))


def lease_left(link: Link) -> float:
    """Seconds left of this claim, by the database's clock."""
    if link.leased_until is None:
        return 0.0
    return (link.leased_until - database_now()).total_seconds()


def release(link: Link, *, why: str = "", after: float = 0.0) -> None:
    """Give a claim back without a result; nothing counts as failed."""
    next_at = database_now() + dt.timedelta(seconds=after) if after else None
    _finish(link, next_attempt_at=next_at, waits_for=why[:255])


def agreed(link: Link, base: Base, seen: Seen, **fields: Any) -> None:
    """Record the agreement and what it covers; a change made meanwhile is not in `seen` and stays due."""
    with transaction.atomic():
        _finish(
            link,
            base=base.dump(),
            failures=0,
            next_attempt_at=None,
            waits_for="",
            last_error="",
            parked_at=None,
            remote_dirty_at=_still_dirty(link),
            synced_at=Now(),
            **fields,
        )
        Change.objects.filter(pk__in=seen.ids).delete()


def _still_dirty(link: Link) -> Any:
    """The mark that the claim found is done with; one set since then asks for another look."""
    if link.remote_dirty_at is None:
        return F("remote_dirty_at")
    done = When(remote_dirty_at__lte=link.remote_dirty_at, then=Value(None))
    return Case(done, default=F("remote_dirty_at"), output_field=models.DateTimeField())


def keep(link: Link, **fields: Any) -> None:
    """Write facts about a claimed link that hold whatever comes next; the claim goes on."""
    if not Link.objects.filter(pk=link.pk, fence=link.fence).update(**fields):
        raise LostLease(str(link.pk))
    for name, value in fields.items():
        setattr(link, name, value)


def retry_later(link: Link, words: str, config: Config, *, after: float | None = None) -> None:
    """The same call may work later: wait with full jitter, 30 s doubling to 6 h."""
    failures = link.failures + 1
    longest = min(config.backoff_most, config.backoff_first * 2 ** min(failures - 1, 20))
    wait = after if after is not None else random.uniform(longest / 10, longest)  # noqa: S311 - spreads retries
    now = database_now()
    _finish(
        link,
        failures=failures,
        last_error=words,
        last_error_at=now,
        waits_for=words[:255],
        next_attempt_at=now + dt.timedelta(seconds=wait),
    )


def park(link: Link, words: str) -> None:
    """A person must act; the record rests until it, or what refused it, changes.

    It counts as parked from the claim on: what was saved while GoHighLevel was being asked is news.
    """
    now = database_now()
    claimed = link.leased_until - dt.timedelta(seconds=config().lease) if link.leased_until else now
    _finish(link, parked_at=claimed, last_error=words, last_error_at=now, waits_for="", next_attempt_at=None)


def broke_off(link: Link, words: str) -> None:
    """Handling a record ended in an error of ours: say so and wait a minute; its attempts keep counting."""
    now = database_now()
    Link.objects.filter(pk=link.pk, fence=link.fence).update(
        leased_until=None, last_error=words, last_error_at=now, next_attempt_at=now + dt.timedelta(seconds=60)
    )


def unpark(links: models.QuerySet[Link]) -> int:
    """Try these again: something that refused them has changed, or a person asks."""
    return links.update(parked_at=None, next_attempt_at=None, failures=0, attempts=0, parked_fields=[])


def ask_for(link: Link) -> None:
    """A person pressed "Sync now": a fresh look at both sides, without waiting."""
    with transaction.atomic():
        unpark(Link.objects.filter(pk=link.pk))
        # One that counts as gone is looked for once more; if it is gone, the look says so again.
        Link.objects.filter(pk=link.pk).update(remote_dirty_at=Now(), gone_at=None, gone_reason="")
        record_change(link.kind, link.object_id, cause=Cause.ASKED)


def wake_dependants(kind: str, object_ids: Sequence[int]) -> list[int]:
    """Links that waited for something that now exists may be tried at once; returns their ids."""
    waiting = Link.objects.filter(kind=kind, object_id__in=object_ids, remote_id="", deleted_at__isnull=True)
    ids = list(waiting.values_list("pk", flat=True))
    Link.objects.filter(pk__in=ids, leased_until__isnull=True).update(next_attempt_at=None)
    return ids


def gone_with_changes(kinds: Collection[str]) -> list[Link]:
    """Records that are missing over there and were changed here since."""
    changes = Change.objects.filter(kind=OuterRef("kind"), object_id=OuterRef("object_id"))
    return list(Link.objects.filter(Exists(changes), gone_at__isnull=False, kind__in=kinds))


def spread(link: Link, base: Base) -> None:
    """What follows for other records was marked; the record's own Changes wait for a person."""
    Link.objects.filter(pk=link.pk, fence=link.fence).update(base=base.dump())


def mark_dirty(link_ids: Collection[int]) -> None:
    """GoHighLevel's side may have changed: read it again."""
    Link.objects.filter(pk__in=link_ids).update(remote_dirty_at=Now())


def look_at_all(kind: str) -> int:
    """Every living record of a kind is read again, parked ones too; returns how many."""
    links = Link.objects.filter(kind=kind, deleted_at__isnull=True, ignored_at__isnull=True)
    unpark(links.filter(parked_at__isnull=False))
    return links.update(remote_dirty_at=Now())


def bury(link: Link) -> None:
    """The object is gone here: the link becomes a tombstone."""
    keep(link, deleted_at=database_now())


def tombstone_done(link: Link, seen: Seen) -> None:
    """Nothing of the object is left over there either."""
    with transaction.atomic():
        _finish(
            link, remote_gone_at=Now(), next_attempt_at=None, waits_for="", last_error="", failures=0, parked_at=None,
            remote_dirty_at=None,
        )  # fmt: skip
        Change.objects.filter(kind=link.kind, object_id=link.object_id).delete()
        close_issues(link)


def drop_changes(link: Link) -> None:
    Change.objects.filter(kind=link.kind, object_id=link.object_id).delete()


# Links as the pull writes them


def pulled(link: Link, base: Base, **fields: Any) -> bool:
    """Record what a pull found; False when somebody has, or had, the link since it was read: nothing is written."""
    free = Link.objects.filter(Q(leased_until__isnull=True) | Q(leased_until__lte=Now()), pk=link.pk, fence=link.fence)
    return bool(
        free.update(
            base=base.dump(),
            fence=F("fence") + 1,  # another pull that read the link before this one starts over, too
            remote_dirty_at=_still_dirty(link),
            missed_scans=0,
            gone_at=None,
            gone_reason="",
            **fields,
        )
    )


def met(link: Link, record_id: str, *, location_id: str, pipeline_id: str) -> bool:
    """A record that a pull met is this object's: a lost create, or a contact entered on both sides.

    The worker that reconciles the link next reads it and merges. False when a worker has the link this moment.
    """
    free = Link.objects.filter(Q(leased_until__isnull=True) | Q(leased_until__lte=Now()), pk=link.pk, remote_id="")
    return bool(
        free.update(
            remote_id=record_id,
            location_id=location_id,
            pipeline_id=pipeline_id,
            remote_dirty_at=Now(),
            next_attempt_at=None,
            parked_at=None,
        )
    )


def store_digests(links: Sequence[Link]) -> None:
    """Remember in which state records were found equal to base: seen so again they are not read.

    The links carry what to store. One that somebody has claimed since it was read is left alone.
    """
    with transaction.atomic():
        rows = Link.objects.filter(pk__in=[link.pk for link in links]).order_by("pk").select_for_update()
        fences = dict(rows.values_list("pk", "fence"))
        same = [link for link in links if fences.get(link.pk) == link.fence]
        Link.objects.bulk_update(same, ["remote_digest", "remote_updated_at"], batch_size=200)


def forget_digests(location_id: str) -> None:
    """Every record is read again by the next pull."""
    Link.objects.filter(location_id=location_id).exclude(remote_digest="").update(remote_digest="")


def create_links(links: Sequence[Link]) -> None:
    Link.objects.bulk_create(links, batch_size=500)


def link_stub(contact: models.Model, remote_id: str, tombstone: Link | None) -> Link:
    """The link of a contact made from an opportunity's row; its own record is read as soon as may be."""
    if tombstone is not None:
        # Deleted here, yet an opportunity still names it: the id moves to the new row.
        Link.objects.filter(pk=tombstone.pk).update(remote_id="")
    link = Link.objects.create(
        kind="contact",
        object_id=contact.pk,
        uid=contact.uid,  # type: ignore[attr-defined]
        label=str(contact)[:LABEL_LENGTH],
        location_id=settings.GHL_LOCATION_ID,
        remote_id=remote_id,
        remote_dirty_at=Now(),
    )
    open_issue(link, "stub", "Made from an opportunity that names this contact; its own record was not read yet.")
    return link


def seen_again(link_ids: Collection[int]) -> int:
    """Records a scan met that counted as missing before: they are back."""
    return Link.objects.filter(pk__in=link_ids).update(missed_scans=0, gone_at=None, gone_reason="")


def missed(link_ids: Collection[int]) -> None:
    """A complete scan did not meet these; absence twice over is a reason to ask directly."""
    Link.objects.filter(pk__in=link_ids).update(missed_scans=F("missed_scans") + 1)


def gone(link: Link, reason: str) -> None:
    """Proven missing in GoHighLevel. The local row stays; edits wait for a person."""
    Link.objects.filter(pk=link.pk, gone_at__isnull=True).update(gone_at=Now(), gone_reason=reason)


def forget_gone(link_id: int) -> None:
    """The object was deleted here, too: nothing is left to decide about its missing half."""
    Link.objects.filter(pk=link_id, gone_at__isnull=False).update(gone_at=None, gone_reason="")


# Writes


def open_write(link: Link | None, action: str, **fields: Any) -> Write:
    """Commit the intent before the call. Raises LostLease when the claim is no longer ours."""
    with transaction.atomic():
        if link is not None:
            held = Link.objects.filter(pk=link.pk, fence=link.fence, leased_until__gt=Now())
            if not held.select_for_update().values_list("pk", flat=True).first():
                raise LostLease(str(link.pk))
            fields |= {"key": link.key, "fence": link.fence}
        return Write.objects.create(link=link, action=action, **fields)


def close_write(write: Write, outcome: str, *, message: str = "", trace_id: str = "", remote_id: str = "") -> None:
    """A definite answer ends the doubt."""
    fields: dict[str, Any] = {"outcome": outcome, "closed_at": Now(), "message": message, "trace_id": trace_id or ""}
    if remote_id:
        fields["remote_id"] = remote_id
    Write.objects.filter(pk=write.pk).update(**fields)


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


# Issues and conflicts


def open_issue(
    link: Link | None, code: str, message: str, *, field: str = "", raw: Any = "", remote_id: str = ""
) -> bool:
    """Raise an issue once; True when it is new."""
    _issue, created = Issue.objects.get_or_create(
        link=link,
        field=field,
        code=code,
        remote_id=remote_id,
        closed_at=None,
        defaults={"message": message, "raw": "" if raw is None else str(raw)[:10_000]},
    )
    return created


def try_unsendable_again() -> None:
    """Definitions changed: values that had no option or field over there may have one now."""
    waiting = Link.objects.filter(
        issues__code__in=(Issue.Code.NO_OPTION, Issue.Code.NO_FIELD),
        issues__closed_at__isnull=True,
        deleted_at__isnull=True,
        parked_at__isnull=True,
    )
    by_kind: dict[str, set[int]] = {}
    for kind, object_id in waiting.values_list("kind", "object_id"):
        by_kind.setdefault(kind, set()).add(object_id)
    for kind, ids in by_kind.items():
        record_changes(kind, sorted(ids), cause=Cause.OPTION)


def create_issues(issues: Sequence[Issue]) -> None:
    Issue.objects.bulk_create(issues, batch_size=500, ignore_conflicts=True)


def close_issues(link: Link, fields: Collection[str] | None = None, codes: Collection[str] | None = None) -> None:
    """What was wrong is right now."""
    issues = Issue.objects.filter(link=link, closed_at__isnull=True)
    if fields is not None:
        issues = issues.filter(field__in=fields)
    if codes is not None:
        issues = issues.filter(code__in=codes)
    issues.update(closed_at=Now())


def close_absent(kind: str, remote_ids: Collection[str]) -> None:
    """Questions about a second record, or one that came back, end when a whole scan does not meet it any more."""
    asked = Issue.objects.filter(link__kind=kind, code__in=("twin", "came_back"), closed_at__isnull=True)
    over = [pk for pk, remote_id in asked.values_list("pk", "remote_id") if remote_id and remote_id not in remote_ids]
    Issue.objects.filter(pk__in=over).update(closed_at=Now())


def open_conflict(link: Link, *, field: str, outcome: str, **fields: Any) -> None:
    """Record that both sides changed one field; one that a policy decided is closed at once but kept."""
    resolved = None if outcome == Conflict.Outcome.ASKED else Now()
    values = {"outcome": outcome, "resolved_at": resolved, **fields}
    if Conflict.objects.filter(link=link, field=field, resolved_at__isnull=True).update(**values):
        return
    Conflict.objects.create(link=link, field=field, **values)


def disputed(link: Link, fields: Collection[str]) -> bool:
    """Whether a person is to decide about one of these fields, or GoHighLevel holds what cannot be read."""
    asked = Conflict.objects.filter(link=link, field__in=fields, resolved_at__isnull=True)
    odd = Issue.objects.filter(link=link, field__in=fields, closed_at__isnull=True, code=Issue.Code.UNREADABLE)
    return asked.exists() or odd.exists()


def close_conflicts(link: Link, fields: Collection[str]) -> None:
    """Both sides came to agree without a person."""
    Conflict.objects.filter(link=link, field__in=fields, resolved_at__isnull=True).update(resolved_at=Now())


# Options


def want_option(remote_field_id: int, label: str, kind: str, object_id: int) -> None:
    """Remember that this record needs an option its drop-down does not have."""
    WantedOption.objects.update_or_create(
        remote_field_id=remote_field_id, kind=kind, object_id=object_id, defaults={"label": label}
    )


def want_no_more(ids: Collection[int]) -> None:
    """The records that wanted these options are gone."""
    WantedOption.objects.filter(pk__in=ids).delete()


def claim_field(field_id: int, lease: float) -> RemoteField | None:
    """One writer of a drop-down at a time: its list is replaced as a whole."""
    now = database_now()
    free = RemoteField.objects.filter(Q(leased_until__isnull=True) | Q(leased_until__lte=now), pk=field_id)
    if not free.update(leased_until=now + dt.timedelta(seconds=lease), fence=F("fence") + 1):
        return None
    return RemoteField.objects.get(pk=field_id)


def release_field(field: RemoteField) -> None:
    RemoteField.objects.filter(pk=field.pk, fence=field.fence).update(leased_until=None)


def options_added(field: RemoteField, options: Sequence[str], served: Sequence[WantedOption]) -> None:
    """The drop-down holds `options` now; the records that waited for theirs are due again."""
    with transaction.atomic():
        RemoteField.objects.filter(pk=field.pk).update(options=list(options), refreshed_at=Now())
        by_kind: dict[str, set[int]] = {}
        for wanted in served:
            by_kind.setdefault(wanted.kind, set()).add(wanted.object_id)
        for kind, ids in by_kind.items():
            record_changes(kind, sorted(ids), cause=Cause.OPTION)
        WantedOption.objects.filter(pk__in=[wanted.pk for wanted in served]).delete()


# The account


def location_row(location_id: str) -> Location:
    location, _created = Location.objects.get_or_create(location_id=location_id)
    return location


def pause(location: Location, words: str) -> None:
    """All traffic stops until a probe succeeds."""
    Location.objects.filter(pk=location.pk, paused_at__isnull=True).update(paused_at=Now())
    Location.objects.filter(pk=location.pk).update(paused_reason=words, probe_at=Now())


def resume(location: Location) -> None:
    Location.objects.filter(pk=location.pk).update(paused_reason="", paused_at=None, probe_at=None)


def take_probe(location: Location, every: float) -> bool:
    """Whether it is this caller's turn to try whether a stop is over."""
    before = database_now() - dt.timedelta(seconds=every)
    rows = Location.objects.filter(
        Q(probe_at__isnull=True) | Q(probe_at__lte=before), pk=location.pk, paused_at__isnull=False
    )
    return bool(rows.update(probe_at=Now()))


def remember_location(location: Location, **fields: Any) -> None:
    Location.objects.filter(pk=location.pk).update(**fields)
    for name, value in fields.items():
        setattr(location, name, value)


# Runs


def unfinished_run(mode: str) -> Run | None:
    return Run.objects.filter(mode=mode, finished_at__isnull=True).first()


def start_run(mode: str, *, only: Sequence[str], since: dt.datetime | None) -> Run:
    return Run.objects.create(mode=mode, only=list(only), since=since)


def advance_run(run: Run, *, cursor: Mapping[str, Any], report: Mapping[str, Any]) -> None:
    """How far a run has come; a broken one goes on from here."""
    run.cursor, run.report = dict(cursor), dict(report)
    Run.objects.filter(pk=run.pk).update(cursor=run.cursor, report=run.report, touched_at=Now())


def set_run_start(run: Run, moment: dt.datetime) -> None:
    run.server_started_at = moment
    Run.objects.filter(pk=run.pk).update(server_started_at=moment)


def leave_run(run: Run, *, error: str = "") -> None:
    """A run broke off in good order: whoever comes next goes on at once."""
    cursor = {key: value for key, value in run.cursor.items() if key not in {"host", "pid"}}
    Run.objects.filter(pk=run.pk).update(cursor=cursor, error=error, touched_at=database_now() - dt.timedelta(days=1))


def finish_run(run: Run, *, ok: bool, report: Mapping[str, Any], error: str = "") -> None:
    with transaction.atomic():
        Run.objects.filter(pk=run.pk).update(
            ok=ok, finished_at=Now(), touched_at=Now(), report=dict(report), error=error, cursor={}
        )
        SeenPage.objects.filter(run=run).delete()


def remember_page(run: Run, kind: str, number: int, ids: Sequence[str], total: int | None) -> None:
    SeenPage.objects.update_or_create(run=run, kind=kind, number=number, defaults={"ids": list(ids), "total": total})
