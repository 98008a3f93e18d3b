"""Every address and action of the site as every role, held against docs/roles.md; and planted words that nobody meets.

`ROLES_WRITE=1 pytest tests/roles` writes the page anew: read what changed in it before you commit it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from django.conf import settings
from django.db import transaction
from django.test import Client, RequestFactory
from django.urls import reverse

from tests.roles.doc import page
from tests.roles.world import HIDDEN, SEALED, Route, World, actions, build, routes
from trips.reports.catalogue import REPORTS
from trips.resources import RESOURCES

# Thousands of pages: a minute on a quiet core, more beside others.
pytestmark = [pytest.mark.django_db, pytest.mark.timeout(900)]
DOC = Path(settings.BASE_DIR) / "docs" / "roles.md"
COLUMNS = (
    "anonymous",
    "nobody",
    "readonly",
    "operations",
    "finance",
    "medical",
    "leader",
    "leader, others'",
    "administrator",
)
# What the sealed words of the leader's trip take.
NEEDS = {
    "healthrecord": ("medical", "administrator"),
    "passport": ("operations", "administrator"),
    "payment": ("finance", "administrator"),
    "cost": ("finance", "administrator"),
}
# Asked once more with POST: what GET does not open, and forms that a permission to look opens as well.
FORMS = (
    "_change",
    "_delete",
    "_add",
    "_bulk",
    "_timeline",
    "_passengers",
    "_rooming",
    "_programme",
    "_filing",
    "_review",
)


@pytest.fixture
def world(settings, tmp_path) -> World:
    settings.TRAVELLER_LINKS = True
    settings.STORAGES = {**settings.STORAGES, "private": {
        "BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": tmp_path},
    }} if "private" in settings.STORAGES else settings.STORAGES  # fmt: skip
    return build()


class Asking:
    """One account's browser; what a request changes is taken back after it."""

    def __init__(self, account: Any) -> None:
        self.client = Client(raise_request_exception=False)
        if account is not None:
            self.client.force_login(account)

    def __call__(self, method: str, address: str, data: dict[str, Any] | None = None) -> tuple[str, str]:
        """What the matrix says of the answer, and its text."""
        with transaction.atomic():
            answer = getattr(self.client, method.lower())(address, data or {})
            body = b"".join(answer.streaming_content) if answer.streaming else answer.content
            transaction.set_rollback(True)
        return _word(answer), body.decode("utf-8", "replace")


def _word(answer: Any) -> str:
    code = answer.status_code
    if code == 302 and answer["Location"].startswith(reverse("admin:login")):
        return "sign in"
    return {200: "yes", 302: "on", 301: "on", 403: "no"}.get(code, str(code))


def columns(world: World) -> Iterator[tuple[str, Any, Any]]:
    for column in COLUMNS:
        code, _, others = column.partition(",")
        yield column, world.accounts[code], world.hidden if others else world.own


def opened(world: World) -> tuple[dict[str, dict[str, str]], list[tuple[str, str, str]]]:
    """By row and column what the answer was; and of each signed-in column what was read: column, address, text."""
    cells: dict[str, dict[str, str]] = {}
    read: list[tuple[str, str, str]] = []
    every = routes()
    for column, account, side in columns(world):
        asking = Asking(account)
        for route in every:
            if route.name == "admin:logout":
                continue
            address = route.url(side)
            word, text = asking("GET", address)
            cells.setdefault(_row("GET", route), {})[column] = word
            read.append((column, address, text))
            if _is_posted(route):
                word, text = asking("POST", address)
                cells.setdefault(_row("POST", route), {})[column] = word
                read.append((column, f"POST {address}", text))
    for one, name in actions():
        row = f"ACTION {one.opts.label} {name}"
        for column, account, _side in columns(world):
            cells.setdefault(row, {})[column] = _offered(one, name, account)
    return cells, read


def _row(method: str, route: Route) -> str:
    return f"{method} /{route.pattern}"


def _is_posted(route: Route) -> bool:
    last = route.name.rpartition(":")[2]
    plain = last.endswith(FORMS) or any(part in route.pattern for part in POSTED)
    return plain and route.name != "admin:login"


POSTED = (
    "switch/", "undo/", "send-now/", "delete-there/", "confirm-sensitive/", "approvals/", "repair", "cancel/", "start/",
    "settle/", "put-back/", "sync-now/", "save-filter/", "make/", "go-on/", "approve/", "/file/", "apart/", "merge/",
    "look/", "mend/", "take-over/", "pack/", "export/", "import/", "emergency/", "reveal/", "unlinked/",
    "traveller-form/", "remind/", "preview/", "names/", "adopt/", "board/", "copy/", "password", "revert", "back/",
)  # fmt: skip


def _offered(one: Any, name: str, account: Any) -> str:
    if account is None:
        return "sign in"
    request = RequestFactory().get("/")
    request.user = type(account).objects.get(pk=account.pk)
    may = one.has_view_permission(request) and name in one.get_actions(request)
    return "yes" if may else "no"


