"""Travellers' own forms: a link on the passenger's page, the list of what was sent in, and the desk that reviews it.

A link is shown once, when it is made: of its secret only a hash is kept. Each part of a form is seen and decided with
the permission of its data.
"""

from __future__ import annotations

import logging
from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import ChoicesCheckboxFilter
from unfold.decorators import action, display

from trips.admin.base import ReadOnly, badge
from trips.admin.lists import FoldedSearch
from trips.admin.scoped import ScopedRows
from trips.enums import LIVE_FORMS, FormState, FormStep, ReadKind
from trips.models import Batch, Passenger, TravellerForm
from trips.scope import check_every_trip, visible_to
from trips.services import reading, traveller_links, traveller_review
from trips.services.traveller_answers import signature_holds
from trips.services.traveller_links import NoLink, Standing
from trips.services.traveller_review import NotTaken
from trips.text import is_id

LOG = logging.getLogger("trips.traveller")
_GUARDED: dict[str, str] = {FormStep.PASSPORT: "trips.passport", FormStep.HEALTH: "trips.healthrecord"}
REASONS = ("Name differs from the passport", "Passport number or date is wrong", "Something is missing")
_COLOURS = {
    Standing.OPEN: "plain",
    Standing.SENT_IN: "doubt",
    Standing.REVIEWED: "good",
    Standing.WITHDRAWN: "plain",
    Standing.EXPIRED: "bad",
    Standing.OVER: "plain",
}


def only_when_on() -> None:
    if not settings.TRAVELLER_LINKS:
        raise Http404("Forms for travellers are switched off (TRAVELLER_LINKS).")


def has_forms(request: HttpRequest) -> bool:
    """For the menu: whether forms are switched on and this user may see them."""
    user: Any = request.user
    return bool(settings.TRAVELLER_LINKS and user.has_perm("trips.view_travellerform"))


def link_address(request: HttpRequest, token: str) -> str:
    """What a traveller opens; the secret stands behind the #, which no server sees."""
    return f"{request.build_absolute_uri(reverse('traveller:start'))}#{token}"


def standing_badge(form: TravellerForm) -> SafeString:
    now = traveller_links.standing(form)
    return badge(now.value.capitalize(), _COLOURS[now])


class TravellerFormPage:
    """Mixin for the passenger's page: their form, its link and its end, on a page of its own."""

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.traveller_form_view)  # type: ignore[attr-defined]
        here = path("<int:object_id>/traveller-form/", view, name="trips_passenger_own_form")
        return [here, *super().get_urls()]  # type: ignore[misc]

    @action(description="Traveller form", permissions=["traveller_form"], url_path="to-traveller-form")
    def traveller_form(self, request: HttpRequest, object_id: int) -> HttpResponseRedirect:
        return HttpResponseRedirect(reverse("admin:trips_passenger_own_form", args=[object_id]))

    def has_traveller_form_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return has_forms(request)

    def traveller_form_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        only_when_on()
        passenger = self._asked(request, object_id)
        user: Any = request.user
        link = ""
        if request.method == "POST" and "withdraw" in request.POST:
            self._withdraw(request, passenger)
            return HttpResponseRedirect(request.path)
        if request.method == "POST":
            link = self._made(request, passenger)
        form = traveller_links.current_form(passenger)
        chosen = form.steps if form and form.state == FormState.OPEN else traveller_links.steps_offered()
        context = {
            **self.admin_site.each_context(request),  # type: ignore[attr-defined]
            "title": f"Traveller form of {passenger}",
            "passenger": passenger,
            "form": form,
            "standing": standing_badge(form) if form else "",
            "open": form is not None and form.state == FormState.OPEN,
            "waits": form is not None and form.state == FormState.SENT_IN,
            "live": form is not None and form.state in LIVE_FORMS,
            "link": link,
            "hindrance": traveller_links.hindrance(passenger, timezone.localdate()),
            "steps": [(step.value, step.label, step in chosen) for step in traveller_links.steps_offered()],
            "days": settings.TRAVELLER_LINK_DAYS,
            "may_make": user.has_perm("trips.add_travellerform"),
            "may_withdraw": user.has_perm("trips.change_travellerform"),
            "may_remind": self.has_remind_permission(request),  # type: ignore[attr-defined]
            "review_url": _review_url(form) if form else "",
        }
        answer = TemplateResponse(request, "trips/admin/traveller_form.html", context)
        answer["Cache-Control"] = "no-store, private"  # the link stands in it
        return answer

    def _asked(self, request: HttpRequest, object_id: int) -> Passenger:
        allowed = self.has_view_permission(request) and self.has_traveller_form_permission(request)  # type: ignore[attr-defined]
        if not allowed:
            raise PermissionDenied
        found: Passenger | None = self.get_queryset(request).filter(pk=object_id).first()  # type: ignore[attr-defined]
        if found is None:
            raise Http404(f"There is no passenger {object_id}.")
        return found

    def _made(self, request: HttpRequest, passenger: Passenger) -> str:
        """The address of a new link; empty, with a message, when there can be none."""
        user: Any = request.user
        if not user.has_perm("trips.add_travellerform"):
            raise PermissionDenied
        try:
            form, token = traveller_links.make_link(
                passenger=passenger, steps=request.POST.getlist("steps"), by=request.user
            )
        except NoLink as refused:
            self.message_user(request, f"No link was made. {refused}", messages.ERROR)  # type: ignore[attr-defined]
            return ""
        LOG.info("user %s made a link to form %s", user.pk, form.pk)
        return link_address(request, token)

    def _withdraw(self, request: HttpRequest, passenger: Passenger) -> None:
        user: Any = request.user
        if not user.has_perm("trips.change_travellerform"):
            raise PermissionDenied
        form = traveller_links.current_form(passenger)
        try:
            if form is None:
                raise NoLink("There is no form of this traveller.")
            traveller_links.withdraw(form=form, by=user)
        except NoLink as refused:
            self.message_user(request, str(refused), messages.WARNING)  # type: ignore[attr-defined]
        else:
            LOG.info("user %s withdrew form %s", user.pk, form.pk)
            text = (
                "Withdrawn: the link leads nowhere any more; what was typed is forgotten, files sent with it are gone."
            )
            self.message_user(request, text, messages.SUCCESS)  # type: ignore[attr-defined]


