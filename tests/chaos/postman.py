"""Webhooks on their way: lost, doubled, late, out of order and replayed, as deliveries over the internet are."""

from __future__ import annotations

from random import Random

from django.test import Client

from ghl_sync.sandbox.hooks import events_of
from ghl_sync.sandbox.server import Sandbox
from ghl_sync.sandbox.store import Entry

ADDRESS = "/ghl/webhook/"
KEPT = 50


class Postman:
    """Collects what the sandbox has to tell and delivers some of it when asked."""

    def __init__(self, sandbox: Sandbox, random: Random) -> None:
        self._hooks, self._random = sandbox.hooks, random
        self._bag: list[bytes] = []
        self._delivered: list[bytes] = []
        self.delivered = 0
        sandbox.store.watch(self._collect)

    def _collect(self, before: Entry | None, after: Entry) -> None:
        self._bag += [self._hooks.body(event, after) for event in events_of(before, after)]

    def deliver(self) -> None:
        """Some of what waits, in any order, some of it twice; some is lost, and old ones come again."""
        self._random.shuffle(self._bag)
        count = self._random.randint(0, len(self._bag))
        now, self._bag = self._bag[:count], self._bag[count:]
        now = [body for body in now if self._random.random() > 0.2]
        now += [body for body in now if self._random.random() < 0.3]
        if self._delivered and self._random.random() < 0.3:
            now += self._random.sample(self._delivered, min(3, len(self._delivered)))
        client = Client()
        for body in now:
            proof = self._hooks.signed(body)
            answer = client.post(ADDRESS, body, content_type="application/json", headers=proof)
            assert answer.status_code == 200, f"a webhook was answered {answer.status_code}: {answer.content[:200]!r}"
            self.delivered += 1
        self._delivered = (self._delivered + now)[-KEPT:]
