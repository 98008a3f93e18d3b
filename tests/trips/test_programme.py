"""A trip's programme: days and times that are refused, what counts for whom, the page, and who may do what."""

from __future__ import annotations

import datetime as dt

import pytest
from django.urls import reverse

from tests import factories
from trips.enums import Leg
from trips.models import Batch, Flight, ItineraryItem, Transfer, Trip
from trips.services import programme, travel
from trips.services.batches import undo

pytestmark = pytest.mark.django_db
FIRST, LAST = dt.date(2027, 3, 1), dt.date(2027, 3, 8)


@pytest.fixture
def trip(db):
    return factories.TripFactory(name="Havana", capacity=10)


def url(trip):
    return reverse("admin:trips_trip_programme", args=[trip.pk])


def sent(client, trip, part, row="", **typed):
    """What the page's form would send; `typed` are the fields of the part."""
    data = {f"{part}-{name}": value for name, value in typed.items()}
    return client.post(url(trip), {"verb": "save", "part": part, "row": row, **data}, follow=True)


def errors(answer, part):
    return {name: list(some) for name, some in answer.context["parts"][part]["form"].errors.items()}


def told(answer):
    return [str(message) for message in answer.context["messages"]]


def a_flight(trip, number="AA 1", leg=Leg.ARRIVAL, day=FIRST, lands=dt.time(12), leaves=dt.time(9), **values):
    return Flight.objects.create(
        trip=trip,
        number=number,
        leg=leg,
        leaves_on=day,
        leaves_at=leaves,
        arrives_on=day,
        arrives_at=lands,
        from_place="Miami",
        to_place="Havana",
        **values,
    )


def an_entry(trip, day=FIRST, **values):
    return ItineraryItem.objects.create(trip=trip, **{"day": day, "title": "Walk", **values})


def fetched(trip):
    return {str(one.passenger): one for one in travel.journeys(travel.with_travel(trip.passengers.seated()))}


# The itinerary


def test_entry_is_added_and_the_next_form_goes_on_where_it_ended(admin_client, admin_user, trip):
    answer = sent(
        admin_client,
        trip,
        "itinerary",
        day="2027-03-02",
        starts_at="09:00",
        ends_at="12:30",
        title=" Walk ",
        place="Old town",
    )

    item = ItineraryItem.objects.get()
    assert (item.day, item.starts_at, item.ends_at, item.title, item.place) == (
        dt.date(2027, 3, 2),
        dt.time(9),
        dt.time(12, 30),
        "Walk",
        "Old town",
    )
    assert item.history.get().history_user == admin_user
    form = answer.context["parts"]["itinerary"]["form"]
    assert (form.initial["day"], form.initial["starts_at"]) == (item.day, dt.time(12, 30))
    assert told(answer) == ["Walk: added."]
    assert [len(day["entries"]) for day in answer.context["days"]] == [0, 1, 0, 0, 0, 0, 0, 0]
    assert answer.content.decode().count("Nothing is planned") == 7


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ({"day": "2027-03-09"}, {"day": ["9 Mar 2027 is not a day of the trip (1 Mar 2027 to 8 Mar 2027)."]}),
        (
            {"starts_at": "10:00", "ends_at": "09:00"},
            {
                "ends_at": [
                    "The end (09:00) is before the start (10:00). What goes past midnight is two entries, one a day."
                ]
            },
        ),
        ({"ends_at": "09:00"}, {"ends_at": ["It ends at 09:00 and has no start; give it one."]}),
        ({"title": "  "}, {"title": ["This field is required."]}),
        ({"day": "2027-02-30"}, {"day": ["'2027-02-30' is not a day of the calendar."]}),
    ],
)
def test_entry_that_cannot_be_is_refused_and_keeps_what_was_typed(admin_client, trip, typed, expected):
    answer = sent(admin_client, trip, "itinerary", **{"day": "2027-03-01", "title": "Walk", "note": "kept", **typed})

    assert errors(answer, "itinerary") == expected
    assert 'value="kept"' in answer.content.decode()
    assert not ItineraryItem.objects.exists()


