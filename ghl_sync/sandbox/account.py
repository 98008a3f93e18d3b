"""The location, its pipelines and its custom-field definitions over the API (API notes §5.1, §5.11, §5.12)."""

from __future__ import annotations

import re
from typing import Any

from ghl_sync.sandbox import values
from ghl_sync.sandbox.bodies import checked, checked_params
from ghl_sync.sandbox.store import Field, Store, UnknownName
from ghl_sync.sandbox.wire import Request, bad_request, field_shape, invalid, pipeline_shape

_FIELD = {
    "name": "string",
    "dataType": "string",
    "model": "string",
    "fieldKey": "string",
    "parentId": "string",
    "description": "string",
    "placeholder": "string",
    "position": "number",
    "acceptedFormat": "array",
    "isMultipleFile": "boolean",
    "maxNumberOfFiles": "number",
    "textBoxListOptions": "array",
    "options": "array",
}
MODELS = {"contact", "opportunity"}


def location(store: Store, request: Request) -> dict[str, Any]:
    settings = store.settings
    return {
        "location": {
            "id": store.location_id,
            "name": settings.name,
            "timezone": settings.timezone,
            "settings": {
                "allowDuplicateContact": settings.allow_duplicate_contact,
                "allowDuplicateOpportunity": settings.allow_duplicate_opportunity,
                "contactUniqueIdentifiers": list(settings.unique_identifiers),
                "allowFacebookNameMerge": False,
            },
        }
    }


def pipelines(store: Store, request: Request) -> dict[str, Any]:
    checked_params(request, {"locationId"}, ("locationId",))
    return {"pipelines": [pipeline_shape(row) for row in store.pipelines.values()]}


def fields(store: Store, request: Request) -> dict[str, Any]:
    """Without `model` only those of contacts; never paged (API notes §5.11)."""
    model = checked_params(request, {"model"}).get("model", "contact")
    if model not in MODELS | {"all"}:
        raise invalid("model must be one of the following values: contact, opportunity, all")
    rows = [row for row in store.fields.values() if model in ("all", row.model)]
    return {"customFields": [field_shape(store, row) for row in rows]}


def _field(store: Store, request: Request) -> Field:
    try:
        return store.field(request.names["id"])
    except UnknownName:
        raise bad_request(f"The custom field {request.names['id']} was not found") from None


def get_field(store: Store, request: Request) -> dict[str, Any]:
    return {"customField": field_shape(store, _field(store, request))}


def create_field(store: Store, request: Request) -> dict[str, Any]:
    body = checked(request, _FIELD, ("name", "dataType"))
    if body["dataType"] not in values.DATA_TYPES:
        raise invalid("dataType must be a valid enum value")
    model = body.get("model") or "contact"
    if model not in MODELS:
        raise invalid("model must be one of the following values: contact, opportunity")
    options = _options(body)
    if body["dataType"] in values.WITH_OPTIONS and not options:
        raise invalid("options should not be empty")
    key = body.get("fieldKey") or re.sub(r"\W+", "_", body["name"].lower()).strip("_")
    row = store.add_field(
        key, body["name"], body["dataType"], options, model=model, placeholder=body.get("placeholder") or ""
    )
    return {"customField": field_shape(store, row)}


def _options(body: dict[str, Any]) -> list[str]:
    options = body.get("options") or []
    if not all(isinstance(option, str) for option in options):
        raise invalid("each value in options must be a string")
    return options


def update_field(store: Store, request: Request) -> dict[str, Any]:
    """`name` is required even when unchanged; `options` replaces the whole list (API notes §5.11)."""
    row = _field(store, request)
    known = {key: kind for key, kind in _FIELD.items() if key not in {"dataType", "fieldKey", "parentId"}}
    body = checked(request, known, ("name",))
    changes: dict[str, Any] = {"name": body["name"]}
    if body.get("placeholder") is not None:
        changes["placeholder"] = body["placeholder"]
    if "options" in body:
        changes["options"] = tuple(_options(body))
    return {"customField": field_shape(store, store.change_field(row.id, **changes))}


def delete_field(store: Store, request: Request) -> dict[str, Any]:
    """Destroys the field and its values on every record."""
    store.remove_field(_field(store, request).key)
    return {"succeded": True}
