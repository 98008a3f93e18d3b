"""Answers about records that exist twice or again."""

from __future__ import annotations

from collections.abc import Collection

from ghl_sync.engine.clock import Now
from ghl_sync.engine.state.claims import keep
from ghl_sync.models import Issue, Link


def close_questions(ids: Collection[int]) -> None:
    """What was asked has answered itself."""
    if ids:
        Issue.objects.filter(pk__in=ids, closed_at__isnull=True).update(closed_at=Now())


def reborn(tombstone: Link, made: Link) -> None:
    """An object was imported for a seized tombstone: its old link goes on, with all that is noted of it."""
    fields = ("object_id", "label", "location_id", "remote_id", "pipeline_id", "base", "remote_digest",
              "remote_updated_at", "remote_seen_at", "synced_at")  # fmt: skip
    Issue.objects.filter(link=made).update(link=tombstone)
    Link.objects.filter(pk=made.pk).delete()
    keep(tombstone, **{name: getattr(made, name) for name in fields})


def to_delete_again(link: Link, remote_id: str, location_id: str) -> None:
    """The seized tombstone has something to delete once more."""
    keep(link, remote_id=remote_id, location_id=location_id, remote_gone_at=None, ignored_at=None)
