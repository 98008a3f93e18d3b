"""Make GoHighLevel match one record as it is here now; then every record that is due.

Every call that changes something is recorded before it leaves (`Write`); one whose answer was lost is a doubt,
and a doubtful create is never repeated before it has been looked up twice after the settle time.
"""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from ghl_sync.client.errors import (
    DuplicateContact,
    DuplicateOpportunity,
    GHLError,
    MissingScope,
    NeedsAttention,
    NotFound,
    NotSent,
    OutcomeUnknown,
    RateLimited,
    Refused,
    TryLater,
)
from ghl_sync.client.types import Record
from ghl_sync.engine import apply, options, state
from ghl_sync.engine.base import Base
from ghl_sync.engine.clock import database_now
from ghl_sync.engine.local import MODELS, Local, contact_id_of, load
from ghl_sync.engine.results import PushReport, Result
from ghl_sync.engine.session import Session
from ghl_sync.engine.state import Seen
from ghl_sync.mapping.fields import FieldMap, Values, Way
from ghl_sync.mapping.table import CONTACT_KEY_FIELD, KEY_FIELD, MAPS
from ghl_sync.mapping.translate import Body, build_body, read_record
from ghl_sync.models import Cause, Change, Kind, Link, Write
from trips.models import Contact

logger = logging.getLogger("ghl_sync.push")

LOOKUPS = 2
OWNER_SECONDS = 3.0
KIND_ORDER = (Kind.CONTACT, Kind.TRIP, Kind.PASSENGER)
PASSES = 4
# Links asked about in one query; SQLite takes a thousand parameters.
CANDIDATES = 500


class _Done(Exception):
    """This reconciliation has ended early, with its state written."""

    def __init__(self, result: Result) -> None:
        self.result = result


def reconcile(session: Session, link_id: int, *, force: bool = False) -> Result:
    """Bring one record to rest as far as possible now. Raises NeedsAttention when all traffic must stop."""
    link = Link.objects.filter(pk=link_id).first()
    if link is None or link.ignored_at is not None:
        return Result.UNCHANGED
    if link.kind != Kind.CONTACT and not link.remote_id:
        _owner_first(session, link)
    claimed = state.claim(link_id, session.config.lease, force=force)
    if claimed is None:
        return Result.BUSY
    try:
        return _attempt(session, claimed)
    except state.LostLease:
        return Result.BUSY
    except GHLError:
        raise
    except Exception as error:
        state.broke_off(claimed, f"An error of ours ({type(error).__name__}); the log says more.")
        raise


def _attempt(session: Session, claimed: Link) -> Result:
    """One claimed record, and what each kind of failure means for it."""
    try:
        with session.client.deadline(lambda: state.lease_left(claimed)):
            return _work(session, claimed)
    except _Done as done:
        return done.result
    except NeedsAttention as error:
        state.release(claimed, why=error.words, after=60 * session.config.scale)
        raise
    except RateLimited as error:
        state.release(claimed, why="GoHighLevel's limit is used up.", after=error.retry_after or 10.0)
        return Result.WAITING
    except TryLater as error:
        state.retry_later(claimed, error.words, session.config, after=error.retry_after)
        return Result.WAITING
    except Refused as error:
        state.park(claimed, error.words)
        return Result.FAILED


def _work(session: Session, link: Link) -> Result:
    seen = state.read_changes(link)
    session.client.lane = seen.lane
    if not MODELS[link.kind]._base_manager.filter(pk=link.object_id).exists():
        return _delete(session, link, seen)
    if link.parked_fields and _saved_since(seen, link.last_error_at):
        # The person may have mended what was refused.
        state.close_issues(link, fields=link.parked_fields, codes=("refused",))
        state.keep(link, parked_fields=[])
    if link.gone_at is not None and Cause.ASKED not in seen.causes:
        state.release(link, why="Gone in GoHighLevel; a person decides.")
        return Result.UNCHANGED
    if not link.remote_id:
        return _create(session, link, seen)
    return _update(session, link, seen)


def _saved_since(seen: Seen, moment: dt.datetime | None) -> bool:
    return seen.newest is not None and (moment is None or seen.newest > moment)


# An existing record


