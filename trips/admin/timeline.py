"""The timeline of a trip or a passenger: what changed, who did it, when and from where, with the notes of the office.

Another app that knows more adds its events by overriding `timeline_events`.
"""

from __future__ import annotations

from functools import partial
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from unfold.decorators import action

from trips.models import Note, Trip
from trips.models.note import LONGEST_NOTE
from trips.permissions import may_see
from trips.services import timeline
from trips.services.timeline import Event
from trips.text import is_id

EVENTS_A_PAGE = 25
NOTES = "notes"


class TimelinePage:
    """Mixin for the pages of trips and passengers."""

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.timeline_view)  # type: ignore[attr-defined]
        name = f"trips_{self.opts.model_name}_timeline"  # type: ignore[attr-defined]
        return [path("<int:object_id>/timeline/", view, name=name), *super().get_urls()]  # type: ignore[misc]

    @action(description="Timeline & notes", permissions=["to_timeline"], url_path="to-timeline")
    def to_timeline(self, request: HttpRequest, object_id: int) -> HttpResponseRedirect:
        return HttpResponseRedirect(self._timeline_url(object_id))

    def has_to_timeline_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return self.has_view_permission(request)  # type: ignore[attr-defined]

    def timeline_events(self, request: HttpRequest, obj: Any) -> list[Event]:
        """Everything that this user may know of, newest first."""
        read = timeline.of_trip if isinstance(obj, Trip) else timeline.of_passenger
        return read(obj, partial(may_see, request.user), request.user)

    def timeline_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        obj = self._timeline_of(request, object_id)
        typed = ""
        if request.method == "POST":
            typed = request.POST.get("text", "")
            if self._noted(request, obj, typed):
                return HttpResponseRedirect(self._timeline_url(obj.pk))
        user: Any = request.user
        shown = NOTES if request.GET.get("show") == NOTES else ""
        events = [event for event in self.timeline_events(request, obj) if event.note_id or not shown]
        name = f"{self.admin_site.name}:trips_{self.opts.model_name}"  # type: ignore[attr-defined]
        context = {
            **self.admin_site.each_context(request),  # type: ignore[attr-defined]
            "title": f"Timeline of {obj}",
            "subject": obj,
            "page": Paginator(events, EVENTS_A_PAGE).get_page(request.GET.get("p", 1)),
            "before": f"{urlencode({'show': shown})}&" if shown else "",
            "shown": shown,
            "typed": typed,
            "longest": LONGEST_NOTE,
            "may_read": may_see(user, "trips.note"),
            "may_add": user.has_perm("trips.add_note") and may_see(user, "trips.note"),
            "may_remove": user.has_perm("trips.delete_note"),
            "may_put_back": self.has_change_permission(request, obj),  # type: ignore[attr-defined]
            "record_url": reverse(f"{name}_change", args=[obj.pk]),
            "history_url": reverse(f"{name}_history", args=[obj.pk]),
        }
        return TemplateResponse(request, "trips/admin/timeline.html", context)

    def _timeline_of(self, request: HttpRequest, object_id: int) -> Any:
        if not self.has_view_permission(request):  # type: ignore[attr-defined]
            raise PermissionDenied
        obj = self.get_queryset(request).filter(pk=object_id).first()  # type: ignore[attr-defined]
        if obj is None:
            raise Http404(f"There is no {self.opts.verbose_name} {object_id}.")  # type: ignore[attr-defined]
        return obj

    def _timeline_url(self, pk: int) -> str:
        return reverse(f"{self.admin_site.name}:trips_{self.opts.model_name}_timeline", args=[pk])  # type: ignore[attr-defined]

    def _noted(self, request: HttpRequest, obj: Any, text: str) -> bool:
        """Whether a note was added or removed; what keeps it from that is said."""
        if "remove" in request.POST:
            return self._remove_note(request, obj, request.POST["remove"])
        user: Any = request.user
        if not user.has_perm("trips.add_note"):
            raise PermissionDenied
        text = text.strip()
        refusal = "" if text else "The note is empty. Type it first."
        if len(text) > LONGEST_NOTE:
            refusal = f"The note has {len(text):,} characters; {LONGEST_NOTE:,} are the most. Shorten it."
        if refusal:
            self.message_user(request, refusal, messages.ERROR)  # type: ignore[attr-defined]
            return False
        note: Any = Note(**{str(self.opts.model_name): obj}, text=text, by=user)  # type: ignore[attr-defined]
        note._history_user = user
        note.save()
        self.message_user(request, "Noted.", messages.SUCCESS)  # type: ignore[attr-defined]
        return True

    def _remove_note(self, request: HttpRequest, obj: Any, pk: str) -> bool:
        """Whoever wrote it may, and who may delete notes; that it was there stays in the history."""
        user: Any = request.user
        note: Any = obj.notes.filter(pk=pk).first() if is_id(pk) else None
        if note is None:
            self.message_user(request, "This note was removed already.", messages.WARNING)  # type: ignore[attr-defined]
            return True
        if not (user.has_perm("trips.delete_note") or (note.by_id == user.pk and user.has_perm("trips.add_note"))):
            raise PermissionDenied
        note._history_user = user
        note.delete()
        self.message_user(request, "The note is removed.", messages.SUCCESS)  # type: ignore[attr-defined]
        return True
