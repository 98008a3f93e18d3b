"""One row per mirrored object: where its other half is and what both sides last agreed on."""

from __future__ import annotations

from typing import Any, Self

from django.conf import settings
from django.db import models
from django.db.models import BooleanField, Case, Count, Exists, OuterRef, Q, Value, When
from django.db.models.functions import Now

from ghl_sync.models.change import Change
from ghl_sync.models.conflict import Conflict, Issue
from ghl_sync.models.write import Write


class Kind(models.TextChoices):
    TRIP = "trip", "Trip"
    PASSENGER = "passenger", "Passenger"
    CONTACT = "contact", "Contact"
    VENDOR = "vendor", "Vendor"  # has Changes but no Link: its name is an option, not a record


class State(models.TextChoices):
    """What staff read on a record's badge; computed, never stored (`LinkQuerySet.with_state`)."""

    SYNCED = "synced", "Synced"
    WAITING = "waiting", "Waiting"
    WORKING = "working", "Working"
    RETRYING = "retrying", "Retrying"
    NEEDS_PERSON = "needs_person", "Needs you"
    CONFLICT = "conflict", "Conflict"
    GONE = "gone", "Gone in GoHighLevel"
    IGNORED = "ignored", "Ignored"


def kind_of(obj: models.Model) -> str:
    """The kind of a mirrored object: its model's name."""
    return str(obj._meta.model_name)


class LinkQuerySet(models.QuerySet["Link"]):
    def for_object(self, obj: models.Model) -> Link | None:
        """The row of this object, or None when it has none."""
        return self.filter(kind=kind_of(obj), object_id=obj.pk).first() if obj.pk else None

    def with_due(self) -> Self:
        """Adds `is_due`: something is left for the engine to do, whether or not it may be tried now.

        A record that needs a person rests until it, or what refused it, changes: until there is a Change that the try
        which parked it has not read. Times would not tell: a save counts from the start of its transaction, which may
        have been open while that try looked.
        """
        changes = Change.objects.filter(kind=OuterRef("kind"), object_id=OuterRef("object_id"))
        doubts = Write.objects.filter(link=OuterRef("pk"), outcome=Write.Outcome.OPEN)
        news = changes.filter(tried=False)
        return self.annotate(
            is_due=Case(
                When(Q(ignored_at__isnull=False) | Q(gone_at__isnull=False), then=Value(False)),
                When(Q(parked_at__isnull=False) & ~Exists(news), then=Value(False)),
                When(
                    Q(remote_dirty_at__isnull=False)
                    | Q(deleted_at__isnull=False, remote_gone_at__isnull=True)
                    | Exists(changes)
                    | Exists(doubts),
                    then=Value(True),
                ),
                default=Value(False),
                output_field=BooleanField(),
            )
        )

    def due(self) -> Self:
        """Everything not at rest, settle waits and back-off included.

        The whole question is asked only of what small indexes name: asked of every link, it would read them all.
        """
        return self.filter(pk__in=_candidates()).with_due().filter(is_due=True)

    def due_now(self) -> Self:
        """What a worker may take this moment."""
        return self.due().ready()

    def ready(self) -> Self:
        """Of what is due, that which waits for no time, no other worker and no person's second thought."""
        changes = Change.objects.filter(kind=OuterRef("kind"), object_id=OuterRef("object_id"))
        doubts = Write.objects.filter(link=OuterRef("pk"), outcome=Write.Outcome.OPEN)
        return self.filter(
            Q(held_until__isnull=True) | Q(held_until__lte=Now()),
            Q(next_attempt_at__isnull=True) | Q(next_attempt_at__lte=Now()),
            Q(leased_until__isnull=True) | Q(leased_until__lte=Now()),
            Q(remote_dirty_at__isnull=False)
            | Q(deleted_at__isnull=False)
            | Exists(changes.filter(due_at__lte=Now()))
            | Exists(doubts),
        )

    def not_synced(self) -> Self:
        """A few too many, but every one whose state is another than synced, without asking the rest for theirs.

        Small indexes name them all. One that a worker looks at while nothing of it is due counts as synced: an index of
        leases would make each claim write all the others, too.
        """
        ignored = Link.objects.order_by().filter(ignored_at__isnull=False)
        return self.filter(pk__in=_candidates().union(_troubled(), ignored.values("pk")))

    def with_state(self) -> Self:
        """Adds `state`, one of `State`, as staff read it. One refused field needs a person as a whole record does."""
        parked_field = Exists(_kept_back().filter(link=OuterRef("pk"))) & ~Q(parked_fields=[])
        asked = Conflict.objects.filter(link=OuterRef("pk"), resolved_at__isnull=True)
        return self.with_due().annotate(
            state=Case(
                When(ignored_at__isnull=False, then=Value(State.IGNORED)),
                When(gone_at__isnull=False, then=Value(State.GONE)),
                When(Q(parked_at__isnull=False) | parked_field, then=Value(State.NEEDS_PERSON)),
                When(Exists(asked), then=Value(State.CONFLICT)),
                When(leased_until__gt=Now(), then=Value(State.WORKING)),
                When(is_due=True, failures__gt=0, then=Value(State.RETRYING)),
                When(is_due=True, then=Value(State.WAITING)),
                default=Value(State.SYNCED),
                output_field=models.CharField(),
            )
        )

    def by_state(self, *, records: int | None = None) -> dict[str, int]:
        """How many there are in each `State`; those deleted on both sides are no records any more.

        Most are synced, and need not be asked one by one; `records` is how many there are in all, where that is known.
        """
        links = self.filter(remote_gone_at__isnull=True)
        found = links.not_synced()._by_state()
        others = sum(count for state, count in found.items() if state != State.SYNCED)
        return found | {State.SYNCED.value: (links.count() if records is None else records) - others}

    def troubled_by_state(self) -> dict[str, int]:
        """As `by_state`, of the states that wait for a person; the rest are 0. Small indexes name all of them."""
        return self.filter(remote_gone_at__isnull=True, pk__in=_troubled())._by_state()

    def _by_state(self) -> dict[str, int]:
        rows: Any = self.with_state().order_by().values("state").annotate(n=Count("pk"))
        found = dict(rows.values_list("state", "n"))
        return {state.value: found.get(state.value, 0) for state in State}


