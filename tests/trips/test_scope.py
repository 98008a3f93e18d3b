"""What somebody sees who does not see every trip, row by row; the pages are in tests/roles."""

from __future__ import annotations

import datetime as dt
import logging
from importlib import import_module
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, Permission
from django.urls import reverse

from tests import factories
from tests.pages import posted
from tripbuilder.backends import OVER_ALL_TRIPS, reachable
from trips import scope
from trips.models import (
    Batch,
    Contact,
    Flight,
    ImportDraft,
    ItineraryItem,
    Licence,
    Note,
    PaperRun,
    PaperTemplate,
    Reminder,
    Room,
    RoomingLock,
    RoomPlace,
    SavedFilter,
    SentReport,
    Transfer,
    TravellerForm,
    Trip,
    TripLeader,
    Vendor,
)
from trips.scope import visible_to

pytestmark = pytest.mark.django_db
# Written and read only together with a row that somebody sees, or by the system; nobody opens them by themselves.
NOBODYS = {
    "trips.batchrow",
    "trips.paperrunrow",
    "trips.contactsapart",
    "trips.discardedfile",
    "trips.readentry",
    "trips.readperson",
    "trips.installedrole",
    "trips.erasure",
    "trips.encryptionkey",
}


def leader(trip: Trip | None = None, *permissions: str) -> Any:
    user = factories.StaffFactory(permissions=[*permissions] or ["trips.view_trip"], permissions__own_trips=True)
    if trip is not None:
        TripLeader.objects.create(trip=trip, user=user)
    return user


def of(trip: Trip, user: Any) -> list[Any]:
    """One row of each kind that belongs to the trip, or to the user who works on it."""
    day = dt.date(2027, 3, 1)
    passenger = factories.PassengerFactory(trip=trip)
    room = Room.objects.create(trip=trip, number=1, beds=2)
    return [
        trip,
        passenger,
        passenger.contact,
        factories.PassportFactory(passenger=passenger),
        factories.HealthRecordFactory(passenger=passenger),
        factories.EmergencyContactFactory(passenger=passenger),
        factories.PaymentFactory(passenger=passenger),
        factories.DocumentFactory(passenger=passenger),
        factories.DocumentFactory(passenger=None, trip=trip),
        factories.CostFactory(trip=trip),
        Note.objects.create(trip=trip, text="x"),
        Note.objects.create(passenger=passenger, text="x"),
        Reminder.objects.create(passenger=passenger, kind="gaps", recipient="a@example.com", subject="x", body="x"),
        TravellerForm.objects.create(
            passenger=passenger, secret_hash=str(passenger.pk), expires_at="2027-01-01T00:00Z"
        ),
        ItineraryItem.objects.create(trip=trip, day=day, title="x"),
        Flight.objects.create(trip=trip, leg="arrival", number="AA 1", leaves_on=day, arrives_on=day),
        Transfer.objects.create(trip=trip, leg="arrival", day=day),
        room,
        RoomPlace.objects.create(room=room, passenger=passenger),
        RoomingLock.objects.create(trip=trip, by=user),
        TripLeader.objects.get_or_create(trip=trip, user=user)[0],
        SentReport.objects.create(trip=trip, report="r", preset="p", title="x", format="csv", row_count=0, rows="[]"),
        Batch.objects.create(kind="bulk", title="x", by=user),
        PaperRun.objects.create(title="x", by=user),
        ImportDraft.objects.create(user=user, model="trips.trip", title="x", content="x"),
        SavedFilter.objects.create(owner=user, page="trips.trip", name=f"x{trip.pk}", query="x"),
    ]


def test_every_model_of_the_business_is_decided_about():
    told = {*scope.OF_A_TRIP, *scope.OF_SOMEBODY, *scope.OF_THE_OFFICE, "trips.contact"}
    ours = {model._meta.label_lower for model in apps.get_app_config("trips").get_models()}

    assert ours - {name for name in ours if name.startswith("trips.historical")} == (told | NOBODYS) - {"auth.user"}


