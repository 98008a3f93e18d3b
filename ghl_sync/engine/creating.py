"""A record that is not over there yet: made, or found there and taken over.

A create whose answer was lost is never repeated before it has been looked up twice after the settle time.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import dataclass

from ghl_sync.client.errors import (
    DuplicateContact,
    DuplicateOpportunity,
    NotFound,
    Refused,
)
from ghl_sync.client.types import Record
from ghl_sync.engine import apply, state
from ghl_sync.engine.base import Base
from ghl_sync.engine.clock import database_now
from ghl_sync.engine.local import MODELS, Local, contact_id_of, load, standing_for
from ghl_sync.engine.results import Result
from ghl_sync.engine.sending import Ended, called, note_unsendable, secrets_of, verify
from ghl_sync.engine.session import Session
from ghl_sync.engine.state import Seen
from ghl_sync.mapping.fields import Values
from ghl_sync.mapping.table import CONTACT_KEY_FIELD, KEY_FIELD, MAPS
from ghl_sync.mapping.translate import build_body
from ghl_sync.models import Issue, Kind, Link, Write
from trips.models import Contact

logger = logging.getLogger("ghl_sync.push")

LOOKUPS = 2


def owner(session: Session, local: Local) -> Contact | None:
    contact_id = contact_id_of(local)
    if contact_id is not None:
        return standing_for(contact_id)
    fallback = session.config.fallback_email.strip().lower()
    if local.kind != Kind.TRIP or not fallback:
        return None
    contact = Contact.objects.standing().filter(email=fallback).order_by("pk").first()
    if contact is None:
        contact = Contact(email=fallback)
        contact.save()
    return contact


@dataclass(frozen=True, slots=True)
class Adopted:
    """The record was over there already and is ours from now on; what differs remains to be merged."""

    created: bool  # by us, though no answer said so


class Vanished(Exception):
    """The object was deleted here while its record was being made."""


def create(session: Session, link: Link, seen: Seen) -> Result | Adopted:
    """Make the record, or take over the one that is there. Raises Ended, Vanished and what the client raises."""
    found = doubtful_create(session, link)
    if found is not None:
        return _adopt(session, link, found, created=True)
    if link.kind == Kind.CONTACT:
        return _create_contact(session, link, seen)
    return _create_opportunity(session, link, seen)


def _create_opportunity(session: Session, link: Link, seen: Seen) -> Result | Adopted:
    local = load(link.kind, link.object_id)
    if local is None:
        raise Vanished
    owner_id = _owner_id(session, link, local)
    pipeline = session.definitions.pipelines.get(link.kind)
    if pipeline is None:
        name = session.config.pipelines[link.kind]
        raise Refused(f"GoHighLevel has no pipeline named {name}; create it there, then run `manage.py ghl_setup`.")
    values = _creatable(session, local)
    values["organiser" if link.kind == Kind.TRIP else "contact"] = owner_id
    body = build_body(local.table, values, session.definitions)
    note_unsendable(session, link, body)
    if body.missing_stages:
        raise Refused(
            f"GoHighLevel's pipeline {pipeline.name} has no stage {body.missing_stages[0]!r}; create it there, then "
            "run `manage.py ghl_setup`."
        )
    body.body["pipeline_id"] = pipeline.id
    base = apply.base_of(link)
    write = state.open_write(
        link,
        Write.Action.CREATE,
        contact_remote_id=owner_id,
        pipeline_id=pipeline.id,
        values={name: base.seal(name, value) for name, value in body.sent.items()},
    )
    try:
        record: Record = called(
            write, lambda: session.client.create_opportunity(body.body), secret=secrets_of(base, body.sent)
        )
    except DuplicateOpportunity as error:
        return _adopt_ours(session, link, error)
    return _made(session, link, seen, local, base, body.sent, record, pipeline.id)


def _owner_id(session: Session, link: Link, local: Local) -> str:
    """The id over there of the contact this opportunity will belong to; ends this try when there is none yet."""
    contact = owner(session, local)
    if contact is None:
        state.park(
            link,
            "The trip has no lead organiser, and GoHighLevel takes no trip without one: choose one and save. "
            "(Administrators: GHL_FALLBACK_CONTACT_EMAIL can name one for all such trips.)",
        )
        raise Ended(Result.FAILED)
    theirs = Link.objects.filter(kind=Kind.CONTACT, object_id=contact.pk).first()
    if theirs is None or not theirs.remote_id:
        why = (theirs.last_error if theirs else "") or "It is not in GoHighLevel yet."
        state.release(link, why=f"Waits for its contact. {why}", after=30 * session.config.scale)
        raise Ended(Result.WAITING)
    return theirs.remote_id


def _creatable(session: Session, local: Local) -> Values:
    """Every value a create may carry: nothing empty, nothing that only comes in, nothing that must stay home."""
    values = local.values()
    return {
        row.name: value
        for row in local.table.fields
        if session.rules.goes_out(local.kind, row) and (value := values.get(row.name)) is not None
    }


def _made(
    session: Session,
    link: Link,
    seen: Seen,
    local: Local,
    base: Base,
    sent: Values,
    record: Record,
    pipeline_id: str = "",
) -> Result:
    """Remember the new record at once, then what it holds."""
    state.keep(
        link,
        remote_id=record.id,
        location_id=session.config.location_id,
        pipeline_id=pipeline_id,
        label=str(local.obj)[:255],
    )
    if sent.get("tags"):
        base.agree("tags", sent["tags"], sent["tags"])
    base.known = True
    facts = verify(session, link, base, {n: v for n, v in sent.items() if n != "tags"}, record)
    apply.fan_out(session, link, local, base, seen.seats)
    apply.remember(local, base)
    state.agreed(link, base, seen, **facts)
    if link.kind == Kind.CONTACT:
        state.close_issues(link, codes=(Issue.Code.SAME_HERE,))
        wake_waiting(session, link)
    return Result.CREATED


def wake_waiting(session: Session, link: Link) -> None:
    """What waited for this contact may go at once; whoever runs this task takes it along."""
    for kind, field in ((Kind.TRIP, "organiser_id"), (Kind.PASSENGER, "contact_id")):
        ids = MODELS[kind]._base_manager.filter(**{field: link.object_id}).values_list("pk", flat=True)
        session.woken.update(state.wake_dependants(kind, list(ids)))


def _adopt_ours(session: Session, link: Link, error: DuplicateOpportunity) -> Result | Adopted:
    """Only one opportunity per contact is allowed: the existing one is ours only if it bears our key."""
    existing = session.client.get_opportunity(error.existing_id) if error.existing_id else None
    if existing is not None and _bears_key(session, link, existing):
        return _adopt(session, link, existing, created=True)
    state.park(
        link,
        f"{error.words} Switch on “Allow Duplicate Opportunities” in GoHighLevel's settings, then press Sync now.",
    )
    return Result.FAILED


def _bears_key(session: Session, link: Link, record: Record) -> bool:
    definition = session.definitions.fields.get(MAPS[link.kind].by_name["key"].remote)
    return definition is not None and record.custom.get(definition.id) == link.key


def _adopt(session: Session, link: Link, record: Record, *, created: bool = False) -> Result | Adopted:
    """This record over there is ours from now on; what differs is merged like any other change."""
    owner = state.of_records(session.config.location_id, [record.id]).exclude(pk=link.pk).first()
    if owner is not None and _is_merged_into(owner, link):
        state.hand_over(owner)
    elif owner is not None:
        return _same_twice(link, owner, record)
    pipeline_id = str(record.raw.get("pipelineId") or "")
    state.keep(link, remote_id=record.id, location_id=session.config.location_id, pipeline_id=pipeline_id)
    state.close_issues(link, codes=(Issue.Code.SAME_HERE,))
    base = apply.base_of(link)
    for write in apply.adopt_writes(link, base):
        state.close_write(write, Write.Outcome.FOUND, remote_id=record.id)
    state.keep(link, base=base.dump() if base.known else {})
    return Adopted(created)


def _is_merged_into(owner: Link, link: Link) -> bool:
    """Whether that record's contact is one that was merged into this link's here."""
    return owner.kind == Kind.CONTACT == link.kind and owner.pk in {
        one.pk for one in state.merged_halves(link.object_id)
    }


def _same_twice(link: Link, owner: Link, record: Record) -> Result:
    """Two of ours are one record over there: a person says whether they are one."""
    if link.kind != Kind.CONTACT:
        state.park(
            link,
            f"GoHighLevel's record belongs to {owner} already: the same one twice here. Give what hangs on this one to "
            "the other and delete this one.",
        )
        return Result.FAILED
    state.park(
        link,
        f"GoHighLevel's record belongs to {owner} already: the same one twice here. Merge the two, or make their "
        "e-mail and phone differ and press Sync now.",
    )
    words = f"“{link.label}” and “{owner.label}” are one contact in GoHighLevel: the same e-mail or phone. Merge them."
    state.open_issue(link, Issue.Code.SAME_HERE, words, remote_id=record.id)
    return Result.FAILED


def doubtful_create(session: Session, link: Link) -> Record | None:
    """Settle a create whose answer was lost: the record it made, or None when it is safe to create.

    Ends this try (`Ended`) while it is neither: before the settle time, and until two look-ups a minute apart
    found nothing (API notes §8).
    """
    made = state.answered_create(link)
    if made:
        try:
            return session.read(link.kind, made)  # the worker that got the answer ended before it could say so
        except NotFound:
            logger.info("%s was made and is gone already", link.key)
    doubts = [write for write in state.open_writes(link) if write.action == Write.Action.CREATE]
    if not doubts:
        return None
    config, now = session.config, database_now()
    matches = _matches(session, link, doubts)
    if len(matches) == 1:
        return matches[0]
    if matches:
        for match in matches:
            words = f"{len(matches)} records in GoHighLevel bear the key of “{link.label}”. Say which one it is."
            state.open_issue(link, "twin", words, remote_id=match.id)
        state.park(link, "Several records in GoHighLevel bear this record's key. Say which one it is.")
        raise Ended(Result.FAILED)
    _stop_without_key(session, link, doubts)
    write = doubts[-1]
    settled_in = config.settle - (now - write.sent_at).total_seconds()
    last = write.looked_up_at
    counts = settled_in <= 0 and (
        write.empty_lookups == 0 or last is None or (now - last).total_seconds() >= config.lookup_gap
    )
    lookups = state.looked_in_vain(write, counts=counts)
    if lookups >= LOOKUPS:
        for doubt in doubts:
            state.close_write(doubt, Write.Outcome.NOT_APPLIED)
        return None
    state.release(
        link, why="An answer was lost; looking before trying again.", after=max(settled_in, config.lookup_gap)
    )
    raise Ended(Result.WAITING)


def _stop_without_key(session: Session, link: Link, doubts: Collection[Write]) -> None:
    """Without the field for our key a lost create cannot be told from a stranger's record: a person must look."""
    if link.kind == Kind.CONTACT or KEY_FIELD in session.definitions.fields:
        return
    ids = {
        record.id
        for contact_id, pipeline_id in {(write.contact_remote_id, write.pipeline_id) for write in doubts}
        for record in session.client.find_opportunities(contact_id=contact_id, pipeline_id=pipeline_id)
    }
    known = state.of_records(session.config.location_id, ids)
    if ids - set(known.values_list("remote_id", flat=True)):
        state.park(
            link,
            "An answer was lost, and GoHighLevel has no field for TripBuilder's key to find the record by. Run "
            "`manage.py ghl_setup --apply`, then look in GoHighLevel whether the record is there before you press "
            "Sync now.",
        )
        raise Ended(Result.FAILED)