def _update(session: Session, link: Link, seen: Seen) -> Result:
    doubts = state.open_writes(link)
    if not link.base:
        _adopt_created(link)
    look = bool(doubts) or link.remote_dirty_at is not None or Cause.ASKED in seen.causes or not link.base
    record = _get(session, link) if look else None
    settled = apply.settle(session, link, record=record, seen=seen)
    if settled is not None and settled.plan.push and record is None and not _may_send_blind(session, link, settled):
        record = _get(session, link)
        settled = apply.settle(session, link, record=record, seen=seen)
    if settled is None:
        return _delete(session, link, seen)
    if record is not None:
        _close_doubts(session, link, settled.base, record, doubts)
    result = Result.UPDATED if settled.changed else Result.UNCHANGED
    if settled.plan.push:
        facts, sent = _send(session, link, settled)
        state.agreed(link, settled.base, seen, **(_facts(record) | facts))
        return Result.UPDATED if sent else result
    state.agreed(link, settled.base, seen, **_facts(record))
    return result


def _adopt_created(link: Link) -> None:
    """The record was made by us, though no answer said so: what the create held is what both sides agreed on."""
    base = apply.base_of(link)
    for values in state.created_values(link):
        for name, value in values.items():
            base.adopt(name, value)
    if base.known:
        state.keep(link, base=base.dump())


def _may_send_blind(session: Session, link: Link, settled: apply.Settled) -> bool:
    """Whether base stands for what GoHighLevel holds: just seen, and nothing to send is under dispute."""
    return _fresh(session, link) and not state.disputed(link, settled.plan.push)


def _fresh(session: Session, link: Link) -> bool:
    if link.remote_seen_at is None:
        return False
    return (database_now() - link.remote_seen_at).total_seconds() <= session.config.fresh


def _facts(record: Record | None) -> dict[str, Any]:
    """What an answer of GoHighLevel's own tells of the record beside its values."""
    if record is None:
        return {}
    return {"remote_seen_at": database_now(), "remote_updated_at": record.updated_at, "remote_digest": ""}


def _get(session: Session, link: Link) -> Record:
    try:
        return session.read(link.kind, link.remote_id)
    except NotFound as error:
        if _others_answer(session, link):
            state.gone(link, error.words)
            state.release(link)
            raise _Done(Result.WAITING) from None
        raise TryLater("GoHighLevel does not find the record, and no other record either.") from None


def _others_answer(session: Session, link: Link) -> bool:
    """ "Not found" counts only while another record of the kind is found."""
    others = Link.objects.filter(kind=link.kind, gone_at__isnull=True, deleted_at__isnull=True).exclude(pk=link.pk)
    other = others.exclude(remote_id="").order_by("-remote_seen_at").values_list("remote_id", flat=True).first()
    if other is None:
        return True  # the account holds no other record of ours: the known shape of the answer must do
    try:
        session.read(link.kind, other)
    except NotFound:
        return False
    return True


def _close_doubts(session: Session, link: Link, base: Base, record: Record, doubts: Collection[Write]) -> None:
    readings = read_record(MAPS[link.kind], record, session.definitions)
    for write in doubts:
        found = all(
            name in readings and base.opens(name, value, readings[name].value) for name, value in write.values.items()
        )
        state.close_write(write, Write.Outcome.FOUND if found else Write.Outcome.NOT_APPLIED)


def _send(session: Session, link: Link, settled: apply.Settled) -> tuple[dict[str, Any], bool]:
    """One PUT with the fields that differ; facts for the link, and whether anything was sent."""
    table, base = settled.local.table, settled.base
    wanted = settled.plan.push | settled.plan.ride
    tags = "tags" in wanted
    body = build_body(table, {name: v for name, v in wanted.items() if name != "tags"}, session.definitions)
    _note_unsendable(session, link, body)
    facts: dict[str, Any] = {}
    sends = bool(set(body.sent) & set(settled.plan.push))
    if sends:
        write = state.open_write(
            link,
            Write.Action.UPDATE,
            remote_id=link.remote_id,
            values={name: base.seal(name, value) for name, value in body.sent.items()},
        )
        record = _called(write, lambda: _put(session, link, body.body), on_refused=lambda e: _park_fields(link, e))
        facts = _verify(session, link, base, body.sent, record)
        apply.reference_sent(settled.local, base, settled.plan, body.sent)
    if tags:
        _send_tags(session, link, base, wanted["tags"])
        facts["remote_seen_at"] = database_now()
    return facts, sends or tags


