"""Going back to what a record was before a change: its form, filled with the values of then, to be looked at and saved.

Weighed against writing the old version at once: so every rule, permission and service of the form decides about it,
what somebody changed since is seen, and the save is an edit like any other, with its own line in the history.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.http import HttpRequest

from trips.forms import RenderedValues
from trips.scope import visible_to
from trips.text import is_id

ASKED = "put_back"


class PutBack:
    """Mixin for a page whose `form` keeps what it was rendered with and whose model has a history."""

    object_history_list_template = "trips/admin/history_list.html"

    def history_view(self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None) -> Any:
        may = self.has_change_permission(request)  # type: ignore[attr-defined]
        return super().history_view(request, object_id, {"may_put_back": may, **(extra_context or {})})  # type: ignore[misc]

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change, **kwargs)  # type: ignore[misc]
        asked = request.GET.get(ASKED, "")
        if not asked or obj is None or request.method != "GET" or not issubclass(form, RenderedValues):
            return form
        earlier = _before(request.user, obj, asked)
        names = [name for name in form.base_fields if name in earlier]
        return type(form.__name__, (form,), {"earlier": {name: earlier[name] for name in names}})

    def render_change_form(
        self,
        request: HttpRequest,
        context: Any,
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Any = None,
    ) -> Any:
        if request.method == "GET" and ASKED in request.GET and obj is not None:
            self._tell_earlier(request, context["adminform"].form)
        return super().render_change_form(request, context, add, change, form_url, obj)  # type: ignore[misc]

    def _tell_earlier(self, request: HttpRequest, form: Any) -> None:
        earlier = getattr(form, "earlier", {})
        labels = [str(form.fields[name].label or name) for name in earlier]
        if labels:
            text = f"Not saved yet. These show what they were before: {', '.join(labels)}. Look at them, then save."
            self.message_user(request, text, messages.WARNING)  # type: ignore[attr-defined]
        else:
            text = "There is nothing to put back: this version changed no field that you may edit here."
            self.message_user(request, text, messages.INFO)  # type: ignore[attr-defined]


def _before(user: Any, obj: Any, history_id: str) -> Mapping[str, Any]:
    """What the version `history_id` of `obj` changed, by field, with the values that were there before it."""
    versions: Any = type(obj).history.filter(**{obj._meta.pk.attname: obj.pk})
    version: Any = versions.filter(history_id=history_id).first() if is_id(history_id) else None
    older = version.prev_record if version else None
    if older is None:
        return {}
    found = {}
    for change in version.diff_against(older).changes:
        field = obj._meta.get_field(change.field)
        if field.related_model is None or _may_name(user, field.related_model, change.old):
            found[field.name] = change.old
    return found


def _may_name(user: Any, model: Any, pk: Any) -> bool:
    """Whether the row is still there, and this user's to see."""
    return pk is None or visible_to(user, model._base_manager.filter(pk=pk)).exists()
