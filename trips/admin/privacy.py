"""A contact's page: a copy of all that is kept of a person, and erasing them after a look at what goes and what stays.

A contact often stands for others, too. Both pages ask first which bookings are this person's.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from unfold.decorators import action

from trips.admin.base import said
from trips.enums import ReadKind, ReadReason
from trips.models import Contact, Passenger
from trips.permissions import may_see, sees_every_trip
from trips.reports import pack, person
from trips.reports.forms import PasswordForm
from trips.reports.stamp import Stamp
from trips.services import erasing, reading
from trips.text import is_id

LOG = logging.getLogger("trips.privacy")
ITSELF = "contact"


def may_export(user: Any) -> bool:
    """All of it or nothing: who may not see a part is not offered the copy."""
    whole = all(may_see(user, model) for model in person.NEEDS)
    return bool(user.has_perm(person.PERMISSION)) and sees_every_trip(user) and whole


def may_erase(user: Any) -> bool:
    seen = all(may_see(user, model) for model in ("trips.contact", "trips.passenger"))
    return bool(user.has_perm(erasing.PERMISSION)) and sees_every_trip(user) and seen


@dataclass(frozen=True, slots=True)
class Chosen:
    """Whose data it is: the contact's own, and which of its bookings."""

    itself: bool
    ids: frozenset[int]


class PrivacyPages:
    """Mixin for the contact's page."""

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view  # type: ignore[attr-defined]
        return [
            path("<int:object_id>/person/", wrap(self.export_person_view), name="trips_contact_person"),
            path("<int:object_id>/erase/", wrap(self.erase_person_view), name="trips_contact_erase"),
            *super().get_urls(),  # type: ignore[misc]
        ]

    @action(description="Copy of their data…", permissions=["export_person"], url_path="to-person")
    def export_person(self, request: HttpRequest, object_id: int) -> HttpResponseRedirect:
        return HttpResponseRedirect(reverse("admin:trips_contact_person", args=[object_id]))

    def has_export_person_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return may_export(request.user)

    @action(description="Erase…", permissions=["erase_person"], url_path="to-erase")
    def erase_person(self, request: HttpRequest, object_id: int) -> HttpResponseRedirect:
        return HttpResponseRedirect(reverse("admin:trips_contact_erase", args=[object_id]))

    def has_erase_person_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return may_erase(request.user)

    # A copy

    def export_person_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Asks for whom and what for; answers with one ZIP that opens with the password of this page."""
        contact = _contact(request, object_id, allowed=may_export(request.user))
        bookings = erasing.bookings_of(contact)
        chosen = _chosen(request, contact, bookings)
        form = PasswordForm(request.POST or None, initial={"password": pack.fresh_password()})
        reason = request.POST.get("reason", "")
        lacking = ""
        if request.method == "POST" and form.is_valid():
            if reason not in ReadReason.values:
                lacking = "Say what the copy is for."
            elif not (chosen.itself or chosen.ids):
                lacking = "Tick what is this person’s."
            else:
                return _handed_out(request, contact, bookings, chosen, form.cleaned_data["password"])
        context = {
            **self._about(request, contact, bookings, chosen),
            "title": f"Copy of the data of {contact}",
            "form": form,
            "reasons": ReadReason.choices,
            "reason": reason,
            "lacking": lacking,
        }
        return TemplateResponse(request, "trips/admin/person_export.html", context)

    # Erasing

    def erase_person_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """What would go and what stays; done by typing the name as it stands there."""
        contact = _contact(request, object_id, allowed=may_erase(request.user))
        bookings = erasing.bookings_of(contact)
        chosen = _chosen(request, contact, bookings)
        problem = ""
        if request.method == "POST" and "erase" in request.POST:
            if " ".join(request.POST.get("typed", "").split()).casefold() != str(contact).casefold():
                problem = "That is not the name. Type it as it stands above."
            else:
                problem = self._erase(request, contact, chosen)
                if not problem:
                    return HttpResponseRedirect(reverse("admin:trips_contact_changelist"))
        context = {
            **self._about(request, contact, bookings, chosen),
            "title": f"Erase {contact}",
            "plan": erasing.decide(contact=contact, itself=chosen.itself, chosen=chosen.ids),
            "problem": problem,
        }
        return TemplateResponse(request, "trips/admin/person_erase.html", context)

    def _erase(self, request: HttpRequest, contact: Contact, chosen: Chosen) -> str:
        """Why it was not done; empty when it was."""
        try:
            done = erasing.erase(
                contact_id=contact.pk,
                itself=chosen.itself,
                chosen=chosen.ids,
                shown=request.POST.get("shown", ""),
                by=request.user,
            )
        except erasing.Refused as refused:
            return str(refused)
        LOG.info("user %s erased contact %s: record %s", request.user.pk, contact.pk, done.pk)
        rows = said(sum(done.counts.values()), "row", "rows")
        text = f"Erased: {rows}. What stays, and what to do in GoHighLevel, was said before; this is record {done.pk}."
        messages.success(request, text)
        return ""

    def _about(
        self, request: HttpRequest, contact: Contact, bookings: list[Passenger], chosen: Chosen
    ) -> dict[str, Any]:
        return {
            **self.admin_site.each_context(request),  # type: ignore[attr-defined]
            "contact": contact,
            "itself": chosen.itself,
            "bookings": [(one, one.pk in chosen.ids) for one in bookings],
            "back_url": reverse("admin:trips_contact_change", args=[contact.pk]),
        }


def _contact(request: HttpRequest, object_id: int, *, allowed: bool) -> Contact:
    if not allowed:
        LOG.warning("user %s was refused the data of contact %s", request.user.pk, object_id)
        raise PermissionDenied
    contact = Contact.objects.select_related("merged_into").filter(pk=object_id).first()
    if contact is None:
        raise Http404(f"There is no contact {object_id}.")
    return contact


def _chosen(request: HttpRequest, contact: Contact, bookings: list[Passenger]) -> Chosen:
    """What is ticked; on the first look the contact's own data and the bookings of its name."""
    asked = request.POST if request.method == "POST" else request.GET
    if "chosen" not in asked:
        return Chosen(True, frozenset(erasing.own_bookings(contact, bookings)))
    ids = {int(pk) for pk in asked.getlist("booking") if is_id(pk)}
    return Chosen(ITSELF in asked, frozenset(ids & {one.pk for one in bookings}))


def _handed_out(
    request: HttpRequest, contact: Contact, bookings: list[Passenger], chosen: Chosen, password: str
) -> HttpResponse:
    user: Any = request.user
    theirs = tuple(one for one in bookings if one.pk in chosen.ids)
    reading.note(
        request,
        ReadKind.PERSON,
        shows=reading.SENSITIVE,
        people=[one.pk for one in theirs],
        what=f"contact {contact.pk}",
        reason=request.POST["reason"],
    )
    stamp = Stamp.of(request.user)
    made = person.export(person.Person(contact, chosen.itself, theirs), stamp)
    LOG.info("user %s took a copy of the data of contact %s: %s files", user.pk, contact.pk, len(made.files))
    answer = HttpResponse(pack.zipped(made.files, password), content_type="application/zip")
    answer["Content-Disposition"] = f'attachment; filename="person-{contact.pk}.zip"'
    answer["Cache-Control"] = "private, no-store"
    return answer
