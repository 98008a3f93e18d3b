"""Papers of many: look at what can be made and what is missing, have them made, watch it, and take them as one ZIP.

Everybody sees the runs they asked for; others' are for whoever may view runs. A file goes into somebody's ZIP only if
they may open it.
"""

from __future__ import annotations

import io
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from zipfile import ZIP_STORED, ZipFile

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.http import content_disposition_header
from django.utils.safestring import SafeString
from django.utils.text import slugify
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from unfold.admin import ModelAdmin
from unfold.decorators import display

from trips.admin.base import ReadOnly, badge, said
from trips.admin.files import GUARDED, LOG, may_open, note_file, state_badge
from trips.admin.licences import doubtful_lines
from trips.admin.review import to_review
from trips.admin.scoped import ScopedRows
from trips.enums import PAPER_KINDS, DocumentKind
from trips.models import Document, PaperRun, PaperRunRow, Passenger, Trip
from trips.papers.fields import passengers_for_papers
from trips.permissions import may_see, sees_every_trip
from trips.scope import check_every_trip, visible_to
from trips.services import documents, paper_runs, papers
from trips.services.plans import MOST_ROWS
from trips.text import is_id

Outcome = PaperRunRow.Outcome
# So many passengers and rows are named on a page; what is missing comes first.
MOST_NAMED = 200
# So many are approved at one press, each a transaction of its own; the page says how many are left.
MOST_APPROVED = 500
# Of those whom somebody else had decided, so many are told one by one.
MOST_TOLD = 5


@dataclass(frozen=True, slots=True)
class Line:
    """A passenger on the preview, with one word or reason for each kind."""

    passenger: Passenger
    cells: list[tuple[str, str]]

    @property
    def blocked(self) -> bool:
        return any(reason for _label, reason in self.cells)


