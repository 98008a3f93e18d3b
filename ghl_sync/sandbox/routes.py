"""Which call goes where, and the scope it needs (API notes §1)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ghl_sync.sandbox import account, contacts, opportunities, search
from ghl_sync.sandbox.store import Store
from ghl_sync.sandbox.wire import ApiError, Request

Handler = Callable[[Store, Request], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Route:
    method: str
    pattern: str
    scope: str
    handler: Handler
    status: int = 200

    def match(self, method: str, path: str) -> dict[str, str] | None:
        found = re.fullmatch(self.pattern, path) if method == self.method else None
        return found.groupdict() if found else None


_ID = r"(?P<id>[A-Za-z0-9_.-]+)"
_FIELDS = r"/locations/(?P<location>[^/]+)/customFields"

ROUTES: tuple[Route, ...] = (
    Route("GET", "/opportunities/pipelines", "opportunities.readonly", account.pipelines),
    Route("POST", "/opportunities/search", "opportunities.readonly", search.opportunities, 201),
    Route("GET", "/opportunities/search", "opportunities.readonly", search.opportunities_by_query),
    Route("POST", "/opportunities/upsert", "opportunities.write", opportunities.upsert),
    Route("POST", "/opportunities/", "opportunities.write", opportunities.create, 201),
    Route("GET", f"/opportunities/{_ID}", "opportunities.readonly", opportunities.get),
    Route("PUT", f"/opportunities/{_ID}/status", "opportunities.write", opportunities.set_status),
    Route("PUT", f"/opportunities/{_ID}", "opportunities.write", opportunities.update),
    Route("DELETE", f"/opportunities/{_ID}", "opportunities.write", opportunities.delete),
    Route("GET", "/contacts/search/duplicate", "contacts.readonly", contacts.find_duplicate),
    Route("POST", "/contacts/search", "contacts.readonly", search.contacts),
    Route("POST", "/contacts/upsert", "contacts.write", contacts.upsert),
    Route("GET", "/contacts/", "contacts.readonly", contacts.listed),
    Route("POST", "/contacts/", "contacts.write", contacts.create, 201),
    Route("POST", f"/contacts/{_ID}/tags", "contacts.write", contacts.add_tags, 201),
    Route("DELETE", f"/contacts/{_ID}/tags", "contacts.write", contacts.remove_tags),
    Route("GET", f"/contacts/{_ID}", "contacts.readonly", contacts.get),
    Route("PUT", f"/contacts/{_ID}", "contacts.write", contacts.update),
    Route("DELETE", f"/contacts/{_ID}", "contacts.write", contacts.delete),
    Route("GET", _FIELDS, "locations/customFields.readonly", account.fields),
    Route("POST", _FIELDS, "locations/customFields.write", account.create_field, 201),
    Route("GET", f"{_FIELDS}/{_ID}", "locations/customFields.readonly", account.get_field),
    Route("PUT", f"{_FIELDS}/{_ID}", "locations/customFields.write", account.update_field),
    Route("DELETE", f"{_FIELDS}/{_ID}", "locations/customFields.write", account.delete_field),
    Route("GET", "/locations/(?P<location>[^/]+)", "locations.readonly", account.location),
)
SCOPES = frozenset(route.scope for route in ROUTES)


def find(method: str, path: str) -> tuple[Route, dict[str, str]]:
    """The route and the variable parts of its path. A wrong casing is a 401, an unknown path a 404 (API notes §0.8)."""
    for route in ROUTES:
        names = route.match(method, path)
        if names is not None:
            return route, names
    folded = path.lower()
    for route in ROUTES:
        if re.fullmatch(route.pattern, folded, re.IGNORECASE) and route.method == method:
            raise ApiError(401, {"statusCode": 401, "message": "This route is not yet supported by the IAM Service."})
    raise ApiError(404, {"statusCode": 404, "message": f"Cannot {method} {path}", "error": "Not Found"})
