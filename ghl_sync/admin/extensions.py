"""The business's own pages, registered again with their other half on them: a column, a panel, a button."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.contrib.admin.options import IS_POPUP_VAR
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.http import require_GET
from unfold.decorators import display

from ghl_sync import tasks
from ghl_sync.admin import forms
from ghl_sync.admin.account import account_of, saved_sentence
from ghl_sync.admin.badges import SHORT, badge_of, link_of, links_of
from ghl_sync.admin.buttons import only_by_button
from ghl_sync.admin.deleting import HeldDeletes
from ghl_sync.admin.filters import with_sync_questions
from ghl_sync.admin.merging import MergedElsewhere
from ghl_sync.admin.panel import panel_for
from ghl_sync.admin.timeline import Timeline, may_look, with_sync
from ghl_sync.admin.unlinked import WorkList
from ghl_sync.engine import resolve
from ghl_sync.models import Kind, Link
from trips.admin.lists import StaffChangeList
from trips.admin.people import (
    ContactAdmin,
    EmergencyContactInline,
    HealthRecordInline,
    PassengerAdmin,
    PassportInline,
)
from trips.admin.trip import TripAdmin
from trips.models import Contact, Passenger, Trip
from trips.services.timeline import Event
from trips.text import is_id

# What an ID over there looks like; shorter words are names.
_REMOTE_ID = re.compile(r"[A-Za-z0-9_-]{12,64}")

# More rows than a page of a list can show are not asked for by its script.
MOST_ROWS = 200


class MirroredChangeList(StaffChangeList):
    """Gives each row of the page its `sync_link`, read with one query for all of them."""

    sync_url = ""
    sync_resting = True

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        rows: list[Any] = list(self.result_list)
        links = links_of(str(self.opts.model_name), [row.pk for row in rows])
        account = account_of(request)
        for row in rows:
            row.sync_badge = badge_of(links.get(row.pk), account)
            self.sync_resting = self.sync_resting and row.sync_badge.resting
        ids = ",".join(str(row.pk) for row in rows[:MOST_ROWS])
        url = reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_sync_list")
        self.sync_url = f"{url}?{urlencode({'ids': ids})}"


class Mirrored(HeldDeletes):
    """Mixed in before a page of `trips.admin`."""

    change_form_outer_before_template = "admin/ghl_sync/panel.html"
    list_before_template = "admin/ghl_sync/list_badges.html"

    class Media:
        css = {"all": ("ghl_sync/sync.css",)}
        js = ("ghl_sync/sync.js",)

    # The list

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[StaffChangeList]:
        return MirroredChangeList

    def get_list_display(self, request: HttpRequest) -> Any:
        return (*super().get_list_display(request), "sync")

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        """Also the record with this ID in GoHighLevel, whole and as it is written there."""
        remote_id = search_term.strip()
        if _REMOTE_ID.fullmatch(remote_id):
            links = Link.objects.filter(kind=str(self.opts.model_name), remote_id=remote_id)
            if ids := self.named_by(list(links.values_list("object_id", flat=True))):
                return queryset.filter(pk__in=ids), False
        return super().get_search_results(request, queryset, search_term)

    def named_by(self, ids: list[int]) -> list[int]:
        """The records that are meant by these, whose ID was typed."""
        return ids

    @display(description="GoHighLevel")
    def sync(self, obj: Any) -> SafeString:
        return _cell(obj.pk, obj.sync_badge.html(SHORT))

    # The page

    def render_change_form(
        self,
        request: HttpRequest,
        context: Any,
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Any = None,
    ) -> HttpResponse:
        if obj is not None and not context.get("is_popup"):
            context["panel"] = panel_for(request, obj, may_sync=self.has_change_permission(request, obj))
        return super().render_change_form(request, context, add, change, form_url, obj)

    def timeline_events(self, request: HttpRequest, obj: Any) -> list[Event]:
        """With what was sent, fetched, asked and decided; a change that an arrival made is told by the arrival."""
        events: list[Event] = super().timeline_events(request, obj)
        link = link_of(obj)
        if link is None or not may_look(request.user, link):
            return events
        return with_sync(events, Timeline(link, request.user))

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        if IS_POPUP_VAR in request.POST:
            return  # the page that waits behind the popup would show it, above its own errors
        if not change or form.has_changed() or any(formset.has_changed() for formset in formsets):
            level, sentence = saved_sentence(account_of(request), form.instance)
            self.message_user(request, sentence, level)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """What the page asks to confirm counts the cards over there too; contacts over there are never deleted."""
        listed, counts, lacking, protected = super().get_deleted_objects(objs, request)
        kind = str(self.opts.model_name)
        ids = [] if kind == Kind.CONTACT else [obj.pk for obj in objs]
        cards = Link.objects.filter(kind=kind, object_id__in=ids, gone_at__isnull=True).exclude(remote_id="").count()
        return listed, {**counts, **({"cards in GoHighLevel": cards} if cards else {})}, lacking, protected

    # What the page's script and the button ask for

    def get_urls(self) -> list[URLPattern]:
        name = f"{self.opts.app_label}_{self.opts.model_name}"
        wrap = self.admin_site.admin_view
        return [
            path("sync-states/", wrap(require_GET(self.states_view)), name=f"{name}_sync_list"),
            path("<int:object_id>/sync/", wrap(require_GET(self.state_view)), name=f"{name}_sync"),
            path("<int:object_id>/sync-now/", wrap(only_by_button(self.sync_now_view)), name=f"{name}_sync_now"),
            *super().get_urls(),
        ]

    def states_view(self, request: HttpRequest) -> HttpResponse:
        """The badges of `?ids=1,2,3`, of those rows that this user may see in the list."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        wanted = [int(text) for text in request.GET.get("ids", "").split(",") if is_id(text)]
        shown = self.get_queryset(request).filter(pk__in=wanted[:MOST_ROWS]).order_by().values_list("pk", flat=True)
        ids = list(shown)
        links, account = links_of(str(self.opts.model_name), ids), account_of(request)
        badges = {pk: badge_of(links.get(pk), account) for pk in ids}
        return JsonResponse(
            {
                "resting": all(badge.resting for badge in badges.values()),
                "parts": {str(pk): badge.html(SHORT) for pk, badge in badges.items()},
            }
        )

    def state_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """The parts of one record's panel that may have changed."""
        obj = self._seen(request, object_id)
        panel = panel_for(request, obj, may_sync=False)
        return JsonResponse({"resting": panel.badge.resting, "parts": panel.parts()})

    def sync_now_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Ask for a fresh look at both sides, then back to the record's page."""
        obj = self._seen(request, object_id)
        if not self.has_change_permission(request, obj):
            raise PermissionDenied
        with transaction.atomic():
            link = resolve.link_for(obj)
            resolve.ask_for(link)
            tasks.wake_after_commit(link.pk)
        hindrance = account_of(request).hindrance
        if hindrance:
            self.message_user(request, f"Noted, but nothing can be sent now. {hindrance}", messages.WARNING)
        else:
            self.message_user(request, "Both sides are compared in a moment.", messages.INFO)
        return HttpResponseRedirect(
            reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=[obj.pk])
        )

    def _seen(self, request: HttpRequest, object_id: int) -> Any:
        """The record, for whoever may open its page."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        obj = self.get_queryset(request).filter(pk=object_id).first()
        if obj is None:
            raise Http404(f"There is no {self.opts.verbose_name} {object_id}.")
        if not self.has_view_permission(request, obj):
            raise PermissionDenied
        return obj


def _cell(pk: int, html: SafeString) -> SafeString:
    return format_html('<span data-sync-part="{}">{}</span>', pk, html)


class MirroredTripAdmin(Mirrored, TripAdmin):
    types_what_goes = True
    form = forms.MirroredTripForm
    list_filter = with_sync_questions(TripAdmin.list_filter)


class MirroredContactAdmin(MergedElsewhere, Mirrored, ContactAdmin):
    form = forms.MirroredContactForm
    list_filter = with_sync_questions(ContactAdmin.list_filter)


class MirroredPassportInline(PassportInline):
    form = forms.MirroredPassportForm


class MirroredHealthRecordInline(HealthRecordInline):
    form = forms.MirroredHealthRecordForm


class MirroredEmergencyContactInline(EmergencyContactInline):
    form = forms.MirroredEmergencyContactForm


class MirroredPassengerAdmin(WorkList, Mirrored, PassengerAdmin):
    form = forms.MirroredPassengerForm
    inlines = (MirroredPassportInline, MirroredHealthRecordInline, MirroredEmergencyContactInline)
    list_filter = with_sync_questions(PassengerAdmin.list_filter)


for _model, _page in (
    (Trip, MirroredTripAdmin),
    (Contact, MirroredContactAdmin),
    (Passenger, MirroredPassengerAdmin),
):
    admin.site.unregister(_model)
    admin.site.register(_model, _page)
