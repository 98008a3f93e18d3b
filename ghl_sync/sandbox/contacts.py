"""Contacts over the API: look-up, create, read, update, upsert, tags, delete, the deprecated list (API notes §5.10)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ghl_sync.sandbox import values
from ghl_sync.sandbox.bodies import checked, checked_params, custom_values, whole
from ghl_sync.sandbox.store import Contact, Store, e164, now_ms
from ghl_sync.sandbox.wire import (
    CONTACT_TEXTS,
    ApiError,
    Request,
    bad_request,
    contact_full,
    contact_listed,
    invalid,
    no_contact,
)

# Only a create takes these two; a PUT that holds them is refused.
_ONLY_CREATED = {"companyName", "gender"}
_TEXTS = {key: attribute for key, attribute in CONTACT_TEXTS.items() if key not in _ONLY_CREATED}
_UPDATE = {
    **dict.fromkeys(_TEXTS, "string"),
    "name": "string",
    "dnd": "boolean",
    "dndSettings": "object",
    "inboundDndSettings": "object",
    "tags": "array",
    "customFields": "array",
}
_CREATE = _UPDATE | {"locationId": "string", **dict.fromkeys(_ONLY_CREATED, "string")}
_UPSERT = _CREATE | {"createNewIfDuplicateAllowed": "boolean"}


def find_duplicate(store: Store, request: Request) -> dict[str, Any]:
    """By e-mail, by number, or both in the location's own order."""
    params = checked_params(request, {"locationId", "email", "number"}, ("locationId",))
    if not params.get("email") and not params.get("number"):
        raise invalid("email or number should not be empty")
    email = (params.get("email") or "").strip().lower()
    found = store.matching(email=email) if email else None
    matched = "email" if found else ""
    if found is None and params.get("number"):
        found = store.matching(phone=e164(params["number"]))
        matched = "phone" if found else ""
    if found is None:
        return {"contact": None}
    return {"contact": contact_full(store, found), "matchingField": matched}


def create(store: Store, request: Request) -> dict[str, Any]:
    body = checked(request, _CREATE, ("locationId",))
    return {"contact": contact_full(store, _create(store, body))}


def _create(store: Store, body: Mapping[str, Any]) -> Contact:
    changes = _changes(store, body)
    if not {"first_name", "last_name", "email", "phone"} & set(changes):
        # HTTP says 400, the body says 422 (API notes §4).
        raise ApiError(400, {"statusCode": 422, "message": ["a contact needs a name, an email or a phone"]})
    if not store.settings.allow_duplicate_contact:
        _refuse_duplicate(store, changes)
    moment = store.added_now()
    record = Contact(
        id=store.new_id(),
        added=moment,
        updated=moment,
        tags=tuple(body.get("tags") or ()),
        dnd=bool(body.get("dnd")),
        gender=body.get("gender"),
        company_name=body.get("companyName"),
        custom=_merged(store, {}, body),
        **changes,
    )
    store.put(record)
    return record


