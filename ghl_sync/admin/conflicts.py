"""The conflict desk: what both sides changed, side by side, field by field; decided here, and put back from here.

A page shows one record with all its conflicts. Deciding records a choice that the sync carries out with its next look
at both sides, so a value that nobody was shown is never overwritten.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator, capfirst
from django.views.decorators.http import require_GET
from unfold.contrib.filters.admin import ChoicesCheckboxFilter
from unfold.decorators import display

from ghl_sync import tasks
from ghl_sync.admin.account import account_of
from ghl_sync.admin.badges import badge_of
from ghl_sync.admin.buttons import only_by_button
from ghl_sync.admin.conflict_desk import BLANK, HIDDEN, OURS, SIDES, THEIRS, desk_of, note_look, page_url
from ghl_sync.admin.fields import label_of, may_decide, may_see_value, shown
from ghl_sync.admin.filters import KindFilter, UnresolvedFilter
from ghl_sync.admin.records import QuestionAdmin, record_of
from ghl_sync.engine import resolve
from ghl_sync.engine.results import CannotDo
from ghl_sync.mapping.table import MAPS
from ghl_sync.models import Conflict, Link
from trips.admin.base import badge, said
from trips.text import is_id

# A confirmation names so many of the chosen conflicts one by one.
MOST_NAMED = 100


@admin.register(Conflict)
class ConflictAdmin(QuestionAdmin):
    ended_by = "resolved_at"
    ended = ("conflict was decided", "conflicts were decided")
    empty_title = "No open conflicts"
    empty_hint = "A field that both sides changed since they last agreed is listed here, for you to say which stays."
    search_help_text = "Record or field"
    list_display = ("title", "decide", "record", "ours", "theirs", "outcome_shown", "opened")
    list_filter = (UnresolvedFilter, ("outcome", ChoicesCheckboxFilter), KindFilter)
    search_fields = ("field", "link__label")
    actions = ("keep_ours", "keep_theirs")
    list_after_template = "admin/ghl_sync/conflict_list_keys.html"

    class Media:
        css = {"all": ("ghl_sync/conflicts.css",)}
        js = ("ghl_sync/sync.js", "ghl_sync/conflicts.js")

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).defer("link__base")

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("settle/", wrap(only_by_button(self.settle_view)), name="ghl_sync_conflict_settle"),
            path("record/<int:link_id>/", wrap(self.record_view), name="ghl_sync_conflict_record"),
            path("record/<int:link_id>/state/", wrap(require_GET(self.state_view)), name="ghl_sync_conflict_state"),
            path("record/<int:link_id>/put-back/", wrap(only_by_button(self.put_back_view)), name="ghl_sync_put_back"),
            *super().get_urls(),
        ]

    # The list

    @display(description="field", ordering="field")
    def title(self, conflict: Any) -> str:
        return capfirst(label_of(conflict.link.kind, conflict.field))

    @display(description="decision")
    def decide(self, conflict: Any) -> SafeString:
        """The way to the decision, said as such: a field's name looks like no link, a record's leads to the record."""
        decided = conflict.resolved_at is not None or bool(conflict.choice)
        may = conflict.link.deleted_at is None and may_decide(conflict.viewer, conflict.link.kind, conflict.field)
        url = reverse("admin:ghl_sync_conflict_change", args=[conflict.pk])
        words = "Decide" if may and not decided else "Look at both"
        return format_html('<a class="conflict-decide text-link" href="{}">{}</a>', url, words)

    @display(description="TripBuilder")
    def ours(self, conflict: Any) -> str:
        return self._cell(conflict, conflict.our_value)

    @display(description="GoHighLevel")
    def theirs(self, conflict: Any) -> str:
        return self._cell(conflict, conflict.their_value)

    def _cell(self, conflict: Any, text: str) -> str:
        kind, name = conflict.link.kind, conflict.field
        if text and not may_see_value(conflict.viewer, kind, name):
            return HIDDEN
        return Truncator(shown(kind, name, text)).chars(80)

    @display(description="outcome")
    def outcome_shown(self, conflict: Any) -> SafeString:
        if conflict.resolved_at is not None:
            if conflict.outcome != Conflict.Outcome.ASKED:
                return badge(conflict.get_outcome_display(), "plain")
            return badge("Not synced any more" if conflict.policy == "off" else "Both sides agree now", "good")
        if conflict.choice:
            return badge("Decided, on its way", "doubt")
        return badge("Changed again: decide anew", "bad") if conflict.stale_at else badge("Waiting for a person", "bad")

    # Deciding many

    def has_decide_permission(self, request: HttpRequest) -> bool:
        """Whether the actions are offered; which conflicts somebody may decide is asked of each field."""
        user: Any = request.user
        return any(user.has_perm(f"trips.change_{kind}") for kind in MAPS)

    @admin.action(description="Keep TripBuilder’s value", permissions=["decide"])
    def keep_ours(self, request: HttpRequest, queryset: Any) -> HttpResponse | None:
        return self._confirm(request, queryset, OURS)

    @admin.action(description="Keep GoHighLevel’s value", permissions=["decide"])
    def keep_theirs(self, request: HttpRequest, queryset: Any) -> HttpResponse | None:
        return self._confirm(request, queryset, THEIRS)

    def _confirm(self, request: HttpRequest, queryset: Any, side: str) -> HttpResponse | None:
        """What choosing this side for all of them means, to be confirmed."""
        rows = list(queryset.select_related("link").order_by("link__label", "field", "pk"))
        fit = [row for row in rows if row.resolved_at is None and self._may_decide(request, row)]
        if not fit:
            self.message_user(request, "None of these is open and yours to decide.", messages.WARNING)
            return None
        for row in fit:
            row.viewer = request.user
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": f"Keep {SIDES[side]}’s value?",
            "side": side,
            "winner": SIDES[side],
            "other": SIDES[THEIRS if side == OURS else OURS],
            "conflicts": said(len(fit), "conflict", "conflicts"),
            "records": said(len({row.link_id for row in fit}), "record", "records"),
            "stages": resolve.stage_changes(fit, side),
            "left_out": len(rows) - len(fit),
            "named": [self._named(row, side) for row in fit[:MOST_NAMED]],
            "unnamed": max(0, len(fit) - MOST_NAMED),
            "picks": " ".join(f"{row.pk}:{resolve.shown_of(row)}" for row in fit),
            "media": self.media,
        }
        return TemplateResponse(request, "admin/ghl_sync/conflicts_confirm.html", context)

    def _may_decide(self, request: HttpRequest, conflict: Conflict) -> bool:
        return conflict.link.deleted_at is None and may_decide(request.user, conflict.link.kind, conflict.field)

    def _named(self, conflict: Any, side: str) -> dict[str, Any]:
        values = {OURS: self.ours(conflict), THEIRS: self.theirs(conflict)}
        return {
            "record": record_of(conflict.link, conflict.viewer),
            "field": self.title(conflict),
            "kept": values[side] or BLANK,
            "lost": values[THEIRS if side == OURS else OURS] or BLANK,
        }

    def settle_view(self, request: HttpRequest) -> HttpResponse:
        """The confirmed choice for many conflicts."""
        side = request.POST.get("side", "")
        picks = _picks(request.POST.get("picks", "").split(), side) if side in SIDES else []
        allowed = set(self._allowed(request, [pick.conflict_id for pick in picks]))
        self._carry_out(request, [pick for pick in picks if pick.conflict_id in allowed])
        return HttpResponseRedirect(reverse("admin:ghl_sync_conflict_changelist"))

    def _allowed(self, request: HttpRequest, ids: Sequence[int]) -> Iterable[int]:
        if not self.has_view_permission(request):
            raise PermissionDenied
        rows = Conflict.objects.filter(pk__in=ids).select_related("link")
        for row in rows.only("field", "link__kind", "link__deleted_at"):
            if self._may_decide(request, row):
                yield row.pk

    def _carry_out(self, request: HttpRequest, picks: Sequence[resolve.Pick]) -> None:
        """Record the choices, wake the sync, and say what became of them."""
        if not picks:
            self.message_user(request, "Nothing was chosen. Pick a value first.", messages.WARNING)
            return
        with transaction.atomic():
            picked = resolve.choose(picks, request.user)
            if len(picked.link_ids) <= tasks.MOST_IDS:
                for link_id in picked.link_ids:
                    tasks.wake_after_commit(link_id)
            else:
                tasks.sweep_after_commit()
        if picked.taken:
            hindrance = account_of(request).hindrance
            told = f"{said(picked.taken, 'conflict is', 'conflicts are')} decided; both sides follow in a moment."
            level = messages.WARNING if hindrance else messages.SUCCESS
            self.message_user(request, f"{told} {hindrance}".strip(), level)
        if picked.stale:
            names = ", ".join(f"{label_of(row.link.kind, row.field)} of “{row.link.label}”" for row in picked.stale[:5])
            more = f" and {len(picked.stale) - 5} more" if len(picked.stale) > 5 else ""
            self.message_user(
                request,
                f"Changed again since the page was shown, so nothing was overwritten: {names}{more}. Look at the new "
                "values and decide again.",
                messages.WARNING,
            )
        if picked.settled:
            told = said(picked.settled, "conflict was", "conflicts were")
            self.message_user(request, f"{told} settled meanwhile.", messages.INFO)

    # One record

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """A conflict is looked at on its record's page, among the record's others."""
        if request.method != "GET":
            raise PermissionDenied
        if not self.has_view_permission(request):
            raise PermissionDenied
        conflict = self.get_object(request, object_id)
        if conflict is None:
            raise Http404(f"There is no conflict {object_id}.")
        return self._page(request, conflict.link_id, focus=conflict.pk)

    def record_view(self, request: HttpRequest, link_id: int) -> HttpResponse:
        """All conflicts of one record; a POST decides those that were picked."""
        if request.method != "POST":
            return self._page(request, link_id)
        link = self._link(request, link_id)
        every = request.POST.get("all", "")
        chosen: list[resolve.Pick] = []
        for name, shown_then in request.POST.items():
            if name.startswith("shown-"):
                pk = name.removeprefix("shown-")
                side = every if every in SIDES else request.POST.get(f"pick-{pk}", "")
                chosen += _picks([f"{pk}:{shown_then}"], side) if side in SIDES else []
        allowed = set(self._allowed(request, [pick.conflict_id for pick in chosen]))
        self._carry_out(request, [pick for pick in chosen if pick.conflict_id in allowed])
        return HttpResponseRedirect(page_url(link))

    def state_view(self, request: HttpRequest, link_id: int) -> HttpResponse:
        """The parts of the page that may have changed."""
        desk = desk_of(request.user, self._link(request, link_id))
        return JsonResponse({"resting": desk.resting, "parts": desk.parts()})

    def put_back_view(self, request: HttpRequest, link_id: int) -> HttpResponse:
        """Write what lost into our record again."""
        link = self._link(request, link_id)
        pk, _, seen = request.POST.get("back", "").partition(":")
        rows = Conflict.objects.filter(link=link, resolved_at__isnull=False).select_related("link")
        conflict = rows.filter(pk=pk).first() if is_id(pk) else None
        if conflict is None:
            raise Http404("There is no such conflict.")
        if not self._may_decide(request, conflict):
            raise PermissionDenied
        try:
            with transaction.atomic():
                resolve.put_back(conflict, request.user, shown=seen)
                tasks.wake_after_commit(link.pk)
        except CannotDo as error:
            self.message_user(request, str(error), messages.WARNING)
        else:
            label = label_of(link.kind, conflict.field)
            hindrance = account_of(request).hindrance or "GoHighLevel follows in a moment."
            self.message_user(request, f"Put back: {label} of “{link.label}”. {hindrance}", messages.SUCCESS)
        return HttpResponseRedirect(page_url(link))

    def _link(self, request: HttpRequest, link_id: int) -> Any:
        if not self.has_view_permission(request):
            raise PermissionDenied
        rows: Any = Link.objects.filter(pk=link_id)
        link = rows.with_state().defer("base").first()
        if link is None:
            raise Http404(f"There is no synced record {link_id}.")
        return link

    def _page(self, request: HttpRequest, link_id: int, focus: int | None = None) -> HttpResponse:
        link = self._link(request, link_id)
        note_look(request, link)
        others = Conflict.objects.filter(resolved_at__isnull=True, choice="").exclude(link=link).select_related("link")
        following = others.order_by("-opened_at", "-pk").only("link__label", "link__kind").first()
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": f"Conflicts of {link.label or link}",
            "desk": desk_of(request.user, link, focus=focus),
            "record": record_of(link, request.user),
            "sync_badge": badge_of(link, account_of(request)),
            "edit_url": self._edit_url(request, link),
            "next": following.link if following else None,
            "media": self.media,
        }
        return TemplateResponse(request, "admin/ghl_sync/conflict_record.html", context)

    def _edit_url(self, request: HttpRequest, link: Link) -> str:
        user: Any = request.user
        if link.deleted_at is not None or not user.has_perm(f"trips.change_{link.kind}"):
            return ""
        return reverse(f"admin:trips_{link.kind}_change", args=[link.object_id])


def _picks(pairs: Iterable[str], side: str) -> list[resolve.Pick]:
    """Picks from "id:what was shown"; anything else is no pick."""
    split = (pair.partition(":") for pair in pairs)
    return [resolve.Pick(int(pk), side, seen) for pk, _, seen in split if is_id(pk)]