@admin.register(PaperRun)
class PaperRunAdmin(ReadOnly, ScopedRows, ModelAdmin):
    list_display = ("title", "by", "created_at", "made", "not_made", "state")
    list_per_page = 25
    list_fullwidth = True
    empty_title = "No papers were made for many yet"
    empty_hint = "Tick passengers in their list and press “Make papers…”, or press Papers on a trip."

    class Media:
        css = {"all": ("trips/staff.css", "trips/bulk.css", "trips/papers.css")}
        js = ("trips/staff.js",)

    # Who may look: see the module's words.

    def get_queryset(self, request: HttpRequest) -> QuerySet[PaperRun]:
        made, blocked = (Count("rows", Q(rows__outcome=outcome)) for outcome in (Outcome.MADE, Outcome.BLOCKED))
        rows = (
            super().get_queryset(request).select_related("by", "batch").annotate(made_count=made, blocked_count=blocked)
        )
        return rows if super().has_view_permission(request) else rows.filter(by=request.user)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_view_permission(request, obj) or may_see(request.user, "trips.document")

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("make/", wrap(require_http_methods(["GET", "POST"])(self.ask_view)), name="trips_paperrun_ask"),
            path("<int:pk>/zip/", wrap(require_GET(self.zip_view)), name="trips_paperrun_zip"),
            path(
                "<int:pk>/approve/",
                wrap(require_http_methods(["GET", "POST"])(self.approve_view)),
                name="trips_paperrun_approve",
            ),
            path("<int:pk>/go-on/", wrap(require_POST(self.go_on_view)), name="trips_paperrun_go_on"),
            *super().get_urls(),
        ]

    @display(description="made")
    def made(self, run: Any) -> int:
        return int(run.made_count)

    @display(description="not made")
    def not_made(self, run: Any) -> int:
        return int(run.blocked_count)

    @display(description="state")
    def state(self, run: PaperRun) -> SafeString:
        return badge("done", "good") if run.finished_at else badge("being made", "doubt")

    # Asking for it

    def ask_view(self, request: HttpRequest) -> HttpResponse:
        """The preview for a trip's booked passengers or for chosen ones; with `confirm` they are made."""
        if request.method == "GET":
            return self.ask_page(request, *self._of_trip(request))
        ids = [int(text) for text in request.POST.get("ids", "").split(",") if is_id(text)]
        title = " ".join(request.POST.get("title", "").split())[:200] or "Papers"
        kinds = [kind for kind in PAPER_KINDS if kind.value in request.POST.getlist("kinds")]
        if "confirm" not in request.POST or not kinds:
            if "confirm" in request.POST:
                self.message_user(request, "Nothing was made: tick at least one kind of paper.", messages.ERROR)
            return self.ask_page(request, ids, title)
        self._may_make(request)
        people = list(visible_to(request.user, Passenger.objects.filter(pk__in=ids[:MOST_ROWS])))
        run = paper_runs.start(
            passengers=people,
            kinds=kinds,
            to_stage=paper_runs.SENT_STAGE if "move" in request.POST and self._may_move(request) else "",
            title=title,
            by=request.user,
            key=_key(request.POST.get("key", "")),
        )
        LOG.info("user %s asked for run %s of papers", request.user.pk, run.pk)
        return HttpResponseRedirect(self._url("change", run))

    def ask_page(self, request: HttpRequest, ids: Sequence[int], title: str) -> HttpResponse:
        """What can be made and what is missing, passenger by passenger."""
        self._may_make(request)
        if len(ids) > MOST_ROWS:
            told = f"Only the first {MOST_ROWS:,} are taken at once; make the rest in another run."
            self.message_user(request, told, messages.WARNING)
        chosen = visible_to(request.user, passengers_for_papers(ids[:MOST_ROWS]))
        people = list(chosen.order_by("legal_last_name", "legal_first_name", "pk"))
        templates = papers.templates()
        lines = [Line(one, _cells(request, one, templates)) for one in people]
        counts = Counter((label, not reason) for line in lines for label, reason in line.cells)
        labels = {one.kind: str(DocumentKind(one.kind).label) for one in templates}
        kinds = [(kind, label, counts[label, True]) for kind, label in labels.items()]
        lines.sort(key=lambda line: not line.blocked)
        context = {
            **self.admin_site.each_context(request),
            "title": title,
            "here": reverse("admin:trips_paperrun_ask"),
            "ids": ",".join(str(one.pk) for one in people),
            "key": uuid.uuid4(),
            "kinds": kinds,
            "ready": sum(ready for _kind, _label, ready in kinds),
            "blocked": sum(1 for line in lines for _label, reason in line.cells if reason),
            "lines": lines[:MOST_NAMED],
            "more": max(len(lines) - MOST_NAMED, 0),
            "may_move": self._may_move(request),
            "moving": len(paper_runs.to_move([line.passenger for line in lines if not line.blocked])),
            "stage": paper_runs.SENT_STAGE.label,
            "licences": doubtful_lines(request.user, people),
            "unchecked": [str(one) for one in templates if not one.lawyer_checked],
            "people": said(len(people), "passenger", "passengers"),
        }
        return TemplateResponse(request, "trips/admin/paper_ask.html", context)

    def _of_trip(self, request: HttpRequest) -> tuple[list[int], str]:
        asked = request.GET.get("trip", "")
        found = visible_to(request.user, Trip.objects.filter(pk=asked)).first() if is_id(asked) else None
        if found is None and is_id(asked):
            check_every_trip(request.user)
        if found is None:
            raise Http404("Choose passengers in their list, or open this page from a trip.")
        if not may_see(request.user, "trips.trip"):
            raise PermissionDenied
        return list(found.passengers.seated().values_list("pk", flat=True)), f"Papers of {found}"

    def _may_make(self, request: HttpRequest) -> None:
        user: Any = request.user
        if not (may_see(user, "trips.passenger") and user.has_perm("trips.add_document")):
            raise PermissionDenied

    def _may_move(self, request: HttpRequest) -> bool:
        user: Any = request.user
        return bool(user.has_perm("trips.change_passenger"))

    # Watching it

    def change_view(self, request: HttpRequest, object_id: str, *_args: Any, **_kwargs: Any) -> HttpResponse:
        """The run's page; with ?part only what changes on it, for the script that keeps it current."""
        run = self._run(request, object_id)
        shown = {"run": run, **self._progress(request, run)}
        if "part" in request.GET:
            answer = TemplateResponse(request, "trips/admin/paper_progress.html", shown)
            answer["Cache-Control"] = "no-store"
            return answer
        context = {**self.admin_site.each_context(request), "title": run.title, **shown}
        return TemplateResponse(request, "trips/admin/paper_run.html", context)

    def _progress(self, request: HttpRequest, run: PaperRun) -> dict[str, Any]:
        counts = paper_runs.counts_of(run)
        rows = run.rows.exclude(outcome="").select_related("passenger", "document").defer("document__remote_url")
        # A run may name somebody who has left the trip since.
        rows = _seen(request, rows).order_by("outcome", "pk")[:MOST_NAMED]  # "blocked" stands before "made"
        names = may_see(request.user, "trips.passenger")
        batch = run.batch if run.batch_id and self._may_move(request) else None
        return {
            "counts": counts,
            "done": counts["total"] - counts["left"],
            "stopped": paper_runs.is_stopped(run),
            "rows": [(row, state_badge(row.document) if row.document else "") for row in rows] if names else [],
            "more": max(counts["total"] - counts["left"] - MOST_NAMED, 0),
            "batch": batch,
            "undo_url": reverse("admin:trips_batch_undo", args=[batch.pk]) if batch else "",
            "zip_url": self._url("zip", run) if run.finished_at and counts["made"] else "",
            "to_approve": self._to_approve(request, run).count() if self._may_approve(request, run) else 0,
            "approve_url": self._url("approve", run),
            "go_on_url": self._url("go_on", run),
            "part_url": f"{self._url('change', run)}?part",
        }

    def go_on_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        run = self._run(request, str(pk))
        if paper_runs.is_stopped(run):
            paper_runs.wake(run.pk)
            self.message_user(request, "It is in the queue again.", messages.SUCCESS)
        return HttpResponseRedirect(self._url("change", run))

    def zip_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """All that was made and that this user may open, a folder a passenger."""
        run = self._run(request, str(pk))
        rows = run.rows.filter(outcome=Outcome.MADE, document__isnull=False).select_related("passenger", "document")
        rows = _seen(request, rows).defer("document__remote_url")
        opened = [row for row in rows if row.document and may_open(request.user, row.document)]
        if not opened:
            raise PermissionDenied
        note_file(request, [row.document for row in opened if row.document])
        name = f"{slugify(run.title)[:80] or 'papers'}-{timezone.localdate(run.created_at).isoformat()}.zip"
        answer: Any = StreamingHttpResponse(_zipped(opened), content_type="application/zip")
        disposition = content_disposition_header(True, name)
        for header, value in {**GUARDED, "Content-Disposition": disposition}.items():
            answer[header] = value
        return answer

    # Approving all that was made

    def approve_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """How many would be approved, of which kinds; a POST approves those that this page showed."""
        run = self._run(request, str(pk))
        if run.finished_at is None:
            raise Http404("These papers are still being made.")
        if not self._may_approve(request, run):
            raise PermissionDenied
        if request.method == "POST":
            return self._approve(request, run)
        waiting = self._to_approve(request, run)
        shown = list(waiting.values_list("pk", "kind")[:MOST_APPROVED])
        counts = Counter(kind for _pk, kind in shown)
        context = {
            **self.admin_site.each_context(request),
            "title": f"Approve all: {run.title}",
            "run": run,
            "back_url": self._url("change", run),
            "ids": ",".join(str(pk) for pk, _kind in shown),
            "count": len(shown),
            "later": waiting.count() - len(shown) if len(shown) == MOST_APPROVED else 0,
            "kinds": [(str(kind.label), counts[kind.value]) for kind in PAPER_KINDS if counts[kind.value]],
        }
        return TemplateResponse(request, "trips/admin/paper_approve.html", context)

    def _approve(self, request: HttpRequest, run: PaperRun) -> HttpResponse:
        """Each through the service that the review desk uses. Only papers of this run that this user may open."""
        ids = [int(text) for text in request.POST.get("ids", "").split(",") if is_id(text)][:MOST_APPROVED]
        made = run.rows.filter(outcome=Outcome.MADE).values("document")
        chosen = Document.objects.filter(pk__in=ids).defer("remote_url").order_by("pk")
        ours = [one for one in chosen.filter(pk__in=made) if may_open(request.user, one)]
        done = documents.approve_each(documents=ours, by=request.user)
        gone = len(set(ids)) - chosen.count()
        if done.count:
            LOG.info("user %s approved %s papers of run %s", request.user.pk, done.count, run.pk)
            self.message_user(request, f"{said(done.count, 'paper', 'papers')} approved.", messages.SUCCESS)
        if done.decided:
            told = " ".join(done.decided[:MOST_TOLD])
            more = f" And {len(done.decided) - MOST_TOLD} more." if done.decided[MOST_TOLD:] else ""
            self.message_user(request, f"Somebody was quicker. {told}{more}", messages.WARNING)
        if gone:
            self.message_user(request, f"{said(gone, 'paper was', 'papers were')} deleted meanwhile.", messages.WARNING)
        elif not ours:
            self.message_user(request, "Nothing was approved: no paper was chosen.", messages.ERROR)
        return HttpResponseRedirect(self._url("change", run))

    def _to_approve(self, request: HttpRequest, run: PaperRun) -> QuerySet[Document]:
        """What this run made, waits for a decision and may be opened by this user, the oldest first."""
        return to_review(request.user).filter(pk__in=run.rows.filter(outcome=Outcome.MADE).values("document"))

    def _may_approve(self, request: HttpRequest, run: PaperRun) -> bool:
        """The same permission as at the review desk; while papers are being made nobody can."""
        user: Any = request.user
        return run.finished_at is not None and bool(user.has_perm("trips.change_document"))

    def _run(self, request: HttpRequest, pk: str) -> PaperRun:
        run: Any = self.get_object(request, pk)
        if run is None:
            raise Http404(f"There is no run of papers {pk}.")
        if not may_see(request.user, "trips.document"):
            raise PermissionDenied
        return run

    def _url(self, page: str, run: PaperRun) -> str:
        return reverse(f"admin:trips_paperrun_{page}", args=[run.pk])


