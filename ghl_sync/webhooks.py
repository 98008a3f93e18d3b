"""`POST /ghl/webhook/`: prove who sent it, keep it, answer, then have it handled.

A webhook is a hint that some record changed and nothing more: what it says of the record is never used, the record is
read again. So a webhook that is lost, doubled, late or out of order costs time at most, and one of another account
can do nothing at all. Whatever comes in, the answer is one of these:

200 kept, known already, or of another account (counted, forgotten) · 400 authentic, but no JSON object · 401 without a
proof or with a wrong one · 405 no POST · 413 over a megabyte, unread · 429 it could not be kept: deliver it again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter

from django.conf import settings
from django.db import Error
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.request import UnreadablePostError
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from ghl_sync import tasks
from ghl_sync.client.signatures import NotAuthentic, Trust, check
from ghl_sync.engine import inbox
from ghl_sync.models import WebhookRefusal

logger = logging.getLogger("ghl_sync.webhooks")

LARGEST_BODY = 1024 * 1024
RETRY_SECONDS = 60
Reason = WebhookRefusal.Reason


def trust() -> Trust:
    """Whom to believe, by the settings of this moment."""
    return Trust(tuple(settings.GHL_WEBHOOK_PUBLIC_KEYS), tuple(settings.GHL_WEBHOOK_RSA), settings.GHL_WEBHOOK_SECRET)


@csrf_exempt
@require_POST
def receive(request: HttpRequest) -> HttpResponse:
    """One delivery."""
    if not 0 <= _length(request) <= LARGEST_BODY:
        return _refused(413, Reason.TOO_LARGE, "The body is larger than a megabyte.")
    try:
        body = request.body
    except UnreadablePostError:  # the sender hung up half-way and reads no answer
        return _refused(400, Reason.UNREADABLE, "The body did not arrive whole.")
    try:
        check(trust(), request.headers, body)
    except NotAuthentic as error:
        return _refused(401, Reason(error.reason.value), "The signature is missing or wrong.")
    try:
        return _kept(inbox.understand(body))
    except inbox.Unreadable as error:
        return _refused(400, Reason.UNREADABLE, str(error))
    except inbox.OtherAccount:
        refusals.count(Reason.OTHER_ACCOUNT)
        return JsonResponse({"status": "ignored"})
    except Error as error:
        logger.error("a webhook could not be stored (%s); it is asked for again", type(error).__name__)
        answer = _refused(429, Reason.NOT_STORED, "It could not be stored; deliver it again later.")
        answer["Retry-After"] = str(RETRY_SECONDS)
        return answer


def _length(request: HttpRequest) -> int:
    try:
        return int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        return -1


def _kept(delivery: inbox.Delivery) -> HttpResponse:
    received = inbox.receive(delivery)
    if received.wake:
        tasks.wake_inbox()
    return JsonResponse({"status": "stored" if received.new else "known"})


def _refused(status: int, reason: str, words: str) -> HttpResponse:
    refusals.count(reason)
    answer = JsonResponse({"message": words}, status=status)
    answer._has_been_logged = True  # type: ignore[attr-defined]  # not by Django, one line for each; we count them
    return answer


class _Refusals:
    """Counts of this process on their way to the database: anybody may send us rubbish, so not one write for each."""

    EVERY_SECONDS = 1.0

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: Counter[str] = Counter()
        self._written = 0.0

    def count(self, reason: str) -> None:
        """One more; what was counted within the last second is written with the next one after it."""
        with self._lock:
            self._waiting[reason] += 1
            if time.monotonic() - self._written < self.EVERY_SECONDS:
                return
            self._written = time.monotonic()
            counts, self._waiting = self._waiting, Counter()
        for name, count in counts.items():
            try:
                inbox.count_refusals(name, count)
            except Error:
                with self._lock:
                    self._waiting[name] += count
        logger.warning("webhooks refused: %s", ", ".join(f"{count} {name}" for name, count in counts.items()))


refusals = _Refusals()
