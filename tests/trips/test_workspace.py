"""The page of a trip's passengers: enrolling, seats, the waiting list."""

from __future__ import annotations

import datetime as dt

import pytest
from django.contrib.messages import get_messages
from django.urls import reverse

from tests import factories
from trips.models import Passenger, Passport
from trips.services import enrolment, rooming

pytestmark = pytest.mark.django_db
QUERIES = 9
TRIP_QUERIES = 24


def people(trip):
    return reverse("admin:trips_trip_passengers", args=[trip.pk])


def suggested(client, trip, term):
    found = client.get(reverse("admin:trips_trip_suggest", args=[trip.pk]), {"q": term}).json()["people"]
    return [(one["label"], one["hint"], bool(one["like"]), bool(one["url"])) for one in found]


def said(answer):
    return [str(message) for message in get_messages(answer.wsgi_request)]


def on(trip):
    return [(str(one), one.attendance, one.number) for one in trip.passengers.order_by("pk")]


@pytest.fixture
def greta(db):
    return factories.ContactFactory(first_name="Greta", last_name="Lind", email="greta@example.com")


def test_letters_find_the_contact_and_everybody_it_has_booked_for(admin_client, greta):
    trip = factories.TripFactory()
    before = factories.TripFactory(name="Baracoa 2026")
    factories.PassengerFactory(contact=greta, trip=before, legal_first_name="Greta", legal_last_name="Lind")
    factories.PassengerFactory(contact=greta, trip=before, legal_first_name="Hugo", legal_last_name="Lind")

    assert sorted(suggested(admin_client, trip, "lin")) == [
        ("Greta Lind", "greta@example.com · last on Baracoa 2026", True, False),
        ("Hugo Lind", "greta@example.com · last on Baracoa 2026", True, False),
    ]
    assert suggested(admin_client, trip, "l") == []
    assert suggested(admin_client, trip, "nobody") == []


def test_who_is_on_the_trip_is_said_to_be(admin_client, greta):
    trip = factories.TripFactory()
    factories.PassengerFactory(contact=greta, trip=trip)

    assert suggested(admin_client, trip, "greta") == [("Greta Lind", "on this trip", True, True)]


def test_enrolling_takes_profile_passport_and_emergency_contacts_along_and_asks_health_anew(admin_client, greta):
    earlier = factories.PassengerFactory(contact=greta, legal_middle_name="Maria", sex="F", occupancy="double")
    factories.PassportFactory(passenger=earlier, number="X5551234")
    factories.EmergencyContactFactory(passenger=earlier, first_name="Kim", position=1)
    factories.HealthRecordFactory(passenger=earlier)
    trip = factories.TripFactory(passengers=1)

    answer = admin_client.post(people(trip), {"verb": "enrol", "contact": greta.pk, "like": earlier.pk})

    passenger = trip.passengers.get(contact=greta)
    assert (answer.status_code, passenger.legal_name, passenger.sex, passenger.occupancy, passenger.number) == (
        302,
        "Greta Maria Lind",
        "F",
        "double",
        2,
    )
    assert (passenger.passport.number, Passport.objects.get(passenger=earlier).number) == ("X5551234", "X5551234")
    assert [one.first_name for one in passenger.emergency_contacts.all()] == ["Kim"]
    assert not hasattr(passenger, "health")


def test_somebody_on_the_trip_leads_to_their_record(admin_client, greta):
    trip = factories.TripFactory()
    passenger = factories.PassengerFactory(contact=greta, trip=trip)

    answer = admin_client.post(people(trip), {"verb": "enrol", "contact": greta.pk, "like": passenger.pk})

    assert reverse("admin:trips_passenger_change", args=[passenger.pk]) in said(answer)[0]
    assert len(on(trip)) == 1


def test_a_cancelled_one_is_booked_again_instead_of_twice(admin_client, greta):
    trip = factories.TripFactory()
    factories.PassengerFactory(contact=greta, trip=trip, attendance="cancelled", number=4)

    admin_client.post(people(trip), {"verb": "enrol", "contact": greta.pk})

    assert on(trip) == [("Greta Lind", "booked", 4)]