def _matches(session: Session, link: Link, doubts: Collection[Write]) -> list[Record]:
    if link.kind == Kind.CONTACT:
        return _contacts_like(session, link)
    places = {(write.contact_remote_id, write.pipeline_id) for write in doubts}
    found: dict[str, Record] = {}
    for contact_id, pipeline_id in places:
        for record in session.client.find_opportunities(contact_id=contact_id, pipeline_id=pipeline_id):
            if _bears_key(session, link, record):
                found[record.id] = record
    return list(found.values())


def _contacts_like(session: Session, link: Link) -> list[Record]:
    """The contacts over there with this one's e-mail, phone or key."""
    local = load(Kind.CONTACT, link.object_id)
    found: dict[str, Record] = {}
    if local is None:
        return []
    values = local.values()
    if values.get("email"):
        _note(found, session.client.find_contact_by_email(values["email"]))
    if str(values.get("phone") or "").startswith("+"):
        _note(found, session.client.find_contact_by_phone(values["phone"]))
    definition = session.definitions.fields.get(CONTACT_KEY_FIELD)
    # Before the first try nobody can hold our key; it is looked for after a doubt, or where nothing else identifies.
    by_key = not (values.get("email") or values.get("phone")) or link.writes.exists()
    if definition is not None and by_key and not found:
        for record in session.client.find_contacts_by_field(definition.id, link.key):
            _note(found, record)
    return list(found.values())


