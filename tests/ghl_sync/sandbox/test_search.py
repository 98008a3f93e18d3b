"""Searches: paging by cursor and by number, order, filters, limits, lag, and both older forms."""

from __future__ import annotations

import time
from typing import Any

import pytest

from ghl_sync.sandbox.wire import iso
from tests.ghl_sync.sandbox.conftest import Api, refusal

pytestmark = pytest.mark.behaviour

START = 1_790_000_000_000
ASCENDING = [{"field": "date_added", "direction": "asc"}]


def cards(api: Api, count: int, **over: Any) -> list[str]:
    """Names of so many cards, a second apart, of a contact each."""
    names = [f"Trip {number:02d}" for number in range(count)]
    for number, name in enumerate(names):
        api.card(name=name, added=START + 1000 * number, **over)
    return names


def refused(api: Api, **body: Any) -> tuple[int, Any]:
    return refusal(api.post("/opportunities/search", {"locationId": api.location, "limit": 100} | body))


def filtered(api: Api, field: str, operator: str, value: Any = None) -> list[str]:
    item = {"field": field, "operator": operator} | ({} if value is None else {"value": value})
    return sorted(api.names(filters=[item]))


def walk(api: Api, limit: int, **body: Any) -> list[str]:
    """Names by cursor until a short page."""
    seen: list[str] = []
    after: dict[str, Any] = {}
    while True:
        rows = api.search(limit=limit, **body, **after)["opportunities"]
        seen += [row["name"] for row in rows]
        if len(rows) < limit:
            return seen
        after = {"searchAfter": rows[-1]["sort"]}


def test_a_search_answers_201(api: Api) -> None:
    answer = api.post("/opportunities/search", {"locationId": api.location, "limit": 1})
    assert answer.status_code == 201
    assert answer.json().keys() == {"opportunities", "total", "traceId"}


def test_unset_keys_of_a_row_are_null(api: Api) -> None:
    contact = api.contact(email="ines@example.com")
    card = api.card(contact_id=contact.id, fields={"trip_id": 7}, added=START)
    assert api.search()["opportunities"] == [
        {
            "id": card.id,
            "name": "Fjords",
            "monetaryValue": 0,
            "pipelineId": card.pipeline_id,
            "pipelineStageId": card.stage_id,
            "pipelineStageUId": card.stage_id,
            "assignedTo": None,
            "status": "open",
            "source": None,
            "lastStatusChangeAt": iso(START),
            "lastStageChangeAt": iso(START),
            "createdAt": iso(START),
            "updatedAt": iso(START),
            "contactId": contact.id,
            "locationId": api.location,
            "customFields": [{"id": api.store.field("trip_id").id, "type": "number", "fieldValueNumber": 7}],
            "lostReasonId": None,
            "followers": [],
            "relations": [
                {
                    "associationId": "OPPORTUNITIES_CONTACTS_ASSOCIATION",
                    "relationId": card.id,
                    "primary": True,
                    "objectKey": "contact",
                    "recordId": contact.id,
                    "fullName": "Ines Prado",
                }
            ],
            "contact": {
                "id": contact.id,
                "name": "Ines Prado",
                "companyName": None,
                "email": "ines@example.com",
                "tags": [],
                "score": [],
            },
            "sort": [START, contact.id],
            "attributions": [],
        }
    ]


def test_the_newest_comes_first_unless_asked(api: Api) -> None:
    names = cards(api, 3)
    assert api.names() == names[::-1]
    assert api.names(sort=ASCENDING) == names


@pytest.mark.parametrize("field", ["name", "monetary_value", "date_updated", "last_stage_change_date"])
def test_orders_by_other_fields(api: Api, field: str) -> None:
    for name, value in (("B", 1), ("A", 0), ("C", 2)):
        api.card(name=name, value=value, added=START + value, updated=START + 10 + value)
    expected = ["A", "B", "C"]
    assert api.names(sort=[{"field": field, "direction": "asc"}]) == expected
    assert api.names(sort=[{"field": field, "direction": "desc"}]) == expected[::-1]


def test_an_unknown_order_is_422(api: Api) -> None:
    status, message = refused(api, sort=[{"field": "colour", "direction": "asc"}])
    assert (status, message[0].startswith("sort.0.field must be one of")) == (422, True)


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
@pytest.mark.parametrize("direction", ["asc", "desc"])
def test_the_cursor_of_the_last_row_leads_through_everything(api: Api, limit: int, direction: str) -> None:
    names = cards(api, 7)
    seen = walk(api, limit, sort=[{"field": "date_added", "direction": direction}])
    assert seen == (names if direction == "asc" else names[::-1])


