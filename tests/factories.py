"""Rows for tests: invented people, unique where staff rules ask for it, and nothing that the caller did not ask for.

`TripFactory(passengers=2)` adds two people who are booked on it; nothing else makes rows beyond those a field needs.
Addresses end in example.com and phones in 555-01xx, which belong to nobody.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import factory
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission

from trips.models import (
    Contact,
    Cost,
    Document,
    EmergencyContact,
    HealthRecord,
    Passenger,
    Passport,
    Payment,
    Trip,
    Vendor,
)

PASSWORD = "only-for-tests-1"
FIRST_NAMES = ("Ada", "Bruno", "Carla", "Dmitri", "Elena", "Farid", "Greta", "Hugo", "Inés", "Jonas")
LAST_NAMES = ("Almqvist", "Baptiste", "Castañeda", "Dvořák", "Eriksen", "Fontaine", "García", "Hollander")


class ContactFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Contact

    first_name = factory.Sequence(lambda n: FIRST_NAMES[n % len(FIRST_NAMES)])
    last_name = factory.Sequence(lambda n: f"{LAST_NAMES[n % len(LAST_NAMES)]}-{n}")
    email = factory.Sequence(lambda n: f"person{n}@example.com")
    phone = factory.Sequence(lambda n: f"+1202555{100 + n % 100:04d}")
    country = "US"


class VendorFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Vendor

    name = factory.Sequence(lambda n: f"Vendor {n}")


class TripFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Trip
        skip_postgeneration_save = True

    name = factory.Sequence(lambda n: f"Trip {n}")
    destination = "Havana"
    start_date = dt.date(2027, 3, 1)
    end_date = dt.date(2027, 3, 8)
    capacity = 20
    price_per_person = Decimal("2450.00")

    @factory.post_generation
    def passengers(self: Any, create: bool, extracted: int | None, **kwargs: Any) -> None:
        """`passengers=3` books three people, numbered from 1."""
        for number in range(1, (extracted or 0) + 1):
            PassengerFactory(trip=self, number=number, **kwargs)


class PassengerFactory(factory.django.DjangoModelFactory):
    """An adult on a trip of their own; `trip=None` for one whose trip is not known."""

    class Meta:
        model = Passenger

    contact = factory.SubFactory(ContactFactory)
    trip = factory.SubFactory(TripFactory)
    legal_first_name = factory.SelfAttribute("contact.first_name")
    legal_last_name = factory.SelfAttribute("contact.last_name")
    date_of_birth = dt.date(1980, 5, 17)


class PassportFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Passport

    passenger = factory.SubFactory(PassengerFactory)
    number = factory.Sequence(lambda n: f"X{5550000 + n}")
    expires_on = dt.date(2031, 1, 1)
    country = "Canada"


class HealthRecordFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = HealthRecord

    passenger = factory.SubFactory(PassengerFactory)
    general_health = "Good"


class EmergencyContactFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = EmergencyContact

    passenger = factory.SubFactory(PassengerFactory)
    first_name = "Kim"
    last_name = factory.Sequence(lambda n: f"Lindqvist-{n}")
    relationship = "Sibling"
    phone = factory.Sequence(lambda n: f"+1202555{100 + n % 100:04d}")


class DocumentFactory(factory.django.DjangoModelFactory):
    """A paper of a passenger; `passenger=None, trip=…` for one of a trip."""

    class Meta:
        model = Document

    passenger = factory.SubFactory(PassengerFactory)


class PaymentFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Payment

    passenger = factory.SubFactory(PassengerFactory)
    amount = Decimal("500.00")
    paid_on = dt.date(2026, 1, 5)
    reference = factory.Sequence(lambda n: f"REF-{n}")


class CostFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Cost

    trip = factory.SubFactory(TripFactory)
    what = factory.Sequence(lambda n: f"Hotel {n}")
    amount = Decimal("900.00")


class UserFactory(factory.django.DjangoModelFactory):
    """Someone who can log in with `PASSWORD` but is not staff."""

    class Meta:
        model = get_user_model()
        skip_postgeneration_save = True

    username = factory.Sequence(lambda n: f"user{n}")
    password = factory.django.Password(PASSWORD)

    @factory.post_generation
    def permissions(self: Any, create: bool, extracted: list[str] | None, **kwargs: Any) -> None:
        """`permissions=["trips.view_trip"]`, each named as in `has_perm`; an unknown one raises.

        With any of them they see every trip, unless `permissions__own_trips=True` says that they see those they lead.
        """
        sight = ["trips.see_every_trip"] if extracted and not kwargs.get("own_trips") else []
        for name in [*(extracted or ()), *sight]:
            app_label, codename = name.split(".")
            self.user_permissions.add(
                Permission.objects.get(content_type__app_label=app_label, codename=codename),
            )


class StaffFactory(UserFactory):
    """A member of staff who may do what `permissions` says; `is_superuser=True` for everything."""

    is_staff = True
