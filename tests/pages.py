"""What a browser would send back from a page the admin rendered, and what the read log says afterwards."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django.urls import reverse

from trips.models import ReadEntry


def posted(page: Any, **typed: Any) -> dict[str, Any]:
    """Every input of the page's form and inlines as it stands, with `typed` over it."""
    forms = [page.context["adminform"].form]
    for inline in page.context["inline_admin_formsets"]:
        forms += [inline.formset.management_form, *inline.formset.forms]
    data: dict[str, Any] = {}
    for form in forms:
        for bound in form:
            value = bound.field.prepare_value(bound.value())
            if getattr(bound.field.widget, "allow_multiple_selected", False):
                data[bound.html_name] = [str(one) for one in value or ()]
            elif value is True:
                data[bound.html_name] = "on"
            elif value is not None and value is not False:
                data[bound.html_name] = str(value)
    return {name: value for name, value in {**data, **typed}.items() if value is not None}


@dataclass
class Read:
    """An entry of the read log."""

    user: Any
    kind: str
    what: str = ""
    shows: str = ""
    reason: str = ""
    people: list[int] = field(default_factory=list)


def read_log() -> list[Read]:
    """All of it, the oldest entry first."""
    return [
        Read(
            one.user,
            one.kind,
            one.what,
            one.shows,
            one.reason,
            [row.passenger_id for row in one.persons.order_by("pk")],
        )
        for one in ReadEntry.objects.order_by("pk")
    ]


def reveal(client: Any, passenger: Any, word: str) -> None:
    """Say what for, so that the passenger's page shows the passport's number or the health record."""
    client.post(reverse("admin:trips_passenger_reveal", args=[passenger.pk, word]), {"reason": "checking"})
