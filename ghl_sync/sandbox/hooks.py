"""Webhooks as GoHighLevel sends them to an app (API notes §10): several for one change, flat, signed, again after 429.

Off until an address is given. The switches make them come doubled, out of order, late, wrongly signed or not at all,
all of which a receiver must bear.
"""

from __future__ import annotations

import base64
import heapq
import http.client
import itertools
import json
import random
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ghl_sync.sandbox.store import Contact, Entry, Opportunity, Store
from ghl_sync.sandbox.wire import contact_custom, iso

APP_ID, VERSION_ID = "sandbox-app", "sandbox-app-version"
SIGNING = ("right", "wrong", "none", "old")
# Only 429 is retried, so often (API notes §10: the older of two policies, on which a receiver can rely).
MOST_DELIVERIES = 7
TIMEOUT_SECONDS = 10.0
SHUFFLE_SECONDS = 0.3
KEPT = 20_000


_KINDS = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}


@dataclass(slots=True)
class Switches:
    """`url` empty: nothing is sent. `copies` of each; `shuffle` lets later ones overtake; `delay` in seconds.

    `signing`: `right`, `wrong` (by a key that nobody knows), `none`, or `old` (the RSA header alone). `retry` is how
    many seconds after a 429 the same is delivered again. `custom_fires` says whether custom fields alone are news.
    """

    url: str = ""
    copies: int = 1
    shuffle: bool = False
    delay: float = 0.0
    signing: str = "right"
    retry: float = 600.0
    custom_fires: bool = True

    def check(self) -> None:
        """Raises ValueError for what makes no sense."""
        for row in fields(self):
            value, kind = getattr(self, row.name), type(getattr(Switches(), row.name))
            wanted = (int, float) if kind is float else (kind,)
            if not isinstance(value, wanted) or isinstance(value, bool) is not (kind is bool):
                raise ValueError(f"{row.name} must be {_KINDS[kind]}")
        if self.url and (urlsplit(self.url).scheme not in {"http", "https"} or not urlsplit(self.url).netloc):
            raise ValueError(f"{self.url!r} is no address; give one such as http://127.0.0.1:8000/ghl/webhook/")
        if self.signing not in SIGNING:
            raise ValueError(f"signing must be one of {', '.join(SIGNING)}")
        if self.copies < 0 or self.delay < 0 or self.retry < 0:
            raise ValueError("copies, delay and retry cannot be negative")


@dataclass(frozen=True, slots=True)
class Sent:
    """One delivery and its answer; status 0: nobody answered."""

    type: str
    record_id: str
    webhook_id: str
    status: int


