"""Payments: recorded in a few keystrokes, with what is due filled in, and added up for what the list shows."""

from __future__ import annotations

from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlencode, urlsplit

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, QuerySet, Sum
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.views.decorators.http import require_GET
from unfold.contrib.filters.admin import AutocompleteSelectFilter, ChoicesCheckboxFilter, RangeDateFilter
from unfold.decorators import display
from unfold.utils import parse_date_str

from trips.admin.base import StaffAdmin, day
from trips.admin.exporting import ExportPages
from trips.admin.importing import ImportPages
from trips.admin.money import may_view_payments, passenger_choice
from trips.enums import PaymentKind
from trips.forms import PaymentForm
from trips.models import Passenger, Payment, Trip
from trips.money import money
from trips.querysets import signed_amount
from trips.services import payments
from trips.text import is_id


class PaidOnFilter(RangeDateFilter):
    """A range of days; one that cannot be read is said to be left out."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any] | None:
        for name, text in list(self.used_parameters.items()):
            if parse_date_str(str(text)) is None:
                said = f"“{str(text)[:40]}” is not a date, so the filter leaves it out. Write it such as 2027-03-31."
                messages.warning(request, said)
                self.used_parameters.pop(name)
        return super().queryset(request, queryset)


@admin.register(Payment)
class PaymentAdmin(ImportPages, ExportPages, StaffAdmin):
    actions_list = ("import_rows", "export_rows")
    form = PaymentForm
    empty_title = "No payments here"
    list_display = ("passenger", "trip", "kind", "amount_shown", "day_paid", "method", "reference")
    list_filter = (
        ("paid_on", PaidOnFilter),
        ("passenger__trip", AutocompleteSelectFilter),
        ("kind", ChoicesCheckboxFilter),
        ("method", ChoicesCheckboxFilter),
    )
    list_before_template = "trips/admin/payment_totals.html"
    list_select_related = ("passenger__trip",)
    search_fields = (
        "reference",
        "passenger__legal_first_name",
        "passenger__legal_last_name",
        "passenger__trip__name",
    )
    search_help_text = "Passenger, trip or reference"
    autocomplete_fields = ("passenger",)
    fields = ("passenger", "kind", ("amount", "currency"), ("paid_on", "method"), "reference")
    # What the next payment most likely shares with the one before it.
    carried: ClassVar[tuple[str, ...]] = ("paid_on", "method")

    class Media:
        js = ("trips/payment.js",)

    # The form

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"paid_on": timezone.localdate(), **super().get_changeform_initial_data(request)}

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change, **kwargs)
        field = form.base_fields.get("passenger")
        if field is not None:
            field.label_from_instance = passenger_choice
            if obj is None and may_view_payments(request):
                url = reverse(f"{self.admin_site.name}:trips_payment_due")
                getattr(field.widget, "widget", field.widget).attrs["data-due-url"] = url
        return form

    def create_model(self, request: HttpRequest, obj: Any, form: Any) -> None:
        payments.record(payment=obj)

    def change_model(self, request: HttpRequest, obj: Any, form: Any) -> None:
        payments.record(payment=obj, columns=form.columns())

    def response_add(self, request: HttpRequest, obj: Payment, post_url_continue: Any = None) -> HttpResponse:
        answer = super().response_add(request, obj, post_url_continue)
        if "_addanother" in request.POST:
            url = urlsplit(answer["Location"])
            kept = {name: request.POST[name] for name in self.carried if name in request.POST}
            answer["Location"] = url._replace(query=urlencode({**dict(parse_qsl(url.query)), **kept})).geturl()
        return answer

    # What the page's script asks for

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(require_GET(self.due_view))
        return [path("due/", view, name="trips_payment_due"), *super().get_urls()]

    def due_view(self, request: HttpRequest) -> HttpResponse:
        """What `?passenger=7` is asked for next, for whoever may see both."""
        page: Any = self.admin_site.get_model_admin(Passenger)
        if not (may_view_payments(request) and page.has_view_permission(request)):
            raise PermissionDenied
        asked = request.GET.get("passenger", "")
        passenger = page.get_queryset(request).filter(pk=asked).first() if is_id(asked) else None
        if passenger is None:
            raise Http404("There is no such passenger.")
        due = payments.what_is_due(passenger)
        return JsonResponse(
            {
                "amounts": {
                    PaymentKind.PAYMENT: "" if due.amount is None else f"{due.amount:.2f}",
                    PaymentKind.REFUND: "" if due.back is None else f"{due.back:.2f}",
                },
                "currency": due.currency,
                "sentence": due.sentence,
            }
        )

    # The list

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        page = super().changelist_view(request, extra_context)
        found = getattr(page, "context_data", {}).get("cl")
        if found is not None:
            found.totals = totals_of(found.queryset)
        return page

    @display(description="trip", ordering="passenger__trip__name")
    def trip(self, payment: Payment) -> Trip | None:
        return payment.passenger.trip

    @display(description="paid on", ordering="paid_on")
    def day_paid(self, payment: Payment) -> str:
        return day(payment.paid_on)

    @display(description="amount", ordering=signed_amount())
    def amount_shown(self, payment: Payment) -> str:
        return money(-payment.amount if payment.kind == PaymentKind.REFUND else payment.amount, payment.currency)


def totals_of(rows: QuerySet[Any]) -> list[dict[str, Any]]:
    """Received, given back and what is left of it, for each currency among the payments."""
    by_kind = rows.order_by().values("currency", "kind").annotate(total=Sum("amount"), number=Count("pk"))
    found: dict[str, dict[str, Any]] = {}
    for entry in by_kind:
        found.setdefault(entry["currency"], {})[entry["kind"]] = (entry["total"], entry["number"])
    lines = []
    for currency, kinds in sorted(found.items()):
        received, count = kinds.get(PaymentKind.PAYMENT, (0, 0))
        refunded, refunds = kinds.get(PaymentKind.REFUND, (0, 0))
        lines.append(
            {
                "net": money(received - refunded, currency),
                "count": count + refunds,
                "received": money(received),
                "refunded": money(refunded) if refunds else "",
            }
        )
    return lines
