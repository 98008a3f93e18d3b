"""What administrators set for fields, and the records that a change concerns."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from ghl_sync.engine.clock import Now
from ghl_sync.engine.state.changes import record_changes
from ghl_sync.models import Cause, Conflict, FieldRule, Issue, Link


def save_rule(kind: str, field: str, *, policy: str, direction: str, user: Any) -> bool:
    """Store one rule, or remove it where both parts are empty; False when it says so already."""
    rule: Any = FieldRule.objects.select_for_update().filter(kind=kind, field=field).first()
    if rule is None and not (policy or direction):
        return False
    if rule is not None and (rule.policy, rule.direction) == (policy, direction):
        return False
    rule = rule or FieldRule(kind=kind, field=field)
    rule.policy, rule.direction, rule.changed_by = policy, direction, user
    rule.changed_at = Now()
    rule._history_user = user
    if not policy and not direction:
        rule.delete()
    else:
        rule.save()
    return True


def linked_ids(kind: str) -> list[int]:
    """The objects of a kind that have their other half over there."""
    rows = Link.objects.filter(kind=kind, deleted_at__isnull=True, gone_at__isnull=True, ignored_at__isnull=True)
    return list(rows.exclude(remote_id="").values_list("object_id", flat=True))


def forget_digests_of(kind: str) -> None:
    """Every record of a kind is looked at again by the next full pull."""
    Link.objects.filter(kind=kind).exclude(remote_digest="").update(remote_digest="")


def ask_again(kind: str, fields: Collection[str]) -> int:
    """Records with an open conflict about one of these fields are read and merged afresh; returns how many."""
    open_ = Conflict.objects.filter(link__kind=kind, field__in=fields, resolved_at__isnull=True)
    ids = sorted(set(open_.values_list("link__object_id", flat=True)))
    return record_changes(kind, ids, cause=Cause.ASKED)


def drop_questions(kind: str, field: str) -> None:
    """The field is not synced any more: nothing about it is to be decided or mended."""
    conflicts = Conflict.objects.filter(link__kind=kind, field=field, resolved_at__isnull=True)
    conflicts.update(resolved_at=Now(), policy="off", choice="", resolved_by=None)
    Issue.objects.filter(link__kind=kind, field=field, closed_at__isnull=True).update(closed_at=Now())
