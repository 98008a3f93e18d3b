"""Every request that our client makes in a test, held against GoHighLevel's official OpenAPI files.

The files are not part of this repository: `GHL_OPENAPI_DIR` names the folder with `apps/` in it, else one beside the
project is tried; without it nothing is checked and the tests about it are skipped. Only requests are checked, as real
answers do not follow the files (API notes §0). Where real requests may differ from the files too, a `Waiver` says so.
"""

from __future__ import annotations

import copy
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from ghl_sync.client.transport import USER_AGENT
from ghl_sync.sandbox.server import Reply, Sandbox

ROOT = Path(__file__).resolve().parent.parent
FOLDER = Path(os.environ.get("GHL_OPENAPI_DIR") or ROOT.parent / "shared" / "ghl" / "openapi")
ABSENT = f"no OpenAPI files in {FOLDER}; set GHL_OPENAPI_DIR to the folder of GoHighLevel's highlevel-api-docs"
FILES: Mapping[str, tuple[str, ...]] = {
    "2021-07-28": ("opportunities.json", "contacts.json", "locations.json"),
    "v3": ("v3/opportunities-v3.json", "v3/contacts-v3.json", "v3/locations-v3.json"),
}
OUR_CLIENT = USER_AGENT.partition("/")[0] + "/"
URI = "urn:ghl:"


@dataclass(frozen=True)
class Waiver:
    """A difference between the files and the API as it is: `properties` replace or join a schema's own, and
    `optional` ones are not required. `source` is the paragraph that says so.
    """

    name: str
    source: str
    schemas: tuple[str, ...]
    properties: Mapping[str, Any] = field(default_factory=dict)
    optional: frozenset[str] = frozenset()


TEXT_OR_NUMBER = {"type": ["string", "number", "null"]}
WAIVERS = (
    Waiver(
        "a search has filters and a sort, and needs only a location and a limit",
        "API notes §5.2",
        ("OpportunitySearchBodyDTO",),
        {"filters": {"type": "array"}, "sort": {"type": "array"}},
        frozenset({"query", "page", "searchAfter", "additionalDetails"}),
    ),
    Waiver(
        "the cursor of a search is the last row's, a number and a text",
        "API notes §5.2",
        ("OpportunitySearchBodyDTO",),
        {"searchAfter": {"type": "array", "items": {"type": ["integer", "string"]}}},
    ),
    Waiver(
        "a custom field is made with its key and its options, and options are replaced as a list",
        "API notes §5.11",
        ("CreateCustomFieldsDTO", "UpdateCustomFieldsDTO"),
        {"fieldKey": {"type": "string"}, "options": {"type": "array", "items": {"type": "string"}}},
    ),
    Waiver(
        "a number goes into an opportunity's custom field as a JSON number, and null clears it",
        "API notes §6",
        ("customFieldsInputStringSchema",),
        {"field_value": TEXT_OR_NUMBER},
    ),
    Waiver(
        "the same in version v3",
        "API notes §2 and §6",
        ("customFieldsInputStringSchemaV3",),
        {"fieldValue": TEXT_OR_NUMBER},
    ),
    Waiver(
        "null clears a contact's own fields",
        "API notes §6 (clearing is unverified there)",
        ("UpdateContactDto", "UpdateContactDtoV3"),
        {"postalCode": {"type": ["string", "null"]}, "country": {"type": ["string", "null"]}},
    ),
)