def _kept_back() -> models.QuerySet[Issue]:
    """Open questions about single fields that are not sent; the index of open issues holds next to nothing."""
    codes = (Issue.Code.REFUSED, Issue.Code.OSCILLATES)
    return Issue.objects.filter(closed_at__isnull=True, code__in=codes).order_by()


def _troubled() -> Any:
    """Ids of the links that are parked or gone, or of which one field waits for a person."""
    links = Link.objects.order_by()
    asked = Conflict.objects.filter(resolved_at__isnull=True).order_by().values("link")
    kept_back = _kept_back().filter(link__isnull=False).values("link")
    marked = (links.filter(gone_at__isnull=False), links.filter(parked_at__isnull=False))
    return asked.union(kept_back, *(rows.values("pk") for rows in marked))


def _candidates() -> Any:
    """Ids of the links that have a Change, a doubt, a dirty mark or a tombstone."""
    links = Link.objects.order_by()
    doubts = Write.objects.filter(outcome=Write.Outcome.OPEN, link__isnull=False)
    changed = (
        links.filter(kind=kind, object_id__in=Change.objects.filter(kind=kind).values("object_id"))
        for kind in (Kind.TRIP, Kind.PASSENGER, Kind.CONTACT)
    )
    marked = (
        links.filter(remote_dirty_at__isnull=False),
        links.filter(deleted_at__isnull=False, remote_gone_at__isnull=True),
        *changed,
    )
    return doubts.values("link_id").union(*(rows.values("pk") for rows in marked))


