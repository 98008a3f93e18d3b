"""Records that exist twice, or are there again after a delete: side by side, with what can be said about them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Page, Paginator
from django.db import transaction
from django.db.models import Count
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.text import Truncator, capfirst

from ghl_sync import tasks
from ghl_sync.admin.buttons import only_by_button
from ghl_sync.admin.fields import label_of, may_see_value, shown
from ghl_sync.admin.timeline import moment_of
from ghl_sync.client.errors import GHLError
from ghl_sync.engine import adoption, twins
from ghl_sync.engine.local import MODELS, as_text
from ghl_sync.engine.results import CannotDo
from ghl_sync.engine.session import CannotRun, Session
from ghl_sync.models import Issue, Kind, Link
from trips.admin.base import day
from trips.permissions import may_see

ROWS_A_PAGE = 25
KINDS = (Kind.TRIP.value, Kind.PASSENGER.value, Kind.CONTACT.value)
Code = Issue.Code
HIDDEN, EMPTY = "not shown", "empty"
NEWER, OLDER = "The newer one", "The older one"
# Fields that the facts about two look-alikes show already.
TOLD = frozenset({"start_date", "trip_name"})


@dataclass(frozen=True, slots=True)
class Answer:
    """One thing to say: its name in the address, the words on its button, and what it does."""

    name: str
    label: str
    effect: str
    permission: str  # a verb on the record's kind


SAME = Answer(
    "same", "The same", "The other record is none of ours: it stays as it is and is never asked about again.", "change"
)
OWN = Answer(
    "own", "Give it its own key", "It comes in here as a record of its own and is mirrored from then on.", "add"
)
THIS = Answer("this", "This is it", "The record here is linked to it; what differs is asked about.", "change")
APART = Answer("apart", "They are two", "Both stay as they are, and nobody is asked again.", "change")
ALIKE = Answer(
    "same",
    "The same",
    "Nobody is asked again. Then give what belongs to the newer one to the older one, and delete the newer one here: "
    "its opportunity goes with it.",
    "change",
)
BACK = Answer("back", "Bring it back here", "It comes in here again, as the record it was.", "add")
AGAIN = Answer("again", "Delete it there again", "It is deleted in GoHighLevel as it stands now.", "delete")


def answers_to(issue: Issue) -> tuple[Answer, ...]:
    if issue.code == Code.LIKENESS:
        return (ALIKE, APART)
    if issue.code == Code.CAME_BACK:
        return (BACK, AGAIN)
    unlinked = issue.link is not None and not issue.link.remote_id and issue.link.deleted_at is None
    return (THIS, OWN, SAME) if unlinked else (SAME, OWN)


@dataclass(frozen=True, slots=True)
class Difference:
    """A field, or another fact, of both records; the addresses are empty where a cell leads nowhere."""

    label: str
    ours: str
    theirs: str
    ours_url: str = ""
    theirs_url: str = ""


@dataclass(slots=True)
class Double:
    """One question as its page shows it; addresses are empty where there is nothing to open."""

    issue: Issue
    here_url: str
    here_remote_url: str
    other_url: str
    other_remote_url: str
    facts: list[Difference] = field(default_factory=list)  # what tells two look-alikes apart
    differences: list[Difference] = field(default_factory=list)
    trouble: str = ""
    answers: list[Answer] = field(default_factory=list)

    @property
    def title(self) -> str:
        return self.issue.link.label or str(self.issue.link) if self.issue.link else ""


def seen_kinds(user: Any) -> list[str]:
    """The kinds of records whose doubles this user may look at."""
    return [kind for kind in KINDS if may_see(user, f"trips.{kind}")]


def waiting(user: Any) -> Any:
    """The open questions about records that this user may see."""
    return (
        twins.questions().filter(link__kind__in=seen_kinds(user)).select_related("link").order_by("-opened_at", "-pk")
    )


def doubles(user: Any, number: str | int) -> tuple[Page[Any], list[Double]]:
    """One page of the list: as many queries for three rows as for one."""
    page = Paginator(waiting(user), ROWS_A_PAGE).get_page(number)
    issues = list(page.object_list)
    alike = [issue.remote_id for issue in issues if issue.code == Code.LIKENESS]
    others = {link.remote_id: link for link in Link.objects.filter(remote_id__in=alike).defer("base")}
    found = [_double(issue, others.get(issue.remote_id)) for issue in issues]
    _add_facts(user, [(double, others.get(double.issue.remote_id)) for double in found])
    return page, found


def _add_facts(user: Any, pairs: Iterable[tuple[Double, Link | None]]) -> None:
    """Say of look-alikes what tells them apart, though both have one name: one query for each kind of record."""
    alike = [
        (double, double.issue.link, other)
        for double, other in pairs
        if double.issue.code == Code.LIKENESS and double.issue.link is not None and other is not None
    ]
    for kind in {link.kind for _double, link, _other in alike}:
        both = [one for one in alike if one[1].kind == kind]
        rows = _objects(kind, {link.object_id for _double, *pair in both for link in pair})
        for double, link, other in both:
            newer, older = rows.get(link.object_id), rows.get(other.object_id)
            if newer is not None and older is not None:
                double.facts = _told_apart(user, double, newer, older)


def _told_apart(user: Any, double: Double, newer: Any, older: Any) -> list[Difference]:
    kind = str(newer._meta.model_name)
    told = zip(_facts(user, kind, newer), _facts(user, kind, older), strict=True)
    name = Difference("Record", str(newer), str(older), double.here_url, double.other_url)
    return [name, *(Difference(label, ours, theirs) for (label, ours), (_label, theirs) in told)]


def _objects(kind: str, ids: Iterable[int]) -> dict[int, Any]:
    rows: Any = MODELS[kind]._base_manager.filter(pk__in=ids)
    if kind == Kind.TRIP:
        rows = rows.annotate(booked=Count("passengers"))
    elif kind == Kind.PASSENGER:
        rows = rows.select_related("trip")
    return {row.pk: row for row in rows}


def _facts(user: Any, kind: str, row: Any) -> list[tuple[str, str]]:
    """When it was made, and what staff know it by; what this user may not see is not shown."""
    found = [("Created here", moment_of(row.created_at))]
    if kind == Kind.TRIP:
        found += [("Departure", day(row.start_date) if row.start_date else "no date yet")]
        found += [("Passengers", str(row.booked) if may_see(user, f"trips.{Kind.PASSENGER.value}") else HIDDEN)]
    elif kind == Kind.PASSENGER:
        trip = str(row.trip) if row.trip else "none"
        born = day(row.date_of_birth) if row.date_of_birth else EMPTY
        found += [("Trip", trip if may_see(user, f"trips.{Kind.TRIP.value}") else HIDDEN)]
        found += [("Date of birth", born if may_see(user, f"trips.{kind}") else HIDDEN)]
    return found


def _double(issue: Issue, other: Link | None) -> Double:
    link: Any = issue.link
    return Double(
        issue=issue,
        here_url="" if link.deleted_at else _record_url(link),
        here_remote_url=link.remote_url if issue.code != Code.CAME_BACK else "",
        other_url=_record_url(other) if other is not None and other.deleted_at is None else "",
        other_remote_url=_remote_url(link.kind, link.location_id or settings.GHL_LOCATION_ID, issue.remote_id),
    )


def _record_url(link: Link) -> str:
    return reverse(f"admin:trips_{link.kind}_change", args=[link.object_id])


def _remote_url(kind: str, location_id: str, remote_id: str) -> str:
    return Link(kind=kind, location_id=location_id, remote_id=remote_id).remote_url


def doubles_view(request: HttpRequest) -> HttpResponse:
    user: Any = request.user
    if not seen_kinds(user):
        raise PermissionDenied
    page, rows = doubles(user, request.GET.get("p", 1))
    shared = {**admin.site.each_context(request), "title": "Doubles"}
    context = {**shared, "page": page, "rows": rows, "here": NEWER, "there": OLDER}
    return TemplateResponse(request, "admin/ghl_sync/doubles.html", context)


def double_view(request: HttpRequest, issue_id: int) -> HttpResponse:
    """Both records side by side; one call, to read the one that is not here."""
    issue = _issue(request, issue_id)
    if issue is None:
        return _answered(request)
    user: Any = request.user
    alike = issue.code == Code.LIKENESS
    other = twins.other_of(issue) if alike else None
    double = _double(issue, other)
    _add_facts(user, [(double, other)])
    try:
        session = None if alike else Session(lane="staff", longest_wait=5.0)
        sides = [one for one in twins.side_by_side(session, issue) if not (double.facts and one.name in TOLD)]
        double.differences = [_difference(user, issue, side) for side in sides]
    except (CannotDo, CannotRun) as error:
        double.trouble = str(error)
    except GHLError as error:
        double.trouble = f"The other record could not be read now: {error.words}"
    link: Any = issue.link
    double.answers = [one for one in answers_to(issue) if user.has_perm(f"trips.{one.permission}_{link.kind}")]
    here = "As it was agreed on" if issue.code == Code.CAME_BACK else NEWER if alike else "This record"
    there = OLDER if alike else "The other one"
    context = {**admin.site.each_context(request), "title": "Doubles", "double": double, "here": here, "there": there}
    return TemplateResponse(request, "admin/ghl_sync/double.html", context)


def _issue(request: HttpRequest, issue_id: int) -> Issue | None:
    """The open question; None when it is answered already. Raises Http404 where there never was one."""
    if not seen_kinds(request.user):
        raise PermissionDenied
    issue = twins.questions().filter(pk=issue_id).select_related("link").first()
    if issue is None:
        if not Issue.objects.filter(pk=issue_id, code__in=twins.CODES).exists():
            raise Http404("There is no such question.")
        return None
    link: Any = issue.link
    if not may_see(request.user, f"trips.{link.kind}"):
        raise PermissionDenied
    return issue


def _answered(request: HttpRequest) -> HttpResponse:
    """Back to the list for who still had an answered question open, in another tab or by the back button."""
    messages.warning(request, "This question is answered already.")
    return HttpResponseRedirect(reverse("admin:ghl_sync_doubles"))


def _difference(user: Any, issue: Issue, side: twins.Side) -> Difference:
    link: Any = issue.link
    seen = may_see_value(user, link.kind, side.name)
    ours, theirs = (_text(link.kind, side.name, one) if seen else HIDDEN for one in (side.ours, side.theirs))
    return Difference(capfirst(label_of(link.kind, side.name)), ours, theirs)


def _text(kind: str, name: str, value: Any) -> str:
    return Truncator(shown(kind, name, as_text(value))).chars(200) or EMPTY


# Answers


def _say(session: Callable[[], Session], issue: Issue, name: str, user: Any) -> tuple[int | None, str]:
    """Carry out one answer: the link to wake, and what to tell."""
    link: Any = issue.link
    if name == "same":
        twins.same(issue, user)
        return None, "Noted: they are the same, and nobody is asked again."
    if name == "apart":
        twins.apart(issue, user)
        return None, "Noted: they are two, and nobody is asked again."
    if name == "this":
        adoption.adopt(session(), link, issue.remote_id)
        return link.pk, f"“{link.label}” is linked to it; both sides are compared in a moment."
    if name == "own":
        made = twins.own(session(), issue, user)
        return made.pk, f"“{made.label}” is a record of its own now; its key is written in a moment."
    if name == "back":
        back = twins.bring_back(session(), issue, user)
        return back.pk, f"“{back.label}” is back here; both sides are compared in a moment."
    twins.delete_again(session(), issue, user)
    return link.pk, f"“{link.label}” is deleted in GoHighLevel in a moment."


@only_by_button
def answer_view(request: HttpRequest, issue_id: int, name: str) -> HttpResponse:
    issue = _issue(request, issue_id)
    if issue is None:
        return _answered(request)
    user, link = request.user, issue.link
    allowed = {one.name: one for one in answers_to(issue)}
    if name not in allowed:
        raise Http404("There is no such answer.")
    if link is None or not user.has_perm(f"trips.{allowed[name].permission}_{link.kind}"):
        raise PermissionDenied
    try:
        # Each answer is one transaction of its own, begun after GoHighLevel was asked.
        wake, told = _say(lambda: Session(lane="staff", longest_wait=5.0), issue, name, user)
        with transaction.atomic():
            tasks.wake_after_commit(wake)
    except (CannotDo, CannotRun) as error:
        messages.error(request, str(error))
    except GHLError as error:
        messages.error(request, f"Nothing was decided: GoHighLevel could not be asked. {error.words}")
    else:
        messages.success(request, told)
    return HttpResponseRedirect(reverse("admin:ghl_sync_doubles"))


def same_here_view(request: HttpRequest, issue_id: int) -> HttpResponse:
    """To the page that merges two contacts of ours which are one contact over there."""
    issue = Issue.objects.filter(pk=issue_id, code=Code.SAME_HERE).select_related("link").first()
    if issue is None or issue.link is None:
        raise Http404("There is no such question.")
    if not may_see(request.user, f"trips.{issue.link.kind}"):
        raise PermissionDenied
    other = Link.objects.filter(kind=issue.link.kind, remote_id=issue.remote_id).exclude(pk=issue.link.pk).first()
    if issue.closed_at is not None or other is None or other.deleted_at is not None:
        messages.warning(request, "This question is answered already.")
        return HttpResponseRedirect(_record_url(issue.link))
    return HttpResponseRedirect(reverse("admin:trips_contact_merge", args=[other.object_id, issue.link.object_id]))


def urls(site: Any) -> list[URLPattern]:
    wrap = site.admin_view
    return [
        path("doubles/", wrap(doubles_view), name="ghl_sync_doubles"),
        path("doubles/here/<int:issue_id>/", wrap(same_here_view), name="ghl_sync_same_here"),
        path("doubles/<int:issue_id>/", wrap(double_view), name="ghl_sync_double"),
        path("doubles/<int:issue_id>/<slug:name>/", wrap(answer_view), name="ghl_sync_double_answer"),
    ]
