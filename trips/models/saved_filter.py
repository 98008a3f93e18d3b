"""Filters of a list that somebody gave a name, to come back to."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode

from django.conf import settings
from django.db import models
from django.db.models import Q

# What belongs to one look at a list, not to the question: the page and how the page was opened.
PASSING = frozenset({"p", "e", "all", "_popup", "_to_field", "_changelist_filters"})


def folded_query(query: str) -> str:
    """The part of an address after "?" as a question of its own: in one order, without what only passed by."""
    kept = [(name, value) for name, value in parse_qsl(query) if name not in PASSING]
    return urlencode(sorted(kept))


class SavedFilter(models.Model):
    """A question asked of one list. Shared ones stand above the list for everybody who may open it."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="saved_filters")
    page = models.CharField(max_length=100, editable=False)  # "trips.passenger": the list's model
    name = models.CharField(max_length=80)
    query = models.TextField(editable=False)
    shared = models.BooleanField(default=False, help_text="Everybody who may open the list sees it.")
    pinned = models.BooleanField(default=False, help_text="Stands first.")

    class Meta:
        ordering = ["-pinned", "name", "pk"]
        verbose_name = "saved filter"
        constraints = [
            models.UniqueConstraint(
                fields=["owner", "page", "name"],
                name="saved_filter_name_once",
                violation_error_message="You have a filter of this name for this list already.",
            )
        ]
        indexes = [
            models.Index(fields=["page"], condition=Q(shared=True), name="saved_filter_shared")
        ]  # read: each list

    def __str__(self) -> str:
        return self.name
