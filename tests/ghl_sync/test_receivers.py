"""What a save leaves behind: one Change in the same transaction, the link of a new object, one wake-up on commit."""

from __future__ import annotations

import pytest
from django.db import transaction
from django_q.models import OrmQ

from ghl_sync.models import Change, Link
from ghl_sync.suppression import muted
from tests.factories import ContactFactory, PassengerFactory, PassportFactory, TripFactory, VendorFactory


def changes() -> list[tuple[str, int, str]]:
    return list(Change.objects.order_by("pk").values_list("kind", "object_id", "cause"))


@pytest.fixture
def connected(settings):
    settings.GHL_API_TOKEN = "test-token"
    settings.GHL_LOCATION_ID = "test-location"


@pytest.mark.django_db
def test_new_trip_leaves_a_link_and_a_change():
    trip = TripFactory(organiser=None, vendor=None)

    link = Link.objects.for_object(trip)
    assert link is not None
    assert (link.kind, link.uid, link.label, link.remote_id, link.state_now()) == (
        "trip",
        trip.uid,
        trip.name,
        "",
        "waiting",
    )
    assert changes() == [("trip", trip.pk, "saved")]


@pytest.mark.django_db
def test_ten_saves_leave_one_link_and_ten_changes():
    contact = ContactFactory()
    for _ in range(9):
        contact.save()

    assert Link.objects.filter(kind="contact", object_id=contact.pk).count() == 1
    assert changes() == [("contact", contact.pk, "saved")] * 10


@pytest.mark.django_db
def test_part_of_a_passenger_makes_the_passenger_due():
    passenger = PassengerFactory()
    Change.objects.all().delete()

    PassportFactory(passenger=passenger)

    assert changes() == [("passenger", passenger.pk, "saved")]


@pytest.mark.django_db
def test_vendor_leaves_a_change_and_no_link():
    vendor = VendorFactory()

    assert changes() == [("vendor", vendor.pk, "saved")]
    assert not Link.objects.filter(kind="vendor").exists()


@pytest.mark.django_db
def test_deleted_contact_leaves_its_link_behind():
    contact = ContactFactory()
    pk = contact.pk
    Change.objects.all().delete()

    contact.delete()

    assert changes() == [("contact", pk, "saved")]
    assert Link.objects.filter(kind="contact", object_id=pk).exists()


@pytest.mark.django_db
def test_muted_record_leaves_nothing_but_its_dependants_do():
    passenger = PassengerFactory()
    Change.objects.all().delete()

    with muted("passenger", passenger.pk):
        passenger.save()
        passenger.contact.save()

    assert changes() == [("contact", passenger.contact_id, "saved")]


@pytest.mark.django_db(transaction=True)
def test_rolled_back_save_leaves_no_change_and_wakes_nobody(connected):
    class Undo(Exception):
        pass

    def save_and_undo() -> None:
        with transaction.atomic():
            ContactFactory()
            raise Undo

    with pytest.raises(Undo):
        save_and_undo()

    assert (changes(), Link.objects.count(), OrmQ.objects.count()) == ([], 0, 0)


@pytest.mark.django_db(transaction=True)
def test_one_transaction_wakes_the_queue_once_with_ids_only(connected):
    with transaction.atomic():
        first, second = ContactFactory(), ContactFactory()
        first.save()

    task = OrmQ.objects.get().task
    links = [Link.objects.for_object(contact).pk for contact in (first, second)]
    assert (task["func"], task["args"]) == ("ghl_sync.tasks.reconcile", (links,))


@pytest.mark.django_db(transaction=True)
def test_save_succeeds_when_the_queue_cannot_be_reached(connected, monkeypatch, caplog):
    from ghl_sync import tasks

    def refuses(*args, **kwargs):
        raise ConnectionError

    monkeypatch.setattr(tasks, "async_task", refuses)
    monkeypatch.setattr(tasks._Wake, "silent_until", 0.0)

    contact = ContactFactory()

    assert changes() == [("contact", contact.pk, "saved")]
    assert "the sweep will find the change" in caplog.text
