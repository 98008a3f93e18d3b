"""Custom values: what a write stores, what is dropped, refused or cleared, and how each type reads back."""

from __future__ import annotations

from typing import Any

import pytest

from tests.ghl_sync.sandbox.conftest import Api, refusal

pytestmark = pytest.mark.behaviour


def written(api: Api, key: str, value: Any, before: Any = None) -> Any:
    """The element that a search shows after the write; None when the field is not there."""
    card = api.card(fields={} if before is None else {key: before})
    answer = api.put(f"/opportunities/{card.id}", {"customFields": [api.value(key, value)]})
    assert answer.status_code == 200, answer.text
    (row,) = [row for row in api.search()["opportunities"] if row["id"] == card.id]
    shown = [{name: part for name, part in one.items() if name != "id"} for one in row["customFields"]]
    return shown[0] if shown else None


@pytest.mark.parametrize(
    ("key", "value", "shown"),
    [
        ("passport_number", "X1", {"type": "string", "fieldValueString": "X1"}),
        ("trip_description", "a\nb", {"type": "string", "fieldValueString": "a\nb"}),
        ("travel_category", "Other", {"type": "string", "fieldValueString": "Other"}),
        ("lodging", "Hotel", {"type": "string", "fieldValueString": "Hotel"}),
        ("passenger_number", 3, {"type": "number", "fieldValueNumber": 3}),
        ("passenger_number", 2.5, {"type": "number", "fieldValueNumber": 2.5}),
        ("trip_standard_level_pricing", 1499.5, {"type": "number", "fieldValueNumber": 1499.5}),
        ("start_date", "2027-03-01", {"type": "date", "fieldValueDate": 1803859200000}),
        ("is_child", ["True"], {"type": "array", "fieldValueArray": ["True"]}),
    ],
)
def test_each_type_reads_back_under_one_typed_key(api: Api, key: str, value: Any, shown: Any) -> None:
    assert written(api, key, value) == shown


def test_a_date_before_1970_is_a_negative_number(api: Api) -> None:
    assert written(api, "passport_expire", "1969-12-31") == {"type": "date", "fieldValueDate": -86400000}


@pytest.mark.parametrize("value", ["2027-03-01T22:15:00Z", 1803859200000, 1803859200001])
def test_a_date_cannot_hold_a_time(api: Api, value: Any) -> None:
    assert written(api, "start_date", value) == {"type": "date", "fieldValueDate": 1803859200000}


def test_files_read_back_as_a_list(api: Api) -> None:
    file = {"url": "https://example.com/a.pdf", "meta": {"name": "a.pdf", "mimetype": "application/pdf", "size": 9}}
    assert written(api, "mou", {"some-uuid": file}) == {
        "type": "array", "fieldValueFiles": [{"url": file["url"], "deleted": False, "meta": file["meta"]}],
    }  # fmt: skip


def test_empty_fields_are_left_out(api: Api) -> None:
    card = api.card(fields={"trip_id": 7})
    (row,) = api.search()["opportunities"]
    assert [one["id"] for one in row["customFields"]] == [api.store.field("trip_id").id]
    assert api.store.opportunity(card.id).custom.keys() == {api.store.field("trip_id").id}


@pytest.mark.parametrize("key", ["travel_category", "trip_name"])
def test_a_value_that_is_no_option_is_dropped_in_silence(api: Api, key: str) -> None:
    assert written(api, key, "No such option") is None


def test_a_dropped_value_leaves_the_old_one(api: Api) -> None:
    assert written(api, "travel_category", "No such option", before="Other")["fieldValueString"] == "Other"


def test_an_option_that_differs_by_its_dash_is_dropped(api: Api) -> None:
    api.store.add_options("trip_name", ["Lisbon - Spring"])
    assert written(api, "trip_name", "Lisbon – Spring") is None


def test_a_radio_with_custom_options_takes_any_text(api: Api) -> None:
    assert written(api, "lodging", "With a cousin") == {"type": "string", "fieldValueString": "With a cousin"}


