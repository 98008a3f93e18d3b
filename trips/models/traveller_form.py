"""The form that a traveller fills in on a phone: one link, what was typed, and what was agreed to.

Nothing of it stands in the passenger's own record before staff have looked at it. The database holds a hash of the
link's secret and never the secret, so whoever reads a copy of the database holds no link.
"""

from __future__ import annotations

import json
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q

from trips.encryption import EncryptedTextField
from trips.enums import LIVE_FORMS, FormSigner, FormState, FormStep
from trips.models.base import Keyed, Stamped


class TravellerForm(Keyed, Stamped):
    """One form of one traveller. A new link takes the place of the one before and finds what was typed so far."""

    passenger = models.ForeignKey("trips.Passenger", on_delete=models.CASCADE, related_name="traveller_forms")
    state = models.CharField(max_length=12, choices=FormState.choices, default=FormState.OPEN)
    steps = models.JSONField(default=list)  # what is asked, by the codes of FormStep
    expires_at = models.DateTimeField("link works until")
    secret_hash = models.CharField(max_length=64, unique=True, editable=False)  # SHA-256 of the link's secret
    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    # JSON by step: what was typed, and what the office's record held at that moment.
    answers = EncryptedTextField(blank=True, default="", editable=False)
    base = EncryptedTextField(blank=True, default="", editable=False)
    sent_back_reason = models.CharField("sent back because", max_length=255, blank=True)

    # The signature: who, to which words, over what (SHA-256 of it all), when.
    signer = models.CharField(max_length=12, choices=FormSigner.choices, blank=True)
    signed_name = models.CharField("signed by", max_length=200, blank=True)
    relationship = models.CharField(max_length=100, blank=True)
    consent_version = models.CharField(max_length=20, blank=True)
    consent_text = models.TextField(blank=True)
    intent = models.BooleanField("meant as a signature", default=False)
    signed_sha256 = models.CharField("SHA-256 of what was signed", max_length=64, blank=True)
    sent_in_at = models.DateTimeField("sent in", null=True, blank=True)

    # Parts of it that staff have decided about: health may wait for somebody who may see it.
    reviewed = models.JSONField(default=list)
    reviewed_at = models.DateTimeField(null=True, blank=True)
    reviewed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["passenger"],
                condition=Q(state__in=LIVE_FORMS),
                name="traveller_form_one_at_a_time",
                violation_error_message="This traveller has a form already that is open or waits for review.",
            ),
        ]
        indexes = [
            # Read: the forms that wait for a review, by their list and the home page.
            models.Index(fields=["id"], condition=Q(state=FormState.SENT_IN), name="traveller_form_to_review"),
        ]

    def __str__(self) -> str:
        return f"Form of {self.passenger}"

    @property
    def answered(self) -> dict[str, Any]:
        """What was typed, by step."""
        return json.loads(self.answers) if self.answers else {}

    @property
    def file_ids(self) -> list[int]:
        """The documents that the traveller sent with it; one may have been deleted since."""
        return [one["id"] for one in self.answered.get(FormStep.DOCUMENTS, {}).get("values", {}).values()]

    @property
    def held_before(self) -> dict[str, Any]:
        """What the office's record held when the step was answered."""
        return json.loads(self.base) if self.base else {}

    @property
    def asked(self) -> list[str]:
        """The steps to answer: files only while they are taken at all."""
        return [step for step in self.steps if step != FormStep.DOCUMENTS or settings.TRAVELLER_UPLOADS]

    @property
    def next_step(self) -> str:
        """The first step without an answer; empty when only the signature is left."""
        done = self.answered
        return next((step for step in self.asked if step not in done), "")
