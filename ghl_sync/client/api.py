"""One short method per endpoint used, typed in and out. Paths and parameters: official specification 2021-07-28."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from ghl_sync.client.errors import OutcomeUnknown, TryLater
from ghl_sync.client.transport import Answer, Limiter, Transport
from ghl_sync.client.types import FieldDef, LocationInfo, Page, PipelineDef, Record, RecordKind, StageDef
from ghl_sync.client.versions import DEFAULT_VERSION, VERSIONS

LOOKUP_PAGE = 100
# Sorts before every id of theirs.
FIRST_ID = "0"


def iso(moment: datetime) -> str:
    """ISO-8601 UTC with milliseconds, as the search filters take it (API notes §5.2, unverified there)."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


class GHLClient:
    """GoHighLevel's API for one location.

    Every method may raise what `client.errors` lists. With `read_only` a method that would change
    something raises RuntimeError before anything is sent: a dry run cannot write by mistake.
    """

    def __init__(
        self,
        *,
        token: str,
        location_id: str,
        base_url: str,
        timeout: float,
        version: str = DEFAULT_VERSION,
        limiter: Limiter | None = None,
        read_only: bool = False,
    ) -> None:
        self.location_id = location_id
        self.read_only = read_only
        self._version = VERSIONS[version]
        self._http = Transport(token=token, base_url=base_url, timeout=timeout, version=self._version, limiter=limiter)

    def __repr__(self) -> str:
        return f"GHLClient({self.location_id!r})"

    @property
    def calls(self) -> int:
        """Requests sent so far."""
        return self._http.calls

    @property
    def lane(self) -> str:
        return self._http.lane

    @lane.setter
    def lane(self, lane: str) -> None:
        self._http.lane = lane

    def deadline(self, seconds_left: Callable[[], float]) -> AbstractContextManager[None]:
        """Within the block nothing leaves once `seconds_left()` is no longer positive (`NotSent`)."""
        return self._http.deadline(seconds_left)

    # Definitions

    def get_location(self) -> LocationInfo:
        raw = _object(self._http.read("GET", f"/locations/{self.location_id}"), "location")
        found = raw.get("settings")
        settings: dict[str, Any] = found if isinstance(found, dict) else {}
        identifiers = settings.get("contactUniqueIdentifiers")
        return LocationInfo(
            id=str(raw.get("id") or self.location_id),
            name=str(raw.get("name") or ""),
            timezone=str(raw.get("timezone") or ""),
            allow_duplicate_opportunity=_flag(settings.get("allowDuplicateOpportunity")),
            allow_duplicate_contact=_flag(settings.get("allowDuplicateContact")),
            contact_unique_identifiers=tuple(map(str, identifiers)) if isinstance(identifiers, list) else (),
        )

    def list_pipelines(self) -> tuple[PipelineDef, ...]:
        answer = self._http.read("GET", "/opportunities/pipelines", params={"locationId": self.location_id})
        return tuple(_pipeline(raw) for raw in _objects(answer, "pipelines") if raw.get("id"))

    def list_custom_fields(self, model: str = "all") -> tuple[FieldDef, ...]:
        path = f"/locations/{self.location_id}/customFields"
        answer = self._http.read("GET", path, params={"model": model})
        return tuple(_field(raw) for raw in _objects(answer, "customFields") if raw.get("id"))

    def get_custom_field(self, field_id: str) -> FieldDef:
        return _field(_object(self._http.read("GET", self._field_path(field_id)), "customField"))

    def create_custom_field(
        self, *, name: str, key: str, data_type: str, model: str = "opportunity", options: Sequence[str] = ()
    ) -> FieldDef:
        """`fieldKey` and `options` are taken though the specification does not list them (API notes §5.11)."""
        body: dict[str, Any] = {"name": name, "dataType": data_type, "model": model, "fieldKey": key}
        if options:
            body["options"] = list(options)
        answer = self._write("POST", f"/locations/{self.location_id}/customFields", body)
        return _field(_object(answer, "customField", write=True))

    def write_options(self, field_id: str, *, name: str, options: Sequence[str]) -> None:
        """Replace the whole option list (API notes §5.11): the caller has read it and holds its lease."""
        self._write("PUT", self._field_path(field_id), {"name": name, "options": list(options)})

    # Opportunities

    def opportunity_page(
        self,
        *,
        pipeline_id: str,
        limit: int,
        cursor: Sequence[Any] | None = None,
        updated_since: datetime | None = None,
    ) -> Page:
        """One page of a pipeline, oldest first; with `updated_since` what changed since then, by time of change."""
        filters: list[dict[str, Any]] = [{"field": "pipeline_id", "operator": "eq", "value": pipeline_id}]
        order = "date_added"
        if updated_since is not None:
            filters.append({"field": "date_updated", "operator": "range", "value": {"gte": iso(updated_since)}})
            order = "date_updated"
        body: dict[str, Any] = {
            "locationId": self.location_id,
            "limit": limit,
            "filters": filters,
            "sort": [{"field": order, "direction": "asc"}],
        }
        return self._opportunity_search(body, limit, cursor)

    def find_opportunities(self, *, contact_id: str, pipeline_id: str) -> tuple[Record, ...]:
        """Every opportunity of a contact in a pipeline, by native fields: how a doubtful create is looked up."""
        body = {
            "locationId": self.location_id,
            "limit": LOOKUP_PAGE,
            "filters": [
                {"field": "contact_id", "operator": "eq", "value": contact_id},
                {"field": "pipeline_id", "operator": "eq", "value": pipeline_id},
            ],
        }
        return tuple(record for page in self._pages(body) for record in page.records)

    def get_opportunity(self, opportunity_id: str) -> Record:
        answer = self._http.read("GET", f"/opportunities/{quote(opportunity_id, safe='')}")
        return _record("opportunity", answer, complete=True)

    def create_opportunity(self, body: Mapping[str, Any]) -> Record:
        wire = self._version.opportunity(body) | {"locationId": self.location_id}
        return _record("opportunity", self._write("POST", "/opportunities/", wire), complete=False, write=True)

    def update_opportunity(self, opportunity_id: str, body: Mapping[str, Any]) -> Record:
        path = f"/opportunities/{quote(opportunity_id, safe='')}"
        answer = self._write("PUT", path, self._version.opportunity(body))
        return _record("opportunity", answer, complete=False, write=True)

    def delete_opportunity(self, opportunity_id: str) -> None:
        self._write("DELETE", f"/opportunities/{quote(opportunity_id, safe='')}")

    # Contacts

    def contact_page(
        self, *, limit: int, cursor: Sequence[Any] | None = None, updated_since: datetime | None = None
    ) -> Page:
        """One page of contacts, oldest first; with `updated_since` by time of change, from then on.

        The latter is a walk that begins at a cursor of our own making: sorting by `dateUpdated` with a cursor was seen
        to work (API notes §5.10, §7), a filter on it was not. What GoHighLevel then calls the total counts all contacts
        and is left out: only an empty page tells that the walk is over.
        """
        if updated_since is not None and cursor is None:
            cursor = (int(updated_since.timestamp() * 1000) - 1, FIRST_ID)
        body: dict[str, Any] = {
            "locationId": self.location_id,
            "pageLimit": limit,
            "sort": [{"field": "dateUpdated" if updated_since else "dateAdded", "direction": "asc"}],
        }
        if cursor is not None:
            body["searchAfter"] = list(cursor)
        answer = self._http.read("POST", "/contacts/search", json_body=body)
        page = _page("contact", answer, "contacts", limit, "searchAfter")
        return page if updated_since is None else replace(page, total=None)

    def find_contact_by_email(self, email: str) -> Record | None:
        return self._duplicate({"email": email})

    def find_contact_by_phone(self, number: str) -> Record | None:
        return self._duplicate({"number": number})

    def find_contacts_by_field(self, field_id: str, value: str) -> tuple[Record, ...]:
        """Contacts whose custom field holds exactly `value` (the filter's form is unverified, API notes §5.10)."""
        body = {
            "locationId": self.location_id,
            "pageLimit": LOOKUP_PAGE,
            "filters": [{"field": f"customFields.{field_id}", "operator": "eq", "value": value}],
        }
        answer = self._http.read("POST", "/contacts/search", json_body=body)
        page = _page("contact", answer, "contacts", LOOKUP_PAGE, "searchAfter")
        return tuple(record for record in page.records if record.custom.get(field_id) == value)

    def get_contact(self, contact_id: str) -> Record:
        answer = self._http.read("GET", f"/contacts/{quote(contact_id, safe='')}")
        return _record("contact", answer, complete=True)

    def create_contact(self, body: Mapping[str, Any]) -> Record:
        wire = self._version.contact(body) | {"locationId": self.location_id}
        return _record("contact", self._write("POST", "/contacts/", wire), complete=False, write=True)

    def update_contact(self, contact_id: str, body: Mapping[str, Any]) -> Record:
        path = f"/contacts/{quote(contact_id, safe='')}"
        answer = self._write("PUT", path, self._version.contact(body))
        return _record("contact", answer, complete=False, write=True)

    def add_contact_tags(self, contact_id: str, tags: Sequence[str]) -> None:
        self._write("POST", f"/contacts/{quote(contact_id, safe='')}/tags", {"tags": list(tags)})

    def remove_contact_tags(self, contact_id: str, tags: Sequence[str]) -> None:
        self._write("DELETE", f"/contacts/{quote(contact_id, safe='')}/tags", {"tags": list(tags)})

    def delete_contact(self, contact_id: str) -> None:
        """Only the self-test uses this, on a contact that it made itself."""
        self._write("DELETE", f"/contacts/{quote(contact_id, safe='')}")

    # Inside

    def _write(self, method: str, path: str, body: Any = None) -> Answer:
        if self.read_only:
            raise RuntimeError(f"A dry run must not send {method} {path}.")
        return self._http.write(method, path, json_body=body)

    def _field_path(self, field_id: str) -> str:
        return f"/locations/{self.location_id}/customFields/{quote(field_id, safe='.')}"

    def _opportunity_search(self, body: dict[str, Any], limit: int, cursor: Sequence[Any] | None) -> Page:
        if cursor is not None:
            body = body | {"searchAfter": list(cursor)}
        answer = self._http.read("POST", "/opportunities/search", json_body=body)
        return _page("opportunity", answer, "opportunities", limit, "sort")

    def _pages(self, body: dict[str, Any]) -> Iterator[Page]:
        cursor: Sequence[Any] | None = None
        while True:
            page = self._opportunity_search(body, body["limit"], cursor)
            yield page
            if page.size < body["limit"] or page.cursor is None:
                return
            cursor = page.cursor

    def _duplicate(self, query: Mapping[str, str]) -> Record | None:
        params = {"locationId": self.location_id, **query}
        answer = self._http.read("GET", "/contacts/search/duplicate", params=params)
        return Record.parse("contact", answer.body.get("contact"), complete=False, seen_at=answer.date)


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _object(answer: Answer, key: str, *, write: bool = False) -> dict[str, Any]:
    found = answer.body.get(key)
    if not isinstance(found, dict):
        kind = OutcomeUnknown if write else TryLater
        raise kind(f"GoHighLevel's answer has no {key!r}.", trace_id=answer.trace_id)
    return found


