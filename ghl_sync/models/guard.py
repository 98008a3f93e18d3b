"""Effects too large to happen by themselves, and what a deleted record held while its delete can be undone."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from trips.encryption import EncryptedTextField


class Approval(models.Model):
    """More blanks or deletes than a guard lets through: these effects wait for a person's answer, the rest goes on."""

    class Effect(models.TextChoices):
        BLANK_HERE = "blank_here", "Values emptied here"
        BLANK_THERE = "blank_there", "Values emptied in GoHighLevel"
        DELETE_THERE = "delete_there", "Opportunities deleted in GoHighLevel"

    class Answer(models.TextChoices):
        ASKED = "asked", "Waiting for a person"
        YES = "yes", "Let through"
        NO = "no", "Refused"

    effect = models.CharField(max_length=16, choices=Effect.choices)
    kind = models.CharField(max_length=16)
    field = models.CharField(max_length=64, blank=True)
    count = models.PositiveIntegerField(default=0)  # so many records are concerned, as far as is known
    of = models.PositiveIntegerField(default=0)  # out of so many
    answer = models.CharField(max_length=8, choices=Answer.choices, default=Answer.ASKED)
    asked_at = models.DateTimeField(db_default=Now())
    covers_until = models.DateTimeField(null=True, blank=True)  # the answer is about what was waiting by then
    answered_at = models.DateTimeField(null=True, blank=True)
    answered_by = models.ForeignKey("auth.User", on_delete=models.SET_NULL, null=True, blank=True, related_name="+")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["effect", "kind", "field"], condition=Q(answer="asked"), name="approval_asked_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.get_effect_display()} · {self.kind} {self.field}".strip()


class Blank(models.Model):
    """One value that was to be emptied on one side: counted for an hour, and held back where they are many."""

    class State(models.TextChoices):
        WAITING = "waiting", "Held back"
        PASSED = "passed", "Few enough"
        ALLOWED = "allowed", "A person said yes"
        REFUSED = "refused", "A person said no"

    link = models.ForeignKey("ghl_sync.Link", on_delete=models.CASCADE, related_name="blanks")
    effect = models.CharField(max_length=16, choices=Approval.Effect.choices)
    kind = models.CharField(max_length=16)
    field = models.CharField(max_length=64)
    state = models.CharField(max_length=8, choices=State.choices)
    at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["link", "effect", "field"], name="blank_once")]
        indexes = [
            # Read: how many of one field within the hour, and which of them wait.
            models.Index(fields=["kind", "effect", "field", "at"], name="blank_by_field")
        ]

    def __str__(self) -> str:
        return f"{self.link} · {self.field}"


class DeletedRecord(models.Model):
    """A deleted object with what went with it, so that the delete can be undone while it is held."""

    link = models.OneToOneField("ghl_sync.Link", on_delete=models.CASCADE, related_name="deleted_record")
    rows = EncryptedTextField()  # Django's own JSON of the object and of all rows that were deleted with it
    at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"{self.link} as it was"
