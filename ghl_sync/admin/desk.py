"""The sync desk: one page that says how both sides stand, where each number is a list with its repairs."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import formats, timezone
from django.views.decorators.http import require_GET

from ghl_sync import desk_facts
from ghl_sync.admin import approvals, deleting, doubles
from ghl_sync.admin.account import Account, account_of, list_context
from ghl_sync.admin.badges import ago
from ghl_sync.admin.runs import MAY_RUN, is_expected, lines, starts_for
from ghl_sync.desk_facts import Counts, Machinery
from ghl_sync.models import Issue, Run, State
from trips.accounts import name_of
from trips.admin.base import badge, said
from trips.admin.charts import Chart, Series, chart

MAY_LOOK = "ghl_sync.view_link"
# A heartbeat older than this is a stopped heart.
SILENT = dt.timedelta(minutes=3)
PARTS = ("account", "numbers", "runs", "machinery")
ASKING = "Waits for a person"


@dataclass(frozen=True, slots=True)
class Number:
    """A count that leads to the list of what it counts. `trouble` colours it while it is not 0."""

    label: str
    count: int
    url: str
    hint: str
    trouble: bool = False
    permission: str = MAY_LOOK

    @property
    def css(self) -> str:
        return "sync-number-trouble" if self.trouble and self.count else ""


@dataclass(frozen=True, slots=True)
class Fact:
    """A line of the machinery: what, how it stands, and whether that is as it should be."""

    label: str
    text: str
    bad: bool = False
    url: str = ""


def numbers(user: Any, counts: Counts) -> list[tuple[str, list[Number]]]:
    """What moves by itself, what waits for a person, what is wrong, what rests; only lists that this user may open."""
    groups = [
        ("On its way", [*_moving(counts), *_deletes(user, counts)]),
        (ASKING, _asking(user, counts)),
        ("Problems", _issues(counts)),
        ("At rest", _resting(counts)),
    ]
    found = [(title, [row for row in rows if user.has_perm(row.permission)]) for title, rows in groups]
    return [(title, rows) for title, rows in found if rows]


def asking(user: Any) -> int:
    """How much of the sync waits for a person, of what this user may see; 0 for whoever may not open the desk."""
    if not user.has_perm(MAY_LOOK):
        return 0
    rows = _asking(user, desk_facts.Counts())
    return sum(row.count for row in rows if user.has_perm(row.permission))


def _links(state: State) -> str:
    return f"{reverse('admin:ghl_sync_link_changelist')}?{urlencode({'state': state})}"


def _by_state(counts: Counts, state: State, label: str, hint: str) -> Number:
    return Number(label, counts.states[state], _links(state), hint)


def _troubled(counts: Counts, state: State, label: str, hint: str) -> Number:
    return Number(label, counts.troubled[state], _links(state), hint, trouble=True)


def _moving(counts: Counts) -> list[Number]:
    return [
        _by_state(counts, State.WAITING, "Waiting", "Saved here and on its way by itself."),
        _by_state(counts, State.WORKING, "Working", "Being compared or sent this moment."),
        _by_state(counts, State.RETRYING, "Retrying", "GoHighLevel did not answer; it is tried again by itself."),
    ]


def _deletes(user: Any, counts: Counts) -> list[Number]:
    hint = "Deleted here; GoHighLevel's opportunity follows, and until then it can be undone."
    kinds = deleting.seen_kinds(user)
    count = sum(counts.deletes.get(kind, 0) for kind in kinds)
    return [Number("Deletes not sent yet", count, reverse("admin:ghl_sync_deleted"), hint)] if kinds else []


def _doubles(user: Any, counts: Counts) -> list[Number]:
    hint = "Second records with our key, look-alikes, and what came back; you say which it is."
    kinds = doubles.seen_kinds(user)
    count = sum(counts.doubles.get(kind, 0) for kind in kinds)
    return [Number("Doubles", count, reverse("admin:ghl_sync_doubles"), hint, trouble=True)] if kinds else []


def _approvals(user: Any, counts: Counts) -> list[Number]:
    hint = "So much would be emptied or deleted that it waits for a person."
    url = reverse("admin:ghl_sync_approvals")
    return [Number("Yes or no", counts.approvals, url, hint, trouble=True)] if approvals.may_look(user) else []


def _asking(user: Any, counts: Counts) -> list[Number]:
    gone = "Deleted there and kept here: create it again, put it away, or link another one."
    return [
        _troubled(counts, State.NEEDS_PERSON, "Needs you", "GoHighLevel refuses it, or keeps changing a field back."),
        Number(
            "Conflicts",
            counts.conflicts,
            reverse("admin:ghl_sync_conflict_changelist"),
            "Both sides changed one field; you say which value stays.",
            trouble=True,
            permission="ghl_sync.view_conflict",
        ),
        *_approvals(user, counts),
        _troubled(counts, State.GONE, "Gone in GoHighLevel", gone),
        *_doubles(user, counts),
        Number(
            "Differences",
            counts.drifts,
            reverse("admin:ghl_sync_drift_changelist"),
            "Found by the last audit, each with its repair.",
            trouble=True,
            permission="ghl_sync.view_drift",
        ),
        Number(
            "Not linked to a trip",
            counts.unlinked,
            reverse("admin:trips_passenger_unlinked"),
            "Passengers that name a trip nobody here knows.",
            permission="trips.view_passenger",
        ),
    ]


def _issues(counts: Counts) -> list[Number]:
    """The open issues by kind, the most frequent first; kinds without any are left out."""
    ordered = sorted(counts.issues.items(), key=lambda pair: (-pair[1], pair[0]))
    return [_issue(code, count) for code, count in ordered]


def _issue(code: str, count: int) -> Number:
    url = f"{reverse('admin:ghl_sync_issue_changelist')}?{urlencode({'code': code})}"
    hint = "Open problems of this kind."
    return Number(str(Issue.Code(code).label), count, url, hint, trouble=True, permission="ghl_sync.view_issue")


def _resting(counts: Counts) -> list[Number]:
    return [
        _by_state(counts, State.SYNCED, "Synced", "Both sides hold the same."),
        _by_state(counts, State.IGNORED, "Not mirrored", "Left alone on request; both halves stay."),
    ]


# The account and what moves things


def standing(account: Account) -> tuple[str, str, str]:
    """Colour, word and sentence of how the account stands."""
    location = account.location
    if not account.configured:
        return "bad", "Not connected", account.hindrance
    if account.stranger:
        return "bad", "Another database", account.stranger
    if account.paused:
        return "bad", "Stopped", account.paused
    paused = " ".join(filter(None, (account.pause_words(name) for name in ("sending", "fetching"))))
    if paused:
        return "doubt", "Paused", paused
    if location is None:
        return "doubt", "Not read yet", "Nothing was fetched or sent so far."
    if account.catching_up:
        return "doubt", "Catching up", account.catching_up
    return "good", "Running", f"Both sides of {location} follow each other."


def facts(machinery: Machinery, counts: Counts) -> list[Fact]:
    location = machinery.location
    rows = [_budget(machinery), *_runs(machinery), _webhooks(machinery)]
    if location is not None:
        first = location.bound_at or location.refreshed_at
        young = first is None or machinery.now - first <= SILENT  # the queue has had no chance yet
        rows += [
            _heart("Everything due was last looked for", location.swept_at, machinery.now, young=young),
            _heart("The queue last ran a task", location.queue_ran_at, machinery.now, young=young),
            _heart("The watchdog was last seen", location.watchdog_at, machinery.now, needed=False),
        ]
    if counts.oldest_change is not None:
        late = machinery.now - counts.oldest_change > dt.timedelta(minutes=15)
        rows.append(Fact("The oldest change that waits", ago(counts.oldest_change), bad=late))
    return rows


def _budget(machinery: Machinery) -> Fact:
    location = machinery.location
    if location is None:
        return Fact("Calls left today", "not known before the first call")
    used = location.calls_today if location.calls_day == machinery.now.date() else 0
    counted = said(used, "call", "calls") + " made today"
    if location.daily_limit is None or location.daily_remaining is None:
        return Fact("Calls left today", f"GoHighLevel did not say; {counted}")
    share = 100 * location.daily_remaining / max(location.daily_limit, 1)
    text = f"{location.daily_remaining:,} of {location.daily_limit:,} ({share:.0f} %); {counted}"
    return Fact("Calls left today", text, bad=share < 10)


def _runs(machinery: Machinery) -> list[Fact]:
    names = {
        Run.Mode.INCREMENTAL: "Changes last fetched",
        Run.Mode.FULL: "Everything last fetched",
        Run.Mode.AUDIT: "Everything last compared",
    }
    return [_last(label, machinery.last.get(str(mode))) for mode, label in names.items()]


def _last(label: str, run: Run | None) -> Fact:
    if run is None or run.finished_at is None:
        return Fact(label, "never")
    by = f" by {name_of(run.started_by)}" if run.started_by is not None else ""
    how = "" if run.ok else ", not complete"
    url = reverse("admin:ghl_sync_run_change", args=[run.pk])
    return Fact(label, f"{ago(run.finished_at)}{by}{how}", bad=not run.ok, url=url)


def _webhooks(machinery: Machinery) -> Fact:
    url = reverse("admin:ghl_sync_webhookevent_changelist")
    if machinery.event_at is None:
        return Fact("Last webhook", "none yet; they are optional", url=url)
    waiting = f", {machinery.events_waiting} waiting" if machinery.events_waiting else ""
    return Fact("Last webhook", f"{ago(machinery.event_at)}{waiting}", url=url)


def _heart(label: str, at: dt.datetime | None, now: dt.datetime, *, needed: bool = True, young: bool = False) -> Fact:
    if at is None:
        return Fact(label, "not yet" if needed and young else "never", bad=needed and not young)
    return Fact(label, ago(at), bad=needed and now - at > SILENT)


# The charts


def charts() -> list[Chart]:
    hours = desk_facts.last_day()
    columns = [formats.date_format(timezone.localtime(hour.start), "H:i") for hour in hours]
    calls = [
        Series("writes", [hour.writes for hour in hours], "chart-bar-a"),
        Series("calls of pulls and audits", [hour.fetches for hour in hours], "chart-bar-b"),
    ]
    waits = [
        Series("on average", [hour.average_wait for hour in hours], "chart-bar-a"),
        Series("at the longest", [hour.longest_wait for hour in hours], "chart-bar-b"),
    ]
    return [
        chart(
            "calls", "Calls per hour", columns, calls, unit="", column="Hour", empty="No calls in the last 24 hours."
        ),
        chart(
            "waits",
            "From save to sent",
            columns,
            waits,
            unit="s",
            column="Hour",
            empty="Nothing was sent in the last 24 hours.",
        ),
    ]


# The page and what its script asks for


def desk_context(request: HttpRequest) -> dict[str, Any]:
    user: Any = request.user
    account = account_of(request)
    counts, machinery = desk_facts.Counts(), desk_facts.machinery(account.location)
    colour, word, sentence = standing(account)
    running = lines(user, machinery.running, counts.records)
    return {
        "standing": badge(word, colour),
        "sentence": sentence,
        "groups": numbers(user, counts),
        "records": sum(counts.records.values()),
        "synced": counts.states[State.SYNCED],
        "facts": facts(machinery, counts),
        "alarms": machinery.alarms,
        "lines": running,
        "audit": machinery.last.get(str(Run.Mode.AUDIT)),
        "drifts": counts.drifts,
        "may_run": user.has_perm(MAY_RUN),
        "resting": not (running or is_expected(request) or (counts.moving and not account.hindrance)),
    }


def _looker(request: HttpRequest) -> None:
    user: Any = request.user
    if not user.has_perm(MAY_LOOK):
        raise PermissionDenied


def desk_view(request: HttpRequest, site: Any) -> HttpResponse:
    _looker(request)
    context = {
        **site.each_context(request),
        **list_context(request),
        **desk_context(request),
        "title": "Sync desk",
        "charts": charts(),
        "starts": starts_for(request.user),
    }
    return TemplateResponse(request, "admin/ghl_sync/desk.html", context)


def desk_state_view(request: HttpRequest) -> HttpResponse:
    """The parts that change while the page is open."""
    _looker(request)
    context = desk_context(request)
    parts = {name: render_to_string(f"admin/ghl_sync/desk_{name}.html", context) for name in PARTS}
    return JsonResponse({"resting": context["resting"], "parts": parts})


def desk_charts_view(request: HttpRequest) -> HttpResponse:
    """The charts, at the slow pace whatever goes on."""
    _looker(request)
    return JsonResponse({"resting": True, "parts": {"charts": render_charts()}})


def render_charts() -> str:
    return render_to_string("admin/ghl_sync/desk_charts.html", {"charts": charts()})


def urls(site: Any) -> list[URLPattern]:
    def shown(request: HttpRequest) -> HttpResponse:
        return desk_view(request, site)

    return [
        path("desk/", site.admin_view(require_GET(shown)), name="ghl_sync_desk"),
        path("desk/state/", site.admin_view(require_GET(desk_state_view)), name="ghl_sync_desk_state"),
        path("desk/charts/", site.admin_view(require_GET(desk_charts_view)), name="ghl_sync_desk_charts"),
    ]