def test_a_cursor_shared_by_two_rows_skips_one_at_the_end_of_a_page(api: Api) -> None:
    contact = api.contact()
    for name in ("A", "B", "C"):
        api.card(name=name, contact_id=contact.id, added=START)
    assert len(walk(api, 1, sort=ASCENDING)) == 1
    assert len(walk(api, 2, sort=ASCENDING)) == 2
    assert len(walk(api, 3, sort=ASCENDING)) == 3
    assert api.search(limit=1)["total"] == 3


def test_the_cursor_may_come_back_as_texts(api: Api) -> None:
    names = cards(api, 3)
    (row,) = api.search(limit=1, sort=ASCENDING)["opportunities"]
    cursor = [str(part) for part in row["sort"]]
    assert api.names(limit=5, sort=ASCENDING, searchAfter=cursor) == names[1:]


@pytest.mark.parametrize("cursor", [[1], ["soon", "x"], [None, None], [{}, []]])
def test_a_cursor_that_is_none_is_422(api: Api, cursor: list[Any]) -> None:
    cards(api, 2)
    status, _ = refused(api, searchAfter=cursor)
    assert status == 422


def test_pages_by_number_count_from_one(api: Api) -> None:
    names = cards(api, 5)
    pages = [api.names(limit=2, page=page, sort=ASCENDING) for page in (0, 1, 2, 3, 4)]
    assert pages == [names[:2], names[:2], names[2:4], names[4:], []]


def test_page_and_cursor_together_are_422(api: Api) -> None:
    assert refused(api, page=1, searchAfter=[START, "x"]) == (
        422, ["page and searchAfter can not be used together"],
    )  # fmt: skip


def test_page_times_limit_cannot_pass_ten_thousand(api: Api) -> None:
    assert refused(api, limit=500, page=21) == (400, "page * limit must not be greater than 10000")
    assert api.search(limit=500, page=20)["opportunities"] == []


def test_a_page_that_is_too_large_is_refused_not_clamped(api: Api) -> None:
    assert refused(api, limit=501) == (400, "limit must not be greater than 500")
    api.own("settings", {"largest_page": 100})
    assert refused(api, limit=101) == (400, "limit must not be greater than 100")
    assert refused(api, limit=0) == (422, ["limit must not be less than 1"])


@pytest.mark.parametrize("key", ["locationId", "limit"])
def test_a_search_needs_location_and_limit(api: Api, key: str) -> None:
    body = {"locationId": api.location, "limit": 1}
    del body[key]
    assert refusal(api.post("/opportunities/search", body)) == (422, [f"{key} should not be empty"])


def test_filters_on_native_fields(api: Api) -> None:
    contact = api.contact(email="ines@example.com", company_name="Reed & Co")
    api.card(name="One", contact_id=contact.id, status="won", value=10)
    api.card(name="Two", pipeline="Passenger", value=20)
    assert filtered(api, "pipeline_id", "eq", api.store.pipeline("Passenger").id) == ["Two"]
    assert filtered(api, "pipeline_id", "not_eq", api.store.pipeline("Passenger").id) == ["One"]
    assert filtered(api, "contact_id", "eq", contact.id) == ["One"]
    assert filtered(api, "status", "eq", "won") == ["One"]
    assert filtered(api, "name", "contains", "wO") == ["Two"]
    assert filtered(api, "name", "not_contains", "wo") == ["One"]
    assert filtered(api, "monetary_value", "range", {"gt": 10}) == ["Two"]
    assert filtered(api, "email", "eq", "ines@example.com") == ["One"]
    assert filtered(api, "company_name", "exists") == ["One"]
    assert filtered(api, "company_name", "not_exists") == ["Two"]


def test_a_filter_on_the_record_id_and_groups(api: Api) -> None:
    ids = {name: api.card(name=name).id for name in ("One", "Two", "Three")}
    group = {
        "group": "OR",
        "filters": [{"field": "id", "operator": "eq", "value": ids[name]} for name in ("One", "Three")],
    }
    both = {"group": "AND", "filters": [group, {"field": "name", "operator": "contains", "value": "T"}]}
    assert sorted(api.names(filters=[group])) == ["One", "Three"]
    assert api.names(filters=[both]) == ["Three"]


