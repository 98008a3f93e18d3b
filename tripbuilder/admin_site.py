"""The staff's site: Unfold's look, our index, and choices that say more than a name."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import messages
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.autocomplete import AutocompleteJsonView
from django.http import Http404, HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from unfold.sites import UnfoldAdminSite

from trips.text import is_id

TEXT_KEYS = "django_q_"  # the queue numbers its tasks by text


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

    def admin_view(self, view: Callable[..., Any], cacheable: bool = False) -> Callable[..., Any]:
        """Django's, less two ways in which a mistyped address was an error of ours: a record's number that is none, and
        a filter that a page does not have where it is no list (an export)."""

        @wraps(view)
        def sound(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            key, name = kwargs.get("object_id"), (request.resolver_match and request.resolver_match.url_name) or ""
            if isinstance(key, str) and not is_id(key) and not name.startswith(TEXT_KEYS):
                raise Http404("No record has this number.")
            try:
                answer: HttpResponseBase = view(request, *args, **kwargs)
            except IncorrectLookupParameters:
                messages.error(request, "The address names a filter that this page does not have; it was left out.")
                return HttpResponseRedirect(request.path)
            return answer

        return super().admin_view(sound, cacheable)

    def autocomplete_view(self, request: HttpRequest) -> HttpResponseBase:
        return ChoiceView.as_view(admin_site=self)(request)
