"""What a record's own page tells of its other half: the badge, what to do, what happened last."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.html import conditional_escape
from django.utils.safestring import SafeString
from django.utils.text import Truncator

from ghl_sync.admin.account import account_of
from ghl_sync.admin.badges import Badge, badge_of, link_of
from ghl_sync.admin.bulk import may_repair
from ghl_sync.admin.fields import label_of, may_see_value
from ghl_sync.admin.timeline import Entry, Timeline
from ghl_sync.models import Conflict, Issue, Link
from trips.permissions import sees_every_trip
from trips.services import merging

# Templates of the parts beside the badge.
PARTS = ("open", "questions", "events")
MOST_EVENTS = 5
MOST_QUESTIONS = 10
# Whoever typed what lost must learn of it: a decided conflict stays on the record's page for a day.
DECIDED_SHOWN = dt.timedelta(days=1)
DECIDED = {
    Conflict.Outcome.OURS.value: "TripBuilder's value was kept; GoHighLevel's is on record.",
    Conflict.Outcome.THEIRS.value: "GoHighLevel's value was kept; the one typed here is on record.",
}
MOST_OF_A_VALUE = 80


@dataclass(frozen=True, slots=True)
class Question:
    """An open issue, or a conflict that is open or was decided lately; `url` is empty for whoever may not open it."""

    text: str
    url: str


@dataclass(frozen=True, slots=True)
class Panel:
    badge: Badge
    remote_url: str
    events: list[Entry]
    questions: list[Question]
    timeline_url: str
    refresh_url: str
    sync_url: str
    adopt_url: str

    def parts(self) -> dict[str, SafeString]:
        """The pieces that change while the page is open, by the name under which the page holds them."""
        return {
            "badge": self.badge.html(),
            "said": conditional_escape(self.badge.text),
            **{name: render_to_string(f"admin/ghl_sync/part_{name}.html", {"panel": self}) for name in PARTS},
        }


def panel_for(request: HttpRequest, obj: Any, *, may_sync: bool) -> Panel:
    """Everything the panel shows; sensitive values are nowhere in it."""
    link = link_of(obj)
    # What the two sides asked and sent may name others' trips and people.
    told = link if sees_every_trip(request.user) else None
    name = f"admin:{obj._meta.app_label}_{obj._meta.model_name}"
    return Panel(
        badge=badge_of(link, account_of(request)),
        remote_url=told.remote_url if told and told.gone_at is None else "",
        events=events_of(told, request.user) if told else [],
        questions=_questions(request.user, told) if told else [],
        timeline_url=reverse("admin:ghl_sync_link_timeline", args=[told.pk]) if told else "",
        refresh_url=reverse(f"{name}_sync", args=[obj.pk]),
        sync_url=reverse(f"{name}_sync_now", args=[obj.pk]) if may_sync and not (link and link.ignored_at) else "",
        adopt_url=_adopt_url(request.user, told) if may_sync and told else "",
    )


def events_of(link: Link, user: Any, most: int = MOST_EVENTS) -> list[Entry]:
    """What was sent and fetched last; the timeline's own page has the rest."""
    return Timeline(link, user).traffic()[:most]


def _adopt_url(user: Any, link: Link) -> str:
    """Where a record without its half, or whose half is gone, is linked to one that exists."""
    if not may_repair(user) or (link.remote_id and link.gone_at is None):
        return ""
    return reverse("admin:ghl_sync_link_adopt", args=[link.pk])


def _questions(user: Any, link: Link) -> list[Question]:
    issues = Issue.objects.filter(link=link, closed_at__isnull=True).defer("raw").order_by("-opened_at")
    conflicts = Conflict.objects.filter(link=link, resolved_at__isnull=True).only("pk", "field").order_by("field")
    decided = Conflict.objects.filter(
        link=link, resolved_at__gte=timezone.now() - DECIDED_SHOWN, outcome__in=DECIDED
    ).only("pk", "field", "outcome", "our_value", "their_value")
    found = [
        Question(f"Both sides changed {label_of(link.kind, conflict.field)}.", _url(user, conflict))
        for conflict in conflicts[:MOST_QUESTIONS]
    ]
    found += [
        Question(
            f"Both sides changed {label_of(link.kind, conflict.field)}: {_decision(user, link, conflict)}",
            _url(user, conflict),
        )
        for conflict in decided.order_by("-resolved_at")[:MOST_QUESTIONS]
    ]
    return found + [Question(issue.message, _url(user, issue)) for issue in issues[:MOST_QUESTIONS]]


def _decision(user: Any, link: Link, conflict: Conflict) -> str:
    """Who won, with the value that lost for whoever may see it."""
    lost = conflict.their_value if conflict.outcome == Conflict.Outcome.OURS else conflict.our_value
    told = DECIDED[conflict.outcome]
    if not lost or not may_see_value(user, link.kind, conflict.field):
        return told
    return f"{told.removesuffix('.')}: “{Truncator(lost).chars(MOST_OF_A_VALUE)}”."


def _url(user: Any, row: Issue | Conflict) -> str:
    if isinstance(row, Issue) and row.code == Issue.Code.SAME_HERE and user.has_perms(merging.PERMISSIONS):
        return reverse("admin:ghl_sync_same_here", args=[row.pk])
    name = row._meta.model_name
    return reverse(f"admin:ghl_sync_{name}_change", args=[row.pk]) if user.has_perm(f"ghl_sync.view_{name}") else ""
