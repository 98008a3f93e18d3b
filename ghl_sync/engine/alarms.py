"""What somebody must be told of: looked for after every sweep and by the watchdog, mailed to ADMINS once each.

A mail says what is wrong, since when and what to do, never what a record holds. One that cannot be sent breaks
nothing and is tried again; a flood is cut to `MAILS_AN_HOUR`, what is left over follows later if it still holds.
"""

from __future__ import annotations

import ast
import datetime as dt
import logging
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.mail import mail_admins
from django.db.models import Exists, Min, OuterRef, Q, Subquery
from django.utils import formats, timezone
from django_q.models import Schedule

from ghl_sync.conf import Config, config
from ghl_sync.engine import binding, state
from ghl_sync.engine.clock import database_now
from ghl_sync.engine.limits import BUDGET_WORDS
from ghl_sync.models import Alarm, Approval, Change, Kind, Lane, Link, Location, Write

logger = logging.getLogger("ghl_sync.alarms")

OVERDUE_SECONDS = 900
QUEUE_SECONDS = 180
STAMP_SECONDS = 5
MAILS_AN_HOUR = 12
KEPT_DAYS = 60
Code = Alarm.Code


def check() -> None:
    """Open, close and mail what is to be told at this moment. Never raises: it must not break what it follows."""
    try:
        look()
        post()
    except Exception:
        logger.exception("the alarms could not be looked at")


def look() -> None:
    """Bring the alarms up to date."""
    settings_ = config()
    location = Location.objects.filter(location_id=settings_.location_id).first() if settings_.configured else None
    if location is None:
        return
    now = database_now()
    state.alarms_are(Code.STOPPED, _stopped(location))
    if location.paused_at is None and location.sending_paused_at is None:
        # While all rests, whether something waits too long cannot be told; an alarm stays what it is.
        state.alarms_are(Code.OVERDUE, _overdue(settings_, now))
    state.alarms_are(Code.QUEUE, _queue(location, now, settings_))
    state.alarms_are(Code.SCHEDULE, dict(malformed_schedules()))
    state.alarms_are(Code.GUARD, dict(_guards()))
    state.alarms_are(Code.BINDING, _binding(location))
    state.alarms_are(Code.BUDGET, _budget(location, now))
    state.forget_alarms(KEPT_DAYS)


def _stopped(location: Location) -> dict[str, str]:
    if location.paused_at is None:
        return {}
    return {
        "": f"All traffic with GoHighLevel is stopped: {location.paused_reason} Saving works as usual. Mend the token "
        "or the location's id; once a minute it is tried whether the stop is over, and then everything follows."
    }


# Overdue


def _overdue(settings_: Config, now: dt.datetime) -> dict[str, str]:
    before = now - dt.timedelta(seconds=OVERDUE_SECONDS * settings_.scale)
    count, oldest = _waiting_since(before, settings_)
    if oldest is None:
        return {}
    records = "1 record waits" if count == 1 else f"{count} records wait"
    return {
        "": f"{records} longer than {OVERDUE_SECONDS // 60} minutes to go to GoHighLevel, since {_moment(oldest)}. The "
        "admin's list “Synced records” says of each why; `manage.py ghl_status` says whether queue and watchdog run."
    }


