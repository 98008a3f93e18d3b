"""Opportunities: create, read, change, status, upsert, delete, and the rule about duplicates."""

from __future__ import annotations

import pytest

from tests.ghl_sync.sandbox.conftest import Api, refusal

pytestmark = pytest.mark.behaviour


def test_create_answers_with_the_record_in_the_first_stage(api: Api) -> None:
    contact = api.contact(email="ines@example.com")
    answer = api.post("/opportunities/", api.body(contactId=contact.id))
    made = answer.json()["opportunity"]
    pipeline = api.store.pipeline("TripBooking")
    assert answer.status_code == 201
    assert made == {
        "id": made["id"],
        "name": "Fjords",
        "monetaryValue": 0,
        "pipelineId": pipeline.id,
        "pipelineStageId": pipeline.stages[0].id,
        "pipelineStageUId": pipeline.stages[0].id,
        "status": "open",
        "lastStatusChangeAt": made["createdAt"],
        "lastStageChangeAt": made["createdAt"],
        "lastActionDate": made["createdAt"],
        "createdAt": made["createdAt"],
        "updatedAt": made["createdAt"],
        "contactId": contact.id,
        "locationId": api.location,
        "isAttribute": False,
        "internalSource": {"type": "opportunity", "channel": "OAUTH", "source": "INTEGRATION"},
        "followers": [],
        "contact": {
            "id": contact.id, "name": "Ines Prado", "companyName": None, "email": "ines@example.com",
            "tags": [], "score": [],
        },
    }  # fmt: skip
    assert len(made["id"]) == 20


@pytest.mark.parametrize("key", ["pipelineId", "locationId", "name", "status", "contactId"])
def test_create_needs_its_five_keys(api: Api, key: str) -> None:
    body = api.body()
    del body[key]
    assert refusal(api.post("/opportunities/", body)) == (422, [f"{key} should not be empty"])


def test_create_refuses_the_search_status_all(api: Api) -> None:
    status, message = refusal(api.post("/opportunities/", api.body(status="all")))
    assert (status, message) == (422, ["status must be one of the following values: open, won, lost, abandoned"])


def test_create_refuses_a_contact_that_does_not_exist(api: Api) -> None:
    answer = api.post("/opportunities/", api.body(contactId="nobody"))
    assert answer.status_code == 400
    assert answer.json() | {"traceId": ""} == {
        "error": "Contact with id nobody not found", "status": 400, "traceId": "",
    }  # fmt: skip


def test_create_takes_values_and_a_stage(api: Api) -> None:
    stage = api.store.stage("TripBooking", "TripScheduled")
    body = api.body(pipelineStageId=stage.id, monetaryValue=1200.5, customFields=[api.value("trip_id", 7)])
    made = api.post("/opportunities/", body).json()["opportunity"]
    assert (made["pipelineStageId"], made["monetaryValue"]) == (stage.id, 1200.5)
    assert made["customFields"] == [
        {"id": api.store.field("trip_id").id, "type": "number", "fieldValueNumber": 7},
    ]  # fmt: skip


def test_by_id_unset_keys_are_absent(api: Api) -> None:
    found = api.get(f"/opportunities/{api.card().id}").json()["opportunity"]
    assert {"assignedTo", "source", "lostReasonId", "customFields", "relations", "sort"} & set(found) == set()
    assert None not in [value for key, value in found.items() if key != "contact"]


def test_by_id_reads_straight_through_the_lag(api: Api) -> None:
    api.store.lag = 60.0
    card = api.card()
    assert api.get(f"/opportunities/{card.id}").status_code == 200
    assert api.names() == []


def test_a_missing_opportunity_is_400(api: Api) -> None:
    for method in ("GET", "DELETE"):
        answer = api.call(method, "/opportunities/nothing")
        assert refusal(answer) == (400, "The opportunity with id nothing was not found")
    assert api.put("/opportunities/nothing", {"name": "x"}).status_code == 400