@pytest.mark.parametrize("form", ["iso", "offset", "milliseconds"])
def test_a_range_over_times(api: Api, form: str) -> None:
    names = cards(api, 4)
    bound: Any = {
        "iso": iso(START + 2000),
        "offset": iso(START + 2000).replace("Z", "+00:00"),
        "milliseconds": START + 2000,
    }[form]
    assert filtered(api, "date_added", "range", {"gte": bound}) == names[2:]
    assert filtered(api, "date_updated", "range", {"lt": bound}) == names[:2]
    assert filtered(api, "date_added", "range", {"gt": bound, "lte": START + 3000}) == names[3:]


def test_times_take_ranges_only(api: Api) -> None:
    item = {"field": "date_added", "operator": "eq", "value": START}
    assert refused(api, filters=[item]) == (422, ["operator eq is not supported for date_added"])


def test_filters_on_custom_fields(api: Api) -> None:
    for name, number, day in (("One", 1, "2027-03-01"), ("Two", 2, "2027-04-01")):
        api.card(name=name, fields={"trip_id": number, "start_date": day, "passport_number": f"X{number}"})
    api.card(name="Bare")
    field = {key: f"custom_fields.{api.store.field(key).id}" for key in ("trip_id", "start_date", "passport_number")}
    assert filtered(api, field["trip_id"], "eq", 2) == ["Two"]
    assert filtered(api, field["trip_id"], "range", {"lte": 1}) == ["One"]
    assert filtered(api, field["passport_number"], "contains", "x2") == ["Two"]
    assert filtered(api, field["passport_number"], "not_exists") == ["Bare"]
    assert filtered(api, field["start_date"], "range", {"gte": "2027-03-15"}) == ["Two"]
    assert filtered(api, field["start_date"], "exists") == ["One", "Two"]
    status, message = refused(api, filters=[{"field": field["start_date"], "operator": "eq", "value": "2027-03-01"}])
    assert (status, message) == (422, [f"operator eq is not supported for {field['start_date']}"])


def test_a_range_passes_over_values_of_another_type(api: Api) -> None:
    api.card(name="Good", fields={"trip_id": 5})
    odd = api.card(name="Odd")
    api.store.set_raw(odd.id, "trip_id", "about five")
    assert filtered(api, f"custom_fields.{api.store.field('trip_id').id}", "range", {"gte": 1}) == ["Good"]
    assert filtered(api, f"custom_fields.{api.store.field('trip_id').id}", "range", {"gte": "a"}) == ["Odd"]


@pytest.mark.parametrize(
    "item",
    [
        "name",
        {"field": "colour", "operator": "eq", "value": 1},
        {"field": "name", "operator": "like", "value": 1},
        {"field": "date_added", "operator": "range", "value": {"gte": "soon"}},
        {"field": "date_added", "operator": "range", "value": {"after": START}},
        {"field": "date_added", "operator": "range", "value": None},
    ],
)
def test_a_filter_that_makes_no_sense_is_422(api: Api, item: Any) -> None:
    status, _ = refused(api, filters=[item])
    assert status == 422


def test_a_query_looks_into_the_name_and_has_a_longest_length(api: Api) -> None:
    cards(api, 3)
    assert api.names(query="trip 01") == ["Trip 01"]
    assert refused(api, query="x" * 76) == (422, ["query must be shorter than or equal to 75 characters"])


def test_the_search_lags_behind(api: Api) -> None:
    card = api.card(name="Old")
    api.own("settings", {"lag": 0.4})
    api.put(f"/opportunities/{card.id}", {"name": "New"})
    api.post("/opportunities/", api.body(name="Later"))
    assert api.names() == ["Old"]
    time.sleep(0.5)
    assert sorted(api.names()) == ["Later", "New"]


def test_a_deleted_record_lingers_for_the_lag(api: Api) -> None:
    card = api.card()
    api.own("settings", {"lag": 0.3})
    api.delete(f"/opportunities/{card.id}")
    assert api.names() == ["Fjords"]
    time.sleep(0.4)
    assert api.names() == []


def test_the_key_of_a_missing_phone_is_missing_itself(api: Api) -> None:
    for phone in (None, "+12025550142"):
        api.card(contact_id=api.contact(phone=phone).id)
    rows = api.search(sort=ASCENDING)["opportunities"]
    assert ["phone" in row["contact"] for row in rows] == [False, True]


def test_a_record_can_show_broken_keys(api: Api) -> None:
    card = api.card()
    api.store.overlay(card.id, {"status": 7}, hide=["createdAt"])
    (row,) = api.search()["opportunities"]
    assert (row["status"], "createdAt" in row) == (7, False)


# GET /opportunities/search


