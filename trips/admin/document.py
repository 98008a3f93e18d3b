"""Documents: list and form, and the only two addresses at which a stored file is handed out.

Whoever may see documents opens them, a passport scan only who may also see passports. Each look is a line in the log
with the account's number and the document's, never with a name. The private link is never shown.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.core.files.base import ContentFile, File
from django.db.models import QuerySet
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.defaultfilters import filesizeformat
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.http import content_disposition_header
from django.utils.safestring import SafeString
from django.views.decorators.http import require_GET
from unfold.contrib.filters.admin import ChoicesCheckboxFilter
from unfold.decorators import action, display

from trips.admin.base import StaffAdmin, day
from trips.admin.exporting import ExportPages
from trips.admin.files import (
    GUARDED,
    LOG,
    SHOWN_AS_THEY_ARE,
    may_open,
    not_as_stored,
    note_file,
    pictures_of,
    state_badge,
)
from trips.admin.review import ReviewDesk
from trips.forms import DocumentForm
from trips.models import Document
from trips.papers import preview
from trips.permissions import may_see
from trips.services.documents import NotAsStored, download_name, opened


@admin.register(Document)
class DocumentAdmin(ReviewDesk, ExportPages, StaffAdmin):
    actions_list = ("review_all", "export_rows")
    actions_detail = ("download",)
    form = DocumentForm
    empty_title = "No documents here"
    empty_hint = "Add them on the page of a passenger or trip, at Documents."
    list_display = ("kind", "trip", "passenger", "state_shown", "original_name", "created_at")
    list_filter = (("kind", ChoicesCheckboxFilter), ("state", ChoicesCheckboxFilter))
    list_select_related = ("trip", "passenger", "made_by")
    search_fields = ("original_name", "trip__name", "passenger__legal_last_name")
    autocomplete_fields = ("trip", "passenger")
    fields = ("kind", "trip", "passenger", "state", "rejection_reason", "original_name", "facts")
    readonly_fields = ("facts",)
    change_form_before_template = "trips/admin/document_preview.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).defer("remote_url")

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("<int:pk>/file/", wrap(require_GET(self.file_view)), name="trips_document_file"),
            path("<int:pk>/preview/<int:page>/", wrap(require_GET(self.preview_view)), name="trips_document_preview"),
            *super().get_urls(),
        ]

    def render_change_form(
        self,
        request: HttpRequest,
        context: Any,
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Any = None,
    ) -> HttpResponse:
        if obj is not None:
            allowed = may_open(request.user, obj)
            context["pictures"], context["told"] = pictures_of(obj) if allowed else ([], "")
        return super().render_change_form(request, context, add, change, form_url, obj)

    @display(description="state", ordering="state")
    def state_shown(self, document: Document) -> SafeString:
        return state_badge(document)

    @display(description="file")
    def facts(self, document: Document) -> str | SafeString:
        if document.paper_version:
            return format_html("{}, {}", _made(document), self._measured(document))
        if not document.file:
            return "No file here" if document.pk else "Files are added on the page of a passenger or trip."
        return self._measured(document)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Whose paper it is and of which kind is printed on what was made here."""
        fixed = ("kind", "trip", "passenger") if obj is not None and obj.paper_version else ()
        return (*super().get_readonly_fields(request, obj), *fixed)

    def _measured(self, document: Document) -> SafeString:
        return format_html(
            "{}, {} <span class='doc-hash'>SHA-256 {}</span>",
            document.content_type,
            filesizeformat(document.size or 0),
            document.sha256,
        )

    @action(description="Download", permissions=["download"])
    def download(self, request: HttpRequest, object_id: int) -> HttpResponseRedirect:
        return HttpResponseRedirect(reverse("admin:trips_document_file", args=[object_id]))

    def has_download_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        document = Document.objects.filter(pk=object_id).exclude(file="").first() if object_id else None
        return document is not None and may_open(request.user, document)

    # The files

    def file_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The file as it came, to be saved."""
        document = self._opened(request, pk)
        try:
            file = opened(document)
        except NotAsStored as told:
            return not_as_stored(request, document, told)
        note_file(request, [document])
        return _sent(file, document.content_type, _disposition(True, download_name(document)))

    def preview_view(self, request: HttpRequest, pk: int, page: int) -> HttpResponse:
        """A picture as it is, or page `page` of a PDF as a picture."""
        document = self._opened(request, pk)
        if document.content_type not in (*SHOWN_AS_THEY_ARE, "application/pdf"):
            raise Http404(f"Document {pk} cannot be shown; download it.")
        try:
            file = opened(document)
        except NotAsStored as told:
            return not_as_stored(request, document, told)
        if page <= 1:  # the others of a PDF follow by themselves
            note_file(request, [document])
        disposition = _disposition(False, f"document-{pk}")
        if document.content_type in SHOWN_AS_THEY_ARE:
            return _sent(file, document.content_type, disposition)
        with file:
            try:
                picture = ContentFile(preview.picture(file, page))
            except (preview.Unreadable, IndexError):
                raise Http404(f"Document {pk} has no page {page} that can be shown.") from None
        return _sent(picture, preview.PICTURE_TYPE, disposition)

    def _opened(self, request: HttpRequest, pk: int) -> Document:
        """The document, for whoever may open it, and a line in the log either way."""
        document = Document.objects.filter(pk=pk).defer("remote_url").first()
        allowed = may_open(request.user, document) if document else may_see(request.user, "trips.document")
        if not allowed:
            LOG.warning("user %s was refused document %s", request.user.pk, pk)
            raise PermissionDenied
        if document is None or not document.file:
            raise Http404(f"There is no file of a document {pk}.")
        return document


def _made(document: Document) -> str:
    by = f" by {document.made_by}" if document.made_by else ""
    when = day(timezone.localdate(document.created_at))
    return f"Made here{by}, {when}: version {document.paper_version}, wording no. {document.template_version}"


def _sent(file: File, content_type: str, disposition: str) -> Any:
    """The file piece by piece, guarded; the answer closes it."""
    answer = FileResponse(file, content_type=content_type or "application/octet-stream")
    for name, value in {**GUARDED, "Content-Disposition": disposition}.items():
        answer[name] = value
    return answer


def _disposition(as_attachment: bool, name: str) -> str:
    return content_disposition_header(as_attachment, name) or "attachment"