@admin.register(TravellerForm)
class TravellerFormAdmin(FoldedSearch, ReadOnly, ScopedRows, ModelAdmin):
    """The forms, and the desk at which they are reviewed. Answers are shown at the desk only."""

    actions_list = ("review_all",)
    list_display = ("passenger", "trip", "state_shown", "sent_in_at", "signed_name", "expires_at", "made_by")
    list_filter = (("state", ChoicesCheckboxFilter),)
    list_select_related = ("passenger__trip", "made_by")
    list_per_page = 25
    list_fullwidth = True
    show_facets = admin.ShowFacets.ALWAYS
    empty_value_display = "–"
    empty_title = "No form here"
    empty_hint = "Make a link on a passenger’s page, at Traveller form, or put {form} into a reminder."
    search_fields = ("passenger__search_key",)
    search_help_text = "Traveller’s legal name, or who signed"
    fields = (
        "passenger",
        "state_shown",
        "asked_for",
        "made_by",
        "created_at",
        "expires_at",
        "sent_in_at",
        "signed_name",
        "signer",
        "relationship",
        "consent_text",
        "signature",
        "sent_back_reason",
        "reviewed_by",
        "reviewed_at",
        "to_review",
    )

    class Media:
        css = {"all": ("trips/staff.css", "trips/papers.css")}
        js = ("trips/staff.js",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        # A list has no use for what is encrypted, and a wrong key must not break it.
        return super().get_queryset(request).defer("answers", "base")

    def ways_of_word(self, word: str) -> list[Q]:
        return [Q(passenger__search_key__contains=word), Q(signed_name__icontains=word)]

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.review_view)
        return [path("review/", view, name="trips_travellerform_review"), *super().get_urls()]

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(settings.TRAVELLER_LINKS) and super().has_view_permission(request, obj)

    def has_review_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        user: Any = request.user
        return bool(user.has_perm("trips.change_travellerform") and user.has_perm("trips.view_passenger"))

    def changelist_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        only_when_on()
        return super().changelist_view(request, *args, **kwargs)

    def change_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        only_when_on()
        return super().change_view(request, *args, **kwargs)

    @display(description="trip", ordering="passenger__trip__name")
    def trip(self, form: TravellerForm) -> str:
        return str(form.passenger.trip or "–")

    @display(description="state", ordering="state")
    def state_shown(self, form: TravellerForm) -> SafeString:
        return standing_badge(form)

    @display(description="asks for")
    def asked_for(self, form: TravellerForm) -> str:
        return ", ".join(str(FormStep(step).label) for step in form.steps)

    @display(description="signature")
    def signature(self, form: TravellerForm) -> str:
        return signature_told(form) or "none in force"

    @display(description="review")
    def to_review(self, form: TravellerForm) -> SafeString | str:
        if form.state != FormState.SENT_IN:
            return "nothing waits"
        return format_html('<a class="text-link" href="{}">Open it at the desk</a>', _review_url(form))

    @action(description="Review", permissions=["review"], url_path="to-review")
    def review_all(self, request: HttpRequest) -> HttpResponseRedirect:
        return HttpResponseRedirect(reverse("admin:trips_travellerform_review"))

    # The desk

    def review_view(self, request: HttpRequest) -> HttpResponse:
        only_when_on()
        if not self.has_review_permission(request):
            raise PermissionDenied
        if request.method == "POST":
            return self._decide(request)
        waiting = visible_to(request.user, traveller_review.to_review())
        after = request.GET.get("after", "")
        form = waiting.filter(pk__gt=after).order_by("pk").first() if is_id(after) else waiting.order_by("pk").first()
        user: Any = request.user
        parts = traveller_review.compare(form, user.has_perm) if form else []
        if form:
            shows = [_GUARDED[part.code] for part in parts if part.code in _GUARDED and part.lines]
            reading.note(request, ReadKind.REVIEW, shows=shows, people=[form.passenger_id], what=f"form {form.pk}")
        context = {
            **self.admin_site.each_context(request),
            "title": f"Review: {form.passenger}" if form else "Review forms",
            "form": form,
            "count": waiting.count(),
            "parts": parts,
            "may_decide": any(part.open for part in parts),
            "shown": traveller_review.shown_hash(form, parts) if form else "",
            "signature": signature_told(form) if form else "",
            "reasons": REASONS,
            "skip_url": f"{reverse('admin:trips_travellerform_review')}?after={form.pk}" if form else "",
            "skipped": bool(after),
        }
        answer = TemplateResponse(request, "trips/admin/traveller_review.html", context)
        answer["Cache-Control"] = "no-store, private"
        return answer

    def _decide(self, request: HttpRequest) -> HttpResponse:
        """Decide about one and open the next; what was refused is before them again, as it is by now."""
        pk, verb = request.POST.get("form", ""), request.POST.get("verb")
        rows = visible_to(request.user, TravellerForm.objects.select_related("passenger__trip"))
        form = rows.filter(pk=pk).first() if is_id(pk) else None
        if form is None:
            check_every_trip(request.user)
        if form is None or verb not in {"approve", "reject"}:
            raise Http404("This form is not here any more.")
        user: Any = request.user
        here = reverse("admin:trips_travellerform_review")
        try:
            if verb == "approve":
                keys, shown = request.POST.getlist("take"), request.POST.get("shown", "")
                batch = traveller_review.accept(form=form, keys=keys, shown=shown, may=user.has_perm, by=user)
                self._say_accepted(request, form, batch)
            else:
                reason = request.POST.get("other", "").strip() or request.POST.get("reason", "")
                traveller_review.send_back(form=form, reason=reason, by=user)
                self._say_sent_back(request, form)
        except NotTaken as refused:
            self.message_user(request, str(refused), messages.ERROR)
            return HttpResponseRedirect(f"{here}?after={form.pk - 1}")
        LOG.info("user %s decided about form %s: %s", user.pk, form.pk, verb)
        return HttpResponseRedirect(f"{here}?after={form.pk}")

    def _say_sent_back(self, request: HttpRequest, form: TravellerForm) -> None:
        why = traveller_links.hindrance(form.passenger, timezone.localdate())
        if why:
            self.message_user(
                request, f"Sent back, but {form.passenger} cannot answer any more. {why}", messages.WARNING
            )
            return
        text = f"Sent back to {form.passenger}: the same link works again. Tell them, or send a new one."
        self.message_user(request, text, messages.SUCCESS)

    def _say_accepted(self, request: HttpRequest, form: TravellerForm, batch: Batch) -> None:
        left = "" if form.state == FormState.ACCEPTED else " What you may not decide about waits for somebody else."
        url = reverse("admin:trips_batch_change", args=[batch.pk])
        text = format_html('{}: taken over.{} <a class="text-link" href="{}">Undo…</a>', form.passenger, left, url)
        self.message_user(request, text, messages.SUCCESS)


def signature_told(form: TravellerForm) -> str:
    """Who signed as what, and whether what is kept is still what was signed; empty where no signature is in force."""
    if form.state not in (FormState.SENT_IN, FormState.ACCEPTED):
        return ""
    as_what = f", {form.relationship}" if form.relationship else ""
    holds = "what is kept is what was signed" if signature_holds(form) else "WHAT IS KEPT IS NOT WHAT WAS SIGNED"
    return f"{form.signed_name}{as_what} ({form.get_signer_display()}). SHA-256 {form.signed_sha256}: {holds}."


def _review_url(form: TravellerForm) -> str:
    return f"{reverse('admin:trips_travellerform_review')}?after={form.pk - 1}"
