"""What a traveller answers: step by step, then signed and sent in. Nothing here touches the passenger's own record.

A step is answered in one of three ways: `new` values, `keep` what the office has, or `later`. Of what the office has
the traveller is told only so much as to know it again ("ends 123"), so that a link in the wrong hands tells little.
"""

from __future__ import annotations

import copy
import datetime as dt
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.utils import timezone

from trips.encryption import keyed_hash
from trips.enums import FormSigner, FormState, FormStep
from trips.gaps import HEALTH_TEXTS
from trips.models import EmergencyContact, HealthRecord, Passenger, Passport, TravellerForm
from trips.services.traveller_links import Standing, standing
from trips.text import fold_search

NEW, KEEP, LATER = "new", "keep", "later"
Values = dict[str, Any]

FIELDS: dict[str, tuple[str, ...]] = {
    FormStep.DETAILS: (
        "legal_first_name",
        "legal_middle_name",
        "legal_last_name",
        "preferred_name",
        "date_of_birth",
        "sex",
        "birth_country",
        "roommate_request",
    ),
    FormStep.PASSPORT: ("number", "expires_on", "country"),
    FormStep.HEALTH: ("nothing_to_declare", *HEALTH_TEXTS),
    FormStep.EMERGENCY: ("first_name", "last_name", "relationship", "phone", "mobile", "email"),
}
CONSENT_VERSION = "1"
_CONSENT = {
    FormSigner.TRAVELLER: "I am {name} and travel with “{trip}”. ",
    FormSigner.GUARDIAN: (
        "I am the parent or guardian of {name}, who is under 18 on the day of departure and travels with “{trip}”. "
    ),
}
_CONSENT_REST = (
    "What I have given in this form is right as far as I know. The organiser may keep it, data about health and "
    "passport included, and hand on to airlines, hotels, companies on site and authorities what the trip requires. "
    "I shall tell the organiser if anything changes. My name below is meant as my signature under these words."
)


class Closed(Exception):
    """The form takes no more answers: it was sent in, withdrawn, or its time is over."""


class NotSigned(ValueError):
    """The form is not sent in; the sentence says why and what to do."""


# What the office has


def on_file(passenger: Passenger, step: str) -> Values:
    """The office's record as plain values, to compare an answer with. Emergency contacts by their place, from 1."""
    if step == FormStep.DETAILS:
        return _plain(passenger, FIELDS[step])
    if step == FormStep.EMERGENCY:
        people = EmergencyContact.objects.filter(passenger=passenger)
        return {str(place): _plain(one, FIELDS[step]) for place, one in enumerate(people, start=1)}
    model: Any = {FormStep.PASSPORT: Passport, FormStep.HEALTH: HealthRecord}.get(FormStep(step))
    row = model.objects.filter(passenger=passenger).first() if model else None
    return _plain(row, FIELDS[step]) if row else {}


def hint_of(step: str, values: Values) -> str:
    """So much of an answer, or of the record, that its owner knows it again; empty where there is nothing to keep."""
    if step == FormStep.PASSPORT:
        return f"Passport whose number ends {values['number'][-3:]}" if len(values.get("number", "")) > 3 else ""
    if step == FormStep.HEALTH:
        return "Answers about health and diet" if any(values.values()) else ""
    if step == FormStep.EMERGENCY:
        people = [one for one in values.values() if one["phone"] or one["mobile"]]
        return ", ".join(_initialled(one) for one in people)
    return ""


def may_keep(passenger: Passenger, step: str, values: Values) -> bool:
    """Whether what is on file will do: a passport has to outlive the trip."""
    if step == FormStep.PASSPORT and values:
        expires = dt.date.fromisoformat(values["expires_on"]) if values["expires_on"] else None
        return Passport(passenger=passenger, expires_on=expires).validity == Passport.Validity.OK
    return bool(values)


def as_answered(form: TravellerForm, passenger: Passenger) -> Passenger:
    """The passenger as the answers have it, for what depends on name and age; never saved."""
    shown = copy.copy(passenger)
    details = form.answered.get(FormStep.DETAILS)
    for name, value in (details or {}).get("values", {}).items():
        setattr(shown, name, typed(shown, name, value))
    return shown


# Answering


def save_answer(*, form: TravellerForm, step: str, how: str, values: Values | None = None) -> TravellerForm:
    """Keep one step's answer, with what the record holds now. Raises Closed when the form takes none any more.

    An answer typed earlier stays when it is to be kept.
    """
    with transaction.atomic():
        row = held(form)
        answers, base = row.answered, row.held_before
        if how == KEEP and answers.get(step, {}).get("how") == NEW:
            return row
        answers[step] = {"how": how, "values": values or {}}
        base[step] = on_file(row.passenger, step)
        row.answers, row.base = json.dumps(answers), json.dumps(base)
        row.save(update_fields=["answers", "base"])
    return row


