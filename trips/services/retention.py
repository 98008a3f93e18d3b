"""Retention: what is taken away so many days after a trip, kind by kind, as the settings say; nothing unless they do.

Rows go by ordinary deletes, so GoHighLevel hears of it where the direction of the field lets it. Who travels again with
the same contact and under the same name keeps theirs until that trip is over as well. Papers of a trip under a licence
stay for ten years, whatever the settings say.
"""

from __future__ import annotations

import datetime as dt
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone
from django_q.tasks import async_task

from trips.dates import add_months
from trips.enums import LIVE_FORMS, Attendance, DocumentKind, FormStep
from trips.expressions import last_day
from trips.models import (
    Document,
    Erasure,
    HealthRecord,
    Passenger,
    Passport,
    ReadEntry,
    Reminder,
    SentReport,
    TravellerForm,
)
from trips.papers.licences import names_one
from trips.services import traces
from trips.services.licences import YEARS

# Rows handled between two looks at the clock, and how long one task of the queue goes on.
PORTION = 100
SLICE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of data: the setting with its days, which rows are due on a day, and how one of them goes."""

    label: str
    setting: str
    rows: Callable[[dt.date], QuerySet[Any]]
    take: Callable[[Any], None]

    @property
    def days(self) -> int | None:
        return getattr(settings, self.setting)

    def due(self, today: dt.date) -> QuerySet[Any] | None:
        """None where nothing is ever due."""
        return None if self.days is None else self.rows(today - dt.timedelta(days=self.days))


@dataclass(frozen=True, slots=True)
class Due:
    """So many rows of a kind are due; `days` None: they are kept."""

    label: str
    setting: str
    days: int | None
    count: int


def look(today: dt.date | None = None) -> list[Due]:
    """What a run would take away; changes nothing."""
    today = today or timezone.localdate()
    found = []
    for kind in KINDS:
        rows = kind.due(today)
        found.append(Due(kind.label, kind.setting, kind.days, 0 if rows is None else rows.count()))
    return found


def run(*, seconds: float | None = None, today: dt.date | None = None) -> tuple[dict[str, int], bool]:
    """Take away what is due; how many of each kind, and whether something is left because `seconds` were over.

    Each row is a transaction of its own: a run that breaks off has done whole rows and says nothing of the rest.
    """
    today = today or timezone.localdate()
    ends = None if seconds is None else time.monotonic() + seconds
    counts: Counter[str] = Counter()
    left = False
    for kind in KINDS:
        for row in _each(kind, today):
            if ends is not None and time.monotonic() >= ends:
                left = True
                break
            with transaction.atomic():
                kind.take(row)
            counts[kind.label] += 1
    if counts:
        Erasure.objects.create(kind=Erasure.Kind.RETENTION, counts=dict(counts))
    return dict(counts), left


def nightly() -> None:
    """The scheduled run, a slice at a time."""
    _counts, left = run(seconds=SLICE_SECONDS)
    if left:
        async_task("trips.services.retention.nightly")


def _each(kind: Kind, today: dt.date) -> Iterator[Any]:
    rows = kind.due(today)
    last = 0
    while rows is not None and (some := list(rows.filter(pk__gt=last).order_by("pk")[:PORTION])):
        last = some[-1].pk  # a row that was deleted has none
        yield from some


# Who is due


def _over(before: dt.date) -> QuerySet[Passenger]:
    """Passengers whose trip ended before that day and who are on no later one."""
    later = (
        Passenger.objects.filter(contact=OuterRef("contact"), name_key=OuterRef("name_key"), trip__isnull=False)
        .exclude(attendance=Attendance.CANCELLED)
        .annotate(last=last_day("trip__"))
        .filter(Q(last__isnull=True) | Q(last__gte=before))
    )
    ended = Passenger.objects.annotate(last=last_day("trip__")).filter(last__lt=before)
    return ended.filter(~Exists(later)).order_by()


def _of(model: type[Any]) -> Callable[[dt.date], QuerySet[Any]]:
    return lambda before: model._base_manager.filter(passenger__in=_over(before).values("pk"))


def _scans(before: dt.date) -> QuerySet[Any]:
    return _of(Document)(before).filter(kind=DocumentKind.PASSPORT_SCAN)


def _papers(before: dt.date) -> QuerySet[Any]:
    """All papers but passport scans; those of who travelled under a licence once its records need not be kept."""
    free = min(before, add_months(timezone.localdate(), -12 * YEARS))
    names = Passenger.objects.exclude(licence="").order_by().values_list("licence", flat=True).distinct()
    none = [name for name in names if not names_one(name)]
    unlicensed = Q(passenger__licence="") | Q(passenger__licence__in=none)
    may_go = unlicensed | Q(passenger__in=_over(free).values("pk"))
    return _of(Document)(before).exclude(kind=DocumentKind.PASSPORT_SCAN).filter(may_go)


def _forms(before: dt.date) -> QuerySet[Any]:
    return _of(TravellerForm)(before).exclude(state__in=LIVE_FORMS)


def _answered(before: dt.date, step: FormStep) -> QuerySet[Any]:
    """Forms that asked for it and still hold something; which of them holds that step only the opened text says."""
    asked = _of(TravellerForm)(before).exclude(answers="", base="")
    return asked.filter(pk__in=[form.pk for form in asked if step in form.answered or step in form.held_before])


def _lists(before: dt.date) -> QuerySet[Any]:
    """Copies of lists of trips that are over; of lists across trips, the last departure counts."""
    copies = SentReport.objects.annotate(last=last_day("trip__"))
    return copies.filter(Q(last__lt=before) | Q(trip__isnull=True, created_at__date__lt=before))


def _read(before: dt.date) -> QuerySet[Any]:
    return ReadEntry.objects.filter(at__date__lt=before)


# How it goes


def _delete(row: Any) -> None:
    """The ordinary delete, and what histories and bulk work still say of it."""
    pk = row.pk
    row._change_reason = "Retention"
    row.delete()
    traces.wipe({type(row): {pk}})


def _forget_step(step: FormStep) -> Callable[[Any], None]:
    def take(form: TravellerForm) -> None:
        for column in ("answers", "base"):
            held = json.loads(getattr(form, column) or "{}")
            held.pop(step, None)
            setattr(form, column, json.dumps(held) if held else "")
        form.save(update_fields=["answers", "base"])

    return take


def _forget_entry(entry: ReadEntry) -> None:
    ReadEntry.objects.filter(pk=entry.pk).purge()


KINDS = (
    Kind("health records", "RETENTION_HEALTH_DAYS", _of(HealthRecord), _delete),
    Kind(
        "answers on health in travellers’ forms",
        "RETENTION_HEALTH_DAYS",
        lambda before: _answered(before, FormStep.HEALTH),
        _forget_step(FormStep.HEALTH),
    ),
    Kind("passports", "RETENTION_SCAN_DAYS", _of(Passport), _delete),
    Kind("passport scans", "RETENTION_SCAN_DAYS", _scans, _delete),
    Kind(
        "answers on passports in travellers’ forms",
        "RETENTION_SCAN_DAYS",
        lambda before: _answered(before, FormStep.PASSPORT),
        _forget_step(FormStep.PASSPORT),
    ),
    Kind("other papers of travellers", "RETENTION_PAPER_DAYS", _papers, _delete),
    Kind("travellers’ forms", "RETENTION_FORM_DAYS", _forms, _delete),
    Kind("mails to travellers", "RETENTION_MAIL_DAYS", _of(Reminder), _delete),
    Kind("lists as they were sent", "RETENTION_LIST_DAYS", _lists, _delete),
    Kind("entries of the read log", "RETENTION_READ_LOG_DAYS", _read, _forget_entry),
)
SETTINGS = tuple(dict.fromkeys(kind.setting for kind in KINDS))
