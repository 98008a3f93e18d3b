"""The timeline of a trip and a passenger: what changed, by whom, from where; notes; and what one may not know of."""

from __future__ import annotations

import datetime as dt

import pytest
from django.urls import reverse

from tests import factories
from trips.models import EmergencyContact, ItineraryItem, Note, Passenger, Reminder, Trip
from trips.services import stages
from trips.services.batches import undo
from trips.services.plans import carry_out

pytestmark = pytest.mark.django_db


def url(obj):
    return reverse(f"admin:trips_{obj._meta.model_name}_timeline", args=[obj.pk])


def events(client, obj, **query):
    return client.get(url(obj), query).context["page"].object_list


def told(event):
    return event.what, event.who, event.way, [(step.label, step.before, step.after) for step in event.steps]


def saved(obj, by=None, **values):
    for name, value in values.items():
        setattr(obj, name, value)
    obj._history_user = by
    obj.save()
    return obj


@pytest.fixture
def greta(db):
    return factories.StaffFactory(username="greta", first_name="Greta", last_name="Ortiz", is_superuser=True)


def test_change_is_told_in_the_words_of_the_form(client, greta):
    client.force_login(greta)
    one, other = factories.VendorFactory(name="Caribe"), factories.VendorFactory(name="Havanatur")
    trip = factories.TripFactory(name="Havana", vendor=one, capacity=None)
    values = {"start_date": dt.date(2027, 3, 2), "stage": "trip_scheduled", "vendor": other, "capacity": 9}
    saved(trip, greta, **values)

    newest, first = events(client, trip)

    assert told(newest) == (
        "Trip changed",
        "Greta Ortiz",
        "",
        [
            ("start date", "1 Mar 2027", "2 Mar 2027"),
            ("capacity", "nothing", "9"),
            ("vendor", "Caribe", "Havanatur"),
            ("stage", "Form submitted", "Trip scheduled"),
        ],
    )
    assert (first.what, first.who, first.by_itself) == ("Trip added", "", True)
    assert ("price per person", None, "2,450.00") in told(first)[3]


def test_bulk_work_and_its_undo_name_their_batch(client, greta):
    client.force_login(greta)
    trip = factories.TripFactory()
    done = carry_out(plan=stages.closing(trips=[trip]), by=greta)
    undo(batch=done.batch, by=greta)

    assert [(event.who, event.way) for event in events(client, trip)[:2]] == [
        ("Greta Ortiz", "Undo: Trips closed"),
        ("Greta Ortiz", "Trips closed"),
    ]


def test_trip_tells_its_parts_and_who_came_and_went(admin_client):
    trip, other = factories.TripFactory(name="Havana"), factories.TripFactory(name="Baracoa")
    item = ItineraryItem.objects.create(trip=trip, day=dt.date(2027, 3, 2), title="Walk")
    ada = factories.PassengerFactory(trip=trip, legal_first_name="Ada", legal_last_name="Lind")
    saved(ada, attendance="cancelled")
    saved(ada, preferred_name="Addie")
    saved(ada, trip=other)
    saved(ada, stage="trip_ready")
    item.delete()

    steps = [told(event)[::3] for event in events(admin_client, trip)]

    assert steps[:-1] == [
        ("Itinerary entry “Walk” removed", []),
        ("Passenger “Ada Lind” changed", [("trip", "Havana", "Baracoa")]),
        ("Passenger “Ada Lind” changed", [("attendance", "Booked", "Cancelled")]),
        ("Passenger “Ada Lind” added", [("trip", None, "Havana")]),
        (
            "Itinerary entry “Walk” added",
            [("day", None, "2 Mar 2027"), ("what", None, "Walk")],
        ),
    ]
    assert [told(event)[::3] for event in events(admin_client, other)][:2] == [
        ("Passenger “Ada Lind” changed", [("stage", "Added to trip", "Trip ready")]),
        ("Passenger “Ada Lind” changed", [("trip", "Havana", "Baracoa")]),
    ]


def test_values_of_passports_and_health_are_nowhere(admin_client):
    passenger = factories.PassengerFactory()
    passport = factories.PassportFactory(passenger=passenger, number="X5551234")
    health = factories.HealthRecordFactory(passenger=passenger, medications="rare-tablets")
    saved(passport, number="X5559999")
    saved(health, medications="other-tablets")

    page = admin_client.get(url(passenger))

    assert [(event.what, event.note) for event in page.context["page"].object_list[:2]] == [
        ("Health record changed", "Its values are not kept in the history."),
        ("Passport changed", "Its values are not kept in the history."),
    ]
    shown = page.content.decode()
    assert [word for word in ("X555", "rare-tablets", "other-tablets") if word in shown] == []


