"""What every answer carries, what production switches on, and the limit for strangers."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.http import HttpRequest
from django.test import Client
from playwright.sync_api import Page, expect

from tests.factories import StaffFactory, TripFactory
from tests.trips.test_browser import POLICY
from tests.trips.test_browser import page as staff_page
from tripbuilder import strangers
from tripbuilder.strangers import network_of, refusals

ROOT = Path(__file__).resolve().parents[2]
page = staff_page
CSP = (
    "default-src 'none'; script-src 'self' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("address", "signed_in"), [("/login/", False), ("/", True), ("/trips/trip/", True), ("/find/?q=a", True)]
)
def test_headers_of_the_staff_s_pages(client: Client, address: str, signed_in: bool) -> None:
    if signed_in:
        client.force_login(StaffFactory(is_superuser=True))
    answer = client.get(address)
    wanted = {
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Referrer-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
    }
    assert {name: answer[name] for name in wanted} == wanted
    assert {part.strip() for part in answer["Content-Security-Policy"].split(";")} == set(CSP.split("; "))
    assert "camera=()" in answer["Permissions-Policy"]
    assert "no-store" in answer["Cache-Control"]


@pytest.mark.django_db
def test_what_somebody_saw_signed_in_is_in_no_cache_and_signed_out_pages_may_be(client: Client) -> None:
    assert "Cache-Control" not in client.get("/favicon.ico")
    client.force_login(StaffFactory(is_superuser=True))
    trip = TripFactory(passengers=1)
    for address in (
        f"/trips/trip/{trip.pk}/change/",
        f"/trips/trip/{trip.pk}/reports/manifest/airline/file/?format=csv",
        "/jsi18n/",
        "/nowhere/",
        "/sign-in/mine/",
    ):
        assert (address, "no-store" in client.get(address)["Cache-Control"]) == (address, True)


def test_production_s_cookies_and_transport() -> None:
    names = [
        "SECURE_SSL_REDIRECT",
        "SECURE_HSTS_SECONDS",
        "SECURE_HSTS_INCLUDE_SUBDOMAINS",
        "SESSION_COOKIE_SECURE",
        "CSRF_COOKIE_SECURE",
        "SESSION_COOKIE_HTTPONLY",
        "CSRF_COOKIE_HTTPONLY",
        "SESSION_COOKIE_SAMESITE",
        "CSRF_COOKIE_SAMESITE",
        "SESSION_COOKIE_NAME",
        "CSRF_COOKIE_NAME",
        "SECOND_FACTOR",
    ]
    code = f"from django.conf import settings; print([getattr(settings, name) for name in {names}])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tripbuilder.settings",
            "DEBUG": "false",
            "SECOND_FACTOR": "",
            "ALLOWED_HOSTS": "trips.example.com",
            "FIELD_ENCRYPTION_KEYS": "A" * 43 + "=",
        },
        capture_output=True,
        text=True,
    )
    cookies = ["Lax", "Strict", "__Host-sessionid", "__Host-csrftoken"]

    assert done.stdout == f"{[True, 31536000, True, True, True, True, True, *cookies, 'required']}\n"


# Strangers


@pytest.fixture
def three(settings: Any) -> Iterator[None]:
    settings.REFUSALS_PER_MINUTE = 3
    settings.TRAVELLER_LINKS = True
    refusals.forget()
    yield
    refusals.forget()


@pytest.mark.django_db
def test_links_that_lead_nowhere_are_limited_by_address(three: None, client: Client) -> None:
    tries = [client.post("/form/", {"link": "wrong"}, REMOTE_ADDR="192.0.2.7").status_code for _ in range(4)]
    answer = client.get("/form/", REMOTE_ADDR="192.0.2.7")

    assert tries == [404, 404, 404, 429]
    assert (answer.status_code, 0 < int(answer["Retry-After"]) <= 61) == (429, True)
    assert client.get("/form/", REMOTE_ADDR="192.0.2.8").status_code == 200
    assert client.get("/login/", REMOTE_ADDR="192.0.2.7").status_code == 200  # the staff of the same office work on


@pytest.mark.django_db
def test_webhooks_that_prove_nothing_are_limited_and_nothing_of_them_is_read(three: None, client: Client) -> None:
    def send() -> int:
        return int(client.post("/ghl/webhook/", "{}", content_type="application/json").status_code)

    assert [send() for _ in range(4)] == [401, 401, 401, 429]


@pytest.mark.django_db
def test_a_traveller_who_loads_pages_is_never_limited(three: None, client: Client) -> None:
    assert {client.get("/form/").status_code for _ in range(10)} == {200}


def test_the_minute_ends(three: None, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(strangers.time, "monotonic", lambda: now[0])
    for _ in range(3):
        refusals.count("192.0.2.7")
    assert refusals.wait_for("192.0.2.7") == 61
    now[0] += 60
    assert refusals.wait_for("192.0.2.7") == 0


def test_addresses_without_end_take_no_memory_without_end(three: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strangers, "MOST_ADDRESSES", 2)
    for number in range(9):
        refusals.count(str(number))

    assert len(refusals._counts) == 2


@pytest.mark.parametrize(
    ("address", "network"),
    [("192.0.2.7", "192.0.2.7"), ("2001:db8::1", "2001:db8::/64"), ("fe80::1%eth0", "fe80::/64"), (None, "")],
)
def test_network_of(address: str | None, network: str) -> None:
    assert network_of(address) == network


# The policy in a browser. That the pages keep to it the fixture of all browser tests sees.


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
def test_a_script_that_got_into_a_page_does_not_run(page: Page) -> None:
    told: list[str] = []
    inject = """html => {
        const box = document.createElement("div"), one = document.createElement("script");
        box.innerHTML = html;
        one.textContent = "window.hit = 1";
        document.body.append(box, one);
    }"""
    other = page.context.browser.new_context(base_url=page.url)  # type: ignore[union-attr]
    tab = other.new_page()
    tab.on("console", lambda said: told.append(said.text) if POLICY in said.text else None)
    tab.goto("/login/")
    expect(tab.get_by_label("Username")).to_be_visible()
    tab.evaluate(inject, '<img src="/nothing" onerror="window.hit = 1"><img src="https://evil.example/x.png">')
    tab.wait_for_timeout(500)

    assert tab.evaluate("window.hit") is None
    assert len(told) == 3
    other.close()


def test_who_limits_the_request_does_not_read_it() -> None:
    limit = strangers.StrangersLimit(lambda _request: pytest.fail("the view was asked"))  # type: ignore[arg-type]
    request = HttpRequest()
    request.path_info = "/form/"
    request.META["REMOTE_ADDR"] = "192.0.2.99"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(refusals, "wait_for", lambda _who: 7)
        assert limit(request).status_code == 429
