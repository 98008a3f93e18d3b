"""What GoHighLevel defines, kept here so that a push makes no start-up call: fields, options, pipelines, limits."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now
from django.utils import formats, timezone

from trips.accounts import name_of


class Location(models.Model):
    """The sub-account we mirror: its settings, its limits and whether traffic is stopped."""

    location_id = models.CharField(max_length=64, unique=True)
    name = models.CharField(max_length=255, blank=True)
    timezone = models.CharField(max_length=64, blank=True)
    allow_duplicate_opportunity = models.BooleanField(null=True)
    allow_duplicate_contact = models.BooleanField(null=True)
    refreshed_at = models.DateTimeField(null=True, blank=True)
    page_size = models.PositiveSmallIntegerField(default=500)  # falls to 100 where the API refuses more

    paused_reason = models.TextField(blank=True)
    paused_at = models.DateTimeField(null=True, blank=True)
    probe_at = models.DateTimeField(null=True, blank=True)

    # The limit as the last answer's headers stated it.
    rate_max = models.PositiveIntegerField(default=25)  # the smallest limit seen anywhere, until a header says more
    rate_interval_ms = models.PositiveIntegerField(default=10_000)
    daily_limit = models.PositiveIntegerField(null=True, blank=True)
    daily_remaining = models.IntegerField(null=True, blank=True)
    daily_reset_at = models.DateTimeField(null=True, blank=True)  # until then `daily_remaining` holds
    held_until = models.DateTimeField(null=True, blank=True)  # after a 429 nobody sends before this
    calls_today = models.PositiveIntegerField(default=0)
    calls_day = models.DateField(null=True, blank=True)
    bulk_until = models.DateTimeField(null=True, blank=True)  # a worker sends all that is due; renewed while it does

    # Health and passports are only read until an administrator says yes, once.
    sensitive_confirmed_at = models.DateTimeField(null=True, blank=True)
    sensitive_confirmed_by = models.ForeignKey(
        "auth.User", on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )

    # A person's two switches; what waits meanwhile stays due.
    sending_paused_at = models.DateTimeField(null=True, blank=True)
    sending_paused_by = models.ForeignKey(
        "auth.User", on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    fetching_paused_at = models.DateTimeField(null=True, blank=True)
    fetching_paused_by = models.ForeignKey(
        "auth.User", on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )

    # Which database speaks for this account: a copy, or one restored from a backup, must not write by itself.
    bound_to = models.CharField(max_length=128, blank=True)
    bound_at = models.DateTimeField(null=True, blank=True)
    bound_by = models.ForeignKey("auth.User", on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    swept_at = models.DateTimeField(null=True, blank=True)  # our own heartbeat: when everything due was last looked for
    queue_ran_at = models.DateTimeField(null=True, blank=True)  # when a task of ours last ran in the queue
    canary_sent_at = models.DateTimeField(null=True, blank=True)  # a task that only shows that the queue runs tasks
    watchdog_at = models.DateTimeField(null=True, blank=True)  # the watchdog's own heartbeat
    pull_first_since = models.DateTimeField(null=True, blank=True)  # asleep until then: one whole pull before any push

    inbox_held_until = models.DateTimeField(null=True, blank=True)  # one worker at a time reads what webhooks named

    # The table that the agreements of this account were made with, a fingerprint per row, and how old that code is.
    mapping = models.JSONField(default=dict, blank=True)
    mapping_since = models.DateTimeField(null=True, blank=True)
    clearing = models.JSONField(default=dict, blank=True)  # by data type: what was seen to empty a field, or null

    watermark = models.DateTimeField(null=True, blank=True)  # changes up to here have been pulled
    full_scan_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.name or self.location_id

    def pause_words(self, switch: str) -> str:
        """Who paused `sending` or `fetching`, and since when; empty while it goes on."""
        at, by = getattr(self, f"{switch}_paused_at"), getattr(self, f"{switch}_paused_by")
        if at is None:
            return ""
        since = formats.date_format(timezone.localtime(at), "j M Y, H:i")
        who = f" by {name_of(by)}" if by is not None else ""
        return f"{switch.capitalize()} was paused{who} on {since}."


class RateSlot(models.Model):
    """One of the calls an interval allows. Whoever takes a slot moves its time on; the oldest is free first."""

    location = models.ForeignKey(Location, on_delete=models.CASCADE, related_name="slots")
    number = models.PositiveIntegerField()
    free_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["location", "number"], name="slot_once")]
        indexes = [models.Index(fields=["location", "free_at"], name="slot_next")]  # read: the next free slot

    def __str__(self) -> str:
        return f"{self.number} free at {self.free_at}"


class RemoteField(models.Model):
    """A custom-field definition as GoHighLevel has it."""

    location_id = models.CharField(max_length=64)
    model = models.CharField(max_length=16)
    remote_id = models.CharField(max_length=64)
    key = models.CharField(max_length=255)
    name = models.CharField(max_length=255)
    data_type = models.CharField(max_length=32)
    options = models.JSONField(default=list, blank=True)
    allow_custom = models.BooleanField(default=False)
    refreshed_at = models.DateTimeField(db_default=Now())
    leased_until = models.DateTimeField(null=True, blank=True)  # one writer of the option list at a time
    fence = models.BigIntegerField(default=0)
    gone_at = models.DateTimeField(null=True, blank=True)  # deleted over there, or the list came without it

    class Meta:
        constraints = [models.UniqueConstraint(fields=["location_id", "remote_id"], name="remote_field_once")]
        indexes = [models.Index(fields=["location_id", "key"], name="remote_field_key")]
        verbose_name = "field"
        verbose_name_plural = "fields and drop-downs"

    def __str__(self) -> str:
        return self.name


class WantedOption(models.Model):
    """An option a record needs and its drop-down does not have yet; many are added in one write."""

    remote_field = models.ForeignKey(RemoteField, on_delete=models.CASCADE, related_name="wanted")
    label = models.CharField(max_length=255)
    kind = models.CharField(max_length=16)
    object_id = models.BigIntegerField()
    at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["remote_field", "kind", "object_id"], name="wanted_once_per_record")
        ]

    def __str__(self) -> str:
        return self.label


class Pipeline(models.Model):
    location_id = models.CharField(max_length=64)
    remote_id = models.CharField(max_length=64)
    name = models.CharField(max_length=255)
    gone_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["location_id", "remote_id"], name="pipeline_once")]

    def __str__(self) -> str:
        return self.name


class Stage(models.Model):
    pipeline = models.ForeignKey(Pipeline, on_delete=models.CASCADE, related_name="stages")
    remote_id = models.CharField(max_length=64)
    name = models.CharField(max_length=255)
    position = models.IntegerField(default=0)
    code = models.CharField(max_length=64, blank=True)  # our stage it was first known as; a new name leaves it
    gone_at = models.DateTimeField(null=True, blank=True)  # deleted over there; records may still name it

    class Meta:
        ordering = ["position"]
        constraints = [models.UniqueConstraint(fields=["pipeline", "remote_id"], name="stage_once")]

    def __str__(self) -> str:
        return self.name
