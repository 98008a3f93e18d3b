"""A trip's leaders on its page: told to whoever sees the trip, chosen by who may change trips and sees every one."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.admin.utils import flatten_fieldsets
from django.contrib.auth import get_user_model
from django.db.models import Q
from django.http import HttpRequest
from unfold.decorators import display

from trips.accounts import name_of
from trips.models import Trip
from trips.permissions import sees_every_trip
from trips.services import leading

FIELD = "led_by"


class LeadersField(forms.ModelMultipleChoiceField):
    """Staff who may sign in, by their names; a dozen at most, so all of them stand there to be ticked."""

    widget = forms.CheckboxSelectMultiple

    def __init__(self) -> None:
        super().__init__(
            get_user_model()._default_manager.none(),
            required=False,
            label="Trip leaders",
            help_text="Accounts that do not see every trip see those that they lead, and whoever is on them.",
        )

    def label_from_instance(self, obj: Any) -> str:
        return name_of(obj)


class TripLeaders:
    """Mixin for the trip's page."""

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        names = kwargs.pop("fields", None) or flatten_fieldsets(self.get_fieldsets(request, obj))
        kwargs["fields"] = [name for name in names if name != FIELD]  # it is no column of the trip
        form = super().get_form(request, obj, change, **kwargs)  # type: ignore[misc]
        if not self._may_assign(request, obj):
            return form
        field = LeadersField()
        now = _leaders(obj) if obj is not None else []
        staff = Q(is_staff=True, is_active=True) | Q(pk__in=now)
        field.queryset = get_user_model()._default_manager.filter(staff).order_by("first_name", "last_name", "username")
        field.initial = now
        form.base_fields[FIELD] = field
        return form

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        fieldsets = super().get_fieldsets(request, obj)  # type: ignore[misc]
        shown = FIELD if self._may_assign(request, obj) else "leaders_shown" if obj is not None else ""
        if not shown:
            return fieldsets
        found = [(title, dict(options)) for title, options in fieldsets]
        *_others, (_title, last) = [entry for entry in found if entry[0] == "Progress"]
        last["fields"] = (*last["fields"], shown)
        return found

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return (*super().get_readonly_fields(request, obj), "leaders_shown")  # type: ignore[misc]

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)  # type: ignore[misc]
        if FIELD in form.changed_data:
            leading.assign(trip=form.instance, leaders=form.cleaned_data[FIELD], by=request.user)

    @display(description="trip leaders")
    def leaders_shown(self, trip: Trip) -> str:
        return ", ".join(name_of(user) for user in trip.leaders.all()) or "nobody"

    def _may_assign(self, request: HttpRequest, obj: Any) -> bool:
        may = self.has_change_permission(request, obj) if obj else self.has_add_permission(request)  # type: ignore[attr-defined]
        return bool(may) and sees_every_trip(request.user)


def _leaders(trip: Any) -> list[int]:
    """Read once: a page asks for its form several times over."""
    if not hasattr(trip, "_leaders_read"):
        trip._leaders_read = list(trip.leading.order_by("user").values_list("user", flat=True))
    found: list[int] = trip._leaders_read
    return found
