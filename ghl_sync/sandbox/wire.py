"""What the sandbox's answers look like: requests, errors and the shapes of records (API notes §4, §5, §6)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ghl_sync.sandbox import values
from ghl_sync.sandbox.store import Contact, Entry, Field, Opportunity, Pipeline, Store


@dataclass(frozen=True, slots=True)
class Request:
    """One call as a handler sees it. `names` holds the variable parts of the path."""

    method: str
    path: str
    params: Mapping[str, str]
    body: Any
    version: str
    names: Mapping[str, str] = field(default_factory=dict)


class ApiError(Exception):
    """An answer other than 2xx."""

    def __init__(self, status: int, body: Mapping[str, Any]) -> None:
        super().__init__(status)
        self.status = status
        self.body = dict(body)


def invalid(*messages: str) -> ApiError:
    """422: the call's own shape is wrong."""
    return ApiError(422, {"message": list(messages), "error": "Unprocessable Entity", "statusCode": 422})


def bad_request(message: str, **extra: Any) -> ApiError:
    return ApiError(400, {"statusCode": 400, "message": message, "error": "Bad Request", **extra})


def no_contact(contact_id: str) -> ApiError:
    """A missing contact is a 400 with other keys than the rest (API notes §4)."""
    return ApiError(400, {"error": f"Contact with id {contact_id} not found", "status": 400})


def no_opportunity(opportunity_id: str) -> ApiError:
    """The real body is unknown (API notes §5.4); this is the expected kind."""
    return bad_request(f"The opportunity with id {opportunity_id} was not found")


def iso(ms: int) -> str:
    moment = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(milliseconds=ms)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{ms % 1000:03d}Z"


def opportunity_row(store: Store, record: Opportunity, cursor: Sequence[Any]) -> dict[str, Any]:
    """A search row: unset scalars are null, custom values typed, the contact embedded (API notes §5.2)."""
    contact = store.contacts_by_id.get(record.contact_id)
    row: dict[str, Any] = {
        "id": record.id,
        "name": record.name,
        "monetaryValue": record.value,
        "pipelineId": record.pipeline_id,
        "pipelineStageId": record.stage_id,
        "pipelineStageUId": record.stage_id,
        "assignedTo": record.assigned_to,
        "status": record.status,
        "source": record.source,
        "lastStatusChangeAt": iso(record.status_changed or record.added),
        "lastStageChangeAt": iso(record.stage_changed or record.added),
        "createdAt": iso(record.added),
        "updatedAt": iso(record.updated),
        "contactId": record.contact_id,
        "locationId": store.location_id,
        "customFields": _opportunity_custom(store, record),
        "lostReasonId": record.lost_reason_id,
        "followers": [],
        "relations": _relations(record, contact),
        "contact": _embedded(record, contact),
        "sort": list(cursor),
        "attributions": [],
    }
    return shown(store, record, row)


def opportunity_full(store: Store, record: Opportunity, *, with_custom: bool = True) -> dict[str, Any]:
    """By id and after a write: unset keys are absent, and so are empty custom fields (API notes §5.4)."""
    row: dict[str, Any] = {
        "id": record.id,
        "name": record.name,
        "monetaryValue": record.value,
        "pipelineId": record.pipeline_id,
        "pipelineStageId": record.stage_id,
        "pipelineStageUId": record.stage_id,
        "status": record.status,
        "lastStatusChangeAt": iso(record.status_changed or record.added),
        "lastStageChangeAt": iso(record.stage_changed or record.added),
        "lastActionDate": iso(record.updated),
        "createdAt": iso(record.added),
        "updatedAt": iso(record.updated),
        "contactId": record.contact_id,
        "locationId": store.location_id,
        "isAttribute": False,
        "followers": [],
        "contact": _embedded(record, store.contacts_by_id.get(record.contact_id)),
    }
    for key, value in (
        ("assignedTo", record.assigned_to),
        ("source", record.source),
        ("lostReasonId", record.lost_reason_id),
    ):
        if value is not None:
            row[key] = value
    if record.api_made:
        row["internalSource"] = {"type": "opportunity", "channel": "OAUTH", "source": "INTEGRATION"}
    custom = _opportunity_custom(store, record)
    if custom and with_custom:
        row["customFields"] = custom
    return shown(store, record, row)


def _opportunity_custom(store: Store, record: Opportunity) -> list[dict[str, Any]]:
    return [
        values.search_element(field_id, store.fields[field_id].data_type, value)
        for field_id, value in record.custom.items()
        if field_id in store.fields
    ]