def signer_of(form: TravellerForm, passenger: Passenger) -> FormSigner:
    """Who has to sign: the guardian of somebody who is under 18 on departure, by the date of birth just given."""
    return FormSigner.GUARDIAN if as_answered(form, passenger).is_minor else FormSigner.TRAVELLER


def consent_text(form: TravellerForm, passenger: Passenger, signer: str) -> str:
    name = as_answered(form, passenger).legal_name
    return f"{_CONSENT[FormSigner(signer)].format(name=name, trip=passenger.trip)}{_CONSENT_REST}"


def shown_hash(form: TravellerForm, passenger: Passenger) -> str:
    """Tells whether the answers and the words are still those that somebody has before them."""
    text = consent_text(form, passenger, signer_of(form, passenger))
    return str(keyed_hash(f"traveller form {form.pk}: {_canonical(form.answered)} {text}"))


def sign(*, form: TravellerForm, name: str, relationship: str, intent: bool, shown: str) -> TravellerForm:
    """Sign and send in. Raises NotSigned or Closed.

    Kept are the words shown, who signed as what, that it was meant, when, and a SHA-256 over these and every answer.
    """
    with transaction.atomic():
        row = held(form)
        passenger = row.passenger
        if row.next_step:
            raise NotSigned(f"Please answer “{FormStep(row.next_step).label}” first.")
        if shown != shown_hash(row, passenger):
            raise NotSigned("Your answers have changed since this page was opened. Please read it once more.")
        row.signer = signer_of(row, passenger)
        row.signed_name, row.relationship = " ".join(name.split()), " ".join(relationship.split())
        _check_signature(row, as_answered(row, passenger), intent)
        row.intent = intent
        row.consent_version, row.consent_text = CONSENT_VERSION, consent_text(row, passenger, row.signer)
        row.sent_in_at, row.state = timezone.now(), FormState.SENT_IN
        row.signed_sha256 = _signed_hash(row)
        row.sent_back_reason, row.reviewed = "", []
        row.save(update_fields=[*_SIGNED, "state", "sent_back_reason", "reviewed"])
    return row


_SIGNED = (
    "signer",
    "signed_name",
    "relationship",
    "intent",
    "consent_version",
    "consent_text",
    "sent_in_at",
    "signed_sha256",
)


def signature_holds(form: TravellerForm) -> bool:
    """Whether what is kept is still what was signed."""
    return bool(form.signed_sha256) and form.signed_sha256 == _signed_hash(form)


def _check_signature(form: TravellerForm, traveller: Passenger, intent: bool) -> None:
    if not intent:
        raise NotSigned("Tick the box that says that your name is meant as a signature.")
    if form.signer == FormSigner.TRAVELLER and fold_search(form.signed_name) not in _names_of(traveller):
        raise NotSigned(f"Sign with the name that you gave above: {traveller.legal_name}.")
    if form.signer == FormSigner.GUARDIAN and not form.relationship:
        raise NotSigned("Say what you are to the traveller, such as mother or guardian.")
    if form.signer == FormSigner.GUARDIAN and (
        not form.signed_name or fold_search(form.signed_name) in _names_of(traveller)
    ):
        raise NotSigned("A parent or guardian signs for somebody under 18: type the parent’s or guardian’s own name.")


def _names_of(traveller: Passenger) -> set[str]:
    """Without accents, which few phones offer; with or without the middle name."""
    short = f"{traveller.legal_first_name} {traveller.legal_last_name}"
    return {fold_search(traveller.legal_name), fold_search(short.strip())}


def _signed_hash(form: TravellerForm) -> str:
    signed = {
        "form": str(form.uid),
        "passenger": str(form.passenger.uid),
        "answers": form.answered,
        "consent": {"version": form.consent_version, "text": form.consent_text},
        "signature": [form.signer, form.signed_name, form.relationship, form.intent],
        "at": form.sent_in_at.astimezone(dt.UTC).isoformat() if form.sent_in_at else "",
    }
    return hashlib.sha256(_canonical(signed).encode()).hexdigest()


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def held(form: TravellerForm) -> TravellerForm:
    """The form as the database has it, held until the transaction ends; raises Closed when it is not open."""
    rows = TravellerForm.objects.select_for_update(of=("self",)).select_related("passenger__trip")
    row = rows.get(pk=form.pk)
    if standing(row) != Standing.OPEN:
        raise Closed
    return row


def _plain(row: Any, names: tuple[str, ...]) -> Values:
    return {name: plain(getattr(row, name)) for name in names}


def plain(value: Any) -> Any:
    """A value as JSON has it, with one spelling for empty."""
    if isinstance(value, dt.date):
        return value.isoformat()
    return "" if value is None else value


def typed(row: Any, name: str, value: Any) -> Any:
    """A plain value as the model's own."""
    field = row._meta.get_field(name)
    return None if value == "" and field.null else field.to_python(value)


def _initialled(one: Mapping[str, str]) -> str:
    number = one["mobile"] or one["phone"]
    name = f"{one['first_name']} {one['last_name'][:1]}".strip()
    return f"{name}, number ends {number[-3:]}" if name else f"number ends {number[-3:]}"
