"""Sending reminders from the list of passengers: write, look at each mail, send; and the log of what left."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.crypto import salted_hmac
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import ChoicesCheckboxFilter
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from trips.admin.base import ReadOnly, said
from trips.admin.lists import FoldedSearch
from trips.admin.scoped import ScopedRows
from trips.models import Passenger, Reminder
from trips.services import reminding
from trips.services.plans import MOST_ROWS
from trips.text import is_id

SECONDS = 15.0
# Mails that the page shows whole.
MOST_SHOWN = 50


class WordingForm(forms.Form):
    subject = forms.CharField(max_length=200, widget=UnfoldAdminTextInputWidget)
    message = forms.CharField(max_length=4000, widget=UnfoldAdminTextareaWidget(attrs={"rows": 9}))
    insist = forms.BooleanField(
        required=False, label=f"Also those who were asked within the last {reminding.REST_DAYS} days"
    )

    def __init__(self, *args: Any, fields: Collection[str] = reminding.FIELDS, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.known = fields

    def clean_message(self) -> str:
        message: str = self.cleaned_data["message"].replace("\r\n", "\n")  # as browsers send it
        return message

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        for name in ("subject", "message"):
            unknown = reminding.unknown_fields(cleaned.get(name, ""), self.known)
            if unknown:
                self.add_error(name, self._unknown(unknown[0]))
        if f"{{{reminding.OWN_FORM}}}" in cleaned.get("subject", "") and not self.errors.get("subject"):
            self.add_error("subject", "{form} is a link of one person: it goes into the message, not into the subject.")
        return cleaned

    def _unknown(self, name: str) -> str:
        if name == reminding.OWN_FORM and not settings.TRAVELLER_LINKS:
            return "{form} is a link to a traveller’s own form, and those are switched off (TRAVELLER_LINKS)."
        known = ", ".join(f"{{{one}}}" for one in self.known)
        return f"There is no field {{{name}}}. The fields are {known}."


class PassengerReminders:
    """Mixin for the list of passengers."""

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view  # type: ignore[attr-defined]
        here = path("remind/<slug:kind>/", wrap(self.remind_view), name="trips_passenger_remind")
        return [here, *super().get_urls()]  # type: ignore[misc]

    def has_remind_permission(self, request: HttpRequest) -> bool:
        user: Any = request.user
        return bool(user.has_perm("trips.add_reminder") and user.has_perm("trips.view_contact"))

    @admin.action(description="Remind of what is missing…", permissions=["remind"])
    def remind_selected(self, request: HttpRequest, queryset: QuerySet[Passenger]) -> HttpResponse:
        return self._reminders(request, Reminder.Kind.GAPS, [row.pk for row in queryset[:MOST_ROWS]])

    @admin.action(description="Remind of payment…", permissions=["remind"])
    def remind_payment_selected(self, request: HttpRequest, queryset: QuerySet[Passenger]) -> HttpResponse:
        return self._reminders(request, Reminder.Kind.MONEY, [row.pk for row in queryset[:MOST_ROWS]])

    def remind_view(self, request: HttpRequest, kind: str) -> HttpResponse:
        if not self.has_remind_permission(request):
            raise PermissionDenied
        if kind not in Reminder.Kind.values:
            raise Http404("There is no such reminder.")
        if request.method != "POST":
            return HttpResponseRedirect(reverse("admin:trips_passenger_changelist"))
        ids = [int(text) for text in request.POST.get("ids", "").split(",") if is_id(text)][:MOST_ROWS]
        return self._reminders(request, kind, ids, bound=True)

    def _reminders(self, request: HttpRequest, kind: str, ids: list[int], *, bound: bool = False) -> HttpResponse:
        user: Any = request.user
        if kind == Reminder.Kind.MONEY and not user.has_perm("trips.view_payment"):
            raise PermissionDenied
        links = bool(settings.TRAVELLER_LINKS and user.has_perm("trips.add_travellerform"))
        fields = reminding.fields_of(kind, links=links)
        usual = reminding.usual_wording(kind, links=links)
        first = {"subject": usual.subject, "message": usual.message}
        form = WordingForm(request.POST if bound else None, initial=first, fields=fields)
        valid = form.is_valid() if bound else True
        values: dict[str, Any] = form.cleaned_data if bound and valid else {**first, "insist": False}
        shown = salted_hmac("trips.remind", json.dumps(values, sort_keys=True)).hexdigest()
        ready, held = reminding.drafts(
            passengers=self.get_queryset(request).filter(pk__in=ids),  # type: ignore[attr-defined]
            kind=kind,
            wording=reminding.Wording(values["subject"], values["message"]),
            today=timezone.localdate(),
            may_know=user.has_perm,
            insist=bool(values["insist"]),
        )
        if valid and "send" in request.POST and request.POST.get("shown") != shown:
            text = "Nothing was sent: the words have changed since they were shown. These are the mails with them."
            self.message_user(request, text, messages.WARNING)  # type: ignore[attr-defined]
        elif valid and bound and "send" in request.POST:
            form_url = request.build_absolute_uri(reverse("traveller:start"))
            sent = reminding.send(drafts=ready, kind=kind, by=user, seconds=SECONDS, form_url=form_url)
            self._tell(request, sent)
            return HttpResponseRedirect(reverse("admin:trips_passenger_changelist"))
        context = {
            **self.admin_site.each_context(request),  # type: ignore[attr-defined]
            "title": f"{Reminder.Kind(kind).label}: remind {said(len(ids), 'passenger', 'passengers')}",
            "form": form,
            "valid": valid,
            "shown": shown,
            "ids": ",".join(map(str, ids)),
            "here": reverse("admin:trips_passenger_remind", args=[kind]),
            "list_url": reverse("admin:trips_passenger_changelist"),
            "ready": ready[:MOST_SHOWN],
            "more": max(len(ready) - MOST_SHOWN, 0),
            "count": len(ready),
            "going": said(len(ready), "mail", "mails"),
            "held": held,
            "fields": fields.items(),
        }
        return TemplateResponse(request, "trips/admin/remind.html", context)

    def _tell(self, request: HttpRequest, sent: reminding.Sent) -> None:
        told = f"{said(sent.count, 'reminder', 'reminders')} sent."
        if sent.left:
            told += f" {sent.left} more are left: do it again for the rest."
        level = messages.SUCCESS if sent.count else messages.WARNING
        self.message_user(request, told, level)  # type: ignore[attr-defined]
        for reason in dict.fromkeys(one.reason for one in sent.held):
            names = ", ".join(str(one.passenger) for one in sent.held if one.reason == reason)
            self.message_user(request, f"{names}: {reason}", messages.ERROR)  # type: ignore[attr-defined]


@admin.register(Reminder)
class ReminderAdmin(FoldedSearch, ReadOnly, ScopedRows, ModelAdmin):
    """What left, for whom and when."""

    empty_title = "No reminder was sent yet"
    empty_hint = "Tick passengers in their list and choose “Remind of what is missing…”."
    list_display = ("created_at", "passenger", "kind", "state", "recipient", "by")
    list_filter = (("kind", ChoicesCheckboxFilter), ("state", ChoicesCheckboxFilter))
    list_select_related = ("passenger", "by")
    list_per_page = 25
    search_fields = ("passenger__search_key",)
    search_help_text = "Traveller’s legal name, or the address"
    fields = ("passenger", "kind", "state", "recipient", "subject", "text", "by", "created_at")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).defer("body")

    def ways_of_word(self, word: str) -> list[Q]:
        return [Q(passenger__search_key__contains=word), Q(recipient__icontains=word)]

    @admin.display(description="text")
    def text(self, reminder: Reminder) -> str:
        return reminder.body
