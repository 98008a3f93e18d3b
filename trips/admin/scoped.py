"""What a page of rows leaves out for who does not see every trip: see `trips.scope`."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest

from trips.permissions import sees_every_trip
from trips.scope import is_visible, visible_to
from trips.text import is_id


class ScopedChoices:
    """Mixin for pages and their parts: a choice offers and takes only rows that the user may see."""

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        return _narrowed(request, super().formfield_for_foreignkey(db_field, request, **kwargs))  # type: ignore[misc]

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        return _narrowed(request, super().formfield_for_manytomany(db_field, request, **kwargs))  # type: ignore[misc]


class ScopedRows(ScopedChoices):
    """Mixin for the page of a model: lists, searches, choices and actions get the visible rows; a hidden one is 403."""

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request)  # type: ignore[misc]
        return visible_to(request.user, rows)

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """Raises PermissionDenied for a row that this user may not see.

        To who does not see every trip it is all the same whether the row is there.
        """
        obj = super().get_object(request, object_id, from_field)  # type: ignore[misc]
        if obj is None and (not sees_every_trip(request.user) or self._is_there(object_id)):
            raise PermissionDenied
        return obj

    def _is_there(self, object_id: str) -> bool:
        return is_id(object_id) and self.model._base_manager.filter(pk=object_id).exists()  # type: ignore[attr-defined]

    # Histories show rows that no list has any more; each asks for the permission on the row.

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(super().has_view_permission(request, obj)) and self._reaches(request, obj)  # type: ignore[misc]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(super().has_change_permission(request, obj)) and self._reaches(request, obj)  # type: ignore[misc]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(super().has_delete_permission(request, obj)) and self._reaches(request, obj)  # type: ignore[misc]

    def _reaches(self, request: HttpRequest, obj: Any) -> bool:
        if not isinstance(obj, self.model) or sees_every_trip(request.user):  # type: ignore[attr-defined]
            return True
        known: dict[Any, bool] = request.__dict__.setdefault("_rows_reached", {})
        key = (self.model, obj.pk)  # type: ignore[attr-defined]
        if key not in known:
            known[key] = is_visible(request.user, obj)
        return known[key]


def _narrowed(request: HttpRequest, field: Any) -> Any:
    if field is not None:
        field.queryset = visible_to(request.user, field.queryset)
    return field
