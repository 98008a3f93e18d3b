"""Deleting on the staff's pages: typed confirmation, undo, and the list of what is deleted here and not yet there."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from ghl_sync.admin.account import Account
from ghl_sync.admin.badges import badge_of, clock
from ghl_sync.models import DeletedRecord, Issue, Link, Location
from tests import factories
from trips.models import Passenger, Trip

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def account(settings: Any) -> Location:
    """An account that is set up; nothing in these tests calls it."""
    settings.GHL_API_TOKEN = "token-of-tests"
    settings.GHL_LOCATION_ID = "loc1"
    return Location.objects.create(location_id="loc1", name="Demo Travel")


def url(model: str, page: str, *args: Any) -> str:
    return reverse(f"admin:trips_{model}_{page}", args=args)


def a_card(obj: Any) -> Link:
    """The object's link, as if it stood in GoHighLevel."""
    Link.objects.filter(kind=obj._meta.model_name, object_id=obj.pk).update(
        remote_id=f"{obj._meta.model_name}{obj.pk}", location_id="loc1", base={"v": {"capacity": 10}}
    )
    link = Link.objects.for_object(obj)
    assert link is not None
    return link


def said(response: Any) -> list[str]:
    """The messages of the page that follows, without their forms."""
    return [re.sub(r"<[^>]+>", " ", str(message)).strip() for message in response.context["messages"]]


def delete(client: Any, obj: Any, **typed: str) -> Any:
    return client.post(url(obj._meta.model_name, "delete", obj.pk), {"post": "yes", **typed}, follow=True)


def test_a_trip_is_deleted_by_typing_its_name(admin_client: Any) -> None:
    trip = factories.TripFactory(name="Fjords by Ship")
    page = admin_client.get(url("trip", "delete", trip.pk))
    answers = [delete(admin_client, trip, **typed) for typed in ({}, {"typed": "Fjords"})]
    still = Trip.objects.count()
    delete(admin_client, trip, typed=" fjords by  ship ")

    assert (page.context["typed_wanted"], page.context["hold"]) == (
        "Fjords by Ship",
        "You can undo this for 10 minutes. Its opportunity in GoHighLevel goes after that.",
    )
    assert [answer.context["typed_error"] for answer in answers] == [
        "That is not its name. Type the trip's name as it stands above."
    ] * 2
    assert (still, Trip.objects.count()) == (1, 0)


def test_several_trips_are_deleted_by_typing_how_many(admin_client: Any) -> None:
    trips = factories.TripFactory.create_batch(2)
    chosen = {"action": "delete_selected", "_selected_action": [trip.pk for trip in trips], "post": "yes"}
    wrong = admin_client.post(url("trip", "changelist"), {**chosen, "typed": "3"})
    still = Trip.objects.count()
    right = admin_client.post(url("trip", "changelist"), {**chosen, "typed": "2"}, follow=True)

    assert (wrong.context["typed_error"], still) == ("You chose 2 trips: type 2 to delete.", 2)
    assert Trip.objects.count() == 0
    assert said(right) == ["Successfully deleted 2 trips.", "GoHighLevel’s opportunities follow in 10 minutes.  Undo"]


def test_a_passenger_needs_no_typing_and_a_contact_stays_there(admin_client: Any) -> None:
    passenger, contact = factories.PassengerFactory(), factories.ContactFactory()
    pages = [admin_client.get(url(model, "delete", row.pk)) for model, row in
             (("passenger", passenger), ("contact", contact))]  # fmt: skip
    delete(admin_client, passenger)
    delete(admin_client, contact)

    assert [(page.context["typed_wanted"], bool(page.context["hold"])) for page in pages] == [("", True), ("", False)]
    assert Passenger.objects.count() == 0


def test_the_message_after_a_delete_takes_it_back(admin_client: Any) -> None:
    trip = factories.TripFactory(name="Fjords")
    link = a_card(trip)
    page = delete(admin_client, trip, typed="Fjords")
    link.refresh_from_db()
    shown = page.content.decode()
    address = reverse("admin:ghl_sync_deleted_undo", args=[link.pk])

    back = admin_client.post(address, follow=True)

    assert said(page)[1].split() == (
        f"“Fjords” is deleted here. GoHighLevel’s opportunity follows at {clock(link.held_until)}. Undo".split()
    )
    assert f'action="{address}"' in shown
    assert back.redirect_chain[0][0] == url("trip", "change", trip.pk)
    assert said(back) == ["“Fjords” is back, with everything that belonged to it."]
    assert Trip.objects.get().pk == trip.pk
    assert Trip.history.filter(id=trip.pk).first().history_user.username == "admin"


def test_without_a_hold_nothing_offers_an_undo(admin_client: Any, settings: Any) -> None:
    settings.GHL_DELETE_HOLD_SECONDS = 0
    trip = factories.TripFactory(name="Fjords")
    page = admin_client.get(url("trip", "delete", trip.pk))
    after = delete(admin_client, trip, typed="Fjords")

    assert page.context["hold"] == "Its opportunity in GoHighLevel goes at once."
    assert len(said(after)) == 1


