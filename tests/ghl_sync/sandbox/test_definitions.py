"""The location, its pipelines and the definitions of custom fields."""

from __future__ import annotations

from typing import Any

import pytest

from tests.ghl_sync.sandbox.conftest import Api, refusal

pytestmark = pytest.mark.behaviour


def fields_path(api: Api, name: str = "") -> str:
    return f"/locations/{api.location}/customFields" + (f"/{name}" if name else "")


def test_the_location_tells_its_rules(api: Api) -> None:
    api.own("settings", {"allow_duplicate_opportunity": False, "unique_identifiers": ["phone", "email"]})
    assert api.get(f"/locations/{api.location}").json()["location"] == {
        "id": api.location,
        "name": "Sandbox Travel",
        "timezone": "America/New_York",
        "settings": {
            "allowDuplicateContact": False,
            "allowDuplicateOpportunity": False,
            "contactUniqueIdentifiers": ["phone", "email"],
            "allowFacebookNameMerge": False,
        },
    }


def test_pipelines_hold_their_stages_as_objects(api: Api) -> None:
    found = api.get("/opportunities/pipelines", locationId=api.location).json()["pipelines"]
    assert [row["name"] for row in found] == ["TripBooking", "Passenger", "Newsletter"]
    assert isinstance(found[0]["position"], str)
    assert [(stage["name"], stage["position"]) for stage in found[0]["stages"]] == [
        ("FormSubmit", 0), ("TripFinalized", 1), ("TravelersAdded", 2), ("TripScheduled", 3), ("TripComplete", 4),
    ]  # fmt: skip


def test_fields_without_a_model_are_those_of_contacts(api: Api) -> None:
    counts = [len(api.get(fields_path(api), **how).json()["customFields"])
              for how in ({}, {"model": "opportunity"}, {"model": "all"})]  # fmt: skip
    assert counts == [1, len(api.store.fields) - 1, len(api.store.fields)]


def test_the_list_of_fields_takes_no_location_in_its_query(api: Api) -> None:
    answer = api.get(fields_path(api), locationId=api.location)
    assert refusal(answer) == (422, ["property locationId should not exist"])


@pytest.mark.parametrize("by", ["id", "key"])
def test_a_field_is_read_by_id_or_full_key(api: Api, by: str) -> None:
    field = api.store.field("lodging")
    found = api.get(fields_path(api, field.id if by == "id" else "opportunity.lodging")).json()["customField"]
    assert found == {
        "id": field.id,
        "name": "Lodging kind",
        "model": "opportunity",
        "fieldKey": "opportunity.lodging",
        "placeholder": "",
        "dataType": "RADIO",
        "position": field.position,
        "documentType": "field",
        "parentId": "sandboxFolder",
        "locationId": api.location,
        "dateAdded": found["dateAdded"],
        "standard": False,
        "picklistOptions": ["Hotel", "Private house"],
        "isAllowedCustomOption": True,
    }


def test_a_missing_field_is_400(api: Api) -> None:
    assert refusal(api.get(fields_path(api, "nothing"))) == (400, "The custom field nothing was not found")


def test_a_field_is_created_with_a_key_from_its_name(api: Api) -> None:
    body = {"name": "Shoe size (EU)", "dataType": "NUMERICAL", "model": "opportunity"}
    first = api.post(fields_path(api), body)
    second = api.post(fields_path(api), body)
    assert first.status_code == 201
    assert first.json()["customField"]["fieldKey"] == "opportunity.shoe_size_eu"
    assert second.json()["customField"]["fieldKey"] == "opportunity.shoe_size_eu_2"


def test_a_drop_down_needs_options(api: Api) -> None:
    body: dict[str, Any] = {"name": "Meal", "dataType": "SINGLE_OPTIONS", "model": "opportunity"}
    assert refusal(api.post(fields_path(api), body)) == (422, ["options should not be empty"])
    made = api.post(fields_path(api), body | {"options": ["Fish", "Beans"]}).json()["customField"]
    assert made["picklistOptions"] == ["Fish", "Beans"]


def test_an_unknown_data_type_is_422(api: Api) -> None:
    answer = api.post(fields_path(api), {"name": "Meal", "dataType": "DROPDOWN"})
    assert refusal(answer) == (422, ["dataType must be a valid enum value"])


def test_update_of_a_field_needs_its_name(api: Api) -> None:
    field = api.store.field("travel_category")
    answer = api.put(fields_path(api, field.id), {"options": ["Other"]})
    assert refusal(answer) == (422, ["name should not be empty"])


def test_update_of_options_replaces_the_whole_list(api: Api) -> None:
    field = api.store.field("travel_category")
    card = api.card(fields={"travel_category": "Other"})
    body = {"name": field.name, "options": ["People To People", "Brand new"]}
    found = api.put(fields_path(api, field.id), body).json()["customField"]
    assert found["picklistOptions"] == ["People To People", "Brand new"]
    assert api.store.custom_by_key(api.store.opportunity(card.id)) == {"travel_category": "Other"}


def test_renaming_a_field_keeps_key_and_options(api: Api) -> None:
    field = api.store.field("travel_category")
    found = api.put(fields_path(api, field.id), {"name": "Kind of trip"}).json()["customField"]
    assert (found["name"], found["fieldKey"]) == ("Kind of trip", "opportunity.travel_category")
    assert found["picklistOptions"] == list(field.options)


def test_the_type_of_a_field_cannot_change(api: Api) -> None:
    field = api.store.field("trip_id")
    answer = api.put(fields_path(api, field.id), {"name": field.name, "dataType": "TEXT"})
    assert refusal(answer) == (422, ["property dataType should not exist"])


def test_deleting_a_field_destroys_its_values(api: Api) -> None:
    card = api.card(fields={"trip_id": 7, "passport_number": "X1"})
    answer = api.delete(fields_path(api, api.store.field("trip_id").id))
    (row,) = api.search()["opportunities"]
    assert answer.json() | {"traceId": ""} == {"succeded": True, "traceId": ""}
    assert [one["fieldValueString"] for one in row["customFields"]] == ["X1"]
    assert api.store.custom_by_key(api.store.opportunity(card.id)) == {"passport_number": "X1"}