def _changes(store: Store, body: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes by name; e-mail and phone in their stored form. An empty e-mail is refused, null clears."""
    changes: dict[str, Any] = {}
    if body.get("name") and not body.get("firstName"):
        first, _, last = body["name"].partition(" ")
        changes |= {"first_name": first, "last_name": last or None}
    for key, attribute in _TEXTS.items():
        if key not in body:
            continue
        value = body[key]
        if key in {"email", "phone"} and value == "":
            raise invalid(f"{key} must be {'an email' if key == 'email' else 'a valid phone number'}")
        if key == "email" and value is not None:
            if "@" not in value:
                raise invalid("email must be an email")
            value = value.strip().lower()
        if key == "phone" and value is not None:
            value = e164(value)
        changes[attribute] = value or None
    return changes


def _refuse_duplicate(store: Store, changes: Mapping[str, Any], but: str = "") -> None:
    for name in store.settings.unique_identifiers:
        value = changes.get(name)
        found = store.matching(**{name: value}) if value else None
        if found is not None and found.id != but:
            raise bad_request(
                "This location does not allow duplicated contacts.",
                meta={"contactId": found.id, "matchingField": name, "contactName": found.name},
            )


def _merged(store: Store, before: Any, body: Mapping[str, Any]) -> dict[str, Any]:
    written = custom_values(store, body.get("customFields"), "contact", "")
    try:
        return store.merge_custom(before, written)
    except values.Invalid as error:
        raise invalid(str(error)) from None


def _living(store: Store, request: Request) -> Contact:
    found = store.contact(request.names["id"])
    if found is None:
        raise no_contact(request.names["id"])
    return found


def get(store: Store, request: Request) -> dict[str, Any]:
    return {"contact": contact_full(store, _living(store, request))}


def update(store: Store, request: Request) -> dict[str, Any]:
    record = _living(store, request)
    body = checked(request, _UPDATE)
    return _done(request) | {"contact": contact_full(store, _update(store, record, body))}


def _done(request: Request) -> dict[str, Any]:
    """Both spellings on the wire, in v3 only the right one (API notes §2)."""
    return {"succeeded": True} | ({} if request.version == "v3" else {"succeded": True})


def _update(store: Store, record: Contact, body: Mapping[str, Any]) -> Contact:
    changes = _changes(store, body)
    if not store.settings.allow_duplicate_contact:
        _refuse_duplicate(store, changes, but=record.id)
    if body.get("tags") is not None:
        changes["tags"] = tuple(body["tags"])
    if body.get("dnd") is not None:
        changes["dnd"] = body["dnd"]
    after = replace(
        record, custom=_merged(store, record.custom, body), updated=max(now_ms(), record.updated + 1), **changes
    )
    store.put(after)
    return after


def upsert(store: Store, request: Request) -> dict[str, Any]:
    """The first identifier that matches wins, and another contact's e-mail or phone is dropped in silence."""
    body = dict(checked(request, _UPSERT, ("locationId",)))
    body.pop("createNewIfDuplicateAllowed", None)
    record = _match(store, body)
    if record is None:
        made = _create(store, body)
        return {"new": True, "contact": contact_full(store, made)} | _done(request)
    for name in ("email", "phone"):
        owner = store.matching(**{name: _changes(store, {name: body[name]})[name]}) if body.get(name) else None
        if owner is not None and owner.id != record.id:
            del body[name]
    for key in ("locationId", "gender", "companyName"):
        body.pop(key, None)
    after = _update(store, record, body)
    return {"new": False, "contact": contact_full(store, after)} | _done(request)


def _match(store: Store, body: Mapping[str, Any]) -> Contact | None:
    changes = _changes(store, {key: body[key] for key in ("email", "phone") if body.get(key)})
    for name in store.settings.unique_identifiers:
        found = store.matching(**{name: changes[name]}) if changes.get(name) else None
        if found is not None:
            return found
    return None


def add_tags(store: Store, request: Request) -> dict[str, Any]:
    record, tags = _living(store, request), _tags(request)
    added = [tag for tag in tags if tag not in record.tags]
    _retag(store, record, (*record.tags, *added))
    return {"tags": list(_living(store, request).tags), "tagsAdded": added}


def remove_tags(store: Store, request: Request) -> dict[str, Any]:
    record, tags = _living(store, request), _tags(request)
    _retag(store, record, tuple(tag for tag in record.tags if tag not in tags))
    return {"tags": list(_living(store, request).tags), "tagsRemoved": [tag for tag in tags if tag in record.tags]}


def _tags(request: Request) -> list[str]:
    tags = checked(request, {"tags": "array"}, ("tags",))["tags"]
    return [str(tag).lower() for tag in tags]


def _retag(store: Store, record: Contact, tags: tuple[str, ...]) -> None:
    store.put(replace(record, tags=tags, updated=max(now_ms(), record.updated + 1)))


def delete(store: Store, request: Request) -> dict[str, Any]:
    store.delete(_living(store, request).id)
    return _done(request)


def listed(store: Store, request: Request) -> dict[str, Any]:
    """Oldest first in pages of at most 100; `nextPage` is always 2 (API notes §5.10). Gone in v3."""
    if request.version == "v3":
        raise bad_request("Endpoint GET /contacts/ is not available in API version v3. It was removed in v3.")
    params = checked_params(request, {"locationId", "limit", "startAfter", "startAfterId", "query"}, ("locationId",))
    limit = whole(params, "limit", 20)
    if limit > 100:
        raise bad_request("limit must not be greater than 100")
    rows = store.contacts()
    if params.get("startAfterId") and params.get("startAfter"):
        after = (whole(params, "startAfter", 0), params["startAfterId"])
        rows = [row for row in rows if (row.added, row.id) > after]
    page = rows[:limit]
    last = page[-1] if page else None
    meta = {
        "total": len(store.contacts()),
        "startAfter": last.added if last else None,
        "startAfterId": last.id if last else None,
        "currentPage": 1,
        "nextPage": 2,
        "prevPage": None,
    }
    return {"contacts": [contact_listed(store, row) for row in page], "meta": meta}
