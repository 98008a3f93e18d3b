"""Many papers at once: one run, and a row for each paper of it with what came of it."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q

from trips.enums import PAPER_KINDS
from trips.models.base import Stamped


class PaperRun(Stamped):
    """What somebody asked to be made. Its rows say what is done, so whoever goes on with it makes nothing twice."""

    # Of the page that asked: pressing its button twice is one run.
    key = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    title = models.CharField(max_length=255)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    to_stage = models.CharField("then move to stage", max_length=64, blank=True)
    batch = models.ForeignKey("trips.Batch", on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    # A worker has it until then; one that was killed no longer renews it.
    leased_until = models.DateTimeField(null=True, blank=True, editable=False)
    finished_at = models.DateTimeField("finished", null=True, blank=True)

    class Meta:
        ordering = ["-pk"]
        verbose_name = "run of papers"
        verbose_name_plural = "runs of papers"
        indexes = [
            # Read: what somebody has to go on with, every minute.
            models.Index(fields=["id"], condition=Q(finished_at__isnull=True), name="paper_run_open"),
        ]

    def __str__(self) -> str:
        return self.title


class PaperRunRow(models.Model):
    """One paper of one passenger; without an outcome it is still to be made."""

    class Outcome(models.TextChoices):
        MADE = "made", "Made"
        BLOCKED = "blocked", "Not made"

    run = models.ForeignKey(PaperRun, on_delete=models.CASCADE, related_name="rows")
    passenger = models.ForeignKey("trips.Passenger", on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(max_length=16, choices=[(kind.value, kind.label) for kind in PAPER_KINDS])
    outcome = models.CharField(max_length=8, blank=True, default="", choices=Outcome.choices)
    reason = models.CharField(max_length=500, blank=True, default="")
    document = models.ForeignKey("trips.Document", on_delete=models.SET_NULL, null=True, blank=True, related_name="+")

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["run", "passenger", "kind"], name="paper_run_row_once"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} of passenger {self.passenger_id}"
