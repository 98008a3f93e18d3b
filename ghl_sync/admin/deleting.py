"""Deleting on the staff's pages: typed confirmation for trips, an undo while the delete is held, and the list of
what is deleted here and still in GoHighLevel.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Page, Paginator
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.middleware.csrf import get_token
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator

from ghl_sync import tasks
from ghl_sync.admin.badges import clock
from ghl_sync.admin.buttons import only_by_button
from ghl_sync.admin.fields import label_of, may_see_value, shown
from ghl_sync.conf import config
from ghl_sync.engine import deleting, guards
from ghl_sync.engine.base import Base
from ghl_sync.engine.local import as_text
from ghl_sync.engine.results import CannotDo
from ghl_sync.models import Issue, Kind, Link, kind_of
from trips.admin.base import StaffAdmin, said
from trips.models import Passenger, Trip

ROWS_A_PAGE = 25
BUTTON = (
    "sync-wide bg-white border border-base-200 cursor-pointer font-medium px-3 py-2 rounded-default "
    "dark:bg-base-900 dark:border-base-700"
)
_MODELS: dict[str, Any] = {Kind.TRIP.value: Trip, Kind.PASSENGER.value: Passenger}


# On the pages of trips and passengers


class HeldDeletes(StaffAdmin):
    """Mixed in before a page of `trips.admin`: says what goes in GoHighLevel, when, and how to take it back."""

    delete_confirmation_template = "admin/ghl_sync/delete.html"
    delete_selected_confirmation_template = "admin/ghl_sync/delete_selected.html"
    # Whether a delete has to be confirmed by typing what it is that goes.
    types_what_goes = False

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        context = dict(extra_context or {})
        obj = self.get_object(request, object_id) if self.types_what_goes and request.POST else None
        if obj is not None and not _typed(request, str(obj)):
            context["typed_error"] = "That is not its name. Type the trip's name as it stands above."
            request.POST = QueryDict()  # the page is shown again, nothing is deleted
        return super().delete_view(request, object_id, context)

    def render_delete_form(self, request: HttpRequest, context: dict[str, Any]) -> Any:
        obj = context["object"]
        context |= {"hold": _hold_sentence(kind_of(obj), 1), "typed_wanted": str(obj) if self.types_what_goes else ""}
        return super().render_delete_form(request, context)

    def response_delete(self, request: HttpRequest, obj_display: str, obj_id: int) -> HttpResponse:
        response = super().response_delete(request, obj_display, obj_id)
        link = Link.objects.filter(kind=str(self.opts.model_name), object_id=obj_id).first()
        if link is not None and link.held_until is not None:
            messages.info(request, undo_message(request, link))
        return response

    @admin.action(description="Delete", permissions=["delete"])
    def delete_selected(self, request: HttpRequest, queryset: Any) -> Any:
        count, kind = queryset.count(), str(self.opts.model_name)
        wrong = bool(request.POST.get("post")) and self.types_what_goes and not _typed(request, str(count))
        if wrong:
            unconfirmed: Any = request.POST.copy()
            del unconfirmed["post"]
            request.POST = unconfirmed
        page: Any = super().delete_selected(request, queryset)
        if page is None:
            _tell_held(request, kind, count)
        elif hasattr(page, "context_data"):
            page.context_data |= {
                "hold": _hold_sentence(kind, count),
                "typed_wanted": str(count) if self.types_what_goes else "",
                "typed_error": f"You chose {said(count, 'trip', 'trips')}: type {count} to delete." if wrong else "",
            }
        return page


def _typed(request: HttpRequest, wanted: str) -> bool:
    return " ".join(request.POST.get("typed", "").split()).casefold() == " ".join(wanted.split()).casefold()


def _hold_sentence(kind: str, count: int) -> str:
    """What happens in GoHighLevel, and by when it can be taken back."""
    if kind == Kind.CONTACT or not config().configured:
        return ""
    hold = config().delete_hold
    cards = "Its opportunity in GoHighLevel goes" if count == 1 else "Their opportunities in GoHighLevel go"
    return f"You can undo this for {_span(hold)}. {cards} after that." if hold else f"{cards} at once."


def _span(seconds: float) -> str:
    minutes = round(seconds / 60)
    return said(minutes, "minute", "minutes") if minutes else said(max(round(seconds), 1), "second", "seconds")


def undo_message(request: HttpRequest, link: Link) -> SafeString:
    """The sentence after a delete, with its button."""
    follows = f"GoHighLevel’s opportunity follows at {clock(link.held_until)}." if link.remote_id else ""
    return format_html(
        '<form method="post" action="{}" class="sync-row"><input type="hidden" name="csrfmiddlewaretoken" value="{}">'
        '<span>{}</span><button type="submit" class="{}">Undo</button></form>',
        reverse("admin:ghl_sync_deleted_undo", args=[link.pk]),
        get_token(request),
        f"“{link.label}” is deleted here. {follows}".strip(),
        BUTTON,
    )


def _tell_held(request: HttpRequest, kind: str, count: int) -> None:
    if kind == Kind.CONTACT or not config().delete_hold:
        return
    messages.info(
        request,
        format_html(
            'GoHighLevel’s opportunities follow in {}. <a class="text-link" href="{}">Undo</a>',
            _span(config().delete_hold),
            reverse("admin:ghl_sync_deleted"),
        ),
    )


# The list


@dataclass(slots=True)
class Difference:
    """What one field held when both sides agreed, and what GoHighLevel holds now."""

    label: str
    agreed: str
    theirs: str


@dataclass(slots=True)
class DeletedRow:
    """One record that is deleted here and not yet over there."""

    link: Any
    who: str = ""
    state: str = ""
    issue: Issue | None = None
    differences: list[Difference] = field(default_factory=list)
    may_undo: bool = False
    may_send: bool = False
    may_answer: bool = False

    @property
    def title(self) -> str:
        return self.link.label or str(self.link)


def deleted_rows(user: Any, number: str | int) -> tuple[Page[Any], list[DeletedRow]]:
    """One page of the list, what was deleted last first: as many queries for three rows as for one."""
    page = Paginator(
        deleting.waiting()
        .filter(kind__in=seen_kinds(user))
        .select_related("deleted_record")
        .order_by("-deleted_at", "-pk"),
        ROWS_A_PAGE,
    ).get_page(number)
    links = list(page.object_list)
    who = _who(links)
    issues = {issue.link_id: issue for issue in _questions(links)}
    asked = _asked_about(links)
    return page, [
        _row(user, link, who.get((link.kind, link.object_id), ""), issues.get(link.pk), asks=link.pk in asked)
        for link in links
    ]


def _asked_about(links: Iterable[Link]) -> set[int]:
    """Those of these deletes that wait for a person's yes or no, or will."""
    here = config().location_id
    if guards.deletes_to_ask_about(here, guards.Census()) is None:
        return set()
    waiting = guards.undecided(here).filter(pk__in=[link.pk for link in links])
    return set(waiting.values_list("pk", flat=True))


