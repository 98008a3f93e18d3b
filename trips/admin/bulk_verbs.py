"""What may be done to many trips, passengers and contacts at once: one form and one action each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from unfold.widgets import UnfoldAdminTextInputWidget

from trips.admin.bulk import BulkForm, BulkPages, Verb
from trips.admin.choosing import chooser
from trips.enums import PassengerStage, TripStage
from trips.models import Contact, Passenger, Trip, Vendor
from trips.services import assigning, moving, stages
from trips.services.plans import Plan

MORE = 80  # the words of a reason: the history keeps a hundred letters with the batch's title


class TripStageForm(BulkForm):
    buttons = "stage"
    answers = {stages.REASON: "reason"}

    stage = forms.ChoiceField(choices=TripStage.choices)
    reason = forms.CharField(
        required=False,
        max_length=MORE,
        label="Why those without dates are scheduled all the same",
        widget=UnfoldAdminTextInputWidget,
        help_text="Kept in each trip’s history. Without a reason they stay where they are.",
    )

    def plan(self, rows: Sequence[Any]) -> Plan:
        return stages.trips_to_stage(trips=rows, stage=self.cleaned_data["stage"], reason=self.cleaned_data["reason"])


class PassengerStageForm(BulkForm):
    buttons = "stage"

    stage = forms.ChoiceField(choices=PassengerStage.choices)

    def plan(self, rows: Sequence[Any]) -> Plan:
        return stages.passengers_to_stage(
            passengers=rows, stage=self.cleaned_data["stage"], today=timezone.localdate(), may_know=self.may
        )

    def hints(self) -> list[str]:
        unseen = stages.unseen_gaps(self.may)
        if self.cleaned_data.get("stage") not in stages.COMPLETE or not unseen:
            return []
        return [f"Not looked at, because your account may not see it: {', '.join(unseen)}."]


class AssignForm(BulkForm):
    """Empty leaves what is there."""

    vendor = forms.ModelChoiceField(Vendor.objects.filter(archived_at__isnull=True), required=False)
    organiser = forms.ModelChoiceField(Contact.objects.standing(), required=False, label="Lead organiser")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in self.fields:
            self.fields[name].widget = chooser(Trip, name, self.site, self.fields[name])

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if not self.errors and not (cleaned["vendor"] or cleaned["organiser"]):
            raise forms.ValidationError("Choose a vendor, a lead organiser or both.")
        return cleaned

    def plan(self, rows: Sequence[Any]) -> Plan:
        return assigning.assigning(
            trips=rows, vendor=self.cleaned_data["vendor"], organiser=self.cleaned_data["organiser"]
        )


class TagForm(BulkForm):
    tag = forms.CharField(max_length=64, widget=UnfoldAdminTextInputWidget(attrs={"data-first": True}))
    remove = forms.ChoiceField(
        label="What to do",
        choices=[("", "Add it"), ("1", "Take it off")],
        required=False,
        widget=forms.RadioSelect,
        initial="",
    )

    def clean_tag(self) -> str:
        tag: str = self.cleaned_data["tag"].strip()
        if "," in tag:
            raise forms.ValidationError("One tag at a time: a comma stands between two.")
        return tag

    def plan(self, rows: Sequence[Any]) -> Plan:
        return assigning.tagging(contacts=rows, tag=self.cleaned_data["tag"], remove=bool(self.cleaned_data["remove"]))


class MoveForm(BulkForm):
    answers = {moving.SEATS: "rest"}

    trip = forms.ModelChoiceField(Trip.objects.active())
    rest = forms.ChoiceField(
        label="Those for whom there is no seat",
        choices=[(moving.STAY, "Stay where they are"), (moving.WAIT, "Go on the waiting list there")],
        required=False,
        widget=forms.RadioSelect,
        initial=moving.STAY,
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["trip"].widget = chooser(Passenger, "trip", self.site, self.fields["trip"])
        if self.may("trips.overbook_trip"):
            rest: Any = self.fields["rest"]
            rest.choices = [*rest.choices, (moving.OVERBOOK, "Are booked beyond the seats")]

    def plan(self, rows: Sequence[Any]) -> Plan:
        rest = self.cleaned_data["rest"] or moving.STAY
        return moving.to_trip(passengers=rows, trip=self.cleaned_data["trip"], rest=rest)

    def hints(self) -> list[str]:
        return ["Room wishes, papers and payments go along; each gets the next free number there."]


class TripBulk(BulkPages):
    """Actions of the list of trips."""

    bulk_verbs = (
        Verb("stage", "Move to stage", TripStageForm, "moved", "Move"),
        Verb("assign", "Assign vendor or organiser", AssignForm, "assigned", "Assign to"),
    )

    @admin.action(description="Close (trip complete)", permissions=["change"])
    def close_selected(self, request: HttpRequest, queryset: QuerySet[Trip]) -> None:
        rows, more = self.bulk_rows(request, queryset)
        self.do_bulk(request, stages.closing(trips=rows), "closed", more)

    @admin.action(description="Move to stage…", permissions=["change"])
    def stage_selected(self, request: HttpRequest, queryset: QuerySet[Trip]) -> HttpResponse:
        return self.bulk_action(request, "stage", queryset)

    @admin.action(description="Assign vendor, organiser…", permissions=["change"])
    def assign_selected(self, request: HttpRequest, queryset: QuerySet[Trip]) -> HttpResponse:
        return self.bulk_action(request, "assign", queryset)


class PassengerBulk(BulkPages):
    """Actions of the list of passengers."""

    bulk_verbs = (
        Verb("stage", "Move to stage", PassengerStageForm, "moved", "Move"),
        Verb("trip", "Move to another trip", MoveForm, "moved", "Move"),
    )

    @admin.action(description="Move to stage…", permissions=["change"])
    def stage_selected(self, request: HttpRequest, queryset: QuerySet[Passenger]) -> HttpResponse:
        return self.bulk_action(request, "stage", queryset)

    @admin.action(description="Move to another trip…", permissions=["change"])
    def move_selected(self, request: HttpRequest, queryset: QuerySet[Passenger]) -> HttpResponse:
        return self.bulk_action(request, "trip", queryset)

    @admin.action(description="Cancel the booking", permissions=["change"])
    def cancel_selected(self, request: HttpRequest, queryset: QuerySet[Passenger]) -> None:
        rows, more = self.bulk_rows(request, queryset)
        self.do_bulk(request, moving.cancelling(passengers=rows), "cancelled", more)


class ContactBulk(BulkPages):
    """Actions of the list of contacts."""

    bulk_verbs = (Verb("tag", "Tag", TagForm, "changed", "Change"),)

    @admin.action(description="Tag…", permissions=["change"])
    def tag_selected(self, request: HttpRequest, queryset: QuerySet[Contact]) -> HttpResponse:
        return self.bulk_action(request, "tag", queryset)