def _objects(answer: Answer, key: str) -> list[dict[str, Any]]:
    found = answer.body.get(key)
    if not isinstance(found, list):
        raise TryLater(f"GoHighLevel's answer has no list of {key!r}.", trace_id=answer.trace_id)
    return [item for item in found if isinstance(item, dict)]


def _record(kind: RecordKind, answer: Answer, *, complete: bool, write: bool = False) -> Record:
    raw = _object(answer, kind, write=write)
    record = Record.parse(kind, raw, complete=complete, seen_at=answer.date, trace_id=answer.trace_id)
    if record is None:
        error = OutcomeUnknown if write else TryLater
        raise error(f"GoHighLevel's {kind} has no id.", trace_id=answer.trace_id)
    return record


def _page(kind: RecordKind, answer: Answer, key: str, limit: int, cursor_key: str) -> Page:
    rows = answer.body.get(key)
    if not isinstance(rows, list):
        raise TryLater(f"GoHighLevel's answer has no list of {key!r}.", trace_id=answer.trace_id)
    parsed = [Record.parse(kind, row, complete=True, seen_at=answer.date) for row in rows]
    records = tuple(record for record in parsed if record is not None)
    total = answer.body.get("total")
    cursor = records[-1].raw.get(cursor_key) if records else None
    return Page(
        records=records,
        total=total if isinstance(total, int) else None,
        cursor=tuple(cursor) if isinstance(cursor, list) else None,
        server_date=answer.date,
        size=len(rows),
        unreadable=len(parsed) - len(records),
    )


def _field(raw: Mapping[str, Any]) -> FieldDef:
    options = raw.get("picklistOptions")
    return FieldDef(
        id=str(raw.get("id")),
        key=str(raw.get("fieldKey") or ""),
        name=str(raw.get("name") or ""),
        data_type=str(raw.get("dataType") or ""),
        model=str(raw.get("model") or ""),
        options=tuple(option for option in options if isinstance(option, str)) if isinstance(options, list) else (),
        allow_custom=raw.get("isAllowedCustomOption") is True,
    )


def _pipeline(raw: Mapping[str, Any]) -> PipelineDef:
    stages = raw.get("stages")
    rows = [stage for stage in stages if isinstance(stage, dict)] if isinstance(stages, list) else []
    return PipelineDef(
        id=str(raw["id"]),
        name=str(raw.get("name") or ""),
        stages=tuple(
            StageDef(
                id=str(stage.get("id")),
                name=str(stage.get("name") or ""),
                position=stage["position"] if isinstance(stage.get("position"), int) else index,
            )
            for index, stage in enumerate(rows)
            if stage.get("id")
        ),
    )
