"""Looking at what travellers sent in: each answer beside today's value, taken over piece by piece or sent back.

What is taken over is a batch, so it has an undo, and ordinary saves, so whoever listens to saves hears of it. Each part
has the permission of its data: who may not see passports finds "answered, hidden", and it waits for somebody else.
"""

from __future__ import annotations

import copy
import datetime as dt
import json
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from typing import Any

from django.db import transaction
from django.utils import formats, timezone
from django.utils.text import capfirst

from trips import rules
from trips.encryption import keyed_hash
from trips.enums import BatchKind, DocumentKind, DocumentState, FormSigner, FormState, FormStep, PassengerStage
from trips.gaps import HEALTH_TEXTS
from trips.models import Batch, Document, EmergencyContact, HealthRecord, Passenger, Passport, TravellerForm
from trips.services.batches import Recorder, recorded
from trips.services.traveller_answers import FIELDS, NEW, Values, on_file, plain, typed
from trips.services.traveller_links import works_until
from trips.text import fold_search

RECORD = "record"  # what follows from a form that was sent in
May = Callable[[str], bool]
_MODELS: dict[str, type[Any]] = {
    FormStep.DETAILS: Passenger,
    FormStep.PASSPORT: Passport,
    FormStep.HEALTH: HealthRecord,
    FormStep.EMERGENCY: EmergencyContact,
    RECORD: Passenger,
}
# Settled when the traveller was booked; an answer does not open them again.
_NOT_ASKED = ("on_this_trip_already", "trip_is_full", "number_taken")
LEFT_OUT = "Left out when the traveller’s form was reviewed."
HIDDEN = "Answered, hidden: your account may not see it."
HOW = {"keep": "Nothing changed: what is on file is kept.", "later": "Will be sent later."}


class NotTaken(ValueError):
    """Nothing was taken over or decided; the sentence says why and what to do."""


@dataclass(frozen=True, slots=True)
class Line:
    """One value: today's and the answer, in words. `was` is that of the time of the answer, where it is not today's."""

    key: str
    label: str
    now: str
    answer: str
    value: Any
    changed: bool
    was: str = ""
    emptied: bool = False

    @property
    def ticked(self) -> bool:
        """Offered to be taken over; what the office changed meanwhile, or what would be emptied, a person decides."""
        return self.changed and not self.was and not self.emptied


@dataclass(frozen=True, slots=True)
class Part:
    code: str
    title: str
    lines: list[Line]
    told: str = ""  # hidden, kept, later, decided; or what follows from a tick
    open: bool = False  # it waits for a decision, and this person may make it

    @property
    def changes(self) -> int:
        return sum(line.changed for line in self.lines)


def compare(form: TravellerForm, may: May) -> list[Part]:
    """The parts of a form that was sent in, as this person may see them."""
    answers, base = form.answered, form.held_before
    parts = []
    for step in form.steps:
        answer = answers.get(step, {})
        if step == FormStep.DOCUMENTS:
            parts.append(_files(form, may))
        else:
            parts.append(_part(form, step, answer, base.get(step, {}), may))
    return [*parts, _record(form, may)]


def shown_hash(form: TravellerForm, parts: Iterable[Part]) -> str:
    """Tells whether both sides are still what the reviewer has before them."""
    seen = [(line.key, line.now, line.answer) for part in parts for line in part.lines]
    return str(keyed_hash(f"review {form.pk}: {json.dumps([form.signed_sha256, seen])}"))


