"""Alarms: opened once, mailed once, closed when what they tell of is over."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from ghl_sync.engine.clock import Now, database_now
from ghl_sync.models import Alarm, Location

DETAIL_LENGTH = 64


def alarms_are(code: str, found: Mapping[str, str]) -> None:
    """What is wrong of this code at this moment, by detail: opens what is new and closes what is over."""
    found = {detail[:DETAIL_LENGTH]: message for detail, message in found.items()}
    opened = dict(Alarm.objects.filter(code=code, closed_at__isnull=True).values_list("detail", "message"))
    for detail, message in found.items():
        if detail not in opened:
            Alarm.objects.get_or_create(code=code, detail=detail, closed_at=None, defaults={"message": message})
        elif opened[detail] != message:
            Alarm.objects.filter(code=code, detail=detail, closed_at__isnull=True).update(message=message)
    over = Alarm.objects.filter(code=code, closed_at__isnull=True).exclude(detail__in=found)
    if set(opened) - set(found):
        over.update(closed_at=Now())


def take_mail(alarm: Alarm, column: str) -> bool:
    """Whether it is this caller's turn to mail an alarm (`mailed_at`) or its end (`over_mailed_at`)."""
    rows = Alarm.objects.filter(pk=alarm.pk, **{f"{column}__isnull": True})
    return bool(rows.update(**{column: Now()}))


def give_mail_back(alarm: Alarm, column: str) -> None:
    """The mail could not be sent: the next look tries again."""
    Alarm.objects.filter(pk=alarm.pk).update(**{column: None})


def forget_alarms(days: int) -> None:
    """Those that have been over for so long."""
    Alarm.objects.filter(closed_at__lt=database_now() - dt.timedelta(days=days)).delete()


def sent_canary(location: Location) -> None:
    """A task that shows whether the queue runs tasks is on its way."""
    Location.objects.filter(pk=location.pk).update(canary_sent_at=Now())


def watched(location: Location) -> None:
    """The watchdog is alive."""
    Location.objects.filter(pk=location.pk).update(watchdog_at=Now())
