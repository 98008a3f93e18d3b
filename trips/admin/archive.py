"""Archiving from a list and from a page, for rows that have `archived_at`."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin, messages
from django.http import HttpRequest
from unfold.decorators import action

from trips.admin.base import Instead, said
from trips.services import lifecycle


class ArchiveActions:
    """Mixin for a `StaffAdmin`; both ways need the permission to change the row."""

    actions: Any = ("archive_selected", "unarchive_selected", "delete_selected")
    instead_of_delete: ClassVar[Instead | None] = Instead(
        "archive_selected", "Archive instead", "The archive keeps everything and takes it out of the lists."
    )
    actions_submit_line = ("save_and_archive", "save_and_unarchive")

    def instead_helps(self, obj: Any) -> bool:
        return obj.archived_at is None

    @admin.action(description="Archive", permissions=["change"])
    def archive_selected(self, request: HttpRequest, queryset: Any) -> None:
        self._tell(request, lifecycle.archive(rows=queryset), "archived")

    @admin.action(description="Take out of the archive", permissions=["change"])
    def unarchive_selected(self, request: HttpRequest, queryset: Any) -> None:
        self._tell(request, lifecycle.unarchive(rows=queryset), "taken out of the archive")

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
