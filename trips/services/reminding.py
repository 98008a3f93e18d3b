"""Reminding travellers by e-mail: who gets which mail, who gets none and why, and sending each once.

A mail lists only what this one traveller lacks, and of that only what the sender may know of. A minor's goes to the
guardian. Who was asked a few days ago is held back, so that two colleagues do not chase the same people.
"""

from __future__ import annotations

import datetime as dt
import logging
import re
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from smtplib import SMTPException
from typing import Any

from django.core.mail import EmailMessage, get_connection
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet, Subquery
from django.utils import formats, timezone

from trips import gaps
from trips.enums import SEATED, FormState, FormStep
from trips.models import Passenger, Reminder, TravellerForm
from trips.money import money
from trips.services.payments import what_is_due
from trips.services.traveller_links import NoLink, make_link, no_link_for, steps_offered

LOG = logging.getLogger("trips.reminders")
# Asked within so many days, nobody is asked again unless somebody insists.
REST_DAYS = 5
# Two presses of one button are one mail, whoever insists.
AGAIN_SECONDS = 600
FIELDS = {
    "name": "the traveller’s first name",
    "trip": "the trip",
    "departure": "the day of departure",
    "list": "what this traveller lacks, one line each",
}
# Offered where forms for travellers are switched on; made when the mail leaves, and in no copy of it.
OWN_FORM = "form"
FORM_FIELD = {OWN_FORM: "a link to the traveller’s own form, which asks for just this"}
OWN_LINK = "[their own link, made when the mail leaves]"
_ASKED_BY = {
    "profile": FormStep.DETAILS,
    "guardian": FormStep.DETAILS,  # who signs says who answers for the traveller
    "passport": FormStep.PASSPORT,
    "documents": FormStep.DOCUMENTS,
    "emergency": FormStep.EMERGENCY,
    "health": FormStep.HEALTH,
}
_FIELD = re.compile(r"\{([^{}]*)\}")
# What travellers read; the lists' own words are for staff.
_LACKING = {
    "profile": "your full name as in the passport, your date of birth and sex",
    "guardian": "the parent or guardian who answers for the traveller",
    "passport": "a passport that is valid long enough for this trip",
    "documents": "documents that we have not received yet",
    "emergency": "somebody to call in an emergency, with a telephone number",
    "health": "the questions about health and diet (also when there is nothing to say)",
}
Kind = Reminder.Kind


@dataclass(frozen=True, slots=True)
class Wording:
    subject: str
    message: str


WORDINGS = {
    Kind.GAPS: Wording(
        "What we still need for {trip}",
        "Dear {name},\n\nfor {trip}, which leaves on {departure}, we still need:\n\n{list}\n\n"
        "Please reply to this message, or call us. Thank you!",
    ),
    Kind.MONEY: Wording(
        "Payment for {trip}",
        "Dear {name},\n\nfor {trip}, which leaves on {departure}, this is due:\n\n{list}\n\n"
        "If your payment is on its way already, please ignore this message. Thank you!",
    ),
}
WORDING_WITH_FORM = Wording(
    "What we still need for {trip}",
    "Dear {name},\n\nfor {trip}, which leaves on {departure}, we still need:\n\n{list}\n\n"
    "You can answer on your phone, bit by bit, with this link. It is yours alone; please do not pass it on:\n\n"
    "{form}\n\n"
    "If you have a question, reply to this message, or call us. Thank you!",
)


@dataclass(frozen=True, slots=True)
class Draft:
    """A mail as it would be sent."""

    passenger: Passenger
    recipient: str
    subject: str
    body: str
    asked_for: tuple[str, ...]
    # The text with a link in the place of OWN_LINK; None for a mail without one.
    with_link: Callable[[str], str] | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """Somebody who gets no mail, and why."""

    passenger: Passenger
    reason: str


@dataclass(frozen=True, slots=True)
class Sent:
    """How many left, who was held back or not taken by the mail server, and how many were not tried."""

    count: int
    held: tuple[Held, ...]
    left: int


def fields_of(kind: str, *, links: bool) -> dict[str, str]:
    """The merge fields of a mail of this kind; `links` tells whether its sender may make links to forms."""
    return {**FIELDS, **(FORM_FIELD if links and kind == Kind.GAPS else {})}


