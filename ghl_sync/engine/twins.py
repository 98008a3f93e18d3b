"""Records that exist twice, or again: found by key or by likeness, shown to a person, never deleted by us.

A second record with our key, and one that was deleted here and is there again, are not imported until somebody says
what they are. Two records that merely look alike are both here already; whether they are one is asked, once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Count, QuerySet

from ghl_sync.client.errors import NotFound
from ghl_sync.client.types import Record
from ghl_sync.engine import apply, kept, state
from ghl_sync.engine.intake import Intake, digest_of
from ghl_sync.engine.local import load
from ghl_sync.engine.results import CannotDo, PullReport
from ghl_sync.engine.session import Session
from ghl_sync.mapping.table import MAPS
from ghl_sync.mapping.translate import read_record
from ghl_sync.models import DeletedRecord, Issue, Kind, Link, Run, Write
from trips.enums import Attendance
from trips.models import Passenger, Trip
from trips.text import fold_name

Code, Decision = Issue.Code, Issue.Decision
CODES = (Code.TWIN, Code.LIKENESS, Code.CAME_BACK)
BUSY = "This record is being compared with GoHighLevel this moment. Try again in a few seconds."


def questions() -> QuerySet[Issue]:
    """Every open question about a record that exists twice or again."""
    return Issue.objects.filter(code__in=CODES, closed_at__isnull=True, link__isnull=False).exclude(remote_id="")


# Likeness


def find_alike() -> int:
    """Ask about records that look like the same one twice; questions that answer themselves end. How many are open.

    Alike: trips of one contact with one name; passengers of one contact on one trip with one name. At least one of
    the two was made in GoHighLevel: what staff enter here twice, they see here.
    """
    pairs = {(younger.pk, older.remote_id): (younger, older) for younger, older in _alike_pairs()}
    asked = {(row.link_id, row.remote_id): row for row in Issue.objects.filter(code=Code.LIKENESS)}
    for key, (younger, older) in pairs.items():
        if key not in asked or (asked[key].closed_at is not None and not asked[key].decision):
            message = f"“{younger.label}” looks like the same record as “{older.label}”: same name, same contact."
            state.open_issue(younger, Code.LIKENESS, message, remote_id=older.remote_id)
    over = [row.pk for key, row in asked.items() if key not in pairs and row.closed_at is None]
    state.close_questions(over)
    return Issue.objects.filter(code=Code.LIKENESS, closed_at__isnull=True).count()


def _alike_pairs() -> Iterator[tuple[Link, Link]]:
    for kind, groups in ((Kind.TRIP, _alike_trips()), (Kind.PASSENGER, _alike_passengers())):
        groups = list(groups)
        ids = [pk for group in groups for pk in group]
        links = {
            link.object_id: link
            for link in Link.objects.filter(kind=kind, object_id__in=ids, deleted_at__isnull=True, gone_at__isnull=True)
            .exclude(remote_id="")
            .filter(ignored_at__isnull=True)
            .defer("base")
        }
        made = set(_made_by_us([link.pk for link in links.values()]))
        for group in groups:
            found = sorted((links[pk] for pk in group if pk in links), key=lambda link: link.pk)
            yield from ((younger, found[0]) for younger in found[1:] if not {found[0].pk, younger.pk} <= made)


def _made_by_us(link_ids: list[int]) -> Iterable[int]:
    arrived = (Write.Outcome.DONE, Write.Outcome.FOUND)
    writes = Write.objects.filter(link_id__in=link_ids, action=Write.Action.CREATE, outcome__in=arrived)
    return [pk for pk in writes.values_list("link_id", flat=True) if pk is not None]


def _alike_trips() -> Iterable[list[int]]:
    same = Trip._base_manager.exclude(name_key="").filter(organiser__isnull=False, archived_at__isnull=True)
    twice = same.order_by().values("organiser_id", "name_key").annotate(n=Count("pk")).filter(n__gt=1)
    keys = {(row["organiser_id"], row["name_key"]) for row in twice}
    rows = same.filter(name_key__in={name for _organiser, name in keys}).order_by("pk")
    return _grouped((pk, (owner, name)) for pk, owner, name in rows.values_list("pk", "organiser_id", "name_key")
                    if (owner, name) in keys)  # fmt: skip


def _alike_passengers() -> Iterable[list[int]]:
    """Families share a contact; only the same name makes them one person."""
    same = Passenger._base_manager.filter(trip__isnull=False).exclude(attendance=Attendance.CANCELLED)
    twice = same.order_by().values("contact_id", "trip_id").annotate(n=Count("pk")).filter(n__gt=1)
    places = {(row["contact_id"], row["trip_id"]) for row in twice}
    rows = same.filter(trip_id__in={trip for _contact, trip in places}).order_by("pk")
    columns = rows.values_list("pk", "contact_id", "trip_id", "legal_first_name", "legal_last_name")
    return _grouped(
        (pk, (contact, trip, fold_name(f"{first} {last}")))
        for pk, contact, trip, first, last in columns
        if (contact, trip) in places
    )


def _grouped(rows: Iterable[tuple[int, Any]]) -> list[list[int]]:
    found: dict[Any, list[int]] = {}
    for pk, key in rows:
        found.setdefault(key, []).append(pk)
    return [group for group in found.values() if len(group) > 1]


# Side by side


@dataclass(frozen=True, slots=True)
class Side:
    """One field's values of the record here and of the other one; None is empty."""

    name: str
    ours: Any
    theirs: Any


