"""Duplicates of contacts: the work list, two of them side by side, and what a merged one's page still tells.

Another app that mirrors contacts adds what it knows of each (`merge_facts`), which of the two has to stay
(`merge_keeps`) and what is left to do elsewhere (`merge_hints`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.contrib.admin.widgets import AutocompleteSelect
from django.core.exceptions import PermissionDenied
from django.core.paginator import Page, Paginator
from django.db.models import Count, F, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import formats, timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from unfold.decorators import action

from trips.accounts import name_of
from trips.admin.base import badge, day, said
from trips.admin.bulk import with_undo
from trips.models import Contact, Passenger, Trip
from trips.permissions import may_see, sees_every_trip
from trips.scope import visible_to
from trips.services import duplicates, merging
from trips.services.duplicates import Pair, Reason
from trips.text import is_id

PAIRS_A_PAGE = 25
# Of an agent's hundreds of bookings so many are named.
MOST_NAMED = 8
EMPTY = "empty"
# The page was opened from the work list: the next pair opens when this one is decided.
IN_LIST = "list"


@dataclass(slots=True)
class Line:
    """One pair of the list."""

    one: Any
    other: Any
    reasons: list[SafeString]
    url: str
    apart_url: str = ""
    said: str = ""


@dataclass(frozen=True, slots=True)
class Cell:
    """One field of the side-by-side page."""

    name: str
    label: str
    kept: str
    dropped: str
    picked: str
    both: bool
    differs: bool
    fixed: bool  # the same on both sides, so that there is nothing to choose


@dataclass(slots=True)
class Side:
    """One of the two contacts; `facts` are label and text."""

    contact: Any
    url: str
    facts: list[tuple[str, Any]] = field(default_factory=list)


class MergeWith(forms.Form):
    """Which other contact is the same person."""

    def __init__(self, *args: Any, site: Any, contact: Contact, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.contact = contact
        widget = AutocompleteSelect(Passenger._meta.get_field("contact"), site)
        self.fields["other"] = forms.ModelChoiceField(
            Contact.objects.standing(),
            widget=widget,
            label="The same person as",
            error_messages={"required": "Type three letters of the name, the e-mail or the phone, and pick one."},
        )

    def clean_other(self) -> Any:
        other = self.cleaned_data["other"]
        if other == self.contact:
            raise forms.ValidationError(f"“{other}” is this contact itself. Choose another one.")
        return other


class MergePages:
    """Mixin for the contacts' page."""

    # What another app tells

    def merge_facts(self, request: HttpRequest, contact: Contact) -> list[tuple[str, Any]]:
        """More about one of the two: label and text."""
        return []

    def merge_keeps(self, one: Contact, other: Contact) -> tuple[Contact | None, str]:
        """The one of the two that has to stay and why; None where either may."""
        return None, ""

    def merge_hints(self, keep: Contact, drop: Contact, picks: dict[str, str]) -> list[str | SafeString]:
        """What is left to do by hand elsewhere after the merge."""
        return []

    # Merged contacts are nowhere but on their own page

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: Any = super().get_queryset(request)  # type: ignore[misc]
        return rows if getattr(request, "shows_merged", False) else rows.standing()

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        request.shows_merged = True  # type: ignore[attr-defined]
        try:
            return super().get_object(request, object_id, from_field)  # type: ignore[misc]
        finally:
            request.shows_merged = False  # type: ignore[attr-defined]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        merged = isinstance(obj, Contact) and obj.merged_into_id is not None
        return not merged and bool(super().has_change_permission(request, obj))  # type: ignore[misc]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        merged = isinstance(obj, Contact) and obj.merged_into_id is not None
        return not merged and bool(super().has_delete_permission(request, obj))  # type: ignore[misc]

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        contact = kwargs.get("obj") or next((one for one in args if isinstance(one, Contact)), None)
        if contact is not None and not context.get("is_popup"):
            context["merged"] = self._merged(request, contact)
            # A duplicate has nobody on a trip any more, so only who sees every one is told of it.
            rows: Any = visible_to(request.user, Contact.objects.filter(merged_into=contact)).order_by("pk")
            context["stands_for"] = list(rows[:MOST_NAMED])
        return super().render_change_form(request, context, *args, **kwargs)  # type: ignore[misc]

    def _merged(self, request: HttpRequest, contact: Contact) -> dict[str, Any] | None:
        """What became of a merged contact, and the way back for whoever may go it."""
        if contact.merged_into is None:
            return None
        batch = merging.merge_of(contact)
        told: dict[str, Any] = {"into": contact.merged_into, "url": _url("change", contact.merged_into.pk)}
        if batch is not None:
            pages: Any = self.admin_site.get_model_admin(type(batch))  # type: ignore[attr-defined]
            told |= {
                "at": formats.date_format(timezone.localtime(batch.at), "j M Y, H:i"),
                "by": name_of(batch.by),
                "undo_url": reverse("admin:trips_batch_undo", args=[batch.pk])
                if pages.may_undo(request, batch)
                else "",
            }
        return told

    # Addresses

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view  # type: ignore[attr-defined]
        return [
            path("duplicates/", wrap(self.duplicates_view), name="trips_contact_duplicates"),
            path("<int:object_id>/merge/", wrap(self.merge_with_view), name="trips_contact_merge_choose"),
            path("<int:one>/merge/<int:other>/", wrap(self.merge_view), name="trips_contact_merge"),
            path("<int:one>/apart/<int:other>/", wrap(self.apart_view), name="trips_contact_apart"),
            *super().get_urls(),  # type: ignore[misc]
        ]

    @action(description="Duplicates", permissions=["to_duplicates"], url_path="to-duplicates")
    def to_duplicates(self, request: HttpRequest) -> HttpResponseRedirect:
        return HttpResponseRedirect(_url("duplicates"))

    def has_to_duplicates_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """They are looked for among all contacts."""
        return sees_every_trip(request.user) and bool(self.has_view_permission(request))  # type: ignore[attr-defined]

    @action(description="Merge with…", permissions=["merge_with"], url_path="to-merge")
    def merge_with(self, request: HttpRequest, object_id: int) -> HttpResponseRedirect:
        return HttpResponseRedirect(_url("merge_choose", object_id))

    def has_merge_with_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        user: Any = request.user
        if not (user.has_perms(merging.PERMISSIONS) and sees_every_trip(user)):
            return False
        return object_id is None or Contact.objects.standing().filter(pk=object_id).exists()

    # The work list

    def duplicates_view(self, request: HttpRequest) -> HttpResponse:
        if not self.has_to_duplicates_permission(request):
            raise PermissionDenied
        if request.method == "POST":
            return self._ask_again(request)
        apart = request.GET.get("show") == "apart"
        found = duplicates.find(born=_sees_births(request))
        duplicates.remember_count(len(found.pairs))
        rows = duplicates.kept_apart().select_related("by")
        page = Paginator(rows if apart else found.pairs, PAIRS_A_PAGE).get_page(request.GET.get("p", 1))
        may = self.has_merge_with_permission(request)
        context = {
            **self.admin_site.each_context(request),  # type: ignore[attr-defined]
            "title": "Duplicates",
            "apart": apart,
            "page": page,
            "lines": self._apart_lines(page) if apart else self._lines(page, may=may),
            "count": len(found.pairs),
            "apart_count": rows.count(),
            "crowded": found.crowded,
            "sharing": duplicates.MOST_SHARING,
            "may": may,
            "contacts_url": _url("changelist"),
        }
        return TemplateResponse(request, "trips/admin/duplicates.html", context)

    def _lines(self, page: Page[Any], *, may: bool) -> list[Line]:
        pairs: list[Pair] = list(page.object_list)
        rows = _counted(pk for pair in pairs for pk in pair.ids)
        return [
            Line(
                rows[pair.first],
                rows[pair.second],
                [_reason(reason) for reason in pair.reasons],
                f"{_url('merge', *pair.ids)}?{urlencode({'from': IN_LIST})}" if may else "",
                _url("apart", *pair.ids) if may else "",
            )
            for pair in pairs
            if {*pair.ids} <= rows.keys()
        ]

    def _apart_lines(self, page: Page[Any]) -> list[Line]:
        said_so: list[Any] = list(page.object_list)
        rows = _counted(pk for row in said_so for pk in (row.one, row.other))
        return [
            Line(
                rows[row.one],
                rows[row.other],
                [],
                "",
                said=f"{day(timezone.localtime(row.at).date())}{f' by {row.by}' if row.by else ''}",
            )
            for row in said_so
        ]

    def _ask_again(self, request: HttpRequest) -> HttpResponse:
        if not self.has_merge_with_permission(request):
            raise PermissionDenied
        one, _, other = request.POST.get("pair", "").partition("-")
        if is_id(one) and is_id(other) and duplicates.ask_again(one=int(one), other=int(other)):
            self._tell_merge(request, messages.SUCCESS, "They count as possible duplicates again.")
        else:
            self._tell_merge(request, messages.INFO, "That had been taken back already.")
        return HttpResponseRedirect(f"{_url('duplicates')}?show=apart")

    # From a contact's page

    def merge_with_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        contact = self._of_page(request, object_id)
        form = MergeWith(request.POST or None, site=self.admin_site, contact=contact)  # type: ignore[attr-defined]
        if form.is_valid():
            return HttpResponseRedirect(_url("merge", contact.pk, form.cleaned_data["other"].pk))
        others = _counted(duplicates.likely(contact, born=_sees_births(request)))
        context = {
            **self.admin_site.each_context(request),  # type: ignore[attr-defined]
            "title": f"Merge {contact} with…",
            "contact": contact,
            "form": form,
            "others": [(other, _url("merge", contact.pk, other.pk)) for other in others.values()],
            "back_url": _url("change", contact.pk),
        }
        return TemplateResponse(request, "trips/admin/merge_with.html", context)

    # Side by side

    def merge_view(self, request: HttpRequest, one: int, other: int) -> HttpResponse:
        """GET shows both, POST makes them one. `keep` names the one that stays; the first one unless told otherwise."""
        pair = [self._of_page(request, pk) for pk in (one, other)]
        asked = request.POST.get("keep") or request.GET.get("keep") or ""
        keep, drop, why = self._sides(pair, asked)
        try:
            merging.check(keep, drop)
        except merging.Refused as refused:
            return self._refused(request, pair, refused)
        if request.method == "POST":
            return self._merge(request, keep, drop)
        return self._merge_page(request, pair, keep, drop, why)

    def _sides(self, pair: list[Contact], asked: str) -> tuple[Contact, Contact, str]:
        """The one that stays, the other, and why it has to be so (empty where it need not)."""
        must, why = self.merge_keeps(*pair)
        named = next((one for one in pair if str(one.pk) == asked), None)
        keep = must or named or _likelier(*pair)
        drop = next((one for one in pair if one != keep), keep)
        return keep, drop, why if must is not None else ""

    def _merge(self, request: HttpRequest, keep: Contact, drop: Contact) -> HttpResponse:
        lacks = merging.lacking(request.user, drop)
        if lacks:
            raise PermissionDenied
        if request.POST.get("keep") != str(keep.pk):
            # Meanwhile the other one got its half elsewhere: what was chosen was chosen the other way round.
            self._tell_merge(request, messages.WARNING, f"Not merged: now “{keep}” has to stay. Look once more.")
            return self._once_more(request, keep, drop)
        picks = {name: request.POST.get(f"pick-{name}", merging.KEEP) for name in merging.FIELDS}
        kept, dropped = merging.told_apart(keep, drop)
        hints = self.merge_hints(keep, drop, picks)
        try:
            shown = request.POST.get("shown", "")
            batch = merging.merge(keep=keep, drop=drop, picks=picks, by=request.user, shown=shown)
        except merging.Refused as refused:
            self._tell_merge(request, messages.ERROR, str(refused))
            return self._once_more(request, keep, drop)
        link = format_html(
            '“{}” is merged into <a class="text-link" href="{}">{}</a>.', dropped, _url("change", keep.pk), kept
        )
        self._tell_merge(request, messages.SUCCESS, with_undo(link, batch))
        for hint in hints:
            self._tell_merge(request, messages.WARNING, hint)
        return self._onwards(request, _url("change", keep.pk))

    def apart_view(self, request: HttpRequest, one: int, other: int) -> HttpResponse:
        """ "Not the same person", from the list or from the page of both."""
        if request.method != "POST":
            return HttpResponseRedirect(_url("duplicates"))
        if not self.has_merge_with_permission(request):
            raise PermissionDenied
        first, second = self._of_page(request, one), self._of_page(request, other)
        if first == second:
            raise Http404("One contact is no pair.")
        duplicates.keep_apart(one=first, other=second, by=request.user)
        told = f"Noted: “{first}” and “{second}” are two people. They are not asked about again."
        self._tell_merge(request, messages.SUCCESS, told)
        return self._onwards(request, _url("duplicates"))

    def _once_more(self, request: HttpRequest, keep: Contact, drop: Contact) -> HttpResponse:
        """The page of both as they are now, the same one kept."""
        listed = {"from": IN_LIST} if request.POST.get("from") == IN_LIST else {}
        return HttpResponseRedirect(f"{_url('merge', keep.pk, drop.pk)}?{urlencode({'keep': keep.pk, **listed})}")

    def _onwards(self, request: HttpRequest, otherwise: str) -> HttpResponse:
        """The next pair for whoever works through the list."""
        if request.POST.get("from") != IN_LIST:
            return HttpResponseRedirect(otherwise)
        pair = duplicates.next_pair(born=_sees_births(request))
        if pair is None:
            return HttpResponseRedirect(_url("duplicates"))
        return HttpResponseRedirect(f"{_url('merge', *pair.ids)}?{urlencode({'from': IN_LIST})}")

    def _merge_page(
        self, request: HttpRequest, pair: list[Contact], keep: Contact, drop: Contact, why: str
    ) -> HttpResponse:
        cells = [_cell(choice) for choice in merging.choices(keep, drop)]
        picks = {cell.name: cell.picked for cell in cells}
        listed = {"from": IN_LIST} if request.GET.get("from") == IN_LIST else {}
        lacks = merging.lacking(request.user, drop)
        born = _sees_births(request)
        kept, dropped = merging.told_apart(keep, drop)
        context = {
            **self.admin_site.each_context(request),  # type: ignore[attr-defined]
            "title": f"Merge {dropped} into {kept}",
            "kept": kept,
            "dropped": dropped,
            "keep": self._side(request, keep),
            "drop": self._side(request, drop),
            "why": why,
            "swap_url": "" if why else f"?{urlencode({'keep': drop.pk, **listed})}",
            "cells": cells,
            "shown": merging.shown_hash(keep, drop),
            "reasons": [_reason(reason) for reason in duplicates.reasons_of(keep, drop, born=born)],
            "moves": _moving(merging.hanging_on(drop)),
            "hints": self.merge_hints(keep, drop, picks),
            "lacks": [name.partition(".")[2].replace("_", " ") for name in lacks],
            "here": _url("merge", *(one.pk for one in pair)),
            "apart_url": _url("apart", *(one.pk for one in pair)),
            "apart": duplicates.said_apart(keep, drop),
            "from": request.GET.get("from", ""),
            "list_url": _url("duplicates"),
        }
        return TemplateResponse(request, "trips/admin/merge.html", context)

    def _refused(self, request: HttpRequest, pair: list[Contact], refused: merging.Refused) -> HttpResponse:
        user: Any = request.user
        context = {
            **self.admin_site.each_context(request),  # type: ignore[attr-defined]
            "title": f"{pair[0]} and {pair[1]} cannot be merged",
            "refused": str(refused),
            "trips": [(trip, reverse("admin:trips_trip_passengers", args=[trip.pk])) for trip in refused.trips]
            if user.has_perm("trips.view_trip")
            else [],
            "sides": [(one, _url("change", one.pk)) for one in dict.fromkeys(pair)],
            "apart_url": _url("apart", *(one.pk for one in pair)) if refused.trips else "",
            "from": request.GET.get("from", ""),
            "list_url": _url("duplicates"),
        }
        return TemplateResponse(request, "trips/admin/merge_refused.html", context, status=409)

    def _side(self, request: HttpRequest, contact: Contact) -> Side:
        user: Any = request.user
        facts: list[tuple[str, Any]] = [
            ("No.", str(contact.pk)),
            ("Made here", day(timezone.localtime(contact.created_at).date())),
            ("Last changed", day(timezone.localtime(contact.updated_at).date())),
        ]
        if user.has_perm("trips.view_passenger"):
            rows = contact.passengers.select_related("trip").order_by(
                F("trip__start_date").desc(nulls_last=True), "-pk"
            )
            facts.append(("Bookings", _named(((_booking(one), one) for one in rows[:MOST_NAMED]), rows.count())))
        if user.has_perm("trips.view_trip"):
            led = Trip.objects.filter(organiser=contact)
            facts.append(("Leads", _named(((str(one), one) for one in led[:MOST_NAMED]), led.count())))
        return Side(contact, _url("change", contact.pk), [*facts, *self.merge_facts(request, contact)])

    def _of_page(self, request: HttpRequest, pk: int) -> Contact:
        """The contact, merged or not, for whoever may merge."""
        if not self.has_merge_with_permission(request):
            raise PermissionDenied
        found = self.get_object(request, str(pk))
        if found is None:
            raise Http404(f"There is no contact {pk}.")
        return found

    def _tell_merge(self, request: HttpRequest, level: int, text: Any) -> None:
        self.message_user(request, text, level)  # type: ignore[attr-defined]


