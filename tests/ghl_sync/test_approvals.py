"""The page of what waits for a person's yes: what it says, who may answer, and what an answer does."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from ghl_sync.engine import binding, state
from ghl_sync.models import Approval, Blank, Link, Location
from tests import factories

pytestmark = pytest.mark.django_db

PAGE = "admin:ghl_sync_approvals"


@pytest.fixture(autouse=True)
def account(settings: Any) -> Location:
    """An account that is set up; nothing in these tests calls it."""
    settings.GHL_API_TOKEN = "token-of-tests"
    settings.GHL_LOCATION_ID = "loc1"
    return Location.objects.create(location_id="loc1", name="Demo Travel", bound_to=binding.identity())


def a_card(obj: Any) -> Link:
    kind = obj._meta.model_name
    Link.objects.filter(kind=kind, object_id=obj.pk).update(remote_id=f"{kind}{obj.pk}", location_id="loc1")
    link = Link.objects.for_object(obj)
    assert link is not None
    return link


def held(count: int, effect: str = "blank_here") -> list[Link]:
    """Descriptions that were emptied on one side and wait."""
    links = [a_card(factories.TripFactory()) for _number in range(count)]
    for link in links:
        state.note_blank(link, effect, "description", Blank.State.WAITING)
    state.ask_approval(effect, "trip", "description", count=count, of=count)
    return links


def deleted(count: int) -> list[Link]:
    trips = [factories.TripFactory(name=f"Trip {number}") for number in range(count)]
    links = [a_card(trip) for trip in trips]
    for trip in trips:
        trip.delete()
    state.ask_approval("delete_there", "", "", count=count, of=100)
    return links


def shown(client: Any) -> list[Any]:
    return list(client.get(reverse(PAGE)).context["questions"])


def answer(client: Any, approval: Approval, said: str, until: str) -> list[str]:
    page = client.post(
        reverse("admin:ghl_sync_approval", args=[approval.pk]), {"answer": said, "until": until}, follow=True
    )
    return [str(message) for message in page.context["messages"]]


def test_it_says_what_yes_and_no_do_with_ten_samples(admin_client: Any) -> None:
    held(12)
    (one,) = shown(admin_client)
    assert (one.title, one.yes, one.no, len(one.samples), one.more) == (
        "The field “description” of 12 trips was emptied in GoHighLevel: empty it here, too?",
        "The field is emptied here in 12 trips. The history keeps what it held.",
        "GoHighLevel gets back what stands here, in 12 trips.",
        10,
        2,
    )


def test_every_kind_of_question_is_told_apart(admin_client: Any) -> None:
    held(1, "blank_there")
    deleted(2)
    assert [(one.title, one.no) for one in shown(admin_client)] == [
        (
            "The field “description” of 1 trip was emptied here: empty it in GoHighLevel, too?",
            "What GoHighLevel holds comes back here, in 1 trip.",
        ),
        (
            "2 trips and passengers were deleted here: delete their opportunities in GoHighLevel, too?",
            "2 records come back here, with everything that belonged to them. What cannot be brought back stays in "
            "GoHighLevel and is no longer mirrored.",
        ),
    ]


@pytest.mark.parametrize(("said", "becomes"), [("yes", "allowed"), ("no", "refused")])
def test_an_answer_is_about_what_was_shown(admin_client: Any, admin_user: Any, said: str, becomes: str) -> None:
    links = held(2)
    (one,) = shown(admin_client)
    late = a_card(factories.TripFactory())
    state.note_blank(late, "blank_here", "description", Blank.State.WAITING)

    told = answer(admin_client, one.approval, said, one.until)
    again = answer(admin_client, one.approval, "yes", one.until)

    one.approval.refresh_from_db()
    states = {link.pk: Blank.objects.get(link=link).state for link in (*links, late)}
    assert (one.approval.answer, one.approval.answered_by, one.approval.count) == (said, admin_user, 2)
    assert states == {links[0].pk: becomes, links[1].pk: becomes, late.pk: "passed"}
    done = "happens" if said == "yes" else "is taken back"
    assert told == [f"Noted: it {done} for 2 records, in the background."]
    assert again == ["Somebody has answered this in the meantime."]


@pytest.mark.parametrize("data", [{}, {"answer": "yes"}, {"answer": "maybe", "until": "2027-01-01T00:00:00Z"},
                                  {"answer": "yes", "until": "soon"}])  # fmt: skip
def test_half_an_answer_decides_nothing(admin_client: Any, data: dict[str, str]) -> None:
    held(1)
    (one,) = shown(admin_client)
    admin_client.post(reverse("admin:ghl_sync_approval", args=[one.approval.pk]), data)

    one.approval.refresh_from_db()
    assert one.approval.answer == "asked"


@pytest.mark.parametrize(
    ("permissions", "expected"),
    [
        ([], (403, None, [403, 403])),
        (["trips.view_trip"], (200, [(1, False), (0, False)], [403, 403])),
        (["trips.view_trip", "trips.change_trip"], (200, [(1, True), (0, False)], [302, 403])),
        (
            ["trips.view_trip", "trips.delete_trip", "trips.view_passenger", "trips.delete_passenger"],
            (200, [(1, False), (1, True)], [403, 302]),
        ),
    ],
)
def test_only_who_may_do_it_by_hand_may_answer(client: Any, permissions: list[str], expected: Any) -> None:
    held(1)
    deleted(1)
    client.force_login(factories.StaffFactory(permissions=permissions))
    page = client.get(reverse(PAGE))
    found = (
        [(len(one.samples), one.may_answer) for one in page.context["questions"]] if page.status_code == 200 else None
    )
    data = {"answer": "yes", "until": "2030-01-01T00:00:00+00:00"}
    codes = [
        client.post(reverse("admin:ghl_sync_approval", args=[row.pk]), data).status_code
        for row in Approval.objects.order_by("pk")
    ]
    assert (page.status_code, found, codes) == expected


def test_a_question_costs_the_same_for_one_record_and_three(admin_client: Any) -> None:
    held(1)
    shown(admin_client)
    with CaptureQueriesContext(connection) as one:
        shown(admin_client)
    held(2)
    with CaptureQueriesContext(connection) as three:
        (found,) = shown(admin_client)

    assert (found.count, len(three)) == (3, len(one))


# Another database


def test_a_copy_says_so_on_every_page_and_an_administrator_lets_it_take_over(client: Any, account: Location) -> None:
    Location.objects.update(bound_to="sqlite:elsewhere")
    answers = []
    for user in (factories.StaffFactory(permissions=["trips.view_trip"]), factories.StaffFactory(is_superuser=True)):
        client.force_login(user)
        start = client.get("/").content.decode()
        page = client.get(reverse(PAGE)).content.decode()
        code = client.post(reverse("admin:ghl_sync_take_over")).status_code
        answers.append(("This database is a copy" in start, "Take over</button>" in page, code))
    account.refresh_from_db()

    assert answers == [(True, False, 403), (True, True, 302)]
    assert (account.bound_to, account.pull_first_since is not None) == (binding.identity(), True)
    assert "It catches up first" in client.get("/").content.decode()
    assert "This database is a copy" not in client.get("/").content.decode()


def test_who_is_bound_already_has_nothing_to_take_over(admin_client: Any) -> None:
    page = admin_client.post(reverse("admin:ghl_sync_take_over"), follow=True)
    assert [str(message) for message in page.context["messages"]] == ["This database speaks for the account already."]