def _put(session: Session, link: Link, body: Mapping[str, Any]) -> Record:
    if link.kind == Kind.CONTACT:
        return session.client.update_contact(link.remote_id, body)
    return session.client.update_opportunity(link.remote_id, body)


def _send_tags(session: Session, link: Link, base: Base, wanted: list[str] | None) -> None:
    """Tags are added and removed one by one: the set of a contact belongs to many (API notes §5.10)."""
    have, want = set(base.remote.get("tags") or ()), set(wanted or ())
    for tags, call in (
        (sorted(want - have), session.client.add_contact_tags),
        (sorted(have - want), session.client.remove_contact_tags),
    ):
        if tags:
            write = state.open_write(link, Write.Action.UPDATE, remote_id=link.remote_id, values={"tags": wanted})
            _called(write, lambda call=call, tags=tags: call(link.remote_id, tags))  # type: ignore[misc]
    base.agree("tags", wanted, wanted)


def _called(write: Write, call: Callable[[], Any], on_refused: Callable[[Refused], None] | None = None) -> Any:
    """The call an open Write stands for; a definite answer closes it, a lost one leaves the doubt."""
    try:
        answer = call()
    except (NotSent, RateLimited) as error:
        state.close_write(write, Write.Outcome.NOT_SENT, message=error.words)
        raise
    except OutcomeUnknown:
        raise
    except (Refused, NeedsAttention) as error:
        state.close_write(write, Write.Outcome.REFUSED, message=error.words, trace_id=error.trace_id)
        if isinstance(error, Refused) and on_refused is not None:
            on_refused(error)
        raise
    remote_id, trace_id = getattr(answer, "id", ""), getattr(answer, "trace_id", "")
    state.close_write(write, Write.Outcome.DONE, remote_id=remote_id, trace_id=trace_id)
    return answer


def _park_fields(link: Link, error: Refused) -> None:
    """A 422 that names properties parks those fields; the rest goes with the next try.

    A record that is not there any more is looked at once more: the look finds out whether it is gone.
    """
    if isinstance(error, NotFound):
        state.keep(link, remote_dirty_at=database_now())
        raise TryLater(error.words, retry_after=0.0)
    names = {row.name for row in MAPS[link.kind].natives if row.remote in error.fields} - set(link.parked_fields)
    if not names:
        return
    for name in sorted(names):
        state.open_issue(link, "refused", error.words, field=name)
    state.keep(link, parked_fields=sorted({*link.parked_fields, *names}))
    raise TryLater(error.words, retry_after=0.0)


def _verify(session: Session, link: Link, base: Base, sent: Values, record: Record) -> dict[str, Any]:
    """Compare what came back with what was sent; an answer that is silent about a field is asked again by GET."""
    table = MAPS[link.kind]
    readings = read_record(table, record, session.definitions)
    if any(name not in readings for name in sent):
        record = session.read(link.kind, record.id)
        readings = read_record(table, record, session.definitions)
    for name, value in sent.items():
        reading = readings.get(name)
        kept = reading.value if reading is not None and not reading.unreadable else None
        if table.by_name[name].converter.same(value, kept):
            base.agree(name, value, kept)
            state.close_issues(link, fields=(name,), codes=apply.VALUE_ISSUES)
            continue
        new = state.open_issue(link, "kept", f"GoHighLevel kept another value for {name}.", field=name)
        if new and value is not None and name in options.GROWING:
            _option_is_lost(session, link, table.by_name[name], str(value))
            base.agree_remote(name, kept)  # ours is not agreed: it goes again once the option is there
        else:
            base.agree(name, value, kept)
    return _facts(record)


def _option_is_lost(session: Session, link: Link, row: FieldMap, label: str) -> None:
    """An option that we know of is not there any more: somebody else wrote the list. It is read and added again."""
    definition = session.definitions.fields.get(row.remote)
    if definition is not None:
        options.want(session, definition.id, label, link.kind, link.object_id)