def test_the_badge_says_when_the_card_follows(admin_client: Any) -> None:
    trip = factories.TripFactory()
    link = a_card(trip)
    trip.delete()
    row = Link.objects.with_state().get(pk=link.pk)
    badge = badge_of(row, Account(configured=True, paused="", location=None))

    assert badge.text == f"Deleted here; GoHighLevel’s opportunity follows at {clock(row.held_until)}"


# The list


def deleted(obj: Any) -> Link:
    link = a_card(obj)
    obj.delete()
    return link


def asked(link: Link, **theirs: Any) -> Issue:
    Link.objects.filter(pk=link.pk).update(parked_at=timezone.now(), held_until=None)
    issue: Issue = Issue.objects.create(link=link, code="changed", message="changed", raw=json.dumps(theirs))
    return issue


def listed(client: Any) -> list[Any]:
    return list(client.get(reverse("admin:ghl_sync_deleted")).context["rows"])


def test_the_list_says_who_when_and_what_happens_next(admin_client: Any, admin_user: Any) -> None:
    admin_user.first_name, admin_user.last_name = "Ines", "Prado"
    admin_user.save()
    trip = factories.TripFactory(name="Fjords")
    link = a_card(trip)
    delete(admin_client, trip, typed="Fjords")
    changed = deleted(factories.TripFactory(name="Lisbon"))
    asked(changed, capacity=15)
    never = factories.PassengerFactory(legal_first_name="Ada", legal_last_name="Ortiz")
    never.delete()

    link.refresh_from_db()
    rows = {row.title: row for row in listed(admin_client)}
    assert {title: (row.who, row.state, row.may_undo, row.may_send, row.may_answer) for title, row in rows.items()} == {
        "Fjords": ("Ines Prado", f"GoHighLevel’s opportunity follows at {clock(link.held_until)}.", True, True, False),
        "Lisbon": (
            "",
            "Changed in GoHighLevel since both sides last agreed. It is not deleted there before you say so.",
            True,
            False,
            True,
        ),
        "Ada Ortiz": ("", "It was not in GoHighLevel yet.", True, False, False),
    }
    assert [(one.label, one.agreed, one.theirs) for one in rows["Lisbon"].differences] == [("capacity", "10", "15")]


def test_values_are_shown_as_staff_know_them(admin_client: Any) -> None:
    asked(deleted(factories.TripFactory()), start_date="2027-03-17", stage="trip_finalized", description=None)
    (row,) = listed(admin_client)
    assert [(one.label, one.theirs) for one in row.differences] == [
        ("start date", "17 Mar 2027"),
        ("stage", "TripFinalized"),
        ("description", "empty"),
    ]


def test_sensitive_changes_are_named_but_not_shown(admin_client: Any) -> None:
    link = deleted(factories.PassengerFactory())
    asked(link, **{"passport.number": "k1:abc", "pipeline": "p2"})
    (row,) = listed(admin_client)
    assert [(one.label, one.agreed, one.theirs) for one in row.differences] == [
        ("passport", "not shown", "not shown"),
        ("pipeline", "the one it was in", "another one"),
    ]


@pytest.mark.parametrize("model", ["trip", "passenger"])
def test_the_list_costs_the_same_for_one_row_and_three(admin_client: Any, model: str) -> None:
    make = {"trip": factories.TripFactory, "passenger": factories.PassengerFactory}[model]
    address = reverse("admin:ghl_sync_deleted")
    asked(deleted(make()), capacity=15)
    admin_client.get(address)
    with CaptureQueriesContext(connection) as one:
        admin_client.get(address)
    asked(deleted(make()), capacity=15)
    asked(deleted(make()), capacity=15)
    with CaptureQueriesContext(connection) as three:
        page = admin_client.get(address)

    assert (len(page.context["rows"]), len(three)) == (3, len(one))


def test_its_buttons_do_what_they_say(admin_client: Any) -> None:
    now, there = deleted(factories.TripFactory(name="Now")), deleted(factories.TripFactory(name="There"))
    asked(there, capacity=15)
    answers = [
        said(admin_client.post(reverse(f"admin:ghl_sync_deleted_{name}", args=[link.pk]), follow=True))
        for name, link in (("send_now", now), ("there", there), ("there", now))
    ]
    for link in (now, there):
        link.refresh_from_db()

    assert answers == [
        ["“Now” is deleted in GoHighLevel in a moment."],
        ["“There” is deleted in GoHighLevel in a moment; what was changed there stays on record for 60 days."],
        ["There is no open question about Trip Now any more."],
    ]
    assert (now.held_until, there.parked_at, there.base) == (None, None, {"v": {}, "l": {"capacity": 10},
                                                                         "r": {"capacity": 15}})  # fmt: skip


