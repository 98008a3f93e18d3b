"""Second factor: what it takes, what it refuses, and that nothing else opens before it."""

from __future__ import annotations

import datetime as dt
import html
import threading
from typing import Any

import pytest
import time_machine
from django.contrib.admin.models import LogEntry
from django.db import connection, connections
from django.test import Client
from django.urls import get_resolver, reverse
from django.utils import timezone

from tests.factories import StaffFactory
from tests.tripbuilder.signin.hands import code_of, set_up, sign_in
from tripbuilder.signin import second_factor
from tripbuilder.signin.models import Authenticator, RecoveryCode, SignIn

CODE, SET_UP, MINE = "/sign-in/code/", "/sign-in/set-up/", "/sign-in/mine/"


def said(page: Any) -> str:
    return html.unescape(page.content.decode())


def test_who_has_no_app_reaches_the_set_up_and_nothing_else(required: None, client: Client, ada: Any) -> None:
    assert sign_in(client)["Location"] == "/"

    for address in (
        "/",
        "/trips/vendor/",
        MINE,
        "/sign-in/recovery-codes/",
        "/password_change/",
        "/find/?q=a",
        "/nowhere/",
    ):
        answer = client.get(address)
        assert (address, answer.status_code) == (address, 302)
        assert answer["Location"].startswith(f"{SET_UP}?next=")
    assert client.post("/trips/vendor/add/", {"name": "x"})["Location"] == f"{SET_UP}?next=%2F"
    assert client.get(SET_UP).status_code == 200
    assert client.get(CODE)["Location"].startswith(SET_UP)
    assert client.post(reverse("admin:logout")).status_code == 200


def test_setting_up_takes_a_code_and_shows_ten_codes_once(required: None, client: Client, ada: Any) -> None:
    sign_in(client)
    page = client.get(SET_UP, {"next": "/trips/vendor/"})
    device = Authenticator.objects.get(user=ada)
    assert page.context["secret"].replace(" ", "") == device.secret
    assert "<svg" in said(page)
    assert client.get(SET_UP).context["secret"] == page.context["secret"]  # loaded anew: what was scanned stays right

    wrong = client.post(SET_UP, {"code": "000000"})
    assert second_factor.WRONG in said(wrong)
    assert second_factor.device_of(ada) is None
    with time_machine.travel(timezone.now() + dt.timedelta(seconds=5)):
        before = client.session.session_key
        page = client.post(SET_UP, {"code": code_of(ada, confirmed=False), "next": "/trips/vendor/"})
        codes = page.context["codes"]
        assert len(set(codes)) == 10
        assert all(code in said(page) for code in codes)
        assert page.context["next"] == "/trips/vendor/"
        assert client.session.session_key != before
        assert client.get("/trips/vendor/").status_code == 200
        assert not any(code in said(client.get(MINE)) for code in codes)
    assert SignIn.objects.filter(user=ada).count() == 1


