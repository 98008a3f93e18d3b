"""Headers of every answer that no library and no setting of Django's adds."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

HEADERS = {
    # Nothing of a browser's is used. A dozen names in one line need no package that checks them.
    "Permissions-Policy": "accelerometer=(), bluetooth=(), camera=(), display-capture=(), geolocation=(), "
    "gyroscope=(), hid=(), magnetometer=(), microphone=(), midi=(), payment=(), serial=(), usb=()",
    "Cross-Origin-Resource-Policy": "same-origin",
}
# After signing out, the back button of a shared computer must not bring a passport up.
NO_STORE = "no-store, private"


class SecurityHeaders:
    """Adds them; and keeps what somebody saw while signed in out of every cache, unless its view has said so itself."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        answer = self.get_response(request)
        for name, value in HEADERS.items():
            answer.headers.setdefault(name, value)
        user = getattr(request, "user", None)  # none where a middleware before the sessions' has answered
        if user is not None and "Cache-Control" not in answer and _is_signed_in(request):
            answer["Cache-Control"] = NO_STORE
        return answer


def _is_signed_in(request: HttpRequest) -> bool:
    """Without asking the database where the request had no session to begin with."""
    return request.session.session_key is not None and request.user.is_authenticated
