"""The pages behind a traveller's link. They know no account and no session: the link is all there is.

The link's secret comes behind the `#`, which no server sees; a script (or the traveller, who pastes the link) posts it,
and it then travels in a cookie that is sent to this one form's address only. No page has it in its own address.
Every answer is kept by no cache, runs and loads nothing from elsewhere, and tells search engines to stay away. The
referrer policy is `same-origin`: with `no-referrer` browsers send `Origin: null` and no form could be posted.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from trips.enums import FormSigner, FormStep
from trips.models import TravellerForm
from trips.services import documents, traveller_answers, traveller_uploads
from trips.services.traveller_answers import NEW
from trips.services.traveller_links import Standing, find, standing
from trips.traveller import forms

View = Callable[..., HttpResponse]
HEADERS = {
    "Cache-Control": "no-store, private",
    "Referrer-Policy": "same-origin",
    "X-Robots-Tag": "noindex, nofollow",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
}
# What a link says that leads to no form; it names nobody.
DEAD = {
    None: (
        "This link does not work",
        "It may have been cut off when it was copied, or a newer one has taken its place. Use the newest link that you "
        "got, or ask your organiser for a new one.",
        404,
    ),
    Standing.SENT_IN: (
        "This form was sent in",
        "Thank you! Your organiser will look at it. There is nothing more to do here.",
        200,
    ),
    Standing.REVIEWED: (
        "This form is done",
        "It was sent in and looked at; its link is used up. To change something, ask your organiser for a new link.",
        410,
    ),
    Standing.WITHDRAWN: ("This link was withdrawn", "Ask your organiser for a new one.", 410),
    Standing.EXPIRED: (
        "This link has expired",
        "Ask your organiser for a new one. What you have typed is kept and will be there.",
        410,
    ),
    Standing.OVER: (
        "This form is closed",
        "It can no longer be filled in. Ask your organiser if you have a question.",
        410,
    ),
}


def traveller_page(view: View) -> View:
    """Off by the setting, guarded otherwise."""

    @require_http_methods(["GET", "HEAD", "POST"])
    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not settings.TRAVELLER_LINKS:
            raise Http404("There is no such page.")
        answer = view(request, *args, **kwargs)
        for name, value in HEADERS.items():
            answer[name] = value
        return answer

    return guarded


def own_form(view: View) -> View:
    """With the form that this browser's link leads to, while it is open; a page that says what to do otherwise."""

    @traveller_page
    @wraps(view)
    def opened(request: HttpRequest, uid: uuid.UUID, **kwargs: Any) -> HttpResponse:
        form = find(request.COOKIES.get(_cookie(uid), ""))
        if form is None or form.uid != uid:
            return _start_page(request, "Please open your link once more.")
        now = standing(form)
        if now != Standing.OPEN:
            return _dead(request, now)
        try:
            return view(request, form, **kwargs)
        except traveller_answers.Closed:
            form.refresh_from_db()
            return _dead(request, standing(form))

    return opened


@traveller_page
def start(request: HttpRequest) -> HttpResponse:
    """Takes the link's secret and leads to the form."""
    if request.method != "POST":
        return _start_page(request)
    token = request.POST.get("link", "").strip()
    token = urlsplit(token).fragment or token  # the whole link, or what stands behind its #
    form = find(token)
    if form is None:
        return _dead(request, None)
    now = standing(form)
    if now != Standing.OPEN:
        return _dead(request, now)
    here = reverse("traveller:form", args=[form.uid])
    answer = HttpResponseRedirect(here)
    answer.set_cookie(
        _cookie(form.uid),
        token,
        path=here,
        httponly=True,
        secure=settings.SESSION_COOKIE_SECURE,
        samesite="Strict",
    )
    return answer


@own_form
def overview(request: HttpRequest, form: TravellerForm) -> HttpResponse:
    """To where the traveller left off."""
    return HttpResponseRedirect(_url(form, form.next_step))


@own_form
def step(request: HttpRequest, form: TravellerForm, step: str) -> HttpResponse:
    if step not in form.asked:
        raise Http404("This form has no such step.")
    if step == FormStep.DOCUMENTS:
        return _documents(request, form)
    page = forms.page_of(form, step, request.POST if request.method == "POST" else None)
    if request.method == "POST" and page.is_valid():
        saved = traveller_answers.save_answer(form=form, step=step, how=page.chosen, values=page.values())
        return HttpResponseRedirect(_after(saved, step))
    context = {"page": page, "countries": forms.countries_for(page.parts), "new": NEW}
    return _page(request, "step.html", form, step, context)


