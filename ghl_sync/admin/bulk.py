"""Repairs of synced records, one or many at once: each says first what it does, what it costs and whom it may reach."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from ghl_sync import budget, tasks
from ghl_sync.admin.account import account_of
from ghl_sync.engine import adoption, resolve
from ghl_sync.engine.results import CannotDo
from ghl_sync.models import Kind, Lane, Link
from trips.admin.base import said
from trips.text import is_id

# So many at once at the most: each is a transaction of its own, and the person waits for them.
MOST = 500
# From so many records on they give way to staff's edits.
MANY = 20
MOST_NAMED = 50
Act = Callable[[Link, str], object]


@dataclass(frozen=True, slots=True)
class Verb:
    """One repair. `fits` picks the records it is for, `calls` says whether they are sent or fetched afterwards."""

    name: str
    label: str
    does: str
    fits: Callable[[Link], bool]
    act: Act
    done: str
    calls: bool = True
    creates: bool = False


def _living(link: Link) -> bool:
    """Neither deleted nor merged into another contact: those come back with an undo."""
    return link.deleted_at is None and link.merged_at is None


def _retry(link: Link, lane: str) -> None:
    resolve.ask_for(link, lane=lane)


VERBS = (
    Verb(
        "retry",
        "Sync now",
        "Both sides of each record are read afresh and compared, without waiting for the next try.",
        lambda link: _living(link) and link.ignored_at is None,
        _retry,
        "compared in a moment",
    ),
    Verb(
        "create-again",
        "Create again in GoHighLevel",
        "What is gone there is made anew, under the same key, with everything that was changed here since.",
        lambda link: _living(link) and link.gone_at is not None,
        lambda link, _lane: adoption.create_again(link),
        "created again in a moment",
        creates=True,
    ),
    Verb(
        "put-away",
        "Accept that it is gone",
        "Trips are archived here, bookings cancelled, contacts kept; none of them is mirrored any more.",
        lambda link: _living(link) and link.gone_at is not None,
        lambda link, _lane: adoption.put_away(link),
        "put away",
        calls=False,
    ),
    Verb(
        "detach",
        "Detach and create a new one",
        "A new opportunity is made for each record. The present one stays as it is in GoHighLevel; Doubles asks what "
        "becomes of it.",
        lambda link: _living(link) and bool(link.remote_id) and link.gone_at is None and link.kind != Kind.CONTACT,
        lambda link, _lane: adoption.detach(link, ignore=False),
        "detached, and created anew in a moment",
        creates=True,
    ),
    Verb(
        "detach-ignore",
        "Detach and leave alone",
        "Both halves stay as they are, know nothing of each other any more, and are not mirrored. Doubles asks what "
        "becomes of GoHighLevel’s.",
        lambda link: _living(link) and bool(link.remote_id) and link.gone_at is None,
        lambda link, _lane: adoption.detach(link, ignore=True),
        "detached and left alone",
        calls=False,
    ),
    Verb(
        "ignore",
        "Stop mirroring",
        "Both halves stay; nothing is sent or fetched for these records until you start it again.",
        lambda link: _living(link) and link.ignored_at is None,
        lambda link, _lane: adoption.ignore(link),
        "left alone from now on",
        calls=False,
    ),
    Verb(
        "unignore",
        "Mirror again",
        "Both sides are compared afresh; what differs without a known reason becomes a conflict.",
        lambda link: _living(link) and link.ignored_at is not None,
        lambda link, _lane: adoption.unignore(link),
        "mirrored again from now on",
    ),
)
BY_NAME = {verb.name: verb for verb in VERBS}


def may_repair(user: Any) -> bool:
    return bool(user.has_perms(("trips.change_trip", "trips.change_passenger", "trips.change_contact")))


def confirm_url(verb: str, ids: Sequence[int]) -> str:
    return f"{reverse('admin:ghl_sync_link_repair')}?{urlencode({'verb': verb, 'ids': ','.join(map(str, ids))})}"


def verbs_for(link: Link) -> list[Verb]:
    """The repairs that this record may need, the likely one first."""
    return [verb for verb in VERBS if verb.fits(link)]


def costs(verb: Verb, links: Sequence[Link]) -> list[str]:
    """What it takes of GoHighLevel's limits, and whom it may write to, in sentences."""
    if not verb.calls:
        return ["It takes no calls, and nothing changes in GoHighLevel."]
    ids = [link.pk for link in links]
    counts = Counter(link.kind for link in links)
    if verb.creates:
        cards = sum(count for kind, count in counts.items() if kind != Kind.CONTACT)
        return [budget.forecast(counts).text, budget.stages_text(cards)]
    due = Link.objects.filter(pk__in=ids).due().count()
    return [budget.forecast(counts, writes=due).text, budget.stages_text(budget.stage_changes(ids))]


