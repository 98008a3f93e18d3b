"""What a request body may hold; anything else is refused, not ignored (API notes §0.8)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from ghl_sync.sandbox.store import Store, UnknownName
from ghl_sync.sandbox.wire import Request, invalid

_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
}


def checked(request: Request, types: Mapping[str, str], required: Collection[str] = ()) -> dict[str, Any]:
    """The body, when every key is known and of its type; null counts as absent. Raises ApiError 422."""
    body = request.body
    if not isinstance(body, dict):
        raise invalid("the body must be an object")
    messages = [f"property {key} should not exist" for key in body if key not in types]
    for key in required:
        if body.get(key) in (None, ""):
            messages.append(f"{key} should not be empty")
    for key, value in body.items():
        kind = types.get(key)
        if kind is None or value is None:
            continue
        fits = isinstance(value, _TYPES[kind]) and not (kind == "number" and isinstance(value, bool))
        if not fits:
            messages.append(f"{key} must be {'an' if kind in {'array', 'object'} else 'a'} {kind}")
    if messages:
        raise invalid(*messages)
    return body


def checked_params(request: Request, known: Collection[str], required: Collection[str] = ()) -> Mapping[str, str]:
    """The query, when every key is known. Raises ApiError 422."""
    messages = [f"property {key} should not exist" for key in request.params if key not in known]
    messages += [f"{key} should not be empty" for key in required if not request.params.get(key)]
    if messages:
        raise invalid(*messages)
    return request.params


def whole(params: Mapping[str, str], name: str, default: int) -> int:
    """A parameter that must be a whole number. Raises ApiError 422."""
    text = params.get(name) or str(default)
    try:
        return int(text)
    except ValueError:
        raise invalid(f"{name} must be a number") from None


def custom_values(store: Store, elements: Any, model: str, version: str) -> dict[str, Any]:
    """Field id → written value. An element names its field by `id` or `key`; an unknown field is refused."""
    written: dict[str, Any] = {}
    names = {"field_value", "fieldValue", "value"} if model == "contact" else _value_names(version)
    for position, element in enumerate(elements or ()):
        where = f"customFields.{position}"
        if not isinstance(element, dict):
            raise invalid(f"{where} must be an object")
        unknown = set(element) - names - {"id", "key"}
        if unknown:
            raise invalid(*(f"{where}.property {key} should not exist" for key in sorted(unknown)))
        name = element.get("id") or element.get("key")
        try:
            row = store.field(str(name), model)
        except UnknownName:
            raise invalid(f"{where}.id is not a custom field") from None
        if row.model != model:
            raise invalid(f"{where}.id is not a custom field of {model}")
        written[row.id] = next((element[key] for key in element if key in names), None)
    return written


def _value_names(version: str) -> set[str]:
    """2021-07-28 writes `field_value`, v3 `fieldValue` (API notes §2)."""
    return {"fieldValue"} if version == "v3" else {"field_value"}