def _waiting_since(before: dt.datetime, settings_: Config) -> tuple[int, dt.datetime | None]:
    """How many records should have gone before this moment, and since when the oldest of them has waited.

    Left out is what waits on purpose: parked, gone, ignored or held records, answers that are given time to arrive
    and calls that the day's budget does not allow any more. What is in back-off was tried and counts. A bulk push
    takes its time: its records count only when nothing at all has moved meanwhile.
    """
    changes = Change.objects.filter(at__lt=before, due_at__lt=before)
    if Link.objects.filter(synced_at__gte=before).exists():
        changes = changes.exclude(lane=Lane.BULK)
    doubts = Write.objects.filter(
        outcome=Write.Outcome.OPEN, sent_at__lt=before - dt.timedelta(seconds=settings_.settle)
    )
    of_link = Q(kind=OuterRef("kind"), object_id=OuterRef("object_id"))
    rows: Any = (
        Link.objects.due()
        .filter(
            Q(Exists(changes.filter(of_link)))
            | Q(Exists(doubts.filter(link=OuterRef("pk"))))
            | Q(remote_dirty_at__lt=before)
            | Q(deleted_at__lt=before, remote_gone_at__isnull=True),
            Q(held_until__isnull=True) | Q(held_until__lt=before),
            # A wait without a failure was decided: a settle wait, a limit, a person's switch.
            Q(next_attempt_at__isnull=True) | Q(next_attempt_at__lt=before) | Q(failures__gt=0),
        )
        .exclude(waits_for__startswith=BUDGET_WORDS)
    )
    vendors = changes.filter(kind=Kind.VENDOR)
    count = rows.count() + vendors.values("object_id").distinct().count()
    if not count:
        return 0, None
    waiting = rows.annotate(
        changed_at=Subquery(changes.filter(of_link).order_by("at").values("at")[:1]),
        doubt_at=Subquery(doubts.filter(link=OuterRef("pk")).order_by("sent_at").values("sent_at")[:1]),
    ).aggregate(a=Min("changed_at"), b=Min("doubt_at"), c=Min("remote_dirty_at"), d=Min("deleted_at"))
    moments = [*waiting.values(), vendors.aggregate(at=Min("at"))["at"]]
    return count, min(moment for moment in moments if moment is not None)


# Signs of life


def queue_runs() -> None:
    """A task of ours runs in the queue; noted now and then only, for tasks are many."""
    settings_ = config()
    if settings_.configured:
        state.queue_ran(settings_.location_id, unless_within=STAMP_SECONDS * settings_.scale)


def queue_answers() -> None:
    """The queue has run the canary."""
    state.queue_ran(config().location_id)


def swept() -> None:
    """Everything due was looked for."""
    settings_ = config()
    if settings_.configured:
        state.swept(state.location_row(settings_.location_id))


def watchdog_lives() -> Location:
    """Note the watchdog's heartbeat; the account's row as it is now."""
    location = state.location_row(config().location_id)
    state.watched(location)
    return location


def canary_is_sent(location: Location) -> None:
    """From now on the queue owes an answer."""
    state.sent_canary(location)


# The queue


def queue_silent_for(location: Location, now: dt.datetime) -> float:
    """Seconds for which the queue owes an answer to the canary; 0 while it answers."""
    sent, ran = location.canary_sent_at, location.queue_ran_at
    if sent is None or (ran is not None and ran >= sent):
        return 0.0
    return (now - sent).total_seconds()


def _queue(location: Location, now: dt.datetime, settings_: Config) -> dict[str, str]:
    if queue_silent_for(location, now) < QUEUE_SECONDS * settings_.scale:
        return {}
    since = location.queue_ran_at or location.canary_sent_at
    return {
        "": f"The queue runs no tasks{f' since {_moment(since)}' if since else ''}. Restart it (manage.py qcluster). "
        "Until then the watchdog sends and fetches: later than usual, but nothing is lost."
    }


def malformed_schedules() -> Iterator[tuple[str, str]]:
    """Rows of the queue's schedule table that stop all schedules, by name, each with what to do about it."""
    for row in Schedule.objects.exclude(repeats=0).order_by("pk"):
        fault = _fault_of(row)
        if fault:
            name = row.name or f"number {row.pk}"
            yield (
                name,
                f"The schedule “{name}” is malformed: {fault}. It stops every schedule of the queue. Correct or delete "
                "it in the admin under Queue, Scheduled tasks. Meanwhile the watchdog sends and fetches.",
            )


