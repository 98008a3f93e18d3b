"""HighLevel's own Python client works against the sandbox: our reading of the API is not only ours."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from highlevel import HighLevel
from highlevel.error import GHLError

from ghl_sync.sandbox.server import Sandbox

pytestmark = pytest.mark.behaviour


def run(sandbox: Sandbox, work: Any) -> Any:
    """`work` with a client that talks to the sandbox, and its result."""

    async def session() -> Any:
        client = HighLevel(private_integration_token=sandbox.token)
        client.http_client.base_url = sandbox.url
        try:
            return await work(client)
        finally:
            await client.http_client.aclose()

    return asyncio.run(session())


def test_the_official_client_handles_an_opportunity(sandbox: Sandbox) -> None:
    contact = sandbox.store.add_contact(first_name="Ines", last_name="Prado")
    field = sandbox.store.field("trip_id").id
    location = sandbox.store.location_id

    async def work(client: HighLevel) -> list[Any]:
        pipelines = (await client.opportunities.get_pipelines(location_id=location))["pipelines"]
        body = {
            "locationId": location, "pipelineId": pipelines[0]["id"], "name": "Fjords", "status": "open",
            "contactId": contact.id, "customFields": [{"id": field, "fieldValue": 7}],
        }  # fmt: skip
        made = (await client.opportunities.create_opportunity(request_body=body))["opportunity"]
        read = (await client.opportunities.get_opportunity(id=made["id"]))["opportunity"]
        advanced = await client.opportunities.search_opportunities_advanced(
            request_body={"locationId": location, "limit": 10, "page": 1}
        )
        listed = await client.opportunities.search_opportunity(location_id=location, contact_id=contact.id)
        changed = await client.opportunities.update_opportunity(id=made["id"], request_body={"name": "Fjords II"})
        status = await client.opportunities.update_opportunity_status(id=made["id"], request_body={"status": "won"})
        gone = await client.opportunities.delete_opportunity(id=made["id"])
        return [
            read["customFields"],
            [row["id"] == made["id"] for row in advanced["opportunities"] + listed["opportunities"]],
            changed["opportunity"]["name"], status["success"], gone["success"],
        ]  # fmt: skip

    assert run(sandbox, work) == [
        [{"id": field, "type": "number", "fieldValueNumber": 7}], [True, True], "Fjords II", True, True,
    ]  # fmt: skip
    assert sandbox.opportunities() == []


def test_the_official_client_handles_a_contact(sandbox: Sandbox) -> None:
    location = sandbox.store.location_id

    async def work(client: HighLevel) -> list[Any]:
        body = {"locationId": location, "firstName": "Ines", "email": "ines@example.com"}
        made = (await client.contacts.create_contact(request_body=body))["contact"]
        read = (await client.contacts.get_contact(contact_id=made["id"]))["contact"]
        double = await client.contacts.get_duplicate_contact(location_id=location, email="ines@example.com")
        found = await client.contacts.search_contacts_advanced(
            request_body={"locationId": location, "pageLimit": 10, "page": 1}
        )
        upserted = await client.contacts.upsert_contact(request_body=body | {"lastName": "Prado"})
        changed = await client.contacts.update_contact(contact_id=made["id"], request_body={"city": "Porto"})
        tagged = await client.contacts.add_tags(contact_id=made["id"], request_body={"tags": ["vip"]})
        gone = await client.contacts.delete_contact(contact_id=made["id"])
        return [
            read["email"], double["contact"]["id"] == made["id"], found["total"], upserted["new"],
            changed["contact"]["lastName"], changed["contact"]["city"], tagged["tags"], gone["succeeded"],
        ]  # fmt: skip

    assert run(sandbox, work) == ["ines@example.com", True, 1, False, "Prado", "Porto", ["vip"], True]
    assert sandbox.store.contacts() == []


def test_the_official_client_reads_and_changes_custom_fields(sandbox: Sandbox) -> None:
    location, field = sandbox.store.location_id, sandbox.store.field("travel_category")

    async def work(client: HighLevel) -> list[Any]:
        place = (await client.locations.get_location(location_id=location))["location"]
        listed = await client.locations.get_custom_fields(location_id=location, model="opportunity")
        body = {"name": field.name, "options": [*field.options, "Brand new"]}
        changed = await client.locations.update_custom_field(location_id=location, id=field.id, request_body=body)
        return [place["id"], len(listed["customFields"]), changed["customField"]["picklistOptions"][-1]]

    assert run(sandbox, work) == [location, len(sandbox.store.fields) - 1, "Brand new"]


def test_the_official_client_sees_a_refusal(sandbox: Sandbox) -> None:
    async def work(client: HighLevel) -> Any:
        return await client.contacts.get_contact(contact_id="nobody")

    with pytest.raises(GHLError) as caught:
        run(sandbox, work)
    assert caught.value.status_code == 400
