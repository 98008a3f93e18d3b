"""The documents of one passenger or trip on a page of their own: what is required, what is there, adding more.

A mixin before `StaffAdmin`. Files are dropped on the page or chosen in a plain form, which works without a script too.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from unfold.decorators import action, display

from trips.admin.base import badge, said
from trips.admin.files import STATE_COLOURS, may_open, state_badge
from trips.admin.licences import licence_lines
from trips.admin.ofac import pack_url
from trips.enums import DocumentKind
from trips.models import Passenger
from trips.permissions import may_see
from trips.services import documents

TAB = "Documents"


class FilingPages:
    """Whoever may see documents opens the page; adding and waiving take the permissions on documents."""

    def get_urls(self) -> list[URLPattern]:
        name = f"trips_{self.opts.model_name}_filing"  # type: ignore[attr-defined]
        view = self.admin_site.admin_view(self.documents_view)  # type: ignore[attr-defined]
        return [path("<int:object_id>/documents/", view, name=name), *super().get_urls()]  # type: ignore[misc]

    @action(description="Documents", permissions=["documents"], url_path="to-documents")
    def documents(self, request: HttpRequest, object_id: int) -> HttpResponseRedirect:
        return HttpResponseRedirect(self._filing_url(object_id))

    def has_documents_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return may_see(request.user, "trips.document")

    def documents_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        owner = self._filed_owner(request, object_id)
        if request.method == "POST":
            self._file_away(request, owner)
            return HttpResponseRedirect(self._filing_url(object_id))
        user: Any = request.user
        rows = list(owner.documents.defer("remote_url").order_by("kind", "-pk"))
        context = {
            **self.admin_site.each_context(request),  # type: ignore[attr-defined]
            "title": f"Documents of {owner}",
            "owner": owner,
            "back_url": reverse(f"admin:trips_{self.opts.model_name}_change", args=[object_id]),  # type: ignore[attr-defined]
            "licences": licence_lines(user, owner),
            "pack_url": pack_url(user, owner),
            "required": _required(owner) if isinstance(owner, Passenger) else [],
            "rows": [(row, state_badge(row), bool(row.file) and may_open(user, row)) for row in rows],
            "kinds": DocumentKind.choices,
            "may_add": user.has_perm("trips.add_document"),
            "may_waive": user.has_perm("trips.change_document") and isinstance(owner, Passenger),
            "most": settings.UPLOAD_MAX_MB,
            "accept": ",".join([*documents.TYPES, *documents.TYPES.values(), ".jpeg"]),
            **self.filing_extras(request, owner),
        }
        return TemplateResponse(request, "trips/admin/documents.html", context)

    def filing_extras(self, request: HttpRequest, owner: Any) -> dict[str, Any]:
        """What else stands on the page."""
        return {}

    def _filing_url(self, object_id: int) -> str:
        return reverse(f"admin:trips_{self.opts.model_name}_filing", args=[object_id])  # type: ignore[attr-defined]

    def _filed_owner(self, request: HttpRequest, object_id: int) -> Any:
        allowed = self.has_view_permission(request) and self.has_documents_permission(request)  # type: ignore[attr-defined]
        if not allowed:
            raise PermissionDenied
        owner = self.get_queryset(request).filter(pk=object_id).first()  # type: ignore[attr-defined]
        if owner is None:
            raise Http404(f"There is no {self.opts.verbose_name} {object_id}.")  # type: ignore[attr-defined]
        return owner

    def _file_away(self, request: HttpRequest, owner: Any) -> None:
        waiving = request.POST.get("waive")
        user: Any = request.user
        if not user.has_perm("trips.change_document" if waiving else "trips.add_document"):
            raise PermissionDenied
        if waiving:
            self._waive(request, owner, waiving)
            return
        kind = request.POST.get("kind", "")
        files = request.FILES.getlist("files")
        if not files or (kind and kind not in DocumentKind.values):
            self._tell_filing(request, messages.ERROR, "Choose at least one file, and what they are.")
            return
        done = documents.upload(owner=owner, files=files, kind=kind, by=user)
        if done.kept:
            kinds = ", ".join(dict.fromkeys(str(one.get_kind_display()) for one in done.kept))
            self._tell_filing(
                request, messages.SUCCESS, f"{said(len(done.kept), 'file', 'files')} kept, to be reviewed: {kinds}."
            )
        for sentence in done.as_it_came:
            self._tell_filing(request, messages.WARNING, sentence)
        for sentence in done.refused:
            self._tell_filing(request, messages.ERROR, sentence)

    def _waive(self, request: HttpRequest, owner: Any, kind: str) -> None:
        if not isinstance(owner, Passenger) or kind not in DocumentKind.values:
            raise Http404("There is nothing of this kind to waive.")
        try:
            documents.waive(passenger=owner, kind=kind, reason=request.POST.get("reason", ""), by=request.user)
        except documents.NeedsReason as refused:
            self._tell_filing(request, messages.ERROR, str(refused))
        else:
            self._tell_filing(request, messages.SUCCESS, f"{DocumentKind(kind).label}: waived.")

    def _tell_filing(self, request: HttpRequest, level: int, text: str) -> None:
        self.message_user(request, text, level)  # type: ignore[attr-defined]


class RequiredSet:
    """Mixin for a passenger's page: the required set, kind by kind, in a tab."""

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return (*super().get_readonly_fields(request, obj), "required_set")  # type: ignore[misc]

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        fieldsets = super().get_fieldsets(request, obj)  # type: ignore[misc]
        shown = isinstance(obj, Passenger) and self.has_documents_permission(request)  # type: ignore[attr-defined]
        return [*fieldsets, (TAB, {"classes": ("tab",), "fields": ("required_set",)})] if shown else fieldsets

    @display(description="required")
    def required_set(self, passenger: Any) -> str:
        if not hasattr(passenger, "_required_set"):
            required = _required(passenger)
            url = reverse("admin:trips_passenger_filing", args=[passenger.pk])
            context = {"required": required, "url": url, "held": sum(held for _kind, _badge, _text, held in required)}
            passenger._required_set = render_to_string("trips/admin/required_set.html", context)
        return str(passenger._required_set)


def _required(passenger: Passenger) -> list[tuple[DocumentKind, Any, str, bool]]:
    """Each required kind with its badge, the reason where there is one, and whether it counts as handed in."""
    found = []
    for one in documents.required_of(passenger):
        label = badge(str(one.state.label), STATE_COLOURS[one.state], one.reason)
        found.append((one.kind, label, one.reason, one.handed_in))
    return found
