"""Archiving from a list and from a page, for rows that have `archived_at`."""

from __future__ import annotations

from typing import Any, ClassVar
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.http import HttpRequest
from unfold.decorators import action

from trips.admin.base import Elsewhere, Instead, said
from trips.admin.bulk import BulkPages
from trips.services import lifecycle
from trips.services.assigning import archiving


class ArchiveActions(BulkPages):
    """Mixin for a `StaffAdmin`; both ways need the permission to change the row."""

    actions: Any = ("archive_selected", "unarchive_selected", "delete_selected")
    instead_of_delete: ClassVar[Instead | None] = Instead(
        "archive_selected", "Archive instead", "The archive keeps everything and takes it out of the lists."
    )
    actions_submit_line = ("save_and_archive", "save_and_unarchive")

    def instead_helps(self, obj: Any) -> bool:
        return obj.archived_at is None

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        page = super().changelist_view(request, extra_context)  # type: ignore[misc]
        found = getattr(page, "context_data", {}).get("cl")
        if found is not None and found.query and not found.result_count:
            found.elsewhere = self._in_archive(request, found.query)
        return page

    def _in_archive(self, request: HttpRequest, query: str) -> Elsewhere | None:
        """What the same search finds among the archived rows, for a list that found none."""
        archived = self.get_queryset(request).filter(archived_at__isnull=False)  # type: ignore[attr-defined]
        rows, _doubles = self.get_search_results(request, archived, query)  # type: ignore[attr-defined]
        count = rows.distinct().count()
        if not count or request.GET.get("archive") in {"archived", "all"}:
            return None
        meta = self.model._meta  # type: ignore[attr-defined]
        one, many = f"archived {meta.verbose_name} matches", f"archived {meta.verbose_name_plural} match"
        return Elsewhere(said(count, one, many), f"?{urlencode({'q': query, 'archive': 'archived'})}")

    @admin.action(description="Archive", permissions=["change"])
    def archive_selected(self, request: HttpRequest, queryset: Any) -> None:
        self._archive_many(request, queryset, "archived", archived=True)

    @admin.action(description="Take out of the archive", permissions=["change"])
    def unarchive_selected(self, request: HttpRequest, queryset: Any) -> None:
        self._archive_many(request, queryset, "taken out of the archive", archived=False)

    def _archive_many(self, request: HttpRequest, queryset: Any, done: str, *, archived: bool) -> None:
        rows, more = self.bulk_rows(request, queryset)
        self.do_bulk(request, archiving(rows=rows, archived=archived), done, more)

    @action(description="Save and archive", permissions=["archive"])
    def save_and_archive(self, request: HttpRequest, obj: Any, object_id: Any) -> None:
        self._tell(request, lifecycle.archive(rows=[obj]), "archived")

    @action(description="Save and take out of the archive", permissions=["unarchive"])
    def save_and_unarchive(self, request: HttpRequest, obj: Any, object_id: Any) -> None:
        self._tell(request, lifecycle.unarchive(rows=[obj]), "taken out of the archive")

    def has_archive_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may_move(request, obj, archived=False)

    def has_unarchive_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may_move(request, obj, archived=True)

    def _may_move(self, request: HttpRequest, obj: Any, *, archived: bool) -> bool:
        pk = getattr(obj, "pk", obj)
        if not self.has_change_permission(request) or not str(pk).isdigit():  # type: ignore[attr-defined]
            return False
        rows = self.model._base_manager.filter(pk=pk)  # type: ignore[attr-defined]
        return rows.filter(archived_at__isnull=not archived).exists()

    def _tell(self, request: HttpRequest, count: int, done: str) -> None:
        meta = self.model._meta  # type: ignore[attr-defined]
        text = f"{said(count, str(meta.verbose_name), str(meta.verbose_name_plural))} {done}."
        self.message_user(request, text, messages.SUCCESS)  # type: ignore[attr-defined]