def test_an_undo_that_comes_too_late_says_so(admin_client: Any) -> None:
    link = deleted(factories.TripFactory(name="Fjords"))
    Link.objects.filter(pk=link.pk).update(remote_gone_at=timezone.now())
    answer = admin_client.post(reverse("admin:ghl_sync_deleted_undo", args=[link.pk]), follow=True)

    assert said(answer) == ["Trip Fjords is deleted in GoHighLevel, too, and cannot be brought back any more."]


def test_whoever_may_not_delete_may_not_undo(client: Any) -> None:
    link = deleted(factories.TripFactory())
    deleted(factories.PassengerFactory())
    address = reverse("admin:ghl_sync_deleted_undo", args=[link.pk])
    answers = []
    for permissions in ([], ["trips.view_trip"], ["trips.delete_trip"]):
        client.force_login(factories.StaffFactory(permissions=permissions))
        page = client.get(reverse("admin:ghl_sync_deleted"))
        rows = [(row.link.kind, row.may_undo) for row in page.context["rows"]] if page.status_code == 200 else None
        answers.append((page.status_code, rows, client.get(address).status_code, client.post(address).status_code))

    assert answers == [
        (403, None, 403, 403),
        (200, [("trip", False)], 302, 403),
        (200, [("trip", True)], 302, 302),
    ]
    assert DeletedRecord.objects.count() == 1


# Several at once


def undo_chosen(client: Any, *links: Link, **more: str) -> Any:
    chosen = {"chosen": [link.pk for link in links], **more}
    return client.post(reverse("admin:ghl_sync_deleted_undo_chosen"), chosen, follow=True)


def test_what_was_chosen_comes_back_and_the_list_stays(admin_client: Any) -> None:
    links = [deleted(passenger) for passenger in factories.PassengerFactory.create_batch(26)]
    page = undo_chosen(admin_client, *links[:25], p="2")

    assert page.redirect_chain == [(f"{reverse('admin:ghl_sync_deleted')}?p=2", 302)]
    assert said(page) == ["25 records are back, with everything that belonged to them."]
    assert (Passenger.objects.count(), [row.link for row in page.context["rows"]]) == (25, links[25:])
    assert Passenger.history.filter(history_type="+", history_user__username="admin").count() == 25


def test_one_that_cannot_come_back_keeps_no_other_away(admin_client: Any) -> None:
    good, bad = deleted(factories.TripFactory(name="Alps")), deleted(factories.TripFactory(name="Fjords"))
    Link.objects.filter(pk=bad.pk).update(remote_gone_at=timezone.now())

    why = "Trip Fjords is deleted in GoHighLevel, too, and cannot be brought back any more."
    assert said(undo_chosen(admin_client, good, bad)) == [
        "1 record is back, with everything that belonged to it.",
        f"1 record could not be brought back. {why}",
    ]
    assert [trip.name for trip in Trip.objects.all()] == ["Alps"]


def test_a_passenger_chosen_with_its_trip_comes_back_with_it(admin_client: Any) -> None:
    trip = factories.TripFactory(name="Alps")
    passenger = factories.PassengerFactory(trip=trip)
    a_card(passenger)
    first = deleted(passenger)
    second = deleted(trip)

    assert said(undo_chosen(admin_client, first, second)) == [
        "2 records are back, with everything that belonged to them."
    ]
    assert Passenger.objects.get().trip == Trip.objects.get()


def test_choosing_nothing_says_so(admin_client: Any) -> None:
    deleted(factories.TripFactory())
    assert said(undo_chosen(admin_client)) == [
        "Nothing was chosen: tick what is to come back, then press “Undo selected”."
    ]


def test_whoever_may_not_delete_may_not_undo_several(client: Any) -> None:
    trip, passenger = deleted(factories.TripFactory()), deleted(factories.PassengerFactory())
    client.force_login(factories.StaffFactory(permissions=["trips.delete_trip"]))
    page = client.get(reverse("admin:ghl_sync_deleted"))
    answers = [undo_chosen(client, trip, passenger).status_code, undo_chosen(client, trip).status_code]

    assert (page.context["may_undo"], answers) == (True, [403, 200])
    assert (Trip.objects.filter(pk=trip.object_id).count(), Passenger.objects.count()) == (1, 0)


def test_a_row_says_when_so_many_wait_that_a_person_is_asked(admin_client: Any) -> None:
    links = [deleted(passenger) for passenger in factories.PassengerFactory.create_batch(20)]
    few = {row.state for row in listed(admin_client)}
    links.append(deleted(factories.PassengerFactory()))
    held = {link.pk: clock(Link.objects.get(pk=link.pk).held_until) for link in links}
    many = {row.link.pk: row.state for row in listed(admin_client)}
    Link.objects.update(held_until=None)

    assert few == {f"GoHighLevel’s opportunity follows at {held[link.pk]}." for link in links[:20]}
    assert many == {
        pk: f"So many wait that a person will be asked first (Yes or no), at {at}." for pk, at in held.items()
    }
    assert {row.state for row in listed(admin_client)} == {"So many wait that a person is asked first (Yes or no)."}
