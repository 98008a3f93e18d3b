"""Documents whose file stands in GoHighLevel: what the list and the page say of its copy, and trying again."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.contrib import admin, messages
from django.db.models import BooleanField, Case, Exists, OuterRef, Q, QuerySet, Value, When
from django.http import HttpRequest
from django.utils import formats, timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from ghl_sync import tasks
from ghl_sync.engine import files
from ghl_sync.models import FileCopy
from trips.admin.base import FrugalFilter, badge, said
from trips.admin.document import DocumentAdmin
from trips.models import Document


class FileFilter(FrugalFilter):
    """Where the file of a document is."""

    title = "file"
    parameter_name = "file"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("here", "Here"), ("coming", "Being copied from GoHighLevel"), ("lost", "Not copied")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() == "here":
            return queryset.exclude(file="")
        linked = queryset.filter(file="").exclude(remote_url="")
        given_up = FileCopy.objects.filter(document_id=OuterRef("pk"), next_try_at__isnull=True)
        if self.value() == "coming":
            return linked.filter(~Exists(given_up))
        return linked.filter(Exists(given_up)) if self.value() == "lost" else queryset


class CopiedDocumentAdmin(DocumentAdmin):
    """The documents' page with what is known of copies. The link itself is not read here."""

    list_filter: Any = (*DocumentAdmin.list_filter, FileFilter)
    actions = ("copy_again", *DocumentAdmin.actions)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        linked = Case(
            When(Q(file="") & ~Q(remote_url=""), then=Value(True)), default=Value(False), output_field=BooleanField()
        )
        return super().get_queryset(request).annotate(only_linked=linked)

    def facts(self, document: Document) -> str | SafeString:
        return _standing(document.pk) if getattr(document, "only_linked", False) else super().facts(document)

    facts.short_description = "file"  # type: ignore[attr-defined]

    @admin.action(description="Copy from GoHighLevel again", permissions=["change"])
    def copy_again(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        linked = list(queryset.filter(only_linked=True).values_list("pk", flat=True))
        if not linked:
            self.message_user(request, "None of them stands in GoHighLevel only.", messages.WARNING)
            return
        files.try_again(linked)
        soon = "in a moment" if tasks.ask("copy_files") else "within five minutes"
        self.message_user(request, f"{said(len(linked), 'file is', 'files are')} fetched {soon}.", messages.SUCCESS)


def _standing(pk: int) -> SafeString:
    row = FileCopy.objects.filter(document_id=pk).first()
    if row is None or not row.failure:
        return format_html("{} Its copy comes within five minutes.", badge("In GoHighLevel", "plain"))
    if row.next_try_at is None:
        told = "Download it in GoHighLevel and upload it here, or choose “Copy from GoHighLevel again” in the list."
        return format_html("{} {} {}", badge("Not copied", "bad"), row.failure, told)
    return format_html("{} {} Tried again {}.", badge("Not copied yet", "doubt"), row.failure, _when(row.next_try_at))


def _when(moment: dt.datetime) -> str:
    return f"at {formats.date_format(timezone.localtime(moment), 'j M Y, H:i')}"


admin.site.unregister(Document)
admin.site.register(Document, CopiedDocumentAdmin)
