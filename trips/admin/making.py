"""Making papers for one passenger, on the page of their documents: what can be final, what keeps it from that, drafts.

A mixin before `FilingPages`. Making takes the permission to add documents and to see what the paper shows.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_GET, require_POST

from trips.admin.base import said
from trips.admin.files import GUARDED
from trips.enums import ReadKind
from trips.models import Document, PaperRun, Passenger
from trips.papers import wording
from trips.papers.fields import passengers_for_papers
from trips.permissions import may_see
from trips.services import papers, reading
from trips.services.plans import MOST_ROWS


@dataclass(frozen=True, slots=True)
class Line:
    """One kind of paper on the page: why it cannot be final, the newest version, and where it is made or looked at."""

    label: str
    blocked: str
    newest: Document | None
    make_url: str
    draft_url: str


class MakingPages:
    """Mixin for a passenger's pages and their list."""

    @admin.action(description="Make papers…", permissions=["make_papers"])
    def papers_selected(self, request: HttpRequest, queryset: QuerySet[Passenger]) -> HttpResponse:
        ids = list(queryset.values_list("pk", flat=True)[: MOST_ROWS + 1])
        runs: Any = self.admin_site.get_model_admin(PaperRun)  # type: ignore[attr-defined]
        return runs.ask_page(request, ids, f"Papers of {said(len(ids), 'passenger', 'passengers')}")

    def has_make_papers_permission(self, request: HttpRequest) -> bool:
        user: Any = request.user
        return bool(user.has_perm("trips.add_document"))

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view  # type: ignore[attr-defined]
        here = "<int:object_id>/papers/<slug:kind>/"
        return [
            path(f"{here}make/", wrap(require_POST(self.make_view)), name="trips_passenger_make_paper"),
            path(f"{here}draft/", wrap(require_GET(self.draft_view)), name="trips_passenger_draft_paper"),
            *super().get_urls(),  # type: ignore[misc]
        ]

    def filing_extras(self, request: HttpRequest, owner: Any) -> dict[str, Any]:
        extras: dict[str, Any] = super().filing_extras(request, owner)  # type: ignore[misc]
        user: Any = request.user
        passenger = passengers_for_papers([owner.pk]).get()
        rows = owner.documents.filter(paper_version__isnull=False).defer("remote_url").order_by("paper_version")
        newest = {one.kind: one for one in rows}
        lines = []
        for template in papers.templates():
            prepared = papers.prepare(template=template, passenger=passenger, may=partial(may_see, user))
            urls = [self._paper_url(verb, owner.pk, template.kind) for verb in ("make", "draft")]
            lines.append(Line(prepared.label, prepared.blocked, newest.get(template.kind), *urls))
        return {**extras, "papers": lines}

    def make_view(self, request: HttpRequest, object_id: int, kind: str) -> HttpResponse:
        """One final paper, at once; what keeps it from being final is told."""
        user: Any = request.user
        if not user.has_perm("trips.add_document"):
            raise PermissionDenied
        prepared = self._prepared(request, object_id, kind)
        try:
            document = papers.finalise(prepared=prepared, by=user)
        except papers.NotFinal as refused:
            self._tell_filing(request, messages.ERROR, f"{prepared.label}: {refused}")  # type: ignore[attr-defined]
        else:
            told = f"{prepared.label}: version {document.paper_version} is made, to be reviewed."
            self._tell_filing(request, messages.SUCCESS, told)  # type: ignore[attr-defined]
        return HttpResponseRedirect(self._filing_url(object_id))  # type: ignore[attr-defined]

    def draft_view(self, request: HttpRequest, object_id: int, kind: str) -> HttpResponse:
        """The paper as it would be now, marked as a draft; what is missing is printed as missing."""
        prepared = self._prepared(request, object_id, kind)
        _paper, content = papers.draft(
            template=prepared.template, passenger=prepared.passenger, may=partial(may_see, request.user)
        )
        template = prepared.template
        shows = wording.needed_for(template.title, template.body)
        reading.note(request, ReadKind.FILE, shows=shows, people=[object_id], what=f"{prepared.label}, a draft")
        answer = HttpResponse(content, content_type="application/pdf")
        answer["Content-Disposition"] = content_disposition_header(True, f"draft-{kind}-{object_id}.pdf") or ""
        for name, value in GUARDED.items():
            answer[name] = value
        return answer

    def _prepared(self, request: HttpRequest, object_id: int, kind: str) -> papers.Prepared:
        owner: Passenger = self._filed_owner(request, object_id)  # type: ignore[attr-defined]
        template = next((one for one in papers.templates() if one.kind == kind), None)
        if template is None:
            raise Http404(f"There is no paper of the kind {kind!r}.")
        passenger = passengers_for_papers([owner.pk]).get()
        return papers.prepare(template=template, passenger=passenger, may=partial(may_see, request.user))

    def _paper_url(self, verb: str, object_id: int, kind: str) -> str:
        return reverse(f"admin:trips_passenger_{verb}_paper", args=[object_id, kind])