@pytest.mark.parametrize("empty", ["", None, []])
def test_clearing_works(api: Api, empty: Any) -> None:
    assert written(api, "passport_number", empty, before="X1") is None


def test_clearing_can_be_ignored(api: Api) -> None:
    api.own("settings", {"clearing": {"DATE": "ignored"}})
    assert written(api, "start_date", "", before="2027-03-01")["fieldValueDate"] == 1803859200000
    assert written(api, "passport_number", "", before="X1") is None


def test_clearing_can_be_refused(api: Api) -> None:
    api.own("settings", {"clearing": {"*": "refused"}})
    card = api.card(fields={"trip_id": 7})
    answer = api.put(f"/opportunities/{card.id}", {"customFields": [api.value("trip_id", None)]})
    assert refusal(answer) == (422, [f"customFields.{api.store.field('trip_id').id} should not be empty"])
    assert api.store.custom_by_key(api.store.opportunity(card.id)) == {"trip_id": 7}


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("trip_id", "seven", "must be a number"),
        ("start_date", "soon", "must be a valid date"),
        ("passport_number", 7, "must be a string"),
        ("travel_category", 7, "must be a string"),
        ("mou", "a.pdf", "must be an object of files"),
    ],
)
def test_a_value_that_does_not_fit_its_type_is_422(api: Api, key: str, value: Any, message: str) -> None:
    card = api.card()
    answer = api.put(f"/opportunities/{card.id}", {"customFields": [api.value(key, value)]})
    assert refusal(answer) == (422, [f"customFields.{api.store.field(key).id} {message}"])


def test_a_number_may_come_as_text(api: Api) -> None:
    assert written(api, "trip_id", "42") == {"type": "number", "fieldValueNumber": 42}


def test_an_element_names_its_field_by_id_or_key(api: Api) -> None:
    card = api.card()
    elements = [{"key": "trip_description", "field_value": "by key"}, api.value("trip_id", 1)]
    api.put(f"/opportunities/{card.id}", {"customFields": elements})
    assert api.store.custom_by_key(api.store.opportunity(card.id)) == {"trip_description": "by key", "trip_id": 1}


def test_an_unknown_field_or_key_of_an_element_is_422(api: Api) -> None:
    card = api.card()
    unknown = api.put(f"/opportunities/{card.id}", {"customFields": [{"id": "nothing", "field_value": 1}]})
    wrong = api.put(f"/opportunities/{card.id}", {"customFields": [api.value("trip_id", 1, field="fieldValue")]})
    assert refusal(unknown) == (422, ["customFields.0.id is not a custom field"])
    assert refusal(wrong) == (422, ["customFields.0.property fieldValue should not exist"])


def test_a_field_of_contacts_does_not_fit_an_opportunity(api: Api) -> None:
    card = api.card()
    field = api.store.field("contact.tripbuilder_key", "contact")
    answer = api.put(f"/opportunities/{card.id}", {"customFields": [{"id": field.id, "field_value": "x"}]})
    assert refusal(answer) == (422, ["customFields.0.id is not a custom field of opportunity"])


def test_contacts_read_back_plain_values(api: Api) -> None:
    contact, field = api.contact(), api.store.field("contact.tripbuilder_key", "contact")
    api.put(f"/contacts/{contact.id}", {"customFields": [{"id": field.id, "field_value": "contact:1"}]})
    found = api.get(f"/contacts/{contact.id}").json()["contact"]
    assert found["customFields"] == [{"id": field.id, "value": "contact:1"}]


def test_what_nobody_expects_can_be_put_into_a_field(api: Api) -> None:
    card = api.card()
    api.store.set_raw(card.id, "trip_id", "about seven")
    found = api.get(f"/opportunities/{card.id}").json()["opportunity"]
    assert found["customFields"] == [
        {"id": api.store.field("trip_id").id, "type": "string", "fieldValueString": "about seven"},
    ]  # fmt: skip
