"""Sign-ins as their owners see them, and their two limits: unused for too long, and too long altogether.

The session itself carries when it began and was last used, so a request costs no query more; the table is for the
lists, and is written once a minute at most. django-qsessions and django-user-sessions keep such a list by replacing
the session's table, and write it with each request; neither knows an idle limit.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.models import Session
from django.http import HttpRequest
from django.utils import timezone
from django.utils.crypto import salted_hmac

from tripbuilder.signin import pace
from tripbuilder.signin.models import Authenticator, SignIn
from trips.client_address import client_address

MARK = "sign_in"
WRITE_EVERY = 60
FRESH_SECONDS = 600
_BROWSERS = (
    ("Edg", "Edge"),
    ("OPR|Opera", "Opera"),
    ("SamsungBrowser", "Samsung Internet"),
    ("Firefox|FxiOS", "Firefox"),
    ("HeadlessChrome|Chrome|CriOS|Chromium", "Chrome"),
    ("Safari", "Safari"),
)
_SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("CrOS", "Chromebook"),
    ("Mac OS X|Macintosh", "Mac"),
    ("Linux|X11", "Linux"),
)


def began(request: HttpRequest, user: Any, **_signal: Any) -> None:
    """Somebody signed in: the clock of this session starts."""
    now = int(timezone.now().timestamp())
    # Kept here, so that the gate need not ask with each page. It stays true: setting up an app ends the other sessions.
    no_factor = not Authenticator.objects.filter(user=user, confirmed=True).exists()
    request.session[MARK] = {"started": now, "seen": now, "no_factor": no_factor}
    note(request, user)
    # Sign-ins are rare, so they sweep behind those that are over; nothing else would.
    Session.objects.filter(expire_date__lt=timezone.now()).delete()
    pace.forget_old()


def note(request: HttpRequest, user: Any) -> None:
    """Put this session into the table. Its key changes at sign-in, with the code and with a password."""
    session = request.session
    if not session.session_key:
        session.save()
    mark = session[MARK]
    session[MARK] = {**mark, "key": session.session_key}
    SignIn.objects.update_or_create(
        session_id=session.session_key,
        defaults={
            "user": user,
            "address": client_address(request),
            "agent": request.META.get("HTTP_USER_AGENT", "")[:300],
            "started_at": _moment(mark["started"]),
            "seen_at": _moment(mark["seen"]),
        },
    )


def code_was_typed(session: SessionBase) -> None:
    """Note that its owner has just shown the second factor, in a session with a new key."""
    session[MARK] = {**session[MARK], "code": int(timezone.now().timestamp())}
    session.cycle_key()


def code_is_fresh(session: SessionBase) -> bool:
    """Whether the second factor was shown within ten minutes, for what an unlocked screen must not be enough for."""
    return timezone.now().timestamp() - session[MARK].get("code", 0) < FRESH_SECONDS


def why_over(session: SessionBase) -> str:
    """The sentence for somebody whose session has ended by one of the limits; empty while it goes on."""
    mark = session.get(MARK)
    if mark is None:
        return ""
    now = timezone.now().timestamp()
    if now - mark["started"] >= settings.SESSION_HOURS * 3600:
        return f"You were signed out after {_hours(settings.SESSION_HOURS)}. Sign in again."
    if now - mark["seen"] >= settings.SESSION_IDLE_MINUTES * 60:
        return f"You were signed out after {settings.SESSION_IDLE_MINUTES} minutes without use. Sign in again."
    return ""


def used(request: HttpRequest, user: Any, *, by_person: bool) -> None:
    """This request was one of somebody's session; what a page asks by itself (`by_person` False) is no use of it."""
    session = request.session
    mark = session.get(MARK)
    if mark is None:  # it began before there were limits
        began(request, user)
        return
    if mark.get("key") != session.session_key:
        note(request, user)
    now = int(timezone.now().timestamp())
    if by_person and now - mark["seen"] >= WRITE_EVERY:
        session[MARK] = {**session[MARK], "seen": now}
        SignIn.objects.filter(session_id=session.session_key).update(seen_at=_moment(now))


def of(user: Any) -> list[SignIn]:
    """Somebody's sign-ins that still work, the one used last first."""
    now = timezone.now()
    return list(
        SignIn.objects.filter(
            user=user,
            session__expire_date__gt=now,
            started_at__gt=now - dt.timedelta(hours=settings.SESSION_HOURS),
            seen_at__gt=now - dt.timedelta(minutes=settings.SESSION_IDLE_MINUTES),
        )
    )


def end_of(user: Any, *, keep: str | None = None) -> int:
    """End all of somebody's sessions but the one with the key `keep`; returns how many."""
    found = Session.objects.filter(sign_in__user=user).exclude(session_key=keep or "")
    count = found.count()
    found.delete()
    return count


def end_one(user: Any, handle: str) -> bool:
    """End the session that `handle_of` names, if it is one of this user's."""
    for one in SignIn.objects.filter(user=user):
        if handle_of(one) == handle:
            Session.objects.filter(pk=one.session_id).delete()
            return True
    return False


def handle_of(sign_in: SignIn) -> str:
    """What a page calls a session: its key is what its cookie holds, and stands on no page."""
    return salted_hmac("signin.handle", sign_in.session_id).hexdigest()[:32]


def device_words(agent: str) -> str:
    """ "Chrome on Windows", from what a browser says of itself."""
    browser = next((name for pattern, name in _BROWSERS if re.search(pattern, agent)), "")
    system = next((name for pattern, name in _SYSTEMS if re.search(pattern, agent)), "")
    return " on ".join(part for part in (browser, system) if part) or "Unknown device"


def _moment(stamp: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(stamp, tz=dt.UTC)


def _hours(count: int) -> str:
    return "one hour" if count == 1 else f"{count} hours"