def _note_unsendable(session: Session, link: Link, body: Body) -> None:
    """What has no option or field over there stays here, and says so."""
    for row, definition, label in body.missing_options:
        if row.name in options.GROWING:
            options.want(session, definition.id, label, link.kind, link.object_id)
        else:
            shown = "" if row.group else f" “{label[:80]}”"
            message = f"GoHighLevel's drop-down {definition.name} has no option{shown}; the value stays here."
            state.open_issue(link, "no_option", message, field=row.name)
    for row in body.missing_fields:
        message = f"GoHighLevel has no field {row.remote}; run `manage.py ghl_setup --apply`."
        state.open_issue(link, "no_field", message, field=row.name)
    for name in body.missing_stages:
        message = f"GoHighLevel's pipeline has no stage {name!r}; create it there, then run `manage.py ghl_setup`."
        state.open_issue(link, "no_option", message, field="stage")


# A new record


def _owner_first(session: Session, link: Link) -> None:
    """A trip's organiser or a passenger's contact must exist over there before its opportunity can."""
    local = load(link.kind, link.object_id)
    if local is None:
        return
    contact = _owner(session, local)
    if contact is not None:
        theirs = state.ensure_link(contact, str(contact))
        rests = theirs.parked_at is not None and not Link.objects.due().filter(pk=theirs.pk).exists()
        if not theirs.remote_id and not rests and reconcile(session, theirs.pk) == Result.BUSY:
            _await_owner(theirs.pk)


def _await_owner(link_id: int) -> None:
    """Another worker is making the contact this moment: worth a short wait, since both were saved together."""
    ends = time.monotonic() + OWNER_SECONDS
    while time.monotonic() < ends:
        row = Link.objects.filter(pk=link_id, leased_until__isnull=False, remote_id="")
        if not row.exists():
            return  # it is made, or nobody is at it any more
        time.sleep(0.05)


def _owner(session: Session, local: Local) -> Contact | None:
    contact_id = contact_id_of(local)
    if contact_id is not None:
        return Contact._base_manager.filter(pk=contact_id).first()
    fallback = session.config.fallback_email.strip().lower()
    if local.kind != Kind.TRIP or not fallback:
        return None
    contact = Contact._base_manager.filter(email=fallback).order_by("pk").first()
    if contact is None:
        contact = Contact(email=fallback)
        contact.save()
    return contact


def _create(session: Session, link: Link, seen: Seen) -> Result:
    found = _doubtful_create(session, link)
    if found is not None:
        return _adopt(session, link, seen, found, created=True)
    if link.kind == Kind.CONTACT:
        return _create_contact(session, link, seen)
    return _create_opportunity(session, link, seen)


def _create_opportunity(session: Session, link: Link, seen: Seen) -> Result:
    local = load(link.kind, link.object_id)
    if local is None:
        return _delete(session, link, seen)
    owner_id = _owner_id(session, link, local)
    pipeline = session.definitions.pipelines.get(link.kind)
    if pipeline is None:
        name = session.config.pipelines[link.kind]
        raise Refused(f"GoHighLevel has no pipeline named {name}; create it there, then run `manage.py ghl_setup`.")
    values = _creatable(session, local)
    values["organiser" if link.kind == Kind.TRIP else "contact"] = owner_id
    body = build_body(local.table, values, session.definitions)
    _note_unsendable(session, link, body)
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
        record: Record = _called(write, lambda: session.client.create_opportunity(body.body))
    except DuplicateOpportunity as error:
        return _adopt_ours(session, link, seen, error)
    return _made(session, link, seen, local, base, body.sent, record, pipeline.id)


def _owner_id(session: Session, link: Link, local: Local) -> str:
    """The id over there of the contact this opportunity will belong to; ends this try when there is none yet."""
    contact = _owner(session, local)
    if contact is None:
        state.park(link, "The trip has no lead organiser. Choose one, or set GHL_FALLBACK_CONTACT_EMAIL.")
        raise _Done(Result.FAILED)
    theirs = Link.objects.filter(kind=Kind.CONTACT, object_id=contact.pk).first()
    if theirs is None or not theirs.remote_id:
        why = (theirs.last_error if theirs else "") or "It is not in GoHighLevel yet."
        state.release(link, why=f"Waits for its contact. {why}", after=30 * session.config.scale)
        raise _Done(Result.WAITING)
    return theirs.remote_id


