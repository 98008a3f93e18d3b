"""`/livez` and `/readyz`, for whatever restarts processes, balances load or raises an alarm. Neither needs an account.

A middleware answers and not a view: a probe names a host by its bare address, speaks plain http, sends no cookie, and
must get its answer while the database is gone. So it stands before whatever asks for a host, a session or a user, and
`SECURE_REDIRECT_EXEMPT` keeps the redirect to https away from both paths.

As with Kubernetes' own probes, `/readyz?exclude=queue` leaves a check out: a balancer that took the web away because
the queue stands would make a small trouble a large one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache

from django.db import Error, connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed

from ghl_sync.status import queue_trouble

LOG = logging.getLogger("tripbuilder.health")
LIVE, READY = "/livez", "/readyz"


class HealthChecks:
    """Answers the two paths and hands everything else on."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path_info not in {LIVE, READY}:
            return self.get_response(request)
        if request.method not in {"GET", "HEAD"}:
            return HttpResponseNotAllowed(["GET", "HEAD"])
        return _told(200, "ok") if request.path_info == LIVE else ready(request.GET.getlist("exclude"))


def ready(without: list[str]) -> HttpResponse:
    """200, or 503 with what is wrong. One sentence: the later checks need what the earlier ones ask for."""
    unknown = [name for name in without if name not in CHECKS]
    if unknown:
        return _told(400, f"There is no check of that name; exclude one of {', '.join(CHECKS)}.")
    for name, check in CHECKS.items():
        if name in without:
            continue
        try:
            trouble = check()
        except Error as error:
            LOG.warning("the database does not answer (%s)", type(error).__name__)
            connection.close()
            return _told(503, NO_DATABASE)
        if trouble:
            LOG.warning("not ready: %s", trouble)
            return _told(503, trouble)
    return _told(200, "ok")


def _told(status: int, words: str) -> HttpResponse:
    answer = HttpResponse(f"{words}\n", content_type="text/plain; charset=utf-8", status=status)
    answer["Cache-Control"] = "no-store"
    answer._has_been_logged = True  # type: ignore[attr-defined]  # by ready() itself, with the reason
    return answer


# The checks: each gives what is wrong in a sentence, or nothing, and may raise Error.

NO_DATABASE = "The database does not answer."


def database() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return ""


def migrations() -> str:
    """Whether each app's last migration of this code was applied; newer ones, as in an upgrade, do not matter."""
    applied = MigrationRecorder(connection).applied_migrations()
    if all(leaf in applied for leaf in _last_migrations()):
        return ""
    return "The database lacks migrations; run manage.py migrate."


@cache
def _last_migrations() -> tuple[tuple[str, str], ...]:
    return tuple(MigrationLoader(None).graph.leaf_nodes())


CHECKS: dict[str, Callable[[], str]] = {"database": database, "migrations": migrations, "queue": queue_trouble}
