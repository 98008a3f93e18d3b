"""What a browser is shown where no page can be: a sentence of ours and a way back, also without a database."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import include, path, reverse

from tests import factories


def forbidden(_request: HttpRequest) -> HttpResponse:
    raise PermissionDenied("secret words")


def broken(_request: HttpRequest) -> HttpResponse:
    raise ValueError("secret words")


urlpatterns = [path("forbidden/", forbidden), path("broken/", broken), path("", include("tripbuilder.urls"))]

SAID = {
    403: "You may not open this page",
    404: "There is no such page",
    500: "Something went wrong",
}


@pytest.fixture(autouse=True)
def production(settings: Any) -> None:
    settings.DEBUG = False
    settings.ALLOWED_HOSTS = ["testserver"]
    settings.ROOT_URLCONF = __name__


def shown(answer: Any) -> tuple[int, str, str]:
    """Status, heading, and where its one link leads."""
    text = answer.content.decode()
    (heading,), (address,) = re.findall("<h1>(.*?)</h1>", text), re.findall('<a href="(.*?)"', text)
    assert "secret words" not in text
    assert text.count("<p>") == 1
    return answer.status_code, html.unescape(heading), address


@pytest.mark.django_db
def test_a_page_that_is_not_there_forbidden_or_broken_leads_back(client: Client) -> None:
    client.force_login(factories.StaffFactory(permissions=["trips.view_trip"]))
    client.raise_request_exception = False
    addresses = {403: "/forbidden/", 404: "/nowhere/at/all/", 500: "/broken/"}
    answers = {status: shown(client.get(address)) for status, address in addresses.items()}

    assert answers == {status: (status, heading, reverse("admin:index")) for status, heading in SAID.items()}


@pytest.mark.django_db
def test_a_page_of_the_product_that_one_may_not_open_is_ours_too(client: Client) -> None:
    client.force_login(factories.StaffFactory(permissions=["trips.view_trip"]))
    assert shown(client.get(reverse("admin:ghl_sync_desk")))[:2] == (403, SAID[403])


@pytest.mark.django_db
def test_a_form_that_was_open_over_a_login_says_so(settings: Any) -> None:
    client = Client(enforce_csrf_checks=True)
    assert shown(client.post(reverse("admin:login"), {"username": "ada"}))[:2] == (
        403,
        "This page was open for too long",
    )


def test_the_page_of_an_error_asks_no_database_and_needs_no_context(db: None) -> None:
    with CaptureQueriesContext(connection) as asked:
        pages = {name: render_to_string(f"{name}.html") for name in ("403", "403_csrf", "404", "500")}

    assert len(asked) == 0
    # Nothing is loaded from elsewhere: the static files may be what is broken.
    assert [name for name, text in pages.items() if re.search("<(link|script|img)|url\\(|@import", text)] == []
    assert all("prefers-color-scheme: dark" in text and "width=device-width" in text for text in pages.values())