@dataclass(frozen=True)
class Call:
    """One HTTP request as it arrived; header names in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    raw: bytes

    @property
    def ours(self) -> bool:
        return self.headers.get("user-agent", "").startswith(OUR_CLIENT)


@dataclass(frozen=True)
class Operation:
    """A documented call; `document` is the address of the file that its schemas are in."""

    template: str
    spec: Mapping[str, Any]
    document: str

    @property
    def pattern(self) -> str:
        return re.sub(r"\\{[^}]*\\}", "[^/]+", re.escape(self.template))

    @property
    def parameters(self) -> Sequence[Mapping[str, Any]]:
        found: Sequence[Mapping[str, Any]] = self.spec.get("parameters", ())
        return found


@dataclass(frozen=True)
class Specification:
    operations: Mapping[str, Sequence[Operation]]  # by method
    registry: Registry[Any]

    def find(self, method: str, path: str) -> Operation | None:
        """The operation of a path; a template with fewer variable parts is the closer one."""
        fitting = [one for one in self.operations.get(method, ()) if re.fullmatch(one.pattern, path)]
        return min(fitting, key=lambda one: one.template.count("{"), default=None)


def available() -> bool:
    return all((FOLDER / "apps" / name).exists() for names in FILES.values() for name in names)


@cache
def specification(version: str) -> Specification:
    """The files of one version, with the waivers applied."""
    operations: dict[str, list[Operation]] = {}
    registry: Registry[Any] = Registry()
    for name in FILES[version]:
        document = strict(json.loads((FOLDER / "apps" / name).read_text(encoding="utf-8")))
        registry = registry.with_resource(URI + name, DRAFT202012.create_resource(document))
        for template, methods in document["paths"].items():
            for method, spec in methods.items():
                operations.setdefault(method.upper(), []).append(Operation(template, spec, URI + name))
    return Specification(operations, registry)


def strict(document: dict[str, Any]) -> dict[str, Any]:
    """The document as JSON Schema without room for unknown keys (the API refuses them, API notes §0.8), waived."""
    changed = copy.deepcopy(document)
    schemas = changed["components"]["schemas"]
    for waiver in WAIVERS:
        for name in waiver.schemas:
            if name in schemas:
                schemas[name]["properties"] |= waiver.properties
                schemas[name]["required"] = sorted(set(schemas[name].get("required", ())) - waiver.optional)
    for schema in schemas.values():
        _tighten(schema)
    return changed


def _tighten(schema: Any) -> None:
    """`nullable` as a type, and no keys but the named ones; a schema that names none says nothing."""
    if isinstance(schema, list):
        for item in schema:
            _tighten(item)
    if not isinstance(schema, dict):
        return
    if schema.get("nullable") is True and isinstance(schema.get("type"), str):
        schema["type"] = [schema["type"], "null"]
    if isinstance(schema.get("properties"), dict) and schema["properties"]:
        schema.setdefault("additionalProperties", False)
    for value in schema.values():
        _tighten(value)


def problems(call: Call) -> list[str]:
    """What is wrong with a request; empty when the files allow it."""
    parts = urlsplit(call.target)
    path, where = unquote(parts.path), f"{call.method} {unquote(parts.path)}"
    version = call.headers.get("version", "")
    if version not in FILES:
        return [f"{where}: Version {version!r} is none of {', '.join(FILES)}"]
    operation = specification(version).find(call.method, path)
    if operation is None:
        return [f"{where}: no such call"]
    found = [*_headers(call, operation), *_query(dict(parse_qsl(parts.query, keep_blank_values=True)), operation)]
    return [f"{where}: {words}" for words in [*found, *_body(call, operation, version)]]


def _headers(call: Call, operation: Operation) -> Iterator[str]:
    if not call.headers.get("authorization", "").startswith("Bearer "):
        yield "no bearer token"
    for parameter in operation.parameters:
        if parameter["in"] == "header":
            value, allowed = call.headers.get(parameter["name"].lower()), parameter["schema"].get("enum")
            if value is None:
                yield f"header {parameter['name']} is missing"
            elif allowed and value not in allowed:
                yield f"header {parameter['name']} is {value!r}, not one of {allowed}"


def _query(query: Mapping[str, str], operation: Operation) -> Iterator[str]:
    known = {one["name"]: one for one in operation.parameters if one["in"] == "query"}
    for name in sorted(set(query) - set(known)):
        yield f"unknown query parameter {name}"
    for name, parameter in known.items():
        if name not in query and parameter.get("required"):
            yield f"query parameter {name} is missing"
        allowed = parameter.get("schema", {}).get("enum")
        if name in query and allowed and query[name] not in allowed:
            yield f"query parameter {name} is {query[name]!r}, not one of {allowed}"


def _body(call: Call, operation: Operation, version: str) -> Iterator[str]:
    wanted = operation.spec.get("requestBody")
    if not call.raw:
        if wanted and wanted.get("required"):
            yield "the body is missing"
        return
    if wanted is None:
        yield "a body is sent where none is taken"
        return
    if call.headers.get("content-type", "").partition(";")[0] != "application/json":
        yield f"Content-Type is {call.headers.get('content-type')!r}"
        return
    reference = wanted["content"]["application/json"]["schema"]["$ref"]
    validator = Draft202012Validator({"$ref": operation.document + reference}, registry=specification(version).registry)
    for error in validator.iter_errors(json.loads(call.raw)):
        yield f"body{error.json_path[1:]}: {error.message}"


@contextmanager
def watched(sandbox: Sandbox) -> Iterator[list[Call]]:
    """Within the block every call is kept; at its end those of our client must be as the files say."""
    calls: list[Call] = []
    answer = sandbox.respond

    def listening(method: str, target: str, headers: Mapping[str, str], raw: bytes) -> Reply:
        calls.append(Call(method, target, headers, raw))
        return answer(method, target, headers, raw)

    sandbox.respond = listening  # type: ignore[method-assign]
    yield calls
    if available():
        wrong = [words for call in calls if call.ours for words in problems(call)]
        assert not wrong, "requests that GoHighLevel's specification does not know:\n" + "\n".join(dict.fromkeys(wrong))
