"""What travellers owe and have paid, across trips or on one."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import Sum

from trips.enums import SEATED, Attendance
from trips.reports import office
from trips.reports.table import Column, Kind, Rows, Scope, Total, shown


def with_balances(scope: Scope) -> Rows:
    """Everybody on these trips, those who cancelled too: what they paid is to be given back."""
    return office.passengers(scope).with_overdue(scope.today)


def booked(_scope: Scope, rows: Rows) -> Rows:
    return rows.filter(attendance__in=SEATED)


def owing(_scope: Scope, rows: Rows) -> Rows:
    return rows.filter(attendance__in=SEATED, balance__gt=0)


def overdue(_scope: Scope, rows: Rows) -> Rows:
    return rows.filter(overdue_since__isnull=False)


def to_give_back(_scope: Scope, rows: Rows) -> Rows:
    return rows.filter(balance__lt=0)


BALANCES = (
    office.TRAVELLER,
    office.TRIP,
    office.DEPARTS,
    Column("attendance", "Attendance", lambda p: str(Attendance(p.attendance).label)),
    Column("currency", "Currency", lambda p: p.trip.currency),
    Column("price", "Price", lambda p: p.price, Kind.MONEY, required=True),
    Column("paid", "Paid", lambda p: p.paid, Kind.MONEY),
    Column("balance", "Balance", lambda p: p.balance, Kind.MONEY),
    Column("overdue_since", "Overdue since", lambda p: p.overdue_since, Kind.DATE),
)


def by_currency(rows: Rows) -> Iterable[Total]:
    """Paid and owed of all rows, also of those on other pages; currencies are never added up."""
    sums = rows.order_by().values("trip__currency").annotate(got=Sum("paid"), owed=Sum("balance"))
    for one in sums.order_by("trip__currency"):
        currency = one["trip__currency"]
        yield Total("Paid", shown(one["got"], Kind.MONEY), currency)
        yield Total("Balance", shown(one["owed"], Kind.MONEY) or "no price", currency)