def accept(*, form: TravellerForm, keys: Collection[str], shown: str, may: May, by: Any) -> Batch:
    """Take over the lines with these keys; the batch, whose undo puts the form back, too. Raises NotTaken.

    Every part that this person may decide about counts as reviewed; with the last one the form is.
    """
    title = f"Form of {form.passenger} accepted"
    with recorded(kind=BatchKind.CHANGE, title=title, by=by) as recorder, transaction.atomic():
        # The traveller before the form, as whoever makes a link does: what is compared is read once nobody writes it.
        _hold(form.passenger_id)
        row = _waiting(form)
        parts = compare(row, may)
        if shown != shown_hash(row, parts):
            raise NotTaken("Something has changed since you looked. These are the values of now: look again.")
        mine = [part for part in parts if part.open]
        lines = [line for part in mine for line in part.lines if line.changed and line.key in keys]
        if not mine or {*keys} - {line.key for part in mine for line in part.lines}:
            raise NotTaken("You may not decide about this part of the form.")
        _take_over(recorder, row, lines)
        if any(part.code == FormStep.DOCUMENTS for part in mine):
            _take_files(recorder, row, keys)
        decided = [*row.reviewed, *(part.code for part in mine)]
        done = all(code in decided for code in _to_decide(row))
        recorder.change(
            row,
            reviewed=decided,
            state=FormState.ACCEPTED if done else FormState.SENT_IN,
            reviewed_by_id=by.pk if by else None,
            reviewed_at=timezone.now(),
            save=_columns,
        )
    form.refresh_from_db()
    return recorder.batch


def send_back(*, form: TravellerForm, reason: str, by: Any) -> None:
    """Open the form again, with the reason for the traveller to read; the same link works for the usual time."""
    told = " ".join(reason.replace("\x00", "").split())[:255]
    if not told:
        raise NotTaken("Say what is to be mended; the traveller reads it.")
    with transaction.atomic():
        row = _waiting(form)
        row.state, row.sent_back_reason, row.reviewed = FormState.OPEN, told, []
        row.expires_at = works_until(row.passenger)
        row.reviewed_by, row.reviewed_at = by, timezone.now()
        row.save(update_fields=["state", "sent_back_reason", "reviewed", "expires_at", "reviewed_by", "reviewed_at"])
    form.refresh_from_db()


def to_review() -> Any:
    """Forms that wait, the oldest first."""
    rows = TravellerForm.objects.filter(state=FormState.SENT_IN).order_by("sent_in_at", "pk")
    return rows.select_related("passenger__trip", "passenger__contact")


# What is compared


def _sees(label: str | None, may: May) -> bool:
    return may(f"trips.view_{label}") or may(f"trips.change_{label}")


def _part(form: TravellerForm, step: str, answer: Values, base: Values, may: May) -> Part:
    title, label = FormStep(step).label, _MODELS[step]._meta.model_name
    if not _sees(label, may):
        return Part(step, title, [], HIDDEN)
    if answer.get("how") != NEW:
        return Part(step, title, [], HOW.get(answer.get("how", ""), "Not answered."))
    now = on_file(form.passenger, step)
    lines = [
        _line(step, name, now.get(name, none), base.get(name, none), value, whole=may(f"trips.change_{label}"))
        for name, value in answer["values"].items()
        for none in (False if isinstance(value, bool) else "",)
    ]
    if step == FormStep.HEALTH and any(line.emptied for line in lines):
        # "Nothing to declare" goes with emptying what is there: both are for a person to tick.
        lines = [replace(line, emptied=True) if line.value is True else line for line in lines]
    if step in form.reviewed:
        return Part(step, title, lines, "Reviewed already.")
    return Part(step, title, lines, open=_may_write(step, now, answer["values"], may))


def _files(form: TravellerForm, may: May) -> Part:
    """The files, each with a tick; a scan of a passport is for whoever may see passports."""
    code, title = FormStep.DOCUMENTS, FormStep.DOCUMENTS.label
    rows = list(Document.objects.filter(pk__in=form.file_ids).defer("remote_url").order_by("pk"))
    if not rows:
        return Part(code, title, [], "No file was sent.", open=_waits(form, code) and may("trips.change_document"))
    scans = any(row.kind == DocumentKind.PASSPORT_SCAN for row in rows)
    if not _sees("document", may) or (scans and not _sees("passport", may)):
        return Part(code, title, [], HIDDEN)
    lines = [_file_line(row) for row in rows]
    if not _waits(form, code):
        return Part(code, title, lines, "Reviewed already.")
    told = "What is ticked comes to Documents, to be reviewed there; what is not counts as rejected."
    return Part(code, title, lines, told, open=may("trips.change_document"))


