"""Batches: what bulk work did, and the button that takes it back.

Everybody sees their own; others' are for whoever may view batches and undone by whoever may change them. A row is named
only to who may view its model, and values are shown to nobody: they may be a passport's.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Exists, OuterRef, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import ChoicesCheckboxFilter
from unfold.decorators import display

from trips.admin.base import ReadOnly, badge, said
from trips.admin.scoped import ScopedRows
from trips.enums import BatchOutcome, BatchVerb
from trips.models import Batch, BatchRow
from trips.permissions import sees_every_trip
from trips.scope import visible_to
from trips.services import batches

# So many rows are told on a batch's page; what was kept comes first.
MOST_TOLD = 200
# A press of Undo takes no longer than a page may; what is left waits for the next.
UNDO_SECONDS = 15.0
_COLOURS = {"": "plain", BatchOutcome.UNDONE: "plain", BatchOutcome.PARTLY: "doubt", BatchOutcome.KEPT: "doubt"}


@dataclass(frozen=True, slots=True)
class Line:
    """One row of a batch, as its page tells it."""

    kind: str
    name: str
    url: str
    done: str
    outcome: SafeString | str
    reason: str


@admin.register(Batch)
class BatchAdmin(ReadOnly, ScopedRows, ModelAdmin):
    list_display = ("title", "kind", "by", "at", "made", "changed", "state")
    list_filter = (("kind", ChoicesCheckboxFilter),)
    list_select_related = ("by", "undone_by")
    search_fields = ("title", "by__username")
    list_per_page = 25
    list_max_show_all = 200
    show_facets = admin.ShowFacets.ALWAYS
    list_fullwidth = True
    empty_value_display = "–"
    empty_title = "No bulk work yet"
    empty_hint = "Imports and other work on many rows are listed here and can be undone."
    fields = ("title", "kind", "by", "at", "made", "changed", "state")
    readonly_fields = ("state",)
    change_form_after_template = "trips/admin/batch_rows.html"

    class Media:
        css = {"all": ("trips/staff.css", "trips/bulk.css")}
        js = ("trips/staff.js",)

    # Who may look: see the module's words.

    def get_queryset(self, request: HttpRequest) -> QuerySet[Batch]:
        kept = BatchRow.objects.filter(batch=OuterRef("pk"), outcome__in=[BatchOutcome.PARTLY, BatchOutcome.KEPT])
        rows = super().get_queryset(request).annotate(kept_any=Exists(kept))
        return rows if super().has_view_permission(request) else rows.filter(by=request.user)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        mine = request.user.is_authenticated and (obj is None or obj.by_id == request.user.pk)
        return super().has_view_permission(request, obj) or (mine and self._has_any(request))

    def _has_any(self, request: HttpRequest) -> bool:
        return Batch.objects.filter(by=request.user.pk).exists()

    def has_module_permission(self, request: HttpRequest) -> bool:
        return super().has_view_permission(request)

    def may_undo(self, request: HttpRequest, batch: Batch) -> bool:
        """Their own or anybody's, and only with the right to do to these models what is undone."""
        user: Any = request.user
        if batch.by_id != user.pk and not user.has_perm("trips.change_batch"):
            return False
        did = batch.rows.order_by().values_list("model", "verb").distinct()
        allowed = all(user.has_perm(_needed(model, verb)) for model, verb in did)
        return allowed and (sees_every_trip(user) or _all_seen(user, batch))

    # The page

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, obj: Any = None, **kw: Any) -> Any:
        standing = obj.rows.exclude(outcome=BatchOutcome.UNDONE)
        context["lines"], context["unseen"] = self._lines(request, obj)
        context["more"] = max(obj.rows.count() - MOST_TOLD, 0)
        context["undo_url"] = self._url("undo", obj) if standing.exists() and self.may_undo(request, obj) else ""
        context["undo_label"] = self._undo_label(obj)
        return super().render_change_form(request, context, *args, obj=obj, **kw)

    def _undo_label(self, batch: Batch) -> str:
        if batch.undone_at is None:
            return "Undo"
        return "Go on with the undo" if batch.rows.filter(outcome="").exists() else "Undo what was kept"

    def _lines(self, request: HttpRequest, batch: Batch) -> tuple[list[Line], int]:
        """The rows to tell, and how many of them are of models this user may not view."""
        rows = sorted(batch.rows.all()[:MOST_TOLD].defer("values"), key=lambda row: not row.reason)
        seen = [row for row in rows if request.user.has_perm(_viewing(row.model))]
        names = _names(request.user, seen)
        if not sees_every_trip(request.user):
            seen = [row for row in seen if (row.model, row.object_pk) in names]
        return [self._line(row, names.get((row.model, row.object_pk), "")) for row in seen], len(rows) - len(seen)

    def _line(self, row: BatchRow, name: str) -> Line:
        model: Any = apps.get_model(row.model)
        url = ""
        if name and self.admin_site.is_registered(model):  # a passport or a place in a room has no page of its own
            url = reverse(f"{self.admin_site.name}:trips_{model._meta.model_name}_change", args=[row.object_pk])
        outcome = badge(row.get_outcome_display(), _COLOURS[row.outcome]) if row.outcome else ""
        kind = str(model._meta.verbose_name).capitalize()
        return Line(kind, name or f"no. {row.object_pk}", url, row.get_verb_display(), outcome, row.reason)

    @display(description="state")
    def state(self, batch: Any) -> SafeString | str:
        if batch.undone_at is None:
            return ""
        text, colour = ("partly undone", "doubt") if batch.kept_any else ("undone", "plain")
        return badge(text, colour, f"by {batch.undone_by}")

    # The undo

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [path("<int:pk>/undo/", wrap(self.undo_view), name="trips_batch_undo"), *super().get_urls()]

    def _url(self, page: str, batch: Batch) -> str:
        return reverse(f"{self.admin_site.name}:trips_batch_{page}", args=[batch.pk])

    def undo_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """GET says what an undo would do, POST does it."""
        batch: Any = self.get_object(request, str(pk))
        if batch is None:
            raise Http404(f"There is no batch {pk}.")
        if not self.may_undo(request, batch):
            raise PermissionDenied
        if request.method == "POST":
            self._tell(request, batches.undo(batch=batch, by=request.user, seconds=UNDO_SECONDS))
            return HttpResponseRedirect(self._url("change", batch))
        standing = batch.rows.exclude(outcome=BatchOutcome.UNDONE).order_by()
        counts = Counter(standing.values_list("model", "verb"))
        context = {
            **self.admin_site.each_context(request),
            "title": f"Undo: {batch.title}",
            "batch": batch,
            "effects": [_effect(model, verb, count) for (model, verb), count in sorted(counts.items())],
            "back_url": self._url("change", batch),
        }
        return TemplateResponse(request, "trips/admin/batch_undo.html", context)

    def _tell(self, request: HttpRequest, result: batches.Undone) -> None:
        if result.back:
            self.message_user(request, f"{said(result.back, 'row was', 'rows were')} put back.", messages.SUCCESS)
        if result.kept:
            told = f"{said(len(result.kept), 'row', 'rows')} kept, in whole or in part; the reasons are below."
            self.message_user(request, told, messages.WARNING)
        if result.left:
            told = f"{said(result.left, 'row is', 'rows are')} left: press “Go on with the undo”."
            self.message_user(request, told, messages.WARNING)
        elif not result.back and not result.kept:
            self.message_user(request, "Everything was undone already.", messages.INFO)