class Hooks:
    """Turns changes of a store into deliveries, one after the other in a thread of its own.

    `seed` (32 bytes) makes the signing key the same at each start.
    """

    def __init__(self, store: Store, *, url: str = "", seed: bytes | None = None) -> None:
        self.switches = Switches(url=url)
        self.switches.check()
        self.sent: deque[Sent] = deque(maxlen=KEPT)
        self._store = store
        self._key = _private(seed)
        self._bodies: deque[bytes] = deque(maxlen=KEPT)
        self._waiting: list[tuple[float, int, bytes, int]] = []
        self._order = itertools.count()
        self._news = threading.Condition()
        self._busy = False
        self._ends = False
        self._thread: threading.Thread | None = None
        store.watch(self._changed)

    # What a receiver needs to know

    @property
    def public_key(self) -> str:
        """For GHL_WEBHOOK_PUBLIC_KEYS."""
        return _public(self._key)

    @property
    def old_public_key(self) -> str:
        """For GHL_WEBHOOK_RSA."""
        return _public(self._old_key)

    @cached_property
    def _old_key(self) -> rsa.RSAPrivateKey:
        """Made when first asked for: it takes a moment."""
        return rsa.generate_private_key(65537, 2048)

    def signed(self, body: bytes, signing: str = "") -> dict[str, str]:
        """The headers that prove `body`, as the switch says or as asked."""
        how = signing or self.switches.signing
        if how == "none":
            return {}
        if how == "old":
            proof = self._old_key.sign(body, PKCS1v15(), SHA256())
            return {"X-WH-Signature": base64.b64encode(proof).decode()}
        key = self._key if how == "right" else ed25519.Ed25519PrivateKey.generate()
        return {"X-GHL-Signature": base64.b64encode(key.sign(body)).decode()}

    def body(self, event: str, record: Entry) -> bytes:
        """One event as it goes over the wire."""
        return json.dumps(_payload(self._store, event, record)).encode()

    # Control

    def switch(self, **changes: Any) -> None:
        """Set what is named. Raises ValueError for what is no switch, TypeError for an unknown name."""
        after = Switches(**asdict(self.switches) | changes)
        after.check()
        self.switches = after

    def replay(self, last: int) -> int:
        """Deliver the last ones again, as they were; returns how many."""
        bodies = list(self._bodies)[-last:] if last > 0 else []
        for body in bodies:
            self._enqueue(body)
        return len(bodies)

    def settle(self, timeout: float = 10.0) -> bool:
        """Wait until everything is delivered, retries excepted; False when it took longer."""
        with self._news:
            return self._news.wait_for(lambda: not self._busy and not self._due_soon(), timeout)

    def state(self) -> dict[str, Any]:
        """The switches, both public keys, and what became of what was sent."""
        with self._news:
            waiting = len(self._waiting) + self._busy
        keys = {"public_key": self.public_key, "old_public_key": self.old_public_key}
        return {**asdict(self.switches), **keys, "waiting": waiting, "sent": [asdict(one) for one in self.sent]}

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="sandbox-hooks", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        with self._news:
            self._ends = True
            self._news.notify_all()
        if self._thread is not None:
            self._thread.join()

    def reset(self) -> None:
        """Nothing waits any more and nothing was sent; the address stays."""
        with self._news:
            self._waiting.clear()
        self.sent.clear()
        self._bodies.clear()
        self.switches = Switches(url=self.switches.url)

    # Deliveries

    def _changed(self, before: Entry | None, after: Entry) -> None:
        if self.switches.url:
            for event in events_of(before, after, custom_fires=self.switches.custom_fires):
                body = self.body(event, after)
                self._bodies.append(body)
                for _copy in range(self.switches.copies):
                    self._enqueue(body)

    def _enqueue(self, body: bytes, delay: float | None = None, done: int = 0) -> None:
        after = self.switches.delay if delay is None else delay
        if self.switches.shuffle:
            after += random.uniform(0, SHUFFLE_SECONDS)  # nosec B311 # noqa: S311 - it guards nothing
        with self._news:
            heapq.heappush(self._waiting, (time.monotonic() + after, next(self._order), body, done))
            self._news.notify_all()

    def _due_soon(self) -> bool:
        """Whether something waits that is no retry."""
        return any(done == 0 for _at, _order, _body, done in self._waiting)

    def _run(self) -> None:
        while (one := self._next()) is not None:
            body, done = one
            status = _posted(self.switches.url, body, self.signed(body))
            said = json.loads(body)
            self.sent.append(Sent(said["type"], said["id"], said["webhookId"], status))
            if status == 429 and done + 1 < MOST_DELIVERIES:
                self._enqueue(body, self.switches.retry, done + 1)
            with self._news:
                self._busy = False
                self._news.notify_all()

    def _next(self) -> tuple[bytes, int] | None:
        with self._news:
            while not self._ends:
                wait = self._waiting[0][0] - time.monotonic() if self._waiting else None
                if wait is not None and wait <= 0:
                    _at, _order, body, done = heapq.heappop(self._waiting)
                    self._busy = True
                    return body, done
                self._news.wait(wait)
        return None