def sidebar_count(request: HttpRequest) -> str:
    """The number beside the list's name: as of its last look, so that no page has to count."""
    count = duplicates.last_count()
    return str(count) if count and may_see(request.user, "trips.contact") and sees_every_trip(request.user) else ""


def _url(name: str, *args: int) -> str:
    return reverse(f"admin:trips_contact_{name}", args=args)


def _sees_births(request: HttpRequest) -> bool:
    return may_see(request.user, "trips.passenger")


def _reason(reason: Reason) -> SafeString:
    return badge(f"same {reason.value}", "doubt" if reason is Reason.BIRTH else "plain")


def _counted(ids: Iterable[int]) -> dict[int, Any]:
    """Contacts with how many bookings each has."""
    rows: Any = Contact.objects.filter(pk__in=list(ids)).annotate(bookings=Count("passengers"))
    found = {row.pk: row for row in rows}
    for row in found.values():
        row.change_url = _url("change", row.pk)
        row.booked = said(row.bookings, "booking", "bookings")
    return found


def _likelier(one: Contact, other: Contact) -> Contact:
    """Which of two stays when nobody says: the one with more on it, then the older one."""

    def weight(contact: Contact) -> tuple[int, int, int]:
        on = merging.hanging_on(contact)
        filled = sum(bool(getattr(contact, name)) for name in merging.FIELDS)
        return on.bookings + on.trips + on.wards, filled, -contact.pk

    return max(one, other, key=weight)


