"""The sandbox as a measurement sees it: what was asked of it, what it holds, and edits as a CRM user makes them."""

from __future__ import annotations

from typing import Any

import requests

# More than any measurement here asks for.
ALL = 20_000


class FarSide:
    def __init__(self, url: str) -> None:
        self._url = url
        self._http = requests.Session()
        self._seen = 0

    def get(self, page: str, **params: Any) -> Any:
        answer = self._http.get(f"{self._url}/_sandbox/{page}", params=params, timeout=60)
        answer.raise_for_status()
        return answer.json()

    def post(self, page: str, **body: Any) -> Any:
        answer = self._http.post(f"{self._url}/_sandbox/{page}", json=body, timeout=60)
        answer.raise_for_status()
        return answer.json()

    def calls(self) -> list[str]:
        """The calls since the last time, such as `POST /opportunities/`, oldest first."""
        recorded = self.get("requests", last=ALL)["requests"]
        fresh, self._seen = recorded[self._seen :], len(recorded)
        return [f"{one['method']} {one['path']}" for one in fresh]

    def field(self, opportunity_id: str, key: str) -> Any:
        """The value of a custom field, as a person sees it on the card."""
        fields = self.get("record", id=opportunity_id)["fields"]
        return next(one["value"] for one in fields if one["key"] == key)

    def version(self) -> int:
        """A number that grows with every change of a record."""
        version: int = self.get("wait", version=-1)["version"]
        return version

    def wait(self, version: int) -> int:
        """The version after the next change, or the same one when none came for long."""
        newer: int = self.get("wait", version=version)["version"]
        return newer


def writes(calls: list[str]) -> list[str]:
    """Those of the calls that could change something."""
    return [call for call in calls if not call.startswith("GET ") and not call.endswith("/search")]