def _cells(request: HttpRequest, passenger: Any, templates: Sequence[Any]) -> list[tuple[str, str]]:
    """Each kind with what keeps this passenger's from being final."""
    prepared = [
        papers.prepare(template=one, passenger=passenger, may=partial(may_see, request.user)) for one in templates
    ]
    return [(one.label, one.blocked) for one in prepared]


def _seen(request: HttpRequest, rows: Any) -> Any:
    """The rows of a run whose passengers this user may see."""
    if sees_every_trip(request.user):
        return rows
    return rows.filter(passenger__in=visible_to(request.user, Passenger.objects.all()).order_by().values("pk"))


def _folder(row: PaperRunRow) -> str:
    """A passenger's number keeps namesakes apart."""
    return f"{slugify(str(row.passenger))[:60] or 'passenger'}-{row.passenger_id}"


class _Passing(io.RawIOBase):
    """What was written since the last look."""

    def __init__(self) -> None:
        super().__init__()
        self._written = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, piece: Any) -> int:
        self._written += piece
        return len(piece)

    def taken(self) -> bytes:
        found = bytes(self._written)
        self._written.clear()
        return found


def _zipped(rows: Sequence[PaperRunRow]) -> Iterator[bytes]:
    """A ZIP, made while it is sent, so that no plain copy of the papers lies on the disk or in memory meanwhile.

    Papers are compressed in themselves. One that cannot be handed out is named in a file of the ZIP.
    """
    out, missing = _Passing(), []
    with ZipFile(out, "w", compression=ZIP_STORED) as archive:
        for row in rows:
            document: Any = row.document
            try:
                file = documents.opened(document)
            except documents.NotAsStored as told:
                LOG.error("the file of document %s could not be handed out", document.pk)
                missing.append(str(told))
                continue
            with file, archive.open(f"{_folder(row)}/{row.kind}-v{document.paper_version}.pdf", "w") as entry:
                for piece in file.chunks():
                    entry.write(piece)
                    yield out.taken()
        if missing:
            archive.writestr("MISSING.txt", "\n".join(missing) + "\n")
    yield out.taken()


def _key(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        return uuid.uuid4()
