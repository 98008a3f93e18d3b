"""Runs of the pull and of the audit: what was asked and by whom, how far it came, what it found."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class Run(models.Model):
    class Mode(models.TextChoices):
        FULL = "full", "Full"
        INCREMENTAL = "incremental", "Incremental"
        AUDIT = "audit", "Audit"

    mode = models.CharField(max_length=12, choices=Mode.choices)
    only = models.JSONField(default=list, blank=True)
    since = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(db_default=Now())
    touched_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True, blank=True)
    ok = models.BooleanField(null=True)
    server_started_at = models.DateTimeField(null=True, blank=True)  # GoHighLevel's own clock: the next watermark
    cursor = models.JSONField(default=dict, blank=True)  # where to go on after a break
    report = models.JSONField(default=dict, blank=True)
    error = models.TextField(blank=True)
    started_by = models.ForeignKey("auth.User", on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    cancel_asked_at = models.DateTimeField(null=True, blank=True)  # a person wants it to end after the page at hand
    cancel_asked_by = models.ForeignKey("auth.User", on_delete=models.SET_NULL, null=True, blank=True, related_name="+")

    class Meta:
        verbose_name = "fetch or comparison"
        verbose_name_plural = "fetches and comparisons"
        ordering = ["-pk"]
        constraints = [
            # Two pulls at once would do each other's work twice.
            models.UniqueConstraint(
                fields=["mode"], condition=Q(finished_at__isnull=True), name="run_open_once_per_mode"
            )
        ]

    def __str__(self) -> str:
        what = "" if self.mode == self.Mode.AUDIT else " pull"
        return f"{self.get_mode_display()}{what} {self.pk}"


class SeenPage(models.Model):
    """The ids one page of a full scan held: what proves absence, and survives a broken run."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="pages")
    kind = models.CharField(max_length=16)
    number = models.IntegerField()
    ids = models.JSONField()
    total = models.IntegerField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "kind", "number"], name="page_once_per_run")]

    def __str__(self) -> str:
        return f"{self.run} {self.kind} page {self.number}"
