"""Search over the lagging index: filters, orders, both kinds of paging and their limits.

Sources: API notes §5.2, §5.3, §5.10.
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import ge, gt, le, lt
from typing import Any

from ghl_sync.sandbox.bodies import checked, checked_params, whole
from ghl_sync.sandbox.index import Key, sort_key
from ghl_sync.sandbox.store import Contact, Entry, Opportunity, Store
from ghl_sync.sandbox.wire import Request, bad_request, contact_row, invalid, opportunity_row

Test = Callable[[Any], bool]

LARGEST_LISTED_PAGE = 100
DEEPEST = 10_000
LONGEST_QUERY = 75
_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {"gte": ge, "gt": gt, "lte": le, "lt": lt}
OPERATORS = {"eq", "not_eq", "contains", "not_contains", "exists", "not_exists", "range"}

_OPPORTUNITY_FIELDS: Mapping[str, str] = {
    "id": "id",
    "name": "name",
    "monetary_value": "value",
    "pipeline_id": "pipeline_id",
    "pipeline_stage_id": "stage_id",
    "status": "status",
    "lost_reason_id": "lost_reason_id",
    "source": "source",
    "assigned_to": "assigned_to",
    "contact_id": "contact_id",
    "date_added": "added",
    "date_updated": "updated",
    "last_status_change_date": "status_changed",
    "last_stage_change_date": "stage_changed",
}
_OPPORTUNITY_ORDERS: Mapping[str, str] = {
    "date_added": "added",
    "date_updated": "updated",
    "name": "name",
    "monetary_value": "value",
    "last_status_change_date": "status_changed",
    "last_stage_change_date": "stage_changed",
}
_CONTACT_FIELDS: Mapping[str, str] = {
    "id": "id",
    "dateAdded": "added",
    "dateUpdated": "updated",
    "email": "email",
    "firstNameLowerCase": "first_name",
    "lastNameLowerCase": "last_name",
    "tags": "tags",
}
_CONTACT_ORDERS: Mapping[str, str] = {"dateAdded": "added", "dateUpdated": "updated"}
_TIMES = {"added", "updated", "status_changed", "stage_changed"}
_CUSTOM_PREFIX = {"opportunity": "custom_fields.", "contact": "customFields."}


def opportunities(store: Store, request: Request) -> dict[str, Any]:
    """POST /opportunities/search."""
    body = checked(
        request,
        {
            "locationId": "string",
            "limit": "number",
            "page": "number",
            "searchAfter": "array",
            "query": "string",
            "filters": "array",
            "sort": "array",
            "additionalDetails": "object",
        },
        ("locationId", "limit"),
    )
    limit = _page_size(body["limit"], "limit", store)
    rows, total = _select(store, "opportunity", body, limit, _OPPORTUNITY_FIELDS, _OPPORTUNITY_ORDERS)
    shaped = [opportunity_row(store, record, cursor) for record, cursor in rows if isinstance(record, Opportunity)]
    answer: dict[str, Any] = {"opportunities": shaped, "total": total}
    return answer | ({"stageAggregations": [], "aggregations": {}} if request.version == "v3" else {})


def contacts(store: Store, request: Request) -> dict[str, Any]:
    """POST /contacts/search."""
    body = checked(
        request,
        {
            "locationId": "string",
            "pageLimit": "number",
            "page": "number",
            "searchAfter": "array",
            "query": "string",
            "filters": "array",
            "sort": "array",
        },
        ("locationId", "pageLimit"),
    )
    limit = _page_size(body["pageLimit"], "pageLimit", store)
    rows, total = _select(store, "contact", body, limit, _CONTACT_FIELDS, _CONTACT_ORDERS)
    shaped = [contact_row(store, record, cursor) for record, cursor in rows if isinstance(record, Contact)]
    return {"contacts": shaped, "total": total}


def opportunities_by_query(store: Store, request: Request) -> dict[str, Any]:
    """GET /opportunities/search: snake_case parameters in 2021-07-28, camelCase in v3, at most 100 a page."""
    camel = request.version == "v3"
    names = {
        "location": "locationId" if camel else "location_id",
        "pipeline_id": "pipelineId" if camel else "pipeline_id",
        "stage_id": "pipelineStageId" if camel else "pipeline_stage_id",
        "contact_id": "contactId" if camel else "contact_id",
        "assigned_to": "assignedTo" if camel else "assigned_to",
    }
    known = {*names.values(), "status", "q", "id", "order", "date", "endDate", "limit", "page", "startAfter"}
    known |= {"startAfterId", "getTasks", "getNotes", "getCalendarEvents", "campaignId", "country"}
    params = checked_params(request, known, (names["location"],))
    limit, number = whole(params, "limit", 20), max(whole(params, "page", 1), 1)
    if limit > LARGEST_LISTED_PAGE:
        raise bad_request(f"limit must not be greater than {LARGEST_LISTED_PAGE}")
    tests: list[Test] = [
        _same(attribute, params[name])
        for attribute, name in names.items()
        if attribute != "location" and params.get(name)
    ]
    if params.get("id"):
        tests.append(lambda row: row.id == params["id"])
    if params.get("status", "all") != "all":
        tests.append(lambda row: row.status == params["status"])
    if params.get("q"):
        tests.append(lambda row: params["q"].lower() in row.name.lower())
    with store.lock:
        store.index.settle()
        order = store.index.order("opportunity", "added")
        keys = order if params.get("order") == "added_asc" else order[::-1]
        visible = store.index.rows["opportunity"]
        found = [visible[key[2]] for key in keys if all(test(visible[key[2]]) for test in tests)]
        if params.get("startAfter") and params.get("startAfterId"):
            ids = [row.id for row in found]
            start = ids.index(params["startAfterId"]) + 1 if params["startAfterId"] in ids else len(ids)
        else:
            start = (number - 1) * limit
        page = found[start : start + limit]
        last = page[-1] if page else None
        shaped = [
            opportunity_row(store, row, (row.added, row.contact_id)) for row in page if isinstance(row, Opportunity)
        ]
    meta = {
        "total": len(found),
        "startAfter": last.added if last else None,
        "startAfterId": last.id if last else None,
        "currentPage": number,
        "nextPage": number + 1 if start + limit < len(found) else None,
        "prevPage": None,
    }
    return {"opportunities": shaped, "meta": meta}


def _same(attribute: str, value: str) -> Test:
    return lambda row: bool(getattr(row, attribute) == value)


def _page_size(value: Any, name: str, store: Store) -> int:
    """A page that is too large is refused, not clamped (API notes §4)."""
    size = int(value)
    if size < 1:
        raise invalid(f"{name} must not be less than 1")
    if size > store.largest_page:
        raise bad_request(f"{name} must not be greater than {store.largest_page}")
    return size


def _select(
    store: Store,
    kind: str,
    body: Mapping[str, Any],
    limit: int,
    fields: Mapping[str, str],
    orders: Mapping[str, str],
) -> tuple[list[tuple[Entry, Sequence[Any]]], int]:
    """One page of rows with their cursors, and how many match in all."""
    if body.get("page") is not None and body.get("searchAfter") is not None:
        raise invalid("page and searchAfter can not be used together")
    attribute, descending = _order(body.get("sort"), orders)
    tests = [_test(store, kind, item, fields) for item in body.get("filters") or ()]
    query = body.get("query")
    if query:
        if len(query) > LONGEST_QUERY:
            raise invalid(f"query must be shorter than or equal to {LONGEST_QUERY} characters")
        tests.append(lambda row: query.lower() in row.name.lower())
    with store.lock:
        store.index.settle()
        keys = _candidates(store, kind, body, attribute)
        visible = store.index.rows[kind]
        if tests:
            keys = [key for key in keys if all(test(visible[key[2]]) for test in tests)]
        total = len(keys)
        start = _start(body, keys, descending, limit)
        chosen = keys[::-1][start : start + limit] if descending else keys[start : start + limit]
        return [(visible[key[2]], key[:2]) for key in chosen], total


def _candidates(store: Store, kind: str, body: Mapping[str, Any], attribute: str) -> list[Key]:
    """Keys in ascending order; the opportunities of one contact are found without looking at all."""
    for item in body.get("filters") or ():
        if kind == "opportunity" and item.get("field") == "contact_id" and item.get("operator") == "eq":
            ids = store.index.by_contact.get(str(item.get("value")), ())
            rows = store.index.rows[kind]
            return sorted(sort_key(rows[one], attribute) for one in ids if one in rows)
    return store.index.order(kind, attribute)


def _start(body: Mapping[str, Any], keys: list[Key], descending: bool, limit: int) -> int:
    cursor = body.get("searchAfter")
    if cursor is not None:
        bare = [key[:2] for key in keys]
        wanted = _cursor(cursor, bare)
        # Rows that share the cursor are skipped with it, as over there (API notes §5.2).
        return len(keys) - bisect_left(bare, wanted) if descending else bisect_right(bare, wanted)
    page = max(int(body.get("page") or 1), 1)
    if page * limit > DEEPEST:
        raise bad_request(f"page * limit must not be greater than {DEEPEST}")
    return (page - 1) * limit


def _cursor(sent: list[Any], keys: Sequence[tuple[Any, str]]) -> tuple[Any, str]:
    """A cursor as the rows have it; the number of its first part may come back as a text."""
    if len(sent) != 2:
        raise invalid("searchAfter must contain 2 elements")
    first, second = sent
    numbers = not keys or not isinstance(keys[0][0], str)
    try:
        return (float(first) if numbers else str(first)), str(second)
    except (TypeError, ValueError):
        raise invalid("searchAfter is not a cursor of this search") from None


def _order(sort: Any, orders: Mapping[str, str]) -> tuple[str, bool]:
    """The attribute and whether descending; newest first when nothing is asked for."""
    if not sort:
        return "added", True
    item = sort[0]
    if not isinstance(item, dict) or item.get("field") not in orders:
        raise invalid("sort.0.field must be one of the following values: " + ", ".join(orders))
    if item.get("direction", "asc") not in {"asc", "desc"}:
        raise invalid("sort.0.direction must be asc or desc")
    return orders[item["field"]], item.get("direction") == "desc"


def _test(store: Store, kind: str, item: Any, fields: Mapping[str, str]) -> Test:
    if not isinstance(item, dict):
        raise invalid("each value in filters must be an object")
    if "group" in item:
        tests = [_test(store, kind, inner, fields) for inner in item.get("filters") or ()]
        combine = any if item["group"] == "OR" else all
        return lambda row: combine(test(row) for test in tests)
    name, operator, value = str(item.get("field")), item.get("operator"), item.get("value")
    if operator not in OPERATORS:
        raise invalid("filters.operator must be one of the following values: " + ", ".join(sorted(OPERATORS)))
    if kind == "contact" and name == "phone":
        return lambda row: False  # `eq` on phone finds nothing (API notes §5.10, issue 289)
    read = _reader(store, kind, name, fields)
    times = fields.get(name) in _TIMES or _is_date(store, kind, name)
    if times and operator not in {"range", "exists", "not_exists"}:
        raise invalid(f"operator {operator} is not supported for {name}")
    return _comparison(read, operator, value, times=times)


def _reader(store: Store, kind: str, name: str, fields: Mapping[str, str]) -> Callable[[Any], Any]:
    prefix = _CUSTOM_PREFIX[kind]
    if name.startswith(prefix):
        field_id = name.removeprefix(prefix)
        return lambda row: row.custom.get(field_id)
    if name in {"email", "phone", "company_name", "contact_name"} and kind == "opportunity":
        attribute = {"contact_name": "name"}.get(name, name)
        return lambda row: getattr(store.contacts_by_id.get(row.contact_id), attribute, None)
    if name not in fields:
        raise invalid(f"filters.field {name} is not supported")
    return lambda row: getattr(row, fields[name])


def _is_date(store: Store, kind: str, name: str) -> bool:
    definition = store.fields.get(name.removeprefix(_CUSTOM_PREFIX[kind]))
    return definition is not None and definition.data_type == "DATE"


def _comparison(read: Callable[[Any], Any], operator: str, value: Any, *, times: bool) -> Test:
    if operator == "exists":
        return lambda row: read(row) not in (None, "", [], ())
    if operator == "not_exists":
        return lambda row: read(row) in (None, "", [], ())
    if operator == "range":
        return _range(read, value, times=times)
    if operator in {"contains", "not_contains"}:
        wanted, inside = str(value).lower(), operator == "contains"
        return lambda row: (wanted in _words(read(row))) is inside
    equal = operator == "eq"
    return lambda row: (read(row) == value) is equal


def _words(value: Any) -> str:
    parts: Iterable[Any] = value if isinstance(value, list | tuple) else (value,)
    return " ".join(str(part) for part in parts if part is not None).lower()


def _range(read: Callable[[Any], Any], value: Any, *, times: bool) -> Test:
    if not isinstance(value, dict) or not value or set(value) - set(_COMPARE):
        raise invalid("filters.value must be an object of gte, lte, gt, lt")
    limits = {key: _moment(bound) if times else bound for key, bound in value.items()}

    def within(row: Any) -> bool:
        found = read(row)
        try:
            return all(_COMPARE[key](found, bound) for key, bound in limits.items())
        except TypeError:
            return False  # nothing there, or something of another type

    return within


def _moment(value: Any) -> int:
    """Epoch milliseconds of an ISO time or of a number."""
    if isinstance(value, int):
        return value
    try:
        moment = dt.datetime.fromisoformat(str(value))
    except ValueError:
        raise invalid("filters.value must be a valid date") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    return round(moment.timestamp() * 1000)