def test_update_changes_only_what_is_sent(api: Api) -> None:
    card = api.card(fields={"trip_id": 7, "trip_description": "Old"}, value=5)
    answer = api.put(f"/opportunities/{card.id}", {"customFields": [api.value("trip_description", "New")]})
    after = api.store.opportunity(card.id)
    assert answer.json()["opportunity"]["id"] == card.id
    assert api.store.custom_by_key(after) == {"trip_id": 7, "trip_description": "New"}
    assert (after.name, after.value, after.status) == ("Fjords", 5, "open")


def test_update_moves_only_its_own_times(api: Api) -> None:
    card = api.card()
    body = api.put(f"/opportunities/{card.id}", {"name": "Fjords II"}).json()["opportunity"]
    assert body["updatedAt"] > body["createdAt"]
    assert body["lastStageChangeAt"] == body["lastStatusChangeAt"] == body["createdAt"]
    stage = api.store.stage("TripBooking", "TripComplete").id
    moved = api.put(f"/opportunities/{card.id}", {"pipelineStageId": stage, "status": "won"}).json()["opportunity"]
    assert min(moved["lastStageChangeAt"], moved["lastStatusChangeAt"]) > moved["createdAt"]


@pytest.mark.parametrize("key", ["contactId", "locationId", "lostReasonId", "source"])
def test_update_refuses_what_cannot_change(api: Api, key: str) -> None:
    card = api.card()
    value = api.location if key == "locationId" else "other"
    answer = api.put(f"/opportunities/{card.id}", {key: value})
    assert refusal(answer) == (422, [f"property {key} should not exist"])


def test_update_refuses_a_stage_of_another_pipeline(api: Api) -> None:
    card = api.card()
    foreign = api.store.stage("Passenger", "TripReady").id
    answer = api.put(f"/opportunities/{card.id}", {"pipelineStageId": foreign})
    assert refusal(answer) == (400, "The stage id is not part of the pipeline.")


def test_update_to_another_pipeline_goes_to_the_stage_named(api: Api) -> None:
    card = api.card()
    stage, pipeline = api.store.stage("Passenger", "TripReady").id, api.store.pipeline("Passenger").id
    api.put(f"/opportunities/{card.id}", {"pipelineId": pipeline, "pipelineStageId": stage})
    after = api.store.opportunity(card.id)
    assert (after.pipeline_id, after.stage_id) == (pipeline, stage)


def test_custom_fields_alone_move_the_time_of_change_or_not(api: Api) -> None:
    card = api.card()
    api.put(f"/opportunities/{card.id}", {"customFields": [api.value("trip_id", 1)]})
    moved = api.store.opportunity(card.id).updated
    api.own("settings", {"custom_moves_updated": False})
    api.put(f"/opportunities/{card.id}", {"customFields": [api.value("trip_id", 2)]})
    assert moved > card.updated
    assert api.store.opportunity(card.id).updated == moved


def test_a_write_can_answer_without_the_custom_fields(api: Api) -> None:
    api.own("settings", {"answers_with_custom": False})
    made = api.post("/opportunities/", api.body(customFields=[api.value("trip_id", 7)])).json()["opportunity"]
    read = api.get(f"/opportunities/{made['id']}").json()["opportunity"]
    assert ("customFields" in made, "customFields" in read) == (False, True)


def test_status_has_a_route_that_takes_a_reason(api: Api) -> None:
    card = api.card()
    answer = api.put(f"/opportunities/{card.id}/status", {"status": "lost", "lostReasonId": "too-dear"})
    after = api.store.opportunity(card.id)
    assert answer.json() | {"traceId": ""} == {"success": True, "traceId": ""}
    assert (after.status, after.lost_reason_id) == ("lost", "too-dear")


