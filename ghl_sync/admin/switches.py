"""The two switches: pause sending, pause fetching. Saving stays possible, and what waited goes afterwards."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme

from ghl_sync import tasks
from ghl_sync.admin.account import MAY_SWITCH, account_of
from ghl_sync.admin.buttons import only_by_button
from ghl_sync.engine import resolve
from ghl_sync.status import SWITCHES

RUNNING = {
    "sending": "Sending goes on. What was saved meanwhile follows now.",
    "fetching": "Fetching goes on. What changed in GoHighLevel meanwhile is fetched now.",
}
WAKES = {"sending": tasks.sweep_after_commit, "fetching": tasks.pull_after_commit}


@only_by_button
def switch_view(request: HttpRequest) -> HttpResponse:
    """`name` is the switch, `to` "pause" or "go on"; leads back to the page the button was on."""
    user: Any = request.user
    if not user.has_perm(MAY_SWITCH):
        raise PermissionDenied
    name, to = request.POST.get("name", ""), request.POST.get("to", "")
    if name not in SWITCHES or to not in {"pause", "go on"}:
        return HttpResponseBadRequest("There is no such switch.")
    location = account_of(request).location
    if location is None:
        messages.warning(request, "GoHighLevel was not read yet, so there is nothing to pause.")
    else:
        with transaction.atomic():
            changed = resolve.switch(location, name, user=user, paused=to == "pause")
            if changed and to == "go on":
                WAKES[name]()
        if not changed:
            messages.info(request, "It stood so already.")
        elif to == "go on":  # that it is paused the banner says
            messages.success(request, RUNNING[name])
    return HttpResponseRedirect(_back(request))


def _back(request: HttpRequest) -> str:
    here = request.POST.get("next", "")
    if url_has_allowed_host_and_scheme(here, allowed_hosts={request.get_host()}, require_https=request.is_secure()):
        return here
    return reverse("admin:index")
