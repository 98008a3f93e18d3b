"""The wording of the papers that are made here."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from simple_history.models import HistoricalRecords

from trips.enums import PAPER_KINDS
from trips.models.base import Stamped


class PaperTemplate(Stamped):
    """The words of one kind of paper, with merge fields. Each change of them is a new version; the history has the old.

    Title and body are text in a mark-up of our own (`trips.papers.wording`), never a template language.
    """

    kind = models.CharField(
        max_length=16, choices=[(kind.value, kind.label) for kind in PAPER_KINDS], unique=True, editable=False
    )
    title = models.CharField(max_length=200)
    body = models.TextField("text")
    version = models.PositiveIntegerField(default=1, editable=False)
    lawyer_checked = models.BooleanField(
        "a lawyer has checked this text",
        default=False,
        help_text="Until it is ticked, each paper says at its foot that its wording was not checked. "
        "A change of the text takes the tick off.",
    )
    edited_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+", editable=False
    )

    history = HistoricalRecords()

    class Meta:
        ordering = ["pk"]
        verbose_name = "paper template"

    def __str__(self) -> str:
        return self.get_kind_display()