def test_leader_sees_what_belongs_to_their_trips_and_nothing_else():
    own, others = factories.TripFactory(), factories.TripFactory()
    user, other = leader(own), leader(others)
    mine, theirs = of(own, user), of(others, other)
    Licence.objects.create(name="L")
    Vendor.objects.create(name="V")

    for row, hidden in zip(mine, theirs, strict=True):
        rows = type(row)._base_manager.order_by("pk")
        seen = list(visible_to(user, rows))
        assert row in seen, row
        assert hidden not in seen, hidden
    assert {type(row)._meta.label_lower for row in mine} >= {*scope.OF_A_TRIP}
    assert list(visible_to(user, Vendor.objects.all())) == list(Vendor.objects.all())
    assert list(visible_to(user, Licence.objects.all())) == list(Licence.objects.all())
    assert list(visible_to(user, PaperTemplate.objects.all())) == list(PaperTemplate.objects.all())


def test_contacts_are_seen_who_book_answer_or_lead():
    booked, guardian, organiser, other = factories.ContactFactory.create_batch(4)
    trip = factories.TripFactory(organiser=organiser)
    factories.PassengerFactory(trip=trip, contact=booked, guardian=guardian)
    factories.PassengerFactory(contact=other)

    assert {*visible_to(leader(trip), Contact.objects.all())} == {booked, guardian, organiser}


def test_passengers_without_a_trip_and_lists_across_trips_belong_to_no_leader():
    factories.PassengerFactory(trip=None)
    SentReport.objects.create(of_trip=False, report="r", preset="p", title="x", format="csv", row_count=0, rows="[]")
    user = leader(factories.TripFactory())

    assert not visible_to(user, apps.get_model("trips.Passenger").objects.all()).exists()
    assert not visible_to(user, SentReport.objects.all()).exists()


def test_a_model_that_nobody_decided_about_shows_nothing(django_assert_num_queries):
    user = leader(factories.TripFactory())

    assert list(visible_to(user, Group.objects.all())) == []


def test_who_sees_every_trip_asks_the_same_questions_as_ever():
    user = factories.StaffFactory(permissions=["trips.view_trip"])
    for model in apps.get_app_config("trips").get_models():
        rows = model._base_manager.all()
        assert visible_to(user, rows) is rows


@pytest.mark.parametrize("page", ["trip", "passenger", "contact", "payment", "document"])
@pytest.mark.parametrize("trips", [1, 3])
def test_leaders_lists_cost_the_same_for_one_and_for_three(client, django_assert_num_queries, page, trips):
    user = leader(None, *(f"trips.view_{name}" for name in ("trip", "passenger", "contact", "payment", "document")))
    for trip in factories.TripFactory.create_batch(trips):
        TripLeader.objects.create(trip=trip, user=user)
        passenger = factories.PassengerFactory(trip=trip)
        factories.PaymentFactory(passenger=passenger)
        factories.DocumentFactory(passenger=passenger)
    client.force_login(user)
    costs = {"trip": 13, "passenger": 13, "contact": 10, "payment": 11, "document": 11}

    with django_assert_num_queries(costs[page]):
        shown = client.get(reverse(f"admin:trips_{page}_changelist"))

    assert shown.context["cl"].result_count == trips


# Permissions that reach over all trips


def test_permissions_over_all_trips_need_the_sight_of_every_trip():
    held = {"trips.view_trip", "trips.change_passenger", "ghl_sync.view_link", "auth.change_user", *OVER_ALL_TRIPS}

    assert reachable(held) == {"trips.view_trip", "trips.change_passenger"}
    assert reachable({*held, "trips.see_every_trip"}) == {*held, "trips.see_every_trip"}


def test_a_group_counts_as_permissions_of_ones_own_do():
    user = factories.StaffFactory()
    group = Group.objects.create(name="G")
    group.permissions.set(Permission.objects.filter(codename__in=["view_trip", "view_link", "see_every_trip"]))
    user.groups.add(group)

    assert user.has_perm("ghl_sync.view_link")
    group.permissions.remove(Permission.objects.get(codename="see_every_trip"))
    user = type(user).objects.get(pk=user.pk)
    assert (user.has_perm("ghl_sync.view_link"), user.has_perm("trips.view_trip")) == (False, True)


def test_upgrade_gives_sight_to_whoever_may_do_anything():
    keep = import_module("trips.migrations.0029_keep_everybodys_sight").keep
    group, empty = Group.objects.create(name="Office"), Group.objects.create(name="Empty")
    group.permissions.add(Permission.objects.get(codename="view_payment"))
    user, nobody = leader(), factories.StaffFactory()

    keep(apps, None)
    keep(apps, None)

    sight = Permission.objects.get(codename="see_every_trip", content_type__app_label="trips")
    assert (sight in group.permissions.all(), sight in empty.permissions.all()) == (True, False)
    assert (sight in user.user_permissions.all(), sight in nobody.user_permissions.all()) == (True, False)


