"""Licences: whether one holds on the days of a trip, what pages say of it, and the list itself."""

from __future__ import annotations

import datetime as dt

import pytest
from django.urls import reverse

from tests import factories
from tests.pages import posted
from tests.trips.papers.test_upload import page_of, said
from trips.models import Licence
from trips.papers.licences import Register, used_on
from trips.services import licences

pytestmark = pytest.mark.django_db
NAME = "Support for the Cuban people (515.574)"
START, END = dt.date(2027, 3, 1), dt.date(2027, 3, 8)  # the days of a trip of the factory


def licence(**values):
    return Licence.objects.create(**{"name": NAME, **values})


@pytest.mark.parametrize(
    ("periods", "trip", "named", "label", "sentence"),
    [
        ([], {}, "", "No licence", "No licence is chosen for this traveller."),
        ([], {}, "none", "No licence", "No licence is chosen for this traveller."),
        ([], {}, NAME, "Unknown licence", f"“{NAME}” is not in the list of licences; add it with its days."),
        ([{}], {}, "support  for the Cuban people (515.574)", "Valid", ""),
        ([{"valid_until": END}], {}, NAME, "Valid until 8 Mar 2027", ""),
        (
            [{"valid_until": dt.date(2026, 12, 31)}],
            {},
            NAME,
            "Licence expired",
            f"“{NAME}” expired on 31 Dec 2026; the trip is from 1 Mar 2027 to 8 Mar 2027.",
        ),
        (
            [{"valid_until": dt.date(2026, 12, 31)}, {"valid_from": dt.date(2027, 4, 1)}],
            {},
            NAME,
            "Licence expired",
            f"“{NAME}” expired on 31 Dec 2026; the trip is from 1 Mar 2027 to 8 Mar 2027. "
            "It is valid again from 1 Apr 2027.",
        ),
        (
            [{"valid_until": dt.date(2027, 3, 4)}],
            {},
            NAME,
            "Licence expires on the way",
            f"“{NAME}” ends on 4 Mar 2027; the trip is from 1 Mar 2027 to 8 Mar 2027.",
        ),
        ([{"valid_until": dt.date(2027, 3, 4)}, {"valid_from": dt.date(2027, 3, 5)}], {}, NAME, "Valid", ""),
        (
            [{"valid_from": dt.date(2027, 3, 2)}],
            {"end_date": START},
            NAME,
            "Licence not valid yet",
            f"“{NAME}” is valid only from 2 Mar 2027; the trip is on 1 Mar 2027.",
        ),
        (
            [{}],
            {"start_date": None, "end_date": None},
            NAME,
            "Trip without dates",
            f"“{NAME}” cannot be checked: the trip has no dates.",
        ),
        (
            [{"needs_escort": True}],
            {},
            NAME,
            "Escort missing",
            f"“{NAME}” needs an escort, and the trip names none.",
        ),
        ([{"needs_escort": True}], {"escort": "Elena Eriksen"}, NAME, "Valid", ""),
    ],
)
def test_a_licence_is_compared_with_the_days_of_the_trip(periods, trip, named, label, sentence):
    for period in periods:
        licence(**period)
    passenger = factories.PassengerFactory(trip=factories.TripFactory(**trip), licence=named)

    standing = Register().standing_of(passenger)

    told = standing.sentence if standing.colour != "good" else ""
    assert (standing.label, told) == (label, sentence)


def test_a_trip_names_its_licences_once_each_those_that_warn_first(django_assert_num_queries):
    licence(valid_until=dt.date(2026, 1, 1))
    licence(name="Family visits (515.561)")
    trip = factories.TripFactory(passengers=5)
    for passenger, named in zip(
        trip.passengers.order_by("number"), (NAME, NAME.upper(), "Family visits (515.561)", "", NAME), strict=True
    ):
        passenger.licence = named
        passenger.attendance = "cancelled" if passenger.number == 5 else "booked"
        passenger.save()

    with django_assert_num_queries(2):
        found = used_on(trip)

    told = [(one.name, one.count, one.standing.label) for one in found]
    assert told == [
        (NAME, 2, "Licence expired"),
        ("", 1, "No licence"),
        ("Family visits (515.561)", 1, "Valid"),
    ]


def test_an_expired_licence_is_named_on_every_page_and_after_the_save(admin_client):
    licence(valid_until=dt.date(2026, 1, 1))
    passenger = factories.PassengerFactory()
    factories.PassengerFactory(trip=passenger.trip, licence="None")
    page = reverse("admin:trips_passenger_change", args=[passenger.pk])
    sentence = f"“{NAME}” expired on 1 Jan 2026; the trip is from 1 Mar 2027 to 8 Mar 2027."

    answer = admin_client.post(page, posted(admin_client.get(page), licence=NAME))

    assert sentence in said(answer)
    trip = passenger.trip
    addresses = (
        page,
        page_of(passenger),
        page_of(trip),
        reverse("admin:trips_trip_change", args=[trip.pk]),
        reverse("admin:trips_trip_passengers", args=[trip.pk]),
        f"{reverse('admin:trips_paperrun_ask')}?trip={trip.pk}",
    )
    for address in addresses:
        assert sentence in admin_client.get(address).content.decode(), address


def test_who_may_not_see_licences_is_told_nothing_of_them(client):
    licence(valid_until=dt.date(2026, 1, 1))
    passenger = factories.PassengerFactory(licence=NAME)
    names = [f"trips.{verb}_{model}" for verb in ("view", "change") for model in ("passenger", "trip", "document")]
    client.force_login(factories.StaffFactory(permissions=names))

    page = reverse("admin:trips_passenger_change", args=[passenger.pk])
    for address in (page, page_of(passenger), reverse("admin:trips_trip_change", args=[passenger.trip_id])):
        assert "expired on" not in client.get(address).content.decode()
    assert client.get("/trips/licence/").status_code == 403
    assert client.get("/trips/licence/names/").status_code == 403


def test_periods_that_end_before_they_start_or_overlap_are_refused(admin_client):
    first = licence(valid_until=dt.date(2026, 12, 31))
    url = "/trips/licence/add/"

    def errors(**typed):
        page = admin_client.get(url)
        answer = admin_client.post(url, posted(page, name=NAME.upper(), **typed))
        return answer.context["adminform"].form.errors if answer.status_code == 200 else {}

    assert errors(valid_from="2027-02-01", valid_until="2027-01-01") == {
        "valid_until": ["The last day (1 Jan 2027) is before the first (1 Feb 2027)."]
    }
    overlap = f"“{NAME}” is in the list already, until 31 Dec 2026 (no. {first.pk}). Give days that do not overlap."
    assert errors(valid_from="2026-12-31") == {"name": [overlap]}
    assert errors(valid_from="2027-01-01") == {}
    assert Licence.objects.count() == 2


def test_the_names_in_use_are_added_once_and_can_be_taken_back(admin_client):
    licence()
    for named in (NAME, "Family visits (515.561)", "family  VISITS (515.561)", "None", ""):
        factories.PassengerFactory(licence=named)

    listed = admin_client.get("/trips/licence/names/").content.decode()
    answer = admin_client.post("/trips/licence/names/")

    assert ("Add 1 licence<" in listed, len(said(answer))) == (True, 1)
    assert set(Licence.objects.values_list("name", flat=True)) == {NAME, "Family visits (515.561)"}
    assert licences.names_without_licence() == []
    assert admin_client.get("/trips/licence/").status_code == 200
    assert 'href="/trips/batch/' in said(answer)[0]
