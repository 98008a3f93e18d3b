"""What the audits found: differences that nothing was waiting to settle, each with its repair."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator, capfirst
from unfold.contrib.filters.admin import ChoicesCheckboxFilter, RadioFilter
from unfold.decorators import display

from ghl_sync import desk_facts, tasks
from ghl_sync.admin.account import account_of
from ghl_sync.admin.badges import ago
from ghl_sync.admin.buttons import only_by_button
from ghl_sync.admin.fields import label_of, may_see_value, shown
from ghl_sync.admin.filters import LinkKindFilter
from ghl_sync.admin.records import HIDDEN, ReadOnlyAdmin, record_of
from ghl_sync.admin.runs import MAY_RUN, QUEUE_DOWN, back
from ghl_sync.models import Drift, Run
from trips.admin.base import badge, said

REPAIRS = {
    Drift.What.DIFFERS: "It is fetched.",
    Drift.What.KEPT_APART: "It becomes a conflict, for a person to decide.",
    Drift.What.NOT_THERE: "It is asked for once more; if it is gone, it is marked so.",
    Drift.What.NOT_HERE: "It is fetched as a new record.",
    Drift.What.NOT_SENT: "It is sent.",
    Drift.What.NO_LINK: "It is sent as a new record.",
}


class StandingFilter(RadioFilter):
    """Only what the last audit found and nobody has repaired, unless more is asked for."""

    title = "standing"
    parameter_name = "standing"
    all_option = None

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("open", "Last audit, not repaired"), ("repaired", "Repaired"), ("all", "All that is kept")]

    def value(self) -> str:
        return super().value() or "open"

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if self.value() == "all":
            return queryset
        if self.value() == "repaired":
            return queryset.filter(repaired_at__isnull=False)
        return queryset.filter(pk__in=desk_facts.open_drifts().values("pk"))


@admin.register(Drift)
class DriftAdmin(ReadOnlyAdmin):
    list_before_template = "admin/ghl_sync/drifts_before.html"
    empty_title = "No differences"
    empty_hint = "Every night everything is compared; what differs although nothing was waiting is listed here."
    list_display = ("name", "what_shown", "field_shown", "ours", "theirs", "repair", "found")
    list_filter = (StandingFilter, ("what", ChoicesCheckboxFilter), LinkKindFilter)
    list_select_related = ("link",)
    search_fields = ("label", "remote_id", "field")
    search_help_text = "Record, field or GoHighLevel ID"
    ordering = ("pk",)
    actions = ("repair_selected",)
    fields = ("record", "what_shown", "repair", "field_shown", "ours", "theirs", "remote_id", "found_at", "repaired_at")

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).defer("link__base")

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("repair/<int:run_id>/", wrap(repair_all_view), name="ghl_sync_repair_all"),
            path("<int:drift_id>/repair/", wrap(repair_one_view), name="ghl_sync_repair_one"),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        context = {
            "may_run": self.has_repair_permission(request),
            "audit": desk_facts.last_audit(),
            "drifts": desk_facts.open_drifts().count(),
        }
        return super().changelist_view(request, {**context, **(extra_context or {})})

    def has_repair_permission(self, request: HttpRequest) -> bool:
        user: Any = request.user
        return user.has_perm(MAY_RUN)

    @admin.action(description="Repair", permissions=["repair"])
    def repair_selected(self, request: HttpRequest, queryset: Any) -> None:
        by_run: dict[int, list[int]] = {}
        for pk, run_id in queryset.filter(repaired_at__isnull=True).order_by("pk").values_list("pk", "run_id"):
            by_run.setdefault(run_id, []).append(pk)
        for run_id, ids in by_run.items():
            ask_for_repair(request, run_id, ids)
        if not by_run:
            messages.info(request, "These were repaired before; the next audit says whether it helped.")

    @display(description="record", ordering="label")
    def name(self, drift: Any) -> str:
        return f"{capfirst(drift.kind)} {drift.label or drift.object_id or drift.remote_id}"

    @display(description="record")
    def record(self, drift: Any) -> SafeString | str:
        return record_of(drift.link, drift.viewer) if drift.link is not None else self.name(drift)

    @display(description="difference", ordering="what")
    def what_shown(self, drift: Drift) -> SafeString:
        return badge(drift.get_what_display(), "doubt" if drift.repaired_at is None else "plain")

    @display(description="field", ordering="field")
    def field_shown(self, drift: Drift) -> str:
        return label_of(drift.kind, drift.field) if drift.field else ""

    @display(description="TripBuilder")
    def ours(self, drift: Any) -> str:
        return self._value(drift, drift.our_value)

    @display(description="GoHighLevel")
    def theirs(self, drift: Any) -> str:
        return self._value(drift, drift.their_value)

    def _value(self, drift: Any, text: str) -> str:
        if not drift.field:
            return ""
        if not may_see_value(drift.viewer, drift.kind, drift.field):
            return HIDDEN
        return Truncator(shown(drift.kind, drift.field, text)).chars(200) or "nothing"

    @display(description="repair")
    def repair(self, drift: Any) -> SafeString | str:
        if drift.repaired_at is not None:
            return f"Handed to the sync {ago(drift.repaired_at)}"
        does = REPAIRS[Drift.What(drift.what)]
        if not drift.viewer.has_perm(MAY_RUN):
            return does
        url = reverse("admin:ghl_sync_repair_one", args=[drift.pk])
        return format_html(
            '{} <button type="submit" form="sync-repair" formaction="{}" class="text-link">Repair</button>', does, url
        )

    @display(description="found", ordering="found_at")
    def found(self, drift: Drift) -> str:
        return ago(drift.found_at)


@only_by_button
def repair_all_view(request: HttpRequest, run_id: int) -> HttpResponse:
    """Have everything that one audit found mended."""
    user: Any = request.user
    if not user.has_perm(MAY_RUN):
        raise PermissionDenied
    if not Run.objects.filter(pk=run_id, mode=Run.Mode.AUDIT).exists():
        messages.error(request, "That audit is not kept any more. Compare everything anew.")
        return HttpResponseRedirect(reverse("admin:ghl_sync_desk"))
    ask_for_repair(request, run_id, None)
    return back(request)


@only_by_button
def repair_one_view(request: HttpRequest, drift_id: int) -> HttpResponse:
    """The button of one row."""
    user: Any = request.user
    if not user.has_perm(MAY_RUN):
        raise PermissionDenied
    drift = get_object_or_404(Drift.objects.only("pk", "run_id"), pk=drift_id)
    ask_for_repair(request, drift.run_id, [drift.pk])
    return back(request)


def ask_for_repair(request: HttpRequest, run_id: int, ids: list[int] | None) -> None:
    """Have the queue mend these finds (None: all of the run), and say what happens."""
    found = Drift.objects.filter(run=run_id, repaired_at__isnull=True)
    count = found.count() if ids is None else len(ids)
    hindrance = account_of(request).hindrance
    if not count:
        messages.info(request, "There is nothing left to repair.")
    elif hindrance:
        messages.warning(request, f"Nothing was repaired. {hindrance}")
    elif tasks.ask("repair", run_id, *([] if ids is None else [ids])):
        told = said(count, "difference is", "differences are")
        messages.success(request, f"{told} handed to the sync. Nothing is deleted; what both sides changed is asked.")
    else:
        messages.error(request, QUEUE_DOWN)
