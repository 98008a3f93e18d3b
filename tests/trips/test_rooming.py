"""Rooms of a trip: who may sleep where, what a departure frees, the page, the lock and taking a suggestion back."""

from __future__ import annotations

import datetime as dt

import pytest
from django.contrib.messages import get_messages
from django.core import signing
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from tests import factories
from trips.admin.rooming import SALT
from trips.enums import Attendance
from trips.models import Room, RoomingLock, RoomPlace
from trips.services import enrolment, rooming

pytestmark = pytest.mark.django_db


@pytest.fixture
def trip(db):
    return factories.TripFactory(name="Baracoa", capacity=None)


def person(trip, name, **facts):
    first, _, last = name.partition(" ")
    known = {"legal_first_name": first, "legal_last_name": last, "sex": "F"}
    return factories.PassengerFactory(trip=trip, **{**known, **facts})


def page(trip):
    return reverse("admin:trips_trip_rooming", args=[trip.pk])


def sent(client, trip, made="", **posted):
    answer = client.post(f"{page(trip)}?made={made}" if made else page(trip), posted)
    return [str(message) for message in get_messages(answer.wsgi_request)][-1:]


def beds(trip):
    return [
        (filled.room.number, [str(one.passenger) for one in filled.occupants])
        for filled in rooming.rooming_of(trip).rooms
    ]


def test_a_third_in_a_double_is_refused_and_nobody_sleeps_twice(trip):
    ana, bea, cleo = (person(trip, name) for name in ("Ana Alvarez", "Bea Brandt", "Cleo Costa"))
    first, second = (rooming.add_room(trip=trip, beds=2) for _room in range(2))
    for one in (ana, bea):
        rooming.put(passenger=one, room=first)

    with pytest.raises(rooming.Refused) as refused:
        rooming.put(passenger=cleo, room=first)
    rooming.put(passenger=ana, room=second)

    assert str(refused.value) == (
        "Room 1 is a double with 2. Take somebody out first, or choose another room for Cleo Costa."
    )
    assert beds(trip) == [(1, ["Bea Brandt"]), (2, ["Ana Alvarez"])]


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"attendance": Attendance.CANCELLED}, "Ana Alvarez is cancelled. Book the seat first."),
        ({"attendance": Attendance.WAITLISTED}, "Ana Alvarez is waitlisted. Book the seat first."),
        ({"trip": None}, "Ana Alvarez is not on Baracoa. Move them to this trip first."),
    ],
)
def test_only_who_is_booked_on_the_trip_gets_a_bed(trip, facts, words):
    room = rooming.add_room(trip=trip, beds=1)

    with pytest.raises(rooming.Refused) as refused:
        rooming.put(passenger=person(**{"trip": trip, "name": "Ana Alvarez", **facts}), room=room)

    assert str(refused.value) == words
    assert not RoomPlace.objects.exists()


@pytest.mark.parametrize("beds_asked", [0, 7])
def test_a_room_that_no_hotel_has_is_refused(trip, beds_asked):
    with pytest.raises(rooming.Refused, match=f"A room has 1 to 6 beds, not {beds_asked}."):
        rooming.add_room(trip=trip, beds=beds_asked)


@pytest.mark.parametrize("leaves", ["cancels", "moves", "is moved behind our back", "is deleted"])
def test_who_leaves_frees_the_bed_at_once_and_the_page_says_so(admin_client, trip, leaves):
    ana, bea = person(trip, "Ana Alvarez"), person(trip, "Bea Brandt")
    room = rooming.add_room(trip=trip, beds=1)
    rooming.put(passenger=ana, room=room)
    if leaves == "cancels":
        enrolment.cancel(passengers=[ana])
    elif leaves == "is deleted":
        ana.delete()
    else:
        other = factories.TripFactory()
        type(ana).objects.filter(pk=ana.pk).update(trip=other)

    shown = admin_client.get(page(trip)).content.decode()
    rooming.put(passenger=bea, room=room)

    gone = "Ana Alvarez was in Room 1 and is no longer booked on this trip."
    assert (gone in shown) == (leaves != "is deleted")
    assert beds(trip) == [(1, ["Bea Brandt"])]
    assert [str(place.passenger) for place in RoomPlace.objects.all()] == ["Bea Brandt"]


