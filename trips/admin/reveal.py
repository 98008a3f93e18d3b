"""Passport number and health on a passenger's page: out of sight until somebody says what for, which is kept.

What was revealed stays so for this sign-in and some minutes. A page that was loaded in time may still be saved later:
what was typed into it is not lost.
"""

from __future__ import annotations

import time
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from trips.enums import ReadKind, ReadReason
from trips.models import HealthRecord, Passenger, Passport
from trips.permissions import may_see
from trips.services import reading

SECONDS = 15 * 60
# By the word in the address: whose permission it takes, and what the page calls it.
REVEALED: dict[str, tuple[type[Any], str]] = {
    "passport": (Passport, "passport number"),
    "health": (HealthRecord, "health record"),
}
_KEY = "revealed"


def is_revealed(request: HttpRequest, word: str, passenger_id: int | None) -> bool:
    """Whether this sign-in has said what it needs it for. Saving a page counts on, however long it was typed into."""
    until = request.session.get(_KEY, {}).get(f"{word}:{passenger_id}", 0)
    return bool(until) and (request.method == "POST" or until > time.time())


def reveal_link(word: str, passenger_id: int, text: str) -> SafeString:
    url = reverse("admin:trips_passenger_reveal", args=[passenger_id, word])
    return format_html('<a class="text-link" href="{}">{}</a>', url, text)


class RevealPages:
    """Mixin for the passenger's page."""

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.reveal_view)  # type: ignore[attr-defined]
        here = path("<int:object_id>/reveal/<slug:word>/", view, name="trips_passenger_reveal")
        return [here, *super().get_urls()]  # type: ignore[misc]

    def reveal_view(self, request: HttpRequest, object_id: int, word: str) -> HttpResponse:
        """Asks what for; the answer is noted and leads back to the page, where it is shown now."""
        if word not in REVEALED:
            raise Http404(f"There is no {word!r} to show.")
        model, name = REVEALED[word]
        if not (self.has_view_permission(request) and may_see(request.user, model._meta.label_lower)):  # type: ignore[attr-defined]
            raise PermissionDenied
        passenger: Passenger | None = self.get_queryset(request).filter(pk=object_id).first()  # type: ignore[attr-defined]
        if passenger is None:
            raise Http404(f"There is no passenger {object_id}.")
        if request.method == "POST" and request.POST.get("reason") in ReadReason.values:
            label = model._meta.label_lower
            reading.note(request, ReadKind.RECORD, shows=[label], people=[object_id], reason=request.POST["reason"])
            _remember(request, f"{word}:{object_id}")
            page = reverse("admin:trips_passenger_change", args=[object_id])
            return HttpResponseRedirect(f"{page}#{model._meta.get_field('passenger').remote_field.related_name}")
        context = {
            **self.admin_site.each_context(request),  # type: ignore[attr-defined]
            "title": f"Show the {name} of {passenger}",
            "name": name,
            "reasons": ReadReason.choices,
            "minutes": SECONDS // 60,
            "back_url": reverse("admin:trips_passenger_change", args=[object_id]),
        }
        return TemplateResponse(request, "trips/admin/reveal.html", context)


def _remember(request: HttpRequest, what: str) -> None:
    now = time.time()
    live = {key: until for key, until in request.session.get(_KEY, {}).items() if until > now - 24 * 3600}
    request.session[_KEY] = {**live, what: int(now) + SECONDS}
