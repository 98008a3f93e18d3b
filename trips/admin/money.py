"""Money on the pages of passengers and trips: balances, the ledger, what a trip brings in and what it leaves.

Mixins that go before `StaffAdmin`, so that whoever subclasses those pages keeps them. Everything here is for people
who may view payments, the costs and margins for those who may view costs.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import wraps
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.db.models import QuerySet
from django.forms import BaseInlineFormSet
from django.http import HttpRequest, HttpResponseRedirect
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import formats, timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import RadioFilter
from unfold.decorators import action, display

from trips.admin.base import StaffInline, badge
from trips.enums import SEATED, PaymentKind
from trips.forms import CostForm
from trips.models import Cost, Passenger, Trip
from trips.money import money
from trips.services.margins import Margin, margins_of
from trips.services.payments import fill_due_dates

MONEY_TAB = "Money"
NOTHING = SafeString("")
_DUE = {"deposit_due": "deposit", "final_payment_due": "final payment"}


def may_view_payments(request: HttpRequest) -> bool:
    return request.user.has_perm("trips.view_payment")


def _with_fields(fieldsets: Any, names: tuple[str, ...]) -> list[Any]:
    """The fieldsets with `names` at the end of the tab of money, which is made where there is none."""
    found = [(title, dict(options)) for title, options in fieldsets]
    for title, options in found:
        if title == MONEY_TAB:
            options["fields"] = (*options["fields"], *names)
            return found
    return [*found, (MONEY_TAB, {"classes": ("tab",), "fields": names})]


def _once(show: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """The page's template asks for a fact several times over; only the first time it is read from the database."""
    name = f"_shown_{show.__name__}"

    @wraps(show)
    def shown(page: Any, obj: Any) -> Any:
        if not hasattr(obj, name):
            setattr(obj, name, show(page, obj))
        return getattr(obj, name)

    return shown


# Passengers


def short_day(value: dt.date) -> str:
    """ "3 Mar", with the year where it is another one."""
    return formats.date_format(value, "j M" if value.year == timezone.localdate().year else "j M Y")


def balance_badge(passenger: Any) -> SafeString:
    """ "paid", "owes 450.00", "overdue since 3 Mar" or "give back 300.00"; nothing where nothing is known."""
    balance, currency = passenger.balance, passenger.trip.currency if passenger.trip else ""
    if passenger.overdue_since:
        owed = f"owes {money(balance)}, overdue" if balance else "deposit overdue"
        title = f"Paid {money(passenger.paid, currency)}; it was due on {formats.date_format(passenger.overdue_since)}"
        return badge(f"{owed} since {short_day(passenger.overdue_since)}", "bad", title)
    if balance is None:
        return badge(f"paid {money(passenger.paid)}", "plain", "The trip has no price") if passenger.paid else NOTHING
    paid = f"Paid {money(passenger.paid, currency)}"
    if balance > 0:
        return badge(f"owes {money(balance)}", "plain", f"{paid} of {money(passenger.price, currency)}")
    if balance < 0:
        return badge(f"give back {money(-balance)}", "doubt", paid)
    return badge("paid", "good", paid) if passenger.attendance in SEATED else NOTHING


def passenger_choice(passenger: Any) -> str:
    """A passenger as one of several to choose from: who, on which trip, and what they owe where that was asked for."""
    parts = [str(passenger)]
    trip = passenger.trip
    if trip is not None:
        departs = trip.departs_on
        parts.append(f"{trip} ({formats.date_format(departs, 'j M Y')})" if departs else str(trip))
    else:
        parts.append("no trip")
    if passenger.attendance not in SEATED:
        parts.append(passenger.get_attendance_display().lower())
    balance = getattr(passenger, "balance", None)
    if balance is not None and trip is not None:
        said = "paid" if balance == 0 else f"owes {money(balance, trip.currency)}"
        parts.append(said if balance >= 0 else f"to give back {money(-balance, trip.currency)}")
    return " · ".join(parts)


class MoneyFilter(RadioFilter):
    title = "money"
    parameter_name = "money"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("overdue", "Overdue"), ("owes", "Owes"), ("back", "To give back")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if self.value() == "overdue":
            return queryset.overdue(timezone.localdate())
        if self.value() == "owes":
            return queryset.owing()
        return queryset.to_give_back() if self.value() == "back" else queryset

    def choices(self, changelist: Any) -> Iterator[Any]:
        # Without counts: they would add up the payments of every passenger for each view of the list.
        yield from super().choices(SimpleNamespace(add_facets=False))


