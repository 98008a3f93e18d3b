"""Opportunities over the API: create, read, update, status, upsert, delete (API notes §5.4–§5.9)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ghl_sync.sandbox import values
from ghl_sync.sandbox.bodies import checked, custom_values
from ghl_sync.sandbox.store import Opportunity, Store, now_ms
from ghl_sync.sandbox.wire import Request, bad_request, invalid, no_contact, no_opportunity, opportunity_full

STATUSES = {"open", "won", "lost", "abandoned"}
_COMMON = {
    "pipelineId": "string",
    "name": "string",
    "pipelineStageId": "string",
    "status": "string",
    "monetaryValue": "number",
    "assignedTo": "string",
    "customFields": "array",
}
_V3 = {"forecastExpectedCloseDate": "string", "forecastProbability": "number"}
_CREATE = _COMMON | {"locationId": "string", "contactId": "string"}
_UPSERT = {
    **{key: kind for key, kind in _COMMON.items() if key != "customFields"},
    "id": "string",
    "locationId": "string",
    "contactId": "string",
    "lostReasonId": "string",
    "followers": "array",
    "isRemoveAllFollowers": "boolean",
    "followersActionType": "string",
}


def create(store: Store, request: Request) -> dict[str, Any]:
    types = _CREATE | (_V3 if request.version == "v3" else {})
    required = ("pipelineId", "locationId", "name", "status", "contactId")
    body = checked(request, types, required)
    return _answer(store, _create(store, request, body))


def _create(store: Store, request: Request, body: dict[str, Any]) -> Opportunity:
    if body["status"] not in STATUSES:
        raise invalid("status must be one of the following values: open, won, lost, abandoned")
    pipeline_id, stage_id = _place(store, body["pipelineId"], body.get("pipelineStageId"))
    if store.contact(body["contactId"]) is None:
        raise no_contact(body["contactId"])
    _refuse_duplicate(store, body["contactId"], pipeline_id)
    moment = store.added_now()
    record = Opportunity(
        id=store.new_id(),
        added=moment,
        updated=moment,
        name=body["name"],
        pipeline_id=pipeline_id,
        stage_id=stage_id,
        contact_id=body["contactId"],
        status=body["status"],
        value=body.get("monetaryValue") or 0,
        assigned_to=body.get("assignedTo"),
        status_changed=moment,
        stage_changed=moment,
        api_made=True,
        custom=_merged(store, {}, request, body),
    )
    store.put(record)
    return record


def _place(store: Store, pipeline_id: str, stage_id: str | None) -> tuple[str, str]:
    """Pipeline and stage; without a stage the first (API notes §5.5)."""
    pipeline = store.pipelines.get(pipeline_id)
    if pipeline is None:
        raise bad_request("The pipeline id is invalid.")
    if stage_id is None:
        return pipeline.id, pipeline.stages[0].id
    if all(stage.id != stage_id for stage in pipeline.stages):
        raise bad_request("The stage id is not part of the pipeline.")
    return pipeline.id, stage_id


def _refuse_duplicate(store: Store, contact_id: str, pipeline_id: str, but: str = "") -> None:
    if store.settings.allow_duplicate_opportunity:
        return
    existing = [row for row in store.of_contact(contact_id, pipeline_id) if row.id != but]
    if existing:
        raise bad_request(
            "Can not create duplicate opportunity for the contact.",
            code="OPPORTUNITY_NO_DUPLICATE",
            meta={"existingId": existing[0].id},
        )


def _merged(store: Store, before: Any, request: Request, body: dict[str, Any]) -> dict[str, Any]:
    written = custom_values(store, body.get("customFields"), "opportunity", request.version)
    try:
        return store.merge_custom(before, written)
    except values.Invalid as error:
        raise invalid(str(error)) from None


def get(store: Store, request: Request) -> dict[str, Any]:
    return {"opportunity": opportunity_full(store, _living(store, request))}


def _living(store: Store, request: Request) -> Opportunity:
    found = store.opportunity(request.names["id"])
    if found is None:
        raise no_opportunity(request.names["id"])
    return found


def update(store: Store, request: Request) -> dict[str, Any]:
    """Partial: what is not sent stays. There is no way to change the contact (API notes §5.6)."""
    record = _living(store, request)
    body = checked(request, _COMMON | (_V3 if request.version == "v3" else {}))
    changes: dict[str, Any] = {}
    for key, attribute in (("name", "name"), ("monetaryValue", "value"), ("assignedTo", "assigned_to")):
        if body.get(key) is not None:
            changes[attribute] = body[key]
    if body.get("status") is not None:
        if body["status"] not in STATUSES:
            raise invalid("status must be one of the following values: open, won, lost, abandoned")
        changes["status"] = body["status"]
    if body.get("pipelineId") is not None or body.get("pipelineStageId") is not None:
        pipeline_id, stage_id = _place(store, body.get("pipelineId") or record.pipeline_id, body.get("pipelineStageId"))
        if pipeline_id != record.pipeline_id:
            _refuse_duplicate(store, record.contact_id, pipeline_id, but=record.id)
        changes |= {"pipeline_id": pipeline_id, "stage_id": stage_id}
    custom = _merged(store, record.custom, request, body)
    return _answer(store, _change(store, record, changes, custom))


def _change(store: Store, record: Opportunity, changes: dict[str, Any], custom: dict[str, Any]) -> Opportunity:
    moment = now_ms()
    if changes.get("stage_id", record.stage_id) != record.stage_id:
        changes["stage_changed"] = moment
    if changes.get("status", record.status) != record.status:
        changes["status_changed"] = moment
    moves = store.custom_moves_updated or bool(changes)
    updated = max(moment, record.updated + 1) if moves else record.updated
    after = replace(record, custom=custom, updated=updated, **changes)
    store.put(after)
    return after


def _answer(store: Store, record: Opportunity) -> dict[str, Any]:
    return {"opportunity": opportunity_full(store, record, with_custom=store.answers_with_custom)}


def set_status(store: Store, request: Request) -> dict[str, Any]:
    record = _living(store, request)
    body = checked(request, {"status": "string", "lostReasonId": "string"}, ("status",))
    if body["status"] not in STATUSES:
        raise invalid("status must be one of the following values: open, won, lost, abandoned")
    changes = {"status": body["status"], "lost_reason_id": body.get("lostReasonId", record.lost_reason_id)}
    _change(store, record, changes, dict(record.custom))
    return _done(request)


def upsert(store: Store, request: Request) -> dict[str, Any]:
    """Matches by id, else by contact and pipeline, where it may hit any one of several (API notes §5.8)."""
    body = checked(request, _UPSERT, ("pipelineId", "locationId"))
    record = store.opportunity(body.get("id") or "")
    if record is None and body.get("contactId"):
        record = next(iter(store.of_contact(body["contactId"], body["pipelineId"])), None)
    if record is not None:
        update_body = {key: body[key] for key in _COMMON if key in body}
        answer = update(store, replace(request, names={"id": record.id}, body=update_body))
        return {**answer, "new": False}
    if not body.get("contactId"):
        raise invalid("contactId should not be empty")
    defaults = {"name": "Opportunity", "status": "open"}
    return {**_answer(store, _create(store, request, defaults | body)), "new": True}


def delete(store: Store, request: Request) -> dict[str, Any]:
    """Soft: `Store.restore` brings it back."""
    store.delete(_living(store, request).id)
    return _done(request)


def _done(request: Request) -> dict[str, Any]:
    """`success` on the wire where the specification says `succeded`; v3 has both (API notes §2, §5.9)."""
    return {"success": True} | ({"succeded": True} if request.version == "v3" else {})
