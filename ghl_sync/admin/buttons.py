"""Views that only a button leads to, and what becomes of whoever opens their address instead."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods

NOTHING_DONE = "Nothing was done: that needs its button, and you may have been logged out. Press it again."

View = Callable[..., HttpResponse]


def only_by_button(view: View) -> View:
    """`view` for POST. A GET does nothing, says so and leads to the first page; other methods are answered with 405.

    A button pressed after the session has ended leads to the login, and the login to the button's address, by GET.
    """

    @wraps(view)
    def shown(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.method == "POST":
            return view(request, *args, **kwargs)
        messages.warning(request, NOTHING_DONE)
        return HttpResponseRedirect(reverse("admin:index"))

    return require_http_methods(["GET", "POST"])(shown)
