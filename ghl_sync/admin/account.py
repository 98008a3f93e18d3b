"""What every page says of the account: not connected, stopped, paused, sensitive data still to be confirmed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from ghl_sync import tasks
from ghl_sync.admin.buttons import only_by_button
from ghl_sync.conf import NOT_CONFIGURED, config
from ghl_sync.engine import binding, resolve
from ghl_sync.models import Location
from ghl_sync.status import SWITCHES, account_row, paused
from trips.models import Trip
from trips.permissions import sees_every_trip

_CACHED = "_ghl_account"
MAY_SWITCH = "ghl_sync.change_location"


@dataclass(frozen=True, slots=True)
class Account:
    """The account as of this request. `paused` is the reason, empty while traffic runs."""

    configured: bool
    paused: str
    location: Location | None
    stranger: str = ""  # why this database must not write for the account
    # Whether reasons are told: they may name what only who sees every trip may know of.
    tells_why: bool = True

    @property
    def hindrance(self) -> str:
        """Why nothing is sent at the moment, in one sentence; empty when all is well."""
        if not self.configured:
            return NOT_CONFIGURED
        if self.stranger:
            return self.stranger
        if self.paused:
            return f"GoHighLevel is stopped: {_sentence(self.paused)}"
        return self.pause_words("sending") or self.catching_up

    @property
    def catching_up(self) -> str:
        """Why nothing is sent for now, although all runs; empty where it is."""
        return binding.catching_up(self.location)

    def pause_words(self, switch: str) -> str:
        """Who paused `sending` or `fetching`, and since when; empty while it goes on."""
        return self.location.pause_words(switch) if self.location else ""

    @property
    def sensitive_is_open(self) -> bool:
        """Whether an administrator has yet to say if passports and health records are written."""
        asks = self.configured and config().mirror_sensitive == "ask"
        return asks and (self.location is None or self.location.sensitive_confirmed_at is None)


def account_of(request: HttpRequest) -> Account:
    """Read once per request."""
    found: Account | None = getattr(request, _CACHED, None)
    if found is None:
        location = account_row()
        told = sees_every_trip(request.user)
        found = Account(config().configured, paused(location) or "", location, binding.words(location), told)
        setattr(request, _CACHED, found)
    return found


def page_context(request: HttpRequest) -> dict[str, Any]:
    """For every page of the admin (`UNFOLD["GLOBAL_CALLBACK"]`): what the banners say, for staff only."""
    user = getattr(request, "user", None)
    if user is None or not (user.is_active and user.is_staff):
        return {}
    account = account_of(request)
    paused = {name: words for name in SWITCHES if (words := account.pause_words(name))}
    return {
        "ghl_paused": _sentence(account.paused),
        "ghl_stranger": account.stranger,
        "ghl_catching_up": "" if account.stranger or account.paused else account.catching_up,
        "ghl_switched_off": paused,
        "ghl_running": [name for name in SWITCHES if name not in paused] if account.location else [],
        "ghl_may_switch": user.has_perm(MAY_SWITCH),
    }


def _sentence(words: str) -> str:
    """With a full stop, which GoHighLevel's own words mostly lack: another sentence follows."""
    return words if not words or words.endswith((".", "!", "?")) else f"{words}."


def saved_sentence(account: Account, saved: Any) -> tuple[int, str]:
    """Level and text of what to say after `saved` was saved."""
    if not account.configured:
        return messages.INFO, f"Saved here. {account.hindrance}"
    if account.hindrance:
        return messages.WARNING, f"Saved here; it follows when traffic runs again. {account.hindrance}"
    if isinstance(saved, Trip) and saved.organiser_id is None and not config().fallback_email:
        return messages.WARNING, "Saved. It goes to GoHighLevel once it has a lead organiser."
    return messages.INFO, "Saved. GoHighLevel follows in a moment."


def list_context(request: HttpRequest) -> dict[str, Any]:
    """For the pages of the sync: the note on the account, and for superusers what is still to be confirmed."""
    account = account_of(request)
    user: Any = request.user
    return {
        "ghl_note": "" if account.configured else NOT_CONFIGURED,
        "ghl_confirm": account.sensitive_is_open and user.is_superuser,
        "ghl_account": account,
    }


@only_by_button
def confirm_sensitive(request: HttpRequest) -> HttpResponse:
    """The administrator's yes: passports and health records are written from now on."""
    user: Any = request.user
    if not user.is_superuser:
        raise PermissionDenied
    account = account_of(request)
    back = HttpResponseRedirect(reverse("admin:ghl_sync_link_changelist"))
    if not account.sensitive_is_open:
        messages.info(request, "There is nothing to confirm: it is decided already.")
    elif account.location is None:
        messages.warning(request, "GoHighLevel was not read yet. Run `manage.py ghl_setup`, then confirm.")
    else:
        with transaction.atomic():
            count = resolve.confirm_sensitive(account.location, user)
            tasks.sweep_after_commit()
        messages.success(
            request,
            f"Confirmed. Passports and health records are written as well; {count} passengers are compared once more.",
        )
    return back