def test_what_one_may_not_see_is_absent(client):
    passenger = factories.PassengerFactory(guardian=factories.ContactFactory(first_name="Wilhelmina"))
    factories.PassportFactory(passenger=passenger)
    factories.HealthRecordFactory(passenger=passenger)
    EmergencyContact.objects.create(passenger=passenger, first_name="Xaver")
    factories.PaymentFactory(passenger=passenger)
    Note.objects.create(passenger=passenger, text="secret-note")
    client.force_login(factories.StaffFactory(permissions=["trips.view_passenger"]))

    page = client.get(url(passenger))

    assert [event.what for event in page.context["page"].object_list] == [f"Passenger “{passenger}” added"]
    assert ("guardian", None, "not shown") in told(page.context["page"].object_list[0])[3]
    shown = page.content.decode()
    assert [word for word in ("Wilhelmina", "Xaver", "secret-note", "Add a note") if word in shown] == []
    assert client.get(url(passenger.trip)).status_code == 403
    assert client.post(url(passenger), {"text": "mine"}).status_code == 403


def test_mails_and_lists_that_went_out_are_part_of_it(admin_client, admin_user):
    passenger = factories.PassengerFactory()
    Reminder.objects.create(
        passenger=passenger,
        kind="gaps",
        state="failed",
        recipient="ada@example.com",
        subject="Your papers",
        by=admin_user,
    )

    newest = events(admin_client, passenger)[0]

    assert (newest.what, newest.who, newest.way, newest.note, newest.trouble) == (
        "E-mail, what is missing: not sent",
        "admin",
        "to ada@example.com",
        "Your papers",
        True,
    )


@pytest.mark.parametrize("make", [factories.TripFactory, factories.PassengerFactory])
def test_note_is_signed_listed_and_removed(admin_client, admin_user, make):
    obj = make()

    answer = admin_client.post(url(obj), {"text": " Wants a <quiet> room\nby the garden "}, follow=True)
    note = Note.objects.get()
    listed = events(admin_client, obj, show="notes")

    assert [str(message) for message in answer.context["messages"]] == ["Noted."]
    assert [(event.what, event.who, event.note) for event in listed] == [
        ("Note", "admin", "Wants a <quiet> room\nby the garden")
    ]
    assert "Wants a &lt;quiet&gt; room<br>by the garden" in answer.content.decode()
    for _twice in range(2):
        answer = admin_client.post(url(obj), {"remove": note.pk}, follow=True)
    assert [str(message) for message in answer.context["messages"]] == ["This note was removed already."]
    assert [(row.history_type, row.history_user) for row in Note.history.all()] == [
        ("-", admin_user),
        ("+", admin_user),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [("  ", "The note is empty. Type it first."), ("x" * 5001, "The note has 5,001 characters; 5,000 are the most.")],
)
def test_note_that_cannot_be_is_refused_and_kept_in_the_form(admin_client, text, words):
    trip = factories.TripFactory()

    answer = admin_client.post(url(trip), {"text": text})

    assert str(next(iter(answer.context["messages"]))).startswith(words)
    assert (answer.context["typed"], Note.objects.count()) == (text, 0)


def test_own_notes_only_are_removed_without_the_right_to_delete(client):
    trip = factories.TripFactory()
    me = factories.StaffFactory(permissions=["trips.view_trip", "trips.view_note", "trips.add_note"])
    mine, other = (Note.objects.create(trip=trip, text="Note", by=by) for by in (me, None))
    client.force_login(me)

    assert client.get(url(trip)).content.decode().count("Remove this note") == 1
    assert [client.post(url(trip), {"remove": note.pk}).status_code for note in (mine, other)] == [302, 403]
    assert list(Note.objects.all()) == [other]


@pytest.mark.parametrize("count", [1, 3])
def test_timeline_asks_the_same_for_any_number(admin_client, django_assert_num_queries, count):
    trip = factories.TripFactory()
    for _ in range(count):
        ada = factories.PassengerFactory(trip=trip)
        saved(ada, stage="trip_ready")
        saved(trip, vendor=factories.VendorFactory(), organiser=factories.ContactFactory())
        Note.objects.create(trip=trip, text="Note")

    with django_assert_num_queries(24):
        admin_client.get(url(trip))


def test_long_timeline_has_pages(admin_client):
    trip = factories.TripFactory()
    for number in range(30):
        Note.objects.create(trip=trip, text=f"note-{number}")

    assert [len(events(admin_client, trip, show="notes", p=page)) for page in (1, 2, "zzz")] == [25, 5, 25]


def test_history_older_than_is_read_is_not_guessed(admin_client, monkeypatch):
    monkeypatch.setattr("trips.services.timeline.MOST_ROWS", 2)
    trip = factories.TripFactory()
    for capacity in (1, 2, 3):
        saved(trip, capacity=capacity)

    assert [told(event)[3] for event in events(admin_client, trip)] == [[("capacity", "2", "3")]]


def test_passengers_who_only_changed_elsewhere_are_left_out(admin_client):
    trip, other = factories.TripFactory(), factories.TripFactory()
    factories.PassengerFactory(trip=other)

    assert [event.what for event in events(admin_client, trip)] == ["Trip added"]
    assert Passenger.objects.count() == 1
    assert Trip.objects.count() == 2
