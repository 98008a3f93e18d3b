"""Wrong passwords: the lock of a pair, the pace for an account, and the address they go by."""

from __future__ import annotations

import datetime as dt
import html
from typing import Any

import pytest
import time_machine
from axes.models import AccessAttempt, AccessLog
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils import timezone

from tests.tripbuilder.signin.hands import sign_in
from tripbuilder.signin import pace
from trips.client_address import client_address

HOME, OFFICE = "192.0.2.7", "198.51.100.1"


def said(page: Any) -> str:
    return html.unescape(page.content.decode())


def fail(client: Client, times: int, username: str = "ada", address: str = HOME) -> Any:
    for _ in range(times):
        answer = sign_in(client, username, "wrong password", REMOTE_ADDR=address)
    return answer


def test_a_wrong_password_says_so_in_a_sentence(client: Client, ada: Any) -> None:
    assert "Name and password do not fit each other." in said(fail(client, 1))


def test_five_wrong_passwords_lock_the_pair_and_nobody_else(client: Client, ada: Any, boss: Any) -> None:
    assert fail(client, 4).status_code == 200
    locked = fail(client, 1)
    assert (locked.status_code, locked["Retry-After"]) == (429, "900")
    assert "locked for 15 minutes, as the password was wrong five times" in said(locked)

    assert sign_in(client, REMOTE_ADDR=HOME).status_code == 429  # the right password, too
    assert sign_in(client, REMOTE_ADDR=OFFICE).status_code == 302  # the same account from elsewhere
    assert sign_in(Client(), "boss", REMOTE_ADDR=HOME).status_code == 302  # another account from there


def test_trying_on_does_not_make_the_lock_longer(client: Client, ada: Any) -> None:
    fail(client, 5)
    now = timezone.now()
    with time_machine.travel(now + dt.timedelta(minutes=14)):
        assert "locked for" in said(fail(client, 1))
    with time_machine.travel(now + dt.timedelta(minutes=15, seconds=1)):
        assert sign_in(client, REMOTE_ADDR=HOME).status_code == 302


def test_a_sign_in_forgets_what_was_typed_wrong_before(client: Client, ada: Any) -> None:
    fail(client, 4)
    sign_in(client, REMOTE_ADDR=HOME)
    assert fail(Client(), 4).status_code == 200


def test_passwords_are_not_kept_with_the_attempts(client: Client, ada: Any) -> None:
    fail(client, 2)

    row = AccessAttempt.objects.get()
    assert "wrong password" not in f"{row.post_data} {row.get_data}"


def test_an_administrator_unlocks_by_deleting_the_row(client: Client, ada: Any, boss: Any) -> None:
    fail(client, 5)
    client.force_login(boss)
    page = client.get(reverse("admin:axes_accessattempt_changelist"))
    assert "192.0.2.7" in said(page)
    client.post(reverse("admin:axes_accessattempt_delete", args=[AccessAttempt.objects.get().pk]), {"post": "yes"})

    assert sign_in(Client(), REMOTE_ADDR=HOME).status_code == 302


def test_guessing_from_many_addresses_is_slowed_and_the_office_goes_on(client: Client, ada: Any) -> None:
    sign_in(client, REMOTE_ADDR=OFFICE)
    for number in range(10, 14):
        fail(Client(), 5, address=f"203.0.113.{number}")

    slowed = sign_in(Client(), REMOTE_ADDR="203.0.113.99")  # and with the right password, which guessing must not learn
    assert "Too many wrong passwords came for this account from elsewhere. Try again in 10 seconds." in said(slowed)
    assert sign_in(Client(), REMOTE_ADDR=OFFICE).status_code == 302
    with time_machine.travel(timezone.now() + dt.timedelta(seconds=11)):
        assert sign_in(Client(), REMOTE_ADDR="203.0.113.99").status_code == 302


def test_the_pace_gets_slower_with_more_failures_up_to_a_minute(ada: Any) -> None:
    now = timezone.now()
    with time_machine.travel(now, tick=False):
        found = []
        for failures in (19, 20, 60, 1000):
            AccessAttempt.objects.update_or_create(
                username="ada", ip_address=HOME, user_agent="x", defaults={"failures_since_start": failures}
            )
            AccessAttempt.objects.update(attempt_time=now)
            found.append(pace.wait_for("ada", OFFICE))
    assert found == [0, 10, 30, 60]


def test_sign_ins_of_long_ago_make_no_address_known(client: Client, ada: Any) -> None:
    sign_in(client, REMOTE_ADDR=OFFICE)
    assert pace.is_known("ada", OFFICE)
    AccessLog.objects.update(attempt_time=timezone.now() - dt.timedelta(days=91))

    assert not pace.is_known("ada", OFFICE)
    assert pace.forget_old() == 1


@pytest.mark.parametrize(
    ("proxies", "told", "expected"),
    [
        (0, "203.0.113.5", HOME),  # nobody asked to believe it
        (1, "203.0.113.5", "203.0.113.5"),
        (1, "10.0.0.1, 203.0.113.5", "203.0.113.5"),  # what came with the request stands left of what the proxy added
        (2, "10.0.0.1, 203.0.113.5, 192.0.2.1", "203.0.113.5"),
        (2, "203.0.113.5", HOME),  # it did not come through both
        (1, "", None),  # the proxy said nothing that is an address
        (1, "rubbish", None),
        (1, "2001:db8::1", "2001:db8::1"),
    ],
)
def test_the_client_s_address(settings: Any, proxies: int, told: str, expected: str | None) -> None:
    settings.PROXIES = proxies
    request = RequestFactory().get("/", REMOTE_ADDR=HOME, HTTP_X_FORWARDED_FOR=told)

    assert client_address(request) == expected


def test_a_forged_header_does_not_get_around_the_lock(client: Client, ada: Any) -> None:
    for number in range(5):
        answer = sign_in(client, "ada", "wrong", REMOTE_ADDR=HOME, HTTP_X_FORWARDED_FOR=f"203.0.113.{number}")
    assert answer.status_code == 429
