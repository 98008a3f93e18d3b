"""Pulls and audits: what runs now and how far it is, what ran before; starting one and cancelling it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, HttpResponseRedirect, JsonResponse
from django.shortcuts import get_object_or_404
from django.template.loader import render_to_string
from django.urls import URLPattern, path, reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.safestring import SafeString
from django.views.decorators.http import require_GET
from unfold.contrib.filters.admin import ChoicesCheckboxFilter
from unfold.decorators import display

from ghl_sync import desk_facts, tasks
from ghl_sync.admin.account import account_of
from ghl_sync.admin.badges import ago
from ghl_sync.admin.buttons import only_by_button
from ghl_sync.admin.records import ReadOnlyAdmin, table
from ghl_sync.engine import resolve
from ghl_sync.models import Drift, Run
from trips.accounts import name_of
from trips.admin.base import badge, said

MAY_RUN = "ghl_sync.change_run"
KINDS = ("trips", "passengers", "contacts")
# So many seconds after somebody asked for a run, their pages look for it at the quick pace.
EXPECTED_SECONDS = 60
_ASKED_AT = "ghl_run_asked_at"
COUNTS = ("seen", "created", "updated", "unchanged", "issues", "failed", "gone", "linked", "unlinked")
AUDIT_COUNTS = ("seen", "waiting", "drifts")
COUNTED = {"drifts": "differences"}


@dataclass(frozen=True, slots=True)
class Start:
    """A button: the task it asks for, its words, and what is said once it was asked for."""

    task: str
    mode: str
    label: str
    hint: str


STARTS = (
    Start("pull_changes", Run.Mode.INCREMENTAL, "Fetch changes now", "What changed since the last time."),
    Start("pull_everything", Run.Mode.FULL, "Fetch everything now", "Every record; shows what was deleted there."),
    Start("compare_everything", Run.Mode.AUDIT, "Compare everything", "Finds differences and changes nothing."),
)


@dataclass(frozen=True, slots=True)
class Line:
    """A run under way, as its line shows it; `percent` is None where nobody knows how much there is."""

    run: Run
    title: str
    percent: int | None
    told: str
    cancel_url: str
    cancelled: str


def lines(user: Any, runs: list[Run], records: Any) -> list[Line]:
    progress = desk_facts.progress_of(runs, records) if runs else {}
    return [_line(user, run, progress[run.pk]) for run in runs]


def _line(user: Any, run: Run, progress: desk_facts.Progress) -> Line:
    by = f" by {name_of(run.started_by)}" if run.started_by is not None else ""
    of = f" of about {progress.total:,}" if progress.total else ""
    calls = run.report.get("calls")
    told = f"{progress.done:,}{of} records read" + (f", {said(calls, 'call', 'calls')}" if calls else "")
    asked = ""
    if run.cancel_asked_at is not None:
        who = f" by {name_of(run.cancel_asked_by)}" if run.cancel_asked_by is not None else ""
        asked = f"Cancelled{who}; it ends after the page at hand."
    may = user.has_perm(MAY_RUN) and run.cancel_asked_at is None
    return Line(
        run,
        f"{run.get_mode_display()}{'' if run.mode == Run.Mode.AUDIT else ' pull'}, started {ago(run.started_at)}{by}",
        progress.percent,
        told + (f". It broke off: {run.error}" if run.error else ""),
        reverse("admin:ghl_sync_run_cancel", args=[run.pk]) if may else "",
        asked,
    )


def is_expected(request: HttpRequest) -> bool:
    """Whether this person has just asked for a run, which the queue may not have begun yet."""
    asked_at: float = request.session.get(_ASKED_AT, 0.0)
    return 0 <= time.time() - asked_at < EXPECTED_SECONDS


def starts_for(user: Any) -> tuple[Start, ...]:
    return STARTS if user.has_perm(MAY_RUN) else ()


@only_by_button
def start_view(request: HttpRequest) -> HttpResponse:
    """`task` is one of `STARTS`; leads back to the page the button was on."""
    user: Any = request.user
    if not user.has_perm(MAY_RUN):
        raise PermissionDenied
    start = next((one for one in STARTS if one.task == request.POST.get("task")), None)
    if start is None:
        return HttpResponseBadRequest("There is no such task.")
    account = account_of(request)
    hindrance = account.pause_words("fetching") if account.configured and not account.paused else account.hindrance
    if hindrance:
        messages.warning(request, f"Nothing was started. {hindrance}")
    elif Run.objects.filter(mode=start.mode, finished_at__isnull=True, error="").exists():
        messages.info(request, "That is under way already; its progress is shown here.")
    elif tasks.ask(start.task, user.pk):
        request.session[_ASKED_AT] = time.time()
        messages.success(request, f"Asked for: {start.label.lower()}. It begins as soon as the queue has a free hand.")
    else:
        messages.error(request, QUEUE_DOWN)
    return back(request)


QUEUE_DOWN = "The queue does not answer, so nothing was started. Try again in a minute, or have it restarted."


@only_by_button
def cancel_view(request: HttpRequest, run_id: int) -> HttpResponse:
    user: Any = request.user
    if not user.has_perm(MAY_RUN):
        raise PermissionDenied
    run = get_object_or_404(Run, pk=run_id)
    if resolve.cancel(run, user):
        messages.success(request, f"{run} ends after the page at hand. What came in by then stays.")
    else:
        messages.info(request, f"{run} has ended already, or was cancelled before.")
    return back(request)


def back(request: HttpRequest) -> HttpResponse:
    here = request.POST.get("next", "")
    if url_has_allowed_host_and_scheme(here, allowed_hosts={request.get_host()}, require_https=request.is_secure()):
        return HttpResponseRedirect(here)
    return HttpResponseRedirect(reverse("admin:ghl_sync_desk"))


@admin.register(Run)
class RunAdmin(ReadOnlyAdmin):
    empty_title = "Nothing was fetched yet"
    empty_hint = "GoHighLevel is read every five minutes, and in full every night; then everything is compared."
    list_before_template = "admin/ghl_sync/runs_before.html"
    list_display = ("run", "started", "by", "took", "outcome", "summary")
    list_filter = (("mode", ChoicesCheckboxFilter), "ok")
    list_select_related = ("started_by", "cancel_asked_by")
    search_fields = ("error",)
    search_help_text = "Error"
    ordering = ("-pk",)
    fields = ("run", "outcome", "started_at", "by", "finished_at", "took", "since", "calls", "counts", "found", "error")

    class Media:
        js = ("ghl_sync/sync.js",)

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("start/", wrap(start_view), name="ghl_sync_run_start"),
            path("state/", wrap(require_GET(self.state_view)), name="ghl_sync_run_state"),
            path("<int:run_id>/cancel/", wrap(cancel_view), name="ghl_sync_run_cancel"),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return super().changelist_view(request, {**running_context(request), **(extra_context or {})})

    def state_view(self, request: HttpRequest) -> HttpResponse:
        """The part of the list that shows what is under way."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        context = running_context(request)
        part = render_to_string("admin/ghl_sync/part_runs.html", context)
        return JsonResponse({"resting": context["resting"], "parts": {"runs": part}})

    @display(description="run", ordering="pk")
    def run(self, run: Run) -> str:
        return str(run)

    @display(description="started", ordering="started_at")
    def started(self, run: Run) -> str:
        return ago(run.started_at)

    @display(description="by")
    def by(self, run: Run) -> str:
        return name_of(run.started_by) or "schedule or command"

    @display(description="took")
    def took(self, run: Run) -> str:
        seconds = float(run.report.get("seconds") or 0)
        return f"{seconds:.1f} s" if seconds < 120 else f"{seconds / 60:.0f} min"

    @display(description="outcome")
    def outcome(self, run: Run) -> SafeString:
        if run.finished_at is None:
            return badge("Broke off, goes on", "doubt") if run.error else badge("Under way", "plain")
        if run.cancel_asked_at is not None and not run.ok:
            who = f" by {name_of(run.cancel_asked_by)}" if run.cancel_asked_by is not None else ""
            return badge(f"Cancelled{who}", "plain")
        return badge("Done", "good") if run.ok else badge("Ended with failures", "bad")

    @display(description="found")
    def summary(self, run: Run) -> str:
        told = "; ".join(filter(None, (_summary(name, run.report.get(name)) for name in KINDS)))
        told = told or ("nothing yet" if run.finished_at is None else "nothing new")
        found = sum((run.report.get("found") or {}).values())
        if run.mode != Run.Mode.AUDIT or run.finished_at is None:
            return told
        return f"{told}: {said(found, 'difference', 'differences') if found else 'no difference'}"

    @display(description="calls")
    def calls(self, run: Run) -> int | None:
        return run.report.get("calls")

    @display(description="counts")
    def counts(self, run: Run) -> SafeString | str:
        names = AUDIT_COUNTS if run.mode == Run.Mode.AUDIT else COUNTS
        rows = ((kind.capitalize(), *(_number(run, kind, name) for name in names)) for kind in KINDS)
        return table(("", *(COUNTED.get(name, name).capitalize() for name in names)), rows)

    @display(description="differences")
    def found(self, run: Run) -> SafeString | str:
        found = run.report.get("found") or {}
        rows = ((Drift.What(what).label, count) for what, count in found.items() if count and what in Drift.What.values)
        return table(("What", "How many"), rows)


def running_context(request: HttpRequest) -> dict[str, Any]:
    """What is under way, for the runs' page."""
    running = list(
        Run.objects.filter(finished_at__isnull=True).select_related("started_by", "cancel_asked_by").order_by("pk")
    )
    records = desk_facts.records_by_kind() if running else {}
    return {
        "lines": lines(request.user, running, records),
        "resting": not running and not is_expected(request),
        "starts": starts_for(request.user),
        "runs_url": reverse("admin:ghl_sync_run_state"),
    }


def _summary(name: str, counts: dict[str, int] | None) -> str:
    """ "12 trips (3 new, 1 failed)"."""
    if not counts or not counts.get("seen"):
        return ""
    words = {"created": "new", "updated": "changed", "failed": "failed", "gone": "gone", "issues": "with problems"}
    told = ", ".join(f"{counts[key]} {word}" for key, word in words.items() if counts.get(key))
    return f"{said(counts['seen'], name[:-1], name)}" + (f" ({told})" if told else "")


def _number(run: Run, kind: str, name: str) -> Any:
    return run.report.get(kind, {}).get(name, "")
