"""Lists of any length: rows are counted as far as staff read the number, and found through one index a way.

At 650,000 passengers a full count of a filtered list takes seconds; "20,000+" says as much and takes none.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.core.paginator import Paginator
from django.db.models import Q
from django.http import HttpRequest
from django.utils.functional import cached_property
from unfold.views import ChangeList

from trips.text import fold_search

MOST_COUNTED = 20_000
# What is typed after so many words is looked for as one: each word is a question of its own to the database.
MOST_WORDS = 8
# So many ids that a search found are put into the list's questions one by one; of more, the search's question is.
FEW = 1_000
# Of a table too long to be counted, up to so many that a search found are told apart by what each filter would find.
FEW_TOLD_APART = 300
# A table of more rows is not asked again for what each further filter would find of what one has found.
MOST_ASKED_AGAIN = 5_000


class AtLeast(int):
    """A number of rows at which counting stopped; it reads as "20,000+"."""

    def __str__(self) -> str:
        return f"{int(self):,}+"


def counted(rows: Any, most: int = MOST_COUNTED) -> int:
    """How many rows there are; AtLeast(most) when there are more. In no order: sorting them first would cost more."""
    found = int(rows.order_by()[: most + 1].count())
    return AtLeast(most) if found > most else found


class StaffPaginator(Paginator):
    """Its last page is the one at which counting stopped: what lies further on is found by search, not by leafing."""

    @cached_property
    def count(self) -> int:
        known: int | None = getattr(self.object_list, "known_count", None)
        return counted(self.object_list) if known is None else known


class StaffChangeList(ChangeList):
    """Counts with a limit, and says beside a filter's answers how many they would find only where that is quick."""

    def get_results(self, request: HttpRequest) -> None:
        if self.query or self.has_active_filters:
            self._look_once(request)
        super().get_results(request)
        self.full_result_count = counted(self.root_queryset)
        self.show_full_result_count = True
        self.show_admin_actions = bool(self.full_result_count)
        if not self._may_count_answers():
            self.add_facets = False

    def _may_count_answers(self) -> bool:
        """Each filter's counts ask the search and all other filters once more; those of a short search are quick."""
        if self.query and not self.has_active_filters and self.result_count <= FEW_TOLD_APART:
            return True
        if self.query or self.has_active_filters:
            return self.full_result_count <= MOST_ASKED_AGAIN
        return not isinstance(self.full_result_count, AtLeast)

    def _look_once(self, request: HttpRequest) -> None:
        """Find and count the rows in one pass; unless they are too many to count, they are asked for by their ids then.

        Told to give the first 25 in order, PostgreSQL reads row after row in that order until it has them, where few
        fit all of the table, or asks the filter's question of all rows once more.
        """
        rows: Any = self.queryset  # type: ignore[has-type]
        ids = list(rows.order_by().values_list("pk", flat=True)[: MOST_COUNTED + 1])
        if len(ids) <= MOST_COUNTED:
            found = self.root_queryset.filter(pk__in=ids)
            if not found.query.select_related:
                found = self.apply_select_related(found)
            rows = found.order_by(*self.get_ordering(request, found))
            ids = list(dict.fromkeys(ids))
        self.queryset = rows
        self.queryset.known_count = AtLeast(MOST_COUNTED) if len(ids) > MOST_COUNTED else len(ids)


def found_by(model: Any, ways: Iterable[Q]) -> Any:
    """Ids of the rows that any of these ways finds, each way by itself: an OR across tables can use no index."""
    first, *others = (model._base_manager.filter(way).order_by().values("pk") for way in ways)
    return first.union(*others) if others else first


class FoldedSearch:
    """Mixin: finds rows by words in any order, without accents."""

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        """Rows in which each word is found in one of its ways, and those that the whole term names.

        Few enough become their ids, so that what is asked of them further on does not search once more in each answer.
        """
        term = search_term.replace("\x00", "").strip()
        words = fold_search(term).split(maxsplit=MOST_WORDS - 1)
        if not words:
            return queryset, False
        found = self._found(queryset.model, words, term)
        few = list(found.values_list("pk", flat=True)[: FEW + 1])
        return queryset.filter(pk__in=few if len(few) <= FEW else found.values("pk")), False

    def _found(self, model: Any, words: Iterable[str], term: str) -> Any:
        rows = model._base_manager.order_by()
        for word in words:
            rows = rows.filter(pk__in=found_by(model, self.ways_of_word(word)))
        numbers = self.ways_of_term(term)
        if not numbers:
            return rows
        return model._base_manager.order_by().filter(pk__in=found_by(model, [Q(pk__in=rows.values("pk")), *numbers]))

    def ways_of_word(self, word: str) -> list[Q]:
        """How a folded word may name a row."""
        return [Q(search_key__contains=word)]

    def ways_of_term(self, term: str) -> list[Q]:
        """How else the term as it was typed may name a row, such as by a phone number."""
        return []
