"""Between a request and every page of the staff: limits of the session, then the second factor.

Both stand here and not at the pages, so that a page somebody adds is behind them, too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import urlencode

from tripbuilder.signin import second_factor, sessions

# Pages that know no account.
APART = ("/form/", "/ghl/webhook")
# What a page asks by itself says so, and does not count as use of it.
BACKGROUND = "X-Background"
WITHOUT_FACTOR = frozenset({"signin:code", "signin:set_up", "admin:login", "admin:logout"})

Answer = Callable[[HttpRequest], HttpResponse]


def is_apart(request: HttpRequest) -> bool:
    return request.path_info.startswith(APART)


class SessionLimits:
    """Signs out who was idle for too long, or in for too long."""

    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if is_apart(request) or not request.user.is_authenticated:
            return self.get_response(request)
        over = sessions.why_over(request.session)
        if over:
            logout(request)
            messages.warning(request, over)
            return redirect_to_login(request.get_full_path() if request.method == "GET" else reverse("admin:index"))
        sessions.used(request, request.user, by_person=BACKGROUND not in request.headers)
        return self.get_response(request)


class SecondFactorGate:
    """Leads who has shown no second factor to the page for it, and nowhere else."""

    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> HttpResponse | None:
        user: Any = request.user if not is_apart(request) else None
        if user is None or not user.is_authenticated or user.is_verified():
            return None
        match = request.resolver_match
        if match is not None and match.view_name in WITHOUT_FACTOR:
            return None
        if not second_factor.required() and request.session[sessions.MARK]["no_factor"]:
            return None
        has_device = second_factor.device_of(user) is not None
        page = reverse("signin:code" if has_device else "signin:set_up")
        back = request.get_full_path() if request.method == "GET" else reverse("admin:index")
        return HttpResponseRedirect(f"{page}?{urlencode({'next': back})}")
