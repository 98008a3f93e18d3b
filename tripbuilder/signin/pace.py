"""What stops the guessing of one account from many addresses, beside the lock of a pair of account and address.

It slows down instead of locking: a lock by account would let anybody shut the office out by typing its names. So
addresses from which the account has signed in lately are never slowed, and all others share one try every few
seconds; whoever guesses from a thousand machines gets no more of them than from one.
"""

from __future__ import annotations

import datetime as dt

from axes.models import AccessAttempt, AccessLog
from django.conf import settings
from django.db.models import Max, Sum
from django.utils import timezone

FREE_FAILURES = 20  # four addresses that were locked out
STEP_SECONDS, LONGEST_SECONDS = 10, 60
KNOWN_DAYS = 90


def wait_for(username: str, address: str | None) -> int:
    """Seconds after which this account may be tried from this address; 0 for now."""
    now = timezone.now()
    lately = AccessAttempt.objects.filter(username=username, attempt_time__gt=now - settings.AXES_COOLOFF_TIME)
    found = lately.aggregate(count=Sum("failures_since_start"), last=Max("attempt_time"))
    if (found["count"] or 0) < FREE_FAILURES or is_known(username, address):
        return 0
    pause = min(LONGEST_SECONDS, STEP_SECONDS * (found["count"] // FREE_FAILURES))
    left = pause - (now - found["last"]).total_seconds()
    return max(0, int(left + 0.999))


def is_known(username: str, address: str | None) -> bool:
    """Whether the account has signed in from there within the last 90 days."""
    since = timezone.now() - dt.timedelta(days=KNOWN_DAYS)
    return (
        address is not None
        and AccessLog.objects.filter(username=username, ip_address=address, attempt_time__gt=since).exists()
    )


def locked_for(username: str, address: str | None) -> int:
    """Seconds until this pair of account and address may try again."""
    found = AccessAttempt.objects.filter(username=username, ip_address=address).aggregate(last=Max("attempt_time"))
    if found["last"] is None:
        return 0
    left = settings.AXES_COOLOFF_TIME - (timezone.now() - found["last"])
    return max(0, int(left.total_seconds()) + 1)


def forget_old() -> int:
    """Forget sign-ins that are too old to make an address known; returns how many."""
    since = timezone.now() - dt.timedelta(days=KNOWN_DAYS)
    count, _by_model = AccessLog.objects.filter(attempt_time__lte=since).delete()
    return int(count)