def _file_line(row: Document) -> Line:
    waits = row.state == DocumentState.WITH_FORM
    now = "" if waits else str(row.get_state_display())
    return Line(f"{FormStep.DOCUMENTS}.{row.pk}", str(row.get_kind_display()), now, row.original_name, row.pk, waits)


def _record(form: TravellerForm, may: May) -> Part:
    """What follows from the form: the day on which the details came, and the stage of those who were just added."""
    passenger, lines = form.passenger, []
    day = timezone.localdate(form.sent_in_at) if form.sent_in_at else None
    if day and (passenger.details_submitted_on is None or passenger.details_submitted_on < day):
        now = plain(passenger.details_submitted_on)
        lines.append(_line(RECORD, "details_submitted_on", now, now, day.isoformat()))
    if passenger.stage == PassengerStage.ADDED_TO_TRIP:
        lines.append(_line(RECORD, "stage", passenger.stage, passenger.stage, str(PassengerStage.DETAILS_SUBMITTED)))
    decided = RECORD in form.reviewed
    return Part(RECORD, "Because of this form", lines, open=may("trips.change_passenger") and not decided)


def _line(part: str, name: str, now: Any, base: Any, value: Any, *, whole: bool = True) -> Line:
    changed = now != value
    return Line(
        f"{part}.{name}",
        _label(part, name),
        _words(part, name, now, whole),
        _words(part, name, value, whole),
        value,
        changed,
        (_words(part, name, base, whole) or "nothing") if changed and base != now else "",
        changed and value in ("", False),
    )


def _label(part: str, name: str) -> str:
    if part == FormStep.EMERGENCY:
        return {"1": "First contact", "2": "Second contact"}[name]
    return capfirst(str(_MODELS[part]._meta.get_field(name).verbose_name))


def _words(part: str, name: str, value: Any, whole: bool) -> str:
    if part == FormStep.EMERGENCY:
        return ", ".join(filter(None, (_joined(value), *(value[key] for key in FIELDS[part][2:])))) if value else ""
    if part == FormStep.PASSPORT and name == "number" and not whole:
        return f"••{value[-4:]}" if value else ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    field = _MODELS[part]._meta.get_field(name)
    if value and field.get_internal_type() == "DateField":
        return formats.date_format(dt.date.fromisoformat(value), "j M Y")
    return str(dict(field.flatchoices).get(value, value))


def _joined(person: Values) -> str:
    return " ".join(filter(None, (person["first_name"], person["last_name"])))


def _may_write(step: str, now: Values, values: Values, may: May) -> bool:
    """Changing takes the permission to change, a row that is not there yet the one to add."""
    label = _MODELS[step]._meta.model_name
    if step == FormStep.EMERGENCY:
        verbs = {"change" if place in now else "add" for place in values}
    else:
        verbs = {"change" if now else "add"}
    return all(may(f"trips.{verb}_{label}") for verb in verbs)


def _to_decide(form: TravellerForm) -> list[str]:
    answers = form.answered
    typed_in = [step for step in form.steps if step in FIELDS and answers.get(step, {}).get("how") == NEW]
    return [*typed_in, *([FormStep.DOCUMENTS] if form.file_ids else []), RECORD]


def _waits(form: TravellerForm, part: str) -> bool:
    return part in _to_decide(form) and part not in form.reviewed


# Taking over