def _row(user: Any, link: Any, who: str, issue: Issue | None, *, asks: bool) -> DeletedRow:
    may = user.has_perm(f"trips.delete_{link.kind}")
    held = link.held_until is not None and link.held_until > timezone.now()
    row = DeletedRow(link, who, _state(link, issue, held=held, asks=asks), issue)
    row.may_undo = may and hasattr(link, "deleted_record")
    row.may_send = may and held and issue is None and bool(link.remote_id)
    row.may_answer = may and issue is not None
    if issue is not None:
        row.differences = _differences(user, link, issue)
    return row


def _state(link: Any, issue: Issue | None, *, held: bool, asks: bool) -> str:
    if issue is not None:
        return "Changed in GoHighLevel since both sides last agreed. It is not deleted there before you say so."
    if link.parked_at is not None:
        return link.last_error
    if not link.remote_id:
        return "It was not in GoHighLevel yet."
    if held and asks:
        return f"So many wait that a person will be asked first (Yes or no), at {clock(link.held_until)}."
    if held:
        return f"GoHighLevel’s opportunity follows at {clock(link.held_until)}."
    if asks:
        return link.last_error or "So many wait that a person is asked first (Yes or no)."
    return link.last_error or "GoHighLevel’s opportunity is being deleted."


def _differences(user: Any, link: Link, issue: Issue) -> list[Difference]:
    base = Base.of(link)
    found = []
    for name, theirs in json.loads(issue.raw or "{}").items():
        if name == deleting.PIPELINE:
            found.append(Difference("pipeline", "the one it was in", "another one"))
        elif link.erased_at is None and may_see_value(user, link.kind, name):
            both = [_text(link.kind, name, value) for value in (base.remote.get(name), theirs)]
            found.append(Difference(label_of(link.kind, name), *both))
        else:
            found.append(Difference(label_of(link.kind, name), "not shown", "not shown"))
    return found


