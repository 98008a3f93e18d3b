"""The board: what its columns count, which cards they show, and moves with their refusals."""

from __future__ import annotations

import datetime as dt

import pytest
import time_machine
from django.urls import reverse

from tests import factories
from tests.trips.test_bulk import ready
from trips.admin import board
from trips.models import Batch, Passenger, Trip
from trips.services.batches import undo

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _today():
    with time_machine.travel(dt.datetime(2027, 1, 15, 12, tzinfo=dt.UTC), tick=False):
        yield


def url(model):
    return reverse(f"admin:trips_{model}_board")


def shown(page):
    """The cards of each column that has some."""
    return {column.stage: [card.name for card in column.cards] for column in page.context["columns"] if column.count}


def moved(client, row, to, **more):
    posted = {"card": row.pk, "from": row.stage, "to": to, **more}
    return client.post(url(row._meta.model_name), posted).json()


def some_trips():
    over = {"start_date": dt.date(2026, 3, 1), "end_date": dt.date(2026, 3, 8)}
    factories.TripFactory(name="later", start_date=dt.date(2027, 4, 1), end_date=dt.date(2027, 4, 8))
    factories.TripFactory(name="undated", start_date=None, end_date=None)
    factories.TripFactory(name="sooner", capacity=1, passengers=2)
    factories.TripFactory(name="over", stage="trip_complete", **over)
    factories.TripFactory(name="put away", archived_at=dt.datetime(2027, 1, 1, tzinfo=dt.UTC))
    factories.TripFactory(name="odd", stage="Somewhere else")


def test_trips_stand_in_their_stage_the_next_to_leave_first(admin_client):
    some_trips()

    page = admin_client.get(url("trip"))
    everything = admin_client.get(url("trip"), {"departs": "all"})

    first = {"form_submit": ["sooner", "later", "undated"], "Somewhere else": ["odd"]}
    assert shown(page) == first
    assert shown(everything) == {**first, "trip_complete": ["over"]}
    column = page.context["columns"][0]
    assert (column.sums, column.cards[0].lines[:2]) == (
        ["2 booked", "4,900.00 USD"],
        ["1 Mar 2027 – 8 Mar 2027", "Leaves in 45 days"],
    )


@pytest.mark.parametrize("asked", [{}, {"departs": "all"}, {"departs": "60"}, {"q": "er"}])
@pytest.mark.parametrize("model", ["trip", "passenger"])
def test_each_column_leads_to_the_list_of_what_it_counts(admin_client, model, asked):
    some_trips()
    trip = Trip.objects.get(name="later")
    for attendance in ("booked", "waitlisted", "cancelled"):
        factories.PassengerFactory(trip=trip, attendance=attendance, legal_last_name="Meyer")
    factories.PassengerFactory(trip=None)

    columns = admin_client.get(url(model), asked).context["columns"]

    assert sum(column.count for column in columns)
    for column in columns:
        assert admin_client.get(column.list_url).context["cl"].result_count == column.count


def test_filters_of_trip_and_organiser_lead_to_the_list_too(admin_client):
    contact = factories.ContactFactory()
    trip = factories.TripFactory(organiser=contact, passengers=2)
    factories.TripFactory(passengers=3)

    asked = {"trip__id__exact": trip.pk, "trip__organiser__id__exact": contact.pk}
    column = admin_client.get(url("passenger"), asked).context["columns"][0]
    led = admin_client.get(url("trip"), {"organiser__id__exact": contact.pk}).context["columns"][0]

    assert (column.count, led.count) == (2, 1)
    assert admin_client.get(column.list_url).context["cl"].result_count == 2
    assert admin_client.get(led.list_url).context["cl"].result_count == 1


def test_filter_that_cannot_be_read_says_so_and_filters_nothing(admin_client):
    factories.TripFactory()

    page = admin_client.get(url("trip"), {"organiser__id__exact": "zzz", "departs": "never"})

    assert [*page.context["form"].errors] == ["departs", "organiser__id__exact"]
    assert page.context["columns"][0].count == 1


def test_only_the_first_cards_are_shown(admin_client, monkeypatch):
    monkeypatch.setattr(board, "CARDS", 2)
    factories.TripFactory.create_batch(3)

    page = admin_client.get(url("trip"))

    assert (len(page.context["columns"][0].cards), page.context["columns"][0].more) == (2, 1)
    assert "Show all 3 in the list" in page.content.decode()


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize(("model", "queries"), [("trip", 7), ("passenger", 6)])
def test_no_card_asks_the_database(admin_client, django_assert_num_queries, model, queries, count):
    for _ in range(count):
        trip = factories.TripFactory(organiser=factories.ContactFactory(), passengers=2)
        factories.PassengerFactory(trip=trip, attendance="waitlisted")

    with django_assert_num_queries(queries):
        admin_client.get(url(model))


