"""The queue's Redis: what a save puts into it must not wait, what a worker takes out of it may.

With redis-py's own settings a save waits 3 to 58 s when the server is down or hangs.
"""

from __future__ import annotations

import functools
from typing import Any

import redis
from django.conf import settings
from django_q.brokers.redis_broker import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

# Together less than the half second that a save may lose: a connection, its greeting and one answer.
CONNECT_SECONDS, ANSWER_SECONDS = 0.1, 0.12
# A worker waits up to a second for the next task; the server's word that there is none must still get through.
WORKER_SECONDS = 5


@functools.cache
def _client(answer_seconds: float) -> redis.Redis:
    return redis.from_url(
        settings.REDIS_URL,
        retry=Retry(NoBackoff(), 0),
        socket_connect_timeout=CONNECT_SECONDS,
        socket_timeout=answer_seconds,
    )


class ImpatientRedis(Redis):
    """django-q2's broker over two clients: a patient one for workers, an impatient one for whoever enqueues."""

    def enqueue(self, task: str) -> Any:
        return _client(ANSWER_SECONDS).rpush(self.list_key, task)

    @staticmethod
    def get_connection(list_key: str | None = None) -> redis.Redis:
        return _client(WORKER_SECONDS)
