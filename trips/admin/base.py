"""What the staff's pages share: the look, the rules' messages, safe saving, badges and the "needs a look" filter.

Pages are classes another app may subclass and register instead: everything that decides something is a `get_*`
method or a class attribute, and nothing here knows who does so.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.contrib.admin.actions import delete_selected
from django.contrib.admin.utils import NestedObjects, flatten_fieldsets
from django.core.exceptions import FieldDoesNotExist, PermissionDenied
from django.db import connections, models, router
from django.forms import ModelForm
from django.http import HttpRequest
from django.urls import reverse
from django.utils import formats, timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from simple_history.admin import SimpleHistoryAdmin
from simple_history.template_utils import HistoricalRecordContextHelper
from unfold.admin import ModelAdmin, StackedInline
from unfold.contrib.filters.admin import RadioFilter
from unfold.widgets import UnfoldAdminTextareaWidget

from trips import rules
from trips.admin.lists import StaffChangeList, StaffPaginator
from trips.admin.put_back import PutBack
from trips.admin.saved_filters import SavedFilters
from trips.admin.scoped import ScopedChoices, ScopedRows
from trips.days import DayField
from trips.forms import RENDERED, RuledForm
from trips.permissions import may_see, sees_every_trip
from trips.querysets import flagged
from trips.scope import is_visible, visible_to
from trips.text import is_id

_BADGE = "inline-block font-semibold rounded-default text-[11px] uppercase whitespace-nowrap h-6 leading-6 px-2 "
_COLOURS = {
    "good": "bg-green-100 text-green-700 dark:bg-green-500/20 dark:text-green-400",
    "doubt": "bg-orange-100 text-orange-700 dark:bg-orange-500/20 dark:text-orange-400",
    "bad": "bg-red-100 text-red-700 dark:bg-red-500/20 dark:text-red-400",
    "plain": "bg-base-500/8 text-base-700 dark:bg-base-500/20 dark:text-base-200",
}


def badge(text: str, colour: str = "plain", title: str = "") -> SafeString:
    """A short label: `colour` is good, doubt, bad or plain; `title` is read aloud and shown on hover."""
    return format_html('<span class="{}" title="{}">{}</span>', _BADGE + _COLOURS[colour], title, text)


def day(value: dt.date | None) -> str:
    return formats.date_format(value, "j M Y") if value else ""


def flag_badges(obj: Any) -> SafeString:
    """One badge for each broken rule of the row's `flags` column, with its sentence on hover."""
    stored = {rule.code: rule for rule in rules.rules_for(obj) if rule.stored}
    said = {code: stored[code].check(obj) or "" for code in obj.flags.split() if code in stored}
    return format_html_join(" ", "{}", ((badge(rules.rule_text(code), "doubt", text),) for code, text in said.items()))


def _focus_first(page: Any) -> None:
    """Whoever adds a row types at once: marks the first field for `staff.js`."""
    field = page.form.fields.get(next(iter(flatten_fieldsets(page.fieldsets)), None))
    if field is not None:
        getattr(field.widget, "widget", field.widget).attrs["data-first"] = True


def _told(page: StaffAdmin, request: HttpRequest, objs: Any) -> list[Any]:
    """The rows that go with `objs`, nested as in Django's list, with how many this user may not view at the end."""
    collector = NestedObjects(using=router.db_for_write(page.model), origin=objs)
    collector.collect(objs)
    user: Any = request.user
    hidden = 0

    def line(row: Any) -> str | None:
        nonlocal hidden
        if isinstance(row, page.model) or (may_see(user, row._meta.label_lower) and is_visible(user, row)):
            return _named(page.admin_site, row)
        hidden += 1
        return None

    listed = _without_gaps(collector.nested(line))
    return [*listed, f"and {said(hidden, 'part', 'parts')} you may not see"] if hidden else listed


def _without_gaps(nested: list[Any]) -> list[Any]:
    """The nested list without its Nones; what hung below one moves up."""
    kept: list[Any] = []
    for index, entry in enumerate(nested):
        if isinstance(entry, list):
            below = _without_gaps(entry)
            if nested[index - 1] is None:
                kept.extend(below)
            elif below:
                kept.append(below)
        elif entry is not None:
            kept.append(entry)
    return kept


