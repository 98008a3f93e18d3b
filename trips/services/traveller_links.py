"""Links to a traveller's own form: making one, knowing one again, ending it.

A link is a random secret with a signature. The signature tells a forged or cut one without a question to the database;
of the secret only a hash is kept, so nobody finds a link there, and a lost one cannot be shown again but only replaced.
It stands behind the `#` of the address: browsers keep that part to themselves, so it is in no server's log, no
`Referer` and no proxy. One form of one traveller hangs on it, and nothing else.
"""

from __future__ import annotations

import datetime as dt
import enum
import hashlib
import secrets
from collections.abc import Collection
from typing import Any

from django.conf import settings
from django.core.signing import BadSignature, Signer
from django.db import transaction
from django.utils import formats, timezone

from trips.enums import FAILED, LIVE_FORMS, Attendance, DocumentState, FormState, FormStep
from trips.models import Document, Passenger, TravellerForm

LONGEST_TOKEN = 200
_SECRET_BYTES = 24


class NoLink(ValueError):
    """No link can be made for this traveller; the sentence says why and what to do."""


class Standing(enum.Enum):
    """What a link leads to."""

    OPEN = "open"
    SENT_IN = "sent in"
    REVIEWED = "reviewed"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    OVER = "over"  # the traveller has left, or does not go


def steps_offered() -> list[FormStep]:
    """What a form may ask for; documents where files are taken."""
    return [step for step in FormStep if step != FormStep.DOCUMENTS or settings.TRAVELLER_UPLOADS]


def make_link(*, passenger: Passenger, steps: Collection[str], by: Any, add: bool = False) -> tuple[TravellerForm, str]:
    """The traveller's form and the token of a new link to it; an older link ends, what was typed stays.

    With `add` the form goes on asking for what it asked for before, too. Raises NoLink.
    """
    with transaction.atomic():
        Passenger.objects.select_for_update(no_key=True).filter(pk=passenger.pk).order_by().first()
        form = _current(passenger) or TravellerForm(passenger=passenger)
        if reason := no_link_for(passenger, waits=form.state == FormState.SENT_IN):
            raise NoLink(reason)
        wanted = {*steps, *(form.steps if add else ())}
        form.steps = [step for step in steps_offered() if step in wanted]
        if not form.steps:
            raise NoLink("Choose at least one thing to ask for.")
        secret = secrets.token_urlsafe(_SECRET_BYTES)
        form.secret_hash = _hash(secret)
        form.expires_at = works_until(passenger)
        form.made_by = by
        form.save()
    return form, _signer().sign(secret)


def works_until(passenger: Passenger) -> dt.datetime:
    """The end of a link made now: so many days on, at the latest as the day of departure begins."""
    ends = timezone.now() + dt.timedelta(days=settings.TRAVELLER_LINK_DAYS)
    leaves = passenger.trip.departs_on if passenger.trip else None
    return min(ends, timezone.make_aware(dt.datetime.combine(leaves, dt.time.min))) if leaves else ends


def find(token: str) -> TravellerForm | None:
    """The form that a token leads to, whatever its state; None for one that was never made or has been replaced."""
    if len(token) > LONGEST_TOKEN:
        return None
    try:
        secret = _signer().unsign(token)
    except BadSignature:
        return None
    rows = TravellerForm.objects.select_related("passenger__trip", "passenger__contact")
    return rows.filter(secret_hash=_hash(secret)).first()


def standing(form: TravellerForm) -> Standing:
    """What its link leads to now."""
    closed = {
        FormState.SENT_IN: Standing.SENT_IN,
        FormState.ACCEPTED: Standing.REVIEWED,
        FormState.WITHDRAWN: Standing.WITHDRAWN,
    }.get(FormState(form.state))
    if closed:
        return closed
    if hindrance(form.passenger, timezone.localdate()):
        return Standing.OVER
    return Standing.EXPIRED if form.expires_at <= timezone.now() else Standing.OPEN


def hindrance(passenger: Passenger, today: dt.date) -> str:
    """Why this traveller has no form to fill in; empty when they may."""
    trip = passenger.trip
    if passenger.attendance == Attendance.CANCELLED:
        return "The booking is cancelled."
    if trip is None:
        return "The traveller is on no trip. Choose the trip first."
    if trip.status in FAILED:
        return f"The trip is {trip.get_status_display().lower()}."
    if trip.departs_on and trip.departs_on <= today:
        return f"The trip left on {formats.date_format(trip.departs_on, 'j M Y')}."
    return ""


def no_link_for(passenger: Passenger, *, waits: bool) -> str:
    """Why no link can be made; empty when one can. `waits` tells that a form was sent in and not reviewed yet."""
    if waits:
        return "Their form was sent in and waits for review."
    return hindrance(passenger, timezone.localdate())


def withdraw(*, form: TravellerForm, by: Any) -> None:
    """End the link and forget what was typed, signed and sent along; nothing more of it is taken over."""
    with transaction.atomic():
        row = TravellerForm.objects.select_for_update().get(pk=form.pk)
        if row.state not in LIVE_FORMS:
            raise NoLink(f"The form is {row.get_state_display().lower()} already.")
        sent_along: Any = Document.objects.filter(pk__in=row.file_ids, state=DocumentState.WITH_FORM)
        for document in sent_along:
            document._history_user = by
            document.delete()  # one by one, so that its file goes, too
        forgotten = ("answers", "base", "signer", "signed_name", "relationship", "consent_text", "signed_sha256")
        for name in forgotten:
            setattr(row, name, "")
        row.state, row.reviewed_by, row.reviewed_at = FormState.WITHDRAWN, by, timezone.now()
        row.save(update_fields=[*forgotten, "state", "reviewed_by", "reviewed_at"])
    form.refresh_from_db()


def current_form(passenger: Passenger) -> TravellerForm | None:
    """The newest form of a traveller, whatever its state."""
    return TravellerForm.objects.filter(passenger=passenger).select_related("made_by", "reviewed_by").first()


def _current(passenger: Passenger) -> TravellerForm | None:
    """The one that is open or waits for review, held until the transaction ends."""
    live = TravellerForm.objects.filter(passenger=passenger, state__in=LIVE_FORMS)
    return live.select_for_update().first()


def _signer() -> Signer:
    return Signer(salt="trips.traveller_link", sep=".")


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
