""" "This opportunity is that trip": paste its address, see field by field what would happen, then say yes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.text import Truncator, capfirst
from unfold.widgets import UnfoldAdminTextInputWidget

from ghl_sync import tasks
from ghl_sync.admin.bulk import confirm_url, may_repair
from ghl_sync.admin.deleting import seen_kinds
from ghl_sync.admin.fields import label_of, may_see_value, shown
from ghl_sync.admin.timeline import MASKED, record_url
from ghl_sync.client.errors import GHLError
from ghl_sync.conf import config
from ghl_sync.engine import adoption
from ghl_sync.engine.local import as_text
from ghl_sync.engine.results import CannotDo
from ghl_sync.engine.session import CannotRun, Session
from ghl_sync.models import Kind, Link

# GoHighLevel's ids, alone or somewhere in the address of a record's page.
IN_ADDRESS = re.compile(r"(?:opportunityId=|/opportunities/|/contacts/(?:detail/)?)([A-Za-z0-9]{8,64})(?:[/?&#]|$)")
ALONE = re.compile(r"[A-Za-z0-9_-]{4,64}")
MOST_OF_A_VALUE = 200
# The person waits for one call; a busy limit is said rather than waited for.
PATIENCE = 5.0
OUTCOMES = {
    adoption.Outcome.SAME: "the same on both sides",
    adoption.Outcome.HERE: "GoHighLevel’s value comes here",
    adoption.Outcome.THERE: "TripBuilder’s value goes there",
    adoption.Outcome.ASKED: "they differ: you decide, as a conflict",
}


class AdoptForm(forms.Form):
    where = forms.CharField(
        label="Its ID or address in GoHighLevel",
        max_length=500,
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off", "autofocus": True}),
        help_text="Open it in GoHighLevel and copy the address of the page.",
    )

    def clean_where(self) -> str:
        text: str = self.cleaned_data["where"].strip()
        found = IN_ADDRESS.search(text)
        if found is not None:
            return found.group(1)
        if ALONE.fullmatch(text) is None:
            raise forms.ValidationError("This is no ID, and no address of an opportunity or contact in GoHighLevel.")
        return text


def adopt_view(request: HttpRequest, link_id: int, site: Any) -> HttpResponse:
    """GET asks which one, `look` shows what would happen, `adopt` does it."""
    user: Any = request.user
    link = Link.objects.filter(pk=link_id).first()
    if link is None:
        raise Http404("There is no such record.")
    if not may_repair(user):
        raise PermissionDenied
    form = AdoptForm(request.POST or None)
    context = {
        **site.each_context(request),
        "title": f"Link to {'a contact' if link.kind == Kind.CONTACT else 'an opportunity'} that exists",
        "link": link,
        "form": form,
        "what": "contact" if link.kind == Kind.CONTACT else "opportunity",
        "record_url": record_url(user, link),
    }
    if request.method == "POST" and form.is_valid():
        remote_id = form.cleaned_data["where"]
        try:
            if request.POST.get("step") == "adopt":
                return _adopt(request, link, remote_id)
            session = Session(lane="staff", longest_wait=PATIENCE)
            session.check_running()
            with session.stop_on_trouble():
                preview = adoption.preview(session, link, remote_id)
            context |= {"preview": list(_rows(user, link, preview)), "remote_id": remote_id, "their_name": preview.name}
        except (CannotDo, CannotRun) as error:
            form.add_error("where", str(error))
            context["taken"] = _taken(user, link, remote_id)
        except GHLError as error:
            form.add_error("where", error.words)
    return TemplateResponse(request, "admin/ghl_sync/adopt.html", context)


def _adopt(request: HttpRequest, link: Link, remote_id: str) -> HttpResponse:
    session = Session(lane="staff", longest_wait=PATIENCE)
    session.check_running()
    with session.stop_on_trouble():
        adoption.adopt(session, link, remote_id)
    with transaction.atomic():
        tasks.wake_after_commit(link.pk)
    messages.success(
        request, f"{link} is linked. Both sides are compared in a moment; what differs becomes a conflict."
    )
    return HttpResponseRedirect(record_url(request.user, link) or request.path)


@dataclass(frozen=True, slots=True)
class Taken:
    """Another record here that the opportunity belongs to already; addresses are empty where nothing can be opened."""

    name: str
    url: str
    is_deleted: bool
    detach_url: str
    put_away_url: str  # of the record that was to be linked, when it is gone over there


def _taken(user: Any, link: Link, remote_id: str) -> Taken | None:
    """The record that holds `remote_id` already: often the import of a card that somebody made anew."""
    other = Link.objects.filter(location_id=config().location_id, remote_id=remote_id).exclude(pk=link.pk).first()
    if other is None:
        return None
    is_deleted = other.deleted_at is not None
    url = record_url(user, other)
    if is_deleted and other.kind in seen_kinds(user):
        url = reverse("admin:ghl_sync_deleted")
    detach = "" if is_deleted or other.kind == Kind.CONTACT else confirm_url("detach-ignore", [other.pk])
    put_away = confirm_url("put-away", [link.pk]) if link.gone_at is not None else ""
    return Taken(str(other), url, is_deleted, detach, put_away)


def _rows(user: Any, link: Link, preview: adoption.Preview) -> Iterator[dict[str, str]]:
    """What would happen to each field, those where something happens first."""
    order = list(OUTCOMES)[::-1]
    for one in sorted(preview.fields, key=lambda one: order.index(one.outcome)):
        may = may_see_value(user, link.kind, one.name)
        yield {
            "label": capfirst(label_of(link.kind, one.name)),
            "ours": _text(link, one.name, one.ours) if may else MASKED,
            "theirs": _text(link, one.name, one.theirs) if may else MASKED,
            "outcome": OUTCOMES[one.outcome],
        }


def _text(link: Link, name: str, value: Any) -> str:
    return Truncator(shown(link.kind, name, as_text(value))).chars(MOST_OF_A_VALUE) or "nothing"


def urls(site: Any) -> list[URLPattern]:
    def shown_page(request: HttpRequest, link_id: int) -> HttpResponse:
        return adopt_view(request, link_id, site)

    return [path("<int:link_id>/adopt/", site.admin_view(shown_page), name="ghl_sync_link_adopt")]