def test_trip_without_dates_asks_for_them_first(admin_client):
    trip = factories.TripFactory(name="Havana", start_date=None, end_date=None)

    page = admin_client.get(url(trip)).content.decode()
    answer = sent(admin_client, trip, "itinerary", day="2027-03-01", title="Walk")

    assert ("This trip has no dates yet" in page, "Add an entry" in page) == (True, False)
    assert errors(answer, "itinerary") == {"day": ["Havana has no dates yet. Give it a start and an end first."]}


def test_entry_is_changed_and_removed(admin_client, trip):
    item = an_entry(trip)
    shown = admin_client.get(url(trip), {"change": f"itinerary:{item.pk}"}).context["parts"]["itinerary"]["form"]
    typed = {"day": "2027-03-03", "title": "Ride", "rendered_values": shown["rendered_values"].value()}

    changed = sent(admin_client, trip, "itinerary", row=item.pk, **typed)
    removed = admin_client.post(url(trip), {"verb": "remove", "part": "itinerary", "row": item.pk}, follow=True)
    again = admin_client.post(url(trip), {"verb": "remove", "part": "itinerary", "row": item.pk}, follow=True)

    assert (told(changed), told(removed)) == (["Ride: changed."], ["Ride: removed."])
    assert told(again) == ["Somebody has removed this entry meanwhile; nothing was changed."]
    assert [row.history_type for row in ItineraryItem.history.all()] == ["-", "~", "+"]


def test_what_was_changed_meanwhile_is_said_and_not_overwritten(admin_client, trip):
    item = an_entry(trip)
    form = admin_client.get(url(trip), {"change": f"itinerary:{item.pk}"}).context["parts"]["itinerary"]["form"]
    ItineraryItem.objects.filter(pk=item.pk).update(title="Boat")

    typed = {"day": "2027-03-01", "title": "Ride", "rendered_values": form["rendered_values"].value()}
    answer = sent(admin_client, trip, "itinerary", row=item.pk, **typed)

    assert errors(answer, "itinerary") == {"title": ["Changed meanwhile to “Boat”; save again to keep yours."]}


def test_list_leads_from_an_entry_to_its_page(admin_client, trip):
    item = an_entry(trip)

    led = admin_client.get(reverse("admin:trips_itineraryitem_change", args=[item.pk]))

    assert led["Location"] == f"{url(trip)}?change=itinerary%3A{item.pk}#itinerary"


def test_itinerary_report_tells_empty_days_and_those_outside(admin_client, trip):
    an_entry(trip, day=dt.date(2027, 3, 2), starts_at=dt.time(9), title="Walk")
    an_entry(trip, day=dt.date(2027, 3, 2), title="All day")
    an_entry(trip, day=dt.date(2027, 3, 20), title="Late")
    Trip.objects.update(end_date=dt.date(2027, 3, 4))

    page = admin_client.get(reverse("trips:trip_report", args=[trip.pk, "itinerary", "standard"]))

    assert [row.cells[:5] for row in page.context["table"].rows] == [
        (dt.date(2027, 3, 2), "Tuesday", "", "", "All day"),
        (dt.date(2027, 3, 2), "Tuesday", "09:00", "", "Walk"),
        (dt.date(2027, 3, 20), "Saturday", "", "", "Late"),
    ]
    assert page.context["table"].notes == (
        "Times are local to the place.",
        "Nothing is planned on 1 Mar 2027, 3 Mar 2027, 4 Mar 2027.",
        "Not days of the trip: 20 Mar 2027.",
    )
    assert "not a day of the trip" in admin_client.get(url(trip)).content.decode()


# Moved as a whole


def test_whole_programme_moves_with_the_trip_and_back(admin_client, trip):
    an_entry(trip)
    a_flight(trip)
    Transfer.objects.create(trip=trip, day=FIRST)

    answer = admin_client.post(url(trip), {"verb": "move", "days": "7"}, follow=True)

    assert told(answer)[0].startswith("3 entries moved by 7 days. <a")
    moved = (ItineraryItem.objects.get().day, Flight.objects.get().arrives_on, Transfer.objects.get().day)
    assert moved == (LAST, LAST, LAST)
    undo(batch=Batch.objects.get(), by=None)
    assert (ItineraryItem.objects.get().day, Flight.objects.get().leaves_on) == (FIRST, FIRST)


