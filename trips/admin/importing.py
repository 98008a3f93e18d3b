"""Import pages of a model: give a file or paste cells, say what the columns mean, look at what would happen, confirm.

django-import-export's own two pages fit neither the mapping nor the suspected twins nor a preview of what changes in
each field, so these are views of our own over its resources. Whatever is shown comes from running the rows, so the
preview and the work cannot disagree.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from unfold.decorators import action

from trips.admin.base import said
from trips.enums import BatchKind, ReadKind
from trips.models import ImportDraft, Trip
from trips.permissions import sees_every_trip
from trips.resources import RESOURCES, Row, RowResource, fitting, guessed, run
from trips.resources.files import write_csv
from trips.services import imports, reading
from trips.services.batches import recorded
from trips.services.sheets import MOST_BYTES, MOST_ROWS, Sheet, Unreadable, read_file, read_text
from trips.text import is_id

# Rows of one kind shown on a preview; twins are all shown, since each is a question.
MOST_SHOWN = 100
# A confirmation saves no further row after so long; what is left is handed back to be given again.
SAVE_SECONDS = 20.0
STATES = ("error", "twin", "changed", "new", "same")


class UploadForm(forms.Form):
    """A file or pasted text; exactly one of them."""

    file = forms.FileField(required=False, label="File")
    text = forms.CharField(required=False, strip=False, label="Or paste cells from a spreadsheet")

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        file, text = cleaned.get("file"), (cleaned.get("text") or "").strip("\r\n")
        if bool(file) == bool(text.strip()) and not self.errors:
            told = (
                "Give a file or paste cells, not both." if file else "Choose a file, or paste cells from a spreadsheet."
            )
            raise forms.ValidationError(told)
        if self.errors:
            return cleaned
        try:
            cleaned["sheet"] = self._read(file) if file else read_text(text)
        except Unreadable as error:
            self.add_error("file" if file else "text", str(error))
        cleaned["title"] = file.name if file else "pasted cells"
        return cleaned

    def _read(self, file: Any) -> Sheet:
        if file.size > MOST_BYTES:
            raise Unreadable(f"“{file.name}” is larger than {MOST_BYTES // 1024 // 1024} MB. Split it.")
        return read_file(file.name, file.read())


@dataclass(frozen=True, slots=True)
class Heading:
    """A header of the file on the page of columns: what stands below it, and what it was taken for."""

    name: str
    field: str
    samples: list[str]
    meant: str


@dataclass(frozen=True, slots=True)
class Group:
    """The rows of a preview that come to the same."""

    state: str
    title: str
    hint: str
    rows: list[Row]
    more: int


GROUPS = {
    "error": ("Not taken", "These rows stay out; the reasons can be downloaded with them."),
    "twin": ("Suspected twins", "Left out unless ticked: tick those that are somebody else."),
    "changed": ("Changed", ""),
    "new": ("New", ""),
    "same": ("The same as here", "Nothing happens to these."),
}


class ImportPages:
    """Mixin for a `StaffAdmin` whose model has a resource."""

    def get_urls(self) -> list[URLPattern]:
        name, wrap = f"trips_{self._name}_import", self.admin_site.admin_view  # type: ignore[attr-defined]
        return [
            path("import/", wrap(self.upload_view), name=name),
            path("import/<uuid:pk>/columns/", wrap(self.columns_view), name=f"{name}_columns"),
            path("import/<uuid:pk>/refused.csv", wrap(self.refused_view), name=f"{name}_refused"),
            path("import/<uuid:pk>/", wrap(self.preview_view), name=f"{name}_preview"),
            *super().get_urls(),  # type: ignore[misc]
        ]

    @property
    def _name(self) -> str:
        return str(self.opts.model_name)  # type: ignore[attr-defined]

    def import_url(self, step: str = "", draft: ImportDraft | None = None) -> str:
        name = f"{self.admin_site.name}:trips_{self._name}_import{'_' + step if step else ''}"  # type: ignore[attr-defined]
        return reverse(name, args=[draft.pk] if draft else [])

    @action(description="Import", permissions=["import"], url_path="to-import")
    def import_rows(self, request: HttpRequest) -> HttpResponseRedirect:
        trip = request.GET.get("trip__id__exact", "")
        return HttpResponseRedirect(self.import_url() + (f"?{urlencode({'trip': trip})}" if is_id(trip) else ""))

    def has_import_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """Rows are matched with everybody who is here, so it takes the sight of every trip."""
        user: Any = request.user
        needed = [f"trips.{verb}_{self._name}" for verb in ("view", "add", "change")]
        return user.has_perms(needed) and sees_every_trip(user)

    # Step 1: a file or text

    def upload_view(self, request: HttpRequest) -> HttpResponse:
        self._allow(request)
        trip = self._trip(request)
        form = UploadForm(request.POST or None, request.FILES or None)
        if request.method == "POST" and form.is_valid():
            draft = self._keep(request, form.cleaned_data, trip)
            return HttpResponseRedirect(self.import_url("preview" if draft.mapped else "columns", draft))
        context = {
            "form": form,
            "trip": trip,
            "columns": self._resource(request, trip).columns,
            "most_rows": f"{MOST_ROWS:,}",
            "most_bytes": f"{MOST_BYTES // 1024 // 1024} MB",
        }
        return self._page(request, "upload", context)

    def _keep(self, request: HttpRequest, given: dict[str, Any], trip: Trip | None) -> ImportDraft:
        sheet = given["sheet"]
        model = str(self.opts.label_lower)  # type: ignore[attr-defined]
        draft = imports.keep(sheet=sheet, title=given["title"], model=model, user=request.user, trip=trip)
        known = imports.remembered(user=request.user, model=model, headers=sheet.headers)
        if known is not None:
            mapping = fitting(self._resource(request, trip), sheet.headers, known)
            if any(mapping.values()):
                imports.map_columns(draft=draft, mapping=mapping)
        return draft

    def _trip(self, request: HttpRequest) -> Trip | None:
        pk = request.GET.get("trip", "")
        return Trip.objects.filter(pk=pk).first() if self._name == "passenger" and is_id(pk) else None

    # Step 2: what the columns mean

    def columns_view(self, request: HttpRequest, pk: Any) -> HttpResponse:
        draft = self._draft(request, pk)
        if draft.confirmed_at is not None:
            return HttpResponseRedirect(self.import_url("preview", draft))
        sheet, resource = imports.sheet_of(draft), self._resource(request, draft.trip)
        mapping = draft.mapping if draft.mapped else guessed(resource, sheet.headers)
        errors: list[str] = []
        if request.method == "POST":
            posted = {name: request.POST.get(f"column-{index}", "") for index, name in enumerate(sheet.headers)}
            mapping = fitting(resource, sheet.headers, posted)
            errors = _wrong(mapping)
            if not errors:
                imports.map_columns(draft=draft, mapping=mapping)
                return HttpResponseRedirect(self.import_url("preview", draft))
        context = {
            "draft": draft,
            "errors": errors,
            "headings": [
                Heading(name, f"column-{index}", _samples(sheet, index), mapping.get(name, ""))
                for index, name in enumerate(sheet.headers)
            ],
            "columns": resource.columns,
        }
        return self._page(request, "columns", context)

    # Step 3: what would happen, and what did

    def preview_view(self, request: HttpRequest, pk: Any) -> HttpResponse:
        draft = self._draft(request, pk)
        if draft.confirmed_at is not None:
            return self._result(request, draft)
        if not draft.mapped:
            return HttpResponseRedirect(self.import_url("columns", draft))
        if request.method == "POST":
            return self._confirm(request, draft)
        sheet = imports.sheet_of(draft)
        rows = self._lined(run(self._resource(request, draft.trip), sheet, self._mapping(request, draft)), sheet)
        self._note_preview(request, draft, rows)
        counts = Counter(row.state for row in rows)
        writes = counts["new"] + counts["changed"]
        context = {
            "draft": draft,
            "groups": _groups(rows),
            "counts": _told(counts),
            "people": _people(rows) if self._name == "passenger" else "",
            "left_out": [header for header, label in draft.mapping.items() if not label],
            "writes": said(writes, "row", "rows"),
            "any": bool(writes or counts["twin"]),
        }
        return self._page(request, "preview", context)

    def _note_preview(self, request: HttpRequest, draft: ImportDraft, rows: Sequence[Row]) -> None:
        """In the read log: beside what the file would change, the preview shows what is there."""
        columns = self._resource(request, draft.trip).fields.values()
        shows = [f"trips.{column.part}" for column in columns if column.part and column.label in draft.mapping.values()]
        people = [row.object_id for row in rows if row.state == "changed" and row.object_id]
        if people and shows:
            reading.note(request, ReadKind.IMPORT, shows=shows, people=people, what=draft.title)

    def _confirm(self, request: HttpRequest, draft: ImportDraft) -> HttpResponse:
        here = HttpResponseRedirect(self.import_url("preview", draft))
        if not imports.claim(draft=draft):
            return here
        sheet = imports.sheet_of(draft)
        twins = [int(text) for text in request.POST.getlist("twin") if is_id(text)]
        where = f" for {draft.trip}" if draft.trip else ""
        title = f"Import of {self.opts.verbose_name_plural}{where}: {draft.title}"  # type: ignore[attr-defined]
        with recorded(kind=BatchKind.IMPORT, title=title, by=request.user) as recorder:
            resource = self._resource(request, draft.trip, recorder=recorder, twins=twins, seconds=SAVE_SECONDS)
            rows = run(resource, sheet, self._mapping(request, draft))
        refused = [
            [*sheet.rows[row.number - 1], row.twin or " ".join(row.reasons)]
            for row in rows
            if row.state in {"error", "twin"}
        ]
        report = dict(Counter(row.state for row in rows))
        imports.finish(draft=draft, batch=recorder.batch if recorder.batch.pk else None, report=report, refused=refused)
        done = report.get("new", 0) + report.get("changed", 0)
        level = messages.SUCCESS if done else messages.WARNING
        self.message_user(request, f"{said(done, 'row was', 'rows were')} taken.", level)  # type: ignore[attr-defined]
        return here

    def _result(self, request: HttpRequest, draft: ImportDraft) -> HttpResponse:
        refused = draft.report.get("error", 0) + draft.report.get("twin", 0)
        context = {
            "draft": draft,
            "counts": _told(draft.report),
            "refused": said(refused, "row", "rows") if refused else "",
            "refused_url": self.import_url("refused", draft),
            "list_url": self._list_url(draft),
            "batch_url": _batch_url(self.admin_site.name, draft),  # type: ignore[attr-defined]
        }
        return self._page(request, "result", context)

    def _list_url(self, draft: ImportDraft) -> str:
        url = reverse(f"{self.admin_site.name}:trips_{self._name}_changelist")  # type: ignore[attr-defined]
        return f"{url}?{urlencode({'trip__id__exact': draft.trip_id})}" if draft.trip_id else url

    def refused_view(self, request: HttpRequest, pk: Any) -> HttpResponse:
        """The rows that were not taken, or would not be, as CSV with a column of reasons."""
        draft = self._draft(request, pk)
        if draft.confirmed_at is not None:
            headers, lines = imports.refused_of(draft)
        else:
            sheet = imports.sheet_of(draft)
            rows = run(self._resource(request, draft.trip), sheet, self._mapping(request, draft))
            headers = [*sheet.headers, "Reason"]
            lines = [
                [*sheet.rows[row.number - 1], row.twin or " ".join(row.reasons)]
                for row in rows
                if row.state in {"error", "twin"}
            ]
        answer = HttpResponse(write_csv(headers, lines), content_type="text/csv; charset=utf-8")
        answer["Content-Disposition"] = f'attachment; filename="not-taken-{self._name}.csv"'
        return answer

    # Shared

    def _allow(self, request: HttpRequest) -> None:
        if not self.has_import_permission(request):
            raise PermissionDenied

    def _draft(self, request: HttpRequest, pk: Any) -> ImportDraft:
        """Their own upload only: it may hold what others may not see."""
        self._allow(request)
        label = str(self.opts.label_lower)  # type: ignore[attr-defined]
        found = ImportDraft.objects.select_related("trip", "batch").filter(pk=pk, user=request.user.pk, model=label)
        draft = found.first()
        if draft is None:
            raise Http404("This import is gone: files are kept for a day. Give it again.")
        return draft

    def _resource(self, request: HttpRequest, trip: Trip | None, **how: Any) -> RowResource:
        return RESOURCES[self.model](user=request.user, trip=trip, **how)  # type: ignore[attr-defined]

    def _mapping(self, request: HttpRequest, draft: ImportDraft) -> dict[str, str]:
        """As mapped, without what this user may no longer write."""
        return fitting(self._resource(request, draft.trip), list(draft.mapping), draft.mapping)

    def _lined(self, rows: Sequence[Row], sheet: Sheet) -> Sequence[Row]:
        for row in rows:
            row.line = sheet.lines[row.number - 1]
            row.name = _name_of(row, sheet)
        return rows

    def _page(self, request: HttpRequest, step: str, context: dict[str, Any]) -> HttpResponse:
        meta = self.opts  # type: ignore[attr-defined]
        trip = context.get("trip") or getattr(context.get("draft"), "trip", None)
        title = f"Import {meta.verbose_name_plural}" + (f" for {trip}" if trip else "")
        shared = {
            **self.admin_site.each_context(request),  # type: ignore[attr-defined]
            "title": title,
            "what": str(meta.verbose_name_plural),
            "upload_url": self.import_url() + (f"?{urlencode({'trip': trip.pk})}" if trip else ""),
            "columns_url": self.import_url("columns", context["draft"]) if "draft" in context else "",
            "refused_url": self.import_url("refused", context["draft"]) if "draft" in context else "",
        }
        return TemplateResponse(request, f"trips/admin/import_{step}.html", {**shared, **context})


def _wrong(mapping: dict[str, str]) -> list[str]:
    counts = Counter(label for label in mapping.values() if label)
    twice = [label for label, count in counts.items() if count > 1]
    errors = [f"Two columns of the file are to be “{label}”. Leave one of them out." for label in twice]
    return errors if counts else ["Say at least of one column what it is."]


def _samples(sheet: Sheet, index: int) -> list[str]:
    """The first values below a header."""
    return [row[index][:60] for row in sheet.rows if row[index]][:3]


def _name_of(row: Row, sheet: Sheet) -> str:
    """What the row is about: the thing itself, or its first cells when it could not be read."""
    if row.instance is not None and str(row.instance):
        return str(row.instance)
    return " ".join([cell for cell in sheet.rows[row.number - 1] if cell][:3])[:80]


def _groups(rows: Sequence[Row]) -> list[Group]:
    groups = []
    for state in STATES:
        some = [row for row in rows if row.state == state]
        if some:
            shown = some if state == "twin" else some[:MOST_SHOWN]
            groups.append(
                Group(state, f"{GROUPS[state][0]}: {len(some)}", GROUPS[state][1], shown, len(some) - len(shown))
            )
    return groups


def _told(counts: Any) -> list[tuple[str, int]]:
    return [(GROUPS[state][0], counts.get(state, 0)) for state in STATES if counts.get(state, 0)]


def _people(rows: Sequence[Row]) -> str:
    """ "18 known, 5 new, 1 suspected twin": whom the rows speak of, whatever becomes of them."""
    taken = [row for row in rows if row.state != "error"]
    known = sum(1 for row in taken if row.known and row.state != "twin")
    twins = sum(1 for row in taken if row.state == "twin")
    told = [f"{known} known", f"{len(taken) - known - twins} new"]
    return ", ".join([*told, said(twins, "suspected twin", "suspected twins")] if twins else told)


def _batch_url(site: str, draft: ImportDraft) -> str:
    return reverse(f"{site}:trips_batch_change", args=[draft.batch_id]) if draft.batch_id else ""