def _text(kind: str, name: str, value: Any) -> str:
    return Truncator(shown(kind, name, as_text(value))).chars(120) or "empty"


def _who(links: Iterable[Link]) -> dict[tuple[str, int], str]:
    """By whom each was deleted, where the history knows."""
    found: dict[tuple[str, int], str] = {}
    for kind, model in _MODELS.items():
        ids = [link.object_id for link in links if link.kind == kind]
        rows = model.history.filter(id__in=ids, history_type="-").order_by("history_date", "history_id")
        for pk, first, last, name in rows.values_list(
            "id", "history_user__first_name", "history_user__last_name", "history_user__username"
        ):
            found[kind, pk] = f"{first or ''} {last or ''}".strip() or name or ""
    return found


def _questions(links: Iterable[Link]) -> Any:
    return Issue.objects.filter(link__in=list(links), code=Issue.Code.CHANGED, closed_at__isnull=True)


def _may_view(user: Any, kind: str) -> bool:
    return any(user.has_perm(f"trips.{verb}_{kind}") for verb in ("view", "change", "delete"))


def seen_kinds(user: Any) -> list[str]:
    """The kinds of deleted records that this user may look at."""
    return [kind for kind in _MODELS if _may_view(user, kind)]


def deleted_view(request: HttpRequest) -> HttpResponse:
    user: Any = request.user
    if not seen_kinds(user):
        raise PermissionDenied
    page, rows = deleted_rows(user, request.GET.get("p", 1))
    context = {
        **admin.site.each_context(request),
        "title": "Deletes not sent yet",
        "page": page,
        "rows": rows,
        "may_undo": any(row.may_undo for row in rows),
    }
    return TemplateResponse(request, "admin/ghl_sync/deleted.html", context)


# What its buttons do


def _tombstone(request: HttpRequest, link_id: int) -> Link:
    link = Link.objects.filter(pk=link_id, kind__in=_MODELS).first()
    if link is None:
        raise Http404("There is no such record.")
    user: Any = request.user
    if not user.has_perm(f"trips.delete_{link.kind}"):
        raise PermissionDenied
    return link


def _back(request: HttpRequest) -> HttpResponse:
    return HttpResponseRedirect(reverse("admin:ghl_sync_deleted"))


@only_by_button
def undo_view(request: HttpRequest, link_id: int) -> HttpResponse:
    """Bring it back here; its page is shown, where the badge tells how the comparison goes."""
    link = _tombstone(request, link_id)
    try:
        with transaction.atomic():
            undone = deleting.undo(link, by=request.user)
            tasks.wake_after_commit(link.pk)
    except CannotDo as error:
        messages.error(request, str(error))
        return _back(request)
    messages.success(request, f"“{undone.obj}” is back, with everything that belonged to it.")
    if undone.emptied:
        names = " and ".join(undone.emptied)
        messages.warning(request, f"Deleted meanwhile and therefore empty now: {names}.")
    return HttpResponseRedirect(reverse(f"admin:trips_{link.kind}_change", args=[link.object_id]))


