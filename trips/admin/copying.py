"""Copying a trip: last year's terms with a new name and start."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from unfold.decorators import action
from unfold.widgets import UnfoldAdminDateWidget, UnfoldAdminTextInputWidget

from trips import rules
from trips.admin.base import said
from trips.dates import add_months
from trips.days import DayField
from trips.models import Trip
from trips.permissions import may_see
from trips.services import lifecycle, programme


class CopyForm(forms.Form):
    """The two things that differ; a copy that breaks a staff rule is refused in the rule's words."""

    name = forms.CharField(max_length=255, widget=UnfoldAdminTextInputWidget)
    start_date = DayField(
        required=False,
        widget=UnfoldAdminDateWidget,
        help_text="All other dates keep their distance from it.",
    )

    def __init__(self, *args: Any, trip: Trip, **kwargs: Any) -> None:
        self.trip = trip
        super().__init__(*args, **kwargs)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if self.errors:
            return cleaned
        try:
            self.draft = lifecycle.draft_copy(trip=self.trip, name=cleaned["name"], start_date=cleaned["start_date"])
        except OverflowError:
            self.add_error("start_date", "With this start another date of the trip is beyond the year 9999.")
            return cleaned
        if self._itinerary_too_far():
            self.add_error("start_date", "With this start a day of the itinerary is beyond the year 9999.")
        self.draft.derive()
        for violation in rules.violations(self.draft):
            if violation.blocking:
                self.add_error(violation.field if violation.field in self.fields else None, violation.sentence)
        return cleaned

    def _itinerary_too_far(self) -> bool:
        last = self.trip.itinerary.order_by("day").last()
        if last is None or self.draft.start_date is None or self.trip.start_date is None:
            return False
        return (dt.date.max - last.day) < (self.draft.start_date - self.trip.start_date)


class Copying:
    """Mixin for the trip's page: the button "Copy" and the page behind it."""

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view  # type: ignore[attr-defined]
        return [
            path("<int:object_id>/copy/", wrap(self.copy_view), name="trips_trip_copy"),
            *super().get_urls(),  # type: ignore[misc]
        ]

    @action(description="Copy", permissions=["copy_trip"], url_path="copy-it")
    def copy_trip(self, request: HttpRequest, object_id: int) -> HttpResponseRedirect:
        return HttpResponseRedirect(reverse("admin:trips_trip_copy", args=[object_id]))

    def has_copy_trip_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return self.has_add_permission(request)  # type: ignore[attr-defined]

    def copy_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        if not (self.has_add_permission(request) and self.has_view_permission(request)):  # type: ignore[attr-defined]
            raise PermissionDenied
        trip = self.get_queryset(request).filter(pk=object_id).first()  # type: ignore[attr-defined]
        if trip is None:
            raise Http404(f"There is no trip {object_id}.")
        form = CopyForm(request.POST or None, trip=trip, initial=_proposed(trip))
        if request.method == "POST" and form.is_valid():
            copy: Any = form.draft
            copy._history_user = request.user
            with transaction.atomic():
                copy.save()
                told = self._copy_itinerary(request, trip, copy)
            return self._done(request, copy, told)
        context = {
            **self.admin_site.each_context(request),  # type: ignore[attr-defined]
            "title": f"Copy {trip}",
            "trip": trip,
            "form": form,
        }
        return TemplateResponse(request, "trips/admin/copy_trip.html", context)

    def _copy_itinerary(self, request: HttpRequest, trip: Trip, copy: Trip) -> str:
        """What to say of it; empty without one, or where this user may not know of it."""
        user: Any = request.user
        if not may_see(user, "trips.itineraryitem") or not trip.itinerary.exists():
            return ""
        if not user.has_perm("trips.add_itineraryitem"):
            return "The itinerary was not copied: your account may not add to one."
        count = programme.copy_itinerary(trip=trip, copy=copy, by=user)
        if count is None:
            return "The itinerary was not copied: its days need a start of both trips."
        return f"{said(count, 'itinerary entry', 'itinerary entries')} copied, moved with the start."

    def _done(self, request: HttpRequest, copy: Trip, told: str) -> HttpResponseRedirect:
        url = reverse("admin:trips_trip_change", args=[copy.pk])
        text = format_html(
            'Copied as <a class="text-link" href="{}">{}</a>. {} People, flights and transfers were not copied.',
            url,
            copy,
            told,
        )
        self.message_user(request, text, messages.SUCCESS)  # type: ignore[attr-defined]
        for violation in rules.violations(copy):
            self.message_user(request, violation.sentence, messages.WARNING)  # type: ignore[attr-defined]
        return HttpResponseRedirect(url)


def _proposed(trip: Trip) -> dict[str, Any]:
    """The same departure a year later, the year in its name as well: what yearly trips want most often."""
    start = trip.start_date
    if start is None:
        return {"name": trip.name}
    return {"name": trip.name.replace(str(start.year), str(start.year + 1)), "start_date": add_months(start, 12)}