def test_full_trip_offers_its_waiting_list(admin_client, greta):
    trip = factories.TripFactory(name="Havana", capacity=1, passengers=1)

    answer = admin_client.post(people(trip), {"verb": "enrol", "contact": greta.pk})
    assert said(answer) == ["Havana is full: 1 of 1 seats are taken."]
    assert "Put on the waiting list" in admin_client.get(answer["Location"]).content.decode()

    admin_client.post(people(trip), {"verb": "enrol", "contact": greta.pk, "waitlist": "1"})
    assert on(trip)[1] == ("Greta Lind", "waitlisted", 2)


def test_overbooking_needs_its_permission(client, admin_client, greta):
    trip = factories.TripFactory(capacity=1, passengers=1)
    typed = {"verb": "enrol", "contact": greta.pk, "overbook": "1"}
    may = ["trips.view_trip", "trips.view_passenger", "trips.add_passenger", "trips.view_contact"]
    client.force_login(factories.StaffFactory(permissions=may))

    assert client.post(people(trip), typed).status_code == 403
    assert len(on(trip)) == 1
    client.force_login(factories.StaffFactory(permissions=[*may, "trips.overbook_trip"]))
    client.post(people(trip), typed)
    assert on(trip)[1] == ("Greta Lind", "booked", 2)


def test_a_freed_seat_names_the_next_in_line_who_is_booked_at_a_click(admin_client):
    trip = factories.TripFactory(capacity=1, passengers=1)
    first = factories.PassengerFactory(trip=trip, attendance="waitlisted", legal_first_name="Ada", legal_last_name="Ek")
    factories.PassengerFactory(trip=trip, attendance="waitlisted")
    booked = trip.passengers.get(attendance="booked")
    assert enrolment.next_in_line(trip) is None

    answer = admin_client.post(people(trip), {"verb": "cancel", "passenger": booked.pk})

    assert said(answer)[0].endswith("A seat is free: Ada Ek is next in line.")
    assert "Book Ada Ek" in admin_client.get(people(trip)).content.decode()
    admin_client.post(people(trip), {"verb": "book", "passenger": first.pk})
    first.refresh_from_db()
    assert first.attendance == "booked"
    assert first.history.first().history_user.username == "admin"


def test_booking_from_the_list_of_a_full_trip_keeps_the_place(admin_client):
    trip = factories.TripFactory(name="Havana", capacity=1, passengers=1)
    waits = factories.PassengerFactory(trip=trip, attendance="waitlisted", legal_first_name="Ada", legal_last_name="Ek")

    answer = admin_client.post(people(trip), {"verb": "book", "passenger": waits.pk})

    assert said(answer) == ["Havana is full: 1 of 1 seats are taken. Ada Ek keeps the place on the waiting list."]


@pytest.mark.parametrize(
    ("may", "status"),
    [
        ([], 403),
        (["trips.view_trip"], 403),
        (["trips.view_trip", "trips.view_passenger"], 200),
    ],
)
def test_the_page_is_for_who_may_see_passengers(client, may, status):
    trip = factories.TripFactory()
    client.force_login(factories.StaffFactory(permissions=may))

    assert client.get(people(trip)).status_code == status


def test_who_may_only_look_can_neither_enrol_nor_cancel(client, greta):
    trip = factories.TripFactory(passengers=1)
    client.force_login(factories.StaffFactory(permissions=["trips.view_trip", "trips.view_passenger"]))

    statuses = [
        client.post(people(trip), {"verb": "enrol", "contact": greta.pk}).status_code,
        client.post(people(trip), {"verb": "cancel", "passenger": trip.passengers.get().pk}).status_code,
        client.get(reverse("admin:trips_trip_suggest", args=[trip.pk]), {"q": "gre"}).status_code,
    ]

    assert statuses == [403, 403, 403]
    assert Passenger.objects.get().attendance == "booked"