def _relations(record: Opportunity, contact: Contact | None) -> list[dict[str, Any]]:
    return [
        {
            "associationId": "OPPORTUNITIES_CONTACTS_ASSOCIATION",
            "relationId": record.id,
            "primary": True,
            "objectKey": "contact",
            "recordId": record.contact_id,
            "fullName": contact.name if contact else "",
        }
    ]


def _embedded(record: Opportunity, contact: Contact | None) -> dict[str, Any]:
    found: dict[str, Any] = {
        "id": record.contact_id,
        "name": contact.name if contact else "",
        "companyName": contact.company_name if contact else None,
        "email": contact.email if contact else None,
        "tags": list(contact.tags) if contact else [],
        "score": [],
    }
    if contact and contact.phone:
        found["phone"] = contact.phone  # the key itself is missing without a number
    return found


CONTACT_TEXTS = {
    "firstName": "first_name",
    "lastName": "last_name",
    "email": "email",
    "phone": "phone",
    "companyName": "company_name",
    "address1": "address1",
    "city": "city",
    "state": "state",
    "postalCode": "postal_code",
    "country": "country",
    "website": "website",
    "timezone": "timezone",
    "source": "source",
    "gender": "gender",
    "dateOfBirth": "date_of_birth",
    "assignedTo": "assigned_to",
}


def contact_row(store: Store, record: Contact, cursor: Sequence[Any]) -> dict[str, Any]:
    """A search row with its own cursor (API notes §5.10); names keep their case here."""
    row = _contact_base(store, record) | {
        "contactName": record.name,
        **{key: getattr(record, attribute) for key, attribute in CONTACT_TEXTS.items()},
        "customFields": contact_custom(store, record),
        "searchAfter": list(cursor),
    }
    return shown(store, record, row)


def contact_full(store: Store, record: Contact) -> dict[str, Any]:
    """By id and after a write: absent keys instead of nulls (API notes §5.10)."""
    row = _contact_base(store, record)
    for key, attribute in CONTACT_TEXTS.items():
        value = getattr(record, attribute)
        if value is not None:
            row[key] = value
    custom = contact_custom(store, record)
    if custom:
        row["customFields"] = custom
    return shown(store, record, row)


def contact_listed(store: Store, record: Contact) -> dict[str, Any]:
    """A row of the deprecated list: names lower-cased, the cased ones under `…Raw` (API notes §5.10)."""
    row = contact_row(store, record, ())
    del row["searchAfter"]
    for key in ("firstName", "lastName"):
        row[f"{key}Raw"] = row[key]
        row[key] = row[key].lower() if row[key] else row[key]
    return row


def _contact_base(store: Store, record: Contact) -> dict[str, Any]:
    return {
        "id": record.id,
        "locationId": store.location_id,
        "type": "lead",
        "dnd": record.dnd,
        "tags": list(record.tags),
        "dateAdded": iso(record.added),
        "dateUpdated": iso(record.updated),
    }


def contact_custom(store: Store, record: Contact) -> list[dict[str, Any]]:
    return [
        values.contact_element(field_id, store.fields[field_id].data_type, value)
        for field_id, value in record.custom.items()
        if field_id in store.fields
    ]


def shown(store: Store, record: Entry, row: dict[str, Any]) -> dict[str, Any]:
    """The row with whatever a test made this record show instead."""
    if record.id in store.overlays:
        row |= store.overlays[record.id]
    for key in store.hidden_keys.get(record.id, ()):
        row.pop(key, None)
    return row


def pipeline_shape(pipeline: Pipeline) -> dict[str, Any]:
    """Stages are objects with an integer position; the pipeline's own position is a text (API notes §5.1)."""
    return {
        "id": pipeline.id,
        "name": pipeline.name,
        "position": "Z" + pipeline.id[:4],
        "showInFunnel": True,
        "showInPieChart": True,
        "stages": [
            {
                "id": stage.id,
                "name": stage.name,
                "position": stage.position,
                "showInFunnel": True,
                "showInPieChart": True,
            }
            for stage in pipeline.stages
        ],
    }


def field_shape(store: Store, row: Field) -> dict[str, Any]:
    """A definition (API notes §5.11); `picklistOptions` is a list of strings."""
    shape: dict[str, Any] = {
        "id": row.id,
        "name": row.name,
        "model": row.model,
        "fieldKey": row.key,
        "placeholder": row.placeholder,
        "dataType": row.data_type,
        "position": row.position,
        "documentType": "field",
        "parentId": "sandboxFolder",
        "locationId": store.location_id,
        "dateAdded": iso(row.added),
        "standard": False,
    }
    if row.options or row.data_type in values.WITH_OPTIONS:
        shape["picklistOptions"] = list(row.options)
    if row.custom:
        shape["isAllowedCustomOption"] = True
    return shape