def events_of(before: Entry | None, after: Entry, *, custom_fires: bool = True) -> tuple[str, ...]:
    """The events of one change, in the order in which they leave."""
    kind = "Opportunity" if isinstance(after, Opportunity) else "Contact"
    if before is None or (before.deleted and not after.deleted):
        return (f"{kind}Create", f"{kind}Update") if kind == "Opportunity" else (f"{kind}Create",)
    if after.deleted:
        return (f"{kind}Delete", f"{kind}Update") if kind == "Opportunity" else (f"{kind}Delete",)
    changed = {row.name for row in fields(after) if getattr(before, row.name) != getattr(after, row.name)}
    if not changed - {"updated"} or (changed <= {"updated", "custom"} and not custom_fires):
        return ()
    special = tuple(event for name, event in _SPECIAL[kind].items() if name in changed)
    return (f"{kind}Update", *special)


_SPECIAL: Mapping[str, Mapping[str, str]] = {
    "Opportunity": {
        "stage_id": "OpportunityStageUpdate",
        "status": "OpportunityStatusUpdate",
        "value": "OpportunityMonetaryValueUpdate",
        "assigned_to": "OpportunityAssignedToUpdate",
    },
    "Contact": {"tags": "ContactTagUpdate", "dnd": "ContactDndUpdate"},
}


def _payload(store: Store, event: str, record: Entry) -> dict[str, Any]:
    """Flat, without an opportunity's custom fields and without a time of change (API notes §10)."""
    own = _opportunity(record) if isinstance(record, Opportunity) else _contact(store, record)
    envelope = {
        "timestamp": iso(time.time_ns() // 1_000_000),
        "webhookId": str(uuid.uuid4()),
        "appId": APP_ID,
        "versionId": VERSION_ID,
    }
    return {"type": event, "locationId": store.location_id, "id": record.id, **own, **envelope}


def _opportunity(record: Opportunity) -> dict[str, Any]:
    return {
        "assignedTo": record.assigned_to,
        "contactId": record.contact_id,
        "monetaryValue": record.value,
        "name": record.name,
        "pipelineId": record.pipeline_id,
        "pipelineStageId": record.stage_id,
        "source": record.source,
        "status": record.status,
        "dateAdded": iso(record.added),
    }


def _contact(store: Store, record: Contact) -> dict[str, Any]:
    return {
        "address1": record.address1,
        "city": record.city,
        "state": record.state,
        "companyName": record.company_name,
        "country": record.country,
        "source": record.source,
        "dateAdded": iso(record.added),
        "dateOfBirth": record.date_of_birth,
        "dnd": record.dnd,
        "email": record.email,
        "name": record.name,
        "firstName": record.first_name,
        "lastName": record.last_name,
        "phone": record.phone,
        "postalCode": record.postal_code,
        "tags": list(record.tags),
        "website": record.website,
        "attachments": [],
        "assignedTo": record.assigned_to,
        "customFields": contact_custom(store, record),
    }


def _posted(url: str, body: bytes, proof: Mapping[str, str]) -> int:
    """The status that the receiver answers; 0 when it does not."""
    parts = urlsplit(url)
    if not parts.hostname:
        return 0  # switched off meanwhile
    connect: Callable[..., http.client.HTTPConnection] = (
        http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    )
    connection = connect(parts.hostname, parts.port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("POST", parts.path or "/", body, {"Content-Type": "application/json", **proof})
        answer = connection.getresponse()
        answer.read()
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()
    return answer.status


def public_key(seed: bytes) -> str:
    """The public key of a sandbox that was started with this seed."""
    return _public(_private(seed))


def _private(seed: bytes | None) -> ed25519.Ed25519PrivateKey:
    if seed is None:
        return ed25519.Ed25519PrivateKey.generate()
    return ed25519.Ed25519PrivateKey.from_private_bytes(seed)


def _public(key: ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey) -> str:
    der = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(der).decode()