def run(verb: Verb, links: Sequence[Link]) -> tuple[int, list[str]]:
    """Carry it out, each record by itself; how many went, and why the others did not."""
    lane = Lane.BULK if len(links) > MANY else Lane.STAFF
    done, refused = 0, []
    for link in links:
        try:
            with transaction.atomic():
                verb.act(link, lane)
                if verb.calls:
                    tasks.wake_after_commit(link.pk)
        except CannotDo as error:
            refused.append(str(error))
        else:
            done += 1
    return done, refused


def tell(request: HttpRequest, verb: Verb, done: int, refused: Sequence[str]) -> None:
    hindrance = account_of(request).hindrance if verb.calls else ""
    if done:
        told = f"{said(done, 'record is', 'records are')} {verb.done}."
        level = messages.WARNING if hindrance else messages.SUCCESS
        messages.add_message(request, level, f"{told} {hindrance}".strip())
    if refused:
        more = f" And {len(refused) - 1} more." if len(refused) > 1 else ""
        messages.warning(request, f"Left out: {refused[0]}{more}")
    if not done and not refused:
        messages.info(request, f"“{verb.label}” fits none of these records.")


def _chosen(request: HttpRequest, verb: Verb, text: str) -> list[Link]:
    ids = [int(one) for one in text.split(",") if is_id(one)][: MOST + 1]
    if len(ids) > MOST:
        messages.warning(request, f"Only the first {MOST} are shown and repaired; choose the others afterwards.")
    rows = Link.objects.filter(pk__in=ids[:MOST]).defer("base").order_by("pk")
    return [link for link in rows if verb.fits(link)]


def repair_view(request: HttpRequest, site: Any) -> HttpResponse:
    """GET shows what `verb` would do to `ids`; POST does it."""
    if not may_repair(request.user):
        raise PermissionDenied
    given = request.POST if request.method == "POST" else request.GET
    verb = BY_NAME.get(given.get("verb", ""))
    if verb is None:
        raise Http404("There is no such repair.")
    links = _chosen(request, verb, given.get("ids", ""))
    here = HttpResponseRedirect(reverse("admin:ghl_sync_link_changelist"))
    if request.method == "POST":
        tell(request, verb, *run(verb, links))
        return here
    if not links:
        tell(request, verb, 0, [])
        return here
    context = {
        **site.each_context(request),
        "title": verb.label,
        "verb": verb,
        "ids": ",".join(str(link.pk) for link in links),
        "records": said(len(links), "record", "records"),
        "costs": [text for text in costs(verb, links) if text],
        "named": links[:MOST_NAMED],
        "unnamed": max(len(links) - MOST_NAMED, 0),
        "hindrance": account_of(request).hindrance if verb.calls else "",
    }
    return TemplateResponse(request, "admin/ghl_sync/repair.html", context)


def urls(site: Any) -> list[URLPattern]:
    def shown(request: HttpRequest) -> HttpResponse:
        return repair_view(request, site)

    return [path("repair/", site.admin_view(shown), name="ghl_sync_link_repair")]
