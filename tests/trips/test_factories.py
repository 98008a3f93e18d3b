"""The factories themselves: valid rows by the staff's own rules, and no rows nobody asked for."""

from __future__ import annotations

import pytest

from tests import factories
from trips import rules
from trips.models import Contact, Passenger, Trip

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "make",
    [
        factories.ContactFactory,
        factories.VendorFactory,
        factories.TripFactory,
        factories.PassengerFactory,
        factories.PassportFactory,
        factories.HealthRecordFactory,
        factories.EmergencyContactFactory,
        factories.DocumentFactory,
        factories.PaymentFactory,
        factories.CostFactory,
    ],
)
def test_factory_makes_three_valid_rows(make):
    rows = make.create_batch(3)

    for row in rows:
        row.full_clean()
    assert [rules.violations(row) for row in rows] == [[], [], []]


def test_trip_factory_books_as_many_as_asked():
    trip = factories.TripFactory(passengers=2)

    assert list(trip.passengers.order_by("number").values_list("number", "attendance")) == [
        (1, "booked"),
        (2, "booked"),
    ]
    assert (Trip.objects.count(), Passenger.objects.count(), Contact.objects.count()) == (1, 2, 2)


def test_staff_factory_grants_sight_of_own_trips_only_when_told():
    user = factories.StaffFactory(permissions=["trips.view_trip"], permissions__own_trips=True)

    assert user.get_user_permissions() == {"trips.view_trip"}


def test_staff_factory_grants_what_is_named():
    user = factories.StaffFactory(permissions=["trips.view_trip"])

    assert user.is_staff
    assert user.get_user_permissions() == {"trips.view_trip", "trips.see_every_trip"}
    assert user.check_password(factories.PASSWORD)
