"""Open questions: values that do not fit (`Issue`) and fields that both sides changed (`Conflict`)."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from trips.encryption import EncryptedTextField


class Issue(models.Model):
    """A value that cannot be read, sent or kept as it is. Counted and shown; never fails a run."""

    class Code(models.TextChoices):
        UNREADABLE = "unreadable", "Value cannot be read"
        KEPT = "kept", "GoHighLevel kept another value"
        NO_OPTION = "no_option", "No such option"
        NO_FIELD = "no_field", "No such field"
        DISAGREE = "disagree", "Trip name and trip ID disagree"
        STUB = "stub", "Contact made from a row"
        REFUSED = "refused", "GoHighLevel refuses this value"
        CAME_BACK = "came_back", "Deleted here, came back"
        TWIN = "twin", "Second record with our key"
        LIKENESS = "likeness", "Looks like the same record twice"
        MOVED = "moved", "Moved to another pipeline"
        CHANGED = "changed", "Deleted here, changed in GoHighLevel"
        OSCILLATES = "oscillates", "Keeps changing back"
        OPTION_GONE = "option_gone", "Option or stage is gone"
        LOOKALIKE = "lookalike", "Options that look alike"
        SAME_HERE = "same_here", "The same contact twice here"
        MERGED = "merged", "Merged here, two in GoHighLevel"

    class Decision(models.TextChoices):
        """What a person said about a record that exists twice."""

        SAME = "same", "The same record"
        OWN = "own", "A record of its own"

    link = models.ForeignKey("ghl_sync.Link", on_delete=models.CASCADE, null=True, related_name="issues")
    field = models.CharField(max_length=64, blank=True)
    code = models.CharField(max_length=16, choices=Code.choices)
    message = models.TextField()  # never holds a sensitive value
    raw = EncryptedTextField(blank=True)  # the value as received
    remote_id = models.CharField(max_length=64, blank=True)
    opened_at = models.DateTimeField(db_default=Now())
    closed_at = models.DateTimeField(null=True, blank=True)
    closed_by = models.ForeignKey("auth.User", on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    decision = models.CharField(max_length=8, choices=Decision.choices, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["link", "field", "code", "remote_id"],
                condition=Q(closed_at__isnull=True),
                name="issue_open_once",
            )
        ]
        indexes = [models.Index(fields=["-opened_at"], condition=Q(closed_at__isnull=True), name="issue_open")]

    def __str__(self) -> str:
        return self.message


class Conflict(models.Model):
    """Both sides changed one field. What lost stays here, so that staff can put it back."""

    class Outcome(models.TextChoices):
        ASKED = "asked", "Waiting for a person"
        OURS = "ours", "TripBuilder's value kept"
        THEIRS = "theirs", "GoHighLevel's value kept"

    link = models.ForeignKey("ghl_sync.Link", on_delete=models.CASCADE, related_name="conflicts")
    field = models.CharField(max_length=64)
    base_value = EncryptedTextField(blank=True)
    our_value = EncryptedTextField(blank=True)
    their_value = EncryptedTextField(blank=True)
    ours_at = models.DateTimeField(null=True, blank=True)
    ours_by = models.CharField(max_length=150, blank=True)  # who saved ours, where history knows
    theirs_at = models.DateTimeField(null=True, blank=True)
    policy = models.CharField(max_length=8)
    outcome = models.CharField(max_length=8, choices=Outcome.choices, default=Outcome.ASKED)
    opened_at = models.DateTimeField(db_default=Now())
    # What a person chose, and is carried out once both sides are seen to hold what that person was shown.
    choice = models.CharField(max_length=8, blank=True)
    chosen_at = models.DateTimeField(null=True, blank=True)
    stale_at = models.DateTimeField(null=True, blank=True)  # a choice was dropped: a side held something else by then
    resolved_at = models.DateTimeField(null=True, blank=True)
    resolved_by = models.ForeignKey("auth.User", on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    put_back_at = models.DateTimeField(null=True, blank=True)  # when a person put back what had lost

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["link", "field"], condition=Q(resolved_at__isnull=True), name="conflict_open_once"
            )
        ]
        # Read: the list of what is open.
        indexes = [models.Index(fields=["-opened_at"], condition=Q(resolved_at__isnull=True), name="conflict_open")]

    def __str__(self) -> str:
        return f"{self.link} · {self.field}"
