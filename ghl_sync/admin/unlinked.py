"""The work list "Not linked to a trip": a group is linked to the trip that is offered or searched, or many at once."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin.widgets import AutocompleteSelect
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.http import urlencode

from ghl_sync.admin.unlinked_groups import GROUPS_A_PAGE, Group, in_group, unlinked_groups
from ghl_sync.engine import resolve
from trips import rules
from trips.admin.base import said
from trips.admin.bulk import with_undo
from trips.enums import SEATED, BatchKind
from trips.models import Passenger, Trip
from trips.scope import check_every_trip
from trips.services import enrolment
from trips.services.batches import Recorder, recorded

# What the columns of numbers hold.
MOST_NUMBER = 2**63


class AssignForm(forms.Form):
    """Which passengers (one, or all of a group) go on which trip; `likely` is a button, `trip` the search box."""

    name = forms.CharField(required=False, strip=False)
    number = forms.IntegerField(required=False)
    passenger = forms.ModelChoiceField(Passenger.objects.unlinked(), required=False)
    likely = forms.ModelChoiceField(Trip.objects.all(), required=False)
    trip = forms.ModelChoiceField(Trip.objects.all(), required=False)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if not self.errors and not (cleaned["likely"] or cleaned["trip"]):
            raise forms.ValidationError("Choose a trip first.")
        return cleaned

    def chosen(self) -> Any:
        return self.cleaned_data["likely"] or self.cleaned_data["trip"]

    def passengers(self) -> Any:
        if self.cleaned_data["passenger"]:
            return Passenger.objects.unlinked().filter(pk=self.cleaned_data["passenger"].pk)
        return _people(Group(self.cleaned_data["name"], self.cleaned_data["number"], 0))


class ManyForm(forms.Form):
    """The groups that are ticked, each with the trip that was offered for it (`Group.token`)."""

    ticked = forms.TypedMultipleChoiceField(coerce=json.loads, required=False)

    def __init__(self, data: Any) -> None:
        super().__init__(data)
        self.fields["ticked"].valid_value = _is_token  # type: ignore[attr-defined]

    def clean_ticked(self) -> list[tuple[Group, int]]:
        found = [(Group(name, number, 0), trip_id) for name, number, trip_id in self.cleaned_data["ticked"]]
        if not found:
            raise forms.ValidationError("Tick at least one group first.")
        return found[:GROUPS_A_PAGE]


def _is_token(text: str) -> bool:
    try:
        name, number, trip_id = json.loads(text)
    except (ValueError, TypeError):
        return False
    numbers = [trip_id] if number is None else [number, trip_id]
    return isinstance(name, str) and all(type(one) is int and abs(one) < MOST_NUMBER for one in numbers)


class MakeForm(forms.Form):
    """Of which group the trip is made. `draft` is the trip, checked by the rules for staff."""

    name = forms.CharField(required=False, strip=False)
    number = forms.IntegerField(required=False)

    def group(self) -> Group:
        return Group(self.cleaned_data["name"], self.cleaned_data["number"], 0)

    def passengers(self) -> Any:
        return _people(self.group())

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if self.errors:
            return cleaned
        group = self.group()
        if not group.can_be_made:
            raise forms.ValidationError("GoHighLevel names no trip for these passengers: choose one.")
        if not self.passengers().exists():
            raise forms.ValidationError("Somebody has linked these passengers meanwhile.")
        known = Trip.objects.filter(legacy_trip_id=group.number).first() if group.number is not None else None
        if known is not None:
            raise forms.ValidationError(f"{known} has the trip ID {group.number} already: link them to it.")
        self.draft = Trip(name=group.title, legacy_trip_id=group.number)
        self.draft.derive()
        for violation in rules.violations(self.draft):
            if violation.blocking:
                raise forms.ValidationError(violation.sentence)
        return cleaned


class WorkList:
    """Mixed into the passengers' page: the list and the POST that links."""

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.unlinked_view)  # type: ignore[attr-defined]
        return [path("unlinked/", view, name="trips_passenger_unlinked"), *super().get_urls()]  # type: ignore[misc]

    def unlinked_view(self, request: HttpRequest) -> HttpResponse:
        if not self.has_view_permission(request):  # type: ignore[attr-defined]
            raise PermissionDenied
        check_every_trip(request.user)
        may_assign = self.has_change_permission(request)  # type: ignore[attr-defined]
        if request.method == "POST":
            if not may_assign:
                raise PermissionDenied
            return self._assign(request)
        page, groups = unlinked_groups(request.GET.get("p", 1))
        site = self.admin_site  # type: ignore[attr-defined]
        for index, group in enumerate(groups):
            group.form = _search(site, index) if may_assign else None
        context = {
            **site.each_context(request),
            "title": "Not linked to a trip",
            "page": page,
            "groups": groups,
            "total": Passenger.objects.unlinked().count(),
            "may_assign": may_assign,
            "sure": sum(1 for group in groups if group.sure),
            "offered": any(group.likely for group in groups),
            "media": self.media + _search(site, 0).media + forms.Media(js=("ghl_sync/unlinked.js",)),  # type: ignore[attr-defined]
        }
        return TemplateResponse(request, "admin/ghl_sync/unlinked.html", context)

    def _assign(self, request: HttpRequest) -> HttpResponse:
        if "make" in request.POST:
            return self._make_trip(request)
        if "many" in request.POST:
            return self._assign_many(request)
        form = AssignForm(request.POST)
        if not form.is_valid():
            for errors in form.errors.values():
                messages.error(request, " ".join(map(str, errors)))
            return _back(request)
        trip = form.chosen()
        return _linked(request, [(trip.pk, form.passengers())], f"Passengers linked to {trip}", str(trip))

    def _assign_many(self, request: HttpRequest) -> HttpResponse:
        """The ticked groups in one batch with one undo; a trip without the seats for its group is told and left out."""
        form = ManyForm(request.POST)
        if not form.is_valid():
            messages.error(request, " ".join(map(str, form.errors["ticked"])))
            return _back(request)
        chosen = [(trip_id, _people(group)) for group, trip_id in form.cleaned_data["ticked"]]
        title = f"Passengers of {said(len(chosen), 'group', 'groups')} linked to their trips"
        return _linked(request, chosen, title, "their trips")

    def _make_trip(self, request: HttpRequest) -> HttpResponse:
        """The trip that a group names and nobody here knows, and its passengers on it: one batch, one undo."""
        if not request.user.has_perm("trips.add_trip"):
            raise PermissionDenied
        form = MakeForm(request.POST)
        if not form.is_valid():
            for errors in form.errors.values():
                messages.error(request, " ".join(map(str, errors)))
            return _back(request)
        group = form.group()
        title = f"Trip made for its passengers: {group.title}"
        with transaction.atomic():
            ids = list(form.passengers().select_for_update().order_by("pk").values_list("pk", flat=True))
            with recorded(kind=BatchKind.CHANGE, title=title, by=request.user) as recorder:
                trip = recorder.make(form.draft)
                count = resolve.assign_trip(ids, trip, recorder)
        told = (
            f"{trip} was made, without dates and lead organiser, and {said(count, 'passenger', 'passengers')} linked."
        )
        messages.success(request, with_undo(told, _kept(recorder)))
        return _back(request)