class PassengerMoney:
    """Mixin: the balance in the list, as a filter and in choices; the ledger on the page."""

    actions_detail: Any = ("add_payment",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Passenger]:
        rows = super().get_queryset(request)  # type: ignore[misc]
        return rows.with_overdue(timezone.localdate()) if may_view_payments(request) else rows

    def get_list_display(self, request: HttpRequest) -> Any:
        columns = [*super().get_list_display(request)]  # type: ignore[misc]
        if may_view_payments(request):
            columns.insert(columns.index("attendance") + 1 if "attendance" in columns else len(columns), "balance")
        return columns

    def get_list_filter(self, request: HttpRequest) -> Any:
        filters = super().get_list_filter(request)  # type: ignore[misc]
        return (*filters, MoneyFilter) if may_view_payments(request) else filters

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return (*super().get_readonly_fields(request, obj), "ledger")  # type: ignore[misc]

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        fieldsets = super().get_fieldsets(request, obj)  # type: ignore[misc]
        shown = isinstance(obj, Passenger) and may_view_payments(request)
        return _with_fields(fieldsets, ("ledger",)) if shown else fieldsets

    def choice_text(self, passenger: Passenger) -> str:
        return passenger_choice(passenger)

    @display(description="balance")
    def balance(self, passenger: Any) -> SafeString:
        return balance_badge(passenger)

    @display(description="payments")
    @_once
    def ledger(self, passenger: Any) -> str:
        currency = passenger.trip.currency if passenger.trip else ""
        page = f"{self.admin_site.name}:trips_payment_change"  # type: ignore[attr-defined]
        rows, total = [], Decimal(0)
        for payment in passenger.payments.order_by("paid_on", "pk"):
            signed = -payment.amount if payment.kind == PaymentKind.REFUND else payment.amount
            counts = payment.currency == currency
            total += signed if counts else 0
            rows.append(
                {
                    "payment": payment,
                    "url": reverse(page, args=[payment.pk]),
                    "amount": money(signed, payment.currency),
                    "balance": money(_left(passenger, total)) if counts else "",
                    "counts": counts,
                }
            )
        context = {"rows": rows, "passenger": passenger, "currency": currency, "badge": balance_badge(passenger)}
        context["starts"] = money(_left(passenger, Decimal(0)), currency)
        return render_to_string("trips/admin/ledger.html", context)

    @action(description="Add a payment", permissions=["add_payment"])
    def add_payment(self, request: HttpRequest, object_id: int) -> HttpResponseRedirect:
        url = reverse(f"{self.admin_site.name}:trips_payment_add")  # type: ignore[attr-defined]
        return HttpResponseRedirect(f"{url}?{urlencode({'passenger': object_id})}")

    def has_add_payment_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return request.user.has_perm("trips.add_payment")


def _left(passenger: Any, paid: Decimal) -> Decimal | None:
    """What would be owed after `paid`."""
    if passenger.balance is None:
        return None
    return (passenger.price if passenger.attendance in SEATED else Decimal(0)) - paid


# Trips


class CostFormSet(BaseInlineFormSet):
    def get_form_kwargs(self, index: int | None) -> dict[str, Any]:
        """A new cost is in the currency of its trip."""
        kwargs = super().get_form_kwargs(index)
        is_new = index is None or index >= self.initial_form_count()
        return {**kwargs, "initial": {"currency": self.instance.currency}} if is_new else kwargs


class CostInline(StaffInline):
    model = Cost
    form = CostForm
    formset = CostFormSet
    autocomplete_fields = ("vendor",)
    fields = (("what", "vendor"), ("amount", "currency"), ("basis", "note"))


class TripMoney:
    """Mixin: costs of suppliers, and what the trip brings in, as facts in the tab of money."""

    def get_inlines(self, request: HttpRequest, obj: Any) -> Any:
        return (*super().get_inlines(request, obj), CostInline)  # type: ignore[misc]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return (*super().get_readonly_fields(request, obj), "money_facts", "margin_facts")  # type: ignore[misc]

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        fieldsets = super().get_fieldsets(request, obj)  # type: ignore[misc]
        if not isinstance(obj, Trip):
            return fieldsets
        asked = (
            ("money_facts", may_view_payments(request)),
            ("margin_facts", request.user.has_perm("trips.view_cost")),
        )
        names = tuple(name for name, allowed in asked if allowed)
        return _with_fields(fieldsets, names) if names else fieldsets

    def create_model(self, request: HttpRequest, obj: Any, form: Any) -> None:
        filled = fill_due_dates(trip=obj)
        super().create_model(request, obj, form)  # type: ignore[misc]
        if filled:
            text = ", ".join(f"{_DUE[name]} {formats.date_format(getattr(obj, name), 'j M Y')}" for name in filled)
            said = f"Due dates counted back from the start: {text}. Change them in the tab of money."
            self.message_user(request, said, messages.INFO)  # type: ignore[attr-defined]

    @display(description="payments")
    @_once
    def money_facts(self, trip: Trip) -> SafeString | str:
        found: Any = Trip.objects.with_money().get(pk=trip.pk)
        url = reverse(f"{self.admin_site.name}:trips_passenger_changelist")  # type: ignore[attr-defined]
        paid = money(found.paid, found.currency)
        if found.expected is None:
            return f"{paid} paid; without a price nothing is expected"
        return format_html(
            '{} expected, {} paid, <a class="text-link" href="{}?{}">{} outstanding</a>',
            money(found.expected, found.currency),
            paid,
            url,
            urlencode({"trip__id__exact": trip.pk, "money": "owes"}),
            money(found.outstanding, found.currency),
        )

    @display(description="margin")
    @_once
    def margin_facts(self, trip: Trip) -> str:
        found = margins_of(trip)
        if found.booked.unknown and found.booked.unknown == found.full.unknown:
            return f"n/a: {found.booked.unknown}"
        booked = _margin_said(found.booked, trip.currency, "booked")
        return f"{booked}; {_margin_said(found.full, trip.currency, 'at capacity')}"


def _margin_said(margin: Margin, currency: str, when: str) -> str:
    if margin.unknown:
        return f"{when}: n/a, {margin.unknown}"
    share = f" ({margin.percent} %)" if margin.percent is not None else ""
    return f"{margin.heads} {when}: {money(margin.profit, currency)}{share}"
