"""Where a request comes from. A header says what its sender likes, so none is believed unless a setting says so."""

from __future__ import annotations

import ipaddress

from django.conf import settings
from django.http import HttpRequest


def client_address(request: HttpRequest) -> str | None:
    """The client's address; None when there is none to tell, as in a test's bare request.

    Each proxy adds the address it was called from at the right end of X-Forwarded-For, so with PROXIES=n the n-th from
    the right is the last that one of ours wrote; everything left of it came with the request.
    """
    found = request.META.get("REMOTE_ADDR", "")
    if settings.PROXIES:
        told = [part.strip() for part in request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")]
        if len(told) >= settings.PROXIES:
            found = told[-settings.PROXIES]
    try:
        return str(ipaddress.ip_address(found))
    except ValueError:
        return None
