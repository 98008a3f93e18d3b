"""The board: a pipeline as one column a stage, its cards dragged or moved by keys.

A move goes the way of the bulk stage move: the same plan with the same refusals, a batch with its undo. What a page
shows ages, so a move names the stage that its card was seen in, and one that somebody else moved stays where it is.
The filters have the names of the list's, so that each column leads to the list of exactly what it counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar
from urllib.parse import urlencode

from django import forms
from django.core.exceptions import PermissionDenied
from django.db import models
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import conditional_escape
from django.utils.safestring import SafeString
from unfold.decorators import action
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from trips.admin.base import DEPARTURES, by_departure, said
from trips.admin.bulk import with_undo
from trips.admin.bulk_verbs import MORE
from trips.scope import narrow_choices
from trips.services import stages
from trips.services.plans import Plan
from trips.text import is_id

# Cards of a column; the rest is a link to the list.
CARDS = 15
UPCOMING, ALL = "upcoming", "all"


@dataclass(frozen=True, slots=True)
class Card:
    """One row: what staff look for. `ready` is a percentage, None where it says nothing."""

    pk: int
    name: str
    url: str
    lines: list[str]
    badges: list[SafeString]
    ready: int | None = None


@dataclass(frozen=True, slots=True)
class BoardColumn:
    """A stage. A stage that is none of ours (`known` false) shows what stands there and takes nothing."""

    stage: str
    label: str
    count: int
    sums: list[str]
    list_url: str
    known: bool
    cards: list[Card] = field(default_factory=list)

    @property
    def more(self) -> int:
        return self.count - len(self.cards)


class BoardForm(forms.Form):
    """The filters, named as those of the list."""

    departs = forms.ChoiceField(
        label="Departure",
        required=False,
        choices=[*DEPARTURES, (ALL, "All")],
        widget=UnfoldAdminSelectWidget,
    )
    q = forms.CharField(label="Search", required=False, max_length=200, widget=UnfoldAdminTextInputWidget)

    def __init__(self, data: Any, *, request: HttpRequest, site: Any) -> None:
        given = {name: value for name, value in data.items() if value}
        # The search box of a choice asks the database for what stands in the address, whatever that is.
        self._unread = [name for name, value in given.items() if name.endswith("__id__exact") and not is_id(value)]
        super().__init__({"departs": UPCOMING, **{name: given[name] for name in given if name not in self._unread}})
        narrow_choices(request.user, self)
        self.dress(request, site)

    def clean(self) -> dict[str, Any]:
        for name in self._unread:
            if name in self.fields:
                self.add_error(name, "This is no number of a record; choose one.")
        return self.cleaned_data

    def dress(self, request: HttpRequest, site: Any) -> None:
        """Give choices their search box, and take out what this user may not see."""

    def answers(self) -> dict[str, Any]:
        """What was chosen and can be read, rows by number; what cannot be read says so and filters nothing."""
        self.is_valid()
        chosen = {name: getattr(value, "pk", value) for name, value in self.cleaned_data.items()}
        return {name: value for name, value in chosen.items() if value not in (None, "")}

    def query(self) -> dict[str, Any]:
        """The same filters in the address of the list."""
        return {name: value for name, value in self.answers().items() if (name, value) != ("departs", ALL)}


class BoardPages:
    """Mixin for the page of trips and that of passengers; `board_cards` has what differs."""

    board_form: ClassVar[type[BoardForm]] = BoardForm
    board_stages: ClassVar[type[models.TextChoices]]
    board_title: ClassVar[str] = ""
    board_order: ClassVar[tuple[Any, ...]] = ()

    def board_rows(self, request: HttpRequest) -> QuerySet[Any]:
        """What may stand on the board at all."""
        return self.get_queryset(request)  # type: ignore[attr-defined]

    def board_query(self) -> dict[str, Any]:
        """What `board_rows` leaves out, as filters of the list."""
        return {}

    def board_cards(self, request: HttpRequest, rows: Any) -> list[Card]:
        raise NotImplementedError

    def board_sums(self, request: HttpRequest, rows: QuerySet[Any], count: int) -> Mapping[str, list[str]]:
        """By stage, what stands beside the count."""
        return {}

    def board_plan(self, request: HttpRequest, row: Any, stage: str, reason: str) -> Plan:
        raise NotImplementedError

    def board_hint(self, request: HttpRequest, stage: str) -> str:
        """What a move to the stage did not look at."""
        return ""

    # The pages

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.board_view)  # type: ignore[attr-defined]
        return [path("board/", view, name=f"trips_{self.opts.model_name}_board"), *super().get_urls()]  # type: ignore[attr-defined, misc]

    @action(description="Board", permissions=["board"], url_path="to-board")
    def to_board(self, request: HttpRequest) -> HttpResponseRedirect:
        url = reverse(f"{self.admin_site.name}:trips_{self.opts.model_name}_board")  # type: ignore[attr-defined]
        return HttpResponseRedirect(f"{url}?{request.GET.urlencode()}")

    def has_board_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return self.has_view_permission(request)  # type: ignore[attr-defined]

    def board_view(self, request: HttpRequest) -> HttpResponse:
        """GET shows the board, POST moves one card and answers with the sentence to say and the board as it is now."""
        if not self.has_view_permission(request):  # type: ignore[attr-defined]
            raise PermissionDenied
        form = self.board_form(request.GET, request=request, site=self.admin_site)  # type: ignore[attr-defined]
        if request.method == "POST":
            answer = self._move(request)
            columns = render_to_string("trips/admin/board_columns.html", self._board(request, form), request)
            return JsonResponse({**answer, "board": columns})
        context = {
            **self.admin_site.each_context(request),  # type: ignore[attr-defined]
            **self._board(request, form),
            "title": self.board_title,
            "form": form,
            "stages": self.board_stages.choices,
            "most_of_a_reason": MORE,
            "boards": self._boards(request),
        }
        return TemplateResponse(request, "trips/admin/board.html", context)

    def _boards(self, request: HttpRequest) -> list[tuple[str, str, bool]]:
        """Both boards, as far as this user may see them: label, address, whether it is this one."""
        user: Any = request.user
        both = (("trip", "Trips"), ("passenger", "Passengers"))
        return [
            (label, reverse(f"admin:trips_{name}_board"), name == self.opts.model_name)  # type: ignore[attr-defined]
            for name, label in both
            if user.has_perm(f"trips.view_{name}") or user.has_perm(f"trips.change_{name}")
        ]

    def _board(self, request: HttpRequest, form: BoardForm) -> dict[str, Any]:
        rows = self._filtered(request, form.answers())
        counts = dict(rows.order_by().values_list("stage").annotate(n=Count("pk")))
        total = sum(counts.values())
        sums = self.board_sums(request, rows, total) if total else {}
        columns = [self._column(form, stage, label, counts, sums) for stage, label in self._stages(counts)]
        self._fill(request, rows, columns)
        meta = self.opts  # type: ignore[attr-defined]
        return {
            "columns": columns,
            "total": said(total, str(meta.verbose_name), str(meta.verbose_name_plural)),
            "empty": not total,
            "may_move": self.has_change_permission(request),  # type: ignore[attr-defined]
        }

    def _filtered(self, request: HttpRequest, chosen: Mapping[str, Any]) -> QuerySet[Any]:
        rows = by_departure(self.board_rows(request), chosen.get("departs", ""))
        rows = rows.filter(**{name: value for name, value in chosen.items() if name not in ("departs", "q")})
        if "q" not in chosen:
            return rows
        found, doubles = self.get_search_results(request, rows, chosen["q"])  # type: ignore[attr-defined]
        return found.distinct() if doubles else found

    def _stages(self, counts: Mapping[str, int]) -> list[tuple[str, str]]:
        """Ours, and after them what came from outside and is none of ours."""
        others = sorted(stage for stage in counts if stage not in self.board_stages.values)
        return [*self.board_stages.choices, *((stage, stage) for stage in others)]

    def _column(
        self,
        form: BoardForm,
        stage: str,
        label: str,
        counts: Mapping[str, int],
        sums: Mapping[str, list[str]],
    ) -> BoardColumn:
        query = {**form.query(), **self.board_query(), "stage__exact": stage}
        list_url = reverse(f"admin:trips_{self.opts.model_name}_changelist")  # type: ignore[attr-defined]
        return BoardColumn(
            stage=stage,
            label=label,
            count=counts.get(stage, 0),
            sums=sums.get(stage, []),
            list_url=f"{list_url}?{urlencode(query, doseq=True)}",
            known=stage in self.board_stages.values,
        )

    def _fill(self, request: HttpRequest, rows: QuerySet[Any], columns: Sequence[BoardColumn]) -> None:
        """One short query a column for who comes first, then one for all cards."""
        ids = {
            column.stage: list(
                rows.filter(stage=column.stage).order_by(*self.board_order).values_list("pk", flat=True)[:CARDS]
            )
            for column in columns
            if column.count
        }
        shown = [pk for some in ids.values() for pk in some]
        found = self.get_queryset(request).filter(pk__in=shown)  # type: ignore[attr-defined]
        cards = {card.pk: card for card in self.board_cards(request, found)}
        for column in columns:
            column.cards.extend(cards[pk] for pk in ids.get(column.stage, ()) if pk in cards)

    # A move

    def _move(self, request: HttpRequest) -> dict[str, str]:
        if not self.has_change_permission(request):  # type: ignore[attr-defined]
            raise PermissionDenied
        pk, seen, stage = (request.POST.get(name, "") for name in ("card", "from", "to"))
        reason = request.POST.get("reason", "")[:MORE]
        what = str(self.opts.verbose_name)  # type: ignore[attr-defined]
        row = self.get_queryset(request).filter(pk=pk).first() if is_id(pk) else None  # type: ignore[attr-defined]
        if row is None:
            return _answer("bad", f"There is no {what} {pk} any more; nothing was moved.")
        if stage not in self.board_stages.values:
            return _answer("bad", f"There is no stage “{stage}”; {row} stays where it is.")
        asked: list[str] = []

        def plan(now: Any) -> Plan:
            made = self.board_plan(request, now, stage, reason)
            asked.append(made.asks if not made.steps else "")
            return made

        try:
            done = stages.move_one(row=row, seen=seen, plan=plan, by=request.user)
        except stages.MovedMeanwhile as moved:
            return _answer("doubt", f"{moved} Nothing was changed.")
        except type(row).DoesNotExist:
            return _answer("bad", f"{row} was deleted meanwhile; nothing was moved.")
        if not done.count:
            why = done.skips[0].reason if done.skips else ""
            return _answer("doubt", f"{row} stays in “{row.get_stage_display()}”. {why}".strip(), asked[0])
        told = f"{row} is in “{self.board_stages(stage).label}” now. {self.board_hint(request, stage)}".strip()
        return _answer("good", with_undo(told, done.batch))


def _answer(level: str, told: str, asks: str = "") -> dict[str, str]:
    """`told` becomes HTML: what is no HTML yet is escaped."""
    return {"level": level, "told": str(conditional_escape(told)), "asks": asks}
