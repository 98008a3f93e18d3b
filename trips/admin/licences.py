"""Licences: the list with their days, and how a traveller's licence stands on their page and their trip's."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import BooleanRadioFilter
from unfold.decorators import action, display

from trips.admin.base import StaffAdmin, badge, day, said
from trips.admin.bulk import with_undo
from trips.forms import LicenceForm
from trips.models import Licence, Passenger, Trip
from trips.papers.licences import Register, Standing, doubtful, used_on
from trips.permissions import may_see, sees_every_trip
from trips.services import licences
from trips.text import fold_search


@admin.register(Licence)
class LicenceAdmin(StaffAdmin):
    form = LicenceForm
    actions_list = ("add_names",)
    empty_title = "No licences here"
    empty_hint = "Add those that the drop-down and the passengers name, then give them their days."
    list_display = ("name", "citation", "from_shown", "until_shown", "needs", "today")
    list_filter = (("needs_escort", BooleanRadioFilter), ("needs_schedule", BooleanRadioFilter))
    search_fields = ("name_key__contains", "citation")
    fields = (
        "name",
        "citation",
        ("valid_from", "valid_until"),
        ("needs_escort", "needs_schedule"),
        "conditions",
    )

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        return super().get_search_results(request, queryset, fold_search(search_term))

    @display(description="valid from", ordering="valid_from")
    def from_shown(self, licence: Licence) -> str | None:
        return day(licence.valid_from) or None

    @display(description="valid until", ordering="valid_until")
    def until_shown(self, licence: Licence) -> str | None:
        return day(licence.valid_until) or None

    @display(description="needs")
    def needs(self, licence: Licence) -> str | None:
        needed = (("escort", licence.needs_escort), ("full-time schedule", licence.needs_schedule))
        return ", ".join(what for what, asked in needed if asked) or None

    @display(description="today")
    def today(self, licence: Licence) -> SafeString:
        now = timezone.localdate()
        if licence.holds_on(now):
            return badge("valid", "good")
        over = licence.valid_until is not None and licence.valid_until < now
        return badge("expired", "bad") if over else badge("not yet", "doubt")

    # The names in use

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.names_view)
        return [path("names/", view, name="trips_licence_names"), *super().get_urls()]

    @action(description="Add the names in use", permissions=["add_names"], url_path="to-names")
    def add_names(self, request: HttpRequest) -> HttpResponseRedirect:
        return HttpResponseRedirect(reverse("admin:trips_licence_names"))

    def has_add_names_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """They are told from the passengers, so who may not see those is not told them."""
        told = may_see(request.user, "trips.passenger") and sees_every_trip(request.user)
        return self.has_add_permission(request) and told

    def names_view(self, request: HttpRequest) -> HttpResponse:
        """GET lists the names that have no licence here, POST adds them."""
        if not self.has_add_names_permission(request):
            raise PermissionDenied
        if request.method == "POST":
            batch = licences.add_names(by=request.user)
            count = batch.made if batch else 0
            told = f"{said(count, 'licence', 'licences')} added, without days: open each and say from when to when."
            self.message_user(request, with_undo(told, batch), messages.SUCCESS if count else messages.WARNING)
            return HttpResponseRedirect(reverse("admin:trips_licence_changelist"))
        context = {
            **self.admin_site.each_context(request),
            "title": "Licences that are named and not in the list",
            "names": licences.names_without_licence(),
            "list_url": reverse("admin:trips_licence_changelist"),
        }
        return TemplateResponse(request, "trips/admin/licence_names.html", context)


def standing_badge(standing: Standing) -> SafeString:
    return badge(standing.label, standing.colour, standing.sentence)


@dataclass(frozen=True, slots=True)
class Line:
    """A licence as a page of papers tells it; `count` of the travellers of a trip, `sentence` where it warns."""

    name: str
    badge: SafeString
    sentence: str
    count: int | None


def licence_lines(user: Any, owner: Trip | Passenger) -> list[Line]:
    """The licences of a trip's booked travellers, or the one of a passenger; nothing for who may not see them."""
    if not (may_see(user, "trips.licence") and may_see(user, "trips.passenger")):
        return []
    if isinstance(owner, Trip):
        return [_line(one.name, one.standing, one.count) for one in used_on(owner)]
    return [_line(owner.licence, Register().standing_of(owner), None)] if owner.licence else []


def doubtful_lines(user: Any, passengers: Iterable[Passenger]) -> list[Line]:
    """The licences of chosen travellers that do not hold on their trips; nothing for who may not see them."""
    if not may_see(user, "trips.licence"):
        return []
    return [_line(one.name, one.standing, one.count) for one in doubtful(passengers)]


def _line(name: str, standing: Standing, count: int | None) -> Line:
    return Line(name or "–", standing_badge(standing), standing.sentence if standing.warns else "", count)


class LicenceShown:
    """Mixin for a passenger's page: how the licence stands, beside its name and as a warning after a save."""

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return (*super().get_readonly_fields(request, obj), "licence_standing")  # type: ignore[misc]

    def licence_line(self, request: HttpRequest, obj: Any) -> Any:
        """The licence's place on the form."""
        told = obj is not None and may_see(request.user, "trips.licence")
        return ("licence", "licence_standing") if told else "licence"

    @display(description="on this trip")
    def licence_standing(self, passenger: Any) -> SafeString:
        if not hasattr(passenger, "_licence_standing"):
            passenger._licence_standing = Register().standing_of(passenger)
        standing: Standing = passenger._licence_standing
        told = standing.sentence if standing.warns else ""
        return format_html("{} <span class='home-hint'>{}</span>", standing_badge(standing), told)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)  # type: ignore[misc]
        if not {"licence", "trip"} & {*form.changed_data} or not may_see(request.user, "trips.licence"):
            return
        standing = Register().standing_of(form.instance)
        if standing.warns:
            self.message_user(request, standing.sentence, messages.WARNING)  # type: ignore[attr-defined]