@only_by_button
def undo_chosen_view(request: HttpRequest) -> HttpResponse:
    """Bring back every chosen one that can be, and stay on the list."""
    user: Any = request.user
    ids = [int(text) for text in request.POST.getlist("chosen") if text.isascii() and text.isdigit()][:ROWS_A_PAGE]
    # Trips before their passengers, which cannot come back without them.
    links = list(Link.objects.filter(pk__in=ids, kind__in=_MODELS).order_by("-kind", "pk"))
    if not all(user.has_perm(f"trips.delete_{link.kind}") for link in links):
        raise PermissionDenied
    if links:
        _undo_all(request, links)
    else:
        messages.warning(request, "Nothing was chosen: tick what is to come back, then press “Undo selected”.")
    page = request.POST.get("p", "")
    return HttpResponseRedirect(f"{reverse('admin:ghl_sync_deleted')}{f'?p={page}' if page.isdigit() else ''}")


def _undo_all(request: HttpRequest, links: Iterable[Link]) -> None:
    """Each in a transaction of its own, so that one that cannot come back keeps no other away; then say how it went."""
    count, troubles, emptied = 0, [], []
    for link in links:
        try:
            with transaction.atomic():
                undone = deleting.undo(link, by=request.user)
                tasks.wake_after_commit(link.pk)
        except CannotDo as error:
            troubles.append(str(error))
            continue
        count += 1
        if undone.emptied:
            emptied.append(f"{' and '.join(undone.emptied)} of “{undone.obj}”")
    if count:
        whose = "it" if count == 1 else "them"
        back = said(count, "record is", "records are")
        messages.success(request, f"{back} back, with everything that belonged to {whose}.")
    if emptied:
        messages.warning(request, f"Deleted meanwhile and therefore empty now: {', '.join(emptied)}.")
    if troubles:
        told = said(len(troubles), "record", "records")
        messages.error(request, f"{told} could not be brought back. {' '.join(troubles)}")


@only_by_button
def send_now_view(request: HttpRequest, link_id: int) -> HttpResponse:
    return _answer(request, link_id, deleting.send_now, "is deleted in GoHighLevel in a moment.")


@only_by_button
def delete_anyway_view(request: HttpRequest, link_id: int) -> HttpResponse:
    return _answer(
        request,
        link_id,
        lambda link: deleting.delete_anyway(link, request.user),
        "is deleted in GoHighLevel in a moment; what was changed there stays on record for 60 days.",
    )


def _answer(request: HttpRequest, link_id: int, answer: Any, done: str) -> HttpResponse:
    link = _tombstone(request, link_id)
    try:
        with transaction.atomic():
            answer(link)
            tasks.wake_after_commit(link.pk)
    except CannotDo as error:
        messages.error(request, str(error))
    else:
        messages.success(request, f"“{link.label}” {done}")
    return _back(request)


def urls(site: Any) -> list[URLPattern]:
    wrap = site.admin_view
    return [
        path("deleted/", wrap(deleted_view), name="ghl_sync_deleted"),
        path("deleted/undo/", wrap(undo_chosen_view), name="ghl_sync_deleted_undo_chosen"),
        path("deleted/<int:link_id>/undo/", wrap(undo_view), name="ghl_sync_deleted_undo"),
        path("deleted/<int:link_id>/send-now/", wrap(send_now_view), name="ghl_sync_deleted_send_now"),
        path("deleted/<int:link_id>/delete-there/", wrap(delete_anyway_view), name="ghl_sync_deleted_there"),
    ]