class Link(models.Model):
    """Written by `ghl_sync.engine.state` alone. No foreign key to the object: a deleted object leaves its link."""

    kind = models.CharField(max_length=16, choices=Kind.choices)
    object_id = models.BigIntegerField()
    uid = models.UUIDField(db_index=True)
    label = models.CharField(max_length=255, blank=True)  # the object's name, so that a tombstone can still be read
    location_id = models.CharField(max_length=64, blank=True)
    remote_id = models.CharField(max_length=64, blank=True)  # empty: not there yet
    pipeline_id = models.CharField(max_length=64, blank=True)

    # Per field the pair (local, remote) at the last agreement; engine/base.py reads and writes it.
    base = models.JSONField(default=dict, blank=True)
    remote_digest = models.CharField(max_length=64, blank=True)
    remote_updated_at = models.DateTimeField(null=True, blank=True)
    remote_seen_at = models.DateTimeField(null=True, blank=True)  # when base was last read from GoHighLevel itself
    remote_dirty_at = models.DateTimeField(null=True, blank=True)

    leased_until = models.DateTimeField(null=True, blank=True)
    fence = models.BigIntegerField(default=0)
    attempts = models.IntegerField(default=0)  # counted at claim, so that a crash counts
    failures = models.IntegerField(default=0)  # answered failures in a row, for the back-off
    next_attempt_at = models.DateTimeField(null=True, blank=True)
    waits_for = models.CharField(max_length=255, blank=True)  # why it waits, in staff's words
    last_error = models.TextField(blank=True)
    last_error_at = models.DateTimeField(null=True, blank=True)
    parked_at = models.DateTimeField(null=True, blank=True)  # needs a person
    parked_fields = models.JSONField(default=list, blank=True)  # refused, or changed back each time; the rest goes
    synced_at = models.DateTimeField(null=True, blank=True)

    missed_scans = models.SmallIntegerField(default=0)
    gone_at = models.DateTimeField(null=True, blank=True)  # proven missing over there
    gone_reason = models.CharField(max_length=255, blank=True)
    ignored_at = models.DateTimeField(null=True, blank=True)
    # A contact that was merged into another one here; ignored at the same moment, unless it was so before.
    merged_at = models.DateTimeField(null=True, blank=True)
    deleted_at = models.DateTimeField(null=True, blank=True)  # deleted here: a tombstone
    held_until = models.DateTimeField(null=True, blank=True)  # until then a delete can be undone and is not sent
    remote_gone_at = models.DateTimeField(null=True, blank=True)  # the tombstone's DELETE is done
    # Its person was erased: values are kept as hashes only, and its tombstone for good: a pull would bring them back.
    erased_at = models.DateTimeField(null=True, blank=True)

    objects = LinkQuerySet.as_manager()

    read_ids: tuple[int, ...] | None = None  # the Changes that whoever holds this claim has read

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["kind", "object_id"], name="link_once_per_object"),
            models.UniqueConstraint(
                fields=["location_id", "remote_id"],
                condition=~Q(remote_id=""),
                name="link_once_per_remote_record",
            ),
        ]
        indexes = [
            # The sweep's four questions; each partial, so at rest they hold next to nothing.
            models.Index(fields=["remote_dirty_at"], condition=Q(remote_dirty_at__isnull=False), name="link_dirty"),
            models.Index(
                fields=["deleted_at"],
                condition=Q(deleted_at__isnull=False, remote_gone_at__isnull=True),
                name="link_to_delete",
            ),
            models.Index(fields=["parked_at"], condition=Q(parked_at__isnull=False), name="link_parked"),
            models.Index(fields=["gone_at"], condition=Q(gone_at__isnull=False), name="link_gone"),
            models.Index(fields=["ignored_at"], condition=Q(ignored_at__isnull=False), name="link_ignored"),
            # Read: how many records there are of each kind.
            models.Index(fields=["kind"], condition=Q(remote_gone_at__isnull=True), name="link_live"),
        ]
        verbose_name = "synced record"

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.label or self.object_id}"

    @property
    def key(self) -> str:
        """What we write into GoHighLevel to know our own record again: `trip:<uid>`."""
        return f"{self.kind}:{self.uid}"

    @property
    def remote_url(self) -> str:
        """The record's page in GoHighLevel's own app; empty before it has one."""
        if not self.remote_id:
            return ""
        root = f"{settings.GHL_APP_URL}/v2/location/{self.location_id}"
        if self.kind == Kind.CONTACT:
            return f"{root}/contacts/detail/{self.remote_id}"
        return f"{root}/opportunities/list?opportunityId={self.remote_id}"

    def state_now(self) -> str:
        """This row's state at this moment, one of `State`."""
        rows: Any = type(self).objects.filter(pk=self.pk).with_state()
        found = rows.values_list("state", flat=True).first()
        return str(found or State.SYNCED)
