"""Export of a list: what its filters show, the columns one chooses, as CSV or Excel."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from unfold.decorators import action

from trips.admin.base import said
from trips.enums import ReadKind
from trips.models import Passenger
from trips.resources import RESOURCES, RowResource
from trips.resources.files import write_csv, write_xlsx
from trips.services import reading

FORMATS = {"xlsx": "Excel (XLSX)", "csv": "CSV"}
_TYPES = {"xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "csv": "text/csv; charset=utf-8"}


class ExportPages:
    """Mixin for a `StaffAdmin` whose model has a resource. Whoever may view the model may export it."""

    def get_urls(self) -> list[URLPattern]:
        name = f"trips_{self.opts.model_name}_export"  # type: ignore[attr-defined]
        view = self.admin_site.admin_view(self.export_view)  # type: ignore[attr-defined]
        return [path("export/", view, name=name), *super().get_urls()]  # type: ignore[misc]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        page = super().changelist_view(request, extra_context)  # type: ignore[misc]
        query = request.GET.urlencode()
        for entry in getattr(page, "context_data", {}).get("actions_list", ()) if query else ():
            entry["path"] = f"{entry['path']}?{query}"  # Unfold's buttons forget the filters
        return page

    @action(description="Export", permissions=["export"], url_path="to-export")
    def export_rows(self, request: HttpRequest) -> HttpResponseRedirect:
        url = reverse(f"{self.admin_site.name}:trips_{self.opts.model_name}_export")  # type: ignore[attr-defined]
        return HttpResponseRedirect(f"{url}?{request.GET.urlencode()}")

    def has_export_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return self.has_view_permission(request)  # type: ignore[attr-defined]

    def export_view(self, request: HttpRequest) -> HttpResponse:
        """GET asks for columns and format, POST answers with the file; the address carries the list's filters."""
        if not self.has_export_permission(request):
            raise PermissionDenied
        resource = RESOURCES[self.model](user=request.user, importing=False)  # type: ignore[attr-defined]
        rows = self.get_changelist_instance(request).get_queryset(request)  # type: ignore[attr-defined]
        chosen = [name for name in resource.fields if name in request.POST.getlist("column")]
        kind = request.POST.get("format", "xlsx")
        if request.method == "POST" and chosen and kind in FORMATS:
            self._note_export(request, rows, {resource.fields[name].part for name in chosen}, kind)
            return self._file(resource, rows, chosen, kind)
        if request.method == "POST":
            self.message_user(request, "Choose at least one column.", messages.ERROR)  # type: ignore[attr-defined]
        meta = self.opts  # type: ignore[attr-defined]
        context = {
            **self.admin_site.each_context(request),  # type: ignore[attr-defined]
            "title": f"Export {meta.verbose_name_plural}",
            "count": said(rows.count(), str(meta.verbose_name), str(meta.verbose_name_plural)),
            "columns": [(name, column.label, not column.part) for name, column in resource.fields.items()],
            "formats": FORMATS,
            "list_url": f"{reverse(f'{self.admin_site.name}:trips_{meta.model_name}_changelist')}"  # type: ignore[attr-defined]
            f"?{request.GET.urlencode()}",
        }
        return TemplateResponse(request, "trips/admin/export.html", context)

    def _note_export(self, request: HttpRequest, rows: Any, parts: set[str], kind: str) -> None:
        """In the read log: all of these rows leave the house now, with those parts of passengers."""
        meta = self.opts  # type: ignore[attr-defined]
        ids = list(rows.order_by().values_list("pk", flat=True)) if meta.model is Passenger else []
        told = said(len(ids) if ids else rows.count(), str(meta.verbose_name), str(meta.verbose_name_plural))
        shows = [f"trips.{part}" for part in parts if part]
        reading.note(request, ReadKind.EXPORT, shows=shows, people=ids, what=f"{told} as {kind}")

    def _file(self, resource: RowResource, rows: Any, chosen: list[str], kind: str) -> HttpResponse:
        native = kind == "xlsx"
        data = resource.export(rows, export_fields=chosen, force_native_type=native)
        table: Any = data.headers or []
        content = write_xlsx(table, iter(data)) if native else write_csv(table, iter(data))
        answer = HttpResponse(content, content_type=_TYPES[kind])
        name = f"{self.opts.model_name}s-{timezone.localdate().isoformat()}.{kind}"  # type: ignore[attr-defined]
        answer["Content-Disposition"] = f'attachment; filename="{name}"'
        return answer
