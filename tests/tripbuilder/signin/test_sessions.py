"""Sessions: their two limits, the list of them, and who ends which."""

from __future__ import annotations

import datetime as dt
import html
from typing import Any

import pytest
import time_machine
from django.contrib.admin.models import LogEntry
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from tests.factories import PASSWORD
from tests.tripbuilder.signin.hands import sign_in
from tripbuilder.signin import sessions
from tripbuilder.signin.models import SignIn

PAGE, MINE = "/trips/vendor/", "/sign-in/mine/"
WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/156.0.0.0 Safari/537.36"


def said(page: Any) -> str:
    return html.unescape(page.content.decode())


def later(**how_long: int) -> Any:
    return time_machine.travel(timezone.now() + dt.timedelta(**how_long))


def test_who_does_nothing_for_an_hour_is_signed_out_and_told(client: Client, ada: Any) -> None:
    sign_in(client)
    with later(minutes=59):
        assert client.get(PAGE).status_code == 200
    with later(minutes=118):  # an hour after the last page, not after the first
        assert client.get(PAGE).status_code == 200
    with later(minutes=179):
        answer = client.get(PAGE + "?q=a")
        assert answer["Location"] == "/login/?next=/trips/vendor/%3Fq%3Da"
        assert "You were signed out after 60 minutes without use. Sign in again." in said(
            client.get(answer["Location"])
        )
        assert not SignIn.objects.exists()


def test_what_a_page_asks_by_itself_is_no_use(client: Client, ada: Any) -> None:
    sign_in(client)
    for minutes in (20, 40, 59):
        with later(minutes=minutes):
            assert client.get(PAGE, headers={"X-Background": "1"}).status_code == 200
    with later(minutes=61):
        assert client.get(PAGE).status_code == 302


def test_after_twelve_hours_one_signs_in_anew_however_busy(client: Client, ada: Any) -> None:
    sign_in(client)
    for half_hours in range(1, 24):
        with later(minutes=30 * half_hours):
            assert client.get(PAGE).status_code == 200
    with later(hours=12):
        assert client.get(PAGE).status_code == 302
        assert "You were signed out after 12 hours. Sign in again." in said(client.get("/login/"))


def test_a_limit_met_while_posting_changes_nothing(client: Client, boss: Any) -> None:
    sign_in(client, "boss")
    with later(minutes=61):
        answer = client.post("/trips/vendor/add/", {"name": "Acme"})
    assert (answer.status_code, answer["Location"]) == (302, "/login/?next=/")


def test_a_page_costs_no_query_more_for_the_limits(client: Client, ada: Any) -> None:
    sign_in(client)
    with CaptureQueriesContext(
        connection,
    ) as seen:
        client.get(MINE)
    assert [one["sql"] for one in seen if "UPDATE" in one["sql"] or "INSERT" in one["sql"]] == []


def test_the_key_changes_at_sign_in(client: Client, ada: Any) -> None:
    client.get("/login/")
    session = client.session
    session["planted"] = True
    session.save()
    client.cookies["sessionid"] = session.session_key
    sign_in(client)

    assert client.session.session_key != session.session_key
    assert not Session.objects.filter(pk=session.session_key).exists()


def test_my_sign_ins_names_each_and_ends_one(client: Client, other_browser: Client, ada: Any) -> None:
    sign_in(client, headers={"User-Agent": WINDOWS}, REMOTE_ADDR="192.0.2.7")
    sign_in(other_browser, REMOTE_ADDR="198.51.100.1")
    rows = client.get(MINE).context["rows"]
    assert [(row["device"], row["address"], row["this"]) for row in sorted(rows, key=lambda row: row["device"])] == [
        ("Chrome on Windows", "192.0.2.7", True),
        ("Safari on iPhone", "198.51.100.1", False),
    ]
    assert client.session.session_key not in said(client.get(MINE))

    (other,) = (row for row in rows if not row["this"])
    page = client.post("/sign-in/mine/end/", {"one": other["handle"]}, follow=True)

    assert "The sign-in was ended." in said(page)
    assert client.get(PAGE).status_code == 200
    assert other_browser.get(PAGE).status_code == 302
    assert "That sign-in had ended already." in said(
        client.post("/sign-in/mine/end/", {"one": other["handle"]}, follow=True)
    )


def test_ending_all_others_keeps_this_one(client: Client, other_browser: Client, ada: Any) -> None:
    third = Client()
    for browser in (other_browser, third, client):
        sign_in(browser)
    page = client.post("/sign-in/mine/end/", follow=True)

    assert "2 sign-ins were ended." in said(page)
    assert [browser.get(PAGE).status_code for browser in (client, other_browser, third)] == [200, 302, 302]