def test_passengers_show_trip_gaps_and_balance(admin_client):
    trip = factories.TripFactory(name="Havana")
    passenger = ready(trip=trip, legal_first_name="Ada", legal_last_name="")

    (card,) = admin_client.get(url("passenger")).context["columns"][0].cards

    assert (card.name, card.lines) == ("Ada", ["Havana, 1 Mar 2027", "Lacks: Profile"])
    assert [text for text in ("owes 2,450.00", "paid") if text in card.badges[0]] == ["owes 2,450.00"]
    assert card.url == reverse("admin:trips_passenger_change", args=[passenger.pk])


def test_what_one_may_not_see_is_not_on_the_card(client):
    client.force_login(factories.StaffFactory(permissions=["trips.view_passenger"]))
    factories.PassengerFactory(sex="F")

    page = client.get(url("passenger"))

    (card,) = page.context["columns"][0].cards
    assert (card.badges, page.context["columns"][0].sums, "data-may-move" in page.content.decode()) == ([], [], False)
    assert [*page.context["form"].fields] == ["departs", "q"]
    assert client.get(url("trip")).status_code == 403


def test_move_is_a_batch_that_can_be_undone(admin_client, admin_user):
    trip = factories.TripFactory(name="Havana")

    answer = moved(admin_client, trip, "trip_finalized")

    batch = Batch.objects.get()
    told = f'Havana is in “Trip finalised” now. <a class="text-link" href="/trips/batch/{batch.pk}/undo/">Undo</a>'
    assert (answer["level"], answer["told"], answer["asks"]) == ("good", told, "")
    assert (batch.by, batch.kind) == (admin_user, "stage")
    assert trip.history.first().history_user == admin_user
    undo(batch=batch, by=None)
    trip.refresh_from_db()
    assert trip.stage == "form_submit"


def test_trip_without_dates_is_scheduled_with_a_reason(admin_client):
    trip = factories.TripFactory(name="Havana", start_date=None, end_date=None)

    refused = moved(admin_client, trip, "trip_scheduled")
    argued = moved(admin_client, trip, "trip_scheduled", reason="Dates follow in May")

    assert (refused["told"], refused["asks"]) == (
        "Havana stays in “Form submitted”. No dates: it is scheduled only with a reason.",
        "reason",
    )
    assert (argued["level"], argued["asks"], Batch.objects.get().title) == (
        "good",
        "",
        "Trips to “Trip scheduled”, without dates: Dates follow in May",
    )


def test_traveller_who_is_not_ready_stays_with_the_reason(admin_client):
    one = factories.PassengerFactory(sex="F", legal_first_name="Ben", legal_last_name="<b>Lind")

    answer = moved(admin_client, one, "trip_ready")

    assert (answer["level"], answer["told"]) == (
        "doubt",
        "Ben &lt;b&gt;Lind stays in “Added to trip”. Not ready: Passport, Documents, Emergency contact, Health.",
    )
    assert not Batch.objects.exists()


def test_what_somebody_else_moved_is_said_and_not_overwritten(admin_client):
    trip = factories.TripFactory(name="Havana")
    other = factories.StaffFactory(first_name="Greta", last_name="Ortiz")
    now = Trip.objects.get()
    now.stage, now._history_user = "trip_finalized", other
    now.save()
    now.capacity, now._history_user = 9, None
    now.save()

    answer = moved(admin_client, trip, "travelers_added")

    assert answer["told"] == "Havana was moved to “Trip finalised” meanwhile by Greta Ortiz. Nothing was changed."
    assert Trip.objects.get().stage == "trip_finalized"


def test_move_that_cannot_be_done_says_why(admin_client, client):
    trip = factories.TripFactory(name="Havana")
    gone = moved(admin_client, Trip(pk=987, stage="form_submit"), "trip_finalized")
    nowhere = moved(admin_client, trip, "moon")
    client.force_login(factories.StaffFactory(permissions=["trips.view_passenger", "trips.view_trip"]))

    assert (gone["told"], nowhere["told"]) == (
        "There is no trip 987 any more; nothing was moved.",
        "There is no stage “moon”; Havana stays where it is.",
    )
    assert client.post(url("trip"), {"card": trip.pk, "from": trip.stage, "to": "trip_finalized"}).status_code == 403


def test_move_to_ready_says_what_was_not_looked_at(client):
    client.force_login(factories.StaffFactory(permissions=["trips.view_passenger", "trips.change_passenger"]))
    one = factories.PassengerFactory(sex="F")

    answer = moved(client, one, "trip_ready")

    assert "Not looked at, because your account may not see it: Passport, Documents" in answer["told"]
    assert Passenger.objects.get().stage == "trip_ready"