def _fault_of(row: Schedule) -> str:
    """What django-q2's scheduler would stumble over, in words; empty when it would not."""
    try:
        if row.args:
            ast.literal_eval(row.args)
    except Exception:  # noqa: BLE001 - any error there stops the scheduler
        return "its arguments cannot be read"
    try:
        options = ast.literal_eval(row.kwargs) if row.kwargs else {}
    except Exception:  # noqa: BLE001 - the scheduler then reads them in another form and goes on
        options = {}
    if not isinstance(options, dict) or not isinstance(options.get("q_options", {}), dict):
        return "its keyword arguments are no keyword arguments"
    if row.schedule_type == Schedule.ONCE:
        return ""
    try:
        row.calculate_next_run()
    except Exception:  # noqa: BLE001 - any error there stops the scheduler
        return "its next run cannot be computed"
    return ""


# What others found


def _guards() -> Iterator[tuple[str, str]]:
    for asked in Approval.objects.filter(answer=Approval.Answer.ASKED):
        effect = asked.get_effect_display()
        yield (
            f"{asked.effect} {asked.kind} {asked.field}".strip(),
            f"{asked.count} of {asked.of} records: {effect[0].lower()}{effect[1:]}. So many at once wait for a "
            "person's yes or no in the admin; everything else goes on.",
        )


def _binding(location: Location) -> dict[str, str]:
    words = binding.words(location)
    return {"": words} if words else {}


def _budget(location: Location, now: dt.datetime) -> dict[str, str]:
    left, resets = location.daily_remaining, location.daily_reset_at
    if left is None or left > 0 or resets is None or resets <= now:
        return {}
    return {
        "": f"Today's calls to GoHighLevel are used up; {location.calls_today} of {location.daily_limit or 'them'} "
        "were ours. What waits goes by itself when GoHighLevel's day begins anew. Find out what else makes calls."
    }


# Mail


def post() -> None:
    """Mail what is open and was not mailed, and the end of what was. After a failure the next look tries again."""
    if not settings.ADMINS:
        return
    news = Alarm.objects.filter(closed_at__isnull=True, mailed_at__isnull=True)
    over = Alarm.objects.filter(closed_at__isnull=False, mailed_at__isnull=False, over_mailed_at__isnull=True)
    letters = [(alarm, "mailed_at") for alarm in news.order_by("pk")]
    letters += [(alarm, "over_mailed_at") for alarm in over.order_by("pk")]
    for alarm, column in letters[: max(0, MAILS_AN_HOUR - _mailed_lately())] if letters else ():
        if not state.take_mail(alarm, column):
            continue
        try:
            mail_admins(*(_opened(alarm) if column == "mailed_at" else _ended(alarm)))
        except Exception as error:  # noqa: BLE001 - a mail server may fail in any way
            state.give_mail_back(alarm, column)
            logger.warning("an alarm could not be mailed (%s); the next look tries again", type(error).__name__)
            return


def _mailed_lately() -> int:
    since = database_now() - dt.timedelta(hours=1)
    return sum(Alarm.objects.filter(**{f"{column}__gt": since}).count() for column in ("mailed_at", "over_mailed_at"))


def _opened(alarm: Alarm) -> tuple[str, str]:
    return (
        alarm.get_code_display(),
        f"{alarm.message}\n\nSince {_moment(alarm.opened_at)}. You are told when it is over.\n",
    )


def _ended(alarm: Alarm) -> tuple[str, str]:
    minutes = round((alarm.closed_at - alarm.opened_at).total_seconds() / 60) if alarm.closed_at else 0
    lasted = f"{minutes} minutes" if minutes != 1 else "1 minute"
    return f"Over: {alarm.get_code_display()}", f"It is over. It lasted {lasted}. It was:\n\n{alarm.message}\n"


def _moment(moment: dt.datetime) -> str:
    return formats.date_format(timezone.localtime(moment), "j M Y, H:i")
