"""A caller of the sandbox who speaks plain HTTP, as any client would."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from ghl_sync.sandbox.server import Sandbox

VERSION = "2021-07-28"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "behaviour: each test of the module is a row of docs/sandbox.md")


class Api:
    """Calls with the right token and version unless told otherwise."""

    def __init__(self, sandbox: Sandbox, version: str = VERSION) -> None:
        self.sandbox, self.store, self.version = sandbox, sandbox.store, version
        self.location = sandbox.store.location_id
        self.session = requests.Session()

    def call(self, method: str, path: str, **how: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.sandbox.token}", "Version": self.version} | how.pop("headers", {})
        return self.session.request(method, self.sandbox.url + path, headers=headers, timeout=10, **how)

    def get(self, path: str, **params: Any) -> requests.Response:
        return self.call("GET", path, params=params)

    def post(self, path: str, body: Any = None) -> requests.Response:
        return self.call("POST", path, json=body)

    def put(self, path: str, body: Any) -> requests.Response:
        return self.call("PUT", path, json=body)

    def delete(self, path: str) -> requests.Response:
        return self.call("DELETE", path)

    def own(self, page: str, body: Any = None, **params: Any) -> Any:
        """One of the sandbox's own pages; no token needed."""
        url = f"{self.sandbox.url}/_sandbox/{page}"
        answer = (
            self.session.post(url, json=body, timeout=30)
            if body is not None
            else self.session.get(url, params=params, timeout=30)
        )
        assert answer.status_code == 200, answer.text
        return answer.json()

    def body(self, **over: Any) -> dict[str, Any]:
        """What a new opportunity needs; None leaves a key out."""
        pipeline = self.store.pipeline("TripBooking")
        given = {
            "locationId": self.location,
            "pipelineId": pipeline.id,
            "name": "Fjords",
            "status": "open",
            "contactId": over.get("contactId") or self.contact().id,
        } | over
        return {key: value for key, value in given.items() if value is not None}

    def contact(self, **over: Any) -> Any:
        return self.store.add_contact(**({"first_name": "Ines", "last_name": "Prado"} | over))

    def card(self, **over: Any) -> Any:
        """An opportunity that is simply there."""
        contact_id = over.pop("contact_id", None) or self.contact().id
        return self.store.add_opportunity(**{"pipeline": "TripBooking", "name": "Fjords"} | over, contact_id=contact_id)

    def search(self, **body: Any) -> dict[str, Any]:
        """The answer to a search that must work."""
        answer = self.post("/opportunities/search", {"locationId": self.location, "limit": 100} | body)
        assert answer.status_code == 201, answer.text
        return answer.json()

    def names(self, **body: Any) -> list[str]:
        return [row["name"] for row in self.search(**body)["opportunities"]]

    def value(self, key: str, value: Any, field: str = "field_value") -> dict[str, Any]:
        return {"id": self.store.field(key).id, field: value}


@pytest.fixture
def api(sandbox: Sandbox) -> Iterator[Api]:
    caller = Api(sandbox)
    with caller.session:
        yield caller


@pytest.fixture
def v3(sandbox: Sandbox) -> Iterator[Api]:
    caller = Api(sandbox, "v3")
    with caller.session:
        yield caller


def refusal(answer: requests.Response) -> tuple[int, Any]:
    """Status and message; of a 422 the list of messages."""
    assert answer.json().pop("traceId")
    return answer.status_code, answer.json()["message"]