def usual_wording(kind: str, *, links: bool) -> Wording:
    """What a reminder says unless somebody changes it; with a link where a form can take all that may be lacking."""
    if links and kind == Kind.GAPS and FormStep.DOCUMENTS in steps_offered():
        return WORDING_WITH_FORM
    return WORDINGS[Kind(kind)]


def unknown_fields(text: str, known: Collection[str] = FIELDS) -> list[str]:
    """Merge fields of a text that there are not."""
    return [name for name in _FIELD.findall(text) if name not in known]


def steps_for(asked_for: Collection[str]) -> list[FormStep]:
    """What a form asks of somebody who lacks these things."""
    wanted = {_ASKED_BY[code] for code in asked_for if code in _ASKED_BY}
    return [step for step in steps_offered() if step in wanted]


def with_last_asked(passengers: Any) -> Any:
    """Adds `last_asked`: when a reminder last left for them; None for never."""
    gone = Reminder.objects.filter(passenger=OuterRef("pk")).exclude(state=Reminder.State.FAILED)
    return passengers.annotate(last_asked=Subquery(gone.order_by("-created_at").values("created_at")[:1]))


def drafts(
    *,
    passengers: QuerySet[Passenger],
    kind: str,
    wording: Wording,
    today: dt.date,
    may_know: Callable[[str], bool],
    insist: bool = False,
) -> tuple[list[Draft], list[Held]]:
    """The mails for these passengers in their order, and who gets none. A fixed number of queries."""
    rows: Any = passengers
    rows = rows.with_gaps(today) if kind == Kind.GAPS else rows.with_balance()
    since = timezone.now() - dt.timedelta(days=REST_DAYS)
    ready: list[Draft] = []
    held: list[Held] = []
    waiting = TravellerForm.objects.filter(passenger=OuterRef("pk"), state=FormState.SENT_IN)
    rows = rows.select_related("trip", "contact", "guardian").annotate(form_waits=Exists(waiting))
    for one in with_last_asked(rows):
        lines = _lines(one, kind, today, may_know)
        reason = _hindrance(one, lines)
        if not reason and one.last_asked and one.last_asked >= since and not insist:
            reason = f"Asked on {formats.date_format(timezone.localtime(one.last_asked), 'j M Y')} already."
        made = _written(one, wording, lines) if not reason else ""
        if isinstance(made, Draft):
            ready.append(made)
        else:
            held.append(Held(one, reason or made))
    return ready, held


def send(*, drafts: Sequence[Draft], kind: str, by: Any, seconds: float, form_url: str = "") -> Sent:
    """Send them one by one over one connection, each on record before it leaves; no further one after `seconds`.

    `form_url` is the address of the forms for travellers, for mails that lead there.
    """
    ends = time.monotonic() + seconds
    count, tried = 0, 0
    held: list[Held] = []
    with get_connection() as connection:
        for draft in drafts:
            if time.monotonic() >= ends:
                break
            tried += 1
            reminder = _on_record(draft, kind, by)
            if reminder is None:
                held.append(Held(draft.passenger, "Somebody has just written to them."))
                continue
            refusal = _leave(reminder, draft, connection, form_url)
            if refusal:
                held.append(Held(draft.passenger, refusal))
            else:
                count += 1
    return Sent(count, tuple(held), len(drafts) - tried)


def address_of(passenger: Passenger) -> tuple[str, bool]:
    """Where a traveller's mail goes, and whether whoever it is wants none. A minor's goes to the guardian."""
    person = passenger.guardian if passenger.is_minor and passenger.guardian is not None else passenger.contact
    return person.email, person.do_not_contact


def _lines(one: Any, kind: str, today: dt.date, may_know: Callable[[str], bool]) -> dict[str, str]:
    """What to ask for, by its code."""
    if kind == Kind.GAPS:
        open_ones = [gap for gap in gaps.GAPS if getattr(one, f"gap_{gap.code}") and may_know(gap.permission)]
        return {gap.code: _LACKING[gap.code] for gap in open_ones}
    due = what_is_due(one, today)
    if not due.amount or one.trip is None:
        return {}
    deposit = one.trip.deposit_amount is not None and one.paid + due.amount <= one.trip.deposit_amount
    day = one.trip.deposit_due if deposit else one.trip.final_payment_due
    by = f", by {formats.date_format(day, 'j F Y')}" if day else ""
    return {"payment": f"{money(due.amount, due.currency)}{by}"}


