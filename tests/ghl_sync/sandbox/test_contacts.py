"""Contacts: duplicates, create, read, change, upsert, tags, delete and the deprecated list."""

from __future__ import annotations

from typing import Any

import pytest

from tests.ghl_sync.sandbox.conftest import Api, refusal

pytestmark = pytest.mark.behaviour


def find(api: Api, **params: str) -> dict[str, Any]:
    answer = api.get("/contacts/search/duplicate", locationId=api.location, **params)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    del found["traceId"]
    return found


def create(api: Api, **values: Any) -> Any:
    return api.post("/contacts/", {"locationId": api.location} | values)


def test_the_duplicate_look_up_finds_by_email_or_number(api: Api) -> None:
    contact = api.contact(email="ines@example.com", phone="+12025550142")
    by_email = find(api, email="INES@example.com")
    by_number = find(api, number="+1 (202) 555-0142")
    assert (by_email["contact"]["id"], by_email["matchingField"]) == (contact.id, "email")
    assert (by_number["contact"]["id"], by_number["matchingField"]) == (contact.id, "phone")


def test_the_duplicate_look_up_answers_null_for_nobody(api: Api) -> None:
    assert find(api, email="nobody@example.com") == {"contact": None}


def test_the_duplicate_look_up_needs_something_to_look_for(api: Api) -> None:
    answer = api.get("/contacts/search/duplicate", locationId=api.location)
    assert refusal(answer) == (422, ["email or number should not be empty"])


def test_the_duplicate_look_up_does_not_lag(api: Api) -> None:
    api.store.lag = 60.0
    made = create(api, email="ines@example.com").json()["contact"]
    assert find(api, email="ines@example.com")["contact"]["id"] == made["id"]


def test_create_stores_email_and_phone_in_their_forms(api: Api) -> None:
    answer = create(api, firstName="Ines", email=" Ines@Example.com", phone="202 555 0142", tags=["vip"])
    made = answer.json()["contact"]
    assert answer.status_code == 201
    assert made == {
        "id": made["id"],
        "locationId": api.location,
        "type": "lead",
        "dnd": False,
        "tags": ["vip"],
        "dateAdded": made["dateAdded"],
        "dateUpdated": made["dateAdded"],
        "firstName": "Ines",
        "email": "ines@example.com",
        "phone": "+12025550142",
    }


def test_create_splits_a_whole_name(api: Api) -> None:
    made = create(api, name="Ines de Prado").json()["contact"]
    assert (made["firstName"], made["lastName"]) == ("Ines", "de Prado")


def test_create_without_anything_to_know_the_person_by_is_400_with_422_inside(api: Api) -> None:
    answer = create(api, city="Lisbon")
    assert (answer.status_code, answer.json()["statusCode"]) == (400, 422)


def test_create_of_a_duplicate_names_the_one_there_is(api: Api) -> None:
    contact = api.contact(email="ines@example.com", phone="+12025550142")
    answer = create(api, firstName="Otto", email="otto@example.com", phone="+12025550142")
    assert answer.status_code == 400
    assert answer.json() | {"traceId": ""} == {
        "statusCode": 400,
        "message": "This location does not allow duplicated contacts.",
        "error": "Bad Request",
        "meta": {"contactId": contact.id, "matchingField": "phone", "contactName": "Ines Prado"},
        "traceId": "",
    }


def test_create_of_a_duplicate_works_where_it_is_allowed(api: Api) -> None:
    api.own("settings", {"allow_duplicate_contact": True})
    api.contact(email="ines@example.com")
    assert create(api, email="ines@example.com").status_code == 201


@pytest.mark.parametrize(("key", "what"), [("email", "an email"), ("phone", "a valid phone number")])
def test_an_empty_email_or_phone_is_422(api: Api, key: str, what: str) -> None:
    contact = api.contact(email="ines@example.com")
    assert refusal(create(api, firstName="Otto", **{key: ""})) == (422, [f"{key} must be {what}"])
    assert refusal(api.put(f"/contacts/{contact.id}", {key: ""})) == (422, [f"{key} must be {what}"])


def test_by_id_unset_keys_are_absent(api: Api) -> None:
    contact = api.contact()
    found = api.get(f"/contacts/{contact.id}").json()["contact"]
    assert found.keys() == {
        "id", "locationId", "type", "dnd", "tags", "dateAdded", "dateUpdated", "firstName", "lastName",
    }  # fmt: skip


def test_a_missing_contact_is_400_with_keys_of_its_own(api: Api) -> None:
    for method in ("GET", "DELETE"):
        answer = api.call(method, "/contacts/nobody")
        assert answer.status_code == 400
        assert answer.json() | {"traceId": ""} == {
            "error": "Contact with id nobody not found", "status": 400, "traceId": "",
        }  # fmt: skip


def test_update_changes_only_what_is_sent_and_null_clears(api: Api) -> None:
    contact = api.contact(email="ines@example.com", city="Porto")
    answer = api.put(f"/contacts/{contact.id}", {"lastName": "Reis", "city": None}).json()
    assert (answer["succeded"], answer["succeeded"]) == (True, True)
    found = api.get(f"/contacts/{contact.id}").json()["contact"]
    assert (found["firstName"], found["lastName"], found["email"]) == ("Ines", "Reis", "ines@example.com")
    assert "city" not in found
    assert found["dateUpdated"] > found["dateAdded"]


@pytest.mark.parametrize("key", ["companyName", "gender", "locationId", "additionalEmails"])
def test_update_refuses_keys_that_only_a_create_takes(api: Api, key: str) -> None:
    contact = api.contact()
    value = api.location if key == "locationId" else "x"
    assert refusal(api.put(f"/contacts/{contact.id}", {key: value})) == (422, [f"property {key} should not exist"])


