"""Reports over HTTP: their lists, their pages, their files and the copies that were sent.

Who may not have a report is not offered it, and whoever asks by its address is refused; both are logged by account and
report, never with a value of one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.http import content_disposition_header
from django.utils.text import slugify
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from trips.enums import ReadKind
from trips.models import SentReport, Trip
from trips.permissions import may_see
from trips.reports import catalogue, csv, pack, pdf, sent, xlsx
from trips.reports.forms import DaysForm, PackForm
from trips.reports.stamp import Stamp
from trips.reports.table import (
    Column,
    Kind,
    Preset,
    Report,
    Row,
    Scope,
    Table,
    Value,
    blanks_first,
    build,
    full_title,
    rows_of,
    shown,
    without_shy,
)
from trips.scope import visible_to
from trips.services import reading
from trips.text import masked

LOG = logging.getLogger("trips.reports")
ROWS_A_PAGE = 25
COPIES_SHOWN = 5
# More than these make a file that nobody reads and a request that nobody waits for.
MOST_ROWS = {"pdf": 2_000, "csv": 100_000, "xlsx": 50_000}
Format = SentReport.Format


def may_of(user: Any) -> Callable[[str], bool]:
    """Whether `user` may see a model."""
    return partial(may_see, user)


@dataclass(frozen=True, slots=True)
class Asked:
    """One report as an address names it, for somebody who may have it."""

    report: Report
    preset: Preset
    scope: Scope
    trip_id: int | None

    @property
    def url(self) -> str:
        return report_url(self.report, self.preset, self.trip_id)

    @property
    def label(self) -> str:
        return f"{self.report.code}/{self.preset.code}"


def report_url(report: Report, preset: Preset, trip_id: int | None) -> str:
    if trip_id is None:
        return reverse("trips:office_report", args=[report.code, preset.code])
    return reverse("trips:trip_report", args=[trip_id, report.code, preset.code])


# Lists of reports


@require_GET
def reports(request: HttpRequest, trip_id: int | None = None) -> HttpResponse:
    """The reports that this user may have, of a trip or across trips."""
    may = may_of(request.user)
    trip = _trip(request, trip_id) if trip_id is not None else None
    offered = catalogue.offered(may, of_trip=trip is not None)
    if trip is None and not offered:
        _refuse(request, "the list of reports", None)
    entries = [
        (report, [(preset, report_url(report, preset, trip_id)) for preset in presets]) for report, presets in offered
    ]
    title = f"Reports – {trip}" if trip else "Reports"
    context = {
        "trip": trip,
        "entries": entries,
        "may_pack": bool(trip and catalogue.packed(may)[0]),
        "may_see_sent": trip is None and may("trips.sentreport"),
    }
    return _page(request, "list.html", title, context)


def has_office_reports(request: HttpRequest) -> bool:
    """For the menu: whether there is any report across trips for this user."""
    return bool(catalogue.offered(may_of(request.user), of_trip=False))


# One report


@require_GET
def report(request: HttpRequest, code: str, preset_code: str, trip_id: int | None = None) -> HttpResponse:
    """The report as a page: those with gaps first, then what was sent of it and what has changed since."""
    days = _days(request.GET) if trip_id is None else None
    asked = _asked(request, code, preset_code, trip_id, days)
    page, table = _part(request, asked) if trip_id is None else (None, build(asked.report, asked.preset, asked.scope))
    _note(request, asked, table, "opened")
    seen = without_shy(table)
    rows = blanks_first(seen.rows) if asked.scope.trip else seen.rows
    context = {
        "trip": asked.scope.trip,
        "report": asked.report,
        "preset": asked.preset,
        "presets": [(one, report_url(asked.report, one, trip_id)) for one in asked.report.allowed(asked.scope.may)],
        "table": seen,
        "lines": [_line(row, seen.columns) for row in rows],
        "gaps": sum(bool(row.missing) for row in rows),
        "page": page,
        "days": days,
        "query": request.GET.urlencode(),
        "before": _without_page(request.GET),
        "copies": _copies(asked, table),
    }
    return _page(request, "report.html", table.title, context)


def _part(request: HttpRequest, asked: Asked) -> tuple[Any, Table]:
    """One page of a report across trips, which may have very many rows."""
    count = rows_of(asked.report, asked.preset, asked.scope).count()
    page = Paginator(range(count), ROWS_A_PAGE).get_page(request.GET.get("p"))
    part = slice(page.start_index() - 1, page.end_index()) if count else None
    return page, build(asked.report, asked.preset, asked.scope, part=part, count=count)


@require_POST
def report_file(request: HttpRequest, code: str, preset_code: str, trip_id: int | None = None) -> HttpResponse:
    """The report as a file, kept as sent where the box is ticked; or only kept, where it went out on another way."""
    asked = _asked(request, code, preset_code, trip_id, _days(request.GET) if trip_id is None else None)
    wanted = request.POST.get("format", "")
    if wanted not in Format.values:
        raise Http404(f"There is no format {wanted!r}; CSV, Excel and PDF can be had.")
    if (count := rows_of(asked.report, asked.preset, asked.scope).count()) > (
        most := MOST_ROWS.get(wanted, MOST_ROWS["csv"])
    ):
        messages.error(request, f"{count:,} rows are more than the {most:,} that such a file holds; narrow the days.")
        return HttpResponseRedirect(f"{asked.url}?{request.GET.urlencode()}")
    table = build(asked.report, asked.preset, asked.scope)
    content = None if wanted == Format.PAGE else written(table, asked.report, wanted, _stamp(request))
    if content is not None:
        _note(request, asked, table, f"as {wanted}")
    if content is None or request.POST.get("sent"):
        _keep(request, asked, table, wanted, content)
    if content is None:
        messages.success(request, f"Kept as sent: {table.title}, {table.count} rows.")
        return HttpResponseRedirect(f"{asked.url}?{request.GET.urlencode()}")
    return _download(content, CONTENT_TYPES[wanted], f"{file_stem(asked)}.{wanted}")


CONTENT_TYPES: dict[str, str] = {
    Format.CSV: csv.CONTENT_TYPE,
    Format.XLSX: xlsx.CONTENT_TYPE,
    Format.PDF: pdf.CONTENT_TYPE,
}


def written(table: Table, report: Report, wanted: str, stamp: Stamp) -> bytes:
    """The bytes of a file of this format."""
    if wanted == Format.PDF:
        return pdf.write(table, stamp, confidential=report.confidential)
    return xlsx.write(table) if wanted == Format.XLSX else csv.write(table)


def file_stem(asked: Asked) -> str:
    about = str(asked.scope.trip) if asked.scope.trip else ""
    preset = asked.preset.code if len(asked.report.presets) > 1 else ""
    return "-".join(filter(None, (asked.report.code, preset, slugify(about)[:60], asked.scope.today.isoformat())))


# The departure pack


@require_http_methods(["GET", "POST"])
def departure_pack(request: HttpRequest, trip_id: int) -> HttpResponse:
    """What goes into the pack and what does not; pressed, one ZIP that opens with the password of this page."""
    trip = _trip(request, trip_id)
    inside, withheld = catalogue.packed(may_of(request.user))
    if not inside:
        _refuse(request, "the departure pack", trip_id)
    # An itinerary on which nothing stands would say that nothing happens.
    inside = [pair for pair in inside if pair[0].code != "itinerary" or trip.itinerary.exists()]
    form = PackForm(request.POST or None, initial={"password": pack.fresh_password()})
    people = trip.passengers.seated().count()
    if people and form.is_valid():
        return _packed(request, [_asked(request, r.code, p.code, trip_id, None) for r, p in inside], form)
    context = {
        "trip": trip,
        "people": people,
        "inside": [full_title(*pair) for pair in inside],
        "withheld": withheld,
        "confidential": any(report.confidential for report, _preset in inside),
        "form": form,
    }
    return _page(request, "pack.html", f"Departure pack – {trip}", context)


def _packed(request: HttpRequest, parts: list[Asked], form: PackForm) -> HttpResponse:
    stamp, files = _stamp(request), []
    for asked in parts:
        table = build(asked.report, asked.preset, asked.scope)
        _note(request, asked, table, "in the departure pack")
        for wanted in (Format.PDF, Format.CSV):
            content = written(table, asked.report, wanted, stamp)
            files.append((f"{asked.label.replace('/', '-')}.{wanted}", content))
            if wanted == Format.PDF and form.cleaned_data["sent"]:
                _keep(request, asked, table, wanted, content)
    trip, today = parts[0].scope.trip, parts[0].scope.today
    name = f"departure-pack-{slugify(str(trip))[:60]}-{today.isoformat()}.zip"
    return _download(pack.zipped(files, form.cleaned_data["password"]), "application/zip", name)


# What was sent


@require_GET
def sent_copy(request: HttpRequest, pk: int) -> HttpResponse:
    """How the rows of today differ from a copy that was sent."""
    copy = get_object_or_404(visible_to(request.user, SentReport.objects.select_related("trip", "by")), pk=pk)
    if copy.of_trip and copy.trip_id is None:
        raise Http404(f"The trip of “{copy.title}” was deleted; there is nothing to compare it with.")
    asked = _asked(request, copy.report, copy.preset, copy.trip_id, days=(copy.first_day, copy.last_day))
    table = build(asked.report, asked.preset, asked.scope)
    _note(request, asked, table, f"compared with copy {copy.pk}")
    found = sent.compare(copy, table)
    context = {
        "trip": copy.trip,
        "copy": copy,
        "found": found,
        "added": [(row, _row_url(row.key)) for row in found.added],
        "back": asked.url,
    }
    return _page(request, "compare.html", f"{copy.title}: sent and now", context)


def _copies(asked: Asked, table: Table) -> list[tuple[SentReport, str]]:
    """The last copies of this report, the newest with what has changed since where the page shows what it spoke of."""
    kept = SentReport.objects.filter(
        trip=asked.scope.trip, of_trip=asked.report.of_trip, report=asked.report.code, preset=asked.preset.code
    )
    copies = list(asked.scope.seen(kept).select_related("by").defer("rows")[:COPIES_SHOWN])
    told = ["" for _copy in copies]
    if copies and _speaks_of_the_same(copies[0], asked.scope) and table.count == len(table.rows):
        told[0] = sent.compare(kept.get(pk=copies[0].pk), table).summary
    return list(zip(copies, told, strict=True))


def _speaks_of_the_same(copy: SentReport, scope: Scope) -> bool:
    return (copy.first_day, copy.last_day) == (scope.first, scope.last)


def _keep(request: HttpRequest, asked: Asked, table: Table, wanted: str, content: bytes | None) -> None:
    sent.keep(
        report=asked.report,
        preset=asked.preset,
        scope=asked.scope,
        table=table,
        by=request.user,
        written=wanted,
        content=content,
    )


# What the views share


def _trip(request: HttpRequest, trip_id: int) -> Trip:
    """The trip, for whoever may see trips."""
    if not may_of(request.user)("trips.trip"):
        _refuse(request, "reports", trip_id)
    return get_object_or_404(visible_to(request.user, Trip.objects.select_related("organiser", "vendor")), pk=trip_id)


def _asked(request: HttpRequest, code: str, preset_code: str, trip_id: int | None, days: Any) -> Asked:
    found = catalogue.find(code, of_trip=trip_id is not None)
    preset = next((one for one in found.presets if one.code == preset_code), None) if found else None
    if found is None or preset is None:
        raise Http404(f"There is no report {code}/{preset_code}.")
    may = may_of(request.user)
    if found.lacking(preset, may):
        _refuse(request, f"{code}/{preset_code}", trip_id)
    first, last = days.range() if isinstance(days, DaysForm) else days or (None, None)
    scope = Scope(
        may=may,
        today=timezone.localdate(),
        trip=_trip(request, trip_id) if trip_id is not None else None,
        first=first,
        last=last,
        # As on a passenger's page: who may only view passports reads the end of the number.
        whole=request.user.has_perm("trips.change_passport"),
        seen=partial(visible_to, request.user),
    )
    return Asked(found, preset, scope, trip_id)


def _note(request: HttpRequest, asked: Asked, table: Table, how: str) -> None:
    """In the read log: this table is shown or handed out now."""
    shows = {*asked.report.needs, *asked.preset.needs, *(model for column in table.columns for model in column.needs)}
    about = f"{table.title} – {asked.scope.trip}" if asked.scope.trip else table.title
    people = [int(pk) for kind, _, pk in (row.key.partition(":") for row in table.rows) if kind == "passenger"]
    reading.note(request, ReadKind.REPORT, shows=shows, people=people, what=f"{about}, {how}")


def _refuse(request: HttpRequest, what: str, trip_id: int | None) -> None:
    LOG.warning("user %s was refused %s of trip %s", request.user.pk, what, trip_id)
    raise PermissionDenied


def _days(query: QueryDict) -> DaysForm:
    return DaysForm(query if {"first", "last"} & set(query) else None, today=timezone.localdate())


def _without_page(query: QueryDict) -> str:
    """The address's questions but the page's number, ready to be followed by it."""
    others = query.copy()
    others.pop("p", None)
    return f"{others.urlencode()}&" if others else ""


def _stamp(request: HttpRequest) -> Stamp:
    return Stamp.of(request.user)


def _line(row: Row, columns: tuple[Column, ...]) -> dict[str, Any]:
    named = next((column for column in columns if column.kind is Kind.TEXT), None)
    cells = [
        {
            "label": column.label,
            "link": column is named,
            "day": column.kind is Kind.DATE,
            "text": _text(value, column.kind),
            "phones": _phones(value) if column.kind is Kind.PHONE else [],
            "missing": column.label in row.missing,
            "end": column.kind in {Kind.NUMBER, Kind.MONEY},
        }
        for column, value in zip(columns, row.cells, strict=True)
    ]
    return {"row": row, "cells": cells, "url": _row_url(row.key)}


def _text(value: Value, kind: Kind) -> str:
    return masked(str(value or "")) if kind is Kind.MASKED else shown(value, kind)


def _phones(value: Value) -> list[tuple[str, str]]:
    """Each number as it is read and as a telephone dials it."""
    parts = [part.strip() for part in str(value or "").split(",")]
    return [(part, "".join(char for char in part if char.isdigit() or char == "+")) for part in parts if part]


def _row_url(key: str) -> str:
    model, _, pk = key.partition(":")
    return reverse(f"admin:trips_{model}_change", args=[pk])


def _download(content: bytes, content_type: str, name: str) -> HttpResponse:
    answer = HttpResponse(content, content_type=content_type)
    answer["Content-Disposition"] = content_disposition_header(True, name)
    return answer


def _page(request: HttpRequest, template: str, title: str, context: dict[str, Any]) -> HttpResponse:
    shared = {**admin.site.each_context(request), "title": title}
    return TemplateResponse(request, f"trips/reports/{template}", {**shared, **context})
