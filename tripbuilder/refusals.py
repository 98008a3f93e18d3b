"""Refusals: each one a line in the log, and no difference between what is hidden and what is not there.

Who sees every trip is told that a number does not exist. Anybody else is refused, whether it exists or not: the answer
to a guessed address must not tell which numbers others' trips have.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.views.defaults import permission_denied

from trips.permissions import sees_every_trip

LOG = logging.getLogger("tripbuilder.refusals")
_PLACE = re.compile(r"<(?:\w+:)?(\w+)>")


class RefusalMiddleware:
    """Stands behind the one that knows who asks."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        answer = self.get_response(request)
        if answer.status_code == 403 and request.user.is_authenticated:
            LOG.warning("user %s was refused %s %s", request.user.pk, request.method, told_address(request))
        return answer

    def process_view(self, request: HttpRequest, *_view: Any) -> HttpResponse | None:
        """The sync's pages speak of all trips at once, whoever may see which record on them."""
        user: Any = request.user
        name = (request.resolver_match and request.resolver_match.url_name) or ""
        if name.startswith("ghl_sync_") and user.is_authenticated and not sees_every_trip(user):
            return permission_denied(request, PermissionDenied())
        return None

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Who does not see every trip is refused what a view says is not there."""
        if not isinstance(error, Http404) or not _names_a_row(request):
            return None
        user: Any = request.user
        if not user.is_authenticated or sees_every_trip(user):
            return None
        return permission_denied(request, error)


def _names_a_row(request: HttpRequest) -> bool:
    match = request.resolver_match
    return match is not None and bool(match.kwargs or match.args) and "url" not in match.kwargs


def told_address(request: HttpRequest) -> str:
    """The address with its numbers and keys; what else somebody typed into it is a dot, as it may be a name."""
    match = request.resolver_match
    if match is None:
        return "an address that leads nowhere"
    values = {**match.kwargs}

    def fill(place: re.Match[str]) -> str:
        text = str(values.get(place[1], ""))
        return text if text.isascii() and (text.isdigit() or _is_key(text)) else "…"

    return f"/{_PLACE.sub(fill, match.route)}"


def _is_key(text: str) -> bool:
    try:
        return bool(UUID(text))
    except ValueError:
        return False