# A guessed address


@pytest.fixture
def told(caplog) -> Any:
    caplog.set_level(logging.WARNING)
    return lambda: [record.getMessage() for record in caplog.records if record.name == "tripbuilder.refusals"]


@pytest.mark.parametrize("page", ["change", "delete", "history"])
def test_hidden_row_and_missing_row_are_refused_alike_and_logged(client, told, page):
    trip = factories.TripFactory()
    user = leader(factories.TripFactory(), "trips.view_trip", "trips.delete_trip")
    client.force_login(user)

    answers = [client.get(reverse(f"admin:trips_trip_{page}", args=[pk])) for pk in (trip.pk, 99999)]

    assert [answer.status_code for answer in answers] == [403, 403]
    assert answers[0].content == answers[1].content
    assert told() == [f"user {user.pk} was refused GET /trips/trip/{pk}/{page}/" for pk in (trip.pk, 99999)]


def test_refusal_tells_no_words_of_the_address(client, told):
    user = leader()
    client.force_login(user)

    assert client.get("/trips/trip/Ada Almqvist/change/?q=Ada").status_code == 403
    assert told() == [f"user {user.pk} was refused GET /trips/trip/…/change/"]


def test_who_sees_every_trip_still_learns_that_a_row_is_not_there(client):
    client.force_login(factories.StaffFactory(permissions=["trips.view_trip"]))

    assert client.get(reverse("admin:trips_trip_passengers", args=[99999])).status_code == 403  # no view of passengers
    assert client.get(reverse("admin:trips_trip_timeline", args=[99999])).status_code == 404
    assert client.get(reverse("admin:trips_trip_change", args=[99999])).status_code == 302


def test_choices_take_no_hidden_row(client):
    own, others = factories.TripFactory(), factories.TripFactory()
    user = leader(own, *(f"trips.{verb}_{name}" for verb in ("view", "change") for name in ("passenger", "trip")))
    passenger = factories.PassengerFactory(trip=own)
    client.force_login(user)
    address = reverse("admin:trips_passenger_change", args=[passenger.pk])

    page = client.post(address, posted(client.get(address), trip=str(others.pk)))

    assert list(page.context["adminform"].form.errors) == ["trip"]
    passenger.refresh_from_db()
    assert passenger.trip == own


def test_renaming_does_not_tell_of_a_hidden_namesake(client):
    own = factories.TripFactory(name="Ours")
    factories.TripFactory(name="Baracoa")
    client.force_login(leader(own, "trips.view_trip", "trips.change_trip"))
    address = reverse("admin:trips_trip_change", args=[own.pk])

    page = client.post(address, posted(client.get(address), name="baracoa"))

    assert page.context["adminform"].form.errors["name"] == [
        "There is a trip of this name and start (1 Mar 2027) already. Choose another name or other dates."
    ]


# Saying who leads


def test_leaders_are_chosen_on_the_trips_page_and_kept_in_its_history(client):
    trip = factories.TripFactory()
    ada, ben = factories.StaffFactory(first_name="Ada"), factories.StaffFactory(first_name="Ben")
    TripLeader.objects.create(trip=trip, user=ada)
    boss = factories.StaffFactory(permissions=["trips.view_trip", "trips.change_trip"])
    client.force_login(boss)
    address = reverse("admin:trips_trip_change", args=[trip.pk])

    client.post(address, posted(client.get(address), led_by=[str(ben.pk)]))

    assert list(trip.leaders.all()) == [ben]
    changes = TripLeader.history.order_by("history_id").values_list("history_type", "user", "history_user")
    assert list(changes)[1:] == [("-", ada.pk, boss.pk), ("+", ben.pk, boss.pk)]


def test_leader_who_may_change_the_trip_reads_the_leaders_and_gives_it_to_nobody(client):
    trip, ben = factories.TripFactory(), factories.StaffFactory()
    user = leader(trip, "trips.view_trip", "trips.change_trip")
    client.force_login(user)
    address = reverse("admin:trips_trip_change", args=[trip.pk])
    page = client.get(address)

    client.post(address, {**posted(page), "led_by": [str(ben.pk)]})

    assert "led_by" not in page.context["adminform"].form.fields
    assert user.username in page.content.decode()
    assert list(trip.leaders.all()) == [user]
