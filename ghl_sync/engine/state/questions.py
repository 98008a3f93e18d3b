"""Issues and conflicts: opened once, closed when they are settled."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from typing import Any

from django.db.models import Max

from ghl_sync.engine.clock import Now, database_now
from ghl_sync.engine.state.changes import record_changes
from ghl_sync.models import Blank, Cause, Conflict, Issue, Link


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


def asked_about(link_ids: Collection[int]) -> set[int]:
    """Those of these links of which anything is noted that a look may settle: an issue, a conflict, a blank."""
    issues = Issue.objects.filter(link__in=link_ids, closed_at__isnull=True)
    conflicts = Conflict.objects.filter(link__in=link_ids, resolved_at__isnull=True)
    blanks = Blank.objects.filter(link__in=link_ids)
    rows = issues.order_by().values_list("link", flat=True)
    more = (other.order_by().values_list("link", flat=True) for other in (conflicts, blanks))
    return set(rows.union(*more))


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


def close_issues(
    link: Link | None, fields: Collection[str] | None = None, codes: Collection[str] | None = None
) -> None:
    """What was wrong is right now; without a link, of what concerns no single record."""
    issues = Issue.objects.filter(link=link, closed_at__isnull=True)
    if fields is not None:
        issues = issues.filter(field__in=fields)
    if codes is not None:
        issues = issues.filter(code__in=codes)
    issues.update(closed_at=Now())


def close_absent(kind: str, remote_ids: Collection[str]) -> list[int]:
    """Questions about a second record, or one that came back, end when a whole scan does not meet it any more.

    The links of contacts that were merged here and are by now merged over there as well.
    """
    asked = Issue.objects.filter(link__kind=kind, code__in=("twin", "came_back", "merged"), closed_at__isnull=True)
    over = [row for row in asked.defer("raw") if row.remote_id and row.remote_id not in remote_ids]
    Issue.objects.filter(pk__in=[row.pk for row in over]).update(closed_at=Now())
    return [row.link_id for row in over if row.code == Issue.Code.MERGED and row.link_id is not None]


def open_conflict(link: Link, *, field: str, outcome: str, chosen: bool = False, **fields: Any) -> None:
    """Record that both sides changed one field; one that is decided is closed at once but kept.

    `chosen` says that a person decided. A choice made for other values than these is dropped and asked for again.
    """
    values = {"outcome": outcome, **fields}
    row = Conflict.objects.filter(link=link, field=field, resolved_at__isnull=True).first()
    if outcome != Conflict.Outcome.ASKED:
        values |= {"resolved_at": Now(), "choice": ""} | ({} if chosen else {"resolved_by": None})
    elif row is not None and row.choice and not _same_sides(row, fields):
        values |= {"choice": "", "stale_at": Now(), "resolved_by": None}
    if row is None:
        Conflict.objects.create(link=link, field=field, **values)
        return
    if row.our_value == fields["our_value"]:
        values = {name: value for name, value in values.items() if name not in {"ours_at", "ours_by"}}
    if row.their_value == fields["their_value"]:
        values.pop("theirs_at", None)
    for name, value in values.items():
        setattr(row, name, value)
    row.save(update_fields=list(values))


def _same_sides(row: Conflict, fields: dict[str, Any]) -> bool:
    return (row.our_value, row.their_value) == (fields["our_value"], fields["their_value"])


def choose(conflict_ids: Collection[int], side: str, user: Any) -> int:
    """A person decided these open conflicts; the next look at both sides carries it out. Returns how many."""
    rows = Conflict.objects.filter(pk__in=conflict_ids, resolved_at__isnull=True)
    return rows.update(choice=side, chosen_at=Now(), resolved_by=user, stale_at=None)


def ours_is_now(conflict: Conflict, text: str) -> None:
    """Our side of an open conflict was edited since it was recorded."""
    conflict.our_value = text
    conflict.save(update_fields=["our_value"])


def put_back_done(conflict: Conflict) -> None:
    """What lost stands in our record again."""
    conflict.put_back_at = database_now()
    conflict.save(update_fields=["put_back_at"])


def disputed(link: Link, fields: Collection[str]) -> bool:
    """Whether a person is to decide about one of these fields, or GoHighLevel holds what cannot be read."""
    asked = Conflict.objects.filter(link=link, field__in=fields, resolved_at__isnull=True)
    odd = Issue.objects.filter(link=link, field__in=fields, closed_at__isnull=True, code=Issue.Code.UNREADABLE)
    return asked.exists() or odd.exists()


def close_conflicts(link: Link, fields: Collection[str]) -> None:
    """Both sides came to agree without a person, or before that person's choice was carried out."""
    rows = Conflict.objects.filter(link=link, field__in=fields, resolved_at__isnull=True)
    rows.update(resolved_at=Now(), choice="", resolved_by=None)


def oscillating(link: Link) -> set[str]:
    """Fields that are not sent because something over there changes them back each time."""
    asked = Issue.objects.filter(link=link, code=Issue.Code.OSCILLATES, closed_at__isnull=True)
    return set(asked.values_list("field", flat=True))


def stopped_oscillating_at(link: Link, field: str) -> dt.datetime | None:
    """When a person last let a field of this link go that was changed back each time."""
    asked = Issue.objects.filter(link=link, field=field, code=Issue.Code.OSCILLATES, closed_at__isnull=False)
    found: dt.datetime | None = asked.aggregate(at=Max("closed_at"))["at"]
    return found