def test_a_suggestion_fills_everybody_in_and_is_taken_back(admin_client, trip):
    for name in ("Ana Alvarez", "Bea Brandt", "Cleo Costa"):
        person(trip, name)
    odd = person(trip, "Dora Diaz", sex="")
    kept = rooming.add_room(trip=trip, beds=1)

    answer = admin_client.post(page(trip), {"verb": "suggest"})
    told = [str(message) for message in get_messages(answer.wsgi_request)]
    shown = admin_client.get(answer.url)
    full = beds(trip)
    made = shown.wsgi_request.GET["made"]
    assert "Suggested: Nobody is left to share with." in shown.content.decode()
    rooming.put(passenger=odd, room=Room.objects.get(number=3))

    assert told == [
        "3 people put into 2 rooms. Without a room: Dora Diaz: no sex is given, so nobody can be chosen to share."
    ]
    assert full == [(1, []), (2, ["Ana Alvarez", "Bea Brandt"]), (3, ["Cleo Costa"])]
    assert sent(admin_client, trip, verb="back", made=made) == [
        "Taken back: 3 places, 1 room removed."  # in the other one is Dora
    ]
    assert beds(trip) == [(kept.number, []), (3, ["Dora Diaz"])]


def test_an_undo_that_was_tampered_with_or_is_another_trip_s_does_nothing(admin_client, trip):
    room = rooming.add_room(trip=trip, beds=1)
    other = signing.dumps({"trip": trip.pk + 1, "rooms": [room.pk], "places": []}, salt=SALT, compress=True)

    assert sent(admin_client, trip, verb="back", made="nonsense") == [
        "This suggestion can no longer be taken back at once. Remove the rooms singly."
    ]
    assert admin_client.post(f"{page(trip)}?made={other}", {"verb": "back"}).status_code == 404
    assert Room.objects.count() == 1


def test_a_locked_list_changes_for_nobody_until_it_is_unlocked(admin_client, trip, admin_user):
    ana, bea = person(trip, "Ana Alvarez"), person(trip, "Bea Brandt")
    rooming.put(passenger=ana, room=rooming.add_room(trip=trip, beds=2))

    early = sent(admin_client, trip, verb="lock")
    room = Room.objects.get()
    rooming.put(passenger=bea, room=room)
    sent(admin_client, trip, verb="lock")
    refused = [
        sent(admin_client, trip, verb="put", passenger=ana.pk, number=""),
        sent(admin_client, trip, verb="remove", room=room.pk),
        sent(admin_client, trip, verb="add", beds="2"),
        sent(admin_client, trip, verb="suggest"),
    ]
    named = sent(admin_client, trip, verb="name", room=room.pk, label=" 214 ")
    locked = admin_client.get(page(trip)).content.decode()
    sent(admin_client, trip, verb="unlock")

    assert early == ["1 person has no room yet. Give each a room, or cancel the booking."]
    assert refused == [["The rooming list is locked by admin. Unlock it first."]] * 4
    assert named == ["The hotel’s name is noted: Room 1 (214)."]
    assert "Locked by admin" in locked
    assert "Suggest rooms" not in locked
    assert not RoomingLock.objects.exists()
    assert beds(trip) == [(1, ["Ana Alvarez", "Bea Brandt"])]