def test_bad_requests_change_nothing(admin_client, greta):
    trip, other = factories.TripFactory(), factories.TripFactory(passengers=1)

    statuses = [
        admin_client.post(people(trip), typed).status_code
        for typed in (
            {},
            {"verb": "sell"},
            {"verb": "cancel", "passenger": other.passengers.get().pk},
            {"verb": "cancel", "passenger": "9" * 40},
            {"verb": "enrol", "contact": "x"},
            {"verb": "enrol", "contact": "9" * 40},
        )
    ]

    assert statuses == [404, 404, 404, 404, 302, 302]
    assert (on(trip), other.passengers.get().attendance) == ([], "booked")


@pytest.mark.parametrize("passengers", [1, 3])
def test_passengers_page_costs_the_same_for_one_and_for_three(admin_client, django_assert_num_queries, passengers):
    trip = factories.TripFactory(passengers=passengers)
    admin_client.get(people(trip))

    with django_assert_num_queries(QUERIES):
        admin_client.get(people(trip))


# How many have no room yet


ROOMLESS = "without a room"


def ahead(**more):
    return factories.TripFactory(start_date=dt.date(2099, 3, 1), end_date=dt.date(2099, 3, 8), **more)


def change(trip):
    return reverse("admin:trips_trip_change", args=[trip.pk])


def roomless(client, url):
    """What the overview of a page says about it: the number, and where its link leads."""
    found = client.get(url).context["overview"]
    return found.roomless, found.rooming_url


def test_trip_says_how_many_have_no_room_and_leads_to_the_rooming(admin_client):
    trip, other = ahead(passengers=3), ahead(passengers=1)
    housed, moved, _third = trip.passengers.order_by("pk")
    factories.PassengerFactory(trip=trip, attendance="waitlisted")
    factories.PassengerFactory(trip=trip, attendance="cancelled")
    leads_to = reverse("admin:trips_trip_rooming", args=[trip.pk])
    link = f'<a class="text-link" href="{leads_to}">3 {ROOMLESS}</a>'
    page = admin_client.get(change(trip)).content.decode()
    counts = [roomless(admin_client, change(trip))]

    rooming.put(passenger=housed, room=rooming.add_room(trip=trip, beds=2))
    rooming.put(passenger=moved, room=rooming.add_room(trip=trip, beds=2))
    Passenger.objects.filter(pk=moved.pk).update(trip=other)  # keeps the row of the old room, but no bed
    counts += [roomless(admin_client, change(trip)), roomless(admin_client, people(other))]

    assert link in page
    assert counts == [(3, leads_to), (1, leads_to), (2, reverse("admin:trips_trip_rooming", args=[other.pk]))]
    assert [len(rooming.rooming_of(one).unassigned) for one in (trip, other)] == [1, 2]


def test_nothing_is_said_of_rooms_where_nobody_needs_one_any_more(admin_client):
    housed, empty = ahead(passengers=1), ahead()
    rooming.put(passenger=housed.passengers.get(), room=rooming.add_room(trip=housed, beds=1))
    over = factories.TripFactory(start_date=dt.date(2020, 3, 1), end_date=dt.date(2020, 3, 8), passengers=1)

    pages = [admin_client.get(change(trip)).content.decode() for trip in (housed, empty, over)]

    assert [ROOMLESS in page for page in pages] == [False, False, False]


def test_who_may_not_see_the_rooming_is_told_nothing_of_rooms(client):
    trip = ahead(passengers=2)
    client.force_login(factories.StaffFactory(permissions=["trips.view_trip"]))

    assert roomless(client, change(trip)) == (0, "")
    assert ROOMLESS not in client.get(change(trip)).content.decode()


@pytest.mark.parametrize("passengers", [1, 3])
def test_trip_page_costs_the_same_for_one_and_for_three(admin_client, django_assert_num_queries, passengers):
    trip = factories.TripFactory(passengers=passengers)
    admin_client.get(change(trip))

    with django_assert_num_queries(TRIP_QUERIES):
        admin_client.get(change(trip))