@pytest.mark.parametrize("days", ["", "0", "zzz", "1.5", "-", "99999", "²"])
def test_number_of_days_that_is_none_moves_nothing(admin_client, trip, days):
    an_entry(trip)

    answer = admin_client.post(url(trip), {"verb": "move", "days": days}, follow=True)

    assert told(answer) == [f"“{days}” is no number of days. Give one such as 7, or -7 for earlier, up to 3660."]


# Flights


def test_own_flight_counts_before_the_groups_and_the_last_leg_for_arriving(trip):
    for name in ("Ada", "Bruno"):
        factories.PassengerFactory(trip=trip, legal_first_name=name, legal_last_name="")
    ada = trip.passengers.get(legal_first_name="Ada")
    a_flight(trip, "AA 1", lands=dt.time(8))
    a_flight(trip, "AA 2", lands=dt.time(12))
    a_flight(trip, "IB 9", lands=dt.time(7), passenger=ada)
    a_flight(trip, "AA 3", leg=Leg.DEPARTURE, day=LAST, leaves=dt.time(10))
    a_flight(trip, "AA 4", leg=Leg.DEPARTURE, day=LAST, leaves=dt.time(14))

    ways = fetched(trip)

    assert {name: (str(one.arrival), str(one.departure)) for name, one in ways.items()} == {
        "Ada": ("IB 9", "AA 3"),
        "Bruno": ("AA 2", "AA 3"),
    }


def test_flight_lands_on_its_day_unless_said_and_is_written_alike(admin_client, trip):
    sent(admin_client, trip, "flights", leg="arrival", number=" aa  12 ", leaves_on="2027-03-01")

    flight = Flight.objects.get()
    assert (flight.number, flight.arrives_on, flight.passenger) == ("AA 12", FIRST, None)


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        (
            {"arrives_on": "2027-02-26"},
            {"arrives_on": ["It lands (26 Feb 2027) before it leaves (1 Mar 2027)."]},
        ),
        (
            {"leaves_on": "2028-03-01", "arrives_on": "2028-03-01"},
            {"arrives_on": ["1 Mar 2028 is not a day of the trip (1 Mar 2027 to 8 Mar 2027) or within 14 days of it."]},
        ),
        ({"number": "aa 1"}, {"number": ["Flight AA 1 of 1 Mar 2027 is on the list already, for the group."]}),
        ({"leg": "sideways"}, {"leg": ["Select a valid choice. sideways is not one of the available choices."]}),
    ],
)
def test_flight_that_cannot_be_is_refused(admin_client, trip, typed, expected):
    a_flight(trip)

    answer = sent(
        admin_client, trip, "flights", **{"leg": "arrival", "number": "BB 2", "leaves_on": "2027-03-01", **typed}
    )

    assert errors(answer, "flights") == expected


def test_flight_of_odd_times_is_taken_with_a_warning(admin_client, trip):
    typed = {"leg": "arrival", "number": "NZ 6", "leaves_on": "2027-03-01", "leaves_at": "19:00"}

    west = sent(admin_client, trip, "flights", **typed, arrives_on="2027-03-01", arrives_at="13:00")
    early = sent(admin_client, trip, "flights", **{**typed, "leaves_on": "2027-02-27"})

    assert told(west)[1:] == [
        "Flight NZ 6 lands before it leaves, by the clocks there: right only westward across time zones."
    ]
    assert told(early)[1:] == ["Flight NZ 6: 27 Feb 2027 is not a day of the trip (1 Mar 2027 to 8 Mar 2027)."]


# Transfers


def test_page_tells_who_is_on_no_transfer_and_who_lands_late(admin_client, trip):
    for name in ("Ada", "Bruno", "Carla"):
        factories.PassengerFactory(trip=trip, legal_first_name=name, legal_last_name="")
    group = a_flight(trip)
    own = a_flight(trip, "IB 9", lands=dt.time(16), passenger=trip.passengers.get(legal_first_name="Ada"))
    ride = Transfer.objects.create(trip=trip, day=FIRST, starts_at=dt.time(13), seats=1)
    ride.flights.set([group])
    an_entry(trip, starts_at=dt.time(15))

    page = admin_client.get(url(trip))

    assert page.context["remarks"] == [
        ("bad", "Land after the programme has begun (1 Mar 2027, 15:00): Ada."),
        ("doubt", "Arrival: 1 not on a transfer: Ada."),
    ]
    (line,) = page.context["transfers"]
    assert (line["count"], line["over"], "2 for 1 seats" in page.content.decode()) == (2, True, True)
    ride.flights.add(own)
    assert ("bad", "Transfer at 13:00: flight IB 9 has not landed yet (16:00).") in admin_client.get(url(trip)).context[
        "remarks"
    ]