def test_secret_and_codes_do_not_stand_readable_in_the_database(ada: Any, with_app: list[str]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("select secret from signin_authenticator")
        (stored,) = cursor.fetchone()
        cursor.execute("select digest from signin_recoverycode")
        digests = {row[0] for row in cursor.fetchall()}

    assert Authenticator.objects.get().secret not in stored
    assert not digests & {part for code in with_app for part in (code, code.replace("-", ""))}
    assert len(digests) == 10


def test_sign_in_with_the_app_asks_for_a_code_and_leads_on(
    required: None, client: Client, ada: Any, with_app: Any
) -> None:
    sign_in(client)
    gate = client.get("/trips/vendor/?q=a")["Location"]
    assert gate == f"{CODE}?next=%2Ftrips%2Fvendor%2F%3Fq%3Da"
    assert client.get(SET_UP)["Location"].startswith(CODE)  # a password alone sets up no other phone

    before = client.session.session_key
    answer = client.post(gate, {"code": code_of(ada), "next": "/trips/vendor/?q=a"})

    assert answer["Location"] == "/trips/vendor/?q=a"
    assert client.session.session_key != before
    assert client.get("/trips/vendor/").status_code == 200


def test_who_has_an_app_is_asked_where_it_is_optional_too(client: Client, ada: Any, with_app: Any) -> None:
    sign_in(client)

    assert client.get("/trips/vendor/")["Location"].startswith(CODE)


@pytest.mark.parametrize("steps", [-1, 0, 1])
def test_a_clock_that_is_half_a_minute_off_does_no_harm(ada: Any, with_app: Any, steps: int) -> None:
    assert second_factor.check(ada, code_of(ada, steps=steps)).user == ada


@pytest.mark.parametrize("steps", [-2, 2])
def test_an_old_code_and_one_of_the_future_are_refused(ada: Any, with_app: Any, steps: int) -> None:
    with pytest.raises(second_factor.Refused, match="wrong, too old or was used already"):
        second_factor.check(ada, code_of(ada, steps=steps))


def test_a_drifting_clock_is_followed(ada: Any, with_app: Any) -> None:
    now = timezone.now()
    for slow in range(1, 5):  # each time another 30 seconds late
        with time_machine.travel(now + dt.timedelta(minutes=10 * slow)):
            second_factor.check(ada, code_of(ada, steps=-slow))
    assert Authenticator.objects.get().drift == -4


@pytest.mark.parametrize("again", [-1, 0])
def test_a_code_works_once_and_none_before_it(ada: Any, with_app: Any, again: int) -> None:
    second_factor.check(ada, code_of(ada))

    with pytest.raises(second_factor.Refused, match="was used already"):
        second_factor.check(ada, code_of(ada, steps=again))


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", ["app", "recovery"])
def test_a_code_opens_one_of_two_requests_at_the_same_moment(ada: Any, kind: str) -> None:
    codes = set_up(ada)
    code = code_of(ada) if kind == "app" else codes[0]
    start, passed = threading.Barrier(2), []

    def race() -> None:
        start.wait()
        try:
            passed.append(second_factor.check(ada, code))
        except second_factor.Refused:
            pass
        finally:
            connections.close_all()

    racers = [threading.Thread(target=race) for _ in range(2)]
    for one in racers:
        one.start()
    for one in racers:
        one.join()

    assert len(passed) == 1


def test_wrong_codes_cost_more_time_each_and_the_right_one_waits_too(ada: Any, with_app: Any) -> None:
    now = timezone.now()
    with time_machine.travel(now, tick=False):
        with pytest.raises(second_factor.Refused, match="wrong"):
            second_factor.check(ada, "000000")
        with pytest.raises(second_factor.Refused, match=r"There were 1 wrong codes. Wait 2 seconds, then try again\."):
            second_factor.check(ada, code_of(ada))
    for count, after in ((2, 10), (3, 20), (4, 40)):
        with (
            time_machine.travel(now + dt.timedelta(seconds=after)),
            pytest.raises(second_factor.Refused, match="wrong"),
        ):
            second_factor.check(ada, "000000")
        assert Authenticator.objects.get().throttling_failure_count == count
    with time_machine.travel(now + dt.timedelta(seconds=100)):
        second_factor.check(ada, code_of(ada))
    assert Authenticator.objects.get().throttling_failure_count == 0


@pytest.mark.parametrize("typed", ["", "12345", "1234567", "9" * 40, "abc", "²²²²²²", "１２３４５６", "a\0b", "\ud800"])
def test_odd_codes_are_refused_in_a_sentence(ada: Any, with_app: Any, typed: str) -> None:
    with pytest.raises(second_factor.Refused, match=r"^(This|There)[^.]*\."):
        second_factor.check(ada, typed)


def test_a_recovery_code_works_once_however_it_is_spaced(
    required: None, client: Client, ada: Any, with_app: list[str]
) -> None:
    sign_in(client)
    answer = client.post(f"{CODE}?recovery=1", {"code": f" {with_app[0].upper().replace('-', ' ')} "})
    assert answer["Location"] == "/"
    assert client.get("/trips/vendor/").status_code == 200
    assert RecoveryCode.objects.filter(user=ada).count() == 9

    with pytest.raises(
        second_factor.Refused, match=r"This recovery code is wrong or was used already\. Try another one\."
    ):
        second_factor.check(ada, with_app[0])
    with pytest.raises(second_factor.Refused):
        second_factor.check(StaffFactory(), with_app[1])


def test_the_last_codes_are_announced(client: Client, ada: Any, with_app: list[str]) -> None:
    for code in with_app[:7]:
        second_factor.check(ada, code)
    sign_in(client)

    page = client.post(CODE, {"code": with_app[7]}, follow=True)

    assert "Recovery codes left: 2." in said(page)


def test_new_codes_and_another_phone_take_a_code_of_this_moment(client: Client, ada: Any, with_app: list[str]) -> None:
    sign_in(client)
    client.post(CODE, {"code": code_of(ada)})
    codes = client.post("/sign-in/recovery-codes/").context["codes"]
    with pytest.raises(second_factor.Refused):
        second_factor.check(ada, with_app[0])
    second_factor.check(ada, codes[0])

    with time_machine.travel(timezone.now() + dt.timedelta(minutes=11)):
        assert client.post("/sign-in/recovery-codes/")["Location"] == f"{CODE}?next=%2Fsign-in%2Fmine%2F"
        assert client.get(SET_UP)["Location"] == f"{CODE}?next=%2Fsign-in%2Fset-up%2F"
        client.post(CODE, {"code": code_of(ada)})
        old = Authenticator.objects.get().secret
        client.get(SET_UP)
        client.post(SET_UP, {"code": code_of(ada, confirmed=False)})
    assert Authenticator.objects.get().secret != old  # one app, the new one


def test_setting_up_ends_the_sessions_that_were_asked_for_no_code(
    client: Client, other_browser: Client, ada: Any
) -> None:
    sign_in(other_browser)
    sign_in(client)
    client.get(SET_UP)
    client.post(SET_UP, {"code": code_of(ada, confirmed=False)})

    assert client.get("/trips/vendor/").status_code == 200
    assert other_browser.get("/trips/vendor/")["Location"].startswith("/login/")


@pytest.mark.parametrize(
    "next_page", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", ""]
)
def test_next_leads_to_no_other_site(client: Client, ada: Any, with_app: Any, next_page: str) -> None:
    answer = client.post(
        "/login/?next=" + next_page, {"username": "ada", "password": "only-for-tests-1", "next": next_page}
    )
    assert answer["Location"] == "/"
    assert client.post(CODE, {"code": code_of(ada), "next": next_page})["Location"] == "/"


def test_an_administrator_takes_it_off_after_a_question_and_it_is_recorded(
    client: Client, other_browser: Client, ada: Any, boss: Any, with_app: list[str]
) -> None:
    sign_in(other_browser)
    client.force_login(boss)
    question = reverse("admin:auth_user_second_factor", args=[ada.pk])
    assert "stop working" in said(client.get(question))
    assert second_factor.device_of(ada)

    page = client.post(question, follow=True)

    assert "The second factor of ada is off, and their sign-ins have ended." in said(page)
    assert (Authenticator.objects.count(), RecoveryCode.objects.count()) == (0, 0)
    assert other_browser.get("/")["Location"].startswith("/login/")
    entry = LogEntry.objects.get()
    assert (entry.user, entry.object_id, entry.get_change_message()) == (
        boss,
        str(ada.pk),
        "Took the second factor off.",
    )


def test_only_who_may_change_users_sees_and_ends_and_superusers_are_for_superusers(
    client: Client, ada: Any, boss: Any
) -> None:
    helper = StaffFactory(permissions=["auth.change_user", "auth.view_user"])
    names = ("auth_user_sign_ins", "auth_user_end_sign_ins", "auth_user_second_factor")
    found = {}
    for user, target in ((ada, ada), (helper, boss), (helper, ada)):
        client.force_login(user)
        addresses = [reverse(f"admin:{name}", args=[target.pk]) for name in names]
        found[user, target] = [client.get(addresses[0]).status_code]
        found[user, target] += [client.post(address).status_code for address in addresses[1:]]

    assert found == {(ada, ada): [403] * 3, (helper, boss): [403] * 3, (helper, ada): [200, 302, 302]}


def test_every_page_is_behind_the_gate(required: None, client: Client, ada: Any) -> None:
    """Whatever address is added later: only these four open without the second factor."""
    sign_in(client)
    opened = set()
    for name in (name for name in get_resolver().reverse_dict if isinstance(name, str)):
        try:
            address = reverse(name)
        except Exception:  # noqa: BLE001 - it needs arguments
            continue
        if client.get(address).status_code == 200:
            opened.add(name)
    for name in [pattern.name for pattern in _admin_patterns()]:
        address = reverse(f"admin:{name}")
        if client.get(address).status_code == 200:
            opened.add(f"admin:{name}")

    assert opened <= {"admin:login"}


def _admin_patterns() -> list[Any]:
    from django.contrib import admin

    return [
        one
        for one in admin.site.get_urls()
        if getattr(one, "name", None) and "<" not in str(one.pattern) and one.name != "logout"
    ]