def _cell(choice: merging.Choice) -> Cell:
    column: Any = Contact._meta.get_field(choice.name)
    return Cell(
        choice.name,
        capfirst(str(column.verbose_name)),
        _text(choice.kept),
        _text(choice.dropped),
        choice.picked,
        choice.both and bool(choice.kept) and bool(choice.dropped) and choice.differs,
        choice.differs,
        not choice.differs,
    )


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, list) and value else str(value or EMPTY)


def _moving(hanging: merging.Hanging) -> str:
    """ "2 bookings and 1 trip that they lead move"; empty where nothing hangs on the contact."""
    words = hanging.words()
    if not words:
        return ""
    told = " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))
    return f"{told} {'moves' if words == [words[0]] and words[0].startswith('1 ') else 'move'}"


def _booking(passenger: Passenger) -> str:
    trip = f"{passenger.trip}, {day(passenger.trip.departs_on) or 'no date'}" if passenger.trip else "no trip"
    return f"{passenger}: {trip}"


def _named(rows: Iterable[tuple[str, Any]], count: int) -> SafeString | str:
    """Links to rows, and how many more there are."""
    links = [(reverse(f"admin:trips_{row._meta.model_name}_change", args=[row.pk]), label) for label, row in rows]
    if not links:
        return "none"
    told = format_html_join(SafeString("<br>"), '<a class="text-link" href="{}">{}</a>', links)
    return told if count <= len(links) else format_html("{}<br>and {} more", told, count - len(links))
