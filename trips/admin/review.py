"""The review desk: one document after the other, the scan beside what was typed, decided by a key or a button.

It shows only what this account may open: passport scans take the permission on passports. The queue is the oldest
first; a skipped document is passed over by its number and comes again from the start.
"""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from unfold.decorators import action

from trips.admin.base import day
from trips.admin.files import may_open, pictures_of
from trips.enums import DocumentKind, DocumentState, ReadKind
from trips.models import Document, Passenger, Passport
from trips.papers.fields import GUARDED_MODELS
from trips.permissions import may_see
from trips.scope import visible_to
from trips.services import documents, reading
from trips.text import is_id

REASONS = ("Blurred or cut off", "Wrong document", "Expired", "Not signed", "Name differs from the booking")


class ReviewDesk:
    """Mixin for the documents' page. Looking takes the view permission, deciding the change permission."""

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.review_view)  # type: ignore[attr-defined]
        return [path("review/", view, name="trips_document_review"), *super().get_urls()]  # type: ignore[misc]

    @action(description="Review", permissions=["review"], url_path="to-review")
    def review_all(self, request: HttpRequest) -> HttpResponseRedirect:
        return HttpResponseRedirect(reverse("admin:trips_document_review"))

    def has_review_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return bool(self.has_change_permission(request))  # type: ignore[attr-defined]

    def review_view(self, request: HttpRequest) -> HttpResponse:
        if not self.has_review_permission(request):
            raise PermissionDenied
        if request.method == "POST":
            return self._decide(request)
        waiting = to_review(request.user)
        after = request.GET.get("after", "")
        document = waiting.filter(pk__gt=after).first() if is_id(after) else waiting.first()
        pictures, told = pictures_of(document) if document else ([], "")
        facts = _facts(request.user, document) if document else []
        if document and document.kind == DocumentKind.PASSPORT_SCAN and document.passenger_id:
            shows, people = ["trips.passport"], [document.passenger_id]
            reading.note(request, ReadKind.REVIEW, shows=shows, people=people, what=f"document {document.pk}")
        context = {
            **self.admin_site.each_context(request),  # type: ignore[attr-defined]
            "title": "Review documents",
            "document": document,
            "count": waiting.count(),
            "pictures": pictures,
            "told": told,
            "facts": facts,
            "reasons": REASONS,
            "skip_url": f"{reverse('admin:trips_document_review')}?after={document.pk}" if document else "",
            "skipped": bool(after),
        }
        return TemplateResponse(request, "trips/admin/review.html", context)

    def _decide(self, request: HttpRequest) -> HttpResponse:
        """Decide about one and open the next; who forgot the reason has the same one before them again."""
        pk, verb = request.POST.get("document", ""), request.POST.get("verb")
        document = Document.objects.filter(pk=pk).first() if is_id(pk) else None
        if document is None or verb not in {"approve", "reject"}:
            raise Http404("This document is not here any more.")
        if not may_open(request.user, document):
            raise PermissionDenied
        here = reverse("admin:trips_document_review")
        try:
            if verb == "approve":
                documents.approve(document=document, by=request.user)
            else:
                reason = request.POST.get("other", "").strip() or request.POST.get("reason", "")
                documents.reject(document=document, reason=reason, by=request.user)
        except documents.NeedsReason as refused:
            self._tell_review(request, messages.ERROR, str(refused))
            return HttpResponseRedirect(f"{here}?after={document.pk - 1}")
        except documents.AlreadyDecided as refused:
            self._tell_review(request, messages.WARNING, f"Somebody was quicker. {refused}")
        else:
            owner = document.passenger or document.trip
            what = f"{document.get_kind_display()} of {owner}: {document.get_state_display().lower()}."
            self._tell_review(request, messages.SUCCESS, what)
        return HttpResponseRedirect(f"{here}?after={document.pk}")

    def _tell_review(self, request: HttpRequest, level: int, text: str) -> None:
        self.message_user(request, text, level)  # type: ignore[attr-defined]


def to_review(user: Any) -> QuerySet[Document]:
    """What waits for a decision and may be opened by this user, the oldest first."""
    rows = visible_to(user, Document.objects.filter(state=DocumentState.RECEIVED)).defer("remote_url").order_by("pk")
    if not may_see(user, "trips.passport"):
        rows = rows.exclude(kind=DocumentKind.PASSPORT_SCAN)
    for model in GUARDED_MODELS:
        if not may_see(user, model):
            rows = rows.exclude(shows__contains=model)
    return rows.select_related("trip", "passenger", "passenger__trip")


def _facts(user: Any, document: Document) -> list[tuple[str, str]]:
    """What was typed; a passport for who may see it, its number whole for who may change it."""
    passenger: Any = document.passenger
    if passenger is None:
        trip: Any = document.trip
        return [("Trip", str(trip)), ("Departure", day(trip.departs_on))] if user.has_perm("trips.view_trip") else []
    if not may_see(user, "trips.passenger"):
        return []
    facts = [
        ("Legal first name", passenger.legal_first_name),
        ("Legal middle name", passenger.legal_middle_name),
        ("Legal last name", passenger.legal_last_name),
        ("Date of birth", day(passenger.date_of_birth)),
        ("Trip", str(passenger.trip or "none")),
    ]
    if document.kind == DocumentKind.PASSPORT_SCAN:
        facts += _passport_facts(user, passenger)
    return [(label, text or "–") for label, text in facts]


def _passport_facts(user: Any, passenger: Passenger) -> list[tuple[str, str]]:
    passport = Passport.objects.filter(passenger=passenger).first()
    if passport is None:
        return [("Passport", "nothing typed yet")]
    passport.passenger = passenger
    until = passport.needed_until
    rule = f"{passport.validity.label}, needs {day(until)}" if until else str(passport.validity.label)
    whole = user.has_perm("trips.change_passport")
    return [
        ("Passport number", passport.number if whole else passport.masked_number),
        ("Expires", day(passport.expires_on)),
        ("Country", passport.country),
        ("Rule", rule),
    ]
