"""What a traveller still lacks before departure: one row each for lists, the trip's checklist and the home page.

A gap is asked of those who are booked; whoever waits or has cancelled lacks nothing. Each has the permission of the
data it speaks of, so that nobody learns of a passport or a health record from a filter.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db.models import Case, Count, Exists, F, IntegerField, OuterRef, Q, Subquery, When
from django.db.models.functions import Coalesce

from trips.enums import HANDED_IN, REQUIRED_DOCUMENTS, SEATED, TO_BE_SIGNED
from trips.expressions import AddMonths, departs_on, passport_needed_until

ADULT_MONTHS = 18 * 12
# The words of a health record; its one other answer is "nothing to declare".
HEALTH_TEXTS = (
    "general_health",
    "medical_notes",
    "medications",
    "physician_name",
    "physician_phone",
    "diet",
    "allergies",
)


@dataclass(frozen=True, slots=True)
class Gap:
    """`short` stands on a badge, `done` on a checklist, `lacking` in a filter.

    `narrow` takes passengers and the office's day of today and leaves those who lack it."""

    code: str
    short: str
    done: str
    lacking: str
    permission: str
    narrow: Callable[[Any, dt.date], Any]


def _profile(passengers: Any, today: dt.date) -> Any:
    blank = Q(legal_first_name="") | Q(legal_last_name="") | Q(date_of_birth__isnull=True) | Q(sex="")
    return passengers.filter(blank)


def _guardian(passengers: Any, today: dt.date) -> Any:
    """Passenger.is_minor in SQL: the date of birth wins over the flag, and today stands in for no departure."""
    leaves = Coalesce(departs_on("trip__"), today)
    rows = passengers.filter(guardian__isnull=True).annotate(
        _adult_on=AddMonths(F("date_of_birth"), ADULT_MONTHS), _leaves=leaves
    )
    return rows.filter(Q(_adult_on__gt=F("_leaves")) | Q(date_of_birth__isnull=True, is_child=True))


def _passport(passengers: Any, today: dt.date) -> Any:
    until = passport_needed_until(settings.PASSPORT_VALIDITY_MONTHS, "trip__")
    rows = passengers.annotate(_passport_until=until)
    bad = Q(passport__expires_on__isnull=True) | Q(passport__expires_on__lt=today)
    return rows.filter(bad | Q(passport__expires_on__lt=F("_passport_until")))


def _documents(passengers: Any, today: dt.date) -> Any:
    return with_documents(passengers).filter(documents_held__lt=len(REQUIRED_DOCUMENTS))


def with_documents(passengers: Any) -> Any:
    """Adds `documents_held`: how many of the required kinds are handed in or waived."""
    papers = passengers.model._meta.get_field("documents").related_model._base_manager
    held = (
        papers.filter(passenger=OuterRef("pk"), kind__in=REQUIRED_DOCUMENTS, state__in=HANDED_IN)
        .exclude(kind__in=TO_BE_SIGNED, paper_version__isnull=False)
        .order_by()
        .values("passenger")
        .annotate(kinds=Count("kind", distinct=True))
        .values("kinds")
    )
    return passengers.annotate(documents_held=Coalesce(Subquery(held, output_field=IntegerField()), 0))


def _emergency(passengers: Any, today: dt.date) -> Any:
    people = passengers.model._meta.get_field("emergency_contacts").related_model._base_manager
    callable_ones = people.filter(passenger=OuterRef("pk")).exclude(phone="", mobile="")
    return passengers.filter(~Exists(callable_ones))


def _health(passengers: Any, today: dt.date) -> Any:
    """Neither "nothing to declare" nor a word: not answered, which is not the same as healthy."""
    records = passengers.model._meta.get_field("health").related_model._base_manager
    said = Q(nothing_to_declare=True)
    for text in HEALTH_TEXTS:
        said |= ~Q(**{text: ""})
    return passengers.filter(~Exists(records.filter(said, passenger=OuterRef("pk"))))


GAPS = (
    Gap(
        "profile",
        "Profile",
        "Names, date of birth and sex",
        "Name, date of birth or sex missing",
        "trips.view_passenger",
        _profile,
    ),
    Gap("guardian", "Guardian", "Guardians of minors", "Minor without a guardian", "trips.view_passenger", _guardian),
    Gap(
        "passport",
        "Passport",
        "Passports valid",
        "Passport missing, expired or too short",
        "trips.view_passport",
        _passport,
    ),
    Gap("documents", "Documents", "Documents handed in", "Documents missing", "trips.view_document", _documents),
    Gap(
        "emergency",
        "Emergency contact",
        "Emergency contacts",
        "No emergency contact to call",
        "trips.view_emergencycontact",
        _emergency,
    ),
    Gap("health", "Health", "Health answered", "Health not answered", "trips.view_healthrecord", _health),
)
BY_CODE = {gap.code: gap for gap in GAPS}


def lacking(passengers: Any, code: str, today: dt.date) -> Any:
    """Of `passengers` those who are booked and have the gap `code`."""
    return BY_CODE[code].narrow(passengers.filter(attendance__in=SEATED), today)


def with_gaps(passengers: Any, today: dt.date, among: Q | None = None) -> Any:
    """Adds a column `gap_<code>` for each gap: 1 where it is open, else 0. Ask it of those who are booked.

    `among` repeats what narrows `passengers`. Of some hundreds PostgreSQL answers each question for the whole table
    first and then looks them up; told again inside, it reads only those.
    """
    base = passengers.model._base_manager.filter(among or Q())
    for gap in GAPS:
        open_here = Exists(gap.narrow(base.filter(pk=OuterRef("pk")), today))
        column = Case(When(open_here, then=1), default=0, output_field=IntegerField())
        passengers = passengers.annotate(**{f"gap_{gap.code}": column})
    return passengers
