"""The demo account opens nothing where DEBUG is off."""

from __future__ import annotations

import html
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core import checks
from django.test import Client

from tests.tripbuilder.signin.hands import sign_in
from tripbuilder.signin.demo import DEMO_PASSWORD, DEMO_USER, demo_account_is_shut_out

pytestmark = pytest.mark.django_db


@pytest.fixture
def demo() -> Any:
    return get_user_model()._default_manager.create_superuser(DEMO_USER, password=DEMO_PASSWORD)


@pytest.mark.parametrize(("debug", "status"), [(True, 302), (False, 200)])
def test_it_signs_in_on_a_developer_s_machine_only(
    settings: Any, client: Client, demo: Any, debug: bool, status: int
) -> None:
    settings.DEBUG = debug

    assert sign_in(client, DEMO_USER, DEMO_PASSWORD).status_code == status


def test_in_production_the_password_opens_no_account_and_tells_nothing(client: Client, demo: Any) -> None:
    answers = {
        html.unescape(sign_in(client, name, DEMO_PASSWORD).content.decode()).count("password of the demo account")
        for name in (DEMO_USER, "nobody")
    }

    assert answers == {1}


def test_the_check_names_it(settings: Any, demo: Any) -> None:
    (found,) = checks.run_checks(tags=[checks.Tags.security])
    assert (found.id, found.msg) == (
        "signin.W001",
        "The account “admin” has the password of the demo. Nobody can sign in with it; it should not exist.",
    )
    demo.set_password("something else entirely 7")
    demo.save()
    assert demo_account_is_shut_out() == []
    settings.DEBUG = True
    demo.set_password(DEMO_PASSWORD)
    demo.save()
    assert demo_account_is_shut_out() == []
