"""Code, set-up of an app, recovery codes, and the list of one's sign-ins."""

from __future__ import annotations

import logging
from typing import Any
from urllib.parse import quote

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme, urlencode
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST
from django_otp import login as otp_login

from tripbuilder.signin import pace, second_factor, sessions
from tripbuilder.signin.forms import CodeForm
from tripbuilder.signin.models import Authenticator
from trips.client_address import client_address

LOG = logging.getLogger("tripbuilder.signin")


def next_page(request: HttpRequest) -> str:
    """Where `next` says to go on, if that is a page of this site; else the first page."""
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    if url_has_allowed_host_and_scheme(wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure()):
        return wanted
    return reverse("admin:index")


@sensitive_post_parameters("code")
@require_http_methods(["GET", "HEAD", "POST"])
def code(request: HttpRequest) -> HttpResponse:
    """Asks for a code of the app, or for a recovery code."""
    user: Any = request.user
    if second_factor.device_of(user) is None:
        return HttpResponseRedirect(f"{reverse('signin:set_up')}?{urlencode({'next': next_page(request)})}")
    recovery = "recovery" in request.GET
    form = CodeForm(request.POST if request.method == "POST" else None, recovery=recovery)
    if request.method == "POST" and form.is_valid():
        try:
            _pass(request, second_factor.check(user, form.cleaned_data["code"]))
        except second_factor.Refused as refused:
            LOG.warning("user %s: a code was refused", user.pk)
            form.add_error("code", str(refused))
        else:
            _warn_of_last_codes(request, user)
            return HttpResponseRedirect(next_page(request))
    context = {"form": form, "recovery": recovery, "next": next_page(request), "again": user.is_verified()}
    return _page(request, "code.html", "Second factor", context)


@sensitive_post_parameters("code")
@require_http_methods(["GET", "HEAD", "POST"])
def set_up(request: HttpRequest) -> HttpResponse:
    """Takes an app, or another one in its place, and shows the recovery codes."""
    user: Any = request.user
    if second_factor.device_of(user) is not None and not _is_fresh(request):
        return _ask_code(request)
    form = CodeForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            device, codes = second_factor.confirm(user, form.cleaned_data["code"], keep=request.session.session_key)
        except second_factor.Refused as refused:
            form.add_error("code", str(refused))
        else:
            LOG.warning("user %s set up a second factor", user.pk)
            _pass(request, device)
            return _show_codes(request, codes)
    device = second_factor.waiting_device(user)
    context = {
        "form": form,
        "picture": second_factor.picture_of(device),
        "secret": " ".join(device.secret[at : at + 4] for at in range(0, len(device.secret), 4)),
        "app_url": second_factor.address_of(device),
        "next": next_page(request),
        "required": second_factor.required(),
    }
    return _page(request, "set_up.html", "Set up the second factor", context)


@require_POST
def recovery_codes(request: HttpRequest) -> HttpResponse:
    """Ten new ones; those before are dead."""
    user: Any = request.user
    if second_factor.device_of(user) is None or not _is_fresh(request):
        return _ask_code(request, back=reverse("signin:mine"))
    LOG.warning("user %s made new recovery codes", user.pk)
    return _show_codes(request, second_factor.new_recovery_codes(user))


@require_http_methods(["GET", "HEAD"])
def mine(request: HttpRequest) -> HttpResponse:
    """One's own sign-ins, and the state of the second factor."""
    user: Any = request.user
    context = {
        "rows": rows_of(user, request.session.session_key),
        "end_url": reverse("signin:end_mine"),
        "device": second_factor.device_of(user),
        "codes_left": user.recovery_codes.count(),
        "required": second_factor.required(),
    }
    return _page(request, "mine.html", "My sign-ins", context)


@require_POST
def end_mine(request: HttpRequest) -> HttpResponse:
    """End one of them, or all but this one."""
    user: Any = request.user
    messages.success(request, ended(request, user, keep=request.session.session_key))
    return HttpResponseRedirect(reverse("signin:mine"))


def ended(request: HttpRequest, user: Any, *, keep: str | None) -> str:
    """End what the posted form names of this user's sign-ins; the sentence that says what was done."""
    handle = request.POST.get("one", "")
    if handle:
        return "The sign-in was ended." if sessions.end_one(user, handle) else "That sign-in had ended already."
    count = sessions.end_of(user, keep=keep)
    return {0: "There was no sign-in to end.", 1: "One sign-in was ended."}.get(count, f"{count} sign-ins were ended.")


def rows_of(user: Any, key: str | None = None) -> list[dict[str, Any]]:
    """What a list of somebody's sign-ins shows; that of the session `key` is this one."""
    return [
        {
            "device": sessions.device_words(one.agent),
            "address": one.address or "not known",
            "since": one.started_at,
            "seen": one.seen_at,
            "handle": sessions.handle_of(one),
            "this": one.session_id == key,
        }
        for one in sessions.of(user)
    ]


def locked(request: HttpRequest, _response: HttpResponse, credentials: dict[str, Any] | None = None) -> HttpResponse:
    """After too many wrong passwords for one account from one address (django-axes calls it)."""
    left = pace.locked_for((credentials or {}).get("username", ""), client_address(request))
    context = {"wait": second_factor.in_words(left)}
    answer = _page(request, "locked.html", "Too many wrong passwords", context, status=429)
    answer["Retry-After"] = str(left)
    return answer.render()  # it comes from a middleware, behind where Django renders


def _pass(request: HttpRequest, device: Authenticator) -> None:
    otp_login(request, device)
    sessions.code_was_typed(request.session)


def _is_fresh(request: HttpRequest) -> bool:
    user: Any = request.user
    return bool(user.is_verified()) and sessions.code_is_fresh(request.session)


def _ask_code(request: HttpRequest, back: str = "") -> HttpResponse:
    return HttpResponseRedirect(f"{reverse('signin:code')}?{urlencode({'next': back or request.path})}")


def _show_codes(request: HttpRequest, codes: list[str]) -> HttpResponse:
    """They are in this one answer and nowhere else, so the file is a link that holds it."""
    host, name = request.get_host(), request.user.get_username()
    text = f"TripBuilder recovery codes of {name} at {host}. Each works once.\n\n" + "\n".join(codes) + "\n"
    context = {
        "codes": codes,
        "file_url": f"data:text/plain;charset=utf-8,{quote(text)}",
        "download": {"download": "tripbuilder-recovery-codes.txt"},
        "next": next_page(request),
        "host": host,
    }
    return _page(request, "codes.html", "Your recovery codes", context)


def _warn_of_last_codes(request: HttpRequest, user: Any) -> None:
    left = user.recovery_codes.count()
    if left < 3:
        messages.warning(
            request, f"Recovery codes left: {left}. Make new ones at “My sign-ins” in the menu with your name."
        )


def _page(
    request: HttpRequest, template: str, title: str, context: dict[str, Any], status: int = 200
) -> TemplateResponse:
    frame = admin.site.each_context(request)
    return TemplateResponse(request, f"signin/{template}", {**frame, "title": title, **context}, status=status)
