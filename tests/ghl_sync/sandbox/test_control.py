"""The sandbox's own pages: what a CRM user does, and the switches of tests."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
import requests

from ghl_sync.sandbox.server import Sandbox
from tests.ghl_sync.sandbox.conftest import Api

pytestmark = pytest.mark.behaviour


def told(api: Api, page: str, body: Any) -> tuple[int, str]:
    answer = api.session.post(f"{api.sandbox.url}/_sandbox/{page}", json=body, timeout=5)
    return answer.status_code, answer.json().get("message", "")


def test_the_board_is_a_page_that_needs_nothing_from_elsewhere(api: Api) -> None:
    answer = api.session.get(api.sandbox.url + "/", timeout=5)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert "default-src 'none'" in answer.text
    assert not [word for word in ("src=", 'href="http', "@import", "url(") if word in answer.text]


def test_the_board_lists_a_pipeline_by_stage_newest_change_first(api: Api) -> None:
    old = api.card(name="Old", added=1000, updated=1000)
    new = api.card(name="New", added=2000, updated=3000)
    board = api.own("board", pipeline="TripBooking")
    first, *others = board["stages"]
    assert (board["pipeline"], board["pipelines"]) == ("TripBooking", ["TripBooking", "Passenger", "Newsletter"])
    assert (first["name"], first["count"], [stage["count"] for stage in others]) == ("FormSubmit", 2, [0, 0, 0, 0])
    assert [card["id"] for card in first["cards"]] == [new.id, old.id]
    assert first["cards"][1] == {
        "id": old.id, "name": "Old", "status": "open", "contact": "Ines Prado",
        "updated": "1970-01-01T00:00:01.000Z", "by_api": False,
    }  # fmt: skip


def test_the_board_shows_fifty_of_many_and_searches_all(api: Api) -> None:
    contact = api.contact(first_name="Otto", last_name="Reed", email="otto@example.com")
    for number in range(60):
        api.card(name=f"Trip {number}", contact_id=contact.id, added=1000 + number)
    api.card(name="Other", added=1)
    column = api.own("board")["stages"][0]
    assert (column["count"], len(column["cards"])) == (61, 50)
    counts = [api.own("board", q=text)["stages"][0]["count"] for text in ("other", "OTTO", "reed", "otto@", "none")]
    assert counts == [1, 60, 60, 60, 0]


def test_an_edit_changes_what_is_named_and_moves_the_time(api: Api) -> None:
    card = api.card(fields={"trip_id": 7, "trip_description": "Old"})
    body = {
        "id": card.id,
        "name": "New",
        "stage": "TripComplete",
        "fields": {"trip_id": "8", "start_date": "2027-03-01"},
    }
    api.own("edit", body)
    after = api.store.opportunity(card.id)
    assert (after.name, after.stage_id) == ("New", api.store.stage("TripBooking", "TripComplete").id)
    assert api.store.custom_by_key(after) == {"trip_id": 8, "trip_description": "Old", "start_date": "2027-03-01"}
    assert after.updated > card.updated
    assert after.stage_changed > card.stage_changed


def test_an_edit_always_clears(api: Api) -> None:
    api.own("settings", {"clearing": {"*": "refused"}})
    card = api.card(fields={"trip_id": 7})
    api.own("edit", {"id": card.id, "fields": {"trip_id": ""}})
    assert api.store.custom_by_key(api.store.opportunity(card.id)) == {}


def test_an_edit_to_another_pipeline_starts_in_its_first_stage(api: Api) -> None:
    card = api.card(stage="TripComplete")
    api.own("edit", {"id": card.id, "pipeline": "Passenger"})
    assert api.own("record", id=card.id)["stage"] == "AddedToTrip"


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"id": "nothing"}, 404, "This card is gone."),
        ({"colour": "red"}, 400, "cannot edit colour"),
        ({"stage": "Nowhere"}, 404, "no stage 'Nowhere'"),
        ({"fields": {"colour": "red"}}, 404, "no field 'colour'"),
        ({"fields": {"trip_id": "seven"}}, 400, "must be a number"),
        ({"fields": {"start_date": "soon"}}, 400, "must be a valid date"),
        ({"fields": []}, 400, "fields must be an object"),
    ],
)
def test_an_edit_that_does_not_fit_is_refused_in_words(api: Api, body: Any, status: int, words: str) -> None:
    card = api.card()
    found, message = told(api, "edit", {"id": card.id} | body)
    assert found == status
    assert words in message
    assert api.store.opportunity(card.id) is card


def test_a_contact_can_be_edited_too(api: Api) -> None:
    contact = api.contact(email="ines@example.com")
    api.own("edit", {"id": contact.id, "city": "Porto", "tags": ["vip"]})
    after = api.store.contact(contact.id)
    assert (after.city, after.tags, after.email) == ("Porto", ("vip",), "ines@example.com")


def test_a_card_is_made_by_hand(api: Api) -> None:
    contact = api.own("create", {"kind": "contact", "first_name": "Otto"})
    body = {"pipeline": "Passenger", "name": "Otto", "contact_id": contact["id"], "fields": {"passenger_number": "2"}}
    made = api.own("create", body)
    card = api.store.opportunity(made["id"])
    assert (card.name, card.api_made, api.store.custom_by_key(card)) == ("Otto", False, {"passenger_number": 2})


@pytest.mark.parametrize(
    "body",
    [
        {"name": "No contact", "pipeline": "Passenger"},
        {"name": "Unknown contact", "pipeline": "Passenger", "contact_id": "nobody"},
        {"kind": "contact", "colour": "red"},
    ],
)
def test_a_card_that_cannot_be_made_is_refused(api: Api, body: Any) -> None:
    status, message = told(api, "create", body)
    assert status == 400
    assert message
    assert api.store.opportunities() == []


def test_a_card_is_deleted_and_restored(api: Api) -> None:
    card = api.card()
    api.own("delete", {"id": card.id})
    assert told(api, "delete", {"id": card.id})[0] == 404
    assert api.own("board")["stages"][0]["count"] == 0
    api.own("restore", {"id": card.id})
    assert told(api, "restore", {"id": card.id})[0] == 404
    assert api.own("board")["stages"][0]["count"] == 1


def test_a_record_shows_every_field_with_its_options(api: Api) -> None:
    card = api.card(fields={"start_date": "2027-03-01", "travel_category": "Other"})
    found = api.own("record", id=card.id)
    by_key = {field["key"]: field for field in found["fields"]}
    assert len(by_key) == len(api.store.fields) - 1
    assert (found["name"], found["pipeline"], found["stage"]) == ("Fjords", "TripBooking", "FormSubmit")
    assert by_key["start_date"]["value"] == "2027-03-01"
    assert (by_key["travel_category"]["value"], len(by_key["travel_category"]["options"])) == ("Other", 3)
    assert (by_key["trip_id"]["value"], by_key["trip_description"]["long"]) == (None, True)


def test_a_blank_form_and_the_contacts_for_it(api: Api) -> None:
    contact = api.contact(email="ines@example.com")
    blank = api.own("blank", pipeline="Passenger")
    assert (blank["id"], blank["stage"], {field["value"] for field in blank["fields"]}) == ("", "AddedToTrip", {None})
    assert api.own("contacts", q="prado")["contacts"] == [
        {"id": contact.id, "label": "Ines Prado · ines@example.com", "name": "Ines Prado", "email": "ines@example.com"},
    ]  # fmt: skip


def test_a_post_that_is_no_json_is_refused(api: Api) -> None:
    card = api.card()
    url = f"{api.sandbox.url}/_sandbox/delete"
    form = api.session.post(url, data={"id": card.id}, timeout=5)
    text = api.session.post(url, data=f'{{"id": "{card.id}"}}', headers={"Content-Type": "text/plain"}, timeout=5)
    listed = api.session.post(url, json=[card.id], timeout=5)
    assert [form.status_code, text.status_code, listed.status_code] == [415, 415, 400]
    assert api.store.opportunity(card.id) is card


def test_another_web_page_cannot_read_the_sandbox(api: Api) -> None:
    answer = api.session.get(f"{api.sandbox.url}/_sandbox/state", headers={"Origin": "https://example.com"}, timeout=5)
    renamed = api.session.get(f"{api.sandbox.url}/_sandbox/state", headers={"Host": "rebound.example.com"}, timeout=5)
    assert "access-control-allow-origin" not in answer.headers
    assert renamed.status_code == 403


def test_settings_that_do_not_exist_are_refused(api: Api) -> None:
    assert told(api, "settings", {"colour": "red"}) == (400, "The sandbox has no setting colour.")


def test_an_unknown_page_is_404(api: Api) -> None:
    assert told(api, "colours", {}) == (404, "The sandbox has no page POST /_sandbox/colours.")


def test_requests_are_kept_in_their_order(api: Api) -> None:
    card = api.card()
    api.put(f"/opportunities/{card.id}", {"name": "New"})
    api.get("/nowhere", a="1")
    found = api.own("requests")["requests"]
    assert [(one["method"], one["path"], one["body"], one["status"]) for one in found] == [
        ("PUT", f"/opportunities/{card.id}", {"name": "New"}, 200),
        ("GET", "/nowhere", None, 404),
    ]
    assert found[1]["params"] == {"a": "1"}
    assert api.own("requests", last=1)["requests"] == found[1:]


def test_waiting_ends_with_the_next_change(api: Api) -> None:
    version = api.own("board")["version"]
    changer = threading.Timer(0.2, api.card)
    changer.start()
    started = time.monotonic()
    assert api.own("wait", version=version)["version"] > version
    assert 0.1 < time.monotonic() - started < 5
    changer.join()


def test_stopping_does_not_wait_for_those_who_wait() -> None:
    ended: list[str] = []

    def wait_for_news() -> None:
        try:
            requests.get(f"{sandbox.url}/_sandbox/wait", params={"version": 10**9}, timeout=30)
        except requests.ConnectionError:
            ended.append("cut off")

    with Sandbox() as sandbox:
        waiting = threading.Thread(target=wait_for_news)
        waiting.start()
        time.sleep(0.2)
        started = time.monotonic()
    waiting.join(5)
    assert ended == ["cut off"]
    assert time.monotonic() - started < 3


def test_reset_empties_the_account(api: Api) -> None:
    api.card()
    api.own("faults", {"kind": "cut"})
    api.own("settings", {"allow_duplicate_opportunity": False})
    api.own("reset", {})
    state = api.own("state")
    assert (state["contacts"], state["opportunities"], len(state["pipelines"])) == ([], [], 3)
    assert (api.own("faults")["waiting"], api.own("requests")["requests"]) == ([], [])
    assert state["settings"]["allow_duplicate_opportunity"] is True