def test_transfer_without_flights_takes_everybody(trip):
    factories.PassengerFactory(trip=trip, legal_first_name="Ada", legal_last_name="")
    ride = Transfer.objects.create(trip=trip, day=FIRST)

    assert (fetched(trip)["Ada"].fetched, fetched(trip)["Ada"].brought) == (ride, None)


def test_transfer_that_misses_its_flight_is_refused(admin_client, trip):
    arrival = a_flight(trip)
    home = a_flight(trip, "AA 3", leg=Leg.DEPARTURE, day=LAST, leaves=dt.time(10))

    early = sent(
        admin_client, trip, "transfers", leg="arrival", day="2027-03-01", starts_at="11:00", flights=arrival.pk
    )
    late = sent(admin_client, trip, "transfers", leg="departure", day="2027-03-08", starts_at="11:00", flights=home.pk)
    other = sent(admin_client, trip, "transfers", leg="departure", day="2027-03-08", flights=arrival.pk)

    assert errors(early, "transfers") == {"starts_at": ["At 11:00 flight AA 1 has not landed yet (12:00)."]}
    assert errors(late, "transfers") == {"starts_at": ["At 11:00 flight AA 3 has left already (10:00)."]}
    assert errors(other, "transfers") == {"flights": ["Flight AA 1 is of the arrival, this transfer of the departure."]}
    sent(admin_client, trip, "transfers", leg="arrival", day="2027-03-01", starts_at="12:30", flights=arrival.pk)
    assert list(Transfer.objects.get().flights.all()) == [arrival]


# The report of arrivals


def test_arrivals_follow_the_flights_by_the_hour(admin_client, trip):
    for name in ("Ada", "Bruno", "Carla"):
        factories.PassengerFactory(trip=trip, legal_first_name=name, legal_last_name="Lind")
    ada = trip.passengers.get(legal_first_name="Ada")
    ride = Transfer.objects.create(
        trip=trip, day=FIRST, starts_at=dt.time(13), vendor=factories.VendorFactory(name="Bus")
    )
    ride.flights.set([a_flight(trip)])
    a_flight(trip, "IB 9", day=dt.date(2027, 3, 2), lands=dt.time(16), passenger=ada)

    page = admin_client.get(reverse("trips:trip_report", args=[trip.pk, "arrivals", "standard"]))

    table = page.context["table"]
    assert [row.cells[1:6] for row in table.rows] == [
        ("Bruno", FIRST, "12:00", "AA 1 from Miami", "Transfer at 13:00, Bus"),
        ("Carla", FIRST, "12:00", "AA 1 from Miami", "Transfer at 13:00, Bus"),
        ("Ada", dt.date(2027, 3, 2), "16:00", "IB 9 from Miami", ""),
    ]
    assert [(total.label, total.value) for total in table.totals] == [
        ("Travellers", "3"),
        ("Arrive 1 Mar 2027, 12:00 to 12:59", "2"),
        ("Arrive 2 Mar 2027, 16:00 to 16:59", "1"),
        ("Leave 8 Mar 2027", "3"),
        ("Not on a transfer (arrival)", "1"),
    ]


def test_who_may_not_see_flights_reads_the_days_of_the_trip(client, trip):
    client.force_login(factories.StaffFactory(permissions=["trips.view_trip", "trips.view_passenger"]))
    factories.PassengerFactory(trip=trip)
    a_flight(trip, day=dt.date(2027, 3, 2))

    table = client.get(reverse("trips:trip_report", args=[trip.pk, "arrivals", "standard"])).context["table"]

    assert table.rows[0].cells[-2:] == (FIRST, LAST)
    assert [total.label for total in table.totals] == ["Travellers", "Arrive 1 Mar 2027", "Leave 8 Mar 2027"]
    assert client.get(url(trip)).status_code == 403


