"""The work list "Not linked to a trip": passengers by what GoHighLevel calls their trip, with the likely trips.

Likely means equal: the same trip ID, or the same name with dashes, spaces and case folded. Nothing is guessed by
likeness and nothing is chosen by itself; a person picks.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin.widgets import AutocompleteSelect
from django.core.exceptions import PermissionDenied
from django.core.paginator import Page, Paginator
from django.db import transaction
from django.db.models import Count, Q, Window
from django.db.models.functions import RowNumber
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.http import urlencode

from ghl_sync.engine import resolve
from trips import rules
from trips.admin.base import day, said
from trips.admin.bulk import with_undo
from trips.enums import SEATED, BatchKind
from trips.models import Passenger, Trip
from trips.services import enrolment
from trips.services.batches import Recorder, recorded
from trips.text import fold_name

GROUPS_A_PAGE = 25
PEOPLE_SHOWN = 20


@dataclass(slots=True)
class Likely:
    """A trip to offer and why."""

    trip: Any
    reason: str

    @property
    def label(self) -> str:
        departs = day(self.trip.departs_on)
        return f"{self.trip.name} ({departs or 'no dates'})"


@dataclass(slots=True)
class Group:
    """The passengers that share one name and one ID for a trip that nobody here knows."""

    name: str
    number: int | None
    count: int
    people: list[Any] = field(default_factory=list)
    likely: list[Likely] = field(default_factory=list)
    form: Any = None

    @property
    def key(self) -> tuple[str, int | None]:
        return self.name, self.number

    @property
    def title(self) -> str:
        return self.name or (f"Trip ID {self.number}" if self.number is not None else "No trip named")

    @property
    def verb(self) -> str:
        return "Link" if self.count == 1 else f"Link all {self.count}"

    @property
    def more(self) -> int:
        return self.count - len(self.people)

    @property
    def can_be_made(self) -> bool:
        """Whether a trip may be made of what GoHighLevel says of it."""
        return not self.likely and bool(self.name or self.number is not None)


def unlinked_groups(number: str | int) -> tuple[Page[Any], list[Group]]:
    """One page, the largest groups first, with their people and likely trips: four queries."""
    rows = (
        Passenger.objects.unlinked()
        .order_by()
        .values("trip_name_raw", "trip_id_raw")
        .annotate(count=Count("pk"))
        .order_by("-count", "trip_name_raw", "trip_id_raw")
    )
    page = Paginator(rows, GROUPS_A_PAGE).get_page(number)
    groups = [Group(row["trip_name_raw"], row["trip_id_raw"], row["count"]) for row in page.object_list]
    _add_people(groups)
    _add_likely(groups)
    return page, groups


def _in(group: Group) -> Q:
    number = Q(trip_id_raw__isnull=True) if group.number is None else Q(trip_id_raw=group.number)
    return Q(trip_name_raw=group.name) & number


def _add_people(groups: list[Group]) -> None:
    if not groups:
        return
    wanted = Q()
    for group in groups:
        wanted |= _in(group)
    order = ("legal_last_name", "legal_first_name", "pk")
    place = Window(RowNumber(), partition_by=["trip_name_raw", "trip_id_raw"], order_by=order)
    rows = Passenger.objects.unlinked().filter(wanted).annotate(place=place).filter(place__lte=PEOPLE_SHOWN)
    by_key = {group.key: group for group in groups}
    for person in rows.order_by(*order):
        by_key[person.trip_name_raw, person.trip_id_raw].people.append(person)


def _add_likely(groups: list[Group]) -> None:
    numbers = {group.number for group in groups if group.number is not None}
    names = {fold_name(group.name)[:255] for group in groups if group.name}
    if not numbers and not names:
        return
    trips = list(Trip.objects.filter(Q(legacy_trip_id__in=numbers) | Q(name_key__in=names)).order_by("-pk"))
    for group in groups:
        key = fold_name(group.name)[:255] if group.name else None
        for trip in trips:
            reasons = []
            if group.number is not None and trip.legacy_trip_id == group.number:
                reasons.append("same trip ID")
            if key and trip.name_key == key:
                reasons.append("same name")
            if reasons:
                group.likely.append(Likely(trip, " and ".join(reasons)))
        group.likely.sort(key=lambda likely: -len(likely.reason))


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
        group = Group(self.cleaned_data["name"], self.cleaned_data["number"], 0)
        return Passenger.objects.unlinked().filter(_in(group))


class MakeForm(forms.Form):
    """Of which group the trip is made. `draft` is the trip, checked by the rules for staff."""

    name = forms.CharField(required=False, strip=False)
    number = forms.IntegerField(required=False)

    def group(self) -> Group:
        return Group(self.cleaned_data["name"], self.cleaned_data["number"], 0)

    def passengers(self) -> Any:
        return Passenger.objects.unlinked().filter(_in(self.group()))

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
            "media": self.media + _search(site, 0).media,  # type: ignore[attr-defined]
        }
        return TemplateResponse(request, "admin/ghl_sync/unlinked.html", context)

    def _assign(self, request: HttpRequest) -> HttpResponse:
        if "make" in request.POST:
            return self._make_trip(request)
        form = AssignForm(request.POST)
        back = _back(request)
        if not form.is_valid():
            for errors in form.errors.values():
                messages.error(request, " ".join(map(str, errors)))
            return back
        with transaction.atomic():
            # Held from counting the seats to taking them: two at once do not both get the last one.
            # Passengers before the trip, as on a passenger's own page, so that the two never wait for each other.
            ids = list(form.passengers().select_for_update().order_by("pk").values_list("pk", flat=True))
            trip = enrolment.hold(form.chosen().pk)
            refusal = _too_many(request.user, trip, ids)
            if not refusal:
                title = f"Passengers linked to {trip}"
                with recorded(kind=BatchKind.CHANGE, title=title, by=request.user) as recorder:
                    count = resolve.assign_trip(ids, trip, recorder)
        if refusal:
            messages.error(request, refusal)
            return back
        level = messages.SUCCESS if count else messages.WARNING
        told = f"{said(count, 'passenger', 'passengers')} linked to {trip}."
        messages.add_message(request, level, with_undo(told, _kept(recorder)))
        return back

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
