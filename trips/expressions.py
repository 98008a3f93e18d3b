"""Dates of a trip as the database computes them, equal to what `trips.models` and `trips.dates` say of one row."""

from __future__ import annotations

from typing import Any

from django.db.models import DateField, Exists, F, Func
from django.db.models.functions import Coalesce, Greatest


class AddMonths(Func):
    """A date plus a fixed number of calendar months; a day the month does not have becomes its last one."""

    output_field = DateField()

    def __init__(self, day: Any, months: int) -> None:
        super().__init__(day)
        self.months = int(months)

    def as_sql(self, compiler: Any, connection: Any, *_args: Any, **_extra: Any) -> tuple[str, Any]:
        sql, params = compiler.compile(self.source_expressions[0])
        return f"(({sql}) + interval '{self.months} months')::date", params

    def as_sqlite(self, compiler: Any, connection: Any, **_extra: Any) -> tuple[str, Any]:
        sql, params = compiler.compile(self.source_expressions[0])
        later = f"{sql}, '+{self.months} months'"
        # Before 3.46 SQLite turns 31 August plus six months into 3 March; the last day of February is meant.
        same_day = f"strftime('%%d', {later}) = strftime('%%d', {sql})"
        template = f"(CASE WHEN {same_day} THEN date({later}) ELSE date({later}, 'start of month', '-1 day') END)"
        return template, tuple(params) * 4


class ExistsForEach(Exists):
    """Asked row by row. Of an `Exists` within an OR PostgreSQL may first answer it for the whole inner table, which
    pays only where most of the outer rows are asked; with an OFFSET it does not."""

    template = "EXISTS(%(subquery)s OFFSET 0)"


def departs_on(prefix: str = "") -> Coalesce:
    """`Trip.departs_on`; `prefix` is the way to the trip, such as "trip__"."""
    return Coalesce(f"{prefix}arrival_date", f"{prefix}start_date")


def ends_on(prefix: str = "") -> Coalesce:
    """`Trip.ends_on`: the later of return and end, or the one that is there."""
    # SQLite's Greatest is NULL when either is.
    both = Greatest(F(f"{prefix}return_date"), F(f"{prefix}end_date"))
    return Coalesce(both, F(f"{prefix}return_date"), F(f"{prefix}end_date"))


def last_day(prefix: str = "") -> Coalesce:
    """The day after which a trip is over; NULL without any date. Indexed, so that few of many trips are found by it."""
    return Coalesce(ends_on(prefix), departs_on(prefix))


def passport_needed_until(months: int, prefix: str = "") -> AddMonths:
    """The first day on which a passport may expire: the trip's end plus `months`; NULL without an end."""
    return AddMonths(ends_on(prefix), months)