def _note(found: dict[str, Record], record: Record | None) -> None:
    if record is not None:
        found[record.id] = record


def _create_contact(session: Session, link: Link, seen: Seen) -> Result | Adopted:
    local = load(Kind.CONTACT, link.object_id)
    if local is None:
        raise Vanished
    values = _creatable(session, local)
    if not {"first_name", "last_name", "email", "phone"} & set(values):
        state.park(link, "GoHighLevel needs at least a name, an e-mail address or a phone number.")
        return Result.FAILED
    if session.location.allow_duplicate_contact is not False:
        known = _known_contact(session, link)
        if known is not None:
            return known
    base = apply.base_of(link)
    body = build_body(local.table, values, session.definitions)
    note_unsendable(session, link, body)
    sealed = {name: base.seal(name, value) for name, value in body.sent.items()}
    write = state.open_write(link, Write.Action.CREATE, values=sealed)
    try:
        record: Record = called(write, lambda: session.client.create_contact(body.body))
    except DuplicateContact as error:
        return _adopt(session, link, session.client.get_contact(error.contact_id))
    except Refused:
        # Reported to have created the contact all the same (API notes §4): look before giving up.
        known = _known_contact(session, link)
        if known is not None:
            return known
        raise
    return _made(session, link, seen, local, base, body.sent, record)


def _known_contact(session: Session, link: Link) -> Result | Adopted | None:
    """Adopts the contact over there that is this one; None when there is none, or it is another contact of ours."""
    matches = _contacts_like(session, link)
    if session.location.allow_duplicate_contact:
        ids = [record.id for record in matches]
        taken = state.of_records(session.config.location_id, ids)
        merged = {one.pk for one in state.merged_halves(link.object_id)}
        owned = set(taken.exclude(pk__in={link.pk, *merged}).values_list("remote_id", flat=True))
        matches = [record for record in matches if record.id not in owned]
    if len(matches) > 1:
        state.park(link, "The e-mail address and the phone number belong to two contacts in GoHighLevel.")
        return Result.FAILED
    return _adopt(session, link, session.client.get_contact(matches[0].id)) if matches else None