def _needed(label: str, verb: str) -> str:
    """What was made is taken back by who may make it, what was changed by who may change it."""
    app, name = label.split(".")
    return f"{app}.{'add' if verb == BatchVerb.MADE else 'change'}_{name}"


def _viewing(label: str) -> str:
    app, name = label.split(".")
    return f"{app}.view_{name}"


def _all_seen(user: Any, batch: Batch) -> bool:
    """Whether what is still there of the batch's rows may be seen; somebody may have led another trip then."""
    ids: dict[str, list[int]] = {}
    for model, pk in batch.rows.order_by().values_list("model", "object_pk"):
        ids.setdefault(model, []).append(pk)
    kept: list[Any] = [apps.get_model(model)._base_manager.filter(pk__in=pks) for model, pks in ids.items()]
    return all(rows.count() == visible_to(user, rows).count() for rows in kept)


def _names(user: Any, rows: list[BatchRow]) -> dict[tuple[str, int], str]:
    """What each row that is still there and may be seen is called; one query per model."""
    ids: dict[str, list[int]] = {}
    for row in rows:
        ids.setdefault(row.model, []).append(row.object_pk)
    found = {}
    for label, pks in ids.items():
        model: Any = apps.get_model(label)
        of = ["passenger"] if any(field.name == "passenger" for field in model._meta.fields) else []
        for obj in visible_to(user, model._base_manager.filter(pk__in=pks)).select_related(*of):
            found[label, obj.pk] = str(obj.passenger if of else obj)
    return found


def _effect(label: str, verb: str, count: int) -> str:
    meta: Any = apps.get_model(label)._meta
    what = said(count, str(meta.verbose_name), str(meta.verbose_name_plural))
    if verb == BatchVerb.MADE:
        return f"{what} made by it: deleted, unless changed since or needed by something."
    return f"{what} changed by it: given the values from before, where they still hold the batch’s."