def _take_over(recorder: Recorder, form: TravellerForm, lines: list[Line]) -> None:
    chosen: dict[str, Values] = {}
    for line in lines:
        part, name = line.key.split(".")
        if part == FormStep.DOCUMENTS:
            continue
        chosen.setdefault(part, {})[name] = line.value
    person = {**chosen.pop(FormStep.DETAILS, {}), **chosen.pop(RECORD, {})}
    passenger = _changed(form.passenger, person)
    if form.signer == FormSigner.TRAVELLER and passenger.is_minor:
        raise NotTaken(
            "The traveller signed, and is under 18 on departure by the date of birth that would stand. Take over the "
            "date of birth, or send the form back so that a parent or guardian signs."
        )
    if person:
        _write(recorder, form.passenger, passenger, person)
    for part, model in ((FormStep.PASSPORT, Passport), (FormStep.HEALTH, HealthRecord)):
        if values := chosen.get(part):
            row = model._base_manager.filter(passenger=passenger).first() or model(passenger=form.passenger)
            row.passenger = passenger
            changed = _changed(row, values)
            if part == FormStep.HEALTH:
                _check_health(changed)
            _write(recorder, row, changed, values)
    people = list(EmergencyContact.objects.filter(passenger=passenger))
    for place, values in sorted(chosen.get(FormStep.EMERGENCY, {}).items()):
        there = int(place) <= len(people)
        contact = people[int(place) - 1] if there else EmergencyContact(passenger=passenger, position=int(place))
        values = {**values, **_of_another(contact, values)}
        _write(recorder, contact, _changed(contact, values), values)


def _of_another(contact: EmergencyContact, values: Values) -> Values:
    """The form asks for no address: that of somebody else does not stay with whoever takes their place."""
    names = ("first_name", "last_name")
    same = fold_search(*(getattr(contact, name) for name in names)) == fold_search(*(values[name] for name in names))
    return {} if same else dict.fromkeys(("address", "city", "state", "postal_code"), "")


def _take_files(recorder: Recorder, form: TravellerForm, keys: Collection[str]) -> None:
    """Those that are ticked come to the documents' own desk; nothing else can come of them any more."""
    for row in Document.objects.filter(pk__in=form.file_ids, state=DocumentState.WITH_FORM).order_by("pk"):
        if f"{FormStep.DOCUMENTS}.{row.pk}" in keys:
            recorder.change(row, state=DocumentState.RECEIVED)
        else:
            recorder.change(row, state=DocumentState.REJECTED, rejection_reason=LEFT_OUT)


def _check_health(record: HealthRecord) -> None:
    """Care sheets count who has nothing to declare: nobody of whom something stands there."""
    said = [name for name in HEALTH_TEXTS if getattr(record, name) and not name.startswith("physician")]
    if record.nothing_to_declare and said:
        label = _label(FormStep.HEALTH, said[0])
        raise NotTaken(f"“Nothing to declare” does not go with what stands at “{label}”: take over both, or neither.")


def _changed(row: Any, values: Values) -> Any:
    """The row with the values in it, in the model's own types; the row itself stays as it is."""
    changed = copy.copy(row)
    for name, value in values.items():
        setattr(changed, name, typed(row, name, value))
    return changed


def _write(recorder: Recorder, row: Any, changed: Any, values: Values) -> None:
    """Save it within the batch; raises NotTaken with the sentences of the rules that it would break."""
    broken = rules.violations(changed, list(values) if row.pk else None, but=_NOT_ASKED)
    if sentences := [one.sentence for one in broken if one.blocking]:
        raise NotTaken(" ".join(sentences))
    if row.pk is None:
        changed.passenger = Passenger.objects.get(pk=changed.passenger_id)
        recorder.make(changed)
    else:
        recorder.change(row, **{name: getattr(changed, name) for name in values})


def _columns(row: Any, fields: set[str]) -> None:
    row.save(update_fields=fields)


def _waiting(form: TravellerForm) -> TravellerForm:
    """The form, held until the transaction ends; raises NotTaken when it does not wait any more."""
    rows = TravellerForm.objects.select_for_update(of=("self",)).select_related("passenger__trip")
    row = rows.get(pk=form.pk)
    if row.state != FormState.SENT_IN:
        raise NotTaken(f"The form is {row.get_state_display().lower()} already; somebody was quicker.")
    return row


def _hold(passenger_id: int) -> None:
    """Nobody else writes these rows between the comparison and the save."""
    for model, where in ((Passenger, "pk"), (Passport, "passenger"), (HealthRecord, "passenger")):
        rows = model._base_manager.select_for_update(no_key=True).filter(**{where: passenger_id})
        list(rows.order_by().values_list("pk"))
    list(EmergencyContact.objects.select_for_update().filter(passenger=passenger_id).values_list("pk"))
