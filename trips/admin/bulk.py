"""Bulk work from a list: choose what to do, look at the plan, carry it out, undo it.

A list's action leads to one page of two steps. What is chosen travels in the page, by number; the plan is made anew
each time, so nothing is done that could not be shown. Verbs that need no choice are done at the press of their button.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from trips.admin.base import said
from trips.models import Batch
from trips.scope import narrow_choices
from trips.services.plans import MOST_ROWS, Done, Plan, carry_out
from trips.text import is_id

# Rows of a plan that its page names, of each kind.
MOST_NAMED = 200
# A press of a button takes no longer than a page may; what is left is told.
SECONDS = 15.0


class BulkForm(forms.Form):
    """What a verb wants to know. Fields named in `answers` are asked only when the plan has that question."""

    answers: ClassVar[dict[str, str]] = {}
    # A field whose choices are buttons: one press chooses and shows the plan.
    buttons: ClassVar[str] = ""

    def __init__(self, *args: Any, request: HttpRequest, site: Any, **kwargs: Any) -> None:
        self.request, self.site = request, site
        super().__init__(*args, **kwargs)
        narrow_choices(request.user, self)

    def plan(self, rows: Sequence[Any]) -> Plan:
        raise NotImplementedError

    def hints(self) -> list[str]:
        """What the person should know before pressing the button."""
        return []

    def may(self, permission: str) -> bool:
        user: Any = self.request.user
        return user.has_perm(permission)

    def chosen(self) -> list[Any]:
        """The fields of the first step."""
        return [self[name] for name in self.fields if name not in self.answers.values() and name != self.buttons]

    def sent(self) -> list[tuple[str, str]]:
        """What was chosen in the first step, to be sent again with the second."""
        names = [name for name in self.fields if name not in self.answers.values()]
        return [(name, value) for name in names for value in self.data.getlist(name)]  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class Verb:
    """`done` ends the sentence "21 passengers …", `button` stands before their number."""

    slug: str
    title: str
    form: type[BulkForm]
    done: str
    button: str


class BulkPages:
    """Mixin for a `StaffAdmin`: the page of its verbs, and the sentence that tells what was done."""

    bulk_verbs: ClassVar[tuple[Verb, ...]] = ()

    def get_urls(self) -> list[URLPattern]:
        wrap, name = self.admin_site.admin_view, self.opts.model_name  # type: ignore[attr-defined]
        return [
            path("bulk/<slug:slug>/", wrap(self.bulk_view), name=f"trips_{name}_bulk"),
            *super().get_urls(),  # type: ignore[misc]
        ]

    def bulk_view(self, request: HttpRequest, slug: str) -> HttpResponse:
        if not self.has_change_permission(request):  # type: ignore[attr-defined]
            raise PermissionDenied
        if request.method != "POST":
            return self._to_list()
        ids = [int(text) for text in request.POST.get("ids", "").split(",") if is_id(text)][:MOST_ROWS]
        found = {row.pk: row for row in self.get_queryset(request).filter(pk__in=ids)}  # type: ignore[attr-defined]
        # In the order of the list: who stands first gets the seats.
        return self.start_bulk(request, slug, [found[pk] for pk in ids if pk in found], bound=True)

    def start_bulk(self, request: HttpRequest, slug: str, rows: Sequence[Any], *, bound: bool = False) -> HttpResponse:
        """The page of a verb, for an action of the list (`bound=False`) and for what the page itself sends."""
        verb = next((one for one in self.bulk_verbs if one.slug == slug), None)
        if verb is None:
            raise Http404("There is no such bulk work.")
        form = verb.form(
            request.POST if bound else None,
            request=request,
            site=self.admin_site,  # type: ignore[attr-defined]
        )
        plan = form.plan(rows) if bound and form.is_valid() else None
        if plan is not None and "confirm" in request.POST:
            self.tell_done(request, carry_out(plan=plan, by=request.user, seconds=SECONDS), verb.done)
            return self._to_list()
        return self._bulk_page(request, verb, rows, form, plan)

    def do_bulk(self, request: HttpRequest, plan: Plan, done: str, more: int = 0) -> None:
        """A verb without a choice."""
        self.tell_done(request, carry_out(plan=plan, by=request.user, seconds=SECONDS), done, more)

    def bulk_rows(self, request: HttpRequest, queryset: Any) -> tuple[list[Any], int]:
        """The rows that one press may change, and how many more were ticked."""
        rows = list(queryset[:MOST_ROWS])
        return rows, queryset.count() - MOST_ROWS if len(rows) == MOST_ROWS else 0

    def bulk_action(self, request: HttpRequest, slug: str, queryset: Any) -> HttpResponse:
        rows, more = self.bulk_rows(request, queryset)
        if more:
            text = f"Only the first {MOST_ROWS:,} are taken at once; {more:,} more wait for another time."
            self.message_user(request, text, messages.WARNING)  # type: ignore[attr-defined]
        return self.start_bulk(request, slug, rows)

    def tell_done(self, request: HttpRequest, done: Done, words: str, more: int = 0) -> None:
        meta = self.opts  # type: ignore[attr-defined]
        told = f"{said(done.count, str(meta.verbose_name), str(meta.verbose_name_plural))} {words}"
        told += f", {len(done.skips)} skipped." if done.skips else "."
        left = done.left + more
        if left:
            told += f" {left:,} more {'is' if left == 1 else 'are'} left: do it again for the rest."
        level = messages.SUCCESS if done.count else messages.WARNING
        self.message_user(request, with_undo(told, done.batch), level)  # type: ignore[attr-defined]

    def _to_list(self) -> HttpResponseRedirect:
        name = f"{self.admin_site.name}:trips_{self.opts.model_name}_changelist"  # type: ignore[attr-defined]
        return HttpResponseRedirect(reverse(name))

    def _bulk_page(
        self, request: HttpRequest, verb: Verb, rows: Sequence[Any], form: BulkForm, plan: Plan | None
    ) -> HttpResponse:
        meta = self.opts  # type: ignore[attr-defined]
        counted = said(len(rows), str(meta.verbose_name), str(meta.verbose_name_plural))
        steps, skips = (plan.steps, plan.skips) if plan else ([], [])
        context = {
            **self.admin_site.each_context(request),  # type: ignore[attr-defined]
            "title": f"{verb.title}: {counted}",
            "verb": verb,
            "what": str(meta.verbose_name),
            "form": form,
            "plan": plan,
            "ids": ",".join(str(row.pk) for row in rows),
            "change_url": f"{self.admin_site.name}:trips_{meta.model_name}_change",  # type: ignore[attr-defined]
            "list_url": self._to_list().url,
            "here": reverse(f"{self.admin_site.name}:trips_{meta.model_name}_bulk", args=[verb.slug]),  # type: ignore[attr-defined]
            "steps": steps[:MOST_NAMED],
            "noted": any(step.note for step in steps[:MOST_NAMED]),
            "more_steps": max(len(steps) - MOST_NAMED, 0),
            "skips": skips[:MOST_NAMED],
            "more_skips": max(len(skips) - MOST_NAMED, 0),
            "answer": form[form.answers[plan.asks]] if plan and plan.asks in form.answers else None,
            "going": said(len(steps), str(meta.verbose_name), str(meta.verbose_name_plural)),
            "choices": form.fields[form.buttons].choices if form.buttons else [],  # type: ignore[attr-defined]
            "picked": form.data.get(form.buttons) if form.buttons else None,
        }
        return TemplateResponse(request, "trips/admin/bulk_work.html", context)


def with_undo(told: str, batch: Batch | None) -> SafeString | str:
    """The sentence with a link that takes the batch back."""
    if batch is None:
        return told
    url = reverse("admin:trips_batch_undo", args=[batch.pk])
    return format_html('{} <a class="text-link" href="{}">Undo</a>', told, url)