def _linked(request: HttpRequest, chosen: list[tuple[int, Any]], title: str, whereto: str) -> HttpResponse:
    """Link the passengers of each query to the trip with its number, as one batch, and tell what came of it."""
    count, refused = 0, []
    with transaction.atomic():
        # Held from counting the seats to taking them: two at once do not both get the last one. All passengers before
        # the first trip, as on a passenger's own page, and trips by their number: nobody waits in a circle.
        wanted = [(trip_id, list(people.values_list("pk", flat=True))) for trip_id, people in chosen]
        everybody = Passenger.objects.filter(pk__in=[pk for _trip_id, ids in wanted for pk in ids])
        list(everybody.select_for_update().order_by("pk").values_list("pk", flat=True))
        there = set(Trip.objects.filter(pk__in=[trip_id for trip_id, _ids in wanted]).values_list("pk", flat=True))
        with recorded(kind=BatchKind.CHANGE, title=title, by=request.user) as recorder:
            for trip_id, ids in sorted(wanted):
                if trip_id not in there:
                    continue  # deleted meanwhile; the group is still on the page
                trip = enrolment.hold(trip_id)
                if refusal := _too_many(request.user, trip, ids):
                    refused.append(refusal)
                else:
                    count += resolve.assign_trip(ids, trip, recorder)
    for refusal in refused:
        messages.error(request, refusal)
    if count or not refused:
        told = f"{said(count, 'passenger', 'passengers')} linked to {whereto}."
        level = messages.SUCCESS if count else messages.WARNING
        messages.add_message(request, level, with_undo(told, _kept(recorder)))
    return _back(request)


def _people(group: Group) -> Any:
    return Passenger.objects.unlinked().filter(in_group(group))


def _back(request: HttpRequest) -> HttpResponseRedirect:
    query = urlencode({"p": request.GET.get("p", 1)})
    return HttpResponseRedirect(f"{reverse('admin:trips_passenger_unlinked')}?{query}")


def _kept(recorder: Recorder) -> Any:
    """The batch, or None of one that did nothing."""
    return recorder.batch if recorder.batch.pk else None


def _search(site: Any, index: int) -> Any:
    """The trip's search box of one group; its id must be the page's only one."""
    widget = AutocompleteSelect(Passenger._meta.get_field("trip"), site)
    box = forms.ModelChoiceField(Trip.objects.none(), widget=widget, required=False, label="Trip")
    form = type("TripSearch", (forms.Form,), {"trip": box})
    return form(auto_id=f"group-{index}-%s")


def _too_many(user: Any, trip: Any, ids: list[int]) -> str:
    """The staff rule on seats: over capacity takes a permission of its own."""
    if trip.capacity is None or user.has_perm("trips.overbook_trip"):
        return ""
    coming = Passenger.objects.filter(pk__in=ids, attendance__in=SEATED).count()
    booked = trip.passengers.filter(attendance__in=SEATED).count()
    if not coming or booked + coming <= trip.capacity:
        return ""
    return (
        f"{trip} has {trip.capacity} seats and {booked} passengers booked; {coming} more are too many. "
        "Somebody who may overbook a trip can link them."
    )