def _documents(request: HttpRequest, form: TravellerForm) -> HttpResponse:
    """Files one by one; each is kept at once, as one that staff have to review."""
    upload = forms.UploadForm()
    if request.method == "POST" and "done" in request.POST:
        saved = traveller_uploads.finish(form=form)
        return HttpResponseRedirect(_after(saved, FormStep.DOCUMENTS))
    if request.method == "POST":
        upload = forms.UploadForm(request.POST, request.FILES)
        if upload.is_valid():
            try:
                kind = upload.cleaned_data["kind"]
                traveller_uploads.add(form=form, file=upload.cleaned_data["file"], kind=kind)
            except documents.NotAccepted as refused:
                upload.add_error("file", str(refused))
            else:
                return HttpResponseRedirect(_url(form, FormStep.DOCUMENTS))
    kept = form.answered.get(FormStep.DOCUMENTS, {}).get("values", {}).values()
    context = {
        "upload": upload,
        "kept": [one["name"] for one in kept],
        "accept": ",".join([*documents.TYPES, *documents.TYPES.values(), ".jpeg"]),
        "most": settings.UPLOAD_MAX_MB,
    }
    return _page(request, "documents.html", form, FormStep.DOCUMENTS, context)


@own_form
def sign(request: HttpRequest, form: TravellerForm) -> HttpResponse:
    if form.next_step:
        return HttpResponseRedirect(_url(form, form.next_step))
    passenger = form.passenger
    signer = traveller_answers.signer_of(form, passenger)
    shown = traveller_answers.shown_hash(form, passenger)
    typed = forms.SignForm(request.POST if request.method == "POST" else None, signer=signer, initial={"shown": shown})
    if request.method == "POST" and typed.is_valid():
        data = typed.cleaned_data
        try:
            traveller_answers.sign(
                form=form,
                name=data["name"],
                relationship=data.get("relationship", ""),
                intent=data["intent"],
                shown=data["shown"],
            )
        except traveller_answers.NotSigned as refused:
            typed.add_error(None, str(refused))
            typed.data = typed.data.copy()  # type: ignore[attr-defined]
            typed.data["shown"] = shown  # type: ignore[index]
        else:
            answer = HttpResponseRedirect(reverse("traveller:sent"))
            answer.delete_cookie(_cookie(form.uid), path=reverse("traveller:form", args=[form.uid]), samesite="Strict")
            return answer
    context = {
        "typed": typed,
        "summary": [(_url(form, code), title, text) for code, title, text in forms.summary(form)],
        "consent": traveller_answers.consent_text(form, passenger, signer),
        "guardian": signer == FormSigner.GUARDIAN,
    }
    return _page(request, "sign.html", form, "", context)


@traveller_page
def sent(request: HttpRequest) -> HttpResponse:
    """The thanks after sending in; it knows nobody."""
    return _dead(request, Standing.SENT_IN)


def _page(request: HttpRequest, template: str, form: TravellerForm, step: str, context: dict[str, Any]) -> HttpResponse:
    """A step, "2 of 6"; the signature is the last one and has no code."""
    steps = [*form.asked, ""]
    number = steps.index(step) + 1
    common = {
        "form": form,
        "title": forms.title_of(step) if step else "Read and sign",
        "number": number,
        "count": len(steps),
        "back_url": _url(form, steps[number - 2]) if number > 1 else "",
        "trip": form.passenger.trip,
    }
    return TemplateResponse(request, f"trips/traveller/{template}", common | context)


def _start_page(request: HttpRequest, told: str = "") -> HttpResponse:
    return TemplateResponse(request, "trips/traveller/start.html", {"told": told, "title": "Your travel form"})


def _dead(request: HttpRequest, now: Standing | None) -> HttpResponse:
    title, sentence, status = DEAD[now]
    return TemplateResponse(request, "trips/traveller/dead.html", {"title": title, "sentence": sentence}, status=status)


def _url(form: TravellerForm, step: str) -> str:
    if not step:
        return reverse("traveller:sign", args=[form.uid])
    return reverse("traveller:step", args=[form.uid, step])


def _after(form: TravellerForm, step: str) -> str:
    """The next step in order; the signature once each step has its answer."""
    steps = [*form.asked, ""]
    return _url(form, steps[steps.index(step) + 1] if form.next_step else "")


def _cookie(uid: uuid.UUID) -> str:
    return f"form_{uid.hex}"
