"""OFAC packs: what each traveller's pack has and lacks, on a page of the trip and of the passenger, and the ZIP."""

from __future__ import annotations

import hashlib
import logging
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.http import content_disposition_header
from django.utils.text import slugify
from django.views.decorators.http import require_GET

from trips.enums import ReadKind
from trips.models import Passenger
from trips.permissions import may_see
from trips.reports import ofac
from trips.reports.stamp import Stamp
from trips.services import reading
from trips.services.licences import YEARS

LOG = logging.getLogger("trips.ofac")


def may_pack(user: Any) -> bool:
    """A pack holds all of it or is not offered."""
    return all(may_see(user, model) for model in ofac.NEEDS)


def pack_url(user: Any, owner: Any) -> str:
    """The address of the packs of a trip or passenger, for who may have them."""
    on_trip = not isinstance(owner, Passenger) or owner.trip_id is not None
    name = f"admin:trips_{owner._meta.model_name}_ofac"
    return reverse(name, args=[owner.pk]) if on_trip and may_pack(user) else ""


class OfacPages:
    """Mixin for the pages of trips and passengers."""

    def get_urls(self) -> list[URLPattern]:
        name, wrap = self.opts.model_name, self.admin_site.admin_view  # type: ignore[attr-defined]
        pages = [path("<int:object_id>/ofac/", wrap(require_GET(self.ofac_view)), name=f"trips_{name}_ofac")]
        if self.model is Passenger:  # type: ignore[attr-defined]
            view = wrap(require_GET(self.ofac_file_view))
            pages.append(path("<int:object_id>/ofac/file/", view, name="trips_passenger_ofac_file"))
        return [*pages, *super().get_urls()]  # type: ignore[misc]

    def ofac_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Each traveller with what their pack lacks; those who are booked, of a trip."""
        owner = self._packed_owner(request, object_id)
        one = isinstance(owner, Passenger)
        rows = Passenger.objects.filter(pk=owner.pk) if one else owner.passengers.seated().order_by("number", "pk")
        packs = ofac.packs_of(rows)
        context = {
            **self.admin_site.each_context(request),  # type: ignore[attr-defined]
            "title": f"OFAC pack{'' if one else 's'}: {owner}",
            "owner": owner,
            "packs": packs,
            "whole": sum(not pack.missing for pack in packs),
            "years": YEARS,
            "back_url": reverse(f"admin:trips_{self.opts.model_name}_filing", args=[object_id]),  # type: ignore[attr-defined]
        }
        return TemplateResponse(request, "trips/admin/ofac.html", context)

    def ofac_file_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """The ZIP of one traveller; that it was taken is a line in the log, with its SHA-256."""
        passenger = self._packed_owner(request, object_id)
        user: Any = request.user
        stamp = Stamp.of(user)
        content, missing = ofac.zipped(ofac.packs_of(Passenger.objects.filter(pk=passenger.pk))[0], stamp)
        digest = hashlib.sha256(content).hexdigest()
        what = f"OFAC pack, SHA-256 {digest}"
        reading.note(request, ReadKind.FILE, shows=reading.SENSITIVE, people=[object_id], what=what)
        LOG.info("user %s took the OFAC pack of passenger %s: %s missing, %s", user.pk, object_id, len(missing), digest)
        answer = HttpResponse(content, content_type="application/zip")
        name = f"ofac-{slugify(str(passenger))[:60]}-{slugify(str(passenger.trip))[:60]}.zip"
        answer["Content-Disposition"] = content_disposition_header(True, name) or "attachment"
        answer["Cache-Control"] = "private, no-store"
        return answer

    def _packed_owner(self, request: HttpRequest, object_id: int) -> Any:
        if not may_pack(request.user):
            LOG.warning("user %s was refused OFAC packs of %s %s", request.user.pk, self.opts.model_name, object_id)  # type: ignore[attr-defined]
            raise PermissionDenied
        owner = self.get_queryset(request).filter(pk=object_id).first()  # type: ignore[attr-defined]
        if owner is None or (isinstance(owner, Passenger) and owner.trip_id is None):
            raise Http404(f"There is no {self.opts.verbose_name} {object_id} on a trip.")  # type: ignore[attr-defined]
        return owner