def test_a_second_opportunity_of_a_contact_is_refused_unless_allowed(api: Api) -> None:
    contact = api.contact()
    body = api.body(contactId=contact.id)
    api.own("settings", {"allow_duplicate_opportunity": False})
    first = api.post("/opportunities/", body).json()["opportunity"]["id"]
    answer = api.post("/opportunities/", body)
    assert answer.status_code == 400
    assert answer.json() | {"traceId": ""} == {
        "statusCode": 400,
        "message": "Can not create duplicate opportunity for the contact.",
        "code": "OPPORTUNITY_NO_DUPLICATE",
        "meta": {"existingId": first},
        "error": "Bad Request",
        "traceId": "",
    }
    api.own("settings", {"allow_duplicate_opportunity": True})
    assert api.post("/opportunities/", body).status_code == 201


def test_another_pipeline_is_no_duplicate_but_moving_there_may_be(api: Api) -> None:
    api.own("settings", {"allow_duplicate_opportunity": False})
    contact, passengers = api.contact(), api.store.pipeline("Passenger").id
    trip = api.post("/opportunities/", api.body(contactId=contact.id)).json()["opportunity"]["id"]
    other = api.post("/opportunities/", api.body(contactId=contact.id, pipelineId=passengers))
    answer = api.put(f"/opportunities/{trip}", {"pipelineId": passengers})
    assert other.status_code == 201
    assert answer.json()["meta"] == {"existingId": other.json()["opportunity"]["id"]}


def test_the_duplicate_rule_does_not_lag(api: Api) -> None:
    api.own("settings", {"allow_duplicate_opportunity": False, "lag": 60})
    body = api.body()
    api.post("/opportunities/", body)
    assert api.post("/opportunities/", body).json()["code"] == "OPPORTUNITY_NO_DUPLICATE"


def test_upsert_hits_any_one_of_several(api: Api) -> None:
    contact = api.contact()
    cards = [api.card(contact_id=contact.id, name=name) for name in ("One", "Two")]
    body = {"locationId": api.location, "pipelineId": cards[0].pipeline_id, "contactId": contact.id, "name": "Three"}
    answer = api.post("/opportunities/upsert", body).json()
    assert (answer["new"], answer["opportunity"]["id"]) == (False, cards[0].id)
    assert [row.name for row in api.store.opportunities()] == ["Three", "Two"]


def test_upsert_by_id_or_as_new(api: Api) -> None:
    card = api.card()
    base = {"locationId": api.location, "pipelineId": card.pipeline_id}
    known = api.post("/opportunities/upsert", base | {"id": card.id, "name": "Renamed"}).json()
    new = api.post("/opportunities/upsert", base | {"contactId": api.contact().id, "name": "New"}).json()
    assert (known["new"], known["opportunity"]["name"]) == (False, "Renamed")
    assert (new["new"], new["opportunity"]["name"]) == (True, "New")


def test_upsert_takes_no_custom_fields(api: Api) -> None:
    card = api.card()
    answer = api.post("/opportunities/upsert", {"locationId": api.location, "pipelineId": card.pipeline_id,
                                                "customFields": []})  # fmt: skip
    assert refusal(answer) == (422, ["property customFields should not exist"])


def test_delete_answers_success_and_the_second_one_400(api: Api) -> None:
    card = api.card()
    answer = api.delete(f"/opportunities/{card.id}")
    assert answer.json() | {"traceId": ""} == {"success": True, "traceId": ""}
    assert api.get(f"/opportunities/{card.id}").status_code == 400
    assert api.delete(f"/opportunities/{card.id}").status_code == 400


def test_a_deleted_opportunity_can_come_back(api: Api) -> None:
    card = api.card(fields={"trip_id": 7})
    api.delete(f"/opportunities/{card.id}")
    assert api.names() == []
    api.own("restore", {"id": card.id})
    assert api.names() == ["Fjords"]
    assert api.store.custom_by_key(api.store.opportunity(card.id)) == {"trip_id": 7}


def test_merging_contacts_moves_an_opportunity(api: Api) -> None:
    card, master = api.card(), api.contact(first_name="Otto", last_name="Reed")
    api.own("edit", {"id": card.id, "contact_id": master.id})
    (row,) = api.search(filters=[{"field": "contact_id", "operator": "eq", "value": master.id}])["opportunities"]
    assert (row["contactId"], row["contact"]["name"]) == (master.id, "Otto Reed")