def listed(api: Api, **params: Any) -> Any:
    answer = api.get("/opportunities/search", location_id=api.location, **params)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_older_search_filters_by_snake_case_names(api: Api) -> None:
    contact = api.contact()
    api.card(name="One", contact_id=contact.id)
    api.card(name="Two", pipeline="Passenger", status="won")
    params: list[dict[str, Any]] = [
        {"contact_id": contact.id}, {"pipeline_id": api.store.pipeline("Passenger").id}, {"status": "won"},
        {"q": "tw"}, {"status": "all"},
    ]  # fmt: skip
    found = [[row["name"] for row in listed(api, **one)["opportunities"]] for one in params]
    assert found == [["One"], ["Two"], ["Two"], ["Two"], ["Two", "One"]]


def test_the_older_search_refuses_camel_case(api: Api) -> None:
    answer = api.get("/opportunities/search", location_id=api.location, contactId="x")
    assert refusal(answer) == (422, ["property contactId should not exist"])


def test_the_older_search_pages_by_both_keys(api: Api) -> None:
    names = cards(api, 5)
    first = listed(api, limit=2, order="added_asc")
    second = listed(api, limit=2, order="added_asc", startAfter=first["meta"]["startAfter"],
                    startAfterId=first["meta"]["startAfterId"])  # fmt: skip
    half = listed(api, limit=2, order="added_asc", startAfterId=first["meta"]["startAfterId"])
    assert first["meta"] | {"startAfterId": ""} == {
        "total": 5, "startAfter": START + 1000, "startAfterId": "", "currentPage": 1, "nextPage": 2, "prevPage": None,
    }  # fmt: skip
    assert [row["name"] for row in second["opportunities"]] == names[2:4]
    assert [row["name"] for row in half["opportunities"]] == names[:2]


def test_the_older_search_gives_twenty_and_at_most_a_hundred(api: Api) -> None:
    cards(api, 21)
    assert len(listed(api)["opportunities"]) == 20
    answer = api.get("/opportunities/search", location_id=api.location, limit=101)
    assert refusal(answer) == (400, "limit must not be greater than 100")


@pytest.mark.parametrize("key", ["limit", "page"])
def test_the_older_search_refuses_a_text_for_a_number(api: Api, key: str) -> None:
    answer = api.get("/opportunities/search", location_id=api.location, **{key: "many"})
    assert refusal(answer) == (422, [f"{key} must be a number"])


# POST /contacts/search


def contacts(api: Api, **body: Any) -> Any:
    answer = api.post("/contacts/search", {"locationId": api.location, "pageLimit": 100} | body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_search_of_contacts_needs_a_page_limit(api: Api) -> None:
    answer = api.post("/contacts/search", {"locationId": api.location})
    assert refusal(answer) == (422, ["pageLimit should not be empty"])


def test_the_search_of_contacts_gives_a_cursor_to_each_row_and_keeps_case(api: Api) -> None:
    contact = api.contact(added=START)
    (row,) = contacts(api)["contacts"]
    assert row["searchAfter"] == [START, contact.id]
    assert (row["firstName"], row["contactName"], row["email"], row["country"]) == ("Ines", "Ines Prado", None, None)


def test_the_search_of_contacts_is_a_feed_of_changes(api: Api) -> None:
    ids = [api.contact(added=START + number).id for number in range(3)]
    api.put(f"/contacts/{ids[0]}", {"city": "Porto"})
    order = [{"field": "dateUpdated", "direction": "asc"}]
    first = contacts(api, pageLimit=2, sort=order)["contacts"]
    rest = contacts(api, pageLimit=2, sort=order, searchAfter=first[-1]["searchAfter"])["contacts"]
    assert [row["id"] for row in first + rest] == [ids[1], ids[2], ids[0]]


def test_the_search_of_contacts_filters_by_email_but_finds_no_phone(api: Api) -> None:
    api.contact(email="ines@example.com", phone="+12025550142")
    found = [
        contacts(api, filters=[{"field": field, "operator": "eq", "value": value}])["total"]
        for field, value in (("email", "ines@example.com"), ("phone", "+12025550142"))
    ]
    assert found == [1, 0]


def test_the_search_of_contacts_filters_by_a_custom_field(api: Api) -> None:
    api.contact(fields={"tripbuilder_key": "contact:1"})
    api.contact()
    name = f"customFields.{api.store.field('contact.tripbuilder_key', 'contact').id}"
    assert contacts(api, filters=[{"field": name, "operator": "eq", "value": "contact:1"}])["total"] == 1