def test_the_page_puts_takes_out_adds_and_removes(admin_client, trip):
    ana = person(trip, "Ana Alvarez", roommate_request="Bea")
    assert sent(admin_client, trip, verb="add", beds="3") == ["Room 1 added, 3 beds."]
    room = Room.objects.get()
    assert sent(admin_client, trip, verb="put", passenger=ana.pk, number="1") == ["Ana Alvarez: Room 1."]
    assert "Under-filled: 1 of 3 beds taken." in admin_client.get(page(trip)).content.decode()
    assert sent(admin_client, trip, verb="put", passenger=ana.pk, number="") == ["Ana Alvarez has no room now."]
    assert "not found on this trip" in admin_client.get(page(trip)).content.decode()
    assert sent(admin_client, trip, verb="put", passenger=ana.pk, number="New") == ["Ana Alvarez: Room 2."]
    assert sent(admin_client, trip, verb="put", passenger=ana.pk, number="9") == [
        "There is no room 9 on this trip. Type the number of one, or “new” for a new double."
    ]
    assert sent(admin_client, trip, verb="remove", room=room.pk) == ["Room 1 removed."]
    assert sent(admin_client, trip, verb="remove", room=room.pk) == [
        "This room is no longer on the list; somebody has removed it."
    ]
    assert sent(admin_client, trip, verb="remove", room=Room.objects.get().pk) == [
        "Room 2 removed. 1 person has no room now."
    ]


def test_who_wants_a_full_room_may_swap_with_somebody_in_it(admin_client, trip):
    ana, bea, cleo, dora = (person(trip, name) for name in ("Ana Alvarez", "Bea Brandt", "Cleo Costa", "Dora Diaz"))
    first, second = (rooming.add_room(trip=trip, beds=2) for _room in range(2))
    for one, room in ((ana, first), (bea, first), (cleo, second)):
        rooming.put(passenger=one, room=room)

    def offered(passenger, number):
        data = {"verb": "put", "passenger": passenger.pk, "number": number}
        swap = admin_client.post(page(trip), data, follow=True).context["swap"]
        return swap and (swap["passenger"], swap["room"], swap["others"])

    assert offered(cleo, "1 Double: full") == (cleo, first, [ana, bea])
    assert offered(dora, "1") is None
    assert offered(ana, "1") is None
    said = sent(admin_client, trip, verb="swap", passenger=cleo.pk, other=ana.pk)
    assert said == ["Cleo Costa: Room 1. Ana Alvarez: Room 2."]
    assert beds(trip) == [(1, ["Bea Brandt", "Cleo Costa"]), (2, ["Ana Alvarez"])]

    rooming.take_out(passenger=bea, trip=trip)
    refused = "Bea Brandt has no room any more. Look at the rooms once more."
    assert sent(admin_client, trip, verb="swap", passenger=ana.pk, other=bea.pk) == [refused]
    rooming.put(passenger=bea, room=first)
    rooming.put(passenger=dora, room=second)
    rooming.lock(trip=trip, by=None)
    sent(admin_client, trip, verb="swap", passenger=bea.pk, other=ana.pk)
    assert beds(trip) == [(1, ["Bea Brandt", "Cleo Costa"]), (2, ["Ana Alvarez", "Dora Diaz"])]


def test_who_may_not_change_passengers_sees_rooms_and_no_buttons(client, trip):
    user = factories.StaffFactory(permissions=["trips.view_trip", "trips.view_passenger"])
    rooming.put(passenger=person(trip, "Ana Alvarez"), room=rooming.add_room(trip=trip, beds=1))
    client.force_login(user)

    shown = client.get(page(trip)).content.decode()

    assert "Ana Alvarez" in shown
    assert 'name="verb"' not in shown
    assert client.post(page(trip), {"verb": "suggest"}).status_code == 403
    client.force_login(factories.StaffFactory(permissions=["trips.view_trip"]))
    assert client.get(page(trip)).status_code == 403


def test_an_empty_trip_says_what_to_do_first(admin_client, trip):
    assert "Put people on it under" in admin_client.get(page(trip)).content.decode()


def test_the_page_asks_as_much_for_three_as_for_one(admin_client, trip):
    def queries():
        with CaptureQueriesContext(connection) as asked:
            admin_client.get(page(trip))
        return len(asked)

    def another(number):
        rooming.put(passenger=person(trip, f"Ana{number} Alvarez"), room=rooming.add_room(trip=trip, beds=2))
        person(trip, f"Tove{number} Lind", date_of_birth=dt.date(2015, 1, 1))

    another(1)
    once = queries()
    another(2)
    another(3)

    assert queries() == once