def other_of(issue: Issue) -> Link | None:
    """The link of the other record of a likeness."""
    return Link.objects.filter(remote_id=issue.remote_id, kind=issue.link.kind if issue.link else "").first()


def side_by_side(session: Session | None, issue: Issue) -> list[Side]:
    """The fields in which the two differ. One call, but for a likeness, whose records are both here.

    Raises CannotDo when the other one is not there any more, and what the client raises.
    """
    link = _link_of(issue)
    local = load(link.kind, link.object_id)
    ours = local.values() if local is not None else dict(apply.base_of(link).remote)
    theirs = _others_values(session, issue)
    rows = [row for row in MAPS[link.kind].fields if not row.reference or row.name != "trip_id"]
    return [
        Side(row.name, ours.get(row.name), theirs.get(row.name))
        for row in rows
        if row.name != "key" and not row.converter.same(ours.get(row.name), theirs.get(row.name))
    ]


def _others_values(session: Session | None, issue: Issue) -> dict[str, Any]:
    link = _link_of(issue)
    other = other_of(issue) if issue.code == Code.LIKENESS else None
    if other is not None:
        local = load(other.kind, other.object_id)
        return local.values() if local is not None else {}
    if session is None:
        raise CannotDo("The other record can only be read while GoHighLevel is connected.")
    record = _read(session, link.kind, issue.remote_id)
    readings = read_record(MAPS[link.kind], record, session.definitions)
    return {name: reading.value for name, reading in readings.items() if not reading.unreadable}


def _read(session: Session, kind: str, remote_id: str) -> Record:
    try:
        return session.read(kind, remote_id)
    except NotFound:
        raise CannotDo("That record is not in GoHighLevel any more; there is nothing left to decide.") from None


# Answers


def same(issue: Issue, user: Any) -> None:
    """ "They are the same": the other record is none of ours. It is left as it is and never asked about again."""
    _close(issue, user, Decision.SAME)


def apart(issue: Issue, user: Any) -> None:
    """ "They are two": records that only look alike stay as they are and are never asked about again."""
    _close(issue, user, Decision.OWN)


def own(session: Session, issue: Issue, user: Any) -> Any:
    """ "Give it its own key": the second record is imported as one of its own and gets a key of its own; its object.

    One call to read it. Raises CannotDo, and what the client raises.
    """
    session.check_bound()
    link = _link_of(issue)
    record = _read(session, link.kind, issue.remote_id)
    with transaction.atomic():
        _close(issue, user, Decision.OWN)
        made = _bring_in(session, link.kind, record, None)
        state.record_change(made.kind, made.object_id)  # its key over there is still the other one's
    return made


def bring_back(session: Session, issue: Issue, user: Any) -> Link:
    """ "Bring it back here": a record deleted here that is there again is ours once more, under its own key.

    While what it held is kept, that comes back too; else it is imported. Raises CannotDo, and what the client raises.
    """
    session.check_bound()
    link = _link_of(issue)
    record = _read(session, link.kind, issue.remote_id)
    with transaction.atomic():
        seized = _seize(link)
        _close(issue, user, "")
        stored = DeletedRecord.objects.filter(link=seized).first()
        if stored is not None:
            kept.restore(stored.rows, user)
        else:
            state.keep(seized, remote_id="")
            state.reborn(seized, _bring_in(session, seized.kind, record, seized.uid))
        state.revive(seized)
    return seized


def delete_again(session: Session, issue: Issue, user: Any) -> None:
    """ "Delete it there again": as it is now, but not if it changes once more before that. One call to read it."""
    session.check_bound()
    link = _link_of(issue)
    record = _read(session, link.kind, issue.remote_id)
    with transaction.atomic():
        seized = _seize(link)
        _close(issue, user, "")
        base = apply.base_of(seized)
        for name, reading in read_record(MAPS[seized.kind], record, session.definitions).items():
            base.accept(name, base.seal(name, reading.raw if reading.unreadable else reading.value))
        pipeline_id = str(record.raw.get("pipelineId") or "")
        state.agree_to_delete(seized, base.dump(), pipeline_id)
        state.to_delete_again(seized, record.id, session.config.location_id)


def _link_of(issue: Issue) -> Link:
    if issue.link is None or issue.closed_at is not None:
        raise CannotDo("This question is answered already.")
    return issue.link


def _close(issue: Issue, user: Any, decision: str) -> None:
    if not state.answer_issue(issue, user, decision):
        raise CannotDo("This question is answered already.")


def _seize(link: Link) -> Link:
    seized = state.seize(link.pk)
    if seized is None:
        raise CannotDo(BUSY)
    if seized.deleted_at is None:
        raise CannotDo(f"{seized} is not deleted any more.")
    return seized


def _bring_in(session: Session, kind: str, record: Record, uid: Any) -> Link:
    intake = Intake(session, PullReport(mode=str(Run.Mode.INCREMENTAL.value)), walking=False)
    intake.bring_in(Kind(kind), [(record, digest_of(record), uid)])
    made = Link.objects.filter(kind=kind, location_id=session.config.location_id, remote_id=record.id).first()
    if made is None:
        raise CannotDo("The database did not take this record; the log says why.")
    return made