def _named(site: Any, row: Any) -> str:
    kind = capfirst(row._meta.verbose_name)
    if not site.is_registered(type(row)):
        return f"{kind}: {row}"
    url = reverse(f"{site.name}:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])
    return format_html('{}: <a href="{}">{}</a>', kind, url, row)


class TellsWhatIsSeen(HistoricalRecordContextHelper):
    """The changes of a history page; rows that this user may not see have no name there."""

    def __init__(self, model: type[models.Model], historical_record: Any, user: Any) -> None:
        super().__init__(model, historical_record)
        self.user = user

    def prepare_delta_change_value(self, change: Any, value: Any) -> Any:
        told = super().prepare_delta_change_value(change, value)
        if not isinstance(told, models.Model) or told._meta.app_label != "trips":
            return told
        return told if may_see(self.user, told._meta.label_lower) and is_visible(self.user, told) else "not shown"


# Four lines show that there is room; Django's ten push everything else off the page.
OWN_FIELDS: dict[type[models.Field[Any, Any]], dict[str, Any]] = {
    models.TextField: {"widget": UnfoldAdminTextareaWidget(attrs={"rows": 4})},
    models.DateField: {"form_class": DayField},
}


class GuardedFields:
    """Puts the hidden digests of `RenderedValues` into the first fieldset of a page that may be saved."""

    def layout(self, request: HttpRequest, obj: Any = None) -> Any:
        """The fieldsets before the digests are added; subclasses override this one."""
        return super().get_fieldsets(request, obj)  # type: ignore[misc]

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        fieldsets = self.layout(request, obj)
        parent_or_row = obj if obj is None or isinstance(obj, self.model) else None  # type: ignore[attr-defined]
        if not self.has_change_permission(request, parent_or_row):  # type: ignore[attr-defined]
            return fieldsets
        (name, options), *others = fieldsets
        fields = [field for field in options["fields"] if field != RENDERED]
        return [(name, {**options, "fields": [*fields, RENDERED]}), *others]


@dataclass(frozen=True, slots=True)
class Instead:
    """What to do where deleting is refused: an action of the list, the words on its button and what it does."""

    action: str
    label: str
    effect: str


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What an empty list tells of rows that it leaves out, and the address that shows them."""

    text: str
    url: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why nothing was deleted, in one sentence, and what may be done instead to which rows."""

    sentence: str
    instead: Instead | None
    rows: list[Any]


class StaffAdmin(SavedFilters, PutBack, GuardedFields, ScopedRows, SimpleHistoryAdmin, ModelAdmin):
    """A page for rows that staff edit. `form` is a `RuledForm`."""

    formfield_overrides: Any = OWN_FIELDS
    actions: Any = ("delete_selected",)
    delete_confirmation_template = "trips/admin/delete.html"
    delete_selected_confirmation_template = "trips/admin/delete_selected.html"
    # What keeps a row from being deleted, for one and for several: "passenger is on it", "passengers are on it".
    needed_by: ClassVar[tuple[str, str]] = ("other record needs it", "other records need it")
    instead_of_delete: ClassVar[Instead | None] = None

    list_per_page = 25
    list_max_show_all = 200
    show_facets = admin.ShowFacets.ALWAYS
    paginator = StaffPaginator
    show_full_result_count = False  # the list's own way counts it, with a limit
    list_filter_submit = True  # without it what is ticked is never sent
    list_fullwidth = True
    warn_unsaved_form = True
    empty_value_display = "–"
    # What an empty list says: first line, then what to do about it.
    empty_title: ClassVar[str] = "Nothing here yet"
    empty_hint: ClassVar[str] = "Add the first one."

    class Media:
        css = {"all": ("trips/staff.css", "trips/papers.css")}
        js = ("trips/staff.js",)

    def revert_disabled(self, request: HttpRequest, obj: Any = None) -> bool:
        """History is a record of what happened; going back is an edit like any other."""
        return True

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        obj = super().get_object(request, object_id, from_field)
        connection = connections[self.get_queryset(request).db]
        if obj is not None and request.method == "POST" and connection.in_atomic_block:
            # Between reading the row and saving the form nobody else may write it.
            rows = self.model._base_manager.select_for_update().filter(pk=obj.pk)
            list(rows.values_list("pk"))
            obj = super().get_object(request, object_id, from_field)
        return obj

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """What the address of an add page fills in, without references to rows that are not there."""
        return {
            name: value
            for name, value in super().get_changeform_initial_data(request).items()
            if self._fits(request, name, value)
        }

    def _fits(self, request: HttpRequest, name: str, value: Any) -> bool:
        try:
            target = self.opts.get_field(name).related_model
        except FieldDoesNotExist:
            return True
        if target is None:
            return True
        rows: models.QuerySet[Any] = target._base_manager.all()
        return is_id(str(value)) and visible_to(request.user, rows).filter(pk=value).exists()

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change, **kwargs)
        form.tells_of_none = not sees_every_trip(request.user)
        return form

    def get_historical_record_context_helper(self, request: HttpRequest, historical_record: Any) -> Any:
        return TellsWhatIsSeen(self.model, historical_record, request.user)

    def history_form_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        if request.method == "POST":
            raise PermissionDenied
        return super().history_form_view(request, *args, **kwargs)

    def render_change_form(
        self,
        request: HttpRequest,
        context: Any,
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Any = None,
    ) -> Any:
        if add:
            _focus_first(context["adminform"])
        return super().render_change_form(request, context, add, change, form_url, obj)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """As Django's, but names only what this user may view; of the rest it gives the number."""
        _listed, counts, lacking, protected = super().get_deleted_objects(objs, request)
        return _told(self, request, objs), counts, lacking, protected

    def render_delete_form(self, request: HttpRequest, context: dict[str, Any]) -> Any:
        if context["protected"]:
            context["refusal"] = self._refusal(request, [context["object"]], len(context["protected"]))
        return super().render_delete_form(request, context)

    @admin.action(description="Delete", permissions=["delete"])
    def delete_selected(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> Any:
        page: Any = delete_selected(self, request, queryset)
        if page is not None and page.context_data["protected"]:
            rows = list(queryset)
            page.context_data["refusal"] = self._refusal(request, rows, len(page.context_data["protected"]))
        return page

    def _refusal(self, request: HttpRequest, rows: list[Any], needing: int) -> Refusal:
        what = f"“{rows[0]}”" if len(rows) == 1 else said(len(rows), "", str(self.opts.verbose_name_plural))
        sentence = f"{what} cannot be deleted: {said(needing, *self.needed_by)}."
        helped = [row for row in rows if self.has_change_permission(request, row) and self.instead_helps(row)]
        return Refusal(sentence, self.instead_of_delete if helped else None, helped)

    def instead_helps(self, obj: Any) -> bool:
        """Whether `instead_of_delete` would change anything about this row."""
        return True

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> Any:
        return StaffChangeList

    def save_model(self, request: HttpRequest, obj: Any, form: ModelForm[Any], change: bool) -> None:
        obj._history_user = request.user
        if not change:
            self.create_model(request, obj, form)
        elif not isinstance(form, RuledForm):
            obj.save()
        elif form.columns():
            self.change_model(request, obj, form)
        for action in self.get_actions_submit_line(request, obj.pk):
            if action.action_name in request.POST:
                # Named so for Unfold, which asks for the permission of the row once more.
                action.method(request, obj, object_id=obj.pk)

    def create_model(self, request: HttpRequest, obj: Any, form: ModelForm[Any]) -> None:
        obj.save()

    def change_model(self, request: HttpRequest, obj: Any, form: RuledForm) -> None:
        obj.save(update_fields=form.columns())

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        inline_forms = (inline_form for formset in formsets for inline_form in formset.forms)
        for saved in (form, *inline_forms):
            for sentence in dict.fromkeys(getattr(saved, "warnings", ())):
                self.message_user(request, sentence, messages.WARNING)


class StaffInline(GuardedFields, ScopedChoices, StackedInline):
    """A part of a row on its page. Its own model's permissions decide who sees it."""

    formfield_overrides: Any = OWN_FIELDS
    tab = True
    extra = 0

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        # As the row itself in StaffAdmin.get_object: nobody else may write between reading and saving.
        rows = super().get_queryset(request)
        saving = request.method == "POST" and connections[rows.db].in_atomic_block
        return rows.select_for_update(of=("self",)) if saving else rows


class ReadOnly:
    """Mixin for the pages of what happened: nobody adds, changes or deletes it by hand; repair is a named action."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class FrugalFilter(RadioFilter):
    """Counts what each answer would find, as the other filters do, while the list is short enough for it."""

    # Each count asks its question of every row, and some questions look into other tables for each.
    counts_up_to: ClassVar[int] = 1_000

    def choices(self, changelist: Any) -> Iterator[Any]:
        counted = changelist.add_facets
        changelist.add_facets = counted and changelist.result_count <= self.counts_up_to
        try:
            yield from super().choices(changelist)
        finally:
            changelist.add_facets = counted


class LookFilter(FrugalFilter):
    """ "Needs a look": rows that break a staff rule. Subclasses add questions of their own."""

    title = "needs a look"
    parameter_name = "look"
    questions: ClassVar[dict[str, tuple[str, Callable[[Any], Any]]]] = {"flagged": ("Breaks a rule", flagged)}

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(code, label) for code, (label, _narrow) in self.questions.items()]

    def queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
        question = self.questions.get(self.value() or "")
        return question[1](queryset) if question else queryset


DEPARTURE_DAYS = (14, 30, 60, 90)
DEPARTURES = (
    *((str(days), f"Within {days} days") for days in DEPARTURE_DAYS),
    ("upcoming", "Not over yet"),
    ("ended", "Over"),
)


def by_departure(rows: Any, answer: str) -> Any:
    """Trips, or the passengers of trips, of the days that `answer` names; all of them when it names none."""
    today = timezone.localdate()
    if answer == "upcoming":
        return rows.upcoming(today)
    if answer == "ended":
        return rows.ended_before(today)
    if answer not in {str(days) for days in DEPARTURE_DAYS}:
        return rows
    return rows.going().departing(first=today, last=today + dt.timedelta(days=int(answer)))


class DepartureFilter(FrugalFilter):
    """Trips, or the passengers of trips, that leave within so many days; trips that are off never do."""

    title = "departure"
    parameter_name = "departs"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [*DEPARTURES]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return by_departure(queryset, self.value() or "")


class ShownFilter(RadioFilter):
    """Archived rows are out of the way unless asked for."""

    title = "archive"
    parameter_name = "archive"
    all_option = None

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("active", "Active"), ("archived", "Archived"), ("all", "Both")]

    def value(self) -> str:
        return super().value() or "active"

    def queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
        if self.value() == "all":
            return queryset
        return queryset.filter(archived_at__isnull=self.value() != "archived")


def said(count: int, one: str, many: str) -> str:
    """ "1 trip" or "3 trips"."""
    return f"{count} {one if count == 1 else many}"