def _hindrance(one: Passenger, lines: dict[str, str]) -> str:
    email, wants_none = address_of(one)
    if one.attendance not in SEATED:
        return f"{one.get_attendance_display()}."
    if one.trip is None:
        return "On no trip."
    if not lines:
        return "Lacks nothing that you may see."
    if wants_none:
        return "Does not want to be contacted."
    return "" if email else "No e-mail address."


def _written(one: Passenger, wording: Wording, lines: dict[str, str]) -> Draft | str:
    """The mail, or which merge field has nothing to say for this traveller."""
    day = one.trip.departs_on if one.trip else None
    values = {
        "name": one.preferred_name or one.legal_first_name or one.contact.first_name,
        "trip": str(one.trip),
        "departure": formats.date_format(day, "j F Y") if day else "",
        "list": "\n".join(f"- {line}" for line in lines.values()),
    }
    text = wording.subject + wording.message
    links = f"{{{OWN_FORM}}}" in wording.message
    if links and (why := _no_form(one, lines)):
        return why
    empty = [FIELDS[name] for name in FIELDS if f"{{{name}}}" in text and not values[name]]
    if empty:
        return f"Nothing is known for {', '.join(empty)}."

    def filled(template: str, link: str = OWN_LINK) -> str:
        return _FIELD.sub(lambda found: {**values, OWN_FORM: link}[found[1]], template)

    subject = " ".join(filled(wording.subject).split())[:255]
    with_link = partial(filled, wording.message) if links else None
    return Draft(one, address_of(one)[0], subject, filled(wording.message), tuple(lines), with_link)


def _no_form(one: Any, lines: Collection[str]) -> str:
    """Why this traveller cannot be given a form for what they lack; empty when they can."""
    if not steps_for(lines):
        return "A form cannot take what they lack. Send it without {form}."
    return no_link_for(one, waits=one.form_waits)


def _on_record(draft: Draft, kind: str, by: Any) -> Reminder | None:
    """The row of a mail about to leave; None when one left a moment ago."""
    just_now = timezone.now() - dt.timedelta(seconds=AGAIN_SECONDS)
    with transaction.atomic():
        Passenger.objects.select_for_update(no_key=True).filter(pk=draft.passenger.pk).order_by().first()
        gone = Reminder.objects.filter(passenger=draft.passenger, kind=kind, created_at__gte=just_now)
        if gone.exclude(state=Reminder.State.FAILED).exists():
            return None
        reminder = Reminder(
            passenger=draft.passenger,
            kind=kind,
            recipient=draft.recipient,
            subject=draft.subject,
            body=draft.body,
            asked_for=list(draft.asked_for),
            by=by,
        )
        reminder.save()
    return reminder


def _leave(reminder: Reminder, draft: Draft, connection: Any, form_url: str) -> str:
    """Hand the mail over; why not, if not. The link is made now and stands in the mail alone, not in the record."""
    body = draft.body
    try:
        if draft.with_link is not None:
            steps = steps_for(draft.asked_for)
            _form, token = make_link(passenger=draft.passenger, steps=steps, by=reminder.by, add=True)
            body = draft.with_link(f"{form_url}#{token}")
        EmailMessage(draft.subject, body, to=[draft.recipient], connection=connection).send()
    except NoLink as refused:
        reminder.state = Reminder.State.FAILED
        reminder.save(update_fields=["state"])
        return f"No link was made. {refused}"
    except (SMTPException, OSError) as error:
        LOG.warning("reminder %s was not taken by the mail server: %s", reminder.pk, type(error).__name__)
        reminder.state = Reminder.State.FAILED
        reminder.save(update_fields=["state"])
        return f"The mail server did not take it ({type(error).__name__}). Check EMAIL_URL, then try again."
    reminder.state = Reminder.State.SENT
    reminder.save(update_fields=["state"])
    return ""
