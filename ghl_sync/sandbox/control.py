"""The sandbox's own pages: the boards, changes as a CRM user makes them, and the switches of tests."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ghl_sync.sandbox import values
from ghl_sync.sandbox.faults import KINDS
from ghl_sync.sandbox.store import Contact, Entry, Opportunity, Store, UnknownName
from ghl_sync.sandbox.wire import iso

if TYPE_CHECKING:
    from ghl_sync.sandbox.server import Sandbox

BOARD = Path(__file__).with_name("board.html")
# GoHighLevel's own app shows a record under such addresses; here they open the boards.
APP_PATH = "/v2/location/"
CARDS_PER_STAGE = 50
WAIT_SECONDS = 20.0
SUGGESTED_CONTACTS = 20
Page = tuple[bytes, str]
JSON = "application/json; charset=utf-8"
# Fields of the editor that need a large box.
LONG = {"LARGE_TEXT"}


class Mistake(Exception):
    """Something asked for does not exist or does not fit; the text says what."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


def page(sandbox: Sandbox, method: str, path: str, params: Mapping[str, str], body: Any) -> Page:
    """Bytes and content type of one of our own pages. Raises Mistake."""
    if method == "GET" and (path == "/" or path.startswith(APP_PATH)):
        return BOARD.read_bytes(), "text/html; charset=utf-8"
    handler = _PAGES.get((method, path.removeprefix("/_sandbox/")))
    if handler is None:
        raise Mistake(f"The sandbox has no page {method} {path}.", 404)
    if not isinstance(body, dict):
        raise Mistake("Send a JSON object.")
    try:
        return json.dumps(handler(sandbox, body if method == "POST" else params)).encode(), JSON
    except UnknownName as error:
        raise Mistake(f"The sandbox has {error}.", 404) from None
    except values.Invalid as error:
        raise Mistake(str(error)) from None


def _state(sandbox: Sandbox, params: Mapping[str, Any]) -> Any:
    return sandbox.store.dump()


def _wait(sandbox: Sandbox, params: Mapping[str, Any]) -> Any:
    """Answers when the state is newer than `version`, or after a while."""
    version = int(params.get("version") or 0)
    return {"version": sandbox.store.wait(version, WAIT_SECONDS)}


def _board(sandbox: Sandbox, params: Mapping[str, Any]) -> Any:
    """One pipeline as columns of cards, the newest change first; `q` narrows by name, contact and e-mail."""
    store = sandbox.store
    version = store.version  # before the rows are read: a change meanwhile then counts as news
    names = [row.name for row in store.pipelines.values()]
    name = params.get("pipeline") or names[0]
    pipeline, wanted = store.pipeline(name), str(params.get("q") or "").lower()
    rows = [row for row in store.opportunities(pipeline.id) if wanted in _searched(store, row)]
    rows.sort(key=lambda row: row.updated, reverse=True)
    columns = []
    for stage in pipeline.stages:
        cards = [row for row in rows if row.stage_id == stage.id]
        shown = [_card(store, row) for row in cards[:CARDS_PER_STAGE]]
        columns.append({"id": stage.id, "name": stage.name, "count": len(cards), "cards": shown})
    return {
        "version": version,
        "location": store.settings.name,
        "connect": [
            f"GHL_API_BASE_URL={sandbox.url}",
            f"GHL_API_TOKEN={sandbox.token}",
            f"GHL_LOCATION_ID={store.location_id}",
        ],
        "pipelines": names,
        "pipeline": name,
        "stages": columns,
    }


def _searched(store: Store, row: Opportunity) -> str:
    contact = store.contacts_by_id.get(row.contact_id)
    parts = (row.name, contact.name, contact.email) if contact else (row.name,)
    return "\n".join(part for part in parts if part).lower()


def _card(store: Store, row: Opportunity) -> dict[str, Any]:
    contact = store.contacts_by_id.get(row.contact_id)
    return {
        "id": row.id,
        "name": row.name,
        "status": row.status,
        "contact": contact.name if contact else "",
        "updated": iso(row.updated),
        "by_api": row.api_made,
    }


