"""What the guards hold back: values to be emptied, deletes to be sent, and a person's answers."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from typing import Any

from django.db.models import QuerySet

from ghl_sync.engine.clock import Now, database_now
from ghl_sync.engine.state.changes import record_changes
from ghl_sync.engine.state.claims import keep
from ghl_sync.engine.state.links import mark_dirty, unpark
from ghl_sync.models import Approval, Blank, Cause, DeletedRecord, Link


def blanks_of(link: Link) -> dict[tuple[str, str], Blank]:
    """What is known of this record's values that were to be emptied, by effect and field."""
    return {(row.effect, row.field): row for row in Blank.objects.filter(link=link)}


def note_blank(link: Link, effect: str, field: str, state: str) -> None:
    """One more value that is to be emptied, as of now."""
    Blank.objects.update_or_create(
        link=link, effect=effect, field=field, defaults={"kind": link.kind, "state": state, "at": Now()}
    )


def drop_blanks(ids: Collection[int]) -> None:
    """Nothing is left to be held back, allowed or refused."""
    if not ids:
        return
    Blank.objects.filter(pk__in=ids).delete()


def forget_blanks(before: dt.datetime) -> int:
    """Those that count no more; what waits, or is still to be turned round, stays."""
    over = (Blank.State.PASSED, Blank.State.ALLOWED)
    return Blank.objects.filter(at__lt=before, state__in=over).delete()[0]


def release_blanks(rows: QuerySet[Blank], state: str) -> list[int]:
    """These wait no longer; ids of their links, which are not looked at by this."""
    ids = sorted(set(rows.values_list("link_id", flat=True)))
    rows.update(state=state)
    return ids


def set_blanks(rows: QuerySet[Blank], state: str) -> int:
    """As `release_blanks`, and their records are due; returns how many records."""
    ids = release_blanks(rows, state)
    mark_dirty(ids)
    by_kind: dict[str, list[int]] = {}
    for kind, object_id in Link.objects.filter(pk__in=ids).values_list("kind", "object_id"):
        by_kind.setdefault(kind, []).append(object_id)
    for kind, objects in by_kind.items():
        record_changes(kind, objects, cause=Cause.SAVED)
    return len(ids)


def ask_approval(effect: str, kind: str, field: str, *, count: int, of: int) -> None:
    """A person must say yes or no; asked once, with the count as of now."""
    Approval.objects.update_or_create(
        effect=effect, kind=kind, field=field, answer=Approval.Answer.ASKED, defaults={"count": count, "of": of}
    )


def answer_approval(approval: Approval, answer: str, *, user: Any, until: dt.datetime, count: int) -> bool:
    """Record a person's answer about what waited `until` then; False when somebody has answered before."""
    asked = Approval.objects.filter(pk=approval.pk, answer=Approval.Answer.ASKED)
    return bool(asked.update(answer=answer, answered_by=user, answered_at=Now(), covers_until=until, count=count))


def allow_deletes(links: QuerySet[Link]) -> int:
    """These tombstones waited for a yes and may leave now."""
    return unpark(links.filter(parked_at__isnull=False))


def leave_there(link: Link) -> None:
    """The seized tombstone's record stays in GoHighLevel: it is deleted here only, and never imported again."""
    keep(link, ignored_at=database_now(), held_until=None, parked_at=None, next_attempt_at=None, last_error="")
    DeletedRecord.objects.filter(link=link).delete()