def test_nobody_ends_another_s_by_its_handle(client: Client, other_browser: Client, ada: Any, boss: Any) -> None:
    sign_in(other_browser, "boss")
    sign_in(client)
    client.post("/sign-in/mine/end/", {"one": sessions.handle_of(SignIn.objects.get(user=boss))})

    assert other_browser.get("/").status_code == 200


def test_an_administrator_sees_and_ends_a_user_s_and_it_is_recorded(
    client: Client, other_browser: Client, ada: Any, boss: Any
) -> None:
    sign_in(other_browser)
    client.force_login(boss)
    assert "Safari on iPhone" in said(client.get(reverse("admin:auth_user_sign_ins", args=[ada.pk])))

    client.post(reverse("admin:auth_user_end_sign_ins", args=[ada.pk]))

    assert other_browser.get(PAGE).status_code == 302
    assert client.get("/").status_code == 200
    assert LogEntry.objects.get().get_change_message() == "One sign-in was ended."


def test_signing_out_takes_the_row_along(client: Client, ada: Any) -> None:
    sign_in(client)
    client.post(reverse("admin:logout"))

    assert not SignIn.objects.exists()


def test_sessions_that_are_over_go_with_the_next_sign_in(client: Client, other_browser: Client, ada: Any) -> None:
    sign_in(other_browser)
    with later(hours=13):
        sign_in(client)

        assert Session.objects.count() == SignIn.objects.count() == 1


def test_a_session_of_before_the_limits_gets_its_row(client: Client, ada: Any) -> None:
    sign_in(client)
    session = client.session
    del session[sessions.MARK]
    session.save()
    SignIn.objects.all().delete()

    assert client.get(PAGE).status_code == 200
    assert SignIn.objects.get().user == ada


@pytest.mark.parametrize("rows", [1, 3])
def test_queries_of_the_list(client: Client, ada: Any, rows: int) -> None:
    for _ in range(rows - 1):
        sign_in(Client())
    sign_in(client)
    client.get(MINE)
    with CaptureQueriesContext(connection) as seen:
        page = client.get(MINE)
    assert len(page.context["rows"]) == rows
    assert sum("signin_signin" in one["sql"] for one in seen) == 1


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        (WINDOWS, "Chrome on Windows"),
        (WINDOWS + " Edg/156.0.0.0", "Edge on Windows"),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux"),
        (
            "Mozilla/5.0 (Linux; Android 16) AppleWebKit/537.36 SamsungBrowser/29.0 Chrome/130.0 Mobile Safari/537.36",
            "Samsung Internet on Android",
        ),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 15_0) Version/19.0 Safari/605.1.15", "Safari on Mac"),
        ("curl/8.5.0", "Unknown device"),
        ("", "Unknown device"),
    ],
)
def test_words_for_a_device(agent: str, words: str) -> None:
    assert sessions.device_words(agent) == words


# Passwords


def change(client: Client, old: str, new: str) -> Any:
    return client.post("/password_change/", {"old_password": old, "new_password1": new, "new_password2": new})


def test_a_new_password_ends_the_other_sign_ins_and_keeps_this_one(
    client: Client, other_browser: Client, ada: Any
) -> None:
    sign_in(other_browser)
    sign_in(client)
    before = client.session.session_key
    assert change(client, PASSWORD, "a-quite-other-one-7").status_code == 302

    assert client.get(PAGE).status_code == 200
    assert client.session.session_key != before
    assert other_browser.get(PAGE).status_code == 302
    assert SignIn.objects.count() == 1
    assert sign_in(Client(), password=PASSWORD).status_code == 200
    assert sign_in(Client(), password="a-quite-other-one-7").status_code == 302


def test_a_password_set_by_an_administrator_ends_all_of_the_user_s(
    client: Client, other_browser: Client, ada: Any, boss: Any
) -> None:
    sign_in(other_browser)
    client.force_login(boss)
    new = {"password1": "a-quite-other-one-7", "password2": "a-quite-other-one-7", "usable_password": "true"}
    assert client.post(reverse("admin:auth_user_password_change", args=[ada.pk]), new).status_code == 302

    assert other_browser.get(PAGE).status_code == 302
    assert client.get("/").status_code == 200


@pytest.mark.parametrize(
    ("new", "why"),
    [
        (PASSWORD, "This is the password you have now."),
        ("short-1-a", "at least 12 characters"),
        ("1q2w3e4r5t6y", "too common"),
        ("482914018283", "entirely numeric"),
        ("tripbuilder", "This is the password of the demo account."),
        ("adalovelace1", "too similar to the username"),
    ],
)
def test_bad_passwords_are_refused_with_the_reason(client: Client, ada: Any, new: str, why: str) -> None:
    ada.username = "adalovelace"
    ada.save()
    client.force_login(ada)

    assert why in said(change(client, PASSWORD, new))