def _record(sandbox: Sandbox, params: Mapping[str, Any]) -> Any:
    """One opportunity with every field of its form, as the card's editor shows it."""
    store = sandbox.store
    record = store.opportunity(str(params.get("id")))
    if record is None:
        raise Mistake("This card is gone.", 404)
    pipeline = store.pipelines[record.pipeline_id]
    stage = next((stage.name for stage in pipeline.stages if stage.id == record.stage_id), "")
    return {
        **_card(store, record),
        "pipeline": pipeline.name,
        "stage": stage,
        "stages": [stage.name for stage in pipeline.stages],
        "fields": _form(store, store.custom_by_key(record)),
    }


def _blank(sandbox: Sandbox, params: Mapping[str, Any]) -> Any:
    """The editor's form for a card that does not exist yet."""
    pipeline = sandbox.store.pipeline(str(params.get("pipeline")))
    stages = [stage.name for stage in pipeline.stages]
    return {
        "id": "",
        "name": "",
        "status": "open",
        "pipeline": pipeline.name,
        "stage": stages[0],
        "stages": stages,
        "fields": _form(sandbox.store, {}),
    }


def _form(store: Store, by_key: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every custom field of opportunities with its value, in the order of the CRM's own form."""
    return [
        {
            "id": row.id,
            "key": row.key.partition(".")[2],
            "name": row.name,
            "type": row.data_type,
            "long": row.data_type in LONG,
            "options": list(row.options),
            "custom": row.custom,
            "value": by_key.get(row.key.partition(".")[2]),
        }
        for row in sorted(store.fields.values(), key=lambda row: row.position)
        if row.model == "opportunity"
    ]


def _contacts(sandbox: Sandbox, params: Mapping[str, Any]) -> Any:
    """The first contacts whose name or e-mail holds `q`, to pick one for a card."""
    wanted = str(params.get("q") or "").strip().lower()
    rows = []
    for row in sandbox.store.contacts():
        label = f"{row.name} · {row.email}" if row.email else row.name
        if wanted in label.lower():
            rows.append({"id": row.id, "label": label, "name": row.name, "email": row.email})
    return {"contacts": rows[:SUGGESTED_CONTACTS]}


def _contact(sandbox: Sandbox, params: Mapping[str, Any]) -> Any:
    """Who a contact is, in two words, for a link to it."""
    found = sandbox.store.contact(str(params.get("id")))
    if found is None:
        raise Mistake("This contact is gone.", 404)
    return {"id": found.id, "name": found.name, "email": found.email}


def _edit(sandbox: Sandbox, body: Any) -> Any:
    """`{"id", "fields": {key: value}, …native}` as a CRM user would change it."""
    native = {key: value for key, value in body.items() if key not in {"id", "fields"}}
    record = sandbox.store.get(str(body.get("id")))
    if record is None or record.deleted:
        raise Mistake("This card is gone.", 404)
    known = {row.name for row in fields(record)} | {"stage", "pipeline"}
    if not isinstance(body.get("fields", {}), dict):
        raise Mistake("fields must be an object.")
    unknown = sorted(set(native) - known)
    if unknown:
        raise Mistake(f"The sandbox cannot edit {', '.join(unknown)}.")
    return _plain(sandbox.store.edit(record.id, fields=body.get("fields"), **native))


def _create(sandbox: Sandbox, body: Any) -> Any:
    """A card or contact made by hand: the arguments of `Store.add_opportunity` or `Store.add_contact`."""
    given = dict(body)
    kind = given.pop("kind", "opportunity")
    store = sandbox.store
    moment = store.added_now()
    try:
        if kind == "contact":
            return _plain(store.add_contact(added=moment, **given))
        if store.contact(str(given.get("contact_id"))) is None:
            raise Mistake("A card needs a contact that exists.")
        return _plain(store.add_opportunity(added=moment, **given))
    except TypeError as error:
        raise Mistake(str(error)) from None


def _delete(sandbox: Sandbox, body: Any) -> Any:
    sandbox.store.delete(str(body.get("id")))
    return {"deleted": body.get("id")}


def _restore(sandbox: Sandbox, body: Any) -> Any:
    return _plain(sandbox.store.restore(str(body.get("id"))))


def _plain(record: Entry) -> dict[str, Any]:
    kind = Contact if isinstance(record, Contact) else Opportunity
    return {row.name: getattr(record, row.name) for row in fields(kind)}


def _reset(sandbox: Sandbox, body: Any) -> Any:
    sandbox.reset()
    return {"reset": True}


def _requests(sandbox: Sandbox, params: Mapping[str, Any]) -> Any:
    return {"requests": [asdict(one) for one in list(sandbox.requests)[-int(params.get("last") or 200) :]]}


def _add_fault(sandbox: Sandbox, body: Any) -> Any:
    """`{"kind", …}` as in `faults.Fault`, or `{"clear": true}`."""
    if body.get("clear"):
        sandbox.faults.clear()
    else:
        try:
            sandbox.faults.add(**body)
        except TypeError as error:
            raise Mistake(str(error)) from None
    return _faults(sandbox, {})


def _faults(sandbox: Sandbox, params: Mapping[str, Any]) -> Any:
    return {"kinds": dict(KINDS), "waiting": sandbox.faults.waiting()}


def _webhooks(sandbox: Sandbox, params: Mapping[str, Any]) -> Any:
    return sandbox.hooks.state()


def _switch_webhooks(sandbox: Sandbox, body: Any) -> Any:
    """Any of `hooks.Switches`, and `{"replay": N}` to deliver the last N once more."""
    changes = dict(body)
    again = changes.pop("replay", 0)
    if not isinstance(again, int):
        raise Mistake("replay must be a whole number")
    try:
        sandbox.hooks.switch(**changes)
    except (TypeError, ValueError) as error:
        raise Mistake(str(error)) from None
    sandbox.hooks.replay(again)
    return sandbox.hooks.state()


def _limits(sandbox: Sandbox, params: Mapping[str, Any]) -> Any:
    """How the limit was used since `since`, a moment that this page told as `now`."""
    return sandbox.limit.used(float(params.get("since") or 0))


def _settings(sandbox: Sandbox, body: Any) -> Any:
    """Switch how the account behaves: any attribute of `Settings`, the switches of `Store`, the latency and limits."""
    store = sandbox.store
    for name, value in body.items():
        if name in {"lag", "clearing", "custom_moves_updated", "answers_with_custom", "largest_page"}:
            setattr(store, name, value)
        elif name == "latency":
            sandbox.latency = float(value)
        elif name in {"rate_max", "interval_ms", "daily"}:
            setattr(sandbox.limit, name, int(value))
        elif name in {row.name for row in fields(store.settings)}:
            setattr(store.settings, name, tuple(value) if isinstance(value, list) else value)
        else:
            raise Mistake(f"The sandbox has no setting {name}.")
    return asdict(store.settings)


_PAGES: Mapping[tuple[str, str], Callable[[Sandbox, Any], Any]] = {
    ("GET", "state"): _state,
    ("GET", "wait"): _wait,
    ("GET", "board"): _board,
    ("GET", "record"): _record,
    ("GET", "contact"): _contact,
    ("GET", "blank"): _blank,
    ("GET", "contacts"): _contacts,
    ("GET", "requests"): _requests,
    ("GET", "faults"): _faults,
    ("GET", "limits"): _limits,
    ("GET", "webhooks"): _webhooks,
    ("POST", "edit"): _edit,
    ("POST", "create"): _create,
    ("POST", "delete"): _delete,
    ("POST", "restore"): _restore,
    ("POST", "reset"): _reset,
    ("POST", "faults"): _add_fault,
    ("POST", "webhooks"): _switch_webhooks,
    ("POST", "settings"): _settings,
}