@pytest.mark.parametrize("count", [1, 3])
def test_page_asks_the_same_for_any_number(admin_client, django_assert_num_queries, trip, count):
    for number in range(count):
        passenger = factories.PassengerFactory(trip=trip)
        flights = [a_flight(trip, f"AA {number}"), a_flight(trip, f"BB {number}", passenger=passenger)]
        Transfer.objects.create(trip=trip, day=FIRST, vendor=factories.VendorFactory()).flights.set(flights)
        an_entry(trip, starts_at=dt.time(9))

    with django_assert_num_queries(18):
        admin_client.get(url(trip))


# Who may


def test_each_part_has_its_own_permission(client, trip):
    viewer = ["trips.view_trip", "trips.view_itineraryitem"]
    client.force_login(factories.StaffFactory(permissions=viewer))
    item = an_entry(trip)
    a_flight(trip, "ZZ 99")

    page = client.get(url(trip))

    assert ([*page.context["parts"]], page.context["parts"]["itinerary"]["form"]) == (["itinerary"], None)
    shown = page.content.decode()
    assert ("ZZ 99" in shown, "Change Walk" in shown, "Remove Walk" in shown) == (False, False, False)
    for verb in ("save", "remove"):
        assert client.post(url(trip), {"verb": verb, "part": "itinerary", "row": item.pk}).status_code == 403
    assert client.post(url(trip), {"verb": "move", "days": "7"}).status_code == 403
    assert ItineraryItem.objects.get().day == FIRST


def test_name_of_a_traveller_is_for_who_may_see_passengers(client, trip):
    allowed = ["trips.view_trip", "trips.change_flight", "trips.view_itineraryitem", "trips.add_transfer"]
    allowed += ["trips.view_transfer"]
    client.force_login(factories.StaffFactory(permissions=allowed))
    ada = factories.PassengerFactory(trip=trip, legal_first_name="Wilhelmina", legal_last_name="")
    flight = a_flight(trip, lands=dt.time(20), passenger=ada)
    an_entry(trip, starts_at=dt.time(15))

    shown = client.get(url(trip), {"change": f"flights:{flight.pk}"}).content.decode()

    assert ("Wilhelmina" in shown, "One traveller’s" in shown, "begun (1 Mar 2027, 15:00): 1 traveller." in shown) == (
        False,
        True,
        True,
    )


# The copy of a trip


def test_copy_takes_the_itinerary_along_by_the_distance_of_the_starts(admin_client, admin_user, trip):
    an_entry(trip, day=dt.date(2027, 3, 3), starts_at=dt.time(9), place="Old town", note="bring water")
    a_flight(trip)

    copied = {"name": "Havana 2028", "start_date": "2028-03-10"}
    answer = admin_client.post(reverse("admin:trips_trip_copy", args=[trip.pk]), copied, follow=True)

    copy = Trip.objects.get(name="Havana 2028")
    (item,) = copy.itinerary.all()
    assert (item.day, item.starts_at, item.title, item.place, item.note) == (
        dt.date(2028, 3, 12),
        dt.time(9),
        "Walk",
        "Old town",
        "bring water",
    )
    assert (copy.flights.count(), item.history.get().history_user) == (0, admin_user)
    assert "1 itinerary entry copied, moved with the start." in told(answer)[0]


def test_copy_without_a_start_says_that_the_itinerary_stayed_behind(admin_client, trip):
    an_entry(trip)

    answer = admin_client.post(
        reverse("admin:trips_trip_copy", args=[trip.pk]), {"name": "Havana 2028", "start_date": ""}, follow=True
    )

    assert "The itinerary was not copied: its days need a start of both trips." in told(answer)[0]
    assert not Trip.objects.get(name="Havana 2028").itinerary.exists()


def test_copy_by_who_may_not_add_entries_has_none(client, trip):
    allowed = ["trips.view_trip", "trips.add_trip", "trips.change_trip", "trips.view_itineraryitem"]
    client.force_login(factories.StaffFactory(permissions=allowed))
    an_entry(trip)

    client.post(reverse("admin:trips_trip_copy", args=[trip.pk]), {"name": "Mine", "start_date": "2028-03-10"})

    assert not Trip.objects.get(name="Mine").itinerary.exists()


def test_days_of_a_trip_begin_with_the_earlier_of_start_and_arrival():
    trip = factories.TripFactory(arrival_date=dt.date(2027, 2, 28), end_date=None, return_date=None)

    assert programme.each_day(trip) == [dt.date(2027, 2, 28), dt.date(2027, 3, 1)]