def test_update_refuses_the_email_of_somebody_else(api: Api) -> None:
    owner, contact = api.contact(email="ines@example.com"), api.contact(first_name="Otto")
    answer = api.put(f"/contacts/{contact.id}", {"email": "ines@example.com"})
    assert (answer.status_code, answer.json()["meta"]["contactId"]) == (400, owner.id)


def test_upsert_updates_the_match_or_creates(api: Api) -> None:
    contact = api.contact(email="ines@example.com")
    base = {"locationId": api.location}
    known = api.post("/contacts/upsert", base | {"email": "ines@example.com", "lastName": "Reis"}).json()
    new = api.post("/contacts/upsert", base | {"email": "otto@example.com"}).json()
    assert (known["new"], known["contact"]["id"], known["contact"]["lastName"]) == (False, contact.id, "Reis")
    assert (new["new"], new["succeded"], new["succeeded"]) == (True, True, True)


def test_upsert_replaces_all_tags(api: Api) -> None:
    contact = api.contact(email="ines@example.com", tags=["a", "b"])
    api.post("/contacts/upsert", {"locationId": api.location, "email": "ines@example.com", "tags": ["c"]})
    assert api.store.contact(contact.id).tags == ("c",)


def test_upsert_drops_the_phone_of_somebody_else_in_silence(api: Api) -> None:
    first, second = api.contact(email="ines@example.com"), api.contact(phone="+12025550142")
    body = {"locationId": api.location, "email": "ines@example.com", "phone": "+12025550142"}
    answer = api.post("/contacts/upsert", body).json()
    assert (answer["contact"]["id"], "phone" in answer["contact"]) == (first.id, False)
    assert api.store.contact(second.id).phone == "+12025550142"


def test_upsert_by_phone_makes_another_email_the_only_one(api: Api) -> None:
    contact = api.contact(email="ines@example.com", phone="+12025550142")
    body = {"locationId": api.location, "email": "prado@example.com", "phone": "+12025550142"}
    api.post("/contacts/upsert", body)
    assert api.store.contact(contact.id).email == "prado@example.com"
    assert find(api, email="ines@example.com") == {"contact": None}


def test_upsert_asks_the_identifiers_in_the_locations_order(api: Api) -> None:
    api.own("settings", {"unique_identifiers": ["phone", "email"]})
    api.contact(email="ines@example.com")
    by_phone = api.contact(phone="+12025550142")
    body = {"locationId": api.location, "email": "ines@example.com", "phone": "+12025550142"}
    assert api.post("/contacts/upsert", body).json()["contact"]["id"] == by_phone.id


def test_tags_are_added_and_removed_singly(api: Api) -> None:
    contact = api.contact(tags=["a"])
    added = api.post(f"/contacts/{contact.id}/tags", {"tags": ["B", "a"]})
    assert (added.status_code, added.json()["tags"], added.json()["tagsAdded"]) == (201, ["a", "b"], ["b"])
    removed = api.call("DELETE", f"/contacts/{contact.id}/tags", json={"tags": ["a", "z"]}).json()
    assert (removed["tags"], removed["tagsRemoved"]) == (["b"], ["a"])


def test_delete_answers_both_spellings_and_is_soft(api: Api) -> None:
    contact = api.contact(email="ines@example.com")
    answer = api.delete(f"/contacts/{contact.id}").json()
    assert answer | {"traceId": ""} == {"succeded": True, "succeeded": True, "traceId": ""}
    assert find(api, email="ines@example.com") == {"contact": None}
    api.own("restore", {"id": contact.id})
    assert find(api, email="ines@example.com")["contact"]["id"] == contact.id


def test_the_deprecated_list_lower_cases_names(api: Api) -> None:
    api.contact()
    (row,) = api.get("/contacts/", locationId=api.location).json()["contacts"]
    shown = [row[key] for key in ("firstName", "firstNameRaw", "lastName", "lastNameRaw")]
    assert shown == ["ines", "Ines", "prado", "Prado"]


def test_the_deprecated_list_pages_by_two_keys_and_always_names_page_two(api: Api) -> None:
    ids = [api.contact().id for _ in range(5)]
    seen: list[str] = []
    after: dict[str, Any] = {}
    while True:
        page = api.get("/contacts/", locationId=api.location, limit=2, **after).json()
        assert (page["meta"]["total"], page["meta"]["nextPage"], page["meta"]["prevPage"]) == (5, 2, None)
        if not page["contacts"]:
            break
        seen += [row["id"] for row in page["contacts"]]
        after = {key: page["meta"][key] for key in ("startAfter", "startAfterId")}
    assert seen == ids


def test_the_deprecated_list_repeats_page_one_with_half_a_cursor(api: Api) -> None:
    first, *_ = [api.contact().id for _ in range(3)]
    page = api.get("/contacts/", locationId=api.location, limit=1, startAfterId=first).json()
    assert [row["id"] for row in page["contacts"]] == [first]


def test_the_deprecated_list_refuses_more_than_a_hundred(api: Api) -> None:
    answer = api.get("/contacts/", locationId=api.location, limit=101)
    assert refusal(answer) == (400, "limit must not be greater than 100")


@pytest.mark.parametrize("key", ["limit", "startAfter"])
def test_the_deprecated_list_refuses_a_text_for_a_number(api: Api, key: str) -> None:
    answer = api.get("/contacts/", locationId=api.location, startAfterId="x", **{key: "many"})
    assert refusal(answer) == (422, [f"{key} must be a number"])
