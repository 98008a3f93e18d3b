"""The page of records that exist twice or again: side by side, and what an answer does."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from ghl_sync.engine import due
from ghl_sync.engine.pull import pull
from ghl_sync.engine.session import Session
from ghl_sync.models import Issue, Link
from ghl_sync.sandbox.server import Sandbox
from tests import factories
from tests.ghl_sync.engine.mirror import a_trip, link_of
from trips.models import Trip

pytestmark = pytest.mark.django_db(transaction=True)

LIST = "admin:ghl_sync_doubles"
MADE = dt.datetime(2026, 11, 24, 10, 12, tzinfo=dt.UTC)


def a_double(code: str = "twin", **link: Any) -> Issue:
    """A question about a trip, and nothing that could be asked of GoHighLevel."""
    trip = factories.TripFactory()
    Link.objects.filter(kind="trip", object_id=trip.pk).update(
        **{"remote_id": f"op{trip.pk}", "location_id": "loc1", **link}
    )
    made: Issue = Issue.objects.create(
        link=Link.objects.for_object(trip), code=code, message="Twice.", remote_id=f"other{trip.pk}"
    )
    return made


def copied(session: Session, sandbox: Sandbox) -> tuple[Trip, Any, Issue]:
    trip = a_trip(name="Fjords", capacity=10)
    due.run_due(session)
    record = sandbox.store.get(link_of(trip).remote_id)
    assert record is not None
    fields = {**sandbox.store.custom_by_key(record), "max_passengers": 15}
    copy = sandbox.store.add_opportunity(
        pipeline="TripBooking", contact_id=record.contact_id, name="Fjords", fields=fields
    )
    pull(session, full=True)
    return trip, copy, Issue.objects.get(closed_at__isnull=True)


def say(client: Any, issue: Issue, name: str) -> list[str]:
    page = client.post(reverse("admin:ghl_sync_double_answer", args=[issue.pk, name]), follow=True)
    return [str(message) for message in page.context["messages"]]


def test_both_stand_side_by_side_with_what_can_be_said(session: Session, connected: Sandbox, admin_client: Any) -> None:
    trip, copy, issue = copied(session, connected)
    listed = admin_client.get(reverse(LIST)).context["rows"]
    double = admin_client.get(reverse("admin:ghl_sync_double", args=[issue.pk])).context["double"]

    assert [row.title for row in listed] == ["Fjords"]
    assert [(one.label, one.ours, one.theirs) for one in double.differences] == [("Capacity", "10", "15")]
    assert [one.label for one in double.answers] == ["The same", "Give it its own key"]
    assert (copy.id in double.other_remote_url, link_of(trip).remote_id in double.here_remote_url) == (True, True)


@pytest.mark.parametrize(
    ("name", "told", "trips"),
    [
        ("same", "Noted: they are the same, and nobody is asked again.", 1),
        ("own", "“Fjords” is a record of its own now; its key is written in a moment.", 2),
    ],
)
def test_an_answer_is_carried_out_once(
    session: Session, connected: Sandbox, admin_client: Any, name: str, told: str, trips: int
) -> None:
    _trip, _copy, issue = copied(session, connected)
    words = say(admin_client, issue, name)
    again = say(admin_client, issue, name)

    assert (words, again, Trip.objects.count()) == ([told], ["This question is answered already."], trips)


def test_an_answered_question_leads_back_to_the_list_and_one_that_never_was_is_404(admin_client: Any) -> None:
    issue = a_double()
    say(admin_client, issue, "same")
    page = admin_client.get(reverse("admin:ghl_sync_double", args=[issue.pk]), follow=True)
    never = admin_client.get(reverse("admin:ghl_sync_double", args=[issue.pk + 1])).status_code

    told = [str(message) for message in page.context["messages"]]
    assert (page.redirect_chain, told, never) == ([(reverse(LIST), 302)], ["This question is answered already."], 404)


def test_no_transaction_is_open_while_gohighlevel_is_asked(
    session: Session, connected: Sandbox, admin_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    _trip, _copy, issue = copied(session, connected)
    asked, read = [], Session.read

    def noted(self: Session, kind: str, remote_id: str) -> Any:
        asked.append(connection.in_atomic_block)
        return read(self, kind, remote_id)

    monkeypatch.setattr(Session, "read", noted)
    say(admin_client, issue, "own")

    assert (asked, Trip.objects.count()) == ([False], 2)


def test_what_is_there_no_more_is_said(session: Session, connected: Sandbox, admin_client: Any) -> None:
    _trip, copy, issue = copied(session, connected)
    connected.store.delete(copy.id)
    page = admin_client.get(reverse("admin:ghl_sync_double", args=[issue.pk]))
    words = say(admin_client, issue, "own")

    gone = "That record is not in GoHighLevel any more; there is nothing left to decide."
    assert (page.context["double"].trouble, words) == (gone, [gone])
    assert Trip.objects.count() == 1


def test_what_was_deleted_and_is_back_has_two_answers(session: Session, connected: Sandbox, admin_client: Any) -> None:
    trip = a_trip(name="Fjords")
    due.run_due(session)
    record = connected.store.get(link_of(trip).remote_id)
    assert record is not None
    fields = connected.store.custom_by_key(record)
    trip.delete()
    due.run_due(session)
    connected.store.add_opportunity(pipeline="TripBooking", contact_id=record.contact_id, name="Fjords", fields=fields)
    pull(session, full=True)
    issue = Issue.objects.get(closed_at__isnull=True)
    double = admin_client.get(reverse("admin:ghl_sync_double", args=[issue.pk])).context["double"]
    words = say(admin_client, issue, "back")

    assert [one.label for one in double.answers] == ["Bring it back here", "Delete it there again"]
    assert (words, Trip.objects.get().name) == (
        ["“Fjords” is back here; both sides are compared in a moment."],
        "Fjords",
    )


def test_without_a_connection_the_page_says_so(admin_client: Any) -> None:
    page = admin_client.get(reverse("admin:ghl_sync_double", args=[a_double().pk]))
    assert page.context["double"].trouble.startswith("GoHighLevel is not connected")


def test_the_list_costs_the_same_for_one_row_and_three(admin_client: Any) -> None:
    a_double("likeness")
    admin_client.get(reverse(LIST))
    with CaptureQueriesContext(connection) as one:
        admin_client.get(reverse(LIST))
    a_double("likeness")
    a_double("twin")
    with CaptureQueriesContext(connection) as three:
        page = admin_client.get(reverse(LIST))

    assert (len(page.context["rows"]), len(three)) == (3, len(one))


@pytest.mark.parametrize(
    ("permissions", "expected"),
    [
        ([], (403, None, 403)),
        (["trips.view_passenger"], (200, None, 403)),
        (["trips.view_trip"], (200, [], 403)),
        (["trips.view_trip", "trips.change_trip"], (200, ["The same"], 302)),
        (["trips.view_trip", "trips.add_trip"], (200, ["Give it its own key"], 403)),
    ],
)
def test_only_who_may_do_it_by_hand_may_answer(client: Any, permissions: list[str], expected: Any) -> None:
    issue = a_double()
    client.force_login(factories.StaffFactory(permissions=permissions))
    answer = client.post(reverse("admin:ghl_sync_double_answer", args=[issue.pk, "same"])).status_code
    Issue.objects.update(closed_at=None)
    page = client.get(reverse("admin:ghl_sync_double", args=[issue.pk]))
    offered = [one.label for one in page.context["double"].answers] if page.status_code == 200 else None

    assert (client.get(reverse(LIST)).status_code, offered, answer) == expected


def test_an_answer_that_does_not_fit_is_none(admin_client: Any) -> None:
    issue = a_double("likeness")
    codes = [
        admin_client.post(reverse("admin:ghl_sync_double_answer", args=[issue.pk, name])).status_code
        for name in ("own", "back", "nonsense")
    ]
    assert (codes, Issue.objects.get().closed_at) == ([404] * 3, None)


def alike(newer: Any, older: Any) -> Issue:
    """The question whether these two are one."""
    for row in (newer, older):
        Link.objects.filter(kind=row._meta.model_name, object_id=row.pk).update(
            remote_id=f"op{row.pk}", location_id="loc1"
        )
        type(row).objects.filter(pk=row.pk).update(created_at=MADE - dt.timedelta(days=row is older))
    made: Issue = Issue.objects.create(
        link=link_of(newer), code="likeness", message="Twice.", remote_id=link_of(older).remote_id
    )
    return made


def facts(client: Any, issue: Issue) -> list[tuple[str, str, str]]:
    """What the page of the question tells, which is what its row of the list tells."""
    double = client.get(reverse("admin:ghl_sync_double", args=[issue.pk])).context["double"]
    (row,) = client.get(reverse(LIST)).context["rows"]
    assert (row.facts, double.trouble) == (double.facts, "")
    return [(one.label, one.ours, one.theirs) for one in double.facts]


def test_trips_that_look_alike_are_told_apart(admin_client: Any) -> None:
    older = factories.TripFactory(name="Fjords", start_date=dt.date(2027, 6, 1), end_date=dt.date(2027, 6, 9))
    newer = factories.TripFactory(name="Fjords", start_date=None, end_date=None)
    factories.PassengerFactory.create_batch(2, trip=older)
    issue = alike(newer, older)

    assert facts(admin_client, issue) == [
        ("Record", "Fjords", "Fjords"),
        ("Created here", "24 Nov 2026, 10:12", "23 Nov 2026, 10:12"),
        ("Departure", "no date yet", "1 Jun 2027"),
        ("Passengers", "0", "2"),
    ]
    page = admin_client.get(reverse("admin:ghl_sync_double", args=[issue.pk]))
    text = page.content.decode()
    for trip in (newer, older):
        assert f'href="{reverse("admin:trips_trip_change", args=[trip.pk])}">Fjords</a>' in text
    assert not {"Departs", "Departure", "Start date"} & {one.label for one in page.context["double"].differences}


def test_passengers_that_look_alike_are_told_apart_as_far_as_the_user_may_see(admin_client: Any, client: Any) -> None:
    names = {"legal_first_name": "Ada", "legal_last_name": "Ortiz"}
    trip = factories.TripFactory(name="Fjords")
    older = factories.PassengerFactory(trip=trip, date_of_birth=dt.date(1980, 5, 2), **names)
    issue = alike(factories.PassengerFactory(trip=trip, date_of_birth=dt.date(2011, 5, 2), **names), older)
    made = ("Created here", "24 Nov 2026, 10:12", "23 Nov 2026, 10:12")

    assert facts(admin_client, issue) == [
        ("Record", "Ada Ortiz", "Ada Ortiz"),
        made,
        ("Trip", "Fjords", "Fjords"),
        ("Date of birth", "2 May 2011", "2 May 1980"),
    ]
    client.force_login(factories.StaffFactory(permissions=["trips.view_passenger"]))
    assert facts(client, issue)[1:3] == [made, ("Trip", "not shown", "not shown")]


@pytest.mark.parametrize("make", [factories.TripFactory, factories.PassengerFactory])
def test_a_list_of_look_alikes_costs_the_same_for_one_row_and_three(admin_client: Any, make: Any) -> None:
    alike(make(), make())
    admin_client.get(reverse(LIST))
    with CaptureQueriesContext(connection) as one:
        admin_client.get(reverse(LIST))
    alike(make(), make())
    alike(make(), make())
    with CaptureQueriesContext(connection) as three:
        page = admin_client.get(reverse(LIST))

    assert ([bool(row.facts) for row in page.context["rows"]], len(three)) == ([True] * 3, len(one))
