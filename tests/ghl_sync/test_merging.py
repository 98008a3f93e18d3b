"""Contacts merged here: what is sent, what a pull makes of it, and what a person still does in GoHighLevel."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import reverse

from ghl_sync.engine import due
from ghl_sync.engine.audit import audit
from ghl_sync.engine.clock import database_now
from ghl_sync.engine.pull import pull, pull_record
from ghl_sync.engine.session import Session
from ghl_sync.models import Arrival, Change, Conflict, Issue, Link, State
from ghl_sync.sandbox.server import Sandbox
from tests.factories import ContactFactory, PassengerFactory
from tests.ghl_sync.engine.mirror import a_trip, link_of
from trips.models import Batch, Contact, Passenger, Trip
from trips.services import batches, merging

pytestmark = pytest.mark.django_db(transaction=True)


def merged(keep: Contact, drop: Contact, **picks: str) -> Batch:
    return merging.merge(keep=keep, drop=drop, picks=picks, by=None)


def sent() -> None:
    Change.objects.update(due_at=database_now())
    due.run_due(Session())


def open_issues() -> list[tuple[str, str]]:
    return sorted(Issue.objects.filter(closed_at__isnull=True).values_list("code", "link__label"))


def whole_round(connected: Sandbox) -> list[tuple[str, str]]:
    """What a push, two complete pulls and one more push write over there."""
    connected.requests.clear()
    sent()
    for _time in range(2):
        pull(Session(), full=True)
        sent()
    return [(one.method, one.path.split("/")[1]) for one in connected.writes()]


@pytest.fixture
def pair(session: Session, connected: Sandbox) -> tuple[Contact, Contact, Passenger, Trip]:
    """Two contacts that GoHighLevel has, too; a booking and a trip of the second one."""
    keep = ContactFactory(first_name="Greta", last_name="Lind", city="")
    drop = ContactFactory(first_name="Greta", last_name="Lind", city="Oslo")
    booked, led = PassengerFactory(contact=drop, trip=a_trip()), a_trip(organiser=drop)
    sent()
    sent()
    pull(Session(), full=True)
    connected.requests.clear()
    return keep, drop, booked, led


def owners(booked: Passenger, led: Trip) -> tuple[Any, Any]:
    return Passenger.objects.get(pk=booked.pk).contact, Trip.objects.get(pk=led.pk).organiser


def merge_there(connected: Sandbox, keep: Contact, drop: Contact) -> None:
    """As a person merges two contacts in GoHighLevel: opportunities move to the master, the other one is gone."""
    master, other = link_of(keep).remote_id, link_of(drop).remote_id
    for card in connected.opportunities():
        if card.contact_id == other:
            connected.edit(card.id, contact_id=master)
    connected.store.delete(other)


def test_what_was_moved_stays_and_nothing_but_the_survivor_is_written(connected: Sandbox, pair: Any) -> None:
    keep, drop, booked, led = pair

    merged(keep, drop, city="drop")

    assert whole_round(connected) == [("PUT", "contacts")]
    assert whole_round(connected) == []
    assert owners(booked, led) == (keep, keep)
    held = connected.store.contact(link_of(keep).remote_id)
    assert (held.city, connected.store.contact(link_of(drop).remote_id).city) == ("Oslo", "Oslo")
    assert open_issues() == [("merged", "Greta Lind")]
    assert not Link.objects.due().exists()


def test_an_opportunity_that_names_the_duplicate_means_the_survivor(connected: Sandbox, pair: Any) -> None:
    keep, drop, booked, led = pair
    other = link_of(drop).remote_id
    merged(keep, drop)
    for record in (booked, led):
        connected.edit(link_of(record).remote_id, name="Edited over there")
    line = connected.store.pipeline("Passenger")
    fresh = connected.store.add_opportunity(pipeline=line.name, contact_id=other, name="New over there")

    whole_round(connected)

    assert owners(booked, led) == (keep, keep)
    new = Passenger.objects.get(pk=Link.objects.get(remote_id=fresh.id).object_id)
    assert (new.contact, new.history.count()) == (keep, 0)  # it came in so; nobody had to move it
    assert Contact.objects.count() == 3  # with the organiser of the trip that the booking is on


def test_a_booking_moved_to_the_duplicate_there_comes_to_the_survivor(connected: Sandbox, pair: Any) -> None:
    keep, drop, _booked, _led = pair
    theirs = PassengerFactory(contact=ContactFactory(), trip=None)
    sent()
    merged(keep, drop)

    connected.edit(link_of(theirs).remote_id, contact_id=link_of(drop).remote_id)

    assert whole_round(connected) == []
    assert Passenger.objects.get(pk=theirs.pk).contact == keep


def test_what_the_duplicate_holds_there_is_neither_taken_nor_overwritten(connected: Sandbox, pair: Any) -> None:
    keep, drop, _booked, _led = pair
    merged(keep, drop)
    whole_round(connected)

    connected.edit(link_of(drop).remote_id, city="Turku")
    pull_record(Session(), "contact", link_of(drop).remote_id, via=Arrival.Via.WEBHOOK)
    drop.refresh_from_db()
    drop.save()

    assert whole_round(connected) == []
    drop.refresh_from_db()
    assert (drop.city, drop.merged_into) == ("Oslo", keep)
    assert connected.store.contact(link_of(drop).remote_id).city == "Turku"
    assert link_of(drop).state_now() == State.IGNORED
    audit(Session())
    assert open_issues() == [("merged", "Greta Lind")]


def test_a_duplicate_that_was_on_its_way_there_in_the_moment_of_the_merge_is_asked_about(
    connected: Sandbox, pair: Any
) -> None:
    keep, drop, _booked, _led = pair
    half = link_of(drop).remote_id
    Link.objects.filter(pk=link_of(drop).pk).update(remote_id="")
    merged(keep, drop)
    assert open_issues() == []
    Link.objects.filter(pk=link_of(drop).pk).update(remote_id=half)  # its create is answered only now

    assert whole_round(connected) == []

    assert open_issues() == [("merged", "Greta Lind")]


def test_the_duplicates_id_there_finds_the_survivor(pair: Any, admin_client: Any) -> None:
    keep, drop, _booked, _led = pair
    merged(keep, drop)

    page = admin_client.get("/trips/contact/", {"q": link_of(drop).remote_id})

    assert list(page.context["cl"].result_list) == [keep]


def test_a_merge_there_as_well_ends_the_question_without_an_alarm(connected: Sandbox, pair: Any) -> None:
    keep, drop, booked, led = pair
    merged(keep, drop)
    whole_round(connected)

    merge_there(connected, keep, drop)

    assert whole_round(connected) == []
    assert owners(booked, led) == (keep, keep)
    assert open_issues() == []
    assert not Link.objects.filter(gone_at__isnull=False).exists()
    assert whole_round(connected) == []


def test_a_merge_there_the_other_way_round_gives_the_survivor_the_half_that_is_left(
    connected: Sandbox, pair: Any
) -> None:
    keep, drop, booked, led = pair
    left = link_of(drop).remote_id
    merged(keep, drop)
    whole_round(connected)

    merge_there(connected, drop, keep)
    whole_round(connected)

    assert owners(booked, led) == (keep, keep)
    assert (link_of(keep).remote_id, link_of(keep).state_now()) == (left, State.SYNCED)
    assert (open_issues(), Conflict.objects.count()) == ([], 0)
    keep.refresh_from_db()
    keep.city = "Bergen"
    keep.save()
    assert whole_round(connected) == [("PUT", "contacts")]
    assert connected.store.contact(left).city == "Bergen"


def test_an_email_taken_from_the_duplicate_goes_once_the_two_are_merged_there(connected: Sandbox, pair: Any) -> None:
    keep, drop, _booked, _led = pair
    connected.store.settings.allow_duplicate_contact = False
    merged(keep, drop, email="drop")
    whole_round(connected)
    assert link_of(keep).state_now() == State.NEEDS_PERSON

    merge_there(connected, keep, drop)
    whole_round(connected)

    assert link_of(keep).state_now() == State.SYNCED
    assert connected.store.contact(link_of(keep).remote_id).email == drop.email


def test_an_undo_gives_everything_back_to_both(connected: Sandbox, pair: Any) -> None:
    keep, drop, booked, led = pair
    batch = merged(keep, drop, city="drop")
    whole_round(connected)
    connected.edit(link_of(drop).remote_id, state="Uusimaa")

    batches.undo(batch=batch, by=None)

    assert whole_round(connected) == [("PUT", "contacts")]
    assert owners(booked, led) == (drop, drop)
    keep.refresh_from_db()
    drop.refresh_from_db()
    assert (keep.city, drop.city, drop.state, drop.merged_into) == ("", "Oslo", "Uusimaa", None)
    assert not connected.store.contact(link_of(keep).remote_id).city
    assert open_issues() == []
    assert {link_of(one).state_now() for one in (keep, drop, booked, led)} == {State.SYNCED}
    assert whole_round(connected) == []


def test_an_undo_after_the_merge_there_says_that_the_duplicate_is_gone(connected: Sandbox, pair: Any) -> None:
    keep, drop, booked, led = pair
    batch = merged(keep, drop)
    whole_round(connected)
    merge_there(connected, keep, drop)
    whole_round(connected)

    batches.undo(batch=batch, by=None)
    whole_round(connected)

    assert link_of(drop).state_now() == State.GONE
    assert owners(booked, led) == (drop, drop)
    assert [code for code, _label in open_issues()] == ["kept", "kept"]


def test_what_was_not_mirrored_before_is_not_mirrored_after_an_undo(connected: Sandbox, pair: Any) -> None:
    keep, drop, _booked, _led = pair
    Link.objects.filter(pk=link_of(drop).pk).update(ignored_at=database_now())

    batches.undo(batch=merged(keep, drop), by=None)

    assert (link_of(drop).merged_at, link_of(drop).state_now()) == (None, State.IGNORED)


# Two of ours that are one over there


@pytest.fixture
def twice(session: Session, connected: Sandbox) -> tuple[Contact, Contact, Passenger]:
    """One contact that GoHighLevel has, and a second one here with the same address, who has a booking."""
    connected.store.settings.allow_duplicate_contact = False
    first = ContactFactory(email="greta@example.com", first_name="Greta", last_name="Lind")
    sent()
    second = ContactFactory(email="greta@example.com", first_name="Gréta", last_name="Lind")
    booked = PassengerFactory(contact=second, trip=a_trip())
    sent()
    return first, second, booked


def test_the_same_contact_twice_leads_to_the_merge_and_is_settled_by_it(
    connected: Sandbox, twice: Any, admin_client: Any
) -> None:
    first, second, booked = twice
    issue = Issue.objects.get(code="same_here", closed_at=None)
    assert issue.message == (
        "“Gréta Lind” and “Greta Lind” are one contact in GoHighLevel: the same e-mail or phone. Merge them."
    )
    address = reverse("admin:ghl_sync_same_here", args=[issue.pk])
    assert address in admin_client.get("/ghl_sync/issue/").content.decode()
    assert address in admin_client.get(f"/trips/contact/{second.pk}/change/").content.decode()

    page = admin_client.get(address, follow=True)
    assert (page.context["keep"].contact, page.context["drop"].contact) == (first, second)
    assert page.context["why"] == "“Greta Lind” has to stay: it is the one that GoHighLevel has."
    admin_client.post(page.context["here"], {"keep": first.pk, "shown": page.context["shown"]})

    assert {one for one in whole_round(connected) if one[0] == "POST"} == {("POST", "opportunities")}
    assert Passenger.objects.get(pk=booked.pk).contact == first
    card = connected.store.get(link_of(booked).remote_id)
    assert card.contact_id == link_of(first).remote_id
    assert open_issues() == []
    assert not Link.objects.due().exists()
    assert admin_client.get(address).url == f"/trips/contact/{second.pk}/change/"


def test_a_contact_that_goes_there_later_takes_the_half_of_what_was_merged_into_it(
    session: Session, connected: Sandbox
) -> None:
    connected.store.settings.allow_duplicate_contact = False
    drop = ContactFactory(email="greta@example.com")
    sent()
    half = link_of(drop).remote_id
    keep = ContactFactory(email="greta@example.com")

    merged(keep, drop)
    whole_round(connected)

    assert (link_of(keep).remote_id, link_of(drop).remote_id) == (half, "")
    assert len(connected.store.contacts()) == 1


# The pages


def test_who_is_in_gohighlevel_stays_whatever_is_asked(connected: Sandbox, twice: Any, admin_client: Any) -> None:
    first, second, _booked = twice
    url = reverse("admin:trips_contact_merge", args=[first.pk, second.pk])

    asked = admin_client.get(f"{url}?keep={second.pk}")
    answer = admin_client.post(url, {"keep": second.pk}, follow=True)

    assert (asked.context["keep"].contact, asked.context["swap_url"]) == (first, "")
    assert [str(one) for one in answer.context["messages"]] == [
        "Not merged: now “Greta Lind” has to stay. Look once more."
    ]
    assert Contact.objects.filter(merged_into__isnull=False).count() == 0


def test_the_page_says_what_is_left_to_do_in_gohighlevel(connected: Sandbox, pair: Any, admin_client: Any) -> None:
    keep, drop, _booked, _led = pair
    url = reverse("admin:trips_contact_merge", args=[keep.pk, drop.pk])

    page = admin_client.get(f"{url}?keep={keep.pk}")
    data = {"keep": keep.pk, "pick-email": "drop", "shown": page.context["shown"]}
    answer = admin_client.post(url, data, follow=True)

    (hint,) = page.context["hints"]
    for link in (link_of(keep), link_of(drop)):
        assert link.remote_url in hint
    assert "only a person can merge contacts there" in hint
    facts = dict(page.context["drop"].facts)
    assert link_of(drop).remote_id in facts["GoHighLevel"]
    assert facts["Last synced"].endswith("ago")
    told = [str(one) for one in answer.context["messages"]]
    assert told[1:] == [
        hint,
        f"The e-mail of “Greta Lind ({drop.email})” may be refused there while the other contact has it; it is sent "
        "again by itself once the two are merged there.",
    ]


def test_a_merged_contact_cannot_be_mirrored_or_detached_by_hand(pair: Any, admin_client: Any) -> None:
    keep, drop, _booked, _led = pair
    merged(keep, drop)

    for verb, words in (("retry", "Sync now"), ("unignore", "Mirror again"), ("detach", "Detach and create a new one")):
        data = {"verb": verb, "ids": link_of(drop).pk, "confirm": "1"}
        answer = admin_client.post(reverse("admin:ghl_sync_link_repair"), data, follow=True)
        assert [str(one) for one in answer.context["messages"]] == [f"“{words}” fits none of these records."]

    link = link_of(drop)
    assert link.ignored_at is not None
    assert link.remote_id
    page = admin_client.get(f"/trips/contact/{drop.pk}/change/").content.decode()
    assert "Merged into another contact" in page
    assert "Sync now" not in page