def _creatable(session: Session, local: Local) -> Values:
    """Every value a create may carry: nothing empty, nothing that only comes in, nothing that must stay home."""
    ways, values = apply.directions(session), local.values()
    return {
        row.name: value
        for row in local.table.fields
        if row.way is not Way.DOWN
        and (not row.group or ways[row.group] in {"both", "push"})
        and (value := values.get(row.name)) is not None
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
    facts = _verify(session, link, base, {n: v for n, v in sent.items() if n != "tags"}, record)
    apply.fan_out(session, link, local, base)
    apply.remember(local, base)
    state.agreed(link, base, seen, **facts)
    if link.kind == Kind.CONTACT:
        _wake_waiting(session, link)
    return Result.CREATED


def _wake_waiting(session: Session, link: Link) -> None:
    """What waited for this contact may go at once; whoever runs this task takes it along."""
    for kind, field in ((Kind.TRIP, "organiser_id"), (Kind.PASSENGER, "contact_id")):
        ids = MODELS[kind]._base_manager.filter(**{field: link.object_id}).values_list("pk", flat=True)
        session.woken.update(state.wake_dependants(kind, list(ids)))


def _adopt_ours(session: Session, link: Link, seen: Seen, error: DuplicateOpportunity) -> Result:
    """Only one opportunity per contact is allowed: the existing one is ours only if it bears our key."""
    existing = session.client.get_opportunity(error.existing_id) if error.existing_id else None
    if existing is not None and _bears_key(session, link, existing):
        return _adopt(session, link, seen, existing, created=True)
    state.park(
        link,
        f"{error.words} Switch on “Allow Duplicate Opportunities” in GoHighLevel's settings, then press Sync now.",
    )
    return Result.FAILED


def _bears_key(session: Session, link: Link, record: Record) -> bool:
    definition = session.definitions.fields.get(MAPS[link.kind].by_name["key"].remote)
    return definition is not None and record.custom.get(definition.id) == link.key


def _adopt(session: Session, link: Link, seen: Seen, record: Record, *, created: bool = False) -> Result:
    """This record over there is ours from now on; what differs is merged like any other change."""
    owner = Link.objects.filter(location_id=session.config.location_id, remote_id=record.id).exclude(pk=link.pk).first()
    if owner is not None:
        state.park(
            link,
            f"GoHighLevel's record belongs to {owner} already: the same one twice here. Give what hangs on this one to "
            "the other and delete this one, or make their e-mail and phone differ and press Sync now.",
        )
        return Result.FAILED
    pipeline_id = str(record.raw.get("pipelineId") or "")
    state.keep(link, remote_id=record.id, location_id=session.config.location_id, pipeline_id=pipeline_id)
    base = apply.base_of(link)
    for write in apply.adopt_writes(link, base):
        state.close_write(write, Write.Outcome.FOUND, remote_id=record.id)
    state.keep(link, base=base.dump() if base.known else {})
    result = _update(session, link, seen)
    if link.kind == Kind.CONTACT:
        _wake_waiting(session, link)
    return Result.CREATED if created else result


def _doubtful_create(session: Session, link: Link) -> Record | None:
    """Settle a create whose answer was lost: the record it made, or None when it is safe to create.

    Ends this try (`_Done`) while it is neither: before the settle time, and until two look-ups a minute apart
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
        state.open_issue(link, "twin", f"{len(matches)} records in GoHighLevel bear the key {link.key}.")
        state.park(link, "Several records in GoHighLevel bear this record's key; keep one of them.")
        raise _Done(Result.FAILED)
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
    raise _Done(Result.WAITING)


def _stop_without_key(session: Session, link: Link, doubts: Collection[Write]) -> None:
    """Without the field for our key a lost create cannot be told from a stranger's record: a person must look."""
    if link.kind == Kind.CONTACT or KEY_FIELD in session.definitions.fields:
        return
    ids = {
        record.id
        for contact_id, pipeline_id in {(write.contact_remote_id, write.pipeline_id) for write in doubts}
        for record in session.client.find_opportunities(contact_id=contact_id, pipeline_id=pipeline_id)
    }
    known = Link.objects.filter(location_id=session.config.location_id, remote_id__in=ids)
    if ids - set(known.values_list("remote_id", flat=True)):
        state.park(
            link,
            "An answer was lost, and GoHighLevel has no field for TripBuilder's key to find the record by. Run "
            "`manage.py ghl_setup --apply`, then look in GoHighLevel whether the record is there before you press "
            "Sync now.",
        )
        raise _Done(Result.FAILED)


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


# Contacts


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


def _create_contact(session: Session, link: Link, seen: Seen) -> Result:
    local = load(Kind.CONTACT, link.object_id)
    if local is None:
        return _delete(session, link, seen)
    values = _creatable(session, local)
    if not {"first_name", "last_name", "email", "phone"} & set(values):
        state.park(link, "GoHighLevel needs at least a name, an e-mail address or a phone number.")
        return Result.FAILED
    if session.location.allow_duplicate_contact is not False:
        known = _known_contact(session, link, seen)
        if known is not None:
            return known
    base = apply.base_of(link)
    body = build_body(local.table, values, session.definitions)
    _note_unsendable(session, link, body)
    sealed = {name: base.seal(name, value) for name, value in body.sent.items()}
    write = state.open_write(link, Write.Action.CREATE, values=sealed)
    try:
        record: Record = _called(write, lambda: session.client.create_contact(body.body))
    except DuplicateContact as error:
        return _adopt(session, link, seen, session.client.get_contact(error.contact_id))
    except Refused:
        # Reported to have created the contact all the same (API notes §4): look before giving up.
        known = _known_contact(session, link, seen)
        if known is not None:
            return known
        raise
    return _made(session, link, seen, local, base, body.sent, record)


def _known_contact(session: Session, link: Link, seen: Seen) -> Result | None:
    """Adopts the contact over there that is this one; None when there is none, or it is another contact of ours."""
    matches = _contacts_like(session, link)
    if session.location.allow_duplicate_contact:
        taken = Link.objects.filter(kind=Kind.CONTACT, remote_id__in=[record.id for record in matches])
        owned = set(taken.exclude(pk=link.pk).values_list("remote_id", flat=True))
        matches = [record for record in matches if record.id not in owned]
    if len(matches) > 1:
        state.park(link, "The e-mail address and the phone number belong to two contacts in GoHighLevel.")
        return Result.FAILED
    return _adopt(session, link, seen, session.client.get_contact(matches[0].id)) if matches else None


# A deleted record


def _delete(session: Session, link: Link, seen: Seen) -> Result:
    if link.remote_gone_at is not None:
        state.tombstone_done(link, seen)  # a late wake-up: both halves are gone already
        return Result.UNCHANGED
    if link.deleted_at is None:
        state.bury(link)
    if link.kind == Kind.CONTACT:
        state.tombstone_done(link, seen)  # contacts are never deleted over there
        return Result.UNCHANGED
    if not link.remote_id:
        found = _doubtful_create(session, link)
        if found is None:
            apply.fan_out(session, link, None, apply.base_of(link))
            state.tombstone_done(link, seen)
            return Result.UNCHANGED
        state.keep(link, remote_id=found.id, location_id=session.config.location_id)
    for doubt in state.open_writes(link):
        state.close_write(doubt, Write.Outcome.NOT_APPLIED)
    write = state.open_write(link, Write.Action.DELETE, remote_id=link.remote_id)
    try:
        _called(write, lambda: session.client.delete_opportunity(link.remote_id))
    except NotFound:
        logger.info("%s was gone already", link.key)
    apply.fan_out(session, link, None, apply.base_of(link))
    state.tombstone_done(link, seen)
    return Result.DELETED


# Everything that is due


@dataclass
class _Pace:
    """When to stop: a moment by the monotonic clock, or never."""

    ends: float | None = None

    def over(self) -> bool:
        return self.ends is not None and time.monotonic() > self.ends


def run_due(
    session: Session,
    *,
    kinds: Collection[str] = KIND_ORDER,
    seconds: float | None = None,
    progress: Callable[[int], object] | None = None,
) -> PushReport:
    """Reconcile every record that may be tried now, contacts first; `seconds` bounds the time it takes."""
    report, pace = PushReport(), _Pace(None if seconds is None else time.monotonic() + seconds)
    outcomes: dict[int, Result] = {}
    started = time.monotonic()
    for _pass in range(PASSES):
        options.spread_vendors(session)
        apply.spread_gone(session)
        ids = due_ids(kinds)
        for link_id in ids:
            if pace.over():
                break
            outcomes[link_id] = _outcome(outcomes.get(link_id), safely(session, link_id))
            if progress is not None:
                progress(1)
        served = options.serve(session)
        if pace.over() or not (ids or served):
            break
    for result in outcomes.values():
        report.count(result)
    report.calls = session.client.calls
    report.seconds = round(time.monotonic() - started, 3)
    return report


def preview(session: Session, *, kinds: Collection[str] = KIND_ORDER, everything: bool = False) -> PushReport:
    """What `run_due` would do by what is known here, without a call and without writing anything.

    `everything` looks at all records instead of those that are due.
    """
    report, started = PushReport(), time.monotonic()
    links = Link.objects.filter(ignored_at__isnull=True, gone_at__isnull=True) if everything else Link.objects.due()
    for link in links.filter(kind__in=kinds).order_by("pk").iterator(chunk_size=500):
        report.count(_foreseen(session, link))
    report.seconds = round(time.monotonic() - started, 3)
    return report


def _foreseen(session: Session, link: Link) -> Result:
    local = load(link.kind, link.object_id)
    if local is None:
        leaves = link.kind != Kind.CONTACT and link.remote_id and link.remote_gone_at is None
        return Result.DELETED if leaves else Result.UNCHANGED
    if link.parked_at is not None:
        return Result.FAILED
    if not link.remote_id:
        return Result.CREATED
    seen = state.read_changes(link)
    plan = apply.plan_for(session, link, local, apply.base_of(link), None, None, seen)
    return Result.UPDATED if plan.push else Result.UNCHANGED


def _outcome(before: Result | None, now: Result) -> Result:
    """What a record counts as that was looked at more than once: how it stands now, and what was done to it."""
    at_rest = now in {Result.UNCHANGED, Result.UPDATED}
    return before if before in {Result.CREATED, Result.UPDATED} and at_rest else now


def due_ids(kinds: Collection[str] = KIND_ORDER) -> list[int]:
    """Links to try now, contacts before the opportunities that need them.

    First what may be due by the small indexes, then the whole question about those alone: asked of every link it
    would read them all, several times a sweep.
    """
    candidates = sorted(_candidates(kinds))
    rows: list[tuple[int, str]] = []
    for start in range(0, len(candidates), CANDIDATES):
        some = Link.objects.filter(pk__in=candidates[start : start + CANDIDATES])
        rows += some.due_now().values_list("pk", "kind")
    order = {str(kind): index for index, kind in enumerate(KIND_ORDER)}
    return [pk for pk, kind in sorted(rows, key=lambda row: (order[row[1]], row[0]))]


def _candidates(kinds: Collection[str]) -> set[int]:
    """Links that have a Change, a doubt, a dirty mark or a tombstone."""
    links = Link.objects.filter(kind__in=kinds)
    found = set(links.filter(remote_dirty_at__isnull=False).values_list("pk", flat=True))
    found.update(links.filter(deleted_at__isnull=False, remote_gone_at__isnull=True).values_list("pk", flat=True))
    doubts = Write.objects.filter(outcome=Write.Outcome.OPEN, link__kind__in=kinds)
    found.update(pk for pk in doubts.values_list("link_id", flat=True) if pk is not None)
    for kind in kinds:
        objects = Change.objects.filter(kind=kind).values("object_id").distinct()
        found.update(links.filter(kind=kind, object_id__in=objects).values_list("pk", flat=True))
    return found


def is_held(link_id: int) -> bool:
    """Whether a worker has this record at this moment."""
    return Link.objects.filter(pk=link_id, leased_until__gt=database_now()).exists()


def safely(session: Session, link_id: int) -> Result:
    """Reconcile one record; whatever goes wrong with it is recorded on it and never stops the others."""
    try:
        return reconcile(session, link_id)
    except MissingScope as error:
        logger.warning("record %s waits: %s", link_id, error.words)  # the others may not need this scope
        return Result.FAILED
    except GHLError:
        raise
    except Exception:
        logger.exception("record %s failed", link_id)
        return Result.FAILED
