"""What waits for a person's yes or no: very many blanks or deletes at once, and a database new to the account."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.dateparse import parse_datetime

from ghl_sync import tasks
from ghl_sync.admin.account import account_of
from ghl_sync.admin.buttons import only_by_button
from ghl_sync.admin.fields import label_of
from ghl_sync.conf import config
from ghl_sync.engine import binding, guards
from ghl_sync.engine.clock import database_now
from ghl_sync.models import Approval, Kind, Link
from trips.admin.base import said
from trips.permissions import may_see

SAMPLES = 10
Effect = Approval.Effect
_NOUNS = {Kind.TRIP.value: ("trip", "trips"), Kind.PASSENGER.value: ("passenger", "passengers"),
          Kind.CONTACT.value: ("contact", "contacts")}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Asked:
    """One question as its page shows it. `until` goes back with the answer: it is about what was shown by then."""

    approval: Approval
    count: int
    title: str
    yes: str
    no: str
    samples: list[str]
    may_answer: bool
    until: str

    @property
    def more(self) -> int:
        return self.count - len(self.samples)


def questions(user: Any) -> list[Asked]:
    """Every open question, the oldest first: two queries for each."""
    now = database_now()
    return [_asked(user, approval, now) for approval in guards.asked()]


def _asked(user: Any, approval: Approval, now: dt.datetime) -> Asked:
    links = guards.waiting_for(approval, config().location_id, now)
    count = links.count()
    title, yes, no = _words(approval, count)
    return Asked(
        approval=approval,
        count=count,
        title=title,
        yes=yes,
        no=no,
        samples=[link.label or str(link) for link in links.defer("base")[:SAMPLES]]
        if _may_view(user, approval)
        else [],
        may_answer=may_answer(user, approval),
        until=now.isoformat(),
    )


def _words(approval: Approval, count: int) -> tuple[str, str, str]:
    """What is asked, and what a yes and a no do."""
    if approval.effect == Effect.DELETE_THERE:
        records = said(count, "trip or passenger was", "trips and passengers were")
        return (
            f"{records} deleted here: delete {'its opportunity' if count == 1 else 'their opportunities'} in "
            "GoHighLevel, too?",
            f"{said(count, 'opportunity is', 'opportunities are')} deleted in GoHighLevel. This cannot be undone.",
            f"{said(count, 'record comes', 'records come')} back here, with everything that belonged to them. What "
            "cannot be brought back stays in GoHighLevel and is no longer mirrored.",
        )
    records, label = said(count, *_NOUNS[approval.kind]), label_of(approval.kind, approval.field)
    if approval.effect == Effect.BLANK_HERE:
        return (
            f"The field “{label}” of {records} was emptied in GoHighLevel: empty it here, too?",
            f"The field is emptied here in {records}. The history keeps what it held.",
            f"GoHighLevel gets back what stands here, in {records}.",
        )
    return (
        f"The field “{label}” of {records} was emptied here: empty it in GoHighLevel, too?",
        f"The field is emptied in GoHighLevel in {records}.",
        f"What GoHighLevel holds comes back here, in {records}.",
    )


def _kinds(approval: Approval) -> tuple[str, ...]:
    return (approval.kind,) if approval.kind else (Kind.TRIP.value, Kind.PASSENGER.value)


def _may_view(user: Any, approval: Approval) -> bool:
    return all(may_see(user, f"trips.{kind}") for kind in _kinds(approval))


def may_answer(user: Any, approval: Approval) -> bool:
    """Whoever may do by hand what would happen."""
    verb = "delete" if approval.effect == Effect.DELETE_THERE else "change"
    return all(user.has_perm(f"trips.{verb}_{kind}") for kind in _kinds(approval))


def may_look(user: Any) -> bool:
    return any(may_see(user, f"trips.{kind}") for kind in _NOUNS)


def approvals_view(request: HttpRequest) -> HttpResponse:
    user: Any = request.user
    if not may_look(user):
        raise PermissionDenied
    context = {
        **admin.site.each_context(request),
        "title": "Yes or no",
        "questions": questions(user),
        "stranger": account_of(request).stranger,
        "may_bind": user.is_superuser,
        "known": Link.objects.exclude(remote_id="").count() if account_of(request).stranger else 0,
    }
    return TemplateResponse(request, "admin/ghl_sync/approvals.html", context)


def _back() -> HttpResponse:
    return HttpResponseRedirect(reverse("admin:ghl_sync_approvals"))


@only_by_button
def answer_view(request: HttpRequest, approval_id: int) -> HttpResponse:
    """A person's yes or no about what their page showed."""
    approval = Approval.objects.filter(pk=approval_id).first()
    if approval is None:
        raise Http404("There is no such question.")
    if not may_answer(request.user, approval):
        raise PermissionDenied
    until, yes = parse_datetime(request.POST.get("until", "")), request.POST.get("answer") == "yes"
    if until is None or request.POST.get("answer") not in {"yes", "no"}:
        messages.error(request, "Nothing was decided: choose yes or no on this page.")
        return _back()
    with transaction.atomic():
        count = guards.answer(approval, config().location_id, yes=yes, user=request.user, until=until)
        tasks.sweep_after_commit()
    if count is None:
        messages.warning(request, "Somebody has answered this in the meantime.")
    else:
        done = "happens" if yes else "is taken back"
        messages.success(request, f"Noted: it {done} for {said(count, 'record', 'records')}, in the background.")
    return _back()


@only_by_button
def bind_view(request: HttpRequest) -> HttpResponse:
    """An administrator's word: this database speaks for the account from now on."""
    user: Any = request.user
    account = account_of(request)
    if not user.is_superuser:
        raise PermissionDenied
    if account.location is None or not account.stranger:
        messages.info(request, "This database speaks for the account already.")
        return _back()
    with transaction.atomic():
        binding.take_over(account.location, user)
        tasks.sweep_after_commit()
    messages.success(
        request, "This database has taken over. GoHighLevel is read in full now; after that, what waits here is sent."
    )
    return _back()


def urls(site: Any) -> list[URLPattern]:
    wrap = site.admin_view
    return [
        path("approvals/", wrap(approvals_view), name="ghl_sync_approvals"),
        path("approvals/<int:approval_id>/", wrap(answer_view), name="ghl_sync_approval"),
        path("approvals/take-over/", wrap(bind_view), name="ghl_sync_take_over"),
    ]