def test_every_address_and_action_answers_each_role_as_the_page_says(world):
    cells, read = opened(world)
    words = page(COLUMNS, cells)
    if os.environ.get("ROLES_WRITE"):
        DOC.write_text(words)

    wrong = [(row, got) for row, got in cells.items() if any(word == "500" for word in got.values())]
    assert wrong == []
    assert words == DOC.read_text(), "docs/roles.md differs; ROLES_WRITE=1 writes it anew"
    assert met(read, ("leader", "leader, others'"), HIDDEN) == []
    for model, may in NEEDS.items():
        others = [column for column in COLUMNS if column not in (*may, "anonymous")]
        assert (model, met(read, others, SEALED[model])) == (model, [])


def met(read: list[tuple[str, str, str]], who: Any, word: str) -> list[tuple[str, str, str]]:
    """Where somebody of these columns met the word, with what stands around it."""
    found = []
    for column, address, text in read:
        at = text.casefold().find(word.casefold()) if column in who else -1
        if at >= 0:
            found.append((column, address, " ".join(text[max(at - 80, 0) : at + 60].split())))
    return found


# Beyond the bare addresses: searches, choices, filters that name a hidden row, files


def searches(world: World) -> list[str]:
    term, trip, passenger = HIDDEN[:5], world.hidden.pk("trip"), world.hidden.pk("passenger")
    lists = ("trip", "passenger", "contact", "payment", "document", "reminder", "sentreport", "travellerform", "vendor")
    choices = [
        ("passenger", "contact"), ("passenger", "trip"), ("passenger", "guardian"), ("payment", "passenger"),
        ("document", "passenger"), ("document", "trip"), ("trip", "organiser"), ("trip", "vendor"),
    ]  # fmt: skip
    return [
        *(f"{reverse(f'admin:trips_{name}_changelist')}?{urlencode({'q': term})}" for name in lists),
        *(
            f"{reverse('admin:autocomplete')}?"
            + urlencode({"app_label": "trips", "model_name": model, "field_name": name, "term": term})
            for model, name in choices
        ),
        f"{reverse('trips:find')}?q={term}",
        f"{reverse('admin:search')}?s={term}",
        f"{reverse('admin:trips_payment_changelist')}?passenger__trip__id__exact={trip}",
        f"{reverse('admin:trips_passenger_changelist')}?trip__id__exact={trip}",
        f"{reverse('admin:trips_passenger_board')}?trip__id__exact={trip}&departs=all",
        f"{reverse('admin:trips_trip_board')}?organiser__id__exact={world.hidden.rows['trip'].organiser_id}",
        f"{reverse('admin:trips_passenger_add')}?trip={trip}",
        f"{reverse('admin:trips_payment_add')}?passenger={passenger}",
        f"{reverse('admin:trips_payment_due')}?passenger={passenger}",
        f"{reverse('admin:trips_paperrun_ask')}?trip={trip}",
        f"{reverse('admin:trips_trip_suggest', args=[world.own.pk('trip')])}?q={term}",
        f"{reverse('admin:trips_trip_sync_list')}?ids={trip},{world.own.pk('trip')}",
        f"{reverse('admin:trips_travellerform_review')}?after=0",
        f"{reverse('admin:trips_document_review')}?after=0",
        f"{reverse('admin:trips_trip_calendar')}?show=quarter",
    ]


def files(world: World) -> Iterator[tuple[str, dict[str, Any]]]:
    """Exports with all their columns, and each report as a page and as CSV."""
    for model, resource in RESOURCES.items():
        name = f"admin:trips_{model._meta.model_name}_export"
        columns = [*resource.fields]
        yield reverse(name), {"format": "csv", "column": columns}
    for report in REPORTS:
        for preset in report.presets:
            ours = [world.own.pk("trip")] if report.of_trip else []
            kind = "trip" if report.of_trip else "office"
            yield reverse(f"trips:{kind}_report_file", args=[*ours, report.code, preset.code]), {"format": "csv"}


def test_searches_choices_and_files_tell_nobody_what_they_may_not_see(world):
    read: list[tuple[str, str, str]] = []
    answers: dict[str, int] = {}
    for column, account, _side in columns(world):
        if account is None or column == "leader, others'":
            continue
        asking = Asking(account)
        for address in searches(world):
            word, text = asking("GET", address)
            read.append((column, address, text))
            answers[column] = answers.get(column, 0) + (word == "yes")
        for address, data in files(world):
            word, text = asking("POST", address, data)
            read.append((column, address, text))
            answers[column] = answers.get(column, 0) + (word == "yes")
            _told, text = asking("GET", address.removesuffix("file/"))
            read.append((column, address, text))

    assert met(read, ("leader",), HIDDEN) == []
    for model, may in NEEDS.items():
        others = [column for column in COLUMNS if column not in may]
        assert (model, met(read, others, SEALED[model])) == (model, [])
    # Those who may do meet them: a test of absence says nothing where nothing is shown at all.
    assert len(met(read, ("operations",), HIDDEN)) > 10
    assert met(read, ("medical",), SEALED["healthrecord"])
    assert met(read, ("operations",), SEALED["passport"])
    assert met(read, ("finance",), SEALED["payment"])
    assert answers["leader"] > 10
