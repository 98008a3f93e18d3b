"""What a person has mended of GoHighLevel's definitions from here: a field made again, an option added again."""

from __future__ import annotations

from ghl_sync.engine import options, state
from ghl_sync.engine.definitions import as_it_was, gone_fields
from ghl_sync.engine.session import Session
from ghl_sync.mapping.fields import FieldMap
from ghl_sync.mapping.table import MAPS
from ghl_sync.models import Issue, RemoteField


def may_mend(issue: Issue) -> bool:
    """Whether this trouble can be ended from here; pipelines and stages have no API (API notes §5.1)."""
    if issue.link_id is not None or issue.closed_at is not None:
        return False
    return issue.code == Issue.Code.NO_FIELD or (issue.code == Issue.Code.OPTION_GONE and bool(issue.raw))


def mend(session: Session, issue_id: int) -> None:
    """End one trouble, then look at the definitions again. Raises what the client raises."""
    issue = Issue.objects.filter(pk=issue_id).first()
    if issue is None or not may_mend(issue):
        return
    if issue.code == Issue.Code.NO_FIELD:
        _make_again(session, issue.field)
    else:
        _add_again(session, issue)
    session.refresh_definitions()


def _make_again(session: Session, key: str) -> None:
    """Looked for first: a second field of one key would get another key, and nobody would find it."""
    row = next((row for table in MAPS.values() for row in table.customs if row.remote == key), None)
    field = gone_fields(session.config.location_id).get(key)
    there = session.client.list_custom_fields("all")
    if row is None or field is None or any(one.key == key for one in there):
        return
    was = as_it_was(field, row)
    session.client.create_custom_field(
        name=was.name, key=key, data_type=was.data_type, model=key.partition(".")[0], options=was.options
    )


def _add_again(session: Session, issue: Issue) -> None:
    row = _row_of(issue.field)
    field = RemoteField.objects.filter(
        location_id=session.config.location_id, key=row.remote if row else "", gone_at__isnull=True
    ).first()
    if field is not None:
        state.want_back(field, [issue.raw])
        options.serve(session)


def _row_of(name: str) -> FieldMap | None:
    """The mapped field that an issue about options names: `trip.lodging`."""
    kind, _, field = name.partition(".")
    return MAPS[kind].by_name.get(field) if kind in MAPS else None
