"""The wording of papers: edited by staff with the list of merge fields beside it, and looked at before it is saved."""

from __future__ import annotations

import base64
from functools import partial
from itertools import groupby
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST
from unfold.decorators import display
from unfold.widgets import UnfoldAdminTextareaWidget

from trips.admin.base import StaffAdmin, badge, day
from trips.admin.choosing import chooser
from trips.enums import ReadKind
from trips.forms import RuledForm
from trips.models import Document, PaperTemplate, Passenger
from trips.papers import preview, wording
from trips.papers.fields import FIELDS, passengers_for_papers
from trips.permissions import may_see
from trips.scope import check_every_trip, narrow_choices, visible_to
from trips.services import papers, reading
from trips.text import is_id


class PaperTemplateForm(RuledForm):
    class Meta:
        model = PaperTemplate
        fields = ("title", "body", "lawyer_checked")
        widgets = {"body": UnfoldAdminTextareaWidget(attrs={"rows": 18, "class": "paper-text", "spellcheck": "true"})}

    def clean_title(self) -> str:
        return _checked(self.cleaned_data["title"])

    def clean_body(self) -> str:
        return _checked(self.cleaned_data["body"])


def _checked(text: str) -> str:
    found = wording.faults(text)
    if found:
        raise ValidationError(found)
    return text


class ChoosePassenger(forms.Form):
    passenger = forms.ModelChoiceField(Passenger.objects.all(), required=False, label="Preview for")

    def __init__(self, *args: Any, site: Any, user: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        narrow_choices(user, self)
        field = self.fields["passenger"]
        field.widget = chooser(Document, "passenger", site, field)
        field.widget.attrs["form"] = "papertemplate_form"


@admin.register(PaperTemplate)
class PaperTemplateAdmin(StaffAdmin):
    form = PaperTemplateForm
    actions = ()
    list_display = ("kind", "title", "version", "checked", "edited")
    list_select_related = ("edited_by",)
    readonly_fields = ("edited",)
    change_form_before_template = "trips/admin/paper_preview_box.html"
    change_form_after_template = "trips/admin/paper_fields.html"
    empty_title = "No templates"
    empty_hint = "Run the migrations: they install the three with sample wording."

    class Media:
        js = ("trips/wording.js",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def layout(self, request: HttpRequest, obj: Any = None) -> Any:
        return [(None, {"fields": ("title", "body", "lawyer_checked", "edited")})]

    def change_model(self, request: HttpRequest, obj: Any, form: RuledForm) -> None:
        papers.change_wording(template=obj, columns=form.columns(), by=request.user)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(require_POST(self.preview_view))
        return [path("<int:pk>/preview/", view, name="trips_papertemplate_preview"), *super().get_urls()]

    def render_change_form(
        self,
        request: HttpRequest,
        context: Any,
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Any = None,
    ) -> HttpResponse:
        if obj is not None:
            choose = ChoosePassenger(site=self.admin_site, user=request.user)
            context["media"] += choose.media
            context["choose"] = choose["passenger"] if may_see(request.user, "trips.passenger") else None
            context["preview_url"] = reverse("admin:trips_papertemplate_preview", args=[obj.pk])
            context["unchecked"] = not obj.lawyer_checked
        context["merge_fields"] = [(name, list(fields)) for name, fields in groupby(FIELDS, lambda one: one.group)]
        return super().render_change_form(request, context, add, change, form_url, obj)

    @display(description="wording", ordering="lawyer_checked")
    def checked(self, template: PaperTemplate) -> SafeString:
        return badge("checked", "good") if template.lawyer_checked else badge("have a lawyer check", "doubt")

    @display(description="last edited")
    def edited(self, template: PaperTemplate) -> str:
        if template.edited_by is None:
            return f"Sample wording, version {template.version}"
        return f"Version {template.version}, {day(timezone.localdate(template.updated_at))} by {template.edited_by}"

    def preview_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The typed text as the pages of a PDF, for the chosen passenger; nothing is saved."""
        template = self.get_queryset(request).filter(pk=pk).first()
        if template is None:
            raise Http404(f"There is no paper template {pk}.")
        if not self.has_view_permission(request, template):
            raise PermissionDenied
        template.title = request.POST.get("title", template.title)[:200]
        template.body = request.POST.get("body", template.body)
        passenger = self._chosen(request)
        if passenger is not None:
            shows, what = wording.needed_for(template.title, template.body), f"{template}, a preview"
            reading.note(request, ReadKind.FILE, shows=shows, people=[passenger.pk], what=what)
        paper, content = papers.draft(
            template=template, passenger=passenger, may=partial(may_see, request.user), mark="PREVIEW"
        )
        pages = range(1, min(preview.pages_in(content), preview.MOST_PAGES) + 1)
        context = {
            **self.admin_site.each_context(request),
            "title": f"Preview: {template}",
            "passenger": passenger,
            "missing": paper.missing,
            "faults": [*wording.faults(template.title), *wording.faults(template.body)],
            "pictures": [base64.b64encode(preview.picture(content, page)).decode() for page in pages],
        }
        answer = TemplateResponse(request, "trips/admin/paper_preview.html", context)
        answer["Cache-Control"] = "private, no-store"
        return answer

    def _chosen(self, request: HttpRequest) -> Any:
        asked = request.POST.get("passenger", "")
        if not asked:
            return None
        if not may_see(request.user, "trips.passenger"):
            raise PermissionDenied
        rows = visible_to(request.user, passengers_for_papers([int(asked)])) if is_id(asked) else None
        found = rows.first() if rows is not None else None
        if found is None:
            check_every_trip(request.user)
            raise Http404("This passenger is not here any more.")
        return found
