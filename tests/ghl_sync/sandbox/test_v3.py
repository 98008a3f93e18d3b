"""What is different with `Version: v3`."""

from __future__ import annotations

import pytest

from tests.ghl_sync.sandbox.conftest import Api, refusal

pytestmark = pytest.mark.behaviour


def test_v3_writes_values_under_another_key(v3: Api) -> None:
    card = v3.card()
    good = v3.put(f"/opportunities/{card.id}", {"customFields": [v3.value("trip_id", 7, field="fieldValue")]})
    old = v3.put(f"/opportunities/{card.id}", {"customFields": [v3.value("trip_id", 8)]})
    assert (good.status_code, refusal(old)) == (200, (422, ["customFields.0.property field_value should not exist"]))
    assert v3.store.custom_by_key(v3.store.opportunity(card.id)) == {"trip_id": 7}


def test_v3_contacts_take_both_keys(v3: Api) -> None:
    contact, field = v3.contact(), v3.store.field("contact.tripbuilder_key", "contact")
    for key in ("field_value", "fieldValue"):
        v3.put(f"/contacts/{contact.id}", {"customFields": [{"id": field.id, key: key}]})
        assert v3.store.contact(contact.id).custom == {field.id: key}


def test_v3_searches_by_camel_case(v3: Api) -> None:
    card = v3.card()
    found = v3.get("/opportunities/search", locationId=v3.location, contactId=card.contact_id)
    old = v3.get("/opportunities/search", location_id=v3.location)
    assert [row["id"] for row in found.json()["opportunities"]] == [card.id]
    assert refusal(old) == (
        422, ["property location_id should not exist", "locationId should not be empty"],
    )  # fmt: skip


def test_v3_has_no_list_of_contacts(v3: Api) -> None:
    answer = v3.get("/contacts/", locationId=v3.location)
    status, message = refusal(answer)
    assert (status, "not available in API version v3" in message) == (400, True)


def test_v3_takes_a_forecast(v3: Api, api: Api) -> None:
    card = v3.card()
    body = {"forecastProbability": 50, "forecastExpectedCloseDate": "2027-03-01"}
    assert v3.put(f"/opportunities/{card.id}", body).status_code == 200
    assert refusal(api.put(f"/opportunities/{card.id}", body))[0] == 422


def test_v3_answers_with_other_flags(v3: Api) -> None:
    card, contact = v3.card(), v3.contact()
    answers = [
        v3.put(f"/opportunities/{card.id}/status", {"status": "won"}),
        v3.delete(f"/opportunities/{card.id}"),
        v3.put(f"/contacts/{contact.id}", {"city": "Porto"}),
        v3.delete(f"/contacts/{contact.id}"),
    ]
    flags = [sorted(set(one.json()) - {"traceId", "contact"}) for one in answers]
    assert flags == [["succeded", "success"], ["succeded", "success"], ["succeeded"], ["succeeded"]]


def test_v3_searches_carry_aggregations(v3: Api) -> None:
    assert v3.search().keys() == {"opportunities", "total", "aggregations", "stageAggregations", "traceId"}
