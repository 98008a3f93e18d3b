"""The staff's site: Unfold's look, our index, and choices that say more than a name."""

from __future__ import annotations

from typing import Any

from django.contrib.admin.views.autocomplete import AutocompleteJsonView
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from unfold.sites import UnfoldAdminSite


class ChoiceView(AutocompleteJsonView):
    """What a choice offers while one types, in the words of the page of its rows where that has a `choice_text`."""

    def serialize_result(self, obj: Any, to_field_name: str) -> dict[str, str]:
        result: dict[str, str] = super().serialize_result(obj, to_field_name)
        words = getattr(self.model_admin, "choice_text", None)
        return result if words is None else {**result, "text": words(obj)}


class TripBuilderAdminSite(UnfoldAdminSite):
    """Its index is the home page: what to do today."""

    index_title = "Today"
    index_template = "admin/home.html"

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        from tripbuilder import dashboard  # noqa: PLC0415 - it imports models, which load after this module

        return super().index(request, {**dashboard.context_for(request), **(extra_context or {})})

    def autocomplete_view(self, request: HttpRequest) -> HttpResponseBase:
        return ChoiceView.as_view(admin_site=self)(request)
